"""What is kept of networks: for the next call, in pickles, among threads."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from small_networks import classes, network

import contractconv as cc
from contractconv.networks import traceable as module

L, T = cc.layers, cc.training
ROWS = np.random.default_rng(4).standard_normal((7, 4))
LABELS = np.random.default_rng(5).integers(0, 3, 7)


def two_layers() -> cc.Network:
    return cc.Network([L.Dense(5, map="tanh"), L.Dense(3)])


def test_what_was_traced_and_compiled_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counting(name: str) -> None:
        plain = getattr(module, name)

        def counted(*given: Any, **named: Any) -> Any:
            calls.append(name)
            return plain(*given, **named)

        monkeypatch.setattr(module, name, counted)

    for name in ("traced", "objective", "compile_program"):
        counting(name)
    net, (x, labels) = network(), classes()
    params = net.init(0, x)

    def everything() -> None:
        net(params, x)
        net.loss_and_grad(params, x, labels)
        net.statistics(params, x)
        net.evaluate(params, (x, labels))

    everything()
    assert calls
    calls.clear()
    everything()
    assert not calls
    cc.clear_caches()
    everything()
    assert calls


def test_little_is_kept_of_many_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    from contractconv import cache_register

    monkeypatch.setattr(cache_register, "BUDGET", 1 << 19)
    net = two_layers()
    params = net.init(0, ROWS)
    for rows in range(1, 80):
        net.traced((rows, 4))
    assert 0 < len(net._traces) < 60
    assert net(params, ROWS).shape == (7, 3)


def test_a_network_is_pickled_and_copied_without_what_is_kept() -> None:
    net, (x, labels) = network(), classes()
    params = net.init(0, x)
    wanted = net(params, x)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert not other._traces
        assert not other._compiled
        assert np.array_equal(other(params, x), wanted)
        assert str(other) == str(net)
    fit = net.fit((x, labels), epochs=1, validation=(x, labels), average=0.5)
    again = pickle.loads(pickle.dumps(fit))
    assert again.rows == fit.rows
    assert np.array_equal(again.params["dense_1"]["W"], fit.params["dense_1"]["W"])


def test_threads_call_one_network() -> None:
    net, (x, labels) = network(), classes()
    params = net.init(0, x, dtype="float64")
    wrong: list[str] = []

    def call(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(15):
            rows = slice(0, int(rng.integers(2, 23)))
            made = net(params, x[rows])
            _, slopes = net.loss_and_grad(params, x[rows], labels[rows])
            alone = fresh[rows.stop]
            if not (
                np.array_equal(made, alone[0])
                and np.array_equal(slopes["dense_1"]["W"], alone[1]["dense_1"]["W"])
            ):
                wrong.append(f"{rows}")

    other = network()
    fresh = {
        n: (other(params, x[:n]), other.loss_and_grad(params, x[:n], labels[:n])[1])
        for n in range(2, 23)
    }
    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
