"""How maps are differentiated: by their derivatives, which are maps of what is there already."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from contractconv.maps.derivatives import derivatives
from contractconv.maps.expression import Call, Expression, evaluate
from contractconv.maps.record import ARGUMENTS, COTANGENT, RESULT
from contractconv.programs.build import apply, is_one, size_of, total, with_sizes
from contractconv.programs.nodes import Axes, Map, Node, Number


def map_pullback(node: Map, n: int, cotangent: Node) -> Node | None:
    """What comes back to an argument: the derivative, summed over the axes that it lacks.

    Args:
        node: the map.
        n: the position of the argument.
        cotangent: what comes back to the result; what is the same along an axis may lack it.

    Returns:
        A node that may lack axes of the argument, too, but none that is open there: of these it
        alone says the sizes. ``None`` if nothing comes back.
    """
    expression = derivatives(node.function)[n]
    if expression == 0:
        return None
    values = _Values(node, cotangent)
    if _is_zero(values.of(expression)):
        return None
    return _with_sizes(_summed(node, values, expression, node.arguments[n].axes), node, n)


def map_change(node: Map, n: int, tangent: Node) -> Node | None:
    """How a map changes, if one argument does; ``None`` if it does not."""
    expression = derivatives(node.function)[n]
    made = None if expression == 0 else _Values(node, tangent).of(expression)
    return None if made is None or _is_zero(made) else made


class _Values:
    """The values of expressions in a map's arguments, its result, and what comes back to it."""

    def __init__(self, node: Map, given: Node) -> None:
        arguments = dict(zip(ARGUMENTS, node.arguments, strict=False))
        self._variables: dict[str, Node] = {**arguments, RESULT: node, COTANGENT: given}

    def of(self, expression: Expression) -> Node:
        """The node that an expression stands for."""
        return evaluate(expression, self._variables, _number, _applied)


def _summed(node: Map, values: _Values, expression: Expression, axes: Axes) -> Node:
    """An expression, summed over all but some axes of a map; factors are taken out of the sum."""
    if isinstance(expression, Call) and expression.function == "negative":
        return apply("negative", _summed(node, values, expression.arguments[0], axes))
    if isinstance(expression, Call) and expression.function == "divide":
        divisor = values.of(expression.arguments[1])
        if set(divisor.axes) <= set(axes):
            return apply("divide", _summed(node, values, expression.arguments[0], axes), divisor)
    factors = [values.of(factor) for factor in _factors(expression)]
    whole = dict.fromkeys(name for factor in factors for name in factor.axes)
    times = [size_of(node, name) for name in node.axes if name not in (*axes, *whole)]
    if all(name in axes for name in whole):
        return _product([values.of(expression), *times])
    kept = tuple(name for name in axes if name in whole)
    return _product([total([f for f in factors if not is_one(f)], kept, node), *times])


def _with_sizes(made: Node, node: Map, n: int) -> Node:
    """What comes back to an argument, with the sizes of axes that are open there."""
    argument = node.arguments[n]
    sized = set(made.axes) - made.open_axes
    unsized = argument.open_axes - node.open_axes - sized
    return with_sizes(made, node, (name for name in argument.axes if name in unsized))


def _product(factors: Sequence[Node]) -> Node:
    whole, *others = factors
    for factor in others:
        whole = _applied("multiply", (whole, factor))
    return whole


def _factors(expression: Expression) -> Iterator[Expression]:
    if isinstance(expression, Call) and expression.function == "multiply":
        for part in expression.arguments:
            yield from _factors(part)
    else:
        yield expression


def _number(value: int | float | complex) -> Node:
    return Number((), value=value)


def _is_zero(node: Node) -> bool:
    """Whether nothing comes back: a derivative that is zero is, whatever it is multiplied by."""
    return isinstance(node, Number) and node.value == 0


def _applied(function: str, arguments: tuple[Node, ...]) -> Node:
    """A map of nodes, as short as numbers among them let it be."""
    numbers = [node.value for node in arguments if isinstance(node, Number)]
    if len(numbers) == len(arguments) and function in _FOLDED:
        return _number(_FOLDED[function](*numbers))
    if numbers and function in _SHORTER:
        short = _SHORTER[function](*arguments)
        if short is not None:
            return short
    return apply(function, *arguments)


def _product_of(first: Node, second: Node) -> Node | None:
    if is_one(first) or _is_zero(second):
        return second
    return first if is_one(second) or _is_zero(first) else None


def _chosen(condition: Node, first: Node, second: Node) -> Node | None:
    if first == second:
        return first
    if not isinstance(condition, Number):
        return None
    return first if condition.value else second


def _both(first: Node, second: Node) -> Node | None:
    """A conjunction in which one side is known."""
    known, other = (first, second) if isinstance(first, Number) else (second, first)
    assert isinstance(known, Number)
    return other if known.value else known


# Numbers that stand in a program meet while it is derived, where that is exact.
_FOLDED: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "negative": operator.neg,
    "equal": operator.eq,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "logical_and": lambda first, second: bool(first and second),
}
_SHORTER: dict[str, Callable[..., Node | None]] = {
    "multiply": _product_of,
    "where": _chosen,
    "logical_and": _both,
    "power": lambda base, exponent: base if is_one(exponent) else None,
}
