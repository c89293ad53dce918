"""What the study writes: tables, claims, JSON, figure and page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from heldout.evidence import Provenance
from heldout.execution.result import Result
from heldout.studies.compare.alignment import json_of
from heldout.studies.compare.claims import claims_of
from heldout.studies.compare.decoding import PERMUTED, UNTRAINED, WORDS, Held
from heldout.studies.compare.drawing import TITLE, drawings
from heldout.studies.compare.findings import ModelComparison
from heldout.studies.compare.page import report_page
from heldout.studies.recording import table_of, write_study

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


def write_comparison(study: ModelComparison, out: Path, provenance: Provenance) -> None:
    plates = drawings(study)
    write_study(
        out,
        name="compare",
        title=TITLE,
        provenance=provenance,
        claims=claims_of(study),
        tables={
            "cells": table_of(map(json_of, study.cells), CELLS),
            "measures": table_of(map(measure_row, (*study.measures, *study.geometries)), MEASURES),
            "concepts": table_of(map(concept_row, study.held), CONCEPTS),
        },
        summary=study.to_json(),
        drawings=plates,
        page=report_page(study, plates),
    )


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
