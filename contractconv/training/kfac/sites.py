"""Where weights stand in a network: the contractions that read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from contractconv.api.tensor import Tensor
from contractconv.errors import ContractionError, OperandError
from contractconv.lazy import remembered
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Axis, Composition, Spec, Term, unique_names
from contractconv.programs.build import contract, sizes_of, unused
from contractconv.programs.nodes import Contract, Named, Node

if TYPE_CHECKING:
    from contractconv.calculus.curvature_strings import Layer
    from contractconv.layers.records import Product


@dataclass(frozen=True)
class Site:
    """A weight where one contraction reads it.

    Attributes:
        forward: the contraction.
        position: which of its operands the weight is.
        z: the contraction's result, before bias and map; what is differentiated by.
        weight: the weight, an input of the program.
        bias: what is added to ``z``, if it is a row of the same block.
        batch: the indices of the string that number examples; ``None`` for the first one.
    """

    forward: Contract
    position: int
    z: Tensor
    weight: Tensor
    bias: Tensor | None = None
    batch: tuple[str, ...] | None = None

    @remembered
    def layer(self) -> Layer:
        """The contraction seen as a layer, whose curvature by the weight is wanted."""
        from contractconv.calculus.curvature_strings import Layer  # sympy is slow to import

        return Layer(self.forward.spec, self.position, self.batch)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """What is trained here: the weight, and the bias if there is one."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    @property
    def bias_term(self) -> Term:
        """The axes of the bias, as the string calls them.

        Raises:
            OperandError: the bias has an axis that ``z`` lacks.
        """
        return () if self.bias is None else _term_of(self.bias, self.z, self.layer.spec)

    @property
    def has_factors(self) -> bool:
        """Whether the weight has Kronecker factors: a sum of products, each axis an index."""
        with suppress(ContractionError):
            self.layer.kronecker("expand")
            return True
        return False

    @remembered
    def matrix(self) -> Matrix:
        """How the weight is read as a matrix for each group."""
        summed, made, groups = self.layer.weight_indices
        return Matrix(tuple(groups), tuple(summed), tuple(made))

    def largest(self, shape: Sequence[int]) -> int:
        """The greater number of rows, or columns, of a weight of some shape."""
        sizes = dict(zip(unique_names((self.layer.target,)), shape, strict=True))
        counted = (self.matrix.rows, self.matrix.columns)
        return max(prod(sizes[name] for name in names) for names in counted)

    @property
    def is_homogeneous(self) -> bool:
        """Whether the bias has an element for each column of each group, and so is a row."""
        names = unique_names((self.bias_term,))
        return sorted(names) == sorted((*self.matrix.groups, *self.matrix.columns))


@dataclass(frozen=True)
class Matrix:
    """A weight as a matrix for each group: rows are summed, columns are given to the result.

    Attributes:
        groups: the indices that the weight shares with both other operands and result.
        rows: those that are summed.
        columns: those that the weight alone gives to the result.
    """

    groups: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All indices of the weight."""
        return (*self.groups, *self.rows, *self.columns)

    def primes(self, taken: Iterable[str]) -> dict[str, str]:
        """Other names for rows and columns, which are multiplied by a matrix."""
        found: dict[str, str] = {}
        for name in (*self.rows, *self.columns):
            found[name] = unused(f"{name}_", {*self.names, *taken, *found.values()})
        return found

    @property
    def group_term(self) -> Term:
        """The axes that number groups."""
        return tuple(map(Affine.index, self.groups))


def as_axis(names: Sequence[str]) -> Term:
    """Some indices on one axis; none on no axis."""
    if len(names) == 1:
        return (Affine.index(names[0]),)
    return (Composition(tuple(names)),) if names else ()


def sites_of(
    z: Tensor,
    weights: Sequence[Tensor],
    bias: Tensor | None = None,
    batch: Sequence[str] | None = None,
) -> list[Site]:
    """Find the weights that a contraction reads.

    A factorised kernel has several, of which each is a weight of a layer whose other operands are
    given. What has no Kronecker factors is left out: a weight that is read through windows, or
    behind another reduction than the sum. The bias is a row of the first weight that gives the
    result the bias's axes; otherwise it is a weight of its own, of a layer that repeats it.

    Args:
        z: the contraction's result, before bias and map.
        weights: those of its operands that are trained.
        bias: what is added to ``z``, aligned by the names of axes.
        batch: the indices of the string that number examples; by default its result's first one.

    Raises:
        OperandError: ``z`` is not the result of a contraction, or it does not read a weight.

    Example:
        >>> import contractconv as cc
        >>> x, W, bias = cc.tensor("x", "b i"), cc.tensor("W", "i o"), cc.tensor("bias", "o")
        >>> (site,) = sites_of(cc.contract("b i, i o -> b o", x, W), [W], bias)
        >>> site.matrix
        Matrix(groups=(), rows=('i',), columns=('o',))
    """
    forward, numbers = _contraction(z), None if batch is None else tuple(batch)
    found: list[Site] = []
    for weight in weights:
        site = Site(forward, _position(forward, weight), z, weight, None, numbers)
        if not site.has_factors:
            continue
        joined = replace(site, bias=bias)
        takes = bias is not None and joined.is_homogeneous
        found.append(joined if takes else site)
        bias = None if takes else bias
    return [*found, _repeating(found[0], bias)] if found and bias is not None else found


def sites_of_product(product: Product, batch: Sequence[str] | None = None) -> list[Site]:
    """The same for a contraction with weights that a layer has asked for.

    Args:
        product: of a traced network, as a call of a part lists them.
        batch: the indices of its string that number examples.
    """
    weights = [weight.tensor for weight in product.weights.values() if weight.trained]
    bias = product.bias.tensor if product.bias is not None and product.bias.trained else None
    return sites_of(product.result, weights, bias, batch)


def _repeating(site: Site, bias: Tensor) -> Site:
    """A bias as the weight of a layer that repeats it over a result."""
    whole = site.layer.spec.output
    spec = Spec((_term_of(bias, site.z, site.layer.spec),), whole)
    forward = contract(spec, [bias._node], shape=sizes_of(site.z._node))
    return Site(forward, 0, site.z, bias, None, site.layer.batch)


def _term_of(bias: Tensor, z: Tensor, spec: Spec) -> Term:
    stand: dict[str, Axis] = dict(zip(z.axes, spec.output, strict=True))
    wrong = [name for name in bias.axes if name not in stand]
    if wrong:
        raise OperandError(
            f"the bias is along '{' '.join(bias.axes)}', but '{spec}' has no axis {wrong[0]!r}"
        )
    return tuple(stand[name] for name in bias.axes)


def _contraction(z: Tensor) -> Contract:
    node = _unnamed(z._node)
    if isinstance(node, Contract):
        return node
    raise OperandError(f"{z!r} is not the result of a contraction, so it has no Kronecker factors")


def _position(forward: Contract, weight: Tensor) -> int:
    operands = [_unnamed(operand) for operand in forward.operands]
    if operands.count(weight._node) == 1:
        return operands.index(weight._node)
    raise OperandError(
        f"'{forward.spec}' reads {weight!r} {operands.count(weight._node)} times: once is needed"
    )


def _unnamed(node: Node) -> Node:
    return node.source if isinstance(node, Named) else node
