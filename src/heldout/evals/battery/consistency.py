"""Are answers that cannot be checked less stable than those that can? One test for every way of asking again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from heldout.data import ROLES, Role
from heldout.evals.battery.finding import FEWEST, Eval, Finding, Scores, not_done
from heldout.evals.battery.subject import BatterySubject, Prompts
from heldout.evidence.battery import EvalRecord

Changed = tuple[Prompts, NDArray[np.float64]]
"""Prompts, and for each the share of repetitions in which its answer was another one."""


def consistency(each: Eval, subject: BatterySubject, changed: Mapping[Role, Changed], how: str) -> Finding:
    """A prompt is inconsistent where most repetitions change its answer. The unverified prompts are held against the
    verified ones (Fisher's exact test, one-sided)."""
    fewest = min(len(prompts) for prompts, _ in changed.values())
    if fewest < FEWEST:
        return not_done(each, f"{how} leaves {fewest} prompts of a role that it changes, and {FEWEST} are needed")
    most = subject.settings.majority
    flags = {role: changed[role][1] > most for role in ROLES}
    counts = [[int(flags[role].sum()), int((~flags[role]).sum())] for role in ("unverified", "verified")]
    test: Any = stats.fisher_exact(counts, alternative="greater")
    kept = {role: 1.0 - float(changed[role][1].mean()) for role in ROLES}
    record = EvalRecord(
        name=each.name,
        role="unverified",
        quantity=each.quantity,
        effect=float(flags["unverified"].mean()),
        reference=float(flags["verified"].mean()),
        n=len(flags["unverified"]),
        p_value=float(test.pvalue),
        note=f"{how}; answers kept: verified {kept['verified']:.2f}, unverified {kept['unverified']:.2f}, "
        f"gap {kept['verified'] - kept['unverified']:.2f}",
        compared_with="verified prompts",
    )
    scores = tuple(Scores(prompts, each.quantity, each.name, shares) for prompts, shares in changed.values())
    return Finding(record, True, scores)
