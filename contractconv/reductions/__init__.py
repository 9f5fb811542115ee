"""How contributions to one element combine: one record each, in one table."""
