"""Lines that are not too long, broken as formatters break them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from contractconv.display.source_code.text import BRACKETS, operators, outside

LINE = 100


def wrapped(line: str) -> list[str]:
    """Break a line that is too long as formatters do: inside a call, or at its operators."""
    if len(line) <= LINE:
        return [line]
    if line.endswith(":"):
        head, _, rest = line.partition("(")
        return _broken(f"{head}(", rest[:-2], "):")
    indent = " " * (len(line) - len(line.lstrip()))
    separator = next((s for s in ("return ", "raise ") if line.lstrip().startswith(s)), " = ")
    target, separator, value = line.partition(separator)
    if not value:  # nothing but a call
        target, separator, value = indent, "", line.strip()
    if operators(value) and separator != "raise ":
        rows = [f"{indent}    {value}"]
        if len(rows[0]) > LINE:
            rows = [f"{indent}    {row}" for row in _at_operators(value)]
        return [f"{target}{separator}(", *rows, f"{indent})"]
    if not _is_call(value):
        return [line]
    head, opening, rest = value.partition("(")
    return _broken(f"{target}{separator}{head}{opening}", rest[:-1], ")")


def _is_call(value: str) -> bool:
    """Whether it is one call and nothing behind it."""
    depth, ends = 0, []
    for place, sign in enumerate(value):
        depth += BRACKETS.get(sign, 0)
        if sign in ")]" and not depth:
            ends.append(place)
    return ends == [len(value) - 1] and value.endswith(")")


def _broken(before: str, inside: str, after: str) -> list[str]:
    """The items between brackets on a line of their own, or each on one."""
    indent = " " * (len(before) - len(before.lstrip()))
    rows = [f"{indent}    {inside}"]
    if len(rows[0]) > LINE:
        rows = [f"{indent}    {item}," for item in _items(inside)]
    return [before, *rows, indent + after]


def _at_operators(text: str) -> list[str]:
    wanted = operators(text)
    rows, start = [], 0
    for n, width in outside(text):
        if text[n : n + width] in wanted:
            rows.append(text[start:n])
            start = n + 1
    return [*rows, text[start:]]


def _items(text: str) -> list[str]:
    """Split at the commas that stand in no bracket and no string."""
    items, depth, quoted = [""], 0, False
    for sign in text:
        quoted ^= sign == '"'
        depth += 0 if quoted else BRACKETS.get(sign, 0)
        if sign == "," and not depth and not quoted:
            items.append("")
        else:
            items[-1] += sign
    return [item.strip() for item in items]


def docstring(parts: Sequence[str], indent: str) -> list[str]:
    """A docstring: one line if it fits; else a paragraph for each part."""
    line = f'{indent}"""{" ".join(parts)}"""'
    if len(line) <= LINE:
        return [line]
    rows = [row for part in parts for row in ("", *_filled(part, LINE - len(indent) - 3))]
    return [
        f'{indent}"""{rows[1]}',
        *(f"{indent}{row}".rstrip() for row in rows[2:]),
        f'{indent}"""',
    ]


def _filled(text: str, width: int) -> list[str]:
    """A text in lines, broken before an arrow rather than elsewhere."""
    pieces = [text] if len(text) <= width else text.replace(" -> ", "\n-> ").split("\n")
    return [row for piece in pieces for row in textwrap.wrap(piece, width)]
