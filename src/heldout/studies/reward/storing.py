"""What the study writes: tables, JSON, figure, page, claims and provenance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from heldout.evidence import Provenance
from heldout.studies.recording import table_of, write_study
from heldout.studies.reward.claims import claims_of
from heldout.studies.reward.drawing import TITLE, drawings
from heldout.studies.reward.findings import Exploited, Reading, RewardStudy
from heldout.studies.reward.page import report_page
from heldout.studies.reward.slopes import Slope

TEXT, NUMBER, COUNT = pa.string(), pa.float64(), pa.int64()
INTERVAL = {"low": NUMBER, "high": NUMBER}
SLOPES = pa.schema(
    {"model": TEXT, "feature": TEXT, "slope": NUMBER, **INTERVAL, "null_low": NUMBER, "null_high": NUMBER}
    | {
        "p_value": NUMBER,
        "in_quality": NUMBER,
        "in_quality_low": NUMBER,
        "in_quality_high": NUMBER,
        "groups": COUNT,
        "pairs": COUNT,
        "reading": TEXT,
    }
)
ATTRIBUTIONS = pa.schema(
    {"model": TEXT, "pairs_of": TEXT, "kind": TEXT, "part": TEXT, "given": NUMBER, "difference": NUMBER, "n": COUNT}
)
ABLATIONS = pa.schema(
    {"model": TEXT, "feature": TEXT, "place": TEXT, "strength": NUMBER, "slope_before": NUMBER, "slope_after": NUMBER}
    | {**INTERVAL, "reduction": NUMBER, "reduction_low": NUMBER, "reduction_high": NUMBER}
    | {"groups": COUNT, "random": COUNT, "largest_random": NUMBER, "p_value": NUMBER}
    | {"quality_before": NUMBER, "quality_after": NUMBER, "quality_slope_before": NUMBER, "quality_slope_after": NUMBER}
    | {"quality_groups": COUNT, "quality_groups_lost": COUNT}
)
BEST_OF_N = pa.schema(
    {"model": TEXT, "ablated": TEXT, "amount_of": TEXT, "n": COUNT, "value": NUMBER, **INTERVAL, "gain": NUMBER}
    | {"gain_low": NUMBER, "gain_high": NUMBER, "by_itself": NUMBER, "p_value": NUMBER}
)
LEFT_OVER = "(left over)"


def write_reward(study: RewardStudy, out: Path, provenance: Provenance) -> None:
    claims = tuple(claims_of(study))
    write_study(
        out,
        name="reward",
        title=TITLE,
        provenance=provenance,
        claims=claims,
        tables={
            "slopes": table_of(slope_rows(study), SLOPES),
            "attributions": table_of(attribution_rows(study), ATTRIBUTIONS),
            "ablations": table_of(ablation_rows(study), ABLATIONS),
            "best_of_n": table_of(best_of_n_rows(study), BEST_OF_N),
        },
        summary=study.to_json(),
        drawings=drawings(study),
        page=report_page(study, claims),
    )


def slope_rows(study: RewardStudy) -> Iterator[dict[str, Any]]:
    earlier = () if study.before is None else (study.before,)
    for reading in (*earlier, *study.readings):
        for slope in reading.slopes:
            (low, high), (null_low, null_high) = slope.interval, slope.null
            kept = {"feature": slope.feature, "slope": slope.value, "low": low, "high": high, "reading": slope.reading}
            counts = {"p_value": slope.p_value, "groups": slope.groups, "pairs": slope.pairs}
            nulls = {"null_low": null_low, "null_high": null_high}
            yield {"model": reading.name, **kept, **counts, **nulls, **in_quality_of(slope)}


def in_quality_of(slope: Slope) -> dict[str, float | None]:
    """All None where there is no such unit."""
    low, high = (None, None) if slope.in_quality is None else slope.in_quality.interval
    value = None if slope.in_quality is None else slope.in_quality.value
    return {"in_quality": value, "in_quality_low": low, "in_quality_high": high}


def attribution_rows(study: RewardStudy) -> Iterator[dict[str, Any]]:
    """Parts in the units of the score, means over pairs; with what is left over they sum to the difference."""
    for reading in study.readings:
        for each in reading.attributions:
            difference = {"difference": float(each.difference.mean()), "n": len(each.difference)}
            for part, value in {**each.means, LEFT_OVER: float(each.left_over.mean())}.items():
                row = {"model": reading.name, "pairs_of": each.feature, "kind": each.kind, "part": part, "given": value}
                yield {**row, **difference}


def ablation_rows(study: RewardStudy) -> Iterator[dict[str, Any]]:
    for reading in study.readings:
        for each in reading.ablations:
            low, high = each.interval_after
            least, most = each.reduction_interval or (None, None)
            row = {name: value for name, value in vars(each).items() if name in ABLATIONS.names}
            told = {
                "reduction": each.reduction,
                "reduction_low": least,
                "reduction_high": most,
                "low": low,
                "high": high,
            }
            yield {"model": reading.name, **row, **told, "random": len(each.random), "largest_random": max(each.random)}


def best_of_n_rows(study: RewardStudy) -> Iterator[dict[str, Any]]:
    for reading in study.readings:
        for each in reading.best_of_n:
            yield from chosen_rows(reading, each)


def chosen_rows(reading: Reading, found: Exploited) -> Iterator[dict[str, Any]]:
    p_values = {(null.name, null.n): null.p_value for null in found.shuffled}
    for each in found.chosen:
        (low, high), (gain_low, gain_high) = each.interval, each.gain_interval
        place = {"model": reading.name, "ablated": found.ablated, "amount_of": each.name, "n": each.n}
        told = {
            "value": each.value,
            "low": low,
            "high": high,
            "by_itself": each.best,
            "p_value": p_values.get((each.name, each.n)),
        }
        yield {**place, **told, "gain": each.gain, "gain_low": gain_low, "gain_high": gain_high}
