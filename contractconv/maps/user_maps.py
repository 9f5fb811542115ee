"""Maps that somebody else defines, by a formula alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any

from contractconv.errors import MapError
from contractconv.lazy import late
from contractconv.maps.record import ARGUMENTS, MapRecord
from contractconv.maps.translation import formula_of, translated
from contractconv.maps.writing import function

_CARRIED_OUT = late("contractconv.maps.numbers:carried_out")


def from_sympy(
    name: str,
    formula: Callable[..., Any],
    *,
    unfolded: str = "",
    derivatives: tuple[str | None, ...] = (),
    ordered: bool = True,
) -> MapRecord:
    """Make the record of a map from its formula; its derivatives follow.

    Args:
        name: what programs call it.
        formula: makes an expression of sympy from up to three symbols.
        unfolded: the same in maps, in which it is carried out; as the formula is written if there
            is none, which may overflow.
        derivatives: for each argument what comes back to it, as a text in maps; what is not said
            is derived from the formula.
        ordered: whether it is of real numbers only.

    Returns:
        A record for :func:`~contractconv.maps.table.register`.

    Raises:
        MapError: the formula, or its derivative, has something in it for which there is no map.

    Example:
        >>> import numpy as np, sympy
        >>> from contractconv.maps.table import MAPS, register, unregister
        >>> register(from_sympy("swish2", lambda a: a / (1 + sympy.exp(-2 * a))))
        >>> MAPS["swish2"].numpy(np.array([-1.0, 0.0, 1.0])).round(3)
        array([-0.119,  0.   ,  0.881])
        >>> unregister("swish2")
    """
    arity = len(signature(formula).parameters)
    if not 1 <= arity <= len(ARGUMENTS):
        raise MapError(f"{name} has {arity} arguments, not 1 to {len(ARGUMENTS)}")
    record = MapRecord(
        name, arity, formula, partial(_CARRIED_OUT, unfolded), "float", derivatives=derivatives,
        is_ufunc=False, ordered=ordered, unfolded=unfolded, **function(name, arity),
    )  # fmt: skip
    if unfolded:
        return record
    definition = translated(formula_of(record))
    return replace(record, unfolded=definition, numpy=partial(_CARRIED_OUT, definition))
