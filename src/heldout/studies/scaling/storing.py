"""What the study writes: tables, claims, JSON, figure and page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from heldout.evidence import Provenance
from heldout.studies.recording import table_of, write_study
from heldout.studies.scaling.claims import claims_of
from heldout.studies.scaling.drawing import TITLE, drawings
from heldout.studies.scaling.findings import ScalingStudy
from heldout.studies.scaling.page import report_page

TEXT, NUMBER, COUNT = pa.string(), pa.float64(), pa.int64()
READINGS = pa.schema(
    {
        "series": TEXT, "model": TEXT, "digest": TEXT, "non_embedding": COUNT, "parameters": COUNT,
        "quantity": TEXT, "unit": TEXT, "value": NUMBER, "null": NUMBER, "refused": pa.list_(TEXT),
    }
)  # fmt: skip
EXPONENTS = pa.schema(
    {
        "quantity": TEXT, "form": TEXT, "exponent": NUMBER, "low": NUMBER, "high": NUMBER, "factor": NUMBER,
        "offset": NUMBER, "p_value": NUMBER, "p_value_alone": NUMBER, "misfit_p_value": NUMBER, "next_size_error": NUMBER,
        "sizes": COUNT, "models": COUNT, "refused": pa.list_(TEXT), "left_out": pa.list_(TEXT),
    }
)  # fmt: skip


def write_scaling(study: ScalingStudy, out: Path, provenance: Provenance) -> None:
    write_study(
        out,
        name="scaling",
        title=TITLE,
        provenance=provenance,
        claims=claims_of(study),
        tables={
            "readings": table_of(_reading_rows(study), READINGS),
            "exponents": table_of(_exponent_rows(study), EXPONENTS),
        },
        summary=study.to_json(),
        drawings=drawings(study),
        page=report_page(study),
    )


def _reading_rows(study: ScalingStudy) -> Iterator[dict[str, Any]]:
    for model in study.models:
        for reading in model.readings:
            yield {
                "series": model.series,
                "model": model.name,
                "digest": model.digest,
                "non_embedding": model.size,
                "parameters": model.parameters,
                "quantity": reading.quantity,
                "unit": reading.unit,
                "value": reading.value,
                "null": reading.null,
                "refused": list(reading.refused),
            }


def _exponent_rows(study: ScalingStudy) -> Iterator[dict[str, Any]]:
    for exponent in study.exponents:
        low, high = exponent.interval or (None, None)
        row = {name: value for name, value in exponent.to_json().items() if name in EXPONENTS.names}
        yield {**row, "low": low, "high": high}
