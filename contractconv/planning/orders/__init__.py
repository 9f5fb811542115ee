"""In which order the operands of a contraction meet: what that costs, and who looks for it."""
