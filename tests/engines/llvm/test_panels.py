"""Results of every width: panels of equal width, phases in turns, parts with few rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.engines.llvm.kernels.product_loops import even_panels
from contractconv.engines.llvm.program import Call, Calls, Program

LANES = 16
WIDTHS = sorted({LANES * n + more for n in range(1, 11) for more in (-1, 0, 3)})


def test_panels_hold_every_vector_and_differ_by_one() -> None:
    for most in (1, 2, 3, 4):
        for vectors in range(1, 40):
            panels = even_panels(vectors, most)
            assert sum(panels) == vectors
            assert len(panels) == -(-vectors // most)
            assert max(panels) - min(panels) <= 1
            assert [*panels] == sorted(panels, reverse=True)


@pytest.mark.parametrize("algorithm", ["direct", "toom-cook"])
@pytest.mark.parametrize("width", WIDTHS)
def test_results_of_every_width(width: int, algorithm: Any) -> None:
    """Forward, and where the panels are those of an operand that is differentiated by."""
    draw = np.random.default_rng(width)
    layer = cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o")
    shapes = (2, 7, 6, 5), (3, 3, 5, width)
    run = layer.compile(*shapes, dtype="float32", algorithm=algorithm)
    x, w = (draw.integers(-2, 3, shape).astype("float32") for shape in shapes)
    g = draw.integers(-2, 3, (2, 7, 6, width)).astype("float32")
    made = [run(x, w), run.vjp(0, g, x, w), run.vjp(1, g, x, w)]
    exact = [a.astype("int64") for a in (x, w, g)]
    wanted = [layer(*exact[:2]), layer.grad(0)(exact[2], *exact[:2]),
              layer.grad(1)(exact[2], *exact[:2])]  # fmt: skip
    for found, right in zip(made, wanted, strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=2e-3)
    biased = run(x, w, bias=np.arange(width, dtype="float32"), activation="relu")
    right = np.maximum(wanted[0] + np.arange(width), 0)
    np.testing.assert_allclose(biased, right, rtol=0, atol=2e-3)


@pytest.mark.parametrize("stride", [2, 3, 4, 5])
@pytest.mark.parametrize("channels", ["first", "last"])
def test_phases_of_every_stride(channels: str, stride: int) -> None:
    """They are written in turns; by numbers that lie apart, where channels come first."""
    row, column, side = f"({stride}*i+k-1)", f"({stride}*j+l-1)", 5 * stride + 2
    if channels == "first":
        spec, shape = f"b c {row} {column}, c k l -> b c i j", (3, 20, side, side)
    else:
        spec, shape = f"b {row} {column} c, c k l -> b i j c", (3, side, side, 20)
    layer, draw, shapes = cc.Contraction(spec), np.random.default_rng(stride), (shape, (20, 4, 3))
    run = layer.compile(*shapes, dtype="float32", algorithm="direct")
    x, w = (draw.integers(-2, 3, shape).astype("float32") for shape in shapes)
    np.testing.assert_array_equal(run(x, w), layer(x.astype("int64"), w.astype("int64")))
    g = draw.integers(-2, 3, layer.output_shape(*shapes)).astype("float32")
    right = layer.grad(0)(*(a.astype("int64") for a in (g, x, w)))
    np.testing.assert_array_equal(run.vjp(0, g, x, w), right)


def test_small_images_that_are_mostly_padding() -> None:
    """Every place is a part of its own there, with one row for each image."""
    layer = cc.Contraction("b (i+k-3) (j+l-3) c, k l c o -> b i j o")
    shapes = (32, 4, 4, 24), (7, 7, 24, 40)
    run = layer.compile(*shapes, dtype="float32", algorithm="direct")
    draw = np.random.default_rng(0)
    x, w = (draw.integers(-2, 3, shape).astype("float32") for shape in shapes)
    right = layer(x.astype("int64"), w.astype("int64"))
    np.testing.assert_array_equal(run(x, w), right)


def test_pieces_of_programs_take_turns() -> None:
    def program(name: str, count: int) -> Program:
        pieces = [Calls() for _ in range(count)]
        for n, calls in enumerate(pieces):
            calls.listed.append(Call(lambda _: None, {0: (name, n)}))
        return Program([pieces], shared=64)

    (stage,) = Program.joined([program("few", 2), program("many", 4)]).stages
    order = [calls.listed[0].arguments[0] for calls in stage]
    assert order == [("few", 0), ("many", 0), ("many", 1), ("few", 1), ("many", 2), ("many", 3)]
