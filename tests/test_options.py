"""Every option of every call: it is honoured, by its effect, or refused in our words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from allocations import peak_beyond_result

import contractconv as cc
from contractconv.planning.options import Options

OPTIONS = {field.name for field in fields(Options)} | {"path"}

# A scatter, whose result may have any size, and with a window for fast algorithms.
SCATTER = cc.Contraction("b i, k -> b (i+k)")
rng = np.random.default_rng(0)
X, W = rng.integers(-4, 5, (3, 6)), rng.integers(-4, 5, 2)
NATURAL, LARGER = (3, 7), (3, 9)
PLANNED = {
    "output_shape", "algorithm", "memory_limit", "dtype", "extents", "optimize", "path", "minimize",
}  # fmt: skip
EVERYTHING = {
    "output_shape", "algorithm", "memory_limit", "dtype", "casting", "out", "progress", "extents",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A call with arrays of some dtype, and what it takes.

    Attributes:
        run: calls it; the result has this shape, by default the natural one.
        function: what is called.
        takes: its options.
        shaped: whether its result has the shape of the forward result.
    """

    run: Callable[..., Any]
    function: Any
    takes: set[str]
    shaped: bool = False


def cotangent(dtype: Any, shape: Any = None) -> np.ndarray[Any, Any]:
    return np.arange(np.prod(shape or NATURAL)).reshape(shape or NATURAL).astype(dtype)


def arrays(dtype: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    return X.astype(dtype), W.astype(dtype)


def second(by: int) -> Any:
    return SCATTER.grad(0).seconds[by]


def compiled(dtype: Any) -> cc.Compiled:
    return SCATTER.compile(X.shape, W.shape, dtype=dtype)


JVP, JACOBIAN = SCATTER.jvp(0), SCATTER.jacobian(0)
FACTORS = cc.Contraction("b (i+k), k o -> b i o").curvature(1).kronecker()
LAYER = (np.ones((3, 5, 2)), X, np.ones((2, 2)))
PHASE = SCATTER.grad(0).phases()[0]
CHAIN = cc.Contraction("i j, j k, k l -> i l")
SHAPES = (X.shape, W.shape)

CASES: dict[str, Case] = {
    "contract": Case(
        lambda kind, /, **o: cc.contract(str(SCATTER), *arrays(kind), **o),
        cc.contract,
        OPTIONS,
        True,
    ),
    "call": Case(
        lambda kind, /, **o: SCATTER(*arrays(kind), **o), cc.Contraction.__call__, OPTIONS, True
    ),
    "gradient": Case(
        lambda kind, /, g=None, **o: SCATTER.grad(0)(cotangent(kind, g), *arrays(kind), **o),
        cc.Derivation.__call__,
        EVERYTHING,
    ),
    "phase": Case(
        lambda kind, /, g=None, **o: PHASE(cotangent(kind, g), *arrays(kind), **o),
        type(PHASE).__call__,
        EVERYTHING,
    ),
    "jvp": Case(
        lambda kind, /, **o: JVP(X.astype(kind), *arrays(kind), **o),
        cc.Derived.__call__,
        EVERYTHING,
        True,
    ),
    "second": Case(
        lambda kind, /, g=None, **o: second(1)(
            X.astype(kind), cotangent(kind, g), *arrays(kind), **o
        ),
        type(second(1)).__call__,
        EVERYTHING,
    ),
    "compiled": Case(
        lambda kind, /, **o: compiled(kind)(*arrays(kind), **o),
        cc.Compiled.__call__,
        {"out", "casting", "bias", "activation"},
        True,
    ),
    "compiled gradient": Case(
        lambda kind, /, **o: compiled(kind).vjp(0, cotangent(kind), *arrays(kind), **o),
        cc.Compiled.vjp,
        {"out", "casting"},
    ),
    "plan": Case(
        lambda kind, /, **o: SCATTER.plan(*SHAPES, **({"dtype": kind} | o)),
        cc.Contraction.plan,
        PLANNED,
    ),
    "compile": Case(
        lambda kind, /, **o: SCATTER.compile(*SHAPES, **({"dtype": kind} | o)),
        cc.Contraction.compile,
        PLANNED,
    ),
    "extents": Case(
        lambda kind, /, **o: SCATTER.extents(*SHAPES, **o),
        cc.Contraction.extents,
        {"output_shape", "extents"},
    ),
    "output shape": Case(
        lambda kind, /, **o: SCATTER.output_shape(*SHAPES, **o),
        cc.Contraction.output_shape,
        {"output_shape", "extents"},
    ),
    "simplify": Case(
        lambda kind, /, **o: SCATTER.simplify(*SHAPES, **o),
        cc.Contraction.simplify,
        {"output_shape", "extents"},
    ),
    "simplified gradient": Case(
        lambda kind, /, **o: SCATTER.grad(0).simplify(*SHAPES, **o),
        cc.Derivation.simplify,
        {"output_shape", "extents"},
    ),
    "explain": Case(
        lambda kind, /, **o: SCATTER.explain(*SHAPES, proof=False, **o),
        cc.Contraction.explain,
        {"output_shape", "extents"},
    ),
    "code": Case(
        lambda kind, /, **o: SCATTER.code("numpy", *SHAPES, **o),
        cc.Contraction.code,
        {"output_shape", "extents"},
    ),
    "code of a gradient": Case(
        lambda kind, /, **o: SCATTER.grad(0).code("numpy", *SHAPES, **o),
        cc.Derivation.code,
        {"output_shape", "extents"},
    ),
    "verify": Case(
        lambda kind, /, **o: SCATTER.grad(0).verify(**o), cc.Derivation.verify, {"extents"}
    ),
    "verified jvp": Case(
        lambda kind, /, **o: SCATTER.jvp(1).verify(**o), cc.Derived.verify, {"extents"}
    ),
    "factors": Case(
        lambda kind, /, **o: FACTORS(*(a.astype(kind) for a in LAYER), **o),
        type(FACTORS).__call__,
        EVERYTHING - {"out", "progress"},
    ),
}
RESULTS = [name for name, case in CASES.items() if "casting" in case.takes and name != "factors"]


def taking(*options: str) -> list[str]:
    return [name for name, case in CASES.items() if case.takes.issuperset(options)]


@pytest.mark.parametrize("name", CASES)
def test_what_a_call_takes_is_in_its_signature(name: str) -> None:
    parameters = inspect.signature(CASES[name].function).parameters.values()
    keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert keywords & OPTIONS == CASES[name].takes


def test_no_public_call_with_keywords_is_left_out() -> None:
    seen = {case.function for case in CASES.values()}
    kinds = (cc.Contraction, cc.Derivation, cc.Derived, cc.Compiled, type(PHASE), type(FACTORS))
    for kind in (*kinds, type(second(0))):
        for name, method in inspect.getmembers(kind, inspect.isfunction):
            keywords = inspect.signature(method).parameters.keys() & OPTIONS
            private = name.startswith("_") and name != "__call__"
            assert not keywords or private or name == "__init__" or method in seen, (kind, name)


@pytest.mark.parametrize("option", sorted(OPTIONS))
@pytest.mark.parametrize("name", CASES)
def test_what_makes_no_sense_is_refused(name: str, option: str) -> None:
    case = CASES[name]
    if option not in case.takes:
        with pytest.raises(cc.ParameterError, match=f"takes no option '{option}'"):
            case.run(float, **{option: 1})


@pytest.mark.parametrize("name", taking("extents"))
def test_an_index_called_like_an_option_is_given_in_the_mapping(name: str) -> None:
    case = CASES[name]
    case.run(float, extents={"k": 2})
    with pytest.raises(cc.ContractionError):
        case.run(float, extents={"k": 2, "z": 1})
    with pytest.raises(cc.ContractionError):
        case.run(float, extents=2)


def test_a_refused_option_that_is_an_index_says_how_it_is_given() -> None:
    named: Any = cc.Contraction("y -> bias y")
    with pytest.raises(cc.ParameterError, match=r"is given by extents=\{'bias': 3\}"):
        named.extents((2,), bias=3)
    assert named.extents((2,), extents={"bias": 3}) == {"bias": 3, "y": 2}


@pytest.mark.parametrize("name", taking("output_shape"))
def test_output_shape(name: str) -> None:
    case = CASES[name]
    with pytest.raises(cc.ShapeError):
        case.run(float, output_shape=(3,))
    if name == "factors":
        return
    given = {"g": LARGER} if "g" in inspect.signature(case.run).parameters else {}
    made = case.run(float, **given, output_shape=LARGER)
    if case.shaped:
        assert made.shape == LARGER
        assert not made[:, 7:].any()
    elif isinstance(made, np.ndarray):
        with pytest.raises(cc.ShapeError, match="the cotangent has shape"):
            case.run(float, output_shape=LARGER)
    elif name == "plan":
        assert made.problem.result_shape == LARGER
    elif name == "compile":
        assert made(X, W).shape == LARGER
    elif name == "output shape":
        assert made == LARGER


@pytest.mark.parametrize("name", taking("algorithm"))
def test_algorithm(name: str) -> None:
    case = CASES[name]
    with pytest.raises(cc.AlgorithmError, match=r"^unknown algorithm 'fast'"):
        case.run(float, algorithm="fast")
    # Integers are not rounded: what rounds is refused, where it is asked for.
    with pytest.raises(cc.AlgorithmError, match="algorithm 'fft'"):
        case.run(np.int64, algorithm="fft")
    if name in RESULTS:
        exact = case.run(float)
        np.testing.assert_allclose(case.run(float, algorithm="fft"), exact, atol=1e-9)
        assert (case.run(float, algorithm="direct") == exact).all()


@pytest.mark.parametrize("name", taking("memory_limit"))
def test_memory_limit(name: str) -> None:
    case = CASES[name]
    with pytest.raises(cc.MemoryLimitError, match=r"^memory_limit is a number of bytes"):
        case.run(float, memory_limit=-1)
    with pytest.raises(cc.AlgorithmError, match=r"^memory_limit goes with"):
        case.run(float, memory_limit=1000, algorithm="fft")
    # Sums of short numbers take room until they are rounded.
    with pytest.raises(cc.MemoryLimitError, match="too small"):
        case.run(np.float16, memory_limit=1)
    if name in RESULTS:
        limited = case.run(np.float16, memory_limit=2000)
        assert limited.dtype == np.float16
        assert (limited == case.run(np.float16)).all()


@pytest.mark.parametrize("name", taking("progress"))
def test_progress(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    with pytest.raises(cc.ParameterError, match=r"^progress is True or False, not 1"):
        case.run(float, progress=1)
    wanted = case.run(float)
    assert not capsys.readouterr().err
    assert (case.run(float, progress=True) == wanted).all()
    told = capsys.readouterr().err
    assert "1/1" in told or "1 of 1 blocks" in told


@pytest.mark.parametrize("name", taking("dtype", "casting"))
def test_dtype_and_casting(name: str) -> None:
    case = CASES[name]
    with pytest.raises(cc.OperandError, match="casting='safe' does not convert"):
        case.run(float, dtype=np.float32)
    with pytest.raises(cc.OperandError, match=r"^unknown casting 'any'"):
        case.run(float, casting="any")
    made = case.run(float, dtype=np.float32, casting="same_kind")
    for one in made if isinstance(made, tuple) else [made]:
        assert one.dtype == np.float32
    if name in RESULTS:
        assert (made == case.run(float)).all()
        within = case.run(float, dtype=np.float32, casting="same_kind", memory_limit=2000)
        assert within.dtype == np.float32
        assert (made == within).all()


@pytest.mark.parametrize("name", taking("out"))
def test_out(name: str) -> None:
    case = CASES[name]
    wanted = case.run(float)
    out = np.full(wanted.shape, np.nan)
    assert case.run(float, out=out) is out
    assert (out == wanted).all()
    with pytest.raises(cc.ShapeError, match=r"^out has shape"):
        case.run(float, out=np.empty((1, 1, 1)))
    with pytest.raises(cc.OperandError, match=r"^out is a numpy array"):
        case.run(float, out=[1])
    short = np.empty(wanted.shape, np.float32)
    with pytest.raises(cc.OperandError, match="casting='safe' does not convert"):
        case.run(float, out=short)
    assert case.run(float, out=short, casting="same_kind") is short
    assert (short == wanted).all()


@pytest.mark.parametrize("option", ["optimize", "path"])
@pytest.mark.parametrize("name", taking("optimize"))
def test_optimize(name: str, option: str) -> None:
    case, asked = CASES[name], []

    def ask(inputs: Any, *network: Any) -> Any:
        asked.append(inputs)
        return [(0, 1), (0, 1)]

    with pytest.raises(cc.AlgorithmError, match=r"^unknown optimize 'fast'"):
        case.run(float, **{option: "fast"})
    with pytest.raises(cc.AlgorithmError, match=r"^step 1 of the path takes"):
        case.run(float, **{option: [(0, 2)]})
    with pytest.raises(cc.ParameterError, match=r"^path= is another name of optimize="):
        case.run(float, optimize="greedy", path="greedy")
    case.run(float, **{option: [(0, 1)]})
    x = np.ones((2, 2))
    call: Any = {
        "contract": lambda **o: cc.contract("i j, j k, k l -> i l", x, x, x, **o),
        "call": lambda **o: CHAIN(x, x, x, **o),
        "plan": lambda **o: CHAIN.plan((2, 2), (2, 2), (2, 2), **o),
        "compile": lambda **o: CHAIN.compile((2, 2), (2, 2), (2, 2), **o),
    }[name]
    call(**{option: ask})
    assert len(asked) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.complex128])
@pytest.mark.parametrize("name", taking("bias", "activation"))
def test_bias_and_activation(name: str, dtype: Any) -> None:
    case, bias = CASES[name], np.arange(-3, 4).astype(dtype)
    plain = case.run(dtype)
    assert (case.run(dtype, bias=bias) == plain + bias).all()
    if dtype is not np.complex128:
        assert (case.run(dtype, activation="relu") == np.maximum(plain, 0)).all()
        both = case.run(dtype, bias=bias, activation="relu")
        assert both.dtype == dtype
        assert (both == np.maximum(plain + bias, 0)).all()
        assert (both != plain).any()
        out = np.empty_like(plain)
        assert case.run(dtype, bias=bias, activation="relu", out=out) is out
        assert (out == both).all()
    with pytest.raises(cc.ShapeError, match=r"^the bias has shape"):
        case.run(dtype, bias=np.ones(3, dtype))
    with pytest.raises(cc.OperandError, match=r"^unknown activation"):
        case.run(dtype, activation="tanh")


@pytest.mark.parametrize("name", ["contract", "call"])
def test_a_result_is_ended_within_a_limit(name: str) -> None:
    run, bias = CASES[name].run, np.arange(-3.0, 4.0)
    wanted = np.maximum(run(float) + bias, 0)
    assert (run(float, bias=bias, activation="relu", memory_limit=1000) == wanted).all()


def test_plans_and_compiled_contractions_keep_a_limit() -> None:
    spec = "b i c, b j c, b k c -> i j k"
    x = [rng.integers(-4, 5, (8, 40, 32)).astype(np.float32) for _ in range(3)]
    free = cc.Contraction(spec).compile(*(a.shape for a in x), dtype="float32")
    limit = 300_000
    run = cc.Contraction(spec).compile(*(a.shape for a in x), dtype="float32", memory_limit=limit)
    assert f"memory limit: {limit:,} bytes: " in str(run.plan)
    assert " parts, of " in str(run.plan)
    wanted, g = free(*x), rng.integers(-4, 5, (40, 40, 40)).astype(np.float32)
    assert (run(*x) == wanted).all()
    assert (run.vjp(0, g, *x) == free.vjp(0, g, *x)).all()
    assert "memory limit: " in str(run.vjp_plan(0))
    assert peak(lambda: run(*x)) <= limit + 200_000 < peak(lambda: free(*x))
    assert peak(lambda: run.vjp(0, g, *x)) <= limit + 200_000
    roomy = cc.Contraction("i k, k j -> i j").plan((4, 5), (5, 6), memory_limit=10**9)
    assert "memory limit: 1,000,000,000 bytes: at once" in str(roomy)
    with pytest.raises(cc.MemoryLimitError, match="too small"):
        cc.Contraction(spec).plan(*(a.shape for a in x), dtype="float16", memory_limit=8)


LIMITED = {
    "b (i+k-1) (j+l-1) c, k l c o -> b i j o": ("sum", (4, 30, 30, 16), (3, 3, 16, 24), {}),
    "b (2*i+k) (2*j+l) c -> b i j c": ("max", (4, 30, 30, 16), None, {"k": 3, "l": 3}),
    "b (i+k-1) c -> b i c": ("mean", (4, 300, 16), None, {"k": 3}),
    "b i c -> b c": ("logsumexp", (4, 300, 16), None, {}),
    "b i c -> b i": ("prod", (4, 300, 16), None, {}),
}


@pytest.mark.parametrize("spec", LIMITED)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("what", ["gradient", "jvp", "second"])
def test_derived_calls_keep_a_limit_or_refuse_it(spec: str, dtype: str, what: str) -> None:
    reduce, first, other, given = LIMITED[spec]
    c: Any = cc.Contraction(spec, reduce=reduce)  # type: ignore[arg-type]
    operands = [rng.integers(1, 3, s).astype(dtype) for s in (first, other) if s is not None]
    g = c(*operands, **given)
    take = {"gradient": (g,), "jvp": (operands[0],), "second": (operands[0], g)}[what]
    call = {"gradient": c.grad(0), "jvp": c.jvp(0), "second": c.grad(0).seconds[-1]}[what]
    call(*take, *operands, **given)
    kept = 0
    for limit in (10_000, 1_000_000, 30_000_000):
        try:
            taken = peak(lambda: call(*take, *operands, memory_limit=limit, **given))  # noqa: B023
        except cc.MemoryLimitError:
            continue
        kept += 1
        assert taken <= limit + 400_000, limit
    assert kept


def peak(call: Callable[[], Any]) -> int:
    """The peak of a second call."""
    call()
    return peak_beyond_result(call)
