"""Maps in texts, in LaTeX and in MathML."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from matplotlib.mathtext import MathTextParser

from contractconv.maps.reading import read
from contractconv.maps.record import ARGUMENTS, MapRecord
from contractconv.maps.table import MAPS, record_of
from contractconv.maps.writing import function

EVERY = sorted(MAPS)
LONG = MapRecord("two_words_", 3, max, max, **function("two_words_", 3))


@pytest.fixture(params=[*EVERY, "two_words_"])
def record(request: pytest.FixtureRequest) -> MapRecord:
    return LONG if request.param == LONG.name else record_of(request.param)


def test_texts_are_read_back(record: MapRecord) -> None:
    call = read(record.text % record.variables)
    assert call == read(f"{record.name}({', '.join(record.variables)})")


def test_latex_can_be_set(record: MapRecord) -> None:
    written = record.latex % tuple(f"{{x_{{{n}}}}}" for n in record.variables)
    # Not known to matplotlib, and plain in LaTeX.
    written = written.replace(r"\bmod", r"\;mod\;")
    MathTextParser("path").parse(f"${written}$")
    for letter in record.variables:
        assert f"x_{{{letter}}}" in written
    assert written.count("{") == written.count("}")
    assert written.count(r"\left") == written.count(r"\right")


def test_mathml_is_one_element(record: MapRecord) -> None:
    given = tuple(f"<mi>{letter}</mi>" for letter in ARGUMENTS[: record.arity])
    root = ElementTree.fromstring(record.mathml % given)
    names = {element.tag for element in root.iter()}
    assert names <= {"mrow", "mi", "mo", "mn", "mfrac", "msqrt", "msup"}
    found = [element.text for element in root.iter("mi") if element.text in record.variables]
    assert found == list(record.variables)
    # A fraction and a power have two parts, and nothing else has to count its own.
    assert all(len(element) == 2 for tag in ("mfrac", "msup") for element in root.iter(tag))


def test_what_cannot_be_set_would_be_noticed() -> None:
    with pytest.raises(ValueError, match="Expected"):
        MathTextParser("path").parse(r"$\frac{a}{$")
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring("<mrow><mo><</mo></mrow>")
