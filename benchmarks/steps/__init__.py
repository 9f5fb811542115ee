"""Networks of which whole training steps are measured: a file for each, and a table of them all."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.layers import NetworkStep
from benchmarks.steps.alexnet import alexnet
from benchmarks.steps.lenet import lenet
from benchmarks.steps.mobilenet import mobilenet
from benchmarks.steps.network import Network
from benchmarks.steps.resnet import resnet
from benchmarks.steps.transformer import transformer
from benchmarks.steps.unet import unet

NETWORKS: dict[str, Callable[[NetworkStep], Network]] = {
    "LeNet-5": lenet,
    "AlexNet": alexnet,
    "U-Net": unet,
    "ResNet block": resnet,
    "MobileNetV2 block": mobilenet,
    "transformer": transformer,
}


def network(case: NetworkStep) -> Network:
    """The network of a case."""
    return NETWORKS[case.network](case)
