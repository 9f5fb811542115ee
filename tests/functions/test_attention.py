"""Attention: torch's and jax's values and derivatives; masks; rows that see nobody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_oracle import SIZES, agree, numbers, run, truths

from contractconv import functions as F
from contractconv.api.tensor import index, tensor
from contractconv.errors import OperandError, ParameterError, ShapeError

torch: Any = pytest.importorskip("torch")
T: Any = torch.nn.functional

GIVEN = {"q": numbers("b h t d"), "k": numbers("b h s d"), "v": numbers("b h s e")}
MASKS: list[tuple[Any, Any]] = [
    (F.causal_mask("t", "s"), np.tri(5, 7) > 0),
    (F.causal_mask("t", "s", 2), np.tri(5, 7, 2) > 0),
    (F.banded_mask("t", "s", 2), (np.tri(5, 7) - np.tri(5, 7, -3)) > 0),
    (F.banded_mask("t", "s", 1, 1, offset=1), (np.tri(5, 7, 2) - np.tri(5, 7, -1)) > 0),
]


def theirs(q: Any, k: Any, v: Any, mask: Any = None, scale: float | None = None) -> Any:
    return T.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def test_attention_is_torchs() -> None:
    agree(lambda q, k, v: F.attention(q, k, v, "s", "d"), theirs, GIVEN)
    agree(
        lambda q, k, v: F.attention(q, k, v, "s", "d", scale=0.3),
        lambda q, k, v: theirs(q, k, v, scale=0.3),
        GIVEN,
    )


@pytest.mark.parametrize(("ours", "mask"), MASKS)
def test_masks_made_of_indices(ours: Any, mask: Any) -> None:
    agree(
        lambda q, k, v: F.attention(q, k, v, "s", "d", mask=ours),
        lambda q, k, v: theirs(q, k, v, torch.tensor(mask)),
        GIVEN,
    )


def test_a_mask_that_is_given_and_a_bias() -> None:
    axes, mask = truths("b t s")
    mask[:, :, 0] = True
    agree(
        lambda q, k, v, m: F.attention(q, k, v, "s", "d", mask=m),
        lambda q, k, v, m: theirs(q, k, v, m[:, None]),
        GIVEN | {"m": (axes, mask)},
    )
    agree(
        lambda q, k, v, bias: F.attention(q, k, v, "s", "d", bias=bias),
        theirs,
        GIVEN | {"bias": numbers("h t s")},
    )


def test_who_sees_nobody_gets_zeros_and_sends_nothing_back() -> None:
    mask = np.tri(5, 7, -1) > 0  # the first one sees nobody
    given = GIVEN | {"m": ("t s", mask)}
    y, dq, dk, dv = run(lambda q, k, v, m: F.attention(q, k, v, "s", "d", m), given, "q k v")
    assert not y[:, :, 0].any()
    assert not dq[:, :, 0].any()
    # Those whom nobody sees get nothing back, either.
    assert not dk[:, :, 4:].any()
    assert not dv[:, :, 4:].any()
    for array in (y, dq, dk, dv):
        assert np.isfinite(array).all()
    q, k, v = (torch.tensor(GIVEN[n][1]) for n in "qkv")
    whole = theirs(q, k, v, torch.tensor(mask)).numpy()
    np.testing.assert_allclose(y[:, :, 1:], whole[:, :, 1:], rtol=1e-12)


def test_nobody_to_look_at() -> None:
    given = {
        name: (axes, array[:, :, :0] if name != "q" else array)
        for name, (axes, array) in GIVEN.items()
    }
    y, dq = run(lambda q, k, v: F.attention(q, k, v, "s", "d", F.causal_mask("t", "s")), given, "q")
    assert y.shape == (3, 4, 5, 5)
    assert not y.any()
    assert not dq.any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_great_similarities(dtype: Any) -> None:
    q = np.array([[1e3, 0], [0, 1e3]], dtype)
    given = {"q": ("t d", q), "k": ("s d", q / dtype(20)), "v": ("s e", np.eye(2, dtype=dtype))}
    y, dq, dk, dv = run(lambda q, k, v: F.attention(q, k, v, "s", "d", scale=1.0), given, "q k v")
    assert y.dtype == dq.dtype == dtype
    assert y.tolist() == [[1, 0], [0, 1]]
    assert not dq.any()
    assert not dk.any()
    assert dv.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("causal", [True, False])
def test_attention_is_jaxs(causal: bool) -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        arrays = [jax.numpy.asarray(GIVEN[n][1]) for n in "qkv"]

        def loss(q: Any, k: Any, v: Any) -> Any:
            scores = jax.numpy.einsum("bhtd,bhsd->bhts", q, k) / 6**0.5
            mask = np.tri(5, 7) > 0 if causal else None
            weights = jax.nn.softmax(scores, where=mask)
            made = jax.numpy.einsum("bhts,bhse->bhte", weights, v)
            return made.sum(), made

        (_, wanted), slopes = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(*arrays)
    mask = F.causal_mask("t", "s") if causal else None
    found = run(lambda q, k, v: F.attention(q, k, v, "s", "d", mask), GIVEN, "q k v")
    for a, b in zip(found, (wanted, *slopes), strict=True):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-9, atol=1e-12)


def test_multi_head_attention_is_torchs_module() -> None:
    heads, width = SIZES["h"], 3
    module = torch.nn.MultiheadAttention(12, heads, bias=False, batch_first=True).double()
    into, out = module.in_proj_weight.detach(), module.out_proj.weight.detach()
    # Rows are head by head, and what comes out is the first axis.
    stacked = into.reshape(3, heads, width, 12).permute(0, 3, 1, 2).numpy()
    result = out.reshape(12, heads, width).permute(1, 2, 0).numpy()
    x = np.random.default_rng(0).standard_normal((3, 5, 12))
    given = {"x": ("b t d", x)} | {f"W_{n}": ("d h k", stacked[n]) for n in range(3)}
    given["out"] = ("h k d", result)

    def ours(x: Any, *weights: Any) -> Any:
        mask = F.causal_mask("t", "t_")
        return F.multi_head_attention(x, weights, "t", "d", "h", mask=mask)

    y, dx = run(ours, given, "x")
    theirs = torch.tensor(x, requires_grad=True)
    mask = torch.tensor(np.tri(5) == 0)
    wanted, _ = module(theirs, theirs, theirs, attn_mask=mask, need_weights=False)
    wanted.sum().backward()
    np.testing.assert_allclose(y, wanted.detach().numpy(), rtol=1e-9, atol=1e-12)
    assert theirs.grad is not None
    np.testing.assert_allclose(dx, theirs.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_looking_at_something_else() -> None:
    def theirs(x: Any, y: Any, W_q: Any, W_k: Any, W_v: Any, W_out: Any) -> Any:
        q, k, v = (torch.einsum("btd,dhk->bhtk", *pair) for pair in ((x, W_q), (y, W_k), (y, W_v)))
        return torch.einsum("bhtk,hkd->btd", T.scaled_dot_product_attention(q, k, v), W_out)

    agree(
        lambda x, y, *W: F.multi_head_attention(x, W, "t", "d", "h", context=y, over="s"),
        theirs,
        {
            "x": numbers("b t d"), "y": numbers("b s d"), "W_q": numbers("d h k"),
            "W_k": numbers("d h k", 1), "W_v": numbers("d h e", 2), "W_out": numbers("h e d"),
        },
        second=False,
    )  # fmt: skip


def test_mistakes_are_pointed_at() -> None:
    q, k, v = (
        tensor(name, axes) for name, axes in zip("qkv", ("b t d", "b t d", "b t e"), strict=True)
    )
    with pytest.raises(
        ShapeError, match="the query has the axis 't', along which is looked\n  b t d\n    \\^"
    ):
        F.attention(q, k, v, "t", "d")
    with pytest.raises(ShapeError, match="the key has the axes 'b s f', and none called 'd'"):
        F.attention(q, tensor("k", "b s f"), tensor("v", "b s e"), "s", "d")
    with pytest.raises(ShapeError, match="the mask is along 'z s', similarities 'b t s': 'z'"):
        F.attention(q, k.named("b s d"), v.named("b s e"), "s", "d", index("z") > index("s"))
    with pytest.raises(OperandError, match="four, not 2"):
        F.multi_head_attention(q, [q, q], "t", "d", "h")
    with pytest.raises(ParameterError, match="over= says along which axis"):
        F.multi_head_attention(q, [q] * 4, "t", "d", "h", context=k)
    with pytest.raises(ParameterError, match="distances are not negative"):
        F.banded_mask("t", "s", -1)
