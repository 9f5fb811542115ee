"""Second derivatives that are known contractions, and windows that are compositions.

What is recognised, and what is simplified, must compute the same as before: exactly, by the oracle.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from katex import refused
from mathml_rules import assert_core
from oracle import evaluate, gradient, natural_output_shape
from strategies import Array, Problem, Shape, filled, problems, seeds, windows

import contractconv as cc
from contractconv import Reduction
from contractconv.api.second_derivative import Second
from contractconv.calculus import backward

Draw = Callable[[st.SearchStrategy[Any]], Any]

# Deriving takes longer than running: a quarter of what the profile says is enough.
fewer = settings(max_examples=max(1, settings().max_examples // 4))


def integers(shape: Shape, seed: int) -> Array:
    return filled(shape, seed, 3, "int64")


def names_of(count: int) -> tuple[str, ...]:
    """What operands are called."""
    return ("X", "W")[:count] if count <= 2 else tuple(f"T{n}" for n in range(count))


# --- second derivatives ----------------------------------------------------------------------

CONV = "b (2*i+k-1) c, k c o -> b i o"
TRANSPOSED = "b i c, k c o -> b (2*i+k) o"
DENSE = "b i, i o -> b o"
ATTENTION = "b q h d, b k h d, b k h e -> b q h e"

SECONDS = [
    (CONV, 0, ["Y with V in place of X", "dW with V in place of X"]),
    (CONV, 1, ["Y with V in place of W", "dX with V in place of W"]),
    (TRANSPOSED, 0, ["Y with V in place of X", "dW with V in place of X"]),
    (TRANSPOSED, 1, ["Y with V in place of W", "dX with V in place of W"]),
    (DENSE, 0, ["Y with V in place of X", "dW with V in place of X"]),
    (DENSE, 1, ["Y with V in place of W", "dX with V in place of W"]),
    ("b (h w), (w h) o -> b o", 1, ["Y with V in place of W", "dX with V in place of W"]),
    ("b q d, b k d -> b q k", 0, ["Y with V in place of X", "dW with V in place of X"]),
    ("b (2*i+k) c -> b i c", 0, ["Y with V in place of X"]),
    ("i i -> i", 0, ["Y with V in place of X"]),
    ("->", 0, ["Y with V in place of X"]),
    (
        ATTENTION,
        1,
        ["Y with V in place of T1", "dT0 with V in place of T1", "dT2 with V in place of T1"],
    ),
    (
        "b i, o i j, b j -> b o",
        2,
        ["Y with V in place of T2", "dT0 with V in place of T2", "dT1 with V in place of T2"],
    ),
    ("... i, i o -> ... o", 0, ["Y with V in place of X", "dW with V in place of X"]),
]


@pytest.mark.parametrize(("spec", "n", "expected"), SECONDS)
def test_a_gradient_differentiated_again_is_known(spec: str, n: int, expected: list[str]) -> None:
    found = cc.Contraction(spec).grad(n).seconds
    assert [str(second) for second in found] == expected


def test_symbols_do_not_hide_what_it_is() -> None:
    spec = "b (s*i+d*k-p) (s*j+d*l-p) c, k l c o -> b i j o"
    derivation = cc.Contraction(spec, parameters="s d p").grad(1)
    assert [str(second) for second in derivation.seconds] == [
        "Y with V in place of W",
        "dX with V in place of W",
    ]


def test_a_second_derivative_says_by_what_and_which_string() -> None:
    by_cotangent, by_weight = cc.Contraction(CONV).grad(0).seconds
    assert (by_cotangent.by, by_weight.by) == ("G", "W")
    assert (by_cotangent.same_as, by_weight.same_as) == ("Y", "dW")
    assert by_cotangent.roles == by_weight.roles == (("X", "V"),)
    assert str(by_cotangent.spec) == CONV
    assert str(by_weight.spec) == "b (2*i+k-1) c, b i o -> k c o"
    assert repr(by_weight) == "<by W: dW with V in place of X>"


def test_a_sentence_names_the_gradient_that_it_is() -> None:
    # Exchanged, the letters would make the same string, but of arrays that do not fit.
    by_weight = cc.Contraction("r a, r b -> r").grad(0).seconds[1]
    assert str(by_weight) == "dW with V in place of X"
    rng = np.random.default_rng(0)
    x, w, v, g = (rng.integers(-3, 4, shape) for shape in ((2, 3), (2, 5), (2, 3), (2,)))
    expected = cc.Contraction("r a, r b -> r").grad(1)(g, v, w)
    np.testing.assert_array_equal(by_weight(v, g, x, w), expected)


def test_a_mean_is_linear_as_a_sum_is() -> None:
    found = cc.Contraction("b (2*i+k) c, k c o -> b i o", "mean").grad(0).seconds
    assert [repr(second) for second in found] == [
        "<by G: Y with V in place of X>",
        "<by W: dW with V in place of X>",
    ]


@pytest.mark.parametrize("reduce", ["max", "min"])
def test_an_extreme_is_constant_almost_everywhere(reduce: Reduction) -> None:
    by_cotangent, by_array = cc.Contraction("b (2*i+k) c -> b i c", reduce).grad(0).seconds
    assert str(by_cotangent) == "b (2*i+k) c, b i c k -> b i c"
    assert by_cotangent.operands == (("V", "S"),)
    assert (by_array.by, str(by_array), by_array.contractions) == ("X", "0 almost everywhere", ())
    assert by_array.formula == "∂⟨V, dX⟩/∂X[b, h, c] = 0"


@pytest.mark.parametrize("reduce", ["prod", "logsumexp"])
def test_a_local_derivative_that_changes_is_differentiated(reduce: Reduction) -> None:
    found = cc.Contraction("b i, b i o -> b o", reduce).grad(0).seconds
    assert [second.by for second in found] == ["G", "X", "W"]
    assert [second.operands for second in found] == [
        (("V", "P", "W"),),
        (("G", "Q", "W"),),
        (("V", "G", "P"), ("G", "Q", "X")),
    ]
    assert str(found[2]) == "b i, b o, b o i -> b i o  +  b o, b o i, b i -> b i o"
    by_array, by_weight = (second.formula.split(", Q being ")[0] for second in found[1:])
    assert by_array == "∂⟨V, dX⟩/∂X[b, i] = Σ_{o} G[b, o] · Q[b, o, i] · W[b, i, o]"
    assert by_weight == (
        "∂⟨V, dX⟩/∂W[b, i, o] = (V[b, i] · P[b, o, i] + Q[b, o, i] · X[b, i]) · G[b, o]"
    )


def test_a_second_derivative_is_a_whole_equation_in_every_script() -> None:
    by_cotangent, by_weight = cc.Contraction("b (2*i+k-1), k -> b i", names="x w_1").grad(0).seconds
    assert by_cotangent.formula == (
        "∂⟨V, dx⟩/∂G[b, i] = Σ_{k} V[b, 2i+k−1] · w_1[k]   where 0 ≤ 2i+k−1 < N_h"
    )
    left = r"\frac{\partial \langle V, \mathrm{d}x \rangle}{\partial w_{1;\, k}} = "
    assert by_weight.latex().startswith(left)
    assert refused([by_cotangent.latex(), by_weight.latex()]) == []
    assert_core(by_weight.mathml())
    with cc.letters(gradient="∂L/∂W", tangent="Ẇ", cotangent="Ȳ"):
        assert by_cotangent.formula.startswith("∂⟨ẋ, ∂L/∂x⟩/∂Ȳ[b, i] = Σ_{k} ẋ[b, 2i+k−1]")
        assert refused([by_cotangent.latex(), by_weight.latex()]) == []


def test_second_derivatives_have_the_letters_of_the_gradients() -> None:
    first = cc.Contraction("(2), ((-3*m+3*l+3)/3), i ->")
    assert first.grad(1).formula.startswith("dT₁[w] = ")
    assert first.grad(0).seconds[1].formula.startswith("∂⟨V, dT₀⟩/∂T₁[w] = ")
    diagonal = cc.Contraction(", (-j) i l l, (j k) k k ->")
    assert diagonal.grad(1).formula.startswith("dT₁[h, i, l, l′] = ")
    assert diagonal.grad(2).seconds[2].formula.startswith("∂⟨V, dT₂⟩/∂T₁[h, i, l, l′] = ")
    shifted = cc.Contraction("(i+1) j, (i+1) (0) -> j")  # V's axis has no letter of its own
    assert shifted.grad(1).formula.startswith("dW[w, d] = ")
    assert shifted.grad(0).seconds[1].formula.startswith("∂⟨V, dX⟩/∂W[w, d] = ")


def test_what_is_derived_is_a_value() -> None:
    def derived() -> list[object]:
        layer = cc.Contraction("b (2*i+k-1) c, k c o -> b i o")
        gradient, curvature = layer.grad(0), layer.curvature(1)
        products = [curvature.product(), curvature.product(root=True), curvature.diagonal()]
        made = [gradient, layer.grad(1), layer.jvp(0), layer.jacobian(0), *products]
        return [*made, *gradient.phases(), *gradient.seconds]

    assert derived() == derived()
    assert len({*derived(), *derived()}) == len(derived())


def test_wrong_arrays_are_refused() -> None:
    second = cc.Contraction("i k, k -> i", "prod").grad(0).seconds[1]
    x, w, g = np.ones((2, 3)), np.ones(3), np.ones(2)
    with pytest.raises(cc.ShapeError, match=r"V has shape \(3, 2\).*has \(2, 3\)"):
        second(x.T, g, x, w)
    with pytest.raises(cc.ShapeError, match="cotangent"):
        second(x, np.ones(5), x, w)
    with pytest.raises(cc.OperandError, match="V and the cotangent and 2 operands"):
        second(x, g, x)


@dataclass(frozen=True)
class Gradient:
    """A gradient with arrays for everything that it and its derivatives take."""

    problem: Problem
    n: int
    seed: int

    @property
    def contraction(self) -> cc.Contraction:
        """The forward contraction."""
        return cc.Contraction(self.problem.spec)

    @property
    def names(self) -> tuple[str, ...]:
        """What the forward operands are called."""
        return names_of(len(self.problem.shapes))

    @property
    def arrays(self) -> dict[str, Array]:
        """Forward operands, the cotangent, and the cotangent of the gradient, by role."""
        operands = dict(zip(self.names, self.problem.operands(self.seed), strict=True))
        tangent = integers(self.problem.shapes[self.n], 500 + self.seed)
        return operands | {"G": self.problem.cotangent(self.seed), "V": tangent}

    @property
    def roles(self) -> list[str]:
        """What the gradient takes, the cotangent first."""
        return ["G", *(name for k, name in enumerate(self.names) if k != self.n)]

    def by_oracle(self, second: Second) -> Array:
        """Differentiate the printed gradient by brute force."""
        string, arrays = str(self.contraction.grad(self.n).scatter), self.arrays
        return gradient(
            string,
            self.roles.index(second.by),
            arrays["V"],
            [arrays[role] for role in self.roles],
            self.problem.extents,
            self.problem.shapes[self.n],
        )

    def by_string(self, second: Second) -> Array:
        """Run the string of the second derivative."""
        arrays, string = self.arrays, second.spec
        taken = ["V", *(role for role in self.roles if role != second.by)]
        extents = {k: e for k, e in self.problem.extents.items() if k in string.indices}
        shape: Any = arrays[second.by].shape
        result: Array = string(*map(arrays.__getitem__, taken), output_shape=shape, **extents)
        return result

    def by_name(self, second: Second) -> Array:
        """Call what it is said to be, with the arrays in the places that it says."""
        arrays = self.arrays
        swapped = arrays | {old: arrays[new] for old, new in second.roles}
        operands = [swapped[name] for name in self.names]
        extents: Any = self.problem.extents
        result: Array
        if second.same_as == "Y":
            result = self.contraction(*operands, output_shape=self.problem.output_shape, **extents)
        else:
            assert second.same_as is not None
            m = self.names.index(second.same_as.removeprefix("d"))
            result = self.contraction.grad(m)(swapped["G"], *operands, **extents)
        return result


def layer(spec: str, shapes: Sequence[Shape]) -> Problem:
    """A layer whose extents follow from the shapes of its operands."""
    c = cc.Contraction(spec)
    return Problem(spec, tuple(shapes), c.extents(*shapes), c.output_shape(*shapes))


LAYERS = [
    layer(CONV, [(2, 5, 2), (3, 2, 2)]),
    layer(TRANSPOSED, [(2, 3, 2), (3, 2, 2)]),
    layer(DENSE, [(2, 3), (3, 4)]),
    layer("b (h w), w h o -> b o", [(2, 6), (3, 2, 2)]),
    layer("b q d, b k d -> b q k", [(2, 3, 2), (2, 4, 2)]),
    layer(ATTENTION, [(2, 3, 2, 2), (2, 4, 2, 2), (2, 4, 2, 3)]),
    layer("b i, o i j, b j -> b o", [(2, 3), (2, 3, 4), (2, 4)]),
    layer("i j, j k, k l, l m -> i m", [(2, 3), (3, 2), (2, 3), (3, 2)]),
    layer("b i, b i -> b i", [(2, 3), (2, 3)]),
]


@pytest.mark.parametrize("problem", LAYERS, ids=lambda problem: problem.spec)
def test_known_second_derivatives_are_right(problem: Problem) -> None:
    for n in range(len(problem.shapes)):
        case = Gradient(problem, n, 1)
        found = case.contraction.grad(n).seconds
        assert [second.by for second in found] == case.roles
        for second in found:
            expected = case.by_oracle(second)
            np.testing.assert_array_equal(case.by_string(second), expected)
            np.testing.assert_array_equal(case.by_name(second), expected)


@fewer
@given(problem=st.one_of(problems(), windows(), problems(empty=True)), seed=seeds())
def test_strings_of_second_derivatives_are_right(problem: Problem, seed: int) -> None:
    for n in range(len(problem.shapes)):
        case = Gradient(problem, n, seed)
        for second in case.contraction.grad(n).seconds:
            np.testing.assert_array_equal(case.by_string(second), case.by_oracle(second))


@fewer
@given(problem=windows(), seed=seeds())
def test_second_derivatives_of_layers_are_recognised(problem: Problem, seed: int) -> None:
    for n in range(len(problem.shapes)):
        case = Gradient(problem, n, seed)
        for second in case.contraction.grad(n).seconds:
            assert second.same_as is not None
            np.testing.assert_array_equal(case.by_name(second), case.by_oracle(second))


@fewer
@given(problem=st.one_of(problems(), windows()), seed=seeds())
def test_sentences_about_random_contractions_are_true(problem: Problem, seed: int) -> None:
    for n in range(len(problem.shapes)):
        case = Gradient(problem, n, seed)
        arrays = case.arrays
        operands = [arrays[name] for name in case.names]
        extents: Any = problem.extents
        for second in case.contraction.grad(n).seconds:
            assert second.roles == ((case.names[n], "V"),)
            expected = case.by_oracle(second)
            np.testing.assert_array_equal(case.by_name(second), expected)
            made = second(arrays["V"], arrays["G"], *operands, **extents)
            np.testing.assert_array_equal(made, expected)


def test_many_operands_take_as_many_derivations() -> None:
    count = 12
    letters = "abcdefghijklm"
    chain = cc.Contraction(
        ", ".join(f"{a} {b}" for a, b in itertools.pairwise(letters)) + " -> a m"
    )
    derived = cast("Any", backward._derived)
    derived.cache_clear()
    found = chain.grad(3).seconds
    assert [second.by for second in found] == ["G", *(f"T{n}" for n in range(count) if n != 3)]
    # Once for the gradient, and once for each of its operands.
    assert derived.cache_info().misses == 1 + count


# --- reductions whose local derivative changes -------------------------------------------------


@dataclass(frozen=True)
class Dual:
    """A number and how it changes: sums and products of it carry the derivative along, exactly."""

    value: Any
    change: Any = 0

    def __add__(self, other: Any) -> Dual:
        other = other if isinstance(other, Dual) else Dual(other)
        return Dual(self.value + other.value, self.change + other.change)

    def __mul__(self, other: Any) -> Dual:
        other = other if isinstance(other, Dual) else Dual(other)
        change = self.change * other.value + self.value * other.change
        return Dual(self.value * other.value, change)

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < getattr(other, "value", other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > getattr(other, "value", other))

    __radd__, __rmul__ = __add__, __mul__


def by_duals(
    spec: str,
    reduce: Reduction,
    n: int,
    m: int,
    arrays: Mapping[str, Any],
    extents: Mapping[str, int],
) -> Array:
    """The derivative of the oracle's ``⟨V, dX⟩`` by each element of operand ``m``; -1 is ``G``."""
    operands = list(arrays["operands"])
    target = arrays["G"] if m == -1 else operands[m]
    result = np.zeros(target.shape, object)
    for place in np.ndindex(*target.shape):
        moved = target.astype(object)
        moved[place] = Dual(target[place].item(), 1)
        here = [moved if k == m else operand for k, operand in enumerate(operands)]
        g = moved if m == -1 else arrays["G"].astype(object)
        found = gradient(spec, n, g, [a.astype(object) for a in here], extents, g.shape, reduce)
        total = sum((v * d for v, d in zip(arrays["V"].flat, found.flat, strict=True)), Dual(0))
        result[place] = total.change
    return result


OTHERS: list[tuple[str, list[Shape], dict[str, int]]] = [
    ("i ->", [(4,)], {}),
    ("(2*i+k) c -> i c", [(6, 2)], {"k": 3}),
    ("(i+k-1) -> i", [(4,)], {"k": 3}),
    ("i j, j k -> i k", [(2, 3), (3, 2)], {}),
    ("(i+k-1), k -> i", [(4,), (2,)], {}),
    ("i, k -> (2*i+k)", [(3,), (3,)], {}),
    ("i, i j, j ->", [(2,), (2, 2), (2,)], {}),
    ("(h w), w -> h", [(6,), (2,)], {}),
    ("i i -> i", [(3, 3)], {}),
    ("((i-k)/2), k -> i", [(3,), (3,)], {"i": 4}),
]


@pytest.mark.parametrize("reduce", ["max", "min", "prod"])
@pytest.mark.parametrize(("spec", "shapes", "given_"), OTHERS, ids=[row[0] for row in OTHERS])
def test_second_derivatives_of_other_reductions_are_exact(
    spec: str, shapes: list[Shape], given_: dict[str, Any], reduce: Reduction
) -> None:
    contraction = cc.Contraction(spec, reduce)
    extents: Any = contraction.extents(*shapes, **given_)
    rng = np.random.default_rng(len(spec))
    # A zero among them, which nothing may divide by; no ties, at which an extreme jumps.
    operands = [rng.permutation(np.arange(math.prod(s))).reshape(s) - 1 for s in shapes]
    if reduce != "prod":
        operands = [2 * operand + 7 + 20 * n for n, operand in enumerate(operands)]
    arrays: dict[str, Any] = {"operands": operands}
    arrays["G"] = rng.integers(-3, 4, contraction.output_shape(*shapes, **given_))
    for n, shape in enumerate(shapes):
        arrays["V"] = rng.integers(-3, 4, shape)
        found = contraction.grad(n).seconds
        assert [second.by for second in found] == ["G", *names_of(len(shapes))]
        for m, second in enumerate(found, -1):
            expected = by_duals(spec, reduce, n, m, arrays, extents)
            made = second(arrays["V"], arrays["G"], *operands, **given_)
            np.testing.assert_array_equal(made, expected.astype(made.dtype), err_msg=repr(second))


SMOOTH = ["prod", "logsumexp", "mean", "sum", "max", "min"]


@pytest.mark.parametrize("reduce", SMOOTH)
@pytest.mark.parametrize("spec", ["b i, i o -> b o", "b (2*i+k-1) c -> b i c"])
def test_second_derivatives_against_torch(spec: str, reduce: Reduction) -> None:
    torch: Any = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    shapes = [(2, 4), (4, 3)] if "," in spec else [(2, 6, 2)]
    extents: dict[str, Any] = {} if "," in spec else {"k": 3}
    contraction = cc.Contraction(spec, reduce)
    numbers = [rng.normal(size=shape) for shape in shapes]
    tensors = [torch.tensor(array, requires_grad=True) for array in numbers]
    value = (
        tensors[0][:, :, None] * tensors[1]
        if "," in spec
        else windows_of(torch, tensors[0], reduce)
    )
    y = reduced(torch, value, 1 if "," in spec else 2, reduce)
    g = torch.tensor(rng.normal(size=y.shape), requires_grad=True)
    v = rng.normal(size=shapes[0])
    (dx,) = torch.autograd.grad((g * y).sum(), tensors[0], create_graph=True)
    asked = {"G": g, **dict(zip(names_of(len(shapes)), tensors, strict=True))}
    scalar = (dx * torch.tensor(v)).sum()
    for second in contraction.grad(0).seconds:
        (expected,) = torch.autograd.grad(
            scalar, asked[second.by], retain_graph=True, allow_unused=True
        )
        expected = np.zeros(asked[second.by].shape) if expected is None else expected.numpy()
        made = second(v, g.detach().numpy(), *numbers, **extents)
        np.testing.assert_allclose(made, expected, atol=1e-12)


def windows_of(torch: Any, x: Any, reduce: Reduction) -> Any:
    """Windows of three with stride two and a padding of one that changes nothing."""
    outside = {"max": -math.inf, "min": math.inf, "prod": 1.0, "logsumexp": -math.inf}
    edge = torch.full((2, 1, 2), outside.get(reduce, 0.0), dtype=torch.float64)
    padded = torch.cat([edge, x, edge], dim=1)
    return torch.stack([padded[:, 2 * i : 2 * i + 3] for i in range(3)], dim=1)


def reduced(torch: Any, value: Any, axis: int, reduce: Reduction) -> Any:
    """The reduction in torch's words."""
    return {
        "sum": lambda: value.sum(axis),
        "mean": lambda: value.mean(axis),
        "max": lambda: value.max(axis).values,
        "min": lambda: value.min(axis).values,
        "prod": lambda: value.prod(axis),
        "logsumexp": lambda: torch.logsumexp(value, axis),
    }[reduce]()


# --- compositions ----------------------------------------------------------------------------

SIMPLER: list[tuple[str, Sequence[Shape], Mapping[str, int], str]] = [
    ("b (2*i+k) -> b i", [(8, 6)], {"k": 2}, "b (i k) -> b i"),
    ("b (k+2*i) -> b i", [(8, 6)], {"k": 2}, "b (i k) -> b i"),
    ("b (2*i+k) -> b i", [(8, 6)], {"i": 3}, "b (i k) -> b i"),
    ("b (4*i+2*j+k) -> b i", [(3, 8)], {"j": 2, "k": 2}, "b (i j k) -> b i"),
    ("b (3*i+k) -> b k i", [(3, 12)], {"k": 3}, "b (i k) -> b k i"),
    ("b (2*i+k) c, k c o -> b i o", [(8, 6, 3), (2, 3, 4)], {}, "b (i k) c, k c o -> b i o"),
    (
        "b (4*h+k) (4*w+l) c, k l c o -> b h w o",
        [(2, 8, 12, 3), (4, 4, 3, 5)],
        {},
        "b (h k) (w l) c, k l c o -> b h w o",
    ),
    ("b i c, k c o -> b (2*i+k) o", [(2, 3, 2), (2, 2, 4)], {}, "b i c, k c o -> b (i k) o"),
]

AS_SIMPLE_AS_IT_IS: list[tuple[str, Sequence[Shape], Mapping[str, int]]] = [
    ("b (2*i+k) -> b i", [(8, 6)], {"k": 3}),  # windows overlap
    ("b (3*i+k) -> b i", [(8, 6)], {"k": 2}),  # gaps between windows
    ("b (2*i+k) -> b i", [(8, 7)], {"k": 2}),  # an element is left over
    ("b (2*i+k) -> b i", [(8, 6)], {"k": 2, "i": 4}),  # a window reaches beyond the end
    ("b (2*i+k-1) -> b i", [(8, 6)], {"k": 2}),  # moved
    ("b (2*i-k+1) -> b i", [(8, 6)], {"k": 2}),  # backwards
    ("b (2*i+2*k) -> b i", [(8, 6)], {"k": 2}),
    ("b ((2*i+k)/1) -> b i", [(8, 7)], {"k": 2}),
    ("b (2*i) -> b i", [(8, 5)], {}),
    ("b (i k) -> b i", [(8, 6)], {"k": 2}),
]


@pytest.mark.parametrize(("spec", "shapes", "extents", "simpler"), SIMPLER)
def test_windows_side_by_side_are_compositions(
    spec: str, shapes: Sequence[Shape], extents: Mapping[str, int], simpler: str
) -> None:
    assert str(cc.Contraction(spec).simplify(*shapes, **extents)) == simpler


@pytest.mark.parametrize(("spec", "shapes", "extents"), AS_SIMPLE_AS_IT_IS)
def test_other_windows_stay_windows(
    spec: str, shapes: Sequence[Shape], extents: Mapping[str, int]
) -> None:
    c = cc.Contraction(spec)
    assert c.simplify(*shapes, **extents) == c


def test_simplifying_binds_parameters() -> None:
    conv = cc.Contraction("b (s*i+d*k-p) -> b i", parameters="s d p")
    assert str(conv.simplify((8, 6), k=2, s=2, d=1, p=0)) == "b (i k) -> b i"
    assert str(conv.simplify((8, 6), k=2, s=1, d=3, p=0)) == "b (k i) -> b i"
    assert str(conv.simplify((8, 6), k=2, s=2, d=1, p=1)) == "b (2*i+k-1) -> b i"
    assert conv.simplify((8, 6), k=2, s=2, d=1, p=0).parameters == ()
    with pytest.raises(cc.ParameterError, match="unbound: the parameters d, s"):
        conv.simplify((8, 6), k=2, p=0)


@pytest.mark.parametrize("reduce", ["max", "mean", "logsumexp"])
def test_simplifying_keeps_the_reduction(reduce: Reduction) -> None:
    simple = cc.Contraction("b (2*i+k) -> b i", reduce).simplify((8, 6), k=2)
    assert simple == cc.Contraction("b (i k) -> b i", reduce)


def test_shapes_are_checked_before_simplifying() -> None:
    pool = cc.Contraction("b (2*i+k) -> b i")
    with pytest.raises(cc.OperandError, match="1 term but 0 operands"):
        pool.simplify()
    with pytest.raises(cc.ShapeError, match="operand 0 has 1 axis, but its term has 2"):
        pool.simplify((8,), k=2)
    with pytest.raises(cc.ShapeError, match="2 unknown extents on one axis: i and k"):
        pool.grad(0).simplify((8, 6))


def test_an_ellipsis_is_spelled_out_and_computes_the_same() -> None:
    pool = cc.Contraction("... (2*i+k) -> ... i")
    x = integers((2, 3, 6), 1)
    simple = pool.simplify(x.shape, k=2)
    np.testing.assert_array_equal(simple(x, k=2), pool(x, k=2))
    derivation = cc.Contraction("... (2*i+k), k -> ... i").grad(0)
    g, w = integers((2, 3, 3), 2), np.array([1, 10])
    gradient_of_x = derivation.simplify(x.shape, w.shape)
    np.testing.assert_array_equal(gradient_of_x(g, w), derivation(g, x, w))


def test_a_simplified_ellipsis_can_be_read_again() -> None:
    simple = cc.Contraction("... (2*i+k) -> ... i").simplify((3, 6), k=2)
    again = cc.Contraction(str(simple))
    np.testing.assert_array_equal(again(np.ones((3, 6)), k=2), np.full((3, 3), 2))


def test_of_equal_maxima_the_same_one_is_chosen_after_simplifying() -> None:
    # (2*k+i) is in alphabetical order, i first; the composition (k i) has k first.
    pool = cc.Contraction("(2*k+i) ->", "max")
    x = np.array([0, 1, 1, 0])
    extents: dict[str, Any] = {"i": 2, "k": 2}
    simple = pool.simplify(x.shape, **extents)
    np.testing.assert_array_equal(simple.grad(0)(1, x, **extents), pool.grad(0)(1, x, **extents))


@st.composite
def tilings(draw: Draw, *, least: int = 1) -> Problem:
    """A window on each level whose stride is what the levels below it cover.

    Args:
        least: the smallest extent of a level.
    """
    names = "ijk"[: draw(st.integers(2, 3))]
    extents = {name: draw(st.integers(least, 3)) for name in names}
    strides = {
        name: math.prod(extents[inner] for inner in names[level + 1 :])
        for level, name in enumerate(names)
    }
    terms = draw(st.permutations([f"{stride}*{name}" for name, stride in strides.items()]))
    size = math.prod(extents.values()) + draw(st.sampled_from([0, 0, 0, 1, -1]))
    tiled, kept = f"({'+'.join(terms)})", draw(st.permutations(names))[:2]
    split, shape = " ".join(kept), tuple(extents[name] for name in kept)
    inner = names[-1]
    weight = (f"{inner} c", (extents[inner], 2))
    if draw(st.booleans()):
        spec, shapes = f"b {tiled}, {weight[0]} -> {split} b c", ((2, size), weight[1])
    else:
        spec = f"{split} b, {weight[0]} -> b {tiled} c"
        shapes = ((*shape, 2), weight[1])
    extents |= {"b": 2, "c": 2}
    output_shape = natural_output_shape(spec, shapes, extents)
    return Problem(spec, shapes, extents, output_shape)


several = st.one_of(tilings(), problems(), problems(empty=True))


@pytest.mark.parametrize("reduce", ["sum", "max", "prod"])
@fewer
@given(problem=several, seed=seeds())
def test_a_simplified_contraction_computes_the_same(
    reduce: Reduction, problem: Problem, seed: int
) -> None:
    c = cc.Contraction(problem.spec, reduce)
    extents: dict[str, Any] = dict(problem.extents)
    operands = [integers(shape, 5 * seed + n) for n, shape in enumerate(problem.shapes)]
    simple = c.simplify(*problem.shapes, **extents)
    shape = natural_output_shape(problem.spec, problem.shapes, extents)
    expected = evaluate(problem.spec, operands, extents, shape, reduce)
    result = simple(*operands, **extents)
    assert result.shape == shape
    np.testing.assert_array_equal(result, expected)
    assert simple.simplify(*problem.shapes, **extents) == simple


@fewer
@given(problem=tilings(least=2))
def test_whatever_is_tiled_becomes_a_composition(problem: Problem) -> None:
    extents: Any = problem.extents
    c = cc.Contraction(problem.spec)
    simple = c.simplify(*problem.shapes, **extents)
    covered = math.prod(extent for name, extent in extents.items() if name in "ijk")
    if problem.spec.startswith("b (") and problem.shapes[0][1] != covered:
        assert simple == c
    else:
        assert "+" not in str(simple)


# Strides are equal here; the order of the alphabet must not decide.
@pytest.mark.parametrize("spec", ["b (i+k) c, k c o -> b i o", "b (t+k) c, k c o -> b t o"])
@pytest.mark.parametrize("tap", ["k", "z"])
def test_a_kernel_of_one_tap_needs_no_window(spec: str, tap: str) -> None:
    conv = cc.Contraction(spec.replace("k", tap))
    assert "+" not in str(conv.simplify((2, 5, 3), (1, 3, 4)))


# --- simplified gradients --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reduce", "n", "shapes", "extents", "simpler"),
    [
        (
            "b (2*i+k) c, k c -> b i c", "sum", 0, [(8, 6, 3), (2, 3)], {},
            "b i c, k c -> b (i k) c",
        ),
        (
            "b (2*i+k) c, k c -> b i c", "sum", 1, [(8, 6, 3), (2, 3)], {},
            "b i c, b (i k) c -> k c",
        ),
        ("b (3*i+k) c -> b i c", "max", 0, [(8, 6, 2)], {"k": 3}, "b i c, b i c k -> b (i k) c"),
        ("b (3*i+k) c -> b i c", "mean", 0, [(8, 6, 2)], {"k": 3}, "b i c, -> b (i k) c"),
        ("b i, k -> b (3*i+k)", "sum", 0, [(8, 6), (3,)], {}, "b (i k), k -> b i"),
        ("b i, k -> b (3*i+k)", "sum", 1, [(8, 6), (3,)], {}, "b (i k), b i -> k"),
        ("b (3*i+k) -> b i", "sum", 0, [(8, 6)], {"k": 2}, "b i -> b (3*i+k)"),
        ("b (h w) c -> b h w c", "sum", 0, [(2, 4, 3)], {"h": 2}, "b h w c -> b (h w) c"),
    ],
)  # fmt: skip
def test_simplified_gradients(
    spec: str,
    reduce: Reduction,
    n: int,
    shapes: Sequence[Shape],
    extents: Mapping[str, int],
    simpler: str,
) -> None:
    assert str(cc.Contraction(spec, reduce).grad(n).simplify(*shapes, **extents)) == simpler


@pytest.mark.parametrize(
    ("spec", "n", "shapes", "extents", "simpler"),
    [
        (
            "b (h w c), (h w c) o -> b o", 0, [(2, 12), (12, 3)], {"h": 2, "w": 2},
            "b o, (h w c) o -> b (h w c)",
        ),
        ("b h w c -> b (h w) c", 0, [(2, 2, 4, 3)], {}, "b (h w) c -> b h w c"),
        ("b (2*i+k), k -> (b i)", 0, [(3, 4), (2,)], {}, "(b i), k -> b (i k)"),
    ],
)  # fmt: skip
def test_simplified_gradients_beside_a_composition(
    spec: str, n: int, shapes: Sequence[Shape], extents: Mapping[str, int], simpler: str
) -> None:
    assert str(cc.Contraction(spec).grad(n).simplify(*shapes, **extents)) == simpler


@fewer
@given(problem=several, seed=seeds())
def test_a_simplified_gradient_computes_the_same(problem: Problem, seed: int) -> None:
    c = cc.Contraction(problem.spec)
    extents: dict[str, Any] = dict(problem.extents)
    operands = problem.operands(seed)
    shape = natural_output_shape(problem.spec, problem.shapes, extents)
    cotangent = integers(shape, 700 + seed)
    for n, own in enumerate(problem.shapes):
        simple = c.grad(n).simplify(*problem.shapes, **extents)
        others = [*operands[:n], *operands[n + 1 :]]
        known: dict[str, Any] = {k: e for k, e in extents.items() if k in simple.indices}
        result = simple(cotangent, *others, output_shape=own, **known)
        expected = gradient(problem.spec, n, cotangent, operands, extents, shape)
        np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(result, expected)
