"""How a layer connects what comes in with what it makes, in words that its string gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

from contractconv.calculus.derivation_steps import listed
from contractconv.layers.fans import columns
from contractconv.layers.records import Parameter, Product
from contractconv.notation.affine import Affine
from contractconv.notation.spec import Spec, Term, unique_names


@dataclass(frozen=True)
class Connection:
    """What the indices of a weight do in a contraction.

    Attributes:
        weight: the weight.
        extents: of all indices.
        joined: those that are added up, and are no places within a window: channels that come in.
        made: those that the weight alone gives to the result: channels that are made.
        taps: places within a window.
        groups: those of the weight that all have: groups, or channels that stay by themselves.
        reused: those of the result that the weight does not have: it is the same for all of them.
    """

    weight: Parameter
    extents: Mapping[str, int]
    joined: tuple[str, ...]
    made: tuple[str, ...]
    taps: tuple[str, ...]
    groups: tuple[str, ...]
    reused: tuple[str, ...]

    def sentences(self) -> Iterator[str]:
        """Say it."""
        yield self._connected()
        if self._is_flat:
            yield self._unflattened()
        if self.reused:
            lacks, all_of_them = _listed(self.reused), self._counted(self.reused)
            yield f"{self._name} has no {lacks}: the same weights serve for all {all_of_them}."

    def back(self, source: str) -> str:
        """Say what comes back to what comes in."""
        whom = f"all {self._counted(self.made)}" if self.made else "everything"
        through = "kernels" if self.taps else "weights"
        said = f"Each element of {source} collects from {whom} that it went into"
        said += f", by the same {through}."
        if self._is_flat:
            said += (
                f" It is an array along {_listed(self.joined)} as before: nothing is folded back."
            )
        return said

    def learnt(self) -> str:
        """Say what comes back to the weight."""
        if not self.reused:
            return f"Each weight of {self._name} was used once, and hears from there."
        uses = self._counted(self.reused)
        return f"Each weight of {self._name} was used for {uses}; it adds up what they say."

    @property
    def _is_flat(self) -> bool:
        """Whether it does what elsewhere is done by flattening."""
        return len(self.joined) > 1 and not self.taps

    @property
    def _name(self) -> str:
        return self.weight.path[-1]

    def _connected(self) -> str:
        said = f"{self._pairs()}: {prod(self.weight.shape):,} weights."
        within = f"within each of {self._counted(self.groups)}, " if self.groups else ""
        whole = within + said if self.joined or self.made else said
        return whole[0].upper() + whole[1:]

    def _pairs(self) -> str:
        joined, made = self._counted(self.joined), self._counted(self.made)
        if joined and made:
            pairs = "×".join(f"{prod(self._sizes(names)):,}" for names in (self.joined, self.made))
            return (
                f"each of the {made} is made of all {joined}, each of {pairs} pairs {self._own()}"
            )
        if joined:
            return f"all {joined} are added up, each {self._own()}"
        if made:
            return f"there are {made}, each {self._own()}"
        return f"each of the {self._counted(self.groups)} stands for itself, {self._own()}"

    def _own(self) -> str:
        if not self.taps:
            return "with a weight of its own"
        size = "×".join(map(str, self._sizes(self.taps)))
        return f"with a kernel of its own, {size} weights along {_listed(self.taps)}"

    def _unflattened(self) -> str:
        axes, size = _listed(self.joined), prod(self._sizes(self.joined))
        flat = f"Flattened, ({' '.join(self.joined)}) would be one axis of {size:,}"
        matrix = f"{self._name} a matrix of as many rows, with the same numbers in it"
        return f"Nothing is flattened: the sum runs over {axes} at once. {flat}, and {matrix}."

    def _sizes(self, names: Iterable[str]) -> list[int]:
        return [self.extents[name] for name in names]

    def _counted(self, names: tuple[str, ...]) -> str:
        """How many values indices have, with their names."""
        return f"{self._many(names)} {' '.join(names)}" if names else ""

    def _many(self, names: tuple[str, ...]) -> str:
        sizes = self._sizes(names)
        product = "·".join(f"{n:,}" for n in sizes)
        return f"{product} = {prod(sizes):,}" if len(sizes) > 1 else product


def connections(product: Product, spec: Spec, extents: Mapping[str, int]) -> list[Connection]:
    """Find what the weights of a contraction do.

    Args:
        product: the contraction, and which of its operands are weights.
        spec: its string, without parameters.
        extents: of its indices.
    """
    return [
        _connection(parameter, n, product, spec, extents)
        for n, parameter in product.weights.items()
    ]


def _connection(
    parameter: Parameter, n: int, product: Product, spec: Spec, extents: Mapping[str, int]
) -> Connection:
    given = [term for m, term in enumerate(spec.inputs) if m not in product.weights]
    mine = unique_names((spec.inputs[n],))
    moving = _windowed([*given, spec.output])
    found = columns(spec, n)
    taps = tuple(name for name in mine if name in moving and name not in found.groups)
    data = unique_names(tuple(given))
    return Connection(
        parameter,
        extents,
        joined=tuple(name for name in found.summed if name not in taps),
        made=tuple(name for name in found.made if name not in taps),
        taps=taps,
        groups=found.groups,
        reused=tuple(a for a in unique_names((spec.output,)) if a in data and a not in mine),
    )


def _listed(names: Iterable[str]) -> str:
    return listed(list(names))


def _windowed(terms: Iterable[Term]) -> set[str]:
    """The indices that stand on an axis with others, added to them."""
    axes = (axis for term in terms for axis in term if isinstance(axis, Affine))
    return {name for axis in axes if len(axis.terms) > 1 for name in axis.names}
