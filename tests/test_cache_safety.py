"""Whoever may write where things are kept may not say what is run: owners, modes, links, races."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import contractconv
from contractconv import disk_cache, notices
from contractconv.engines.llvm.kernels import native

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems have other owners")
needs_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can be somebody else"
)
compiling = pytest.mark.skipif(not native.available(), reason="there is no compiler")

NAME, CONTENT, PLANTED = "something-3.o", b"what was kept", b"what was planted"
ME, OTHER, ROOT = 54321, 54322, 0
SECONDS = 60


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that everybody can reach, and nobody but its owner write to."""
    path = Path(tempfile.mkdtemp()).resolve()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def place(room: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one thing in it that was kept."""
    monkeypatch.setenv("CONTRACTCONV_CACHE", str(room / "above" / "kept"))
    disk_cache.keep(NAME, CONTENT)
    assert disk_cache.kept(NAME) == CONTENT
    return room / "above" / "kept"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said from now on."""
    lines: list[str] = []
    monkeypatch.setattr(notices, "_topics", set())
    monkeypatch.setattr(notices, "write", lines.append)
    return lines


@contextmanager
def user(uid: int) -> Iterator[None]:
    """Be somebody else for a while."""
    before = os.geteuid()
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(before)


def plant(path: Path, content: bytes = PLANTED, owner: int = OTHER) -> None:
    """A file as the library would have written it, by somebody else."""
    path.write_bytes(disk_cache._digest(path.name, content) + content)
    os.chown(path, owner, owner)


# --- the folder ----------------------------------------------------------------------------------


def others(more: int) -> st.SearchStrategy[int]:
    """Any rights of others; what is in ``more`` always."""
    bits = st.lists(st.sampled_from([0o1, 0o2, 0o4, 0o10, 0o20, 0o40, 0o1000, 0o2000]))
    return bits.map(lambda found: more | sum({*found}))


@needs_root
@settings(max_examples=300)
@given(
    me=st.sampled_from([ROOT, ME]),
    owner=st.sampled_from([ROOT, ME, OTHER]),
    mode=others(0o700),
    above_owner=st.sampled_from([ROOT, ME, OTHER]),
    above_mode=others(0o711),
)
def test_whose_folder_is_believed(
    me: int, owner: int, mode: int, above_owner: int, above_mode: int
) -> None:
    whole = Path(tempfile.mkdtemp()).resolve()
    whole.chmod(0o755)
    above = whole / "above"
    place = above / "kept"
    place.mkdir(parents=True)
    plant(place / NAME, CONTENT, me)
    os.chown(place, owner, owner)
    os.chown(above, above_owner, above_owner)
    place.chmod(mode)
    above.chmod(above_mode)
    safe = owner == me and not mode & 0o022
    safe_above = above_owner in (ROOT, me) and (not above_mode & 0o022 or above_mode & 0o1000)
    with pytest.MonkeyPatch.context() as patch, user(me):
        patch.setenv("CONTRACTCONV_CACHE", str(place))
        patch.setattr(notices, "write", lambda line: None)
        found = disk_cache.kept(NAME)
        disk_cache.keep("another", CONTENT)
    kept = {file.name for file in place.iterdir()}
    shutil.rmtree(whole)
    assert found == (CONTENT if safe and safe_above else None)
    assert kept == ({NAME, "another"} if safe and safe_above else {NAME})


def linked(place: Path) -> None:
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(place: Path) -> None:
        shutil.rmtree(place)
        make(place)

    return replace


def bound(path: Path) -> None:
    """A socket where a file should be."""
    before = Path.cwd()
    os.chdir(path.parent)  # a socket's path may not be long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


PLACES: dict[str, Callable[[Path], object]] = {
    "a link": linked,
    "a link to nowhere": replaced(lambda place: place.symlink_to("nowhere")),
    "a link to itself": replaced(lambda place: place.symlink_to(place.name)),
    "a file": replaced(lambda place: place.write_bytes(b"")),
    "a FIFO": replaced(os.mkfifo),
    "a socket": replaced(bound),
    "others may write": lambda place: place.chmod(0o702),
    "the group may write": lambda place: place.chmod(0o720),
    "as /tmp is": lambda place: place.chmod(0o1777),
    "others may write above": lambda place: place.parent.chmod(0o703),
    "the group may write above": lambda place: place.parent.chmod(0o730),
    "others may write far above": lambda place: place.parent.parent.chmod(0o777),
}


@pytest.mark.parametrize("what", PLACES)
def test_a_folder_that_is_not_safe(what: str, place: Path, said: list[str]) -> None:
    PLACES[what](place)
    before = snapshot(place.parent)
    for name in (NAME, "another"):
        disk_cache.kept(name)
        disk_cache.keep(name, PLANTED)
        assert disk_cache.kept(name) is None
    assert disk_cache.folder() is None
    assert snapshot(place.parent) == before
    assert len(said) == 1
    assert said[0].startswith("contractconv: nothing is kept for the next process: ")
    assert said[0].endswith("\n")
    assert said[0].count("\n") == 1


def snapshot(above: Path) -> dict[str, int]:
    """All that lies somewhere, and of which kind it is."""
    return {str(path): path.lstat().st_mode for path in above.rglob("*")}


def test_a_folder_above_may_be_a_link_of_ones_own(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.parent.parent / "link").symlink_to("above")
    monkeypatch.setenv("CONTRACTCONV_CACHE", str(place.parent.parent / "link" / "kept"))
    assert disk_cache.kept(NAME) == CONTENT


@needs_root
def test_a_folder_above_may_not_be_a_link_of_others(
    place: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    link = place.parent.parent / "link"
    link.symlink_to("above")
    os.lchown(link, OTHER, OTHER)
    monkeypatch.setenv("CONTRACTCONV_CACHE", str(link / "kept"))
    assert disk_cache.kept(NAME) is None
    disk_cache.keep(NAME, CONTENT)
    assert len(said) == 1


@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077, 0o777])
def test_what_is_made_is_made_for_its_owner_alone(
    umask: int, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACTCONV_CACHE", str(room / "far" / "above" / "kept"))
    before = os.umask(umask)
    try:
        disk_cache.keep(NAME, CONTENT)
    finally:
        os.umask(before)
    made = [room / "far", *(room / "far").rglob("*")]
    assert made
    assert not any(path.stat().st_mode & 0o077 for path in made)


@needs_root
def test_what_can_be_read_but_not_written(
    place: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    for path in (place.parent, place, place / NAME):
        os.chown(path, ME, ME)
    place.chmod(0o500)
    with user(ME):
        assert disk_cache.kept(NAME) == CONTENT
        disk_cache.keep("another", CONTENT)
        assert disk_cache.kept("another") is None
    reason = f"{place}: Permission denied"
    assert said == [f"contractconv: nothing is kept for the next process: {reason}\n"]


def test_where_there_are_no_users(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: nobody can be asked for, and nothing is seen from a handle."""
    monkeypatch.setattr(disk_cache, "_HAS_USERS", False)
    monkeypatch.setenv("HOME", str(room))
    monkeypatch.delenv("CONTRACTCONV_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for content in (PLANTED, CONTENT):
        disk_cache.keep(NAME, content)
        assert disk_cache.kept(NAME) == content
    assert [disk_cache.first("said") for _ in range(2)] == [True, False]
    found = room / ".cache" / "contractconv"
    assert disk_cache.folder() == found
    assert {path.name for path in found.iterdir()} == {NAME, "said"}


# --- its files -----------------------------------------------------------------------------------


def moved_aside(path: Path) -> Path:
    target = path.parent.parent / "aside"
    path.rename(target)
    return target


def instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


FILES: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to(moved_aside(path)),
    "another name of a file": lambda path: path.hardlink_to(moved_aside(path)),
    "a FIFO": instead(os.mkfifo),
    "a socket": instead(bound),
    "a device": instead(lambda path: path.symlink_to("/dev/zero")),
    "others may write": lambda path: path.chmod(0o602),
    "the group may write": lambda path: path.chmod(0o620),
    "endless": lambda path: os.truncate(path, 1 << 40),
    "of another name": lambda path: shutil.copy(moved_aside(path), path),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_not_safe(what: str, place: Path, said: list[str]) -> None:
    name = NAME
    if what == "of another name":
        name = "something-4.o"
        disk_cache.keep(name, PLANTED)
        (place / name).rename(place / NAME)
    else:
        FILES[what](place / NAME)
    assert disk_cache.kept(NAME) is None
    disk_cache.keep(NAME, CONTENT)
    assert disk_cache.kept(NAME) == CONTENT
    assert stat.S_ISREG((place / NAME).lstat().st_mode)
    assert (place / NAME).stat().st_mode & 0o777 == 0o600
    assert not said


@needs_root
@settings(max_examples=200)
@given(
    me=st.sampled_from([ROOT, ME]),
    owner=st.sampled_from([ROOT, ME, OTHER]),
    mode=others(0o604),
    names=st.integers(1, 2),
)
def test_whose_file_is_believed(me: int, owner: int, mode: int, names: int) -> None:
    place = Path(tempfile.mkdtemp()).resolve()
    plant(place / NAME, CONTENT, owner)
    (place / NAME).chmod(mode)
    if names == 2:
        (place / "the same").hardlink_to(place / NAME)
    os.chown(place, me, me)
    with pytest.MonkeyPatch.context() as patch, user(me):
        patch.setenv("CONTRACTCONV_CACHE", str(place))
        found = disk_cache.kept(NAME)
        disk_cache.keep(NAME, CONTENT)
        again = disk_cache.kept(NAME)
    shutil.rmtree(place)
    safe = owner == me and not mode & 0o022 and names == 1
    assert found == (CONTENT if safe else None)
    assert again == CONTENT


def test_nothing_that_is_kept_makes_a_process_wait(place: Path) -> None:
    (place / NAME).unlink()
    os.mkfifo(place / NAME)
    code = f"from contractconv import disk_cache; print(disk_cache.kept({NAME!r}))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert run.stdout == "None\n"


# --- races ---------------------------------------------------------------------------------------

CALLS = ("lstat", "stat", "open", "fstat", "mkdir", "replace")


@contextmanager
def interrupted(which: int, deed: Callable[[], object]) -> Iterator[list[str]]:
    """Do something just before one of the calls of the system, the ``which``-th from now."""
    seen: list[str] = []

    def watched(name: str, ordinary: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            seen.append(name)
            if len(seen) == which:
                with pytest.MonkeyPatch.context() as undone:
                    for other, before in calls.items():
                        undone.setattr(os, other, before)
                    deed()
            return ordinary(*given, **named)

        return call

    calls = {name: getattr(os, name) for name in CALLS}
    with pytest.MonkeyPatch.context() as patch:
        for name, ordinary in calls.items():
            patch.setattr(os, name, watched(name, ordinary))
        yield seen


def swapped_folder(place: Path) -> None:
    """Somebody who may write above puts a folder of theirs in the place of ours."""
    place.rename(place.with_name("before"))
    place.mkdir()
    plant(place / NAME)
    os.chown(place, OTHER, OTHER)


def swapped_for_link(place: Path) -> None:
    swapped_folder(place)
    place.rename(place.with_name("theirs"))
    place.symlink_to("theirs")


def swapped_file(place: Path) -> None:
    (place / NAME).unlink()
    plant(place / NAME)


def swapped_for_linked_file(place: Path) -> None:
    (place / NAME).unlink()
    plant(place.parent / NAME)
    (place / NAME).symlink_to(place.parent / NAME)


@needs_root
@pytest.mark.parametrize("theirs", [swapped_folder, swapped_for_link, swapped_file,
                                    swapped_for_linked_file])  # fmt: skip
@pytest.mark.parametrize("keeping", [False, True])
def test_whoever_swaps_between_two_steps(
    theirs: Callable[[Path], None], keeping: bool, place: Path
) -> None:
    for which in range(1, 100):
        with interrupted(which, lambda: theirs(place)) as seen:
            if keeping:
                disk_cache.keep(NAME, CONTENT)
            found = disk_cache.kept(NAME)
        assert found in (None, CONTENT)
        if len(seen) < which:
            break
        shutil.rmtree(place.parent)
        disk_cache.keep(NAME, CONTENT)
    assert which > 10


@needs_root
def test_what_is_planted_under_the_name_of_a_kernel_never_runs(room: Path) -> None:
    """The planted kernel is whole, and for this very processor; but who wrote it?"""
    if not native.available():
        pytest.skip("there is no compiler")

    def times(factor: int) -> native.Writer:
        return lambda e: e.set_entry(e.argument(1), 0, e.argument(0) * factor)

    def made(factor: int) -> int:
        table = np.array([21, 0], np.int64)
        table[1] = table.ctypes.data
        native.build("times", "float32", times(factor), "times")(table.ctypes.data)
        return int(table[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notices, "write", lambda line: None)
        patch.setenv("CONTRACTCONV_CACHE", str(room / "kept"))
        assert made(3) == 63
        assert made(2) == 63  # of one's own it is believed: the name says what it is
        for path in (room / "kept", *(room / "kept").iterdir()):
            os.chown(path, OTHER, OTHER)
        assert made(2) == 42
        os.chown(room / "kept", 0, 0)
        assert made(2) == 42
        os.chown(room, OTHER, OTHER)
        assert made(5) == 105


# --- where it is ---------------------------------------------------------------------------------


@pytest.fixture
def nowhere(room: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that is empty, and nothing that says where to keep anything."""
    for name in ("CONTRACTCONV_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    (room / "here").mkdir()
    (room / "home").mkdir(mode=0o700)
    monkeypatch.chdir(room / "here")
    return room


def enter(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system has noted down for this user."""
    import pwd

    def entry(uid: int) -> Any:
        if home is None:
            raise KeyError(uid)
        return SimpleNamespace(pw_dir=home)

    monkeypatch.setattr(pwd, "getpwuid", entry)


RELATIVE = ["kept", "./kept", "../here/kept", "~/kept", "~", ".", "..", " /kept"]


@pytest.mark.parametrize("chosen", RELATIVE)
def test_a_relative_folder_is_refused(
    chosen: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(nowhere / "home"))
    monkeypatch.setenv("CONTRACTCONV_CACHE", chosen)
    disk_cache.keep(NAME, CONTENT)
    assert disk_cache.kept(NAME) is None
    assert not [*(nowhere / "here").iterdir(), *(nowhere / "home").iterdir()]
    assert len(said) == 1
    assert repr(chosen) in said[0]


@pytest.mark.parametrize("shared", ["", *RELATIVE])
@pytest.mark.parametrize("home", ["set", "relative", "empty", "missing"])
def test_other_relative_folders_are_passed_over(
    home: str, shared: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", shared)
    enter(str(nowhere / "home"), monkeypatch)
    if home != "missing":
        given = {"set": str(nowhere / "home"), "relative": "home", "empty": ""}
        monkeypatch.setenv("HOME", given[home])
    disk_cache.keep(NAME, CONTENT)
    assert not [*(nowhere / "here").iterdir()]
    assert disk_cache.folder() == nowhere / "home" / ".cache" / "contractconv"
    assert disk_cache.kept(NAME) == CONTENT


@pytest.mark.parametrize("home", [None, "", "relative"])
@pytest.mark.parametrize("entry", [None, "", "relative"])
def test_without_a_home_nothing_is_made(
    entry: str | None, home: str | None, nowhere: Path, monkeypatch: pytest.MonkeyPatch,
    said: list[str],
) -> None:  # fmt: skip
    enter(entry, monkeypatch)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    disk_cache.keep(NAME, CONTENT)
    assert disk_cache.kept(NAME) is None
    assert not [*(nowhere / "here").iterdir()]
    assert len(said) == 1


@needs_root
@pytest.mark.parametrize("exists", [False, True])
def test_the_home_of_whoever_called_sudo(
    exists: bool, nowhere: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """As under ``sudo -E``: root, in the environment of somebody else."""
    home = nowhere / "home"
    monkeypatch.setenv("HOME", str(home))
    os.chown(home, ME, ME)
    with user(ME):
        if exists:
            disk_cache.keep(NAME, PLANTED)
            assert disk_cache.kept(NAME) == PLANTED
        before = snapshot(home)
    assert disk_cache.kept(NAME) is None
    disk_cache.keep(NAME, CONTENT)
    assert snapshot(home) == before
    assert len(said) == 1


# --- names ---------------------------------------------------------------------------------------


def test_modules_without_files_go_by_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_cache, "find_spec", lambda name: SimpleNamespace(loader=None))
    before = disk_cache.code_of(["one", "two"])
    assert disk_cache.code_of(["two", "one"]) == before
    assert disk_cache.code_of(["one"]) != before
    monkeypatch.setattr(disk_cache, "VERSION", "another")
    assert disk_cache.code_of(["one", "two"]) != before


ARCHIVED = """
import sys
import numpy as np, contractconv as cc
assert ".zip" in cc.__file__
x, w = np.arange(60, dtype="float32").reshape(30, 2), np.ones((3, 2, 8), "float32")
direct, tiles = (cc.contract("(i+k) c, k c o -> i o", x, w, algorithm=name)
                 for name in ("direct", "toom-cook"))
assert abs(direct - tiles).max() < 1e-3
"""


@compiling
def test_from_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept goes by the code that made it, which lies in no file of its own."""
    found = []
    for edition in ("", "# as it was, and more\n"):
        archive = archived(tmp_path / f"library{len(edition)}.zip", edition)
        kept = tmp_path / "kept"
        monkeypatch.setenv("CONTRACTCONV_CACHE", str(kept))
        monkeypatch.setenv("PYTHONPATH", str(archive))
        subprocess.run([sys.executable, "-c", ARCHIVED], check=True, timeout=SECONDS, cwd=tmp_path)
        found.append({path.name for path in kept.iterdir() if path.suffix == ".o"})
        shutil.rmtree(kept)
    assert min(map(len, found)) > 1
    assert not set.intersection(*found)


def archived(archive: Path, addition: str) -> Path:
    """The library in a file, with something added to what writes the kernels."""
    root = Path(contractconv.__file__).parent
    with zipfile.ZipFile(archive, "w") as file:
        for path in root.rglob("*.py"):
            added = addition if path.name == "emitter.py" else ""
            name = str(path.relative_to(root.parent))
            file.writestr(name, path.read_text(encoding="utf-8") + added)
    return archive


@compiling
@pytest.mark.parametrize("other", ["processor", "features", "llvmlite", "LLVM", "triple"])
def test_kernels_for_other_machines_are_kept_apart(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import llvmlite
    from llvmlite import binding

    def key() -> str:
        for function in (native._fingerprint, native._processor, native._features):
            function.cache_clear()
        return native._key("name", "float32", 1)

    before = key()
    assert key() == before
    changed = dict(binding.get_host_cpu_features())
    changed[next(iter(changed))] ^= True
    with monkeypatch.context() as patch:
        if other == "processor":
            patch.setattr(binding, "get_host_cpu_name", lambda: "another")
        elif other == "features":
            patch.setattr(binding, "get_host_cpu_features", lambda: changed)
        elif other == "llvmlite":
            patch.setattr(llvmlite, "__version__", "0.0.0")
        elif other == "LLVM":
            patch.setattr(binding, "llvm_version_info", (0, 0, 0))
        else:
            patch.setattr(binding, "get_default_triple", lambda: "another-unknown-none")
        assert key() != before
    assert key() == before


# --- what is said --------------------------------------------------------------------------------


def test_the_first_of_all_processes(place: Path) -> None:
    assert [disk_cache.first("said") for _ in range(3)] == [True, False, False]
    assert disk_cache.first("another")
    assert disk_cache.kept(NAME) == CONTENT


def test_without_a_place_everyone_is_the_first(place: Path) -> None:
    place.chmod(0o777)
    assert [disk_cache.first("said") for _ in range(2)] == [True, True]
    with suppress(FileNotFoundError):
        (place / "said").unlink()
        pytest.fail("a folder that is not safe was written to")


KERNELS = """
import numpy as np, contractconv as cc
x = np.ones((10, {0}), "float32")
y = cc.contract("(i+k) c, k c j -> i j", x, np.ones((2, {0}, {1}), "float32"))
assert (y == 2 * {0}).all()
"""


@compiling
def test_that_kernels_are_compiled_is_said_once_for_a_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRACTCONV_CACHE", str(tmp_path / "kept"))
    said = []
    for sizes in ((20, 100), (20, 32), (30, 17)):
        run = subprocess.run(
            [sys.executable, "-c", KERNELS.format(*sizes)], capture_output=True, text=True,
            timeout=SECONDS, check=True,
        )  # fmt: skip
        said.append(run.stderr)
    assert said == ["contractconv: compiling kernels for this machine (once)\n", "", ""]
