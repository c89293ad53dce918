"""Finished stages of a run that is still under way, kept on disk so that a killed run can go on.

A stage's value is kept as one JSON file, with arrays and tables beside it. It is written into a folder of its own
that is renamed when it is complete: a stage is kept whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from heldout.evidence.canonical import canonical_json, flush_folder, restored, sha256, write_durably
from heldout.evidence.claims import Claim
from heldout.execution.result import Result

LONGEST = 150


def file_name(name: str) -> str:
    """`name` as a file name that cannot leave its folder; distinct names stay distinct."""
    quoted = quote(name, safe=" ,=+@()")
    quoted = f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted
    return quoted if len(quoted) <= LONGEST else f"{quoted[:LONGEST]}~{sha256(name.encode())[7:23]}"


class StageStore:
    """The stages of one run: `begin` gives a folder to write into, `complete` keeps it, `load` reads it back. Final."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def finished(self, name: str) -> bool:
        return (self._kept(name) / "value.json").is_file()

    def finished_folders(self) -> list[Path]:
        """Folders of the finished stages, in the order in which they were finished."""
        kept = [path.parent for path in self.folder.glob("*/order.json") if not path.parent.name.startswith(".")]
        return sorted(kept, key=lambda folder: json.loads((folder / "order.json").read_bytes()))

    def begin(self, name: str) -> Path:
        folder = self.folder / f".{file_name(name)}.writing"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def complete(self, name: str, value: object) -> Any:
        """Keeps `value` and what was written into the stage's folder; returns the value as it will be read back."""
        folder = self.folder / f".{file_name(name)}.writing"
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        encoded = _encode(value, folder, arrays)
        if arrays:
            save_file(arrays, folder / "arrays.safetensors")
        write_durably(folder / "order.json", canonical_json(len(self.finished_folders())))
        write_durably(folder / "value.json", canonical_json(encoded))
        flush_folder(folder)
        folder.rename(self._kept(name))
        flush_folder(self.folder)
        return self.load(name)

    def load(self, name: str) -> Any:
        folder = self._kept(name)
        path = folder / "arrays.safetensors"
        arrays = load_file(path) if path.is_file() else {}
        return _decode(json.loads((folder / "value.json").read_bytes()), folder, arrays)

    def _kept(self, name: str) -> Path:
        return self.folder / file_name(name)


def _encode(value: object, folder: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, Result):
        return {"$result": value.to_json()}
    if isinstance(value, Claim):
        return {"$claim": value.to_json()}
    if isinstance(value, np.ndarray):
        arrays[str(len(arrays))] = np.ascontiguousarray(value)
        return {"$array": str(len(arrays) - 1)}
    if isinstance(value, pa.Table):
        name = f"table-{len(list(folder.glob('table-*.parquet')))}.parquet"
        pq.write_table(value, folder / name, compression="zstd")
        return {"$table": name}
    if isinstance(value, list | tuple):
        return [_encode(item, folder, arrays) for item in cast("list[object]", value)]
    if isinstance(value, Mapping):
        return {key: _encode(item, folder, arrays) for key, item in cast("Mapping[str, object]", value).items()}
    return value


def _decode(value: Any, folder: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, list):
        return [_decode(item, folder, arrays) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    mapping = cast("dict[str, Any]", value)
    match list(mapping.items()):
        case [("$result", data)]:
            return Result.from_json(restored(data))
        case [("$claim", data)]:
            return Claim.from_json(data)
        case [("$array", name)]:
            return arrays[name]
        case [("$table", name)]:
            return pq.read_table(folder / name)
        case [("$float", _)]:
            return restored(mapping)
        case items:
            return {key: _decode(item, folder, arrays) for key, item in items}
