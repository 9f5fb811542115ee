"""Checkpoints: what is read is what was written, and nothing else is ever read."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from contractconv import training
from contractconv.errors import CheckpointError
from contractconv.training import at_step, checkpoint_format, latest, load, save

pytest.importorskip("safetensors")

DTYPES = [
    "?", "b", "B", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16",
    ">i2", ">u4", ">i8", ">f2", ">f4", ">f8", ">c8", ">c16", "g", "G", "<M8[us]", ">m8[D]", "<M8",
    "<M8[25s]",
]  # fmt: skip
SHAPES: list[tuple[int, ...]] = [(), (0,), (1,), (7,), (3, 4), (2, 0, 3), (2, 3, 4, 5)]


def noise(dtype: Any, shape: tuple[int, ...], seed: int = 0) -> Any:
    """Any bits at all: NaNs with payloads, infinities, zeros with signs."""
    dtype = np.dtype(dtype)
    count = math.prod(shape)
    words = np.random.default_rng(seed).integers(0, 256, count * dtype.itemsize, np.uint8)
    if dtype.kind == "b":
        words %= 2
    return np.frombuffer(words.tobytes(), dtype, count).reshape(shape)


def same(a: Any, b: Any) -> bool:
    """Bit by bit, with the dtype; through dicts in their order."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


def returned(tmp_path: Path, arrays: dict[str, Any]) -> dict[str, Any]:
    return load(save(tmp_path / "file.safetensors", arrays))[0]


# --- what is written is read ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number(tmp_path: Path, dtype: str) -> None:
    arrays = {f"{n}": noise(dtype, shape, n) for n, shape in enumerate(SHAPES)}
    found = returned(tmp_path, arrays)
    assert same(arrays, found)
    assert all(array.flags.writeable for array in found.values())


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<c16", "?"])
def test_arrays_as_they_lie(tmp_path: Path, dtype: str) -> None:
    whole = noise(dtype, (6, 8))
    shut = whole.copy()
    shut.flags.writeable = False
    arrays = {
        "transposed": whole.T, "strided": whole[::2, 1::3], "reversed": whole[::-1, ::-1],
        "fortran": np.asfortranarray(whole), "repeated": np.broadcast_to(whole[0], (5, 8)),
        "shut": shut, "number": whole[0, 0], "bare": np.array(whole[0, 0]), "none": whole[:0, ::2],
    }  # fmt: skip
    assert same(arrays, returned(tmp_path, arrays))


def test_a_file_that_is_mapped(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "numbers", np.float32, "w+", shape=(3, 4))
    mapped[:] = noise("<i4", (3, 4))
    found = returned(tmp_path, {"W": mapped})["W"]
    assert type(found) is np.ndarray
    assert same(found, np.asarray(mapped))


def test_dicts_in_dicts(tmp_path: Path) -> None:
    one = np.ones(2)
    arrays = {"z": {"a": {"b": one}, "c": one}, "slots": {"W": {}}, "a": one}
    assert same(arrays, returned(tmp_path, arrays))
    assert returned(tmp_path, {}) == {}


def test_others_read_the_arrays(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    arrays = {"conv": {"W": noise("<f4", (3, 4)), "z": np.array([1 + 2j, 3 - 4j])}}
    found = load_file(save(tmp_path / "file.safetensors", arrays))
    assert same(arrays["conv"]["W"], found["conv.W"])
    assert found["conv.z"].tolist() == [[1, 2], [3, -4]]


NAMES = st.text(
    st.characters(exclude_characters=".", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name != "__metadata__")
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4).flatmap(
        lambda shape: st.integers(0, 9).map(lambda seed: noise(dtype, shape, seed))
    )
)
TREES = st.recursive(ARRAYS, lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=8)
FACTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(arrays=st.dictionaries(NAMES, TREES, max_size=4), facts=st.dictionaries(st.text(), FACTS))
def test_everything_comes_back(
    tmp_path: Path, arrays: dict[str, Any], facts: dict[str, Any]
) -> None:
    found, said = load(save(tmp_path / "file.safetensors", arrays, facts))
    assert same(arrays, found)
    assert said == facts
    assert json.dumps(said) == json.dumps(facts)  # tells 1 from 1.0 and True


def test_facts_that_look_like_ours(tmp_path: Path) -> None:
    looks = '"sha256":"' + "0" * 64 + '"'
    facts = {"sha256": "0" * 64, looks: [looks], "format": looks, "facts": {"sha256": "0" * 64}}
    arrays = {looks: {"sha256": np.ones(1)}, "sha256": np.zeros(1)}
    found, said = load(save(tmp_path / "file.safetensors", arrays, facts))
    assert said == facts
    assert same(arrays, found)


def test_facts_of_a_training(tmp_path: Path) -> None:
    rng = np.random.Generator(np.random.MT19937(1))
    optimizer = training.AdamW(training.WarmUp(training.Cosine(1e-3), over=10))
    facts = {
        "rng": training.rng_to_facts(rng), "optimizer": training.to_facts(optimizer),
        "position": (3, 2**70), "nan": float("nan"), "inf": float("-inf"), "none": None,
    }  # fmt: skip
    said = load(save(tmp_path / "file.safetensors", {}, facts))[1]
    assert training.from_facts(said["optimizer"]) == optimizer
    assert training.rng_from_facts(said["rng"]).random() == rng.random()
    assert said["position"] == [3, 2**70]
    assert math.isnan(said["nan"])
    assert said["inf"] == -math.inf


# --- what is not written ----------------------------------------------------------------------


class Odd(dict[str, Any]):
    """A dict in itself."""

    def __init__(self) -> None:
        super().__init__()
        self["in"] = self


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a.b": np.ones(1)}, "'a.b' is no name of an array"),
        ({"a": {"": np.ones(1)}}, "'' in 'a' is no name"),
        ({"a": {3: np.ones(1)}}, "3 in 'a' is no name"),
        ({"__metadata__": np.ones(1)}, "'__metadata__' is no name"),
        ({"a\ud800": np.ones(1)}, "cannot be written"),
        ({"a": [1.0]}, "'a' is list"),
        ({"a": {"b": 1.0}}, "'a.b' is float"),
        ({"a": np.array(["x"])}, "'a' is an array of <U1"),
        ({"a": np.array([object()])}, "'a' is an array of object"),
        ({"a": np.zeros(2, [("x", "f4")])}, "'a' is an array of"),
        ({"a": np.ma.masked_array([1.0], [True])}, "'a' is MaskedArray"),
        (Odd(), "cannot be written"),
        ([np.ones(1)], "is list"),
    ],
)
def test_what_is_no_array(tmp_path: Path, arrays: Any, message: str) -> None:
    path = save(tmp_path / "file.safetensors", {"W": np.ones(3)}, {"step": 1})
    with pytest.raises(CheckpointError, match=message):
        save(path, arrays)
    assert load(path)[1] == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"a": np.ones(1)}, r"facts\['a'\] is ndarray"),
        ({"a": [{"b": np.int64(1)}]}, r"facts\['a'\]\[0\]\['b'\] is int64"),
        ({"a": {1}}, "is set"),
        ({"a": 1j}, "is complex"),
        ({"a": b"x"}, "is bytes"),
        ({1: "a"}, "has the name 1"),
        ({"a": {None: 1}}, r"facts\['a'\] has the name None"),
        ({"a": 10**5000}, "no JSON"),
        (Odd(), "cannot be written"),
    ],
)
def test_what_is_no_json(tmp_path: Path, facts: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        save(tmp_path / "file.safetensors", {}, facts)
    assert list(tmp_path.iterdir()) == []


def test_facts_that_no_reader_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_format, "_LONGEST_HEADER", 10_000)
    with pytest.raises(CheckpointError, match="make arrays of what is long"):
        save(tmp_path / "file.safetensors", {}, {"text": "x" * 10_000})
    assert list(tmp_path.iterdir()) == []


# --- what is not read ----------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Path:
    arrays = {"W": np.array([1.5, -2.5], np.float32), "z": np.array([1j], np.complex64)}
    return save(tmp_path / "small.safetensors", arrays, {"step": 7})


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(path)
    said = str(caught.value)
    assert str(path) in said
    assert said.count("\n") == 0
    return said


def test_every_byte_counts(small: Path) -> None:
    content = small.read_bytes()
    assert len(content) < 800
    for at in range(len(content)):
        for flip in (0x01, 0x20, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[at] ^= flip
            small.write_bytes(damaged)
            refused(small)
    small.write_bytes(content)
    assert load(small)[1] == {"step": 7}


def test_every_length_counts(small: Path) -> None:
    content = small.read_bytes()
    for length in range(len(content)):
        small.write_bytes(content[:length])
        refused(small)
    for more in (b"\0", b" ", content):
        small.write_bytes(content + more)
        assert "SHA-256" in refused(small)


class Bomb:
    """What goes off when it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("something was unpickled",)


def foreign(tmp_path: Path) -> Iterator[tuple[bytes, str]]:
    """Files of others, and what is said of them."""
    from safetensors.numpy import save as plain

    yield b"", "is empty"
    yield plain({"W": np.ones(2)}), "no checkpoint: read its arrays with safetensors"
    yield plain({"W": np.ones(2)}, {"format": "pt"}), "no checkpoint: read its arrays with"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps(Bomb(), protocol), "may run code"
    for protocol in (0, 1):
        yield pickle.dumps(Bomb(), protocol), "is no checkpoint"
    np.savez(tmp_path / "arrays.npz", W=np.ones(2))
    yield (tmp_path / "arrays.npz").read_bytes(), "may run code"
    np.save(tmp_path / "array.npy", np.ones(2))
    yield (tmp_path / "array.npy").read_bytes(), "is no checkpoint"
    for header in (b"[]", b"3", b"null", b"{", b"\xff", b"[" * 5000, b'"x"'):
        yield len(header).to_bytes(8, "little") + header, "is no checkpoint"
    yield b"\x02\0\0\0\0\0\0\0{}", "no checkpoint"
    yield b"\xff" * 100, "is no checkpoint"
    yield b"{}", "is no checkpoint"


def test_files_of_others(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    for content, said in foreign(tmp_path):
        path.write_bytes(content)
        assert said in refused(path), content


def test_files_of_torch(tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pt"
        torch.save({"W": torch.ones(2)}, path, _use_new_zipfile_serialization=zipped)
        assert "may run code" in refused(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    import os

    assert "Is a directory" in refused(tmp_path)
    assert "No such file" in refused(tmp_path / "nowhere.safetensors")
    assert "No such file" in refused(tmp_path / "nowhere" / "file.safetensors")
    assert "Not a plain file" in refused(Path("/dev/null"))
    os.mkfifo(tmp_path / "pipe")
    assert "Not a plain file" in refused(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load("a\0b")


def forged(monkeypatch: pytest.MonkeyPatch, path: Path, **metadata: str) -> Path:
    """A file with other metadata, whose digest fits."""
    import safetensors.numpy

    genuine = safetensors.numpy.save
    with monkeypatch.context() as patched:
        patched.setattr(
            safetensors.numpy, "save", lambda arrays, facts: genuine(arrays, {**facts, **metadata})
        )
        return save(path, {"W": np.ones(2)}, {})


def test_files_of_a_newer_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, said in {
        "2": "has format 2", "17": "has format 17", "0": "damaged", "": "damaged", "-1": "damaged",
        "two": "damaged", "²": "damaged", "9" * 5000: "damaged",
    }.items():  # fmt: skip
        path = forged(monkeypatch, tmp_path / "file.safetensors", version=version)
        assert said in refused(path)


@pytest.mark.parametrize(
    "metadata",
    [
        {"facts": "3"}, {"facts": "{"}, {"facts": "[" * 9000}, {"facts": "9" * 5000},
        {"layout": "[]"}, {"layout": "{"}, {"layout": "null"}, {"layout": '[["W"]]'},
        {"layout": '[["W", 3]]'}, {"layout": '[["V", null]]'}, {"layout": '[[["W"], null]]'},
        {"layout": '[["W", "O"]]'}, {"layout": '[["W", "<c16,<f4"]]'}, {"layout": '[["W", "<V8"]]'},
        {"layout": '[["W", "<c64"]]'}, {"layout": '[["W", "<M8[parsec]"]]'},
        {"layout": '[["W", null], ["W.x", "{}"]]'},
    ],
    ids=str,
)  # fmt: skip
def test_files_that_are_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, str]
) -> None:
    path = forged(monkeypatch, tmp_path / "file.safetensors", **metadata)
    assert "is no checkpoint of this library" in refused(path)


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (lambda: save(small, {}), lambda: load(small), lambda: latest(tmp_path)):
        with pytest.raises(CheckpointError, match=r'pip install "contractconv\[training\]"'):
            call()


# --- many in a folder ----------------------------------------------------------------------------


def steps_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_ones_stay(tmp_path: Path) -> None:
    for step in (1, 2, 30, 999_999, 1_000_000):
        save(at_step(tmp_path, step), {}, {"step": step}, keep=3)
    assert steps_in(tmp_path) == [
        "step-000030.safetensors", "step-1000000.safetensors", "step-999999.safetensors"
    ]  # fmt: skip
    assert latest(tmp_path).facts == {"step": 1_000_000}
    save(at_step(tmp_path, 999_999), {}, {"again": True}, keep=1)  # an earlier step once more
    assert steps_in(tmp_path) == ["step-1000000.safetensors", "step-999999.safetensors"]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    others = [
        "step-000001.txt",
        "step-x.safetensors",
        "best.safetensors",
        ".step-000001.safetensors",
    ]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    for step in range(3):
        save(at_step(tmp_path, step), {}, keep=1)
    assert steps_in(tmp_path) == sorted([*others, "step-000002.safetensors"])


def test_damaged_ones_are_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in range(4):
        save(at_step(tmp_path, step), {"W": np.full(2, step)}, {"step": step})
    at_step(tmp_path, 3).write_bytes(b"")
    damaged = bytearray(at_step(tmp_path, 2).read_bytes())
    damaged[-1] ^= 1
    at_step(tmp_path, 2).write_bytes(damaged)
    found = latest(tmp_path)
    assert found.path == at_step(tmp_path, 1)
    assert found.facts == {"step": 1}
    assert found.arrays["W"].tolist() == [1, 1]
    for n, said in zip((3, 2), found.skipped, strict=True):
        assert str(at_step(tmp_path, n)) in said
    noted = capsys.readouterr().err
    assert "step-000003.safetensors is empty" in noted
    assert "step-000002.safetensors is damaged" in noted


def test_no_checkpoint_is_whole(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CheckpointError, match=r"there is no checkpoint step-\.\.\.\."):
            latest(folder)
    at_step(tmp_path, 3).write_bytes(b"")
    at_step(tmp_path, 4).mkdir()
    with pytest.raises(CheckpointError, match=r"(?s)step-000004.*Is a dir.*step-000003.*is empty"):
        latest(tmp_path)


@pytest.mark.parametrize("keep", [0, -1, 1.0, True, "2"])
def test_how_many_stay(tmp_path: Path, keep: Any) -> None:
    with pytest.raises(CheckpointError, match="above zero"):
        save(at_step(tmp_path, 1), {}, keep=keep)
    assert steps_in(tmp_path) == []


def test_names_of_steps(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="at_step name it"):
        save(tmp_path / "last.safetensors", {}, keep=2)
    with pytest.raises(CheckpointError, match="no step -1"):
        at_step(tmp_path, -1)
