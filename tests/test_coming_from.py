"""Every line of the tables of `docs/coming-from.md` says the same twice."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import contractconv as cc

PAGE = Path(__file__).parent.parent / "docs" / "coming-from.md"
PACKAGES = {
    "PyTorch": "torch",
    "JAX": "jax",
    "einops": "einops",
    "opt_einsum": "opt_einsum",
    "TensorFlow and Keras": "keras",
}


def sections() -> dict[str, str]:
    _, *parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(section: str) -> list[tuple[str, str]]:
    """The two expressions of each line of its table."""
    return re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", section, flags=re.MULTILINE)


def prepared(section: str) -> dict[str, Any]:
    """The names that the session of a section makes."""
    known: dict[str, Any] = {"cc": cc, "contract": cc.contract}
    for example in doctest.DocTestParser().get_examples(section):
        if doctest.SKIP not in example.options:
            exec(example.source, known)
    return known


def test_every_section_has_a_table() -> None:
    assert {name: len(rows(text)) > 4 for name, text in sections().items()} == dict.fromkeys(
        PACKAGES, True
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_both_columns_make_the_same_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip(PACKAGES[name])
    section = sections()[name]
    known = prepared(section)
    for theirs, ours in rows(section):
        expected, found = (np.asarray(eval(text, known)) for text in (theirs, ours))
        assert found.shape == expected.shape, ours
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=ours)
