"""What runs the sessions of pages notices what comes out otherwise, and shows formulas."""

from __future__ import annotations

import pytest
from extensions import running
from extensions.running import lacking, run

import contractconv as cc


def faults(text: str) -> list[str]:
    return [one.fault for one in run(text, {}) if one.fault]


def test_what_comes_out_as_it_stands_there_is_no_fault() -> None:
    assert faults(">>> 1 + 1\n2\n>>> print('a\\n\\nb')\na\n<BLANKLINE>\nb\n>>> x = 1\n") == []
    assert faults(">>> list(range(30))  # doctest: +ELLIPSIS\n[0, 1, ...]\n") == []
    raised = "Traceback (most recent call last):\n  ...\nZeroDivisionError: division by zero\n"
    assert faults(f">>> 1 / 0\n{raised}") == []


@pytest.mark.parametrize(
    "text",
    [
        ">>> 1 + 1\n3\n",
        ">>> 1 + 1\n",
        ">>> x = 1\n1\n",
        ">>> 1 / 0\n",
        ">>> 1 / 0\nTraceback (most recent call last):\n  ...\nValueError: no\n",
        ">>> 1\nTraceback (most recent call last):\n  ...\nValueError: no\n",
    ],
)
def test_what_comes_out_otherwise_is_noticed(text: str) -> None:
    assert len(faults(text)) == 1


def test_a_printed_formula_is_typeset_and_a_value_is_shown_as_in_a_notebook() -> None:
    contraction = cc.Contraction("(2*i+k), k -> i")
    shown = f">>> print(c.formula)\n{contraction.formula}\n>>> c\n{contraction!r}\n"
    formula, card = run(shown, {"c": contraction})
    assert (formula.fault, card.fault) == ("", "")
    assert "<math" in formula.html
    assert "<svg" not in formula.html
    assert "<svg" in card.html


def test_names_go_on_from_example_to_example() -> None:
    assert faults(">>> x = 2\n>>> x * x\n4\n") == []


def test_what_is_not_installed_is_found_before_it_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "find_spec", lambda name: None)
    assert lacking("import torch.nn.functional as F, sys\nfrom jax import lax") == ["jax", "torch"]
    assert lacking("import numpy as np") == []
