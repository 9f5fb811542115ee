"""Eight networks, each as short as it is in PyTorch, or shorter.

    python examples/networks.py             # what each of them has and costs
    python examples/networks.py unet        # layer by layer

Images are channels-last. Nobody says how many channels come in, nor how long a flattened image is:
that follows. What PyTorch's users write for the same networks is in ``tests/torch_networks.py``.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import contractconv as cc
from contractconv.layers import (
    LSTM,
    Attention,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    ConvCP,
    ConvTransposed,
    Dense,
    Depthwise,
    Embedding,
    GlobalPool,
    LayerNorm,
    LearnedPositions,
    MaxPool,
    Part,
    Residual,
)


def lenet() -> cc.Network:
    """LeCun et al., Proc. IEEE (1998), with rectifiers and max pooling."""
    return cc.Network(
        [
            Conv(6, 5, padding=2, map="relu"),
            MaxPool(2),
            Conv(16, 5, map="relu"),
            MaxPool(2),
            Dense(120, over="h w c", map="relu"),
            Dense(84, map="relu"),
            Dense(10),
        ]
    )


def alexnet() -> cc.Network:
    """Krizhevsky, "One weird trick", arXiv:1404.5997 (2014), the form of one column."""
    return cc.Network(
        [
            Conv(64, 11, stride=4, padding=2, map="relu"),
            MaxPool(3, stride=2),
            Conv(192, 5, padding=2, map="relu"),
            MaxPool(3, stride=2),
            Conv(384, 3, padding=1, map="relu"),
            Conv(256, 3, padding=1, map="relu"),
            Conv(256, 3, padding=1, map="relu"),
            MaxPool(3, stride=2),
            Dense(4096, over="h w c", map="relu"),
            Dense(4096, map="relu"),
            Dense(1000),
        ]
    )


def resnet_block(maps: int, stride: int = 1) -> Part:
    """The basic block of He et al., CVPR (2016)."""
    return Residual(
        [
            Conv(maps, 3, stride=stride, padding=1, bias=False),
            BatchNorm(),
            "relu",
            Conv(maps, 3, padding=1, bias=False),
            BatchNorm(),
        ],
        shortcut=[Conv(maps, 1, stride=stride, bias=False), BatchNorm()] if stride > 1 else None,
        map="relu",
    )


def resnet18() -> cc.Network:
    """He et al., CVPR (2016)."""
    return cc.Network(
        [
            Conv(64, 7, stride=2, padding=3, bias=False),
            BatchNorm(),
            "relu",
            MaxPool(3, stride=2, padding=1),
            *(resnet_block(64), resnet_block(64)),
            *(resnet_block(128, 2), resnet_block(128)),
            *(resnet_block(256, 2), resnet_block(256)),
            *(resnet_block(512, 2), resnet_block(512)),
            GlobalPool(),
            Dense(1000),
        ]
    )


def inverted_residual(before: int, maps: int, stride: int = 1, widened: int = 6) -> Part:
    """The block of Sandler et al., "MobileNetV2", CVPR (2018)."""
    parts: list[Any] = [
        Conv(widened * before, 1, bias=False),
        BatchNorm(),
        "relu6",
        Depthwise(3, stride=stride, padding=1, bias=False),
        BatchNorm(),
        "relu6",
        Conv(maps, 1, bias=False),
        BatchNorm(),
    ]
    return Residual(parts) if stride == 1 and before == maps else Chain(parts)


def unet(width: int = 16, classes: int = 3) -> cc.Network:
    """Ronneberger et al., MICCAI (2015), of three levels; windows reach outside."""

    def seen(maps: int) -> Part:
        return Chain([Conv(maps, 3, padding=1, map="relu"), Conv(maps, 3, padding=1, map="relu")])

    def forward(x: cc.Tensor) -> cc.Tensor:
        up = partial(ConvTransposed, kernel=2, stride=2)
        first = seen(width)(x)
        second = seen(2 * width)(MaxPool(2)(first))
        x = seen(4 * width)(MaxPool(2)(second))
        x = seen(2 * width)(Concat()(second, up(2 * width)(x)))
        x = seen(width)(Concat()(first, up(width)(x)))
        return Conv(classes, 1)(x)

    return cc.Network(forward)


def transformer_encoder(
    vocabulary: int = 1000, classes: int = 2, width: int = 64, heads: int = 4, depth: int = 2
) -> cc.Network:
    """Vaswani et al., NeurIPS (2017), with normalisations before parts, and a mean behind."""

    def block() -> list[Part]:
        dense = [Dense(4 * width, map="gelu"), Dense(width)]
        return [Residual([LayerNorm(), Attention(heads)]), Residual([LayerNorm(), *dense])]

    return cc.Network(
        [
            Embedding(vocabulary, width),
            LearnedPositions(512),
            *(block() for _ in range(depth)),
            LayerNorm(),
            GlobalPool(axes=1),
            Dense(classes),
        ]
    )


def lstm_classifier(vocabulary: int = 1000, classes: int = 2, width: int = 64) -> cc.Network:
    """Hochreiter and Schmidhuber (1997); the last state says the class."""
    return cc.Network([Embedding(vocabulary, width), LSTM(width, sequence=False), Dense(classes)])


def cp_network(rank: int = 8) -> cc.Network:
    """A network whose second convolution is in factors: Lebedev et al., ICLR (2015)."""
    return cc.Network(
        [
            Conv(16, 5, padding=2, map="relu"),
            MaxPool(2),
            ConvCP(32, 5, rank=rank, map="relu"),
            MaxPool(2),
            Dense(10, over="h w c"),
        ]
    )


NETWORKS = {
    "lenet": (lenet(), (1, 28, 28, 1)),
    "alexnet": (alexnet(), (1, 224, 224, 3)),
    "resnet18": (resnet18(), (1, 224, 224, 3)),
    "inverted_residual": (cc.Network(inverted_residual(24, 24)), (1, 56, 56, 24)),
    "unet": (unet(), (1, 96, 96, 1)),
    "transformer_encoder": (transformer_encoder(), (1, 128)),
    "lstm_classifier": (lstm_classifier(), (1, 32)),
    "cp_network": (cp_network(), (1, 28, 28, 1)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=list(NETWORKS))
    args = parser.parse_args()
    if args.name:
        network, shape = NETWORKS[args.name]
        print(network.summary(shape))
        return
    print(f"{'network':<21}{'parameters':>12}{'multiply-adds':>16}")
    for name, (network, shape) in NETWORKS.items():
        told = network.summary(shape)
        print(f"{name:<21}{told.parameters:>12,}{told.multiply_adds:>16,}")


if __name__ == "__main__":
    main()
