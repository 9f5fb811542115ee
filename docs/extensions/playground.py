"""The playground is a page of its own, put together by the library itself."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from contractconv.errors import ContractionError
from contractconv.playground.build import build
from contractconv.playground.examples import address

_LOG = logging.getLogger(__name__)
_ABSENT = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Playground</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root { color-scheme: light dark } body { font-family: system-ui, sans-serif;
max-width: 40rem; margin: 3rem auto; padding: 0 1rem; line-height: 1.6 }</style></head>
<body><h1>Playground</h1><p>It was not built with this site. On your own machine,
<code>contractconv play</code> opens it.</p><p><a href="../index.html">Back</a></p></body></html>
"""


class Playground(SphinxDirective):
    """A link that opens the playground, perhaps with a string."""

    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {"text": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """The link."""
        root = posixpath.relpath(".", posixpath.dirname(self.env.docname) or ".")
        string = address(self.arguments[0]) if self.arguments else ""
        text = self.options.get("text", "Open the playground")
        link = f'<p><a class="try" href="{root}/playground/index.html{string}">{text}</a></p>'
        return [nodes.raw("", link, format="html")]


def built(app: Sphinx, failure: Exception | None) -> None:
    """Put the playground beside the pages."""
    if failure is not None:
        return
    folder = Path(app.outdir, "playground")
    folder.mkdir(exist_ok=True)
    if not (app.config.playground and _put_together(folder)):
        (folder / "index.html").write_text(_ABSENT, encoding="utf-8")


def _put_together(folder: Path) -> bool:
    try:
        build(folder)
    except ContractionError as error:
        _LOG.info("the playground is not built: %s", error)
        return False
    return True


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_config_value("playground", default=True, rebuild="html", types=[bool])
    app.add_directive("playground", Playground)
    app.connect("build-finished", built)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
