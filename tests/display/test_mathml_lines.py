"""Breaking formulas in MathML: where, what is marked, and that nothing gets lost."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import contractconv as cc
from contractconv.display.equations import sides
from contractconv.display.mathml_lines import ROOMY, TIGHT, pieces, whole, widest, width


def read(written: str) -> list[str]:
    """The text of each piece; rows of a script stand behind each other."""
    root = ElementTree.fromstring(f"<r>{written}</r>".replace('xmlns="http', 'x="http'))
    return ["".join(math.itertext()).replace("\u2062", "") for math in root.iter("math")]


def right(spec: str, **how: str) -> str:
    """The right side of a contraction."""
    return sides(cc.Contraction(spec, **how)._shown_equation(), "mathml")[1]  # type: ignore[arg-type]


def row(*parts: str) -> str:
    """Several elements as one."""
    return f"<mrow>{''.join(parts)}</mrow>"


def test_a_product_may_be_broken_between_factors_but_not_behind_its_sign() -> None:
    assert read(pieces(right("i k, k j, j -> i"), TIGHT)) == ["∑k,jT0;i,k", "T1;k,j", "T2;j"]


def test_a_sum_may_be_broken_before_its_signs() -> None:
    formula = row("<mo>−</mo><mi>a</mi><mo>+</mo><mi>b</mi><mo>−</mo>", row("<mi>c</mi>"))
    assert read(pieces(formula, TIGHT)) == ["−a", "+b", "−c"]
    assert 'form="infix"' in pieces(formula, TIGHT)
    assert read(whole(formula, TIGHT)) == ["−a+b−c"]


def test_brackets_are_broken_only_where_there_is_no_room() -> None:
    inner = row("<mo>(</mo><mi>alpha</mi><mo>+</mo><mi>beta</mi><mo>)</mo>")
    assert read(pieces(row("<mi>x</mi><mo>+</mo>", inner), TIGHT)) == ["x", "+(alpha+beta)"]
    assert read(pieces(inner, 5.0)) == ["(alpha", "+beta)"]


def test_a_wide_fraction_is_put_on_one_line() -> None:
    above = row("<mi>alpha</mi><mo>+</mo><mi>beta</mi>")
    fraction = f"<mfrac>{above}<mi>gamma</mi></mfrac>"
    assert read(pieces(fraction, TIGHT)) == ["alpha+betagamma"]
    assert read(pieces(fraction, 5.0)) == ["(alpha", "+beta)/gamma"]


def test_a_power_stays_at_the_end_of_what_is_long() -> None:
    base = row("<mo>(</mo><mi>alpha</mi><mo>+</mo><mi>beta</mi><mo>)</mo>")
    made = pieces(f"<msup>{base}<mn>2</mn></msup>", 5.0)
    assert read(made) == ["(alpha", "+beta)2"]
    assert "<msup><mo>)</mo><mn>2</mn></msup>" in made


def test_words_are_broken_where_they_are_too_many() -> None:
    assert read(pieces("<mtext>one\xa0of\xa0many</mtext>", TIGHT)) == ["one\xa0of\xa0many"]
    assert read(pieces("<mtext>one\xa0of\xa0many</mtext>", 4.0)) == ["one\xa0", "of\xa0", "many"]


def test_long_scripts_stand_in_rows_position_by_position() -> None:
    positions = ["(stride*i+dilation*k-padding)", "(stride*j+dilation*l-padding)"]
    spec = f"b {' '.join(positions)} c -> b i j"
    made = pieces(right(spec, parameters="stride dilation padding"), TIGHT)
    assert made.count("<mtr>") > 3
    assert "<mtr>" not in pieces(right(spec, parameters="stride dilation padding"), 2 * ROOMY)
    assert "<mtr>" not in pieces(right("b (2*i+k) c -> b i"), TIGHT)


def test_what_is_new_is_marked_unless_everything_is() -> None:
    one, two = row("<mi>a</mi><mo>+</mo><mi>b</mi>"), row("<mi>a</mi><mo>+</mo><mi>c</mi>")
    assert pieces(two, TIGHT, one).count("cc-new") == 1
    assert '<mi class="cc-new">c</mi>' in pieces(two, TIGHT, one)
    assert "cc-new" not in pieces(one, TIGHT, one) + pieces(one, TIGHT, "<mn>1</mn>")


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "prod", "logsumexp"])
@pytest.mark.parametrize("spec", ["b (2*i+k-1) c, k c o -> b i o", "b (h w), (h w) -> b"])
@pytest.mark.parametrize("room", [4.0, TIGHT, ROOMY])
def test_nothing_gets_lost(spec: str, reduce: str, room: float) -> None:
    formula = right(spec, reduce=reduce)
    said = "".join(ElementTree.fromstring(f"<r>{formula}</r>").itertext())
    assert "".join(read(pieces(formula, room))) == said.replace("\u2062", "")
    assert 0 < widest(formula, room) <= width(formula) + 0.01
