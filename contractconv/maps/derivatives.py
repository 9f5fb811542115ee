"""What comes back to each argument of a map, as expressions in maps."""

from __future__ import annotations

from contractconv.cache_register import kept
from contractconv.lazy import late
from contractconv.maps.expression import Expression
from contractconv.maps.reading import read
from contractconv.maps.record import MapRecord
from contractconv.maps.table import record_of

# sympy is imported when a formula is to be derived, and not before.
_derived = late("contractconv.maps.translation:derived")


@kept(most=1024)
def derivatives(name: str) -> tuple[Expression, ...]:
    """For each argument of a map what comes back to it, if ``g`` comes back to its result.

    Args:
        name: of a map.

    Returns:
        An expression in ``a, b, c`` (the arguments), ``y`` (the result) and ``g``, which is linear
        in ``g``; ``0`` where nothing comes back.

    Raises:
        MapError: there is no such map, or no maps for what its formula's derivative has in it.

    Example:
        >>> derivatives("multiply")[0]
        Call(function='multiply', arguments=('g', 'b'))
    """
    record = record_of(name)
    return tuple(_derivative(record, n) for n in range(record.arity))


def _derivative(record: MapRecord, argument: int) -> Expression:
    said = record.derivatives[argument] if record.derivatives else None
    expression: Expression = _derived(record, argument) if said is None else read(said)
    return expression
