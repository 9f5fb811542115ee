"""Sentences about a network that a text and a page share."""

from __future__ import annotations

from contractconv.networks.explanation import NetworkExplanation, Told

LETTERS = (
    "d_a is what comes back to a: the gradient of the loss by a.",
    "What comes back to what a part was given is where the part before it begins.",
    "What would be read outside of an array does not count.",
)


def title(explanation: NetworkExplanation) -> str:
    """What the network is called, and what comes in."""
    given = ", ".join(f"{name}: {size}" for name, size in explanation.inputs)
    return f"{explanation.name}({given})"


def work(part: Told) -> str:
    """How much a part takes; nothing, if it multiplies nothing."""
    forward, backward = part.work
    back = f", {backward:,} backward" if backward else ""
    return f"It takes {forward:,} multiply-adds{back}." if forward else ""


def length(part: Told) -> str:
    """Where formulas are that are too many to be read; nothing, if they are there."""
    return "" if part.program else "It has too many formulas to be read: see net.program(...)."


def likeness(part: Told) -> str:
    """Which part before it is like this one; nothing, if none is."""
    return f"Like {'.'.join(part.like)}, with the same strings and sizes." if part.like else ""
