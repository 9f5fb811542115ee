"""Programs as an operator of PyTorch: what torch derives of one is the text of a program, too."""
