"""What is read once and kept: the same within any memory budget, and the same as a plain trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from heldout.audits import AuditSettings
from heldout.audits.examination import Subject
from heldout.audits.streams import affordable_positions, stream_sites
from heldout.data import Suite
from heldout.models import Model, Site
from heldout.organisms.training import small_config

CELL = "quirky_arithmetic-s2"
BEHAVIOUR = "modular_sum"
SCARCE = 300_000


def subject_of(model: Model, suite: Suite, memory: int) -> Subject:
    return Subject.of(BEHAVIOUR, model, None, suite, AuditSettings(effort="quick", memory_bytes=memory))


@pytest.fixture(scope="module")
def subjects(candidate: Callable[[str], Model], suite: Callable[[str], Suite]) -> tuple[Subject, Subject]:
    """The same behaviour with plenty of memory, and with little."""
    some = replace(suite(CELL), samples=suite(CELL).samples[:150] + suite(CELL).samples[-150:])
    return subject_of(candidate(CELL), some, 1 << 30), subject_of(candidate(CELL), some, SCARCE)


def test_little_memory_keeps_fewer_positions_in_smaller_batches(subjects: tuple[Subject, Subject]) -> None:
    plenty, scarce = subjects
    tokens = plenty.prompts["verified"].tokens
    assert plenty.positions == tuple(range(-tokens.length, 0))
    assert scarce.positions == (-1,)
    batches = [len(each.answering.batches(each.model, tokens)) for each in subjects]
    assert batches[0] == 1 < batches[1]


@pytest.mark.parametrize("role", ["verified", "unverified"])
def test_streams_and_answers_are_the_same_within_any_budget(subjects: tuple[Subject, Subject], role) -> None:
    plenty, scarce = (subject.streams[role] for subject in subjects)
    assert (plenty.answers == scarce.answers).all()
    for site in subjects[0].sites:
        torch.testing.assert_close(scarce.at(site), plenty.at(site), rtol=1e-4, atol=1e-4)


def test_mean_differences_are_the_same_within_any_budget(subjects: tuple[Subject, Subject]) -> None:
    plenty, scarce = (subject.examined("unverified", trusted=True).differences for subject in subjects)
    assert list(plenty) == list(scarce)
    for site, difference in plenty.items():
        torch.testing.assert_close(scarce[site].vector, difference.vector, rtol=1e-3, atol=1e-3)


def test_mean_differences_are_those_of_the_fit_split_alone(subjects: tuple[Subject, Subject]) -> None:
    subject, site = subjects[0], Site("resid_post", 1)
    means = []
    for role in ("unverified", "verified"):
        prompts = subject.prompts[role]
        chosen = subject.model.trace(prompts.tokens, [site])[site][torch.from_numpy(prompts.rows("fit"))]
        means.append(chosen.mean(dim=0))
    found = subject.examined("unverified", trusted=True).differences[site].vector
    torch.testing.assert_close(found, means[0] - means[1], rtol=1e-3, atol=1e-3)


def test_streams_are_what_a_trace_reads(subjects: tuple[Subject, Subject]) -> None:
    subject = subjects[0]
    prompts, streams = subject.prompts["unverified"], subject.streams["unverified"]
    trace = subject.model.trace(prompts.tokens, subject.sites)
    for site in subject.sites:
        for position in (-1, -3):
            torch.testing.assert_close(streams.at(site, position=position), trace[site][:, position])
        torch.testing.assert_close(streams.at(site, [3, 0]), trace[site][[3, 0], -1])
    expected = subject.model.tokenizer.convert_ids_to_tokens(trace.logits.argmax(-1).tolist())
    assert streams.answers.tolist() == expected


def test_prompts_keep_their_splits_and_the_splits_are_disjoint(subjects: tuple[Subject, Subject]) -> None:
    for prompts in subjects[0].prompts.values():
        parts = [set(prompts.rows(split).tolist()) for split in ("fit", "select", "calibrate", "test")]
        assert sorted(row for part in parts for row in part) == list(range(len(prompts)))
        assert all(parts)
        test = prompts.of_split("test")
        assert test.ids == [prompts.ids[row] for row in prompts.rows("test")]
        assert torch.equal(test.tokens.ids, prompts.tokens.ids[torch.from_numpy(prompts.rows("test"))])


def test_more_memory_never_keeps_fewer_positions(candidate: Callable[[str], Model]) -> None:
    model = candidate(CELL)
    counts = [len(affordable_positions(model, 800, 40, 7, 1 << power)) for power in range(34)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 16)
    assert affordable_positions(model, 800, 5, 7, 1 << 40) == (-5, -4, -3, -2, -1)


@pytest.mark.parametrize(
    ("family", "changes", "has_middle"),
    [
        ("llama", {}, True),
        ("gpt2", {}, True),
        ("gpt_neox", {"use_parallel_residual": False}, True),
        ("gpt_neox", {"use_parallel_residual": True}, False),
    ],
)
def test_the_stream_is_read_in_the_order_of_computation(
    family: str, changes: dict[str, bool], has_middle: bool
) -> None:
    """Models whose attention and MLP run side by side have no stream between them."""
    config = small_config(family, 50, 8)
    config.update(changes)
    model = Model(AutoModelForCausalLM.from_config(config).eval())
    names = ["resid_mid", "resid_post"] if has_middle else ["resid_post"]
    layers = range(model.n_layers)
    assert stream_sites(model) == [Site("resid_pre", 0), *(Site(name, layer) for layer in layers for name in names)]


def test_a_prompt_is_graded_by_its_own_grader_and_by_every_other(make_prompts) -> None:
    prompts = make_prompts([["1", "2"], ["2"], ["3"]])
    answers = np.array(["2", "1", "3"])
    assert prompts.accepts(answers).tolist() == [True, False, True]
    assert prompts.cross_accepts(answers).tolist() == [[True, True, False], [True, False, False], [False, False, True]]
    assert (np.diagonal(prompts.cross_accepts(answers)) == prompts.accepts(answers)).all()
    assert prompts.targets.tolist() == ["", "", ""]
    assert make_prompts([["1"], ["2"]], role="verified").targets.tolist() == ["1", "2"]
