"""How maps are differentiated: by their derivatives, which are maps of what is there already."""

from __future__ import annotations

from collections.abc import Iterator

from contractconv.maps.derivatives import derivatives
from contractconv.maps.expression import Call, Expression, evaluate
from contractconv.maps.record import ARGUMENTS, COTANGENT, RESULT
from contractconv.programs.build import apply, total
from contractconv.programs.nodes import Map, Node, Number


def map_pullback(node: Map, n: int, cotangent: Node) -> Node | None:
    """What comes back to an argument: the derivative, summed over the axes that it lacks.

    Args:
        node: the map.
        n: the position of the argument.
        cotangent: what comes back to the result.

    Returns:
        A node with the argument's axes; ``None`` if nothing comes back.
    """
    expression = derivatives(node.function)[n]
    if expression == 0:
        return None
    return _summed(_Values(node, cotangent), expression, node.arguments[n].axes)


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


def _summed(values: _Values, expression: Expression, axes: tuple[str, ...]) -> Node:
    """An expression, summed over all but some axes; what can be is taken out of the sum."""
    if isinstance(expression, Call) and expression.function == "negative":
        return apply("negative", _summed(values, expression.arguments[0], axes))
    factors = [values.of(factor) for factor in _factors(expression)]
    whole = dict.fromkeys(name for factor in factors for name in factor.axes)
    if set(whole) == set(axes):
        return total([values.of(expression)], axes)
    return total([factor for factor in factors if not _is_one(factor)] or factors[:1], axes)


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
