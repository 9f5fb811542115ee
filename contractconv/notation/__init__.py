"""The language: strings, axes, extents. No arrays and no formulas here."""
