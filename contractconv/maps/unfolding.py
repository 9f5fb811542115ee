"""Maps in simpler maps."""

from __future__ import annotations

from contractconv.cache_register import kept
from contractconv.maps.expression import Call, Expression, evaluate
from contractconv.maps.reading import read
from contractconv.maps.record import ARGUMENTS
from contractconv.maps.table import record_of


@kept(most=1024)
def unfolded(name: str) -> Expression:
    """A map in maps that no simpler ones define.

    Args:
        name: of a map.

    Returns:
        An expression in ``a, b, c``, its arguments; a call of the map itself, if it is simple.

    Raises:
        MapError: there is no such map.

    Example:
        >>> unfolded("relu")
        Call(function='max', arguments=('a', 0))
    """
    record = record_of(name)
    if record.unfolded == "":
        return Call(name, record.variables)
    return _unfolded_inside(_definition(name))


def _definition(name: str) -> Expression:
    definition = record_of(name).unfolded
    return read(definition) if isinstance(definition, str) else definition


def _unfolded_inside(expression: Expression) -> Expression:
    if not isinstance(expression, Call):
        return expression
    given = tuple(_unfolded_inside(argument) for argument in expression.arguments)
    definition = unfolded(expression.function)
    return evaluate(definition, dict(zip(ARGUMENTS, given, strict=False)), lambda n: n, Call)
