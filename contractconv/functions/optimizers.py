"""Steps of optimisers: what there was and a gradient go in, what there is next comes out.

They are maps, so a program may hold a network, its gradients and the step of its optimiser; and
may be differentiated through that step.
"""

from __future__ import annotations

from contractconv.api.tensor import Tensor, applied
from contractconv.functions.axes import cast_like
from contractconv.functions.shares import rest_of

Value = float | Tensor
"""A number, or a tensor without axes that holds one."""


def sgd(w: Tensor, gradient: Tensor, rate: Value, decay: Value = 0.0) -> Tensor:
    """Step down the slope, ``w' = w - rate (g + decay w)``.

    Args:
        w: a parameter, any axes.
        gradient: its gradient, the same axes.
        rate: how far.
        decay: how much of the parameter is added to its gradient.

    Returns:
        The next parameter, with the axes and the numbers of ``w``.

    Example:
        >>> import contractconv as cc
        >>> W, x = cc.tensor("W", "i o"), cc.tensor("x", "i")
        >>> loss = cc.contract("i o, i, j o, j ->", W, x, W, x)
        >>> sgd(W, cc.grad(loss, W), rate=0.1)
        <tensor i o>
    """
    return cast_like(w - rate * _decayed(w, gradient, decay), w)


def momentum(
    w: Tensor,
    gradient: Tensor,
    velocity: Tensor,
    rate: Value,
    friction: Value = 0.9,
    decay: Value = 0.0,
    nesterov: bool = False,
) -> tuple[Tensor, Tensor]:
    """Step with momentum, ``v' = friction v + g`` and ``w' = w - rate v'``.

    Args:
        w: a parameter, any axes.
        gradient: its gradient, the same axes.
        velocity: gradients so far, the same axes; zeros at the beginning.
        rate: how far.
        friction: how much of the velocity is kept.
        decay: how much of the parameter is added to its gradient.
        nesterov: whether the step looks ahead, ``w' = w - rate (g + friction v')``.

    Returns:
        The next parameter and the next velocity.

    Example:
        >>> import contractconv as cc
        >>> W, dW, v = (cc.tensor(name, "i o") for name in ("W", "dW", "v"))
        >>> momentum(W, dW, v, rate=0.1)
        (<tensor i o>, <tensor i o>)

    Source: Polyak, USSR Comput. Math. 4 (1964); Sutskever, Martens, Dahl and Hinton, "On the
    importance of initialization and momentum in deep learning", ICML (2013).
    """
    slope = _decayed(w, gradient, decay)
    faster = cast_like(friction * velocity + slope, velocity)
    step = slope + friction * faster if nesterov else faster
    return cast_like(w - rate * step, w), faster


def adam(
    w: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    step: int | Tensor,
    rate: Value = 1e-3,
    friction: tuple[Value, Value] = (0.9, 0.999),
    epsilon: float = 1e-8,
    decay: Value = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Step by as many deviations as the gradient is from zero.

    ``m' = β₁ m + (1 - β₁) g``, ``s' = β₂ s + (1 - β₂) g²``, and with
    ``m̂ = m' / (1 - β₁ᵗ)``, ``ŝ = s' / (1 - β₂ᵗ)``::

        w' = w - rate (m̂ / (√ŝ + ε) + decay w)

    Args:
        w: a parameter, any axes.
        gradient: its gradient, the same axes.
        first: the average gradient ``m``, the same axes; zeros at the beginning.
        second: the average square ``s``, likewise.
        step: the number ``t`` of this step, counted from 1; an integer tensor without axes if a
            program is made once and called many times.
        rate: how far.
        friction: ``β₁`` and ``β₂``.
        epsilon: keeps the quotient from dividing by zero.
        decay: how much of the parameter is taken away beside, which is AdamW.

    Returns:
        The next parameter, average gradient and average square.

    Example:
        >>> import contractconv as cc
        >>> W, dW, m, s = (cc.tensor(name, "i o") for name in ("W", "dW", "m", "s"))
        >>> adam(W, dW, m, s, cc.tensor("step", dtype="int64"))
        (<tensor i o>, <tensor i o>, <tensor i o>)

    Source: Kingma and Ba, "Adam", ICLR (2015), algorithm 1; Loshchilov and Hutter, "Decoupled
    weight decay regularization", ICLR (2019), algorithm 2.
    """
    slow, slower = friction
    m = averaged(first, gradient, slow)
    s = averaged(second, applied("square", gradient), slower)
    root = applied("sqrt", s / (1 - slower**step))
    move = m / (1 - slow**step) / (root + epsilon)
    return cast_like(w - rate * _decayed(w, move, decay), w), m, s


def rmsprop(
    w: Tensor,
    gradient: Tensor,
    second: Tensor,
    rate: Value = 1e-2,
    friction: Value = 0.99,
    epsilon: float = 1e-8,
    decay: Value = 0.0,
) -> tuple[Tensor, Tensor]:
    """Step along the gradient over the root of its average square.

    ``s' = β s + (1 - β) g²`` and ``w' = w - rate g / (√s' + ε)``, with ``decay w`` added to ``g``.

    Args:
        w: a parameter, any axes.
        gradient: its gradient, the same axes.
        second: the average square ``s``, the same axes; zeros at the beginning.
        rate: how far.
        friction: ``β``, how much of the average is kept.
        epsilon: keeps the quotient from dividing by zero.
        decay: how much of the parameter is added to its gradient.

    Returns:
        The next parameter and average square.

    Example:
        >>> import contractconv as cc
        >>> W, dW, s = (cc.tensor(name, "i o") for name in ("W", "dW", "s"))
        >>> rmsprop(W, dW, s)
        (<tensor i o>, <tensor i o>)

    Source: Tieleman and Hinton, "Neural networks for machine learning", lecture 6.5 (2012).
    """
    slope = _decayed(w, gradient, decay)
    s = averaged(second, applied("square", slope), friction)
    return cast_like(w - rate * (slope / (applied("sqrt", s) + epsilon)), w), s


def lion(
    w: Tensor,
    gradient: Tensor,
    first: Tensor,
    rate: Value = 1e-4,
    friction: tuple[Value, Value] = (0.9, 0.99),
    decay: Value = 0.0,
) -> tuple[Tensor, Tensor]:
    """Step equally far for every element, up or down.

    ``w' = w - rate (sign(β₁ m + (1 - β₁) g) + decay w)`` and ``m' = β₂ m + (1 - β₂) g``.

    Args:
        w: a parameter, any axes.
        gradient: its gradient, the same axes.
        first: the average gradient ``m``, the same axes; zeros at the beginning.
        rate: how far.
        friction: ``β₁`` of the step, and ``β₂`` of the average.
        decay: how much of the parameter is taken away beside.

    Returns:
        The next parameter and average gradient.

    Example:
        >>> import contractconv as cc
        >>> W, dW, m = (cc.tensor(name, "i o") for name in ("W", "dW", "m"))
        >>> lion(W, dW, m)
        (<tensor i o>, <tensor i o>)

    Source: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS (2023),
    algorithm 2.
    """
    now, later = friction
    move = applied("sign", now * first + rest_of(now) * gradient)
    return cast_like(w - rate * _decayed(w, move, decay), w), averaged(first, gradient, later)


def averaged(average: Tensor, x: Tensor, friction: Value = 0.999) -> Tensor:
    """Keep an exponential moving average, ``a' = friction a + (1 - friction) x``.

    Parameters averaged over steps often do better than the last ones.

    Args:
        average: what it was, any axes.
        x: what is averaged, the same axes; of parameters the first ones are the first average.
        friction: how much of the average is kept.

    Returns:
        The next average, with the numbers of the last one.

    Example:
        >>> import contractconv as cc
        >>> average, W = cc.tensor("average", "i o"), cc.tensor("W", "i o")
        >>> print(cc.program(next_average=averaged(average, W, 0.99), name="ema"))
        def ema(average: "i o", W: "i o"):
            next_average = 0.99 * average + 0.01 * W
            return next_average
        <BLANKLINE>

    Source: Polyak and Juditsky, SIAM J. Control Optim. 30 (1992); Tarvainen and Valpola, "Mean
    teachers are better role models", NIPS (2017), equation 1.
    """
    return cast_like(friction * average + rest_of(friction) * x, average)


def _decayed(w: Tensor, step: Tensor, decay: Value) -> Tensor:
    none = isinstance(decay, (int, float)) and decay == 0
    return step if none else step + decay * w
