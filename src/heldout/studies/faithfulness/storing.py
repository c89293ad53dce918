"""What the study writes: tables, JSON, figure and page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from heldout.evidence import Provenance
from heldout.studies.faithfulness.drawing import TITLE, drawings
from heldout.studies.faithfulness.estimates import Share
from heldout.studies.faithfulness.findings import Faithfulness
from heldout.studies.faithfulness.page import report_page
from heldout.studies.recording import table_of, write_study

TEXT, NUMBER, COUNT = pa.string(), pa.float64(), pa.int64()
TRIALS = pa.schema(
    {
        **dict.fromkeys(("group", "model", "test", "question", "kind", "template"), TEXT),
        **dict.fromkeys(("expected", "before", "answer", "outcome"), TEXT),
        "step": COUNT,
        "layer": COUNT,
        "silent": pa.bool_(),
    }
)
SHARES = pa.schema(
    {
        **dict.fromkeys(("group", "kind", "quantity", "test"), TEXT),
        "value": NUMBER,
        "low": NUMBER,
        "high": NUMBER,
        "prompts": COUNT,
        "models": COUNT,
        "verdict": TEXT,
    }
)


def write_faithfulness(study: Faithfulness, out: Path, provenance: Provenance) -> None:
    plates = drawings(study)
    write_study(
        out,
        name="faithfulness",
        title=TITLE,
        provenance=provenance,
        claims=study.claims(),
        tables={"trials": table_of(trial_rows(study), TRIALS), "shares": table_of(share_rows(study), SHARES)},
        summary=study.to_json(),
        drawings=plates,
        page=report_page(study, plates),
    )


def trial_rows(study: Faithfulness) -> Iterator[dict[str, Any]]:
    for group, models in study.groups.items():
        for model in models:
            for trial in model.trials:
                yield {"group": group, "model": model.name, **asdict(trial), "outcome": trial.outcome}


def share_rows(study: Faithfulness) -> Iterator[dict[str, Any]]:
    for use in study.uses:
        place = {"group": use.group, "kind": use.kind, "verdict": use.verdict.word}
        yield {**place, **row("causal use", None, use.use)}
        yield {**place, **row("disturbed", None, use.disturbed)}
        for quantity, shares in (("follows", use.tests), ("needed", use.needed), ("null", use.nulls)):
            for test, share in shares.items():
                if share.known:
                    yield {**place, **row(quantity, test, share)}


def row(quantity: str, test: str | None, share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {
        "quantity": quantity,
        "test": test,
        "value": share.value if share.known else None,
        "low": low,
        "high": high,
        "prompts": share.n,
        "models": len(share.seeds),
    }
