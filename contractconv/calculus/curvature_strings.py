"""Curvature of a contraction layer: Gauss-Newton products, diagonals and Kronecker factors.

For a loss with Hessian ``H = Σ_r R_r R_rᵀ`` by the result, the generalised Gauss-Newton matrix by
operand ``n`` is ``Jᵀ H J`` (Schraudolph, "Fast curvature matrix-vector products", 2002). Its
product with a vector and its diagonal are contractions of the layer's own operands, each taken
twice; the second copy of an index ``k`` is written ``k_``. For a weight, KFC approximates it by a
Kronecker product (Grosse and Martens, "A Kronecker-factored approximate Fisher matrix for
convolution layers", 2016); a weight that is shared between places has the two forms *expand* and
*reduce* (Eschenhagen et al., "Kronecker-factored approximate curvature for modern neural network
architectures", 2023).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import sympy

from contractconv.calculus.backward import (
    derive,
    element,
    fixed_indices,
    roles_of,
    shares_of,
)
from contractconv.calculus.deltas import eliminate
from contractconv.calculus.derived_strings import Recipe, gathered, refuse_dots
from contractconv.calculus.letters import ONES, ROOT, cotangent, tangent, unused
from contractconv.calculus.symbols import index, is_plain
from contractconv.errors import ContractionError, SpecError
from contractconv.notation.affine import Affine
from contractconv.notation.carets import operand_label
from contractconv.notation.spec import (
    SUM,
    Composition,
    Spec,
    Term,
    composed_names,
    lone_names,
    unique_names,
)
from contractconv.reductions.table import REDUCTIONS

KINDS = ("expand", "reduce")

Roles = list[tuple[str, Term]]
"""What each operand is, and how it is read."""


class Layer:
    """A contraction seen as a layer, whose curvature by one operand is wanted.

    Args:
        forward: the contraction; a scatter in its output is turned into its gather form, if it
            has one.
        n: the position of the operand.
        batch: the indices that number independent examples; ``None`` for the result's first one.

    Raises:
        SpecError: an ellipsis.
        ContractionError: a batch index that the result does not have.
    """

    def __init__(self, forward: Spec, n: int, batch: Sequence[str] | None = None) -> None:
        refuse_dots(forward)
        self.spec = replace(
            gathered(forward) or forward, names=forward.names, result=forward.result
        )
        self.forward, self.n = forward, n
        self.others: Roles = roles_of(self.spec)
        self.name, self.target = self.others.pop(n - len(forward.inputs))
        self.kept = unique_names((self.spec.output,))
        self.batch = self._batch(batch)
        # A gather of a scatter has positions of the result for indices.
        self.result_axes = tuple(
            (name, axis)
            for axis, entry in enumerate(self.spec.output)
            for name in entry.names
            if name not in forward.indices
        )

    def _batch(self, given: Sequence[str] | None) -> tuple[str, ...]:
        # What lands on one element with another index is no example of its own.
        alone = {*lone_names((self.spec.output,)), *composed_names((self.spec.output,))}
        if given is None:
            return tuple(name for name in self.kept[:1] if name in alone)
        wrong = [name for name in given if name not in alone]
        if wrong:
            known = ", ".join(name for name in self.kept if name in alone) or "none"
            why = "has no axis of its own in" if wrong[0] in self.kept else "is not an index of"
            raise ContractionError(
                f"{wrong[0]!r} cannot number the examples of '{self.spec}': it {why} the "
                f"result, which has: {known}"
            )
        return tuple(dict.fromkeys(given))

    # -- products and diagonals ------------------------------------------------------------------

    def product(self, root: bool) -> Recipe:
        """The Gauss-Newton matrix times a vector ``V``; without a root the Hessian is one.

        Raises:
            SpecError: a scatter without a gather form, and no root.
        """
        if root:
            return self._product([self._root, *self.others], self.batch)
        self._check_gathered()
        lost = set(self.kept).difference(_names(self.others), unique_names((self.target,)))
        first, ones = self._with_ones(self.others, lost)
        return replace(self._product(first, self.kept), ones=ones)

    def _product(self, first: Roles, shared: Collection[str]) -> Recipe:
        prime = self._primes(name for name in self.spec.indices if name not in shared)
        moved = tangent(self.spec, self.name)
        terms = [*first, *_renamed([*first, (moved, self.target)], prime)]
        return self._recipe("HV", terms, self.target, prime, f"H{moved}")

    def diagonal(self, root: bool) -> Recipe:
        """The diagonal of the Gauss-Newton matrix, in the shape of the operand.

        Raises:
            SpecError: the gradient by the operand has no form that could be squared.
        """
        self._check_gathered()
        if root:
            return self._squared([self._root, *self.others], self.batch)
        return self._squared(self.others, self.kept)

    def _squared(self, first: Roles, shared: Sequence[str]) -> Recipe:
        """Both copies share some indices of the result; only the others may be solved for."""
        held = lone_names((*(term for _, term in first), self.target))
        lonely = set(self.spec.indices).difference(shared, held)
        first, ones = self._with_ones(first, lonely)
        derivative = derive(self.spec, self.n).derivative
        start = replace(
            derivative,
            summed=(*derivative.summed, *map(index, self._rank.names)),
            factors=tuple(element(r, term, shares_of(self.spec)) for r, term in first),
        )
        done = eliminate(start, {*fixed_indices(self.spec), *map(index, shared)})
        last = done[-1].equation if done else start
        if any(not _names_in(delta.expression) <= set(shared) for delta in last.deltas):
            raise SpecError(
                f"the gradient of '{self.spec}' by {operand_label(self.spec, self.n)} has no "
                f"gather form to be squared"
            )
        roles = [role for role, _ in first]
        first, output = [*zip(roles, last.spec.inputs, strict=True)], last.spec.output
        lost = set(shared).difference(_names(first), unique_names((output,)))
        first, more = self._with_ones(first, lost)
        same = {*shared, *unique_names((output,)), *self._rank.names}
        prime = self._primes(n for n in _names(first) if n not in same)
        terms = [*first, *_renamed(first, prime)]
        return replace(self._recipe("D", terms, output, prime), ones=(*ones, *more))

    def _check_gathered(self) -> None:
        if not is_plain(self.spec.output):
            raise SpecError(f"the scatter in the output of '{self.spec}' has no gather form")

    # -- Kronecker factors -----------------------------------------------------------------------

    def kronecker(self, kind: str) -> tuple[Recipe, Recipe]:
        """The Kronecker factors of a weight's curvature.

        Args:
            kind: ``"expand"`` takes each place where the weight is used for an example of its own
                (KFC); ``"reduce"`` adds the places up first.

        Returns:
            The factor over the weight's indices that are summed, from the other operands; and that
            over the indices which the weight alone gives to the result, from the cotangent.

        Raises:
            ContractionError: an unknown kind, or the operand is not a weight: each of its axes
                must be an index of its own, and no reduction but the sum will do.
        """
        self._check_gathered()
        self._check_weight(kind)
        mine, used = unique_names((self.target,)), _names(self.others)
        summed, made, shared = self.weight_indices
        groups = tuple(map(Affine.index, shared))
        batch, places = self.example_indices
        twice = places if kind == "reduce" else []
        hidden = [n for n in used if n not in mine and n not in self.kept]

        first, ones = self._with_ones(self.others, {*summed, *batch, *places}.difference(used))
        prime = self._primes([*summed, *hidden, *twice])
        output = (*groups, *_matrix(summed, prime))
        left = self._recipe("A", [*first, *_renamed(first, prime)], output, prime)

        second: Roles = [(cotangent(self.spec), self.spec.output)]
        prime = self._primes([*made, *twice])
        output = (*groups, *_matrix(made, prime))
        right = self._recipe("B", [*second, *_renamed(second, prime)], output, prime)
        # The curvature adds up examples, as the loss does: one factor sums, the other averages.
        counted = (twice + twice, []) if kind == "reduce" else ([], places)
        return (
            replace(left, scale=tuple(counted[0]), ones=ones),
            replace(right, scale=(*batch, *counted[1])),
        )

    @property
    def weight_indices(self) -> tuple[list[str], list[str], list[str]]:
        """The weight's indices: summed ones, those it alone gives to the result, groups."""
        mine, used = unique_names((self.target,)), _names(self.others)
        kept = [n for n in mine if n in self.kept]
        summed = [n for n in mine if n not in self.kept]
        return summed, [n for n in kept if n not in used], [n for n in kept if n in used]

    @property
    def example_indices(self) -> tuple[list[str], list[str]]:
        """The indices of the result that number examples, and the places within an example."""
        mine = unique_names((self.target,))
        batch = [n for n in self.batch if n not in mine]
        return batch, [n for n in self.kept if n not in mine and n not in batch]

    def input_factor(self, kind: str) -> Recipe:
        """The Kronecker factor from the other operands."""
        return self.kronecker(kind)[0]

    def output_factor(self, kind: str) -> Recipe:
        """The Kronecker factor from the cotangent."""
        return self.kronecker(kind)[1]

    def _check_weight(self, kind: str) -> None:
        if kind not in KINDS:
            raise ContractionError(f"unknown kind {kind!r}: choose one of {', '.join(KINDS)}")
        if not REDUCTIONS[self.spec.reduce].is_sum:
            raise ContractionError(
                f"Kronecker factors are for sums, not for reduce={self.spec.reduce!r}"
            )
        if not is_plain(self.target):
            raise ContractionError(
                f"Kronecker factors are for weights, whose axes are indices of their own; "
                f"{operand_label(self.spec, self.n)} of '{self.spec}' is read through "
                f"'{' '.join(map(str, self.target))}'"
            )

    # -- putting strings together ----------------------------------------------------------------

    @property
    def _root(self) -> tuple[str, Term]:
        """A root of the Hessian, with an axis for its columns in front."""
        return unused(self.spec, ROOT), (self._rank, *self.spec.output)

    @property
    def _rank(self) -> Affine:
        """The index that numbers the columns of a root."""
        return Affine.index(_free("r", {*self.spec.indices, *self.spec.parameters}))

    def _with_ones(self, terms: Roles, names: Collection[str]) -> tuple[Roles, tuple[str, ...]]:
        """Add an operand of ones for indices that would otherwise be lost, and not be counted.

        Returns:
            The terms, and the indices in the order of the new axes.
        """
        added = tuple(name for name in self.spec.indices if name in names)
        if not added:
            return terms, ()
        before = dict(terms).get(ONES, ())
        others = [(role, term) for role, term in terms if role != ONES]
        return [*others, (ONES, (*before, *map(Affine.index, added)))], added

    def _primes(self, names: Iterable[str]) -> dict[str, str]:
        taken = {*self.spec.indices, *self.spec.parameters, *self._rank.names}
        prime: dict[str, str] = {}
        for name in names:
            prime[name] = _free(f"{name}_", taken)
            taken.add(prime[name])
        return prime

    def _recipe(
        self, result: str, terms: Roles, output: Term, prime: dict[str, str], called: str = ""
    ) -> Recipe:
        roles, inputs = zip(*(terms or [(ONES, ())]), strict=True)
        spec = Spec(inputs, output, SUM, self.spec.parameters)
        copies = tuple((copy, name) for name, copy in prime.items() if copy in spec.indices)
        like = () if result in ("A", "B") else ("operand",)
        return Recipe(
            result, like, spec, roles, self.forward, self.n, copies, self.result_axes,
            rank=self._rank.names[0], called=called or unused(self.spec, result),
        )  # fmt: skip


def _names(terms: Roles) -> tuple[str, ...]:
    return unique_names(tuple(term for _, term in terms))


def _renamed(terms: Roles, names: Mapping[str, str]) -> Roles:
    return [(role, tuple(axis.renamed(names) for axis in term)) for role, term in terms]


def _matrix(names: Sequence[str], prime: Mapping[str, str]) -> Term:
    """Rows and columns: several indices are composed to one axis."""
    if not names:
        return ()
    copies = [prime[name] for name in names]
    if len(names) == 1:
        return Affine.index(names[0]), Affine.index(copies[0])
    return Composition(tuple(names)), Composition(tuple(copies))


def _names_in(expression: sympy.Expr) -> set[str]:
    return {symbol.name for symbol in expression.free_symbols if not symbol.is_nonnegative}


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name
