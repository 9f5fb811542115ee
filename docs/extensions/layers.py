"""One record of the gallery: a layer as a string or a program, and what others call it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import contractconv as cc
from contractconv.playground.examples import address

GALLERY = Path(__file__).parent.parent / "gallery"
Arrays = dict[str, Any]

# What the code of each library may use without saying so.
PREAMBLES = {
    "torch": "import torch\nimport torch.nn.functional as F",
    "jax": "import jax\nimport jax.numpy as jnp\nfrom jax import lax",
    "numpy": "import numpy as np",
    "scipy": "import numpy as np",
}


@dataclass(frozen=True)
class Layer:
    """A layer of the gallery.

    Attributes:
        name: what its file is called.
        title: its headline.
        says: what it does, in a sentence or two.
        shapes: the shape of each operand, by name.
        string: the contraction; empty if it is a program.
        program: Python that makes a symbolic tensor ``y`` of tensors called as in ``shapes``.
        axes: for a program, the axes of each tensor.
        reduce: the reduction of the string.
        extents: what a call says beside the operands: extents, numbers for parameters.
        parameters: names in the string that are numbers.
        output_shape: what a call says of the result.
        integers: operands that are numbers below something.
        values: operands that are what a formula of numpy says, and are held fixed.
        same: for each library the code that makes the same of the same operands.
        gradients: whether their gradients are compared, too.
    """

    name: str
    title: str
    says: str
    shapes: Mapping[str, tuple[int, ...]]
    string: str = ""
    program: str = ""
    axes: Mapping[str, str] = field(default_factory=dict)
    reduce: Any = "sum"
    extents: Mapping[str, int] = field(default_factory=dict)
    parameters: str = ""
    output_shape: tuple[int, ...] | None = None
    integers: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    gradients: bool = True

    @cached_property
    def contraction(self) -> cc.Contraction:
        """The string, understood, its operands and its result called as on the page."""
        return cc.Contraction(self.string, self.reduce, self.parameters, self.called)

    @property
    def called(self) -> str:
        """Names of the operands and of the result."""
        return f"{' '.join(self.shapes)} -> {self.result}"

    @property
    def result(self) -> str:
        """What the result is called: a letter that no operand has."""
        return next(letter for letter in "yzY" if letter not in self.shapes)

    @cached_property
    def given(self) -> dict[str, Any]:
        """What a call says beside the operands."""
        said = {} if self.output_shape is None else {"output_shape": self.output_shape}
        return {**self.extents, **said}

    @property
    def call(self) -> str:
        """The two lines that make the contraction and call it."""
        said = [f'"{self.string}"']
        if self.reduce != "sum":
            said.append(f'reduce="{self.reduce}"')
        if self.parameters:
            said.append(f'parameters="{self.parameters}"')
        said.append(f'names="{self.called}"')
        given = [*self.shapes, *(f"{name}={value}" for name, value in self.given.items())]
        made = f"layer = cc.Contraction({', '.join(said)})"
        return f"{made}\n{self.result} = layer({', '.join(given)})"

    @property
    def opened(self) -> str:
        """Where the playground opens the string, seen from a page of the gallery."""
        shapes = ["x".join(map(str, shape)) for shape in self.shapes.values()]
        values = " ".join(f"{name}={value}" for name, value in self.extents.items())
        result = "x".join(map(str, self.output_shape or ()))
        given = {"reduce": self.reduce, "parameters": self.parameters, "names": self.called,
                 "values": values, "output_shape": result}  # fmt: skip
        return f"../playground/index.html{address(self.string, shapes, **given)}"

    @cached_property
    def tensor(self) -> cc.Tensor:
        """What the program makes."""
        names: dict[str, Any] = {"cc": cc, "F": cc.functions, **self.inputs}
        exec(self.program, names)
        made: cc.Tensor = names["y"]
        return made

    @cached_property
    def inputs(self) -> dict[str, cc.Tensor]:
        """What the program is made of."""
        return {
            name: cc.tensor(name, axes, "int64" if name in self.integers else None)
            for name, axes in self.axes.items()
        }

    def operands(self) -> Arrays:
        """Operands of these shapes, the same every time."""
        draw = np.random.default_rng(0)
        return {name: self._operand(name, draw) for name in self.shapes}

    def _operand(self, name: str, draw: np.random.Generator) -> Any:
        shape = self.shapes[name]
        if name in self.values:
            return eval(self.values[name], {"np": np}).reshape(shape)
        if name in self.integers:
            return draw.integers(self.integers[name], size=shape)
        return draw.standard_normal(shape)

    def differentiable(self) -> list[str]:
        """The operands that have a gradient, and are not held fixed."""
        return [name for name in self.shapes if name not in {*self.integers, *self.values}]

    def run(self, arrays: Arrays) -> Any:
        """What the library makes of operands."""
        if self.string:
            return self.contraction(*arrays.values(), **self.given)
        return cc.program(y=self.tensor)(**arrays)

    def gradient(self, name: str, cotangent: Any, arrays: Arrays) -> Any:
        """The derived gradient by one operand."""
        if self.string:
            derived = self.contraction.grad([*self.shapes].index(name))
            return derived(cotangent, *arrays.values(), **self.given)
        G = cc.tensor("G", " ".join(self.tensor.axes))
        made = cc.grad(self.tensor, self.inputs[name], G)
        read = cc.program(d=made)
        known = {**arrays, "G": cotangent}
        return read(**{needed: known[needed] for needed in _inputs_of(read)})


def _inputs_of(program: cc.Program) -> list[str]:
    return list(program.inputs)


@dataclass(frozen=True, slots=True)
class Compared:
    """How far another library's numbers are from ours, relative to the largest."""

    library: str
    difference: float
    gradients: tuple[str, ...]


def read(path: Path) -> Layer:
    """Read the record of a layer."""
    return made(path.stem, path.read_text(encoding="utf-8"))


def made(name: str, text: str) -> Layer:
    """Make a layer of what its file says."""
    said = tomllib.loads(text)
    shapes = {operand: tuple(shape) for operand, shape in said.pop("shapes").items()}
    if "output_shape" in said:
        said["output_shape"] = tuple(said["output_shape"])
    return Layer(name=name, shapes=shapes, **said)


def names() -> list[str]:
    """The names of all layers."""
    return sorted(path.stem for path in GALLERY.glob("*.toml"))


# -- the same in other libraries ----------------------------------------------------------------


def is_there(library: str) -> bool:
    """Whether a library is installed."""
    return find_spec(library) is not None


def compared(layer: Layer, library: str) -> Compared:
    """Run both on the same operands, gradients as well where the other library derives them."""
    arrays = layer.operands()
    ours = np.asarray(layer.run(arrays))
    cotangent = np.random.default_rng(1).standard_normal(ours.shape)
    wanted = layer.differentiable() if layer.gradients and library in _THEIRS else []
    theirs, slopes = _THEIRS.get(library, _values)(
        _function(layer, library), arrays, wanted, cotangent
    )
    differences = [_difference(ours, theirs)]
    for name, slope in zip(wanted, slopes, strict=True):
        differences.append(_difference(layer.gradient(name, cotangent, arrays), slope))
    return Compared(library, max(differences), tuple(wanted))


def _difference(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        raise ValueError(f"the shapes are {ours.shape} and {theirs.shape}")
    largest = np.max(np.abs(ours), initial=1e-30)
    return float(np.max(np.abs(ours - theirs), initial=0) / largest)


def _function(layer: Layer, library: str) -> Callable[..., Any]:
    """What stands in the gallery, as a function of the operands: its last line is the result."""
    code = f"{PREAMBLES[library]}\n{layer.same[library]}"
    body = ast.parse(code).body
    last = body.pop()
    assert isinstance(last, ast.Expr), "the last line is what it makes"
    arguments = ast.arguments([], [ast.arg(name) for name in layer.shapes], None, [], [], None, [])
    function = ast.FunctionDef("theirs", arguments, [*body, ast.Return(last.value)], [], None, None)
    module = ast.fix_missing_locations(ast.Module([function], []))
    names: dict[str, Any] = {}
    exec(compile(module, f"<{layer.name}, {library}>", "exec"), names)
    made: Callable[..., Any] = names["theirs"]
    return made


def _values(
    function: Any, arrays: Arrays, wanted: list[str], cotangent: Any
) -> tuple[Any, list[Any]]:
    return function(**arrays), []


def _of_torch(
    function: Any, arrays: Arrays, wanted: list[str], cotangent: Any
) -> tuple[Any, list[Any]]:
    torch = import_module("torch")
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    for name in wanted:
        tensors[name].requires_grad_()
    result = function(**tensors)
    if wanted:
        result.backward(torch.tensor(cotangent))
    return result.detach(), [tensors[name].grad for name in wanted]


def _of_jax(
    function: Any, arrays: Arrays, wanted: list[str], cotangent: Any
) -> tuple[Any, list[Any]]:
    jax = import_module("jax")

    def both(held: Arrays, changed: Arrays, cotangent: Any) -> tuple[Any, Arrays]:
        result, pull = jax.vjp(lambda some: function(**{**held, **some}), changed)
        return result, pull(cotangent.astype(result.dtype))[0]

    changed = {name: arrays[name] for name in wanted}
    # Operation by operation it would compile each of them.
    result, slopes = jax.jit(both)({**arrays}, changed, cotangent)
    return result, [slopes[name] for name in wanted]


_THEIRS = {"torch": _of_torch, "jax": _of_jax}
# What jax computes in, unless it is told otherwise, has seven digits.
TOLERANCES = {"torch": 1e-12, "numpy": 1e-12, "scipy": 1e-12, "jax": 1e-5}
