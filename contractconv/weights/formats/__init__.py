"""Files of weights: names and arrays, and nothing that is executed."""
