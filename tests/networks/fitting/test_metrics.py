"""What is measured, written, drawn and shown."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import perceptron

import contractconv as cc
from contractconv.errors import OperandError

L, T = cc.layers, cc.training


x, labels = np.ones((6, 3), "float32"), np.zeros(6, int)


@pytest.mark.parametrize(
    ("values", "best"), [([1, 3, 2, 2], 1), ([np.nan, 1, 1, 0], 1), ([5, np.nan, np.nan, 4], 0)]
)
def test_metrics_get_greater(values: list[float], best: int) -> None:
    told = iter(values)
    fit = perceptron().fit(
        (x, labels), validation=(x, labels), metrics={"score": lambda made, wanted: next(told)},
        monitor="validation_score", patience=2, epochs=4,
    )  # fmt: skip
    assert len(fit.rows) == best + 3
    assert fit.stopped == "patience"


def test_what_is_written_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    csv, picture = tmp_path / "new" / "rows.csv", tmp_path / "other" / "rows.png"
    fit = perceptron().fit(
        (x, labels), validation=(x, labels), epochs=3, csv=csv, plot=picture, progress=False
    )
    names, *lines = csv.read_text().splitlines()
    assert names == "epoch,step,seconds,loss,validation_loss,validation_accuracy"
    assert [line.split(",")[0] for line in lines] == ["1", "2", "3"]
    assert float(lines[-1].split(",")[3]) == fit.rows[-1]["loss"]
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert "3 steps in" in str(fit)
    assert repr(fit).startswith("<fit: 3 steps")


@pytest.mark.parametrize("option", ["csv", "plot"])
def test_what_cannot_be_written_is_said(tmp_path: Path, option: str) -> None:
    if option == "plot":
        pytest.importorskip("matplotlib")
    (tmp_path / "there.png").mkdir()
    options: dict[str, Any] = {option: tmp_path / "there.png"}
    with pytest.raises(OperandError, match="cannot be written"):
        perceptron().fit((x, labels), epochs=1, **options)


def without(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    there = builtins.__import__

    def importing(asked: str, *given: Any, **named: Any) -> Any:
        if asked.partition(".")[0] == name:
            raise ImportError(name)
        return there(asked, *given, **named)

    monkeypatch.setattr(builtins, "__import__", importing)


def test_what_is_missing_is_said_only_if_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tqdm", "matplotlib"):
        without(monkeypatch, name)
    perceptron().fit((x, labels), epochs=1)
    steps: list[int] = []

    def counting(batch: Any, rng: np.random.Generator) -> Any:
        steps.append(1)
        return batch

    for option, said in (("progress", "pip install tqdm"), ("plot", "pip install matplotlib")):
        options: dict[str, Any] = {option: True}
        with pytest.raises(ImportError, match=said):
            perceptron().fit((x, labels), augment=counting, **options)
    assert not steps


def test_a_bar_shows_steps(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    perceptron().fit((x, labels), epochs=4, batch=3, progress=True)
    assert "8/8" in capsys.readouterr().err
    perceptron().fit((x, labels), epochs=1)
    assert capsys.readouterr().err == ""
