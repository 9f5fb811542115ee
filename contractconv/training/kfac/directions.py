"""The natural gradient: gradients between the inverses of Kronecker factors, as strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contractconv.api.tensor import Tensor, tensor
from contractconv.lazy import remembered
from contractconv.notation.spec import Spec, Term
from contractconv.programs.build import contract
from contractconv.programs.sizes import Extent, Size
from contractconv.training.kfac.sites import Site, as_axis


@dataclass(frozen=True)
class Inverses:
    """The inverses of both factors of a weight, as inputs of a program.

    Attributes:
        rows: of the input factor's inverse, the part of the weight's own rows.
        cross: the weight's rows by the row of the bias; ``None`` without a bias.
        corner: the row of the bias by itself.
        columns: the inverse of the output factor.
    """

    rows: Tensor
    cross: Tensor | None
    corner: Tensor | None
    columns: Tensor

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The inputs, in order."""
        found = (self.rows, self.cross, self.corner, self.columns)
        return tuple(t for t in found if t is not None)

    @staticmethod
    def of(site: Site, name: str) -> Inverses:
        """The inputs for a weight that is called so."""
        matrix = site.matrix
        groups = [f"group_{n}" for n in range(len(matrix.groups))]
        row, column = (["row"] if matrix.rows else []), (["column"] if matrix.columns else [])
        rows = tensor(f"{name}_rows", [*groups, *row, *(f"{n}_2" for n in row)])
        columns = tensor(f"{name}_columns", [*groups, *column, *(f"{n}_2" for n in column)])
        if site.bias is None:
            return Inverses(rows, None, None, columns)
        cross, corner = tensor(f"{name}_cross", [*groups, *row]), tensor(f"{name}_corner", groups)
        return Inverses(rows, cross, corner, columns)


@dataclass(frozen=True)
class Direction:
    """How a gradient is preconditioned: ``A⁻¹ G B⁻¹``, in the language of strings.

    Without a bias there is one string. With one, its gradient is the last row of ``G``: what comes
    out of the weight's rows and of that row is added up.

    Attributes:
        site: where the weight stands.

    Example:
        >>> import contractconv as cc
        >>> from contractconv.training.kfac.sites import sites_of
        >>> x, W = cc.tensor("x", "b h c"), cc.tensor("W", "k c o")
        >>> (site,) = sites_of(cc.contract("b (i+k) c, k c o -> b i o", x, W), [W])
        >>> print(Direction(site))
        (k c) (k_ c_), k_ c_ o_, o_ o -> k c o
    """

    site: Site

    @remembered
    def specs(self) -> tuple[Spec, ...]:
        """Weight from weight; with a bias also weight from bias, bias from weight and from bias."""
        matrix, term = self.site.matrix, self.site.layer.target
        prime, half = self._primes, {name: self._primes[name] for name in matrix.columns}
        groups, row, column = matrix.group_term, as_axis(matrix.rows), as_axis(matrix.columns)
        rows = (*groups, *row, *_renamed(row, prime))
        columns = (*groups, *_renamed(column, prime), *column)
        whole = Spec((rows, _renamed(term, prime), columns), term)
        if self.site.bias is None:
            return (whole,)
        bias, cross = self.site.bias_term, (*groups, *row)
        return (
            whole,
            Spec((cross, _renamed(bias, prime), columns), term),
            Spec((cross, _renamed(term, half), columns), bias),
            Spec((groups, _renamed(bias, prime), columns), bias),
        )

    @remembered
    def _primes(self) -> dict[str, str]:
        return self.site.matrix.primes(self.site.layer.spec.indices)

    def __call__(self, gradients: Sequence[Tensor], inverses: Inverses) -> list[Tensor]:
        """Precondition the gradients by the weight, and by the bias if there is one."""
        weight, *bias = gradients
        left = [inverses.rows] if inverses.cross is None else [
            inverses.rows, inverses.cross, inverses.cross, inverses.corner
        ]  # fmt: skip
        middle = [weight, *bias, weight, *bias] if bias else [weight]
        made = [
            self._contracted(spec, (first, gradient, inverses.columns))
            for spec, first, gradient in zip(self.specs, left, middle, strict=True)
        ]
        pairs = [made[n : n + 2] for n in (0, 2)] if bias else [made]
        return [_added(pair, like) for pair, like in zip(pairs, self.site.parameters, strict=True)]

    def _contracted(self, spec: Spec, operands: Sequence[Tensor | None]) -> Tensor:
        nodes = [operand._node for operand in operands if operand is not None]
        sizes = {name: size for name, size in self._sizes.items() if name in spec.indices}
        return Tensor(contract(spec, nodes, sizes))

    @remembered
    def _sizes(self) -> dict[str, Size]:
        """The extents of the weight's indices, and of their second names."""
        weight, term = self.site.weight, self.site.layer.target
        names = [name for axis in term for name in axis.names]
        known = {
            n: Size.of(Extent(weight._node, axis))
            for n, axis in zip(names, weight.axes, strict=True)
        }
        return known | {second: known[first] for first, second in self._primes.items()}

    def __str__(self) -> str:
        return "\n".join(map(str, self.specs))


def _renamed(term: Term, names: Mapping[str, str]) -> Term:
    return tuple(axis.renamed(names) for axis in term)


def _added(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    first, *others = (part.named(like.axes) for part in parts)
    return sum(others, start=first)
