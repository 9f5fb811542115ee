"""What is trained, and on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from contractconv.api.tensor import Tensor
from contractconv.errors import ParameterError
from contractconv.training.kfac.fisher import Likelihood
from contractconv.training.kfac.sites import Site


@dataclass(frozen=True, eq=False)
class Objective:
    """A loss that is made smaller, and where the weights stand in it.

    Attributes:
        loss: a number, the mean of negative logarithms of a likelihood.
        likelihood: which one, of which output.
        data: the inputs that are other ones at each step, in order.
        parameters: the inputs that are trained. Those that stand at no site have no factors.
        sites: where weights stand, as :func:`~contractconv.training.kfac.sites.sites_of` finds
            them. A weight at several sites, as in a recurrence, is used at the places of them all.
        beside: what else a step returns, by name: running statistics, an accuracy.
    """

    loss: Tensor
    likelihood: Likelihood
    data: tuple[Tensor, ...]
    parameters: tuple[Tensor, ...]
    sites: tuple[Site, ...]
    beside: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = [name_of(parameter) for parameter in self.parameters]
        for site in self.sites:
            strange = [name_of(p) for p in site.parameters if name_of(p) not in known]
            if strange:
                raise ParameterError(
                    f"{strange[0]!r} has a site, but is no parameter: there are {', '.join(known)}"
                )

        for name, sites in self.blocks.items():
            if len({tuple(map(name_of, site.parameters)) for site in sites}) > 1:
                raise ParameterError(f"{name} stands at sites that do not have the same bias")

    @property
    def blocks(self) -> dict[str, list[Site]]:
        """The sites of each weight, by its name."""
        found: dict[str, list[Site]] = {}
        for site in self.sites:
            found.setdefault(name_of(site.weight), []).append(site)
        return found

    def within(self, shapes: Mapping[str, Sequence[int]], largest: int) -> Objective:
        """The same without the sites of weights that have more rows, or columns, than some."""
        kept = tuple(s for s in self.sites if s.largest(shapes[name_of(s.weight)]) <= largest)
        return replace(self, sites=kept)


def name_of(parameter: Tensor) -> str:
    """What an input is called."""
    return str(parameter.label)
