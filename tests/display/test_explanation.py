"""Explanations: what is printed, how wide it is, what the numbers are, and what programs get."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import assert_closed, assert_self_contained

import contractconv as cc
from contractconv import Reduction
from contractconv.display.explanation import Explanation
from contractconv.notation.spec import REDUCTIONS
from contractconv.planning.report import summary

EXAMPLES = Path(__file__).parents[2] / "examples"
WIDTH = 100

LONG = (
    "batch (2*row-tap_row+1) (2*column-tap_column+1) channel, tap_row tap_column channel output"
    " -> batch row column output"
)

# spec, reduction, parameters, shapes, extents and values
Row = tuple[str, Reduction, str, list[tuple[int, ...]], dict[str, Any]]
LAYERS: dict[str, Row] = {
    "conv 1-D": ("b (i+k-1) c, k c o -> b i o", "sum", "", [(2, 9, 3), (3, 3, 4)], {}),
    "conv 2-D": (
        "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", "sum", "",
        [(8, 28, 28, 3), (3, 3, 3, 16)], {},
    ),
    "conv 3-D": (
        "b (i+k) (j+l) (m+n) c, k l n c o -> b i j m o", "sum", "",
        [(1, 5, 5, 5, 2), (3, 3, 3, 2, 4)], {},
    ),
    "depthwise": (
        "b (i+k-1) (j+l-1) c, k l c -> b i j c", "sum", "", [(8, 28, 28, 3), (3, 3, 3)], {}
    ),
    "groups": (
        "b (i+k) (j+l) g c, k l g c o -> b i j g o", "sum", "",
        [(8, 10, 10, 2, 3), (3, 3, 2, 3, 4)], {},
    ),
    "transposed": (
        "b i j c, k l c o -> b (2*i+k-1) (2*j+l-1) o", "sum", "", [(2, 5, 5, 3), (3, 3, 3, 4)], {}
    ),
    "max pooling": (
        "b (2*i+k) (2*j+l) c -> b i j c", "max", "", [(8, 28, 28, 3)], {"k": 2, "l": 2}
    ),
    "mean pooling": ("b (2*i+k) c -> b i c", "mean", "", [(8, 28, 3)], {"k": 2}),
    "dense": ("b h w c, h w c o -> b o", "sum", "", [(8, 4, 4, 3), (4, 4, 3, 10)], {}),
    "dense on a composition": (
        "b h w c, (h w c) o -> b o", "sum", "", [(8, 4, 4, 3), (48, 10)], {}
    ),
    "attention": (
        "b h q d, b h k d, b h k v -> b h q v", "sum", "",
        [(2, 4, 5, 8), (2, 4, 6, 8), (2, 4, 6, 8)], {},
    ),
    "symbolic": ("b (s*i+d*k-p) c, k c o -> b i o", "sum", "s d p", [], {}),
    "log-sum-exp": ("b o -> b", "logsumexp", "", [(8, 10)], {}),
    "scalar operand": (", i -> i", "sum", "", [(), (3,)], {}),
    "nothing but scalars": (", ->", "sum", "", [(), ()], {}),
    "no gather": ("(2*i) ->", "sum", "", [(7,)], {"i": 3}),
    "broadcast": ("i -> i r", "sum", "", [(5,)], {"r": 2}),
    "ellipsis": ("... i, i j -> ... j", "sum", "", [(2, 3, 4), (4, 5)], {}),
    "reduced ellipsis": ("... i -> i", "sum", "", [(2, 3, 4)], {}),
    "maximum under an ellipsis": ("... (2*i+k) -> ... i", "max", "", [(3, 2, 8)], {"k": 2}),
    "long names": (LONG, "sum", "", [(2, 9, 9, 2), (3, 3, 2, 4)], {}),
}  # fmt: skip
every_layer = pytest.mark.parametrize("name", LAYERS)
every_sized_layer = pytest.mark.parametrize("name", [name for name in LAYERS if LAYERS[name][3]])


@cache
def contraction_of(name: str) -> cc.Contraction:
    """One of the layers."""
    spec, reduce, parameters, _, _ = LAYERS[name]
    return cc.Contraction(spec, reduce, parameters)


@cache
def explained(name: str) -> Explanation:
    """The explanation of one of the layers."""
    _, _, _, shapes, extents = LAYERS[name]
    return contraction_of(name).explain(*shapes, **extents)


@cache
def unsized() -> Explanation:
    """An explanation without shapes."""
    return cc.Contraction("b (2*i+k-1) c, k c o -> b i o").explain()


# --- word by word -----------------------------------------------------------------------------

STRIDED = """\
(2*i+k), k -> i

  Y[i] = Σ_{k} X[2i+k] · W[k]
  k is not in the result, so it is summed. Each index runs through its extent, 0 ≤ k < N_k; h runs
  along X's axis 0, whose size is N_h. If nothing else is given, N_i = ⌊(N_h−N_k)/2⌋+1.
  Shapes (9,), (3,) make (4,). Each of its 4 elements sums 3 products.

  plan
    (2*i+k), k -> i    [sum]
    extents: i=4, k=3
    result: (4,); 24 operations
    largest intermediate: 0 elements
      1. (2*i+k), k -> i        24  matmul on windows (BLAS)

gradient by X
  scatter   i, k -> (2*i+k)
  gather    ((h-k)/2), k -> h

  dX[h] = Σ_{k} G[(h−k)/2] · W[k]
      where 2 | h−k, 0 ≤ (h−k)/2 < N_i
"""


def test_an_explanation_word_by_word() -> None:
    text = str(cc.Contraction("(2*i+k), k -> i").explain((9,), (3,), wrt=0))
    assert text.startswith(STRIDED)
    rest = text.removeprefix(STRIDED)
    # What is said about each step may be said better one day; what is derived stays.
    formulas = [line.strip() for line in rest.splitlines() if line.startswith(" " * 7)]
    assert formulas == [
        "L = Σ_{i,k} G[i] · X[2i+k] · W[k]",
        "where 0 ≤ 2i+k < N_h",
        "dX[h] = Σ_{i,k} G[i] · W[k] · δ(h, 2i+k)",
        "i, k -> (2*i+k)",
        "dX[h] = Σ_{k} G[(h−k)/2] · W[k]",
        "dX[h] = Σ_{k} G[(h−k)/2] · W[k]",
        "where 2 | h−k",
        "dX[h] = Σ_{k} G[(h−k)/2] · W[k]",
        "where 2 | h−k, 0 ≤ (h−k)/2 < N_i",
        "((h-k)/2), k -> h",
    ]
    names = re.findall(r"^ +\d+\. ([a-z ]+):", rest, re.MULTILINE)
    assert names == [
        "sum", "differentiate", "read off", "eliminate", "congruence", "range", "read off"
    ]  # fmt: skip
    assert "by G   Y with V in place of X (the layer itself)" in rest
    assert "by W   dW with V in place of X" in rest
    assert rest.endswith(
        """
  plan of dX
    i, k -> (2*i+k)    [sum]
    extents: i=4, k=3
    result: (9,); 24 operations
    largest intermediate: 0 elements
      1. i, k -> (2*i+k)        24  matmul on windows (BLAS) and multiply (ufunc), in 2 phases"""
    )


def test_what_a_shell_and_a_notebook_show() -> None:
    explanation = cc.Contraction("i j, j -> i").explain(wrt=1)
    assert repr(explanation) == "<explanation of 'i j, j -> i'>"
    said: list[str] = []
    printer = type("Printer", (), {"text": lambda _, text: said.append(text), "stack": [1]})()
    explanation._repr_pretty_(printer, cycle=False)
    explanation._repr_pretty_(printer, cycle=True)
    assert said == [str(explanation), repr(explanation)]
    assert {"math", "svg", "ol"} <= set(assert_closed(explanation._repr_html_()))


# --- any layer --------------------------------------------------------------------------------


@every_layer
def test_every_line_fits(name: str) -> None:
    lines = str(explained(name)).splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    assert [line for line in lines if line != line.rstrip()] == []


@every_layer
def test_long_formulas_are_broken_between_factors(name: str) -> None:
    text = str(explained(name))
    for formula in formulas_of(explained(name)):
        body, _, _ = formula.partition("   where ")
        pattern = r"\s+".join(map(re.escape, body.split(" ")))
        found = re.search(pattern, text)
        assert found is not None, f"{body}\nis not in\n{text}"
        for line in found.group().splitlines():
            assert line.count("[") == line.count("]"), found.group()
            assert line.count("(") == line.count(")"), found.group()


@every_layer
def test_everything_derived_is_printed(name: str) -> None:
    explanation = explained(name)
    printed = " ".join(str(explanation).split())
    for n, gradient in enumerate(explanation.as_dict()["gradients"]):
        derivation = contraction_of(name).grad(n)
        assert f"gradient by {gradient['name']}" in printed
        form = "string" if derivation.gather == derivation.scatter else "scatter"
        assert f"{form} {derivation.scatter}" in printed
        assert (f"gather {derivation.gather}" in printed) or (
            derivation.gather == derivation.scatter
        )
        for step in gradient["steps"]:
            assert f"{step['name']}: {step['sentence']}" in printed
        for second in gradient["again"]:
            assert second["is"] in printed
    conditions = [f.partition("   where ")[2] for f in formulas_of(explanation)]
    assert all(said in printed for said in conditions)


@every_layer
def test_pages_are_closed_and_self_contained(name: str, tmp_path: Path) -> None:
    explanation = explained(name)
    page = explanation.html()
    seen = assert_closed(page)
    assert {"html", "title", "math", "svg", "section"} <= set(seen)
    assert seen.count("section") == len(explanation.gradients)
    assert_self_contained(page)
    explanation.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


@pytest.mark.parametrize("wrong", ["<p><b>x</p></b>", "<p>", "</p>", "<div><p></div>"])
def test_html_that_is_not_closed_is_found(wrong: str) -> None:
    with pytest.raises(AssertionError):
        assert_closed(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        '<img src="data:,">',
        '<a href="page.html">',
        '<link rel="icon">',
        "<style>@import 'a.css';</style>",
        "<style>p { background: url(a.png) }</style>",
        "<p>see https://example.org</p>",
        "<script>1</script>",
        '<p onclick="1">',
        '<math xmlns="http://www.w3.org/1999/xhtml">',
    ],
)
def test_html_that_loads_or_runs_something_is_found(wrong: str) -> None:
    with pytest.raises(AssertionError):
        assert_self_contained(wrong)


def formulas_of(explanation: Explanation) -> Iterator[str]:
    """The text of every formula of an explanation."""
    found = explanation.as_dict()
    yield found["formula"]["text"]
    for gradient in found["gradients"]:
        yield gradient["formula"]["text"]
        yield from (step["text"] for step in gradient["steps"])


# --- numbers ----------------------------------------------------------------------------------


@every_sized_layer
def test_with_shapes_there_are_plans_and_counts(name: str) -> None:
    _, reduce, _, shapes, extents = LAYERS[name]
    explanation, contraction = explained(name), contraction_of(name)
    text, sizes = str(explanation), contraction.extents(*shapes, **extents)
    result = contraction.output_shape(*shapes, **extents)
    plan = contraction.plan(*shapes, **extents)
    assert f"Shapes {', '.join(map(str, shapes))} make {result}." in " ".join(text.split())
    assert text.count("  plan\n") == 1
    assert text.count("  plan of d") == len(shapes)
    # A line that is too long is broken, so blanks are not compared.
    assert explanation.plan is not None
    assert " ".join(summary(explanation.plan).split()) in " ".join(text.split())
    found = explanation.as_dict()
    assert found["plan"]["extents"] == sizes
    assert found["plan"]["result_shape"] == list(result)
    assert found["plan"]["operations"] == plan.flops
    for shape, gradient in zip(shapes, found["gradients"], strict=True):
        assert gradient["plan"]["result_shape"] == list(shape)
        assert gradient["plan"]["operations"] == sum(
            step["operations"] for step in gradient["plan"]["steps"]
        )
    reads_only = "(" not in str(contraction).partition("->")[2]
    if reduce == "sum" and reads_only and contraction.reduced:
        assert said_products(text) == products_of_one_element(name)


def said_products(text: str) -> int | None:
    """How many products each element sums, as an explanation says."""
    joined = " ".join(text.split())
    found = re.search(r"elements? sums (?:[\d·]+ = )?([\d,]+) (?:products|numbers)", joined)
    return None if found is None else int(found.group(1).replace(",", ""))


def products_of_one_element(name: str) -> int:
    """The same, counted on an element that is far from any boundary."""
    _, _, _, shapes, extents = LAYERS[name]
    ones = (np.ones(shape, int) for shape in shapes)
    return int(contraction_of(name)(*ones, **extents).max())


def test_the_count_of_products_is_the_number_of_points() -> None:
    spec, shapes = "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", [(2, 9, 9, 3), (3, 3, 3, 4)]
    text = " ".join(str(cc.Contraction(spec).explain(*shapes, wrt=1)).split())
    ones = cc.contract(spec, *(np.ones(shape, int) for shape in shapes))
    assert f"Each of its {ones.size:,} elements sums 3·3·3 = {ones.max()} products." in text


def test_without_shapes_there_are_neither_plans_nor_counts() -> None:
    text = str(unsized())
    assert "plan" not in text
    assert "Shapes" not in text
    found = unsized().as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["plan"] is None
    assert [gradient["plan"] for gradient in found["gradients"]] == [None, None]


def test_one_element_is_not_many() -> None:
    text = " ".join(str(cc.Contraction("i, i ->").explain((3,), (3,), wrt=0)).split())
    assert "1 elements" not in text


def test_a_window_that_neither_overlaps_nor_leaves_a_gap_is_a_composition() -> None:
    text = str(explained("max pooling"))
    assert "  here      b i j c, b i j c k l -> b (i k) (j l) c\n" in text
    assert explained("conv 2-D").as_dict()["gradients"][0]["simplified"] is None


WRONG: list[tuple[list[Any], dict[str, Any], type[cc.ContractionError]]] = [
    ([(2, 3)], {}, cc.OperandError),
    ([(2, 3), (3,), (1,)], {}, cc.OperandError),
    ([(2, 3), (4,)], {}, cc.ShapeError),
    ([(2, 3, 1), (3,)], {}, cc.ShapeError),
    ([(2, -3), (3,)], {}, cc.ShapeError),
    ([(2.5, 3), (3,)], {}, cc.ShapeError),
    (["ab", (3,)], {}, cc.ShapeError),
    ([3, (3,)], {}, cc.ShapeError),
    ([(2, 3), (3,)], {"i": 5}, cc.ShapeError),
    ([(2, 3), (3,)], {"z": 5}, cc.ShapeError),
    ([(2, 3), (3,)], {"i": "a"}, cc.ParameterError),
    ([(2, 3), (3,)], {"i": 2.0}, cc.ParameterError),
    ([], {"z": 5}, cc.ShapeError),
    ([], {"i": "a"}, cc.ParameterError),
    ([], {"wrt": 2}, cc.OperandError),
    ([], {"wrt": -1}, cc.OperandError),
    ([], {"wrt": True}, cc.OperandError),
    ([], {"wrt": "0"}, cc.OperandError),
    ([], {"wrt": 1.0}, cc.OperandError),
]


@pytest.mark.parametrize(("shapes", "keywords", "kind"), WRONG, ids=repr)
def test_what_is_wrong_is_said(
    shapes: list[Any], keywords: dict[str, Any], kind: type[cc.ContractionError]
) -> None:
    with pytest.raises(kind):
        cc.Contraction("i j, j -> i").explain(*shapes, **keywords)


def test_a_parameter_without_a_number_is_asked_for_once_shapes_are_given() -> None:
    conv = cc.Contraction("(s*i+k), k -> i", parameters="s")
    assert "(s*i+k), k -> i" in str(conv.explain())
    with pytest.raises(cc.ParameterError, match="parameter s"):
        conv.explain((9,), (3,))


# --- for programs -----------------------------------------------------------------------------

KEYS = {
    "spec", "reduce", "parameters", "operands", "indices", "reduced", "formula", "shapes", "plan",
    "gradients", "fast",
}  # fmt: skip
GRADIENT_KEYS = {
    "operand", "name", "scatter", "gather", "simplified", "formula", "steps", "again", "verified",
    "plan",
}  # fmt: skip
STEP_KEYS = {"name", "sentence", "sympy", "text", "latex", "mathml"}
PLAN_KEYS = {"extents", "result_shape", "operations", "largest_intermediate", "steps"}


@every_layer
def test_the_dictionary_is_fit_for_json_and_complete(name: str) -> None:
    found = explained(name).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found.keys() >= KEYS
    plans = [found["plan"]]
    for gradient in found["gradients"]:
        assert gradient.keys() >= GRADIENT_KEYS
        assert all(step.keys() >= STEP_KEYS for step in gradient["steps"])
        assert {"text", "latex", "mathml", "sympy"} <= gradient["formula"].keys()
        assert gradient["verified"]
        assert all(check["numbers"] > 0 for check in gradient["verified"])
        plans.append(gradient["plan"])
    assert all((plan is not None) == bool(LAYERS[name][3]) for plan in plans)
    assert all(plan.keys() >= PLAN_KEYS for plan in plans if plan is not None)


@every_layer
def test_the_strings_of_the_dictionary_mean_what_they_came_from(name: str) -> None:
    contraction, found = contraction_of(name), explained(name).as_dict()
    again = cc.Contraction(found["spec"], found["reduce"], found["parameters"])
    assert again == contraction
    assert found["indices"] == list(contraction.indices)
    assert found["reduced"] == list(contraction.reduced)
    for n, gradient in enumerate(found["gradients"]):
        derivation = contraction.grad(n)
        assert gradient["operand"] == n
        assert gradient["name"] == found["operands"][n]
        for form in ("scatter", "gather"):
            read = cc.Contraction(gradient[form], parameters=found["parameters"])
            assert str(read) == str(getattr(derivation, form))
        for second in gradient["again"]:
            for string in second["strings"]:
                cc.Contraction(string, parameters=found["parameters"])
        assert gradient["formula"]["text"] == derivation.formula
        assert gradient["formula"]["sympy"] == str(derivation.sympy)
        assert [s["text"] for s in gradient["steps"]] == [s.formula for s in derivation.steps]
        assert [s["sympy"] for s in gradient["steps"]] == [str(s.sympy) for s in derivation.steps]


@every_sized_layer
def test_the_strings_of_plans_can_be_read(name: str) -> None:
    found = explained(name).as_dict()
    plans = [found["plan"], *(gradient["plan"] for gradient in found["gradients"])]
    strings = [step["contraction"] for plan in plans for step in plan["steps"]]
    strings += [g["simplified"] for g in found["gradients"] if g["simplified"] is not None]
    assert strings
    for string in strings:
        cc.Contraction(string)


def test_a_plan_writes_strings_as_the_notation_does() -> None:
    found = explained("scalar operand").as_dict()
    plans = [found["plan"], *(gradient["plan"] for gradient in found["gradients"])]
    strings = [step["contraction"] for plan in plans for step in plan["steps"]]
    assert strings == [str(cc.Contraction(string)) for string in strings]


# --- one gradient, or all ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["attention", "conv 1-D", "symbolic"])
def test_each_gradient_is_explained_alone_as_among_the_others(name: str) -> None:
    _, _, _, shapes, extents = LAYERS[name]
    whole, text = explained(name).as_dict(), str(explained(name))
    for n, gradient in enumerate(whole["gradients"]):
        alone = contraction_of(name).explain(*shapes, wrt=n, **extents)
        assert alone.as_dict()["gradients"] == [gradient]
        head, said, rest = str(alone).partition("gradient by ")
        assert text.startswith(head)
        assert said + rest in text
        assert str(alone).count("gradient by ") == 1


# --- in words ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reduce", "said"),
    [
        ("i j -> i", "sum", "j is not in the result, so it is summed."),
        ("i j k -> i", "sum", "j and k are not in the result, so they are summed."),
        ("i j k l -> i", "mean", "j, k and l are not in the result, so they are averaged."),
        ("... i -> i", "sum", "… is not in the result, so it is summed."),
    ],
)
def test_what_is_reduced_is_said_in_words(spec: str, reduce: Reduction, said: str) -> None:
    assert said in str(cc.Contraction(spec, reduce).explain(wrt=0))


def test_nothing_is_said_of_reducing_where_nothing_is_reduced() -> None:
    assert "not in the result" not in str(cc.Contraction("i, j -> i j").explain())


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_the_extra_operand_of_a_reduction_is_explained(reduce: Reduction) -> None:
    text = " ".join(str(cc.Contraction("b i -> b", reduce).explain()).split())
    meaning = {
        "max": "S is one at the first maximum, else zero",
        "min": "S is one at the first minimum, else zero",
        "prod": "P is the product of all other points",
        "logsumexp": "P is the softmax over the reduced points",
        "mean": "1/N_i is one over the number of points",
        "sum": "dX = ∂L/∂X is the gradient of a loss L; G = ∂L/∂Y is the cotangent",
    }[reduce]
    assert meaning in text


def test_sizes_are_explained_where_they_occur_and_only_there() -> None:
    assert "whose size is N_h" in str(cc.Contraction("(2*i+k), k -> i").explain())
    product = str(cc.Contraction("i j, j -> i").explain())
    assert "Each index runs through its extent, 0 ≤ j < N_j." in product
    assert "whose size" not in product
    assert "N_i =" not in product


def test_axes_of_an_ellipsis_that_are_summed_too_are_spoken_of() -> None:
    said = "Axes in the place of … that W lacks, or has with size 1, are summed as well."
    dense = cc.Contraction("... i j, ... j -> ... i")
    assert said in as_one_line(dense.explain(wrt=1, proof=False))
    assert said in dense.grad(1).steps[2].sentence
    for alone in (cc.Contraction("... i, i -> ..."), cc.Contraction("b i, i -> b")):
        assert "as well" not in as_one_line(alone.explain(proof=False))


def as_one_line(explanation: object) -> str:
    return " ".join(str(explanation).split())


# --- fast algorithms --------------------------------------------------------------------------

TILED = ("b (i+k-1) (j+l-1) c, k l c o -> b i j o", [(2, 32, 32, 64), (3, 3, 64, 64)])


@cache
def tiled() -> Explanation:
    """The explanation of a layer that is large enough for tiles."""
    spec, shapes = TILED
    return cc.Contraction(spec).explain(*shapes)


def test_only_plans_with_tiles_tell_of_fast_algorithms() -> None:
    assert tiled().fast is not None
    assert "\nfast algorithm\n" in str(tiled())
    assert "<h2>Fast algorithm</h2>" in tiled().html()
    assert explained("conv 1-D").fast is None
    assert "fast algorithm" not in str(explained("conv 1-D"))
    assert "Fast algorithm" not in explained("conv 1-D").html()
    assert explained("conv 1-D").as_dict()["fast"] is None
    assert unsized().fast is None


def test_every_decomposition_that_a_plan_uses_is_shown_once() -> None:
    plans = [tiled().plan, *(plan for one in tiled().gradients for _, plan in one.plans)]
    used = {tile.name for plan in plans if plan is not None for tile in plan.tiles}
    shown = [tile["name"] for tile in tiled().as_dict()["fast"]["decompositions"]]
    assert used == set(shown)
    assert len(shown) == len(used)
    for name in used:
        assert str(tiled()).count(f"\n  {name}: ") == 1
        assert tiled().html().count(f"<h3>{name}: ") == 1


def test_the_matrices_for_programs_decompose_the_window() -> None:
    for tile in tiled().as_dict()["fast"]["decompositions"]:
        A, B, C = ([list(map(Fraction, row)) for row in tile[which]] for which in "ABC")
        assert len(tile["points"]) == tile["products"] < tile["outputs"] * tile["taps"]
        sums = [[[sum(map(prod, zip(y, i, k, strict=True))) for k in C] for i in B] for y in A]
        assert sums == [
            [[int(y == i + k) for k in range(len(C))] for i in range(len(B))] for y in range(len(A))
        ]


def test_what_is_saved_is_said_of_the_result_and_of_both_gradients() -> None:
    found = tiled().as_dict()["fast"]["multiplications"]
    assert found.keys() == {"Y", "dX", "dW"}
    for name, counts in found.items():
        assert counts["defined"] == 2 * 32 * 32 * 64 * 3 * 3 * 64
        factor = counts["defined"] / counts["taken"]
        assert factor > 2
        assert re.search(rf"\n    {name} .*: {factor:.1f} times fewer\n", str(tiled()))


def test_a_page_with_matrices_is_closed_and_self_contained() -> None:
    page = tiled().html()
    seen = assert_closed(page)
    assert_self_contained(page)
    fast = tiled().fast
    assert fast is not None
    numbers = [len(tile.a) + len(tile.b) + len(tile.c) for tile in fast.tiles]
    in_matrices = page[page.index('<div class="cc-wide cc-factors">') :].count("<mtr>")
    assert in_matrices == sum(numbers)
    assert seen.count("section") == 3


def test_lines_with_matrices_fit() -> None:
    lines = str(tiled()).splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_program_is_told_why_a_step_is_carried_out_as_it_is() -> None:
    (step,) = tiled().as_dict()["plan"]["steps"]
    about = [note["about"] for note in step["notes"]]
    assert about[:2] == ["predicted", "error"]
    assert set(about[2:]) == {"rejected"}
    assert explained("conv 1-D").as_dict()["plan"]["steps"][0]["notes"] == []


# --- the layers of the examples ---------------------------------------------------------------


def strings_of(path: Path) -> list[str]:
    """The contraction strings in a program, but for those that it puts together."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = (
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts
    )
    return sorted({text for text in texts if re.fullmatch(r"[\w ()*+,-]+ -> ?[\w ()*+-]*", text)})


@pytest.mark.parametrize("example", ["feature_maps", "flatten_to_dense", "lenet"])
def test_the_layers_of_the_examples_are_explained(example: str) -> None:
    strings = strings_of(EXAMPLES / f"{example}.py")
    assert strings
    for string in strings:
        contraction = cc.Contraction(string)
        explanation = contraction.explain()
        lines = str(explanation).splitlines()
        assert lines[0] == str(contraction)
        assert max(map(len, lines)) <= WIDTH
        assert len(explanation.gradients) == string.count(",") + 1
        assert_closed(explanation.html())


# --- how long a proof may take ------------------------------------------------------------------

SYMBOLIC = (
    "b (s*i+d*k-p) (t*j+e*l-q) (u*m+f*n-r) c, k l n c o -> b i j m o",
    "s d p t e q u f r",
)


def test_a_proof_can_be_left_out() -> None:
    explanation = cc.Contraction(*CONV_AND_NAMES).explain(proof=False)
    assert [gradient.certificate for gradient in explanation.gradients] == [None, None]
    assert str(explanation).count("not verified: no proof was asked for.") == 2
    assert [g["verified"] for g in explanation.as_dict()["gradients"]] == [None, None]
    assert "not verified" in explanation.html()


CONV_AND_NAMES: tuple[str, cc.Reduction, str] = ("b (s*i+k) c, k c o -> b i o", "sum", "s")


def test_all_cases_of_a_proof_share_the_terms_that_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from contractconv.verification import certificate, comparison

    looked_at = 0

    def counting(formula: Any, arrays: Any, known: Any) -> Any:
        terms = prod([2] * len(getattr(formula, "limits", ())))

        def value(values: Any) -> int:
            nonlocal looked_at
            looked_at += terms
            raise KeyError("not worked out")

        return value

    monkeypatch.setattr(comparison, "evaluator", counting)
    monkeypatch.setattr(comparison.Judge, "expect", lambda *_: None)
    cc.Contraction(SYMBOLIC[0], parameters=SYMBOLIC[1]).grad(1).verify()
    assert 0 < looked_at <= certificate.TERMS


def test_a_sample_is_called_a_sample() -> None:
    found = (
        cc.Contraction("(2*i+l-1) (3*j+m) c, l m c o -> i j o").grad(0).verify(i=6, j=6, o=6, c=6)
    )
    formula = next(c for c in found.checks if c.statement.startswith("formula with deltas"))
    assert formula.numbers < formula.of
    assert f"{formula.numbers:,} numbers of {formula.of:,}, exact" in str(found)
    assert found.sentence.endswith("a sample of elements was worked out.")
    whole = cc.Contraction("i j, j k -> i k").grad(0).verify()
    assert all(check.numbers == check.of for check in whole.checks)
    assert "sample" not in whole.sentence


def test_whoever_asks_is_told_how_far_a_proof_is() -> None:
    from contractconv.display.explanation import explain

    told: list[tuple[int, int]] = []
    contraction = cc.Contraction("i j, j k -> i k")
    explain(contraction._spec, report=lambda done, total: told.append((done, total)))
    assert told == [(n, 6) for n in range(1, 7)]
