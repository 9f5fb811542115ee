"""Parameters that somebody gives, checked and in the order of a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contractconv.errors import OperandError, ShapeError
from contractconv.layers.nesting import flattened
from contractconv.layers.records import Path
from contractconv.programs.text.words import close_to

if TYPE_CHECKING:
    from contractconv.layers.records import Parameter


def in_order(given: Any, parameters: Iterable[Parameter]) -> list[Any]:
    """The arrays of parameters, one for each.

    Raises:
        OperandError: it is no dict, or one is missing or superfluous.
        ShapeError: one has another shape; the message names the axes.
    """
    if not isinstance(given, Mapping):
        raise OperandError(
            f"parameters are a nested dict of arrays, as net.init(...) makes it, and no "
            f"{type(given).__name__}"
        )
    wanted = {parameter.path: parameter for parameter in parameters}
    found = dict(flattened(given))
    _check_names(found, wanted)
    for path, parameter in wanted.items():
        _check_shape(parameter, found[path])
    return [found[path] for path in wanted]


def _check_names(found: Mapping[Path, Any], wanted: Mapping[Path, Parameter]) -> None:
    missing = [".".join(path) for path in wanted if path not in found]
    foreign = [".".join(map(str, path)) for path in found if path not in wanted]
    if missing:
        near = close_to(missing[0], foreign) if foreign else ""
        raise OperandError(f"{_listed(missing)} missing among the parameters{near}")
    if foreign:
        near = close_to(foreign[0], [".".join(path) for path in wanted])
        raise OperandError(f"the network has no parameter {_listed(foreign)}{near}")


def _check_shape(parameter: Parameter, array: Any) -> None:
    shape = getattr(array, "shape", None)
    if shape is None:
        raise OperandError(f"{parameter.name} is no array, but a {type(array).__name__}")
    if tuple(shape) != parameter.shape:
        axes = " ".join(parameter.axes)
        raise ShapeError(
            f"{parameter.name} has shape {tuple(shape)}; the network needs {parameter.shape}, "
            f"along '{axes}'"
        )


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more are" if len(names) > most else "")
