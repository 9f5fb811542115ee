"""What a call is told beside its operands: one record, checked once, handed down whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index as as_integer
from typing import Any, SupportsFloat, SupportsIndex, get_args

from contractconv.errors import (
    AlgorithmError,
    MemoryLimitError,
    OperandError,
    ParameterError,
    ShapeError,
)
from contractconv.notation.keywords import KEYWORDS, Casting, meant, merged
from contractconv.notation.problem import Shape, as_shape
from contractconv.notation.spec import Spec
from contractconv.planning.path import MINIMIZED, Minimize, Search, as_path
from contractconv.planning.setting import ALGORITHMS, Algorithm

ACTIVATIONS = ("relu",)
# The names of opt_einsum's searches for an order.
ORDERS = (
    "auto", "auto-hq", "optimal", "branch-all", "branch-2", "branch-1", "greedy", "eager",
    "opportunistic", "dp", "dynamic-programming", "random-greedy", "random-greedy-128",
)  # fmt: skip

Optimize = bool | str | Sequence[Sequence[int]] | Callable[..., Any]
"""Who chooses the order of operands: a name of a search, a path, or a path optimizer."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one call; which of them a call takes is said by its signature.

    Arrays among them are only carried: whoever fills or adds them checks them.

    Attributes:
        extents: extents of indices and values of parameters, by name.
        output_shape: the shape of the result, where the rules should not choose it.
        algorithm: how products are summed, or who chooses that.
        optimize: who chooses the order of the operands: a name, a path of pairs, a path optimizer.
        minimize: what the order makes small: predicted seconds, operations, or bytes moved.
        memory_limit: bytes that temporary arrays may take beyond operands and result.
        dtype: what the operands are converted to.
        casting: what may be converted into what.
        out: the array that is filled.
        bias: what is added along the last axis of the result.
        activation: what is done to each element then, one of :data:`ACTIVATIONS`.
        progress: whether a bar shows how far it is.
    """

    extents: Mapping[str, int] = field(default_factory=dict)
    output_shape: Shape | None = None
    algorithm: Algorithm = "auto"
    optimize: Any = "auto"
    minimize: Minimize = "seconds"
    memory_limit: int | None = None
    dtype: Any = None
    casting: Casting = "safe"
    out: Any = None
    bias: Any = None
    activation: str | None = None
    progress: bool = False

    @staticmethod
    def of(
        spec: Spec, call: str, named: Mapping[str, int], extents: object = None, **given: Any
    ) -> Options:
        """Check what a caller said.

        Args:
            spec: the contraction, whose indices may have the names of options.
            call: what was called, for messages.
            named: the keywords that are no options of the call.
            extents: the mapping of extents.
            **given: the options that the call takes.

        Raises:
            ParameterError: an option that the call does not take, or a wrong mapping.
            ContractionError: one of its kinds for an option with a wrong value.
        """
        refuse(call, named, spec)
        values = merged(extents, named)
        if given.get("path") is not None:
            if given["optimize"] is not None:
                raise ParameterError("path= is another name of optimize=: give one of them")
            given["optimize"] = given["path"]
        given.pop("path", None)
        said = {name: value for name, value in given.items() if value is not _UNSAID[name]}
        for name in _CHECKS.keys() & said:
            said[name] = _CHECKS[name](said[name], spec)
        made = Options(values, **said)
        _check_search(made.search)
        if made.memory_limit is not None and made.algorithm not in ("auto", "direct"):
            raise AlgorithmError(
                f"memory_limit goes with 'auto' or 'direct', not {made.algorithm!r}"
            )
        return made

    @property
    def search(self) -> Search:
        """Who looks for the order of the operands, and for which."""
        return Search(self.optimize, self.minimize)

    def inside(self, taken: int, what: str) -> Options:
        """How a contraction is carried out whose caller takes some of the memory itself.

        Args:
            taken: the bytes that are taken beside it.
            what: what takes them, for the message.

        Raises:
            MemoryLimitError: there are not so many.
        """
        limit = None if self.memory_limit is None else beside(self.memory_limit, taken, what)
        return Options(algorithm=self.algorithm, memory_limit=limit)


def beside(limit: int, taken: int, what: str) -> int:
    """The bytes that are left of a memory limit beside something that takes so many.

    Raises:
        MemoryLimitError: it takes more.
    """
    if taken > limit:
        raise MemoryLimitError(
            f"a memory limit of {limit} bytes is too small: {what} alone takes {taken}"
        )
    return limit - taken


# What a call is told that is told nothing.
DEFAULTS = Options()


def unsaid(given: Mapping[str, object]) -> bool:
    """Whether a caller has left all of some options as they are."""
    return all(value is _LEFT[name] for name, value in given.items())


def refuse(call: str, named: Mapping[str, object], spec: Spec) -> None:
    """Refuse options that a call does not take, rather than ignore them.

    Raises:
        ParameterError: there is one.
    """
    if not KEYWORDS.isdisjoint(named):
        name = next(name for name in named if name in KEYWORDS)
        hint = meant(name, named[name], spec.indices)
        raise ParameterError(f"{call} takes no option {name!r}{hint}")


def _as_result_shape(shape: Any, spec: Spec) -> Shape:
    try:
        return as_shape(shape)
    except ShapeError as error:
        raise ShapeError(f"{error}{meant('output_shape', shape, spec.indices)}") from None


def _one_of(name: str, known: tuple[str, ...], kind: type[Exception]) -> Callable[..., Any]:
    """The check of an option that is one of a few words."""

    def checked(value: Any, spec: Spec) -> Any:
        if isinstance(value, str) and value in known:
            return value
        hint = meant(name, value, spec.indices)
        raise kind(f"unknown {name} {value!r}: choose one of {', '.join(known)}{hint}")

    return checked


def as_bytes(limit: Any, spec: Spec | None = None) -> int:
    """A limit in bytes, as a whole number of any kind: ``2**20`` or ``1e6``.

    Raises:
        MemoryLimitError: it is none.
    """
    number = _whole(limit)
    if number is None or number < 0:
        raise MemoryLimitError(f"memory_limit is a number of bytes, not {limit!r}")
    return number


def _whole(number: Any) -> int | None:
    if isinstance(number, bool):
        return None
    if isinstance(number, SupportsIndex):
        return as_integer(number)
    whole = isinstance(number, SupportsFloat) and float(number).is_integer()
    return int(float(number)) if whole else None


def _as_optimize(optimize: Any, spec: Spec) -> Any:
    """A name, a path as tuples, or what is called to find one."""
    if optimize is None or optimize is True:
        return "auto"
    if isinstance(optimize, str):
        return _one_of("optimize", ORDERS, AlgorithmError)(optimize, spec)
    if callable(optimize):
        return optimize
    hint = "".join(meant(name, optimize, spec.indices) for name in ("optimize", "path"))
    if hint or optimize is False:
        raise AlgorithmError(f"operands meet in pairs: optimize={optimize!r} is no order{hint}")
    return as_path(optimize)


def _as_minimize(minimize: Any, spec: Spec) -> Any:
    """What an order makes small."""
    if minimize is None:
        return DEFAULTS.minimize
    return _one_of("minimize", MINIMIZED, AlgorithmError)(minimize, spec)


def _check_search(search: Search) -> None:
    """What is to be minimised is said to searches of this library alone."""
    if search.minimize == DEFAULTS.minimize or search.optimize in ("auto", "auto-hq"):
        return
    named = isinstance(search.optimize, str)
    what = f"optimize={search.optimize!r}" if named else "an order that is given"
    raise AlgorithmError(
        f"minimize={search.minimize!r} is for the searches of this library, optimize='auto' "
        f"or 'auto-hq': it says nothing to {what}"
    )


def _as_bias(bias: Any, spec: Spec) -> Any:
    """What is added; an index of that name has not been meant."""
    hint = meant("bias", bias, spec.indices)
    if hint:
        raise OperandError(f"bias is an array, not {bias!r}{hint}")
    return bias


def _as_progress(progress: Any, spec: Spec) -> bool:
    if not isinstance(progress, bool):
        hint = meant("progress", progress, spec.indices)
        raise ParameterError(f"progress is True or False, not {progress!r}{hint}")
    return progress


_CHECKS: dict[str, Callable[[Any, Spec], Any]] = {
    "output_shape": _as_result_shape,
    "algorithm": _one_of("algorithm", ALGORITHMS, AlgorithmError),
    "optimize": _as_optimize,
    "minimize": _as_minimize,
    "memory_limit": as_bytes,
    "casting": _one_of("casting", get_args(Casting), OperandError),
    "bias": _as_bias,
    "progress": _as_progress,
    "activation": _one_of("activation", ACTIVATIONS, OperandError),
}
# What a call has not been told; compared by identity, since arrays are among the options.
_UNSAID = {name: getattr(DEFAULTS, name) for name in Options.__slots__}
# What signatures have in their place.
_LEFT = {**_UNSAID, "optimize": None, "path": None, "minimize": None}
