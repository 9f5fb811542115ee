"""Programs as values: parts, equality, pickling, gradients, and how they show themselves."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import contractconv as cc
from contractconv import OperandError, Program, ProgramError, ShapeError, Tensor
from contractconv.programs.nodes import Number

TEXT = """def layer(x: "b i", W: "i o", bias: "o", labels: int64["b"]):
    z = contract("b i, i o -> b o", x, W)
    a = relu(z + bias)
    loss = contract("b o ->", where(index("o") == labels, a, 0))
    return loss, a
"""


def layer() -> Program:
    """The same, made of tensors."""
    x, W, bias = cc.tensor("x", "b i"), cc.tensor("W", "i o"), cc.tensor("bias", "o")
    labels = cc.tensor("labels", "b", dtype="int64")
    z: Any = cc.contract("b i, i o -> b o", x, W)
    z = z.called("z")
    a = cc.relu(z + bias)
    loss = cc.contract("b o ->", cc.where(cc.index("o") == labels, a, 0))
    return cc.program(loss=loss, a=a, inputs=[x, W, bias, labels], name="layer")


def test_a_program_is_its_text() -> None:
    assert str(layer()) == TEXT
    assert cc.read(TEXT) == layer()


def test_its_parts_have_names() -> None:
    p = layer()
    assert list(p.inputs) == ["x", "W", "bias", "labels"]
    assert list(p.outputs) == ["loss", "a"]
    assert p.name == "layer"
    assert p["a"].axes == p.a.axes == ("b", "o")
    assert p["loss"].same_as(p.loss)
    assert p.tensor("z").label == "z"
    assert p.tensor("W").same_as(p.inputs["W"])
    assert p.tensor("loss").same_as(p.loss)


def test_every_name_in_the_text_is_that_of_a_value() -> None:
    p = layer().grad("loss")
    again = cc.read(str(p))
    names = [line.split(" = ")[0].strip() for line in str(p).splitlines() if " = " in line]
    assert len(names) > 8
    for name in names:
        assert p.tensor(name).same_as(again.tensor(name))
        assert again.tensor(name).label == name
    assert cc.program(rate=0.5).tensor("rate")._node == Number((), value=0.5)


def test_two_values_of_one_label_have_two_names() -> None:
    x = cc.tensor("x", "b")
    first, second = (x + 1).called("h"), (x + 2).called("h")
    p = cc.program(y=first * second)
    assert p.tensor("h").same_as(first)
    assert p.tensor("h_2").same_as(second)


def test_names_that_nothing_has() -> None:
    p = layer()
    with pytest.raises(ProgramError, match="layer has no output 'los'; it has: loss, a"):
        p["los"]
    with pytest.raises(ProgramError, match="layer has no value 'biass'; did you mean 'bias'"):
        p.tensor("biass")
    with pytest.raises(AttributeError, match="no attribute and no output 'los'"):
        _ = p.los
    assert not hasattr(p, "_repr_latex_")


def test_outputs_in_a_mapping_may_have_any_name() -> None:
    x = cc.tensor("x", "b")
    p = cc.program({"inputs": x + 1, "name": x + 2}, three=3)
    assert list(p.outputs) == ["inputs", "name", "three"]
    assert p["inputs"].same_as(x + 1)
    assert list(p.inputs) == ["x"]


def test_inputs_are_inputs_and_all_of_them() -> None:
    x, y = cc.tensor("x", "b"), cc.tensor("y", "b")
    assert list(cc.program(r=x, inputs=[y, x]).inputs) == ["y", "x"]
    with pytest.raises(ProgramError, match="needs y, too"):
        cc.program(r=x + y, inputs=[x])
    with pytest.raises(ProgramError, match="is no input"):
        cc.program(r=x + y, inputs=[x + y])
    with pytest.raises(ProgramError, match="two different inputs of program are called 'x'"):
        cc.program(r=x + cc.tensor("x", "i"))


def test_programs_are_values() -> None:
    p, again = layer(), layer()
    other = cc.program(loss=p["loss"], inputs=list(p.inputs.values()), name="layer")
    assert p == again
    assert hash(p) == hash(again)
    assert p != other
    assert p != TEXT
    assert copy.copy(p) == copy.deepcopy(p) == p
    with pytest.raises(AttributeError, match="immutable"):
        p.name = "other"  # type: ignore[misc]


def test_pickles_hold_the_text_alone() -> None:
    p = layer().grad("loss")
    data = pickle.dumps(p)
    assert pickle.loads(data) == p
    assert b"nodes" not in data
    assert len(data) < len(str(p)) + 200


def test_a_pickle_may_be_deeper_than_the_stack() -> None:
    y: Any = cc.tensor("x", "b")
    for n in range(1_500):
        y = cc.contract("b -> b", y) + n
    p = cc.program(y=y)
    assert pickle.loads(pickle.dumps(p)) == p


def test_a_gradient_is_a_program() -> None:
    p = layer().grad("loss", wrt=["W", "z"])
    assert list(p.outputs) == ["loss", "d_W", "d_z"]
    assert list(p.inputs) == ["x", "W", "bias", "labels"]
    assert p.name == "layer_grad"
    assert p["d_W"].same_as(cc.grad(p["loss"], p.tensor("W")))
    assert p["d_z"].axes == ("b", "o")
    assert cc.read(str(p)) == p


def test_a_gradient_of_all_that_can_change() -> None:
    assert list(layer().grad("loss").outputs) == ["loss", "d_x", "d_W", "d_bias"]
    assert list(layer().grad("loss", wrt="W").outputs) == ["loss", "d_W"]


def test_a_gradient_of_a_gradient_has_other_names() -> None:
    x = cc.tensor("x")
    p = cc.program(y=cc.exp(x)).grad().grad("d_x")
    assert list(p.outputs) == ["d_x", "d_d_x"]


def test_a_text_can_be_differentiated() -> None:
    assert cc.read(TEXT).grad("loss", wrt=["bias"]) == layer().grad("loss", wrt=["bias"])


def test_what_cannot_be_differentiated() -> None:
    p = layer()
    with pytest.raises(ProgramError, match="which output of layer"):
        p.grad()
    with pytest.raises(ShapeError, match="the loss has the axes 'b o'"):
        p.grad("a")
    with pytest.raises(OperandError, match="labels holds int64"):
        p.grad("loss", wrt=["labels"])
    with pytest.raises(ProgramError, match="no value 'V'"):
        p.grad("loss", wrt=["V"])


class Printer:
    """What IPython hands to objects."""

    def __init__(self) -> None:
        self.said = ""
        self.stack = [self]

    def text(self, said: str) -> None:
        """Take a text."""
        self.said += said


def test_how_it_shows_itself() -> None:
    p, printer = layer(), Printer()
    assert repr(p) == "<program layer(x, W, bias, labels) -> loss, a>"
    p._repr_pretty_(printer, cycle=False)
    assert printer.said + "\n" == TEXT
    assert "&quot;b i, i o -&gt; b o&quot;" in p._repr_html_()


def test_numbers_are_outputs_too() -> None:
    p = cc.program(one=1, half=0.5)
    assert isinstance(p["half"], Tensor)
    assert p["half"]._node == Number((), value=0.5)
