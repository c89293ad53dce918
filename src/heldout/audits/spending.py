"""What an audit enters in the ledger: the instruments that its verdicts stood on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from heldout.audits.judge import Leg
from heldout.data import Suite
from heldout.evidence import Instrument, Ledger
from heldout.models import Model

FAMILIES = {"represented": "linear readout", "restored": "mean difference", "replaced": "mean difference"}


def record_uses(out: str | Path, model: Model, suite: Suite, legs: Mapping[str, Sequence[Leg]]) -> None:
    """Enters the instruments behind each behaviour's legs: fitted on this suite, and tested on this model."""
    ledger = Ledger.beside(out)
    for behaviour, stood_on in legs.items():
        instruments = {
            Instrument(behaviour, leg.site, FAMILIES[leg.name], suite.digest)
            for leg in stood_on
            if leg.name in FAMILIES and leg.site is not None
        }
        for instrument in sorted(instruments, key=str):
            for use in ("fit", "test"):
                ledger.append(instrument, use, lineage=[model.digest], data=[suite.digest])
