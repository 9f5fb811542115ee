"""What of the machine is used: threads, memory, and numpy's library of products."""
