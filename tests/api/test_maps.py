"""Maps as functions of the package."""

from __future__ import annotations

import builtins
import inspect
import pickle
from collections.abc import Iterator
from dataclasses import replace

import pytest

import contractconv as cc
from contractconv import OperandError, ProgramError
from contractconv.api.maps import map_function, map_names
from contractconv.maps.table import MAPS, register, unregister

x = cc.tensor("x", "b")


@pytest.fixture
def _squashed() -> Iterator[None]:
    register(replace(MAPS["tanh"], name="squashed"))
    yield
    unregister("squashed")


@pytest.mark.parametrize("name", [name for name in MAPS if not MAPS[name].operator])
def test_every_map_that_is_no_operator_is_a_function(name: str) -> None:
    function = getattr(cc, name)
    record = MAPS[name]
    made = function(*[x, 1, 2.0][: record.arity])
    assert made.axes == ("b",)
    assert made._node.function == name
    assert function.__name__ == name
    assert list(inspect.signature(function).parameters) == list(record.variables)
    assert pickle.loads(pickle.dumps(function)) is function
    assert function.__doc__.startswith(f"{name}(a")


@pytest.mark.parametrize("name", [name for name in MAPS if MAPS[name].operator])
def test_operators_are_written_as_operators(name: str) -> None:
    assert map_function(name) is None


def test_the_package_lists_what_hides_nothing_of_pythons() -> None:
    listed = {name for name in cc.__all__ if name in MAPS and not MAPS[name].operator}
    assert listed == set(map_names())
    assert not listed & set(vars(builtins))
    assert {"max", "abs"} & set(MAPS) == {"max", "abs"}


def test_a_kink_has_a_note() -> None:
    assert "zero at zero" in cc.relu.__doc__


@pytest.mark.usefixtures("_squashed")
def test_a_map_that_is_added_is_a_function() -> None:
    assert cc.squashed(x)._node.function == "squashed"
    assert str(cc.read(str(cc.program(y=cc.squashed(x))))).splitlines()[1] == "    y = squashed(x)"


def test_a_map_that_is_gone_is_none() -> None:
    with pytest.raises(AttributeError, match="no attribute 'squashed'"):
        _ = cc.squashed


def test_wrong_arguments() -> None:
    with pytest.raises(ProgramError, match="max has 2 arguments, not 1"):
        cc.max(x)
    with pytest.raises(OperandError, match="neither a symbolic tensor nor a number"):
        cc.exp("x")
