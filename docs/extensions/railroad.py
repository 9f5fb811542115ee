"""Railroad diagrams: a grammar's rules as tracks. Whatever way through is a string of the rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contractconv.display.svg import element, escaped, number
from extensions.grammar import Choice, Grammar, Literal, Many, Maybe, Name, Node, Row

_LETTER = 8.5  # the width of one, at 14 px
_BOX = 28.0  # a token's height
_GAP = 12.0  # between tracks, and between parts of a row
_BEND = 10.0  # the radius of a curve


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a diagram: its size around its track, which enters and leaves at height zero.

    Attributes:
        width: from where the track enters to where it leaves.
        above: how far it reaches over the track.
        below: how far under it.
        drawn: its SVG, with the track's beginning at the origin.
    """

    width: float
    above: float
    below: float
    drawn: str


def diagrams(grammar: Grammar) -> dict[str, str]:
    """Draw each rule of a grammar."""
    return {name: _whole(_piece(rule, grammar), name) for name, rule in grammar.rules.items()}


def _whole(piece: Piece, name: str) -> str:
    margin, end = 4.0, 16.0
    width, height = piece.width + 2 * (margin + end), piece.above + piece.below + 2 * margin
    y = margin + piece.above
    stops = "".join(
        element("circle", {"class": "stop", "cx": x, "cy": y, "r": 4.0})
        for x in (margin + 4, width - margin - 4)
    )
    track = _path(f"M{number(margin + 8)} {number(y)}h{number(end - 8)}") + _path(
        f"M{number(width - margin - end)} {number(y)}h{number(end - 8)}"
    )
    box = f"0 0 {number(width)} {number(height)}"
    attributes = {
        "class": "tracks",
        "role": "img",
        "viewBox": box,
        "width": width,
        "height": height,
    }
    title = element("title", {}, f"The rule {escaped(name)}")
    return element("svg", attributes, title + stops + track + _at(piece, margin + end, y))


def _piece(node: Node, grammar: Grammar) -> Piece:
    match node:
        case Literal(text):
            return _token(text, "literal")
        case Name(text):
            return _token(text, "rule" if text in grammar.rules else "kind")
        case Row(parts):
            return _row([_loop_or_piece(part, grammar) for part in _gathered(parts)])
        case Choice(options):
            return _choice([_piece(option, grammar) for option in options])
        case Maybe(part):
            return _choice([_track(0), _piece(part, grammar)])
        case Many(part):
            return _choice([_track(0), _loop(_piece(part, grammar), _track(0))])


@dataclass(frozen=True, slots=True)
class _Repeated:
    """``a { between a }``: one or more, with something between them."""

    part: Node
    between: Node | None


def _gathered(parts: Sequence[Node]) -> list[Node | _Repeated]:
    found: list[Node | _Repeated] = []
    for part in parts:
        match part:
            case Many(Row((between, again))) if found and again == found[-1]:
                found[-1] = _Repeated(again, between)
            case Many(again) if found and again == found[-1]:
                found[-1] = _Repeated(again, None)
            case _:
                found.append(part)
    return found


def _loop_or_piece(part: Node | _Repeated, grammar: Grammar) -> Piece:
    if not isinstance(part, _Repeated):
        return _piece(part, grammar)
    back = _track(0) if part.between is None else _piece(part.between, grammar)
    return _loop(_piece(part.part, grammar), back)


# -- pieces -------------------------------------------------------------------------------------


def _track(width: float) -> Piece:
    return Piece(width, 0, 0, _path(f"M0 0h{number(width)}") if width else "")


def _token(text: str, kind: str) -> Piece:
    width = max(len(text) * _LETTER + 20, _BOX)
    rounded = {"literal": _BOX / 2, "kind": _BOX / 2, "rule": 3.0}[kind]
    box = element("rect", {"x": 0.0, "y": -_BOX / 2, "width": width, "height": _BOX, "rx": rounded})
    said = element("text", {"x": width / 2, "y": 5.0}, escaped(text))
    inside = f'<a href="#grammar-{text}">{box}{said}</a>' if kind == "rule" else box + said
    return Piece(width, _BOX / 2, _BOX / 2, element("g", {"class": kind}, inside))


def _row(pieces: Sequence[Piece]) -> Piece:
    drawn, x = "", 0.0
    for n, piece in enumerate(pieces):
        if n:
            drawn += _path(f"M{number(x)} 0h{number(_GAP)}")
            x += _GAP
        drawn += _at(piece, x, 0)
        x += piece.width
    return Piece(x, max(p.above for p in pieces), max(p.below for p in pieces), drawn)


def _choice(pieces: Sequence[Piece]) -> Piece:
    """The first one straight on, the others below."""
    inner = max(piece.width for piece in pieces)
    width = inner + 4 * _BEND
    drawn, below = "", 0.0
    for n, piece in enumerate(pieces):
        left = 2 * _BEND + (inner - piece.width) / 2
        right = left + piece.width
        if not n:
            drawn += _path(f"M0 0H{number(left)}M{number(right)} 0H{number(width)}") + _at(
                piece, left, 0
            )
            below = piece.below
            continue
        y = max(below + _GAP + piece.above, 2 * _BEND)
        drawn += _path(_down(0, y, left)) + _path(_up(right, y, width)) + _at(piece, left, y)
        below = y + piece.below
    return Piece(width, pieces[0].above, below, drawn)


def _down(x: float, y: float, to: float) -> str:
    b = number(_BEND)
    return f"M{number(x)} 0q{b} 0 {b} {b}V{number(y - _BEND)}q0 {b} {b} {b}H{number(to)}"


def _up(x: float, y: float, to: float) -> str:
    b = number(_BEND)
    return f"M{number(x)} {number(y)}H{number(to - 2 * _BEND)}q{b} 0 {b} -{b}V{b}q0 -{b} {b} -{b}"


def _loop(piece: Piece, back: Piece) -> Piece:
    """The way back runs below."""
    inner = max(piece.width, back.width)
    width = inner + 2 * _BEND
    left, y = _BEND + (inner - piece.width) / 2, max(piece.below + _GAP + back.above, 2 * _BEND)
    middle = _BEND + (inner - back.width) / 2
    b, h = number(_BEND), number(y - 2 * _BEND)
    straight = f"M0 0H{number(left)}M{number(left + piece.width)} 0H{number(width)}"
    home = (
        f"M{number(width - _BEND)} 0q{b} 0 {b} {b}v{h}q0 {b} -{b} {b}H{number(middle + back.width)}"
        f"M{number(middle)} {number(y)}H{b}q-{b} 0 -{b} -{b}v-{h}q0 -{b} {b} -{b}"
    )
    drawn = _path(straight) + _path(home) + _at(piece, left, 0) + _at(back, middle, y)
    return Piece(width, piece.above, y + max(back.below, 2), drawn)


def _at(piece: Piece, x: float, y: float) -> str:
    if not piece.drawn:
        return ""
    return element("g", {"transform": f"translate({number(x)} {number(y)})"}, piece.drawn)


def _path(d: str) -> str:
    return element("path", {"d": d})
