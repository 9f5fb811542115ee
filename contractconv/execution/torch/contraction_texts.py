"""A contraction with everything that a call says of it, as the text of a program of one line."""

from __future__ import annotations

from contractconv.cache_register import kept
from contractconv.notation.spec import Spec
from contractconv.programs.build import apply, contract
from contractconv.programs.nodes import Input, Node
from contractconv.programs.program import Graph
from contractconv.programs.text.writer import write


@kept(most=4096)
def contraction_text(
    spec: Spec,
    ranks: tuple[int, ...],
    dtype: str | None,
    extents: tuple[tuple[str, int], ...],
    shape: tuple[int, ...] | None,
    biased: bool,
    activation: str | None,
) -> str:
    """Write a contraction as a program of its operands in order.

    Args:
        spec: the contraction.
        ranks: how many axes each operand has.
        dtype: that of the operands, where it is no kind of floating-point numbers.
        extents: extents of indices and values of parameters that are given.
        shape: the shape of the result, where the rules should not choose it.
        biased: whether a last input is added along the last axis of the result.
        activation: the map that is applied then.

    Raises:
        OperandError: the number of operands is wrong.
        ShapeError: an operand has not as many axes as its term, or the result has none for a bias.

    Example:
        >>> from contractconv.notation.parser import parse
        >>> print(contraction_text(parse("i j -> j"), (2,), "int64", (), None, False, None))
        def contraction(x0: int64["a0 a1"]):
            y = contract("i j -> j", x0)
            return y
        <BLANKLINE>
    """
    inputs = [
        Input(tuple(f"a{axis}" for axis in range(rank)), name=f"x{n}", dtype=dtype)
        for n, rank in enumerate(ranks)
    ]
    made: Node = contract(spec, inputs, dict(extents), shape)
    if biased:
        inputs.append(Input(made.axes[-1:], name="bias", dtype=dtype))
        made = apply("add", made, inputs[-1])
    if activation is not None:
        made = apply(activation, made)
    return write(Graph.of({"y": made}, inputs, "contraction"))
