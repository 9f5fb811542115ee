"""Pages of networks as a browser shows them, from a phone to a wide screen."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from browser import needs_browser
from devtools import opened_text
from page_judgements import faults_of

import contractconv as cc
from contractconv import layers as L

pytestmark = needs_browser


@cache
def shown() -> dict[str, Any]:
    """Explanations and summaries: of images, and of a sequence with long names of parts."""
    images = cc.Network(
        [
            L.Conv(8, 3, padding=1, map="relu"),
            L.Residual([L.Conv(8, 3, padding=1), L.BatchNorm()]),
            L.ConvTransposed(4, 3, stride=2),
            L.MaxPool(2),
            L.Dense(3, over="h w c"),
        ],
        name="images",
    )
    block = L.Residual([L.LayerNorm(), L.Attention(heads=2, causal=True)], name="attention_block")
    sequence = cc.Network([L.Embedding(11, 8), block, L.Dense(11)], name="sequence")
    return {
        "images": images.explain((2, 16, 16, 3)),
        "sequence": sequence.explain((2, 5)),
        "table of images": images.summary((2, 16, 16, 3)),
        "table of a sequence": sequence.summary((2, 5)),
    }


@pytest.mark.parametrize("name", ["images", "sequence", "table of images", "table of a sequence"])
def test_nothing_is_wrong_in_any_view(name: str) -> None:
    with opened_text(shown()[name].html()) as tab:
        assert faults_of(tab) == []
        assert len(tab.run("(view) => view.document.body.textContent")) > 300
