"""Programs as operators of PyTorch: whatever torch derives of one is the text of a program again."""
