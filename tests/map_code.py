"""Maps as straight-line code, for tests that read it.

What one can do:

- ``code_of(output, dtype, unknown)``: the code of a group of one output;
- ``done(code)``: what its instructions do.
"""

from __future__ import annotations

import contractconv as cc
from contractconv.engines.llvm.maps.straight_code import Translated, translated
from contractconv.planning.programs.fusion import fused
from contractconv.programs.nodes import Node, in_order


def code_of(output: cc.Tensor, dtype: str = "float32", unknown: str = "") -> Translated:
    """A group of one output as code, of nodes that all have a dtype but for comparisons."""
    order = in_order([output._node])
    (group,) = fused(order, {output._node})
    dtypes: dict[Node, str] = dict.fromkeys(order, dtype)
    return translated(group, dtypes, lambda does, _: does != unknown)


def done(code: Translated) -> list[str]:
    """What the instructions do, in order."""
    return [instruction.does for instruction in code.code.instructions]
