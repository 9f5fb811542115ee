"""Contractions of arrays in files, block by block: operands and results larger than memory."""
