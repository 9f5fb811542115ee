"""How numpy, PyTorch and JAX spell the same things: one entry each in one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isinf

from contractconv.display.source_code.text import simple, tupled
from contractconv.errors import ContractionError

Axes = Sequence[int]


class Dialect:
    """What generated code is written in; what is common to all is here, as numpy says it.

    Attributes:
        library: the name of the library.
        module: its short name.
        imports: what names stand for, and the lines that import them.
        keep: how a reduction is told to keep axes.
        options: of an einsum of several arrays.
    """

    library = "numpy"
    module = "np"
    imports: tuple[tuple[str, str], ...] = (("np", "import numpy as np"),)
    keep = "keepdims=True"
    options: tuple[str, ...] = ()

    def needed(self, lines: Sequence[str]) -> list[str]:
        """The imports of all names that some lines use."""
        text = "\n".join(lines)
        return [line for name, line in self.imports if re.search(rf"\b{name}[.(]", text)]

    def call(self, function: str, *arguments: str) -> str:
        """Call a function of the library."""
        return f"{self.module}.{function}({', '.join(arguments)})"

    def einsum(self, string: str, arrays: Sequence[str]) -> str:
        """Contract arrays over plain indices."""
        options = self.options if len(arrays) > 1 else ()
        return self.call("einsum", f'"{string}"', *arrays, *options)

    def padded(self, array: str, widths: Sequence[int], fill: str) -> str:
        """Append slices to an array, ``widths`` of them along each axis."""
        constant = [f"constant_values={fill}"] * (fill != "0")
        pairs = [f"(0, {width})" for width in widths]
        around = pairs[0] if len(pairs) == 1 else tupled(pairs)
        return self.call("pad", array, around, *constant)

    def ones(self, sizes: Sequence[str], like: str) -> str:
        """An array of ones of the dtype of another."""
        shape = sizes[0] if len(sizes) == 1 else tupled(sizes)
        return self.call("ones", shape, f"{like}.dtype")

    def eye(self, size: str, like: str) -> str:
        """The identity matrix in the dtype of another array."""
        return self.call("eye", size, f"dtype={like}.dtype")

    def truths(self, condition: str, like: str) -> str:
        """Booleans as a factor of an einsum, in the dtype of another array."""
        return f"({condition}).astype({like}.dtype)"

    def cast(self, like: str) -> str:
        """What is appended to an array that meets another one in an einsum: nothing."""
        return ""

    def mask(self, condition: str, like: str) -> str:
        """Booleans that choose between elements of another array."""
        return condition

    def total(self, array: str, axes: Axes, keep: bool = False) -> str:
        """Add along some axes of an array."""
        return f"{array}.sum({self._along(axes, keep)})"

    def product(self, array: str, axes: Axes) -> str:
        """Multiply along some axes of an array."""
        return f"{array}.prod({self.axes(axes)})"

    def extreme(self, name: str, array: str, axes: Axes, identity: str, keep: bool) -> str:
        """The maximum or minimum along some axes; the identity, if there is nothing."""
        return f"{array}.{name}({self._along(axes, keep)}, initial={identity})"

    def axes(self, axes: Axes) -> str:
        """Axes as an argument."""
        return str(axes[0]) if len(axes) == 1 else tupled([*map(str, axes)])

    def _along(self, axes: Axes, keep: bool) -> str:
        return ", ".join([self.axes(axes), *[self.keep] * keep])

    def diagonal(self, size: str, like: str) -> str:
        """Booleans, true on the diagonal."""
        return self.call("eye", size, "dtype=bool")

    def floating(self, array: str) -> str:
        """An array that can hold infinities."""
        return array

    def number(self, number: float) -> str:
        """A number that may be infinite."""
        if isinf(number):
            return f"{'-' * (number < 0)}{self.module}.inf"
        return f"{number:g}"

    def bound(self, infinity: float, like: str) -> str:
        """The infinity, the last integer or the truth value of a dtype that none is beyond."""
        kind, number = f"{like}.dtype.kind", self.number(infinity)
        last, truth = (
            ("min", f'{kind} != "b" and') if infinity < 0 else ("max", f'{kind} == "b" or')
        )
        integer = f"{self.module}.iinfo({like}.dtype).{last}"
        return f'{integer} if {kind} in "iu" else {truth} {number}'


class _Numpy(Dialect):
    options = ("optimize=True",)

    def floating(self, array: str) -> str:
        return f"1.0 * {array}"


class _Jax(Dialect):
    library = "jax"
    module = "jnp"
    imports = (("jax", "import jax"), ("jnp", "import jax.numpy as jnp"))


class _Torch(Dialect):
    library = "torch"
    module = "torch"
    keep = "keepdim=True"
    imports = (
        ("torch", "import torch"),
        ("pad", "from torch.nn.functional import pad"),
    )

    def padded(self, array: str, widths: Sequence[int], fill: str) -> str:
        first = next(n for n, width in enumerate(widths) if width)
        around = ", ".join(f"0, {width}" for width in reversed(widths[first:]))
        value = f", value={fill}" * (fill != "0")
        return f"pad({array}, ({around}){value})"

    def ones(self, sizes: Sequence[str], like: str) -> str:
        return f"{like}.new_ones({', '.join(sizes)})"

    def eye(self, size: str, like: str) -> str:
        return f"{self.call('eye', size)}.to({like})"

    def truths(self, condition: str, like: str) -> str:
        return f"({condition}).to({like})"

    def cast(self, like: str) -> str:
        return f".to({like}.dtype)"

    def mask(self, condition: str, like: str) -> str:
        return f"{simple(condition)}.to({like}.device)"

    def product(self, array: str, axes: Axes) -> str:
        # One axis at a time, the last one first: the others stay in place.
        ordered = sorted(axes) if axes[0] < 0 else sorted(axes, reverse=True)
        return array + "".join(f".prod({axis if axis >= 0 else -1})" for axis in ordered)

    def extreme(self, name: str, array: str, axes: Axes, identity: str, keep: bool) -> str:
        along = self._along(axes, keep)
        # PyTorch refuses to look for an extremum where there is nothing.
        nothing = f"{array}.sum({along}, dtype={array}.dtype) + {identity}"
        return f"{array}.a{name}({along}) if {array}.numel() else {nothing}"

    def bound(self, infinity: float, like: str) -> str:
        dtype = f"{like}.dtype"
        last, truth = ("min", "!= torch.bool and") if infinity < 0 else ("max", "== torch.bool or")
        integer = f"{dtype} {truth} torch.iinfo({dtype}).{last}"
        return f"{self.number(infinity)} if {like}.is_floating_point() else {integer}"

    def diagonal(self, size: str, like: str) -> str:
        return self.call("eye", size, "dtype=torch.bool", f"device={like}.device")


DIALECTS: dict[str, type[Dialect]] = {each.library: each for each in (_Numpy, _Torch, _Jax)}


def dialect(library: str) -> Dialect:
    """Find a library's dialect.

    Raises:
        ContractionError: the library is unknown.
    """
    if not isinstance(library, str) or library not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise ContractionError(f"no source code for {library!r}: choose one of {known}")
    return DIALECTS[library]()
