"""Well-known networks, written as a user would."""

from __future__ import annotations

import contractconv as cc
from contractconv.layers import (
    Chain,
    Conv,
    ConvTransposed,
    Dense,
    MaxPool,
)


def lenet() -> cc.Network:
    """The strings of LeCun et al. (1998), with rectifiers and maxima, for images of 28×28."""
    return cc.Network(
        [
            cc.Layer("b (i+k-2) (j+l-2) c, k l c o -> b i j o", k=5, l=5, o=6, bias="o", map="relu"),
            MaxPool(2),
            Conv(16, 5, map="relu"),
            MaxPool(2),
            Dense(120, over="h w c", map="relu"),
            Dense(84, map="relu"),
            Dense(10),
        ],
        name="lenet",
    )  # fmt: skip


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
            *([*(Conv(o, 3, padding=1, map="relu") for _ in range(n)), MaxPool(2)] for n, o in blocks),
            Dense(4096, over="h w c", map="relu"),
            Dense(4096, map="relu"),
            Dense(1000),
        ],
        name="vgg16",
    )  # fmt: skip


def unet(classes: int = 2, width: int = 64, crops: tuple[int, ...] = (88, 40, 16, 4)) -> cc.Network:
    """Ronneberger et al. (2015): windows stay inside, so what skips is cropped to its middle."""
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
        return Conv(classes, 1)(x)

    return cc.Network(forward, name="unet")


def _twice(filters: int, name: str) -> Chain:
    return Chain([Conv(filters, 3, map="relu"), Conv(filters, 3, map="relu")], name=name)
