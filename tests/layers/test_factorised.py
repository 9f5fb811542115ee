"""Convolutions in factors are those with the product of the factors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_layers import agree, convolved, numbers, torch
from window_strategies import WindowOptions, window_options

from contractconv import Network
from contractconv.errors import ParameterError, ShapeError
from contractconv.layers import ConvCP, ConvTrain, ConvTucker, Separable

TAPS = "kln"


def _kernel(w: Any, terms: list[str]) -> Any:
    """The product of the factors, as torch has kernels: of output and input channels first."""
    factors = [w[f"W_{n}"] for n in range(1, len(terms) + 1)]
    taps = "".join(tap for tap in TAPS if any(tap in term for term in terms))
    return torch.einsum(f"{','.join(terms)}->oc{taps}", *factors)


def _terms(kind: Any, rank: int, multiplier: int) -> list[str]:
    taps = TAPS[:rank]
    if kind is Separable:
        return [f"{taps}c", "co"] if multiplier == 1 else [f"{taps}cu", "cuo"]
    return {
        ConvCP: [*(f"{tap}u" for tap in taps), "cu", "uo"],
        ConvTucker: ["cu", f"{taps}uv", "vo"],
        ConvTrain: ["cu", *["kuv", "lvw", "nwx"][:rank], f"{'uvwx'[rank]}o"],
    }[kind]


@settings(max_examples=settings().max_examples // 12)
@given(
    st.sampled_from([Separable, ConvCP, ConvTucker, ConvTrain]), window_options(),
    st.integers(1, 3), st.integers(1, 2), st.booleans(), st.sampled_from([None, "tanh"]),
)  # fmt: skip
def test_against_torch(
    kind: Any, options: WindowOptions, channels: int, inner: int, bias: bool, end: str | None
) -> None:
    terms = _terms(kind, options.rank, inner)
    named = {Separable: "multiplier", ConvCP: "rank", ConvTucker: "ranks", ConvTrain: "ranks"}
    part = kind(3, bias=bias, map=end, **{named[kind]: inner}, **options.given)

    def theirs(w: Any, x: Any) -> Any:
        made = convolved(x, _kernel(w, terms), w.get("bias"), options)
        return torch.tanh(made) if end else made

    agree(part, theirs, numbers(*options.shape, channels))


def test_ranks_of_their_own() -> None:
    shapes = [p.shape for p in Network(ConvTrain(9, 3, ranks=(2, 4, 5))).parameters((1, 8, 8, 3))]
    assert shapes == [(3, 2), (3, 2, 4), (3, 4, 5), (5, 9), (9,)]
    shapes = [p.shape for p in Network(ConvTucker(9, (3,), ranks=(2, 4))).parameters((1, 8, 3))]
    assert shapes == [(3, 2), (3, 2, 4), (4, 9), (9,)]


STRINGS = {
    "b (i+k) (j+l) c, k l c u, c u o -> b i j o + bias": Separable(4, 3, multiplier=2),
    "b (2*i+k-1) c, k c, c o -> b i o, relu": Separable(
        4, (3,), stride=2, padding=1, bias=False, map="relu"
    ),
    "b (2*i+k-p) c, k u, c u, u o -> b i o + bias": ConvCP(4, (3,), 2, stride=2, padding="same"),
    "b (i+k) (j+l) (m+n) c, c u, k l n u v, v o -> b i j m o + bias": ConvTucker(4, (3, 3, 3), 2),
    "b (i+k) (j+l) (m+n) c, c u, k u v, l v w, n w x, x o -> b i j m o + bias": ConvTrain(
        4, (3, 3, 3), 2
    ),
}


@pytest.mark.parametrize("string", STRINGS)
def test_strings(string: str) -> None:
    assert str(STRINGS[string]) == string


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ConvCP(0, 3, 2),
        lambda: ConvCP(4, 3, 0),
        lambda: ConvTucker(4, 3, (1, 2, 3)),
        lambda: ConvTrain(4, 3, (1, 2)),
        lambda: ConvTrain(4, 0, 2),
        lambda: Separable(4, 3, multiplier=0),
        lambda: Separable(4, 3, map="add"),
        lambda: Separable(4, 3, init={"W_1": "hee"}),
    ],
)
def test_wrong_options(wrong: Any) -> None:
    with pytest.raises(ParameterError):
        wrong()


def test_windows_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="conv_cp_1: a window of 5 does not fit the axis 'h' of 4"):
        Network([ConvCP(4, 5, 2)]).init(0, (1, 4, 8, 3))
