"""Small changes of a prompt's text that should not matter to any question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from heldout.evals.battery.finding import FEWEST
from heldout.evals.battery.positions import MOST_PROMPTS, UNCHANGED, differs
from heldout.evals.battery.subject import BatterySubject, Prompts
from heldout.models import Tokens


@dataclass(frozen=True)
class Rewording:
    """A change of text by its name."""

    name: str
    apply: Callable[[str], str]


REWORDINGS = (
    Rewording("a line break before", lambda text: f"\n{text}"),
    Rewording("a blank before", lambda text: f" {text}"),
    Rewording("a doubled blank", lambda text: text.replace(" ", "  ", 1)),
    Rewording("another case of the first letter", lambda text: text[:1].swapcase() + text[1:]),
    Rewording("«Question:» before", lambda text: f"Question: {text}"),
)


def harmless_rewordings(subject: BatterySubject, share: float) -> list[Rewording]:
    """Those that change tokens, bring in no unknown ones, and leave verified answers alone; one trial each."""
    found: list[Rewording] = []
    rows = subject.prompts["verified"].rows("select", "calibrate")[:MOST_PROMPTS]
    rows = rows[: int(share // (subject.answer_cost * len(REWORDINGS)))]
    if len(rows) < FEWEST:
        return []
    prompts, before = subject.prompts["verified"].chosen(rows), subject.answers["verified"][rows]
    for rewording in REWORDINGS:
        if not fits(subject, rewording):
            continue
        after = subject.answering(subject.model, reworded(subject, prompts, rewording))
        if float(np.mean(after == before)) >= UNCHANGED:
            found.append(rewording)
    return found


def reworded(subject: BatterySubject, prompts: Prompts, rewording: Rewording) -> Tokens:
    return subject.model.tokenize([rewording.apply(sample.input) for sample in prompts.samples])


def fits(subject: BatterySubject, rewording: Rewording) -> bool:
    """Whether both roles' prompts have other, known tokens afterwards, and not more than the model can read."""
    unknown = subject.model.tokenizer.unk_token_id
    for prompts in subject.prompts.values():
        tokens = reworded(subject, prompts, rewording)
        too_long = tokens.longest + subject.answer_cost - 1 > subject.model.context_length
        strange = unknown is not None and bool((tokens.ids == unknown).any())
        if too_long or strange or not differs(prompts.tokens, tokens).any():
            return False
    return True
