"""Tracing: a network is called with symbolic tensors; what its parts ask for is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contractconv.api.tensor import Tensor, tensor
from contractconv.errors import ContractionError, OperandError, ProgramError, ShapeError
from contractconv.layers.initialisers import Drawn, Initialiser
from contractconv.layers.records import Call, Mask, Parameter, Path, Product
from contractconv.programs.build import unused
from contractconv.programs.nodes import in_order
from contractconv.programs.sizing import Sizing
from contractconv.programs.text.words import checked_name

if TYPE_CHECKING:
    from contractconv.layers.part import Part

Shape = tuple[int, ...]


@dataclass
class _Scope:
    """What is in the part that is being called: names so far, and what it asked for itself."""

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    names: set[str] = field(default_factory=set)
    parameters: dict[Path, Parameter] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)


class Trace:
    """What a network asks for while it is called with symbolic tensors of known shapes.

    Args:
        training: whether parts do what they do in training: lose, and average over the batch.

    Attributes:
        parameters: by their paths, in the order in which they are met.
        calls: the parts that do something, in order.
        masks: the chance that is drawn for each call of the program.
        updates: what running statistics become.
    """

    def __init__(self, training: bool) -> None:
        self.training = training
        self.parameters: dict[Path, Parameter] = {}
        self.calls: list[Call] = []
        self.masks: list[Mask] = []
        self.updates: dict[Path, Tensor] = {}
        self._shapes: dict[str, Shape] = {}
        self._sizing = Sizing(self._shapes)
        self._scopes = [_Scope(())]
        self._paths: dict[int, tuple[Part, Path]] = {}

    # -- what a network asks ---------------------------------------------------------------------

    def input(self, name: str, axes: Sequence[str], shape: Shape, dtype: str | None) -> Tensor:
        """An array that the program is given, of a known shape."""
        made = tensor(unused(name, self._shapes), axes, dtype)
        self._shapes[str(made.label)] = shape
        return made

    @contextmanager
    def entered(self) -> Iterator[Trace]:
        """Be what parts ask, as long as it lasts."""
        token = _CURRENT.set(self)
        try:
            yield self
        finally:
            _CURRENT.reset(token)

    def called(self, part: Part, tensors: Sequence[Tensor], path: Path | None = None) -> Tensor:
        """Put a part behind tensors, and write down what it asks for."""
        for given in tensors:
            if not isinstance(given, Tensor):
                raise OperandError(
                    f"{type(given).__name__} given to {part!r}: parts are called with symbolic "
                    "tensors, while a network is traced"
                )
        where = self._path(part) if path is None else path
        scope = _Scope(where)
        self._scopes.append(scope)
        try:
            made = self._checked(part._build(self, *tensors), scope)
        except ContractionError as error:
            raise _placed(error, part, where, [(t, self._known(t)) for t in tensors]) from None
        finally:
            self._scopes.pop()
        if not part.is_block:
            asked = tuple(scope.parameters.values()), tuple(scope.products)
            self.calls.append(Call(where, part, tuple(tensors), made, *asked))
        return made

    # -- what parts ask ----------------------------------------------------------------------------

    def shape(self, value: Tensor) -> Shape:
        """The sizes of the axes of a tensor, as numbers."""
        sizing, node = self._sizing, value._node
        for each in in_order([node], known=sizing.made):
            sizing.add(each)
        known = sizing.shapes[sizing.made[node]]
        found = tuple(size for size in known if size is not None)
        if len(found) < len(known):
            open_axes = [a for a, s in zip(value.axes, known, strict=True) if s is None]
            raise ShapeError(f"the size of {', '.join(open_axes)} follows from nothing")
        return found

    def parameter(
        self,
        role: str,
        axes: Sequence[str],
        shape: Shape,
        init: Initialiser,
        drawn: Drawn | None = None,
        trained: bool = True,
    ) -> Parameter:
        """A parameter of the part that is being called.

        Args:
            role: what it is called there, ``"W"``.
            axes: the names of its axes.
            shape: their sizes.
            init: what draws it.
            drawn: what that needs to know beside the shape.
            trained: whether it has a gradient.

        Raises:
            ShapeError: the part is shared, and had another shape before.
        """
        scope = self._scopes[-1]
        path = (*scope.path, role)
        known = self.parameters.get(path)
        if known is None:
            made = self.input("_".join(path), axes, shape, None)
            how = drawn or Drawn(shape)
            known = Parameter(path, tuple(axes), shape, init, how, trained, made)
            self.parameters[path] = known
        elif known.shape != shape:
            raise ShapeError(
                f"{known.name} is shared: it has shape {known.shape}, and would need {shape} here"
            )
        scope.parameters[path] = known
        return known

    def mask(self, axes: Sequence[str], shape: Shape, kept: float) -> Tensor:
        """Truth values that are drawn anew for each call of the program."""
        made = self.input("_".join((*self._scopes[-1].path, "kept")), axes, shape, "bool")
        self.masks.append(Mask(made, shape, kept))
        return made

    def becomes(self, parameter: Parameter, value: Tensor) -> None:
        """Say what a running statistic is after this call."""
        self.updates[parameter.path] = value

    def latest(self, parameter: Parameter) -> Tensor:
        """What a running statistic is by now: a part that is shared moves it on more than once."""
        return self.updates.get(parameter.path, parameter.tensor)

    def product(self, made: Product) -> None:
        """Write down a contraction with weights."""
        self._scopes[-1].products.append(made)

    # -- names -----------------------------------------------------------------------------------

    def _path(self, part: Part) -> Path:
        known = self._paths.get(id(part))
        if known is not None:
            return known[1]
        scope = self._scopes[-1]
        path = (*scope.path, self._name(part, scope))
        self._paths[id(part)] = part, path
        return path

    def _name(self, part: Part, scope: _Scope) -> str:
        if part.name is not None:
            checked_name(str(part.name), "a part")
            if part.name in scope.names:
                raise ProgramError(
                    f"two parts are called {part.name!r} here: give one another name, or call one "
                    "part twice to share its parameters"
                )
            scope.names.add(part.name)
            return part.name
        while True:
            scope.counts[part.kind] += 1
            name = f"{part.kind}_{scope.counts[part.kind]}"
            if name not in scope.names:
                scope.names.add(name)
                return name

    def _checked(self, made: Tensor, scope: _Scope) -> Tensor:
        """What a part made, under its name, if its sizes fit."""
        self.shape(made)
        return made.called("_".join(scope.path)) if scope.path else made

    def _known(self, value: Tensor) -> Shape | None:
        try:
            return self.shape(value)
        except ContractionError:
            return None


_CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current(part: Part) -> Trace:
    """The network that is being traced.

    Raises:
        ProgramError: there is none.
    """
    trace = _CURRENT.get()
    if trace is None:
        raise ProgramError(
            f"{part!r} is called outside of a network: put it into cc.Network([...]), or call it "
            "in the function that is given to cc.Network"
        )
    return trace


def _placed(
    error: ContractionError, part: Part, path: Path, given: Sequence[tuple[Tensor, Shape | None]]
) -> ContractionError:
    """The same mistake, with the part in which it is, if that is not said yet."""
    if getattr(error, "part", None) is not None:
        return error
    shown = "; ".join(f"'{' '.join(t.axes)}' {shape or ''}".rstrip() for t, shape in given)
    placed = type(error)(f"{'.'.join(path) or part.kind}: {error}\nit was given {shown}")
    placed.part = path  # type: ignore[attr-defined]
    return placed
