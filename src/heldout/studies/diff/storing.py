"""The record of the study: one table a part, the claims, the figure and the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from heldout.evidence import Provenance
from heldout.studies.diff.drawing import TITLE, drawings
from heldout.studies.diff.findings import Measured, ModelDiff
from heldout.studies.diff.page import report_page
from heldout.studies.recording import table_of, write_study

TEXT, NUMBER, COUNT = pa.string(), pa.float64(), pa.int64()
COMPONENTS = pa.schema({"model": TEXT, "component": TEXT, "parameters": COUNT, "norm": NUMBER, "relative_norm": NUMBER})
MATRICES = pa.schema(
    {
        **dict.fromkeys(("parameter", "component"), TEXT),
        **dict.fromkeys(("rows", "columns"), COUNT),
        **dict.fromkeys(("norm", "relative_norm"), NUMBER),
        "singular_values": pa.list_(NUMBER),
        **dict.fromkeys(("effective_rank", "random_rank", "top_share", "random_share", "random_share_most"), NUMBER),
    }
)
TOKENS = pa.schema(
    {
        "model": TEXT,
        **dict.fromkeys(("layer", "rank", "token"), COUNT),
        "text": TEXT,
        **dict.fromkeys(("push", "low", "high"), NUMBER),
    }
)
DIVERGENCE = pa.schema(
    {
        **dict.fromkeys(("model", "source"), TEXT),
        **dict.fromkeys(("prompt", "position"), COUNT),
        **dict.fromkeys(("before", "kind"), TEXT),
        "divergence": NUMBER,
    }
)
BEHAVIOUR = pa.schema({"model": TEXT, "prompt": COUNT, "base": NUMBER, "tuned": NUMBER})
SHARES = pa.schema(
    {
        **dict.fromkeys(("component", "kind", "way"), TEXT),
        **dict.fromkeys(("share", "low", "high", "random", "random_most", "p_value", "up_to"), NUMBER),
    }
)


def write_diff(study: ModelDiff, out: Path, provenance: Provenance) -> None:
    plates = drawings(study)
    write_study(
        out,
        name="diff",
        title=TITLE,
        provenance=provenance,
        claims=study.claims,
        tables=tables(study),
        summary=study.to_json(),
        drawings=plates,
        page=report_page(study, plates),
    )


def tables(study: ModelDiff) -> dict[str, pa.Table]:
    """docs/diff.md says what their columns mean."""
    models = (study.tuned, *study.references)
    return {
        "components": table_of((row for model in models for row in component_rows(model)), COMPONENTS),
        "matrices": table_of(matrix_rows(study), MATRICES),
        "tokens": table_of((row for model in models for row in token_rows(model)), TOKENS),
        "divergence": table_of((row for model in models for row in divergence_rows(model)), DIVERGENCE),
        "behaviour": table_of((row for model in models for row in behaviour_rows(model)), BEHAVIOUR),
        "shares": table_of(share_rows(study), SHARES),
    }


def component_rows(model: Measured) -> Iterator[dict[str, Any]]:
    for delta in model.deltas:
        yield {"model": model.name, **vars(delta)}


def matrix_rows(study: ModelDiff) -> Iterator[dict[str, Any]]:
    for each in study.spectra:
        yield {
            "parameter": each.parameter, "component": each.component, "rows": each.shape[0], "columns": each.shape[1],
            "norm": each.norm, "relative_norm": each.relative_norm, "singular_values": list(each.singular_values),
            "effective_rank": each.effective_rank, "random_rank": each.random_rank, "top_share": each.top_share,
            "random_share": each.random_share.mean, "random_share_most": each.random_share.maximum,
        }  # fmt: skip


def token_rows(model: Measured) -> Iterator[dict[str, Any]]:
    for reading in model.lens:
        for rank, token in enumerate(reading.tokens, 1):
            low, high = token.interval or (None, None)
            yield {"model": model.name, "layer": reading.layer, "rank": rank, "token": token.token, "text": token.text,
                   "push": token.push, "low": low, "high": high}  # fmt: skip


def divergence_rows(model: Measured) -> Iterator[dict[str, Any]]:
    for each in model.divergences:
        for prompt, (values, texts, kinds) in enumerate(zip(each.values, each.following, each.kinds, strict=True)):
            for position, (value, text, kind) in enumerate(zip(values.tolist(), texts, kinds, strict=True)):
                yield {"model": model.name, "source": each.source, "prompt": prompt, "position": position,
                       "before": text, "kind": kind, "divergence": value}  # fmt: skip


def behaviour_rows(model: Measured) -> Iterator[dict[str, Any]]:
    if model.change is not None:
        pairs = zip(model.change.base.tolist(), model.change.tuned.tolist(), strict=True)
        for prompt, (base, tuned) in enumerate(pairs):
            yield {"model": model.name, "prompt": prompt, "base": base, "tuned": tuned}


def share_rows(study: ModelDiff) -> Iterator[dict[str, Any]]:
    for each in study.shares:
        ways = (
            ("inserted", each.inserted, each.inserted_interval, each.inserted_null),
            ("removed", each.removed, each.removed_interval, each.removed_null),
        )
        for way, share, (low, high), null in ways:
            yield {"component": each.component, "kind": each.kind, "way": way, "share": share, "low": low, "high": high,
                   "random": null.mean, "random_most": null.maximum, "p_value": null.p_value, "up_to": each.up_to}  # fmt: skip
