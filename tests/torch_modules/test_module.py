"""Networks as modules of torch: they live as its own modules do."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import contractconv as cc  # noqa: E402 - torch may be missing


def network(dropped: float = 0.3) -> Any:
    """A network with everything that a module may have."""
    return cc.Network(
        [
            cc.layers.Conv(4, 3, map="relu"),
            cc.layers.BatchNorm(),
            cc.layers.MaxPool(2),
            cc.layers.Dropout(dropped),
            cc.layers.Dense(5, over="h w c"),
        ]
    )


@pytest.fixture
def module() -> Any:
    return cc.torch.Module(network(), (4, 6, 6, 2), seed=0)


@pytest.fixture
def image() -> Any:
    return torch.randn(4, 6, 6, 2, generator=torch.Generator().manual_seed(1))


def test_its_parameters_are_those_of_the_network(module: Any) -> None:
    drawn = network().init(0, (4, 6, 6, 2))
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert shapes == {
        "conv_1.W": (3, 3, 2, 4), "conv_1.bias": (4,), "batch_norm_1.scale": (4,),
        "batch_norm_1.shift": (4,), "batch_norm_1.mean": (4,), "batch_norm_1.variance": (4,),
        "dense_1.W": (2, 2, 4, 5), "dense_1.bias": (5,),
    }  # fmt: skip
    assert {name for name, _ in module.named_buffers()} == {
        "batch_norm_1.mean", "batch_norm_1.variance"
    }  # fmt: skip
    np.testing.assert_array_equal(module.dense_1.W.detach().numpy(), drawn["dense_1"]["W"])


def test_it_makes_what_the_network_makes_in_training_and_afterwards(image: Any) -> None:
    net = network(dropped=0.0)
    params = net.init(0, (4, 6, 6, 2))
    module = cc.torch.Module(net, (4, 6, 6, 2), seed=0)
    data = image.numpy()
    labels = np.array([0, 3, 1, 4])
    loss, slopes = net.loss_and_grad(params, data, labels)
    made = torch.nn.functional.cross_entropy(module(image), torch.from_numpy(labels))
    made.backward()
    np.testing.assert_allclose(made.item(), loss, rtol=1e-5)
    np.testing.assert_allclose(module.conv_1.W.grad, slopes["conv_1"]["W"], rtol=1e-3, atol=1e-6)
    moved = net.statistics(params, data)
    np.testing.assert_allclose(
        module.batch_norm_1.variance, moved["batch_norm_1"]["variance"], rtol=1e-5
    )
    np.testing.assert_allclose(
        module.eval()(image).detach(), net(moved, data), rtol=1e-4, atol=1e-6
    )


def test_chance_is_that_of_torch(module: Any, image: Any) -> None:
    def made() -> Any:
        torch.manual_seed(5)
        return copy.deepcopy(module)(image)

    assert torch.equal(made(), made())
    assert not torch.equal(module(image), module(image))
    assert torch.equal(module.eval()(image), module(image))


def test_it_is_copied_saved_loaded_and_converted(module: Any, image: Any) -> None:
    module.eval()
    wanted = module(image)
    kept = io.BytesIO()
    torch.save(module.state_dict(), kept)
    kept.seek(0)
    fresh = cc.torch.Module(network(), (1, 6, 6, 2)).eval()
    assert not torch.equal(fresh(image), wanted)
    fresh.load_state_dict(torch.load(kept))
    for other in (fresh, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(image), wanted)
    torch.testing.assert_close(copy.deepcopy(module).double()(image).float(), wanted)
    half = copy.deepcopy(module).to(torch.bfloat16)(image)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), wanted, rtol=0.05, atol=0.1)


def test_without_a_shape_parameters_are_made_at_the_first_call(image: Any) -> None:
    module = cc.torch.Module(network(), seed=0)
    assert not module.is_made
    assert not list(module.parameters())
    with pytest.raises(cc.ShapeError, match="made at the first call: call the module once"):
        module.load_state_dict({"conv_1.W": torch.ones(3, 3, 2, 4)})
    module(image)
    assert len(list(module.parameters())) == 6
    with pytest.raises(cc.ProgramError, match="made already"):
        module.make((4, 6, 6, 2))
    before = module.conv_1.W.detach().clone()
    module.reset_parameters()
    assert not torch.equal(module.conv_1.W, before)


def test_it_trains(module: Any, image: Any) -> None:
    labels = torch.tensor([0, 3, 1, 4])
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(image), labels)
        loss.backward()
        optimizer.step()
    assert loss < 0.5


def test_the_compiler_reads_it_without_a_break(module: Any, image: Any) -> None:
    torch._dynamo.reset()
    again = copy.deepcopy(module)
    compiled = torch.compile(again, fullgraph=True, backend="aot_eager")
    for training in (True, False):
        made = []
        for way in (module, compiled):
            way.train(training)
            torch.manual_seed(2)
            made.append(way(image))
        torch.testing.assert_close(*made)
        torch.testing.assert_close(again.batch_norm_1.mean, module.batch_norm_1.mean)


def test_another_shape_than_the_parameters_are_for_is_refused(module: Any) -> None:
    with pytest.raises(cc.ShapeError, match="dense_1_W: h w c o"):
        module(torch.ones(4, 8, 8, 2))
