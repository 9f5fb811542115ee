"""The grammar that is drawn accepts what the parser accepts, and refuses what it refuses."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from extensions.grammar import Grammar, tokens
from extensions.railroad import diagrams
from hypothesis import settings

from contractconv.errors import SpecError
from contractconv.notation.parser import parse

NOTATION = Path(__file__).parent.parent.parent / "docs" / "notation.md"
# Rules that are no matter of form, by how the parser says that they are broken.
MEANING = ("not affine", "a division must span", "division by zero", "cancels out")

SENTENCES = (
    "b (2*i+k-1) c, k c o -> b i o", "bhwc,kc->bh", "i(2*i+k),k->i", "(h w c) o -> o", "ij,jk",
    "... i j, ... j -> ... i", "b ((h-k+1)/2) c -> b h", "(0)->", "(s*i-2(k+3)) -> i", "-> i",
    "(-(-i+2k)/s), k ->i",
)  # fmt: skip
PIECES = (
    "i", "j", "k", "s", "ij", "x1", "(", ")", "(", ")", "+", "-", "*", "/", "2", "0", "13", "2i",
    "...", ",", " ", " ", " ", "->", "->",
)  # fmt: skip


def grammar(text: str | None = None) -> Grammar:
    page = NOTATION.read_text(encoding="utf-8")
    return Grammar.read(text or re.findall("```{railroad}\n(.*?)```", page, re.DOTALL)[0])


def drawn(rng: random.Random) -> str:
    """A sentence with some mistakes in it, or any row of pieces."""
    if rng.random() < 0.3:
        return "".join(rng.choices(PIECES, k=rng.randint(0, 12)))
    text = list(rng.choice(SENTENCES))
    for _ in range(rng.randint(0, 2)):
        place = rng.randrange(len(text) + 1)
        text[place : place + rng.randint(0, 1)] = [rng.choice(["", *PIECES])]
    return "".join(text)


def verdict(text: str, parameters: tuple[str, ...]) -> str:
    """What the parser says: accepted, refused by its form, or by what it means."""
    try:
        parse(text, parameters=parameters)
    except SpecError as error:
        first = str(error).splitlines()[0]
        return "meaning" if any(said in first for said in MEANING) else "refused"
    return "accepted"


def disagreements(rules: Grammar, count: int) -> tuple[list[str], Counter[str]]:
    rng = random.Random(0)
    wrong, seen = [], Counter[str]()
    for _ in range(count):
        text, parameters = drawn(rng), rng.choice([(), ("s",)])
        said = verdict(text, parameters)
        seen[said] += 1
        # Whoever breaks a rule of meaning may break one of form as well.
        if said != "meaning" and rules.accepts(*tokens(text, parameters)) != (said == "accepted"):
            wrong.append(text)
    return wrong, seen


def test_grammar_and_parser_agree() -> None:
    count = 10 * settings().max_examples
    wrong, seen = disagreements(grammar(), count)
    assert wrong == []
    assert min(seen[said] for said in ("accepted", "refused", "meaning")) > count / 100


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('[ "..." { axis } ]', '{ "..." { axis } }'),
        ("number [ adjacent atom ]", "number [ atom ]"),
        ('{ "+" | "-" } (', "("),
        ('[ "->" term ]', '"->" term'),
        ("index { index }", "index"),
    ],
)
def test_a_grammar_that_is_not_the_parsers_is_found(right: str, wrong: str) -> None:
    text = NOTATION.read_text(encoding="utf-8")
    rules = re.findall("```{railroad}\n(.*?)```", text, re.DOTALL)[0]
    assert right in rules
    assert disagreements(grammar(rules.replace(right, wrong)), 1000)[0] != []


def test_every_rule_is_drawn() -> None:
    rules = grammar()
    pictures = diagrams(rules)
    assert [*pictures] == [*rules.rules]
    for name, picture in pictures.items():
        assert picture.startswith("<svg ")
        assert f"The rule {name}" in picture
    assert "#grammar-product" in pictures["sum"]
