"""Showing contractions and derivations: formulas, pictures, pages, source code."""
