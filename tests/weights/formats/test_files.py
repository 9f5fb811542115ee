"""Files of weights: what is written is read, and damage is said."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from weight_arrays import same_bits

from contractconv import notices, weights
from contractconv.errors import WeightsError

ENDS = ["npz", "safetensors", "weights.h5"]


def some(dtype: str = "float32") -> dict[str, Any]:
    """Arrays of several shapes, with numbers of every kind."""
    whole = np.arange(12).astype(dtype).reshape(3, 4)
    if whole.dtype.kind == "f":
        whole[0, :3] = np.nan, -0.0, np.inf
    return {"a/weight": whole, "a/bias": whole[:, 1][::-1], "b/n": whole[0, 0], "c/e": whole[:0]}


def needs(end: str) -> None:
    """Skip what needs a package that is not there."""
    package = {"safetensors": "safetensors", "weights.h5": "h5py"}.get(end)
    if package:
        pytest.importorskip(package)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_what_is_written_is_read(tmp_path: Path, end: str, dtype: str) -> None:
    needs(end)
    path = tmp_path / f"net.{end}"
    weights.write(path, some(dtype))
    found = weights.read(path)
    assert same_bits(dict(found), {name: np.copy(array) for name, array in some(dtype).items()})
    assert found.ordered == (end == "npz")
    assert all(array.flags.writeable for array in found.values() if array.ndim)


@pytest.mark.parametrize("end", [*ENDS, "keras"])
@pytest.mark.filterwarnings("ignore")  # of zipfile, about names
def test_damaged_files(tmp_path: Path, end: str) -> None:
    needs("weights.h5" if end == "keras" else end)
    path = tmp_path / f"net.{end}"
    written = tmp_path / f"whole.{end.replace('keras', 'weights.h5')}"
    weights.write(written, {"a/weight": np.ones((3, 4)), "a/bias": np.ones(3)})
    whole = written.read_bytes()
    if end == "keras":
        whole = archive({"config.json": b'{"config": {"layers": []}}', "model.weights.h5": whole})
    rng = np.random.default_rng(0)
    refused = 0
    cuts = [whole[:size] for size in range(0, len(whole), 1 + len(whole) // 100)]
    for _ in range(150):
        at = int(rng.integers(len(whole)))
        cuts.append(whole[:at] + bytes([rng.integers(256)]) + whole[at + 1 :])
    for data in cuts:
        path.write_bytes(data)
        try:
            weights.read(path)
        except WeightsError as error:
            refused += str(path) in str(error)
    assert refused >= 100


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return file.getvalue()


def test_pickles_are_refused(tmp_path: Path) -> None:
    for end in ("pt", "pth", "bin", "pkl", "ckpt"):
        with pytest.raises(WeightsError, match=r"is a pickle.*\n.*'net\.safetensors'"):
            weights.read(tmp_path / f"net.{end}")
    np.savez(tmp_path / "net.npz", a=np.array([{}], dtype=object))
    with pytest.raises(WeightsError, match="Object arrays cannot be loaded"):
        weights.read(tmp_path / "net.npz")


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"files of weights end in \.npz, \.safetensors"):
        weights.read(tmp_path / "net.onnx")
    with pytest.raises(FileNotFoundError):
        weights.read(tmp_path / "net.npz")
    with pytest.raises(WeightsError, match=r"can be read only: write \.npz, \.safetensors, "):
        weights.write(tmp_path / "net.caffemodel", some())
    with pytest.raises(WeightsError, match="'a' holds no numbers"):
        weights.write(tmp_path / "net.npz", {"a": "text"})


def test_bfloat16(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch: Any = pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from safetensors.torch import save_file

    notices._topics.discard("bfloat16")
    given = torch.randn(3, 4, dtype=torch.bfloat16)
    save_file({"a": given}, tmp_path / "net.safetensors")
    assert same_bits(weights.read(tmp_path / "net.safetensors")["a"], given.float().numpy())
    assert "weights in bfloat16 are read as float32" in capfd.readouterr().err


def test_what_lies_in_other_files_is_refused(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py")
    weights.write(tmp_path / "other.weights.h5", {"a": np.ones(3)})
    path = tmp_path / "net.weights.h5"
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink("other.weights.h5", "a")
    with pytest.raises(WeightsError, match="'a' is no part of the file itself, but ExternalLink"):
        weights.read(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (3,), "f4", external=[(tmp_path / "raw", 0, 12)])
    with pytest.raises(WeightsError, match="'a' lies in another file"):
        weights.read(path)


def test_more_is_announced_than_is_there(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py")
    path = tmp_path / "net.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (10**12,), "f4", chunks=(1024,))
    with pytest.raises(WeightsError, match="'a' has 4000000000000 bytes, of which 0 are there"):
        weights.read(path)


def test_groups_that_contain_themselves(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py")
    path = tmp_path / "net.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("a")
        group["b"] = group
    with pytest.raises(WeightsError, match="contains itself"):
        weights.read(path)


def test_what_is_no_array(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py")
    path = tmp_path / "net.weights.h5"
    with h5py.File(path, "w") as file:
        file["a"] = np.dtype("f4")
    with pytest.raises(WeightsError, match="'a' is a Datatype, and no array"):
        weights.read(path)


def test_names_in_several_attributes(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py")
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        for name in ("z", "a"):
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode()]
            group[f"{name}/kernel:0"] = np.ones(3)
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"z"], [b"a"]
    assert list(weights.read(path)) == ["z/kernel:0", "a/kernel:0"]
