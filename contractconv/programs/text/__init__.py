"""The text of a program, which is a program: a function in a small subset of Python.

:mod:`writer` writes it, a node a line, and :mod:`reader` reads it back through Python's own
grammar; nothing that stands in it is ever executed.
"""
