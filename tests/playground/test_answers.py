"""What the page is answered: cards and panels of every example, and every mistake at its place."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from typing import Any

import pytest
from browser import assert_closed, assert_self_contained

from contractconv.playground.answers import answer, answer_json
from contractconv.playground.asked import LONGEST
from contractconv.playground.examples import EXAMPLES, Example, address

CONV = {"spec": "b (2*i+k-1) c, k c o -> b i o", "shapes": ["8x28x3", "3x3x16"]}


def panels(answered: dict[str, Any]) -> list[tuple[Any, str]]:
    """Each card's name with each of its panels' names."""
    return [(card["name"], panel["name"]) for card in answered["cards"] for panel in card["panels"]]


def panel(request: dict[str, Any], card: Any, name: str) -> str:
    """What a panel shows."""
    html = answer(request | {"card": card, "panel": name})["html"]
    assert isinstance(html, str)
    return html


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_every_example_has_cards_and_panels(example: Example) -> None:
    request = example.as_dict()
    answered = answer(request)
    assert answered["notice"] is None
    operands = len(answered["operands"])
    assert [card["name"] for card in answered["cards"]] == ["layer", *range(operands)]
    for card in answered["cards"]:
        assert {"math", "svg"} <= {*assert_closed(card["html"])}
        assert_self_contained(card["html"])
    found = panels(answered)
    assert ("plan" in {name for _, name in found}) == bool(example.shapes)
    for card, name in found:
        if name != "certificate":
            assert_closed(panel(request, card, name))


def test_a_certificate_says_what_was_compared() -> None:
    said = panel(CONV, 1, "certificate")
    assert "formula = brute force" in said
    assert "exact" in said


def test_phases_are_there_where_a_stride_splits_them() -> None:
    assert (0, "phases") in panels(answer(CONV))
    assert panel(CONV, 0, "phases").count("<li>") == 2
    assert (0, "phases") not in panels(answer({"spec": "b (i+k), k -> b i"}))
    tied = {"spec": "i, i j, j ->", "names": "x A x"}
    assert (0, "phases") not in panels(answer(tied))
    assert (0, "phases") in panels(answer({"spec": "(2*i+k), k, k -> i", "names": "x w w"}))
    symbolic = {"spec": "(s*i+k), k -> i", "parameters": "s"}
    assert (0, "phases") not in panels(answer(symbolic))
    assert (0, "phases") in panels(answer(symbolic | {"values": "s=3"}))


def test_source_is_of_the_shapes_and_numbers_that_were_typed() -> None:
    request = {"spec": "b (2*i+k) c -> b i c", "reduce": "max", "values": "k=3"}
    assert "k=3" in panel(request, "layer", "numpy")
    assert "import torch" in panel(request, 0, "torch")


def test_texts_can_be_copied() -> None:
    said = panel(CONV, 0, "copy")
    assert 'data-scatter="b i o, k c o -&gt; b (2*i+k-1) c"' in said
    assert "data-Python=\"cc.Contraction('" in unescape(said)
    assert all(f"data-{name}=" in said for name in ("gather", "text", "LaTeX", "MathML", "sympy"))


@pytest.mark.parametrize(
    ("fields", "field", "spans"),
    [
        ({"spec": "b (2*i+k c, k c o -> b i o"}, "spec", [[2, 3]]),
        ({"spec": "b i, i o -> b (2*o)) "}, "spec", [[19, 20]]),
        ({"spec": "b $, i -> b"}, "spec", [[2, 3]]),
        ({"spec": " "}, "spec", []),
        ({"spec": "i -> i", "reduce": "median"}, "reduce", []),
        ({"spec": "i -> i", "values": "i"}, "values", []),
        ({"spec": "i -> i", "values": "i=2 i=3"}, "values", []),
        ({"spec": "i" * (LONGEST + 1)}, "spec", []),
        ({"spec": "i -> i", "shapes": "3"}, "shapes", []),
        ({"spec": ["i"]}, "spec", []),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_field_and_place(
    fields: dict[str, Any], field: str, spans: list[list[int]]
) -> None:
    error = answer(fields).get("error") or answer(fields)["notice"]
    assert (error["field"], error["spans"]) == (field, spans)
    assert error["message"]


@pytest.mark.parametrize(
    ("more", "field", "message"),
    [
        ({"shapes": ["8x28", "3x3x16"]}, "shapes", "operand 0 has 2 axes"),
        ({"shapes": ["8x28x3", "3x4x16"]}, "shapes", "extents disagree"),
        ({"shapes": ["8x28x3", "three"]}, "shapes", "'three' is not a shape"),
        ({"shapes": ["8x28x3", "9" * 30]}, "shapes", "is not a shape"),
        ({"values": "z=3"}, "values", "z"),
        ({"values": "k=__import__('os')"}, "values", "gives no number"),
    ],
)
def test_formulas_stay_where_only_numbers_are_wrong(
    more: dict[str, Any], field: str, message: str
) -> None:
    answered = answer(CONV | more)
    assert answered["notice"]["field"] in (field, "shapes")
    assert message in answered["notice"]["message"]
    assert len(answered["cards"]) == 3


def test_the_shape_of_the_result_may_be_chosen() -> None:
    request = {"spec": "i -> (2*i+1)", "shapes": ["4"], "output_shape": "9"}
    answered = answer(request)
    assert answered["notice"] is None
    assert "(9,)" in answered["cards"][0]["html"]
    assert "output_shape=(9,)" in panel(request, "layer", "numpy")
    for text in ("9x1", "nine"):
        wrong = answer(request | {"output_shape": text})
        assert wrong["notice"]["field"] in ("shapes", "output_shape")
        assert len(wrong["cards"]) == 2


@pytest.mark.parametrize("text", ["8x28x3", "8, 28, 3", "(8, 28, 3)", "[8 28 3]", "8×28×3"])
def test_shapes_may_be_written_in_many_ways(text: str) -> None:
    answered = answer(CONV | {"shapes": [text, "3x3x16"]})
    assert answered["notice"] is None
    assert "(8, 14, 16)" in answered["cards"][0]["html"]


def test_a_scalar_needs_no_shape() -> None:
    answered = answer({"spec": "i, -> i", "shapes": ["5"]})
    assert ("layer", "plan") in panels(answered)


def test_half_typed_shapes_are_no_mistake() -> None:
    answered = answer(CONV | {"shapes": ["8x28x3", ""]})
    assert answered["notice"] is None
    assert ("layer", "plan") not in panels(answered)


@pytest.mark.parametrize(
    "extra",
    [
        {"panel": "files"},
        {"panel": "steps", "card": 7},
        {"panel": "steps", "card": "layer"},
        {"panel": "plan"},
    ],
)
def test_what_does_not_exist_is_refused(extra: dict[str, Any]) -> None:
    assert "error" in answer({"spec": "b i, i o -> b o", "card": 0} | extra)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"spec": "i", "panel": []}'])
def test_nothing_that_is_sent_stops_the_conversation(text: str) -> None:
    answered = json.loads(answer_json(text))
    assert {*answered} & {"failed", "error"}


def test_an_address_holds_everything() -> None:
    assert address("i -> i") == "#spec=i%20-%3E%20i"
    assert "shapes=8x3%3B3x4" in address("b i, i o -> b o", ["8x3", "3x4"])


WITHOUT_NUMPY = """
import sys
sys.modules["numpy"] = None
from contractconv.playground.answers import answer
from contractconv.playground.examples import EXAMPLES

for number, example in enumerate(EXAMPLES):
    request = example.as_dict()
    answered = answer(request)
    assert answered["notice"] is None, answered
    for card in answered["cards"]:
        for panel in card["panels"]:
            if panel["name"] == "certificate" and number % 6:
                continue  # proofs take long
            shown = answer(request | {"card": card["name"], "panel": panel["name"]})
            assert "html" in shown, (request, panel, shown)
assert not [name for name in sys.modules if name.startswith("numpy.")]
"""


def test_every_example_and_panel_is_answered_without_numpy() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMPY], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_names_make_one_array_of_two_operands() -> None:
    found = answer({"spec": "i, i j, j ->", "names": "x A x", "shapes": ["5", "5x5"]})
    assert [card["title"] for card in found["cards"]] == ["Layer", "Gradient by x", "Gradient by A"]
    assert [(one["name"], one["term"]) for one in found["operands"]] == [("x", "i"), ("A", "i j")]
    assert "⊤" in found["cards"][1]["html"]
    assert found["notice"] is None


def test_each_part_of_a_sum_can_be_copied() -> None:
    tied = {"spec": "(2*i+k), k, k -> i", "names": "x w w"}
    shown = panel(tied, 1, "copy")
    named = set(re.findall(r' data-([^=]*)="', shown))
    assert {"string-1", "string-2"} <= named
    assert all(re.fullmatch(r"[\w-]+", name) for name in named)


@pytest.mark.parametrize("names", ["x", "x x y", "i A x", "1 2 3"])
def test_wrong_names_are_told_beside_their_field(names: str) -> None:
    error = answer({"spec": "i, i j, j ->", "names": names})["error"]
    assert error["field"] == "names"
    assert error["message"]
