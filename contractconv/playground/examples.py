"""Strings to start from, and the address of any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Example:
    """What the fields of the page say.

    Attributes:
        title: what the layer is called.
        spec: its string.
        shapes: the shape of each operand, as it is typed.
        values: extents and parameters, as they are typed: ``"k=2 l=2"``.
        reduce: how contributions combine.
        parameters: names in the string that are numbers.
        names: of operands; equal ones are one array.
        output_shape: that of the result, where the rules should not choose it.
    """

    title: str
    spec: str
    shapes: tuple[str, ...] = ()
    values: str = ""
    reduce: str = "sum"
    parameters: str = ""
    names: str = ""
    output_shape: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


EXAMPLES = (
    Example(
        "Convolution, stride 2, padding 1",
        "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o",
        ("8x28x28x3", "3x3x3x16"),
    ),
    Example(
        "Convolution", "b (i+k) (j+l) c, k l c o -> b i j o", ("1x100x100x32", "3x3x32x64")
    ),
    Example("Flatten to dense, without a flatten", "b h w c, h w c o -> b o",
            ("8x7x7x64", "7x7x64x10")),
    Example("Stride, dilation, padding as symbols", "(s*i+d*k-p), k -> i", parameters="s d p"),
    Example("Transposed convolution", "b i j c, k l c o -> b (2*i+k-1) (2*j+l-1) o",
            ("8x7x7x64", "4x4x64x32")),
    Example("Depthwise convolution", "b (i+k-1) (j+l-1) c, k l c -> b i j c",
            ("8x28x28x32", "3x3x32")),
    Example("Grouped convolution", "b (i+k-1) (g c), k g c o -> b i (g o)",
            ("8x32x12", "3x4x3x5")),
    Example("Convolution in three dimensions",
            "b (2*i+k-1) (2*j+l-1) (2*m+n-1) c, k l n c o -> b i j m o",
            ("2x16x16x16x4", "3x3x3x4x8")),
    Example("Max pooling", "b (2*i+k) (2*j+l) c -> b i j c", ("8x28x28x16",), "k=2 l=2", "max"),
    Example("Average pooling", "b (2*i+k) (2*j+l) c -> b i j c", ("8x28x28x16",), "k=2 l=2",
            "mean"),
    Example("Quadratic form, one array twice", "i, i j, j ->", ("5", "5x5"), names="x A x"),
    Example("Polynomials multiplied", "(i-k), k -> i", ("8", "3")),
    Example("Correlation of two images", "b (i+k) (j+l) c, b i j c -> b k l",
            ("4x20x20x3", "4x16x16x3")),
    Example("Scores of attention", "b q h d, b k h d -> b h q k", ("2x16x4x32", "2x16x4x32")),
    Example("Banded attention", "b i h d, b (i+k-2) h d -> b h i k",
            ("2x16x4x32", "2x16x4x32"), "k=5"),
    Example("Bilinear form", "b i, i j o, b j -> b o", ("8x5", "5x6x7", "8x6")),
    Example("CP convolution, four factors",
            "b (i+k-1) (j+l-1) c, k r, l r, c r, o r -> b i j o",
            ("1x28x28x16", "3x8", "3x8", "16x8", "32x8")),
    Example("Matrix product state", "a i b, b j c, c k a -> i j k", ("4x5x6", "6x5x3", "3x5x4")),
    Example("Pixel shuffle", "b h w (p q c) -> b (h p) (w q) c", ("2x8x8x12",), "p=2 q=2"),
    Example("Dilation of an image", "(i+k-1) (j+l-1) -> i j", ("16x16",), "k=3 l=3", "max"),
    Example("Diagonal of a matrix", "i i -> i", ("5x5",)),
    Example("Locally connected", "b (2*i+k) c, i k c o -> b i o",
            ("8x16x3", "7x3x3x4")),
)  # fmt: skip


def address(
    spec: str,
    shapes: Sequence[str] = (),
    *,
    reduce: str = "sum",
    parameters: str = "",
    names: str = "",
    output_shape: str = "",
    values: str = "",
    panels: Mapping[int | str, str] | None = None,
) -> str:
    """What stands behind the page's address to open it with a string.

    Args:
        spec: the string.
        shapes: the shape of each array: ``"8x28x28x3"``.
        reduce: how contributions combine.
        parameters: names in the string that are numbers.
        names: of operands; equal ones are one array.
        output_shape: that of the result, where the rules should not choose it.
        values: extents and parameters: ``"k=2 l=2"``.
        panels: what is open, by card: ``{"layer": "plan", 0: "steps"}``.

    Example:
        >>> address("(2*i+k) -> i", ["8"], reduce="max", values="k=2", panels={0: "steps"})
        '#spec=%282%2Ai%2Bk%29%20-%3E%20i&reduce=max&shapes=8&values=k%3D2&open=0.steps'
    """
    opened = " ".join(f"{card}.{panel}" for card, panel in (panels or {}).items())
    said = {"spec": spec, "reduce": reduce * (reduce != "sum"), "parameters": parameters,
            "names": names, "shapes": ";".join(shapes), "output_shape": output_shape,
            "values": values, "open": opened}  # fmt: skip
    given = {name: text for name, text in said.items() if text.replace(";", "")}
    return "#" + "&".join(f"{name}={quote(text, safe='')}" for name, text in given.items())
