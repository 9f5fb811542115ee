"""Programs, rewritten before they are planned: one pass a file, and a table of them.

Every rewrite is judged by evaluating both sides exactly; a wrong one is not done.
"""
