"""Which weights have factors, and where a bias belongs."""

from __future__ import annotations

import pytest

import contractconv as cc
from contractconv.errors import OperandError
from contractconv.training.kfac.sites import Matrix, sites_of, sites_of_product

X, W = cc.tensor("x", "b h g c"), cc.tensor("W", "k g c o")
GROUPED = "b (i+k) g c, k g c o -> b i g o"


def test_a_bias_of_each_column_is_a_row() -> None:
    bias = cc.tensor("bias", "o g")
    (site,) = sites_of(cc.contract(GROUPED, X, W), [W], bias)
    assert site.matrix == Matrix(("g",), ("k", "c"), ("o",))
    assert site.bias is bias


def test_a_bias_that_groups_share_is_a_weight_of_its_own() -> None:
    bias = cc.tensor("bias", "o")
    weight, alone = sites_of(cc.contract(GROUPED, X, W), [W], bias)
    assert weight.bias is None
    assert alone.weight is bias
    assert alone.matrix == Matrix((), (), ("o",))
    assert str(alone.forward.spec) == "o -> b i g o"


def test_axes_of_the_result_may_have_other_names() -> None:
    bias = cc.tensor("bias", "groups maps")
    z = cc.contract(GROUPED, X, W).named("n places groups maps")
    (site,) = sites_of(z, [W], bias)
    assert site.bias is bias


def test_each_factor_of_a_kernel_is_a_weight() -> None:
    x = cc.tensor("x", "b h c")
    k, c, o = cc.tensor("K", "k r"), cc.tensor("C", "c r"), cc.tensor("O", "o r")
    z = cc.contract("b (i+k) c, k r, c r, o r -> b i o", x, k, c, o)
    found = sites_of(z, [k, c, o], cc.tensor("bias", "o"))
    assert [site.weight.label for site in found] == ["K", "C", "O"]
    assert [site.bias is not None for site in found] == [False, False, True]


def test_layers_of_a_network_say_where_their_weights_are() -> None:
    net = cc.Network([cc.layers.Conv(4, 3, map="relu"), cc.layers.Dense(2, over="h w c")])
    products = [p for call in net.traced((2, 6, 6, 3)).calls for p in call.products]
    found = [site for product in products for site in sites_of_product(product)]
    assert [site.weight.label for site in found] == ["conv_1_W", "dense_1_W"]
    assert [site.matrix.columns for site in found] == [("o",), ("o",)]
    assert all(site.bias is not None for site in found)


@pytest.mark.parametrize(
    ("string", "reduce", "axes"),
    [("b (i+k) c, k c -> b i c", "max", "k c"), ("b i, (i+j) -> b j", "sum", "n")],
)
def test_what_has_no_factors_is_left_out(string: str, reduce: str, axes: str) -> None:
    x, w = cc.tensor("x", "b h c" if "k" in string else "b h"), cc.tensor("w", axes)
    given = {} if "k" in string else {"j": 2}
    z = cc.contract(string, x, w, reduce=reduce, **given)
    assert sites_of(z, [w]) == []


def test_what_is_no_contraction_is_refused() -> None:
    x, w = cc.tensor("x", "b i"), cc.tensor("w", "i o")
    z = cc.contract("b i, i o -> b o", x, w)
    with pytest.raises(OperandError, match="not the result of a contraction"):
        sites_of(cc.relu(z), [w])
    with pytest.raises(OperandError, match="once is needed"):
        sites_of(z, [cc.tensor("v", "i o")])
    with pytest.raises(OperandError, match="no axis 'p'"):
        sites_of(z, [w], cc.tensor("bias", "p"))
