"""Weights of networks, to and from other libraries: each layout is a string of the language.

``load`` makes parameters of what torch, Keras, TensorFlow, Flax, Caffe or Theano have saved, and
``export`` goes back; both only copy, so that a round trip changes no bit.
"""

from contractconv.weights.description import describe
from contractconv.weights.folding import fold
from contractconv.weights.formats.files import read, write
from contractconv.weights.formats.trees import nested
from contractconv.weights.transfer import export, load

__all__ = ["describe", "export", "fold", "load", "nested", "read", "write"]
