"""A result that is not finished says so, and the same call goes on; any other one begins anew."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import whole_files
from contractconv.arrays.mapped import Mapped
from contractconv.execution.files import stream
from contractconv.execution.files.mark import beside

Array = np.ndarray[Any, Any]
SPEC = "b (i+k-1) c, k c o -> b i o"
X = np.random.default_rng(0).integers(-4, 5, (40, 50, 16)).astype(float)
W = np.random.default_rng(1).integers(-4, 5, (3, 16, 16)).astype(float)
WANTED = cc.contract(SPEC, X, W, algorithm="direct")
LIMIT = 400_000


class Stopped(Exception):
    """What stops a call half-way."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block is noted as soon as it is written; for the disk nobody waits."""
    monkeypatch.setattr(stream, "_UNNOTED", 0)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(Mapped, "flush", lambda file: None)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An operand, and an empty result."""
    np.save(tmp_path / "x.npy", X)
    emptied(tmp_path / "y.npy")
    return tmp_path / "x.npy", tmp_path / "y.npy"


def emptied(file: Path) -> Array:
    made: Array = np.lib.format.open_memmap(file, "w+", float, WANTED.shape)
    return made


def call(files: tuple[Path, Path], w: Array = W, **options: Any) -> Array:
    x, out = np.load(files[0], mmap_mode="r"), np.load(files[1], mmap_mode="r+")
    given = {"memory_limit": LIMIT, "algorithm": "direct", **options}
    made: Array = cc.contract(SPEC, x, w, out=out, **given)
    return made


def counted(monkeypatch: pytest.MonkeyPatch, stop: int | None = None, how: Any = Stopped) -> Any:
    """The numbers of the blocks that are made; after so many of them it stops."""
    made: list[int] = []
    put = stream._Stream._put

    def counting(self: Any, step: Any, values: Array) -> None:
        if len(made) == stop:
            raise how
        made.append(step.number)
        put(self, step, values)

    monkeypatch.setattr(stream._Stream, "_put", counting)
    return made


def stopped(monkeypatch: pytest.MonkeyPatch, files: Any, how: Any = Stopped, **options: Any) -> int:
    """Stop a call after three blocks; return how many there are."""
    with monkeypatch.context() as patch:
        counted(patch, stop=3, how=how)
        with pytest.raises(how):
            call(files, **options)
    found = cc.unfinished(files[1])
    assert found is not None
    assert found.done == 3 < found.blocks
    return found.blocks


@pytest.mark.parametrize("how", [Stopped, KeyboardInterrupt])
def test_what_was_stopped_goes_on(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], how: Any
) -> None:
    blocks = stopped(monkeypatch, files, how)
    said = str(cc.unfinished(np.load(files[1], mmap_mode="r")))
    assert said.endswith(f"y.npy: 3 of {blocks} blocks of 'b (i+k-1) c, k c o -> b i o' are there")
    made = counted(monkeypatch)
    out = call(files)
    assert made == list(range(3, blocks))
    assert np.array_equal(out, WANTED)
    assert cc.unfinished(files[1]) is cc.unfinished(out) is None
    assert [file.name for file in files[1].parent.iterdir() if "unfinished" in file.name] == []


def test_blocks_that_are_written_late_are_noted_when_it_stops(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    monkeypatch.setattr(stream, "_UNNOTED", 1 << 40)
    monkeypatch.setattr(stream, "_PATIENCE", 1e9)
    stopped(monkeypatch, files)


@pytest.mark.parametrize(
    "change", ["operand", "weights", "limit", "algorithm", "activation", "mark", "emptied"]
)
def test_anything_else_begins_anew(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], change: str
) -> None:
    blocks, w, options = stopped(monkeypatch, files), W, dict[str, Any]()
    if change == "operand":
        later = files[0].stat().st_mtime_ns + 10**9
        os.utime(files[0], ns=(later, later))
    elif change == "weights":
        w = 2 * W
    elif change == "mark":
        beside(files[1]).write_text("{")
    elif change == "emptied":
        emptied(files[1])
    else:
        others = {"limit": LIMIT + 1, "algorithm": "auto", "activation": "relu"}
        options = {"memory_limit" if change == "limit" else change: others[change]}
    made = counted(monkeypatch)
    out = call(files, w, **options)
    assert made == list(range(len(made)))
    assert len(made) == blocks
    wanted = WANTED * (1 + (change == "weights"))
    wanted = np.maximum(wanted, 0) if change == "activation" else wanted
    np.testing.assert_allclose(out, wanted, atol=1e-9)
    assert cc.unfinished(files[1]) is None


def test_a_block_that_was_spoilt_is_made_again(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    stopped(monkeypatch, files)
    out = np.load(files[1], mmap_mode="r+")
    out[0, 0, 0] += 1
    out.flush()
    made = counted(monkeypatch)
    assert np.array_equal(call(files), WANTED)
    assert made[:2] == [0, 3]


def test_what_is_not_finished_is_no_operand(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    stopped(monkeypatch, files)
    with pytest.raises(cc.UnfinishedError, match=r"operand 0 is not finished: .*3 of \d+ blocks"):
        cc.contract("b i o -> i", np.load(files[1], mmap_mode="r"), memory_limit=1e6)


def test_a_disk_is_full(monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]) -> None:
    calls: list[int] = []

    def full(handle: int, offset: int, length: int) -> None:
        calls.append(length)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        told = r"y\.npy cannot be written \(No space left on device\): 2 of \d+ blocks are there"
        with pytest.raises(cc.UnfinishedError, match=told):
            call(files)
    found = cc.unfinished(files[1])
    assert found is not None
    assert found.done == 2
    assert np.array_equal(call(files), WANTED)


def test_a_mark_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    def refused(path: Path, content: bytes) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(whole_files, "write", refused)
    with pytest.raises(cc.UnfinishedError, match=r"cannot be written \(Permission denied\): 0 of"):
        call(files)
    assert not np.load(files[1]).any()


def test_a_result_that_is_read_only(files: tuple[Path, Path]) -> None:
    out = np.load(files[1], mmap_mode="r")
    with pytest.raises(cc.OperandError, match="out is read-only"):
        cc.contract(SPEC, X, W, out=out, memory_limit=LIMIT)
    assert cc.unfinished(files[1]) is None


def test_a_mark_is_written_before_the_first_element(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    with monkeypatch.context() as patch:
        counted(patch, stop=0)
        with pytest.raises(Stopped):
            call(files)
    told = json.loads(beside(files[1]).read_text())
    assert told["done"] == []
    assert told["blocks"] > 3


def test_blocks_are_on_the_disk_before_the_mark_says_so(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]
) -> None:
    told: list[str] = []
    write, remove = whole_files.write, whole_files.remove

    def heard(name: str, function: Any) -> Any:
        def called(*given: Any) -> Any:
            told.append(name)
            return function(*given)

        return called

    monkeypatch.setattr(Mapped, "flush", heard("flush", lambda file: None))
    monkeypatch.setattr(whole_files, "write", heard("mark", write))
    monkeypatch.setattr(whole_files, "remove", heard("end", remove))
    call(files)
    assert told[0] == "mark"
    assert told[1:-2] == ["flush", "mark"] * (len(told) // 2 - 1)
    assert told[-2:] == ["flush", "end"]


def test_what_has_no_mark_is_finished(tmp_path: Path) -> None:
    assert cc.unfinished(tmp_path / "nothing.npy") is None
    assert cc.unfinished(np.ones(3)) is None
