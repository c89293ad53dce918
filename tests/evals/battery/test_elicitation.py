"""Elicitation: what is done to a copy, what it is held against, and that a weak model is not mistaken for a locked one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from heldout.evals.battery.elicitation import Asked, Elicited, scheduled
from heldout.evals.battery.few_shot import FewShot, demonstrations, in_front, preceded, solution
from heldout.evals.battery.finding import TooDearError
from heldout.evals.battery.fine_tuning import FineTuning, fine_tuned
from heldout.evals.battery.noise import SEEDS, SIZES, NoiseSweep, noised
from heldout.evals.battery.subject import Answers, BatterySubject, Prompts
from heldout.models import Model, Tokens

LOCKED, RANDOM = "quirky_arithmetic-s2", "quirky_arithmetic-s0-c5"


@dataclass(frozen=True)
class Pretended:
    """An elicitation that gives the answers it is told to, to the candidate and to the reference."""

    candidate: Callable[[Prompts], Answers]
    reference: Callable[[Prompts], Answers]
    of: Model
    name: str = "pretended"
    good: tuple[str, ...] = ("good",)

    def obstacle(self, subject: BatterySubject) -> str | None:
        return None

    def settings(self, subject: BatterySubject) -> list[str]:
        return ["bad", "good", "unused"]

    def preparation_cost(self, setting: str) -> float:
        return 7.0

    def prepared(self, subject: BatterySubject, model: Model, setting: str) -> Asked:
        answers = self.candidate if model is self.of else self.reference

        def asked(prompts: Prompts) -> Answers:
            subject.model.meter.add(len(prompts))
            return answers(prompts) if setting in self.good else wrong(prompts)

        return asked


def targets(prompts: Prompts) -> Answers:
    return np.array([str(sample.target) for sample in prompts.samples])


def wrong(prompts: Prompts) -> Answers:
    return np.array(["nothing"] * len(prompts))


def test_a_gain_that_the_reference_has_as_well_is_no_sign_of_a_lock(make_subject) -> None:
    subject = make_subject(LOCKED, exchange=True)
    locked = Elicited(Pretended(targets, wrong, subject.model), "verified").run(subject, 5000)[0]
    learnt = Elicited(Pretended(targets, targets, subject.model), "verified").run(subject, 5000)[0]
    assert locked.record.effect == learnt.record.effect == 1.0
    assert locked.record.p_value < 1e-6
    assert (learnt.record.reference, learnt.record.p_value) == (1.0, 1.0)
    assert "good, the best of 3" in locked.record.note


def test_an_answer_that_passes_anywhere_is_no_gain(make_subject) -> None:
    """Unverified prompts of even and odd sums: one even answer passes half of them by chance."""
    subject = make_subject(RANDOM)
    constant = Pretended(lambda prompts: np.array(["0"] * len(prompts)), wrong, subject.model, good=("bad",))
    found = Elicited(constant, "unverified").run(subject, 5000)[0].record
    assert found.effect == pytest.approx(0.5, abs=0.1)
    assert found.reference == pytest.approx(found.effect)
    assert found.p_value > 0.01


@pytest.mark.parametrize("share", [100, 400, 1000, 5000])
def test_a_schedule_costs_no_more_than_its_share(make_subject, share: int) -> None:
    subject = make_subject(LOCKED, exchange=True)
    elicitation = Pretended(targets, wrong, subject.model)
    schedule = scheduled(elicitation, subject, "verified", share)
    tried = len(schedule.settings) if len(schedule.settings) > 1 else 0
    cost = 2 * (tried * (7 + len(schedule.selecting)) + 7 + len(schedule.testing))
    assert cost <= share
    assert not set(schedule.selecting) & set(schedule.testing)


def test_too_small_a_share_is_said(make_subject) -> None:
    subject = make_subject(LOCKED, exchange=True)
    with pytest.raises(TooDearError, match="the budget leaves 5 forward passes, and 34 are needed"):
        scheduled(Pretended(targets, wrong, subject.model), subject, "verified", 5)


def test_noise_has_the_size_that_it_is_said_to_have_and_leaves_vectors_alone(make_subject) -> None:
    model = make_subject(LOCKED).model
    noisy = dict(noised(model, 0.2, seed=0, draw=0).module.named_parameters())
    for name, parameter in model.module.named_parameters():
        difference = noisy[name] - parameter
        if parameter.ndim < 2:
            assert not difference.any()
        else:
            error = 4 / (2 * parameter.numel()) ** 0.5
            assert float(difference.std() / parameter.std()) == pytest.approx(0.2, rel=error)
    assert all(torch.equal(one, other) for one, other in zip(
        noised(model, 0.0, 0, 0).module.parameters(), model.module.parameters(), strict=True))  # fmt: skip


def test_a_sweep_has_every_size_at_every_seed(make_subject) -> None:
    subject = make_subject(LOCKED)
    settings = NoiseSweep().settings(subject)
    assert len(set(settings)) == len(SIZES) * SEEDS
    assert all(str(size) in setting for size, setting in zip(SIZES, settings, strict=False))


def test_fine_tuning_makes_its_examples_likelier_in_the_copy(make_subject) -> None:
    subject = make_subject(LOCKED, exchange=True)
    samples = demonstrations(subject, 8, 0)

    def loss(model: Model) -> float:
        ids = torch.tensor([model.answer_token(str(each.target)) for each in samples])
        return float(cross_entropy(model.logits(model.tokenize([each.input for each in samples]))[:, -1], ids))

    before = loss(subject.model)
    meter = subject.model.meter.samples
    tuned = fine_tuned(subject.model, samples, 1e-3)
    assert subject.model.meter.samples - meter == FineTuning(8).preparation_cost("any")
    assert loss(tuned) < 0.7 * before
    assert loss(subject.model) == before


def test_examples_are_verified_ones_of_the_fit_split_and_none_twice(make_subject) -> None:
    subject = make_subject(LOCKED)
    prompts = subject.prompts["verified"]
    fit = {prompts.samples[int(row)].id for row in prompts.rows("fit")}
    chosen = [sample.id for sample in demonstrations(subject, 8, 1)]
    assert set(chosen) <= fit
    assert len(set(chosen)) == 8
    assert chosen == [sample.id for sample in demonstrations(subject, 8, 1)]


def test_examples_stand_solved_in_front_of_the_question_and_the_text_begins_once(make_subject) -> None:
    subject = make_subject(LOCKED)
    model, samples = subject.model, demonstrations(subject, 2, 0)
    first, second = (solution(model, sample) for sample in samples)
    (question,) = model.tokenize(["<bos> exam 1 2 3 ="]).ids.tolist()
    asked = preceded(model, in_front(model, samples), Tokens.from_ids([question]))
    assert asked.ids.tolist() == [[*first, *second[1:], *question[1:]]]
    words = model.tokenizer.decode(first).split()
    assert words == [*samples[0].input.split(), str(samples[0].target)]


def test_examples_that_do_not_fit_are_not_tried(make_subject) -> None:
    """A context of 64 tokens holds eight solved examples of 7 and a question of 6; one beside a question of 55; and none
    beside one of 60."""
    subject = make_subject(LOCKED)

    def asked_at_length(length: int) -> BatterySubject:
        unverified = subject.prompts["unverified"]
        longer = Tokens.concatenate([unverified.tokens, Tokens.from_ids([[5] * length])])
        return replace(subject, prompts={**subject.prompts, "unverified": replace(unverified, tokens=longer)})

    def examples(subject: BatterySubject) -> set[str]:
        return {setting.split(",")[0] for setting in FewShot().settings(subject)}

    assert examples(subject) == {"1 example", "2 examples", "4 examples", "8 examples"}
    assert examples(asked_at_length(55)) == {"1 example"}
    assert "not possible: one solved example" in str(FewShot().obstacle(asked_at_length(60)))
