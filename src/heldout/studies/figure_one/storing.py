"""What the study writes: tables, claims, JSON, figure and page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from heldout.evidence import Claim, Provenance
from heldout.execution.result import Result
from heldout.studies.figure_one.drawing import TITLE, drawings
from heldout.studies.figure_one.findings import FigureOne
from heldout.studies.figure_one.models import AuditedModel
from heldout.studies.figure_one.page import report_page, target_words
from heldout.studies.figure_one.targets import Target
from heldout.studies.figure_one.trajectories import TrajectoryPoint
from heldout.studies.recording import table_of, write_study

TEXT, NUMBER, COUNT, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()

MODELS = pa.schema(
    {
        "name": TEXT, "family": TEXT, "stage": TEXT, "control": TEXT, "variant": TEXT, "seed": COUNT,
        "architecture": TEXT, "candidate": TEXT, "truth": TEXT, "truth_kind": TEXT, "dangerous": FLAG,
        "behavioural": TEXT, "verdict": TEXT, "kind": TEXT, "p_value": NUMBER,
        "caught_by_behaviour": FLAG, "caught_inside": FLAG,
        "false_alarm_of_behaviour": FLAG, "false_alarm_inside": FLAG,
        "harm": NUMBER, "capability": NUMBER, "knowledge": NUMBER, "flagged_evals": pa.list_(TEXT),
    }
)  # fmt: skip
RATES = pa.schema(
    {
        "quantity": TEXT, "view": TEXT, "group": TEXT, "family": TEXT,
        "count": COUNT, "n": COUNT, "rate": NUMBER, "low": NUMBER, "high": NUMBER,
    }
)  # fmt: skip
CURVES = pa.schema(
    {
        "trajectory": TEXT, "point": TEXT, "axis": TEXT, "family": TEXT, "architecture": TEXT, "seed": COUNT, "x": COUNT,
        "phase": TEXT, "harm": NUMBER, "capability": NUMBER, "knowledge": NUMBER, "dangerous": FLAG,
        "behavioural": TEXT, "verdict": TEXT, "kind": TEXT, "p_value": NUMBER,
        "caught_by_behaviour": FLAG, "caught_inside": FLAG, "state": TEXT,
    }
)  # fmt: skip


def write_figure_one(study: FigureOne, out: Path, provenance: Provenance) -> None:
    plates = drawings(study.curves, study.rates)
    write_study(
        out,
        name="figure-1",
        title=TITLE,
        provenance=provenance,
        claims=map(claim_of, study.targets),
        tables={
            "table": table_of(map(model_row, study.models.audited), MODELS),
            "rates": table_of(study.rates.to_json(), RATES),
            "curves": table_of(map(curve_row, study.points), CURVES),
        },
        summary=study.to_json(),
        drawings=plates,
        page=report_page(study),
    )


def claim_of(target: Target) -> Claim:
    """A target, met or not; where there were no models it was not tested."""
    name = f"{target.group}-{target.view}"
    words = f"{target_words(target)}: {target.share.count} of {target.share.n} models; wanted: {target.wanted}."
    missing = "no such models were audited" if target.met is None else None
    return Claim(name, target_words(target), None, words, target.met is True, (result_of(target),), missing)


def result_of(target: Target) -> Result:
    settings: dict[str, Any] = {"group": target.group, "view": target.view, "wanted": target.wanted}
    return Result(
        technique="counting over audits",
        quantity="rate",
        unit="fraction of models",
        effect=float("nan") if target.share.value is None else target.share.value,
        n=target.share.n,
        interval=target.share.interval,
        settings=settings,
    )


def model_row(model: AuditedModel) -> dict[str, Any]:
    reading = model.reading
    return {
        "name": model.name,
        **vars_of(model.recipe, "family", "stage", "control", "variant", "seed", "architecture"),
        "truth": model.verdict,
        "truth_kind": model.kind,
        "dangerous": model.dangerous,
        "behavioural": reading.behavioural_only,
        **vars_of(reading, "candidate", "verdict", "kind", "p_value"),
        "caught_by_behaviour": model.caught("behaviour"),
        "caught_inside": model.caught("inside"),
        "false_alarm_of_behaviour": model.false_alarm("behaviour"),
        "false_alarm_inside": model.false_alarm("inside"),
        **vars_of(model.measured, "harm", "capability", "knowledge"),
        "flagged_evals": list(reading.flagged),
    }


def curve_row(point: TrajectoryPoint) -> dict[str, Any]:
    """What a bundle would say is null where there is none, and the caught flags also where nothing is dangerous."""
    reading = point.reading
    said: dict[str, Any] = {}
    if reading is not None:
        said = {"behavioural": reading.behavioural_only, **vars_of(reading, "verdict", "kind", "p_value")}
        if point.dangerous:
            said["caught_by_behaviour"] = reading.catches("behaviour", point.truth.family)
            said["caught_inside"] = reading.catches("inside", point.truth.family)
    return {
        "trajectory": point.trajectory,
        "point": point.point.name,
        **vars_of(point.truth, "axis", "family", "architecture", "seed"),
        "x": point.x,
        **vars_of(point.point, "phase", "harm", "capability", "knowledge"),
        "dangerous": point.dangerous,
        **said,
        "state": point.state,
    }


def vars_of(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}
