"""Layers of every kind, and their Fisher matrices from Jacobians that are written out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from oracle import evaluate

import contractconv as cc
from contractconv.training.kfac.sites import Site, sites_of

Array = NDArray[Any]

SIZES = {
    "b": 3,
    "i": 3,
    "j": 2,
    "k": 2,
    "l": 2,
    "c": 2,
    "g": 2,
    "o": 3,
    "r": 2,
    "h": 2,
    "w": 3,
    "t": 2,
}


@dataclass(frozen=True)
class Case:
    """A layer, and what the axes of one of its weights are.

    Attributes:
        string: the contraction.
        data: the shape of what comes in; weights have an index on each axis.
        groups, rows, columns: the axes of the weight.
        position: of the weight.
        bias: the axes of the bias, compositions taken apart; nothing for no bias.
        result: the axes of the result, if they are not called what the string calls them.
        sizes: extents that differ from the usual ones.
        given: what is said beside the operands: extents, and values of parameters.
    """

    string: str
    data: tuple[int, ...]
    groups: str
    rows: str
    columns: str
    position: int = 1
    bias: str = ""
    result: str = ""
    sizes: tuple[tuple[str, int], ...] = ()
    given: tuple[tuple[str, int], ...] = ()

    @property
    def extents(self) -> dict[str, int]:
        """The extent of every index."""
        return SIZES | dict(self.sizes)

    @property
    def terms(self) -> list[str]:
        """The terms of the operands."""
        return self.string.split(" -> ")[0].split(", ")

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the operands."""
        return [self.data, *(self.shape(term) for term in self.terms[1:])]

    @property
    def axes(self) -> list[list[str]]:
        """The names on each axis of the result: several on a composition."""
        text = self.result or self.string.split(" -> ")[1]
        return [axis.strip("()").split() for axis in re.findall(r"\([^)]*\)|\w+", text)]

    @property
    def names(self) -> list[str]:
        """The names of the indices of the result."""
        return [name for axis in self.axes for name in axis]

    @property
    def places(self) -> str:
        """The indices of the result that number places within an example."""
        taken = {"b", *self.groups.split(), *self.columns.split()}
        return " ".join(name for name in self.names if name not in taken)

    def shape(self, names: str) -> tuple[int, ...]:
        """The extents of some indices."""
        return tuple(self.extents[name] for name in names.split())

    def size(self, names: str) -> int:
        """The product of the extents of some indices."""
        return prod(self.shape(names))


CP = "b (i+k) c, k r, c r, o r -> b i o"
CASES = {
    "dense": Case("b c, c o -> b o", (3, 2), "", "c", "o", bias="o"),
    "turned": Case("b c, o c -> b o", (3, 2), "", "c", "o", bias="o"),
    "flatten": Case("b h w c, h w c o -> b o", (3, 2, 3, 2), "", "h w c", "o", bias="o"),
    "any_rank": Case("b t c, c o -> b t o", (3, 2, 2), "", "c", "o", bias="o"),
    "strided": Case(
        "b (2*i+k-1) c, k c o -> b i o", (3, 6, 2), "", "k c", "o", bias="o",
        sizes=(("i", 4),),
    ),
    "told": Case(
        "b (i+k-2) c, k c o -> b i o", (3, 3, 2), "", "k c", "o", bias="o",
        sizes=(("i", 5),), given=(("i", 5),),
    ),
    "parameter": Case(
        "b (s*i+k) c, k c o -> b i o", (3, 6, 2), "", "k c", "o", bias="o", given=(("s", 2),)
    ),
    "dilated": Case(
        "b (i+2*k) (j+l-1) c, k l c o -> b i j o", (3, 5, 2, 2), "", "k l c", "o", bias="o",
        sizes=(("j", 3),),
    ),
    "grouped": Case("b (i+k) g c, k g c o -> b i g o", (3, 4, 2, 2), "g", "k c", "o", bias="g o"),
    "composed": Case(
        "b (i+k) (g c), k g c o -> b i (g o)", (3, 4, 4), "g", "k c", "o", bias="g o"
    ),
    "depthwise": Case("b (i+k) c, k c -> b i c", (3, 4, 2), "c", "k", "", bias="c"),
    "transposed": Case(
        "b i g c, k g c o -> b (2*i+k) g o", (3, 2, 2, 2), "g", "k c", "o", bias="g o",
        result="b h g o", sizes=(("i", 2), ("h", 4)),
    ),
    "local": Case("b (i+k) c, i k c o -> b i o", (3, 4, 2), "i", "k c", "o", bias="i o"),
    "scale": Case("b i c, c -> b i c", (3, 3, 2), "c", "", "", bias="c"),
    "taps": Case(CP, (3, 4, 2), "", "k r", "", position=1),
    "channels": Case(CP, (3, 4, 2), "", "c r", "", position=2),
    "features": Case(CP, (3, 4, 2), "", "r", "o", position=3, bias="o"),
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A case with numbers.

    Attributes:
        case: the case.
        arrays: an array for each operand.
        inputs: the same by the names of the program's inputs, with the bias.
        site: where the weight stands in the program.
    """

    case: Case
    arrays: tuple[Array, ...]
    inputs: dict[str, Array]
    site: Site

    def fisher(self, cotangent: Array, kind: str) -> Iterator[Array]:
        """The Fisher matrix of each group, a sum over examples: rows, the bias last, by columns.

        Args:
            cotangent: a number for each group and column, the same at all examples and places.
            kind: ``"expand"`` takes each place for an example of its own.
        """
        jacobian, columns = self._jacobian(), self.case.size(self.case.columns)
        for group, slope in enumerate(cotangent):
            own = jacobian[:, :, group, :, group]
            if self.case.bias:
                bias = np.broadcast_to(np.eye(columns)[:, None], (*own.shape[:3], 1, columns))
                own = np.concatenate([own, bias], 3)
            back = np.einsum("btpmo,p->btmo", own, slope)
            back = back.sum(1, keepdims=True) if kind == "reduce" else back
            flat = back.reshape(-1, own.shape[3] * columns)
            yield flat.T @ flat

    def _jacobian(self) -> Array:
        """By the weight: example, place, group and column of the result; group, row, column."""
        case, shape = self.case, self.case.shapes[self.case.position]
        units = np.eye(prod(shape)).reshape(-1, *shape)
        whole = np.stack([self._result(unit) for unit in units], -1)
        whole = whole.reshape(*(case.extents[name] for name in case.names), *shape)
        term, count = case.terms[case.position].split(), len(case.names)
        first = f"b {case.places} {case.groups} {case.columns}".split()
        last = f"{case.groups} {case.rows} {case.columns}".split()
        order = [*map(case.names.index, first), *(count + term.index(name) for name in last)]
        parts = (case.places, case.groups, case.columns, case.groups, case.rows, case.columns)
        return whole.transpose(order).reshape(-1, *map(case.size, parts))

    def _result(self, weight: Array) -> Array:
        case = self.case
        arrays = [weight if n == case.position else a for n, a in enumerate(self.arrays)]
        string = re.sub(r"\bs\b", str(dict(case.given).get("s")), case.string)
        names = set(re.findall(r"[a-z]", string))
        shape = [case.size(" ".join(axis)) for axis in case.axes]
        extents = {name: size for name, size in case.extents.items() if name in names}
        return evaluate(string, arrays, extents, shape)


def drawn(case: Case, seed: int = 0) -> Drawn:
    """A case with random numbers."""
    rng = np.random.default_rng(seed)
    arrays = tuple(rng.standard_normal(shape) for shape in case.shapes)
    tensors = [
        cc.tensor(name, [f"{name}{n}" for n in range(len(shape))])
        for name, shape in zip("xwvu", case.shapes, strict=False)
    ]
    given = dict(case.given)
    forward = cc.Contraction(case.string, parameters="s" if "s" in given else ())
    z = forward(*tensors, **given)
    axes = [
        name for name, axis in zip(z.axes, case.axes, strict=True) if {*axis} & {*case.bias.split()}
    ]
    bias = cc.tensor("bias", axes) if axes else None
    (site,) = sites_of(z, [tensors[case.position]], bias)
    inputs = {str(t.label): a for t, a in zip(tensors, arrays, strict=True)}
    return Drawn(case, arrays, inputs, site)
