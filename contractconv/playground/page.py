"""The files that the page is made of."""

from __future__ import annotations

import json
from importlib.resources import files

from contractconv.markup.style import STYLE
from contractconv.notation.spec import REDUCTIONS
from contractconv.playground.examples import EXAMPLES

SERVED, ALONE = "served.js", "pyodide_engine.js"
"""Who answers the page: a process beside it, or Python in the browser."""


def page_files(engine: str) -> dict[str, bytes]:
    """The page's own files by name.

    Args:
        engine: :data:`SERVED` or :data:`ALONE`.
    """
    texts = {name: static(name) for name in ("index.html", "playground.css", "playground.js")}
    texts |= {"engine.js": static(engine), "formulas.css": STYLE, "examples.js": _tables()}
    return {name: text.encode() for name, text in texts.items()}


def static(name: str) -> str:
    """A file that was written by hand."""
    return files("contractconv.playground").joinpath("static", name).read_text("utf-8")


def _tables() -> str:
    examples = [example.as_dict() for example in EXAMPLES]
    return (
        f"const EXAMPLES = {json.dumps(examples)};\nconst REDUCTIONS = {json.dumps(REDUCTIONS)};\n"
    )
