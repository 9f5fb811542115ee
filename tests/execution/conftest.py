"""What tests of execution share."""

from __future__ import annotations

import pytest

from contractconv.engines.llvm.kernels import native


@pytest.fixture(params=["llvm", "numpy"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What computes: compiled kernels, or numpy."""
    monkeypatch.setenv("CONTRACTCONV_KERNELS", request.param)
    if request.param == "llvm" and not native.available():
        pytest.skip("there is no compiler")
    return str(request.param)
