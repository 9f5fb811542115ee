"""The playground is a page of its own, put together by the library itself."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlencode

from sphinx.application import Sphinx
from sphinx.util import logging

from contractconv.errors import ContractionError
from extensions.layers import Layer

_LOG = logging.getLogger(__name__)
_ROOM = "contractconv.playground"
_ABSENT = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Playground</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root { color-scheme: light dark } body { font-family: system-ui, sans-serif;
max-width: 40rem; margin: 3rem auto; padding: 0 1rem; line-height: 1.6 }</style></head>
<body><h1>Playground</h1><p>It was not built with this site. On your own machine,
<code>contractconv play</code> opens it.</p><p><a href="../index.html">Back</a></p></body></html>
"""


def address(layer: Layer) -> str:
    """Where the playground opens a layer's string, seen from a page of the gallery."""
    said = {
        "spec": layer.string,
        "reduce": "" if layer.reduce == "sum" else layer.reduce,
        "parameters": layer.parameters,
        "values": " ".join(f"{name}={value}" for name, value in layer.extents.items()),
        "shapes": ";".join("x".join(map(str, shape)) for shape in layer.shapes.values()),
    }
    given = {name: text for name, text in said.items() if text}
    return f"../playground/index.html#{urlencode(given, quote_via=quote)}"


def built(app: Sphinx, failure: Exception | None) -> None:
    """Put the playground beside the pages."""
    if failure is not None:
        return
    folder = Path(app.outdir, "playground")
    folder.mkdir(exist_ok=True)
    if not (app.config.playground and find_spec(_ROOM) and _put_together(folder)):
        (folder / "index.html").write_text(_ABSENT, encoding="utf-8")


def _put_together(folder: Path) -> bool:
    try:
        import_module(f"{_ROOM}.build").build(folder)
    except ContractionError as error:
        _LOG.info("the playground is not built: %s", error)
        return False
    return True


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_config_value("playground", default=True, rebuild="html", types=[bool])
    app.connect("build-finished", built)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
