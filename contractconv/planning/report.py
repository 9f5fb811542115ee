"""A plan in words: its steps, what was chosen for each of them, and what was not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from contractconv.planning.choice import Candidate, too_inexact
from contractconv.planning.piece import Piece

if TYPE_CHECKING:
    from contractconv.planning.plan import Plan, Step

# What is done again in parts, where it is not worth a word.
_HARDLY = 1.05
_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))


def report(plan: Plan) -> str:
    """Write a plan: what it makes, step by step what it does, and the names of its tiles."""
    lines = [summary(plan)]
    if plan.tiles:
        lines.append(f"  tiles: {', '.join(tile.name for tile in plan.tiles)}; see plan.tiles")
    return "\n".join(lines)


def facts(plan: Plan) -> Iterator[tuple[str, str]]:
    """Say of a plan what it makes, what that takes, and how it was come by, each with a name."""
    sizes = ", ".join(f"{name}={size}" for name, size in plan.problem.sizes)
    yield "extents", sizes or "none"
    yield "result", f"{plan.problem.result_shape}; {quantity(plan.flops)} operations"
    yield "largest intermediate", f"{quantity(plan.largest_intermediate)} elements"
    if plan.missed is not None:
        yield "algorithm", f"{plan.missed!r} has nothing to work on here: direct"
    if plan.order.source:
        yield "order", plan.order.source
    if plan.parts is not None:
        limit, count, cut, again = plan.parts
        sizes = ", ".join(f"{name}={size}" for name, size in cut)
        parts = f"{count:,} parts" + f", of {sizes} each" * bool(cut) if count > 1 else "at once"
        parts += f", {again:.1f} times the operations" * (again > _HARDLY)
        yield "memory limit", f"{limit:,} bytes: {parts}"
    if plan.forward is not None:
        yield f"local derivative of {plan.forward.reduce}", _local(plan)


def summary(plan: Plan) -> str:
    """Write a plan: what it makes, then step by step what it does."""
    lines = [f"{plan.problem}    [{plan.problem.reduce}]"]
    lines += [f"{name}: {said}" for name, said in facts(plan)]
    if plan.at_once is not None:
        return "\n".join(lines)
    width = max((len(str(step.problem)) for step in plan.steps), default=0)
    for number, step in enumerate(plan.steps, 1):
        text = str(step.problem).ljust(width)
        lines.append(f"  {number}. {text}  {quantity(step.flops):>8}  {step.lowering}")
        lines += [f"       {about:10}  {said}" for about, said in notes(step)]
    return "\n".join(lines)


def _local(plan: Plan) -> str:
    """How the local derivative is found that a backward contraction meets."""
    if plan.at_once is not None:
        return f"met by the cotangent as it is found ({plan.at_once.name})"
    return "the first operand after the cotangent (numpy)"


def data(plan: Plan) -> dict[str, Any]:
    """A plan as numbers, strings, lists and dictionaries."""
    once = plan.at_once
    return {
        "contraction": str(plan.problem),
        "reduce": plan.problem.reduce,
        "extents": dict(plan.problem.sizes),
        "result_shape": list(plan.problem.result_shape),
        "operations": plan.flops,
        "largest_intermediate": plan.largest_intermediate,
        "order": _order_data(plan),
        "local_derivative": None if plan.forward is None else _local(plan),
        "steps": [] if once is not None else [_step_data(step) for step in plan.steps],
    }


def _order_data(plan: Plan) -> dict[str, Any]:
    pairs, source, minimize, proved = plan.order
    path = [list(pair) for pair in pairs]
    return {"path": path, "source": source, "minimize": minimize or None, "proved": proved}


def _step_data(step: Step) -> dict[str, Any]:
    return {
        "contraction": str(step.problem),
        "operands": list(step.positions),
        "result_shape": list(step.problem.result_shape),
        "operations": step.flops,
        "lowering": step.lowering,
        "candidates": [
            {"algorithm": c.name, "seconds": c.seconds, "error": c.error, "bound": c.bound}
            for c in step.choice.candidates
        ],
        "notes": [{"about": about, "said": said} for about, said in notes(step)],
    }


def notes(step: Step) -> Iterator[tuple[str, str]]:
    """Say why a step is carried out as it is; nothing if there was nothing to choose.

    Yields:
        What each note is about, and the note.
    """
    chosen, rejected = step.choice.chosen, step.choice.rejected
    if not rejected:
        return
    yield "predicted", time(chosen.seconds) + _saved(step)
    yield "error", _digits(chosen)
    asked = step.setting.asked or step.setting.measured
    for other in rejected:
        yield "instead of" if asked else "rejected", f"{other.name}: {time(other.seconds)}"
    better = too_inexact(step.problem, step.setting)
    if better is not None:
        digits = f"but an error of typically {better.error:.1e}"
        yield "rejected", f"{better.name}: {time(better.seconds)}, {digits}"


def multiplications(candidate: Candidate) -> int:
    """How many products are summed, of numbers as they are or transformed; FFTs are not counted."""
    return sum(map(_products, candidate.pieces))


def quantity(value: int) -> str:
    """A count, all of its digits if they are few."""
    return f"{value:,}" if value < 100_000 else f"{value:.2e}"


def time(seconds: float) -> str:
    """A time in a unit that fits it."""
    unit, size = next((u for u in _UNITS if seconds >= u[1]), _UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def times_fewer(step: Step) -> float | None:
    """How many points of a step one product of its tiles stands for; ``None`` without tiles."""
    chosen = step.choice.chosen
    if chosen.algorithm != "toom-cook":
        return None
    return step.problem.points / multiplications(chosen)


def _saved(step: Step) -> str:
    factor = times_fewer(step)
    return "" if factor is None else f"; {factor:.1f} times fewer multiplications"


def _digits(chosen: Candidate) -> str:
    errors = f"typically {chosen.error:.1e}, at most {chosen.bound:.1e}"
    return f"{errors} of max|x|·max|w| for each point summed"


def _products(piece: Piece) -> int:
    count, extents = piece.problem.points, piece.problem.extents
    if piece.algorithm != "toom-cook":
        return count
    for window, tile in zip(piece.windows, piece.decompositions, strict=True):
        results = extents[window.result]
        count = count // (results * tile.taps) * -(-results // tile.outputs) * tile.products
    return count
