"""Layers of networks: strings, and what follows from them."""
