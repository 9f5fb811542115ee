"""Reductions over windows and their gradients, in machine code."""
