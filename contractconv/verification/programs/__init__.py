"""Certificates of programs: of their contractions, of their maps, and of what is made of both."""
