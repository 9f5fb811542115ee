"""Names of axes: what is read, and how mistakes are pointed at."""

from __future__ import annotations

import pytest

from contractconv.api.tensor import tensor
from contractconv.errors import OperandError, ShapeError, SpecError
from contractconv.functions.axes import (
    axes_of,
    axis_of,
    check_integers,
    check_within,
    number_of,
    reduced,
    summed,
)
from contractconv.programs.build import unused

X = tensor("x", "batch height width")


def test_names_are_read() -> None:
    assert axes_of(X, "width batch") == axes_of(X, ["width", "batch"]) == ("width", "batch")
    assert axes_of(X, None) == X.axes
    assert axes_of(X, "") == ()
    assert axis_of(X, "width") == "width"
    assert unused("k", []) == "k"
    assert unused("k", ["k", "k_2"]) == "k_3"


def test_every_wrong_name_is_marked() -> None:
    with pytest.raises(ShapeError) as raised:
        axes_of(X, "depth width length", "the image")
    assert str(raised.value) == (
        "the image has the axes 'batch height width', and none called 'depth', 'length'\n"
        "  depth width length\n"
        "  ^^^^^       ^^^^^^"
    )
    with pytest.raises(ShapeError) as raised:
        check_within(X, ("batch", "width"), "the mask", "the scores")
    assert str(raised.value) == (
        "the mask is along 'batch height width', the scores 'batch width': 'height'\n"
        "  batch height width\n"
        "        ^^^^^^"
    )


@pytest.mark.parametrize("axis", ["batch width", ""])
def test_one_axis_is_one(axis: str) -> None:
    with pytest.raises(ShapeError, match="one axis is wanted here"):
        axis_of(X, axis)


def test_no_names() -> None:
    with pytest.raises(SpecError, match="'2h' is not a name"):
        axes_of(X, "2h")
    with pytest.raises(OperandError, match="labels are integers: declare them so, as in"):
        check_integers(X, "labels", "cc.tensor('labels', 'b', 'int64')")


def test_what_is_summed_is_had_by_both() -> None:
    weight = tensor("W", "width o")
    assert summed(X, weight, ["width"]).axes == ("batch", "height", "o")
    with pytest.raises(ShapeError, match="the weight has the axes 'width o', and none"):
        summed(X, weight, ["height"])


def test_nothing_to_reduce_changes_nothing() -> None:
    assert reduced(X, (), "max").same_as(X)
    assert number_of(X, ()).axes == ()
