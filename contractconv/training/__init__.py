"""What a training needs beside a network: optimisers, schedules, checkpoints."""

from contractconv.functions.clipping import clipped, global_norm
from contractconv.functions.optimizers import averaged
from contractconv.training.checkpoints import Latest, at_step, latest, load, save
from contractconv.training.facts import from_facts, register, to_facts
from contractconv.training.kfac.optimizer import KFAC
from contractconv.training.optimizer import Optimizer
from contractconv.training.optimizers import SGD, Adam, AdamW, Lion, RMSprop
from contractconv.training.rng import rng_from_facts, rng_to_facts
from contractconv.training.schedules import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    Milestones,
    OneCycle,
    Polynomial,
    Schedule,
    StepDecay,
    WarmUp,
)

__all__ = [
    "KFAC",
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Exponential",
    "Latest",
    "Linear",
    "Lion",
    "Milestones",
    "OneCycle",
    "Optimizer",
    "Polynomial",
    "RMSprop",
    "Schedule",
    "StepDecay",
    "WarmUp",
    "at_step",
    "averaged",
    "clipped",
    "from_facts",
    "global_norm",
    "latest",
    "load",
    "register",
    "rng_from_facts",
    "rng_to_facts",
    "save",
    "to_facts",
]
