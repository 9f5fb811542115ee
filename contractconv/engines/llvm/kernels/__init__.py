"""Machine code for this very machine: compiled from the loops that contractions need."""
