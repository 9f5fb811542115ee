"""Programs, planned: which maps run together, what is done for each node, and in which order."""
