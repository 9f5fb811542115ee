"""When a call goes block by block: with a limit, or where arrays are large, unless they overlap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.execution.files import calls, stream

Array = np.ndarray[Any, Any]
X = np.arange(60_000.0).reshape(200, 300)


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many blocks each call had that went block by block."""
    found: list[int] = []
    run = stream._Stream.run

    def listening(self: Any) -> None:
        found.append(self.cut.count)
        run(self)

    monkeypatch.setattr(stream._Stream, "run", listening)
    return found


@pytest.fixture
def x(tmp_path: Path) -> Array:
    np.save(tmp_path / "x.npy", X)
    made: Array = np.load(tmp_path / "x.npy", mmap_mode="r+")
    return made


def test_small_arrays_are_read_as_they_are(x: Array, blocks: list[int]) -> None:
    assert np.array_equal(cc.contract("i j -> j", x), X.sum(0))
    assert np.array_equal(cc.contract("i j -> j", x), X.sum(0))
    assert not blocks


def test_a_limit_is_for_all_that_is_in_memory(x: Array, blocks: list[int]) -> None:
    assert np.array_equal(cc.contract("i j -> j i", x, memory_limit=500_000), X.T)
    assert np.array_equal(cc.contract("i j -> j i", np.array(x), memory_limit=500_000), X.T)
    assert len(blocks) == 1
    assert blocks[0] > 2


def test_large_arrays_go_block_by_block_without_a_limit(
    x: Array, blocks: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "available_memory", lambda: 900_000)
    assert np.array_equal(cc.contract("i j -> j i", x), X.T)
    assert np.array_equal(cc.Contraction("i j -> j i")(x), X.T)
    out = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", float, (300, 200))
    cc.contract("i j -> j i", X, out=out)
    assert np.array_equal(out, X.T)
    g = cc.Contraction("i j, j k -> i k").grad(1)(X[:, :20], x, np.zeros((300, 20)))
    assert np.array_equal(g, X.T @ X[:, :20])
    assert len(blocks) == 4
    assert min(blocks) > 1 or blocks[-1] == 1


def test_a_result_with_a_mark_goes_on_without_a_limit(
    x: Array, blocks: list[int], tmp_path: Path
) -> None:
    out = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", float, (300, 200))
    (tmp_path / "y.npy.unfinished").write_text("{}")
    cc.contract("i j -> j i", x, out=out)
    assert blocks == [1]
    assert cc.unfinished(out) is None


def test_arrays_that_overlap_are_made_in_memory(x: Array, blocks: list[int]) -> None:
    other = np.load(x.filename, mmap_mode="r+")[:, :200].T  # type: ignore[attr-defined]
    assert cc.contract("i j -> i j", x[:, :200], out=other.T, memory_limit=10**7) is not None
    cc.contract("i j -> j i", x[:200, :200], out=other.T, memory_limit=10**7)
    assert np.array_equal(x[:, :200], X[:, :200].T)
    assert not blocks


def test_changes_that_stay_in_memory_are_seen(x: Array, blocks: list[int]) -> None:
    mine = np.load(x.filename, mmap_mode="c")  # type: ignore[attr-defined]
    mine[0] = 0
    made = cc.contract("i j -> j", mine, memory_limit=10**6)
    assert np.array_equal(made, X[1:].sum(0))
    assert np.array_equal(x, X)
    assert not blocks


def test_a_bar(x: Array, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    cc.contract("i j -> j i", x, memory_limit=500_000)
    assert not capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    cc.contract("i j -> j i", x, memory_limit=500_000, progress=True)
    err = capsys.readouterr().err
    assert err.startswith("contractconv: ")
    assert err.endswith("blocks\n")
    cc.contract("i j -> j i", X, progress=True)
    assert capsys.readouterr().err == "contractconv: 1 of 1 blocks\n"
    with pytest.raises(cc.ParameterError, match="progress is True or False, not 3"):
        cc.contract("i j -> j i", X, progress=3)  # type: ignore[call-overload]
