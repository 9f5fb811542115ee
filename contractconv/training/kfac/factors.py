"""Kronecker factors of weights, as tensors of a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from contractconv.api.tensor import Tensor
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Spec, operand_names
from contractconv.programs.build import contract, joined, plain_spec
from contractconv.programs.nodes import Contract, Length, Node, Number
from contractconv.programs.sizes import Extent, Size
from contractconv.training.kfac.sites import Site, as_axis

if TYPE_CHECKING:
    from contractconv.calculus.derived_strings import Recipe


@dataclass(frozen=True)
class InputFactor:
    """The factor ``A`` over the rows of a weight, the bias among them: an average over examples.

    Attributes:
        rows: of the weight's own rows, ``"g... row row_"``.
        cross: the weight's rows by the row of the bias, ``"g... row"``; ``None`` without a bias.
        corner: the bias by itself, a number.
    """

    rows: Tensor
    cross: Tensor | None = None
    corner: Tensor | None = None

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The tensors that it is made of."""
        return tuple(t for t in (self.rows, self.cross, self.corner) if t is not None)


def input_factor(site: Site, kind: str) -> InputFactor:
    """The input factor of a weight, for a mean over examples.

    Args:
        site: where the weight stands.
        kind: ``"expand"`` or ``"reduce"``.

    Returns:
        With ``a`` the window at one of ``T`` places of each of ``N`` examples, followed by a one
        if there is a bias, ``1/N Σ a aᵀ`` over examples and places; of ``reduce``
        ``1/N Σ ā āᵀ`` over examples, where ``ā`` is the mean over places.

    Raises:
        ContractionError: there are no Kronecker factors of this weight, or an unknown kind.
    """
    recipe = site.layer.input_factor(kind)
    examples, places = counts(site)
    rows = placed(recipe, site.forward) / examples
    if site.bias is None:
        return InputFactor(rows)
    # A window that leaves the array has zeros there; what is added to it has none.
    windows = placed(_first_copy(recipe, site), site.forward, summed_first=True) / examples
    if kind == "reduce":
        return InputFactor(rows, windows / places, places / places)
    return InputFactor(rows, windows, places)


def output_factor(site: Site, cotangents: Sequence[Tensor], kind: str, terms: Tensor) -> Tensor:
    """The output factor of a weight, for a mean over some terms.

    Args:
        site: where the weight stands.
        cotangents: what comes back to ``z`` of that mean; one for each column of a root of the
            loss's Hessian, or a single one that is drawn.
        kind: ``"expand"`` or ``"reduce"``.
        terms: of how many terms the loss is the mean.

    Returns:
        ``"g... column column_"``: ``M Σ g gᵀ`` with ``M`` the number of terms and ``g`` what comes
        back of their mean, so that the average of single terms' own ``g gᵀ`` is meant. Of
        ``expand`` that is the average over places, of ``reduce`` ``g`` is summed over them first.
    """
    recipe = replace(site.layer.output_factor(kind), scale=())
    found = [placed(recipe, site.forward, {"G": g._node}) for g in cotangents]
    _, places = counts(site)
    return total(found) * terms / (places if kind == "expand" else 1)


def counts(site: Site) -> tuple[Tensor, Tensor]:
    """How many examples there are, and at how many places of each the weight is used."""
    batch, places = site.layer.example_indices
    known = _extents(site.forward, site.layer.result_axes)
    return _product([known[n] for n in batch]), _product([known[n] for n in places])


def total(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of tensors, one or more."""
    return Tensor(joined("add", [tensor._node for tensor in tensors]))


def placed(
    recipe: Recipe,
    forward: Contract,
    given: Mapping[str, Node] | None = None,
    summed_first: bool = False,
) -> Tensor:
    """A recipe, derived from a contraction, as a tensor of its program.

    Args:
        recipe: the recipe.
        forward: the contraction.
        given: what has a role beside the operands, by role.
        summed_first: whether an operand is summed over whole axes before its windows are read.
    """
    known = _extents(forward, recipe.result_axes)
    known |= {copy: known[original] for copy, original in recipe.copies}
    operands = dict(zip(operand_names(len(forward.operands)), forward.operands, strict=True))
    nodes: dict[str, Node] = {**operands, **(given or {})}
    if recipe.ones:
        nodes["1"] = _ones({name: known[name] for name in recipe.ones})
    taken = [nodes[role] for role in recipe.roles]
    spec, taken = _summed(recipe.spec, taken) if summed_first else (recipe.spec, taken)
    made = Tensor(contract(spec, taken, {name: known[name] for name in _untold(spec)}))
    return made / _product([known[n] for n in recipe.scale]) if recipe.scale else made


def _first_copy(recipe: Recipe, site: Site) -> Recipe:
    """The windows themselves, summed: of the two copies in an input factor, the first."""
    half = len(recipe.roles) // 2
    output = (*site.matrix.group_term, *as_axis(site.matrix.rows))
    spec = replace(recipe.spec, inputs=recipe.spec.inputs[:half], output=output)
    return replace(recipe, spec=spec, roles=recipe.roles[:half], copies=(), scale=())


def _extents(forward: Contract, result_axes: Sequence[tuple[str, int]]) -> dict[str, Size]:
    """The extents of indices, and values of parameters, of what is derived from a contraction."""
    known = {name: Size.of(Extent(forward, name, True)) for name in forward.spec.indices}
    known |= {n: size for n, size in forward.extents if n in forward.spec.parameters}
    return known | {n: Size.of(Extent(forward, forward.axes[axis])) for n, axis in result_axes}


def _ones(sizes: Mapping[str, Size]) -> Node:
    spec = Spec(((),), tuple(map(Affine.index, sizes)))
    return contract(spec, [Number((), value=1)], sizes)


def _summed(spec: Spec, operands: Sequence[Node]) -> tuple[Spec, list[Node]]:
    """Sum operands over axes that no other term has: examples are added up before windows are."""
    terms, nodes = list(spec.inputs), list(operands)
    used = Counter(name for term in spec.terms for axis in term for name in axis.names)
    for n, (term, node) in enumerate(zip(spec.inputs, operands, strict=True)):
        kept = [m for m, axis in enumerate(term) if not axis.plain or used[axis.plain] > 1]
        if len(kept) < len(term):
            axes = tuple(node.axes[m] for m in kept)
            nodes[n] = contract(plain_spec([node.axes], axes), [node])
            terms[n] = tuple(term[m] for m in kept)
    return replace(spec, inputs=tuple(terms)), nodes


def _untold(spec: Spec) -> list[str]:
    """What no operand has a whole axis for, and parameters."""
    told = {axis.plain for term in spec.inputs for axis in term}
    return [name for name in (*spec.indices, *spec.parameters) if name not in told]


def _product(sizes: Sequence[Size]) -> Tensor:
    lengths = [Length((), size=size) for size in sizes]
    return Tensor(joined("multiply", lengths) if lengths else Number((), value=1))
