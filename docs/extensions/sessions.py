"""Runs the sessions of each page, once, and shows formulas and pictures where they come out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from extensions.running import Ran, examples, lacking, run

_LOG = logging.getLogger(__name__)


class Sessions(SphinxTransform):
    """Runs what a page shows; flags of doctest are still there at this time."""

    default_priority = 300

    def apply(self, **kwargs: Any) -> None:
        """Run the blocks of a page in order, all with the same names."""
        names: dict[str, Any] = {"__name__": "__main__"}
        left_out: list[nodes.Element] = []
        for block in list(self.document.findall(nodes.literal_block)):
            if not is_session(block) or any(_is_in(block, section) for section in left_out):
                continue
            missing = [name for one in examples(block.astext()) for name in lacking(one.source)]
            if missing:
                left_out.append(block.parent)
                block.parent.insert(block.parent.index(block), _notice(missing))
            else:
                self._run(block, names)

    def _run(self, block: nodes.literal_block, names: dict[str, Any]) -> None:
        ran = list(run(block.astext(), names))
        for one in ran:
            if one.fault:
                _LOG.warning(
                    "a session comes out otherwise:\n%s\n--- it is\n%s",
                    one.text, one.fault, location=block, type="session",
                )  # fmt: skip
        block.replace_self(list(_parts(block, ran)))


def is_session(block: nodes.literal_block) -> bool:
    """Whether a block shows Python's shell."""
    return bool(block.get("language") == "python" and block.astext().startswith(">>>"))


def _is_in(node: nodes.Node, section: nodes.Element) -> bool:
    while node is not None and node is not section:
        node = node.parent
    return node is section


def _parts(block: nodes.literal_block, ran: Iterable[Ran]) -> Iterable[nodes.Node]:
    """Text up to something to look at, that, text again."""
    text = ""
    for one in ran:
        text += one.source if one.html else one.text
        if one.html:
            yield _block(block, text)
            yield nodes.raw("", f'<div class="shown">{one.html}</div>', format="html")
            text = ""
    if text.strip():
        yield _block(block, text)


def _block(like: nodes.literal_block, text: str) -> nodes.literal_block:
    text = text.rstrip()
    made = nodes.literal_block(text, text, **like.attributes)
    made.source, made.line = like.source, like.line
    return made


def _notice(missing: Iterable[str]) -> nodes.Element:
    names = " and ".join(dict.fromkeys(missing))
    said = f"{names} was not installed when this page was built: what follows was not run."
    return nodes.warning("", nodes.paragraph("", said))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(Sessions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
