"""Files that are whole or not there: killed processes, full disks, folders that are shut."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from contractconv import whole_files
from contractconv.errors import CheckpointError
from contractconv.training import at_step, latest, load, save

pytest.importorskip("safetensors")

if not hasattr(os, "fork"):
    pytest.skip("processes are forked here", allow_module_level=True)

NOBODY = 65534


def checkpoint(path: Path, step: int, size: int = 50_000) -> Path:
    return save(path, {"W": np.full(size, step), "V": {"b": np.full(3, step)}}, {"step": step})


def check_whole(path: Path) -> int:
    """The step of a checkpoint, all of which is of that step."""
    arrays, facts = load(path)
    assert {*arrays["W"].tolist(), *arrays["V"]["b"].tolist()} == {facts["step"]}
    return int(facts["step"])


def visible(folder: Path) -> list[str]:
    """What is in a folder beside what a killed process left behind."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def forked(work: Callable[[], object]) -> int:
    """A process that does some work, and ends with 0 if nothing was raised."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """How a process ended: its exit code, or less than zero the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# --- killed -----------------------------------------------------------------------------------


def test_killed_at_any_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = checkpoint(tmp_path / "last.safetensors", 0)
    steps = [0]

    def forever() -> None:
        step = steps[-1]
        while True:
            step += 1
            checkpoint(path, step)

    for _ in range(20):
        child = forked(forever)
        time.sleep(rng.uniform(0.001, 0.05))
        os.kill(child, signal.SIGKILL)
        assert ended(child) == -signal.SIGKILL
        steps.append(check_whole(path))
        assert visible(tmp_path) == [path.name]
    assert steps == sorted(steps)
    assert steps[-1] > 0  # something was written in between


def test_killed_in_a_folder_of_steps(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)

    def forever() -> None:
        step = 0
        while True:
            step += 1
            save(at_step(tmp_path, step), {"W": np.full(9000, step)}, {"step": step}, keep=2)

    save(at_step(tmp_path, 0), {"W": np.full(9000, 0)}, {"step": 0})
    for _ in range(5):
        child = forked(forever)
        time.sleep(rng.uniform(0.001, 0.05))
        os.kill(child, signal.SIGKILL)
        ended(child)
        found = latest(tmp_path)
        assert found.skipped == ()
        assert set(found.arrays["W"].tolist()) == {found.facts["step"]}


def dying(call: str, count: int, after: bool) -> Callable[..., Any]:
    """A system call in whose place a process is killed, or right behind it."""
    genuine, calls = getattr(os, call), []

    def once(*given: Any, **named: Any) -> Any:
        calls.append(call)
        if len(calls) == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        made = genuine(*given, **named)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    return once


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("call", "count", "old"),
    [("open", 1, True), ("fsync", 1, True), ("replace", 1, None), ("open", 2, False),
     ("fsync", 2, False)],
)  # fmt: skip
def test_killed_at_every_call(tmp_path: Path, call: str, count: int, old: Any, after: bool) -> None:
    path = checkpoint(tmp_path / "last.safetensors", 1)

    def work() -> None:
        setattr(os, call, dying(call, count, after))
        checkpoint(path, 2)

    assert ended(forked(work)) == -signal.SIGKILL
    assert check_whole(path) == (1 if (not after if old is None else old) else 2)
    assert visible(tmp_path) == [path.name]
    # What was left behind is in nobody's way, and does not stay for ever.
    checkpoint(path, 3)
    assert check_whole(path) == 3
    for left in tmp_path.glob(".*"):
        os.utime(left, (0, 0))
    checkpoint(path, 4)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_half_a_file_is_never_there(tmp_path: Path) -> None:
    """The planted fault: who writes in place is caught."""
    path = checkpoint(tmp_path / "last.safetensors", 1)
    with open(path, "r+b") as file:
        file.write(path.read_bytes()[:-100] + b"\1" * 50)
    with pytest.raises(CheckpointError, match="damaged"):
        load(path)


# --- full disks, and other trouble --------------------------------------------------------------


def fails(path: Path, reason: str) -> None:
    """A checkpoint cannot be written; the one before is there, and nothing else."""
    before = sorted(path.parent.iterdir())
    with pytest.raises(CheckpointError, match=rf"cannot be written \({reason}\): what was there"):
        checkpoint(path, 2)
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoint(tmp_path / "last.safetensors", 1)
    genuine = os.open

    def full(name: Any, flags: int, *given: Any, **named: Any) -> int:
        return genuine(
            "/dev/full" if flags & os.O_WRONLY else name, flags & ~os.O_CREAT & ~os.O_EXCL
        )

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        fails(path, "No space left on device")
    assert check_whole(path) == 1


def test_a_file_that_may_grow_no_longer(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "last.safetensors", 1)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        fails(path, "File too large")

    assert ended(forked(work)) == 0
    assert check_whole(path) == 1


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_calls_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    path = checkpoint(tmp_path / "last.safetensors", 1)

    def failing(*given: Any, **named: Any) -> Any:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        fails(path, os.strerror(code))
    assert check_whole(path) == 1


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = checkpoint(tmp_path / "last.safetensors", 1)

    def interrupted(*given: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, call, interrupted)
        with pytest.raises(KeyboardInterrupt):
            checkpoint(path, 2)
    assert check_whole(path) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("code", "raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_folders_that_are_not_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, raised: bool
) -> None:
    """Some file systems cannot do it; elsewhere it is said that it was not done."""
    genuine = os.fsync

    def fsync(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(code, os.strerror(code))
        genuine(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "last.safetensors"
    if raised:
        with pytest.raises(CheckpointError, match="cannot be written"):
            checkpoint(path, 1)
    else:
        checkpoint(path, 1)
    assert check_whole(path) == 1


@contextmanager
def nobody() -> Iterator[None]:
    """Without the powers of root, if we have them."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shut() -> Iterator[Path]:
    """A folder to which nobody may write, where everybody may look."""
    folder = Path(tempfile.mkdtemp())
    checkpoint(folder / "last.safetensors", 1)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_that_is_shut(shut: Path) -> None:
    with nobody():
        fails(shut / "last.safetensors", "Permission denied")
        with pytest.raises(CheckpointError, match="Permission denied"):
            checkpoint(shut / "new" / "last.safetensors", 2)
        assert check_whole(shut / "last.safetensors") == 1


def test_what_is_no_place_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    fails(tmp_path / "folder", "Is a directory")
    os.mkfifo(tmp_path / "pipe")
    fails(tmp_path / "pipe", "Not a plain file")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoint(tmp_path / "file" / "last.safetensors", 1)
    fails(tmp_path / ("x" * 300), "File name too long")
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoint(tmp_path / "a\0b", 1)


def test_devices_stay_devices() -> None:
    """Root could put a file in their place."""
    for device in ("/dev/null", "/dev/full"):
        with pytest.raises(CheckpointError, match="Not a plain file"):
            checkpoint(Path(device), 1)
        assert Path(device).is_char_device()


# --- where files come to lie ---------------------------------------------------------------------


def test_folders_are_made(tmp_path: Path) -> None:
    assert check_whole(checkpoint(tmp_path / "a" / "b" / "last.safetensors", 3)) == 3


def test_long_names(tmp_path: Path) -> None:
    assert check_whole(checkpoint(tmp_path / ("x" * 255), 3)) == 3


def test_names_without_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint(Path("last.safetensors"), 3)
    assert visible(tmp_path) == ["last.safetensors"]
    save("text", {}, {"a": 1})
    assert load("text") == ({}, {"a": 1})


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "last.safetensors"
    link.symlink_to(tmp_path / "real" / "file.safetensors")
    for step in (1, 2):
        checkpoint(link, step)
        assert link.is_symlink()
        assert check_whole(tmp_path / "real" / "file.safetensors") == step
    assert visible(tmp_path / "real") == ["file.safetensors"]


def test_others_may_read_what_they_always_may(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = checkpoint(tmp_path / "last.safetensors", 1)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_fresh_leftovers_are_left_alone(tmp_path: Path) -> None:
    """Another process may be writing."""
    fresh = tmp_path / f"{whole_files._ASIDE}0123456789abcdef.tmp"
    fresh.write_bytes(b"half")
    other = tmp_path / ".other.tmp"
    other.write_bytes(b"")
    os.utime(other, (0, 0))
    path = checkpoint(tmp_path / "last.safetensors", 1)
    assert sorted(tmp_path.iterdir()) == sorted([fresh, other, path])


def test_many_at_once(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    found: list[int] = []

    def writing(number: int) -> None:
        for _ in range(10):
            checkpoint(path, number, 5000)
            found.append(check_whole(path))

    threads = [Thread(target=writing, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert list(tmp_path.iterdir()) == [path]
