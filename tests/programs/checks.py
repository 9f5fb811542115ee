"""What the tests of random programs ask: derived, evaluated exactly, and run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
from programs.evaluator import Evaluation
from programs.jet_arrays import Array, gradient, inner, tangent, values, variables, varied
from programs.jets import rounded
from programs.programs_strategy import Trial
from programs.writing import Written
from strategies import filled

from contractconv.api.compiling import compile as compiled
from contractconv.api.symbolic import grad, hvp, jvp
from contractconv.api.tensor import Tensor, tensor

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Expected:
    """What a trial should give, by the witness alone.

    Attributes:
        tangents: a direction for every input of floating-point numbers, by its name.
        arrays: by what it is: ``"loss"``, ``"jvp"``, ``"grad_x0"``, ``"hvp_x0"``.
    """

    tangents: Arrays
    arrays: Arrays


def variable(trial: Trial) -> dict[str, Written]:
    """The inputs of floating-point numbers."""
    return {
        name: trial.program.named[name] for name, array in trial.program.arrays.items()
        if array.dtype.kind == "f"
    }  # fmt: skip


def directions(trial: Trial) -> Arrays:
    """A direction for every input that can change."""
    arrays = trial.program.arrays
    return {name: filled(arrays[name].shape, 50 + n, 2, "float64")
            for n, name in enumerate(variable(trial))}  # fmt: skip


def expected(trial: Trial) -> Expected:
    """The loss of a trial and its derivatives, by jets."""
    known, arrays = directions(trial), trial.program.arrays
    loss = Evaluation(variables(arrays, list(known), known))(trial.loss.tensor._node)
    found = {"loss": values(loss), "jvp": tangent(loss)}
    for name in known:
        found[f"grad_{name}"] = gradient(loss[()], name, arrays[name].shape)
        found[f"hvp_{name}"] = gradient(loss[()], name, arrays[name].shape, mixed=True)
    return Expected(known, found)


def gauss_newton_expected(trial: Trial) -> Arrays:
    """The Gauss-Newton matrix times the directions, by jets of jets' parts."""
    known, arrays = directions(trial), trial.program.arrays
    node = trial.output.tensor._node
    output = Evaluation(variables(arrays, list(known), known))(node)
    moved = varied(values(output), tangent(output), "output")
    loss = Evaluation(arrays, {node: moved})(trial.loss.tensor._node)
    curved = gradient(loss[()], "output", output.shape, mixed=True)
    back = inner(output, curved)
    return {name: gradient(back, name, arrays[name].shape) for name in known}


def derived(trial: Trial) -> dict[str, Tensor]:
    """The same as symbolic tensors, derived by the library."""
    wrt = variable(trial)
    tensors, loss = [value.tensor for value in wrt.values()], trial.loss.tensor
    along = [tensor(f"d_{name}", value.axes) for name, value in wrt.items()]
    found = {"loss": loss, "jvp": jvp(loss, tensors, along)}
    found |= zip((f"grad_{name}" for name in wrt), grad(loss, tensors), strict=True)
    found |= zip((f"hvp_{name}" for name in wrt), hvp(loss, tensors, along), strict=True)
    return found


def given(trial: Trial, tangents: Mapping[str, Array]) -> Arrays:
    """What derived programs are called with."""
    return trial.program.arrays | {f"d_{name}": array for name, array in tangents.items()}


def run(
    outputs: Mapping[str, Tensor], arrays: Mapping[str, Array], dtype: str = "float64"
) -> dict[str, Any]:
    """Compile a program and call it."""
    cast = {
        name: array.astype(dtype) if array.dtype.kind in "fc" else array
        for name, array in arrays.items()
    }
    program = compiled(outputs, dtype=dtype)
    needed = {node.name for node in program.graph.inputs}
    results = program(**{name: array for name, array in cast.items() if name in needed})
    return dict(zip(outputs, results, strict=True))


def assert_derivatives(trial: Trial) -> None:
    """All derivatives are those of the witness, in fractions and as they run."""
    wanted = expected(trial)
    made, arrays = derived(trial), given(trial, wanted.tangents)
    exactly = Evaluation(arrays)
    for what, found in made.items():
        assert_exact(exactly(found._node), wanted.arrays[what], what)
    for what, array in run(made, arrays).items():
        assert_near(array, wanted.arrays[what], what, 1e-9)


def assert_exact(found: Array, wanted: Array, what: str) -> None:
    """Two arrays of exact numbers are equal; where mpmath had a part in it, to 11 digits."""
    assert found.shape == wanted.shape, what
    scale = 1 + max((abs(rounded(n)) for n in wanted.ravel()), default=mp.mpf(0))
    for at in np.ndindex(*found.shape):
        one, other = found[at], wanted[at]
        if isinstance(one, (bool, Fraction)) and isinstance(other, (bool, Fraction)):
            assert one == other, (what, at)
        else:
            assert abs(rounded(one) - rounded(other)) <= scale * mp.mpf("1e-11"), (what, at)


def assert_near(found: Any, wanted: Array, what: str, tolerance: float) -> None:
    """Floating-point numbers are those of the witness, within a part of the greatest one."""
    exact = np.array([complex(rounded(n)) for n in wanted.ravel()]).reshape(wanted.shape)
    assert np.shape(found) == wanted.shape, (what, np.shape(found), wanted.shape)
    scale = 1 + np.abs(exact[np.isfinite(exact)]).max(initial=0)
    np.testing.assert_allclose(
        found, exact if np.iscomplexobj(found) else exact.real, rtol=0, atol=tolerance * scale,
        err_msg=what,
    )  # fmt: skip
