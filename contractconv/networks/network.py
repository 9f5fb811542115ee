"""Networks: parts put together; parameters are plain nested dicts of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from contractconv.api.program import Program, program
from contractconv.api.tensor import Tensor
from contractconv.layers.nesting import Nested, nested
from contractconv.layers.records import Parameter
from contractconv.networks.batches import taken
from contractconv.networks.inputs import (
    as_arrays,
    fitted,
    parameter_dtype,
)
from contractconv.networks.masks import drawn_masks, generator
from contractconv.networks.nesting import in_order
from contractconv.networks.traceable import Traceable

if TYPE_CHECKING:
    from pathlib import Path

    from contractconv.networks.diagram import NetworkDiagram
    from contractconv.networks.explanation import NetworkExplanation
    from contractconv.networks.fitting.data import Augment
    from contractconv.networks.fitting.fit import Fit
    from contractconv.networks.fitting.stepper import Stepper
    from contractconv.networks.summary import Summary
    from contractconv.networks.traced import Objective
    from contractconv.training import KFAC, Optimizer


class Network(Traceable):
    """Layers put together: a list of them, or a function of symbolic tensors.

    A network holds no arrays. Its parameters are a nested dict of them, which :meth:`init` makes
    and which goes in wherever they are needed.

    Args:
        parts: a list of parts, names of maps and functions; a single part; or a function of
            symbolic tensors in which parts are called. A part that is called twice shares its
            parameters.
        inputs: what comes in, as ``"b h w c"``, or ``cc.tensor("tokens", "b t", "int64")``; one
            for each argument. By default axes are called ``b t c``, ``b h w c`` and so on.
        name: what its programs are called.

    Raises:
        ParameterError: there is nothing in the list, or something that is no part.

    Example:
        >>> import numpy as np, contractconv as cc
        >>> net = Network([
        ...     cc.layers.Conv(6, 5, map="relu"),
        ...     cc.layers.MaxPool(2),
        ...     cc.layers.Dense(10, over="h w c"),
        ... ])
        >>> params = net.init(0, (1, 12, 12, 3))
        >>> list(params), params["dense_1"]["W"].shape
        (['conv_1', 'dense_1'], (4, 4, 6, 10))
        >>> net(params, np.ones((8, 12, 12, 3))).shape
        (8, 10)
    """

    def init(self, rng: Any, *shapes: Any, dtype: Any = "float32") -> Nested:
        """Draw first parameters.

        Args:
            rng: a seed, a generator, or anything that ``numpy.random.default_rng`` takes.
            *shapes: the shape of each input, or an array.
            dtype: of the arrays.

        Returns:
            A nested dict of arrays.

        Raises:
            OperandError: nothing is drawn by that, or these are no floating-point numbers.
            ShapeError: shapes do not fit; the message says in which part.
        """
        import numpy as np

        drawn, numbers = generator(rng), parameter_dtype(dtype)
        return nested(
            {
                p.path: np.array(p.init(drawn, p.drawn), numbers, order="C")
                for p in self.parameters(*shapes)
            }
        )

    def __call__(self, params: Nested | Tensor, *inputs: Any) -> Any:
        """Carry the network out, as it is after training.

        In the function of another network it is called with symbolic tensors alone, as any part.

        Args:
            params: the nested dict of arrays.
            *inputs: what comes in. Floating-point numbers become those of the parameters.

        Returns:
            An array.

        Raises:
            OperandError: a parameter is missing, superfluous, or no array.
            ShapeError: shapes do not fit.
        """
        if isinstance(params, Tensor):
            return self._part(params, *inputs)
        inputs = as_arrays(inputs)
        network = self.traced(*inputs)
        arrays = in_order(params, network.parameters)
        run = self.ready([network.output], [*network.inputs, *_tensors(network.parameters)])
        return run(*fitted(inputs, arrays), *arrays)[0]

    def loss_and_grad(
        self, params: Nested, *data: Any, loss: Any = "cross_entropy", rng: Any = None
    ) -> tuple[Any, Nested]:
        """The loss of a batch, and its gradient by each parameter that is trained.

        Args:
            params: the nested dict of arrays.
            *data: what comes in, then what is wanted.
            loss: ``"cross_entropy"`` (classes are along the last axis; integers are wanted),
                ``"mse"``, ``"huber"``, ``"binary_cross_entropy"``, or a function of what the
                network makes and what is wanted.
            rng: what draws the chance in it, if there is any.

        Returns:
            The loss, and a nested dict of arrays.

        Raises:
            OperandError: a parameter is missing, or what is wanted.
            ShapeError: shapes do not fit.
        """
        data = as_arrays(data)
        whole = self.objective(*data, loss=loss)
        made, *slopes = self._run(whole, params, data, rng, [*whole.gradients.values()])
        return made, nested(dict(zip(whole.gradients, slopes, strict=True)))

    def loss_and_output(
        self, params: Nested, *data: Any, loss: Any = "cross_entropy"
    ) -> tuple[Any, Any]:
        """The loss of a batch, and what the network makes of it, as it is after training.

        Args:
            params: the nested dict of arrays.
            *data: what comes in, then what is wanted.
            loss: what it is measured by; see :meth:`loss_and_grad`.
        """
        whole = self.objective(*data, loss=loss, training=False)
        found, made = self._run(whole, params, data, None, [whole.traced.output])
        return found, made

    def statistics(self, params: Nested, *inputs: Any, rng: Any = None) -> Nested:
        """Parameters whose running statistics have seen one batch more.

        Args:
            params: the nested dict of arrays.
            *inputs: what comes in.
            rng: what draws the chance in it, if there is any.

        Returns:
            A nested dict with the same arrays, but for the statistics.
        """
        inputs = as_arrays(inputs)
        network = self.traced(*inputs, training=True)
        arrays = in_order(params, network.parameters)
        known = dict(zip((p.path for p in network.parameters), arrays, strict=True))
        if network.updates:
            tensors = [*network.inputs, *(mask.tensor for mask in network.masks)]
            run = self.ready([*network.updates.values()], tensors + _tensors(network.parameters))
            chance = drawn_masks(network, rng)
            found = run(*fitted(inputs, arrays), *chance, *arrays)
            known |= dict(zip(network.updates, found, strict=True))
        return nested(known)

    def program(
        self, *shapes: Any, loss: Any = None, gradients: bool = False, training: bool = False
    ) -> Program:
        """The network as a program, to be read, saved, changed, proved and run.

        Args:
            *shapes: the shape of each input, or an array; then that of what is wanted, if there
                is a loss.
            loss: what it is measured by; the program makes it beside the result.
            gradients: whether the program makes the loss and its gradients instead.
            training: as it is in training, or afterwards; if there is a loss, it is in training.

        Example:
            >>> import contractconv as cc
            >>> print(Network([cc.layers.Dense(10, map="tanh")]).program((8, 5)))
            def network(x: "b c", dense_1_W: "c o", dense_1_bias: "c"):
                y = contract("b c, c o -> b o", x, dense_1_W)
                dense_1 = tanh(named(y, "b c") + dense_1_bias)
                return dense_1
            <BLANKLINE>
        """
        if loss is None:
            network = self.traced(*shapes, training=training)
            inputs = [*network.inputs, *(mask.tensor for mask in network.masks)]
            outputs = {_label(network.output): network.output}
        else:
            whole = self.objective(*shapes, loss=loss)
            network, inputs = whole.traced, [*whole.inputs]
            outputs = {"loss": whole.loss, _label(network.output): network.output}
            if gradients:
                named = program(
                    outputs, inputs=inputs + _tensors(network.parameters), name=self.name
                )
                return named.grad("loss", [str(p.tensor.label) for p in network.trained])
        return program(outputs, inputs=inputs + _tensors(network.parameters), name=self.name)

    def summary(self, *shapes: Any, dtype: Any = "float32", training: bool = False) -> Summary:
        """What its parts make, have and cost, as a table; ``print`` it.

        Args:
            *shapes: the shape of each input, or an array.
            dtype: of its parameters, for bytes.
            training: as it is in training, or afterwards.

        Example:
            >>> import contractconv as cc
            >>> net = Network([cc.layers.Conv(6, 5), "relu", cc.layers.Dense(10, over="h w c")])
            >>> found = net.summary((1, 12, 12, 3))
            >>> found.parameters, found.multiply_adds, found.backward
            (4306, 32640, 36480)
        """
        from contractconv.networks.summary import summarised

        return summarised(self.traced(*shapes, training=training), self.name, dtype)

    def explain(self, *shapes: Any, training: bool = False) -> NetworkExplanation:
        """What its parts do, and what comes back through them; ``print`` it.

        Args:
            *shapes: the shape of each input, or an array.
            training: as it is in training, or afterwards.

        Example:
            >>> import contractconv as cc
            >>> net = Network([cc.layers.Conv(64, 3, padding=1), cc.layers.GlobalPool()])
            >>> said = net.explain((1, 28, 28, 32)).parts[0].said[0]
            >>> for sentence in said.split(". ")[0].split(", "):
            ...     print(sentence)
            Each of the 64 o is made of all 32 c
            each of 32×64 pairs with a kernel of its own
            3×3 weights along k and l: 18,432 weights
        """
        from contractconv.networks.explanation import explained

        return explained(self.traced(*shapes, training=training), self.name)

    def diagram(self, *shapes: Any, training: bool = False) -> NetworkDiagram:
        """A picture of its parts and of what flows between them.

        Args:
            *shapes: the shape of each input, or an array.
            training: as it is in training, or afterwards.

        Returns:
            What shows itself in a notebook, and is saved as SVG: ``.save("network.svg")``.
        """
        from contractconv.networks.diagram import diagram

        return diagram(self.traced(*shapes, training=training), self.name)

    def evaluate(
        self,
        params: Nested,
        data: Any,
        *,
        loss: Any = "cross_entropy",
        metrics: Any = None,
        batch: int = 256,
    ) -> dict[str, float]:
        """Measure the network on data, as it is after training.

        Args:
            params: the nested dict of arrays.
            data: arrays, what comes in and what is wanted; or batches of them.
            loss: what it is measured by; see :meth:`loss_and_grad`.
            metrics: what else: ``"accuracy"``, a function of what the network makes and what is
                wanted, or several.
            batch: how many rows are taken at once.

        Returns:
            The loss and the metrics, means over rows.
        """
        from contractconv.networks.fitting.data import as_source
        from contractconv.networks.fitting.measures import measured
        from contractconv.networks.fitting.metrics import as_metrics

        source = as_source(data, batch, None, shuffled=False, keeps=True)
        return measured(self, params, source, loss, as_metrics(metrics, loss))

    def fit(
        self,
        data: Any,
        *,
        optimizer: Optimizer | KFAC | None = None,
        loss: Any = "cross_entropy",
        epochs: int = 10,
        batch: int = 64,
        params: Nested | None = None,
        seed: int = 0,
        validation: Any = None,
        metrics: Any = None,
        augment: Augment | None = None,
        clip: float | None = None,
        average: float | None = None,
        patience: int | None = None,
        monitor: str | None = None,
        checkpoint: str | Path | None = None,
        every: int | None = None,
        csv: str | Path | None = None,
        plot: str | Path | None = None,
        progress: bool | None = None,
        steps_per_epoch: int | None = None,
        shuffle: bool = True,
    ) -> Fit:
        """Train the network; each step is one program, the optimiser's update among it.

        Args:
            data: arrays of as many rows each, what comes in and what is wanted, as in
                ``(images, labels)``; or something that such batches are taken from in every
                epoch, a list, say, or a function of a generator.
            optimizer: what makes steps of gradients; :class:`contractconv.training.Adam` by
                default. Its rate may be a schedule.
            loss: what the network is measured by; see :meth:`loss_and_grad`.
            epochs: how often data are gone through.
            batch: how many rows a step takes of arrays.
            params: what to begin with; by default what :meth:`init` draws.
            seed: of everything that is drawn: parameters, order, chance, augmentation.
            validation: data like the others, on which is measured after each epoch.
            metrics: what is measured there beside the loss; accuracy for cross-entropy.
            augment: a function of a batch and a generator that makes another batch.
            clip: what all gradients together are at most as long as.
            average: how much of a moving average of parameters is kept in each step, 0.999, say.
                It is what is measured, then.
            patience: after how many epochs in which nothing gets better it ends; the best
                parameters are returned, then.
            monitor: what ought to get better; the loss of the validation, if there is one.
            checkpoint: where the training is kept, a name that ends in ``.safetensors``, or a
                folder. What is found there is gone on with, and ends as if it had never stopped.
            every: after how many steps it is kept; by default after each epoch.
            csv: a file to which is written what was measured.
            plot: a picture of it.
            progress: whether a bar shows how far it is; by default on a terminal.
            steps_per_epoch: how many batches an epoch has, if data are no arrays.
            shuffle: whether rows of arrays are taken in another order in every epoch.

        Returns:
            The parameters, what was measured, and how long it took.

        Raises:
            TrainingError: the loss is no finite number.
            CheckpointError: what is found is of another training, or damaged; or nothing can be
                written.
            ParameterError: an option is no such thing.

        Example:
            >>> import numpy as np, contractconv as cc
            >>> rng = np.random.default_rng(0)
            >>> x = rng.standard_normal((256, 2)).astype("float32")
            >>> labels = (x[:, 0] * x[:, 1] > 0).astype(int)
            >>> net = Network([cc.layers.Dense(16, map="tanh"), cc.layers.Dense(2)])
            >>> fit = net.fit((x, labels), optimizer=cc.training.Adam(0.03), epochs=40)
            >>> bool(net.evaluate(fit.params, (x, labels))["accuracy"] > 0.95)
            True
        """
        from contractconv.networks.fitting.begin import fit
        from contractconv.training import Adam

        return fit(
            self, data, optimizer=optimizer or Adam(), loss=loss, epochs=epochs, batch=batch,
            params=params, seed=seed, validation=validation, metrics=metrics, augment=augment,
            clip=clip, average=average, patience=patience, monitor=monitor, checkpoint=checkpoint,
            every=every, csv=csv, plot=plot, progress=progress, steps_per_epoch=steps_per_epoch,
            shuffle=shuffle,
        )  # fmt: skip

    def stepper(
        self,
        optimizer: Optimizer | KFAC,
        loss: Any = "cross_entropy",
        clip: float | None = None,
        average: float | None = None,
    ) -> Stepper:
        """What makes steps of training, for loops of one's own; see :meth:`fit` for the options."""
        from contractconv.networks.fitting.begin import stepper

        return stepper(self, optimizer, loss, clip, average)

    def _run(
        self, whole: Objective, params: Nested, data: Sequence[Any], rng: Any, outputs: list[Tensor]
    ) -> Any:
        arrays = in_order(params, whole.traced.parameters)
        run = self.ready(
            [whole.loss, *outputs], [*whole.inputs, *_tensors(whole.traced.parameters)]
        )
        return run(*taken(whole, data, arrays, rng), *arrays)


def _tensors(parameters: Iterable[Parameter]) -> list[Tensor]:
    return [parameter.tensor for parameter in parameters]


def _label(output: Tensor) -> str:
    return output.label or "y"
