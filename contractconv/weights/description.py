"""The table of layouts, written with names of axes: a page that one can look things up in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from contractconv.weights.bindings import framework_of
from contractconv.weights.layouts import CANONICAL, Framework, Row
from contractconv.weights.terms import Roles, layout

_SIZES = {"k": 5, "l": 5, "gate": 4} | dict.fromkeys("gcodhwrmnv", 3)

_ADDED = {"": "", "load": ", added", "export": ", zeros"}


class _Example(NamedTuple):
    """A layer to show a layout of.

    Attributes:
        title: what it is.
        kind: what the table calls it.
        roles: the axes of each parameter by role.
        ours: how each parameter lies with us.
    """

    title: str
    kind: str
    roles: Mapping[str, Roles]
    ours: Mapping[str, str]


def _affine(title: str, kind: str, axes: str, bias: str = "o", **roles: str) -> _Example:
    """A layer with a weight and a bias."""
    named: Roles = {role: tuple(names.split()) for role, names in roles.items()}
    own = {"W": {**named, "A": tuple(axes.split())}, "bias": {"A": tuple(bias.split())}}
    return _Example(title, kind, own, {"W": "A", "bias": "A"})


def _canonical(kind: str, features: str, parts: str, made: str) -> _Example:
    """A layer whose parameters have axes in a known order."""
    letters = CANONICAL[kind]
    roles: Roles = {"D": (features,), "N": (parts,), "H": (made,)}
    return _Example(kind, kind, dict.fromkeys(letters, roles), letters)


def _examples(framework: Framework) -> Iterator[_Example]:
    image = "c h w" if framework.flatten == "NCHW" else "h w c"
    yield _affine("convolution", "conv", "k l c o", K="k l", C="c", O="o")
    yield _affine("in groups", "conv", "k l g c o", "g o", K="k l", G="g", C="c", O="o")
    depthwise = "depthwise" if "depthwise" in framework.layers else "conv"
    yield _affine("depthwise", depthwise, "k l c o", "c o", K="k l", G="c", O="o")
    yield _affine("transposed", "transposed", "k l c o", K="k l", C="c", O="o")
    yield _affine("dense", "dense", "c o", C="c", O="o")
    yield _affine("behind an image", "dense", "h w c o", C=image, O="o")
    yield _Example("embedding", "embedding", {"W": {"A": ("v", "d")}}, {"W": "A"})
    yield _canonical("lstm", "d", "gate", "h")
    yield _canonical("gru", "d", "gate", "h")
    yield _canonical("attention", "d", "n", "h")
    vector: Roles = {"A": ("c",), "F": ("c",)}
    roles = dict.fromkeys(("scale", "shift", "mean", "variance"), vector)
    yield _Example("batch norm", "batch_norm", roles, dict.fromkeys(roles, "A"))


def describe(framework: str) -> str:
    """Write down how a neighbour keeps weights: what is done when they are loaded, as strings.

    Args:
        framework: ``"torch"``, ``"keras"``, ``"tensorflow"``, ``"flax"``, ``"caffe"``,
            ``"theano"``.

    Returns:
        A line for each parameter: its layer, its name with us and there, and the string. In it a
        window has 5 elements along each axis, a recurrence as many gates as it has, and everything
        else 3.

    Raises:
        WeightsError: there is no such neighbour.

    Example:
        >>> print(describe("theano"))
        convolution      W     W  o c (4-k) (4-l) -> k l c o
                         bias  b  o -> o
        in groups        W     W  (g o) c (4-k) (4-l) -> k l g c o
                         bias  b  (g o) -> g o
        depthwise        W     W  (c o) (0) (4-k) (4-l) -> k l c o
                         bias  b  (c o) -> c o
        transposed       W     W  c o (4-k) (4-l) -> k l c o
                         bias  b  o -> o
        dense            W     W  c o -> c o
                         bias  b  o -> o
        behind an image  W     W  (c h w) o -> h w c o
                         bias  b  o -> o
        embedding        W     W  v d -> v d
    """
    known = framework_of(framework)
    rows = [row for example in _examples(known) for row in _rows(example, known)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pairs = ([*zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(text.ljust(n) for text, n in row).rstrip() for row in pairs)


def _rows(example: _Example, framework: Framework) -> Iterator[tuple[str, str, str, str]]:
    title = example.title
    for rows in framework.layers.get(example.kind, ())[:1]:
        for role in (role for role in rows if role in example.roles):
            for n, row in enumerate(rows[role]):
                text = _text(row, example, role, len(rows[role]))
                yield title, "" if n else role, row.entries[0], text
                title = ""


def _text(row: Row, example: _Example, role: str, parts: int) -> str:
    roles = example.roles[role]
    axes = [axis for role, names in roles.items() if role != "A" for axis in names]
    sizes = {axis: _SIZES[axis] for axis in (*axes, *roles.get("A", ()))}
    laid = layout(row.theirs, row.ours or example.ours[role], roles, sizes)
    if laid.homeless:
        return "-"
    return f"{laid}{_ADDED[row.added]}"
