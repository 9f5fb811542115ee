"""Caffe's models: what is in them, and what damage does to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caffe_models import blob, layer, nested, number, old_layer, varint
from numpy.typing import NDArray
from weight_arrays import same_bits

import contractconv as cc
from contractconv import weights
from contractconv.errors import WeightsError
from contractconv.layers import BatchNorm, Conv, Dense
from contractconv.weights.formats.caffe import layers


def numbers(*shape: int, dtype: str = "float32") -> NDArray[Any]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def saved(path: Path, *parts: bytes) -> Path:
    """A file of some layers."""
    made = path / "net.caffemodel"
    made.write_bytes(nested(1, "net") + b"".join(parts))
    return made


W, BIAS = numbers(5, 3, 2, 2), numbers(5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blobs_are_read_as_they_are(tmp_path: Path, dtype: str) -> None:
    parts = W.astype(dtype), BIAS.astype(dtype)
    entries = weights.read(saved(tmp_path, layer("c/1", "Convolution", *parts)))
    assert same_bits(dict(entries), {"c/1.0": parts[0], "c/1.1": parts[1]})


def test_numbers_one_by_one() -> None:
    data = nested(100, nested(1, "a") + nested(7, blob(W, packed=False)))
    assert same_bits(layers(data)[0].blobs[0], W)


def test_layers_as_they_were(tmp_path: Path) -> None:
    dense = numbers(4, 20)
    path = saved(tmp_path, old_layer("c", 4, W, BIAS), old_layer("d", 14, dense, BIAS[:4]))
    wanted = {"c.0": W, "c.1": BIAS, "d.0": dense, "d.1": BIAS[:4]}
    assert same_bits(dict(weights.read(path)), wanted)


def test_layers_older_than_that_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, nested(2, nested(1, b"") + nested(4, "a")))
    with pytest.raises(WeightsError, match="upgrade_net_proto_binary"):
        weights.read(path)


def test_a_network() -> None:
    torch: Any = pytest.importorskip("torch")
    nn = torch.nn
    theirs = nn.Sequential(nn.Conv2d(3, 5, 2), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(60, 4))
    theirs = theirs.double().eval()
    theirs[1].running_var.uniform_(0.5, 2)
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    two = np.array([2.0])
    statistics = 2 * state["1.running_mean"], 2 * state["1.running_var"], two
    data = [
        layer("conv", "Convolution", state["0.weight"], state["0.bias"]),
        layer("bn", "BatchNorm", *statistics, bottom="conv", top="bn"),
        layer("sc", "Scale", state["1.weight"], state["1.bias"], bottom="bn", top="bn"),
        layer("fc", "InnerProduct", state["3.weight"], state["3.bias"]),
    ]
    net = cc.Network([Conv(5, 2), BatchNorm(epsilon=1e-5), Dense(4, over="h w c")])
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    traced = net.traced((2, 5, 4, 3))
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        params = weights.load(traced, saved(Path(folder), *data), "caffe")
    assert same_bits(params, weights.load(traced, theirs, "torch"))
    wanted = theirs(x).detach().numpy()
    np.testing.assert_allclose(net(params, x.permute(0, 2, 3, 1).numpy()), wanted, atol=1e-12)


def test_statistics_of_nothing() -> None:
    from contractconv.weights.formats.caffe import _entries

    zero = np.zeros(1, np.float32)
    (found,) = layers(layer("bn", "BatchNorm", BIAS, BIAS, zero))
    assert not any(array.any() for _, array in _entries([found]))


# -- damage --------------------------------------------------------------------------------------


WHOLE = (
    layer("conv", "Convolution", W[:2, :1], BIAS[:2])
    + layer("bn", "BatchNorm", BIAS[:2], BIAS[:2], BIAS[:1])
    + old_layer("fc", 14, numbers(2, 3), BIAS[:2])
)


def test_files_that_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    read = said = 0
    for size in range(len(WHOLE)):
        path.write_bytes(WHOLE[:size])
        try:
            read += bool(weights.read(path))
        except WeightsError as error:
            said += any(part in str(error) for part in ("damaged at byte", "no layer with"))
    # Behind a whole layer nothing says that there was more.
    assert (read, said) == (2, len(WHOLE) - 2)


def test_files_with_wrong_bytes(tmp_path: Path) -> None:
    path, rng = tmp_path / "net.caffemodel", np.random.default_rng(0)
    refused = 0
    for at in range(len(WHOLE)):
        for value in {0, 0xFF, WHOLE[at] ^ 0x80, int(rng.integers(256))}:
            path.write_bytes(WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :])
            try:
                found = weights.read(path)
                assert sum(array.size for array in found.values()) < len(WHOLE)
            except WeightsError:
                refused += 1
    assert refused > len(WHOLE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x01", "damaged at byte 0: a field has the number 0"),
        (b"\x0f", "damaged at byte 1: there is no field of type 7"),
        (b"\xff" * 11, "damaged at byte 0: a number does not end"),
        (nested(100, nested(1, "a"))[:-1] + b"", "damaged at byte 2: 3 bytes are announced, and 2"),
        (number(100, 3), "damaged at byte 2: field 100 has type 0"),
        (nested(100, nested(1, b"\xff")), "damaged at byte 5: field 1 is no text"),
        (nested(100, nested(7, blob(W)[:-1])), "bytes are announced"),
        (nested(100, nested(7, nested(5, b"abc"))), "3 bytes are no numbers of 4"),
        (
            nested(100, nested(7, nested(7, nested(1, varint(2**40))) + nested(5, b"abcd"))),
            r"1 numbers are there for the shape \(1099511627776,\)",
        ),
        (
            nested(100, nested(7, nested(7, nested(1, varint(2**64 - 1))))),
            "no array has such a shape",
        ),
        (nested(100, nested(7, nested(7, nested(1, b"\x01" * 40)))), "no array has such a shape"),
        (layer("a", "x", BIAS) * 2, "two layers are called 'a'"),
        (layer("a", "BatchNorm", BIAS), "'a' normalises, and has not three blobs"),
        (b"", "there is no layer with weights in it"),
    ],
)
def test_damage_is_said(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=message):
        weights.read(path)
