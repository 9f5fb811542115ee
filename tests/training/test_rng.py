"""Generators go on where they were, exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from contractconv.errors import CheckpointError
from contractconv.training import rng_from_facts, rng_to_facts

BITS = ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"]
SEEDS: list[Any] = [0, 2**200 + 1, [1, 2, 3], None]


def generator(name: str, seed: Any = 0) -> np.random.Generator:
    return np.random.Generator(getattr(np.random, name)(seed))


def draws(rng: np.random.Generator) -> list[Any]:
    """Of every kind: words of 32 bits leave half a word behind."""
    return [
        rng.integers(0, 7, 3, np.uint32).tolist(), rng.random(5, np.float32).tolist(),
        rng.standard_normal(1001).tolist(), rng.permutation(50).tolist(),
        rng.bytes(3), rng.spawn(1)[0].random(), rng.random(),
    ]  # fmt: skip


def test_every_kind_is_here() -> None:
    kinds = {kind.__name__ for kind in np.random.BitGenerator.__subclasses__()}
    assert kinds == set(BITS)


@pytest.mark.parametrize("seed", SEEDS, ids=str)
@pytest.mark.parametrize("name", BITS)
def test_they_go_on(name: str, seed: Any) -> None:
    rng = generator(name, seed)
    draws(rng)
    rng.integers(0, 7, 1, np.uint32)  # half a word is left
    facts = json.loads(json.dumps(rng_to_facts(rng)))
    again = rng_from_facts(facts)
    assert type(again.bit_generator) is type(rng.bit_generator)
    assert rng_to_facts(again) == facts
    assert draws(again) == draws(rng)


@pytest.mark.parametrize("name", BITS)
def test_a_generator_in_another_place_would_be_noticed(name: str) -> None:
    rng = generator(name)
    facts = rng_to_facts(rng)
    rng.integers(0, 7, 1, np.uint32)
    assert draws(rng_from_facts(facts)) != draws(rng)


def test_children_of_children() -> None:
    child = np.random.default_rng(5).spawn(3)[2]
    child.spawn(2)
    again = rng_from_facts(json.loads(json.dumps(rng_to_facts(child))))
    assert [c.random() for c in again.spawn(2)] == [c.random() for c in child.spawn(2)]


def test_a_generator_without_a_seed() -> None:
    state = np.random.RandomState(3)
    bits: Any = state.get_state(legacy=False)
    rng = generator("MT19937")
    rng.bit_generator.state = bits
    assert rng_from_facts(rng_to_facts(rng)).random() == rng.random()


@pytest.mark.parametrize("thing", [3, None, np.random.PCG64(0), np.random.RandomState(0)])
def test_what_is_no_generator(thing: Any) -> None:
    with pytest.raises(CheckpointError, match="is no generator that can be kept"):
        rng_to_facts(thing)


def facts_of(change: Callable[[dict[str, Any]], Any], name: str = "PCG64") -> dict[str, Any]:
    facts = rng_to_facts(generator(name))
    change(facts)
    return facts


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"state": None, "seed": None},
        facts_of(lambda facts: facts["state"].update(bit_generator="default_rng")),
        facts_of(lambda facts: facts["state"].update(bit_generator="__loader__")),
        facts_of(lambda facts: facts["state"].update(bit_generator=["PCG64"])),
        facts_of(lambda facts: facts["state"].update(bit_generator="MT19937")),
        facts_of(lambda facts: facts["state"].update(state=3)),
        facts_of(lambda facts: facts["state"]["state"].update(state="many")),
        facts_of(lambda facts: facts["state"]["state"].update(key=[-1]), "MT19937"),
        facts_of(lambda facts: facts["state"]["state"].update(key=[2**40] * 624), "MT19937"),
        facts_of(lambda facts: facts["state"]["state"].update(counter=[1]), "Philox"),
        facts_of(lambda facts: facts["state"]["state"].update(pos=625), "MT19937"),
        facts_of(lambda facts: facts["state"]["state"].update(pos=-1), "MT19937"),
        facts_of(lambda facts: facts["state"].update(buffer_pos=5), "Philox"),
        facts_of(lambda facts: facts.update(seed={"entropy": 0, "more": 1})),
        facts_of(lambda facts: facts.update(seed={"entropy": -1})),
        facts_of(lambda facts: facts.pop("seed")),
    ],
    ids=range(17),
)
def test_what_describes_no_generator(facts: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="describe no random generator"):
        rng_from_facts(facts)
