"""What MathML Core allows: elements, how many children they take, attributes, where text is.

Source: the W3C's "MathML Core", sections 2 and 3.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
TOKENS = {"mi", "mn", "mo", "mtext", "ms", "mspace"}
# How many children an element takes; None: any number.
CHILDREN: dict[str, int | None] = {
    "math": None, "mrow": None, "mstyle": None, "mpadded": None, "mphantom": None, "merror": None,
    "mfrac": 2, "mroot": 2, "msqrt": None, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2,
    "mover": 2, "munderover": 3, "mmultiscripts": None, "mtable": None, "mtr": None, "mtd": None,
}  # fmt: skip
# Which elements a child may stand in, and which children an element may have.
PARENTS = {"mtr": {"mtable"}, "mtd": {"mtr"}, "math": {""}}
ONLY = {"mtable": {"mtr"}, "mtr": {"mtd"}}

_YES_OR_NO = "true|false"
_LENGTH = r"0|-?\d*\.?\d+(em|ex|px|pt|rem|ch|%)"
_ANYWHERE = {
    "class": ".+", "id": r"\S+", "style": "[^<>]+", "dir": "ltr|rtl",
    "displaystyle": _YES_OR_NO, "scriptlevel": r"[+-]?\d+", "mathcolor": ".+", "mathsize": _LENGTH,
}  # fmt: skip
ATTRIBUTES = {
    "math": {"display": "block|inline", "alttext": ".+"},
    "mo": {
        **dict.fromkeys(["separator", "fence", "stretchy", "largeop", "symmetric"], _YES_OR_NO),
        **dict.fromkeys(["lspace", "rspace", "minsize", "maxsize"], _LENGTH),
        "movablelimits": _YES_OR_NO, "form": "prefix|infix|postfix",
    },
    "mspace": dict.fromkeys(["width", "height", "depth"], _LENGTH),
    "mpadded": dict.fromkeys(["width", "height", "depth", "lspace", "voffset"], _LENGTH),
    "mi": {"mathvariant": "normal"},
    "mfrac": {"linethickness": _LENGTH},
    "mover": {"accent": _YES_OR_NO},
    "munder": {"accentunder": _YES_OR_NO},
    "munderover": {"accent": _YES_OR_NO, "accentunder": _YES_OR_NO},
    "mtd": {"columnspan": r"\d+", "rowspan": r"\d+"},
}  # fmt: skip


def assert_core(mathml: str) -> None:
    """Check that this is one ``math`` element that only uses MathML Core."""
    root = ElementTree.fromstring(mathml)
    assert root.tag == f"{NAMESPACE}math"
    _assert_core(root, "")


def _assert_core(element: ElementTree.Element, parent: str) -> None:
    assert element.tag.startswith(NAMESPACE), f"{element.tag} is no MathML"
    name = element.tag.removeprefix(NAMESPACE)
    assert name in TOKENS or name in CHILDREN, f"{name} is not in MathML Core"
    assert parent in PARENTS.get(name, {parent}), f"{name} inside {parent}"
    assert name in ONLY.get(parent, {name}), f"{name} inside {parent}"
    _assert_attributes(name, element.attrib)
    assert not (element.tail or "").strip(), f"text between elements: {element.tail!r}"
    if name in TOKENS:
        _assert_token(name, element)
        return
    assert not (element.text or "").strip(), f"text inside {name}: {element.text!r}"
    wanted = CHILDREN[name]
    assert wanted in (None, len(element)), f"{name} has {len(element)} children"
    for child in element:
        _assert_core(child, name)


def _assert_attributes(name: str, given: dict[str, str]) -> None:
    allowed = _ANYWHERE | ATTRIBUTES.get(name, {})
    for attribute, value in given.items():
        assert attribute in allowed or attribute.startswith("data-"), f"{name} has {attribute}"
        pattern = allowed.get(attribute, ".*")
        assert re.fullmatch(pattern, value), f"{name} has {attribute}={value!r}"


def _assert_token(name: str, element: ElementTree.Element) -> None:
    assert not len(element), f"elements inside {name}"
    assert bool(element.text) == (name != "mspace"), f"{name} holds {element.text!r}"
    if name == "mn":
        assert re.fullmatch(r"[\d.,]*\d", element.text or ""), f"{element.text!r} is no number"
