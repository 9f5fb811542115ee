"""Any contraction on the arrays of any library, by what all of them have."""
