"""A bar that shows how far a training is, where somebody looks."""

from __future__ import annotations

from types import TracebackType
from typing import Any


class Progress:
    """A bar on stderr, by tqdm.

    Args:
        shown: ``True``, ``False``, or ``None`` for a bar if tqdm is there and stderr a terminal.

    Raises:
        ImportError: it is to be shown, and tqdm is missing; the message says what to install.
    """

    def __init__(self, shown: bool | None) -> None:
        self._shown, self._bar = shown, None
        self._make = None if shown is False else _tqdm(must=bool(shown))

    def begin(self, total: int | None, done: int) -> None:
        """Show how many steps there are, and how many are done."""
        if self._make is not None:
            disabled = None if self._shown is None else False
            self._bar = self._make(total=total, initial=done, unit="step", disable=disabled)

    def step(self, loss: float) -> None:
        """A step is done."""
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{loss:.3g}", refresh=False)
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


def _tqdm(must: bool) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        if must:
            raise ImportError("a progress bar needs tqdm: pip install tqdm") from None
        return None
    return tqdm
