"""What the study writes: tables, JSON, figure and page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from heldout.evidence import Provenance
from heldout.studies.grokking.claims import claims_of
from heldout.studies.grokking.drawing import TITLE, drawings
from heldout.studies.grokking.findings import GrokkingStudy
from heldout.studies.grokking.measures import FrequencyMeasures, ProgressMeasures
from heldout.studies.grokking.page import report_page
from heldout.studies.recording import table_of, write_study

TEXT, NUMBER, COUNT = pa.string(), pa.float64(), pa.int64()
PLACE = {"run": TEXT, "seed": COUNT, "step": COUNT, "digest": TEXT}
COUNTS = {"neurons", "single_frequency_neurons", "frequency"}
APART = {"frequencies", "order_losses"}
"""Fields that are no columns of their own."""


def _columns(kind: type) -> dict[str, Any]:
    return {field.name: COUNT if field.name in COUNTS else NUMBER for field in fields(kind) if field.name not in APART}


ORDERS = {f"order_{order}_loss": NUMBER for order in range(3)}
MEASURES = pa.schema({**PLACE, **_columns(ProgressMeasures), **ORDERS})
FREQUENCIES = pa.schema({**PLACE, **_columns(FrequencyMeasures), "key": pa.bool_()})
PHASES = pa.schema({"run": TEXT, "seed": COUNT, "phase": TEXT, "start": COUNT, "end": COUNT})


def write_grokking(study: GrokkingStudy, out: Path, provenance: Provenance) -> None:
    claims, plates = claims_of(study), drawings(study)
    write_study(
        out,
        name="grokking",
        title=TITLE,
        provenance=provenance,
        claims=claims,
        tables={
            "measures": table_of(_measure_rows(study), MEASURES),
            "frequencies": table_of(_frequency_rows(study), FREQUENCIES),
            "phases": table_of(_phase_rows(study), PHASES),
        },
        summary=study.to_json(),
        drawings=plates,
        page=report_page(study, plates),
    )


def _places(study: GrokkingStudy) -> Iterator[tuple[dict[str, Any], tuple[int, ...], ProgressMeasures]]:
    for run in study.runs:
        for checkpoint in run.checkpoints:
            place = {"run": run.name, "seed": run.task.seed, "step": checkpoint.step, "digest": checkpoint.digest}
            yield place, run.keys, checkpoint.measures


def _measure_rows(study: GrokkingStudy) -> Iterator[dict[str, Any]]:
    for place, _, measures in _places(study):
        row = {name: value for name, value in vars(measures).items() if name not in APART}
        yield {**place, **row, **dict(zip(ORDERS, measures.order_losses, strict=True))}


def _frequency_rows(study: GrokkingStudy) -> Iterator[dict[str, Any]]:
    for place, keys, measures in _places(study):
        for each in measures.frequencies:
            yield {**place, **asdict(each), "key": each.frequency in keys}


def _phase_rows(study: GrokkingStudy) -> Iterator[dict[str, Any]]:
    for run in study.runs:
        for span in run.phases:
            yield {"run": run.name, "seed": run.task.seed, **asdict(span)}
