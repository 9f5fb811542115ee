"""Contractions of arrays that are there in blocks: where they are cut, and what each part reads."""
