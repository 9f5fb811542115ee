"""Exact decompositions of a window, in fractions: the tiles of fast algorithms."""
