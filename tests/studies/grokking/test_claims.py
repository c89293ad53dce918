"""Claims: over seeds by exact tests, of models with their nulls, and nulls of which one knows what they should say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy import stats

from heldout.evidence import Claim
from heldout.models import Model
from heldout.studies.grokking import GrokkingRun, GrokkingStudy, ModularAddition, Recipe, measures_of
from heldout.studies.grokking.claims import claims_of
from heldout.studies.grokking.nulls import StructureNulls, shuffled_weights, structure_nulls
from heldout.studies.grokking.structure import OTHERS, SHUFFLED, checks
from heldout.studies.grokking.training import trained

Grokked = tuple[GrokkingRun, Path]
GENERALISES = "Answers pairs it was not trained on"


def claims(*runs: GrokkingRun) -> dict[str, Claim]:
    return {claim.id: claim for claim in claims_of(GrokkingStudy(runs, None))}


def memorised(run: GrokkingRun, name: str) -> GrokkingRun:
    """The run as it was at its first checkpoint, and stayed."""
    first = run.checkpoints[0]
    stayed = tuple(replace(each, measures=first.measures) for each in run.checkpoints)
    return GrokkingRun(name, run.task, (), stayed, None, None)


def named(run: GrokkingRun, count: int) -> list[GrokkingRun]:
    return [replace(run, name=f"seed-{place}") for place in range(count)]


@pytest.fixture(scope="module")
def model(grokked: Grokked, quick_recipe: Recipe) -> Model:
    """The model that generalised."""
    return trained(quick_recipe, 0, grokked[1] / "runs" / "seed-0").checkpoints[-1].load()


def nulls_of(model: Model, task: ModularAddition, keys: tuple[int, ...]) -> StructureNulls:
    settings = {"modulus": task.modulus, "fraction": task.fraction, "seed": task.seed, "keys": keys}
    found = structure_nulls(model, None, **settings)  # type: ignore[arg-type]
    assert found is not None
    return StructureNulls.from_json(found)


def test_what_holds_in_all_of_five_seeds_is_found(grokked: Grokked) -> None:
    said = claims(*named(grokked[0], 5))
    first = said["seeds-1"]
    low = 0.025 ** (1 / 5)
    assert first.statement == (
        f"{GENERALISES}: in 5 of 5 seeds (95 % interval of the share {low:.2f} to 1.00; sign test p = {1 / 32:.2g})."
    )
    assert first.found
    assert first.missing is None
    assert first.results[0].nulls[0].p_value == pytest.approx(1 / 32)
    assert said["memory-first"].found


def test_what_does_not_hold_in_one_is_not_found_and_names_it(grokked: Grokked) -> None:
    said = claims(*named(grokked[0], 4), memorised(grokked[0], "seed-4"))
    p_value = stats.binom.sf(3, 5, 0.5)
    for name in ("seeds-1", "memory-first"):
        assert not said[name].found
        assert (
            f"in 4 of 5 seeds (95 % interval of the share 0.28 to 0.99; sign test p = {p_value:.2g})"
            in said[name].statement
        )
        assert said[name].statement.endswith("Not found in seed-4.")


def test_few_seeds_say_nothing_of_others(grokked: Grokked) -> None:
    said = claims(*named(grokked[0], 4))
    assert not said["seeds-1"].found
    assert said["seeds-1"].missing == "5 seeds are needed for p ≤ 0.05; these are 4"
    assert said["seed-0-1"].found, "of the model itself it is found"


def test_every_claim_carries_its_measurements_and_nulls(grokked: Grokked) -> None:
    said = claims(grokked[0])
    of_model = [claim for name, claim in said.items() if name.startswith("seed-0-")]
    assert len(of_model) == len(grokked[0].checks) == 8
    for claim in of_model:
        assert claim.found
        assert claim.results
        assert all(result.nulls for result in claim.results)
    tested = {null.name for claim in of_model for result in claim.results for null in result.nulls}
    assert {SHUFFLED, OTHERS, "guessing", "random subspaces of the same rank"} <= tested


def test_shuffled_weights_are_the_same_in_another_order(model: Model) -> None:
    other = shuffled_weights(model, 0, 0)
    for one, shuffled in zip(model.module.parameters(), other.module.parameters(), strict=True):
        assert torch.equal(one.flatten().sort().values, shuffled.flatten().sort().values)
    weights = [each.module.get_parameter("embed.weight") for each in (model, other, shuffled_weights(model, 0, 1))]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_the_structure_of_a_model_that_adds_is_beyond_its_nulls(grokked: Grokked, model: Model) -> None:
    run = grokked[0]
    nulls = nulls_of(model, run.task, run.keys)
    assert max(nulls.key_counts) == 0
    assert max(nulls.logit_variance) < 0.2 < run.last.logit_variance_explained
    assert max(nulls.neuron_logit_share) < 0.5 < run.last.neuron_logit_key_share
    assert run.last.restricted < min(nulls.restricted)
    assert max(nulls.excluded_train) < 0.1 < run.last.excluded_train


def test_a_wrong_hypothesis_beats_no_null(grokked: Grokked, model: Model) -> None:
    """Frequencies that the model does not add with: they are worth no more than others are."""
    run = grokked[0]
    wrong = tuple(k for k in range(1, 27) if k not in run.keys)[: len(run.keys)]
    last = measures_of(model, run.task, wrong)
    held = {check.name: check for check in checks(run.task, wrong, last, None, nulls_of(model, run.task, wrong))}
    of_frequencies = [name for name in held if any(word in name for word in ("suffice", "needed", "variance", "W_L"))]
    assert len(of_frequencies) == 4
    for name in of_frequencies:
        assert not held[name].holds
        (null,) = held[name].results[0].nulls
        assert null.p_value is not None
        assert null.p_value > 0.05


def test_a_number_beyond_its_threshold_needs_a_null_as_well(grokked: Grokked) -> None:
    """The same numbers without a null, or with one that is as good, are no finding."""
    run = grokked[0]
    assert run.nulls is not None
    as_good = replace(run.nulls, logit_variance=(run.last.logit_variance_explained,) * 19)
    for nulls in (None, as_good):
        held = {check.name: check.holds for check in checks(run.task, run.keys, run.last, run.neurons, nulls)}
        assert not held["their cosines explain most of the logits’ variance"]


def test_an_untrained_model_has_nothing_to_compare() -> None:
    recipe = Recipe()
    settings = {"modulus": 53, "fraction": 0.3, "seed": 0, "keys": ()}
    assert structure_nulls(recipe.untrained(0), None, **settings) is None  # type: ignore[arg-type]
