"""Whether two tensors are equal, whatever the arrays are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contractconv.api.tensor import as_node
from contractconv.programs.agreement import agree


def equal(first: Any, second: Any, **shapes: Sequence[int]) -> bool:
    """Whether two values are the same function of their inputs.

    Both are evaluated at random points modulo a prime of 61 bits, on small arrays whose sizes fit
    all strings, exactly (Schwartz 1980, Zippel 1979). Sums, products, quotients and everything that
    is made of them are known; of other functions, as of ``exp``, only that equal arguments have
    equal values. What is compared is in an order, and nothing else is known of that. Numbers are
    not rounded.

    Args:
        first: a tensor, or a number.
        second: another one; their axes are compared by name, in whatever order they are.
        **shapes: the shape of an input, by its name, where small sizes are not to be chosen.

    Returns:
        ``False`` if they differ, as functions of which no more is known than is said above: then
        that is certain. ``True`` if they agree at all points: of sums, products, quotients and
        functions that is wrong with a probability of less than 1e-30, as long as their degrees are
        below 1,000,000; where values are compared, it is
        only a test, at points drawn near the integers that stand in them.

    Raises:
        ProgramError: two different inputs have one name.
        ShapeError: no small sizes fit all strings.
        OperandError: something is neither a tensor nor a number.

    Example:
        >>> import contractconv as cc
        >>> x, y = cc.tensor("x", "i"), cc.tensor("y", "i")
        >>> equal((x + y) * (x - y), x * x - y * y), equal((x + y) * (x + y), x * x + y * y)
        (True, False)
    """
    given = {name: tuple(shape) for name, shape in shapes.items()}
    return agree(as_node(first), as_node(second), given)
