"""Maps that run together keep what is ready for a layout, and not more than all caches may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from program_parts import ready

import contractconv as cc
from contractconv import cache_register
from contractconv.cache_register import Shelf, clear_caches
from contractconv.engines.llvm.kernels import native
from contractconv.execution.programs import fused_maps
from contractconv.execution.programs.fused_maps import BLOCKS, COMPILED, FusedMaps

SHAPE = (64, 40)
WAYS = [BLOCKS, COMPILED]


@pytest.fixture(params=WAYS)
def maps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FusedMaps:
    """A group of maps that is carried out in one of the ways."""
    if request.param == COMPILED and not native.available():
        pytest.skip("there is no compiler")
    if request.param == BLOCKS:
        monkeypatch.setattr(fused_maps, "compiled", lambda *given: None)
    x = cc.tensor("x", "i j")
    runner = ready({"y": cc.exp(2 * x) + x}, x=np.ones(SHAPE))
    (found,) = (work for work in runner._works if isinstance(work, FusedMaps))
    assert found.way == request.param
    return found


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A budget of a few layouts, of which nothing is taken yet."""
    clear_caches()
    monkeypatch.setattr(cache_register, "BUDGET", 30_000)
    yield 30_000
    clear_caches()


def kept(maps: FusedMaps) -> Shelf:
    """What is ready for arrays of some layout."""
    made: Any = maps._loops if maps.compiled is None else maps.compiled._ready
    assert isinstance(made, Shelf)
    return made


def run(maps: FusedMaps, layouts: int) -> None:
    """Carry the maps out on arrays that lie in memory in so many ways."""
    for n in range(layouts):
        x = np.random.default_rng(n).standard_normal((SHAPE[0], SHAPE[1] + n))[:, : SHAPE[1]]
        (made,) = maps([x])
        np.testing.assert_allclose(made, np.exp(2 * x) + x, rtol=1e-13, atol=1e-13)


def test_what_is_ready_is_kept_for_each_layout(maps: FusedMaps) -> None:
    run(maps, 3)
    run(maps, 3)
    assert len(kept(maps)) == 3


def test_clearing_caches_lets_it_go(maps: FusedMaps) -> None:
    run(maps, 3)
    clear_caches()
    assert not kept(maps)
    run(maps, 1)
    assert len(kept(maps)) == 1


def test_many_layouts_keep_within_the_budget(maps: FusedMaps, budget: int) -> None:
    run(maps, 60)
    assert 0 < len(kept(maps)) < 20
    assert cache_register._ledger.total <= budget
