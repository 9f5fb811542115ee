"""Functions of symbolic tensors: compositions of contractions and maps, and nothing else.

Axes are given by name. What a function returns is made of the same nodes as everything else: it is
printed as contractions and maps, planned, run and differentiated as such.
"""

from contractconv.functions.attention import (
    attention,
    banded_mask,
    causal_mask,
    multi_head_attention,
)
from contractconv.functions.clipping import clipped, global_norm
from contractconv.functions.codes import embedding, one_hot
from contractconv.functions.dropout import dropout
from contractconv.functions.gates import geglu, glu, swiglu
from contractconv.functions.losses import binary_cross_entropy, cross_entropy, huber, mse, nll
from contractconv.functions.normalizations import (
    Statistics,
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
from contractconv.functions.optimizers import adam, averaged, lion, momentum, rmsprop, sgd
from contractconv.functions.pooling import avg_pool, max_pool
from contractconv.functions.positions import rope, sinusoidal
from contractconv.functions.recurrent import gru_cell, lstm_cell
from contractconv.functions.softmax import log_softmax, softmax
from contractconv.functions.splitting import merged, split
from contractconv.functions.statistics import (
    logsumexp,
    max,
    mean,
    min,
    standard_deviation,
    sum,
    variance,
)

__all__ = [
    "Statistics",
    "adam",
    "attention",
    "averaged",
    "avg_pool",
    "banded_mask",
    "batch_norm",
    "binary_cross_entropy",
    "causal_mask",
    "clipped",
    "cross_entropy",
    "dropout",
    "embedding",
    "geglu",
    "global_norm",
    "glu",
    "group_norm",
    "gru_cell",
    "huber",
    "instance_norm",
    "layer_norm",
    "lion",
    "log_softmax",
    "logsumexp",
    "lstm_cell",
    "max",
    "max_pool",
    "mean",
    "merged",
    "min",
    "momentum",
    "mse",
    "multi_head_attention",
    "nll",
    "one_hot",
    "rms_norm",
    "rmsprop",
    "rope",
    "sgd",
    "sinusoidal",
    "softmax",
    "split",
    "standard_deviation",
    "sum",
    "swiglu",
    "variance",
]
