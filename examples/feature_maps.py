"""How are 32 feature maps connected to 64 in the next layer?

Every output map looks at a window of 3 x 3 positions in all 32 input maps at once, multiplies
the 3*3*32 numbers it sees by its own 3*3*32 weights, and adds everything up. One string says it.
"""

import numpy as np

import contractconv as cc

rng = np.random.default_rng(0)
x = rng.integers(-9, 10, (1, 100, 100, 32))  # one image: height, width, 32 maps
w = rng.integers(-9, 10, (3, 3, 32, 64))  # window height, window width, 32 maps in, 64 maps out

layer = cc.Contraction("b (i+k) (j+l) c, k l c o -> b i j o")
y = layer(x, w)
print(f"the layer        {layer}")
print(f"the reduced      {' '.join(layer.reduced)}   (in the inputs, not in the output: summed)")
print(f"x                {x.shape}")
print(f"w                {w.shape}")
print(f"y                {y.shape}")

print("\nWhy 98? The window reads rows i+k with k = 0, 1, 2 and must stay inside rows 0..99:")
extents = layer.extents(x.shape, w.shape)
last = extents["i"] - 1
print(f"i = 0 reads rows 0..2, ..., i = {last} reads rows {last}..{last + 2}: {last + 1} places.")
padded = cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o")
print(f"With one row of zeros on each side, (i+k-1), it is {padded(x, w).shape}.")

print("\nOne number of the result, by hand: map 7 at place (40, 50)")
window = x[0, 40:43, 50:53, :]
print(f"  a window of {window.shape} times weights of {w[..., 7].shape}, added up:", end=" ")
print(f"{(window * w[..., 7]).sum()}, the layer says {y[0, 40, 50, 7]}")

print("\nThe 32 input maps are summed, so there are 64 result maps and not 32*64.")
planes = cc.contract("b (i+k) (j+l) c, k l c o -> b i j c o", x[..., :4], w[..., :4, :])
print(f"  keep c in the output and each pair has a map of its own: {planes.shape}")
print("  for 4 input maps; adding these up over c gives the layer again:", end=" ")
print((planes.sum(3) == layer(x[..., :4], w[..., :4, :])).all())
depthwise = cc.Contraction("b (i+k) (j+l) c, k l c -> b i j c")
print(f"  a depthwise layer, {depthwise},")
print(f"  has no o at all: each map has one window of its own, {depthwise(x, w[..., 0]).shape}")

print(f"\nWeights: 3*3*32*64 = {w.size}. Products for each image: {y.size} * {3 * 3 * 32}.")

print("\nBackward, an input map hears from all 64 output maps, through the same windows:")
print(f"  d x = {layer.grad(0)}")
print(f"      = {layer.grad(0).gather}")
print(f"  d w = {layer.grad(1)}")
print("In index notation, as it was derived:")
print(f"  {layer.grad(0).formula}")
print(f"  {layer.grad(1).formula}")
for d in (layer.grad(0), layer.grad(1)):
    print(f"  {d.verify().summary}")
g = np.ones_like(y)
print(f"  shapes: {layer.grad(0)(g, x, w).shape} and {layer.grad(1)(g, x, w).shape}")
