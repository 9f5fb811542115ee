"""What is kept on disk is believed only as far as it can be checked, and never missed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv import disk_cache
from contractconv.engines.llvm.kernels import native
from contractconv.execution import calibration
from contractconv.machine import blas
from contractconv.machine.processor import kinds
from contractconv.machine.threads import processors
from contractconv.notation.extents import resolve
from contractconv.notation.parser import parse
from contractconv.planning.piece import Piece
from contractconv.planning.scatter_phases import windows
from contractconv.planning.setting import Machine

NAME = "something-2.json"
CONTENT = b"some bytes \x00 of content"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, which does not exist yet."""
    monkeypatch.setenv("CONTRACTCONV_CACHE", str(tmp_path / "kept" / "here"))
    return tmp_path / "kept" / "here"


def chosen(monkeypatch: pytest.MonkeyPatch, where: Path | str) -> None:
    monkeypatch.setenv("CONTRACTCONV_CACHE", str(where))


# --- keeping ---------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [CONTENT, b"", bytes(100_000)])
def test_what_is_kept_is_found(place: Path, content: bytes) -> None:
    assert disk_cache.kept(NAME) is None
    disk_cache.keep(NAME, content)
    assert disk_cache.kept(NAME) == content
    assert [file.name for file in place.iterdir()] == [NAME]


def test_what_is_kept_again_replaces_what_was(place: Path) -> None:
    disk_cache.keep(NAME, b"before")
    disk_cache.keep(NAME, CONTENT)
    assert disk_cache.kept(NAME) == CONTENT
    assert len(list(place.iterdir())) == 1


def test_the_folder_is_made_for_its_owner_alone(place: Path) -> None:
    assert disk_cache.folder() == place
    assert place.stat().st_mode & 0o777 == 0o700


def test_where_the_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("CONTRACTCONV_CACHE", raising=False)
    assert disk_cache.folder() == tmp_path / "xdg" / "contractconv"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert disk_cache.folder() == tmp_path / ".cache" / "contractconv"


# --- damage ----------------------------------------------------------------------------------


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda stored: b"",
    "only a digest": lambda stored: stored[:32],
    "half a digest": lambda stored: stored[:16],
    "the end missing": lambda stored: stored[:-1],
    "more at the end": lambda stored: stored + b"\0",
    "one bit of the content": lambda stored: stored[:-1] + bytes([stored[-1] ^ 1]),
    "one bit of the digest": lambda stored: bytes([stored[0] ^ 1]) + stored[1:],
    "zeros": lambda stored: bytes(len(stored)),
    "text": lambda stored: b"not what it was\n" * 10,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_not_believed(place: Path, damage: str) -> None:
    disk_cache.keep(NAME, CONTENT)
    file = place / NAME
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert disk_cache.kept(NAME) is None
    disk_cache.keep(NAME, CONTENT)
    assert disk_cache.kept(NAME) == CONTENT


def test_every_single_byte_counts(place: Path) -> None:
    disk_cache.keep(NAME, CONTENT)
    stored = (place / NAME).read_bytes()
    for n in range(len(stored)):
        (place / NAME).write_bytes(stored[:n] + bytes([stored[n] ^ 0x55]) + stored[n + 1 :])
        assert disk_cache.kept(NAME) is None


def test_a_folder_in_the_place_of_a_file(place: Path) -> None:
    (place / NAME).mkdir(parents=True)
    disk_cache.keep(NAME, CONTENT)
    assert disk_cache.kept(NAME) is None


def test_nothing_is_left_of_what_cannot_be_kept(place: Path) -> None:
    (place / NAME).mkdir(parents=True)
    for _ in range(3):
        disk_cache.keep(NAME, CONTENT)
    assert [file.name for file in place.iterdir()] == [NAME]


def test_nothing_is_left_when_the_disk_is_full(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, mode: str) -> Any:
        os.close(handle)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    disk_cache.keep(NAME, CONTENT)
    monkeypatch.undo()
    assert not [*place.iterdir()]


# --- no place at all -------------------------------------------------------------------------


def beneath_a_file(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("no folder")
    return str(tmp_path / "file" / "kept")


NOWHERE: dict[str, Callable[[Path], str]] = {
    "a device": lambda tmp_path: os.devnull,
    "beneath a device": lambda tmp_path: f"{os.devnull}/kept",
    "beneath a file": beneath_a_file,
    "a file": lambda tmp_path: str(Path(beneath_a_file(tmp_path)).parent),
    "a name that is too long": lambda tmp_path: str(tmp_path / ("k" * 300)),
}


@pytest.mark.parametrize("nowhere", NOWHERE)
def test_without_a_place_nothing_is_kept(
    nowhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen(monkeypatch, NOWHERE[nowhere](tmp_path))
    assert disk_cache.folder() is None
    disk_cache.keep(NAME, CONTENT)
    assert disk_cache.kept(NAME) is None


def test_a_folder_that_may_not_be_written_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk_cache.keep(NAME, CONTENT)
    ordinary = os.open

    def refused(path: Any, flags: int, *mode: int, **others: Any) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", path)
        return ordinary(path, flags, *mode, **others)

    # Root may write anywhere: so the system is asked, and answers no.
    monkeypatch.setattr(os, "open", refused)
    disk_cache.keep("another", CONTENT)
    assert disk_cache.kept("another") is None
    assert disk_cache.kept(NAME) == CONTENT
    assert [file.name for file in place.iterdir()] == [NAME]


def test_a_folder_that_disappears(place: Path) -> None:
    disk_cache.keep(NAME, CONTENT)
    (place / NAME).unlink()
    place.rmdir()
    assert disk_cache.kept(NAME) is None
    disk_cache.keep(NAME, CONTENT)
    assert disk_cache.kept(NAME) == CONTENT


def test_contractions_without_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen(monkeypatch, beneath_a_file(tmp_path))
    x, w = np.arange(11.0), np.array([1.0, 2.0, 4.0])
    result = cc.contract("(i+k), k -> i", x, w, algorithm="toom-cook")
    assert np.abs(result - cc.contract("(i+k), k -> i", x, w, algorithm="direct")).max() < 1e-12


# --- several at once -------------------------------------------------------------------------


def test_whoever_reads_finds_nothing_or_all_of_it(place: Path) -> None:
    contents = {bytes([n]) * (50_000 + n) for n in range(8)}

    def write(content: bytes) -> None:
        for _ in range(20):
            disk_cache.keep(NAME, content)

    def read(_: object) -> None:
        for _ in range(100):
            assert disk_cache.kept(NAME) in {None, *contents}

    with ThreadPoolExecutor(12) as pool:
        tasks = [pool.submit(write, c) for c in contents] + [pool.submit(read, n) for n in range(4)]
        for task in tasks:
            task.result()
    assert disk_cache.kept(NAME) in contents
    assert len(list(place.iterdir())) == 1


PROCESS = """
import numpy as np, contractconv as cc
x, w = np.arange(1200, dtype="float32").reshape(4, 30, 10) % 7, np.ones((3, 10, 8), "float32")
y = cc.contract("b (i+k) c, k c o -> b i o", x, w, algorithm="toom-cook")
print(round(float(y.sum())))
"""


def test_two_processes_that_begin_with_nothing(place: Path) -> None:
    """Both compile the same kernels, at the same time."""
    command = [sys.executable, "-c", PROCESS]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=60)[0] for process in running]
    third = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env={**os.environ}
    )
    x = np.arange(1200).reshape(4, 30, 10) % 7
    exact = cc.contract("b (i+k) c, k c o -> b i o", x, np.ones((3, 10, 8), int)).sum()
    assert [*answers, third.stdout] == [f"{exact}\n"] * 3
    assert not [file for file in place.iterdir() if file.name.startswith("tmp")]
    # The third one found everything: what is compiled is announced once for a process.
    assert third.stderr == ""


# --- figures of the machine ------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        None, b"", b"[]", b"[1e9, 1e9]", b"[1e9, 1e9, 1e-5, 1]", b"[NaN, 1e9, 1e-5]",
        b"[1e9, 1e9, Infinity]", b"[1e9, 1e9, 0]", b"[1e9, 1e9, -1]", b"[0, 1e9, 1e-5]",
        b"[1e9, 1e30, 1e-5]", b'{"1": 1}', b"null", b"7", b'["a", "b", "c"]', b"\xff\xfe",
    ],
)  # fmt: skip
def test_figures_that_cannot_be_are_refused(content: bytes | None) -> None:
    assert calibration._read(content, True) is None


def test_figures_that_can_be_are_read() -> None:
    figures = calibration._read(b"[1e11, 4e9, 2e-5]", True)
    assert figures is not None
    assert (figures.multiply, figures.move, figures.call) == (1e11, 4e9, 2e-5)


def test_figures_that_no_number_can_hold_are_refused() -> None:
    assert calibration._read(b"[1e11, 4e9, 1" + 400 * b"0" + b"]", True) is None


@pytest.mark.parametrize("damage", ["empty", "one bit of the content", "text"])
def test_damaged_figures_are_measured_again(
    place: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = calibration._measured(False)
    monkeypatch.setattr(calibration, "_measured", lambda compiled: measured)
    calibration._machine.cache_clear()
    try:
        assert calibration._machine(False) == measured
        (file,) = place.glob("machine-*.json")
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
        calibration._machine.cache_clear()
        assert calibration._machine(False) == measured
        assert calibration._read(disk_cache.kept(file.name), False) is not None
    finally:
        calibration._machine.cache_clear()


@pytest.fixture
def in_another_process(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """What lets us forget all but what is kept, and refuses to measure from then on."""

    def refused(*_: object) -> float:
        raise AssertionError("it is measured again")

    def forget() -> None:
        calibration._found.clear()
        monkeypatch.setattr(calibration, "least", refused)

    calibration._found.clear()
    return forget


LAYER = resolve(parse("b (i+k) (j+l) c, k l c o -> b i j o"), [(1, 34, 34, 16), (3, 3, 16, 16)], {})


def test_the_fastest_algorithm_is_known_to_the_next_process(
    in_another_process: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(calibration._settings(LAYER, "float32")) > 1
    found = calibration.measured(LAYER, None, "float32")
    in_another_process()
    assert calibration.measured(LAYER, None, "float32") == found
    for where, others in (
        (calibration, {"get_num_threads": lambda: 7}),
        (calibration, {"kinds": lambda: ("another processor",)}),
        (calibration, {"VERSION": "0.0.1"}),
    ):
        with monkeypatch.context() as changed:
            for name, value in others.items():
                changed.setattr(where, name, value)
            calibration._found.clear()
            with pytest.raises(AssertionError, match="measured again"):
                calibration.measured(LAYER, None, "float32")
    with pytest.raises(AssertionError, match="measured again"):
        calibration.measured(LAYER, None, "float64")


@pytest.mark.parametrize("damage", ["empty", "one bit of the content", "text"])
def test_a_damaged_choice_is_measured_again(
    place: Path, damage: str, in_another_process: Callable[[], None]
) -> None:
    calibration.measured(LAYER, None, "float32")
    (file,) = place.glob("fastest-*.txt")
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    in_another_process()
    with pytest.raises(AssertionError, match="measured again"):
        calibration.measured(LAYER, None, "float32")


def test_a_choice_that_is_none_is_measured_again(
    place: Path, in_another_process: Callable[[], None]
) -> None:
    calibration.measured(LAYER, None, "float32")
    (file,) = place.glob("fastest-*.txt")
    disk_cache.keep(file.name, b"by magic")
    in_another_process()
    with pytest.raises(AssertionError, match="measured again"):
        calibration.measured(LAYER, None, "float32")


# --- which machine it is ---------------------------------------------------------------------


def system(root: Path, model: str = "A 1", most: str = "3000000", count: int = 2) -> Path:
    """The files of a system with so many processors."""
    block = "processor\t: {}\nmodel name\t: {}\nstepping\t: 1\ncpu MHz\t\t: {}.1\n"
    (root / "proc").mkdir(parents=True)
    listed = "\n".join(block.format(n, model, 1000 + n) for n in range(count))
    (root / "proc/cpuinfo").write_text(listed)
    for n in range(count):
        folder = root / f"sys/devices/system/cpu/cpu{n}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_max_freq").write_text(f"{most}\n")
    return root


def test_another_processor_and_another_frequency_are_noticed(tmp_path: Path) -> None:
    same = kinds(system(tmp_path / "one"))
    assert kinds(system(tmp_path / "two", count=3)) == same  # and at another speed just now
    assert kinds(system(tmp_path / "three", model="A 2")) != same
    assert kinds(system(tmp_path / "four", most="2000000")) != same
    assert kinds(tmp_path / "nothing there") == (platform.machine(), platform.processor())


def test_figures_are_those_of_this_machine(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprints = {calibration._fingerprint(False)}
    for name, value in (
        ("kinds", lambda: ("another processor",)),
        ("processors", lambda: 77),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(calibration, name, value)
            fingerprints.add(calibration._fingerprint(False))
    assert len(fingerprints) == 3


@pytest.mark.parametrize("slower", [(10, 1), (1, 10)], ids=["products", "calls"])
def test_figures_of_a_busy_machine_are_measured_again(
    place: Path, monkeypatch: pytest.MonkeyPatch, slower: tuple[int, int]
) -> None:
    found = Machine(1, False, multiply=1e11, move=1e10, call=1e-5)
    products, calls = slower
    busy = replace(found, multiply=found.multiply / products, call=found.call * calls)
    measured = iter([busy, found])

    def seconds(piece: Piece, compiled: bool, rounds: int) -> float:
        """What a machine takes that is not busy."""
        points = piece.problem.points
        tiny = points < 1 << 20
        threads = 1 if blas.available() else processors()
        return found.call + (0 if tiny else points / (found.multiply * threads))

    monkeypatch.setattr(calibration, "_measured", lambda compiled: next(measured))
    monkeypatch.setattr(calibration, "_seconds", seconds)
    try:
        for wanted in (busy, found, found):
            calibration._machine.cache_clear()
            assert calibration._machine(False) == wanted
    finally:
        calibration._machine.cache_clear()


def test_whoever_comes_and_goes_slows_tiles_and_products_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = resolve(parse("(i+k) c, k c o -> i o"), [(8, 3), (3, 3, 4)], {})
    tiles = Piece(layer, "toom-cook", windows(layer), (2,))
    others = chain.from_iterable(repeat(slower, 2) for slower in cycle([1, 2.5, 1.3, 4]))

    def seconds(piece: Piece, compiled: bool, rounds: int) -> float:
        return (3e-3 if piece is tiles else 1e-3) * next(others)

    monkeypatch.setattr(calibration, "_seconds", seconds)
    assert calibration._times_as_long(tiles, True) == pytest.approx(3)


# --- kernels ---------------------------------------------------------------------------------


def doubling(emitter: Any) -> None:
    """Write a kernel that doubles the integer in its table."""
    emitter.set_entry(emitter.argument(1), 0, emitter.argument(0) * 2)


def doubled() -> int:
    """What the kernel makes of 21."""
    table = np.array([21, 0], np.int64)
    table[1] = table.ctypes.data
    native.build("doubling", "float32", doubling, "doubling")(table.ctypes.data)
    return int(table[0])


@pytest.mark.skipif(not native.available(), reason="there is no compiler")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_kernel_is_compiled_again(place: Path, damage: str) -> None:
    assert doubled() == 42
    (file,) = place.glob("doubling-*.o")
    stored = file.read_bytes()
    file.write_bytes(DAMAGES[damage](stored))
    assert doubled() == 42
    assert file.read_bytes() == stored


@pytest.mark.skipif(not native.available(), reason="there is no compiler")
def test_a_kernel_is_compiled_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doubled() == 42
    monkeypatch.setattr(native, "_compiled", lambda *_: pytest.fail("compiled again"))
    assert doubled() == 42


@pytest.mark.skipif(not native.available(), reason="there is no compiler")
def test_kernels_of_different_identity_are_kept_apart(place: Path) -> None:
    for identity in (1, 2, ("a", 1)):
        native.build("doubling", "float32", doubling, identity)
    assert len([*place.glob("doubling-*.o")]) == 3
