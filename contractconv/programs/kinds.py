"""Which numbers a node holds, before anybody said what a program is compiled for.

A wider *kind* of numbers wins (truth values, integers, floating point, complex), and within the
widest kind the wider numbers do. So an integer array never widens a ``float32`` network, and a
number that stands in a program widens nothing: it is *weak*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from contractconv.maps.table import MAPS
from contractconv.programs.nodes import (
    Cast,
    Contract,
    Input,
    Length,
    Map,
    Node,
    Number,
    Position,
    in_order,
)
from contractconv.reductions.table import REDUCTIONS

Numbers = frozenset[str]
"""The dtypes that meet in a node."""

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
"""The numbers that an array can be declared to have."""

DEFAULT = ""
"""The numbers that a program is compiled for."""
INTEGER, TRUTH = "int64", "bool"
_COUNTING = ("add", "subtract", "multiply", "negative", "mod", "power", "abs", "square")
_BOOL, _INT, _FLOAT, _COMPLEX = range(4)
_WEAK = {bool: "~bool", int: "~int", float: "~float", complex: "~complex"}
_KINDS = {"bool": _BOOL, "int": _INT, "uint": _INT, "complex": _COMPLEX}


def kind(dtype: str) -> int:
    """Where a dtype stands: truth values 0, integers 1, floating point 2, complex 3.

    Example:
        >>> kind("bool"), kind("uint8"), kind("~float"), kind("complex64")
        (0, 1, 2, 3)
    """
    return _KINDS.get(dtype.strip("~0123456789"), _FLOAT)


def is_weak(numbers: Numbers) -> bool:
    """Whether nothing but numbers that stand in a program meet."""
    return all(name.startswith("~") for name in numbers)


def is_differentiable(numbers: Numbers) -> bool:
    """Whether numbers can change a little."""
    return any(kind(name) >= _FLOAT for name in numbers)


def meet(numbers: Iterable[Numbers]) -> Numbers:
    """What numbers become together.

    Example:
        >>> sorted(meet([frozenset(["float32"]), frozenset(["int64"]), frozenset(["~float"])]))
        ['float32']
        >>> meet([frozenset(["int64"]), frozenset(["~float"])])
        frozenset({''})
    """
    found = frozenset[str]().union(*numbers)
    widest = max(map(kind, found), default=_INT)
    strong = {name for name in found if not name.startswith("~")}
    kept = {name for name in strong if kind(name) == widest}
    if kept or not strong:
        return frozenset(kept or {name for name in found if kind(name) == widest})
    if widest == _COMPLEX:
        return frozenset({"~complex", *(name for name in strong if kind(name) == _FLOAT)})
    return frozenset([DEFAULT if widest == _FLOAT else INTEGER])


def dtype_of(numbers: Numbers, default: str) -> str:
    """The dtype that numbers have, in a program that is compiled for some dtype.

    Example:
        >>> dtype_of(frozenset(["", "float32"]), "float64")
        'float64'
        >>> dtype_of(frozenset(["~int"]), "float32")
        'int64'
    """
    names = {default if name == DEFAULT else _SPOKEN.get(name, name) for name in numbers}
    if names & {"~float"}:
        names = {default if kind(default) >= _FLOAT else "float64"}
    if names & {"~complex"}:
        names = {_complex(name) for name in (names - {"~complex"} or {default})}
    widest = max(map(kind, names))
    return max((name for name in names if kind(name) == widest), key=_width)


def itemsize(dtype: str) -> int:
    """Bytes of a number.

    Example:
        >>> itemsize("float32"), itemsize("bool")
        (4, 1)
    """
    return _width(dtype)[0] // 8 or 1


_SPOKEN = {"~bool": TRUTH, "~int": INTEGER}


def _width(dtype: str) -> tuple[int, bool]:
    """How wide numbers are; of integers, those with a sign hold the others' differences."""
    digits = "".join(ch for ch in dtype if ch.isdigit())
    return int(digits or 0), not dtype.startswith("u")


def _complex(dtype: str) -> str:
    if kind(dtype) == _COMPLEX:
        return dtype
    return "complex64" if dtype in ("float16", "float32") else "complex128"


class Kinds:
    """The numbers of nodes, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[Node, Numbers] = {}

    def __getitem__(self, node: Node) -> Numbers:
        """The numbers of a node."""
        for new in in_order([node], known=self._known):
            self._known[new] = _numbers_of(new, self._known)
        return self._known[node]


def _numbers_of(node: Node, known: Mapping[Node, Numbers]) -> Numbers:
    rule = _RULES.get(type(node))
    return meet(known[source] for source in node.sources) if rule is None else rule(node, known)


def _of_cast(node: Cast, known: Mapping[Node, Numbers]) -> Numbers:
    return known[node.like] if node.like else frozenset([node.dtype or DEFAULT])


def _of_contraction(node: Contract, known: Mapping[Node, Numbers]) -> Numbers:
    numbers = meet(known[source] for source in node.sources)
    record = REDUCTIONS[node.spec.reduce]
    if numbers == {TRUTH} and not record.chooses:
        numbers = frozenset([INTEGER])  # truth values are counted
    return numbers if record.exact else _as_float(numbers)


def _of_map(node: Map, known: Mapping[Node, Numbers]) -> Numbers:
    made = MAPS[node.function].kind
    if made == "bool":
        return frozenset([TRUTH])
    chosen = node.arguments[1:] if node.function == "where" else node.arguments
    numbers = meet(known[source] for source in chosen)
    if numbers == {TRUTH} and node.function in _COUNTING:
        return frozenset([INTEGER])
    if made == "float":
        return _as_float(numbers)
    return frozenset(map(_real, numbers)) if made == "real" else numbers


def _as_float(numbers: Numbers) -> Numbers:
    if is_differentiable(numbers):
        return numbers
    return frozenset(["~float" if is_weak(numbers) else DEFAULT])


def _real(dtype: str) -> str:
    return {"complex64": "float32", "complex128": "float64", "~complex": "~float"}.get(dtype, dtype)


_RULES: dict[type[Node], Callable[[Any, Mapping[Node, Numbers]], Numbers]] = {
    Input: lambda node, known: frozenset([DEFAULT if node.dtype is None else node.dtype]),
    Number: lambda node, known: frozenset([_WEAK[type(node.value)]]),
    Length: lambda node, known: frozenset(["~int"]),
    Position: lambda node, known: frozenset([INTEGER]),
    Cast: _of_cast,
    Contract: _of_contraction,
    Map: _of_map,
}
