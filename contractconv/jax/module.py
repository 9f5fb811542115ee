"""A network as a pair of functions: what makes its parameters, and what it is of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from contractconv.api.contraction import Contraction
from contractconv.jax.chance import generator_of, masks_of
from contractconv.layers.layer import Layer as LayerPart
from contractconv.layers.nesting import Nested, flattened, nested
from contractconv.networks.inputs import as_arrays, fitted
from contractconv.networks.nesting import in_order
from contractconv.networks.network import Network


@jax.tree_util.register_static
class Module:
    """A network whose parameters are a nested dict of jax arrays, which goes in and comes out.

    It holds no arrays itself: to jax it is a constant, which may be closed over, or be a part of
    a tree that is passed to a function.

    Args:
        parts: a :class:`contractconv.Network`, or what one is made of.

    Example:
        >>> import contractconv as cc
        >>> net = Module([cc.layers.Dense(8, map="tanh"), cc.layers.Dense(2)])
        >>> params = net.init(jax.random.key(0), (1, 4))
        >>> params["dense_1"]["W"].shape
        (4, 8)
        >>> net.apply(params, jnp.ones((3, 4))).shape
        (3, 2)
    """

    def __init__(self, parts: Any) -> None:
        self.network = parts if isinstance(parts, Network) else Network(parts)

    def init(self, rng: Any, *shapes: Any, dtype: Any = "float32") -> Nested:
        """Draw first parameters, and running statistics where there are any.

        Args:
            rng: a key of jax, or a seed.
            *shapes: the shape of each input, or an array.
            dtype: of the parameters.

        Returns:
            A nested dict of jax arrays.

        Raises:
            OperandError: nothing is drawn by that, or it is a key that is being traced.
            ShapeError: shapes do not fit; the message says in which part.
        """
        drawn = self.network.init(generator_of(rng), *shapes, dtype=dtype)
        made: Nested = jax.tree.map(jnp.asarray, drawn)
        return made

    def apply(
        self, params: Mapping[str, Any], *inputs: Any, rng: Any = None, training: bool = False
    ) -> Any:
        """What the network makes; jax may differentiate, compile and map it.

        Args:
            params: what :meth:`init` has made.
            *inputs: what comes in. Floating-point numbers become those of the parameters.
            rng: a key of jax, or a seed, for the chance in training.
            training: whether it is as in training, or as it is afterwards.

        Returns:
            What it makes; in training also a nested dict of the running statistics that have seen
            this batch, which :func:`merged` puts into the parameters.

        Raises:
            OperandError: a parameter is missing or superfluous, or there is chance and no ``rng``.
            ShapeError: shapes do not fit.
        """
        given = as_arrays(inputs)
        network = self.network.traced(*given, training=training)
        arrays = in_order(params, network.parameters)
        tensors = [*network.inputs, *(mask.tensor for mask in network.masks)]
        tensors += [parameter.tensor for parameter in network.parameters]
        run = self.network.ready([network.output, *network.updates.values()], tensors)
        chance = masks_of(network.masks, rng)
        made, *moved = run(*map(jnp.asarray, fitted(given, arrays)), *chance, *arrays)
        if not training:
            return made
        return made, nested(dict(zip(network.updates, moved, strict=True)))

    def split(self, params: Mapping[str, Any], *shapes: Any) -> tuple[Nested, Nested]:
        """The parameters that are trained, which an optimiser takes, and the running statistics.

        Args:
            params: what :meth:`init` has made.
            *shapes: the shape of each input, or an array.

        Returns:
            Two nested dicts, which :func:`merged` puts together again.
        """
        records = self.network.parameters(*shapes)
        pairs = list(zip(records, in_order(params, records), strict=True))
        trained = {record.path: array for record, array in pairs if record.trained}
        return nested(trained), nested({r.path: array for r, array in pairs if not r.trained})

    @staticmethod
    def merged(*params: Mapping[str, Any]) -> Nested:
        """Nested dicts put together; of what several have, the last one counts.

        Example:
            >>> Module.merged({"norm": {"scale": 1, "mean": 2}}, {"norm": {"mean": 3}})
            {'norm': {'scale': 1, 'mean': 3}}
        """
        return nested({path: array for given in params for path, array in flattened(given)})

    def __repr__(self) -> str:
        return f"<jax module {self.network!r}>"


@jax.tree_util.register_static
class Layer(Module):
    """A layer, as the string of what it does: what comes in, times weights.

    Args:
        string: the contraction; its first operand is what comes in.
        **told: as :class:`contractconv.Layer` takes it: extents, ``bias=``, ``map=``, ``init=``.

    Example:
        >>> dense = Layer("b i, i o -> b o", o=5, bias="o")
        >>> jax.tree.map(jnp.shape, dense.init(0, (1, 3)))
        {'W': (3, 5), 'bias': (5,)}
    """

    def __init__(self, string: str | Contraction, **told: Any) -> None:
        super().__init__(LayerPart(string, **told))
