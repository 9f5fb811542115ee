"""Where something stands in a text, for messages that point at it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from contractconv.errors import ContractionError, ProgramError, Span, SpecError, with_carets

# Neither a terminal nor a file takes these.
_UNPRINTABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Source:
    """The text of a program.

    Attributes:
        text: the whole of it, whose lines end as Python counts them.
        lines: each line.
    """

    text: str
    lines: tuple[str, ...]

    @staticmethod
    def of(text: object) -> Source:
        """The source that a text is.

        Raises:
            ProgramError: it is no text.
        """
        if not isinstance(text, str):
            raise ProgramError(f"a program is a text, not {type(text).__name__}")
        plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        return Source(plain, tuple(plain.split("\n")))

    def refused(self, message: str) -> ProgramError:
        """Build the error for a text as a whole."""
        return _placed(ProgramError(message), 1, 1)

    def at(self, place: Span, message: str, hint: str = "") -> ProgramError:
        """Build the error for some characters of one line."""
        start, end = place
        line = self.text.count("\n", 0, start) + 1
        before = self.text.rfind("\n", 0, start) + 1
        return self.on_line(line, [(start - before, end - before)], message, hint)

    def on_line(
        self, line: int, spans: Sequence[Span], message: str, hint: str = ""
    ) -> ProgramError:
        """Build the error for parts of a line, which is counted from one."""
        shown = _UNPRINTABLE.sub("\ufffd", self.lines[line - 1]) if line <= len(self.lines) else ""
        said = with_carets(f"line {line}: {message}", shown, spans, hint)
        return _placed(ProgramError(said), line, spans[0][0] + 1 if spans else 1)

    def error(self, tree: ast.AST, message: str, hint: str = "") -> ProgramError:
        """Build the error for a part of the tree."""
        line, span = self._span(tree)
        return self.on_line(line, [span], message, hint)

    @contextmanager
    def pointing(self, tree: ast.AST) -> Iterator[None]:
        """Let the errors of other rooms point at a part of the tree."""
        try:
            yield
        except ProgramError as error:
            raise (error if error.line else self.retold(tree, error)) from None
        except ContractionError as error:
            raise self.retold(tree, error) from None

    def retold(self, tree: ast.AST, error: ContractionError) -> ProgramError:
        """The same error, which points at a part of the tree."""
        message, _, rest = str(error).partition("\n")
        inner = self._inside(tree, error.spans) if isinstance(error, SpecError) else []
        if inner:
            return self.on_line(tree.lineno, inner, message, error.hint)  # type: ignore[attr-defined]
        return self.error(tree, message, rest)

    def _inside(self, tree: ast.AST, spans: Sequence[Span]) -> list[Span]:
        """Where parts of a string stand on its line; nothing if it is not written out there."""
        if not isinstance(tree, ast.Constant) or not isinstance(tree.value, str):
            return []
        line, (start, end) = self._span(tree)
        if self.lines[line - 1][start + 1 : end - 1] != tree.value:
            return []
        return [(start + 1 + first, start + 1 + last) for first, last in spans]

    def _span(self, tree: ast.AST) -> tuple[int, Span]:
        """The line and the columns of a part of the tree; Python counts them in bytes."""
        first, last = getattr(tree, "lineno", 1), getattr(tree, "end_lineno", None)
        line = self.lines[first - 1]
        start = _characters(line, getattr(tree, "col_offset", 0))
        if last != first:
            return first, (start, len(line))
        return first, (start, _characters(line, getattr(tree, "end_col_offset", start + 1)))


def _characters(line: str, count: int) -> int:
    return len(line.encode()[:count].decode(errors="ignore"))


def _placed(error: ProgramError, line: int, column: int) -> ProgramError:
    error.line, error.column = line, column
    return error
