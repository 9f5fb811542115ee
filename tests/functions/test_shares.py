"""One less a share."""

from __future__ import annotations

import pytest

from contractconv.api.tensor import tensor
from contractconv.functions.shares import rest_of


@pytest.mark.parametrize(
    ("share", "rest"), [(0.9, 0.1), (0.999, 0.001), (0.0, 1.0), (1, 0.0), (0.1, 0.9)]
)
def test_the_rest_is_what_one_would_write(share: float, rest: float) -> None:
    assert rest_of(share) == rest


def test_of_a_tensor_it_is_a_map() -> None:
    beta = tensor("beta")
    assert rest_of(beta).same_as(1 - beta)
