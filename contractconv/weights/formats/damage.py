"""Files that are not what their name says."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from contractconv.errors import WeightsError

# What numpy, zipfile and h5py raise for bytes that they cannot understand.
_KINDS = (
    ValueError, KeyError, IndexError, TypeError, OverflowError, EOFError, OSError, RuntimeError,
    MemoryError, NotImplementedError, SyntaxError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextmanager
def damage(what: str) -> Iterator[None]:
    """Say of whatever fails here that a file is damaged.

    Args:
        what: the file.

    Raises:
        WeightsError: something failed.
    """
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{what}: {error}") from None
    except _KINDS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{what} is damaged, or no such file: {reason}") from None


def damaged(at: int, reason: str) -> WeightsError:
    """Build the error for bytes that make no sense."""
    return WeightsError(f"damaged at byte {at}: {reason}")


def needed(package: str, suffix: str) -> WeightsError:
    """Build the error for a package that is not there."""
    return WeightsError(f"{suffix} needs {package}: pip install 'contractconv[weights]'")
