"""Diagrams that pages refer to as files stand in the page itself, and take its colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class Drawings(SphinxTransform):
    """Puts pictures of ours where they are referred to."""

    default_priority = 300

    def apply(self, **kwargs: Any) -> None:
        """Replace images by the SVG that their files hold."""
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for image in list(self.document.findall(nodes.image)):
            path = folder / image["uri"]
            if path.suffix == ".svg" and path.exists():
                self.env.note_dependency(str(path))
                drawn = path.read_text(encoding="utf-8")
                image.parent.replace(image, nodes.raw("", drawn, format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(Drawings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
