"""One way of writing JSON, so that equal contents have equal bytes and therefore equal digests.

Keys are sorted, text is UTF-8, numbers that JSON cannot hold are written as `{"$float": "nan"}`, and a file ends in
a newline.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from heldout.errors import Problems

FLOAT_TAG = "$float"


def plain(value: object, called: str = "plain(value)") -> Any:
    """`value` as what JSON can hold: tuples become lists, numpy scalars numbers.

    Raises InputError that names each unusable place.
    """
    problems = Problems(called)
    result = _plain(value, "value", problems)
    problems.raise_if_any()
    return result


def restored(value: Any) -> Any:
    """The inverse of `plain`, but for tuples, which stay lists."""
    if isinstance(value, list):
        return [restored(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        if set(mapping) == {FLOAT_TAG}:
            return float(mapping[FLOAT_TAG])
        return {key: restored(item) for key, item in mapping.items()}
    return value


def canonical_json(value: object, *, indent: int | None = None) -> bytes:
    """The canonical bytes of `value`: one line without `indent`, for reading with it."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(
        plain(value), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators
    )
    return text.encode() + b"\n"


def read_json(path: Path) -> Any:
    return restored(json.loads(path.read_bytes()))


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def write_durably(path: Path, data: bytes) -> None:
    """Writes a whole file or none: to a sibling first, flushed to the disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sibling = path.with_name(f".{path.name}.writing")
    with sibling.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sibling.rename(path)


def flush_folder(folder: Path, *, contents: bool = True) -> None:
    """Flushes a folder, and everything in it, to the disk; without `contents` its list of names alone."""
    for path in [*(folder.rglob("*") if contents else ()), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _plain(value: object, where: str, problems: Problems) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item(), where, problems)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {FLOAT_TAG: str(value)}
    if isinstance(value, list | tuple):
        items = cast("list[object] | tuple[object, ...]", value)
        return [_plain(item, f"{where}[{index}]", problems) for index, item in enumerate(items)]
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        for key in mapping:
            if not isinstance(key, str):
                problems.add(f"{where} has the key {key!r}", "keys that are text", "turn the key into text")
        return {str(key): _plain(item, f"{where}[{str(key)!r}]", problems) for key, item in mapping.items()}
    problems.add(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}",
        "None, bool, int, float, str, and lists and mappings of these",
        "turn it into plain values first (for a tensor: `.tolist()`)",
    )
    return None
