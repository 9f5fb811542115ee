"""What is done before anybody asks, so that the first answer need not do it."""

from __future__ import annotations

from contractconv.playground.answers import answer
from contractconv.playground.examples import EXAMPLES

# Proofs take seconds; what they need is imported by all the rest.
_SLOW = {"certificate"}


def answer_examples() -> None:
    """Answer all examples, and all that the first of each kind of card can show."""
    shown: set[str] = set()
    for example in EXAMPLES:
        request = example.as_dict()
        for card in answer(request)["cards"]:
            for panel in {panel["name"] for panel in card["panels"]} - shown - _SLOW:
                answer(request | {"card": card["name"], "panel": panel})
                shown.add(panel)
