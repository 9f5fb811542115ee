"""Certificates of programs hold for what is right, and for nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from explained_programs import ATTENTION, LENET_HEAD, MLP, TOUCHSTONE

import contractconv as cc
from contractconv.maps.table import MAPS, register, unregister
from contractconv.verification.programs.map_proofs import proved

POLYNOMIAL = """
def polynomial(x: "b t c", W: "k c o", v: "o"):
    z = contract("b (2*t+k-1) c, k c o -> b t o", x, W)
    a = z * z - 3 * z / (v + 2)
    total = contract("b t o -> b", a, reduce="mean")
    other = contract("b t o -> b", a, reduce="prod")
    y = contract("b, b ->", total, other)
    return y
"""
STRIDED = """
def strided(x: "i c", W: "k c"):
    y = contract("i c, k c -> (2*i+k)", x, W)
    smooth = silu(y)
    loss = contract("i ->", smooth, reduce="logsumexp")
    return loss
"""
STOPPED = """
def stopped(x: "i", W: "i j"):
    z = contract("i, i j -> j", x, W)
    y = contract("j ->", exp(z - stop_gradient(max(z, 1))) / sqrt(z * z + 1))
    return y
"""
ROOTS = """
def roots(x: "i", w: "i"):
    y = contract("i ->", log(x) * sqrt(w) + x ** w)
    return y
"""
PROGRAMS = {
    "mlp": MLP, "lenet head": LENET_HEAD, "attention": ATTENTION, "touchstone": TOUCHSTONE,
    "polynomial": POLYNOMIAL, "strided": STRIDED, "stopped": STOPPED, "roots": ROOTS,
}  # fmt: skip
EXACT = {"polynomial"}


def _results(found: Any) -> list[tuple[str, ...]]:
    """Of what the derivatives are that were compared."""
    return [part.results for part in found.gradients.parts]


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_derived_holds(name: str) -> None:
    found = cc.read(PROGRAMS[name]).verify()
    assert found.gradients.names
    (part,) = found.gradients.parts
    assert ("exactly" in part.how) == (name in EXACT)
    text = str(found)
    assert text.startswith(found.summary)
    assert all(f"d_{node}" in text for node in re.findall(r"(\w+): \"", PROGRAMS[name]))


def test_every_contraction_and_every_map_is_named() -> None:
    found = cc.read(MLP).verify()
    strings = {str(proof.spec) for proof in found.contractions}
    assert {"b i, i h -> b h", "b h, h o -> b o", "b o -> b", "b ->"} <= strings
    assert {"add", "max", "where", "equal", "subtract"} <= {proof.function for proof in found.maps}
    assert all(proof.certificates or "b ->" for proof in found.contractions)
    assert all(proof.how for proof in found.maps)


def test_shapes_can_be_chosen() -> None:
    shapes = {"x": (2, 3), "labels": (2,), "W": (3, 5), "bias": (5,), "V": (5, 4)}
    found = cc.read(MLP).verify(**shapes)
    assert dict(found.shapes) == shapes
    with pytest.raises(cc.ShapeError, match="too many"):
        cc.read(MLP).verify(x=(64, 784), labels=(64,), W=(784, 100), bias=(100,), V=(100, 10))


def test_gradients_that_are_returned_are_compared_and_no_others_derived() -> None:
    p = cc.read(POLYNOMIAL).grad(wrt="W")
    found = p.verify()
    assert "d_W" in found.gradients.names
    assert "d_v" not in found.gradients.names
    assert _results(found) == [("y",)]


def test_of_several_results_the_one_is_found_that_was_differentiated() -> None:
    x = cc.tensor("x", "i")
    first: Any
    second: Any
    first, second = cc.contract("i, i ->", x, x), cc.contract("i ->", x * x * x)
    found = cc.program(first=first, second=second, d_x=cc.grad(second, x)).verify()
    assert _results(found) == [("second",)]
    both = cc.program(first=first, second=second, d_x=cc.grad(first + second, x)).verify()
    assert _results(both) == [("first", "second")]


def test_a_result_without_floating_point_numbers_has_no_gradients() -> None:
    found = cc.program(y=cc.tensor("x", "i", "int64") + 1).verify()
    assert found.gradients.names == ()
    assert "none were compared" in str(found)


def test_one_value_may_be_the_gradient_by_two() -> None:
    a, b = cc.tensor("a", "i"), cc.tensor("b", "i")
    loss: Any = cc.contract("i ->", cc.sin(a + b))
    by_a, by_b = cc.grad(loss, [a, b])
    program = cc.program(loss=loss, d_a=by_a, d_b=by_b)
    assert program.verify().gradients.names == ("d_a", "d_b")
    wrong = str(program).replace("d_b = d_a", "d_b = 2 * d_a")
    assert wrong != str(program)
    with pytest.raises(cc.CertificateError, match="d_b is not the gradient of loss"):
        cc.read(wrong).verify()


def test_what_comes_back_may_be_an_input() -> None:
    found = cc.program(y=cc.tensor("x", "i") % 3).verify()
    assert found.gradients.names == ("d_x",)


# -- planted faults ------------------------------------------------------------------------------

FAULTS = {
    "a string of another window": (
        'd_W = contract("b t o, b (2*t+k-1) c -> k c o", d_z',
        'd_W = contract("b t o, b (2*t+k) c -> k c o", d_z',
    ),
    "another cotangent": ("d_a = ", "d_a = 2 * "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_line_that_is_wrong_is_named(fault: str) -> None:
    old, new = FAULTS[fault]
    text = str(cc.read(POLYNOMIAL).grad(wrt=["W", "v"]))
    assert text.count(old) == 1, text
    changed = text.replace(old, new)
    with pytest.raises(cc.CertificateError) as caught:
        cc.read(changed).verify()
    line = next(line for line in changed.splitlines() if old.split(" = ")[0] + " = " in line)
    assert str(caught.value).endswith(line)
    cc.read(text).verify()


@pytest.mark.parametrize("name", ["attention", "mlp", "strided"])
def test_every_changed_gradient_is_noticed(name: str) -> None:
    """Whatever line of a gradient is doubled, it or one behind it is found to be wrong."""
    program = cc.read(PROGRAMS[name])
    output = next(iter(program.outputs))
    if program[output].axes:
        program = cc.program(
            loss=cc.contract(f"{' '.join(program[output].axes)} ->", cc.sin(program[output]))
        )
    text = str(program.grad())
    lines = [line for line in text.splitlines() if line.startswith("    d_")]
    for line in lines[:: max(1, len(lines) // 4)]:
        left, _, right = line.partition(" = ")
        with pytest.raises(cc.CertificateError):
            cc.read(text.replace(line, f"{left} = 2 * ({right})")).verify()


@pytest.fixture
def bent() -> Iterator[str]:
    """A map whose derivative is written wrongly."""
    register(replace(MAPS["tanh"], name="bent", derivatives=("g * (1 - y)",)))
    yield "bent"
    unregister("bent")


def test_a_map_with_a_wrong_derivative_is_refused(bent: str) -> None:
    text = f'def f(x: "i"):\n    y = contract("i ->", {bent}(x))\n    return y'
    with pytest.raises(
        cc.CertificateError, match=r"argument a of the map 'bent' \('g \* \(1 - y\)"
    ):
        cc.read(text).verify()


@pytest.mark.parametrize("name", MAPS)
def test_every_map_is_proved(name: str) -> None:
    proof = proved(name)
    assert len(proof.how) == MAPS[name].arity
    declared = [how for how in proof.how if how.startswith("by definition")]
    assert bool(declared) == (name == "stop_gradient")


# -- the numbers -----------------------------------------------------------------------------------


def test_duals_are_numbers_with_derivatives() -> None:
    from contractconv.verification.programs.algebras import PRIME, Jet

    x = Jet((7, 1))
    assert (x**3 - 2 * x + 5) == Jet((7**3 - 14 + 5, 3 * 49 - 2))
    quotient = (x * x) / (x + 1)
    assert quotient.value * 8 % PRIME == 49
    assert quotient.part(1) * 64 % PRIME == (2 * 7 * 8 - 49) % PRIME
    assert Jet.of(0.75).value * 4 % PRIME == 3


@pytest.mark.parametrize("power", [-3, -1, 0, 1, 2, 5])
def test_jets_are_truncated_polynomials(power: int) -> None:
    """The coefficients of (a + b e0 + c e1 + d e2) ** power, as its derivatives say them."""
    from contractconv.verification.programs.algebras import PRIME, Jet

    a, b, c, d = 7, 3, 5, 11
    made = Jet((a, b, c, 0, d, 0, 0, 0)) ** power
    for which, slopes in enumerate([[], [b], [c], [b, c], [d], [b, d], [c, d], [b, c, d]]):
        falling = math.prod(power - n for n in range(len(slopes)))
        expected = falling * pow(a, power - len(slopes), PRIME) * math.prod(slopes)
        assert made.part(which) == expected % PRIME


def test_a_program_carried_out_from_its_definition_is_what_runs() -> None:
    from contractconv.programs.sizing import sized
    from contractconv.verification.programs.algebras import Digits
    from contractconv.verification.programs.evaluation import Values, as_array, evaluated
    from contractconv.verification.programs.many_digits import MP

    shapes = {"x": (2, 6, 6, 2), "W": (3, 3, 2, 3), "bias": (3,), "V": (3, 3, 3, 2)}
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    arrays["target"] = rng.standard_normal((2, 2))
    program = cc.read(LENET_HEAD)
    found = sized(program._graph, {name: array.shape for name, array in arrays.items()})
    known: Values = {
        node: as_array(arrays[node.name].shape, [MP.mpf(v) for v in arrays[node.name].ravel()])
        for node in found.graph.inputs
    }
    made = evaluated(found, found.graph.wanted, known, Digits())
    expected = cc.compile(program.outputs, list(program.inputs.values()))(**arrays)
    assert float(made[found.graph.wanted[0]].item()) == pytest.approx(
        float(np.ravel(expected)[0]), rel=1e-12
    )
