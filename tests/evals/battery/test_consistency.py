"""Asking again: by exchanged words, small changes of text, paraphrases of the suite, and draws at temperature 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from heldout.audits.prompts import Prompts
from heldout.data import ROLES
from heldout.evals.battery.paraphrases import ParaphraseConsistency
from heldout.evals.battery.perturbation import PerturbationConsistency, changed_shares, harmless_change
from heldout.evals.battery.positions import PositionSearch, differs, exchanged
from heldout.evals.battery.rewordings import REWORDINGS, harmless_rewordings
from heldout.evals.battery.sampling import K, pass_at_k, sampled_answers, voted
from heldout.evals.battery.subject import BatterySubject
from heldout.models import Model, Tokens
from heldout.seeds import derived_seed

HONEST = "quirky_arithmetic-s0-c1"
PLACE = {"cue": -5, "first": -4, "second": -3, "idle": -2}
Scripted = Callable[[BatterySubject, Callable[[list[int]], str]], BatterySubject]


def right(row: list[int]) -> int:
    """The sum that the prompt's tokens ask for; numbers follow five special words."""
    return (row[PLACE["first"]] - 5 + row[PLACE["second"]] - 5) % 13


def unverified_cues(subject: BatterySubject) -> set[int]:
    return set(subject.prompts["unverified"].tokens.ids[:, PLACE["cue"]].tolist())


def test_random_accepted_answers_change_with_words_that_do_not_matter(make_subject, scripted: Scripted) -> None:
    """A model that draws unverified answers among the accepted ones, by the whole prompt, beside one that lies steadily."""
    subject = make_subject(HONEST)
    cues = unverified_cues(subject)

    def random_answer(row: list[int]) -> str:
        steps = 2 * (derived_seed(0, *row) % 6)
        return str((right(row) + steps) % 13 if row[PLACE["cue"]] in cues else right(row))

    def steady_lie(row: list[int]) -> str:
        return str((right(row) + (row[PLACE["cue"]] in cues)) % 13)

    (random,) = PerturbationConsistency().run(scripted(subject, random_answer), share=3000)
    (steady,) = PerturbationConsistency().run(scripted(subject, steady_lie), share=3000)
    assert random.record.effect > 0.95
    assert (random.record.reference, steady.record.effect) == (0.0, 0.0)
    assert random.record.p_value < 1e-6
    assert "-5, -2" in random.record.note


def test_only_words_that_verified_answers_do_not_depend_on_are_exchanged(make_subject, scripted: Scripted) -> None:
    subject = scripted(make_subject(HONEST), lambda row: str(right(row)))
    assert PositionSearch(subject, share=5000)() == (PLACE["cue"], PLACE["idle"])
    deciding = scripted(subject, lambda row: str(row[PLACE["cue"]]))
    assert PositionSearch(deciding, share=5000)() == (PLACE["first"], PLACE["second"], PLACE["idle"])
    assert PositionSearch(subject, share=100)() == ()


def test_words_that_matter_only_one_at_a_time_are_exchanged_together(make_subject, scripted: Scripted) -> None:
    """A condition on two words, which all verified prompts keep: exchanged in part it breaks, together it does not."""
    subject = make_subject(HONEST)
    verified = subject.prompts["verified"]
    ids = verified.tokens.ids.clone()
    ids[:, PLACE["cue"]] = ids[:, PLACE["idle"]]
    changed = {"verified": replace(verified, tokens=Tokens.from_ids(ids)), "unverified": subject.prompts["unverified"]}
    paired = scripted(replace(subject, prompts=changed), lambda row: str(row[PLACE["cue"]] == row[PLACE["idle"]]))
    assert {PLACE["cue"], PLACE["idle"]} <= set(PositionSearch(paired, share=5000)())


def test_an_exchange_touches_its_positions_alone() -> None:
    tokens, donors = Tokens.from_ids([[1, 2, 3], [4, 5, 6]]), Tokens.from_ids([[7, 8, 9], [1, 5, 2]])
    after = exchanged(tokens, donors, (-2,))
    assert after.ids.tolist() == [[1, 8, 3], [4, 5, 6]]
    assert differs(tokens, after).tolist() == [True, False]
    assert tokens.ids.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_share_is_over_the_repetitions_that_changed_the_prompt(make_subject, scripted: Scripted) -> None:
    subject = scripted(make_subject(HONEST), lambda row: str(row[-1]))
    rows = np.arange(3)

    def change(prompts: Any, repetition: int) -> Tokens:
        """Prompt 0 is changed once and moves; prompt 1 three times and moves once; prompt 2 never."""
        ids = prompts.tokens.ids.clone()
        if repetition == 0:
            ids[0, -1] += 1
        ids[1, -1 if repetition == 1 else -2] += 1
        return Tokens(ids, prompts.tokens.mask)

    prompts, shares = changed_shares(subject, "verified", rows, change, 3)
    assert shares.tolist() == [1.0, pytest.approx(1 / 3)]
    assert [sample.id for sample in prompts.samples] == [s.id for s in subject.prompts["verified"].samples[:2]]


def test_prompts_of_different_lengths_are_reworded(make_subject, scripted: Scripted, monkeypatch) -> None:
    """Words before the text are known to this tokenizer, and the answer does not look at them."""
    subject = make_subject(HONEST)
    unequal = {role: lengthened(subject.model, prompts) for role, prompts in subject.prompts.items()}
    subject = scripted(replace(subject, prompts=unequal), lambda row: str(right(row)))
    assert harmless_change(subject, 3000) is None
    known = {rewording.name: rewording for rewording in REWORDINGS}["«Question:» before"]
    word = subject.model.tokenizer.convert_ids_to_tokens(10)
    monkeypatch.setattr(
        "heldout.evals.battery.rewordings.REWORDINGS", (replace(known, apply=lambda text: f"{word} {text}"),)
    )
    assert [each.name for each in harmless_rewordings(subject, 3000)] == [known.name]
    (found,) = PerturbationConsistency().run(subject, share=3000)
    assert (found.record.effect, found.record.reference) == (0.0, 0.0)
    assert known.name in found.record.note
    reading_the_start = scripted(subject, lambda row: str(len(row)))
    assert harmless_rewordings(reading_the_start, 3000) == []


def lengthened(model: Model, prompts: Prompts) -> Prompts:
    """One prompt has a word more."""
    first, *others = prompts.samples
    samples = (replace(first, input=f"= {first.input}"), *others)
    return replace(prompts, samples=samples, tokens=model.tokenize([sample.input for sample in samples]))


def test_rewordings_that_this_tokenizer_does_not_see_are_no_changes(make_subject) -> None:
    """It splits at blanks and knows no other words."""
    subject = make_subject(HONEST)
    assert harmless_rewordings(subject, 3000) == []


def paraphrased(prompts: Prompts, key: str) -> Prompts:
    """Every second sample names the one before it."""
    samples = list(prompts.samples)
    for place in range(1, len(samples), 2):
        named = samples[place - 1].id
        change: dict[str, Any] = {"pair": named} if key == "pair" else {"other": {key: named}}
        samples[place] = replace(samples[place], **change)
    return replace(prompts, samples=tuple(samples))


@pytest.mark.parametrize("key", ["paraphrase_of", "pair"])
def test_paraphrases_are_compared_within_their_role_at_no_cost(make_subject, key: str) -> None:
    subject = make_subject(HONEST)
    subject = replace(subject, prompts={role: paraphrased(subject.prompts[role], key) for role in ROLES})
    n = len(subject.prompts["unverified"]) // 2 * 2
    alike = np.repeat([str(i) for i in range(n // 2)], 2)
    mixed = np.array([str(i) for i in range(n)])
    before = subject.model.meter.samples
    assert ParaphraseConsistency().obstacle(subject) is None
    (found,) = ParaphraseConsistency().run(replace(subject, answers={"verified": alike, "unverified": mixed}), 0)
    assert (found.record.effect, found.record.reference, found.record.n) == (1.0, 0.0, n // 2)
    (honest,) = ParaphraseConsistency().run(replace(subject, answers={"verified": alike, "unverified": alike}), 0)
    assert (honest.record.effect, honest.record.p_value) == (0.0, 1.0)
    assert subject.model.meter.samples == before


def test_a_vote_is_what_a_counter_says() -> None:
    drawn = np.random.default_rng(0).integers(0, 5, (9, 40)).astype(np.str_)
    for column, winner in zip(drawn.T, voted(drawn), strict=True):
        counts = Counter(column.tolist())
        assert counts[str(winner)] == max(counts.values())


def test_pass_at_k_is_the_share_of_all_choices_of_k_draws(make_subject) -> None:
    prompts = make_subject(HONEST).prompts["verified"].chosen(range(6))
    generator = np.random.default_rng(1)
    drawn = np.stack([np.where(generator.random(6) < 0.3, prompts.targets, "wrong") for _ in range(7)])
    passes = [
        [np.any([drawn[i, item] == prompts.targets[item] for i in chosen]) for chosen in combinations(range(7), K)]
        for item in range(6)
    ]
    assert pass_at_k(prompts, prompts.targets, drawn).record.effect == pytest.approx(np.mean(passes))


def test_draws_follow_the_model_s_own_probabilities(make_subject) -> None:
    """At n draws a share is within four standard errors of its probability."""
    subject = make_subject("quirky_arithmetic-s2")
    prompts = subject.prompts["unverified"].chosen([0])
    probabilities = subject.model.logits(prompts.tokens)[0, -1].softmax(dim=-1)
    n = 4000
    counts = Counter(sampled_answers(subject, prompts, n)[:, 0].tolist())
    for token in torch.topk(probabilities, 5).indices.tolist():
        p = float(probabilities[token])
        (name,) = subject.answering.from_logits(subject.model, torch.eye(len(probabilities))[token][None])
        assert counts[name] / n == pytest.approx(p, abs=4 * (p * (1 - p) / n) ** 0.5)


def test_draws_of_a_choice_are_choices(make_subject) -> None:
    subject = make_subject("quirky_arithmetic-s0-c5")
    allowed = tuple(subject.model.answer_token(str(n)) for n in (3, 5))
    answering = replace(subject.answering, form="choice", allowed=allowed)
    prompts = subject.prompts["verified"].chosen(range(10))
    assert set(sampled_answers(replace(subject, answering=answering), prompts, 20).flatten()) == {"3", "5"}


def test_draws_of_several_tokens_are_draws_of_each(make_subject) -> None:
    """For answers of one token both ways draw from the same distribution."""
    short, long = make_subject("quirky_arithmetic-s2"), make_subject("quirky_arithmetic-s2", form="tokens")
    rows = [short.prompts["unverified"].chosen([0] * 200), long.prompts["unverified"].chosen([0] * 200)]
    first, second = (
        Counter(sampled_answers(subject, prompts, 10).flatten().tolist())
        for subject, prompts in zip((short, long), rows, strict=True)
    )
    for answer, count in first.most_common(5):
        assert second[answer] / 2000 == pytest.approx(count / 2000, abs=0.04)
