"""What the page is answered: one function, wherever Python runs.

A request is what the fields say (:class:`contractconv.playground.asked.Asked`). Alone, it asks for
an overview: a card for the layer and one for each gradient. With ``card`` and ``panel`` it asks
for one thing that a card can show besides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import starmap
from typing import Any

from contractconv.errors import ContractionError
from contractconv.playground.asked import Asked, FieldError, of_shapes
from contractconv.playground.cards import Card, gradient_card, layer_card
from contractconv.playground.panels import PANELS
from contractconv.playground.subject import Subject


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer what the page asks.

    Args:
        request: the fields of the page, all texts but ``shapes``, a list of texts; and maybe the
            names of a card and of one of its panels.

    Returns:
        ``{"error": {field, message, spans}}`` if something typed is wrong; ``{"html": ...}`` for a
        panel; otherwise ``operands``, ``cards`` and a ``notice``, an error or ``None``: where only
        shapes or numbers are wrong there still are formulas.

    Example:
        >>> answer({"spec": "b i, i o -> b o"})["cards"][1]["title"]
        'Gradient by X'
        >>> answer({"spec": "b i, i o -> b $"})["error"]["spans"]
        [[14, 15]]
    """
    try:
        return _answered(request)
    except FieldError as error:
        return {"error": error.as_dict()}
    except ContractionError as error:
        return {"error": of_shapes(error).as_dict()}
    except RecursionError:
        return {"error": FieldError("spec", "this is nested too deeply").as_dict()}


def answer_json(text: str) -> str:
    """The same for JSON, as it travels; what no page of ours asks has ``failed``."""
    try:
        answered = answer(json.loads(text))
    except Exception as error:
        answered = {"failed": f"{type(error).__name__}: {error}"}
    return json.dumps(answered, ensure_ascii=False)


def _answered(request: Mapping[str, Any]) -> dict[str, Any]:
    asked = Asked.of(request)
    if "panel" in request:
        return {"html": _panel(Subject.of(asked), request)}
    try:
        subject, notice = Subject.of(asked), None
    except FieldError as error:
        if error.field not in ("shapes", "output_shape", "values"):
            raise
        subject, notice = Subject.of(asked.without_sizes()), error
    return _overview(subject) | {"notice": None if notice is None else notice.as_dict()}


def _overview(subject: Subject) -> dict[str, Any]:
    explanation = subject.explanation
    gradients = starmap(gradient_card, enumerate(explanation.gradients))
    return {
        "operands": [
            {"name": name, "term": " ".join(map(str, term))}
            for name, term in explanation.spec.array_terms.items()
        ],
        "cards": [_with_panels(card, subject) for card in (layer_card(subject), *gradients)],
    }


def _with_panels(card: Card, subject: Subject) -> dict[str, Any]:
    panels = [p for p in PANELS.values() if p.belongs(subject, card.operand)]
    return card.as_dict() | {"panels": [{"name": p.name, "title": p.title} for p in panels]}


def _panel(subject: Subject, request: Mapping[str, Any]) -> str:
    panel, card = PANELS.get(str(request["panel"])), request.get("card", 0)
    operand = None if card == "layer" else card
    known = operand is None or operand in range(len(subject.explanation.gradients))
    if panel is None or not known or not panel.belongs(subject, operand):
        raise FieldError("spec", "there is no such thing to be shown")
    return panel.html(subject, operand)
