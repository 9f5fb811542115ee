"""What calls begin with: their options and arrays are checked, a contraction's and what is derived.

Whatever is derived from a contraction is called with all its operands, behind what it takes
besides: the cotangent, a tangent. That call is written once, in :class:`Called`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from contractconv.api.call_arrays import arrays_of
from contractconv.errors import OperandError, ShapeError
from contractconv.notation.keywords import Casting
from contractconv.notation.problem import Problem, Shape
from contractconv.notation.spec import Spec, operand_names
from contractconv.planning.options import DEFAULTS, Options, unsaid
from contractconv.planning.setting import Algorithm
from contractconv.uninterrupted import enter

if TYPE_CHECKING:
    from contractconv.api.contraction import Contraction
    from contractconv.arrays.views import Array

# What messages call a cotangent, which is G in formulas.
THE_COTANGENT = "the cotangent"


@dataclass(frozen=True, slots=True)
class Call:
    """What something derived is called with, checked.

    Attributes:
        given: what it takes before the forward operands, by its letter in formulas.
        operands: the forward operands as :func:`contractconv.arrays.operands.as_operand` or
            a conversion made them.
        problem: the forward contraction with their shapes.
        concrete: its spec with parameters bound and the ellipsis spelled out.
        options: by which algorithm it is carried out, and within which limit.
        execution: the module that carries it out, on arrays of such a library.
        asked: the options as the caller gave them.
    """

    given: dict[str, Any]
    operands: tuple[Any, ...]
    problem: Problem
    concrete: Spec
    options: Options
    execution: Any
    asked: Options
    _conversion: Any

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes of the forward operands."""
        return tuple(map(shape_of, self.operands))

    @property
    def roles(self) -> dict[str, Any]:
        """Everything that it is called with, as a contraction without names calls it."""
        names = operand_names(len(self.operands))
        return self.given | dict(zip(names, self.operands, strict=True))

    def finished(self, made: Any) -> Any:
        """The result as the caller wants it."""
        return made if self._conversion is None else self._conversion.filled(made)


def forward_call(
    forward: Contraction, takes: Sequence[str], arrays: Sequence[Any], options: Options, what: str
) -> Call:
    """Check what something derived is called with.

    Args:
        forward: the contraction.
        takes: what it takes before the forward operands, as messages call it.
        arrays: what the caller passed for these and for the operands.
        options: those of the call.
        what: what is called, for messages: ``"a gradient"``.

    Raises:
        OperandError: the number of operands is wrong, or one is not an array of numbers.
        ShapeError: the shapes do not fit; the message says so if it is the cotangent's.
    """
    enter_execution()
    count = len(takes)
    _check_count(forward, takes, len(arrays) - count, what)
    spread = forward._spread(arrays[count:])
    names = (*takes, *operand_labels(forward, len(spread)))
    held = arrays_of((*arrays[:count], *spread), names)
    given = held.taken
    shapes = tuple(map(shape_of, given[count:]))
    letters = ["G" if name == THE_COTANGENT else name for name in takes]
    cotangent = dict(zip(letters, given, strict=False)).get("G")
    problem = _problem(forward, shapes, options, cotangent)
    concrete = forward._concrete(shapes, options, problem.result_shape)
    conversion = held.conversion(options, problem.reduce, forward.indices)
    inner, taken = options, given
    if conversion is not None:
        taken = [conversion.converted(a, name) for a, name in zip(given, names, strict=True)]
        inner = held.inside(options, taken)
    roles = dict(zip(letters, taken, strict=False))
    operands = tuple(taken[count:])
    execution = held.execution
    return Call(roles, operands, problem, concrete, inner, execution, options, conversion)


def _check_count(forward: Contraction, takes: Sequence[str], given: int, what: str) -> None:
    count = len(forward.arrays)
    if given == count:
        return
    wanted = f"{count} operand{'s' * (count != 1)}"
    wanted += f" ({', '.join(forward.arrays)})" * bool(forward._named.names)
    expected, found = (" and ".join([*takes, number]) for number in (wanted, str(max(given, 0))))
    raise OperandError(f"{what} of '{forward}' is called with {expected}, not with {found}")


def operand_labels(forward: Contraction, count: int) -> list[str]:
    """What messages call so many operands, which may be too many."""
    names = forward._named.names
    return list(names) if len(names) == count else [f"operand {n}" for n in range(count)]


def _problem(
    forward: Contraction, shapes: Sequence[Shape], options: Options, cotangent: Any = None
) -> Problem:
    """The forward problem, as the forward call would find it; a cotangent has to fit it."""
    if cotangent is None:
        return forward._problem(shapes, options)
    given = shape_of(cotangent)
    problem = forward._problem(shapes, options, given if options.output_shape is None else None)
    if problem.result_shape != given:
        raise ShapeError(
            f"the cotangent has shape {given}, the result of '{forward}' has {problem.result_shape}"
        )
    return problem


class Called(ABC):
    """Something derived from a contraction, which is called with all its operands.

    Attributes:
        forward: the contraction that it was derived from.
        operand: the position of the operand that it is about.
        takes: what it is called with before the forward operands.
    """

    forward: Contraction
    operand: int
    takes: tuple[str, ...]
    _title: str  # what is called, for messages

    @abstractmethod
    def _made(self, call: Call) -> Array:
        """Carry out a call that has been checked."""

    def _by_blocks(self, call: Call) -> Array | None:
        """Carry out a call whose arrays lie in files; ``None`` if it is not done block by block."""
        return None

    def _told(self, options: Options) -> Options:
        """The options of a call, as the forward contraction understands them."""
        return options

    def __call__(
        self,
        /,
        *arrays: Any,
        output_shape: Sequence[int] | None = None,
        algorithm: Algorithm = "auto",
        memory_limit: float | None = None,
        out: Array | None = None,
        dtype: Any = None,
        casting: Casting = "safe",
        progress: bool = False,
        extents: Mapping[str, int] | None = None,
        **named: int,
    ) -> Array:
        """Carry it out.

        Args:
            *arrays: what :attr:`takes` names, then all forward operands, the differentiated one
                too. A cotangent has the result's shape, a tangent the operand's.
            output_shape: the shape of the forward result, if the forward call was given one.
            algorithm: see :func:`contractconv.contract`, as for the next ones.
            memory_limit: bytes that temporary arrays may take beyond operands and result.
            out: an array of exactly the result's shape, which is filled and returned.
            dtype: what all arrays are converted to.
            casting: which conversions to ``dtype`` and to that of ``out`` are allowed.
            progress: whether a bar on stderr shows how far it is.
            extents: what the forward call was given.
            **named: the same by keyword.

        Returns:
            A new array, or ``out``.

        Raises:
            OperandError: the number of arrays is wrong, one is not an array of numbers, or a
                cotangent is complex, but the result is real.
            ShapeError: the shapes do not fit, as the forward call finds; or a cotangent has not
                the result's, a tangent not the operand's.
        """
        given = {
            "output_shape": output_shape, "algorithm": algorithm, "memory_limit": memory_limit,
            "out": out, "dtype": dtype, "casting": casting, "progress": progress,
        }  # fmt: skip
        key = foreign_key(self, named, extents, given, arrays)
        known = None if key is None else known_foreign(key)
        if known is not None:
            return known(arrays)
        options = self.forward._options(self._title, named, extents, **given)
        call = forward_call(self.forward, self.takes, arrays, self._told(options), self._title)
        from contractconv.execution.entry import shown

        blocks = self._by_blocks(call)
        whole = shown(options, lambda: self._made(call)) if blocks is None else blocks
        made: Array = call.finished(whole)
        if key is not None:
            remember_foreign(key, self._ready(call, arrays))
        return made

    def _ready(self, call: Call, arrays: Sequence[Any]) -> Callable[[Sequence[Any]], Any] | None:
        """What carries out such calls with arrays of another library, if that takes no checks."""
        return None

    def _identity(self) -> tuple[Any, ...]:
        """What it is equal by."""
        return self.forward, self.operand, self.takes

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())


def called(
    forward: Contraction, call: str, operands: Sequence[Any], named: Mapping[str, int],
    extents: object, **given: Any,
) -> Array:  # fmt: skip
    """Contract arrays; what is ready for such arrays needs nothing to be looked at again."""
    enter_execution()
    from contractconv.execution.ready import known_call

    operands = forward._spread(operands)
    key = foreign_key(forward._spec, named, extents, given, operands)
    found = None if key is None else known_foreign(key)
    if found is not None:
        return found(operands)
    plain = not named and extents is None and unsaid(given)
    known = known_call(forward._spec, operands) if plain else None
    if known is not None:
        return known(operands)
    if any(hasattr(operand, "_node") for operand in operands):
        from contractconv.api.symbolic import contracted  # what has no arrays needs more rooms

        return contracted(forward, operands, named, extents, given)  # type: ignore[return-value]
    options = DEFAULTS if plain else forward._options(call, named, extents, **given)
    made: Array = _run(forward, operands, options, key)
    return made


def _run(forward: Contraction, given: Sequence[Any], options: Options, key: Any) -> Any:
    from contractconv.arrays.mapped import in_file
    from contractconv.arrays.operands import as_operand
    from contractconv.engines.portable.libraries import has_foreign
    from contractconv.execution import entry
    from contractconv.execution.run import first_call

    if has_foreign(given if options.bias is None else (*given, options.bias)):
        return _run_foreign(forward, given, options, key)
    labels = operand_labels(forward, len(given))
    arrays = [as_operand(operand, label) for label, operand in zip(labels, given, strict=True)]
    problem = forward._problem([shape_of(array) for array in arrays], options)
    if options is DEFAULTS and not any(map(in_file, arrays)):
        return first_call(forward._spec, problem, arrays)
    return entry.called(problem, arrays, options, forward._spec.indices)


def _run_foreign(forward: Contraction, given: Sequence[Any], options: Options, key: Any) -> Any:
    """Contract arrays of which some are another library's."""
    from contractconv.execution.entry import shown
    from contractconv.execution.foreign import contractions, entry
    from contractconv.execution.foreign.operands import taken

    names = operand_labels(forward, len(given))
    if options.bias is None:
        library, arrays = taken(given, names)
    else:
        library, (*arrays, bias) = taken((*given, options.bias), (*names, "the bias"))
        options = replace(options, bias=bias)
    problem = forward._problem([shape_of(array) for array in arrays], options)
    indices = forward._spec.indices
    made = shown(options, lambda: entry.called(library, problem, arrays, options, indices))
    if key is not None:
        common = library.promoted(arrays)
        alike = all(library.promoted([array]) == common for array in arrays)
        remember_foreign(key, contractions.ready(problem, library, common, alike))
    return made


def foreign_key(
    what: Hashable, named: Mapping[str, int], extents: object, given: Mapping[str, object],
    arrays: Sequence[Any],
) -> Any:  # fmt: skip
    """By what a call with arrays of another library is remembered, if no option is given."""
    if not arrays or type(arrays[-1]).__module__ == "numpy":
        return None
    from contractconv.execution.foreign.ready import key_of

    return key_of(what, named, arrays) if extents is None and unsaid(given) else None


def known_foreign(key: Any) -> Callable[[Sequence[Any]], Array] | None:
    """What carried out such a call before."""
    from contractconv.execution.foreign.ready import known

    return known(key)


def remember_foreign(key: Any, ready: Callable[[Sequence[Any]], Any] | None) -> None:
    """Keep what carries out a call."""
    from contractconv.execution.foreign.ready import remember

    if ready is not None:
        remember(key, ready)


def shape_of(operand: Any) -> Shape:
    """The shape of an array; a number has none."""
    return tuple(getattr(operand, "shape", ()))


def enter_execution() -> None:
    """Import what carries contractions out, all of it at once."""
    enter("contractconv.execution.compiled")
    enter("contractconv.execution.entry")
    enter("contractconv.execution.calibration")
