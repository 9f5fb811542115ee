"""Programs over several devices: which block each has, what it needs of others, who adds what."""
