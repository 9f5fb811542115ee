"""One formula with symbols is right for every stride, dilation and padding that is put in.

The witness is a loop over plain Python integers. A formula is read twice: by the library's
evaluator and by one of our own, which turns it into Python and shares nothing with the library.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy

import contractconv as cc
from contractconv.calculus.evaluation import evaluator

Place = tuple[int, ...]
Numbers = dict[Place, int]
Values = Mapping[str, int]

CONVOLUTION = "(s*i+d*k-p), k -> i"
TRANSPOSED = "i, k -> (s*i+d*k-p)"
LAYER = "b (s*i+d*k-p) (t*j+e*l-q) c, k l c o -> b i j o"
PARAMETERS = {CONVOLUTION: "s d p", TRANSPOSED: "s d p", LAYER: "s d p t e q"}

STRIDES = DILATIONS = KERNELS = range(1, 5)
PADDINGS = range(4)
INPUTS = range(1, 13)


# --- one axis, in numbers --------------------------------------------------------------------


class Window(NamedTuple):
    """One axis of a layer: ``stride*position + dilation*tap - padding``."""

    s: int
    d: int
    p: int
    taps: int
    size: int

    @property
    def positions(self) -> int:
        """How many windows fit into the input, padded on both sides."""
        return (self.size + 2 * self.p - self.d * (self.taps - 1) - 1) // self.s + 1

    def reads(self) -> Iterator[tuple[int, int, int]]:
        """Each position and tap, with the element that is read there."""
        for i, k in product(range(self.positions), range(self.taps)):
            if 0 <= (h := self.s * i + self.d * k - self.p) < self.size:
                yield i, k, h


def windows() -> list[Window]:
    """Every window of the sweep that is not larger than the padded input."""
    every = (Window(*numbers) for numbers in product(STRIDES, DILATIONS, PADDINGS, KERNELS, INPUTS))
    return [w for w in every if w.d * (w.taps - 1) + 1 <= w.size + 2 * w.p]


def positions_of(shape: Sequence[int]) -> Iterator[Place]:
    return product(*map(range, shape))


def numbers_for(shape: Sequence[int], rng: random.Random) -> Numbers:
    """Numbers so different that no two sums of products of them are equal by chance."""
    return {place: rng.randrange(1, 10**6) for place in positions_of(shape)}


def array_of(numbers: Numbers, shape: Sequence[int]) -> Any:
    return np.array(list(numbers.values()), np.int64).reshape(tuple(shape))


# --- a second evaluator ----------------------------------------------------------------------


@cache
def compiled(formula: sympy.Expr) -> Callable[..., Any]:
    """A Python function of the arrays and the free symbols of a formula, all by name."""
    arrays = sorted({base.label.name for base in formula.atoms(sympy.IndexedBase)})
    symbols = sorted(s.name for s in formula.free_symbols if isinstance(s, sympy.Symbol))
    names = ", ".join(dict.fromkeys([*arrays, *symbols]))
    source = f"lambda {names}, **others: {source_of(formula)}"
    return eval(source, {"Fraction": Fraction})  # type: ignore[no-any-return]


def source_of(formula: Any) -> str:
    """The formula as Python source; whatever a condition guards is looked at lazily."""
    write = SOURCES[formula.func.__name__] if formula.args else _atom
    return f"({write(formula)})"


def _atom(formula: Any) -> str:
    if formula.is_Rational and not formula.is_Integer:
        return f"Fraction({formula.p}, {formula.q})"
    return str(formula)


def _joined(operator: str) -> Callable[[Any], str]:
    return lambda formula: f" {operator} ".join(map(source_of, formula.args))


def _sum(formula: Any) -> str:
    text = source_of(formula.function)
    for symbol, low, high in formula.limits:
        text = f"sum({text} for {symbol} in range({source_of(low)}, {source_of(high)} + 1))"
    return text


def _piecewise(formula: Any) -> str:
    (value, condition), *others = formula.args
    if condition == sympy.true:
        return source_of(value)
    rest = source_of(sympy.Piecewise(*others, evaluate=False))
    return f"{source_of(value)} if {source_of(condition)} else {rest}"


def _product(formula: Any) -> str:
    deltas = [f for f in formula.args if isinstance(f, sympy.KroneckerDelta)]
    rest = "*".join(source_of(f) for f in formula.args if f not in deltas) or "1"
    return f"{rest} if {' and '.join(map(source_of, deltas))} else 0" if deltas else rest


SOURCES: dict[str, Callable[[Any], str]] = {
    "Sum": _sum,
    "Piecewise": _piecewise,
    "Indexed": lambda f: f"{f.base}[{', '.join(map(source_of, f.indices))},]",
    "Add": _joined("+"),
    "Mul": _product,
    "Pow": lambda f: f"Fraction({source_of(f.base)})**{source_of(f.exp)}",
    "Mod": _joined("%"),
    "And": _joined("and"),
    "KroneckerDelta": _joined("=="),
    "Equality": _joined("=="),
    "GreaterThan": _joined(">="),
    "StrictGreaterThan": _joined(">"),
    "LessThan": _joined("<="),
    "StrictLessThan": _joined("<"),
}


# --- asking the library ----------------------------------------------------------------------


@cache
def derived(spec: str, operand: int) -> Any:
    return cc.Contraction(spec, parameters=PARAMETERS[spec]).grad(operand)


def ours(formula: sympy.Expr, arrays: Mapping[str, Numbers], values: Values) -> Any:
    """A function of a position, as our own evaluator says."""
    function = compiled(formula)
    return lambda place: function(**arrays, **values, **place)


def theirs(formula: sympy.Expr, arrays: Mapping[str, Numbers], values: Values) -> Any:
    """A function of a position, as the library's evaluator says."""
    function = evaluator(formula, arrays)
    return lambda place: function({**values, **place})


def known(string: cc.Contraction, **extents: int) -> dict[str, int]:
    """The extents of those indices that a string still has."""
    return {name: n for name, n in extents.items() if name in string.indices}


def wrong(found: Any, names: Sequence[str], expected: Numbers) -> int:
    """At how many positions a formula has another value than expected."""
    return sum(
        found(dict(zip(names, place, strict=True))) != value for place, value in expected.items()
    )


def zeros(shape: Sequence[int]) -> Numbers:
    return dict.fromkeys(positions_of(shape), 0)


# --- one dimension ---------------------------------------------------------------------------


class Line(NamedTuple):
    """A window with arrays in it, and both of its gradients."""

    window: Window
    arrays: dict[str, Numbers]
    by_input: Numbers
    by_kernel: Numbers

    @property
    def parameters(self) -> dict[str, int]:
        """Strides, dilation and padding by the names that the string has for them."""
        return {"s": self.window.s, "d": self.window.d, "p": self.window.p}

    @property
    def values(self) -> dict[str, int]:
        """The parameters, and the extents and sizes that occur in formulas."""
        w = self.window
        return {**self.parameters, "N_i": w.positions, "N_k": w.taps, "N_h": w.size}


def line(window: Window) -> Line:
    """The gradients of a convolution by the definition."""
    rng = random.Random(str(window))
    x, w, g = (numbers_for((n,), rng) for n in (window.size, window.taps, window.positions))
    by_input, by_kernel = zeros((window.size,)), zeros((window.taps,))
    for i, k, h in window.reads():
        by_input[h,] += g[i,] * w[k,]
        by_kernel[k,] += g[i,] * x[h,]
    return Line(window, {"X": x, "W": w, "G": g}, by_input, by_kernel)


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return [line(window) for window in windows()]


def test_the_sweep_is_as_large_as_it_says(lines: list[Line]) -> None:
    # Of 3072 combinations, those whose window is larger than the padded input have no result.
    assert len(lines) == sum(
        1
        for s, d, p, taps, size in product(STRIDES, DILATIONS, PADDINGS, KERNELS, INPUTS)
        if (size + 2 * p - d * (taps - 1) - 1) // s + 1 > 0
    )
    assert len(lines) == 2556
    assert len({(w.window.s, w.window.d, w.window.p) for w in lines}) == 64


def test_windows_read_what_the_notation_says(lines: list[Line]) -> None:
    forward = cc.Contraction(CONVOLUTION, parameters="s d p")
    for case in lines[::7]:
        shapes = (case.window.size,), (case.window.taps,)
        assert forward.bind(**case.parameters).extents(*shapes)["i"] == case.window.positions


@pytest.mark.parametrize("operand", [0, 1])
def test_the_formula_of_a_convolution_is_right_for_all_numbers(
    lines: list[Line], operand: int
) -> None:
    formula = derived(CONVOLUTION, operand).sympy
    checked = 0
    for case in lines:
        expected = (case.by_input, case.by_kernel)[operand]
        for read in (ours, theirs):
            found = read(formula, case.arrays, case.values)
            assert wrong(found, ["hk"[operand]], expected) == 0, (read.__name__, case.values)
        checked += len(expected)
    assert checked == sum((w.size, w.taps)[operand] for w in windows())
    assert checked > 5000


@pytest.mark.parametrize("form", ["gather", "scatter"])
@pytest.mark.parametrize("operand", [0, 1])
def test_the_strings_of_a_convolution_are_right_for_all_numbers(
    lines: list[Line], operand: int, form: str
) -> None:
    string = getattr(derived(CONVOLUTION, operand), form)
    for case in lines[:: 1 if form == "gather" and operand == 0 else 5]:
        w = case.window
        x, kernel, g = (
            array_of(case.arrays[name], (n,))
            for name, n in zip("XWG", (w.size, w.taps, w.positions), strict=True)
        )
        other, shape = ((kernel, x.shape), (x, kernel.shape))[operand]
        bound = string.bind(**case.parameters)
        found = bound(g, other, output_shape=shape, **known(bound, i=w.positions))
        expected = (case.by_input, case.by_kernel)[operand]
        assert found.tolist() == list(expected.values()), case.values


def test_sympy_itself_agrees_once_the_numbers_are_in() -> None:
    # The elements stay symbols here, so that the comparison is one of polynomials.
    formula = derived(CONVOLUTION, 0).sympy
    g, w = sympy.IndexedBase("G"), sympy.IndexedBase("W")
    sample = random.Random(0).sample([w for w in windows() if w.size < 8], 30)
    compared = Counter[bool]()
    for window in sample:
        case = line(window)
        expected = dict.fromkeys(range(window.size), sympy.Integer(0))
        for i, k, h in window.reads():
            expected[h] += g[i] * w[k]
        for h, value in expected.items():
            numbers = {s: {**case.values, "h": h}.get(s.name) for s in formula.free_symbols}
            bound = formula.subs({s: n for s, n in numbers.items() if n is not None})
            terms = [bound.function.subs(bound.variables[0], k) for k in range(window.taps)]
            assert sympy.expand(sympy.Add(*terms) - value) == 0, (window, h)
            compared[value != 0] += 1
    assert compared[True] > 50
    assert compared[False] > 20


@pytest.mark.parametrize("operand", [0, 1])
def test_binding_before_or_after_deriving_is_the_same(operand: int) -> None:
    symbolic = derived(CONVOLUTION, operand)
    sample = {(w.s, w.d, w.p): w for w in windows() if w.size > 8 and w.taps == 3}
    assert len(sample) == 64
    for (s, d, p), window in sample.items():
        bound = cc.Contraction(CONVOLUTION, parameters="s d p").bind(s=s, d=d, p=p).grad(operand)
        for form in ("scatter", "gather"):
            before, after = getattr(bound, form), getattr(symbolic, form).bind(s=s, d=d, p=p)
            assert before == after
            assert str(before) == str(after)
        case = line(window)
        sizes = {name: n for name, n in case.values.items() if name.startswith("N_")}
        expected = (case.by_input, case.by_kernel)[operand]
        for formula, values in ((bound.sympy, sizes), (symbolic.sympy, case.values)):
            found = ours(formula, case.arrays, values)
            assert wrong(found, ["hk"[operand]], expected) == 0


def test_a_bound_formula_is_the_symbolic_one_with_numbers() -> None:
    # With a stride of one there is no congruence, without padding a condition always holds.
    h, k = (sympy.Symbol(name, integer=True) for name in "hk")
    symbolic = derived(CONVOLUTION, 0).sympy
    for s, d, p in product(range(2, 4), range(1, 3), range(1, 3)):
        bound = cc.Contraction(f"({s}*i+{d}*k-{p}), k -> i").grad(0).sympy
        numbers = {"s": s, "d": d, "p": p}
        put = {x: numbers[x.name] for x in symbolic.free_symbols if x.name in numbers}
        (one, where), _ = symbolic.function.args
        (other, there), _ = bound.function.args
        assert sympy.expand(one.xreplace(put) - other) == 0
        for at in product(range(-3, 7), range(4), range(1, 5)):
            point = {h: at[0], k: at[1], sympy.Symbol("N_i", integer=True, nonnegative=True): at[2]}
            assert where.subs(put).subs(point) == there.subs(point)


# --- a transposed convolution ----------------------------------------------------------------


def up(window: Window, size: int) -> Line:
    """A transposed convolution into ``size`` elements; the window's own size is its input's."""
    rng = random.Random(str(window))
    x, w, g = (numbers_for((n,), rng) for n in (window.size, window.taps, size))
    by_input, by_kernel = zeros((window.size,)), zeros((window.taps,))
    for i, k in product(range(window.size), range(window.taps)):
        if 0 <= (h := window.s * i + window.d * k - window.p) < size:
            by_input[i,] += g[h,] * w[k,]
            by_kernel[k,] += g[h,] * x[i,]
    return Line(window, {"X": x, "W": w, "G": g}, by_input, by_kernel)


def ups() -> Iterator[tuple[Line, int, int]]:
    """Transposed convolutions, the size they have by themselves, and the one that they get."""
    for s, d, p, taps, size in product(STRIDES, DILATIONS, PADDINGS, KERNELS, range(1, 7)):
        natural = s * (size - 1) + d * (taps - 1) + 1 - 2 * p
        for more in (0, 1, 3):
            if natural + more > 0:
                window = Window(s, d, p, taps, size)
                yield up(window, natural + more), natural, natural + more


@pytest.mark.parametrize("operand", [0, 1])
def test_the_formula_of_a_transposed_convolution_is_right_for_all_numbers(operand: int) -> None:
    formula = derived(TRANSPOSED, operand).sympy
    checked = 0
    for case, _, size in ups():
        w = case.window
        values = {**case.parameters, "N_i": w.size, "N_k": w.taps, "N_h": size}
        expected = (case.by_input, case.by_kernel)[operand]
        read = theirs if checked % 2 else ours
        assert wrong(read(formula, case.arrays, values), ["ik"[operand]], expected) == 0, values
        checked += 1
    assert checked == 4214


@pytest.mark.parametrize("operand", [0, 1])
def test_the_strings_of_a_transposed_convolution_are_right(operand: int) -> None:
    derivation = derived(TRANSPOSED, operand)
    forward = cc.Contraction(TRANSPOSED, parameters="s d p")
    assert derivation.gather == derivation.scatter
    for case, natural, size in list(ups())[::11]:
        w = case.window
        if natural > 0:
            assert forward.output_shape((w.size,), (w.taps,), **case.parameters) == (natural,)
        x, kernel, g = (
            array_of(case.arrays[name], (n,))
            for name, n in zip("XWG", (w.size, w.taps, size), strict=True)
        )
        other, shape = ((kernel, x.shape), (x, kernel.shape))[operand]
        found = derivation.gather.bind(**case.parameters)(g, other, output_shape=shape)
        assert found.tolist() == list((case.by_input, case.by_kernel)[operand].values())
        assert derivation(g, x, kernel, **case.parameters).tolist() == found.tolist()


# --- two dimensions, with channels -----------------------------------------------------------


class Layer(NamedTuple):
    """A convolution of two dimensions, with numbers in it."""

    rows: Window
    columns: Window
    batch: int
    inner: int
    outer: int

    @property
    def shapes(self) -> dict[str, Place]:
        """The shapes of input, kernel and cotangent."""
        y, x = self.rows, self.columns
        return {
            "X": (self.batch, y.size, x.size, self.inner),
            "W": (y.taps, x.taps, self.inner, self.outer),
            "G": (self.batch, y.positions, x.positions, self.outer),
        }

    @property
    def parameters(self) -> dict[str, int]:
        """The numbers of both axes by the names that the string has for them."""
        y, x = self.rows, self.columns
        return {"s": y.s, "d": y.d, "p": y.p, "t": x.s, "e": x.d, "q": x.p}

    @property
    def values(self) -> dict[str, int]:
        """The parameters, and the extents and sizes that occur in formulas."""
        shapes = self.shapes
        sizes = zip("bhwc", shapes["X"], strict=True), zip("klco", shapes["W"], strict=True)
        sizes_of = dict(pair for pairs in sizes for pair in pairs)
        sizes_of |= dict(zip("bijo", shapes["G"], strict=True))
        return {**self.parameters, **{f"N_{name}": n for name, n in sizes_of.items()}}

    def gradients(self, arrays: Mapping[str, Numbers]) -> tuple[Numbers, Numbers]:
        """Both gradients by the definition."""
        x, w, g = (arrays[name] for name in "XWG")
        by_input, by_kernel = zeros(self.shapes["X"]), zeros(self.shapes["W"])
        rest = positions_of((self.batch, self.inner, self.outer))
        points = product(self.rows.reads(), self.columns.reads(), list(rest))
        for (i, k, y), (j, m, z), (b, c, o) in points:
            by_input[b, y, z, c] += g[b, i, j, o] * w[k, m, c, o]
            by_kernel[k, m, c, o] += g[b, i, j, o] * x[b, y, z, c]
        return by_input, by_kernel


@cache
def layers() -> tuple[Layer, ...]:
    """Some hundred pairs of windows, one for each axis, drawn from those of the sweep."""
    rng = random.Random(20)
    small = [w for w in windows() if w.size <= 6 and w.taps <= 3]
    return tuple(
        Layer(rng.choice(small), rng.choice(small), *(rng.randint(1, 2) for _ in range(3)))
        for _ in range(300)
    )


def test_the_layers_have_axes_that_differ() -> None:
    assert len(set(layers())) == 300
    assert sum(layer.rows[:3] != layer.columns[:3] for layer in layers()) > 280
    assert {layer.rows.s for layer in layers()} == set(STRIDES)
    assert {layer.columns.d for layer in layers()} == set(DILATIONS)


@pytest.mark.parametrize("operand", [0, 1])
def test_the_formula_of_a_layer_is_right_in_two_dimensions(operand: int) -> None:
    formula = derived(LAYER, operand).sympy
    checked = 0
    for number, layer in enumerate(layers()):
        rng = random.Random(number)
        arrays = {name: numbers_for(shape, rng) for name, shape in layer.shapes.items()}
        expected = layer.gradients(arrays)[operand]
        readers = (ours, theirs) if number % 6 == 0 else (ours,)
        for read in readers:
            found = read(formula, arrays, layer.values)
            assert wrong(found, ("bhwc", "klco")[operand], expected) == 0, (read.__name__, layer)
        checked += len(expected)
    assert checked == sum(prod(layer.shapes["XW"[operand]]) for layer in layers())


@pytest.mark.parametrize("operand", [0, 1])
def test_the_strings_of_a_layer_are_right_in_two_dimensions(operand: int) -> None:
    derivation = derived(LAYER, operand)
    for number, layer in enumerate(layers()):
        rng = random.Random(number)
        arrays = {name: numbers_for(shape, rng) for name, shape in layer.shapes.items()}
        expected = layer.gradients(arrays)[operand]
        x, w, g = (array_of(arrays[name], layer.shapes[name]) for name in "XWG")
        other, shape = ((w, x.shape), (x, w.shape))[operand]
        extents = {"i": layer.rows.positions, "j": layer.columns.positions}
        for form in (derivation.gather, derivation.scatter):
            bound = form.bind(**layer.parameters)
            found = bound(g, other, output_shape=shape, **known(bound, **extents))
            assert found.ravel().tolist() == list(expected.values()), (str(form), layer)
        if number % 5 == 0:
            found = derivation(g, x, w, **layer.parameters)
            assert found.ravel().tolist() == list(expected.values()), layer


@pytest.mark.parametrize("operand", [0, 1])
def test_a_layer_is_bound_before_or_after_deriving(operand: int) -> None:
    forward = cc.Contraction(LAYER, parameters=PARAMETERS[LAYER])
    symbolic = forward.grad(operand)
    for layer in layers()[::3]:
        bound = forward.bind(**layer.parameters).grad(operand)
        assert bound.scatter == symbolic.scatter.bind(**layer.parameters)
        assert bound.gather == symbolic.gather.bind(**layer.parameters)


# --- conditions that are left out ------------------------------------------------------------


def test_conditions_are_left_out_only_where_the_extent_rule_makes_them_idle() -> None:
    forward = cc.Contraction("(i+k), (j+k), (i+j), k -> i j")
    shapes = {"T0": (5,), "T1": (5,), "T2": (3,), "T3": (2,)}
    extents = forward.extents(*shapes.values())
    assert extents == {"i": 4, "j": 4, "k": 2}
    rng = random.Random(0)
    arrays = {name: numbers_for(shape, rng) for name, shape in shapes.items()}
    arrays["G"] = numbers_for((4, 4), rng)
    expected = zeros((2,))
    for i, j, k in product(range(4), range(4), range(2)):
        if i + j < 3:
            terms = arrays["G"][i, j], arrays["T0"][i + k,], arrays["T1"][j + k,]
            expected[k,] += prod(terms) * arrays["T2"][i + j,]
    sizes = {f"N_{name}": n for name, n in extents.items()}
    positions = {f"N_{name}": size for name, size in zip("hwd", (5, 5, 3), strict=True)}
    found = ours(forward.grad(3).sympy, arrays, {**sizes, **positions})
    assert wrong(found, ["k"], expected) == 0


# --- the reader itself -----------------------------------------------------------------------


def test_the_second_evaluator_notices_a_missing_condition() -> None:
    formula = derived(CONVOLUTION, 0).sympy
    (term, condition), _ = formula.function.args
    assert isinstance(condition, sympy.And)
    seen = 0
    for dropped in condition.args:
        rest = sympy.And(*(c for c in condition.args if c != dropped))
        weaker = sympy.Sum(
            sympy.Piecewise((term, rest), (0, True), evaluate=False), *formula.limits
        )
        for window in (Window(2, 1, 0, 4, 9), Window(3, 3, 0, 2, 12)):
            case = line(window)
            try:
                seen += wrong(ours(weaker, case.arrays, case.values), ["h"], case.by_input) > 0
            except KeyError:
                seen += 1
    assert seen == 2 * len(condition.args)


# --- why sympy does not eliminate the deltas -------------------------------------------------


def _sums_of_sympy() -> Iterator[tuple[Window, int, Any]]:
    """81 backward sums: stride, dilation, positions and taps from 1 to 3, padding 1."""
    h, i, k = (sympy.Symbol(name, integer=True) for name in "hik")
    g, w = sympy.IndexedBase("G"), sympy.IndexedBase("W")
    for s, d, positions, taps in product(range(1, 4), repeat=4):
        size = max(1, s * (positions - 1) + d * (taps - 1) + 1 - 2)
        delta = sympy.KroneckerDelta(h, s * i + d * k - 1)
        total = sympy.Sum(g[i] * w[k] * delta, (i, 0, positions - 1), (k, 0, taps - 1))
        yield Window(s, d, 1, taps, size), positions, total


def _expected(window: Window, positions: int, h: int) -> Counter[tuple[int, int]]:
    points = product(range(positions), range(window.taps))
    return Counter((i, k) for i, k in points if window.s * i + window.d * k - window.p == h)


def _terms(value: Any) -> Counter[tuple[Any, Any]]:
    """Which elements are multiplied and added up, by their positions."""
    terms: Counter[tuple[Any, Any]] = Counter()
    for summand in sympy.Add.make_args(sympy.expand(value)):
        at = {x.base.label.name: x.indices[0] for x in summand.atoms(sympy.Indexed)}
        if at:
            terms[at["G"], at["W"]] += 1
    return terms


def test_sympy_forgets_that_a_quotient_must_be_whole() -> None:
    h = sympy.Symbol("h", integer=True)
    wrong_cases, total, excess = 0, 0, Counter[bool]()
    for window, positions, summed in _sums_of_sympy():
        eliminated = summed.doit()
        differs = False
        for at in range(window.size):
            found = _terms(eliminated.subs(h, at))
            expected = _expected(window, positions, at)
            differs |= found != expected
            # What is right is always there; what is too much are elements between two elements.
            assert not expected - found
            for place in found - expected:
                excess[all(position.is_Integer for position in place)] += 1
        wrong_cases += differs
        total += 1
    assert total == 81
    assert set(excess) <= {False}
    assert wrong_cases == 48, (
        f"sympy {sympy.__version__} gets {wrong_cases} of {total} sums wrong, 1.14 got 48. If "
        "it is none, sympy can eliminate the deltas itself: this is no reason any more for an "
        "elimination of our own, which then need not be examined again."
    )


def test_our_formula_is_right_where_sympy_is_wrong() -> None:
    formula = derived(CONVOLUTION, 0).sympy
    checked = 0
    for window, positions, _ in _sums_of_sympy():
        rng = random.Random(checked)
        g, w = numbers_for((positions,), rng), numbers_for((window.taps,), rng)
        values = {"s": window.s, "d": window.d, "p": 1, "N_i": positions, "N_k": window.taps}
        expected: Numbers = {
            (h,): sum(g[i,] * w[k,] for i, k in _expected(window, positions, h))
            for h in range(window.size)
        }
        for read in (ours, theirs):
            assert wrong(read(formula, {"G": g, "W": w}, values), ["h"], expected) == 0, values
        checked += 1
    assert checked == 81
