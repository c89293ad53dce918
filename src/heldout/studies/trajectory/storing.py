"""What the study writes: tables of every measurement, of edges and of onsets, with findings, claims, figure and page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from heldout.evidence import Provenance
from heldout.studies.recording import table_of, write_study
from heldout.studies.trajectory.asked import Asked
from heldout.studies.trajectory.claims import claims_of
from heldout.studies.trajectory.drawing import TITLE, drawings
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.page import report_page

NAME = "trajectory"
TEXT, NUMBER, COUNT = pa.string(), pa.float64(), pa.int64()
PLACE = {"run": TEXT, "step": COUNT, "checkpoint": TEXT, "digest": TEXT}
MEASURES = pa.schema(
    {
        **PLACE,
        "technique": TEXT,
        "quantity": TEXT,
        "unit": TEXT,
        "role": TEXT,
        "cue": TEXT,
        "concept": TEXT,
        "order": COUNT,
        "site": TEXT,
        "value": NUMBER,
        "low": NUMBER,
        "high": NUMBER,
        "n": COUNT,
        "refused": TEXT,
    }
)
NULLS = pa.schema(
    {
        **PLACE,
        "quantity": TEXT,
        "role": TEXT,
        "concept": TEXT,
        "site": TEXT,
        "null": TEXT,
        "mean": NUMBER,
        "maximum": NUMBER,
        "n": COUNT,
        "p_value": NUMBER,
    }
)
EDGES = pa.schema({"run": TEXT, "role": TEXT, "step": COUNT, "edge": TEXT, "score": NUMBER, "present": pa.bool_()})
PHASES = pa.schema({"run": TEXT, "boundary": COUNT, "low": COUNT, "high": COUNT})
TOGETHER = "all together"


def write_findings(study: TrajectoryStudy, asked: Asked, provenance: Provenance, out: Path) -> None:
    claims = claims_of(study)
    plates = drawings(study)
    write_study(
        out,
        name=NAME,
        title=TITLE,
        provenance=provenance,
        claims=claims,
        tables={
            "measures": table_of(_measures(study), MEASURES),
            "nulls": table_of(_nulls(study), NULLS),
            "edges": table_of(_edges(study), EDGES),
            "phases": table_of(_phases(study), PHASES),
        },
        summary={**study.to_json(), "skipped_latents": [vars(each) for each in asked.skipped]},
        drawings=plates,
        page=report_page(study, claims, plates),
    )


def _places(study: TrajectoryStudy) -> Iterator[tuple[dict[str, Any], Any]]:
    for course in study.courses:
        for place, cell in enumerate(course.cells):
            where = (course.name, course.steps[place], course.checkpoints[place], course.digests[place])
            for result in cell:
                yield dict(zip(PLACE, where, strict=True)), result


def _measures(study: TrajectoryStudy) -> Iterator[dict[str, Any]]:
    for place, result in _places(study):
        low, high = result.interval or (None, None)
        refused = result.settings.get("refused")
        yield {
            **place,
            **{name: getattr(result, name) for name in ("technique", "quantity", "unit", "role", "site", "n")},
            **{name: result.settings.get(name) for name in ("cue", "concept", "order")},
            "value": None if refused else result.effect,
            "low": low,
            "high": high,
            "refused": "; ".join(refused) if refused else None,
        }


def _nulls(study: TrajectoryStudy) -> Iterator[dict[str, Any]]:
    for place, result in _places(study):
        about = {"quantity": result.quantity, "role": result.role, "site": result.site}
        for null in result.nulls:
            yield {
                **place,
                **about,
                "concept": result.settings.get("concept"),
                "null": null.name,
                **{name: getattr(null, name) for name in ("mean", "maximum", "n", "p_value")},
            }


def _edges(study: TrajectoryStudy) -> Iterator[dict[str, Any]]:
    """Of the edges that are present at some checkpoint."""
    for (run, role), circuit in study.circuits.items():
        for column in np.flatnonzero(circuit.present.any(axis=0)):
            for place, step in enumerate(study.steps):
                yield {
                    "run": run,
                    "role": role,
                    "step": step,
                    "edge": circuit.edges[column],
                    "score": float(circuit.scores[place, column]),
                    "present": bool(circuit.present[place, column]),
                }


def _phases(study: TrajectoryStudy) -> Iterator[dict[str, Any]]:
    for run, phases in {TOGETHER: study.phases, **study.phases_by_run}.items():
        for each in phases.boundaries:
            yield {"run": run, "boundary": each.step, "low": each.low, "high": each.high}
