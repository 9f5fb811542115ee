"""Toom-Cook in machine code: tiles are transformed, multiplied and collected in cache."""
