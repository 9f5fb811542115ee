"""Networks on parameters and data of other libraries: numpy's numbers, in the library's arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from conformance.libraries import Peer, peer

import contractconv as cc
from contractconv.errors import OperandError, ShapeError

SHAPE = (4, 6, 6, 2)
X = np.random.default_rng(0).normal(size=SHAPE).astype("float32")
LABELS = np.array([0, 2, 1, 2])


@pytest.fixture(params=["torch", "jax"])
def library(request: pytest.FixtureRequest) -> Peer:
    """Those whose arrays parameters are trained in."""
    return peer(request.param)


def network() -> cc.Network:
    """A small one with windows, a maximum, statistics, and a bias."""
    layers = cc.layers
    return cc.Network(
        [layers.Conv(3, 3, map="relu"), layers.BatchNorm(), layers.MaxPool(2),
         layers.Dense(3, over="h w c")]
    )  # fmt: skip


def mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The same nesting of other leaves."""
    if isinstance(tree, Mapping):
        return {name: mapped(part, change) for name, part in tree.items()}
    return change(tree)


def check(library: Peer, made: Any, wanted: Any) -> None:
    """The same nesting, of arrays of a library with these numbers."""
    if isinstance(wanted, Mapping):
        assert list(made) == list(wanted)
        for name, part in wanted.items():
            check(library, made[name], part)
        return
    assert isinstance(made, library.kind)
    assert "float32" in str(made.dtype)
    np.testing.assert_allclose(library.leave(made), wanted, atol=1e-4)


def test_a_network_takes_arrays_of_a_library(library: Peer) -> None:
    net = network()
    params = net.init(0, SHAPE)
    entered = mapped(params, library.enter)
    for x in (library.enter(X), X, library.enter(X.astype("float64"))):
        check(library, net(entered, x), net(params, X))
    check(library, net.statistics(entered, library.enter(X)), net.statistics(params, X))
    for labels in (library.enter(LABELS), LABELS):
        loss, gradients = net.loss_and_grad(entered, library.enter(X), labels)
        wanted, expected = net.loss_and_grad(params, X, LABELS)
        check(library, loss, wanted)
        check(library, gradients, expected)
        found = net.loss_and_output(entered, library.enter(X), labels)
        for made, exact in zip(found, net.loss_and_output(params, X, LABELS), strict=True):
            check(library, made, exact)


def test_it_is_measured(library: Peer) -> None:
    net = network()
    params = net.init(0, SHAPE)
    entered = mapped(params, library.enter)
    wanted = net.evaluate(params, (X, LABELS), batch=2)
    data = library.enter(X), library.enter(LABELS)
    for source in (data, (X, LABELS), [data], lambda _: iter([data])):
        found = net.evaluate(entered, source, batch=2)
        assert list(found) == list(wanted)
        np.testing.assert_allclose([*found.values()], [*wanted.values()], rtol=1e-5)


def test_it_is_fitted_to_such_data(library: Peer) -> None:
    """Training is numpy's: what comes in becomes such."""
    net = network()
    found = net.fit((library.enter(X), library.enter(LABELS)), epochs=1, batch=2, shuffle=False)
    wanted = net.fit((X, LABELS), epochs=1, batch=2, shuffle=False)
    np.testing.assert_array_equal(found.params["dense_1"]["W"], wanted.params["dense_1"]["W"])


def test_tokens_and_wrong_parameters(library: Peer) -> None:
    net = cc.Network([cc.layers.Embedding(7, 4), cc.layers.Dense(2)])
    tokens = np.array([[0, 3, 6], [5, 5, 1]])
    params = net.init(0, tokens)
    entered = mapped(params, library.enter)
    check(library, net(entered, library.enter(tokens)), net(params, tokens))
    with pytest.raises(OperandError, match="missing among the parameters"):
        net({"embedding_1": entered["embedding_1"]}, library.enter(tokens))
    entered["dense_1"]["W"] = entered["dense_1"]["W"][:2]
    with pytest.raises(ShapeError, match=r"dense_1\.W has shape"):
        net(entered, library.enter(tokens))


def test_traced_parameters() -> None:
    jax: Any = pytest.importorskip("jax")
    net = network()
    params = net.init(0, SHAPE)
    made = jax.jit(net)(params, X)
    np.testing.assert_allclose(made, net(params, X), atol=1e-5)

    def loss(p: Any) -> Any:
        return net.loss_and_output(p, X, LABELS)[0]

    back = jax.jit(jax.grad(loss))(params)
    gradients = net.loss_and_grad(mapped(params, jax.numpy.asarray), X, LABELS)[1]
    assert back["conv_1"]["W"].shape == gradients["conv_1"]["W"].shape


def test_torch_differentiates_a_network() -> None:
    torch = pytest.importorskip("torch")
    net = network()
    params = net.init(0, SHAPE)
    tensors = mapped(params, lambda array: torch.tensor(array, requires_grad=True))
    program = net.loss_and_grad(params, X, LABELS)
    objective = net.objective(X, LABELS)
    inputs = [*objective.inputs, *(p.tensor for p in objective.traced.parameters)]
    run = net.ready([objective.loss], inputs)
    flat = [tensors[p.path[0]][p.path[1]] for p in objective.traced.parameters]
    run(torch.tensor(X), torch.tensor(LABELS), *flat)[0].backward()
    for part, arrays in program[1].items():
        for role, wanted in arrays.items():
            np.testing.assert_allclose(tensors[part][role].grad, wanted, atol=1e-4)


def test_short_numbers() -> None:
    torch = pytest.importorskip("torch")
    net = network()
    params = net.init(0, SHAPE)
    made = net(mapped(params, lambda array: torch.tensor(array).bfloat16()), torch.tensor(X))
    assert made.dtype == torch.bfloat16
    np.testing.assert_allclose(made.float(), net(params, X), atol=0.1)
