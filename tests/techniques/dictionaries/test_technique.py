"""The technique on real models, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from heldout.errors import InputError
from heldout.models import Site, Tokens
from heldout.techniques.dictionaries import CrosscoderComparison, CrosscoderDiff, NullRuns, Training
from heldout.techniques.dictionaries.comparison import held_out_rows
from heldout.techniques.pairs import TokenPairs

SITE = Site("resid_post", 1)
SMALL = CrosscoderComparison(training=Training(latents=24, steps=300, rows=128), nulls=NullRuns(1, 0))


@pytest.fixture
def honest(organism):
    return organism("quirky_arithmetic-s0-c1")


@pytest.fixture
def samples(suite):
    return list(suite("quirky_arithmetic-s0-c1").samples)[:400]


def test_rows_are_the_tokens_of_the_prompts(honest, samples) -> None:
    technique = CrosscoderDiff((SITE,), other=honest, comparison=SMALL)
    rows = technique.rows(honest, samples)
    tokens = honest.tokenize([sample.input for sample in samples])
    assert len(rows) == int(tokens.mask.sum())
    trace = honest.trace(tokens, [SITE], logits=False)
    read = rows.read(honest, tokens, [SITE])[SITE]
    for row in (0, 7, len(rows) - 1):
        wanted = trace[SITE][rows.prompts[row], rows.positions[row]]
        assert torch.allclose(read[row], wanted.float(), atol=1e-5)
    last = replace(technique, position=-1).rows(honest, samples)
    assert last.positions.tolist() == [-1] * len(samples)


def test_a_model_and_its_copy_have_nothing_exclusive(honest, samples) -> None:
    before = honest.meter.samples
    results = CrosscoderDiff((SITE,), other=honest, comparison=replace(SMALL, nulls=NullRuns(1, 2))).run(
        honest, samples
    )
    passes = (honest.meter.samples - before) / len(samples)
    assert 0 < passes <= 2
    assert sum(result.forward_passes for result in results) == pytest.approx(passes, abs=1e-4)
    exclusive, in_a, in_b = results
    assert (exclusive.quantity, exclusive.effect, exclusive.unit) == ("exclusive", 0, "latents")
    assert exclusive.nulls[0].p_value == 1.0
    assert exclusive.settings["classes"]["shared"] > 10
    assert in_a.effect == pytest.approx(in_b.effect, abs=1e-3)
    assert in_a.effect > 0.9


def test_a_trained_and_a_random_model_have_latents_of_their_own(honest, samples) -> None:
    technique = CrosscoderDiff((SITE,), other=honest.randomly_initialised(0), comparison=SMALL)
    counts = technique.findings(honest, samples)[SITE].counts
    assert counts["only A"] + counts["only B"] >= 1
    assert sum(counts.values()) == 24


def test_rows_of_a_group_are_held_out_together() -> None:
    groups = np.repeat(np.arange(40), 5) + 100
    chosen = held_out_rows(200, groups.tolist(), 0.25, seed=0).numpy()
    assert chosen.sum() == 50
    assert all(len(set(chosen[groups == group])) == 1 for group in set(groups))


@pytest.mark.parametrize(
    ("a", "b", "groups", "found"),
    [
        (np.ones((500, 3, 2)), np.ones((500, 3)), None, "activations of the shapes (500, 3, 2) and (500, 3)"),
        (np.eye(500), np.eye(400), None, "500 rows of A and 400 of B"),
        (np.eye(50), np.eye(50), None, "50 rows"),
        (np.eye(500), np.full((500, 3), np.nan), None, "values of B that are not finite"),
        (np.ones((500, 3)), np.eye(500), None, "the same activations in every row of A"),
        (np.eye(500), np.eye(500), [1, 2], "2 groups for 500 rows"),
    ],
)
def test_activations_that_cannot_be_compared_are_refused(a, b, groups, found: str) -> None:
    with pytest.raises(InputError) as raised:
        SMALL.compare(a, b, groups)
    assert raised.value.called == "CrosscoderComparison.compare"
    assert [problem.found for problem in raised.value.problems] == [found]


def test_settings_that_cannot_be_run_are_refused_together() -> None:
    with pytest.raises(InputError) as raised:
        CrosscoderComparison(training=Training(steps=0), nulls=NullRuns(0, -1, level=1.0), held_out=0.0)
    assert [problem.found for problem in raised.value.problems] == [
        "0 unrelated runs",
        "-1 identical runs",
        "level=1.0",
        "held_out=0.0",
        "64 latents, 0 steps, 512 rows a batch",
    ]


def test_nothing_to_compare_with_is_refused(honest, samples) -> None:
    with pytest.raises(InputError) as raised:
        CrosscoderDiff((SITE,)).run(honest, samples)
    assert raised.value.problems[0].next_step == "pass other=a model, other_sites, or pairs of prompts"


def test_prompts_that_are_cut_differently_are_refused(honest) -> None:
    pairs = TokenPairs(Tokens.from_ids([[3, 4, 5]]), Tokens.from_ids([[3, 4, 5, 6]]))
    with pytest.raises(InputError) as raised:
        CrosscoderDiff((SITE,)).run(honest, pairs)
    assert raised.value.problems[0].expected == "tokens that stand for the same text"
