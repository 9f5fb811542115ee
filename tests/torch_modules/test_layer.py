"""A string as a layer of torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import contractconv as cc  # noqa: E402 - torch may be missing

CONV = "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"


def test_it_is_the_convolution_that_torch_has() -> None:
    layer = cc.torch.Layer(CONV, k=3, l=3, c=3, o=8, bias="o", map="relu")
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {
        "W": (3, 3, 3, 8), "bias": (8,)
    }  # fmt: skip
    torch.nn.init.normal_(layer.bias)
    image = torch.randn(2, 7, 7, 3, requires_grad=True)
    weight = layer.W.permute(3, 2, 0, 1)
    wanted = torch.nn.functional.conv2d(image.permute(0, 3, 1, 2), weight, layer.bias, 2, 1)
    made, wanted = layer(image), wanted.relu().permute(0, 2, 3, 1)
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-5)
    along = [image, *layer.parameters()]
    for found, expected in zip(
        torch.autograd.grad(made.sin().sum(), along),
        torch.autograd.grad(wanted.sin().sum(), along),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("spec", "said", "shapes"),
    [
        ("b h w c, c o -> b h w o", {"o": 5}, {}),
        ("b h w c, c o -> b h w o", {"o": 5, "shape": (1, 4, 4, 3)}, {"W": (3, 5)}),
        ("b h w c, c o -> b h w o", {"o": 5, "c": 3, "bias": "o"}, {"W": (3, 5), "bias": (5,)}),
        ("b (s*i+k) c, k c o -> b i o", {"k": 3, "c": 3, "o": 2, "s": 2, "parameters": "s"},
         {"W": (3, 3, 2)}),
        ("b (h w c), h w c o -> b o", {"h": 2, "w": 2, "c": 3, "o": 4}, {"W": (2, 2, 3, 4)}),
        ("... c, c o -> ... o", {"c": 3, "o": 4}, {}),
        ("b (2*i+k) c -> b i c", {"k": 2, "reduce": "max"}, {}),
    ],
)  # fmt: skip
def test_parameters_are_there_as_soon_as_their_shapes_are_known(
    spec: str, said: dict[str, Any], shapes: dict[str, tuple[int, ...]]
) -> None:
    layer = cc.torch.Layer(spec, **said)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == shapes


def test_a_seed_says_what_is_drawn_and_torch_does_without_one() -> None:
    def drawn(seed: Any = None) -> Any:
        return cc.torch.Layer("b i, i o -> b o", i=3, o=4, seed=seed, dtype=torch.float64).W

    assert drawn(3).dtype == torch.float64
    assert torch.equal(drawn(3), drawn(3))
    again = torch.Generator()
    assert torch.equal(drawn(again.manual_seed(1)), drawn(again.manual_seed(1)))
    torch.manual_seed(7)
    first, second = drawn(), drawn()
    torch.manual_seed(7)
    assert torch.equal(drawn(), first)
    assert not torch.equal(first, second)


def test_it_stands_among_layers_of_torch_and_shows_its_string() -> None:
    model = torch.nn.Sequential(
        cc.torch.Layer(CONV, k=3, l=3, o=4, map="tanh"),
        cc.torch.Layer("b (2*i+k) (2*j+l) c -> b i j c", reduce="max", k=2, l=2),
        torch.nn.Flatten(),
    )
    assert model(torch.ones(2, 8, 8, 3)).shape == (2, 16)
    assert repr(model[0]) == f"Layer({CONV}, tanh)"


def test_several_operands_come_in() -> None:
    layer = cc.torch.Layer("b i, b j, i j o -> b o", inputs=2, o=3, seed=0)
    x, y = torch.randn(2, 3), torch.randn(2, 4)
    torch.testing.assert_close(layer(x, y), torch.einsum("bi,bj,ijo->bo", x, y, layer.W))


def test_without_torch_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import contractconv as cc\n"
        "try: cc.torch.Layer\n"
        "except cc.OperandError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert said.startswith("torch is missing: pip install 'contractconv[torch]'")


def test_a_network_is_no_string() -> None:
    with pytest.raises(cc.SpecError, match=r"not of Network: .* wrapped by Module"):
        cc.torch.Layer(cc.Network(["relu"]))
