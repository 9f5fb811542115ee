"""The format of checkpoints: what is written, and what is refused.

A checkpoint is a file of safetensors, which many libraries read. Its metadata say that it is one,
what else there is to know, as JSON, and the SHA-256 of the file, worked out while zeros stand in
its place. So nothing that is read can do anything, and no damage goes unnoticed; the digest proves
no more than that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

from contractconv.errors import CheckpointError
from contractconv.training.array_paths import packed, unpacked

FORMAT, VERSION = "contractconv checkpoint", 1

_BLANK = "0" * 64
# What readers of safetensors take at most.
_LONGEST_HEADER = 100_000_000
_ARCHIVES = (b"PK\3\4", *(bytes([0x80, protocol]) for protocol in range(2, 6)))


def as_bytes(arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> bytearray:
    """What is written of arrays and facts.

    Raises:
        CheckpointError: a name is unclear, or something is no array or no JSON.
    """
    return _sealed(_serialized(arrays, facts))


def from_bytes(content: bytes, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arrays and facts of a file of some name.

    Raises:
        CheckpointError: it is no checkpoint, damaged, or of a newer version.
    """
    metadata = _metadata(name, content)
    _check_version(name, metadata)
    if _digest(content, metadata) != metadata.get("sha256"):
        _refuse_damaged(name)
    try:
        arrays = unpacked(safetensors().load(content), json.loads(metadata["layout"]))
        return arrays, dict(json.loads(metadata["facts"]))
    # The digest fits, so somebody has written this on purpose.
    except Exception as error:
        raise CheckpointError(f"{name} is no checkpoint of this library: {error!r}") from error


def safetensors() -> Any:
    """The package that reads and writes such files.

    Raises:
        CheckpointError: it is not there.
    """
    try:
        return import_module("safetensors.numpy")
    except ImportError as error:
        raise CheckpointError(
            'checkpoints need the package safetensors: pip install "contractconv[training]"'
        ) from error


def _serialized(arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> bytearray:
    try:
        stored, layout = packed(arrays)
        metadata = {
            "format": FORMAT,
            "version": str(VERSION),
            "facts": _as_json(dict(facts)),
            "layout": json.dumps(layout),
            "sha256": _BLANK,
        }
        content = bytearray(safetensors().save(stored, metadata))
    except (RecursionError, UnicodeEncodeError) as error:
        raise CheckpointError(f"names and facts cannot be written: {error}") from error
    if _header_size(content) > _LONGEST_HEADER:
        raise CheckpointError(
            f"facts and names take {_header_size(content):,} bytes, and {_LONGEST_HEADER:,} are "
            "the most: make arrays of what is long"
        )
    return content


def _as_json(facts: dict[str, Any]) -> str:
    _check_facts(facts, "facts")
    try:
        return json.dumps(facts)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"the facts are no JSON: {error}") from error


def _check_facts(value: Any, where: str) -> None:
    """See that what is read will be what was written."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise CheckpointError(f"{where} has the name {name!r}: in JSON names are strings")
            _check_facts(inner, f"{where}[{name!r}]")
    elif isinstance(value, list | tuple):
        for n, inner in enumerate(value):
            _check_facts(inner, f"{where}[{n}]")
    elif not isinstance(value, str | int | float | None):
        kind = type(value).__name__
        raise CheckpointError(f"{where} is {kind}, which is no JSON: arrays belong to the arrays")


def _sealed(content: bytearray) -> bytearray:
    digest = hashlib.sha256(content).hexdigest()
    begin, end = _seal(content, _BLANK)
    content[begin:end] = digest.encode()
    return content


def _digest(content: bytes, metadata: Mapping[str, Any]) -> str:
    begin, end = _seal(content, str(metadata.get("sha256")))
    whole = hashlib.sha256(content[:begin])
    whole.update(_BLANK.encode())
    whole.update(memoryview(content)[end:])
    return whole.hexdigest()


def _seal(content: bytes | bytearray, digits: str) -> tuple[int, int]:
    """Where the digits of the digest stand. In strings quotes are escaped, so no fact looks so."""
    marked = b'"sha256":"'
    begin = max(0, content.find(marked + digits.encode())) + len(marked)
    return begin, begin + len(digits)


def _header_size(content: bytes | bytearray) -> int:
    return int.from_bytes(content[:8], "little")


def _metadata(name: str, content: bytes) -> dict[str, Any]:
    """The metadata of a checkpoint."""
    size = _header_size(content)
    if size > min(len(content) - 8, _LONGEST_HEADER):
        _refuse_unread(name, content)
    try:
        header = json.loads(content[8 : 8 + size].decode())
        metadata = header.get("__metadata__") or {}
    except (ValueError, RecursionError, AttributeError):
        _refuse_unread(name, content)
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{name} is a file of safetensors, but no checkpoint: read its arrays with "
            "safetensors.numpy.load_file"
        )
    return metadata


def _refuse_unread(name: str, content: bytes) -> NoReturn:
    if content.startswith(_ARCHIVES):
        raise CheckpointError(
            f"{name} is an archive or a pickle, as torch.save writes it, and reading one may run "
            "code: where you trust it, load it there and write its arrays as safetensors"
        )
    if not content:
        raise CheckpointError(f"{name} is empty: take an earlier checkpoint")
    raise CheckpointError(f"{name} is no checkpoint, or a damaged one: take an earlier one")


def _refuse_damaged(name: str) -> NoReturn:
    raise CheckpointError(
        f"{name} is damaged, its SHA-256 is not what was written: take an earlier checkpoint"
    )


def _check_version(name: str, metadata: Mapping[str, Any]) -> None:
    version = str(metadata.get("version"))
    if version == str(VERSION):
        return
    if not re.fullmatch("[1-9][0-9]{0,8}", version):
        _refuse_damaged(name)
    raise CheckpointError(
        f"{name} has format {version}, and this version of the library reads up to {VERSION}: "
        'pip install --upgrade "contractconv[training]"'
    )
