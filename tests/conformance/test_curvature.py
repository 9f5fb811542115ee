"""Forward derivatives, Jacobians and curvature against PyTorch and einconv.

PyTorch materialises the Jacobian of every layer. Gauss-Newton products and diagonals are put
together from it by the definition, one example at a time; Kronecker factors by averaging outer
products of its columns. einconv, which knows convolutions only, says the input factors once more.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import contractconv as cc
from contractconv import Reduction

torch: Any = pytest.importorskip("torch")
F: Any = torch.nn.functional

Array = NDArray[Any]
Shape = tuple[int, ...]
Tensor = Any
Reference = Callable[..., Tensor]

TOLERANCE = 1e-10  # of the greatest magnitude


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Keep torch's threads from fighting with those of numpy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assert_close(result: Array, expected: Array) -> None:
    assert result.shape == expected.shape
    assert result.dtype == np.float64
    allowed = TOLERANCE * float(np.abs(expected).max(initial=0))
    np.testing.assert_allclose(result, expected, rtol=0, atol=allowed)


# --- layers ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """A contraction, the same function in torch's words, and what a call must be given.

    Attributes:
        spec: the string.
        shapes: of the operands.
        reference: takes tensors of these shapes.
        extents: what a call is given by name, parameters included.
        result: the indices of the result and their extents, if they are not its axes.
        batches: ways to number the examples; ``None`` is the default.
    """

    spec: str
    shapes: tuple[Shape, ...]
    reference: Reference
    extents: Mapping[str, int] = field(default_factory=dict)
    reduce: Reduction = "sum"
    parameters: str = ""
    result: Mapping[str, int] = field(default_factory=dict)
    batches: tuple[str | None, ...] = (None, "")

    @property
    def contraction(self) -> cc.Contraction:
        """The contraction, its parameters unbound."""
        return cc.Contraction(self.spec, self.reduce, self.parameters)

    def numbers(self, salt: str, shape: Shape) -> Array:
        """As good as random, the same ones every time."""
        seed = zlib.crc32(f"{salt} {self.spec} {self.reduce}".encode())
        return np.random.default_rng(seed).normal(size=shape)

    @property
    def operands(self) -> list[Array]:
        """Arrays to try it on."""
        return [self.numbers(f"operand {n}", shape) for n, shape in enumerate(self.shapes)]

    def numbering(self, shape: Shape) -> dict[str, Array]:
        """The value of every index of the result at each of its elements, in order."""
        names = self.result or dict(zip(self.spec.split("->")[1].split(), shape, strict=True))
        grid = np.indices(tuple(names.values())).reshape(len(names), -1)
        return dict(zip(names, grid, strict=True))


POSITIONS, TAPS = "ijm", "kln"


@dataclass(frozen=True)
class Geometry:
    """The numbers of a convolution, one for each dimension, and its channels.

    ``sizes`` are those of the operand: what a convolution reads, or what its transpose has.
    """

    sizes: Shape
    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int
    channels: int = 2
    filters: int = 2
    batch: int = 2

    @property
    def dims(self) -> int:
        """One, two or three."""
        return len(self.sizes)

    @property
    def reach(self) -> Shape:
        """How many elements the kernel covers, holes included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def places(self) -> Shape:
        """How often the kernel fits."""
        numbers = zip(self.sizes, self.padding, self.reach, self.stride, strict=True)
        return tuple((size + 2 * p - reach) // s + 1 for size, p, reach, s in numbers)

    @property
    def axes(self) -> str:
        """The index expressions."""
        numbers = zip(self.stride, POSITIONS, self.dilation, TAPS, self.padding, strict=False)
        return " ".join(f"({s}*{i}+{d}*{k}-{p})" for s, i, d, k, p in numbers)

    @property
    def symbolic_axes(self) -> str:
        """The index expressions with a stride, a dilation and a padding for each dimension."""
        names = itertools.islice(zip(POSITIONS, TAPS, strict=True), self.dims)
        return " ".join(f"(s{n}*{i}+d{n}*{k}-p{n})" for n, (i, k) in enumerate(names))

    @property
    def values(self) -> dict[str, int]:
        """The numbers for these parameters."""
        named = {"s": self.stride, "d": self.dilation, "p": self.padding}
        return {f"{name}{n}": value for name, all_ in named.items() for n, value in enumerate(all_)}

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """Of the operand and the weight."""
        inner = (self.groups, self.channels)
        return (self.batch, *self.sizes, *inner), (*self.kernel, *inner, self.filters)

    def string(self, axes: str, transposed: bool = False) -> str:
        """The contraction: ``b (...) g c, k g c o -> b i g o``."""
        sides = (axes, " ".join(POSITIONS[: self.dims]))
        read, written = reversed(sides) if transposed else sides
        return f"b {read} g c, {' '.join(TAPS[: self.dims])} g c o -> b {written} g o"

    def convolve(self, x: Tensor, w: Tensor) -> Tensor:
        """The convolution as torch has it, channels first, and back."""
        function = (F.conv1d, F.conv2d, F.conv3d)[self.dims - 1]
        kernel = w.movedim((-3, -1, -2), (0, 1, 2)).flatten(0, 1)
        y = function(
            channels_first(x), kernel, None, self.stride, self.padding, self.dilation, self.groups
        )
        return self.channels_last(y)

    def transpose(self, x: Tensor, w: Tensor) -> Tensor:
        """The transposed convolution as torch has it, channels first, and back."""
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.dims - 1]
        kernel = w.movedim((-3, -2, -1), (0, 1, 2)).flatten(0, 1)
        y = function(
            channels_first(x), kernel, None, self.stride, self.padding, 0, self.groups,
            self.dilation,
        )  # fmt: skip
        return self.channels_last(y)

    def channels_last(self, y: Tensor) -> Tensor:
        """From ``b (g o) i`` to ``b i g o``."""
        return y.movedim(1, -1).unflatten(-1, (self.groups, self.filters))

    def layer(self, symbolic: bool = False) -> Layer:
        """The convolution."""
        return Layer(
            self.string(self.symbolic_axes if symbolic else self.axes),
            self.shapes,
            self.convolve,
            self.values if symbolic else {},
            parameters=" ".join(self.values) if symbolic else "",
            batches=(None, "", "g", "b i"),
        )

    def transposed(self) -> Layer:
        """The transposed convolution; its gather form calls the positions h, w, d."""
        steps = zip(self.sizes, self.stride, self.reach, self.padding, strict=True)
        written = [s * (n - 1) + reach - 2 * p for n, s, reach, p in steps]
        result = {"b": self.batch, **dict(zip("hwd", written, strict=False))}
        return Layer(
            self.string(self.axes, transposed=True),
            self.shapes,
            self.transpose,
            result={**result, "g": self.groups, "o": self.filters},
            batches=(None, "", "g b", "h"),
        )


def channels_first(x: Tensor) -> Tensor:
    return x.flatten(-2).movedim(-1, 1)


GEOMETRIES = {
    "1d": Geometry((9,), (3,), (2,), (1,), (1,), 2, filters=3),
    "1d dilated": Geometry((7,), (2,), (1,), (2,), (3,), 1, channels=3),
    "1d with gaps": Geometry((8,), (2,), (3,), (0,), (2,), 3, channels=1, batch=3),
    "2d": Geometry((5, 4), (3, 2), (2, 1), (1, 0), (1, 2), 2),
    "2d uneven": Geometry((4, 5), (2, 3), (1, 3), (0, 2), (2, 1), 1, filters=1),
    "3d": Geometry((3, 4, 2), (2, 2, 1), (1, 2, 1), (1, 0, 0), (1, 2, 1), 2, 1),
    "3d dilated": Geometry((4, 2, 3), (2, 2, 2), (2, 1, 1), (1, 1, 0), (2, 1, 2), 1, batch=3),
}
# A padding of the transpose is what it crops, so there must be something left.
TRANSPOSED = {
    "1d": Geometry((4,), (3,), (2,), (1,), (1,), 2, filters=3),
    "1d dilated": Geometry((4,), (2,), (1,), (1,), (3,), 1, channels=3),
    "1d with gaps": Geometry((3,), (2,), (3,), (0,), (1,), 3, channels=1, batch=3),
    "2d": Geometry((3, 2), (3, 2), (2, 1), (1, 0), (1, 2), 2),
    "3d": Geometry((2, 3, 2), (2, 2, 1), (2, 1, 1), (1, 0, 0), (1, 2, 1), 2, 1),
}


# --- reductions over windows -----------------------------------------------------------------

IDENTITY = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": -math.inf, "min": math.inf,
            "logsumexp": -math.inf}  # fmt: skip
OVER_LAST: dict[Reduction, Callable[[Tensor], Tensor]] = {
    "sum": lambda points: points.sum(-1),
    "mean": lambda points: points.mean(-1),
    "prod": lambda points: points.prod(-1),
    "max": lambda points: points.amax(-1),
    "min": lambda points: points.amin(-1),
    "logsumexp": lambda points: points.logsumexp(-1),
}


def _windows(x: Tensor) -> Tensor:
    """What ``b (2*i+k-1) (j+2*l) c`` reads for three taps and two: ``b i j c (k l)``."""
    padded = F.pad(x, (0, 0, 0, 0, 1, 1))
    return padded.unfold(1, 3, 2).unfold(2, 3, 1)[..., ::2].flatten(-2)


def _pooled(reduce: Reduction) -> Reference:
    def reference(x: Tensor, *weights: Tensor) -> Tensor:
        inside = _windows(torch.ones_like(x)) > 0
        points = _windows(x)
        for w in weights:
            points = points * w.flatten(0, 1).T
        # What lies outside does not take part, whatever its weight.
        return OVER_LAST[reduce](points.masked_fill(~inside, IDENTITY[reduce]))

    return reference


def pool(reduce: Reduction) -> Layer:
    return Layer(
        "b (2*i+k-1) (j+2*l) c -> b i j c",
        ((2, 5, 4, 2),),
        _pooled(reduce),
        {"k": 3, "l": 2},
        reduce,
        batches=(None, "", "b c"),
    )


def weighted_pool(reduce: Reduction) -> Layer:
    return Layer(
        "b (2*i+k-1) (j+2*l) c, k l c -> b i j c",
        ((2, 5, 4, 2), (3, 2, 2)),
        _pooled(reduce),
        reduce=reduce,
        batches=(None, "", "i c"),
    )


# --- dense layers and others -----------------------------------------------------------------


def _local(x: Tensor) -> Tensor:
    """What each position of ``b t c`` sees around it: ``b t c k``."""
    return F.pad(x, (0, 0, 1, 1)).unfold(1, 3, 1)


OTHERS = {
    "dense": Layer(
        "b i, i o -> b o", ((3, 4), (4, 5)), lambda x, w: x @ w, batches=(None, "", "o")
    ),
    "dense on a grid": Layer(
        "b h w c, (h w c) o -> b o",
        ((2, 3, 2, 2), (12, 3)),
        lambda x, w: x.flatten(1) @ w,
    ),
    "dense from a flat input": Layer(
        "b (h w c), h w c o -> b o",
        ((2, 12), (3, 2, 2, 3)),
        lambda x, w: x @ w.flatten(0, 2),
    ),
    "dense on a flat batch": Layer(
        "(b t) i, i o -> (b t) o",
        ((6, 4), (4, 3)),
        lambda x, w: x @ w,
        {"t": 3},
        result={"b": 2, "t": 3, "o": 3},
        batches=(None, "", "b t", "t"),
    ),
    "dense on a sequence": Layer(
        "b t i, i o -> b t o", ((2, 3, 4), (4, 3)), lambda x, w: x @ w, batches=(None, "", "b t")
    ),
    "dense to heads": Layer(
        "b t i, i (h d) -> b h t d",
        ((2, 3, 4), (4, 6)),
        lambda x, w: (x @ w).unflatten(-1, (2, 3)).transpose(1, 2),
        {"h": 2},
        batches=(None, "", "h"),
    ),
    "dense behind a sum": Layer(
        "b t i, i o -> b o", ((2, 3, 4), (4, 3)), lambda x, w: x.sum(1) @ w
    ),
    "bias": Layer(
        "o -> b i o",
        ((3,),),
        lambda x: x.expand(2, 4, 3),
        {"b": 2, "i": 4},
        batches=(None, "", "b i"),
    ),
    "added bias": Layer(
        "b i, o -> b i o",
        ((2, 4), (3,)),
        lambda x, w: x[..., None] * w,
    ),
    "attention": Layer(
        "b q h d, b k h d, b k h e -> b q h e",
        ((2, 3, 2, 2), (2, 4, 2, 2), (2, 4, 2, 3)),
        lambda q, k, v: torch.einsum("bqhd,bkhd,bkhe->bqhe", q, k, v),
        batches=(None, "", "b h"),
    ),
    "local attention": Layer(
        "b q d, b (q+k-1) d, b (q+k-1) e -> b q e",
        ((2, 4, 2), (2, 4, 2), (2, 4, 3)),
        lambda q, k, v: torch.einsum("bqd,bqdk,bqek->bqe", q, _local(k), _local(v)),
        {"k": 3},
    ),
    "bilinear": Layer(
        "b i, o i j, b j -> b o",
        ((3, 4), (2, 4, 3), (3, 3)),
        lambda x, w, y: F.bilinear(x, y, w),
    ),
    "dynamic filter": Layer(
        "b (t+k-1) c, b t k -> b t c",
        ((2, 4, 2), (2, 4, 3)),
        lambda x, w: (_local(x) * w[:, :, None]).sum(3),
    ),
    "depthwise": Layer(
        "b (2*i+k) c, k c -> b i c",
        ((2, 7, 3), (3, 3)),
        lambda x, w: F.conv1d(x.mT, w.T[:, None], stride=2, groups=3).mT,
    ),
    "convolution without a batch": Layer(
        "(i+k-1) c, k c o -> i o",
        ((5, 2), (3, 2, 3)),
        lambda x, w: F.conv1d(x.T, w.permute(2, 1, 0), padding=1).T,
    ),
    "kernel of rank r": Layer(
        "b (i+k) c, k r, c r, o r -> b i o",
        ((2, 5, 2), (2, 2), (2, 2), (3, 2)),
        lambda x, k, c, o: F.conv1d(x.mT, torch.einsum("kr,cr,or->ock", k, c, o)).mT,
    ),
}

LAYERS: dict[str, Layer] = {
    **{f"convolution {name}": g.layer() for name, g in GEOMETRIES.items()},
    "convolution 1d, symbolic": GEOMETRIES["1d"].layer(symbolic=True),
    "convolution 2d, symbolic": GEOMETRIES["2d"].layer(symbolic=True),
    **{f"transposed {name}": g.transposed() for name, g in TRANSPOSED.items()},
    **{f"pool {reduce}": pool(reduce) for reduce in OVER_LAST},
    **{f"weighted pool {reduce}": weighted_pool(reduce) for reduce in OVER_LAST},
    **OTHERS,
}
EVERY_OPERAND = [(name, n) for name, layer in LAYERS.items() for n in range(len(layer.shapes))]
# What meets two windows of one axis keeps the axis as a scatter, which cannot be squared.
WITHOUT_DIAGONAL = [("local attention", 1), ("local attention", 2)]
SQUARED = [case for case in EVERY_OPERAND if case not in WITHOUT_DIAGONAL]
EVERY_BATCH = [(name, n, batch) for name, n in EVERY_OPERAND for batch in LAYERS[name].batches]


# --- what torch says -------------------------------------------------------------------------


def one_of(layer: Layer, n: int) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """The reference as a function of one operand, and that operand."""
    tensors = list(map(torch.tensor, layer.operands))

    def function(varied: Tensor) -> Tensor:
        return layer.reference(*tensors[:n], varied, *tensors[n + 1 :])

    return function, tensors[n]


@lru_cache(maxsize=256)
def torch_jacobian(name: str, n: int) -> Array:
    """The full Jacobian: the axes of the result, then those of the operand."""
    function, operand = one_of(LAYERS[name], n)
    full: Array = torch.autograd.functional.jacobian(function, operand).numpy()
    return full


def result_shape(name: str) -> Shape:
    layer = LAYERS[name]
    return torch_jacobian(name, 0).shape[: -len(layer.shapes[0])]


def as_matrix(name: str, n: int) -> Array:
    return torch_jacobian(name, n).reshape(-1, math.prod(LAYERS[name].shapes[n]))


def hessian(layer: Layer, shape: Shape, root: Array, batch: str | None) -> Array:
    """``R Rᵀ``, without what couples elements of different examples."""
    columns = root.reshape(len(root), -1)
    numbering = layer.numbering(shape)
    names = list(numbering)[:1] if batch is None else batch.split()
    full: Array = columns.T @ columns
    for name in names:
        full = full * (numbering[name][:, None] == numbering[name])
    return full


def root_of(layer: Layer, shape: Shape) -> Array:
    return layer.numbers("root", (3, *shape))


# --- forward derivatives and Jacobians -------------------------------------------------------


@pytest.mark.parametrize(("name", "n"), EVERY_OPERAND)
def test_forward_derivative(name: str, n: int) -> None:
    layer = LAYERS[name]
    function, operand = one_of(layer, n)
    tangent = layer.numbers("tangent", layer.shapes[n])
    _, expected = torch.func.jvp(function, (operand,), (torch.tensor(tangent),))
    result = layer.contraction.jvp(n)(tangent, *layer.operands, extents=layer.extents)
    assert_close(result, expected.numpy())


@pytest.mark.parametrize(("name", "n"), EVERY_OPERAND)
def test_jacobian(name: str, n: int) -> None:
    layer = LAYERS[name]
    result = layer.contraction.jacobian(n)(*layer.operands, extents=layer.extents)
    assert_close(result, torch_jacobian(name, n))


# --- the Gauss-Newton matrix -----------------------------------------------------------------


@pytest.mark.parametrize(("name", "n"), EVERY_OPERAND)
def test_product_for_half_the_squared_error(name: str, n: int) -> None:
    layer = LAYERS[name]
    jacobian = as_matrix(name, n)
    tangent = layer.numbers("tangent", layer.shapes[n])
    expected = jacobian.T @ (jacobian @ tangent.ravel())
    product = layer.contraction.curvature(n).product()
    result = product(tangent, *layer.operands, extents=layer.extents)
    assert_close(result, expected.reshape(tangent.shape))


@pytest.mark.parametrize(("name", "n", "batch"), EVERY_BATCH)
def test_product_with_a_root(name: str, n: int, batch: str | None) -> None:
    layer = LAYERS[name]
    jacobian, shape = as_matrix(name, n), result_shape(name)
    tangent, root = layer.numbers("tangent", layer.shapes[n]), root_of(layer, shape)
    middle = hessian(layer, shape, root, batch)
    expected = jacobian.T @ (middle @ (jacobian @ tangent.ravel()))
    product = layer.contraction.curvature(n, batch).product(root=True)
    result = product(tangent, root, *layer.operands, extents=layer.extents)
    assert_close(result, expected.reshape(tangent.shape))


@pytest.mark.parametrize(("name", "n"), SQUARED)
def test_diagonal_for_half_the_squared_error(name: str, n: int) -> None:
    layer = LAYERS[name]
    expected = (as_matrix(name, n) ** 2).sum(0)
    diagonal = layer.contraction.curvature(n).diagonal()
    result = diagonal(*layer.operands, extents=layer.extents)
    assert_close(result, expected.reshape(layer.shapes[n]))


@pytest.mark.parametrize(
    ("name", "n", "batch"), [case for case in EVERY_BATCH if case[:2] not in WITHOUT_DIAGONAL]
)
def test_diagonal_with_a_root(name: str, n: int, batch: str | None) -> None:
    layer = LAYERS[name]
    jacobian, shape = as_matrix(name, n), result_shape(name)
    root = root_of(layer, shape)
    middle = hessian(layer, shape, root, batch)
    expected = np.einsum("ij,ik,kj->j", jacobian, middle, jacobian, optimize=True)
    diagonal = layer.contraction.curvature(n, batch).diagonal(root=True)
    result = diagonal(root, *layer.operands, extents=layer.extents)
    assert_close(result, expected.reshape(layer.shapes[n]))


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize(("name", "n"), WITHOUT_DIAGONAL)
def test_a_diagonal_without_a_gather_form_is_refused(name: str, n: int, root: bool) -> None:
    with pytest.raises(cc.SpecError, match=f"by operand {n} has no gather form to be squared"):
        LAYERS[name].contraction.curvature(n).diagonal(root)


@pytest.mark.parametrize("name", ["convolution 1d", "transposed 2d", "dense"])
def test_coupling_the_examples_is_noticed(name: str) -> None:
    layer = LAYERS[name]
    root = root_of(layer, result_shape(name))
    diagonals = [
        layer.contraction.curvature(1, batch).diagonal(root=True)(root, *layer.operands)
        for batch in (None, "")
    ]
    with pytest.raises(AssertionError):
        assert_close(*diagonals)


# --- Kronecker factors -----------------------------------------------------------------------

KINDS = ("expand", "reduce")
Reading = Callable[[Array], Array]


@dataclass(frozen=True)
class Weight:
    """How the Kronecker factors of a weight come about.

    Attributes:
        name: the layer.
        n: which operand is the weight.
        inputs: from the Jacobian, what each weight of one output is multiplied with: with axes
            for examples, places, groups if there are any, and rows.
        outputs: from a cotangent, the same for its rows.
        sides: whether the factors have rows at all; without any they are numbers.
        batch: what numbers the examples.
    """

    name: str
    n: int
    inputs: Reading
    outputs: Reading
    sides: tuple[bool, bool] = (True, True)
    batch: str | None = None

    @property
    def layer(self) -> Layer:
        """The layer."""
        return LAYERS[self.name]


def of_geometry(name: str, geometry: Geometry) -> Weight:
    n, g, c, o = geometry.batch, geometry.groups, geometry.channels, geometry.filters
    taps = math.prod(geometry.kernel)

    def inputs(jacobian: Array) -> Array:
        first = jacobian.reshape(n, -1, g, o, taps, g, c, o)[:, :, :, 0, ..., 0]
        same: Array = np.einsum("ntgkgc->ntgkc", first)
        return same.reshape(n, -1, g, taps * c)

    return Weight(name, 1, inputs, lambda cotangent: cotangent.reshape(n, -1, g, o))


def _first_output(jacobian: Array) -> Array:
    """From ``b o ... o`` to ``b 1 ...``."""
    return jacobian[:, 0, ..., 0].reshape(len(jacobian), 1, -1)


def _one_place(cotangent: Array) -> Array:
    return cotangent[:, None]


WEIGHTS = [
    *(of_geometry(f"convolution {name}", g) for name, g in GEOMETRIES.items()),
    of_geometry("convolution 2d, symbolic", GEOMETRIES["2d"]),
    *(of_geometry(f"transposed {name}", g) for name, g in TRANSPOSED.items()),
    Weight("dense", 1, _first_output, _one_place),
    Weight("dense on a grid", 1, _first_output, _one_place),
    Weight("dense from a flat input", 1, _first_output, _one_place),
    Weight("dense behind a sum", 1, _first_output, _one_place),
    Weight(
        "dense on a flat batch",
        1,
        lambda jacobian: jacobian[:, 0, :, 0].reshape(2, 3, 4),
        lambda cotangent: cotangent.reshape(2, 3, 3),
    ),
    Weight("dense on a sequence", 1, lambda jacobian: jacobian[:, :, 0, :, 0], lambda g: g),
    Weight(
        "dense to heads",
        1,
        lambda jacobian: jacobian[:, 0, :, 0, :, 0],
        lambda cotangent: cotangent.transpose(0, 2, 1, 3).reshape(2, 3, 6),
    ),
    Weight("bias", 0, lambda jacobian: jacobian[:, :, 0, :1], lambda g: g, sides=(False, True)),
    Weight(
        "added bias", 1, lambda jacobian: jacobian[:, :, 0, :1], lambda g: g, sides=(False, True)
    ),
    Weight("bilinear", 1, lambda jacobian: jacobian[:, 0, 0].reshape(3, 1, 12), _one_place),
    Weight(
        "depthwise",
        1,
        lambda jacobian: np.einsum("ntckc->ntck", jacobian),
        lambda cotangent: cotangent[..., None],
        sides=(True, False),
    ),
    Weight(
        "convolution without a batch",
        1,
        lambda jacobian: jacobian[:, 0, :, :, 0].reshape(1, 5, 6),
        lambda cotangent: cotangent[None],
        batch="",
    ),
]


def outer_products(vectors: Array, kind: str) -> Array:
    """The sum of ``v vᵀ`` over examples and places, or over examples, places added up first."""
    total = np.zeros((*vectors.shape[2:], vectors.shape[-1]))
    for places in vectors:
        for v in places if kind == "expand" else [places.sum(0)]:
            total += v[..., :, None] * v[..., None, :]
    return total


def expected_factors(weight: Weight, kind: str, cotangent: Array) -> tuple[Array, Array]:
    """The factors by their definition."""
    inputs = weight.inputs(torch_jacobian(weight.name, weight.n))
    outputs = weight.outputs(cotangent)
    count, places = inputs.shape[:2]
    scales = {"expand": (1, count * places), "reduce": (places**2, count)}[kind]
    factors = [
        outer_products(vectors, kind) / scale
        for vectors, scale in zip((inputs, outputs), scales, strict=True)
    ]
    left, right = (
        factor if rows else factor[..., 0, 0]
        for factor, rows in zip(factors, weight.sides, strict=True)
    )
    return np.asarray(left), np.asarray(right)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weight", WEIGHTS, ids=lambda weight: weight.name)
def test_kronecker_factors(weight: Weight, kind: str) -> None:
    layer = weight.layer
    cotangent = layer.numbers("cotangent", result_shape(weight.name))
    factors = layer.contraction.curvature(weight.n, weight.batch).kronecker(kind)
    found = factors(cotangent, *layer.operands, **layer.extents)
    for result, expected in zip(found, expected_factors(weight, kind, cotangent), strict=True):
        assert_close(result, expected)
    assert_close(factors.input(*layer.operands, extents=layer.extents), found[0])
    assert_close(factors.output(cotangent, *layer.operands, extents=layer.extents), found[1])


def einconv_factor(geometry: Geometry, x: Array, kind: str) -> Array:
    """The input factor with axes ``g c k... c_ k_...``, as einconv has it."""
    module = {"expand": "convNd_kfc", "reduce": "convNd_kfac_reduce"}[kind]
    expressions: Any = pytest.importorskip(f"einconv.expressions.{module}")
    equation, operands, _ = expressions.einsum_expression(
        channels_first(torch.tensor(x)), geometry.kernel, geometry.stride, geometry.padding,
        geometry.dilation, geometry.groups, simplify=False,
    )  # fmt: skip
    # The scale is one over a whole number, but was rounded to single precision.
    operands[-1] = 1 / (1 / operands[-1]).round()
    factor: Array = torch.einsum(equation, *operands).numpy()
    # They average over examples, which ours adds up, as the curvature does.
    return factor * geometry.batch


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_input_factor_against_einconv(name: str, kind: str) -> None:
    geometry, layer = GEOMETRIES[name], LAYERS[f"convolution {name}"]
    theirs = einconv_factor(geometry, layer.operands[0], kind)
    rows = math.prod(geometry.kernel) * geometry.channels
    # Their rows begin with the channels, ours end with them.
    axes = range(1, 2 * geometry.dims + 3)
    left, right = axes[: geometry.dims + 1], axes[geometry.dims + 1 :]
    order = (0, *left[1:], left[0], *right[1:], right[0])
    expected = theirs.transpose(order).reshape(geometry.groups, rows, rows)
    assert_close(layer.contraction.curvature(1).kronecker(kind).input(*layer.operands), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_kernel_in_the_layout_of_torch_has_the_rows_of_einconv(name: str, kind: str) -> None:
    geometry = GEOMETRIES[name]
    dims, groups = geometry.dims, geometry.groups
    taps = " ".join(TAPS[:dims])
    spec = f"b (g c) {geometry.axes}, (g o) c {taps} -> b (g o) {' '.join(POSITIONS[:dims])}"
    x = LAYERS[f"convolution {name}"].operands[0]
    kernel = np.ones((groups * geometry.filters, geometry.channels, *geometry.kernel))
    factor = cc.Contraction(spec).curvature(1).kronecker(kind).input
    result = factor(channels_first(torch.tensor(x)).numpy(), kernel, g=groups)
    rows = math.prod(geometry.kernel) * geometry.channels
    assert_close(result, einconv_factor(geometry, x, kind).reshape(groups, rows, rows))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("spec", "x_shape", "w_shape"),
    [
        ("b (2*i+k-1) c, k c o -> b i o", (1, 2, 3), (4, 3, 2)),
        ("b (i+k) (2*j+3*l-1) c, k l c o -> b i j o", (1, 3, 3, 2), (3, 2, 2, 3)),
        ("b i c, k c o -> b (2*i+k-1) o", (1, 2, 3), (1, 3, 2)),
        ("b i, i o -> b o", (1, 4), (4, 3)),
        ("b (h w), h w o -> b o", (1, 6), (2, 3, 2)),
    ],
)
def test_one_example_at_one_place_is_the_outer_product_of_its_gradient(
    spec: str, x_shape: Shape, w_shape: Shape, kind: str
) -> None:
    layer = Layer(spec, (x_shape, w_shape), lambda x, w: x)
    c, (x, w) = layer.contraction, layer.operands
    cotangent = layer.numbers("cotangent", c.output_shape(x_shape, w_shape))
    assert math.prod(cotangent.shape) == w_shape[-1]
    gradient = c.grad(1)(cotangent, x, w).ravel()
    assert_close(np.kron(*c.curvature(1).kronecker(kind)(cotangent, x, w)),
                 np.outer(gradient, gradient))  # fmt: skip


def test_reduce_is_exact_where_every_place_has_the_same_cotangent() -> None:
    layer = LAYERS["convolution 1d dilated"]
    c, (x, w) = layer.contraction, layer.operands
    x = x[:1]
    shape = c.output_shape(x.shape, w.shape)
    assert shape[1] > 1
    cotangent = np.broadcast_to(layer.numbers("cotangent", (1, 1, *shape[2:])), shape)
    gradient = c.grad(1)(cotangent, x, w).ravel()
    (a,), (b,) = c.curvature(1).kronecker("reduce")(cotangent, x, w)
    assert_close(np.kron(a, b), np.outer(gradient, gradient))


@pytest.mark.parametrize(
    "name",
    ["convolution 1d dilated", "convolution 2d uneven", "convolution 3d dilated",
     "transposed 1d dilated", "dense", "dense on a grid", "dense on a sequence"],
)  # fmt: skip
def test_expand_is_exact_for_half_the_squared_error(name: str) -> None:
    layer = LAYERS[name]
    curvature = layer.contraction.curvature(1)
    factor = curvature.kronecker("expand").input(*layer.operands, extents=layer.extents)
    rows = factor.shape[-1]
    total = factor.reshape(rows, rows)
    tangent = layer.numbers("tangent", layer.shapes[1])
    product = curvature.product()(tangent, *layer.operands, extents=layer.extents)
    assert_close(product.reshape(rows, -1), total @ tangent.reshape(rows, -1))
    diagonal = curvature.diagonal()(*layer.operands, extents=layer.extents)
    width = diagonal.size // rows
    assert_close(diagonal.reshape(rows, width), np.diag(total)[:, None].repeat(width, 1))


@pytest.mark.parametrize(
    ("name", "batch"),
    [("dense", None), ("dense on a grid", None), ("dense from a flat input", None),
     ("dense behind a sum", None), ("dense on a sequence", "b t"), ("convolution 1d", "b i"),
     ("convolution 2d", "b i j"), ("transposed 1d", "h b")],
)  # fmt: skip
def test_with_one_place_for_each_example_both_kinds_are_the_same(
    name: str, batch: str | None
) -> None:
    layer = LAYERS[name]
    cotangent = layer.numbers("cotangent", result_shape(name))
    curvature = layer.contraction.curvature(1, batch)
    each = [
        curvature.kronecker(kind)(cotangent, *layer.operands, **layer.extents) for kind in KINDS
    ]
    for expanded, reduced in zip(*each, strict=True):
        assert_close(expanded, reduced)


def test_both_kinds_differ_where_the_weight_is_shared() -> None:
    layer = LAYERS["convolution 1d"]
    cotangent = layer.numbers("cotangent", result_shape("convolution 1d"))
    each = [
        layer.contraction.curvature(1).kronecker(kind)(cotangent, *layer.operands) for kind in KINDS
    ]
    for expanded, reduced in zip(*each, strict=True):
        with pytest.raises(AssertionError):
            assert_close(expanded, reduced)


# --- where Kronecker factors are exact ----------------------------------------------------------


def alike(cotangent: Array, axes: int) -> Array:
    """The same cotangent at the first axes, which number examples and places."""
    first = cotangent[(0,) * axes]
    return np.broadcast_to(first, cotangent.shape).copy()


def applied(factors: tuple[Array, Array], tangent: Array) -> Array:
    """``(A ⊗ B) V`` for a weight whose last axis is what it alone gives to the result."""
    left, right = factors
    rows = tangent.reshape(-1, tangent.shape[-1])
    return np.asarray(left.reshape(len(rows), -1) @ rows @ right).reshape(tangent.shape)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_factors_of_a_dense_layer_have_the_scale_of_the_product(count: int) -> None:
    rng = np.random.default_rng(count)
    x, w, v = (rng.normal(size=shape) for shape in ((count, 4), (4, 3), (4, 3)))
    cotangent = alike(rng.normal(size=(count, 3)), 1)
    curvature = cc.Contraction("b i, i o -> b o").curvature(1)
    expected = curvature.product(root=True)(v, cotangent[None], x, w)
    for kind in KINDS:
        assert_close(applied(curvature.kronecker(kind)(cotangent, x, w), v), expected)
    jacobian = cc.Contraction("b i, i o -> b o").jacobian(1)(x, w).reshape(count, 3, -1)
    dense = sum(np.outer(g @ j, g @ j) for g, j in zip(cotangent, jacobian, strict=True))
    assert_close((dense @ v.ravel()).reshape(v.shape), expected)


@pytest.mark.parametrize(
    ("spec", "x_shape", "w_shape"),
    [
        ("b (2*i+k-1) c, k c o -> b i o", (3, 7, 2), (3, 2, 2)),
        ("b (i+k) (j+2*l) c, k l c o -> b i j o", (2, 4, 5, 2), (2, 2, 2, 3)),
        ("b i c, k c o -> b (2*i+k) o", (2, 3, 2), (3, 2, 2)),
        ("b t i, i o -> b t o", (2, 3, 4), (4, 3)),
    ],
)
def test_factors_of_shared_weights_have_the_scale_of_the_product(
    spec: str, x_shape: Shape, w_shape: Shape
) -> None:
    rng = np.random.default_rng(len(spec))
    layer = cc.Contraction(spec)
    x, w, v = rng.normal(size=x_shape), rng.normal(size=w_shape), rng.normal(size=w_shape)
    shape = layer.output_shape(x_shape, w_shape)
    # The same cotangent everywhere: *reduce* adds the places of an example up first.
    cotangent = alike(rng.normal(size=shape), len(shape) - 1)
    curvature = layer.curvature(1)
    expected = curvature.product(root=True)(v, cotangent[None], x, w)
    assert_close(applied(curvature.kronecker("reduce")(cotangent, x, w), v), expected)
    # Each place by itself, as the identity and *expand* have it: B alone is the identity then.
    left = curvature.kronecker("expand").input(x, w, output_shape=shape)
    identity = np.eye(w_shape[-1])
    assert_close(applied((left, identity), v), curvature.product()(v, x, w))


def test_what_shares_its_axis_numbers_no_examples() -> None:
    # Points of several i land on one element of a maximum, so its root couples them.
    layer = cc.Contraction("i, k -> (i+k)", "max")
    rng = np.random.default_rng(0)
    x, w, v, root = (rng.normal(size=shape) for shape in ((3,), (2,), (3,), (2, 4)))
    jacobian = layer.jacobian(0)(x, w)
    expected = sum(column @ jacobian * (column @ jacobian @ v) for column in root)
    assert_close(layer.curvature(0).product(root=True)(v, root, x, w), expected)
    with pytest.raises(cc.ContractionError, match=r"'i' cannot number .* no axis of its own"):
        layer.curvature(0, "i")


# --- complex numbers ---------------------------------------------------------------------------


def test_the_curvature_of_complex_arrays_is_refused() -> None:
    layer = cc.Contraction("b i, i o -> b o")
    x, w, g = np.ones((2, 3)) * 1j, np.ones((3, 2)), np.ones((2, 2))
    curvature = layer.curvature(1)
    calls: list[Callable[[], Any]] = [
        lambda: curvature.diagonal()(x, w),
        lambda: curvature.diagonal()(x.real, w + 0j),
        lambda: curvature.diagonal(root=True)(g[None] * 1j, x.real, w),
        lambda: curvature.product()(w, x, w),
        lambda: curvature.product(root=True)(w, g[None] * 1j, x.real, w),
        *(lambda k=kind: curvature.kronecker(k)(g, x, w) for kind in KINDS),
        *(lambda k=kind: curvature.kronecker(k)(g * 1j, x.real, w) for kind in KINDS),
    ]
    for call in calls:
        with pytest.raises(cc.OperandError, match="is complex"):
            call()
    # Without a conjugate the diagonal would be that of JᵀHJ, which is -1 here.
    assert (layer.jacobian(1)(x, w) ** 2).sum().real < 0
