"""Formulas and pictures of contractions, where a page has no session that shows them."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import contractconv as cc
from extensions.grammar import Grammar
from extensions.layers import is_there
from extensions.markup import forms, formula_of, picture_of, shown_string
from extensions.railroad import diagrams
from extensions.sessions import notice


class Shown(Directive):
    """Shows a contraction, or its gradient by an operand: string, formula or picture."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {
        "reduce": directives.unchanged,
        "grad": directives.nonnegative_int,
    }

    def run(self) -> list[nodes.Node]:
        """The HTML that shows it."""
        contraction = cc.Contraction(self.arguments[0], self.options.get("reduce", "sum"))
        n = self.options.get("grad")
        what = contraction if n is None else contraction.grad(n)
        return [nodes.raw("", self.html(what), format="html")]

    def html(self, what: Any) -> str:
        """What is shown of it."""
        raise NotImplementedError


class String(Shown):
    """The string alone."""

    def html(self, what: Any) -> str:
        """The string, large."""
        return shown_string(what)


class Strings(Shown):
    """The string, and those of its gradients."""

    def html(self, what: Any) -> str:
        """One below the other."""
        names = what.arrays
        slopes = {f"gradient by {n}": d.gather for n, d in zip(names, what.grads(), strict=True)}
        return forms({"the layer": what, **slopes}, "large")


class Formula(Shown):
    """The formula."""

    def html(self, what: Any) -> str:
        """The formula as MathML."""
        return formula_of(what)


class Network(Shown):
    """The picture."""

    def html(self, what: Any) -> str:
        """The picture as SVG."""
        return picture_of(what)


class Railroad(Directive):
    """A grammar as text, and its rules as railroad diagrams."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The diagrams, and below them the text."""
        text = "\n".join(self.content)
        drawn = "".join(
            f'<figure class="railroad" id="grammar-{name}">'
            f"<figcaption>{name}</figcaption>{svg}</figure>"
            for name, svg in diagrams(Grammar.read(text)).items()
        )
        return [
            nodes.raw("", drawn, format="html"),
            nodes.literal_block(text, text, language="text"),
        ]


class Room(SphinxDirective):
    """A room of the library that is for another library, if that is there."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Its documentation, or a notice."""
        (library,) = self.arguments
        if not is_there(library):
            return [notice([library])]
        text = f".. automodule:: contractconv.{library}\n   :members:\n   :imported-members:\n"
        return list(self.parse_text_to_nodes(text))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("string", String)
    app.add_directive("strings", Strings)
    app.add_directive("formula", Formula)
    app.add_directive("network", Network)
    app.add_directive("railroad", Railroad)
    app.add_directive("room", Room)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
