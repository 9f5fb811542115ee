"""Where a training is: everything that it needs to go on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contractconv.errors import CheckpointError
from contractconv.execution.calibration import Figures, figures
from contractconv.networks.fitting.metrics import Row
from contractconv.networks.fitting.step import State
from contractconv.networks.nesting import by_name, from_names
from contractconv.training import checkpoints

# How many checkpoints stay in a folder: the last one, and one if that were damaged.
_KEPT = 2


@dataclass(frozen=True)
class Best:
    """Parameters with the best measure so far.

    Attributes:
        value: what was measured.
        epoch: the number of epochs that were over then.
        arrays: the parameters.
    """

    value: float
    epoch: int
    arrays: dict[str, Any]


@dataclass(frozen=True)
class Progressed:
    """Where a training is, between two steps. It is a value: the next one is another.

    Attributes:
        state: arrays of each kind, by the names of parameters.
        epoch: the number of epochs that are over.
        position: how many batches of this epoch are done.
        step: how many steps there were.
        summed: losses of this epoch, each times its number of rows.
        counted: how many rows these were.
        rows: what was measured.
        best: parameters with the best measure so far.
        seconds: how long it has taken.
        figures: by what it chose algorithms before it was gone on with.
    """

    state: State
    epoch: int = 0
    position: int = 0
    step: int = 0
    summed: float = 0.0
    counted: int = 0
    rows: tuple[Row, ...] = ()
    best: Best | None = None
    seconds: float = 0.0
    figures: Figures = field(default_factory=list)


# What of a training is written as it is.
_PLAIN = ("epoch", "position", "step", "summed", "counted", "rows", "seconds")


@dataclass(frozen=True)
class Saved:
    """Where a training is kept: a file, or a folder with the last few of them.

    Attributes:
        path: a name that ends in ``.safetensors`` is a file, any other one a folder.
        settings: what the training is, in JSON; another training is not gone on with.
    """

    path: Path
    settings: Mapping[str, Any]

    @property
    def _is_file(self) -> bool:
        return self.path.suffix == ".safetensors"

    def keep(self, at: Progressed) -> None:
        """Write all of it, at once or not at all.

        Raises:
            CheckpointError: it cannot be written; what there was is still there.
        """
        arrays = {kind: from_names(found) for kind, found in at.state.items()}
        facts: dict[str, Any] = {name: getattr(at, name) for name in _PLAIN}
        facts |= {"settings": dict(self.settings), "figures": figures()}
        if at.best is not None:
            arrays["best"] = from_names(at.best.arrays)
            facts["best"] = {"value": at.best.value, "epoch": at.best.epoch}
        if self._is_file:
            checkpoints.save(self.path, arrays, facts)
        else:
            checkpoints.save(checkpoints.at_step(self.path, at.step), arrays, facts, keep=_KEPT)

    def found(self) -> Progressed | None:
        """Where the training was when it was kept, if it was.

        Raises:
            CheckpointError: what is there is damaged, or of another training.
        """
        if self._is_file:
            if not self.path.exists():
                return None
            arrays, facts = checkpoints.load(self.path)
            path = self.path
        else:
            if not any(self.path.glob("step-*.safetensors")):
                return None
            last = checkpoints.latest(self.path)
            arrays, facts, path = last.arrays, last.facts, last.path
        self._check(facts, path)
        return _progressed(arrays, facts)

    def _check(self, facts: Mapping[str, Any], path: Path) -> None:
        before = facts.get("settings")
        if not isinstance(before, Mapping) or not {*_PLAIN, "figures"} <= {*facts}:
            raise CheckpointError(f"{path} holds no training: give another path")
        for name in dict.fromkeys((*self.settings, *before)):
            now, then = self.settings.get(name), before.get(name)
            if now != then:
                raise CheckpointError(
                    f"{path} is of another training: {name} was {then!r} there, and is {now!r} "
                    "now; give another path, or remove it to begin anew"
                )


def _progressed(arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> Progressed:
    kinds = {kind: by_name(found) for kind, found in arrays.items()}
    best = kinds.pop("best", None)
    told = {name: facts[name] for name in (*_PLAIN, "figures")} | {"rows": tuple(facts["rows"])}
    if best is not None:
        told["best"] = Best(facts["best"]["value"], facts["best"]["epoch"], best)
    return Progressed(kinds, **told)
