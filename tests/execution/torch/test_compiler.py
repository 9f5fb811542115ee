"""Torch's compiler reads calls without a break, and what it makes has the same gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import contractconv as cc  # noqa: E402 - torch may be missing

STRING = "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o"
CONV = cc.Contraction(STRING)
POOL = cc.Contraction("b (2*i+k) (2*j+l) c -> b i j c", reduce="max")
x, W, bias = cc.tensor("x", "b h w c"), cc.tensor("W", "k l c o"), cc.tensor("bias", "o")
LAYER = cc.program(y=cc.relu(cc.contract(STRING, x, W) + bias))
SEVERAL = cc.program(y=cc.contract("b h w c -> b c", x), z=cc.exp(x))
COMPILED = LAYER.compile()


def _several(image: Any, kernel: Any, offset: Any) -> Any:
    made = SEVERAL(image * kernel.sum())
    return made.y.sum() + made[1].mean() * offset


def _mapped(image: Any, kernel: Any, offset: Any) -> Any:
    return torch.func.vmap(lambda one: CONV(one[None], kernel)[0])(image) + offset


def _differentiated(image: Any, kernel: Any, offset: Any) -> Any:
    return torch.func.grad(lambda w: cc.contract(STRING, image, w).sin().sum())(kernel) * offset


CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "contract": lambda x, w, b: cc.contract(STRING, x.sin(), w) + b,
    "ended": lambda x, w, b: cc.contract(STRING, x, w, bias=b, activation="relu"),
    "contractions": lambda x, w, b: POOL(CONV(x, w), k=2, l=2) * b,
    "extents": lambda x, w, b: cc.contract("b h w c -> b h w c r", x * w.sum(), r=2),
    "program": LAYER,
    "by name": lambda x, w, b: LAYER(x, bias=b, W=w),
    "compiled": COMPILED,
    "several": _several,
    "vmap": _mapped,
    "grad": _differentiated,
}


def tensors(dtype: Any = None) -> list[Any]:
    """An image, a kernel and a bias."""
    by = torch.Generator().manual_seed(0)
    shapes = (2, 6, 6, 3), (3, 3, 3, 4), (4,)
    return [
        torch.randn(shape, generator=by, dtype=dtype or torch.float64, requires_grad=True)
        for shape in shapes
    ]


@pytest.mark.parametrize("name", CALLS)
def test_one_graph_is_made_of_a_call_and_has_its_gradients(name: str) -> None:
    call, given = CALLS[name], tensors()
    torch._dynamo.reset()

    def user(*given: Any) -> Any:
        return call(*given)

    compiled = torch.compile(user, fullgraph=True, backend="aot_eager")
    made, wanted = compiled(*given), call(*given)
    torch.testing.assert_close(made, wanted)
    found, expected = (
        torch.autograd.grad(y.square().sum(), given, allow_unused=True) for y in (made, wanted)
    )
    for slope, right in zip(found, expected, strict=True):
        torch.testing.assert_close(slope, right)


def test_an_exported_program_has_the_text_in_it() -> None:
    class Model(torch.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, image: Any, kernel: Any) -> Any:
            return CONV(image, kernel)

    image, kernel, _ = tensors()
    exported = torch.export.export(Model(), (image.detach(), kernel.detach()))
    assert "contractconv.run.default" in str(exported.graph)
    torch.testing.assert_close(exported.module()(image, kernel), CONV(image, kernel))


def test_a_mistake_is_told_as_it_is_read() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(CONV, fullgraph=True, backend="eager")
    with pytest.raises(Exception, match="c is 3 on axis 3 of x0, but 2"):
        compiled(torch.ones(2, 6, 6, 3), torch.ones(3, 3, 2, 4))


def test_batches_of_any_size_are_compiled_once() -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(LAYER, fullgraph=True, backend=counter, dynamic=True)
    image, kernel, offset = tensors()
    for count in (5, 7, 8):  # torch takes equal sizes for one: these are no other sizes
        batch = image.detach().repeat(count, 1, 1, 1).requires_grad_()
        made, wanted = compiled(batch, kernel, offset), LAYER(batch, kernel, offset)
        torch.testing.assert_close(made, wanted)
        pair = (torch.autograd.grad(y.sum(), batch)[0] for y in (made, wanted))
        torch.testing.assert_close(*pair)
    assert counter.frame_count == 1
