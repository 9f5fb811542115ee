"""What a user's checker sees of the library: no result is of an unknown type.

Checked by mypy against the *installed* package, from a folder where the sources do not lie.
"""

from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import contractconv as cc

Array = npt.NDArray[Any]

x, w = np.ones((8, 28, 3)), np.ones((3, 3, 16))

layer = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")
result = assert_type(layer(x, w), Array)
assert_type(cc.contract("b (2*i+k-1) c, k c o -> b i o", x, w, algorithm="direct"), Array)
assert_type(layer.output_shape(x.shape, w.shape), tuple[int, ...])
assert_type(layer.extents(x.shape, w.shape), dict[str, int])
assert_type(layer.reduce, cc.Reduction)

gradient = assert_type(layer.grad(0), cc.Derivation)
assert_type(gradient.scatter, cc.Contraction)
assert_type(gradient(result, x, w), Array)
assert_type(gradient.verify(), cc.Certificate)
assert_type(layer.jvp(0), cc.Derived)
assert_type(layer.curvature(1), cc.Curvature)

assert_type(layer.plan(x.shape, w.shape), cc.Plan)
run = assert_type(layer.compile(x.shape, w.shape, dtype="float32"), cc.Compiled)
assert_type(run(x, w), Array)
assert_type(run.vjp(0, result, x, w), Array)
assert_type(run(x, w, bias=np.ones(16), activation="relu", out=np.ones((8, 14, 16))), Array)
assert_type(cc.contract("b i, i o -> b o", x[:, :, 0], w[:, 0], memory_limit=1e6, i=28), Array)
assert_type(gradient(result, x, w, algorithm="direct", dtype="float64", out=x), Array)
assert_type(layer.explain(x.shape, w.shape), cc.Explanation)
assert_type(cc.__version__, str)


def pooled(reduce: cc.Reduction, algorithm: cc.Algorithm) -> Array:
    """What is chosen elsewhere has a type, too."""
    return cc.contract("b (2*i+k) c -> b i c", x, reduce=reduce, algorithm=algorithm, k=2)
