"""Contractions in the text of a program, read as nodes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from contractconv.notation.parser import as_reduction, parse
from contractconv.notation.spec import SUM, Spec
from contractconv.programs.build import contract
from contractconv.programs.nodes import Node
from contractconv.programs.sizes import Size
from contractconv.programs.text.words import KEYWORDS
from contractconv.reductions.table import REDUCTIONS

if TYPE_CHECKING:
    from contractconv.programs.text.values import Values


class Contraction:
    """Reads one call of ``contract`` or ``local``.

    Args:
        values: reads what it is called with.
        tree: the call.
    """

    def __init__(self, values: Values, tree: ast.Call) -> None:
        self._values, self._source, self._tree = values, values.source, tree
        self._told = {key.arg: key.value for key in tree.keywords if key.arg in KEYWORDS}

    def node(self) -> Node:
        """The contraction."""
        if not self._tree.args:
            raise self._source.error(self._tree, "a contraction starts with its string")
        local = isinstance(self._tree.func, ast.Name) and self._tree.func.id == "local"
        spec = self._spec(self._tree.args[0])
        if local and REDUCTIONS[spec.reduce].is_sum:
            hint = 'local(...) is that of reduce="max" and others'
            raise self._source.error(self._tree, "the local derivative of a sum is one", hint)
        operands = [self._values.node(operand) for operand in self._tree.args[1:]]
        shape, like = self._shape()
        return contract(spec, operands, self._extents(), shape, local, like)

    def _spec(self, first: ast.expr) -> Spec:
        text, parameters = self._values.text(first, "a contraction"), self._word("parameters", "")
        reduce = self._word("reduce", SUM)
        with self._source.pointing(self._told.get("reduce", first)):
            as_reduction(reduce)
        with self._source.pointing(first):
            return parse(text, reduce, parameters)

    def _word(self, keyword: str, otherwise: str) -> str:
        if keyword not in self._told:
            return otherwise
        return self._values.text(self._told[keyword], f"{keyword}=")

    def _shape(self) -> tuple[list[Size] | None, Node | None]:
        """The sizes of the result, or the node that has them."""
        like = self._told.get("like")
        sizes = self._told.get("output_shape")
        if sizes is None:
            return None, None if like is None else self._values.node(like)
        if like is not None:
            raise self._source.error(like, "like= and output_shape= say the same")
        if not isinstance(sizes, (ast.Tuple, ast.List)):
            raise self._source.error(sizes, "output_shape= is a size for each axis: (3, 4)")
        return [self._values.size(size) for size in sizes.elts], None

    def _extents(self) -> dict[str, Size]:
        found: dict[str, Size] = {}
        for name, tree in self._given():
            if name in found:
                raise self._source.error(tree, f"{name} is given twice")
            found[name] = self._values.size(tree)
        return found

    def _given(self) -> Iterator[tuple[str, ast.expr]]:
        """Extents by keyword, then those in a mapping."""
        for keyword in self._tree.keywords:
            if keyword.arg is None:
                raise self._source.error(keyword, "keywords are written out, one by one")
            if keyword.arg not in KEYWORDS:
                yield keyword.arg, keyword.value
        mapping = self._told.get("extents", ast.Dict([], []))
        if not isinstance(mapping, ast.Dict):
            raise self._source.error(mapping, 'extents= is written as {"i": 3}')
        for key, value in zip(mapping.keys, mapping.values, strict=True):
            yield self._values.text(value if key is None else key, "the name of an index"), value
