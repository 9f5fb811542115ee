"""The table of passes, in the order in which they are tried on every node."""

from __future__ import annotations

from contractconv.programs.rewrites import (
    constants,
    identities,
    one_hots,
    products,
    transposes,
)
from contractconv.programs.rewrites.driver import Pass
from contractconv.programs.rewrites.merging import Cost, merging


def passes(cost: Cost) -> tuple[Pass, ...]:
    """The passes.

    Args:
        cost: of a contraction, by which those that can be merged are chosen.
    """
    return (
        Pass("numbers of numbers", constants.folded),
        Pass("choices of numbers", constants.chosen_numbers),
        Pass("names of names", identities.called_at_once),
        Pass("maps that change nothing", identities.simplified),
        Pass("conversions of conversions", identities.converted_once),
        Pass("conversions of what is moved", transposes.converted_before),
        Pass("contractions that move nothing", transposes.stays),
        Pass("moved operands", transposes.read_by_contraction),
        Pass("moved arguments", transposes.read_by_map),
        Pass("one-hot codes", one_hots.without_code),
        Pass("sums of products", products.summed),
        Pass("contractions of contractions", merging(cost)),
    )
