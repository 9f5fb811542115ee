"""How numpy, PyTorch and JAX spell the same things: one entry each in one table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from contractconv.display.sources.text import simple, tupled
from contractconv.errors import ContractionError

Axes = Sequence[int]


class Dialect:
    """What generated code is written in; what is common to all is here, as numpy says it.

    Attributes:
        module: the short name of the library.
        imports: what names stand for, and the lines that import them.
    """

    module = "np"
    imports: tuple[tuple[str, str], ...] = (("np", "import numpy as np"),)
    keep = "keepdims=True"

    def needed(self, lines: Sequence[str]) -> list[str]:
        """The imports of all names that some lines use."""
        text = "\n".join(lines)
        return [line for name, line in self.imports if re.search(rf"\b{name}[.(]", text)]

    def call(self, function: str, *arguments: str) -> str:
        """Call a function of the library."""
        return f"{self.module}.{function}({', '.join(arguments)})"

    def einsum(self, string: str, arrays: Sequence[str]) -> str:
        """Contract arrays over plain indices."""
        optimize = ["optimize=True"] * (len(arrays) > 1)
        return self.call("einsum", f'"{string}"', *arrays, *optimize)

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

    def reduced(self, reduce: str, array: str, axes: Axes, keep: bool = False) -> str:
        """Add or multiply along some axes of an array."""
        return f"{array}.{reduce}({', '.join([_axes(axes), *[self.keep] * keep])})"

    def extreme(self, reduce: str, array: str, axes: Axes, identity: str, keep: bool) -> str:
        """The maximum or minimum along some axes; the identity, if there is nothing."""
        more = [*[self.keep] * keep, f"initial={identity}"]
        return f"{array}.{reduce}({', '.join([_axes(axes), *more])})"

    def logsumexp(self, array: str, axes: Axes) -> str:
        """Reduce axes to the logarithm of the sum of exponentials."""
        return self.call("logaddexp.reduce", array, _axes(axes))

    def diagonal(self, size: str, like: str) -> str:
        """Booleans, true on the diagonal."""
        return self.call("eye", size, "dtype=bool")

    def floating(self, array: str) -> str:
        """An array that can hold infinities."""
        return array

    def identity(self, reduce: str, like: str) -> str:
        """What an element holds on which nothing lands, for the dtype of another array."""
        if reduce not in ("max", "min"):
            return "1" if reduce == "prod" else f"-{self.module}.inf"
        return self._bound(reduce, like)

    def _bound(self, reduce: str, like: str) -> str:
        """The infinity, the last integer or the truth value that no other one is beyond."""
        kind = f"{like}.dtype.kind"
        if reduce == "max":
            number, last = f'{kind} != "b" and -{self.module}.inf', "min"
        else:
            number, last = f'{kind} == "b" or {self.module}.inf', "max"
        return f'{self.module}.iinfo({like}.dtype).{last} if {kind} in "iu" else {number}'


class _Numpy(Dialect):
    def floating(self, array: str) -> str:
        return f"1.0 * {array}"


class _Jax(Dialect):
    module = "jnp"
    imports = (("jax", "import jax"), ("jnp", "import jax.numpy as jnp"))

    def einsum(self, string: str, arrays: Sequence[str]) -> str:
        return self.call("einsum", f'"{string}"', *arrays)

    def logsumexp(self, array: str, axes: Axes) -> str:
        return f"jax.nn.logsumexp({array}, {_axes(axes)})"


class _Torch(Dialect):
    module = "torch"
    keep = "keepdim=True"
    imports = (
        ("torch", "import torch"),
        ("pad", "from torch.nn.functional import pad"),
    )

    def einsum(self, string: str, arrays: Sequence[str]) -> str:
        return self.call("einsum", f'"{string}"', *arrays)

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

    def reduced(self, reduce: str, array: str, axes: Axes, keep: bool = False) -> str:
        if reduce == "prod":  # one axis at a time, the last one first: the others stay in place
            ordered = sorted(axes) if axes[0] < 0 else sorted(axes, reverse=True)
            return array + "".join(f".prod({axis if axis >= 0 else -1})" for axis in ordered)
        return super().reduced(reduce, array, axes, keep)

    def extreme(self, reduce: str, array: str, axes: Axes, identity: str, keep: bool) -> str:
        along = ", ".join([_axes(axes), *[self.keep] * keep])
        # PyTorch refuses to look for an extremum where there is nothing.
        nothing = f"{array}.sum({along}, dtype={array}.dtype) + {identity}"
        return f"{array}.a{reduce}({along}) if {array}.numel() else {nothing}"

    def logsumexp(self, array: str, axes: Axes) -> str:
        return f"{array}.logsumexp({_axes(axes)})"

    def _bound(self, reduce: str, like: str) -> str:
        dtype = f"{like}.dtype"
        if reduce == "max":
            number, last = "-torch.inf", f"{dtype} != torch.bool and torch.iinfo({dtype}).min"
        else:
            number, last = "torch.inf", f"{dtype} == torch.bool or torch.iinfo({dtype}).max"
        return f"{number} if {like}.is_floating_point() else {last}"

    def diagonal(self, size: str, like: str) -> str:
        return self.call("eye", size, "dtype=torch.bool", f"device={like}.device")


def _axes(axes: Axes) -> str:
    return str(axes[0]) if len(axes) == 1 else tupled([*map(str, axes)])


DIALECTS: dict[str, type[Dialect]] = {"numpy": _Numpy, "torch": _Torch, "jax": _Jax}


def dialect(library: str) -> Dialect:
    """Find a library's dialect.

    Raises:
        ContractionError: the library is unknown.
    """
    if not isinstance(library, str) or library not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise ContractionError(f"no source code for {library!r}: choose one of {known}")
    return DIALECTS[library]()
