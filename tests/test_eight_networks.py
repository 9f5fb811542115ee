"""Networks of ours beside those of PyTorch: no more lines, as many parameters, the same results."""

from __future__ import annotations

import ast
import io
import tokenize
from math import prod
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest

import contractconv as cc

torch: Any = pytest.importorskip("torch")
theirs: Any = pytest.importorskip("torch_networks")

TESTS = Path(__file__).parent
# What is defined for each network, by us and by them.
DEFINED = {
    "lenet": (["lenet"], ["lenet"]),
    "alexnet": (["alexnet"], ["alexnet"]),
    "resnet18": (["resnet_block", "resnet18"], ["ResNetBlock", "resnet18"]),
    "inverted_residual": (["inverted_residual"], ["InvertedResidual"]),
    "unet": (["unet"], ["seen", "UNet"]),
    "transformer_encoder": (["transformer_encoder"], ["TransformerEncoder"]),
    "lstm_classifier": (["lstm_classifier"], ["LSTMClassifier"]),
    "cp_network": (["cp_network"], ["cp_network"]),
}
# Shapes of data on which results are compared, where those of the examples take long.
SMALLER = {"resnet18": (2, 64, 32, 3), "unet": (2, 16, 24, 1), "transformer_encoder": (2, 9)}
TOKENS = ("transformer_encoder", "lstm_classifier")


def code_lines(source: str, names: list[str]) -> int:
    """How many lines of code definitions have: without comments, docstrings and empty lines."""
    aside = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    tree = ast.parse(source)
    kept: set[int] = set()
    for node in tree.body:
        if getattr(node, "name", None) in names:
            kept |= set(range(node.lineno, (node.end_lineno or 0) + 1)) - _of_docstrings(node)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    used = {
        line
        for token in tokens
        if token.type not in aside
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(kept & used)


def _of_docstrings(whole: ast.AST) -> set[int]:
    """The lines on which there are docstrings."""
    defined = (ast.FunctionDef, ast.ClassDef)
    found: set[int] = set()
    for node in ast.walk(whole):
        if isinstance(node, defined) and ast.get_docstring(node) is not None:
            text = node.body[0]
            found |= set(range(text.lineno, (text.end_lineno or 0) + 1))
    return found


def test_code_lines_leave_out_what_is_no_code() -> None:
    source = "\n".join(
        (
            "# a",
            "def f():",
            '    """A',
            "",
            '    b."""',
            '    x = """c',
            '    d"""',
            "    return (",
            "        # e",
            "        x,",
            "    )",
            "",
            "y = 1",
        )
    )
    assert code_lines(source, ["f"]) == 6
    assert code_lines(source, ["g"]) == 0


@pytest.mark.parametrize("name", DEFINED)
def test_no_more_lines(name: str) -> None:
    sources = [TESTS.parent / "examples" / "networks.py", TESTS / "torch_networks.py"]
    counts = [
        code_lines(path.read_text(), names)
        for path, names in zip(sources, DEFINED[name], strict=True)
    ]
    assert 0 < counts[0] <= counts[1]


def module(name: str) -> Any:
    """Theirs, in double precision, with numbers for running statistics as well."""
    torch.manual_seed(0)
    sizes = (24, 24) if name == "inverted_residual" else ()
    made = getattr(theirs, DEFINED[name][1][-1])(*sizes).double().eval()
    for kind, value in made.named_buffers():
        if kind.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.normal_()
    return made


def loaded(name: str, net: cc.Network, shape: tuple[int, ...], made: Any) -> Any:
    """Their weights as parameters of ours."""
    state = made.state_dict()
    if name == "cp_network":
        return in_factors({kind: array.numpy() for kind, array in state.items()})
    names, layouts = {}, {}
    if name == "transformer_encoder":
        state["positions.weight"] = state.pop("positions")
        names, layouts = encoder_names(), {"learned_positions_1": {"W": "t c"}}
    return cc.weights.load(net.traced(shape), state, "torch", names=names, layouts=layouts)


def encoder_names() -> dict[str, str]:
    """Torch's encoder lists its normalisations last."""
    names = {"learned_positions_1": "positions"}
    for n in range(2):
        ours, encoder = f"chain_{n + 1}.residual_", f"encoder.layers.{n}."
        names |= {
            f"{ours}1.layer_norm_1": f"{encoder}norm1",
            f"{ours}1.attention_1": f"{encoder}self_attn",
            f"{ours}2.layer_norm_1": f"{encoder}norm2",
            f"{ours}2.dense_1": f"{encoder}linear1",
            f"{ours}2.dense_2": f"{encoder}linear2",
        }
    return names


def in_factors(state: dict[str, Any]) -> Any:
    """Four convolutions one behind the other are the factors of one kernel."""
    across, rows, columns, out = (state[f"{n}.weight"] for n in (3, 4, 5, 6))
    return {
        "conv_1": {"W": state["0.weight"].transpose(2, 3, 1, 0), "bias": state["0.bias"]},
        "conv_cp_1": {
            "W_1": rows[:, 0, :, 0].T,
            "W_2": columns[:, 0, 0].T,
            "W_3": across[:, :, 0, 0].T,
            "W_4": out[:, :, 0, 0].T,
            "bias": state["6.bias"],
        },
        "dense_1": {
            "W": state["10.weight"].reshape(10, 32, 5, 5).transpose(2, 3, 1, 0),
            "bias": state["10.bias"],
        },
    }


# Torch says of an encoder with normalisations first that it will not pack rows: nobody asked it to.
@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
@pytest.mark.parametrize("name", DEFINED)
def test_as_many_parameters_and_the_same_results(name: str) -> None:
    (net, shape), made = networks.NETWORKS[name], module(name)
    ours = sum(prod(p.shape) for p in net.parameters(shape) if p.trained)
    # Of the two biases that torch adds up in an LSTM one is enough.
    twice = made.lstm.bias_hh_l0.numel() if name == "lstm_classifier" else 0
    assert ours == sum(p.numel() for p in made.parameters()) - twice
    shape = SMALLER.get(name, shape)
    rng = np.random.default_rng(0)
    x = rng.integers(1000, size=shape) if name in TOKENS else rng.standard_normal(shape)
    given = x if name in TOKENS else np.moveaxis(x, -1, 1).copy()
    with torch.no_grad():
        wanted = made(torch.tensor(given)).numpy()
    wanted = np.moveaxis(wanted, 1, -1) if wanted.ndim == 4 else wanted
    found = net(loaded(name, net, shape, made), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


def test_the_networks_are_listed() -> None:
    found = {
        name: net.summary(shape).parameters for name, (net, shape) in networks.NETWORKS.items()
    }
    # What is said of them elsewhere: LeCun et al. have 61,706 with these maps, torchvision has
    # 61,100,840 of an AlexNet, and 11,689,512 and 9,600 running statistics of a ResNet-18.
    assert (found["lenet"], found["alexnet"]) == (61_706, 61_100_840)
    assert found["resnet18"] == 11_689_512 + 9_600
