"""What is printed of well-known contractions, kept as text that a review can read.

A file a contraction: the explanation for a terminal (without its proofs, of which certificates
have tests of their own), whose plans are those of the machine ``COMMON`` and depend on no
processor, then the same plans where nothing is compiled.

Renew all of them, and read the difference::

    python tests/display/test_snapshots.py
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import contractconv as cc
from contractconv.engines.llvm.kernels import native
from contractconv.planning.plan import plan
from contractconv.planning.setting import COMMON, Setting

SNAPSHOTS = Path(__file__).parent / "snapshots"


@dataclass(frozen=True)
class Case:
    """A contraction, the shapes of its operands, its reduction, and extents that these leave."""

    spec: str
    shapes: tuple[tuple[int, ...], ...]
    reduce: cc.Reduction = "sum"
    extents: dict[str, int] = field(default_factory=dict)


CASES = {
    "matrix product": Case("i k, k j -> i j", ((64, 128), (128, 32))),
    "strided, padded convolution": Case(
        "b (2*i+k-1) (2*j+l-1) c, k l c o -> b i j o", ((8, 28, 28, 3), (3, 3, 3, 16))
    ),
    "grouped convolution": Case(
        "b (i+k) (j+l) g c, k l g c o -> b i j g o", ((8, 12, 12, 4, 8), (3, 3, 4, 8, 8))
    ),
    "dilated convolution": Case("b (i+2*k) c, k c o -> b i o", ((4, 40, 8), (3, 8, 16))),
    "transposed convolution": Case(
        "b i j c, k l c o -> b (2*i+k-1) (2*j+l-1) o", ((2, 7, 7, 8), (3, 3, 8, 4))
    ),
    "depthwise convolution": Case(
        "b (i+k-1) (j+l-1) c, k l c -> b i j c", ((8, 28, 28, 16), (3, 3, 16))
    ),
    "max pooling": Case(
        "b (2*i+k) (2*j+l) c -> b i j c", ((8, 28, 28, 3),), "max", {"k": 2, "l": 2}
    ),
    "flatten to dense": Case("b h w c, h w c o -> b o", ((8, 4, 4, 16), (4, 4, 16, 10))),
    "trace": Case("i i ->", ((9, 9),)),
    "diagonal": Case("b i i -> b i", ((3, 9, 9),)),
    "CP convolution": Case(
        "b (i+k) (j+l) c, k r, l r, c r, o r -> b i j o",
        ((2, 16, 16, 8), (3, 4), (3, 4), (8, 4), (16, 4)),
    ),
    "attention scores": Case("b h q d, b h k d -> b h q k", ((2, 4, 32, 16), (2, 4, 32, 16))),
    "log-sum-exp": Case("b h q k -> b h q", ((2, 4, 16, 16),), "logsumexp"),
}


def shown(case: Case) -> str:
    """Everything that a snapshot holds."""
    contraction = cc.Contraction(case.spec, case.reduce)
    explanation = contraction.explain(*case.shapes, proof=False, **case.extents)
    found = (plan for gradient in explanation.gradients for _, plan in gradient.plans)
    plans = [explanation.plan, *found]
    by_numpy = Setting("float32", "auto", replace(COMMON, compiled=False))
    parts = [f"by numpy:\n{plan(one.problem, by_numpy)}" for one in plans if one is not None]
    return "\n\n".join([str(explanation), *parts]) + "\n"


def _file(name: str) -> Path:
    return SNAPSHOTS / f"{name.replace(',', '').replace(' ', '-').lower()}.txt"


@pytest.mark.skipif(not native.available(), reason="there is no compiler for these plans")
@pytest.mark.parametrize("name", CASES)
def test_what_is_printed_is_what_was_printed(name: str) -> None:
    assert shown(CASES[name]) == _file(name).read_text(encoding="utf-8")


def test_every_snapshot_has_its_contraction() -> None:
    assert set(SNAPSHOTS.iterdir()) == set(map(_file, CASES))


if __name__ == "__main__":
    for called, renewed in CASES.items():
        _file(called).write_text(shown(renewed), encoding="utf-8")
