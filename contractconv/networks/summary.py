"""A network as a table: what its parts make, what they have, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from contractconv.api.tensor import as_dtype
from contractconv.layers.records import Call, Parameter, Path
from contractconv.markup.shown import Paged
from contractconv.networks.regions import Region, Regions, paths_of, string_of
from contractconv.networks.traced import Traced
from contractconv.networks.work import Work, work_of
from contractconv.notation.problem import Shape
from contractconv.programs.kinds import dtype_of, itemsize


@dataclass(frozen=True)
class Row:
    """A part, where it stands in a network; or a contraction between parts.

    Attributes:
        path: what it is called, after the parts that it is in.
        string: what it does.
        axes: the names of the axes of what it makes.
        shape: their sizes.
        parameters: how many numbers its parameters have that no row before has.
        trained: how many of them are trained.
        is_shared: whether a row before has parameters of it.
        is_used: whether the network's output depends on it.
        multiply_adds: those that it takes, without points outside of boundaries.
        backward: those that bring its cotangent back to its parameters, and to what came in, if
            something is trained before it.
        bytes: of what it makes.
    """

    path: Path
    string: str
    axes: tuple[str, ...]
    shape: Shape
    parameters: int
    trained: int
    is_shared: bool
    is_used: bool
    multiply_adds: int
    backward: int
    bytes: int


@dataclass(frozen=True)
class Summary(Paged):
    """What a network makes, has and costs, part by part; ``print`` it.

    Attributes:
        name: the network's.
        rows: its parts in order.
        inputs: the axes and sizes of what comes in, by name.
        parameters: how many numbers its parameters have, each counted once.
        trained: how many of them are trained.
        dtype: the numbers in which bytes are counted.
    """

    name: str
    rows: tuple[Row, ...]
    inputs: tuple[tuple[str, tuple[str, ...], Shape], ...]
    parameters: int
    trained: int
    dtype: str

    @property
    def multiply_adds(self) -> int:
        """Those of the network, forward."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def backward(self) -> int:
        """Those that bring a cotangent of the output back to everything that is trained."""
        return sum(row.backward for row in self.rows)

    @property
    def bytes(self) -> int:
        """Bytes of all parameters."""
        return self.parameters * itemsize(self.dtype)

    @property
    def made(self) -> int:
        """Bytes of what all parts make: what is kept, at most, to differentiate."""
        return sum(row.bytes for row in self.rows)

    def __str__(self) -> str:
        from contractconv.networks.display.table import as_text

        return as_text(self)

    def __repr__(self) -> str:
        return f"<summary of {self.name}: {self.parameters:,} parameters>"

    @property
    def _page_title(self) -> str:
        return self.name

    def _page_parts(self, *, alone: bool) -> Iterable[str]:
        from contractconv.networks.display.table_page import summary_parts

        return summary_parts(self)


def summarised(network: Traced, name: str, dtype: Any) -> Summary:
    """Sum up a network.

    Args:
        network: the network.
        name: what it is called.
        dtype: of its parameters.

    Raises:
        OperandError: that is no dtype of numbers.
    """
    regions, numbers = Regions(network), as_dtype(dtype)
    rows = _Rows(regions, numbers)
    all_of_them = zip(regions.all, paths_of(regions), work_of(regions), strict=True)
    shown = [each for each in all_of_them if _has_row(each[0], each[-1], regions)]
    shape = network.trace.shape
    return Summary(
        name,
        tuple(rows.row(*each) for each in shown),
        tuple((str(x.label), x.axes, shape(x)) for x in network.inputs),
        _count(network.parameters),
        _count(network.trained),
        numbers,
    )


def _has_row(region: Region, work: Work, regions: Regions) -> bool:
    """Whether it is a part, or something between parts that is more than maps."""
    contracts = any(map(regions.does_something, region.nodes))
    return region.call is not None or contracts or any(work)


class _Rows:
    """Makes rows, each of which counts the parameters that were not met before."""

    def __init__(self, regions: Regions, dtype: str) -> None:
        self._regions, self._dtype = regions, dtype
        self._met: set[Path] = set()

    def row(self, region: Region, path: Path, work: Work) -> Row:
        """A part, or a contraction between parts."""
        regions, call = self._regions, region.call
        shape = regions.shape(region.output)
        dtype = dtype_of(regions.numbers(region.output), self._dtype)
        new = list(self._new(call)) if call else []
        return Row(
            path=path,
            string=string_of(region, regions),
            axes=call.output.axes if call else region.output.axes,
            shape=shape,
            parameters=_count(new),
            trained=_count(p for p in new if p.trained),
            is_shared=call is not None and len(new) < len(call.parameters),
            is_used=region.output in regions.used,
            multiply_adds=work.forward,
            backward=work.backward,
            bytes=prod(shape) * itemsize(dtype),
        )

    def _new(self, call: Call) -> Iterator[Parameter]:
        for parameter in call.parameters:
            if parameter.path not in self._met:
                self._met.add(parameter.path)
                yield parameter


def _count(parameters: Iterable[Parameter]) -> int:
    return sum(prod(parameter.shape) for parameter in parameters)
