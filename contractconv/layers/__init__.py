"""Layers that are nothing but strings, and what they are made of.

Each shows its string: ``print(contractconv.layers.Conv(64, 3))``.
"""

from contractconv.layers.chain import Chain
from contractconv.layers.convolutions import Conv, ConvTransposed, Depthwise, Local
from contractconv.layers.dense import Dense
from contractconv.layers.layer import Layer
from contractconv.layers.part import Part
from contractconv.layers.pooling import AveragePool, GlobalPool, MaxPool

__all__ = [
    "AveragePool",
    "Chain",
    "Conv",
    "ConvTransposed",
    "Dense",
    "Depthwise",
    "GlobalPool",
    "Layer",
    "Local",
    "MaxPool",
    "Part",
]
