"""Products that are summed at once: the sum reads the factors, and nobody writes the product."""

from __future__ import annotations

from dataclasses import replace

from contractconv.programs.nodes import Contract, Map, Node
from contractconv.programs.rewrites.transposes import plain
from contractconv.programs.rewrites.workshop import Workshop
from contractconv.reductions.table import REDUCTIONS


def summed(node: Node, workshop: Workshop) -> Node | None:
    """A sum, or a mean, of a product that nothing else reads."""
    if not isinstance(node, Contract) or len(node.operands) != 1 or node.local:
        return None
    (product,) = node.operands
    factors = _factors(product)
    names = plain(node.spec.inputs[0])
    if not REDUCTIONS[node.spec.reduce].linear or not factors or names is None:
        return None
    dtype = workshop.dtypes[node]
    if workshop.uses[product] != 1 or any(workshop.dtypes[f] != dtype for f in factors):
        return None
    axes = dict(zip(product.axes, node.spec.inputs[0], strict=True))
    terms = tuple(tuple(axes[name] for name in factor.axes) for factor in factors)
    extents = {name: size.offset for name, size in node.extents}
    told = None if node.shape is None else tuple(size.offset for size in node.shape)
    spec = replace(node.spec, inputs=terms)
    return workshop.contract(spec, factors, node.axes, dtype, extents, told)


def _factors(node: Node) -> tuple[Node, ...]:
    """The arrays of which a node is the product; none if it is no product of two."""
    if isinstance(node, Map) and node.function == "square":
        return node.arguments * 2
    if isinstance(node, Map) and node.function == "multiply":
        return node.arguments if all(factor.axes for factor in node.arguments) else ()
    return ()
