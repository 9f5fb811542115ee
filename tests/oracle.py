"""A naive witness for contractions: the one rule, applied to one index point at a time.

Nothing here is fast or clever, and nothing is shared with the library: the reader of specs, the
boundary rule, the reductions and their derivatives are written down again from the definition, so
that an agreement between the two says something about both.

What one can do:

- ``evaluate``: the output of a contraction;
- ``gradient``: the derivative of ``sum(cotangent * output)`` by one operand;
- ``natural_output_shape`` and ``min_max``: the sizes that a spec asks for;
- ``plain_index``: whether an axis is nothing but an index.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Extents = Mapping[str, int]
Shape = tuple[int, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(r"\d+|[A-Za-z_][A-Za-z0-9_]*|[-+*/()]")
_COMPOSITION = re.compile(r"\(\s*[A-Za-z_]\w*(\s+[A-Za-z_]\w*)+\s*\)", re.ASCII)


# --- reading a spec --------------------------------------------------------------------------


@dataclass(frozen=True)
class Affine:
    """An axis ``sum(coefficient * index) + offset``; rational, indices in the order written."""

    coefficients: tuple[tuple[str, Fraction], ...] = ()
    offset: Fraction = Fraction(0)

    @property
    def names(self) -> tuple[str, ...]:
        """The indices of the axis."""
        return tuple(name for name, _ in self.coefficients)

    def resolve(self, extents: Extents) -> Affine:
        """The axis itself: its coefficients do not depend on the extents."""
        return self

    def __add__(self, other: Affine) -> Affine:
        total = dict(self.coefficients)
        for name, coefficient in other.coefficients:
            total[name] = total.get(name, Fraction(0)) + coefficient
        return Affine(tuple(total.items()), self.offset + other.offset)

    def scaled(self, factor: Fraction) -> Affine:
        """The axis multiplied by a number."""
        scaled = tuple((name, factor * coefficient) for name, coefficient in self.coefficients)
        return Affine(scaled, factor * self.offset)


@dataclass(frozen=True)
class Composition:
    """An axis ``(h w c)``: several indices laid out row-major on one axis."""

    names: tuple[str, ...]

    def resolve(self, extents: Extents) -> Affine:
        """The affine axis that the composition stands for."""
        sizes = [extents[name] for name in self.names]
        strides = [Fraction(math.prod(sizes[place + 1 :])) for place in range(len(sizes))]
        return Affine(tuple(zip(self.names, strides, strict=True)))


Axis = Affine | Composition


@dataclass(frozen=True)
class Spec:
    """A spec, read: one tuple of axes for every operand, and one for the output."""

    inputs: tuple[tuple[Axis, ...], ...]
    output: tuple[Axis, ...]

    @property
    def indices(self) -> tuple[str, ...]:
        """Every index once: those of the output first, then the others as the inputs name them.

        The order of the summands of an affine axis means nothing: there it is alphabetical.
        """
        axes = itertools.chain(self.output, *self.inputs)
        ordered = (sorted(a.names) if isinstance(a, Affine) else a.names for a in axes)
        return tuple(dict.fromkeys(name for names in ordered for name in names))


def read_spec(spec: str) -> Spec:
    """Read ``inputs -> output``, in the style with blanks or in numpy's."""
    left, arrow, right = spec.partition("->")
    if not arrow:
        raise ValueError(f"no '->' in {spec!r}")
    terms = [term.strip() for term in (*left.split(","), right)]
    letters = not any(re.search(r"\s", term) for term in terms)
    axes = [tuple(read_axis(text) for text in axis_texts(term, letters)) for term in terms]
    return Spec(tuple(axes[:-1]), axes[-1])


def read_axis(text: str) -> Axis:
    """Read one axis: a name, a composition, or an affine expression in parentheses."""
    if _COMPOSITION.fullmatch(text):
        return Composition(tuple(_NAME.findall(text)))
    tokens = _tokens(text)
    axis = _factor(tokens)
    if tokens:
        raise ValueError(f"{text!r}: nothing may follow the axis, but {tokens[0]!r} does")
    return axis


def axis_texts(term: str, letters: bool) -> Iterator[str]:
    """The axes of a term, as texts; with ``letters`` a name is one letter long."""
    place = 0
    while place < len(term):
        end = _axis_end(term, place, letters)
        if not term[place].isspace():
            yield term[place:end]
        place = end


def _axis_end(term: str, start: int, letters: bool) -> int:
    """Where the axis (or the blank) that begins at ``start`` ends."""
    if term[start].isspace():
        return start + 1
    if term[start] == "(":
        return _closing(term, start) + 1
    name = _NAME.match(term, start)
    if name is None:
        raise ValueError(f"{term!r}: {term[start]!r} begins no axis")
    return start + 1 if letters else name.end()


def _closing(term: str, start: int) -> int:
    """The place of the parenthesis that closes the one at ``start``."""
    depth = 0
    for place in range(start, len(term)):
        depth += {"(": 1, ")": -1}.get(term[place], 0)
        if depth == 0:
            return place
    raise ValueError(f"{term!r}: a parenthesis is never closed")


def _tokens(text: str) -> deque[str]:
    """Numbers, names, operators and parentheses; anything else is refused."""
    left_over = re.sub(r"\s", "", _TOKEN.sub("", text))
    if left_over:
        raise ValueError(f"{text!r}: {left_over[0]!r} means nothing here")
    return deque(_TOKEN.findall(text))


def _sum(tokens: deque[str]) -> Affine:
    """``product (+ product | - product)*``."""
    total = _product(tokens)
    while tokens and tokens[0] in "+-":
        sign = Fraction(1 if tokens.popleft() == "+" else -1)
        total = total + _product(tokens).scaled(sign)
    return total


def _product(tokens: deque[str]) -> Affine:
    """``factor (* factor | / factor | factor)*``, read from left to right."""
    result = _factor(tokens)
    while tokens and tokens[0] not in ("+", "-", ")"):
        operator = tokens.popleft() if tokens[0] in ("*", "/") else "*"
        other = _factor(tokens)
        if operator == "/":
            other = Affine(offset=1 / _number(other))
        result = _times(result, other)
    return result


def _factor(tokens: deque[str]) -> Affine:
    """A number, an index, a sum in parentheses, or one of these with a sign."""
    token = tokens.popleft() if tokens else ""
    if token in ("+", "-"):
        return _factor(tokens).scaled(Fraction(1 if token == "+" else -1))
    if token == "(":
        inside = _sum(tokens)
        if not tokens or tokens.popleft() != ")":
            raise ValueError("a parenthesis is never closed")
        return inside
    if token.isdigit():
        return Affine(offset=Fraction(token))
    if not _NAME.fullmatch(token):
        raise ValueError(f"{token!r} is neither a number nor an index")
    return Affine(((token, Fraction(1)),))


def _times(left: Affine, right: Affine) -> Affine:
    """The product of two expressions, one of which must be a number."""
    return right.scaled(left.offset) if not left.names else left.scaled(_number(right))


def _number(expression: Affine) -> Fraction:
    """The value of an expression without indices."""
    if expression.names:
        raise ValueError("indices may not be multiplied, nor divided by")
    return expression.offset


# --- sizes -----------------------------------------------------------------------------------


def plain_index(axis_text: str) -> str | None:
    """The index that an axis consists of, or None where it is anything more than one index."""
    axis = read_axis(axis_text)
    if isinstance(axis, Affine) and axis.offset == 0 and len(axis.coefficients) == 1:
        name, coefficient = axis.coefficients[0]
        return name if coefficient == 1 else None
    return None


def min_max(axis_text: str, extents: Extents) -> tuple[int, int]:
    """The least and the greatest integer between the ends of what an axis runs through."""
    return _bounds(read_axis(axis_text).resolve(extents), extents)


def natural_output_shape(
    spec: str, operands_shapes: Sequence[Sequence[int]], extents: Extents
) -> Shape:
    """The shape of the output when nobody asks for another one."""
    parsed = read_spec(spec)
    _check_inputs(parsed, operands_shapes, extents)
    return tuple(natural_size(axis.resolve(extents), extents) for axis in parsed.output)


def _bounds(axis: Affine, extents: Extents) -> tuple[int, int]:
    """The least and the greatest integer between the ends of what an affine axis runs through."""
    ends = [sorted((0 * c, c * (extents[name] - 1))) for name, c in axis.coefficients]
    least = axis.offset + sum(low for low, _ in ends)
    greatest = axis.offset + sum(high for _, high in ends)
    return math.ceil(least), math.floor(greatest)


def natural_size(axis: Affine, extents: Extents) -> int:
    """How long an output axis is: its reach, less at the end what it lacks at the start."""
    if any(extents[name] == 0 for name in axis.names):
        return 0  # no point at all lands on such an axis
    least, greatest = _bounds(axis, extents)
    return max(0, greatest + 1 - max(0, -least))


def _check_inputs(spec: Spec, shapes: Sequence[Sequence[int]], extents: Extents) -> None:
    """Refuse a problem that is wrong by itself, before it accuses anybody else."""
    if [len(axes) for axes in spec.inputs] != [len(shape) for shape in shapes]:
        raise ValueError(f"shapes {shapes} do not fit the terms of the spec")
    for axis, size in zip(itertools.chain(*spec.inputs), itertools.chain(*shapes), strict=True):
        fixed = fixed_size(axis, extents)
        if fixed not in (None, size):
            raise ValueError(f"{axis} has size {fixed}, but its operand has {size}")


def fixed_size(axis: Axis, extents: Extents) -> int | None:
    """The size that an input axis must have: only an affine one may have any."""
    if isinstance(axis, Composition):
        return math.prod(extents[name] for name in axis.names)
    if axis.offset == 0 and [coefficient for _, coefficient in axis.coefficients] == [1]:
        return extents[axis.names[0]]
    return None


# --- the index space -------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where one axis lies at a point: ``(offset + sum(scale * point[slot])) / divisor``."""

    scales: tuple[tuple[int, int], ...]
    offset: int
    divisor: int
    size: int
    stride: int

    def position(self, point: Sequence[int]) -> int | None:
        """What the axis adds to the flat position; None where no element is met."""
        numerator = self.offset
        for slot, scale in self.scales:
            numerator += scale * point[slot]
        quotient, remainder = divmod(numerator, self.divisor)
        return None if remainder or not 0 <= quotient < self.size else quotient * self.stride


@dataclass
class Landing:
    """What reaches one element of the output.

    ``points`` counts the index points that land here; ``reads`` holds, for those of them that
    contribute, the flat position read in each operand. Both in row-major order of the indices.
    """

    points: int = 0
    reads: list[tuple[int, ...]] = field(default_factory=list)


def _places(
    axes: Sequence[Axis], shape: Sequence[int], indices: Sequence[str], extents: Extents
) -> list[Place]:
    """The axes of one term, in integers only."""
    places = []
    for number, axis in enumerate(axes):
        affine = axis.resolve(extents)
        parts = [coefficient for _, coefficient in affine.coefficients] + [affine.offset]
        divisor = math.lcm(*(part.denominator for part in parts))
        scales = tuple((indices.index(name), int(c * divisor)) for name, c in affine.coefficients)
        stride = math.prod(shape[number + 1 :])
        places.append(Place(scales, int(affine.offset * divisor), divisor, shape[number], stride))
    return places


def _flat_position(places: Sequence[Place], point: Sequence[int]) -> int | None:
    """The flat position of the element that a term means at a point; None outside the term."""
    flat = 0
    for place in places:
        step = place.position(point)
        if step is None:
            return None
        flat += step
    return flat


def landings_of(
    spec: Spec, shapes: Sequence[Sequence[int]], extents: Extents, output_shape: Sequence[int]
) -> list[Landing]:
    """Every element of the output with the points that reach it."""
    _check_inputs(spec, shapes, extents)
    if len(spec.output) != len(output_shape):
        raise ValueError(f"output shape {output_shape} does not fit the output term")
    indices = spec.indices
    output = _places(spec.output, output_shape, indices, extents)
    inputs = [
        _places(axes, shape, indices, extents)
        for axes, shape in zip(spec.inputs, shapes, strict=True)
    ]
    landings = [Landing() for _ in range(math.prod(output_shape))]
    for point in itertools.product(*(range(extents[name]) for name in indices)):
        target = _flat_position(output, point)
        if target is None:
            continue
        landings[target].points += 1
        reads = [_flat_position(places, point) for places in inputs]
        inside = tuple(read for read in reads if read is not None)
        if len(inside) == len(reads):
            landings[target].reads.append(inside)
    return landings


# --- reductions ------------------------------------------------------------------------------
# A value is what one contributing point holds; `points` also counts those that read outside.


def _log_sum_exp(values: Sequence[Any]) -> float:
    """``log(sum(exp(values)))``, without overflow."""
    greatest = max(values)
    return float(greatest + math.log(math.fsum(math.exp(value - greatest) for value in values)))


_COMBINE: dict[str, Callable[[Sequence[Any], int], Any]] = {
    "sum": lambda values, points: sum(values),
    "prod": lambda values, points: math.prod(values),
    "max": lambda values, points: max(values),
    "min": lambda values, points: min(values),
    "mean": lambda values, points: sum(values) / points,
    "logsumexp": lambda values, points: _log_sum_exp(values),
}


def _first(values: Sequence[Any], chosen: Any) -> list[int]:
    """One at the first place where ``chosen`` stands, zero elsewhere."""
    return [int(place == values.index(chosen)) for place in range(len(values))]


def _all_others(values: Sequence[Any]) -> list[Any]:
    """For every value the product of all the others, without a division."""
    before = list(itertools.accumulate(values[:-1], lambda a, b: a * b, initial=1))
    after = list(itertools.accumulate(values[:0:-1], lambda a, b: a * b, initial=1))[::-1]
    return [left * right for left, right in zip(before, after, strict=True)]


def _softmax(values: Sequence[Any]) -> list[float]:
    """``exp(value - logsumexp(values))``."""
    result = _log_sum_exp(values)
    return [math.exp(value - result) for value in values]


_SLOPES: dict[str, Callable[[Sequence[Any], int], Sequence[Any]]] = {
    "sum": lambda values, points: [1] * len(values),
    "prod": lambda values, points: _all_others(values),
    "max": lambda values, points: _first(values, max(values)),
    "min": lambda values, points: _first(values, min(values)),
    "mean": lambda values, points: [1 / points] * len(values),
    "logsumexp": lambda values, points: _softmax(values),
}


def _identity(reduce: str, dtype: np.dtype[Any]) -> Any:
    """What an element holds that no point contributes to."""
    if reduce in ("max", "min") and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return limits.min if reduce == "max" else limits.max
    empty = {"sum": 0, "mean": 0, "prod": 1}
    infinite = {"max": -math.inf, "logsumexp": -math.inf, "min": math.inf}
    return (empty | infinite)[reduce]


def _result_dtype(reduce: str, arrays: Sequence[Array]) -> np.dtype[Any]:
    """The common dtype; the reductions that leave the integers answer in float64."""
    dtype = np.result_type(*arrays)
    if reduce in ("mean", "logsumexp") and dtype.kind not in "fc":
        return np.dtype(np.float64)
    return dtype


# --- the two questions -----------------------------------------------------------------------


def evaluate(
    spec: str,
    operands: Sequence[Array],
    extents: Extents,
    output_shape: Sequence[int],
    reduce: str = "sum",
) -> Array:
    """The output of a contraction, point by point.

    Args:
        spec: the contraction, without ellipsis and without parameters.
        operands: one array for every input term.
        extents: the extent of every index.
        output_shape: the shape of the result; points that land outside it are dropped.
        reduce: how the points that land on the same element are combined.

    Returns:
        An array of that shape, exact where the operands are integers.

    Raises:
        ValueError: where the spec, the shapes and the extents do not belong together.
        OverflowError: where an exact integer does not fit the dtype of the operands.
    """
    arrays = [np.asarray(operand) for operand in operands]
    landings = landings_of(read_spec(spec), [a.shape for a in arrays], extents, output_shape)
    flats = [array.ravel().tolist() for array in arrays]
    dtype = _result_dtype(reduce, arrays)
    result = [
        _COMBINE[reduce](_values(flats, landing), landing.points)
        if landing.reads
        else _identity(reduce, dtype)
        for landing in landings
    ]
    return np.array(result, dtype=dtype).reshape(tuple(output_shape))


def gradient(
    spec: str,
    n: int,
    cotangent: Array,
    operands: Sequence[Array],
    extents: Extents,
    output_shape: Sequence[int],
    reduce: str = "sum",
) -> Array:
    """The derivative of ``sum(cotangent * output)`` by operand ``n``, point by point.

    Args:
        spec, operands, extents, output_shape, reduce: as ``evaluate`` takes them.
        n: the position of the operand.
        cotangent: an array of the shape of the output.

    Returns:
        An array of the shape of operand ``n``. For ``max`` and ``min`` only the first point that
        attains the extreme passes its cotangent on.

    Raises:
        ValueError, OverflowError: as ``evaluate`` does.
    """
    arrays = [np.asarray(operand) for operand in operands]
    if np.shape(cotangent) != tuple(output_shape):
        raise ValueError(f"cotangent of shape {np.shape(cotangent)} for output {output_shape}")
    landings = landings_of(read_spec(spec), [a.shape for a in arrays], extents, output_shape)
    flats = [array.ravel().tolist() for array in arrays]
    result: list[Any] = [0] * arrays[n].size
    for weight, landing in zip(np.ravel(cotangent).tolist(), landings, strict=True):
        if not landing.reads:
            continue
        slopes = _SLOPES[reduce](_values(flats, landing), landing.points)
        for reads, slope in zip(landing.reads, slopes, strict=True):
            result[reads[n]] += weight * slope * _product_of_others(flats, reads, n)
    dtype = _result_dtype(reduce, [*arrays, np.asarray(cotangent)])
    return np.array(result, dtype=dtype).reshape(arrays[n].shape)


def _values(flats: Sequence[Sequence[Any]], landing: Landing) -> list[Any]:
    """The value of every contributing point: the product of what it reads."""
    return [
        math.prod(flat[read] for flat, read in zip(flats, reads, strict=True))
        for reads in landing.reads
    ]


def _product_of_others(flats: Sequence[Sequence[Any]], reads: Sequence[int], n: int) -> Any:
    """The product of what a point reads from every operand but the ``n``-th."""
    pairs = enumerate(zip(flats, reads, strict=True))
    return math.prod(flat[read] for place, (flat, read) in pairs if place != n)
