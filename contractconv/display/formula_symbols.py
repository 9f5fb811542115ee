r"""How a name looks in each script: subscripts, primes, Greek letters.

A name ends in a subscript if it ends in digits (``p0``, ``in_1``), or if a single letter stands
before an underscore (``x_max``). Other underscores join words (``at_least``). Primes number the
positions of an index that has several. In plain text a name stays one that can be typed: only
digits that follow a letter go down (``p₀``), which no other name looks like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import escape

from contractconv.calculus.symbols import DOTS, SUBSCRIPTS

PRIME = "\N{PRIME}"

_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
GREEK = dict(zip(_NAMES.split(), "αβγδϵζηθικλμνξπρστυϕχψωΓΔΘΛΞΠΣΥΦΨΩ", strict=True))
_COMMANDS = {letter: name for name, letter in GREEK.items()} | {"ε": "varepsilon", "φ": "varphi"}
_UP = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# A letter before it, or a digit would be the name; an underscore stands between letters.
_NUMBERED = re.compile(r"([^\W_]*[^\W\d_])([0-9]+)")
_UNDERSCORED = re.compile(r"([^\W_]+)_([0-9]+)|([^\W\d_])_([^\W_]+)")
_CHANGE = "δ"


@dataclass(frozen=True, slots=True)
class Name:
    """A name, taken apart.

    Attributes:
        stem: without what follows.
        below: its subscript.
        primes: how many.
        before: ``δ`` in front of what changes.
    """

    stem: str
    below: str = ""
    primes: int = 0
    before: str = ""

    @staticmethod
    def of(text: str) -> Name:
        """Take a name apart.

        Example:
            >>> Name.of("x_1'")
            Name(stem='x', below='1', primes=1, before='')
            >>> Name.of("δL")
            Name(stem='L', below='', primes=0, before='δ')
        """
        bare = text.rstrip("'")
        primes = len(text) - len(bare)
        if len(bare) > 1 and bare.startswith(_CHANGE):
            return replace(Name.of(text[1:]), before=_CHANGE)
        # The second copy of an index has an underscore behind it, and is read as one with a prime.
        stem = bare.rstrip("_")
        if not stem or stem.startswith("_"):
            return Name(bare, "", primes)
        primes += len(bare) - len(stem)
        found = _NUMBERED.fullmatch(stem) or _UNDERSCORED.fullmatch(stem)
        if found is None:
            return Name(stem, "", primes)
        letters, below = filter(None, found.groups())
        return Name(letters, below, primes)


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
    below = f"_{{{latex_word(found.below)}}}" if found.below else ""
    return before + latex_word(found.stem) + below + "'" * found.primes


def latex_word(word: str) -> str:
    """A word in LaTeX: a letter leans, several stand upright."""
    if word == DOTS:
        return r"\ldots"
    if word in GREEK or word in _COMMANDS:
        return rf"\{_COMMANDS.get(word, word)}"
    if word.isdecimal() or (len(word) == 1 and word != "_"):
        return word
    return rf"\mathrm{{{word.replace('_', chr(92) + '_')}}}"


def mathml_symbol(name: str) -> str:
    """A name in presentation MathML, one element.

    Example:
        >>> mathml_symbol("p0")
        '<msub><mi>p</mi><mn>0</mn></msub>'
    """
    found = Name.of(name)
    shown, primes = mathml_word(found.stem), f"<mo>{PRIME * found.primes}</mo>"
    if found.below and found.primes:
        shown = f"<msubsup>{shown}{mathml_word(found.below)}{primes}</msubsup>"
    elif found.below:
        shown = f"<msub>{shown}{mathml_word(found.below)}</msub>"
    elif found.primes:
        shown = f"<msup>{shown}{primes}</msup>"
    return f"<mrow><mi>{found.before}</mi>{shown}</mrow>" if found.before else shown


def mathml_word(word: str) -> str:
    """A word in presentation MathML."""
    if word.isdecimal():
        return f"<mn>{word}</mn>"
    return f"<mi>{'…' if word == DOTS else GREEK.get(word) or escape(word)}</mi>"
