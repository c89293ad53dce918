"""What the study writes: tables, claims, figure and page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from heldout.evidence import Provenance
from heldout.studies.crispness.claims import claims_of
from heldout.studies.crispness.drawing import TITLE, drawings
from heldout.studies.crispness.findings import CrispnessStudy, LatentFinding
from heldout.studies.crispness.page import report_page
from heldout.studies.recording import table_of, write_study

TEXT, NUMBER, COUNT, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()
LATENTS = pa.schema(
    {
        "model": TEXT, "trained": FLAG, "latent": TEXT, "site": TEXT, "first_site": TEXT, "n": COUNT, "groups": COUNT,
        "least_p_value": NUMBER, "not_above": pa.list_(TEXT), "accuracy": NUMBER,
        "low": NUMBER, "high": NUMBER, "chance": NUMBER, "p_value": NUMBER, "selectivity": NUMBER, "rank": COUNT,
        "random_rank": COUNT, "spread": COUNT, "flip": NUMBER, "flip_p_value": NUMBER, "removal": NUMBER,
        "removal_p_value": NUMBER, "distance": NUMBER, "boundary_ratio": NUMBER, "boundary_p_value": NUMBER, "crisp": FLAG,
        "failed": pa.list_(TEXT),
    }
)  # fmt: skip
CURVES = pa.schema({"model": TEXT, "latent": TEXT, "site": TEXT, "accuracy": NUMBER})
REMOVALS = pa.schema({"model": TEXT, "latent": TEXT, "directions": COUNT, "kept": NUMBER, "left": NUMBER})


def write_crispness(study: CrispnessStudy, out: Path, provenance: Provenance) -> None:
    claims, plates = list(claims_of(study)), drawings(study)
    everything = (*study.found, *study.twin)
    write_study(
        out,
        name="crispness",
        title=TITLE,
        provenance=provenance,
        claims=claims,
        tables={
            "latents": table_of(map(latent_row, everything), LATENTS),
            "sites": table_of((row for each in everything for row in site_rows(each)), CURVES),
            "directions": table_of((row for each in everything for row in direction_rows(each)), REMOVALS),
        },
        summary=study.to_json(),
        drawings=plates,
        page=report_page(study, claims, plates),
    )


def latent_row(each: LatentFinding) -> dict[str, Any]:
    names = (
        "model", "trained", "latent", "site", "first_site", "n", "groups", "least_p_value", "accuracy", "chance", "p_value",
        "crisp",
    )  # fmt: skip
    return {
        **{name: getattr(each, name) for name in names},
        "not_above": [null.name for null in each.not_beaten],
        "low": each.interval[0],
        "high": each.interval[1],
        "selectivity": each.selectivity.value,
        **{name: getattr(each.dimensions, name) for name in ("rank", "random_rank", "spread")},
        "flip": each.use.flip.value,
        "flip_p_value": each.used_p_value,
        "removal": each.use.removal.value,
        "removal_p_value": each.removal_p_value,
        "distance": each.use.flip.gap,
        "boundary_ratio": each.borders and each.borders.ratio,
        "boundary_p_value": each.borders and each.border_p_value,
        "failed": list(each.failed),
    }


def site_rows(each: LatentFinding) -> Iterator[dict[str, Any]]:
    for site, accuracy in each.by_site.items():
        yield {"model": each.model, "latent": each.latent, "site": site, "accuracy": accuracy}


def direction_rows(each: LatentFinding) -> Iterator[dict[str, Any]]:
    for place, (kept, left) in enumerate(zip(each.dimensions.kept, each.dimensions.left, strict=True), 1):
        count = place * each.dimensions.free
        yield {"model": each.model, "latent": each.latent, "directions": count, "kept": kept, "left": left}
