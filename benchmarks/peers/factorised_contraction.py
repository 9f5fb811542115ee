"""A factorised convolution as one string, and with the gradients of all operands as one program."""

from __future__ import annotations

from typing import Any

import contractconv as cc
from benchmarks.factors import operands, result, string
from benchmarks.layers import FORWARD, Factorised
from benchmarks.peers import Prepared
from benchmarks.peers.step_contraction import tensors
from benchmarks.steps.network import drawn, together


def factorised(case: Factorised, direction: str) -> Prepared:
    """Compile the string, or the string and what comes back to each operand."""
    given = {**operands(case), "g": result(case)}
    *of, cotangent = tensors(given).values()
    y: Any = cc.contract(string(case.form), *of)
    outputs, inputs = [y], of
    if direction != FORWARD:
        outputs, inputs = [y, *cc.grad(y, of, cotangent)], [*of, cotangent]
    arrays = dict(zip(given, list(drawn(given, 0).values())[: len(inputs)], strict=False))
    shapes = {name: array.shape for name, array in arrays.items()}
    program = cc.compile(outputs, inputs, dtype="float32", **shapes)
    return Prepared(lambda: program(*arrays.values()), together)
