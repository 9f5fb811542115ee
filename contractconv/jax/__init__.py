"""Layers and networks as pairs of functions, and derived gradients as rules of JAX.

>>> import jax.numpy as jnp, contractconv as cc
>>> conv = cc.jax.Layer("b (i+k-1) (j+l-1) c, k l c o -> b i j o", k=3, l=3, o=8, bias="o")
>>> params = conv.init(0, (1, 28, 28, 3))
>>> conv.apply(params, jnp.ones((2, 28, 28, 3))).shape
(2, 28, 28, 8)
"""

from contractconv.errors import OperandError

try:
    import jax as _jax  # noqa: F401 - nothing here is without it
except ImportError as error:
    raise OperandError(f"jax is missing: pip install 'contractconv[jax]' ({error})") from error

from contractconv.jax.derivatives import derived
from contractconv.jax.module import Layer, Module

__all__ = ["Layer", "Module", "derived"]
