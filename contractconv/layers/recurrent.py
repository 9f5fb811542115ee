"""Recurrences over the axis before the last one: each step is written, as the length is known."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from contractconv.api.contraction import Contraction
from contractconv.api.tensor import Tensor, applied
from contractconv.errors import ShapeError
from contractconv.functions.recurrent import gru_gated, lstm_gated
from contractconv.layers.initialisers import check_init
from contractconv.layers.joining import stacked
from contractconv.layers.options import check_count
from contractconv.layers.part import Part
from contractconv.layers.products import weighted
from contractconv.programs.build import unused

if TYPE_CHECKING:
    from contractconv.layers.trace import Trace

_ENTERED = "... d, d gate h -> ... gate h"
_RECALLED = "... r, r gate h -> ... gate h"


class Recurrence(Part):
    """A state goes along an axis; what comes in meets a weight for all steps at once.

    Attributes:
        gates: how many gates there are.
        bias_roles: what the biases are called of what comes in, and of what is recalled.
    """

    gates: ClassVar[int]
    bias_roles: ClassVar[tuple[str | None, str | None]]
    features: int
    sequence: bool
    reverse: bool
    bias: bool
    init: Any

    def __post_init__(self) -> None:
        check_count(self.features, "features")
        check_init(self.init, ("W_x", "W_h"))

    @abstractmethod
    def _step(self, entered: Tensor, recalled: Tensor, state: list[Tensor], gate: str) -> list[Any]:
        """The next state, whose first tensor is shown."""

    @property
    @abstractmethod
    def _formulas(self) -> str:
        """What a step is."""

    @property
    def string(self) -> str:
        """The strings of its products, and what is done with them in each step."""
        first, second = (f" + {role}" if role and self.bias else "" for role in self.bias_roles)
        return f"{_ENTERED}{first}\n{_RECALLED}{second}, of the step before\n{self._formulas}"

    def _build(self, trace: Trace, *tensors: Tensor) -> Tensor:
        x = self._only(tensors)
        if x.ndim < 2 or not trace.shape(x)[-2]:
            axes = " ".join(x.axes)
            raise ShapeError(f"steps are along the axis before the last one: '{axes}' has none")
        *lead, time, feature = x.axes
        gate = unused("gate", x.axes)
        entered = self._product(trace, _ENTERED, x, "W_x", self.bias_roles[0], gate)
        steps = range(trace.shape(x)[-2])
        shown = self._shown(trace, [entered.at(**{time: n}) for n in self._ordered(steps)], gate)
        if not self.sequence:
            return shown[-1].named([*lead, feature])
        return stacked(trace, self._ordered(shown), time).named(x.axes)

    def _shown(self, trace: Trace, entered: list[Tensor], gate: str) -> list[Tensor]:
        """What is shown in each step, in the order in which they are taken."""
        state, shown = [_zeros(entered[0].at(**{gate: 0}))] * 2, []
        for each in entered:
            recalled = self._product(trace, _RECALLED, state[0], "W_h", self.bias_roles[1], gate)
            state = self._step(each, recalled, state, gate)
            shown.append(state[0])
        return shown

    def _ordered(self, steps: Any) -> Any:
        return steps[::-1] if self.reverse else steps

    def _product(
        self, trace: Trace, string: str, x: Tensor, role: str, bias_role: str | None, gate: str
    ) -> Tensor:
        hidden = unused("h", x.axes[:-1])
        return weighted(
            trace, Contraction(string), [x], {"gate": self.gates, "h": self.features},
            roles=[role], init={"W_h": "orthogonal"} if self.init is None else self.init,
            bias=(gate, hidden) if self.bias and bias_role else None, bias_role=bias_role or "",
            name=(*x.axes[:-1], gate, hidden),
        )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class LSTM(Recurrence):
    """A long short-term memory along the axis before the last one, ``"b t c"``.

    The first state is zero. Both directions are ``Concat(LSTM(n), LSTM(n, reverse=True))``.

    Args:
        features: how many there are of the state.
        sequence: whether the states of all steps are shown, or the last one only.
        reverse: whether the last step is taken first; results stand where their steps do.
        bias: whether something is added before the gates.
        init: what draws the weights ``W_x`` and ``W_h``; see :class:`contractconv.Layer`. By
            default the second one is orthogonal.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> import contractconv as cc
        >>> net = cc.Network(LSTM(16, sequence=False))
        >>> net.traced((8, 10, 3)).output, net.parameters((8, 10, 3))[0]
        (<tensor b c>, <parameter W_x: d=3, gate=4, h=16>)

    Source: Hochreiter and Schmidhuber, Neural Computation 9 (1997); see
    :func:`contractconv.functions.lstm_cell` for a step.
    """

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4
    bias_roles: ClassVar[tuple[str | None, str | None]] = ("bias", None)
    features: int
    sequence: bool = True
    reverse: bool = False
    bias: bool = True
    init: Any = None
    name: str | None = None

    @property
    def _formulas(self) -> str:
        return "c = sigmoid(f) * c + sigmoid(i) * tanh(g), h = sigmoid(o) * tanh(c)"

    def _step(self, entered: Tensor, recalled: Tensor, state: list[Tensor], gate: str) -> list[Any]:
        return [*lstm_gated((entered + recalled).called("z"), state[1], gate)]


@dataclass(frozen=True, eq=False, repr=False)
class GRU(Recurrence):
    """A gated recurrent unit along the axis before the last one, ``"b t c"``.

    Args:
        features: how many there are of the state.
        sequence: whether the states of all steps are shown, or the last one only.
        reverse: whether the last step is taken first; see :class:`LSTM`.
        bias: whether something is added before the gates, to what comes in and to what is recalled.
        init: what draws the weights ``W_x`` and ``W_h``.
        name: what it is called in its network.

    Raises:
        ParameterError: an option is no such thing.

    Example:
        >>> import contractconv as cc
        >>> cc.Network(GRU(16)).traced((8, 10, 3)).output
        <tensor b t c>

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP (2014);
    see :func:`contractconv.functions.gru_cell` for a step.
    """

    kind: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3
    bias_roles: ClassVar[tuple[str | None, str | None]] = ("bias_x", "bias_h")
    features: int
    sequence: bool = True
    reverse: bool = False
    bias: bool = True
    init: Any = None
    name: str | None = None

    @property
    def _formulas(self) -> str:
        return "n = tanh(u_n + sigmoid(u_r + v_r) * v_n), h = n + sigmoid(u_z + v_z) * (h - n)"

    def _step(self, entered: Tensor, recalled: Tensor, state: list[Tensor], gate: str) -> list[Any]:
        return [gru_gated(entered, recalled, state[0], gate)]


def _zeros(like: Tensor) -> Tensor:
    """What is recalled in the first step: nothing, whatever comes in."""
    return applied("where", False, like, 0)
