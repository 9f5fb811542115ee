"""Weights of networks, to and from other libraries: each layout is a string of the language."""
