"""The wire format of protocol buffers: fields with numbers, one behind the other.

Source: the encoding that protobuf.dev documents, for messages of version 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from contractconv.weights.formats.damage import damaged

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: which one.
        kind: how it is written.
        begin: where its content begins, in the whole file.
        end: where that ends.
        value: the number, if it is written as one of variable length.
    """

    number: int
    kind: int
    begin: int
    end: int
    value: int = 0


def fields(data: bytes, begin: int, end: int) -> Iterator[Field]:
    """Go through the fields of a message.

    Args:
        data: the file.
        begin: where the message begins.
        end: where it ends.

    Raises:
        WeightsError: the bytes are no message; the error says where.
    """
    at = begin
    while at < end:
        key, start = varint(data, at, end)
        number, kind = key >> 3, key & 7
        if not number:
            raise damaged(at, "a field has the number 0")
        field = _field(data, number, kind, start, end)
        yield field
        at = field.end


def _field(data: bytes, number: int, kind: int, at: int, end: int) -> Field:
    if kind == VARINT:
        value, stop = varint(data, at, end)
        return Field(number, kind, at, stop, value)
    if kind == BYTES:
        size, start = varint(data, at, end)
    elif kind in _FIXED:
        size, start = _FIXED[kind], at
    else:
        raise damaged(at, f"there is no field of type {kind}")
    if start + size > end:
        raise damaged(at, f"{size} bytes are announced, and {end - start} are there")
    return Field(number, kind, start, start + size)


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a number of variable length; return it, and where it ends."""
    value = 0
    for n, byte in enumerate(data[at : min(end, at + _LONGEST_VARINT)]):
        value |= (byte & 0x7F) << (7 * n)
        if byte < 0x80:
            return value, at + n + 1
    raise damaged(at, "a number does not end")


def varints(data: bytes, field: Field) -> Iterator[int]:
    """The numbers of a repeated field, whether they are packed or not."""
    if field.kind == VARINT:
        yield field.value
        return
    check(field, BYTES)
    at = field.begin
    while at < field.end:
        value, at = varint(data, at, field.end)
        yield value


def check(field: Field, *kinds: int) -> None:
    """Refuse a field that is written in a way in which it cannot be."""
    if field.kind not in kinds:
        raise damaged(field.begin, f"field {field.number} has type {field.kind}")


def text(data: bytes, field: Field) -> str:
    """A field that is text."""
    check(field, BYTES)
    try:
        return data[field.begin : field.end].decode()
    except UnicodeDecodeError:
        raise damaged(field.begin, f"field {field.number} is no text") from None
