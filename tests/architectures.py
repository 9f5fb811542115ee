"""Well-known networks, written as a user would."""

from __future__ import annotations

import contractconv as cc
from contractconv.layers import (
    BatchNorm,
    Chain,
    Concat,
    Conv,
    ConvTransposed,
    Dense,
    Depthwise,
    GlobalPool,
    MaxPool,
    Part,
    Residual,
)

FIRST = "b (i+k-2) (j+l-2) c, k l c o -> b i j o"


def lenet() -> cc.Network:
    """The strings of LeCun et al. (1998), with rectifiers and maxima, for images of 28×28."""
    return cc.Network(
        [
            cc.Layer(FIRST, k=5, l=5, o=6, bias="o", map="relu"),
            MaxPool(2),
            Conv(16, 5, map="relu"),
            MaxPool(2),
            Dense(120, over="h w c", map="relu"),
            Dense(84, map="relu"),
            Dense(10),
        ],
        name="lenet",
    )


def alexnet(groups: int = 1) -> cc.Network:
    """Krizhevsky et al. (2012) has kernels on two devices, ``groups=2``, and more of them."""
    first, fourth = (96, 384) if groups > 1 else (64, 256)
    third = 384
    return cc.Network(
        [
            Conv(first, 11, stride=4, padding=2, map="relu"),
            MaxPool(3, stride=2),
            Conv(256 if groups > 1 else 192, 5, padding=2, groups=groups, map="relu"),
            MaxPool(3, stride=2),
            Conv(third, 3, padding=1, map="relu"),
            Conv(fourth, 3, padding=1, groups=groups, map="relu"),
            Conv(256, 3, padding=1, groups=groups, map="relu"),
            MaxPool(3, stride=2),
            Dense(4096, over="h w c", map="relu"),
            Dense(4096, map="relu"),
            Dense(1000),
        ],
        name="alexnet",
    )


def vgg16() -> cc.Network:
    """Simonyan and Zisserman (2015), configuration D."""
    blocks = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]
    return cc.Network(
        [
            *([*_seen(n, o), MaxPool(2)] for n, o in blocks),
            Dense(4096, over="h w c", map="relu"),
            Dense(4096, map="relu"),
            Dense(1000),
        ],
        name="vgg16",
    )


def resnet50() -> cc.Network:
    """He et al. (2016), with the stride in the middle of a block: ResNet-50 "v1.5"."""
    stages = [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)]
    return cc.Network(
        [
            _normed(Conv(64, 7, stride=2, padding=3, bias=False), "relu"),
            MaxPool(3, stride=2, padding=1),
            *([_bottleneck(o, s if n == 0 else 1, n == 0) for n in range(c)] for c, o, s in stages),
            GlobalPool(),
            Dense(1000),
        ],
        name="resnet50",
    )


def _bottleneck(filters: int, stride: int, changes: bool) -> Residual:
    shortcut = _normed(Conv(4 * filters, 1, stride=stride, bias=False)) if changes else None
    return Residual(
        [
            *_normed(Conv(filters, 1, bias=False), "relu"),
            *_normed(Conv(filters, 3, stride=stride, padding=1, bias=False), "relu"),
            *_normed(Conv(4 * filters, 1, bias=False)),
        ],
        shortcut=shortcut,
        map="relu",
    )


def mobilenet_v2() -> cc.Network:
    """Sandler et al. (2018), of width 1."""
    stages = [(6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2)]
    blocks, before = [_inverted(32, 1, 16, 1)], 16
    for widened, filters, count, stride in [*stages, (6, 320, 1, 1)]:
        for n in range(count):
            blocks.append(_inverted(before, widened, filters, stride if n == 0 else 1))
            before = filters
    return cc.Network(
        [
            _normed(Conv(32, 3, stride=2, padding=1, bias=False), "relu6"),
            *blocks,
            _normed(Conv(1280, 1, bias=False), "relu6"),
            GlobalPool(),
            Dense(1000),
        ],
        name="mobilenet_v2",
    )


def _inverted(before: int, widened: int, filters: int, stride: int) -> Part:
    wide = _normed(Conv(widened * before, 1, bias=False), "relu6") if widened > 1 else []
    parts = [
        *wide,
        *_normed(Depthwise(3, stride=stride, padding=1, bias=False), "relu6"),
        *_normed(Conv(filters, 1, bias=False)),
    ]
    return Residual(parts) if stride == 1 and before == filters else Chain(parts)


def _normed(part: Part, map: str | None = None) -> list[Part | str]:
    return [part, BatchNorm(), *([map] if map else [])]


def _seen(count: int, filters: int) -> list[Part]:
    return [Conv(filters, 3, padding=1, map="relu") for _ in range(count)]


def unet(
    width: int = 64, crops: tuple[int, ...] = (88, 40, 16, 4), last: Part | None = None
) -> cc.Network:
    """Ronneberger et al. (2015): windows stay inside, so what skips is cropped to its middle."""
    end = Conv(2, 1) if last is None else last
    widths = [width * 2**n for n in range(len(crops) + 1)]
    down = [_twice(o, f"down_{n}") for n, o in enumerate(widths)]
    up = [ConvTransposed(o, 2, stride=2, name=f"up_{n}") for n, o in enumerate(widths[:-1])]
    joined = [_twice(o, f"joined_{n}") for n, o in enumerate(widths[:-1])]

    def forward(x: cc.Tensor) -> cc.Tensor:
        skips = []
        for level in down[:-1]:
            skips.append(level(x))
            x = MaxPool(2)(skips[-1])
        x = down[-1](x)
        for n, crop in reversed([*enumerate(crops)]):
            skip = skips[n].at(h=slice(crop, -crop), w=slice(crop, -crop))
            x = joined[n](cc.concat([skip, up[n](x)], "c"))
        return end(x)

    return cc.Network(forward, name="unet")


def _twice(filters: int, name: str) -> Chain:
    return Chain([Conv(filters, 3, map="relu"), Conv(filters, 3, map="relu")], name=name)


def inception() -> cc.Network:
    """One block of Szegedy et al. (2015): four branches, one behind the other in the result."""
    return cc.Network(
        [
            Conv(8, 3, padding=1),
            Concat(
                Conv(4, 1),
                [Conv(4, 1), Conv(6, 3, padding=1)],
                [Conv(2, 1), Conv(4, 5, padding=2)],
                [MaxPool(3, stride=1, padding=1), Conv(4, 1)],
            ),
            GlobalPool(),
            Dense(10),
        ],
        name="inception",
    )


def attending() -> cc.Network:
    """Two inputs, encoded by one layer; one looks at the other, and a gate decides."""
    encode, gate, last = Dense(6, name="encode"), Dense(6, name="gate"), Dense(3, name="last")

    def forward(x: cc.Tensor, y: cc.Tensor) -> cc.Tensor:
        queries, keys = encode(x), encode(y)
        scores = cc.contract("b i c, b j c -> b i j", queries, keys)
        weights = cc.functions.softmax(scores * 0.4, "j")
        found = cc.contract("b i j, b j c -> b i c", weights, keys).named(queries.axes)
        open_gate = cc.sigmoid(gate(cc.functions.mean(queries, "i")))
        return last(found * open_gate + queries)

    return cc.Network(forward, inputs=["b i d", "b j d"], name="attending")
