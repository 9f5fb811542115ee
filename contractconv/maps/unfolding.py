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
    return expanded(record.unfolded)


@kept(most=1024)
def expanded(definition: Expression) -> Expression:
    """An expression in maps that no simpler ones define.

    Args:
        definition: as an expression, or as a text.
    """
    expression = read(definition) if isinstance(definition, str) else definition
    if not isinstance(expression, Call):
        return expression
    given = tuple(expanded(argument) for argument in expression.arguments)
    inner = unfolded(expression.function)
    return evaluate(inner, dict(zip(ARGUMENTS, given, strict=False)), lambda n: n, Call)
