"""One-hot codes that are contracted, without the codes.

A code ``[label = v]`` that is summed over ``v`` chooses a row of what else has that axis; one whose
``v`` is kept says in which row something is added; and one that sums nothing is a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from contractconv.notation.spec import Spec, Term
from contractconv.programs.build import plain_spec
from contractconv.programs.kinds import kind
from contractconv.programs.nodes import Axes, Cast, Contract, Map, Named, Node, Number, Position
from contractconv.programs.rewrites.transposes import contracted_like, is_sum, plain
from contractconv.programs.rewrites.workshop import Workshop

_INTEGER = kind("int64")


class Code(NamedTuple):
    """A node that is one where labels are equal to a place on an axis, else zero.

    Attributes:
        labels: integers, with all other axes of the node.
        axis: the axis.
    """

    labels: Node
    axis: str


def code_of(node: Node, workshop: Workshop) -> Code | None:
    """The code that a node is."""
    while isinstance(node, Cast):
        node = node.source
    if isinstance(node, Named):
        return _renamed(code_of(node.source, workshop), node, workshop)
    if not isinstance(node, Map):
        return None
    if node.function == "where" and _is(node.arguments[1], 1) and _is(node.arguments[2], 0):
        return code_of(node.arguments[0], workshop)
    return _compared(node, workshop) if node.function == "equal" else None


def _compared(node: Map, workshop: Workshop) -> Code | None:
    for labels, place in (node.arguments, node.arguments[::-1]):
        axis = _counted(place)
        whole = kind(workshop.dtypes[labels]) == _INTEGER
        if whole and axis is not None and axis not in labels.axes and labels.axes:
            return Code(labels, axis)
    return None


def _renamed(code: Code | None, node: Named, workshop: Workshop) -> Code | None:
    if code is None:
        return None
    names = dict(zip(node.source.axes, node.axes, strict=True))
    axes = tuple(names[name] for name in code.labels.axes)
    return Code(workshop.named(code.labels, axes), names[code.axis])


def _counted(node: Node) -> str | None:
    """The axis along which a node counts 0, 1, 2, ..."""
    while isinstance(node, (Cast, Named)):
        if isinstance(node, Cast) and not _holds_places(node):
            return None
        node, axes = node.source, node.axes
        if isinstance(node, Position):
            return axes[0]
    return node.axes[0] if isinstance(node, Position) else None


def _holds_places(node: Cast) -> bool:
    return node.dtype in ("int64", "uint64", "int32", "uint32")


def _is(node: Node, value: int) -> bool:
    while isinstance(node, Cast):
        node = node.source
    return (
        isinstance(node, Number)
        and type(node.value) in (int, float, bool)
        and (node.value == value)
    )


class _Met(NamedTuple):
    """A contraction in which a code meets something.

    Attributes:
        node: the contraction.
        labels: with the indices of the string for axes.
        axis: the index of the code's own axis.
        others: the other operands with their terms.
    """

    node: Contract
    labels: Node
    axis: str
    others: tuple[tuple[Term, Node], ...]


def without_code(node: Node, workshop: Workshop) -> Node | None:
    """A contraction with a code, by rows that labels choose, or by sums over equal labels."""
    if not isinstance(node, Contract) or not is_sum(node) or workshop.dtypes[node] == "bool":
        return None
    for n, operand in enumerate(node.operands):
        code, factor = code_of(operand, workshop), None
        if code is None:
            code, factor = _masked(operand, workshop)
        met = None if code is None else _met(node, n, code, factor, workshop)
        made = None if met is None else _made(met, workshop)
        if made is not None:
            return made
    return None


def _masked(node: Node, workshop: Workshop) -> tuple[Code | None, Node | None]:
    """The code and the factor of which a map is the product."""
    if isinstance(node, Map) and node.function == "where" and _is(node.arguments[2], 0):
        return code_of(node.arguments[0], workshop), node.arguments[1]
    if isinstance(node, Map) and node.function == "multiply":
        for first, second in (node.arguments, node.arguments[::-1]):
            code = code_of(first, workshop)
            if code is not None:
                return code, second
    return None, None


def _met(
    node: Contract, n: int, code: Code, factor: Node | None, workshop: Workshop
) -> _Met | None:
    names, operand = plain(node.spec.inputs[n]), node.operands[n]
    if names is None:
        return None
    index_of = dict(zip(operand.axes, names, strict=True))
    if not {code.axis, *code.labels.axes} <= index_of.keys():
        return None
    labels = workshop.named(code.labels, tuple(index_of[name] for name in code.labels.axes))
    pairs = [*zip(node.spec.inputs, node.operands, strict=True)]
    others = [pair for m, pair in enumerate(pairs) if m != n]
    if factor is not None:
        others.append((_term(tuple(index_of[name] for name in factor.axes)), factor))
    return _Met(node, labels, index_of[code.axis], tuple(others))


def _made(met: _Met, workshop: Workshop) -> Node | None:
    output = plain(met.node.spec.output)
    readers = [n for n, (term, _) in enumerate(met.others) if _has(term, met.axis)]
    if not _has(met.node.spec.output, met.axis):
        return _rows_taken(met, readers, workshop) if readers else None
    if output is None:
        return None
    if set(met.node.spec.indices) == set(output):
        return _as_maps(met, output, workshop)
    return None if readers else _rows_added(met, output, workshop)


def _has(term: Term, index: str) -> bool:
    return any(index in axis.names for axis in term)


def _rows_taken(met: _Met, readers: Sequence[int], workshop: Workshop) -> Node | None:
    """What has the code's axis, read where labels are; then contracted as before."""
    others = list(met.others)
    for n in readers:
        term, operand = others[n]
        names = plain(term)
        if names is None:
            return None
        rows = workshop.taken(workshop.named(operand, names), met.labels, met.axis)
        others[n] = _term(rows.axes), rows
    node = met.node
    terms, operands = (tuple(part) for part in zip(*others, strict=True))
    spec = replace(node.spec, inputs=terms)
    extents = {name: size.offset for name, size in node.extents if name != met.axis}
    return contracted_like(node, spec, operands, extents, workshop)


def _rows_added(met: _Met, output: Axes, workshop: Workshop) -> Node | None:
    """What meets the code, added up where labels are equal."""
    node, extents = met.node, workshop.problems[met.node].extents
    rest = tuple(n for n in output if n != met.axis and n not in met.labels.axes)
    kept = tuple(name for name in met.labels.axes if name in output)
    rows = _rows(met, (*met.labels.axes, *rest), workshop)
    added = workshop.added(rows, met.labels, met.axis, extents[met.axis], kept)
    if added.axes == output:
        return workshop.named(added, node.axes)
    spec = plain_spec([added.axes], output)
    return workshop.contract(spec, [added], node.axes, workshop.dtypes[node], {})


def _rows(met: _Met, axes: Axes, workshop: Workshop) -> Node:
    """A row for every label: the contraction of all that meets the code."""
    if len(met.others) == 1:
        term, operand = met.others[0]
        names = plain(term)
        if names is not None and set(names) == set(axes):
            return workshop.named(operand, names)
    dtype = workshop.dtypes[met.node]
    pairs = met.others or (((), workshop.number(1, dtype)),)
    terms, operands = (tuple(part) for part in zip(*pairs, strict=True))
    spec = Spec(terms, _term(axes), met.node.spec.reduce, met.node.spec.parameters)
    known = workshop.problems[met.node].extents
    extents = {name: known[name] for name in spec.indices}
    extents |= {n: s.offset for n, s in met.node.extents if n in spec.parameters}
    return workshop.contract(spec, operands, axes, dtype, extents)


def _as_maps(met: _Met, output: Axes, workshop: Workshop) -> Node | None:
    """A product that sums nothing, as maps, which are fused with others."""
    node = met.node
    terms = [plain(term) for term in node.spec.inputs]
    if None in terms or {n for term in terms if term for n in term} != set(output):
        return None
    factors = [
        operand if not term else workshop.named(operand, term)
        for term, operand in zip(terms, node.operands, strict=True)
    ]
    if len(factors) < 2 or workshop.shapes[node] != _sizes(met, output, workshop):
        return None

    def multiplied(first: Node, second: Node) -> Node:
        return workshop.map("multiply", (first, second), node, output)

    return workshop.named(reduce(multiplied, factors), node.axes)


def _sizes(met: _Met, names: Axes, workshop: Workshop) -> tuple[int, ...]:
    extents = workshop.problems[met.node].extents
    return tuple(extents[name] for name in names)


def _term(axes: Axes) -> Term:
    return plain_spec([], axes).output
