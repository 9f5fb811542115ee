"""Cells of recurrences: a state goes in, and the next one comes out; time is a loop around them.

Weights have an axis ``gate`` for what a cell works out at once. The state's features are called as
the weights call them; what the state meets in a weight is the axis that only that weight has.
"""

from __future__ import annotations

from contractconv.api.tensor import Tensor, applied
from contractconv.errors import ShapeError
from contractconv.functions.axes import axis_of, summed, without


def lstm_cell(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    W_x: Tensor,
    W_h: Tensor,
    bias: Tensor | None = None,
    hidden: str = "h",
    gate: str = "gate",
) -> tuple[Tensor, Tensor]:
    """Take a step of a long short-term memory.

    With ``z = x W_x + h W_h + bias`` along four gates ``i, f, g, o``::

        c' = σ(z_f) c + σ(z_i) tanh(z_g)
        h' = σ(z_o) tanh(c')

    Args:
        x: what comes in, ``"b d"``.
        h: the output before, ``"b h"``.
        c: the memory before, ``"b h"``.
        W_x: ``"d gate h"``, four gates in this order.
        W_h: ``"r gate h"``; ``r`` stands for the features of the output before.
        bias: ``"gate h"``.
        hidden: the axis of the state's features.
        gate: the axis of the gates.

    Returns:
        The next output and the next memory, ``"b h"`` each.

    Raises:
        ShapeError: there is no such axis, or weights do not fit.

    Example:
        >>> import contractconv as cc
        >>> x, h, c = cc.tensor("x", "b d"), cc.tensor("h", "b h"), cc.tensor("c", "b h")
        >>> lstm_cell(x, h, c, cc.tensor("W_x", "d gate h"), cc.tensor("W_h", "r gate h"))
        (<tensor b h>, <tensor memory: b h>)

    Source: Hochreiter and Schmidhuber, Neural Computation 9 (1997); Gers, Schmidhuber and Cummins,
    Neural Computation 12 (2000), for the gate that forgets.
    """
    z = _entered(x, W_x, hidden, gate) + _recalled(h, W_h, hidden, gate)
    if bias is not None:
        z = z + bias
    return lstm_gated(z.called("z"), c, gate)


def lstm_gated(z: Tensor, c: Tensor, gate: str) -> tuple[Tensor, Tensor]:
    """What the gates of an LSTM make of what they see, ``z``, and of the memory before."""
    i, f, g, o = (z.at(**{gate: n}) for n in range(4))
    new = applied("tanh", g).called("new")
    memory = (_gate(f, "kept") * c + _gate(i, "entered") * new).called("memory")
    return _gate(o, "shown") * applied("tanh", memory), memory


def gru_cell(
    x: Tensor,
    h: Tensor,
    W_x: Tensor,
    W_h: Tensor,
    bias_x: Tensor | None = None,
    bias_h: Tensor | None = None,
    hidden: str = "h",
    gate: str = "gate",
) -> Tensor:
    """Take a step of a gated recurrent unit.

    With ``u = x W_x + bias_x`` and ``v = h W_h + bias_h`` along three gates ``r, z, n``::

        n = tanh(u_n + σ(u_r + v_r) v_n)
        h' = n + σ(u_z + v_z) (h - n)

    Args:
        x: what comes in, ``"b d"``.
        h: the state before, ``"b h"``.
        W_x: ``"d gate h"``, three gates in this order.
        W_h: ``"r gate h"``; ``r`` stands for the features of the state before.
        bias_x: ``"gate h"``.
        bias_h: ``"gate h"``.
        hidden: the axis of the state's features.
        gate: the axis of the gates.

    Returns:
        The next state, ``"b h"``.

    Raises:
        ShapeError: there is no such axis, or weights do not fit.

    Example:
        >>> import contractconv as cc
        >>> x, h = cc.tensor("x", "b d"), cc.tensor("h", "b h")
        >>> gru_cell(x, h, cc.tensor("W_x", "d gate h"), cc.tensor("W_h", "r gate h"))
        <tensor b h>

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP (2014),
    with the reset behind the product, as frameworks have it.
    """
    u, v = _entered(x, W_x, hidden, gate), _recalled(h, W_h, hidden, gate)
    if bias_x is not None:
        u = u + bias_x
    if bias_h is not None:
        v = v + bias_h
    return gru_gated(u, v, h, gate)


def gru_gated(u: Tensor, v: Tensor, h: Tensor, gate: str) -> Tensor:
    """What the gates of a GRU make of what came in, ``u``, and of what is recalled, ``v``."""
    (u_r, u_z, u_n), (v_r, v_z, v_n) = ([part.at(**{gate: n}) for n in range(3)] for part in (u, v))
    new = applied("tanh", u_n + _gate(u_r + v_r, "reset") * v_n).called("new")
    return new + _gate(u_z + v_z, "kept") * (h - new)


def _gate(x: Tensor, name: str) -> Tensor:
    """How far a gate is open."""
    return applied("sigmoid", x).called(name)


def _entered(x: Tensor, W_x: Tensor, hidden: str, gate: str) -> Tensor:
    """What comes in, times its weight."""
    return summed(x, W_x, [_met(W_x, hidden, gate, "W_x")])


def _recalled(h: Tensor, W_h: Tensor, hidden: str, gate: str) -> Tensor:
    """The state before, times its weight."""
    met = _met(W_h, hidden, gate, "W_h")
    axis_of(h, hidden, "the state")
    return summed(h.named([met if a == hidden else a for a in h.axes]), W_h, [met])


def _met(weight: Tensor, hidden: str, gate: str, what: str) -> str:
    """The axis of a weight that meets what comes in."""
    left = without(weight.axes, [axis_of(weight, hidden, what), axis_of(weight, gate, what)])
    if len(left) != 1:
        raise ShapeError(
            f"{what} has the axes '{' '.join(weight.axes)}': beside {hidden!r} and {gate!r} one is "
            "wanted, which meets what comes in"
        )
    return left[0]
