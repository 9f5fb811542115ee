"""What sympy derives: backward contractions, as strings of the language again."""
