"""Optimisers and schedules as JSON: by the names of their kinds, and their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from contractconv.errors import ParameterError
from contractconv.programs.text.words import close_to
from contractconv.training import optimizers, schedules
from contractconv.training.kfac.optimizer import KFAC

Kind = TypeVar("Kind", bound=type[Any])

KINDS: dict[str, type[Any]] = {}


def register(kind: Kind) -> Kind:
    """Let values of a dataclass of one's own be written as facts; a decorator of classes.

    Raises:
        ParameterError: it is no dataclass, or there is one of its name.
    """
    if not is_dataclass(kind) or KINDS.get(kind.__name__, kind) is not kind:
        raise ParameterError(f"{kind!r} is no dataclass of a name of its own")
    KINDS[kind.__name__] = kind
    return kind


for _kind in (
    KFAC, optimizers.SGD, optimizers.RMSprop, optimizers.Adam, optimizers.AdamW, optimizers.Lion,
    schedules.Constant, schedules.Cosine, schedules.Linear, schedules.Polynomial,
    schedules.Exponential, schedules.StepDecay, schedules.Milestones, schedules.OneCycle,
    schedules.WarmUp,
):  # fmt: skip
    register(_kind)


def to_facts(thing: Any) -> dict[str, Any]:
    """Describe an optimiser, or a schedule, in JSON.

    Returns:
        Its fields by name, and under ``"kind"`` what it is.

    Raises:
        ParameterError: it is none that is known; :func:`register` makes it known.

    Example:
        >>> to_facts(schedules.WarmUp(schedules.Cosine(0.1), over=100))["then"]
        {'kind': 'Cosine', 'rate': 0.1, 'last': 0.0}
    """
    kind = type(thing)
    if KINDS.get(kind.__name__) is not kind:
        raise ParameterError(
            f"{thing!r} is no optimiser and no schedule that is known: make it a dataclass, and "
            "tell contractconv.training.register"
        )
    described = {field.name: _described(getattr(thing, field.name)) for field in fields(thing)}
    return {"kind": kind.__name__, **described}


def from_facts(facts: Mapping[str, Any]) -> Any:
    """Make the optimiser, or the schedule, that facts describe.

    Raises:
        ParameterError: they describe none.

    Example:
        >>> from_facts({"kind": "Cosine", "rate": 0.1})
        Cosine(rate=0.1, last=0.0)
    """
    given = dict(facts)
    name = given.pop("kind", None)
    if not isinstance(name, str) or name not in KINDS:
        hint = close_to(name, KINDS) if isinstance(name, str) else ""
        raise ParameterError(f"there is no optimiser and no schedule {name!r}{hint}")
    kind = KINDS[name]
    try:
        return kind(**{key: _made(value) for key, value in given.items()})
    except TypeError as error:
        raise ParameterError(f"these are no fields of {name}: {error}") from None


def _described(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return to_facts(value) if is_dataclass(value) or callable(value) else value


def _made(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return from_facts(value) if isinstance(value, dict) else value
