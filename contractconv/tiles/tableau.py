"""A decomposition of the window tensor written out: its identity, its points, its three factors.

In text the factors stand below each other, so that a product is a column with its point on top:
the identity multiplies the numbers of a column and adds up the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contractconv.tiles.decomposition import Decomposition

IDENTITY = {
    "text": "δ[y = i + k] = Σ_{p} A[y, p] · B[i, p] · C[k, p]",
    "latex": r"\delta_{y,\, i+k} = \sum_{p} A_{y,p} \, B_{i,p} \, C_{k,p}",
    "mathml": (
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow>'
        "<msub><mi>δ</mi><mrow><mi>y</mi><mo>=</mo><mi>i</mi><mo>+</mo><mi>k</mi></mrow></msub>"
        "<mo>=</mo><munder><mo>∑</mo><mi>p</mi></munder>"
        + '<mspace width="0.15em"/>'.join(
            f'<msub><mi>{factor}</mi><mrow><mi>{index}</mi><mo separator="true">,</mo><mi>p</mi>'
            "</mrow></msub>"
            for factor, index in ("Ay", "Bi", "Ck")
        )
        + "</mrow></math>"
    ),
}

# The index of the rows of each factor.
_ROWS = {"A": "y", "B": "i", "C": "k"}
_WIDTH = 88
# Few readers have a font whose brackets grow: they are drawn, as high as what they enclose.
_ROW = "display: inline-flex; align-items: center; gap: .3em"
_ENCLOSED = "display: inline-flex; align-items: stretch"
_BRACKET = "display: block; font-size: 0; width: 5px; border: 1.5px solid"


def title(decomposition: Decomposition) -> str:
    """The name, and what it is good for."""
    count = decomposition.outputs * decomposition.taps
    return f"{decomposition.name}: {decomposition.products} products instead of {count}"


def as_text(decomposition: Decomposition) -> str:
    """Write a decomposition as a table; a wide one in several parts, one below the other."""
    labels, rows = zip(*_table(decomposition), strict=True)
    columns = list(zip(*rows, strict=True))
    side = max(map(len, labels))
    parts = [
        "  ".join([label.ljust(side), *cells]).rstrip()
        for part in _parts(list(map(_aligned, columns)), _WIDTH - side)
        for label, *cells in zip(labels, *part, strict=True)
    ]
    return "\n".join([title(decomposition), *(f"  {line}" for line in parts)])


def as_latex(decomposition: Decomposition) -> str:
    """Write the identity and its factors in LaTeX, without dollar signs."""
    factors = [f"{which} = {_latex_matrix(decomposition.exact(which))}" for which in _ROWS]
    return r" \qquad ".join([IDENTITY["latex"], *factors])


def as_mathml(decomposition: Decomposition) -> str:
    """Write the factors in presentation MathML, a ``<math>`` element for each."""
    return "".join(_mathml_factor(which, decomposition.exact(which)) for which in _ROWS)


def identity_as_html() -> str:
    """Write the identity for a page."""
    return f'<div class="cc-formula">{IDENTITY["mathml"]}</div>'


def factors_as_html(decomposition: Decomposition) -> str:
    """Write a decomposition for a page: its name, the factors side by side."""
    factors = decomposition.mathml()
    return f'<p>{title(decomposition)}</p><div class="cc-wide cc-factors">{factors}</div>'


def written(number: Fraction | float) -> str:
    """Write an exact number: ``-1/4``."""
    return "∞" if number == inf else str(number)


def _table(decomposition: Decomposition) -> Iterator[tuple[str, list[str]]]:
    """The rows, each with its label."""
    if decomposition.points:
        yield "point", list(map(written, decomposition.points))
    for which, index in _ROWS.items():
        for n, row in enumerate(decomposition.exact(which)):
            yield f"{' ' if n else which}  {index}={n}", list(map(written, row))


def _aligned(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    return [cell.rjust(width) for cell in column]


def _parts(columns: Sequence[list[str]], width: int) -> Iterator[list[list[str]]]:
    """As many columns at a time as fit, and at least one."""
    part: list[list[str]] = []
    room = width
    for column in columns:
        room -= len(column[0]) + 2
        if part and room < 0:
            yield part
            part, room = [], width - len(column[0]) - 2
        part.append(column)
    yield part


def _latex_matrix(rows: Sequence[Sequence[Fraction]]) -> str:
    lines = r" \\ ".join(" & ".join(map(_latex, row)) for row in rows)
    return rf"\begin{{bmatrix}} {lines} \end{{bmatrix}}"


def _latex(number: Fraction) -> str:
    return _signed(number, r"\frac{{{0}}}{{{1}}}", "{}", "-")


def _mathml_factor(which: str, rows: Sequence[Sequence[Fraction]]) -> str:
    cells = ("".join(f"<mtd>{_mathml(number)}</mtd>" for number in row) for row in rows)
    lines = "".join(f"<mtr>{line}</mtr>" for line in cells)
    return (
        f'<math xmlns="http://www.w3.org/1998/Math/MathML"><mrow style="{_ROW}">'
        f'<mi>{which}</mi><mo>=</mo><mrow style="{_ENCLOSED}">'
        f'<mo style="{_BRACKET}; border-right: 0">[</mo><mtable>{lines}</mtable>'
        f'<mo style="{_BRACKET}; border-left: 0">]</mo></mrow></mrow></math>'
    )


def _mathml(number: Fraction) -> str:
    fraction = "<mfrac><mn>{0}</mn><mn>{1}</mn></mfrac>"
    return f"<mrow>{_signed(number, fraction, '<mn>{}</mn>', '<mo>−</mo>')}</mrow>"


def _signed(number: Fraction, fraction: str, whole: str, minus: str) -> str:
    above, below = abs(number.numerator), number.denominator
    size = whole.format(above) if below == 1 else fraction.format(above, below)
    return minus + size if number < 0 else size
