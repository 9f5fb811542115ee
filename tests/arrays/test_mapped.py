"""Arrays in files: which they are, where they lie, and that nothing of them stays in memory."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contractconv.arrays.mapped import in_file, mapped, overlap, slabs, touched

Array = np.ndarray[Any, Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.arange(24.0).reshape(4, 6))
    return tmp_path / "x.npy"


def test_which_arrays_lie_in_files(file: Path) -> None:
    x = np.load(file, mmap_mode="r+")
    views = [x, x[1:, ::2], x.T, np.asarray(x), x.reshape(2, 12)[::-1], np.asarray(x)[2]]
    assert all(map(in_file, views))
    assert not any(map(in_file, [np.ones(3), np.ones(3)[1:], x + 1, 3, None, [1]]))
    assert not in_file(np.load(file, mmap_mode="c"))
    assert mapped(x[:0]) is None


def test_where_a_view_lies_in_its_file(file: Path) -> None:
    x = np.load(file, mmap_mode="r")
    for view in (x, x[1:3], x[::-1, 2:4], x.T[1:]):
        found = mapped(view)
        assert found is not None
        assert found.path == file.resolve()
        low, high = found.bytes
        numbers = np.frombuffer(file.read_bytes()[low:high])
        assert (numbers.min(), numbers.max()) == (view.min(), view.max())


def test_a_map_may_begin_anywhere_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(bytes(100_000))
    raw = np.memmap(tmp_path / "raw", np.int16, "r+", offset=70_002, shape=(40, 50))
    found = mapped(raw[3:])
    assert found is not None
    assert found.bytes == (70_302, 74_002)
    found.write((slice(0, 2), slice(1, 50, 7)), np.full((2, 7), 5, np.int16), 1 << 20)
    found.flush()
    read = np.fromfile(tmp_path / "raw", np.int16, offset=70_002, count=2000).reshape(40, 50)
    assert (read[3:5, 1::7] == 5).all()
    assert read.sum() == 70


@given(
    shape=st.lists(st.integers(1, 5), max_size=3),
    order=st.sampled_from("CF"),
    most=st.integers(1, 1 << 20),
    flip=st.booleans(),
)
def test_slabs_are_the_whole(shape: list[int], order: Any, most: int, flip: bool) -> None:
    array = np.zeros(shape, order=order)
    array = array[::-1] if flip and shape else array
    for piece in slabs(array, most):
        array[piece] += 1
    assert (array == 1).all()


def test_a_long_stride_touches_more() -> None:
    assert touched((1000, 1000), (8000, 8), 8) < 1.1 * 8e6
    assert touched((1000, 100), (8000, 8), 8) > 7e6
    assert touched((8, 100), (8_000_000, 8), 8) < 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="nobody says what is resident")
def test_what_was_read_or_written_does_not_stay(tmp_path: Path) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    big = np.lib.format.open_memmap(tmp_path / "big.npy", "w+", np.uint8, (64, 1 << 20))
    found, into = mapped(big), np.zeros((1, 1 << 20), np.uint8)
    assert found is not None
    before = resident()
    for n in range(64):
        found.write((slice(n, n + 1),), np.full_like(into, n), 1 << 18)
    for n in range(64):
        found.read((slice(n, n + 1),), into, 1 << 18)
        assert (into == n).all()
    assert resident() - before < 8 << 20
    assert int(big[:, ::4096].astype(int).sum()) == 256 * sum(range(64))
    # Touched as usual it does stay, or the test would not see it.
    assert resident() - before > 32 << 20


def test_which_arrays_overlap(file: Path) -> None:
    one, other = np.load(file, mmap_mode="r+"), np.load(file, mmap_mode="r")
    assert overlap(one, other)
    assert overlap(one[1:], other[:2].T)
    assert not overlap(one[:2], other[2:])
    assert not overlap(one, np.ones(3))
    assert overlap(one, one[1:])
    assert not overlap(one, 3)


def test_room_on_the_disk_is_taken_before(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = mapped(np.load(file, mmap_mode="r+"))
    assert found is not None

    def refuse(number: int) -> Any:
        def fallocate(handle: int, offset: int, length: int) -> None:
            raise OSError(number, os.strerror(number))

        return fallocate

    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC), raising=False)
    with pytest.raises(OSError, match="No space left"):
        found.write((slice(0, 1),), np.ones((1, 6)), 1 << 20)
    # A file system that cannot take room is no reason not to write.
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.EOPNOTSUPP), raising=False)
    found.write((slice(0, 1),), np.ones((1, 6)), 1 << 20)
    assert (np.load(file)[0] == 1).all()


def test_a_file_without_a_name(file: Path) -> None:
    x = np.load(file, mmap_mode="r+")
    file.unlink()
    found = mapped(x)
    assert found is not None
    assert found.path is None
    found.write((slice(0, 1),), np.ones((1, 6)), 1 << 20)
    assert x[0].sum() == 6
