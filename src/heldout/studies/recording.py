"""What a study leaves: tables, findings, claims, figure and page, with provenance and the digest of every file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from heldout.errors import InputError, Problem
from heldout.evidence import Claim, Provenance
from heldout.evidence.canonical import canonical_json, write_durably
from heldout.evidence.study_record import StudyRecord, seal_study
from heldout.studies.drawing.canvas import Drawing, standalone

REPORT = "report.html"


def refuse_foreign_folder(called: str, out: str | os.PathLike[str], name: str) -> None:
    """Raises InputError for a folder with files that no study of that name left: the manifest would vouch for them. A study
    that was interrupted leaves folders alone."""
    folder = Path(out)
    if not folder.exists() or (folder.is_dir() and (folder / f"{name}.json").is_file()):
        return
    files = [folder] if folder.is_file() else sorted(path for path in folder.iterdir() if path.is_file())
    if files:
        found = f"{folder}, which holds {files[0].name}"
        problem = Problem(found, f"a new folder, or one in which `heldout study {name}` was run", "name another folder")
        raise InputError(called, problem)


def write_study(
    out: Path,
    *,
    name: str,
    title: str,
    provenance: Provenance,
    claims: Iterable[Claim],
    tables: Mapping[str, pa.Table],
    summary: Mapping[str, Any],
    drawings: Sequence[Drawing],
    page: str,
) -> StudyRecord:
    """Writes NAME.json (`summary`, whose `schema` is heldout.NAME/1), NAME.svg (`drawings` below one another), a Parquet
    file a table, report.html (`page`), claims.json, provenance.json, and the manifest over all that `out` holds.

    Files of an earlier study in `out` are written anew; others stay, and are digested too.
    """
    for table, content in tables.items():
        write_table(out / f"{table}.parquet", content)
    write_durably(out / f"{name}.json", canonical_json({"schema": f"heldout.{name}/1", **summary}, indent=1))
    write_durably(out / f"{name}.svg", standalone(title, drawings).encode())
    write_durably(out / REPORT, page.encode())
    return seal_study(out, claims, provenance)


def table_of(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema)


def write_table(path: Path, table: pa.Table) -> None:
    """Writes a whole file or none."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_durably(path, sink.getvalue().to_pybytes())
