"""Formulas for sympy: their symbols are public, and every array keeps its rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sympy

import contractconv as cc
from contractconv.api.representations import Shown

SPECS = [
    "b (2*i+k-1) c, k c o -> b i o",
    "b i c, k c o -> b (2*i+k) o",
    "b h w c, (h w c) o -> b o",
    "(h w) c -> (c h) w",
    "i i -> i",
    ", i -> i",
    "N_i i, i -> N_i",
]


def shown_by(spec: str) -> Iterator[Shown]:
    contraction = cc.Contraction(spec)
    yield contraction
    for n in range(spec.count(",") + 1):
        yield contraction.grad(n)
        yield from contraction.grad(n).steps
        yield contraction.jvp(n)
        yield contraction.jacobian(n)
        yield contraction.curvature(n).product(root=True)


@pytest.mark.parametrize("spec", SPECS)
def test_every_symbol_of_a_formula_is_found_by_its_name(spec: str) -> None:
    for thing in shown_by(spec):
        symbols = thing.symbols
        assert all(symbol.name == name for name, symbol in symbols.items())
        labels = {base.label for base in thing.sympy.atoms(sympy.IndexedBase)}
        assert {s.name for s in thing.sympy.atoms(sympy.Symbol) - labels} <= symbols.keys()
        for name, symbol in symbols.items():
            if symbol in thing.sympy.free_symbols:
                assert symbol not in thing.sympy.subs(symbol, 5).free_symbols, name


def test_numbers_can_be_put_in() -> None:
    derivation = cc.Contraction("(2*i), i -> i").grad(0)
    symbols = derivation.symbols
    assert {"h", "N_i"} <= symbols.keys()
    numbers = {symbols["N_i"]: 5, symbols["h"]: 8}
    g, w = sympy.IndexedBase("G"), sympy.IndexedBase("W")
    assert derivation.sympy.subs(numbers) == g[4] * w[4]
    assert derivation.sympy.subs(numbers | {symbols["N_i"]: 4}) == 0


def test_parameters_and_scalars_are_symbols_too() -> None:
    symbols = cc.Contraction("(s*i-p), -> i", parameters="s p").symbols
    assert {"s", "p", "i", "W", "N_h"} <= symbols.keys()
    assert "X" not in symbols


@pytest.mark.parametrize("spec", SPECS)
def test_every_array_has_as_many_indices_as_axes(spec: str) -> None:
    ranks = {name: len(term.split()) for name, term in _terms(spec)}
    for thing in shown_by(spec):
        for element in thing.sympy.atoms(sympy.Indexed):
            name = element.base.label.name
            if name in ranks:
                assert len(element.indices) == ranks[name], f"{element} in {thing.sympy}"


def _terms(spec: str) -> Iterator[tuple[str, str]]:
    """Names of arrays with their terms, each composed or computed axis as one word."""
    inputs, output = spec.split("->")
    terms = [_joined(term) for term in inputs.split(",")]
    names = ["X", "W"][: len(terms)]
    yield from zip(names, terms, strict=True)
    yield "G", _joined(output)


def _joined(term: str) -> str:
    depth, text = 0, ""
    for letter in term:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        text += "_" if letter == " " and depth else letter
    return text


def test_a_composed_axis_is_met_row_by_row() -> None:
    flat = cc.Contraction("b h w c, (c h w) o -> b o")
    element = next(e for e in flat.sympy.atoms(sympy.Indexed) if e.base.label.name == "W")
    h, w, c, rows, columns = (flat.symbols[name] for name in ("h", "w", "c", "N_h", "N_w"))
    assert sympy.expand(element.indices[0] - (c * rows * columns + h * columns + w)) == 0


def test_a_composed_formula_can_be_evaluated_on_the_array_itself() -> None:
    flat = cc.Contraction("h w, (w h) -> ")
    x, w = np.arange(6).reshape(2, 3), np.arange(6)[::-1]
    numbers: dict[Any, Any] = {flat.symbols["N_h"]: 2, flat.symbols["N_w"]: 3}
    total = flat.sympy.subs(numbers).doit()
    values = {e: {"X": x, "W": w}[e.base.label.name][tuple(map(int, e.indices))]
              for e in total.atoms(sympy.Indexed)}  # fmt: skip
    assert total.subs(values) == flat(x, w)
