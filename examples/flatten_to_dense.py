"""How do I go from the last 3-D layer to the first dense one, and what does backpropagation do?

Contract directly: a dense layer on a 3-D activation is a contraction with a 4-D weight. Flattening
first changes nothing but the way in which that weight is written down.
"""

import numpy as np

import contractconv as cc

rng = np.random.default_rng(0)
x = rng.integers(-9, 10, (8, 5, 5, 16))  # eight images: height, width, 16 maps
w = rng.integers(-9, 10, (5, 5, 16, 120))  # one weight for each place, map and unit

dense = cc.Contraction("b h w c, h w c o -> b o")
y = dense(x, w)
print(f"directly         {dense}    {x.shape}, {w.shape} -> {y.shape}")

print("\nFlattened, in two orders. A composition (h w c) is one axis of 5*5*16 = 400:")
for order in ("h w c", "c h w"):
    flat = cc.Contraction(f"b h w c, ({order}) o -> b o")
    matrix = cc.contract(f"h w c o -> ({order}) o", w)
    print(f"  {flat}    {matrix.shape}   same result: {(flat(x, matrix) == y).all()}")
print("The matrices differ by the order of their rows; the layer is one and the same.")

by_hand = x.reshape(8, 400) @ w.reshape(400, 120)
print(f"numpy's reshape and @ agree: {(by_hand == y).all()}")

print("\nBackward, with a cotangent g of shape (8, 120):")
g = rng.integers(-9, 10, y.shape)
print(f"  d x = {dense.grad(0)}    {dense.grad(0)(g, x, w).shape}: 3-D by itself")
print(f"  d w = {dense.grad(1)}    {dense.grad(1)(g, x, w).shape}")
print("In index notation, as it was derived:")
for d in (dense.grad(0), dense.grad(1)):
    print(f"  {d.formula}")
    print(f"  {d.verify().summary}")
flat = cc.Contraction("b h w c, (c h w) o -> b o")
matrix = cc.contract("h w c o -> (c h w) o", w)
print("Through the flattened form the same numbers arrive, no unflattening to be done:")
print(f"  d x = {flat.grad(0)}   ", (flat.grad(0)(g, x, matrix) == dense.grad(0)(g, x, w)).all())
print(f"  d w = {flat.grad(1)}")
flat_by_hand = (g @ w.reshape(400, 120).T).reshape(x.shape)
print(f"by hand: {(flat_by_hand == dense.grad(0)(g, x, w)).all()}")
