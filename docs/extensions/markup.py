"""Pieces of pages, as source of MyST and as HTML."""

from __future__ import annotations

from html import escape


def raw(html: str) -> str:
    """HTML as it stands, in a source."""
    return fence(html, "{raw} html")


def fence(text: str, kind: str = "text") -> str:
    """A block of code, or of a directive, around a text that may hold fences itself."""
    ticks = "`" * 3
    while ticks in text:
        ticks += "`"
    return f"{ticks}{kind}\n{text}\n{ticks}"


def details(summary: str, inside: str) -> str:
    """What is shown on request."""
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>"


def shown_string(string: object, playground: str = "") -> str:
    """A contraction, to be broken between axes but not inside one, and a link to try it."""
    axes = "".join(f"<span>{escape(word)}</span> " for word in str(string).split(" "))
    code = f'<code class="spec">{axes.rstrip()}</code>'
    if not playground:
        return code
    link = f'<a class="try" href="{escape(playground)}">Try it in the playground</a>'
    return f'<div class="headline">{code}{link}</div>'
