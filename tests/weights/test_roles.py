"""Roles of axes, read from strings."""

from __future__ import annotations

import pytest

from contractconv.notation.parser import parse
from contractconv.weights.roles import weight_of


@pytest.mark.parametrize(("string", "kind", "roles", "turned"), [
    ("b (i+k) (j+l) c, k l c o -> b i j o", "conv", "kl||o|c", ""),
    ("b (i+k) (j+l) c, o c l k -> b i j o", "conv", "kl||o|c", ""),
    ("b (2*i+k-1) (g c), k g c o -> b i (g o)", "conv", "k|g|o|c", ""),
    ("b (i+k) c, k c -> b i c", "conv", "k|c||", ""),
    ("b (i-k) (j+l) c, k l c o -> b i j o", "conv", "kl||o|c", "k"),
    ("b i c, k c o -> b (2*i+k) o", "transposed", "k||o|c", ""),
    ("b ((h-k+1)/2) c, k c o -> b h o", "transposed", "k||o|c", ""),
    ("b (i+k) c, i k c o -> b i o", "local", "k|i|o|c", ""),
    ("b h w c, h w c o -> b o", "dense", "||o|hwc", ""),
    ("b h w c, (c h w) o -> b o", "dense", "||o|hwc", ""),
    ("b t d, d h k -> b t h k", "dense", "||hk|d", ""),
])  # fmt: skip
def test_roles(string: str, kind: str, roles: str, turned: str) -> None:
    found = weight_of(parse(string), 1, 1)
    assert found.kind == kind
    assert ["".join(found.roles[role]) for role in "KGOC"] == roles.split("|")
    assert found.turned == set(turned)


def test_windows_that_are_said_to_be_transposed() -> None:
    spec = parse("b (h-k) c, k c o -> b h o")
    assert weight_of(spec, 1, 1).turned == {"k"}
    found = weight_of(spec, 1, 1, transposed=True)
    assert (found.kind, found.turned) == ("transposed", frozenset())


def test_the_second_weight_meets_what_the_first_one_made() -> None:
    spec = parse("b (i+k) c, k c m, c m o -> b i o")
    first, second = (weight_of(spec, n, 1).roles for n in (1, 2))
    assert [first[role] for role in "KGOC"] == [("k",), ("c",), ("m",), ()]
    assert [second[role] for role in "KGOC"] == [(), (), ("o",), ("c", "m")]
