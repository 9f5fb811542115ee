r"""How a name looks in each script: subscripts, primes, Greek letters.

A name ends in a subscript if it ends in digits (``p0``, ``in_1``), or in several if a letter, which
may be Greek, stands before underscores (``x_max``, ``W_q``, ``alpha_1_2``). Other underscores join
words (``at_least``), as does that behind a ``d`` (``d_W``) or an ``N`` (``N_i``), which would be a
gradient or a size. Primes number the positions of an index that has several. In plain text a name
stays one that can be typed: only digits that follow a letter go down (``p₀``), which no other name
looks like.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from contractconv.calculus.symbols import DOTS, SUBSCRIPTS

PRIME = "\N{PRIME}"
COMMA = '<mo separator="true">,</mo>'

_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
GREEK = dict(zip(_NAMES.split(), "αβγδϵζηθικλμνξπρστυϕχψωΓΔΘΛΞΠΣΥΦΨΩ", strict=True))
_COMMANDS = {letter: name for name, letter in GREEK.items()} | {"ε": "varepsilon", "φ": "varphi"}
_UP = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# A letter before it, or a digit would be the name; an underscore stands between letters.
_NUMBERED = re.compile(r"([^\W_]*[^\W\d_])([0-9]+)")
# In a word of many alphabets, what TeX knows as a letter of mathematics, and what only as text.
_RUNS = re.compile(
    r"(?P<letter>[\u0370-\u03ff\u2100-\u214f])|(?P<between>_+)|(?P<text>[^_\u0370-\u03ff\u2100-\u214f]+)"
)
_CHANGE = "δ"


@dataclass(frozen=True, slots=True)
class Name:
    """A name, taken apart.

    Attributes:
        stem: without what follows.
        below: its subscripts.
        primes: how many.
        before: ``δ`` in front of what changes.
    """

    stem: str
    below: tuple[str, ...] = ()
    primes: int = 0
    before: str = ""

    @staticmethod
    def of(text: str) -> Name:
        """Take a name apart.

        Example:
            >>> Name.of("x_1'")
            Name(stem='x', below=('1',), primes=1, before='')
            >>> Name.of("δL")
            Name(stem='L', below=(), primes=0, before='δ')
        """
        bare = text.rstrip("'")
        primes = len(text) - len(bare)
        if bare.startswith(_CHANGE) and bare[1:2].isupper():
            return replace(Name.of(text[1:]), before=_CHANGE)
        found = _NUMBERED.fullmatch(bare)
        if found:
            return Name(found[1], (found[2],), primes)
        stem, *below = bare.split("_")
        if stem and below and all(below) and _carries(stem, below):
            return Name(stem, tuple(below), primes)
        return Name(bare, (), primes)


def _carries(stem: str, below: list[str]) -> bool:
    """Whether what follows underscores stands below a stem, which is not a word of several."""
    if len(below) == 1 and below[0].isdecimal():
        return True
    return stem in GREEK or (len(stem) == 1 and stem.isalpha() and stem not in "dN")


def text_symbol(name: str) -> str:
    """A name in plain text.

    Example:
        >>> text_symbol("p0"), text_symbol("x_1"), text_symbol("k''"), text_symbol("alpha")
        ('p₀', 'x_1', 'k′′', 'alpha')
    """
    bare = name.rstrip("'")
    primes = PRIME * (len(name) - len(bare))
    found = _NUMBERED.fullmatch(bare)
    shown = bare if found is None else found[1] + found[2].translate(SUBSCRIPTS)
    return shown.replace(DOTS, "…") + primes


def text_power(number: int) -> str:
    """An exponent in plain text; nothing for one."""
    return "" if number == 1 else str(number).translate(_UP)


def latex_symbol(name: str) -> str:
    r"""A name in LaTeX.

    Example:
        >>> print(latex_symbol("p0"), latex_symbol("x_max"), latex_symbol("sigma'"))
        p_{0} x_{\mathrm{max}} \sigma'
    """
    found = Name.of(name)
    before = r"\delta " if found.before else ""
    below = f"_{{{', '.join(map(latex_word, found.below))}}}" if found.below else ""
    return before + latex_word(found.stem) + below + "'" * found.primes


def latex_word(word: str) -> str:
    r"""A word in LaTeX: a letter leans, several stand upright.

    Example:
        >>> print(latex_word("k"), latex_word("tap"), latex_word("Δt"), latex_word("größe"))
        k \mathrm{tap} \Delta \text{t} \text{größe}
    """
    if word == DOTS:
        return r"\ldots"
    if word in GREEK:
        return rf"\{word}"
    if not word.isascii():
        return "".join(map(_latex_run, _RUNS.finditer(word)))
    if word.isdecimal() or (len(word) == 1 and word != "_"):
        return word
    return _upright(word)


def _latex_run(found: re.Match[str]) -> str:
    """Letters of one kind."""
    letters, kind = found[0], found.lastgroup
    if kind == "text":
        return rf"\text{{{letters}}}"
    if kind == "between":
        return _upright(letters)
    behind = " " * (found.end() < len(found.string))
    return rf"\{_COMMANDS[letters]}{behind}" if letters in _COMMANDS else letters


def _upright(word: str) -> str:
    return rf"\mathrm{{{word.replace('_', chr(92) + '_')}}}"


def mathml_symbol(name: str) -> str:
    """A name in presentation MathML, one element.

    Example:
        >>> mathml_symbol("p0")
        '<msub><mi>p</mi><mn>0</mn></msub>'
        >>> mathml_symbol("k'")
        '<mrow><mi>k</mi><mo>′</mo></mrow>'
    """
    found = Name.of(name)
    shown = mathml_word(found.stem)
    if found.below:
        shown = f"<msub>{shown}{mathml_list(found.below)}</msub>"
    before = f"<mi>{found.before}</mi>" if found.before else ""
    # A prime is raised by itself: as a superscript of an index it would be a speck.
    behind = f"<mo>{PRIME * found.primes}</mo>" if found.primes else ""
    return f"<mrow>{before}{shown}{behind}</mrow>" if before or behind else shown


def mathml_list(words: Sequence[str]) -> str:
    """Words with commas between them, one element."""
    first, *others = map(mathml_word, words)
    return f"<mrow>{COMMA.join([first, *others])}</mrow>" if others else first


def mathml_word(word: str) -> str:
    """A word in presentation MathML."""
    if word.isdecimal():
        return f"<mn>{word}</mn>"
    return f"<mi>{'…' if word == DOTS else GREEK.get(word) or escape(word)}</mi>"
