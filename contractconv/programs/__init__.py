"""Programs: immutable graphs of contractions and maps, whose gradients are programs again.

:mod:`nodes` says what a program is made of; everything else makes nodes of nodes. Neither arrays
nor sizes are known here: a size is itself an expression, until a program is compiled.
"""
