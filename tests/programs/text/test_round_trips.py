"""A program is its text: read and written again, neither changes."""

from __future__ import annotations

from hypothesis import given
from random_programs import programs

from contractconv.programs.program import Graph
from contractconv.programs.text.reader import read
from contractconv.programs.text.writer import write


@given(programs())
def test_reading_what_is_written_gives_the_same_program(graph: Graph) -> None:
    text = write(graph)
    again = read(text)
    assert (again.outputs, again.inputs, again.name) == (graph.outputs, graph.inputs, graph.name)
    assert write(again) == text
