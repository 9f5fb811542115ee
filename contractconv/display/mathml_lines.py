"""Breaking a formula in MathML into pieces that a page may put on several lines.

MathML Core breaks no lines. So a page puts the pieces of a formula one after the other, each a
``math`` element, and lets them flow as words do. Pieces begin before what connects terms and
factors; brackets and fractions are only broken where they would be wider than a phone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

# What there is room for on a phone and on everything wider, in ems of the formula. Scripts leave
# room for a sign and what they stand at; those under a sign take no more than a part of it.
TIGHT, ROOMY = 15.0, 30.0
_BESIDE, _UNDER, _LEAST, _SIGN = 5.0, 0.5, 4.0, 1.5

_BEFORE = frozenset("+−-±=≤<≥>∣·×∧∨")
_PRIME = "\N{PRIME}"
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_INVISIBLE = frozenset("\u2061\u2062\u2063\u2064")
_SMALLER = 0.8  # scripts, against what they stand at
_NEW = "cc-new"
_BREAK = "<wbr/>"


def pieces(formula: str, room: float, before: str | None = None) -> str:
    """Break a formula wherever it may be broken.

    Args:
        formula: elements of MathML.
        room: how wide a piece may be at most, in ems.
        before: what stood there before; what was not in it is marked as new.

    Returns:
        The pieces, each a ``math`` element.
    """
    parts = _parts(_read(formula), room)
    if before is not None:
        _mark(parts, _parts(_read(before), room))
    return _BREAK.join(map(_math, _split(parts, room)))


def whole(formula: str, room: float) -> str:
    """A formula in one piece, if there is room for that."""
    return pieces(formula, room) if width(formula) > room else _math(_read(formula))


def width(formula: str) -> float:
    """How wide a formula is, about, in ems."""
    return sum(map(_width, _read(formula)))


def widest(formula: str, room: float) -> float:
    """How wide the widest of its pieces is, about, in ems."""
    parts = _parts(_read(formula), room)
    return max((sum(map(_width, piece)) for piece in _split(parts, room)), default=0.0)


def _read(formula: str) -> list[Element]:
    return list(ElementTree.fromstring(f"<r>{formula}</r>"))


def _math(piece: Iterable[Element]) -> str:
    inner = "".join(ElementTree.tostring(part, encoding="unicode") for part in piece)
    xmlns = 'xmlns="http://www.w3.org/1998/Math/MathML"'
    return f'<math {xmlns} displaystyle="true"><mrow>{inner}</mrow></math>'


def _mark(parts: list[Element], before: list[Element]) -> None:
    """Mark the parts that were not there, if some were."""
    known = Counter(map(_written, before))
    new = []
    for part in parts:
        known[_written(part)] -= 1
        if known[_written(part)] < 0 and part.tag not in ("mo", "mspace"):
            new.append(part)
    if len(new) < sum(part.tag not in ("mo", "mspace") for part in parts):
        for part in new:
            part.set("class", _NEW)


def _written(part: Element) -> str:
    return ElementTree.tostring(part, encoding="unicode")


# --- where a formula may be broken --------------------------------------------------------------


def _parts(elements: Iterable[Element], room: float) -> list[Element]:
    """The parts of a row, those of rows in it among them; what is too wide is taken apart."""
    return [part for element in elements for part in _opened(element, room)]


def _opened(element: Element, room: float) -> Iterator[Element]:
    wide = _width(element) > room
    match element.tag:
        case "mrow" if (wide or not _is_fenced(element)) and not _is_primed(element):
            yield from _parts(element, room)
        case "mfrac" if wide:
            yield from _parts(_on_one_line(element), room)
        case "msup" if wide and len(element[0]) > 1:
            yield from _raised(element, room)
        case "mtext" if wide:
            yield from _words(element.text or "", "\N{NO-BREAK SPACE}", 0.0)
        case "msub" if (
            _width(element) > room - _SIGN and _width(element[0]) > room - _SIGN - _LEAST
        ):
            yield from _named_in_parts(element, room - _SIGN - _LEAST)
        case "msub":
            beside = room - max(_BESIDE, _width(element[0]) + 0.5)
            yield _in_rows(element, max(_LEAST, beside) / _SMALLER)
        case "munder":
            yield _in_rows(element, _UNDER * room / _SMALLER)
        case _:
            yield element


def _is_fenced(row: Element) -> bool:
    return any(child.tag == "mo" and (child.text or "") in _OPENING for child in row)


def _is_primed(row: Element) -> bool:
    return len(row) > 1 and (row[-1].text or "").startswith(_PRIME)


def _on_one_line(fraction: Element) -> list[Element]:
    above, below = fraction
    return [*_grouped(above), _made("mo", "/"), *_grouped(below)]


def _grouped(element: Element) -> list[Element]:
    return [_made("mo", "("), element, _made("mo", ")")] if len(element) > 1 else [element]


def _made(tag: str, text: str = "", **attributes: str) -> Element:
    element = Element(tag, attributes)
    element.text = text
    return element


def _raised(power: Element, room: float) -> Iterator[Element]:
    """A power of something long: the exponent stays at its end."""
    *first, last = power[0]
    raised = Element("msup")
    raised.extend([last, power[1]])
    yield from _parts(first, room)
    yield raised


def _words(text: str, between: str, room: float) -> list[Element]:
    """A text in parts, as many words in each as there is room for."""
    *words, last = text.split(between)
    parts = ([_made("mtext", word)] for word in [*(word + between for word in words), last])
    return [
        _made("mtext", "".join(one.text or "" for one in part)) for part in _filled(parts, room)
    ]


def _named_in_parts(element: Element, room: float) -> Iterator[Element]:
    """An element of an array with a long name: where it is read stays at the name's end."""
    name, script = element
    *first, last = _words("".join(name.itertext()), "_", room)
    yield from first
    named = Element("msub")
    named.extend([last, script])
    yield _in_rows(named, _LEAST / _SMALLER)


def _split(parts: Iterable[Element], room: float) -> list[list[Element]]:
    """Start a piece before what connects, after a space between factors, and after a comma."""
    found: list[list[Element]] = []
    before: Element | None = None
    ends = True
    for part in parts:
        connects = before is not None and _connects(part, before)
        if connects:
            part.set("form", "infix")
        if ends or connects or _overflows(found[-1], part, room):
            found.append([])
        found[-1].append(part)
        ends = _ends(part, before)
        before = part
    return found


def _ends(part: Element, before: Element | None) -> bool:
    """Whether a piece ends with a part: words, a comma, or a space that stands behind no sign."""
    if part.tag == "mspace":
        return before is not None and before.tag not in ("munder", "mi")
    return part.tag == "mtext" or (part.tag == "mo" and part.text == ",")


def _overflows(piece: list[Element], part: Element, room: float) -> bool:
    """Whether a factor has no room behind its sign, or what is in brackets behind the first."""
    wide = part.tag not in ("mo", "mspace") and sum(map(_width, [*piece, part])) > room
    return wide and (piece[-1].tag == "mspace" or piece[-1].text in _OPENING)


def _connects(part: Element, before: Element) -> bool:
    """Whether a part is a sign between two others, not one in front of a number."""
    if part.tag != "mo" or (part.text or "") not in _BEFORE:
        return False
    return before.tag != "mo" or (before.text or "") in _CLOSING


# --- scripts in rows ----------------------------------------------------------------------------


def _in_rows(element: Element, room: float) -> Element:
    """An element whose script stands in several rows, if it is too wide for one."""
    base, script = element
    if _width(script) <= room:
        return element
    table = Element("mtable")
    for row in _rows(script, room):
        cell = ElementTree.SubElement(ElementTree.SubElement(table, "mtr"), "mtd")
        cell.extend(row)
    made = Element(element.tag)
    made.extend([base, table])
    return made


def _rows(script: Element, room: float) -> Iterator[list[Element]]:
    """The positions in a script, as many in a row as fit; a long one has rows for itself."""
    row: list[Element] = []
    for position in _positions(script):
        if row and sum(map(_width, [*row, *position])) > room:
            yield row
            row = []
        if sum(map(_width, position)) > room:
            first, *others = _filled(_split(_parts(position, room), room), room)
            yield first
            yield from ([_made("mspace", width="0.8em"), *other] for other in others)
        else:
            row = [*row, *position]
    if row:
        yield row


def _positions(script: Element) -> Iterator[list[Element]]:
    """The positions, each with its comma."""
    position: list[Element] = []
    for part in _in_row(script):
        position.append(part)
        if part.tag == "mo" and part.text == ",":
            yield position
            position = []
    yield position


def _in_row(part: Element) -> Iterator[Element]:
    yield from part if part.tag == "mrow" else [part]


def _filled(parts: Iterable[list[Element]], room: float) -> Iterator[list[Element]]:
    """As many parts in a row as there is room for, and at least one."""
    row: list[Element] = []
    for part in parts:
        if row and sum(map(_width, [*row, *part])) > room:
            yield row
            row = []
        row = [*row, *part]
    if row:
        yield row


# --- how wide things are, about -----------------------------------------------------------------


def _width(element: Element) -> float:
    """In ems of the element itself."""
    if element.tag in _LETTERS:
        return 0.64 * len(element.text or "")
    if element.tag == "mo":
        return _width_of_operator(element.text or "")
    if element.tag == "mspace":
        return float(element.get("width", "0").removesuffix("em"))
    composed: Callable[[list[float]], float] = _COMPOSED.get(element.tag, sum)
    return composed([_width(child) for child in element])


def _under(widths: list[float]) -> float:
    base, *scripts = widths
    return max(2.2 * base, *(_SMALLER * one for one in scripts)) + 0.2


def _beside(widths: list[float]) -> float:
    base, *scripts = widths
    return base + _SMALLER * max(scripts) + 0.1


_SIGNS = {",": 0.5, "/": 0.85, "′": 0.3}
_LETTERS = ("mi", "mn", "mtext")
_COMPOSED: dict[str, Callable[[list[float]], float]] = {
    "mfrac": lambda widths: max(widths) + 0.2,
    "mtable": lambda widths: max(widths, default=0.0),
    **dict.fromkeys(("munder", "mover", "munderover"), _under),
    **dict.fromkeys(("msub", "msup", "msubsup"), _beside),
}


def _width_of_operator(sign: str) -> float:
    if sign in _INVISIBLE:
        return 0.0
    return _SIGNS.get(sign, 1.25 if sign in _BEFORE else 0.64 * len(sign))
