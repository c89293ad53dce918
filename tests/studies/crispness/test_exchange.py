"""Tests that exchange groups: what they can find, and that they find nothing where there is nothing."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from heldout.errors import InputError
from heldout.statistics import holm, permutation_p_value
from heldout.studies.crispness import Effort
from heldout.studies.crispness.exchange import exchanged_accuracies, kinds_of, least_p_value, sign_flips, sign_null
from heldout.studies.crispness.measuring import draws_needed


def named(count: int, each: int) -> list[str]:
    return [f"g{number}" for number in range(count) for _ in range(each)]


def accuracy_p_value(predicted: np.ndarray, labels: np.ndarray, groups: list[str]) -> float:
    draws = exchanged_accuracies(predicted, labels, groups, seed=0)
    return permutation_p_value(float(np.mean(predicted == labels)), draws)


def test_signs_are_every_pattern_once_but_that_of_the_observation() -> None:
    flips = sign_flips(5, seed=0)
    assert len({tuple(row) for row in flips.tolist()}) == len(flips) == 2**5 - 1
    assert not (flips == 1).all(axis=1).any()


@pytest.mark.parametrize("count", [4, 7, 10])
def test_a_gain_in_every_group_has_the_least_p_value_however_many_texts_there_are(count: int) -> None:
    for each in (1, 12):
        null = sign_null("signs", np.ones(count * each), named(count, each), seed=0)
        assert null.p_value == 2.0**-count
        assert null.n == 2**count - 1


def test_a_gain_in_one_group_of_many_texts_is_no_finding() -> None:
    gains = np.zeros(200)
    gains[:20] = 1.0
    assert sign_null("signs", gains, named(10, 20), seed=0).p_value == 0.5
    assert (sign_null("signs", gains, [f"text {i}" for i in range(200)], seed=0).p_value or 1) < 0.001, (
        "as texts it was"
    )


def test_labels_within_groups_are_exchanged_with_the_whole_group() -> None:
    """A readout of a template rather than of a value is right in half of each group's texts, whatever the template is."""
    labels = np.array(["up", "down"] * 60)
    groups = named(10, 12)
    assert accuracy_p_value(labels, labels, groups) == 2.0**-10
    by_group = np.array(["up" if int(name[1:]) % 2 else "down" for name in groups])
    assert accuracy_p_value(by_group, labels, groups) == 1.0


def test_groups_of_one_value_exchange_their_labels_like_every_arrangement_of_them() -> None:
    """Six modules of one topic each: against the enumeration of all 720 orders."""
    groups, values = named(6, 5), np.array(["a", "a", "a", "b", "b", "b"])
    labels = np.repeat(values, 5)
    predicted = labels.copy()
    predicted[::5] = np.where(predicted[::5] == "a", "b", "a")
    every = [np.mean(np.repeat(values[list(order)], 5) == predicted) for order in permutations(range(6))]
    exact = np.mean(np.array(every) >= np.mean(predicted == labels))
    assert accuracy_p_value(predicted, labels, groups) == pytest.approx(float(exact), abs=0.02)
    assert least_p_value(labels, groups) == pytest.approx(1 / 20), "20 ways to choose three of six"


def test_kinds_of_groups() -> None:
    labels = np.array(["a", "b", "a", "a", "b", "b"])
    mixed, whole = kinds_of(labels, ["one", "one", "two", "two", "three", "three"])
    assert [rows.tolist() for rows in mixed] == [[0, 1]]
    assert [rows.tolist() for rows in whole] == [[4, 5], [2, 3]]


@pytest.mark.parametrize("whole", [False, True])
def test_guesses_that_are_alike_within_groups_are_found_as_rarely_as_the_level_says(whole: bool) -> None:
    """Each group has an accuracy of its own, around chance: a test of single texts would find that in many cases."""
    found = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        groups, labels = named(10, 12), np.array(["a", "b"] * 60)
        if whole:
            labels = np.repeat(np.array(["a", "b"] * 5), 12)
        chance = np.repeat(generator.choice([0.1, 0.9], 10), 12)
        guessed = generator.random(120) < chance
        predicted = np.where(guessed, labels, np.where(labels == "a", "b", "a"))
        found += accuracy_p_value(predicted, labels, groups) <= 0.05
    assert found <= 11, "of 100; a binomial of 0.05 exceeds that once in two hundred"


@pytest.mark.parametrize("latents", [1, 2, 7, 30])
def test_the_draws_suffice_for_a_latent_that_alone_is_used(latents: int) -> None:
    draws = draws_needed(latents)
    others = [1.0] * (latents - 1)
    assert holm([1 / (draws + 1), *others])[0] <= 0.05 + 1e-12
    assert holm([1 / draws, *others])[0] > 0.05, "one fewer does not"
    assert (Effort().resolved("a test", latents).draws or 0) in (draws, draws + 1)


def test_efforts_that_could_find_nothing_are_refused_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Effort(draws=39, pairs=3, twins=0).resolved("a test", 7)
    for said in ("draws = 39 for 7 latents", "at least 139", "pairs = 3", "twins = 0"):
        assert said in str(caught.value)
    assert Effort(draws=139).resolved("a test", 7).draws == 140, "each direction goes both ways"
