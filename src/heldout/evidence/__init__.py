"""Evidence: claims, verdicts, plans, provenance, the bundle that holds them, and the ledger of spent instruments."""

from heldout.evidence.battery import BatteryRecord, EvalRecord
from heldout.evidence.bundle import Bundle, BundleWriter
from heldout.evidence.claims import Claim, not_found, p_value_text
from heldout.evidence.ledger import Entry, Instrument, Ledger, Status
from heldout.evidence.plan import Plan
from heldout.evidence.provenance import Provenance, gather_provenance
from heldout.evidence.verdicts import AcceptRates, Verdict, Verdicts

__all__ = [
    "AcceptRates",
    "BatteryRecord",
    "Bundle",
    "BundleWriter",
    "Claim",
    "Entry",
    "EvalRecord",
    "Instrument",
    "Ledger",
    "Plan",
    "Provenance",
    "Status",
    "Verdict",
    "Verdicts",
    "gather_provenance",
    "not_found",
    "p_value_text",
]
