"""Where neighbours keep which weights, and how they lie there: one table.

A row says for a parameter of ours which entry of theirs it is, and the layout of that in roles; see
:mod:`contractconv.weights.terms`. A parameter with several rows is put together, and so is an
entry that stands in several rows: orders of gates are no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Flatten = Literal["NCHW", "NHWC"]
"""In which order the elements of an image are flattened before a dense layer."""


@dataclass(frozen=True)
class Row:
    """Where a parameter is kept, or a part of one.

    Attributes:
        entry: its name behind that of the layer, ``"weight"``; or several, ``"kernel|vars/0"``.
        theirs: the layout of the neighbour, in roles.
        ours: ours; by default what the string of the layer says.
        added: a sum that the neighbour keeps as two (``"load"``), or that we keep as two
            (``"export"``); the one who has it as one, has it where no such row is.
    """

    entry: str
    theirs: str
    ours: str = ""
    added: Literal["", "load", "export"] = ""

    @property
    def entries(self) -> tuple[str, ...]:
        """The names it may have."""
        return tuple(self.entry.split("|"))


Rows = dict[str, tuple[Row, ...]]
"""The rows of each parameter of a layer."""


@dataclass(frozen=True)
class Framework:
    """What is known of a neighbour.

    Attributes:
        layers: the rows of each kind of layer; of some kinds there are several, as neighbours have
            several layers that do the same.
        flatten: how images are flattened, as a rule.
        between: what stands between the names of a layer and of an entry.
        ignored: entries that are no weights.
        collections: what stands before names of what is trained, and of running statistics.
    """

    layers: Mapping[str, tuple[Rows, ...]]
    flatten: Flatten
    between: str = "."
    ignored: tuple[str, ...] = ()
    collections: tuple[str, str] = ("", "")


def _affine(weight: str, bias: str, layout: str) -> Rows:
    """A weight and a bias."""
    return {"W": (Row(weight, layout),), "bias": (Row(bias, "(A)"),)}


def _norms(scale: str, shift: str, mean: str, variance: str) -> dict[str, tuple[Rows, ...]]:
    """Normalisations."""
    trained: Rows = {"scale": (Row(scale, "F"),), "shift": (Row(shift, "F"),)}
    running: Rows = {"mean": (Row(mean, "F"),), "variance": (Row(variance, "F"),)}
    kinds = ("layer_norm", "group_norm", "instance_norm", "rms_norm")
    found: dict[str, tuple[Rows, ...]] = dict.fromkeys(kinds, (trained,))
    return found | {"batch_norm": (trained | running,)}


def _gates(entry: str, term: str, order: Sequence[int], ours: str) -> tuple[Row, ...]:
    """Gates in another order: ``order[n]`` is where our gate ``n`` stands, ``@`` where gates do."""
    count = len(order)
    return tuple(
        Row(entry, term.replace("@", f"{place}/{count}"), ours.replace("@", f"{n}/{count}"))
        for n, place in enumerate(order)
    )


def _each(entry: str, names: str, term: str, ours: str) -> tuple[Row, ...]:
    """Gates of which each has an entry by itself, ``i@/kernel``."""
    return tuple(
        Row(entry.replace("@", name), term, ours.replace("@", f"{n}/{len(names)}"))
        for n, name in enumerate(names)
    )


def _projected(query: str, key: str, value: str, out: str, kernel: str, bias: str) -> Rows:
    """Attention whose heads are an axis: ``@`` is one of the names of a projection."""
    theirs = {"q": query, "k": key, "v": value}

    def entry(names: str, last: str) -> str:
        pairs = zip(names.split("|"), last.split("|"), strict=True)
        return "|".join(f"{name}/{what}" for name, what in pairs)

    return {
        **{f"W_{n}": (Row(entry(name, kernel), "D N H"),) for n, name in theirs.items()},
        **{f"bias_{n}": (Row(entry(name, bias), "N H"),) for n, name in theirs.items()},
        "W_o": (Row(entry(out, kernel), "N H D"),),
        "bias_o": (Row(entry(out, bias), "D"),),
    }


# -- torch: output channels first; gates are i f g o and r z n, as here --------------------------

_TORCH_ATTENTION: Rows = {
    **{f"W_{n}": (Row("in_proj_weight", f"({i}/3 N H) D"),) for i, n in enumerate("qkv")},
    **{f"bias_{n}": (Row("in_proj_bias", f"({i}/3 N H)"),) for i, n in enumerate("qkv")},
    "W_o": (Row("out_proj/weight", "D (N H)"),),
    "bias_o": (Row("out_proj/bias", "D"),),
}
_TORCH_RECURRENT: Rows = {
    "W_x": (Row("weight_ih_l0", "(N H) D"),),
    "W_h": (Row("weight_hh_l0", "(N H) D"),),
}
_TORCH = Framework(
    layers={
        "conv": (_affine("weight", "bias", "(G O) (C) K"),),
        "transposed": (_affine("weight", "bias", "(G C) (O) K"),),
        "dense": (_affine("weight", "bias", "(O) (C)"),),
        "embedding": ({"W": (Row("weight", "A"),)},),
        "lstm": (
            _TORCH_RECURRENT
            | {"bias": (Row("bias_ih_l0", "(N H)"), Row("bias_hh_l0", "(N H)", added="load"))},
        ),
        "gru": (
            _TORCH_RECURRENT
            | {"bias_x": (Row("bias_ih_l0", "(N H)"),), "bias_h": (Row("bias_hh_l0", "(N H)"),)},
        ),
        "attention": (_TORCH_ATTENTION,),
        **_norms("weight", "bias", "running_mean", "running_var"),
    },
    flatten="NCHW",
    ignored=("num_batches_tracked",),
)

# -- Keras and TensorFlow: channels last; gates are i f c o and z r h ----------------------------

_Z_R_H = (1, 0, 2)
_KERNEL, _BIAS = "kernel|vars/0", "bias|vars/1"
_RECURRENT_KERNEL, _RECURRENT_BIAS = "recurrent_kernel|vars/1", "bias|vars/2"
_KERAS = Framework(
    layers={
        "conv": (_affine(_KERNEL, _BIAS, "K (C) (G O)"),),
        "depthwise": (
            _affine("kernel|depthwise_kernel|vars/0", _BIAS, "K (G) (O)"),
            _affine(_KERNEL, _BIAS, "K (C) (G O)"),
        ),
        "separable": (
            {
                "W_1": (Row("depthwise_kernel|vars/0", "K (G) (O)"),),
                "W_2": (Row("pointwise_kernel|vars/1", "U (C) (O)"),),
                "bias": (Row("bias|vars/2", "(A)"),),
            },
        ),
        "transposed": (_affine(_KERNEL, _BIAS, "K (O) (C)"),),
        "dense": (_affine(_KERNEL, _BIAS, "(C) (O)"),),
        "embedding": ({"W": (Row("embeddings|vars/0", "A"),)},),
        "lstm": (
            {
                "W_x": (Row(_KERNEL, "D (N H)"),),
                "W_h": (Row(_RECURRENT_KERNEL, "D (N H)"),),
                "bias": (Row(_RECURRENT_BIAS, "(N H)"),),
            },
        ),
        "gru": (
            {
                "W_x": _gates(_KERNEL, "D (@ H)", _Z_R_H, "D @ H"),
                "W_h": _gates(_RECURRENT_KERNEL, "D (@ H)", _Z_R_H, "D @ H"),
                "bias_x": _gates(_RECURRENT_BIAS, "0/2 (@ H)", _Z_R_H, "@ H"),
                "bias_h": _gates(_RECURRENT_BIAS, "1/2 (@ H)", _Z_R_H, "@ H"),
            },
        ),
        "attention": (
            _projected(
                "query|query_dense", "key|key_dense", "value|value_dense",
                "attention_output|output_dense", _KERNEL, _BIAS,
            ),
        ),
        **_norms("gamma|vars/0", "beta|vars/1", "moving_mean|vars/2", "moving_variance|vars/3"),
    },
    flatten="NHWC",
    between="/",
    ignored=("seed_generator_state", "seed_generator/vars/0"),
)  # fmt: skip

# -- Flax: channels last; each gate by itself; kernels of transposed convolutions are turned -----

_FLAX = Framework(
    layers={
        "conv": (_affine("kernel", "bias", "K (C) (G O)"),),
        "transposed": (_affine("kernel", "bias", "~K (C) (O)"),),
        "dense": (
            _affine("kernel", "bias", "(C) (O)"),
            {"W": (Row("kernel", "C O"),), "bias": (Row("bias", "A"),)},
        ),
        "embedding": ({"W": (Row("embedding", "A"),)},),
        "lstm": (
            {
                "W_x": _each("i@/kernel", "ifgo", "D H", "D @ H"),
                "W_h": _each("h@/kernel", "ifgo", "D H", "D @ H"),
                "bias": _each("h@/bias", "ifgo", "H", "@ H"),
            },
        ),
        "gru": (
            {
                "W_x": _each("i@/kernel", "rzn", "D H", "D @ H"),
                "W_h": _each("h@/kernel", "rzn", "D H", "D @ H"),
                "bias_x": _each("i@/bias", "rzn", "H", "@ H"),
                # The gates r and z see the sum of two biases, and have one.
                "bias_h": (
                    Row("ir/bias", "H", "0/3 H", added="export"),
                    Row("iz/bias", "H", "1/3 H", added="export"),
                    Row("hn/bias", "H", "2/3 H"),
                ),
            },
        ),
        "attention": (_projected("query", "key", "value", "out", "kernel", "bias"),),
        **_norms("scale", "bias", "mean", "var"),
    },
    flatten="NHWC",
    between="/",
    collections=("params/", "batch_stats/"),
)

# -- Caffe: as torch, and entries have numbers ---------------------------------------------------

_CAFFE = Framework(
    layers={
        "conv": (_affine("0", "1", "(G O) (C) K"),),
        "transposed": (_affine("0", "1", "(G C) (O) K"),),
        "dense": (_affine("0", "1", "(O) (C)"),),
        "embedding": ({"W": (Row("0", "A"),)},),
        "batch_norm": (
            {
                "scale": (Row("scale/0", "A"),),
                "shift": (Row("scale/1", "A"),),
                "mean": (Row("0", "A"),),
                "variance": (Row("1", "A"),),
            },
        ),
    },
    flatten="NCHW",
)

# -- Theano, and Lasagne on it: true convolutions, whose kernels are turned ----------------------

_THEANO = Framework(
    layers={
        "conv": (_affine("W", "b", "(G O) (C) ~K"),),
        "transposed": (_affine("W", "b", "(C) (O) ~K"),),
        "dense": (_affine("W", "b", "(C) (O)"),),
        "embedding": ({"W": (Row("W", "A"),)},),
    },
    flatten="NCHW",
)

FRAMEWORKS: dict[str, Framework] = {
    "torch": _TORCH,
    "keras": _KERAS,
    "tensorflow": _KERAS,
    "flax": _FLAX,
    "caffe": _CAFFE,
    "theano": _THEANO,
}
"""Neighbours by name."""

CANONICAL: dict[str, dict[str, str]] = {
    "lstm": {"W_x": "D N H", "W_h": "D N H", "bias": "N H"},
    "gru": {"W_x": "D N H", "W_h": "D N H", "bias_x": "N H", "bias_h": "N H"},
    "attention": {
        **{f"W_{n}": "D N H" for n in "qkv"},
        **{f"bias_{n}": "N H" for n in "qkv"},
        "W_o": "N H D",
        "bias_o": "D",
    },
}
"""The roles of the axes of parameters of layers that are more than one contraction."""
