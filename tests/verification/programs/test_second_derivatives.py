"""Second derivatives that a program returns are proved to be what they are, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import contractconv as cc
from contractconv.programs.program import Graph

X, W, V = cc.tensor("x", "b i"), cc.tensor("W", "i o"), cc.tensor("V", "o q")
v, u = cc.tensor("v", "i o"), cc.tensor("u", "o q")
Y: Any = cc.contract("b i, i o -> b o", X, W)
TENSORS: dict[str, Any] = {"polynomial": Y * Y * Y - 2 * Y, "smooth": cc.tanh(Y) * Y}
EXACT = "exactly, modulo the prime 2^61 - 1"
DIGITS = "to 20 digits, by central differences"
HOW = {"polynomial": EXACT, "smooth": DIGITS}


def _network(kind: str, reduce: cc.Reduction = "sum") -> tuple[Any, Any]:
    """A loss, and the value in which it is seen as a function of outputs."""
    z = cc.contract("b o, o q -> b q", TENSORS[kind], V).called("z")
    squares: Any = z * z * z
    return cc.contract("b ->", cc.contract("b q -> b", squares, reduce=reduce)), z


def _told(program: cc.Program) -> dict[str, str]:
    """What is said of each derivative."""
    return {name: said for part in program.verify().gradients.parts for name, said in part.meanings}


def _again(program: cc.Program) -> cc.Program:
    """The same, without anything but what its text says."""
    return cc.read(str(program))


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("reads", [False, True], ids=["derived", "read"])
def test_a_hessian_times_a_vector(kind: str, reads: bool) -> None:
    loss, _ = _network(kind)
    program = cc.program(loss=loss, Hv=cc.hvp(loss, W, v))
    found = (_again(program) if reads else program).verify()
    second = found.gradients.parts[-1]
    assert second.meanings == (("Hv", "the Hessian by W times v"),)
    assert (second.results, second.order, second.how) == (("loss",), 2, HOW[kind])
    text = str(found)
    assert "  derivatives of gradients of loss: " in text
    assert f"    Hv: the Hessian by W times v\n    {HOW[kind]}, with x " in text


@pytest.mark.parametrize("reduce", ["sum", "logsumexp", "prod", "mean", "max"])
def test_a_hessian_of_every_reduction(reduce: cc.Reduction) -> None:
    loss, _ = _network("smooth", reduce)
    assert _told(cc.program(loss=loss, Hv=cc.hvp(loss, W, v))) == {"Hv": "the Hessian by W times v"}


@pytest.mark.parametrize("kind", TENSORS)
def test_gauss_newton(kind: str) -> None:
    loss, z = _network(kind)
    program = cc.program(loss=loss, Gv=cc.gauss_newton(loss, z, W, v))
    said = {"Gv": "the Gauss-Newton matrix through z by W times v"}
    assert _told(program) == said
    assert _told(_again(program)).items() >= said.items()


def test_several_vectors_and_mixed_derivatives() -> None:
    loss, z = _network("polynomial")
    by_W, by_V = cc.hvp(loss, [W, V], [v, u])
    told = _told(cc.program(loss=loss, a=by_W, b=by_V))
    assert told["a"].startswith("the Hessian by W times ")
    assert told["b"].startswith("the Hessian by V times ")
    for one in told.values():
        assert sorted(one.partition(" times ")[2].split(" and ")) == ["u for V", "v for W"]
    mixed = cc.grad(cc.contract("o q, o q ->", cc.grad(loss, V), u), W)
    assert _told(cc.program(loss=loss, m=mixed)) == {"m": "the Hessian by W times u for V"}
    by_W, by_V = cc.gauss_newton(loss, z, [W, V], [v, u])
    told = _told(cc.program(loss=loss, a=by_W, b=by_V))
    assert told["a"] == "the Gauss-Newton matrix through z by W times v for W and u for V"


def test_many_vectors_with_the_axes_of_many_inputs() -> None:
    """Which belongs to which, their names say, or their order."""
    x = cc.tensor("x", "b i")
    biases = [cc.tensor(f"bias_{n}", "i") for n in range(6)]
    named = [cc.tensor(f"v_bias_{n}", "i") for n in range(6)]
    z: Any = x
    for bias in biases:
        z = z * z + bias
    loss = cc.contract("b i ->", z * z)
    found = cc.hvp(loss, biases, named)
    told = _told(cc.program({"loss": loss, **{f"h{n}": h for n, h in enumerate(found)}}))
    assert set(told) == {f"h{n}" for n in range(6)}
    for said in told.values():
        assert all(f"v_bias_{n} for bias_{n}" in said for n in range(6))


def test_vectors_of_windows_have_the_sizes_of_what_they_change() -> None:
    """Nothing but the axes says that a kernel's vector is as large as the kernel."""
    x, K = cc.tensor("x", "b h c"), cc.tensor("K", "k c o")
    vectors = [cc.tensor("p", "b h c"), cc.tensor("q", "k c o")]
    y: Any = cc.contract("b (i+k-1) c, k c o -> b i o", x, K)
    loss = cc.contract("b i o ->", y * y * y)
    by_x, by_K = cc.hvp(loss, [x, K], vectors)
    told = _told(cc.program(loss=loss, by_x=by_x, by_K=by_K))
    assert {name: said.partition(" times ")[0] for name, said in told.items()} == {
        "by_x": "the Hessian by x", "by_K": "the Hessian by K",
    }  # fmt: skip


def test_a_hessian_times_a_gradient() -> None:
    loss, _ = _network("polynomial")
    dW = cc.grad(loss, W)
    program = cc.program(loss=loss, dW=dW, Hg=cc.jvp(dW, W, dW))
    assert _told(program) == {"dW": "", "Hg": "the Hessian by W times dW"}


def test_forward_over_reverse_is_the_same() -> None:
    loss, _ = _network("smooth")
    program = cc.program(loss=loss, dW=cc.grad(loss, W), Hv=cc.jvp(cc.grad(loss, W), W, v))
    assert _told(program) == {"dW": "", "Hv": "the Hessian by W times v"}


def test_third_derivatives() -> None:
    x, p, q = (cc.tensor(name, "i") for name in ("x", "p", "q"))
    loss = cc.contract("i ->", cc.contract("i, j -> i", x * x, x) * x * x)
    product = cc.contract("i, i ->", cc.hvp(loss, x, p), q)
    program = cc.program(loss=loss, third=cc.grad(product, x))
    (part,) = program.verify().gradients.parts
    assert part.order == 3
    assert part.how == EXACT
    assert part.meanings[0][0] == "third"
    with pytest.raises(cc.CertificateError, match="third is neither"):
        _doubled(program, "third").verify()


def test_a_loss_made_of_gradients_and_its_gradient() -> None:
    loss, _ = _network("smooth", "logsumexp")
    dx = cc.grad(loss, X)
    whole: Any = loss + cc.contract("b i, b i ->", dx, dx)
    program = cc.program(whole=whole).grad(wrt="W")
    assert _told(program) == {"d_W": ""}
    # Without a gradient that is returned, those by all inputs are derived.
    assert set(_told(cc.program(whole=whole))) == {"d_x", "d_W", "d_V"}
    with pytest.raises(cc.CertificateError, match="is not the gradient of whole"):
        _doubled(program, "d_W").verify()


# -- planted faults ------------------------------------------------------------------------------


def _doubled(program: cc.Program, name: str) -> cc.Program:
    """The program, with one line of its text twice as large."""
    text = str(program)
    line = next(line for line in text.splitlines() if line.startswith(f"    {name} = "))
    left, _, right = line.partition(" = ")
    return cc.read(text.replace(f"{line}\n", f"{left} = 2 * ({right})\n"))


def _seconds(kind: str) -> dict[str, cc.Program]:
    loss, z = _network(kind)
    return {
        "hvp": cc.program(loss=loss, Hv=cc.hvp(loss, W, v)),
        "gauss newton": cc.program(loss=loss, Hv=cc.gauss_newton(loss, z, W, v)),
    }


@pytest.mark.parametrize("way", ["hvp", "gauss newton"])
@pytest.mark.parametrize("kind", TENSORS)
def test_every_line_that_is_wrong_is_noticed(kind: str, way: str) -> None:
    program = _seconds(kind)[way]
    lines = str(program).splitlines()
    back = [line.split(" = ")[0].strip() for line in lines if line.startswith("    d_")]
    for name in (*back, "Hv"):
        with pytest.raises(cc.CertificateError, match="Hv is neither the gradient of loss, nor"):
            _doubled(program, name).verify()


def test_a_value_that_says_what_it_comes_back_to_is_noticed() -> None:
    """A fault in a program that was derived, and not read: nodes know whose cotangents they are."""
    loss, _ = _network("polynomial")
    Hv = cc.hvp(loss, W, v)._node
    wrong = cc.hvp(loss, W, v + v)._node.as_cotangent_of(W._node)
    right = Graph.of({"loss": loss._node, "Hv": Hv})
    assert Hv.cotangent_of == wrong.cotangent_of == W._node
    cc.program(loss=loss, Hv=cc.hvp(loss, W, v)).verify()
    program = cc.Program(Graph.of({**dict(right.outputs), "Hv": wrong}))
    with pytest.raises(cc.CertificateError, match="such as the Hessian by W times v, on the line"):
        program.verify()


def test_what_nobody_says_to_be_a_derivative_is_none() -> None:
    """A step of an optimiser, and a Hessian that is damped, have the same axes and vectors."""
    loss, _ = _network("smooth")
    dW = cc.grad(loss, W)
    Hv = cc.hvp(loss, W, v)
    found = cc.program(loss=loss, W_new=W - 0.1 * dW, v_new=0.9 * v + dW).verify().gradients
    assert (set(found.names), found.unknown) == ({"d_x", "d_W", "d_V", "d_v"}, ())
    found = cc.program(loss=loss, damped=Hv + 0.1 * v).verify().gradients
    assert "damped" in found.unknown
    assert dict(found.parts[-1].meanings)["d_W_2"] == "the Hessian by W times v"
    text = str(cc.program(loss=loss, damped=Hv + 0.1 * v).verify())
    assert text.endswith("not compared, as nothing says of what they are derivatives\n    damped")


def test_what_comes_back_if_a_vector_does() -> None:
    """A value that is square, so that the vector might be one for an input."""
    x, M, c = cc.tensor("x", "b i"), cc.tensor("M", "i j"), cc.tensor("c", "b i")
    y = cc.tanh(cc.contract("b i, i j -> b j", x, M)).named("b i").called("y")
    loss = cc.contract("b i, b i ->", y, y)
    program = cc.program(loss=loss, back=cc.grad(y, M, cotangent=c))
    assert _told(program) == {"back": "what comes back to M, if that is c for y"}
    assert "    back: what comes back to M, if that is c for y\n" in str(program.verify())
    scale = cc.tensor("scale")
    program = cc.program(loss=loss, scaled=cc.grad(loss * scale, M))
    assert _told(program) == {"scaled": "what comes back to M, if that is scale for loss"}


def test_one_fault_among_what_holds_is_found() -> None:
    loss, _ = _network("polynomial")
    by_W, by_V = cc.hvp(loss, [W, V], [v, u])
    program = cc.program(loss=loss, a=by_W, b=by_V)
    for name in "ab":
        with pytest.raises(cc.CertificateError, match=f"{name} is neither the gradient of loss"):
            _doubled(program, name).verify()


def test_the_hessian_is_that_of_torch() -> None:
    """What is called the Hessian times a vector is what others call so."""
    torch = pytest.importorskip("torch")
    loss, _ = _network("smooth")
    rng = np.random.default_rng(0)
    shapes = {"x": (3, 4), "W": (4, 2), "V": (2, 3), "v": (4, 2)}
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    found = cc.program(Hv=cc.hvp(loss, W, v))(**arrays)
    x, w, V_ = (torch.tensor(arrays[name]) for name in ("x", "W", "V"))

    def forward(w: Any) -> Any:
        y = x @ w
        return ((torch.tanh(y) * y) @ V_).pow(3).sum()

    _, expected = torch.autograd.functional.hvp(forward, w, torch.tensor(arrays["v"]))
    assert np.allclose(found, expected.numpy())
