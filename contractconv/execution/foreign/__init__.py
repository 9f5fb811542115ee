"""Contractions and programs on the arrays of another library than numpy."""
