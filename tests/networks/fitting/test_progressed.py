"""What is kept of a training, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import killed_training as script
import numpy as np
import pytest

import contractconv as cc
from contractconv import whole_files
from contractconv.errors import CheckpointError
from contractconv.execution import calibration
from contractconv.planning.setting import Machine
from contractconv.training import checkpoints, facts

pytest.importorskip("safetensors")

T = cc.training


def small(checkpoint: Path | None, **changed: Any) -> Any:
    """A training that takes no time."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((20, 3)).astype("float32"), rng.integers(0, 2, 20)
    options: dict[str, Any] = {"optimizer": T.Adam(0.1), "epochs": 2, "batch": 6} | changed
    net = options.pop("net", cc.Network([cc.layers.Dense(4, map="tanh"), cc.layers.Dense(2)]))
    return net.fit(options.pop("data", data), checkpoint=checkpoint, **options)


@pytest.mark.parametrize("name", ["one.safetensors", "folder", "new/er/folder"])
def test_what_is_over_is_returned_at_once(tmp_path: Path, name: str) -> None:
    first = script.trained(tmp_path / name)

    def refused(batch: Any, rng: np.random.Generator) -> Any:
        raise AssertionError("no step is taken")

    again = script.trained(tmp_path / name, augment=refused)
    script.same(script.outcome(first), script.outcome(again))
    assert again.seconds == pytest.approx(first.seconds, rel=0.5)


@pytest.mark.parametrize("every", [None, 1, 3, 100])
def test_more_epochs_go_on(tmp_path: Path, every: int | None) -> None:
    options = {"optimizer": T.Adam(0.02), "patience": None, "every": every}
    place = tmp_path / "one.safetensors"
    assert script.trained(place, epochs=2, **options).steps == 14
    longer = script.trained(place, epochs=4, **options)
    at_once = script.trained(None, epochs=4, **options)
    script.same(script.outcome(longer), script.outcome(at_once))


def test_a_schedule_knows_the_new_number_of_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "KINDS", dict(facts.KINDS))
    rates: list[tuple[int, int]] = []

    class Told(T.SGD):
        def rate_at(self, step: int, steps: int) -> float:
            rates.append((step, steps))
            return 0.1

    T.register(Told)
    place = tmp_path / "one.safetensors"
    small(place, optimizer=Told(0.1), epochs=1)
    small(place, optimizer=Told(0.1), epochs=3)
    assert rates == [(n, 4) for n in (1, 2, 3, 4)] + [(n, 12) for n in range(5, 13)]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("network", {"net": cc.Network([cc.layers.Dense(4, map="relu"), cc.layers.Dense(2)])}),
        ("parameters", {"net": cc.Network([cc.layers.Dense(5, map="tanh"), cc.layers.Dense(2)])}),
        ("optimizer", {"optimizer": T.Adam(0.2)}),
        ("optimizer", {"optimizer": T.AdamW(0.1)}),
        ("batch", {"batch": 7}),
        ("seed", {"seed": 1}),
        ("clip", {"clip": 1.0}),
        ("average", {"average": 0.5}),
        ("augment", {"augment": lambda batch, rng: batch}),
        ("monitor", {"patience": 3}),
        ("shuffle", {"shuffle": False}),
        ("rows", {"data": (np.ones((21, 3), "float32"), np.zeros(21, int))}),
        ("network", {"loss": "mse", "data": (np.ones((20, 3)), np.zeros((20, 2)))}),
    ],
)
def test_another_training_is_refused_and_said(
    tmp_path: Path, name: str, changed: dict[str, Any]
) -> None:
    place = tmp_path / "one.safetensors"
    small(place)
    before = place.read_bytes()
    with pytest.raises(CheckpointError, match=f"is of another training: {name} was .* now"):
        small(place, **changed)
    assert place.read_bytes() == before


def test_other_numbers_are_another_training(tmp_path: Path) -> None:
    place = tmp_path / "one.safetensors"
    small(place)
    net = cc.Network([cc.layers.Dense(4, map="tanh"), cc.layers.Dense(2)])
    with pytest.raises(CheckpointError, match=r"parameters was .*float32"):
        small(place, net=net, params=net.init(0, (1, 3), dtype="float64"))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"something else", "no checkpoint"), (b"PK\3\4....", "archive")],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    place = tmp_path / "one.safetensors"
    place.write_bytes(content)
    with pytest.raises(CheckpointError, match=said):
        small(place)
    assert place.read_bytes() == content


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    place = checkpoints.save(tmp_path / "one.safetensors", {"x": np.ones(2)}, {"step": 3})
    with pytest.raises(CheckpointError, match="holds no training"):
        small(place)


def test_a_damaged_one_in_a_folder_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = script.outcome(script.trained(tmp_path / "runs"))
    *_, last = sorted((tmp_path / "runs").iterdir())
    last.write_bytes(last.read_bytes()[:-1])
    script.same(whole, script.outcome(script.trained(tmp_path / "runs")))
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["one.safetensors", "folder"])
def test_a_full_disk_ends_it_and_leaves_the_last_one(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / name
    written: list[Path] = []

    def full(path: Path, content: bytes) -> None:
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, content)

    write = whole_files.write
    monkeypatch.setattr(whole_files, "write", full)
    with pytest.raises(CheckpointError, match=r"No space left .*before is still there"):
        script.trained(place)
    monkeypatch.undo()
    script.same(script.outcome(script.trained(None)), script.outcome(script.trained(place)))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_is_shut_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="cannot be written"):
        small(tmp_path / "one.safetensors")


def test_a_file_where_a_folder_is_to_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match="cannot be written"):
        small(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("step", [1, 5, 7, 8])
def test_an_interrupt_leaves_the_last_whole_step(tmp_path: Path, step: int) -> None:
    place, calls = tmp_path / "one.safetensors", []

    def interrupting(batch: Any, rng: np.random.Generator) -> Any:
        calls.append(1)
        taken = script.shifted(batch, rng)
        if len(calls) == step:
            raise KeyboardInterrupt
        return taken

    with pytest.raises(KeyboardInterrupt):
        script.trained(place, augment=interrupting, every=None)
    if step == 1:
        assert not place.exists()
    else:
        assert checkpoints.load(place)[1]["step"] == step - 1
    whole = script.trained(None, every=None)
    script.same(script.outcome(whole), script.outcome(script.trained(place, every=None)))


def test_an_interrupt_while_it_is_measured_loses_no_step(tmp_path: Path) -> None:
    def interrupting(made: Any, wanted: Any) -> float:
        raise KeyboardInterrupt

    place = tmp_path / "one.safetensors"
    with pytest.raises(KeyboardInterrupt):
        script.trained(place, metrics=interrupting)
    assert checkpoints.load(place)[1]["step"] == 7
    script.same(script.outcome(script.trained(None)), script.outcome(script.trained(place)))


def test_algorithms_are_chosen_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures that are measured anew would choose otherwise, and round otherwise."""
    slow, fast = Machine(1, False, 1e10, 1e9, 1e-5), Machine(1, False, 3e12, 2e9, 1e-6)
    seen: list[float] = []

    def asking(batch: Any, rng: np.random.Generator) -> Any:
        seen.append(calibration.machine(False).multiply)
        return batch

    place = tmp_path / "one.safetensors"
    monkeypatch.setattr(calibration, "_machine", lambda compiled: slow)
    small(place, epochs=1, augment=asking)
    monkeypatch.setattr(calibration, "_machine", lambda compiled: fast)
    small(place, epochs=2, augment=asking)
    assert seen == [1e10] * 8
    assert calibration.machine(False).multiply == 3e12
    small(place, epochs=3, augment=asking)
    assert seen == [1e10] * 12
