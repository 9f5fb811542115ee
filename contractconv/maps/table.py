"""The table of maps; :func:`register` adds one, and everything knows it."""

from __future__ import annotations

from keyword import iskeyword

from contractconv.cache_register import clear_caches
from contractconv.errors import MapError
from contractconv.maps.activations import ACTIVATIONS
from contractconv.maps.arithmetic import ARITHMETIC
from contractconv.maps.comparisons import COMPARISONS
from contractconv.maps.elementary import ELEMENTARY
from contractconv.maps.expression import Call, Expression, parts
from contractconv.maps.reading import read
from contractconv.maps.record import ARGUMENTS, COTANGENT, RESULT, MapRecord

_RECORDS = (*ARITHMETIC, *COMPARISONS, *ELEMENTARY, *ACTIVATIONS)

MAPS: dict[str, MapRecord] = {record.name: record for record in _RECORDS}


def record_of(name: str) -> MapRecord:
    """What there is to know of a map.

    Raises:
        MapError: there is none of this name.
    """
    try:
        return MAPS[name]
    except KeyError:
        raise MapError(f"there is no map {name!r}; there are {', '.join(sorted(MAPS))}") from None


def register(record: MapRecord) -> None:
    """Add a map.

    Args:
        record: what there is to know of it; programs know its name from now on. Of a formula,
            :func:`~contractconv.maps.user_maps.from_sympy` makes one.

    Raises:
        MapError: there is one of this name, or the record cannot be understood.

    Example:
        >>> from dataclasses import replace
        >>> register(replace(MAPS["tanh"], name="squashed"))
        >>> float(MAPS["squashed"].numpy(0.0))
        0.0
        >>> unregister("squashed")
    """
    if record.name in MAPS:
        raise MapError(f"there is a map {record.name!r} already")
    _check(record)
    MAPS[record.name] = record


def unregister(name: str) -> None:
    """Take a map out again that :func:`register` has added."""
    del MAPS[name]
    # Another one may come by this name.
    clear_caches()


def _check(record: MapRecord) -> None:
    if not record.name.isidentifier() or iskeyword(record.name):
        raise MapError(f"programs cannot call a map {record.name!r}: that is no name")
    if not 1 <= record.arity <= len(ARGUMENTS):
        raise MapError(f"{record.name} has {record.arity} arguments, not 1 to {len(ARGUMENTS)}")
    if len(record.derivatives) not in {0, record.arity}:
        found = f"{len(record.derivatives)} derivatives for {record.arity} arguments"
        raise MapError(f"{record.name} has {found}; say None of what is to be derived")
    arities = {name: known.arity for name, known in MAPS.items()}
    if record.unfolded != "":
        _check_expression(record, record.unfolded, record.variables, arities)
    arities[record.name] = record.arity
    for text in record.derivatives:
        if text is not None:
            _check_expression(record, text, (*record.variables, RESULT, COTANGENT), arities)


def _check_expression(
    record: MapRecord, given: Expression, variables: tuple[str, ...], arities: dict[str, int]
) -> None:
    """It calls maps of the table, with so many arguments as they have, and knows all it names."""
    for part in parts(read(given) if isinstance(given, str) else given):
        if isinstance(part, str) and part not in variables:
            known = ", ".join(variables)
            raise MapError(f"{record.name} knows no {part!r} in {given!r}, only {known}")
        if isinstance(part, Call) and arities.get(part.function) != len(part.arguments):
            call = f"{part.function} of {len(part.arguments)}"
            raise MapError(f"{record.name} knows no map {call} in {given!r}")
