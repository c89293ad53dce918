"""The ledger's part in an audit: spent instruments are not counted, and the uses of the others are entered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from heldout.audits.judge import Findings, Leg
from heldout.data import Suite
from heldout.evidence import Instrument, Ledger
from heldout.models import Model

COUNTED = ("represented", "conditional", "restored", "replaced")


def instrument_of(behaviour: str, leg: Leg, suite: Suite) -> Instrument:
    return Instrument(behaviour, leg.site or "", leg.instrument or "", suite.digest)


def without_spent(findings: Findings, behaviour: str, model: Model, suite: Suite, ledger: Ledger) -> Findings:
    """Legs whose instrument was trained on or selected on for this model's lineage keep their reading and do not count."""

    def counted(leg: Leg | None) -> Leg | None:
        if leg is None:
            return None
        status = ledger.status(instrument_of(behaviour, leg, suite), lineage=[model.digest])
        return (
            replace(leg, found=False, spent_by=f"ledger entry {status.spent_by.sequence}") if status.spent_by else leg
        )

    return replace(findings, **{name: counted(getattr(findings, name)) for name in COUNTED})


def record_uses(ledger: Ledger, model: Model, suite: Suite, legs: Mapping[str, Sequence[Leg]]) -> None:
    """Enters the instruments behind each behaviour's legs: fitted on this suite, and tested on this model."""
    for behaviour, stood_on in legs.items():
        instruments = {instrument_of(behaviour, leg, suite) for leg in stood_on if leg.name in COUNTED}
        for instrument in sorted(instruments, key=str):
            for use in ("fit", "test"):
                ledger.append(instrument, use, lineage=[model.digest], data=[suite.digest])
