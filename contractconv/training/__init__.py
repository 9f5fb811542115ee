"""Training: optimisers that stand on what is derived from strings."""
