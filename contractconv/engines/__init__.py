"""Ways to carry out what is planned, on this machine's arrays or on others: none knows another."""
