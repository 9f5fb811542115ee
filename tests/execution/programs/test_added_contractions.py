"""Contractions that are added: one is ended with the other."""

from __future__ import annotations

import numpy as np
from symbolic import contract

from contractconv.api.compiling import compile
from contractconv.api.tensor import applied, tensor


def test_of_two_contractions_one_is_added_to_the_other() -> None:
    x, y = tensor("x", "b c"), tensor("y", "b c")
    made = contract("b c -> c", x) + contract("b c, b c -> c", x, y)
    given = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    rectified = applied("max", made - 20, 0)
    for outputs, wanted in ((made, [6, 10, 14]), (rectified, [0, 0, 0])):
        np.testing.assert_array_equal(compile(outputs, [x, y])(*given), wanted)
