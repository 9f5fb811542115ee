"""How far something is that takes long, on stderr."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import Any

from contractconv import notices

# Seconds between two lines, where there is no bar.
_PATIENCE = 3.0


class Progress:
    """A bar on stderr, by tqdm.

    Args:
        shown: ``True``, ``False``, or ``None`` for a bar if tqdm is there and stderr a terminal.
        unit: what is counted.
        lines: whether plain lines do, where tqdm is missing.

    Raises:
        ImportError: it is to be shown, and tqdm is missing; the message says what to install.
    """

    def __init__(self, shown: bool | None, unit: str = "step", lines: bool = False) -> None:
        self._shown, self._bar, self._unit = shown, None, unit
        self._make = None if shown is False else _bar(must=bool(shown), lines=lines)

    def begin(self, total: int | None, done: int = 0) -> None:
        """Show how many steps there are, and how many are done."""
        if self._make is not None:
            disabled = None if self._shown is None else False
            self._bar = self._make(total=total, initial=done, unit=self._unit, disable=disabled)

    def step(self, **figures: float) -> None:
        """A step is done, and how it went."""
        if self._bar is None:
            return
        if figures:
            told = {name: f"{figure:.3g}" for name, figure in figures.items()}
            self._bar.set_postfix(told, refresh=False)
        self._bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


class _Lines:
    """What a bar says, in a line now and then."""

    def __init__(self, total: int | None, initial: int, unit: str, disable: bool | None) -> None:
        self._total, self._done, self._unit = total, initial, unit
        self._due = monotonic() + _PATIENCE

    def set_postfix(self, told: dict[str, str], refresh: bool) -> None:
        """Figures have no place in it."""

    def update(self) -> None:
        """One more is done."""
        self._done += 1
        if monotonic() >= self._due or self._done == self._total:
            self._due = monotonic() + _PATIENCE
            whole = "" if self._total is None else f" of {self._total}"
            notices.write(f"contractconv: {self._done}{whole} {self._unit}s\n")

    def close(self) -> None:
        """There is nothing to take away."""


def _bar(must: bool, lines: bool) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        if must and lines:
            return _Lines
        if must:
            raise ImportError("a progress bar needs tqdm: pip install tqdm") from None
        return None
    return tqdm
