"""Layers that were drawn, and products of two operands, as strings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import contractconv as cc
from benchmarks.layers import (
    FORWARD,
    INPUT_GRADIENT,
    WEIGHT_GRADIENT,
    Drawn,
    Product,
    Shape,
)
from benchmarks.operands import Array, at_a_line, factors, operands
from benchmarks.peers import Prepared

# Of an image's axes, and of a kernel's.
PLACES, TAPS = "ijm", "kln"
# Which operand a gradient is by.
OPERANDS = {INPUT_GRADIENT: 0, WEIGHT_GRADIENT: 1}

Terms = tuple[str, str, str]
"""Axes of the image, the kernel and the result, a letter each."""


def string(case: Drawn) -> str:
    """Write a layer down, channels where they lie in memory.

    >>> axis = {"kernel": (3,), "stride": (2,), "padding": (1,), "dilation": (1,)}
    >>> string(Drawn("", 8, (28,), 3, 16, **axis))
    'b (2*i+k-1) c, k c o -> b i o'
    >>> string(Drawn("", 8, (28,), 8, 16, **axis, groups=4, channels_first=True))
    'b g c (2*i+k-1), g o c k -> b g o i'
    >>> string(Drawn("", 8, (28,), 8, 16, **axis, groups=8))
    'b (2*i+k-1) g, k g o -> b i g o'
    >>> string(Drawn("", 8, (28,), 3, 16, **axis, transposed=True))
    'b i c, k c o -> b (2*i+k-1) o'
    """
    windows = dict(zip(PLACES, _windows(case), strict=False))
    x, w, y = map(list, terms(case))
    written = y if case.transposed else x
    written[:] = [windows.get(name, name) for name in written]
    return f"{' '.join(x)}, {' '.join(w)} -> {' '.join(y)}"


def _windows(case: Drawn) -> list[str]:
    steps = (case.stride, case.dilation, case.padding)
    axes = zip(PLACES, TAPS, *steps, strict=False)
    return [axis(*of) for of in axes]


def axis(place: str, tap: str, stride: int, dilation: int, padding: int) -> str:
    """Write the axis of a window."""
    along, apart = (f"{n}*" if n != 1 else "" for n in (stride, dilation))
    return f"({along}{place}+{apart}{tap}{f'-{padding}' if padding else ''})"


def terms(case: Drawn) -> Terms:
    """The axes that a layer has: channels and outputs of a group only if there are several."""
    sizes = _sizes(case)
    left_out = {n for n in "gco" if sizes[n] == 1 and (n == "g") == (case.groups == 1)}
    rank = len(case.sizes)
    places, taps = PLACES[:rank], TAPS[:rank]
    if case.channels_first:
        found = (f"bgc{places}", f"goc{taps}", f"bgo{places}")
    else:
        found = (f"b{places}gc", f"{taps}gco", f"b{places}go")
    x, w, y = ("".join(n for n in term if n not in left_out) for term in found)
    return x, w, y


def _sizes(case: Drawn) -> dict[str, int]:
    each = {"c": case.channels // case.groups, "o": case.outputs // case.groups}
    return {"b": case.batch, "g": case.groups, **each, **dict(zip(TAPS, case.kernel, strict=False))}


def _whole(case: Drawn) -> Terms:
    """All axes, in the order in which operands are drawn."""
    rank = len(case.sizes)
    return f"b{PLACES[:rank]}gc", f"{TAPS[:rank]}cgo", f"b{PLACES[:rank]}go"


def arrays(case: Drawn) -> list[Array]:
    """Image, kernel and cotangent as the string reads them."""
    images = _sizes(case) | dict(zip(PLACES, case.sizes, strict=False))
    results = _sizes(case) | dict(zip(PLACES, case.places, strict=False))
    of = zip(operands(case), _whole(case), terms(case), (images, images, results), strict=True)
    return [_placed(array, whole, term, sizes) for array, whole, term, sizes in of]


def _placed(array: Array, whole: str, term: str, sizes: dict[str, int]) -> Array:
    """An array with the axes of a term; those that it has not are of one element."""
    split = array.reshape([sizes[name] for name in whole])
    made = at_a_line(tuple(sizes[name] for name in term), str(array.dtype))
    rest = [name for name in whole if name not in term]
    made[...] = split.transpose([whole.index(n) for n in [*rest, *term]]).reshape(made.shape)
    return made


def _back(array: Array, whole: str, term: str, shape: Shape) -> Array:
    """The array that was placed."""
    return array.transpose([term.index(name) for name in whole if name in term]).reshape(shape)


def compiled(case: Drawn | Product, **options: Any) -> tuple[Any, list[Array]]:
    """What runs a case, and its arrays."""
    extents: dict[str, Any]
    if isinstance(case, Product):
        spec, given, extents = case.string, list(factors(case)), {}
    else:
        spec, given = string(case), arrays(case)
        # Whole strides may leave something over, which is how far results go.
        extents = {} if case.transposed else dict(zip(PLACES, case.places, strict=False))
    shapes = [array.shape for array in given[:2]]
    run = cc.Contraction(spec).compile(*shapes, dtype=case.dtype, **extents, **options)
    return run, given


def drawn(case: Drawn, direction: str, **options: Any) -> Prepared:
    """Compile a layer that was drawn."""
    call = _call(*compiled(case, **options), direction)
    n = OPERANDS.get(direction, 2)
    shape = (case.input_shape, case.weight_shape, case.output_shape)[n]
    whole, term = _whole(case)[n], terms(case)[n]
    return Prepared(call, lambda found: _back(found, whole, term, shape))


def product(case: Product, direction: str, **options: Any) -> Prepared:
    """Compile a product."""
    return Prepared(_call(*compiled(case, **options), direction), lambda found: found)


def _call(run: Any, given: list[Array], direction: str) -> Callable[[], Array]:
    x, w, g = given
    if direction == FORWARD:
        return lambda: run(x, w)
    return lambda: run.vjp(OPERANDS[direction], g, x, w)


def plan(case: Drawn | Product, direction: str, **options: Any) -> Any:
    """What is planned for a case."""
    run, _ = compiled(case, **options)
    return run.plan if direction == FORWARD else run.vjp_plan(OPERANDS[direction])
