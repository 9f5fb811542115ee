"""The evaluator of formulas: every kind of node, nothing read in vain, nothing unknown."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
import sympy

from contractconv.calculus.evaluation import evaluator

h, i, j, k, n = (sympy.Symbol(name, integer=True) for name in "hijkn")
G, W = sympy.IndexedBase("G"), sympy.IndexedBase("W")
ROW = {(0,): 5, (1,): 7, (2,): 11}
TABLE = {(0, 0): 1, (0, 1): 2, (1, 0): 3, (1, 1): 4}
ARRAYS: dict[str, Mapping[Any, Any]] = {"G": ROW, "W": TABLE}


class Watched(dict[Any, Any]):
    """An array that remembers what was read."""

    def __init__(self, numbers: Mapping[Any, Any]) -> None:
        super().__init__(numbers)
        self.read: list[Any] = []

    def __getitem__(self, place: Any) -> Any:
        self.read.append(place)
        return super().__getitem__(place)


def value(formula: Any, /, **values: Any) -> Any:
    return evaluator(sympy.sympify(formula), ARRAYS)(values)


def guarded(expression: Any, condition: Any, otherwise: Any = 0) -> Any:
    pieces = (expression, condition), (otherwise, True)
    return sympy.Piecewise(*pieces, evaluate=False)


def relation(kind: Any, left: Any, right: Any) -> Any:
    return kind(left, right, evaluate=False)


# --- every kind of node ----------------------------------------------------------------------

NODES = [
    ("an integer", sympy.Integer(3), {}, 3),
    ("zero", sympy.Integer(0), {}, 0),
    ("minus one", sympy.Integer(-1), {}, -1),
    ("a fraction", sympy.Rational(1, 2), {}, Fraction(1, 2)),
    ("a negative fraction", sympy.Rational(-7, 3), {}, Fraction(-7, 3)),
    ("a symbol", n, {"n": 4}, 4),
    ("an element", G[1], {}, 7),
    ("an element at a symbol", G[n], {"n": 2}, 11),
    ("an element at an expression", G[2 * n - 4], {"n": 3}, 11),
    ("an element at a fraction that is whole", G[n / 2], {"n": 4}, 11),
    ("an element of a table", W[n, 1 - n], {"n": 1}, 3),
    ("a sum of terms", n + k + 1, {"n": 2, "k": 3}, 6),
    ("a difference", n - k, {"n": 2, "k": 3}, -1),
    ("a product", 2 * n * k, {"n": 2, "k": 3}, 12),
    ("a quotient", n / k, {"n": 1, "k": 3}, Fraction(1, 3)),
    ("a power", n**3, {"n": -2}, -8),
    ("a negative power", n**-2, {"n": 2}, Fraction(1, 4)),
    ("a remainder", sympy.Mod(n, k), {"n": 7, "k": 3}, 1),
    ("a remainder of a negative number", sympy.Mod(n, k), {"n": -7, "k": 3}, 2),
    ("a delta that is one", sympy.KroneckerDelta(n, k), {"n": 2, "k": 2}, 1),
    ("a delta that is zero", sympy.KroneckerDelta(n, k), {"n": 2, "k": 3}, 0),
    ("true", sympy.true, {}, True),
    ("false", sympy.false, {}, False),
    ("equal", sympy.Eq(n, k), {"n": 2, "k": 2}, True),
    ("not equal", sympy.Eq(n, k), {"n": 2, "k": 1}, False),
    ("at least", n >= k, {"n": 2, "k": 2}, True),
    ("not at least", n >= k, {"n": 1, "k": 2}, False),
    ("greater", n > k, {"n": 3, "k": 2}, True),
    ("not greater", n > k, {"n": 2, "k": 2}, False),
    ("at most", n <= k, {"n": 2, "k": 2}, True),
    ("not at most", n <= k, {"n": 3, "k": 2}, False),
    ("less", n < k, {"n": 1, "k": 2}, True),
    ("not less", n < k, {"n": 2, "k": 2}, False),
    ("both", sympy.And(n > 0, k > 0), {"n": 1, "k": 1}, True),
    ("not both", sympy.And(n > 0, k > 0), {"n": 1, "k": 0}, False),
    ("a number compared as it stands", relation(sympy.Ge, 0, 0), {}, True),
    ("a false number as it stands", relation(sympy.Lt, 3, 2), {}, False),
    ("the first piece", guarded(n, n > 0, 9), {"n": 4}, 4),
    ("the last piece", guarded(n, n > 0, 9), {"n": -4}, 9),
    ("a range", sympy.Sum(k, (k, 0, 3)), {}, 6),
    ("a range up to a symbol", sympy.Sum(k, (k, 0, n - 1)), {"n": 4}, 6),
    ("a range of elements", sympy.Sum(G[k], (k, 0, 2)), {}, 23),
    ("two ranges", sympy.Sum(W[i, j], (i, 0, 1), (j, 0, 1)), {}, 10),
    ("an inner range that depends", sympy.Sum(i, (i, 0, j), (j, 0, 3)), {}, 10),
    ("a range of ranges", sympy.Sum(j * sympy.Sum(i, (i, 0, j)), (j, 1, 2)), {}, 7),
    ("a range that starts later", sympy.Sum(k, (k, 2, 3)), {}, 5),
    ("an empty range", sympy.Sum(G[k], (k, 0, n - 1)), {"n": 0}, 0),
    ("a range times a number", 3 * sympy.Sum(G[k], (k, 0, 2)), {}, 69),
    ("a range over a number", sympy.Sum(G[k], (k, 0, 2)) / n, {"n": 2}, Fraction(23, 2)),
]


@pytest.mark.parametrize(
    ("formula", "values", "expected"), [row[1:] for row in NODES], ids=[row[0] for row in NODES]
)
def test_each_node_has_its_value(formula: Any, values: dict[str, int], expected: Any) -> None:
    assert evaluator(formula, ARRAYS)(values) == expected


def test_each_kind_of_node_is_in_the_table() -> None:
    from contractconv.calculus.evaluation import _KINDS

    seen = {type(node) for _, formula, _, _ in NODES for node in sympy.preorder_traversal(formula)}
    for kind in _KINDS:
        assert any(issubclass(node, kind) for node in seen), kind


def test_integers_stay_integers_and_fractions_stay_exact() -> None:
    assert type(value(sympy.Integer(3))) is int
    assert type(value(n + 1, n=2)) is int
    large = 10**40 + 1
    assert value(n * n - 1, n=large) == large * large - 1
    assert value(n / 3, n=large) == Fraction(large, 3)


def test_numbers_of_any_kind_may_be_elements() -> None:
    numbers = {(0,): Fraction(1, 3), (1,): 0.5, (2,): 2}
    assert evaluator(G[k] * 3, {"G": numbers})({"k": 0}) == 1
    assert evaluator(G[k] * 3, {"G": numbers})({"k": 1}) == 1.5


def test_a_scalar_is_a_symbol_that_names_an_array() -> None:
    scalar = sympy.Symbol("X")
    assert evaluator(scalar * n, {"X": {(): 6}})({"n": 7}) == 42


def test_names_count_and_not_what_is_assumed_of_them() -> None:
    other = sympy.Symbol("n", positive=True)
    assert value(other + n, n=3) == 6


def test_a_summed_index_hides_one_of_the_same_name() -> None:
    assert value(k + sympy.Sum(k, (k, 0, 2)), k=10) == 13


def test_an_evaluator_is_prepared_once_and_used_often() -> None:
    square = evaluator(n * n, {})
    assert [square({"n": number}) for number in range(4)] == [0, 1, 4, 9]


def test_values_that_are_not_asked_for_do_no_harm() -> None:
    assert value(n, n=1, m=2, N_i=3) == 1


def test_the_values_that_are_passed_are_not_changed() -> None:
    values = {"n": 3}
    evaluator(sympy.Sum(k, (k, 0, n)), {})(values)
    assert values == {"n": 3}


# --- nothing is read in vain -----------------------------------------------------------------


def test_nothing_is_read_where_a_condition_does_not_hold() -> None:
    array = Watched(ROW)
    found = evaluator(guarded(G[k], sympy.And(k >= 0, k < 3)), {"G": array})
    assert [found({"k": at}) for at in range(-2, 5)] == [0, 0, 5, 7, 11, 0, 0]
    assert array.read == [(0,), (1,), (2,)]


def test_nothing_is_read_between_two_elements() -> None:
    array = Watched(ROW)
    whole = sympy.Eq(sympy.Mod(h, 2, evaluate=False), 0, evaluate=False)
    found = evaluator(guarded(G[h / 2], whole), {"G": array})
    assert [found({"h": at}) for at in range(5)] == [5, 0, 7, 0, 11]
    assert array.read == [(0,), (1,), (2,)]


def test_nothing_is_read_where_a_delta_is_zero() -> None:
    array = Watched(ROW)
    found = evaluator(G[k] * sympy.KroneckerDelta(n, 2 * k) * 3, {"G": array})
    assert [found({"n": 4, "k": at}) for at in range(-1, 9)] == [0, 0, 0, 33, 0, 0, 0, 0, 0, 0]
    assert array.read == [(2,)]


def test_every_delta_of_a_product_counts() -> None:
    delta = sympy.KroneckerDelta
    array = Watched(TABLE)
    total = sympy.Sum(W[i, j] * delta(h, i) * delta(n, j), (i, 0, 5), (j, 0, 5))
    assert evaluator(total, {"W": array})({"h": 1, "n": 0}) == 3
    assert array.read == [(1, 0)]


def test_only_the_piece_that_is_chosen_is_looked_at() -> None:
    array = Watched(ROW)
    either = guarded(G[k], k < 3, G[k - 3])
    found = evaluator(either, {"G": array})
    assert [found({"k": at}) for at in (2, 3)] == [11, 5]
    assert array.read == [(2,), (0,)]


def test_a_later_condition_is_not_looked_at_once_one_fails() -> None:
    array = Watched(ROW)
    both = sympy.And(sympy.Ge(G[k], 0), sympy.Ge(W[k, k], 0))
    first, second = both.args
    assert (first.lhs.base, second.lhs.base) == (G, W)
    found = evaluator(both, {"G": {(0,): -1, (1,): 1}, "W": array})
    assert found({"k": 0}) is False
    assert array.read == []
    with pytest.raises(KeyError):
        found({"k": 1})
    assert array.read == [(1, 1)]


def test_nothing_is_read_in_an_empty_range() -> None:
    array = Watched({})
    assert evaluator(sympy.Sum(G[k], (k, 0, n - 1)), {"G": array})({"n": 0}) == 0
    assert array.read == []


# --- what does not exist ---------------------------------------------------------------------


@pytest.mark.parametrize("place", [-1, 3, 100])
def test_elements_that_do_not_exist_are_an_error(place: int) -> None:
    with pytest.raises(KeyError) as error:
        value(G[n], n=place)
    assert error.value.args == ((place,),)


def test_negative_positions_do_not_count_from_the_end() -> None:
    with pytest.raises(KeyError):
        value(W[n, 0], n=-1)


def test_there_is_no_element_between_two() -> None:
    with pytest.raises(KeyError) as error:
        value(G[n / 2], n=1)
    assert error.value.args == ((Fraction(1, 2),),)


def test_an_element_is_looked_at_even_if_another_factor_is_zero() -> None:
    # A product with a zero is no condition: what is read must be there.
    with pytest.raises(KeyError):
        value(G[n] * k, n=7, k=0)


def test_an_array_that_was_not_given_is_an_error() -> None:
    with pytest.raises(KeyError, match="Z"):
        value(sympy.IndexedBase("Z")[0])


def test_a_symbol_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="n"):
        value(n + 1)


# --- what is not known -----------------------------------------------------------------------

x = sympy.Symbol("x")
UNKNOWN = [
    sympy.Float(0.5),
    sympy.pi,
    sympy.oo,
    sympy.nan,
    sympy.I,
    sympy.sin(x),
    sympy.floor(x / 2),
    sympy.Abs(x),
    sympy.Max(x, 2),
    sympy.Ne(x, 2),
    sympy.Or(x > 2, x < 0),
    sympy.Not(sympy.Eq(x, 2)),
    sympy.Product(x, (k, 0, 2)),
    sympy.Function("f")(x),
    sympy.IndexedBase("G"),
    sympy.Tuple(x, 1),
]


@pytest.mark.parametrize("formula", UNKNOWN, ids=str)
def test_unknown_nodes_are_refused(formula: Any) -> None:
    with pytest.raises(TypeError, match="no value of"):
        evaluator(formula, ARRAYS)


@pytest.mark.parametrize(
    "around",
    [
        lambda f: f + 1,
        lambda f: 2 * f,
        lambda f: sympy.Sum(f, (k, 0, 2)),
        lambda f: sympy.Sum(k, (k, 0, f)),
        lambda f: guarded(f, n > 0),
        lambda f: guarded(1, f > 0),
        lambda f: G[f],
        lambda f: sympy.KroneckerDelta(f, n),
        lambda f: sympy.Mod(n, f, evaluate=False),
    ],
)
def test_unknown_nodes_are_refused_wherever_they_stand(around: Any) -> None:
    with pytest.raises(TypeError, match="no value of sin: sin"):
        evaluator(around(sympy.sin(x)), ARRAYS)


def test_a_formula_is_refused_before_it_is_used() -> None:
    # The unknown node stands where no value would ever lead.
    with pytest.raises(TypeError, match="no value of sin"):
        evaluator(guarded(sympy.sin(x), relation(sympy.Gt, 0, 1)), {})
