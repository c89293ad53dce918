"""Reading the answer off the stream: where a readout follows the output, and where it follows under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from heldout.audits.read import Reading, ReadoutData, permuted_labels, read_site, renamed, renaming, tracking
from heldout.audits.streams import Streams
from heldout.models import Site

CLASSES, N = 10, 200
SITES = [Site("resid_pre", 0), Site("resid_post", 0), Site("resid_post", 1)]
EVERYTHING = (np.arange(N), np.arange(N))


def answers_of(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, CLASSES, N).astype(str)


TRUSTED, EXAMINED = answers_of(0), answers_of(1)
ELSE = answers_of(2)


@pytest.fixture
def data(make_prompts) -> ReadoutData:
    prompts = make_prompts([["0"]] * N, split=["fit"] * (N // 2) + ["test"] * (N // 2))
    return ReadoutData(prompts, prompts, TRUSTED)


def followed(data: ReadoutData, readings: Mapping[Site, Reading], informative: float = 0.5) -> Any:
    return tracking(readings, data, EXAMINED, informative=informative, rows=EVERYTHING)


def partly(answers: Any, share: float) -> Any:
    """The answers, a share of them kept and the others those of something else."""
    return np.where(np.arange(N) < share * N, answers, ELSE)


def test_a_readout_that_is_right_of_both_roles_loses_nothing(data: ReadoutData) -> None:
    (found,) = followed(data, {SITES[0]: Reading(SITES[0], TRUSTED, EXAMINED), SITES[1]: Reading(SITES[1], ELSE, ELSE)})
    assert found.site == str(SITES[0])
    assert (found.accuracy, found.agreement, found.gap) == (1.0, 1.0, 0.0)


def test_a_readout_that_departs_on_examined_prompts_loses_everything(data: ReadoutData) -> None:
    (found,) = followed(data, {SITES[0]: Reading(SITES[0], TRUSTED, ELSE), SITES[1]: Reading(SITES[1], ELSE, ELSE)})
    assert found.gap > 0.9


def test_the_loss_is_a_share_of_what_the_readout_reads_at_all(data: ReadoutData) -> None:
    """A readout that is right of three quarters in both roles loses nothing: it reads as much of each."""
    readings = {site: Reading(site, partly(TRUSTED, 0.75), partly(EXAMINED, 0.75)) for site in SITES[:2]}
    (found,) = followed(data, readings)
    assert 0.6 < found.accuracy < 0.9
    assert abs(found.gap) < 0.1


def test_sites_where_nothing_can_be_read_and_the_last_site_do_not_count(data: ReadoutData) -> None:
    readings = {
        SITES[0]: Reading(SITES[0], ELSE, EXAMINED),
        SITES[1]: Reading(SITES[1], partly(TRUSTED, 0.4), EXAMINED),
        SITES[2]: Reading(SITES[2], TRUSTED, EXAMINED),
    }
    assert followed(data, readings) == []
    assert [found.site for found in followed(data, readings, informative=0.1)] == [str(SITES[1])]


def test_chance_is_that_of_the_commonest_answer(make_prompts) -> None:
    """A readout that always names it reads nothing, however often it is right."""
    labels = np.array(["common"] * 180 + ["rare"] * 20)
    prompts = make_prompts([["common"]] * N)
    data = ReadoutData(prompts, prompts, labels)
    always = np.full(N, "common")
    assert data.majority_rate(np.arange(N)) == 0.9
    readings = {site: Reading(site, always, always) for site in SITES}
    assert tracking(readings, data, always, informative=0.0, rows=EVERYTHING) == []


def test_only_the_given_rows_count(data: ReadoutData) -> None:
    half = np.arange(N // 2)
    readings = {site: Reading(site, partly(TRUSTED, 0.5), partly(EXAMINED, 0.5)) for site in SITES[:2]}
    (found,) = tracking(readings, data, EXAMINED, informative=0.5, rows=(half, half))
    assert (found.accuracy, found.agreement) == (1.0, 1.0)


def test_a_planted_renaming_is_recovered() -> None:
    order = np.random.default_rng(3).permutation(CLASSES)
    names = {str(n): f"#{order[n]}" for n in range(CLASSES)}
    outputs = renamed(TRUSTED, names)
    assert renaming(TRUSTED, outputs) == names
    noisy = np.where(np.arange(N) % 5 == 0, "#0", outputs)
    assert renaming(TRUSTED, noisy) == names
    assert np.mean(renamed(TRUSTED, renaming(TRUSTED, noisy)) == noisy) > 0.8


def test_a_renaming_is_one_to_one() -> None:
    """Two answers that are always given the same name cannot both be it."""
    names = renaming(np.array(["a", "a", "b"]), np.array(["x", "x", "x"]))
    assert names == {"a": "x"}
    assert renamed(np.array(["a", "b", "c"]), names).tolist() == ["x", "", ""]
    many = renaming(TRUSTED, ELSE)
    assert len(set(many.values())) == len(many)


def test_a_renaming_of_unrelated_answers_explains_little() -> None:
    names = renaming(TRUSTED[: N // 2], ELSE[: N // 2])
    assert np.mean(renamed(TRUSTED[N // 2 :], names) == ELSE[N // 2 :]) < 0.3


def test_permuted_labels_are_the_same_labels_in_another_order() -> None:
    one, again, other = (permuted_labels(TRUSTED, 0, index) for index in (0, 0, 1))
    assert sorted(one) == sorted(TRUSTED)
    assert (one == again).all()
    assert (one != TRUSTED).mean() > 0.5
    assert (one != other).mean() > 0.5


def test_a_site_is_fitted_on_the_fit_split_and_carried_over_a_shift_between_the_roles(make_prompts) -> None:
    """Examined streams are the trusted ones of other items, moved by a cue that all of them share."""
    generator = torch.Generator().manual_seed(0)
    centres = 4.0 * torch.randn(CLASSES, 8, generator=generator)
    labels = {"trusted": TRUSTED, "examined": EXAMINED}
    streams = {
        side: centres[torch.from_numpy(answers.astype(int))] + torch.randn(N, 8, generator=generator)
        for side, answers in labels.items()
    }
    streams["examined"] += 15.0 * torch.randn(8, generator=generator)
    split = ["fit"] * (N // 2) + ["test"] * (N // 2)
    data = ReadoutData(make_prompts([["0"]] * N, split=split), make_prompts([["0"]] * N, split=split), TRUSTED)
    site = SITES[0]
    kept = {side: Streams((-1,), {site: values[:, None]}, labels[side]) for side, values in streams.items()}
    reading = read_site(data, kept["trusted"], kept["examined"], site, TRUSTED[: N // 2])
    test = np.arange(N // 2, N)
    assert reading.accuracy(TRUSTED, test) > 0.9
    assert reading.agreement(EXAMINED, test) > 0.9
    null = read_site(data, kept["trusted"], kept["examined"], site, permuted_labels(TRUSTED[: N // 2], 0, 0))
    assert null.accuracy(TRUSTED, test) < 0.3
    assert null.agreement(EXAMINED, test) < 0.3
