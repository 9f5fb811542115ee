"""Layers that are nothing but strings, and what they are made of.

Each shows its string: ``print(contractconv.layers.Conv(64, 3))``.
"""

from contractconv.layers.attention import Attention
from contractconv.layers.blocks import Concat, Residual, SqueezeExcite
from contractconv.layers.chain import Chain
from contractconv.layers.convolutions import Conv, ConvTransposed, Depthwise, Local
from contractconv.layers.dense import Dense
from contractconv.layers.dropout import Dropout
from contractconv.layers.embeddings import Embedding, LearnedPositions, Positions
from contractconv.layers.factorised import ConvCP, ConvTrain, ConvTucker, Separable
from contractconv.layers.layer import Layer
from contractconv.layers.normalizations import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    RMSNorm,
)
from contractconv.layers.part import Part
from contractconv.layers.pooling import AveragePool, GlobalPool, MaxPool
from contractconv.layers.recurrent import GRU, LSTM

__all__ = [
    "GRU",
    "LSTM",
    "Attention",
    "AveragePool",
    "BatchNorm",
    "Chain",
    "Concat",
    "Conv",
    "ConvCP",
    "ConvTrain",
    "ConvTransposed",
    "ConvTucker",
    "Dense",
    "Depthwise",
    "Dropout",
    "Embedding",
    "GlobalPool",
    "GroupNorm",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "LearnedPositions",
    "Local",
    "MaxPool",
    "Part",
    "Positions",
    "RMSNorm",
    "Residual",
    "Separable",
    "SqueezeExcite",
]
