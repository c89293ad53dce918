"""The tables of the study as Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from heldout.evidence.canonical import write_durably
from heldout.execution.result import Result
from heldout.studies.compare.alignment import json_of
from heldout.studies.compare.decoding import PERMUTED, UNTRAINED, WORDS, Held
from heldout.studies.compare.findings import ModelComparison

TEXT, NUMBER, COUNT, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()

CELLS = pa.schema(
    {
        "model": TEXT, "site": TEXT, "other": TEXT, "other_site": TEXT, "debiased": NUMBER, "p_value": NUMBER,
        "without_first_component": NUMBER, "without_outliers": NUMBER, "biased": NUMBER, "biased_chance": NUMBER,
        "biased_without_outliers": NUMBER,
        "outliers": pa.list_(COUNT), "flags": pa.list_(TEXT),
    }
)  # fmt: skip
MEASURES = pa.schema(
    {
        "model": TEXT, "site": TEXT, "other": TEXT, "other_site": TEXT, "concept": TEXT, "measure": TEXT, "unit": TEXT,
        "value": NUMBER, "low": NUMBER, "high": NUMBER, "n": COUNT, "permuted_mean": NUMBER, "permuted_closest": NUMBER,
        "p_value": NUMBER, "untrained": NUMBER, "without_first_component": NUMBER, "without_outliers": NUMBER,
        "flags": pa.list_(TEXT),
    }
)  # fmt: skip
CONCEPTS = pa.schema(
    {
        "model": TEXT, "concept": TEXT, "values": COUNT, "site": TEXT, "accuracy": NUMBER, "low": NUMBER, "high": NUMBER,
        "n": COUNT, "permuted": NUMBER, "untrained": NUMBER, "words": NUMBER, "p_value": NUMBER, "held": FLAG,
    }
)  # fmt: skip


def write_tables(study: ModelComparison, out: Path) -> None:
    write_table(out / "cells.parquet", map(json_of, study.cells), CELLS)
    write_table(out / "measures.parquet", map(measure_row, (*study.measures, *study.geometries)), MEASURES)
    write_table(out / "concepts.parquet", map(concept_row, study.held), CONCEPTS)


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Writes a whole file or none."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink, compression="zstd")
    write_durably(path, sink.getvalue().to_pybytes())


def measure_row(result: Result) -> dict[str, Any]:
    low, high = result.interval or (None, None)
    permuted = next((null for null in result.nulls if null.name.startswith("permuted")), None)
    untrained = result.null(UNTRAINED)
    return {
        **result.settings,
        "site": result.site,
        "measure": result.quantity,
        "unit": result.unit,
        "value": result.effect,
        "low": low,
        "high": high,
        "n": result.n,
        "permuted_mean": permuted and permuted.mean,
        "permuted_closest": permuted and permuted.maximum,
        "p_value": permuted and permuted.p_value,
        "untrained": untrained and untrained.mean,
    }


def concept_row(held: Held) -> dict[str, Any]:
    nulls = {null.name: null.mean for null in held.nulls}
    low, high = held.interval
    row = {name: value for name, value in json_of(held).items() if name not in ("nulls", "interval")}
    return {
        **row,
        "low": low,
        "high": high,
        "permuted": nulls[PERMUTED],
        "untrained": nulls[UNTRAINED],
        "words": nulls[WORDS],
    }
