"""The lines of a function while they are written."""

from __future__ import annotations

from contractconv.display.source_code.naming import Names
from contractconv.display.source_code.text import simple
from contractconv.display.source_code.wrapping import LINE

_INDENT = 4


class Lines:
    """Assignments, one after another; then a value is returned.

    Args:
        names: where new variables get their names.

    Attributes:
        texts: the lines, without indentation.
        changed: the variables that were assigned to.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.texts: list[str] = []
        self.changed: set[str] = set()
        self._once: dict[str, str] = {}

    def assign(self, variable: str, value: str) -> str:
        """Write an assignment, unless it says nothing."""
        if variable != value:
            self.texts.append(f"{variable} = {value}")
            self.changed.add(variable)
        return variable

    def new(self, wish: str, value: str) -> str:
        """Assign to a new variable."""
        return self.assign(self.names.fresh(wish), value)

    def once(self, wish: str, value: str) -> str:
        """Assign to a new variable, unless one has this value already."""
        if value not in self._once:
            self._once[value] = self.new(wish, value)
        return self._once[value]

    def chain(self, variable: str, value: str, *more: str) -> str:
        """Assign a value with methods or indices behind it; in steps, if a line gets too long."""
        for step in more:
            longer = simple(value) + step
            if not fits(f"{variable} = {longer}"):
                longer = self.assign(variable, value) + step
            value = longer
        return self.assign(variable, value)

    def comment(self, sentence: str) -> None:
        """Write a comment."""
        self.texts.append(f"# {sentence}")

    def give(self, value: str, suffix: str = "") -> None:
        """Return a value with a method or an index behind it."""
        if suffix:
            value = (
                simple(value) if fits(f"return {simple(value)}{suffix}") else self.new("Y", value)
            )
        last = self.texts[-1] if self.texts else ""
        variable, _, assigned = last.partition(" = ")
        if variable == value:
            whole = (simple(assigned) if suffix else assigned) + suffix
            if fits(f"return {whole}"):
                self.texts[-1] = f"return {whole}"
                return
        self.texts.append(f"return {value}{suffix}")


def fits(line: str) -> bool:
    """Whether a line of a function's body is short enough."""
    return len(line) + _INDENT <= LINE
