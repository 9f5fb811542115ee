"""Checking derivatives: what is derived, against differences of what it is derived from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contractconv.api.compiling import compile as compiled
from contractconv.api.program import Program
from contractconv.api.symbolic import grad, jvp
from contractconv.api.tensor import Tensor, applied, tensor
from contractconv.errors import CertificateError, OperandError, ProgramError
from contractconv.programs.build import contract, plain_spec, repeated
from contractconv.programs.kinds import Kinds, kind

Array = NDArray[Any]
Mode = Literal["reverse", "forward"]
MODES: tuple[Mode, Mode] = ("reverse", "forward")

TOLERANCE = 1e-6
_STEPS = (2.0**-5, 2.0**-9, 2.0**-13, 2.0**-17)
_COMPLEX = 3  # as kinds of numbers are counted


def check_grads(
    f: Any,
    *args: Any,
    axes: Sequence[str] | None = None,
    order: int = 2,
    modes: Sequence[Mode] = MODES,
    tolerance: float | None = None,
    seed: int = 0,
) -> None:
    """Check every derivative of a program against differences, in random directions.

    The program, and what is derived from it, are carried out in double precision, whatever numbers
    are given. Differences are central ones, extrapolated (L. F. Richardson, 1911) until they no
    longer change; a derivative of order two is checked against differences of one of order one, in
    all combinations of modes.

    Args:
        f: a function of symbolic tensors that returns one, or several; or a program.
        *args: an array for each input, at which derivatives are taken. Inputs of integers and of
            truth values stay as they are.
        axes: the names of the axes of each input, ``["b i", "i o"]``; by default what a function's
            annotations say, ``def f(x: "b i", W: "i o")``.
        order: how often is differentiated.
        modes: ``"reverse"`` for gradients, ``"forward"`` for Jacobians times vectors.
        tolerance: how much of the derivative's scale may be missing; by default 1e-6.
        seed: of the directions.

    Raises:
        CertificateError: a derivative is wrong, or differences do not settle, as at a kink; the
            message says by which input, in which mode, of which order, and by how much.
        OperandError: the number of arrays is wrong, or none of them can change.
        ProgramError: the axes of an input have no names.

    Example:
        >>> import numpy as np, contractconv as cc
        >>> def loss(x: "b i", W: "i o"):
        ...     y = cc.contract("b i, i o -> b o", x, W)
        ...     return cc.contract("b o ->", y * y)
        >>> check_grads(loss, np.ones((2, 3)), np.ones((3, 2)))
    """
    inputs, outputs = _program(f, args, axes)
    arrays = {str(t.label): _wide(array) for t, array in zip(inputs, args, strict=True)}
    draw = np.random.default_rng(seed)
    moving = [t for t in inputs if arrays[str(t.label)].dtype.kind in "fc"]
    if not moving:
        raise OperandError("none of the inputs can change: they are integers, or truth values")
    check = _Check(moving, arrays, draw, TOLERANCE if tolerance is None else tolerance)
    functions: list[tuple[tuple[Mode, ...], Tensor]] = [((), check.weighed(outputs))]
    for _ in range(order):
        for path, function in functions:
            for mode in modes:
                check.function(function, mode, path)
        functions = [
            ((*path, mode), _derived(function, mode, moving, check.along(moving)))
            for path, function in functions
            for mode in modes
        ]


@dataclass
class _Check:
    """The inputs that change, and what all are.

    Attributes:
        moving: the inputs.
        arrays: what inputs are, directions and weights among them, by name.
        draw: draws them.
        tolerance: how much of a derivative's scale may be missing.
    """

    moving: Sequence[Tensor]
    arrays: dict[str, Array]
    draw: np.random.Generator
    tolerance: float

    def weighed(self, outputs: Sequence[Tensor]) -> Tensor:
        """The real part of the sum of all elements of the outputs, each with a weight."""
        shapes = map(np.shape, self._run(list(outputs)))
        parts = [
            _inner(made, self._drawn(made, shape))
            for made, shape in zip(outputs, shapes, strict=True)
        ]
        return sum(parts[1:], start=parts[0])

    def along(self, wrt: Sequence[Tensor]) -> list[Tensor]:
        """A direction for each of some inputs."""
        return [self._drawn(t, self.arrays[str(t.label)].shape) for t in wrt]

    def function(self, function: Tensor, mode: Mode, path: Sequence[str]) -> None:
        """Check how a number changes with each input."""
        for n, wrt in enumerate(self.moving):
            (along,) = self.along([wrt])
            found = float(np.real(self._run(_derived(function, mode, [wrt], [along]))))
            told = f"{wrt.label} (input {n}), {mode} mode, order {len(path) + 1}"
            told += f" (of {' of '.join(reversed(path))})" if path else ""
            direction = self.arrays[str(along.label)]
            self._compare(found, self._slope(function, str(wrt.label), direction, told), told)

    def _compare(self, found: float, slope: float, told: str) -> None:
        missing = abs(found - slope)
        if missing <= self.tolerance * max(1.0, abs(slope)):
            return
        raise CertificateError(
            f"the derivative by {told}, is off by {missing:.3g}: along a random direction it is "
            f"{found:.9g}, differences say {slope:.9g}"
        )

    def _slope(self, function: Tensor, name: str, direction: Array, told: str) -> float:
        """How a number changes, by differences over shorter and shorter steps."""
        call, here = compiled(function), self.arrays[name]
        needed = {node.name for node in call.graph.inputs}

        def at(step: float) -> float:
            moved = self.arrays | {name: here + step * direction}
            return float(np.real(call(**{n: a for n, a in moved.items() if n in needed})))

        for step in _STEPS:
            slope, doubt = _extrapolated(at, step)
            if doubt <= 0.1 * self.tolerance * max(1.0, abs(slope)):
                return slope
        raise CertificateError(
            f"by {told}, differences do not settle (the last is {slope:.9g}, give or take "
            f"{doubt:.1g}): there is a kink near these arrays, or the function is very steep"
        )

    def _drawn(self, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A new input with the axes of a tensor, of random numbers."""
        names = (f"direction_{n}" for n in count(len(self.arrays)))
        name = next(name for name in names if name not in self.arrays)
        array = self.draw.uniform(-1, 1, shape)
        if not _is_complex(like):
            self.arrays[name] = array
            return tensor(name, like.axes)
        self.arrays[name] = array + 1j * self.draw.uniform(-1, 1, shape)
        return tensor(name, like.axes, "complex128")

    def _run(self, made: Tensor | Sequence[Tensor]) -> Any:
        call = compiled(made, dtype="float64")
        return call(**{node.name: self.arrays[node.name] for node in call.graph.inputs})


def _derived(
    function: Tensor, mode: Mode, wrt: Sequence[Tensor], along: Sequence[Tensor]
) -> Tensor:
    """How a number changes if inputs do, along some directions."""
    if mode == "forward":
        return jvp(function, wrt, along)
    parts = [_inner(g, v) for g, v in zip(grad(function, wrt), along, strict=True)]
    return sum(parts[1:], start=parts[0])


def _extrapolated(at: Callable[[float], float], step: float) -> tuple[float, float]:
    """A derivative at zero, and how much it still changes."""
    rows: list[list[float]] = []
    for n in range(4):
        half = step / 2**n
        row = [(at(half) - at(-half)) / (2 * half)]
        for k, before in enumerate(rows[-1] if rows else [], 1):
            row.append(row[-1] + (row[-1] - before) / (4**k - 1))
        rows.append(row)
    return rows[-1][-1], abs(rows[-1][-1] - rows[-2][-1])


def _inner(first: Tensor, second: Tensor) -> Tensor:
    """The real part of the sum of products."""
    whole = repeated(first._node, second._node)
    spec = plain_spec([whole.axes, second.axes], ())
    made = Tensor(contract(spec, [whole, second._node]))
    return applied("real", made) if _is_complex(made) else made


def _is_complex(made: Tensor) -> bool:
    return any(kind(name) == _COMPLEX for name in Kinds()[made._node])


def _wide(array: Any) -> Array:
    """An array in double precision; of integers and truth values, itself."""
    found = np.asarray(array)
    wide = {"f": "float64", "c": "complex128"}.get(found.dtype.kind)
    return found if wide is None else found.astype(wide)


# -- programs --------------------------------------------------------------------------------------


def _program(
    f: Any, args: Sequence[Any], axes: Sequence[str] | None
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """The inputs and the outputs of a program, or of a function."""
    if isinstance(f, Program):
        _check_count(len(f.inputs), len(args))
        return list(f.inputs.values()), list(f.outputs.values())
    inputs = list(_inputs(f, args, axes))
    made = f(*inputs)
    outputs = [made] if isinstance(made, Tensor) else _outputs(made)
    return inputs, outputs


def _outputs(made: Any) -> Sequence[Tensor]:
    found = made.values() if isinstance(made, Mapping) else made
    outputs = list(found) if isinstance(found, Iterable) else []
    if outputs and all(isinstance(one, Tensor) for one in outputs):
        return outputs
    raise ProgramError(f"the function returns {made!r}: a symbolic tensor is needed")


def _inputs(f: Any, args: Sequence[Any], axes: Sequence[str] | None) -> Iterator[Tensor]:
    parameters = list(inspect.signature(f).parameters.values())
    _check_count(len(parameters) if axes is None else len(axes), len(args))
    for n, (parameter, array) in enumerate(zip(parameters, args, strict=True)):
        said = parameter.annotation if axes is None else axes[n]
        if not isinstance(said, str):
            raise ProgramError(
                f"the axes of {parameter.name} have no names: annotate it, as in "
                f"def f({parameter.name}: 'b i'), or give axes=['b i', ...]"
            )
        found = _wide(array)
        dtype = None if found.dtype.kind == "f" else found.dtype.name
        yield tensor(parameter.name, said.strip("\"'"), dtype)


def _check_count(wanted: int, given: int) -> None:
    if wanted != given:
        raise OperandError(f"there are {wanted} inputs, and {given} arrays")
