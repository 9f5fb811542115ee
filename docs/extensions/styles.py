"""What is shown has its stylesheet with it, each time: a page needs it once."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

_STYLE = re.compile("<style>.*?</style>", re.DOTALL)


class Styles(SphinxTransform):
    """Keeps the first of equal stylesheets."""

    default_priority = 900

    def apply(self, **kwargs: Any) -> None:
        """Go through the page from its beginning."""
        seen: set[str] = set()
        for shown in self.document.findall(nodes.raw):
            for text in list(shown.findall(nodes.Text)):
                shown.replace(text, nodes.Text(_STYLE.sub(lambda m: _first(m[0], seen), text)))


def _first(style: str, seen: set[str]) -> str:
    if style in seen:
        return ""
    seen.add(style)
    return style


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(Styles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
