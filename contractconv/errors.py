"""Every exception of the library, and how a message points into a contraction string.

All of them are ``ValueError``s, so a caller who does not care which part was wrong can catch
one type. A message has up to three parts: what is wrong, the string with carets under the
offending places, and what to do about it.
"""

from collections.abc import Sequence

Span = tuple[int, int]

# A message shows at most this much of a string: a caret under column 50,000 helps nobody.
_WINDOW = 88


class ContractionError(ValueError):
    """Base class of every error that this library raises on purpose."""


class SpecError(ContractionError):
    """The contraction string is not a sentence of the notation.

    Attributes:
        spans: where in the string the mistake is, if that is known.
        hint: what to do about it.
    """

    spans: tuple[Span, ...] = ()
    hint: str = ""


class ShapeError(ContractionError):
    """Shapes and extents do not fit the contraction string."""


class ParameterError(ContractionError):
    """A symbolic parameter is undeclared, unbound, or bound to something impossible."""


class OperandError(ContractionError):
    """An operand is missing, superfluous, or not an array of numbers."""


class ReductionError(ContractionError):
    """The reduction is unknown, or undefined for the operands' dtype."""


class MapError(ContractionError):
    """The map is unknown, or its record cannot be understood."""


class AlgorithmError(ContractionError):
    """The requested algorithm is unknown."""


class CertificateError(ContractionError):
    """A derived formula disagrees with the definition; this is never a caller's mistake."""


class MemoryLimitError(ContractionError):
    """The contraction cannot be carried out within the given memory limit."""


class CheckpointError(ContractionError):
    """A checkpoint cannot be written, or a file is no checkpoint that can be read."""


class UnfinishedError(ContractionError):
    """A result in a file could not be finished, or an operand is one that is not."""


class TrainingError(ContractionError):
    """A training cannot go on."""


class ProgramError(ContractionError):
    """A program is not what its text, or its nodes, should be.

    Attributes:
        line, column: where in its text, counted from one; zero if there is none.
    """

    line: int = 0
    column: int = 0


class WeightsError(ContractionError):
    """Weights of another library do not fit a network, or their file is damaged."""


def point_at(text: str, spans: Sequence[Span]) -> str:
    """Return ``text`` with a line of carets below it, clipped to a readable window.

    Args:
        text: the contraction string.
        spans: half-open ``(start, end)`` character ranges to mark.

    Returns:
        Two lines; the second one holds the carets.
    """
    first = min(start for start, _ in spans)
    begin = max(0, min(first - _WINDOW // 4, len(text) - _WINDOW))
    end = min(len(text), begin + _WINDOW)
    prefix, suffix = "..." * (begin > 0), "..." * (end < len(text))
    marks = [" "] * (end - begin + 1)
    for start, stop in spans:
        for column in range(max(start, begin), min(max(stop, start + 1), end + 1)):
            marks[column - begin] = "^"
    shown = "".join(" " if ch in "\t\n\r\v\f" else ch for ch in text[begin:end])
    under = " " * len(prefix) + "".join(marks).rstrip()
    return f"  {prefix}{shown}{suffix}\n  {under}"


def spec_error(message: str, text: str, *spans: Span, hint: str = "") -> SpecError:
    """Build a :class:`SpecError` that shows where in ``text`` the mistake is."""
    error = SpecError(with_carets(message, text, spans, hint))
    error.spans, error.hint = spans, hint
    return error


def with_carets(message: str, text: str, spans: Sequence[Span], hint: str = "") -> str:
    """Join a message, the marked string and a hint, leaving out what is empty."""
    parts = [message]
    if spans:
        parts.append(point_at(text, spans))
    if hint:
        parts.append(hint)
    return "\n".join(parts)
