"""A reduction that the package does not know is added by one record, and used everywhere."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import sympy
from reference import reference

import contractconv as cc
from contractconv.cli import main
from contractconv.display.diagram import diagram
from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.pooling.forward import is_pooling
from contractconv.notation.extents import resolve
from contractconv.reductions.record import Function, Local, Record
from contractconv.reductions.table import REDUCTIONS, SUM, register, unregister

if TYPE_CHECKING:
    import torch

# --- the record, as somebody else would write it -----------------------------------------------


def at_once(values: Any, axes: tuple[int, ...], total: Any) -> Any:
    return np.sqrt(total(values * values, axes))


def derivative(values: Any, valid: Any, total: Any) -> Any:
    values = np.where(valid, values, 0)
    norm = at_once(values, (0,), total)
    return values / np.where(norm == 0, 1, norm)


def change(values: Any, changes: Any, valid: Any) -> Any:
    values = np.where(valid, values, 0)
    norm = np.sqrt((values * values).sum(0))
    norm = np.where(norm == 0, 1, norm)
    unit = values / norm
    return (changes - unit * (unit * changes).sum(0)) / norm


def exact(values: list[Any]) -> list[Any]:
    return [value / sqrt(sum(v * v for v in values)) for value in values]


def definition(values: list[Any]) -> float:
    return sqrt(sum(value * value for value in values))


def portable(library: Any, array: Any, axes: tuple[int, ...]) -> Any:
    return library.reductions["add"](array * array, axes) ** 0.5


def source(writer: Any, array: str, axes: tuple[int, ...]) -> str:
    floats = writer.lines.new("floats", f"1.0 * {array}")
    squares = writer.dialect.total(f"({floats} * {floats})", axes) if axes else f"{floats} ** 2"
    return str(writer.dialect.call("sqrt", squares))


def source_of_derivative(writer: Any, values: str, variable: str) -> None:
    lines, dialect = writer.lines, writer.dialect
    lines.assign(variable, f"1.0 * {values}")
    squares = f"({variable} * {variable})"
    squares = dialect.total(squares, writer.last, keep=True) if writer.last else squares
    norm = lines.new("norm", dialect.call("sqrt", squares))
    lines.assign(variable, f"{variable} / {dialect.call('where', f'{norm} == 0', '1', norm)}")


NORM = Record(
    "norm", 0, "hypot", SUM, "norm", ordered=True, exact=False, keeps_one=False,
    outside=Function("√(%s)", r"\sqrt{%s}", "<msqrt>%s</msqrt>", sympy.sqrt),
    inside=Function("(%s)²", "(%s)^2", "<msup><mrow>%s</mrow><mn>2</mn></msup>", lambda x: x**2),
    at_once=at_once, portable=portable, definition=definition, source=source,
    local=Local(
        "P", "each point over the norm", derivative, exact, source_of_derivative, change,
        "(v - P · Σ P·v) / Y, with v the change of a point's product",
    ),
)  # fmt: skip
BARE = Record("bare", 0, "hypot", SUM, "norm", ordered=True, exact=False, at_once=at_once,
              keeps_one=False)  # fmt: skip


@pytest.fixture(autouse=True)
def norm() -> Iterator[None]:
    register(NORM)
    yield
    unregister("norm")


def contraction(spec: str, parameters: str = "", reduce: str = "norm") -> cc.Contraction:
    return cc.Contraction(spec, cast("Any", reduce), parameters)


# --- what it should give, by torch -------------------------------------------------------------

Forward = Callable[..., "torch.Tensor"]


def windows(x: torch.Tensor) -> torch.Tensor:
    import torch

    padded = torch.nn.functional.pad(x, (0, 0, 1, 1))
    return (padded.unfold(1, 3, 2) ** 2).sum(-1).sqrt()


def product(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return ((x[:, :, None] * w[None]) ** 2).sum(1).sqrt()


def scatter(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    import torch

    rows = [torch.zeros(2 * len(x) + len(w) - 2, dtype=x.dtype) for _ in range(len(x) * len(w))]
    parts = torch.stack(rows).index_put(
        (torch.arange(len(x) * len(w)),
         (2 * torch.arange(len(x))[:, None] + torch.arange(len(w))).ravel()),
        torch.outer(x, w).ravel(),
    )  # fmt: skip
    return torch.where(
        (parts != 0).any(0), torch.linalg.vector_norm(parts.double(), dim=0), 0.0
    ).to(x.dtype)


CASES: dict[str, tuple[str, tuple[tuple[int, ...], ...], dict[str, Any], Forward]] = {
    "axes": ("b h w -> b", ((2, 3, 4),), {}, lambda x: (x**2).sum((1, 2)).sqrt()),
    "middle": ("b h w -> w b", ((2, 3, 4),), {}, lambda x: (x**2).sum(1).sqrt().T),
    "windows": ("b (2*i+k-1) c -> b i c", ((2, 7, 3),), {"k": 3}, windows),
    "products": ("i j, j k -> i k", ((3, 4), (4, 5)), {}, product),
    "scatter": ("i, k -> (2*i+k)", ((4,), (3,)), {}, scatter),
    "one": ("i j -> i j", ((3, 4),), {}, lambda x: x.abs()),
    "whole": ("(h w) -> w", ((6,),), {"h": 2}, lambda x: (x.reshape(2, 3) ** 2).sum(0).sqrt()),
}
every = pytest.mark.parametrize("name", CASES)


def arrays(shapes: tuple[tuple[int, ...], ...], dtype: Any = np.float64) -> list[Any]:
    rng = np.random.default_rng(0)
    return [(rng.integers(1, 5, s) * rng.choice([-1, 1], s)).astype(dtype) for s in shapes]


def tensors(operands: list[Any]) -> list[torch.Tensor]:
    torch = pytest.importorskip("torch")
    return [torch.tensor(np.asarray(x, np.float64), requires_grad=True) for x in operands]


def gradients(result: torch.Tensor, given: list[torch.Tensor], cotangent: Any) -> Any:
    """What may be differentiated again; ``None`` by what the result does not depend on."""
    import torch

    return torch.autograd.grad(
        result, given, torch.tensor(cotangent), create_graph=True, allow_unused=True
    )


# --- everywhere --------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("compiled", [False, True], ids=["numpy", "kernels"])
@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "int64", "uint8", "bool"]
)
def test_it_is_called(
    name: str, dtype: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, shapes, extents, forward = CASES[name]
    if not compiled:
        monkeypatch.setattr(native, "available", lambda: False)
    operands = [abs(x).astype(dtype) if dtype[0] in "ub" else x for x in arrays(shapes, dtype)]
    made = contraction(spec)(*operands, **extents)
    assert made.dtype == (dtype if dtype.startswith("float") else "float64")
    expected = forward(*tensors(operands)).detach().numpy()
    np.testing.assert_allclose(made, expected, rtol=4 * np.finfo(made.dtype).eps)
    ready = contraction(spec).compile(*shapes, dtype=dtype, **extents)
    np.testing.assert_array_equal(ready(*operands), made)


@every
@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_every_engine_has_it(name: str, library: str) -> None:
    spec, shapes, extents, forward = CASES[name]
    operands = arrays(shapes)
    problem = resolve(contraction(spec)._spec, shapes, extents)
    made = np.asarray(reference(problem, [converted(library)(x) for x in operands]))
    expected = forward(*tensors(operands)).detach().numpy()
    np.testing.assert_allclose(made, expected, rtol=1e-6)


def test_large_arrays_take_kernels_or_not() -> None:
    x = np.random.default_rng(0).normal(size=(4, 60, 60, 8))
    made = contraction("b (2*i+k) (2*j+l) c -> b i j c")(x, k=2, l=2)
    blocks = x.reshape(4, 30, 2, 30, 2, 8)
    np.testing.assert_allclose(made, np.sqrt((blocks**2).sum((2, 4))), rtol=1e-15)
    strided = contraction("b c -> c")(x[::-2, ::7, 0, ::-1].reshape(-1, 8))
    expected = np.linalg.norm(x[::-2, ::7, 0, ::-1].reshape(-1, 8), axis=0)
    np.testing.assert_allclose(strided, expected, rtol=1e-15)


def test_complex_numbers_have_no_order() -> None:
    with pytest.raises(cc.ReductionError, match="reduce='norm' needs numbers with an order"):
        contraction("i ->")(np.ones(2, complex))


def test_nothing_has_the_norm_zero() -> None:
    assert contraction("i j -> j")(np.ones((0, 3))).tolist() == [0.0] * 3
    assert contraction("(i+k-4) -> i")(np.ones(3), k=2, i=1).tolist() == [0.0]


@every
def test_it_keeps_a_memory_limit(name: str) -> None:
    spec, shapes, extents, _ = CASES[name]
    operands = arrays(shapes)
    made = contraction(spec)(*operands, memory_limit=700, **extents)
    np.testing.assert_allclose(made, contraction(spec)(*operands, **extents), rtol=1e-14)


@every
def test_its_gradient_is_that_of_torch(name: str) -> None:
    spec, shapes, extents, forward = CASES[name]
    operands = arrays(shapes)
    given = tensors(operands)
    result = forward(*given)
    g = np.random.default_rng(1).normal(size=result.shape)
    expected = gradients(result, given, g)
    for n, gradient in enumerate(expected):
        made = contraction(spec).grad(n)(g, *operands, **extents)
        np.testing.assert_allclose(made, gradient.numpy(force=True), rtol=1e-12, atol=1e-12)


@every
def test_its_second_derivative_is_that_of_torch(name: str) -> None:
    spec, shapes, extents, forward = CASES[name]
    operands = arrays(shapes)
    g = np.random.default_rng(1).normal(size=forward(*tensors(operands)).shape)
    for n in range(len(shapes)):
        v = np.random.default_rng(2).normal(size=shapes[n])
        given = tensors(operands)
        (first,) = gradients(forward(*given), [given[n]], g)
        if not first.requires_grad:  # of an absolute value it is constant
            continue
        expected = gradients(first, given, v)
        by = {second.by: second for second in contraction(spec).grad(n).seconds}
        for letter, wanted in zip("XWZ", expected, strict=False):
            made = by[letter](v, g, *operands, **extents)
            want = np.zeros(made.shape) if wanted is None else wanted.numpy(force=True)
            np.testing.assert_allclose(made, want, rtol=1e-11, atol=1e-11)


def test_it_is_written_in_every_script() -> None:
    pool = contraction("(2*i+k) -> i")
    assert sympy.latex(pool.sympy).count("sqrt") == 1
    assert pool.latex() == r"Y_{i} = \sqrt{\sum_{k} (X_{2i+k})^2}"
    assert "<msqrt><munder><mo>∑</mo>" in pool.mathml()
    assert str(pool.formula) == "Y[i] = √(Σ_{k} (X[2i+k])²)"
    alone = contraction("i -> i")
    assert str(alone.formula) == "Y[i] = √((X[i])²)"
    assert alone.sympy == sympy.sqrt(sympy.Indexed("X", sympy.Symbol("i", integer=True)) ** 2)
    gradient = pool.grad(0)
    assert str(gradient) == "i, i k -> (2*i+k)"
    assert gradient.steps[0].name == "linearise"
    assert "P times as much, each point over the norm;" in gradient.steps[0].sentence


@every
def test_it_is_verified(name: str) -> None:
    spec, shapes, _, _ = CASES[name]
    for n in range(len(shapes)):
        certificate = contraction(spec).grad(n).verify()
        assert not any(check.exact for check in certificate.checks)
        contraction(spec).jvp(n).verify()


def test_a_wrong_derivative_is_noticed() -> None:
    def wrong(values: Any, valid: Any, total: Any) -> Any:
        return 2 * derivative(values, valid, total)

    register(replace(NORM, name="wrong", local=Local("P", "wrong", wrong, exact)))
    try:
        with pytest.raises(cc.CertificateError, match="brute force"):
            contraction("(2*i+k) -> i", reduce="wrong").grad(0).verify()
    finally:
        unregister("wrong")


def test_it_is_explained() -> None:
    pool = contraction("b (2*i+k) c -> b i c")
    explanation = pool.explain((2, 6, 3), k=2)
    text = str(explanation)
    assert "k is not in the result, so the norm over it is taken." in text
    assert "Each of its 18 elements is the norm of 2." in text
    assert "P is each point over the norm." in text
    assert "G[b, i, c]" in text
    assert "<msqrt>" in explanation.html()
    assert json.loads(json.dumps(explanation.as_dict()))["reduce"] == "norm"
    assert ">norm<" in diagram(pool._spec, ["X"], "Y")
    assert "norm over k" in str(pool.plan((2, 6, 3), k=2))


@every
@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_its_source_runs(name: str, library: str) -> None:
    spec, shapes, extents, forward = CASES[name]
    operands = arrays(shapes)
    given = tensors(operands)
    result = forward(*given)
    g = np.random.default_rng(1).normal(size=result.shape)
    expected = gradients(result, given, g)
    run = run_in(library)
    made = run(contraction(spec).code(cast("Any", library)), "forward", operands, extents)
    np.testing.assert_allclose(made, result.detach().numpy(), rtol=1e-5)
    for n, gradient in enumerate(expected):
        text = contraction(spec).grad(n).code(cast("Any", library))
        made = run(text, "gradient", [g, *operands], extents)
        np.testing.assert_allclose(made, gradient.numpy(force=True), rtol=1e-5, atol=1e-6)


def converted(library: str) -> Callable[[Any], Any]:
    """What makes arrays of a library; skips where it is not installed."""
    if library == "torch":
        return cast("Callable[[Any], Any]", pytest.importorskip("torch").tensor)
    module = np if library == "numpy" else pytest.importorskip("jax.numpy")
    return cast("Callable[[Any], Any]", module.asarray)


def run_in(library: str) -> Callable[..., Any]:
    convert = converted(library)

    def run(text: str, name: str, operands: list[Any], extents: dict[str, int]) -> Any:
        module: dict[str, Any] = {}
        exec(text, module)
        keywords = module[name].__kwdefaults__ or {}
        code = module[name].__code__
        taken = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        wanted = {word: extents[word] for word in taken if word not in keywords}
        return np.asarray(module[name](*map(convert, operands), **wanted))

    return run


def test_it_is_listed_where_a_name_is_wrong() -> None:
    with pytest.raises(cc.ReductionError, match=r"choose one of sum, .*, logsumexp, norm$"):
        contraction("i ->", reduce="avg")


def test_the_command_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert not main(["explain", "(2*i+k) -> i", "--reduce", "norm"])
    assert "√(Σ_{k} (X[2i+k])²)" in capsys.readouterr().out


def test_it_travels() -> None:
    pool = contraction("(2*i+k) -> i")
    again = pickle.loads(pickle.dumps(pool))
    assert again == pool
    assert again(np.array([3.0, 4.0]), k=2).tolist() == [5.0]


def test_it_does_not_arrive_where_nobody_knows_it() -> None:
    stored = pickle.dumps(contraction("(2*i+k) -> i")).hex()
    code = f"import pickle; pickle.loads(bytes.fromhex('{stored}'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ReductionError: unknown reduction 'norm'" in run.stderr


def test_what_chooses_extremes_has_their_kernels() -> None:
    register(replace(REDUCTIONS["max"], name="greatest"))
    try:
        x = np.random.default_rng(0).integers(0, 9, (4, 60, 60, 8)).astype(np.float32)
        spec = "b (2*i+k-1) (2*j+l-1) c -> b i j c"
        new, known = contraction(spec, reduce="greatest"), contraction(spec, reduce="max")
        assert is_pooling(resolve(new._spec, [x.shape], {"k": 3, "l": 3}))
        made, expected = new(x, k=3, l=3), known(x, k=3, l=3)
        np.testing.assert_array_equal(made, expected)
        first, second = (each.grad(0)(made, x, k=3, l=3) for each in (new, known))
        np.testing.assert_array_equal(first, second)
    finally:
        unregister("greatest")


# --- what a record lacks -----------------------------------------------------------------------


@pytest.fixture
def bare() -> Iterator[cc.Contraction]:
    register(BARE)
    yield contraction("(2*i+k) -> i", reduce="bare")
    unregister("bare")


def test_what_a_record_lacks_is_refused(bare: cc.Contraction) -> None:
    x = np.array([3.0, 4.0])
    assert bare(x, k=2).tolist() == [5.0]
    assert str(bare.formula) == "Y[i] = Σ_{k} X[2i+k]"
    for asked in (str, lambda d: d(np.ones(1), x, k=2), lambda d: d.verify()):
        with pytest.raises(cc.ReductionError, match="reduce='bare' has no derivative"):
            asked(bare.grad(0))
    with pytest.raises(cc.ReductionError, match="reduce='bare' has no source"):
        bare.code("numpy")
    with pytest.raises(cc.ReductionError, match="reduce='bare' has no derivative"):
        bare.explain((2,), k=2)
    with pytest.raises(cc.ReductionError, match="reduce='bare' has no portable way"):
        reference(resolve(bare._spec, [(2,)], {"k": 2}), [x])
    assert "bare over k" in str(bare.plan((2,), k=2))


def test_a_second_derivative_may_be_missing() -> None:
    local = Local("P", "each point over the norm", derivative, exact)
    register(replace(NORM, name="once", local=local))
    try:
        gradient = contraction("i ->", reduce="once").grad(0)
        assert gradient(np.array(1.0), np.array([3.0, 4.0])).tolist() == [0.6, 0.8]
        assert gradient.seconds[1].formula.endswith("Q being the change along V of each point "
                                                    "over the norm")  # fmt: skip
        with pytest.raises(cc.ReductionError, match="reduce='once' has no second derivative"):
            gradient.seconds[1](np.ones(2), np.array(1.0), np.array([3.0, 4.0]))
        with pytest.raises(cc.ReductionError, match="has no source of its derivative"):
            gradient.code("numpy")
    finally:
        unregister("once")


# --- the table ---------------------------------------------------------------------------------


def test_a_name_is_given_once() -> None:
    with pytest.raises(cc.ReductionError, match="there is a reduction 'norm' already"):
        register(NORM)


def test_what_was_added_can_be_removed() -> None:
    register(BARE)
    made = contraction("i ->", reduce="bare")
    unregister("bare")
    assert "bare" not in REDUCTIONS
    with pytest.raises(cc.ReductionError, match="unknown reduction 'bare'"):
        contraction("i ->", reduce="bare")
    assert made.reduce == cast("Any", "bare")


# Words that happen to be names of reductions, or the sum, of which derivatives are made.
ALLOWED = {
    "notation/spec.py": {*REDUCTIONS},  # the type, for editors, and the sum by its name
    "notation/parser.py": {"sum"},  # what reduce= is if it is not given
    "api/contract.py": {"sum"},
    "api/contraction.py": {"sum"},
    "cli.py": {"sum"},
    "playground/asked.py": {"sum"},
    "playground/examples.py": {"sum", "max", "mean"},  # layers with their reductions
    "calculus/derivation_steps.py": {"sum"},  # a step of a derivation
    "maps/arithmetic.py": {"max", "min"},  # maps of two numbers
    "maps/translation.py": {"max", "min"},
    "planning/lowerings.py": {"sum"},  # a way of carrying out
    "engines/portable/translation.py": {"prod"},  # whose identities are ones
    "engines/portable/libraries/jax_windows.py": {"sum", "max", "min"},  # what primitives can do
    "engines/portable/libraries/torch_poolings.py": {"sum", "max", "min"},
    "sharding/rows.py": {"sum"},
    "sharding/spelled.py": {"max", "min"},  # maps of two numbers
    "torch/layer.py": {"sum"},  # what reduce= is if it is not given
    "display/source_code/naming.py": {"max", "min"},  # functions of Python
    "display/source_code/dialects.py": {"max", "min"},  # attributes of an iinfo
    "engines/llvm/maps/vector_maps.py": {"max", "min"},  # maps of two numbers
    "engines/llvm/maps/row_kernels.py": {"sum", "max", "min"},  # what kernels can do on the way
    "engines/llvm/maps/straight_code.py": {"sum", "mean"},
    "planning/programs/made_again.py": {"max", "min"},  # maps of two numbers
    "planning/programs/outer_sums.py": {"sum", "mean"},  # what is added up while maps run
    "planning/programs/row_loops.py": {"sum", "mean", "max", "min"},
    "programs/local.py": {"logsumexp"},  # a local derivative that changes, in maps
    "programs/residues.py": {"max", "min", "prod", "logsumexp"},  # numbers of another kind
    "programs/text/names.py": {*REDUCTIONS} - {"mean"},  # what lines are called
    "verification/programs/algebras.py": {"max", "min"},  # functions of Python
}
# Compositions are made of reductions, by their names; and a statistic that runs is called a mean.
COMPOSITIONS = ("functions", "layers", "training", "weights", "networks")


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in nodes if isinstance(value, str) and value in REDUCTIONS}


def test_nothing_else_names_a_reduction() -> None:
    package = Path(cc.__file__).parent
    found = {
        str(path): names
        for path in (found.relative_to(package) for found in package.rglob("*.py"))
        if path.parts[0] not in ("reductions", *COMPOSITIONS)
        and (names := names_in(package / path))
    }
    assert {path: names - ALLOWED.get(path, set()) for path, names in found.items()} == {
        path: set() for path in ALLOWED
    }


def test_a_name_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""max"""\nif reduce in ("prod", "mean"): pass\n')
    assert names_in(tmp_path / "a.py") == {"max", "prod", "mean"}
