"""Writing SVG."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def points(command: str, *numbers: float) -> str:
    """A command of a path, with its numbers."""
    return command + " ".join(map(number, numbers))


def number(value: float) -> str:
    """A length of the picture, as short as it can be written."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def element(tag: str, attributes: Mapping[str, object], content: str | None = None) -> str:
    """An element of SVG."""
    written = "".join(f' {name}="{_attribute(value)}"' for name, value in attributes.items())
    return f"<{tag}{written}/>" if content is None else f"<{tag}{written}>{content}</{tag}>"


def _attribute(value: object) -> str:
    text = number(value) if isinstance(value, float) else str(value)
    return escape(_legal(text), {'"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})


def escaped(text: str) -> str:
    """A text, as XML can hold it."""
    return escape(_legal(text))


def _legal(text: str) -> str:
    """Replace what XML cannot hold, even escaped."""
    return _ILLEGAL.sub("\ufffd", text)
