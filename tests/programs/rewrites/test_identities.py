"""Maps that change nothing go, and what would change a bit stays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from symbolic import both, improved

from contractconv.api.tensor import Tensor, applied, tensor
from contractconv.programs.nodes import Cast, Map

X, Y, N = tensor("x", "i"), tensor("y", "i"), tensor("n", "i", "int64")
B = tensor("b", "i", "bool")
ODD = np.array([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan])
ARRAYS = {"x": ODD, "y": ODD[::-1].copy(), "n": np.arange(7) - 3, "b": np.arange(7) % 2 == 0}


def functions(made: Tensor, dtype: str = "float64") -> list[str]:
    nodes = improved([made], ARRAYS, dtype).graph.nodes
    return [
        n.function if isinstance(n, Map) else "cast" for n in nodes if isinstance(n, Map | Cast)
    ]


def where(*given: object) -> Tensor:
    return applied("where", *given)


SHORTER: list[tuple[Callable[[], Tensor], list[str]]] = [
    (lambda: X * 1 + Y, ["add"]),
    (lambda: 1 * X + Y, ["add"]),
    (lambda: X * -1, ["negative"]),
    (lambda: applied("negative", -X) * Y, ["multiply"]),
    (lambda: X / 1 * Y, ["multiply"]),
    (lambda: X**1 * Y, ["multiply"]),
    (lambda: (X - 0) * Y, ["multiply"]),
    (lambda: X + (-Y), ["subtract"]),
    (lambda: (-X) + Y, ["subtract"]),
    (lambda: X - (-Y), ["add"]),
    (lambda: (-X) * (-Y), ["multiply"]),
    (lambda: where(True, X, Y) * Y, ["multiply"]),
    (lambda: where(False, X, Y) * X, ["multiply"]),
    (lambda: where(X < Y, X, X) * Y, ["multiply"]),
    (lambda: where(~(X < Y), X, Y), ["less", "where"]),
    (lambda: where(~~B, X, Y), ["where"]),
    (lambda: (N + 0) * N, ["multiply"]),
    (lambda: X * (3.0 - 2), []),
    (lambda: applied("stop_gradient", X) * Y, ["multiply"]),
    (lambda: where(X < Y, 1, 0).cast("float64") * X, ["less", "where", "multiply"]),
    (lambda: N.cast("float64").cast("float32") * 1.5, ["cast", "multiply"]),
]


@pytest.mark.parametrize("case", range(len(SHORTER)))
def test_what_changes_nothing_goes(case: int) -> None:
    made, wanted = SHORTER[case][0](), SHORTER[case][1]
    if wanted:
        assert functions(made)[-len(wanted) :] == wanted
        assert len(functions(made)) <= len(wanted) + 1
    ((plain, new),) = both([made], ARRAYS)
    assert plain.dtype == new.dtype
    np.testing.assert_array_equal(plain, new)
    number = ~np.isnan(plain)
    np.testing.assert_array_equal(np.signbit(plain[number]), np.signbit(new[number]))


STAYS: list[tuple[Callable[[], Tensor], str]] = [
    (lambda: X * 0, "multiply"),
    (lambda: X + 0, "add"),
    (lambda: X - -0.0, "subtract"),
    (lambda: -(X - Y), "negative"),
    (lambda: X - X, "subtract"),
    (lambda: X / X, "divide"),
    (lambda: X.cast("float32").cast("float64") * 2, "cast"),
    (lambda: X.cast("int64").cast("float64") * 2, "cast"),
    (lambda: N.cast("int8").cast("int64") * 2, "cast"),
    (lambda: N.cast("float32").cast("int64") * 2, "cast"),
    (lambda: N.cast("uint64").cast("float64") * 2, "cast"),
]


@pytest.mark.parametrize("case", range(len(STAYS)))
def test_what_may_change_a_bit_stays(case: int) -> None:
    made, kept = STAYS[case][0](), STAYS[case][1]
    assert kept in functions(made)


def test_axes_that_an_argument_lacks_are_kept() -> None:
    wide = where(True, X, tensor("z", "i j"))
    ((plain, new),) = both([wide + 0.5], ARRAYS | {"z": np.ones((7, 3))})
    assert plain.shape == new.shape == (7, 3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_dtypes_stay(dtype: str) -> None:
    arrays = {"x": np.arange(4.0), "y": np.ones(4), "n": np.arange(4)}
    outputs = [X * 1 + Y, X.cast("complex128") * 1, N * 1 + 0, X / 1 - -Y, N / 1]
    for plain, new in both(outputs, arrays, dtype):
        assert plain.dtype == new.dtype
        np.testing.assert_array_equal(plain, new)
