"""A contraction with everything that a call says of it, as the text of a program of one line."""

from __future__ import annotations

from typing import Any

from contractconv.cache_register import kept
from contractconv.notation.affine import Affine, Polynomial
from contractconv.notation.carets import wrong_count
from contractconv.notation.problem import Access, Problem
from contractconv.notation.spec import Spec, Term, has_dots
from contractconv.programs.build import apply, contract, result_axes
from contractconv.programs.nodes import Axes, Input, Node
from contractconv.programs.program import Graph
from contractconv.programs.text.writer import write

# Of these a program is whatever it is given.
FLOATS = frozenset({"bfloat16", "float16", "float32", "float64", "complex64", "complex128"})


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
        def contraction(x0: int64["i j"]):
            y = contract("i j -> j", x0)
            return y
        <BLANKLINE>
    """
    if len(ranks) != len(spec.inputs):
        raise wrong_count(spec, len(ranks))
    pairs = zip(spec.inputs, ranks, strict=True)
    names = [_axes(term, rank) for term, rank in pairs]
    inputs = [Input(axes, name=f"x{n}", dtype=dtype) for n, axes in enumerate(names)]
    made: Node = contract(spec, inputs, dict(extents), shape)
    if biased:
        inputs.append(Input(made.axes[-1:], name="bias", dtype=dtype))
        made = apply("add", made, inputs[-1])
    if activation is not None:
        made = apply(activation, made)
    return write(Graph.of({"y": made}, inputs, "contraction"))


@kept(most=4096)
def problem_text(problem: Problem, dtype: str) -> str:
    """Write a contraction of which everything is known as a program of its operands in order.

    Args:
        problem: the contraction, compositions split.
        dtype: that of the operands.

    Example:
        >>> from contractconv.notation.extents import resolve
        >>> from contractconv.notation.parser import parse
        >>> problem = resolve(parse("(i+k-1), k -> i"), [(9,), (3,)], {})
        >>> print(problem_text(problem, "float32"))
        def contraction(x0: "a0", x1: "a0"):
            y = contract("(i+k-1), k -> i", x0, x1, i=9, k=3, output_shape=(9,))
            return y
        <BLANKLINE>
    """
    terms = [tuple(map(_affine, accesses)) for accesses in (*problem.operands, problem.output)]
    reduce: Any = problem.reduce
    spec = Spec(tuple(terms[:-1]), terms[-1], reduce)
    own = None if dtype in FLOATS else dtype
    inputs = [
        Input(tuple(f"a{axis}" for axis in range(len(term))), name=f"x{n}", dtype=own)
        for n, term in enumerate(terms[:-1])
    ]
    made = contract(spec, inputs, problem.extents, problem.output_sizes)
    return write(Graph.of({"y": made}, inputs, "contraction"))


def _affine(access: Access) -> Affine:
    terms = ((name, Polynomial.of(factor)) for name, factor in access.terms)
    return Affine.of(terms, Polynomial.of(access.offset), Polynomial.of(access.divisor))


def _axes(term: Term, rank: int) -> Axes:
    """What the axes of an operand are called: as the indices are, where nothing is left out."""
    if has_dots(term) or len(term) != rank:
        return tuple(f"a{axis}" for axis in range(rank))
    return result_axes(term)
