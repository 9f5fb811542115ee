"""Layers drawn at random as real networks have them: families of shapes, not single ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from random import Random

from benchmarks.layers import (
    Drawn,
    Pooling,
    Product,
    Shape,
)
from contractconv import Reduction

# What is drawn has so many multiply-adds, and no array of more elements.
LEAST_WORK, MOST_WORK = 1e6, 1.5e9
MOST_ELEMENTS = 8_000_000

CHANNELS = (
    16,
    24,
    32,
    40,
    48,
    64,
    80,
    96,
    112,
    128,
    160,
    192,
    240,
    256,
    320,
    384,
    512,
    768,
    1024,
    2048,
)
SIDES = (
    4,
    7,
    8,
    10,
    12,
    14,
    16,
    17,
    20,
    24,
    27,
    28,
    32,
    35,
    40,
    56,
    64,
    75,
    96,
    112,
    128,
    150,
    224,
)
POOLS: tuple[Reduction, ...] = ("max", "mean")
BATCHES = (1, 1, 2, 4, 8, 8, 16, 32, 64)


Layer = Drawn | Product | Pooling


def draw(rng: Random, families: Sequence[str] = (), dtype: str = "float32") -> Layer:
    """One layer of one of the families that are named; of all if none is.

    >>> layer = draw(Random(1), ["depthwise"])
    >>> layer.family, layer.groups == layer.channels
    ('depthwise', True)
    """
    wanted = {name: FAMILIES[name] for name in families} or FAMILIES
    weights = [weight for weight, _ in wanted.values()]
    while True:
        (name,) = rng.choices(list(wanted), weights)
        layer = wanted[name][1](rng, name, dtype)
        if _fits(layer):
            return layer


def _fits(layer: Layer) -> bool:
    """Whether there is enough to do, and not too much, and no window is larger than its axis."""
    if isinstance(layer, Product):
        shapes = [*layer.shapes, layer.output_shape]
    else:
        shapes = [layer.input_shape, layer.output_shape]
    if isinstance(layer, Drawn):
        shapes.append(layer.weight_shape)
    work = layer.windows if isinstance(layer, Pooling) else layer.flops / 2
    least = LEAST_WORK / 10 if isinstance(layer, Pooling) else LEAST_WORK
    return (
        least <= work <= MOST_WORK
        and all(0 < prod(s) <= MOST_ELEMENTS for s in shapes)
        and min(map(min, shapes)) > 0
    )


# --- families ----------------------------------------------------------------------------------


def _same(kernel: Shape, dilation: Shape) -> Shape:
    """The padding with which a stride of one changes no size."""
    return tuple(far * (taps - 1) // 2 for taps, far in zip(kernel, dilation, strict=True))


def _layer(
    rng: Random,
    family: str,
    dtype: str,
    sizes: Shape,
    channels: int,
    outputs: int,
    kernel: Shape,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    transposed: bool = False,
) -> Drawn:
    rank = len(sizes)
    dilations = (dilation,) * rank
    padding = _same(kernel, dilations) if rng.random() < 0.8 else (0,) * rank
    # Most of our users' arrays have channels last; torch's have them first.
    first = rng.random() < 0.25
    return Drawn(
        family, rng.choice(BATCHES), sizes, channels, outputs, kernel, (stride,) * rank,
        padding, dilations, groups, transposed, first, dtype,
    )  # fmt: skip


def _square(rng: Random, rank: int = 2) -> Shape:
    side = rng.choice(SIDES)
    return (side,) * (rank - 1) + (side if rng.random() < 0.8 else rng.choice(SIDES),)


def _pair(rng: Random) -> tuple[int, int]:
    """Channels of an image and of its result: often the same, or twice as many."""
    channels = rng.choice(CHANNELS)
    others = (channels, channels, 2 * channels, max(1, channels // 2), rng.choice(CHANNELS))
    return channels, rng.choice(others)


def _dense(rng: Random, family: str, dtype: str) -> Drawn:
    size = rng.choice((3, 3, 3, 3, 2, 4, 5, 5, 7))
    return _layer(rng, family, dtype, _square(rng), *_pair(rng), (size, size))


def _strided(rng: Random, family: str, dtype: str) -> Drawn:
    size = rng.choice((2, 3, 3, 3, 4, 5, 7))
    stride = rng.choice((2, 2, 2, 3, 4))
    return _layer(rng, family, dtype, _square(rng), *_pair(rng), (size, size), stride=stride)


def _dilated(rng: Random, family: str, dtype: str) -> Drawn:
    size, far = rng.choice((3, 3, 3, 5)), rng.choice((2, 2, 3, 4, 6, 8))
    return _layer(rng, family, dtype, _square(rng), *_pair(rng), (size, size), dilation=far)


def _pointwise(rng: Random, family: str, dtype: str) -> Drawn:
    stride = rng.choice((1, 1, 1, 1, 2))
    return _layer(rng, family, dtype, _square(rng), *_pair(rng), (1, 1), stride=stride)


def _rectangular(rng: Random, family: str, dtype: str) -> Drawn:
    kernel = rng.choice(((1, 3), (3, 1), (1, 7), (7, 1), (1, 5), (5, 1), (3, 5), (11, 1)))
    return _layer(rng, family, dtype, _square(rng), *_pair(rng), kernel)


def _grouped(rng: Random, family: str, dtype: str) -> Drawn:
    groups, each = rng.choice((2, 4, 8, 16, 32)), rng.choice((4, 8, 8, 16, 24, 32, 64))
    size, stride = rng.choice((1, 3, 3, 3, 5)), rng.choice((1, 1, 1, 2))
    channels = groups * each
    outputs = channels * rng.choice((1, 1, 1, 2))
    return _layer(
        rng, family, dtype, _square(rng), channels, outputs, (size, size),
        stride=stride, groups=groups,
    )  # fmt: skip


def _depthwise(rng: Random, family: str, dtype: str) -> Drawn:
    size, stride = rng.choice((3, 3, 3, 5, 5, 7)), rng.choice((1, 1, 1, 2))
    channels = rng.choice(CHANNELS)
    outputs = channels * rng.choice((1, 1, 1, 1, 2))
    return _layer(
        rng, family, dtype, _square(rng), channels, outputs, (size, size),
        stride=stride, groups=channels,
    )  # fmt: skip


def _stem(rng: Random, family: str, dtype: str) -> Drawn:
    size, stride = rng.choice(((3, 1), (3, 2), (5, 1), (5, 2), (7, 2), (7, 4), (11, 4), (4, 4)))
    side = rng.choice((28, 32, 64, 96, 112, 128, 160, 224))
    outputs = rng.choice((6, 16, 24, 32, 40, 64, 96))
    return _layer(
        rng, family, dtype, (side, side), rng.choice((1, 3, 3, 3, 4, 6)), outputs, (size, size),
        stride=stride,
    )  # fmt: skip


def _sequence(rng: Random, family: str, dtype: str) -> Drawn:
    length, size = (
        rng.choice((50, 100, 128, 256, 500, 1000, 4000)),
        rng.choice((1, 2, 3, 3, 5, 7, 9, 11)),
    )
    far = rng.choice((1, 1, 1, 2, 4, 8))
    stride = rng.choice((1, 1, 2)) if far == 1 else 1
    return _layer(
        rng, family, dtype, (length,), *_pair(rng), (size,), stride=stride, dilation=far
    )  # fmt: skip


def _volume(rng: Random, family: str, dtype: str) -> Drawn:
    side = rng.choice((7, 8, 14, 16, 24, 28, 32))
    kernel = rng.choice(((3, 3, 3), (3, 3, 3), (1, 3, 3), (3, 1, 1), (2, 2, 2)))
    sizes = (rng.choice((4, 8, 16, side)), side, side)
    return _layer(rng, family, dtype, sizes, *_pair(rng), kernel, stride=rng.choice((1, 1, 2)))


def _transposed(rng: Random, family: str, dtype: str) -> Drawn:
    size, stride = rng.choice(((2, 2), (3, 2), (4, 2), (3, 1), (5, 2), (4, 4)))
    return _layer(
        rng, family, dtype, _square(rng), *_pair(rng), (size, size), stride=stride, transposed=True
    )  # fmt: skip


ATTENTION = (
    "b i h d, b j h d -> b h i j",
    "b h i j, b j h d -> b i h d",
    "b h i d, b h j d -> b h i j",
    "b h i j, b h j d -> b h i d",
    "b t m, m h d -> b t h d",
    "b t h d, h d m -> b t m",
)
NETWORKS = (
    "a b c, c d e -> a b d e",
    "a b c, b d e c -> a d e",
    "l p r, r q s -> l p q s",
    "a l m, l p n -> a m p n",
    "a b i j, i j c d -> a b c d",
    "a i b j, j c i d -> a b c d",
    "h w c o, b h w c -> b o",
)


def _attention(rng: Random, family: str, dtype: str) -> Product:
    sizes = {
        "b": rng.choice((1, 2, 4, 8)),
        "h": rng.choice((1, 4, 8, 12, 16)),
        "d": rng.choice((16, 32, 64, 80, 128)),
        "m": rng.choice((128, 256, 384, 512, 768)),
    }
    sizes |= dict.fromkeys("ijt", rng.choice((32, 64, 128, 197, 256, 512)))
    return _product(family, rng.choice(ATTENTION), sizes, dtype)


def _network(rng: Random, family: str, dtype: str) -> Product:
    string = rng.choice(NETWORKS)
    sizes = {
        n: rng.choice((2, 3, 4, 7, 8, 12, 16, 32, 50, 64, 100, 128)) for n in string if n.isalpha()
    }
    return _product(family, string, sizes, dtype)


def _product(family: str, string: str, sizes: dict[str, int], dtype: str) -> Product:
    read, _ = string.split(" -> ")
    left, right = (tuple(sizes[name] for name in term.split()) for term in read.split(", "))
    return Product(family, string, (left, right), dtype)


def _pooling(rng: Random, family: str, dtype: str) -> Pooling:
    size, stride = rng.choice(((2, 2), (3, 2), (3, 1), (3, 3), (2, 1), (5, 3)))
    side, reduce = rng.choice(SIDES), rng.choice(POOLS)
    batch, channels = rng.choice(BATCHES), rng.choice(CHANNELS)
    return Pooling(reduce, batch, side, side, channels, size, stride)


Family = Callable[[Random, str, str], Layer]
FAMILIES: dict[str, tuple[float, Family]] = {
    "dense": (25, _dense),
    "strided": (10, _strided),
    "dilated": (6, _dilated),
    "pointwise": (14, _pointwise),
    "rectangular": (6, _rectangular),
    "grouped": (9, _grouped),
    "depthwise": (9, _depthwise),
    "stem": (5, _stem),
    "sequence": (7, _sequence),
    "volume": (4, _volume),
    "transposed": (5, _transposed),
    "pooling": (4, _pooling),
    "attention": (4, _attention),
    "network": (4, _network),
}
