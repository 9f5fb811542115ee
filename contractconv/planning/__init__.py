"""How to run a contraction: order of the operands, cost, lowering of each step."""
