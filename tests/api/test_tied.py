"""Contractions in which one array stands in several places, against dual numbers and autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from dual_numbers import change, contracted, inner, moved, unit
from hypothesis import given, settings
from hypothesis import strategies as st

import contractconv as cc
from contractconv.api.summed import SummedDerivation
from contractconv.calculus import summed_steps
from contractconv.calculus.collected import Collected
from contractconv.errors import CertificateError, ContractionError, OperandError, SpecError
from contractconv.verification import summed

SIZE = 3
AXES = ("i", "j", "k", "(i+k-1)", "(2*i-j)", "(j+1)", "(0)")
SQUARE = cc.Contraction("i, i j, j ->", names="x A x")


@st.composite
def tied(draw: Any) -> tuple[str, tuple[str, ...], str]:
    """A string, names of which some are equal, and a reduction."""
    ranks = {"x": draw(st.integers(1, 2)), "y": draw(st.integers(0, 2)), "z": 1}
    names = draw(st.lists(st.sampled_from("xyz"), min_size=2, max_size=3))
    terms = [draw(st.lists(st.sampled_from(AXES), min_size=ranks[n], max_size=ranks[n]))
             for n in names]  # fmt: skip
    used = [letter for letter in "ijk" if any(letter in axis for term in terms for axis in term)]
    output = draw(st.lists(st.sampled_from(used), unique=True)) if used else []
    spec = f"{', '.join(' '.join(term) for term in terms)} -> {' '.join(output)}"
    return spec, tuple(names), draw(st.sampled_from(("sum", "sum", "mean", "prod")))


class Case:
    """A contraction with arrays, and what dual numbers say of it."""

    def __init__(self, spec: str, names: Sequence[str], reduce: Any = "sum") -> None:
        self.forward = cc.Contraction(spec, reduce, names=names)
        self.spec, self.names, self.reduce = str(self.forward), names, reduce
        rng = np.random.default_rng(len(spec))
        shapes = {
            n: (SIZE,) * len(t) for n, t in zip(names, self.forward._spec.inputs, strict=True)
        }
        self.arrays = {n: rng.integers(-2, 3, shape) for n, shape in shapes.items()}
        self.extents = dict.fromkeys(self.forward.indices, SIZE)
        self.shape = self.forward.output_shape(*shapes.values(), **self.extents)
        self.cotangent = rng.integers(-2, 3, self.shape)

    def made(self, **given: Any) -> list[Any]:
        """The result, of other arrays where they are given."""
        arrays = [{**self.arrays, **given}[name] for name in self.names]
        return contracted(self.spec, arrays, self.extents, self.shape, self.reduce)

    def slopes(self, name: str) -> np.ndarray[Any, Any]:
        """The derivative of the loss by each element of an array."""
        array = self.arrays[name]
        found = np.empty(array.shape, object)
        for place in np.ndindex(array.shape):
            once = moved(array, unit(array.shape, place))
            found[place] = change(inner(self.cotangent, self.made(**{name: once})))
        return found

    def call(self, derived: Any, *first: Any) -> np.ndarray[Any, Any]:
        """What the library makes of the arrays."""
        return np.asarray(derived(*first, *self.arrays.values(), **self.extents))


def equal(made: Any, expected: Any) -> bool:
    return np.allclose(np.asarray(made, float), np.asarray(expected, float), rtol=1e-12, atol=1e-12)


@given(tied())
@settings(max_examples=40)
def test_calls_gradients_and_tangents_are_those_of_dual_numbers(
    drawn: tuple[str, tuple[str, ...], str],
) -> None:
    case = Case(*drawn)
    assert equal(case.call(case.forward).ravel(), case.made())
    rng = np.random.default_rng(1)
    for name, array in case.arrays.items():
        assert equal(case.call(case.forward.grad(name), case.cotangent), case.slopes(name))
        tangent = rng.integers(-2, 3, array.shape)
        expected = [change(value) for value in case.made(**{name: moved(array, tangent)})]
        assert equal(case.call(case.forward.jvp(name), tangent).ravel(), expected)


@given(tied())
@settings(max_examples=15)
def test_second_derivatives_are_those_of_dual_numbers(
    drawn: tuple[str, tuple[str, ...], str],
) -> None:
    case = Case(*drawn)
    rng = np.random.default_rng(2)
    for name, array in case.arrays.items():
        tangent = rng.integers(-2, 3, array.shape)
        for second in case.forward.grad(name).seconds:
            made = case.call(second, tangent, case.cotangent)
            if second.by in case.arrays:
                assert equal(made, twice(case, name, tangent, second.by))
            else:
                expected = [change(value) for value in case.made(**{name: moved(array, tangent)})]
                assert equal(made.ravel(), expected)


def twice(case: Case, name: str, tangent: Any, by: str) -> np.ndarray[Any, Any]:
    """The derivative of ``⟨tangent, gradient by name⟩``: numbers are dual twice over."""
    shape = case.arrays[by].shape
    found = np.empty(shape, object)
    for place in np.ndindex(shape):
        once = {by: moved(case.arrays[by], unit(shape, place))}
        arrays = {**case.arrays, **once}
        along = {n: tangent if n == name else np.zeros(a.shape, int) for n, a in arrays.items()}
        both = {n: moved(arrays[n], along[n]) for n in {name, by}}
        found[place] = change(change(inner(case.cotangent, case.made(**both))))
    return found


# -- what is printed -------------------------------------------------------------------------------

FORMULAS = [
    ("i, i j, j ->", "x A x", "x", "dx[i] = G · Σ_{j} (A[i, j] + A[j, i]) · x[j]"),
    ("i, i j, j ->", "x A x", "A", "dA[i, j] = G · x[i] · x[j]"),
    ("i, i ->", "x x", "x", "dx[i] = 2 · G · x[i]"),
    ("i, i, i ->", "x x x", "x", "dx[i] = 3 · G · x[i]²"),
    ("i j, k j -> i k", "X X", "X", "dX[i, j] = Σ_{k} (G[i, k] + G[k, i]) · X[k, j]"),
    ("i j, j k -> i k", "A A", "A", "dA[i, j] = Σ_{k} (G[i, k] · A[j, k] + G[k, j] · A[k, i])"),
    ("b i, i j, b j -> b", "x A x", "A", "dA[i, j] = Σ_{b} G[b] · x[b, i] · x[b, j]"),
    ("i, j -> i j", "x x", "x", "dx[i] = Σ_{j} (G[i, j] + G[j, i]) · x[j]"),
    ("i, j, k -> i j k", "x x y", "y", "dy[k] = Σ_{i,j} G[i, j, k] · x[i] · x[j]"),
    ("b i, b i -> b", "x x", "x", "dx[b, i] = 2 · G[b] · x[b, i]"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "names", "by", "formula"), FORMULAS)
def test_sums_are_collected_as_in_a_textbook(spec: str, names: str, by: str, formula: str) -> None:
    assert cc.Contraction(spec, names=names).grad(by).formula == formula


MATRICES = [
    ("i, i j, j ->", "x A x", "x", "dx = G (A + Aᵀ) x"),
    ("i j, k j -> i k", "X X", "X", "dX = (G + Gᵀ) X"),
    ("i j, j k -> i k", "A A", "A", "dA = G Aᵀ + Aᵀ G"),
    ("i j, j k, k i ->", "A A A", "A", "dA = 3 G Aᵀ Aᵀ"),
    ("i, i ->", "x x", "x", "dx = 2 G x"),
    ("i, i, i ->", "x x x", "x", None),
    ("(i+k), i -> k", "x x", "x", None),
]


@pytest.mark.parametrize(("spec", "names", "by", "form"), MATRICES)
def test_what_is_one_has_a_matrix_form(spec: str, names: str, by: str, form: str | None) -> None:
    found: Any = cc.Contraction(spec, names=names).grad(by)
    assert found.matrix_form == form


def test_squares_print_as_squares() -> None:
    norm = cc.Contraction("i, i ->", names="x x")
    assert norm.formula == "Y = Σ_{i} x[i]²"
    assert norm.latex() == r"Y = \sum_{i} x_{i}^{2}"
    assert "<msup><msub><mi>x</mi>" in norm.mathml()


# -- certificates ----------------------------------------------------------------------------------

CERTIFIED: list[tuple[str, str, Any]] = [
    ("i, i j, j ->", "x A x", "sum"),
    ("(i+k), i -> k", "x x", "sum"),
    ("b (2*i+k-1) c, b (2*i+l-1) c -> b i", "x x", "sum"),
    ("b (i+k), k, k -> b i", "x W W", "prod"),
    ("i j, i k -> i", "x x", "logsumexp"),
    ("i j, i k -> i", "x x", "max"),
    ("b (2*i+k) c, b (2*i+k) c -> b i", "x x", "mean"),
    ("... i, ... j -> ...", "x x", "sum"),
    ("(i j) k, (j i) k -> k", "x x", "sum"),
]


@pytest.mark.parametrize(("spec", "names", "reduce"), CERTIFIED)
def test_sums_are_certified(spec: str, names: str, reduce: Any) -> None:
    forward = cc.Contraction(spec, reduce, names=names)
    for name in forward.arrays:
        certificate = forward.grad(name).verify(engines=False)
        assert {check.statement for check in certificate.checks} >= {
            "formula = brute force", "gradient = brute force"
        }  # fmt: skip


def test_symbolic_strides_are_certified() -> None:
    forward = cc.Contraction("(s*i+k-p), (s*i+l-p) -> i", parameters="s p", names="x x")
    assert forward.grad("x").verify(engines=False).cases


def test_a_wrong_sum_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    right = summed_steps.collected_gradient

    def once(parts: Any) -> Collected:
        found = right(parts)
        return Collected(found.left, found.terms[:1])

    monkeypatch.setattr(summed_steps, "collected_gradient", once)
    with pytest.raises(CertificateError, match="by x does not hold: formula"):
        SQUARE.grad("x").verify(engines=False)


def test_a_wrong_product_rule_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brute force by each place would agree with itself: values of the contraction do not."""
    right = summed._slope
    monkeypatch.setattr(summed, "_slope", lambda *given: 2 * right(*given) + 1)
    with pytest.raises(CertificateError, match="slope"):
        SQUARE.grad("x").verify(engines=False)


# -- everything that a contraction offers ----------------------------------------------------------

X, A = np.array([1.0, 10.0]), np.array([[1.0, 2.0], [3.0, 4.0]])


def test_one_array_a_name_is_passed() -> None:
    assert SQUARE.arrays == ("x", "A")
    assert SQUARE(X, A) == X @ A @ X
    assert SQUARE.extents((2,), (2, 2)) == {"i": 2, "j": 2}
    assert SQUARE.output_shape((2,), (2, 2)) == ()
    assert "extents: i=2, j=2" in str(SQUARE.plan((2,), (2, 2)))
    assert SQUARE.bind().arrays == SQUARE.arrays
    with pytest.raises(OperandError, match=r"2 arrays, x, A, but 3 operands"):
        SQUARE(X, A, X)
    with pytest.raises(OperandError, match=r"called with the cotangent and 2 operands \(x, A\)"):
        SQUARE.grad("x")(np.array(1.0), X, A, X)


def test_gradients_by_name_and_by_position_are_one() -> None:
    assert SQUARE.grad("x") == SQUARE.grad(0)
    assert SQUARE.grads() == (SQUARE.grad("x"), SQUARE.grad("A"))
    assert isinstance(SQUARE.grad("x"), SummedDerivation)
    assert not isinstance(SQUARE.grad("A"), SummedDerivation)
    with pytest.raises(OperandError, match=r"no operand 'y'.*called x, A"):
        SQUARE.grad("y")


def test_compiled_it_adds_what_comes_back() -> None:
    run: Any = SQUARE.compile((2,), (2, 2))
    g = np.array(2.0)
    assert run(X, A) == X @ A @ X
    np.testing.assert_allclose(run.vjp("x", g, X, A), 2 * (A + A.T) @ X)
    np.testing.assert_allclose(run.vjp(1, g, X, A), 2 * np.outer(X, X))
    by_x, by_a = run.vjps(g, X, A)
    np.testing.assert_allclose(by_x, 2 * (A + A.T) @ X)
    np.testing.assert_allclose(by_a, 2 * np.outer(X, X))
    assert run.shapes == ((2,), (2, 2))
    assert len(run.vjp_plans("x")) == 2
    with pytest.raises(ContractionError, match=r"x stands in several places.*vjp_plans\('x'\)"):
        run.vjp_plan("x")


def test_jacobians_add_up() -> None:
    np.testing.assert_allclose(SQUARE.jacobian("x")(X, A), (A + A.T) @ X)
    assert SQUARE.jacobian("x").formula == "J[i] = Σ_{j} (A[i, j] + A[j, i]) · x[j]"


def test_curvature_is_that_of_an_array_in_one_place() -> None:
    product = SQUARE.curvature("A").product()
    v = np.array([[1.0, 0.0], [2.0, 1.0]])
    np.testing.assert_allclose(product(v, X, A), (X @ v @ X) * np.outer(X, X))
    with pytest.raises(OperandError, match=r"(?s)x stands in 2 places.*put the product together"):
        SQUARE.curvature("x")


def test_a_sum_has_no_single_string() -> None:
    gradient: Any = SQUARE.grad("x")
    for refused in ("scatter", "gather", "roles"):
        with pytest.raises(ContractionError, match=r"parts\[0\] to parts\[1\]"):
            getattr(gradient, refused)
    with pytest.raises(ContractionError, match="sum of 2 contractions"):
        gradient.simplify((2,), (2, 2))
    assert [str(part) for part in gradient.parts] == [", i j, j -> i", ", i, i j -> j"]
    assert str(gradient) == ", i j, j -> i  +  , i, i j -> j"


def test_a_sum_is_not_solved_for_an_index_but_its_parts_are() -> None:
    d = cc.Contraction("(2*i+k), k, k -> i", names="x w w").grad("w")
    with pytest.raises(cc.ContractionError, match="sum of 2 contractions, and has no form that is"):
        d.solved_for("k")
    with pytest.raises(cc.ContractionError, match="and has no string of its own"):
        _ = d.string


def test_phases_of_all_parts_add_up() -> None:
    forward = cc.Contraction("(2*i+k), (2*i+l) -> i", names="x x")
    gradient = forward.grad("x")
    x, g = np.arange(7.0), np.arange(3.0)
    parts = [phase(g, x, i=3, k=3, l=3) for phase in gradient.phases()]
    np.testing.assert_allclose(sum(parts), gradient(g, x, i=3, k=3, l=3))


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_sources_take_one_array_a_name(library: str) -> None:
    module: Any = pytest.importorskip({"jax": "jax.numpy"}.get(library, library))
    made = module.asarray if library != "torch" else module.tensor
    x, a = made(X.tolist()), made(A.tolist())
    for what, given_, expected in (
        (SQUARE, (), X @ A @ X),
        (SQUARE.grad("x"), (made(1.0),), (A + A.T) @ X),
        (SQUARE.grad("A"), (made(1.0),), np.outer(X, X)),
        (SQUARE.jvp("x"), (x,), X @ (A + A.T) @ X),
        (SQUARE.jacobian("x"), (), (A + A.T) @ X),
    ):
        source: Any = what
        known: dict[str, Any] = {}
        exec(compile(source.code(library), "source", "exec"), known)  # as users run it
        last = [name for name in known if callable(known[name])][-1]
        np.testing.assert_allclose(np.asarray(known[last](*given_, x, a)), expected, rtol=1e-5)


def test_representations_show_the_sum() -> None:
    gradient: Any = SQUARE.grad("x")
    assert gradient.svg().count("<svg ") == 3
    shown = gradient._repr_html_()
    assert "<math" in shown
    assert "⊤" in shown
    assert repr(gradient) == f"{SQUARE!r}.grad('x')"
    assert set(gradient.symbols) == {"G", "N_j", "i", "j"}
    assert [step.name for step in gradient.steps][-1] == "add"


# -- arrays of other libraries ---------------------------------------------------------------------


def test_torch_derives_the_same() -> None:
    torch: Any = pytest.importorskip("torch")
    x, a = torch.tensor(X, requires_grad=True), torch.tensor(A, requires_grad=True)
    made = SQUARE(x, a)
    made.backward()
    np.testing.assert_allclose(x.grad, (A + A.T) @ X)
    np.testing.assert_allclose(SQUARE.grad("x")(torch.tensor(1.0).double(), x.detach(), a.detach()),
                               x.grad)  # fmt: skip
    np.testing.assert_allclose(cc.contract(SQUARE, x, a).detach(), X @ A @ X)
    with pytest.raises(OperandError, match="2 arrays, x, A, but 1 operand"):
        SQUARE(x)


def test_jax_derives_the_same() -> None:
    jax: Any = pytest.importorskip("jax")
    from contractconv.jax.derivatives import derived

    x, a = (jax.numpy.asarray(v, "float32") for v in (X, A))
    np.testing.assert_allclose(jax.grad(SQUARE)(x, a), (A + A.T) @ X)
    np.testing.assert_allclose(jax.grad(derived(SQUARE))(x, a), (A + A.T) @ X)
    np.testing.assert_allclose(SQUARE.grad("x")(jax.numpy.float32(1), x, a), (A + A.T) @ X)


def test_dask_stays_lazy() -> None:
    da: Any = pytest.importorskip("dask.array")
    x, a = da.from_array(X, chunks=1), da.from_array(A, chunks=1)
    gradient = SQUARE.grad("x")(da.from_array(np.array(1.0)), x, a)
    assert isinstance(gradient, da.Array)
    np.testing.assert_allclose(gradient.compute(), (A + A.T) @ X)


def test_symbolic_tensors_are_one_node() -> None:
    x, a, v = cc.tensor("x", "i"), cc.tensor("A", "i j"), cc.tensor("v", "i")
    loss = SQUARE(x, a)
    program = cc.program(loss=loss, dx=cc.grad(loss, x), hv=cc.hvp(loss, x, v))
    _, gradient, product = program(X, A, X)
    np.testing.assert_allclose(gradient, (A + A.T) @ X)
    np.testing.assert_allclose(product, (A + A.T) @ X)


def test_layers_take_what_comes_in_once() -> None:
    quadratic = cc.Contraction("b i, i j, b j -> b", names="x A x")
    net = cc.Network([cc.Layer(quadratic)])
    params = net.init(0, (4, 2))
    (weights,) = params["layer_1"].values()
    x = np.random.default_rng(0).standard_normal((4, 2)).astype("float32")
    expected = np.einsum("bi,ij,bj->b", x, weights, x)
    np.testing.assert_allclose(net(params, x), expected, rtol=1e-5)
    assert list(params["layer_1"]) == ["A"]
    with pytest.raises(OperandError, match="the weight W stands in several places"):
        cc.Layer(cc.Contraction("b i j, i, j -> b", names="x W W"))


def test_modules_of_torch_and_jax_take_what_comes_in_once() -> None:
    torch: Any = pytest.importorskip("torch")
    quadratic = cc.Contraction("b i, i j, b j -> b", names="x A x")
    layer: Any = cc.torch.Layer(quadratic)
    x = torch.randn(4, 2)
    made = layer(x)
    (weights,) = layer.parameters()
    torch.testing.assert_close(made, torch.einsum("bi,ij,bj->b", x, weights, x))
    made.sum().backward()
    assert weights.grad.shape == (2, 2)
    jax: Any = pytest.importorskip("jax")
    module: Any = cc.jax.Layer(quadratic)
    params = module.init(0, (4, 2))
    assert jax.tree.map(jax.numpy.shape, params) == {"A": (2, 2)}


# -- what is refused -------------------------------------------------------------------------------

REFUSED = [
    ("i, i j, j ->", "x A", "2 names for the 3 operands", "x A"),
    ("i, i j, j ->", "x A x y", "4 names for the 3 operands", "y"),
    ("i, j ->", "i y", "'i' is an index", "i"),
    ("(s*i), i ->", "s y", "'s' is a parameter", "s"),
    ("i, j ->", "x 2y", "'2y' is not a name", "2y"),
    ("i, j ->", "x N_i", "'N_i' is the name of a size", "N_i"),
    ("i, j ->", "x dx", "'dx' is the gradient by 'x'", "dx"),
    ("i, j ->", "x y -> x", "'x' is an operand and the result", "x"),
    ("i, i j ->", "x x", "x has 1 axes in one place, and 2 in another", "i"),
    ("(i j), k ->", "x x", "composed in one place", "(i j)"),
    ("... i, i j ->", "x x", "an ellipsis in one place", "... i"),
]


@pytest.mark.parametrize(("spec", "names", "message", "marked"), REFUSED)
def test_names_that_do_not_fit_are_pointed_at(
    spec: str, names: str, message: str, marked: str
) -> None:
    parameters = "s" if "s*" in spec else ""
    with pytest.raises(SpecError) as caught:
        cc.Contraction(spec, parameters=parameters, names=names)
    lines = str(caught.value).splitlines()
    assert message in lines[0]
    carets = lines[2]
    first = carets.index("^")
    assert lines[1][first:].startswith(marked[:1]) or names.count(" ") + 1 < spec.count(",") + 1
    assert len(lines) > 3
