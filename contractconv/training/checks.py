"""What fields of optimisers and schedules may be, by their names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from contractconv.errors import ParameterError

Rule = tuple[Callable[[Any], bool], str]
"""Whether a value is allowed, and what is."""


def check_fields(thing: Any, rules: Mapping[str, Rule]) -> None:
    """See that each field of a dataclass is what the rule of its name allows.

    Raises:
        ParameterError: one is not.
    """
    for field in fields(thing):
        value = getattr(thing, field.name)
        allowed, meant = rules.get(field.name, _ANY)
        if not allowed(value):
            kind = type(thing).__name__
            raise ParameterError(f"{kind}({field.name}={value!r}): it is {meant}")


def is_number(value: object) -> bool:
    """Whether it is a finite number of Python's; numpy's float64 is one, too."""
    return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)


def _at_least_zero(value: Any) -> bool:
    return is_number(value) and value >= 0


def _above_zero(value: Any) -> bool:
    return is_number(value) and value > 0


def _share(value: Any) -> bool:
    return is_number(value) and 0 <= value < 1


def _shares(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_share, value))


def _number_of_steps(value: Any) -> bool:
    whole = type(value) is int and value >= 0
    return whole or (isinstance(value, float) and 0 <= value <= 1)


def _choice(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("weights", "all")
    return isinstance(value, tuple) and all(isinstance(name, str) for name in value)


_ANY: Rule = lambda value: True, ""
_POSITIVE: Rule = _above_zero, "a number above zero"
_NUMBER: Rule = _at_least_zero, "a number, zero or above"
_STEPS: Rule = _number_of_steps, "a number of steps, or a share of all of them as a float up to 1.0"
OF_OPTIMIZERS: dict[str, Rule] = {
    "rate": (lambda value: callable(value) or _at_least_zero(value), "a number, or a schedule"),
    "momentum": (_share, "a number from zero up to, and without, one"),
    "friction": (_share, "a number from zero up to, and without, one"),
    "frictions": (_shares, "a pair of numbers from zero up to, and without, one"),
    "epsilon": _NUMBER,
    "decay": _NUMBER,
    "decayed": (_choice, "'weights', 'all', or a tuple of names"),
}
OF_SCHEDULES: dict[str, Rule] = {
    "rate": _NUMBER,
    "factor": _POSITIVE,
    "power": _POSITIVE,
    "last": _NUMBER,
    "rise": (_share, "a share of all steps, below one"),
    "over": _STEPS,
    "every": (lambda value: _number_of_steps(value) and value > 0, f"{_STEPS[1]}, and not zero"),
    "at": (
        lambda value: isinstance(value, tuple) and all(map(_number_of_steps, value)),
        f"a tuple; each of it is {_STEPS[1]}",
    ),
    "then": (callable, "a schedule"),
    "start": (lambda value: value is None or _at_least_zero(value), "a number, zero or above"),
}
