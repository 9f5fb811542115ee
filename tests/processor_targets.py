"""Kinds of processors that this one can stand in for."""

from __future__ import annotations

from llvmlite import binding

# For each kind of processors a name that LLVM knows, and beginnings of features that it lacks.
TARGETS: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "avx512": (None, ("avx10", "amx")),
    "avx2": ("haswell", ("avx10", "amx", "avx512", "evex512")),
    "sse": ("nehalem", ("avx", "amx", "evex512", "fma", "f16c", "xop", "vaes", "vpclmul", "sm3",
                        "sha512", "gfni")),
}  # fmt: skip


def aim(target: str) -> None:
    """Compile for a kind of processors that this one can stand in for."""
    name, missing = TARGETS[target]
    features = {
        feature: has and not feature.startswith(missing)
        for feature, has in binding.get_host_cpu_features().items()
    }
    binding.get_host_cpu_features = lambda: features
    if name is not None:
        binding.get_host_cpu_name = lambda: name
