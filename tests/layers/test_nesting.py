"""Nested dicts of arrays become flat ones, and the other way round."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contractconv.layers.nesting import flattened, nested

names = st.sampled_from(["a", "b", "W"])
trees: st.SearchStrategy[Any] = st.recursive(
    st.integers(), lambda inner: st.dictionaries(names, inner, min_size=1), max_leaves=8
).filter(lambda tree: isinstance(tree, dict))


@given(trees)
def test_there_and_back(tree: dict[str, Any]) -> None:
    assert nested(dict(flattened(tree))) == tree


def test_empty_dicts_hold_nothing() -> None:
    assert dict(flattened({"a": {}, "b": 1})) == {("b",): 1}
    assert nested({}) == {}
