"""Gradients that are not too long."""

from __future__ import annotations

from collections.abc import Sequence

from contractconv.api.tensor import Tensor, applied
from contractconv.errors import ParameterError
from contractconv.functions.axes import cast_like, product


def global_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The length of several tensors as one vector, ``√(Σ |g|²)``, in ``float64``.

    Squares of ``float16`` are too large from 256 on, and those of ``float32`` from 1e19, so they
    are added in wider numbers.

    Example:
        >>> import contractconv as cc
        >>> global_norm([cc.tensor("dW", "i o"), cc.tensor("db", "o")])
        <tensor norm: a number>
    """
    if not gradients:
        raise ParameterError("no gradients have no length: give one at least")
    sizes = [abs(gradient).cast("float64") for gradient in gradients]
    squares = [product([size, size], ()).called("squares") for size in sizes]
    whole = squares[0]
    for other in squares[1:]:
        whole = whole + other
    return applied("sqrt", whole).called("norm")


def clipped(
    gradients: Sequence[Tensor], norm: float | None = None, value: float | None = None
) -> list[Tensor]:
    """Make gradients shorter where they are too long.

    Args:
        gradients: of all parameters, any axes.
        norm: what all of them together are at most as long as: one scale for all, so that the
            direction stays what it was.
        value: what each element is at most, up or down; done before.

    Returns:
        The gradients, in their order, their axes and their numbers.

    Raises:
        ParameterError: a bound is not above zero.

    Example:
        >>> import contractconv as cc
        >>> dW, db = cc.tensor("dW", "i o"), cc.tensor("db", "o")
        >>> dW_2, db_2 = clipped([dW, db], norm=1.0)
        >>> print(cc.program(dW_2=dW_2, db_2=db_2, name="clipped"))
        def clipped(dW: "i o", db: "o"):
            float64_abs = cast(abs(dW), "float64")
            squares = contract("i o, i o ->", float64_abs, float64_abs)
            float64_abs_2 = cast(abs(db), "float64")
            squares_2 = contract("o, o ->", float64_abs_2, float64_abs_2)
            norm = sqrt(squares + squares_2)
            scale = min(1, 1.0 / norm)
            dW_2 = dW * cast(scale, like=dW)
            db_2 = db * cast(scale, like=db)
            return dW_2, db_2
        <BLANKLINE>

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    ICML (2013), algorithm 1.
    """
    for name, bound in (("norm", norm), ("value", value)):
        if bound is not None and not bound > 0:
            raise ParameterError(f"{name}={bound!r}: a bound is above zero")
    made = list(gradients)
    if value is not None:
        made = [applied("max", applied("min", g, value), -value) for g in made]
    if norm is None or not made:
        return made
    scale = applied("min", 1, norm / global_norm(made)).called("scale")
    return [cast_like(g * scale.cast(like=g), g) for g in made]
