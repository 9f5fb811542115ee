"""Pieces of pages, as source of MyST and as HTML; what can be is what the library shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

import contractconv as cc
from contractconv.display.html_formulas import formula
from contractconv.display.html_steps import written
from contractconv.markup.parts import article, code, figure, folded

Shown = cc.Contraction | cc.Derivation


def raw(html: str) -> str:
    """HTML as it stands, in a source."""
    return fence(html, "{raw} html")


def fence(text: str, kind: str = "text") -> str:
    """A block of code, or of a directive, around a text that may hold fences itself."""
    ticks = "`" * 3
    while ticks in text:
        ticks += "`"
    return f"{ticks}{kind}\n{text}\n{ticks}"


def formula_of(shown: Shown) -> str:
    """The formula alone, to stand in a page."""
    return article([formula(written(shown._shown_equation()))])


def picture_of(shown: Shown) -> str:
    """The picture alone."""
    return article([figure(shown.svg())])


def card(shown: Shown) -> str:
    """Formula, picture and buttons that copy, without the string."""
    return re.sub("<p><code>.*?</code></p>", "", shown._repr_html_(), count=1)


def steps_of(derivation: cc.Derivation) -> str:
    """How it is derived, for those who ask."""
    return article([folded("How it is derived", bare(derivation.steps))])


def bare(shown: Any) -> str:
    """What a notebook would show, without the article around it."""
    return re.sub("</?article[^>]*>", "", shown._repr_html_())


def shown_string(string: object, playground: str = "") -> str:
    """A string, large, and a link to try it."""
    link = f'<a class="try" href="{escape(playground)}">Try it in the playground</a>'
    return f'<div class="headline">{spec_code(string)}{link if playground else ""}</div>'


def spec_code(string: object) -> str:
    """A string, which may be broken between axes but not inside one."""
    return code(string).replace("<code>", '<code class="spec">', 1)


def forms(strings: Mapping[str, object], kind: str = "") -> str:
    """Strings by what they are."""
    rows = "".join(f"<dt>{name}</dt><dd>{spec_code(s)}</dd>" for name, s in strings.items())
    return f'<dl class="forms {kind}">{rows}</dl>'
