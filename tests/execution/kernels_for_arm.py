"""Compiles kernels for 64-bit ARM: a process of its own, as what is compiled is remembered.

    python kernels_for_arm.py

writes kernels for vectors and registers as ARM has them, runs them here, and compiles each of them
for ARM as well, of which no emulator is needed to know that there is code for everything.
"""

from __future__ import annotations

import platform
from typing import Any
from unittest import mock

import numpy as np
from llvmlite import binding

import contractconv as cc
from contractconv.engines.llvm.kernels import native

# Where an object file for Linux says for which processors it is, and what it says for 64-bit ARM.
MACHINE, ARM = slice(18, 20), b"\xb7\x00"


def compiled_for_arm(text: str) -> bytes:
    """The object file of a kernel."""
    triple = "aarch64-linux-gnu"
    target = binding.Target.from_triple(triple).create_target_machine(
        cpu="generic", features="+neon", opt=3, jit=False, reloc="default"
    )
    module = binding.parse_assembly(text)
    module.triple = triple
    module.verify()
    code: bytes = target.emit_object(module)
    return code


def main() -> None:
    """Run a few of everything."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    ours, texts = native._written, list[str]()

    def written(name: str, dtype: str, write: native.Writer) -> str:
        with mock.patch.object(platform, "machine", return_value="aarch64"):
            texts.append(ours(name, dtype, write))
        return ours(name, dtype, write)

    vars(native).update(_written=written, registers=lambda: (32, 16))
    for dtype in ("float32", "float64"):
        run(np.dtype(dtype))
    for text in texts:
        code = compiled_for_arm(text)
        assert code[MACHINE] == ARM, code[:20]
    print(f"{len(texts)} kernels for ARM")


def run(dtype: np.dtype[Any]) -> None:
    """Contractions, windows, tiles, poolings, maps and sums, in numbers of one kind."""
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-3, 4, shape) for shape in ((4, 18, 18, 16), (3, 3, 16, 16)))
    layer = cc.Contraction("b (i+k-1) (j+l-1) c, k l c o -> b i j o")
    exact, a, b = layer(x, w), x.astype(dtype), w.astype(dtype)
    for algorithm in ("direct", "toom-cook"):
        close(layer(a, b, algorithm=algorithm), exact)
    for n in (0, 1):
        close(layer.grad(n)(exact.astype(dtype), a, b), layer.grad(n)(exact, x, w))
    pool = cc.Contraction("b (2*i+k) (2*j+l) c -> b i j c", reduce="max")
    close(pool(a, k=2, l=2), pool(x, k=2, l=2))
    given = pool(x, k=2, l=2)
    close(pool.grad(0)(given.astype(dtype), a, k=2, l=2), pool.grad(0)(given, x, k=2, l=2))
    t = cc.tensor("t", "b i j c")
    made = cc.compile(cc.relu(t) * cc.sigmoid(t) + cc.exp(-t * t), dtype=dtype)(a)
    close(made, np.maximum(x, 0) / (1 + np.exp(-1.0 * x)) + np.exp(-1.0 * x * x))


def close(made: Any, wanted: Any) -> None:
    """Whether numbers are those that were wanted, as far as they are rounded."""
    assert abs(made - wanted).max() <= 1e-4 * max(1, abs(wanted).max())


if __name__ == "__main__":
    main()
