"""Fast algorithms, explained: which decompositions the plans of an explanation use, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contractconv.planning.plan import Plan
from contractconv.planning.report import multiplications, quantity
from contractconv.tiles.decomposition import Decomposition
from contractconv.tiles.tableau import IDENTITY, written

if TYPE_CHECKING:
    from contractconv.display.explanation import Explanation

# What the three factors make of data x, kernel w and cotangent g.
ROLES = {
    "result": "B (Aᵀx ⊙ Cᵀw)",
    "gradient by x": "A (Bᵀg ⊙ Cᵀw)",
    "gradient by w": "C (Aᵀx ⊙ Bᵀg)",
}


@dataclass(frozen=True, slots=True)
class Fast:
    """What there is to say about the fast algorithms of an explanation.

    Attributes:
        tiles: the decompositions, each once.
        counts: by name of what is computed, its multiplications: by definition, and by tiles.
    """

    tiles: tuple[Decomposition, ...]
    counts: dict[str, tuple[int, int]]

    def idea(self) -> str:
        """Say what the identity is about."""
        return (
            "A tile of m results i of a window with r taps k reads m+r-1 elements y = i+k of the "
            "data. Which of them meets which tap for which result is a tensor of zeros and ones, "
            "and F(m, r) decomposes it into as many products p as there are elements, not m·r:"
        )

    def roles(self) -> str:
        """Say what the identity is good for."""
        return (
            "Put in place of the window, along each of its axes, the same three matrices compute "
            "all there is to compute from data x, kernel w and cotangent g:"
        )

    def savings(self) -> Iterator[tuple[str, str]]:
        """Say of each of them how many multiplications are saved."""
        for name, (defined, taken) in self.counts.items():
            fewer = f"{defined / taken:.1f} times fewer"
            yield name, f"{quantity(taken)} multiplications, not {quantity(defined)}: {fewer}"

    def proof(self) -> str:
        """Say that the identity holds."""
        counts = (f"{len(t.a) * len(t.b) * len(t.c)} equations for {t.name}" for t in self.tiles)
        return (
            "The identity was checked exactly, in rational numbers, for every y, i and k: "
            f"{', '.join(counts)}."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as dictionaries, lists, strings and numbers, fit for JSON."""
        return {
            "identity": IDENTITY,
            "roles": ROLES,
            "exact": True,
            "multiplications": {
                name: {"defined": defined, "taken": taken}
                for name, (defined, taken) in self.counts.items()
            },
            "decompositions": list(map(_tile, self.tiles)),
        }


def fast(explanation: Explanation) -> Fast | None:
    """Gather the decompositions that plans use; ``None`` if there are none."""
    plans = dict(_plans(explanation))
    tiles = dict.fromkeys(tile for plan in plans.values() for tile in plan.tiles)
    counts = {name: _counts(plan) for name, plan in plans.items() if plan.tiles}
    return Fast(tuple(tiles), counts) if tiles else None


def _plans(explanation: Explanation) -> Iterator[tuple[str, Plan]]:
    """Every plan, by the name of what it makes."""
    if explanation.plan is not None:
        yield explanation.forward.left.name, explanation.plan
    for gradient in explanation.gradients:
        yield from gradient.plans


def _counts(plan: Plan) -> tuple[int, int]:
    steps = [step for step in plan.steps if step.choice.chosen.algorithm == "toom-cook"]
    taken = sum(multiplications(step.choice.chosen) for step in steps)
    return sum(step.problem.points for step in steps), taken


def _tile(tile: Decomposition) -> dict[str, Any]:
    factors = {
        which: [list(map(written, row)) for row in tile.exact(which)] for which in ("A", "B", "C")
    }
    return {
        "name": tile.name,
        "outputs": tile.outputs,
        "taps": tile.taps,
        "products": tile.products,
        "points": list(map(written, tile.points)),
    } | factors
