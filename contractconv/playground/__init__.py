"""The playground: a page on which one types a string and reads what follows from it.

The page asks, Python answers; both speak of dictionaries fit for JSON. Published, Python runs in
the browser itself (:mod:`contractconv.playground.build` puts such a page together); on a machine
that has Python, ``contractconv play`` serves the same page, and a process beside it answers.
"""
