"""How maps are differentiated: by their derivatives, which are maps of what is there already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from contractconv.maps.derivatives import derivatives
from contractconv.maps.expression import Call, Expression, evaluate
from contractconv.maps.record import ARGUMENTS, COTANGENT, RESULT
from contractconv.programs.build import apply, size_of, total
from contractconv.programs.nodes import Axes, Map, Node, Number


def map_pullback(node: Map, n: int, cotangent: Node) -> Node | None:
    """What comes back to an argument: the derivative, summed over the axes that it lacks.

    Args:
        node: the map.
        n: the position of the argument.
        cotangent: what comes back to the result; what is the same along an axis may lack it.

    Returns:
        A node that may lack axes of the argument, too; ``None`` if nothing comes back.
    """
    expression = derivatives(node.function)[n]
    if expression == 0:
        return None
    return _summed(node, _Values(node, cotangent), expression, node.arguments[n].axes)


def map_change(node: Map, n: int, tangent: Node) -> Node | None:
    """How a map changes, if one argument does; ``None`` if it does not."""
    expression = derivatives(node.function)[n]
    return None if expression == 0 else _Values(node, tangent).of(expression)


class _Values:
    """The values of expressions in a map's arguments, its result, and what comes back to it."""

    def __init__(self, node: Map, given: Node) -> None:
        arguments = dict(zip(ARGUMENTS, node.arguments, strict=False))
        self._variables: dict[str, Node] = {**arguments, RESULT: node, COTANGENT: given}

    def of(self, expression: Expression) -> Node:
        """The node that an expression stands for."""
        return evaluate(expression, self._variables, _number, _applied)


def _summed(node: Map, values: _Values, expression: Expression, axes: Axes) -> Node:
    """An expression, summed over all but some axes of a map; what can be is taken out of the sum."""
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
    return _product([total([f for f in factors if not _is_one(f)], kept), *times])


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


def _is_one(node: Node) -> bool:
    return isinstance(node, Number) and node.value == 1


def _applied(function: str, arguments: tuple[Node, ...]) -> Node:
    """A map of nodes; nothing is multiplied by one."""
    if function == "multiply" and any(map(_is_one, arguments)):
        first, second = arguments
        return second if _is_one(first) else first
    return apply(function, *arguments)
