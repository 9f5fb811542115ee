"""A record of the gallery as a page: what it says, its picture, gradients, plan, and equals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx
from sphinx.util import logging

import contractconv as cc
from extensions.layers import PREAMBLES, TOLERANCES, Compared, Layer, compared, is_there, made
from extensions.markup import card, fence, forms, raw, shown_string, steps_of

_COTANGENT = "`G` is the cotangent: the gradient of a loss by the result."
_LOG = logging.getLogger(__name__)
_TITLES = {"torch": "PyTorch", "jax": "JAX", "numpy": "NumPy", "scipy": "SciPy"}


class LayerParser(MystParser):
    """Reads a record, and what it says as the source of a page."""

    supported = ("layer",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Write the page, and read that."""
        layer = made(Path(document.current_source or document["source"]).stem, inputstring)
        super().parse("\n\n".join(_page(layer, document)), document)


def _page(layer: Layer, document: nodes.document) -> Iterator[str]:
    yield f"# {layer.title}"
    yield layer.says
    yield from _string(layer) if layer.string else _program(layer)
    yield "## In other libraries"
    yield from _equivalents(layer, document)


# -- a string -----------------------------------------------------------------------------------


def _string(layer: Layer) -> Iterator[str]:
    contraction = layer.contraction
    shapes = [*layer.shapes.values()]
    yield raw(shown_string(contraction, layer.opened))
    yield fence(layer.call, "python")
    yield raw(card(contraction))
    result = contraction.output_shape(*shapes, **layer.given)
    yield f"Of shapes {', '.join(map(_shape, shapes))} it makes {_shape(result)}."
    yield "## Gradients"
    yield _COTANGENT
    for name, derivation in zip(layer.shapes, contraction.grads(), strict=True):
        yield f"### By `{name}`"
        yield from _gradient(derivation)
    yield "## Plan"
    yield raw(contraction.plan(*shapes, **layer.given)._repr_html_())


def _gradient(derivation: cc.Derivation) -> Iterator[str]:
    yield raw(forms(_forms(derivation)))
    yield raw(card(derivation))
    yield raw(steps_of(derivation))


def _forms(derivation: cc.Derivation) -> dict[str, object]:
    scatter, gather = derivation.scatter, derivation.gather
    if str(scatter) == str(gather):
        return {"string": gather}
    return {"scatter": scatter, "gather": gather}


def _shape(shape: tuple[int, ...]) -> str:
    return f"`{'×'.join(map(str, shape)) or '()'}`"


# -- a program ----------------------------------------------------------------------------------


def _program(layer: Layer) -> Iterator[str]:
    program = cc.program(y=layer.tensor, name=layer.name.replace("-", "_"))
    inputs = "\n".join(_input(layer, name) for name in layer.axes)
    yield fence(f"F = cc.functions\n{inputs}\n{layer.program.strip()}", "python")
    yield "That is this program, a node a line:"
    yield fence(str(program).strip(), "python")
    yield "## Formulas"
    yield raw(_explained(program))
    yield "## Gradients"
    yield f"{_COTANGENT} Forward and backward are one program."
    yield fence(str(_backward(layer, f"{program.name}_grad")).strip(), "python")


def _input(layer: Layer, name: str) -> str:
    numbers = ', "int64"' if name in layer.integers else ""
    return f'{name} = cc.tensor("{name}", "{layer.axes[name]}"{numbers})'


def _explained(program: cc.Program) -> str:
    """The explanation, as a part of the page: without its headline, and one level deeper."""
    html = re.sub("<h1>.*?</h1>", "", program.explain()._repr_html_(), flags=re.DOTALL)
    return re.sub("(</?h)2", r"\g<1>3", html)


def _backward(layer: Layer, name: str) -> cc.Program:
    G = cc.tensor("G", " ".join(layer.tensor.axes))
    wanted = layer.differentiable()
    made = cc.grad(layer.tensor, [layer.inputs[name] for name in wanted], G)
    slopes = {f"d_{name}": slope for name, slope in zip(wanted, made, strict=True)}
    return cc.program({"y": layer.tensor, **slopes}, name=name)


# -- in other libraries -------------------------------------------------------------------------


def _equivalents(layer: Layer, document: nodes.document) -> Iterator[str]:
    yield "::::{tab-set}"
    for library in (known for known in _TITLES if known in layer.same):
        yield f":::{{tab-item}} {_TITLES[library]}\n:sync: {library}"
        yield fence(f"{PREAMBLES[library]}\n\n{layer.same[library].strip()}", "python")
        yield _verdict(layer, library, document)
        yield ":::"
    yield "::::"


def _verdict(layer: Layer, library: str, document: nodes.document) -> str:
    if not is_there(library):
        return f"{_TITLES[library]} was not installed when this page was built: this was not run."
    found = compared(layer, library)
    if found.difference > TOLERANCES[library]:
        _LOG.warning(
            "%s is not %s here: %s", library, layer.name, found, location=document["source"]
        )
    return _said(found)


def _said(found: Compared) -> str:
    gradients = (
        f", and so have the gradients by {_listed(found.gradients)}" if found.gradients else ""
    )
    if not found.difference:
        return f"The result has the same numbers, bit for bit{gradients}."
    return (
        f"The result has the same numbers{gradients}: they differ by {found.difference:.0e} of the "
        "largest, at most."
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_source_parser(LayerParser)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
