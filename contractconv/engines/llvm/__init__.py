"""Contractions by machine code that is compiled for them."""
