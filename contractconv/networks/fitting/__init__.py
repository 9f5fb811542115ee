"""Training: steps, data, what is measured, and what is kept to go on from."""
