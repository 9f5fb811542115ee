"""What is measured: layers of known networks, as data.

Sizes are in points, kernels, strides, paddings and dilations are the same in both dimensions, and
an image is batch x height x width x channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any, ClassVar, TypeVar, get_args

from contractconv import Reduction

FLOAT = 4  # bytes

FORWARD, BACKWARD = "forward", "backward"
INPUT_GRADIENT, WEIGHT_GRADIENT = "input gradient", "weight gradient"
ALL_GRADIENTS = "with all gradients"

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    """A convolution; the weight is kernel x kernel x channels of a group x outputs."""

    batch: int
    height: int
    width: int
    channels: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    name: str = ""

    directions: ClassVar = (FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT)

    @property
    def input_shape(self) -> Shape:
        """Batch, height, width, channels."""
        return (self.batch, self.height, self.width, self.channels)

    @property
    def weight_shape(self) -> Shape:
        """Kernel's height and width, channels of one group, outputs of all groups."""
        return (self.kernel, self.kernel, self.channels // self.groups, self.outputs)

    @property
    def output_shape(self) -> Shape:
        """Batch, height, width, outputs."""
        reach = self.dilation * (self.kernel - 1) + 1 - 2 * self.padding
        places = [(size - reach) // self.stride + 1 for size in (self.height, self.width)]
        return (self.batch, *places, self.outputs)

    @property
    def flops(self) -> int:
        """Additions and multiplications, the same number in each direction."""
        return 2 * self.windows * self.outputs // self.groups

    @property
    def windows(self) -> int:
        """How many elements the matrix of all windows has, im2col's."""
        batch, rows, columns, _ = self.output_shape
        return batch * rows * columns * self.kernel**2 * self.channels

    @property
    def depthwise(self) -> bool:
        """Whether each channel has a kernel of its own, and makes one output."""
        return self.groups == self.channels == self.outputs > 1

    def __str__(self) -> str:
        image = f"{self.batch}x{self.height}x{self.width}x{self.channels}-{self.outputs}"
        return " ".join(filter(None, (self.name, image, f"k{self.kernel}", *self._extras())))

    def _extras(self) -> tuple[str, ...]:
        return (
            f"s{self.stride}" * (self.stride != 1),
            f"p{self.padding}" * (self.padding != 0),
            f"d{self.dilation}" * (self.dilation != 1),
            f"g{self.groups}" * (self.groups != 1 and not self.depthwise),
        )


@dataclass(frozen=True)
class Factorised:
    """A convolution of 3x3 points, padding 1, whose kernel is in factors.

    Attributes:
        form: one of `benchmarks.factors.FORMS`.
        batch: how many images there are.
        side: of an image.
        channels: of an image.
        outputs: channels of the result.
        rank: the extent of every index that factors share.
    """

    form: str
    batch: int
    side: int
    channels: int
    outputs: int
    rank: int

    directions: ClassVar = (FORWARD, ALL_GRADIENTS)
    flops: ClassVar = 0

    def __str__(self) -> str:
        image = f"{self.batch}x{self.side}x{self.side}x{self.channels}-{self.outputs}"
        return f"{self.form} {image} rank {self.rank}"


@dataclass(frozen=True)
class Pooling:
    """The maximum or the mean of each window."""

    reduce: Reduction
    batch: int
    height: int
    width: int
    channels: int
    kernel: int
    stride: int

    directions: ClassVar = (FORWARD, BACKWARD)
    flops: ClassVar = 0

    @property
    def input_shape(self) -> Shape:
        """Batch, height, width, channels."""
        return (self.batch, self.height, self.width, self.channels)

    @property
    def output_shape(self) -> Shape:
        """Batch, height, width, channels."""
        rows, columns = (
            (size - self.kernel) // self.stride + 1 for size in (self.height, self.width)
        )
        return (self.batch, rows, columns, self.channels)

    @property
    def windows(self) -> int:
        """How many elements all windows have together."""
        batch, rows, columns, channels = self.output_shape
        return batch * rows * columns * channels * self.kernel**2

    def __str__(self) -> str:
        image = f"{self.batch}x{self.height}x{self.width}x{self.channels}"
        return f"{self.reduce} pooling {image} k{self.kernel} s{self.stride}"


@dataclass(frozen=True)
class Training:
    """One step of stochastic gradient descent on LeNet-5."""

    batch: int

    directions: ClassVar = ("step",)
    flops: ClassVar = 0

    def __str__(self) -> str:
        return f"LeNet-5 training, batch {self.batch}"


@dataclass(frozen=True)
class NetworkStep:
    """A training step of a network in `benchmarks.steps`: loss, gradients, and their step.

    Attributes:
        network: its name.
        batch: how many images or sequences there are.
        side: of an image; the length of a sequence.
        width: channels or features; what a network makes of it, it says itself.
    """

    network: str
    batch: int
    side: int
    width: int

    directions: ClassVar = ("step",)
    flops: ClassVar = 0

    def __str__(self) -> str:
        return f"{self.network}, batch {self.batch}, side {self.side}, width {self.width}"


@dataclass(frozen=True)
class Matmul:
    """A product of two square matrices: what the machine can do at best."""

    size: int

    directions: ClassVar = (FORWARD,)

    @property
    def flops(self) -> int:
        """Additions and multiplications."""
        return int(2 * self.size**3)

    def __str__(self) -> str:
        return f"matmul {self.size}x{self.size}x{self.size}"


@dataclass(frozen=True)
class Drawn:
    """A convolution, or its transpose, in one to three dimensions.

    Attributes:
        family: of which kind of layers it was drawn.
        batch: how many images there are.
        sizes: of an image, without channels.
        channels: of an image.
        outputs: channels of the result.
        kernel: points along each axis of the image.
        stride: along each axis.
        padding: at both ends of each axis; of a transposed layer what is cut off there.
        dilation: along each axis.
        groups: of channels that do not meet.
        transposed: whether places of the image are those that a stride leads to.
        channels_first: how memory is laid out.
        dtype: of all numbers.
    """

    family: str
    batch: int
    sizes: Shape
    channels: int
    outputs: int
    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int = 1
    transposed: bool = False
    channels_first: bool = False
    dtype: str = "float32"

    directions: ClassVar = (FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT)

    @property
    def input_shape(self) -> Shape:
        """Batch, sizes, channels."""
        return (self.batch, *self.sizes, self.channels)

    @property
    def weight_shape(self) -> Shape:
        """Points of the kernel, channels of one group, outputs of all groups."""
        return (*self.kernel, self.channels // self.groups, self.outputs)

    @property
    def output_shape(self) -> Shape:
        """Batch, places, outputs."""
        return (self.batch, *self.places, self.outputs)

    @property
    def places(self) -> Shape:
        """How many results there are along each axis.

        >>> layer = Drawn("", 1, (9,), 1, 1, kernel=(3,), stride=(2,), padding=(1,), dilation=(1,))
        >>> layer.places, replace(layer, sizes=(5,), transposed=True).places
        ((5,), (9,))
        """
        axes = zip(self.sizes, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple(
            (size - 1) * step + far * (taps - 1) + 1 - 2 * cut
            if self.transposed
            else (size - far * (taps - 1) - 1 + 2 * cut) // step + 1
            for size, taps, step, cut, far in axes
        )

    @property
    def flops(self) -> int:
        """Additions and multiplications, padding included; the same number in each direction."""
        placed = self.sizes if self.transposed else self.places
        pairs = self.channels * self.outputs // self.groups
        return 2 * self.batch * prod(placed) * prod(self.kernel) * pairs

    def __str__(self) -> str:
        image = "x".join(map(str, (self.batch, *self.sizes, self.channels)))
        return " ".join(filter(None, (self.family, f"{image}-{self.outputs}", *self._extras())))

    def _extras(self) -> Iterator[str]:
        for letter, values, usual in (
            ("k", self.kernel, None),
            ("s", self.stride, 1),
            ("p", self.padding, 0),
            ("d", self.dilation, 1),
        ):
            if set(values) != {usual}:
                same = len(set(values)) == 1
                yield letter + (str(values[0]) if same else "x".join(map(str, values)))
        yield f"g{self.groups}" * (self.groups > 1)
        yield "channels first" * self.channels_first
        yield self.dtype * (self.dtype != "float32")


@dataclass(frozen=True)
class Product:
    """A contraction of two operands without windows: attention, tensor networks.

    Attributes:
        family: of which kind it was drawn.
        string: how it is written; each index stands in two of its three terms or in all.
        shapes: of the two operands.
        dtype: of all numbers.
    """

    family: str
    string: str
    shapes: tuple[Shape, Shape]
    dtype: str = "float32"

    directions: ClassVar = (FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT)

    @property
    def extents(self) -> dict[str, int]:
        """How far each index runs."""
        terms = self.string.split(" -> ")[0].split(", ")
        return {
            name: size
            for term, shape in zip(terms, self.shapes, strict=True)
            for name, size in zip(term.split(), shape, strict=True)
        }

    @property
    def output_shape(self) -> Shape:
        """Of the result."""
        return tuple(self.extents[name] for name in self.string.split(" -> ")[1].split())

    @property
    def flops(self) -> int:
        """Additions and multiplications."""
        return 2 * prod(self.extents.values())

    def __str__(self) -> str:
        sizes = ", ".join("x".join(map(str, shape)) for shape in self.shapes)
        extra = self.dtype * (self.dtype != "float32")
        return f"{self.family} {self.string} of {sizes} {extra}".strip()


Batched = Convolution | Factorised | Pooling | Training | NetworkStep
Case = Batched | Drawn | Product | Matmul
Kind = TypeVar("Kind", bound=Batched)


@dataclass(frozen=True)
class Measurement:
    """A case in one direction."""

    case: Case
    direction: str

    def __str__(self) -> str:
        return f"{self.case}, {self.direction}"


CONVOLUTIONS = (
    Convolution(8, 100, 100, 32, 64, 3),
    Convolution(64, 28, 28, 1, 6, 5, padding=2, name="LeNet conv1"),
    Convolution(64, 14, 14, 6, 16, 5, name="LeNet conv2"),
    Convolution(4, 227, 227, 3, 96, 11, stride=4, name="AlexNet conv1"),
    Convolution(2, 112, 112, 64, 64, 3, padding=1, name="VGG"),
    Convolution(8, 224, 224, 3, 64, 7, stride=2, padding=3, name="ResNet stem"),
    Convolution(8, 56, 56, 64, 64, 3, padding=1),
    Convolution(8, 28, 28, 128, 128, 3, padding=1),
    Convolution(8, 14, 14, 256, 256, 3, padding=1),
    Convolution(8, 7, 7, 512, 512, 3, padding=1),
    Convolution(8, 56, 56, 64, 128, 3, stride=2, padding=1),
    Convolution(8, 56, 56, 256, 64, 1),
    Convolution(8, 28, 28, 128, 128, 3, padding=1, groups=128, name="depthwise"),
    Convolution(8, 28, 28, 128, 128, 3, padding=1, groups=4, name="grouped"),
    Convolution(8, 56, 56, 64, 64, 3, padding=2, dilation=2, name="dilated"),
)
POOLINGS = tuple(
    Pooling(reduce, 8, 112, 112, 64, kernel, stride=2)
    for reduce in ("max", "mean")
    for kernel in (2, 3)
)
CASES: tuple[Convolution | Pooling | Training, ...] = (*CONVOLUTIONS, *POOLINGS, Training(64))
NETWORK_STEPS = (
    NetworkStep("LeNet-5", batch=64, side=28, width=120),
    NetworkStep("AlexNet", batch=8, side=227, width=4096),
    NetworkStep("U-Net", batch=4, side=128, width=16),
    NetworkStep("ResNet block", batch=16, side=56, width=64),
    NetworkStep("MobileNetV2 block", batch=16, side=28, width=32),
    NetworkStep("transformer", batch=16, side=128, width=128),
)
FACTORISED = tuple(
    Factorised(form, batch=8, side=56, channels=64, outputs=outputs, rank=16)
    for form in ("CP", "Tucker", "tensor train")
    for outputs in (64, 128)
)
PEAK = Measurement(Matmul(2048), FORWARD)


def measurements(cases: Iterable[Case]) -> list[Measurement]:
    """Every direction of every case.

    >>> len(measurements(CONVOLUTIONS))
    45
    """
    return [Measurement(case, direction) for case in cases for direction in case.directions]


def smaller(case: Kind) -> Kind:
    """The same layer for a single image, so that trying things out is quick.

    >>> print(smaller(CONVOLUTIONS[0]))
    1x100x100x32-64 k3
    """
    return replace(case, batch=1)


def to_json(measurement: Measurement) -> dict[str, Any]:
    """A measurement as JSON can hold it."""
    case = measurement.case
    kind = {"kind": type(case).__name__}
    return {"case": kind | asdict(case), "direction": measurement.direction}


def from_json(data: dict[str, Any]) -> Measurement:
    """The measurement that `to_json` wrote.

    >>> m = Measurement(POOLINGS[0], BACKWARD)
    >>> from_json(to_json(m)) == m
    True
    """
    kinds = {kind.__name__: kind for kind in get_args(Case)}
    fields = {name: _frozen(value) for name, value in data["case"].items()}
    return Measurement(kinds[fields.pop("kind")](**fields), data["direction"])


def _frozen(value: Any) -> Any:
    """A value as it was before JSON made lists of tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
