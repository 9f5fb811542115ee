"""What tests of kernels of maps share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contractconv.engines.llvm.kernels import native
from contractconv.engines.llvm.maps import compiled_groups


@pytest.fixture(autouse=True, scope="module")
def _everything_is_compiled() -> Iterator[None]:
    """Let kernels carry out groups of any size."""
    if not native.available():
        pytest.skip("there is no compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_groups, "WORTH_COMPILING", 0)
        yield
