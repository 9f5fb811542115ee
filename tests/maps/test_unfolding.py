"""Maps in simpler maps: the same values, and the same comes back."""

from __future__ import annotations

import numpy as np
import pytest
from map_oracles import applied, back, columns, extremes, numbers, points, pulled

from contractconv.errors import MapError
from contractconv.maps.expression import Call, parts
from contractconv.maps.reading import read
from contractconv.maps.table import MAPS
from contractconv.maps.unfolding import unfolded

UNFOLDED = sorted(name for name in MAPS if MAPS[name].unfolded)


def test_a_map_is_unfolded_as_far_as_it_goes() -> None:
    for name in MAPS:
        for part in parts(unfolded(name)):
            if isinstance(part, Call):
                assert not MAPS[part.function].unfolded
    share = "1 / (1 + exp(-(a * (1.5957691216057308 + 0.07135481627260025 * (a * a)))))"
    assert unfolded("gelu_tanh") == read(f"a * ({share})")
    assert unfolded("exp") == Call("exp", ("a",))
    with pytest.raises(MapError, match="there is no map 'nothing'"):
        unfolded("nothing")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", UNFOLDED)
def test_it_is_the_same_at_extremes_too(name: str, dtype: str) -> None:
    given = columns(name, [*points(name), *extremes(name)], dtype)
    found = numbers(unfolded(name), dict(zip("abc", given, strict=False)))
    assert found.dtype == dtype
    expected = applied(name, given)
    rounding = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(found, expected, rtol=8 * rounding, atol=2 * rounding)


@pytest.mark.parametrize("name", [n for n in UNFOLDED if n != "stop_gradient"])
def test_the_same_comes_back_through_it(name: str) -> None:
    given = columns(name, points(name), "float64")
    g = np.linspace(1, 2, len(given[0]))
    through = pulled(unfolded(name), dict(zip("abc", given, strict=False)), g)
    for letter, expected in zip("abc", back(name, given, g), strict=False):
        np.testing.assert_allclose(through[letter], expected, rtol=1e-12, atol=1e-13)
