"""What is printed of curvature, and what it should be worth, by Jacobians multiplied out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from oracle import Affine, Composition
from printed_claims import ROOTS, Case, Claim, nested, with_steps
from printed_formulas import Composed, Element, Name, Node, read, walk
from printed_oracle import Elements, Place, places

Slopes = dict[Place, dict[Place, Any]]  # by element of the result, then by element of the operand


def products(case: Case, n: int) -> Iterator[Claim]:
    """The Gauss-Newton matrix times ``V``, and its diagonal, for half the squared error."""
    curvature, slopes, v = case.contraction.curvature(n), _slopes(case, n), case.tangent(n)
    along = {y: sum(s * v[x] for x, s in row.items()) for y, row in slopes.items()}
    whole = _added((x, s * along[y]) for y, row in slopes.items() for x, s in row.items())
    squares = _added((x, s * s) for row in slopes.values() for x, s in row.items())
    yield from _claims(case, n, curvature.product(), whole)
    yield from _claims(case, n, curvature.diagonal(), squares)


def rooted(case: Case, n: int) -> Iterator[Claim]:
    """The same for a loss whose Hessian has a root ``R``, and examples along the first axis."""
    w = case.witness
    if not w.read.output or not _is_example(case):
        return
    curvature, v = case.contraction.curvature(n), case.tangent(n)
    whole, squares = [], []
    for column, b in product(range(ROOTS), range(w.output_shape[0])):
        row = _added(
            (x, _root(case)[column, *y] * s)
            for y, slopes in _slopes(case, n).items()
            for x, s in slopes.items()
            if y[0] == b
        )
        along = sum(s * v[x] for x, s in row.items())
        whole += [(x, s * along) for x, s in row.items()]
        squares += [(x, s * s) for x, s in row.items()]
    yield from _claims(case, n, curvature.product(root=True), _added(whole))
    yield from _claims(case, n, curvature.diagonal(root=True), _added(squares))


def kronecker(case: Case, n: int) -> Iterator[Claim]:
    """The factors ``A`` and ``B`` of a weight's curvature."""
    w = case.witness
    indices = [name for axis in w.read.inputs[n] for name in axis.names]
    plain = [plain_name(axis) for axis in w.read.output]
    if not plain or plain[0] is None or plain[0] in indices or w.reduce != "sum":
        return
    others = {
        name for m, axes in enumerate(w.read.inputs) if m != n for a in axes for name in a.names
    }
    curvature = case.contraction.curvature(n)
    shared = [name for name in indices if name in plain]
    given = [name for name in shared if name not in others]
    for kind in ("expand", "reduce"):
        factors = curvature.kronecker(kind)
        inner, outer = _patches(case, n, given, kind), _signals(case, shared, kind)
        yield from _factor(case, n, factors.input, inner)
        yield from _factor(case, n, factors.output, outer)


# --- how ---------------------------------------------------------------------------------------


def _added(parts: Any) -> Elements:
    found: Elements = {}
    for x, part in parts:
        found[x] = found.get(x, 0) + part
    return found


def _slopes(case: Case, n: int) -> Slopes:
    found: Slopes = {}
    for (y, x), slope in case.witness.jacobian(n).items():
        found.setdefault(y, {})[x] = slope
    return found


def _root(case: Case) -> Elements:
    return case.array("R", (ROOTS, *case.witness.output_shape))


def plain_name(axis: Affine | Composition) -> str | None:
    """The index that an axis consists of."""
    if isinstance(axis, Affine) and axis.offset == 0 and [c for _, c in axis.coefficients] == [1]:
        return axis.names[0]
    return None


def _is_example(case: Case) -> bool:
    """Whether the first axis of the result is an index that numbers examples."""
    first = plain_name(case.witness.read.output[0])
    return first is not None and sum(first in a.names for a in case.witness.read.output) == 1


def _claims(case: Case, n: int, derived: Any, expected: Elements) -> Iterator[Claim]:
    w, text = case.witness, derived.formula
    arrays = {
        "V": nested(w.shapes[n], case.tangent(n).__getitem__),
        "R": nested((ROOTS, *w.output_shape), _root(case).__getitem__),
    }
    extents = _copies(case) | _columns(text)
    own = case.claim(derived.name, text, w.shapes[n], expected, arrays=arrays, extents=extents)
    yield from with_steps(case, n, derived, own)


def _copies(case: Case) -> dict[str, int]:
    """The extents of all that a formula may name: the result's axes, and second copies."""
    known = {**case.result_axes, **case.witness.extents}
    copies = {name + "′" * more: size for name, size in known.items() for more in (2, 1)}
    return copies | known


def _columns(text: str) -> dict[str, int]:
    """The letter that numbers the columns of ``R``."""
    roots = [n for n in walk(read(text).body) if isinstance(n, Element) and n.array == "R"]
    return {n.axes[0].text: ROOTS for n in roots if isinstance(n.axes[0], Name)}


@dataclass(frozen=True)
class _Moment:
    """``scale Σ_rows row·rowᵀ``; a row's elements are at positions of these indices."""

    names: list[str]
    rows: dict[Place, Elements]
    scale: Fraction

    def at(self, point: Mapping[str, int]) -> Any:
        """An element; of an index without a second copy, both positions are one."""
        first = tuple(point[name] for name in self.names)
        second = tuple(point.get(f"{name}′", point[name]) for name in self.names)
        pairs = ((row.get(first, 0), row.get(second, 0)) for row in self.rows.values())
        return self.scale * sum(a * b for a, b in pairs)


def _patches(case: Case, n: int, given: list[str], kind: str) -> _Moment:
    """What a weight is multiplied by at each place; it is the same for all results it makes."""
    w = case.witness
    indices = [name for axis in w.read.inputs[n] for name in axis.names]
    names = [name for name in indices if name not in given]
    free, spots = _free_axes(case, indices, kind)
    rows: dict[Place, Elements] = {}
    for (y, x), slope in w.jacobian(n).items():
        point = _named(w.read.inputs[n], x, w.extents)
        if all(point[name] == 0 for name in given):
            row = rows.setdefault(tuple(y[axis] for axis in free), {})
            key = tuple(point[name] for name in names)
            row[key] = row.get(key, 0) + slope
    return _Moment(names, rows, Fraction(1, spots**2 if kind == "reduce" else 1))


def _signals(case: Case, shared: list[str], kind: str) -> _Moment:
    """The cotangents of single examples."""
    w = case.witness
    free, spots = _free_axes(case, shared, kind)
    rows: dict[Place, Elements] = {}
    for y, g in case.cotangent.items():
        point = {
            plain_name(axis): position for axis, position in zip(w.read.output, y, strict=True)
        }
        key = tuple(point[name] for name in shared)
        row = rows.setdefault(tuple(y[axis] for axis in free), {})
        row[key] = row.get(key, 0) + g
    return _Moment(
        shared, rows, Fraction(1, w.output_shape[0] * (spots if kind == "expand" else 1))
    )


def _free_axes(case: Case, indices: list[str], kind: str) -> tuple[list[int], int]:
    """The axes of the result that number the rows, and at how many places a weight is used."""
    w = case.witness
    axes = [k for k, axis in enumerate(w.read.output) if plain_name(axis) not in indices]
    return axes if kind == "expand" else axes[:1], math.prod(w.output_shape[k] for k in axes[1:])


def _named(axes: Any, place: Place, extents: Mapping[str, int]) -> dict[str, int]:
    """The indices at a place of an operand whose axes are indices and compositions of them."""
    found: dict[str, int] = {}
    for axis, position in zip(axes, place, strict=True):
        left = position
        for name in reversed(axis.names):
            left, found[name] = divmod(left, extents[name])
    return found


def _factor(case: Case, n: int, derived: Any, moment: _Moment) -> Iterator[Claim]:
    extents = _copies(case)
    axes = read(derived.formula).axes
    names = [name for axis in axes for name in _names(axis)]
    sizes = [extents[name] for name in names]
    shape = tuple(math.prod(extents[name] for name in _names(axis)) for axis in axes)
    expected = {}
    for positions in places(sizes):
        point = dict(zip(names, positions, strict=True))
        expected[tuple(_row_major(_names(axis), point, extents) for axis in axes)] = moment.at(
            point
        )
    own = case.claim(derived.name, derived.formula, shape, expected, extents=extents)
    yield from with_steps(case, n, derived, own)


def _names(axis: Node) -> tuple[str, ...]:
    return axis.names if isinstance(axis, Composed) else (axis.text,)  # type: ignore[union-attr]


def _row_major(names: tuple[str, ...], point: Mapping[str, int], extents: Mapping[str, int]) -> int:
    position = 0
    for name in names:
        position = position * extents[name] + point[name]
    return position
