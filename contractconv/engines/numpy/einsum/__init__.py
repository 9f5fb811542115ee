"""Steps without windows: each by the one operation of numpy that does it."""
