"""Which arrays of a program are read inside at every point, as other lines of it know.

A window that determines the extent of an index stays inside of its array. A gradient reads the same
window of the same array, but its own string no longer tells that the window determines anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contractconv.calculus.read_conditions import OUTPUT, never_left
from contractconv.notation.affine import Affine
from contractconv.notation.extents import bind
from contractconv.notation.spec import AxisPlace, Spec, unique_names
from contractconv.programs.nodes import Contract, Node
from contractconv.programs.origins import origin
from contractconv.programs.sizes import Extent, Size

Read = tuple[str, tuple[tuple[str, str], ...], str]
"""The size of an axis, the extents of its indices and what these are times, and the offset."""


def known_reads(nodes: Iterable[Node]) -> frozenset[Read]:
    """Find what contractions read inside of its array at every point, by their own extents."""
    contractions = (node for node in nodes if isinstance(node, Contract))
    return frozenset(read for node in contractions for read in _inside(node))


def inside(node: Contract, spec: Spec, known: frozenset[Read]) -> frozenset[AxisPlace]:
    """The axes of a contraction that no point leaves.

    Args:
        node: the contraction.
        spec: its string, or a gather that says the same.
        known: what is read inside anyway.
    """
    spelled = bound(node)
    if spec != spelled:  # indices are positions of the result: its size may be any
        return never_left(spec, {*_given(node), *unique_names((spec.output,))})
    reads = {place: _read(node, spec, place) for place in _places(node, spec)}
    told = {place for place, read in reads.items() if read in known}
    return never_left(spec, _given(node)) | told


def bound(node: Contract) -> Spec:
    """The string of a contraction with the numbers of its parameters, where these are numbers."""
    numbers = {n: s.number for n, s in node.extents if n in node.spec.parameters}
    known = {name: number for name, number in numbers.items() if number is not None}
    return bind(node.spec.unnamed, known) if known else node.spec.unnamed


def _given(node: Contract) -> set[str]:
    """The indices whose extents are given, be it by the size of the result."""
    told = () if node.shape is None else unique_names((node.spec.output,))
    return {*told, *(name for name, _ in node.extents)}


def _inside(node: Contract) -> Iterator[Read]:
    spec = bound(node)
    own = never_left(spec, _given(node))
    return (_read(node, spec, place) for place in _places(node, spec) if place in own)


def _places(node: Contract, spec: Spec) -> Iterator[AxisPlace]:
    """The computed axes of arrays whose sizes are known."""
    for term in (*range(len(spec.inputs)), *([] if node.local else [OUTPUT])):
        owner = node if term == OUTPUT else node.operands[term]
        for at, (axis, name) in enumerate(zip(spec.terms[term], owner.axes, strict=True)):
            computed = isinstance(axis, Affine) and axis.plain is None
            if computed and name not in owner.open_axes:
                yield term, at


def _read(node: Contract, spec: Spec, place: AxisPlace) -> Read:
    term, at = place
    owner = node if term == OUTPUT else node.operands[term]
    axis = spec.terms[term][at]
    assert isinstance(axis, Affine)
    terms = sorted((_extent(node, name), str(number)) for name, number in axis.terms)
    return origin(owner, owner.axes[at]).key, tuple(terms), str(axis.offset)


def _extent(node: Contract, index: str) -> str:
    """What says the extent of an index, the same for all that have it from there."""
    for name, size in node.extents:
        if name == index:
            return _told(size)
    for term, operand in zip(node.spec.inputs, node.operands, strict=True):
        for axis, called in zip(term, operand.axes, strict=True):
            if axis.plain == index and called not in operand.open_axes:
                return origin(operand, called).key
    for at, axis in enumerate([] if node.local else node.spec.output):
        if axis.plain == index:
            found = None if node.shape is None else node.shape[at]
            return origin(node, node.axes[at]).key if found is None else _told(found)
    return Extent(node, index, of_index=True).key


def _told(size: Size) -> str:
    extent = size.alone
    if extent is None:
        return size.key
    if extent.of_index and isinstance(extent.node, Contract):
        return _extent(extent.node, extent.name)
    return origin(extent.node, extent.name).key
