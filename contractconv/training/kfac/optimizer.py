"""KFAC: steps along the natural gradient, with a Kronecker-factored Fisher matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from contractconv.errors import ParameterError
from contractconv.training.kfac.curvature_state import (
    INPUT,
    INPUT_PARTS,
    INVERSES,
    OUTPUT,
    OUTPUT_PART,
    Arrays,
    assembled,
    averaged,
    inverses_of,
    of_block,
    squared,
    unbiased,
)
from contractconv.training.kfac.damping import METHODS, Array, Method
from contractconv.training.kfac.fisher import FISHERS, NOISE, Fisher, drawn
from contractconv.training.kfac.gradients import Gradients
from contractconv.training.kfac.objective import Objective, name_of
from contractconv.training.kfac.updates import Stepping, Update

STEP = "step"


class Taken(NamedTuple):
    """What a step makes.

    Attributes:
        loss: before the step.
        parameters: the next ones, by name.
        state: the next one.
        beside: what else the objective asks for, by name.
    """

    loss: float
    parameters: Arrays
    state: Arrays
    beside: Arrays


@dataclass(frozen=True)
class KFAC:
    """Natural gradient descent with Kronecker-factored curvature.

    Each weight's block of the Fisher matrix is taken for ``A ⊗ B``, an average over windows times
    one over cotangents; the step goes along ``A⁻¹ G B⁻¹``.

    Args:
        rate: how far a step goes, unless it is told.
        damping: what is added to the Fisher matrix, in units of its eigenvalues.
        clip: the greatest ``rate² gᵀ F⁻¹ g`` of a step; ``None`` for no limit.
        momentum: how much of the velocity is kept.
        decay: how much of a parameter is added to its direction.
        fisher: ``"sampled"``, from targets that are drawn from the network's own distribution;
            ``"empirical"``, from the given ones; ``"exact"``, from a root of the loss's Hessian,
            which takes a backward pass for each of its columns.
        kind: ``"expand"`` or ``"reduce"``, how places where a weight is used are counted.
        average: how much of the factors' running averages is kept.
        factors_every: after how many steps factors are made again.
        inverses_every: after how many steps they are inverted again.
        inverse: ``"cholesky"`` or ``"eigenvectors"``.
        fallback: what moves parameters that have no factors.
        rate_beside: its rate, unless the step is told.
        seed: of the targets that are drawn; together with the number of the step.

    Raises:
        ParameterError: something is not what it can be.

    Source: Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate
    curvature", ICML (2015); Grosse and Martens, "A Kronecker-factored approximate Fisher matrix
    for convolution layers", ICML (2016); Ba, Grosse and Martens, "Distributed second-order
    optimization using Kronecker-factored approximations", ICLR (2017), for the limit of a step.
    """

    rate: float = 0.1
    damping: float = 1e-2
    clip: float | None = 1e-2
    momentum: float = 0.9
    decay: float = 0.0
    fisher: Fisher = "sampled"
    kind: str = "expand"
    average: float = 0.95
    factors_every: int = 10
    inverses_every: int = 10
    inverse: Method = "cholesky"
    fallback: Any = None
    rate_beside: float = 1e-3
    seed: int = 0


class Training:
    """An objective and an optimiser, compiled: what steps are taken with."""

    def __init__(self, options: KFAC, objective: Objective) -> None:
        self.options, self.objective = options, objective
        asked = Gradients(objective, options.fisher, options.kind)
        self.gradients, self.factors = asked.program(False), asked.program(True)
        self._shape = asked.shape_program()
        self._update = Update(objective, options.momentum, options.decay, options.clip, options.fallback)
        self.update = self._update.program()
        self._run = {p.name: p.compile() for p in (self.gradients, self.factors, self._shape, self.update)}

    def begin(self, parameters):
        state = {STEP: np.int64(0)}
        for name, w in parameters.items():
            for slot in self._update.slots_of(name):
                state[f"{name}_{slot}"] = np.zeros_like(w)
        return state

    def step(self, parameters, state, data, rate=None, rate_beside=None, damping=None):
        o = self.options
        n = int(state[STEP])
        dtype = np.result_type(*parameters.values())
        given = [*data, *(parameters[name_of(p)] for p in self.objective.parameters)]
        if n % o.factors_every == 0:
            if o.fisher == "sampled":
                shape = tuple(int(x) for x in np.atleast_1d(self._run["shape"](*given)))
                noise = [drawn(self.objective.likelihood.loss, shape, np.random.default_rng([o.seed, n])).astype(dtype)]
            else:
                noise = []
            out = self._run["factors"](*given, *noise)._asdict()
            state = state | self._averaged(state, out)
        else:
            out = self._run["gradients"](*given)._asdict()
        if n % o.inverses_every == 0:
            state = state | self._inverted(state, o.damping if damping is None else damping)
        args = {**parameters, **out, **state, STEP: np.int64(n + 1), "rate": dtype.type(o.rate if rate is None else rate), "rate_beside": dtype.type(rate_beside or o.rate_beside)}
        later = self._run["update"](**{k: args[k] for k in self.update.inputs})._asdict()
        new = {name: later[f"next_{name}"] for name in parameters}
        slots = {f"{name}_{s}": later[f"next_{name}_{s}"] for name in parameters for s in self._update.slots_of(name)}
        return Taken(float(out["loss"]), new, state | slots | {STEP: np.int64(n + 1)}, {k: out[k] for k in self.objective.beside})

    def _averaged(self, state, out):
        found = {}
        for name, (site, *_) in self.objective.blocks.items():
            m = site.matrix
            pairs = {INPUT: assembled(of_block(out, name, INPUT_PARTS), m), OUTPUT: squared(out[f"{name}_{OUTPUT_PART}"], m)}
            for part, new in pairs.items():
                key = f"{name}_{part}"
                old = state.get(key)
                found[key] = averaged(np.zeros_like(new) if old is None else old, new, self.options.average)
        found["factor_count"] = np.int64(int(state.get("factor_count", 0)) + 1)
        self._leading = {name: out[f"{name}_{OUTPUT_PART}"].shape[: len(site.matrix.groups)] for name, (site, *_) in self.objective.blocks.items()}
        return found

    def _inverted(self, state, damping):
        found = {}
        o = self.options
        count = int(state["factor_count"])
        for name, (site, *_) in self.objective.blocks.items():
            a, b = (unbiased(state[f"{name}_{p}"], o.average, count) for p in (INPUT, OUTPUT))
            inv = inverses_of(a, b, site.matrix, self._leading[name], damping, o.inverse, site.bias is not None)
            found |= {f"{name}_{k}": v for k, v in inv.items()}
        return found
