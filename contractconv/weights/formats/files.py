"""Files of weights by the ends of their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from contractconv.errors import WeightsError
from contractconv.lazy import late
from contractconv.weights.formats.entries import Entries, as_entries


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        read: makes entries of a path.
        write: puts entries at a path; ``None`` if that is not done.
    """

    read: Callable[[Path], Entries]
    write: Callable[[Path, Mapping[str, Any]], None] | None = None


def _late(module: str, writes: bool = True) -> Format:
    room = f"contractconv.weights.formats.{module}"
    return Format(late(f"{room}:read"), late(f"{room}:write") if writes else None)


FORMATS: dict[str, Format] = {
    ".npz": _late("npz"),
    ".safetensors": _late("tensors"),
    ".weights.h5": _late("hdf5"),
    ".h5": _late("hdf5", writes=False),
    ".hdf5": _late("hdf5", writes=False),
    ".keras": _late("keras_archive", writes=False),
    ".caffemodel": _late("caffe", writes=False),
}
"""Kinds of files, by the ends of their names; the first that fits counts."""

_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


def read(path: str | PathLike[str]) -> Entries:
    """Read weights of a file.

    Args:
        path: a file whose name ends as one of :data:`FORMATS`.

    Returns:
        Arrays by name. Its attribute ``ordered`` says whether they have the order of layers.

    Raises:
        WeightsError: no such kind of file is read, or it is damaged.
        OSError: there is none.

    Example:
        >>> read("net.pt")
        Traceback (most recent call last):
        ...
        contractconv.errors.WeightsError: net.pt is a pickle, which is a program: it is not run here
        save its tensors as safetensors.torch.save_file(model.state_dict(), 'net.safetensors')
    """
    name = fspath(path)
    if name.endswith(_PICKLES):
        raise WeightsError(
            f"{name} is a pickle, which is a program: it is not run here\n"
            f"save its tensors as safetensors.torch.save_file(model.state_dict(), "
            f"'{Path(name).stem}.safetensors')"
        )
    form = _format(name)
    with Path(name).open("rb"):
        # What cannot be opened is none of the format's business.
        pass
    return form.read(Path(name))


def write(path: str | PathLike[str], entries: Mapping[str, Any]) -> None:
    """Write weights to a file.

    Args:
        path: where; the name ends in ``.npz``, ``.safetensors`` or ``.weights.h5``.
        entries: arrays by name, as :func:`contractconv.weights.export` makes them.

    Raises:
        WeightsError: such files are not written.
    """
    form = _format(fspath(path))
    if form.write is None:
        written = [end for end, each in FORMATS.items() if each.write is not None]
        raise WeightsError(f"{fspath(path)} can be read only: write {', '.join(written)}")
    form.write(Path(path), as_entries(entries))


def _format(name: str) -> Format:
    for end, form in FORMATS.items():
        if name.endswith(end):
            return form
    raise WeightsError(f"{name}: files of weights end in {', '.join(FORMATS)}")
