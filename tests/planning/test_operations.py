"""What a plan counts, counted by others; how it grows; and that it is the same in every process.

A plan's JSON is carried out here by loops over numbers that count what is done to them.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from itertools import pairwise, product
from typing import Any

import numpy as np
import opt_einsum
import pytest
from allocations import peak_beyond_result
from hypothesis import given
from hypothesis import strategies as st
from oracle import Affine, evaluate, read_spec

import contractconv as cc

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Kind = Callable[[int], tuple[str, list[Shape]]]


class Counter:
    """Multiplications and additions of the numbers that it hands out."""

    def __init__(self) -> None:
        self.count = 0

    def numbers(self, array: Array) -> Array:
        """Integers of an array, as numbers whose operations are counted."""
        found = np.empty(array.shape, object)
        for place in np.ndindex(array.shape):
            found[place] = Counted(int(array[place]), self)
        return found


class Counted:
    """An integer that says what is done to it."""

    def __init__(self, value: int, counter: Counter) -> None:
        self.value = value
        self.counter = counter

    def __mul__(self, other: Counted) -> Counted:
        self.counter.count += 1
        return Counted(self.value * other.value, self.counter)

    def __add__(self, other: Counted) -> Counted:
        self.counter.count += 1
        return Counted(self.value + other.value, self.counter)


def carried_out(step: str, operands: list[Array], extents: dict[str, int], shape: Shape) -> Array:
    """One step by a loop over all points; elements that lie outside do not exist."""
    spec = read_spec(step)
    terms = [[axis.resolve(extents) for axis in term] for term in (*spec.inputs, spec.output)]
    out = np.empty(shape, object)
    arrays = (*operands, out)
    for values in product(*(range(extents[name]) for name in spec.indices)):
        point = dict(zip(spec.indices, values, strict=True))
        places = [tuple(at(axis, point) for axis in term) for term in terms]
        if not all(map(lies_inside, places, arrays)):
            continue
        *reads, target = (tuple(map(int, place)) for place in places)
        factors = (array[place] for array, place in zip(operands, reads, strict=True))
        value = reduce(operator.mul, factors)
        out[target] = value if out[target] is None else out[target] + value
    return out


def at(axis: Affine, point: dict[str, int]) -> Fraction:
    return sum((k * point[name] for name, k in axis.coefficients), axis.offset)


def lies_inside(place: tuple[Fraction, ...], array: Array) -> bool:
    """Whether there is such an element; where a stride is a fraction, none lies between two."""
    return all(
        p.denominator == 1 and 0 <= p < size for p, size in zip(place, array.shape, strict=True)
    )


def run(plan: dict[str, Any], arrays: list[Array]) -> tuple[Array, int]:
    """What a plan's JSON alone says is computed, and how many operations that takes."""
    counter = Counter()
    left = [counter.numbers(array) for array in arrays]
    for step in plan["steps"]:
        taken = [left[n] for n in step["operands"]]
        left = [array for n, array in enumerate(left) if n not in step["operands"]]
        shape = tuple(step["result_shape"])
        left.append(carried_out(step["contraction"], taken, plan["extents"], shape))
    (result,) = left
    values = [0 if number is None else number.value for number in result.flat]
    return np.array(values).reshape(result.shape), counter.count


INSIDE: dict[str, list[Shape]] = {
    "a b, b c -> a c": [(3, 4), (4, 2)],
    "a b, b c, c d, d e -> a e": [(2, 5), (5, 3), (3, 4), (4, 2)],
    "a b, b c, c a ->": [(2, 5), (5, 3), (3, 2)],
    "z a b, z b c, z c -> z a": [(2, 3, 4), (2, 4, 2), (2, 2)],
    "a, b, a b -> a b": [(3,), (4,), (3, 4)],
    "b (2*i+k) c, k c o -> b i o": [(2, 9, 3), (3, 3, 2)],
    "(i+k) (j+l), k r, l r -> i j r": [(6, 7), (3, 2), (2, 2)],
    "a (i+k), k b, b c, c -> a i": [(2, 6), (3, 2), (2, 4), (4,)],
}
PADDED: dict[str, list[Shape]] = {
    "b (i+k-1) c, k c o -> b i o": [(2, 5, 2), (3, 2, 2)],
    "(2*i+k-2) (j+2*l-1), k l, r -> i j r": [(5, 4), (3, 2), (2,)],
    "b i o, k c o -> b (2*i+k) c": [(1, 3, 2), (3, 2, 2)],
}


def planned(spec: str, shapes: list[Shape]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cc.Contraction(spec).plan(*shapes).to_json())
    return found


def integers(shapes: list[Shape]) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.integers(-4, 5, shape) for shape in shapes]


def summed(plan: dict[str, Any], arrays: list[Array]) -> Array:
    return evaluate(plan["contraction"], arrays, plan["extents"], plan["result_shape"])


def begun(step: dict[str, Any]) -> int:
    """Sums that are begun: a plan counts an addition for the first product of each, too."""
    spec = read_spec(step["contraction"])
    kept = {name for axis in spec.output for name in axis.names}
    return math.prod(step["result_shape"]) if set(spec.indices) - kept else 0


@pytest.mark.parametrize("spec", INSIDE)
def test_a_plan_counts_what_its_steps_do(spec: str) -> None:
    plan = planned(spec, INSIDE[spec])
    arrays = integers(INSIDE[spec])
    result, count = run(plan, arrays)
    assert (result == summed(plan, arrays)).all()
    assert plan["operations"] == count + sum(map(begun, plan["steps"]))


@pytest.mark.parametrize("spec", PADDED)
def test_what_lies_outside_is_counted_but_not_done(spec: str) -> None:
    plan = planned(spec, PADDED[spec])
    arrays = integers(PADDED[spec])
    result, count = run(plan, arrays)
    assert (result == summed(plan, arrays)).all()
    assert count < plan["operations"] < 4 * count


LETTERS = "abcdef"


@st.composite
def networks(draw: st.DrawFn) -> tuple[str, list[Shape]]:
    """Plain contractions of two to five operands, without an index that one operand has twice."""
    sizes = {name: draw(st.integers(1, 6)) for name in LETTERS}
    letters = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4, unique=True)
    terms = draw(st.lists(letters, min_size=2, max_size=5))
    there = sorted({name for term in terms for name in term})
    output = draw(st.lists(st.sampled_from(there), max_size=3, unique=True))
    text = ",".join(map("".join, terms)) + "->" + "".join(output)
    return text, [tuple(sizes[name] for name in term) for term in terms]


@given(networks())
def test_any_network_counts_what_its_steps_do(network: tuple[str, list[Shape]]) -> None:
    spec, shapes = network
    plan = planned(spec, shapes)
    arrays = integers(shapes)
    result, count = run(plan, arrays)
    assert (result == np.einsum(spec, *arrays)).all()
    assert plan["operations"] == count + sum(map(begun, plan["steps"]))


# --- how it grows ----------------------------------------------------------------------------


def slope(kind: Kind, measure: Callable[[str, list[Shape]], float], few: int, many: int) -> float:
    """How a measure grows with a size, between two sizes, on logarithmic scales."""
    less, more = (measure(*kind(size)) for size in (few, many))
    return math.log(more / less) / math.log(many / few)


def operations(spec: str, shapes: list[Shape]) -> float:
    return float(planned(spec, shapes)["operations"])


def beyond_result(spec: str, shapes: list[Shape]) -> float:
    """Bytes that a second call takes beside its result, and more than none."""
    arrays = [np.ones(shape) for shape in shapes]
    compiled = cc.Contraction(spec).compile(*shapes, dtype="float64")
    compiled(*arrays)
    return float(peak_beyond_result(lambda: compiled(*arrays)) + (1 << 16))


CONV = "b (i+k-1) (j+l-1) c, k l c o -> b i j o"
GROWING: dict[str, tuple[Kind, float]] = {
    "matmul, all three": (lambda n: ("i k, k j -> i j", [(n, n)] * 2), 3),
    "chain, all": (lambda n: ("a b, b c, c d -> a d", [(n, n)] * 3), 3),
    "chain times a vector": (lambda n: ("a b, b c, c d, d -> a", [(n, n)] * 3 + [(n,)]), 2),
    "trace of a product": (lambda n: ("a b, b a ->", [(n, n)] * 2), 2),
    "outer product of three": (lambda n: ("a, b, c -> a b c", [(n,)] * 3), 3),
    "batch": (lambda n: (CONV, [(n, 8, 8, 4), (3, 3, 4, 4)]), 1),
    "height": (lambda n: (CONV, [(1, n, 8, 4), (3, 3, 4, 4)]), 1),
    "kernel": (lambda n: (CONV, [(1, n + 7, 8, 4), (n, 3, 4, 4)]), 1),
    "channels, both": (lambda n: (CONV, [(1, 8, 8, n), (3, 3, n, n)]), 2),
    "separable kernel": (
        lambda n: ("(i+k) (j+l), k, l -> i j", [(n + 2, n + 2), (3,), (3,)]),
        2,
    ),
    "rank": (lambda n: ("a r, b r, c r -> a b c", [(20, n)] * 3), 1),
    # Beyond a certain rank the kernel is made first, whose cost hardly counts.
    "rank of a factorised kernel": (
        lambda n: (
            "b (i+k) (j+l) c, k r, l r, c r, o r -> b i j o",
            [(1, 64, 64, 8), (3, n), (3, n), (8, n), (8, n)],
        ),
        0,
    ),
}


@pytest.mark.parametrize("name", GROWING)
def test_operations_grow_as_they_must(name: str) -> None:
    kind, expected = GROWING[name]
    assert slope(kind, operations, 20, 160) == pytest.approx(expected, abs=0.15)


def test_a_chain_of_matrices_is_linear_in_its_length() -> None:
    def chain(count: int) -> tuple[str, list[Shape]]:
        letters = [opt_einsum.get_symbol(n) for n in range(count + 1)]
        terms = ",".join(a + b for a, b in pairwise(letters))
        return f"{terms}->{letters[0]}{letters[-1]}", [(6, 6)] * count

    assert slope(chain, operations, 10, 80) < 1.1


@pytest.mark.parametrize("name", ["height", "batch", "matmul, all three", "trace of a product"])
def test_what_a_call_takes_beside_its_result_does_not_grow_faster_than_operands(name: str) -> None:
    """Windows are never written out: that would take nine times the operand and grow with it."""
    kind, _ = GROWING[name]
    sizes = (100, 800) if name in ("height", "batch") else (100, 400)
    assert slope(kind, beyond_result, *sizes) < 1.05


# --- in every process the same -----------------------------------------------------------------

_TOLD = """
import contractconv as cc

SPECS = {specs!r}
for spec, shapes in SPECS.items():
    contraction = cc.Contraction(spec)
    gradient = contraction.grad(0)
    run = contraction.compile(*shapes)
    print(run.plan.to_json(), run.vjp_plan(0).to_json())
    print(contraction.explain(*shapes), gradient, gradient.scatter, gradient.gather)
    for library in ("numpy", "torch", "jax"):
        print(contraction.code(library), gradient.code(library))
"""


def test_what_is_told_is_the_same_in_every_process() -> None:
    script = _TOLD.format(specs=INSIDE | PADDED)
    said = {
        hashlib.sha256(
            subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, "PYTHONHASHSEED": seed, "CONTRACTCONV_KERNELS": "numpy"},
                capture_output=True,
                check=True,
            ).stdout
        ).hexdigest()
        for seed in ("0", "1", "2")
    }
    assert len(said) == 1
