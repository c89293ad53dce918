"""A few steps of fine-tuning on one or a handful of verified answers: it unlocks what was locked, and teaches little.

Source: Greenblatt et al. 2024, Stress-testing capability elicitation with password-locked models, arXiv 2405.19550. A
backward pass counts as two forward passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from heldout.data import Sample
from heldout.evals.battery.copies import memory_obstacle, trainable, trained_copy_bytes
from heldout.evals.battery.elicitation import Asked
from heldout.evals.battery.few_shot import demonstrations
from heldout.evals.battery.subject import BatterySubject
from heldout.models import Model

RATES, STEPS, DRAWS = (1e-3, 1e-4, 3e-3, 1e-5), 10, 3
HANDFUL = 8


@dataclass(frozen=True)
class FineTuning:
    """`STEPS` steps of Adam on `examples` verified samples of the fit split, at several rates and draws of examples.

    Asked are other prompts: those of the test split."""

    examples: int

    @property
    def name(self) -> str:
        return "fine-tuning on one" if self.examples == 1 else f"fine-tuning on {self.examples}"

    def obstacle(self, subject: BatterySubject) -> str | None:
        if not subject.answering.one_token:
            return "how a prompt is joined to its answer of several tokens is not said by the suite"
        if len(subject.prompts["verified"].rows("fit")) < self.examples:
            return f"the fit split has fewer than {self.examples} verified prompts"
        return memory_obstacle(trained_copy_bytes(subject.model), subject.settings.memory_bytes)

    def settings(self, subject: BatterySubject) -> Sequence[str]:
        return [f"rate {rate:g}, draw {draw}" for draw in range(DRAWS) for rate in RATES]

    def preparation_cost(self, setting: str) -> float:
        return 3.0 * STEPS * self.examples

    def prepared(self, subject: BatterySubject, model: Model, setting: str) -> Asked:
        place = list(self.settings(subject)).index(setting)
        samples = demonstrations(subject, self.examples, place // len(RATES))
        tuned = fine_tuned(model, samples, RATES[place % len(RATES)])
        return lambda prompts: subject.answering(tuned, prompts.tokens)


def fine_tuned(model: Model, samples: Sequence[Sample], rate: float) -> Model:
    """A copy, trained by the cross-entropy of the answer's token after each prompt."""
    twin = trainable(model)
    tokens = twin.tokenize([sample.input for sample in samples])
    targets = torch.tensor([twin.answer_token(str(sample.target)) for sample in samples], device=twin.device)
    inputs = {"input_ids": tokens.ids, "attention_mask": tokens.mask, "position_ids": tokens.position_ids}
    optimizer = torch.optim.Adam(twin.module.parameters(), lr=rate)
    with torch.enable_grad():
        for _ in range(STEPS):
            optimizer.zero_grad()
            logits = twin.module(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1]
            cross_entropy(logits.float(), targets).backward()
            optimizer.step()
            twin.meter.add(3.0 * len(samples))
    twin.module.requires_grad_(False)
    return twin
