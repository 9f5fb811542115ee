"""Checkpoints: arrays and facts in one file, which is there as a whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contractconv import notices, whole_files
from contractconv.errors import CheckpointError
from contractconv.training.checkpoint_format import as_bytes, from_bytes, safetensors

_STEP = re.compile(r"step-(\d+)\.safetensors")

PathLike = str | os.PathLike[str]


def save(
    path: PathLike,
    arrays: Mapping[str, Any],
    facts: Mapping[str, Any] | None = None,
    keep: int | None = None,
) -> Path:
    """Write a checkpoint; whenever the process ends, the last one or this one is there.

    Args:
        path: the file. Folders above it are made.
        arrays: a nested dict of numpy arrays, of any shape and any numbers. In the file their
            names are joined with dots: no name may have one.
        facts: what else there is to know, in JSON: dicts by string, lists, strings, numbers, truth
            values, ``None``. Tuples become lists.
        keep: how many checkpoints of this and earlier steps stay in the folder, where the file is
            called as :func:`at_step` says; by default all.

    Returns:
        The file.

    Raises:
        CheckpointError: a name is unclear, something is no array or no JSON, or the file cannot
            be written: the disk is full, the folder read-only. What was there is still there.

    Example:
        >>> import tempfile, numpy as np
        >>> folder = tempfile.mkdtemp()
        >>> path = save(f"{folder}/last.safetensors", {"conv": {"W": np.ones(3)}}, {"step": 7})
        >>> load(path)
        ({'conv': {'W': array([1., 1., 1.])}}, {'step': 7})
    """
    place = Path(path)
    _check_keep(place, keep)
    content = as_bytes(arrays, {} if facts is None else facts)
    try:
        whole_files.write(place, content)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"{place} cannot be written ({reason}): what was there before is still there; see "
            "that there is room and that you may write, or choose another place"
        ) from error
    if keep is not None:
        _prune(place, keep)
    return place


def load(path: PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a checkpoint.

    Args:
        path: the file.

    Returns:
        The nested dict of arrays, bit by bit and in the order in which they were given, and the
        facts.

    Raises:
        CheckpointError: it cannot be read, is damaged, is no checkpoint, or was written by a newer
            version.
    """
    place = Path(path)
    safetensors()
    try:
        content = whole_files.read(place)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{place} cannot be read ({reason}): give the file itself") from error
    return from_bytes(content, str(place))


# --- checkpoints of one training in a folder ------------------------------------------------------


@dataclass(frozen=True)
class Latest:
    """The last checkpoint of a folder that is whole.

    Attributes:
        path: the file.
        arrays: the nested dict of arrays.
        facts: what else there was to know.
        skipped: of later ones, what is wrong with each.
    """

    path: Path
    arrays: dict[str, Any]
    facts: dict[str, Any]
    skipped: tuple[str, ...]


def at_step(folder: PathLike, step: int) -> Path:
    """The file of a step's checkpoint in a folder.

    Example:
        >>> at_step("runs", 100).as_posix()
        'runs/step-000100.safetensors'
    """
    if step < 0:
        raise CheckpointError(f"there is no step {step}: the first of them is 0")
    return Path(folder) / f"step-{step:06d}.safetensors"


def latest(folder: PathLike) -> Latest:
    """Read the checkpoint of the greatest step that is whole; the others are named on stderr.

    Args:
        folder: where files lie that are called as :func:`at_step` says.

    Raises:
        CheckpointError: there is none.
    """
    safetensors()
    skipped: list[str] = []
    for path in _by_step(Path(folder)):
        try:
            arrays, facts = load(path)
        except CheckpointError as error:
            notices.say(f"checkpoint {path}", f"skipped: {error}")
            skipped.append(str(error))
        else:
            return Latest(path, arrays, facts, tuple(skipped))
    reasons = "".join(f"\n  {reason}" for reason in skipped)
    raise CheckpointError(f"there is no checkpoint step-....safetensors in {folder}{reasons}")


def _by_step(folder: Path) -> list[Path]:
    """The checkpoints of a folder, the last one first."""
    found = [path for path in folder.glob("step-*.safetensors") if _STEP.fullmatch(path.name)]
    return sorted(found, key=_step_of, reverse=True)


def _step_of(path: Path) -> int:
    found = _STEP.fullmatch(path.name)
    return -1 if found is None else int(found[1])


def _check_keep(place: Path, keep: int | None) -> None:
    if keep is None:
        return
    if type(keep) is not int or keep < 1:
        raise CheckpointError(
            f"keep={keep!r}: it is the number of checkpoints that stay, above zero"
        )
    if _step_of(place) < 0:
        raise CheckpointError(
            f"keep={keep} is for checkpoints of steps, and {place.name} is not called like one: "
            "let contractconv.training.at_step name it"
        )


def _prune(place: Path, keep: int) -> None:
    # Those of later steps are of another run, and none of our business.
    past = [path for path in _by_step(place.parent) if _step_of(path) <= _step_of(place)]
    for path in past[keep:]:
        try:
            path.unlink()
        except OSError as error:
            notices.say(f"checkpoint {path}", f"{path} could not be removed: {error.strerror}")
