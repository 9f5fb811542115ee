"""What does not fit, said with names of axes, sizes and the string of the layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from contractconv.errors import Span, WeightsError, with_carets
from contractconv.programs.text.words import close_to
from contractconv.weights.bindings import Binding, name_of
from contractconv.weights.terms import Layout

if TYPE_CHECKING:
    from contractconv.layers.records import Call
    from contractconv.weights.shelf import Shelf

Shape = tuple[int, ...]
_MOST = 8  # names in a list


def misfit(call: Call, way: Sequence[Binding], names: Sequence[str], shelf: Shelf) -> WeightsError:
    """Build the error for an entry that has another shape than its layer wants."""
    binding, name = next(
        (binding, name)
        for binding, name in zip(way, names, strict=True)
        if shelf.shape(name) != binding.layout.theirs.shape
    )
    shape, layout = shelf.shape(name), binding.layout
    message, spans = _difference(layout, shape)
    sizes = ", ".join(f"{axis}={layout.extents[axis]}" for axis in layout.theirs.names)
    return WeightsError(
        with_carets(
            f"{shelf.names[name]!r} does not fit {_parameter(binding)}: {message}",
            str(layout),
            spans,
            f"{name_of(call)}: {call.part}\nhere {sizes}; theirs has the shape {shape}"
            f"{_hint(shape, layout.theirs.shape)}",
        )
    )


def lacking(call: Call, way: Sequence[Binding], shelf: Shelf, prefix: str) -> WeightsError:
    """Build the error for a layer of the neighbour that lacks entries."""
    there = [shelf.left[name] for name in shelf.left if name in shelf.below(prefix)]
    wanted = _wanted(way)
    near = close_to(prefix, {name.rpartition("/")[0] for name in shelf.left}) if not there else ""
    return WeightsError(
        f"{name_of(call)}: {call.part}\nwants {wanted} of {prefix!r}, where "
        f"{_listed(there) or 'there is nothing'} {'is left' if there else ''}".rstrip()
        + near
    )


def nothing_left(call: Call, way: Sequence[Binding], shelf: Shelf) -> WeightsError:
    """Build the error for a layer that has no counterpart."""
    left = [f"{name} {shelf.shape(short)}" for short, name in shelf.left.items()]
    order = "next are" if shelf.ordered else "left are"
    rest = f"{order} {_listed(left)}" if left else "nothing is left"
    hint = "\nnames= says which layer is which" if left else ""
    return WeightsError(f"{name_of(call)}: {call.part}\nwants {_wanted(way)}, but {rest}{hint}")


def left_over(shelf: Shelf, layers: Sequence[str]) -> WeightsError:
    """Build the error for entries that no layer wants."""
    left = [f"{name} {shelf.shape(short)}" for short, name in shelf.left.items()]
    return WeightsError(
        f"no layer of the network wants {_listed(left)}; its layers are {', '.join(layers)}"
    )


def ambiguous(call: Call, prefixes: Sequence[str]) -> WeightsError:
    """Build the error for several layers that fit, in an order that nobody knows."""
    return WeightsError(
        f"{name_of(call)}: {call.part}\nfits several layers, and the source does not keep their "
        f"order: {_listed(prefixes)}\nsay which it is, as in "
        f"names={{{name_of(call)!r}: {prefixes[0]!r}}}"
    )


def _difference(layout: Layout, shape: Shape) -> tuple[str, list[Span]]:
    """The first axis that differs, in words, and where it stands in the string."""
    wanted = layout.theirs.shape
    if len(shape) != len(wanted):
        text = str(layout.theirs)
        return f"it has {len(shape)} axes, not {len(wanted)}", [(0, max(1, len(text)))]
    n = next(n for n, pair in enumerate(zip(shape, wanted, strict=True)) if pair[0] != pair[1])
    begin = sum(len(axis) + 1 for axis in layout.theirs.axes[:n])
    axis = layout.theirs.axes[n]
    return f"its axis {axis} has {shape[n]}, not {wanted[n]}", [(begin, begin + len(axis))]


def _hint(shape: Shape, wanted: Shape) -> str:
    """What may have happened."""
    if sorted(shape) == sorted(wanted):
        return "\nthe sizes are the same in another order: framework= or layouts= may be wrong"
    return ""


def _parameter(binding: Binding) -> str:
    return ".".join(binding.parameter.path)


def _wanted(way: Sequence[Binding]) -> str:
    entries = dict.fromkeys(b.row.entries[0] for b in way)
    shapes = {b.row.entries[0]: b.layout.theirs.shape for b in way}
    return ", ".join(f"{entry} {shapes[entry]}" for entry in entries)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
