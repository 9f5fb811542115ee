"""The programs of a step: the loss, its gradients, and Kronecker factors when they are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contractconv.api.program import Program, program
from contractconv.api.symbolic import grad
from contractconv.api.tensor import Tensor, size
from contractconv.training.kfac.curvature_state import INPUT_PARTS, OUTPUT_PART
from contractconv.training.kfac.factors import counts, input_factor, output_factor, total
from contractconv.training.kfac.fisher import Fisher
from contractconv.training.kfac.objective import Objective, name_of
from contractconv.training.kfac.sites import Site


@dataclass(frozen=True)
class Gradients:
    """What a step asks of the network.

    Attributes:
        objective: what is trained.
        fisher: whose cotangents make the output factors.
        kind: ``"expand"`` or ``"reduce"``.
    """

    objective: Objective
    fisher: Fisher
    kind: str

    def program(self, with_factors: bool) -> Program:
        """Make the program of the loss and its gradients.

        Args:
            with_factors: whether it makes the parts of Kronecker factors, too.

        Returns:
            A program of data and parameters, and of ``noise`` where targets are drawn. It makes
            ``loss``, ``d_NAME``, what the objective has beside, and for the weight ``NAME``
            ``NAME_windows``, ``NAME_window_sum``, ``NAME_places`` and ``NAME_cotangents``.
        """
        made = self.objective
        slopes = grad(made.loss, list(made.parameters))
        outputs = {"loss": made.loss, **made.beside}
        outputs |= {f"d_{name_of(p)}": g for p, g in zip(made.parameters, slopes, strict=True)}
        inputs = [*made.data, *made.parameters]
        if with_factors:
            outputs |= self.factors()
            inputs += [made.likelihood.noise] if self.fisher == "sampled" else []
        return program(outputs, inputs=inputs, name="factors" if with_factors else "gradients")

    def shape_program(self) -> Program:
        """The program of the sizes of the output, from data and parameters."""
        made, output = self.objective, self.objective.likelihood.output
        sizes = {f"size_{n}": size(output, axis) for n, axis in enumerate(output.axes)}
        return program(sizes, inputs=[*made.data, *made.parameters], name="shape")

    def factors(self) -> dict[str, Tensor]:
        """The parts of the Kronecker factors of every weight, by name."""
        found: dict[str, Tensor] = {}
        back = self._cotangents()
        for name, sites in self.objective.blocks.items():
            # Places of several sites can be counted together, but not added up by one string.
            kind = self.kind if len(sites) == 1 else "expand"
            parts = zip(*(input_factor(site, kind).parts for site in sites), strict=True)
            found |= {f"{name}_{p}": total(t) for p, t in zip(INPUT_PARTS, parts, strict=False)}
            found[f"{name}_{OUTPUT_PART}"] = self._output_factor(sites, back, kind)
        return found

    def _output_factor(
        self, sites: Sequence[Site], back: Mapping[int, Sequence[Tensor]], kind: str
    ) -> Tensor:
        terms = self.objective.likelihood.terms
        made = [output_factor(site, back[id(site)], kind, terms) for site in sites]
        if len(sites) == 1:
            return made[0]
        places = [counts(site)[1] for site in sites]
        return total([b * n for b, n in zip(made, places, strict=True)]) / total(places)

    def _cotangents(self) -> dict[int, list[Tensor]]:
        """What comes back to each site's result: one tensor for each column of a root."""
        made = self.objective
        results = [site.z for site in made.sites]
        if self.fisher == "empirical":
            columns = [grad(made.loss, results)]
        else:
            drawn = made.likelihood
            roots = [drawn.sampled()] if self.fisher == "sampled" else drawn.roots()
            columns = [grad(drawn.output, results, cotangent=root) for root in roots]
        by_site = zip(*columns, strict=True)
        return {id(s): list(g) for s, g in zip(made.sites, by_site, strict=True)}
