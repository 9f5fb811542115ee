"""Proving formulas: brute force by the definition, and certificates."""
