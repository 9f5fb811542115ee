"""Runs the sessions of each page, once, and shows formulas and pictures where they come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from extensions.running import Ran, bound, examples, lacking, read, run

_LOG = logging.getLogger(__name__)


class Sessions(SphinxTransform):
    """Runs what a page shows; flags of doctest are still there at this time."""

    default_priority = 300

    def apply(self, **kwargs: Any) -> None:
        """Run the blocks of a page in order, all with the same names."""
        names: dict[str, Any] = {"__name__": "__main__"}
        absent: dict[
            str, list[str]
        ] = {}  # names, and the libraries without which they are not made
        left_out: dict[nodes.Element, list[str]] = {}
        for block in filter(is_session, list(self.document.findall(nodes.literal_block))):
            around = [why for section, why in left_out.items() if _is_in(block, section)]
            missing = around[0] if around else _missing(block, absent)
            if missing and not around:
                left_out[block.parent] = missing
                block.parent.insert(block.parent.index(block), notice(missing))
            if missing:
                absent |= dict.fromkeys(_bound(block), missing)
            else:
                self._run(block, names)
                absent = {name: why for name, why in absent.items() if name not in _bound(block)}

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


def _bound(block: nodes.literal_block) -> set[str]:
    return set().union(*(bound(one.source) for one in examples(block.astext())))


def _missing(block: nodes.literal_block, absent: Mapping[str, list[str]]) -> list[str]:
    """The libraries that a block lacks, itself or by the names that it reads."""
    found: list[str] = []
    made: set[str] = set()
    for one in examples(block.astext()):
        found += lacking(one.source)
        for name in sorted(read(one.source) & absent.keys() - made):
            found += absent[name]
        made |= bound(one.source)
    return list(dict.fromkeys(found))


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


def notice(missing: Iterable[str]) -> nodes.Element:
    """What readers are told where something is left out."""
    names = " and ".join(missing)
    said = f"{names} was not installed when this page was built: what stands here was not run."
    return nodes.warning("", nodes.paragraph("", said))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(Sessions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
