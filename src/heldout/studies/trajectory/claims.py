"""The study's claims: what was learnt and when, what was overridden, what came first, and where training divides."""

from __future__ import annotations

from heldout.evidence import Claim
from heldout.evidence.claims import not_found, p_value_text
from heldout.studies.over_runs import in_most, sign_test, too_few
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.onset_claims import LEARNT, onset_claims, range_text
from heldout.studies.trajectory.override_claims import override_claims
from heldout.studies.trajectory.phases import DATED, LEVEL, SHORTEST


def claims_of(study: TrajectoryStudy) -> tuple[Claim, ...]:
    return (
        *(claim for learnt in LEARNT for claim in onset_claims(study, learnt)),
        *override_claims(study),
        *((_order(study),) if study.order.runs else ()),
        _phases(study),
    )


def _order(study: TrajectoryStudy) -> Claim:
    order = study.order
    interval = "" if order.gap_interval is None else f" (95 % interval {range_text(order.gap_interval)})"
    both = "" if order.runs == len(study.courses) else f" that have both (of {len(study.courses)})"
    statement = (
        f"The capability comes before the override in {order.first} of {order.runs} runs{both}, by {order.gap:.0f} steps in "
        f"the mean{interval}; sign test {p_value_text(order.p_value)}."
    )
    gaps = [each.gap for each in study.onsets if each.gap is not None]
    result = sign_test("capability_first", order.first, order.runs, gaps=list(gaps))
    found = in_most(order.first, order.runs)
    missing = None if found else too_few(order.runs)
    return Claim("order", study.behaviour, "conditional", statement, found, (result,), missing=missing)


def _phases(study: TrajectoryStudy) -> Claim:
    phases = study.phases
    if not phases.boundaries:
        told = f"{len(phases.told_by)} of {len(DATED)} curves that left their null"
        technique = f"change-points at {len(study.steps)} checkpoints, of pieces of {SHORTEST} or more, in {told}"
        statement = not_found("A boundary between phases", technique, None)
        if phases.gradual:
            statement = f"Training changes gradually: no boundary was found. {_tried(technique, phases.gradual)}"
        missing = None if phases.told_by else "no curve left its null"
        return Claim("phases", study.behaviour, None, statement, False, missing=missing)
    places = ", ".join(f"{each.step} (between {each.low} and {each.high})" for each in phases.boundaries)
    statement = (
        f"Training divides into {len(phases.boundaries) + 1} phases, with boundaries at step {places}, told by: "
        f"{'; '.join(phases.told_by)}. At each, some curve changes within {SHORTEST} checkpoints further than a random walk "
        f"with drift does (p ≤ {LEVEL})."
    )
    return Claim("phases", study.behaviour, None, statement, True)


def _tried(technique: str, gradual: int) -> str:
    """How a change was looked for that proved gradual."""
    changes = f"{gradual} {'change' if gradual == 1 else 'changes'}"
    return (
        f"Of {changes} of level that were found by {technique}, none is a jump: straight lines are the better description, or "
        f"no curve changes within {SHORTEST} checkpoints further than a random walk with drift does."
    )
