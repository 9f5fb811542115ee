"""Contractions and gradients as source code that runs without this library.

- :func:`forward_source`: a contraction;
- :func:`gradient_source`: its gradient by one operand.

Each is a short function in the idiom of numpy, PyTorch or JAX. :class:`Given` is what a call takes
beyond the operands.
"""

from contractconv.display.source_code.functions import Given, forward_source, gradient_source

__all__ = ["Given", "forward_source", "gradient_source"]
