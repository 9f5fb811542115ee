"""The operator: whatever torch derives of it equals what torch derives of its own operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import contractconv as cc  # noqa: E402 - torch may be missing
from contractconv.execution.torch.kernels import kernel_of  # noqa: E402
from contractconv.execution.torch.operator import operator, run  # noqa: E402

CONV = "b (2*i+2*k-1) c, k c o -> b i o"

PROGRAM = """
def f(x: "h c", w: "k c o", bias: "o"):
    z = contract("(2*i+k-1) c, k c o -> i o", x, w)
    a = tanh(z + bias)
    m = contract("(i+k) o -> i o", a, reduce="max", k=2)
    y = contract("i o -> ", m, reduce="logsumexp")
    return y
"""

# Results that would be views of what comes in, or of each other.
SEVERAL = """
def f(x: int64["i j"]):
    y = contract("i j -> j i", x)
    y_2 = y
    z = x
    return y, y_2, z
"""

Call = Callable[..., Any]


def _operator(*tensors: Any) -> Any:
    return operator(list(tensors), PROGRAM)[0]


WAYS: dict[str, Call] = {"called": lambda *tensors: run(tensors, PROGRAM)[0], "operator": _operator}


def by_torch(*tensors: Any) -> Any:
    """The oracle: the same program, in which torch sees nothing but its own operations."""
    return kernel_of(PROGRAM).by_torch(tensors)[0]


def drawn(*shapes: tuple[int, ...], dtype: Any = None, seed: int = 0) -> list[Any]:
    """Tensors that are differentiated by."""
    by = torch.Generator().manual_seed(seed)
    made = (torch.randn(s, generator=by, dtype=dtype or torch.float64) for s in shapes)
    return [tensor.requires_grad_() for tensor in made]


CALLS: dict[str, tuple[Call, list[tuple[int, ...]]]] = {
    "strided, dilated": (lambda x, w: cc.contract(CONV, x, w), [(2, 9, 2), (2, 2, 3)]),
    "grouped": (
        lambda x, w: cc.contract("b (i+k-1) g c, k g c o -> b i g o", x, w),
        [(2, 5, 2, 2), (3, 2, 2, 1)],
    ),
    "transposed": (
        lambda x, w: cc.contract("b i c, k c o -> b (2*i+k-1) o", x, w), [(2, 3, 2), (3, 2, 2)],
    ),
    "max": (lambda x: cc.contract("b (2*i+k) -> b i", x, reduce="max", k=3), [(2, 9)]),
    "logsumexp": (lambda x: cc.contract("b i c -> b c", x, reduce="logsumexp"), [(2, 4, 3)]),
    "prod": (lambda x: cc.contract("b (i+k) -> b i", x, reduce="prod", k=2), [(2, 4)]),
    "einsum": (
        lambda x, y, z: cc.contract("i j, j k, k l -> i l", x, y, z), [(2, 3), (3, 4), (4, 2)],
    ),
    "ended": (
        lambda x, w, b: cc.contract("b i, i o -> b o", x, w, bias=b, activation="relu"),
        [(3, 2), (2, 4), (4,)],
    ),
    "program": (lambda *tensors: run(tensors, PROGRAM)[0], [(7, 3), (3, 3, 2), (2,)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_gradients_of_both_orders_and_modes_are_those_of_differences(name: str) -> None:
    call, shapes = CALLS[name]
    tensors = drawn(*shapes)
    assert torch.autograd.gradcheck(call, tensors, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(call, tensors)


def test_gradients_of_complex_numbers_are_those_of_differences() -> None:
    tensors = drawn((2, 7, 2), (2, 2, 2), dtype=torch.complex128)
    assert torch.autograd.gradcheck(lambda *t: cc.contract(CONV, *t), tensors)
    mixed = [drawn((3, 2))[0], *drawn((2, 4), dtype=torch.complex128)]
    product = cc.Contraction("b i, i o -> b o")
    assert torch.autograd.gradcheck(product, mixed)


def test_a_wrong_gradient_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from contractconv.execution.torch import operator as room

    call, shapes = CALLS["strided, dilated"]
    monkeypatch.setattr(room, "_conjugate", lambda tensor: None if tensor is None else 2 * tensor)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(call, drawn(*shapes))


def test_torch_finds_nothing_wrong_with_the_operator() -> None:
    found = torch.library.opcheck(operator.default, (drawn((7, 3), (3, 3, 2), (2,)), PROGRAM))
    assert set(found.values()) == {"SUCCESS"}
    found = torch.library.opcheck(
        operator.default, ([torch.ones(2, 3, dtype=torch.int64)], SEVERAL)
    )
    assert set(found.values()) == {"SUCCESS"}


def nested(f: Call) -> dict[str, Call]:
    """Transformations of a function of an image, a kernel and a bias; in some there are many."""
    from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

    def moved(x: Any, w: Any, b: Any) -> Any:
        return jvp(f, (x, w, b), (x + 1, w, 2 * b))

    each, wrt = (0, None, None), (0, 1, 2)
    return {
        "vmap": lambda x, xs, w, b, bs: vmap(f, each)(xs, w, b),
        "vmap by another axis": lambda x, xs, w, b, bs: vmap(f, (None, None, 1))(x, w, bs),
        "vmap of vmap": lambda x, xs, w, b, bs: vmap(vmap(f, (None, None, 1)), each)(xs, w, bs),
        "grad": lambda x, xs, w, b, bs: grad(f, wrt)(x, w, b),
        "vmap of grad": lambda x, xs, w, b, bs: vmap(grad(f, wrt), each)(xs, w, b),
        "grad of vmap": lambda x, xs, w, b, bs: grad(
            lambda *t: vmap(f, each)(*t).sum(), wrt
        )(xs, w, b),
        "jvp": lambda x, xs, w, b, bs: moved(x, w, b),
        "vmap of jvp": lambda x, xs, w, b, bs: vmap(moved, each)(xs, w, b),
        "jacrev": lambda x, xs, w, b, bs: jacrev(f, (0, 2))(x, w, b),
        "jacfwd": lambda x, xs, w, b, bs: jacfwd(f, (0, 2))(x, w, b),
        "hessian": lambda x, xs, w, b, bs: hessian(f, 2)(x, w, b),
        "vmap of hessian": lambda x, xs, w, b, bs: vmap(hessian(f, 2), each)(xs, w, b),
        "grad of grad": lambda x, xs, w, b, bs: jacrev(jacrev(f, 2), 0)(x, w, b),
    }  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", nested(by_torch))
def test_transformations_of_functions_nest(name: str, way: str) -> None:
    shapes = (5, 2), (3, 5, 2), (3, 2, 2), (2,), (2, 4)
    tensors = [tensor.detach() for tensor in drawn(*shapes)]
    leaves = torch.utils._pytree.tree_leaves
    found = leaves(nested(WAYS[way])[name](*tensors))
    wanted = leaves(nested(by_torch)[name](*tensors))
    assert len(found) == len(wanted)
    for made, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(made, expected)


def test_a_dual_number_keeps_its_tangent() -> None:
    x, w, b = (tensor.detach() for tensor in drawn((7, 3), (3, 3, 2), (2,)))
    duals = torch.autograd.forward_ad

    def tangent(f: Call) -> Any:
        with duals.dual_level():
            return duals.unpack_dual(f(duals.make_dual(x, x + 1), w, b)).tangent

    for way in WAYS.values():
        torch.testing.assert_close(tangent(way), tangent(by_torch))


def test_what_gradients_read_is_kept_and_nothing_else() -> None:
    image, kernel, bias = drawn((2, 6, 3), (3, 3, 4), (4,))
    text = str(cc.read('''
        def f(x: "b h c", w: "k c o", bias: "o"):
            a = relu(contract("b (i+k-1) c, k c o -> b i o", x, w) + bias)
            y = contract("b i o -> b o", a)
            return y
        '''.replace("\n        ", "\n")))  # fmt: skip
    made = run([image, kernel.detach(), bias.detach()], text)
    assert [tuple(tensor.shape) for tensor in made] == [(2, 4), (2, 6, 4)]
    saved = made[0].grad_fn.saved_tensors
    # The image itself is not read by its own gradient: nothing of it is held but its sizes.
    assert sorted(t.untyped_storage().nbytes() for t in saved) == [8, 3 * 3 * 4 * 8, 2 * 6 * 4 * 8]


def test_a_gradient_that_nobody_asked_for_is_not_made() -> None:
    x, w = drawn((3, 2), (2, 4))
    made = cc.contract("b i, i o -> b o", x, w.detach())
    assert torch.autograd.grad(made.sum(), x)[0].shape == x.shape
    counted = torch.ones(3, 2, dtype=torch.int64)
    assert not cc.contract("b i, b i -> b", counted, counted).requires_grad
