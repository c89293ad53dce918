"""The zoo's recipes, and the suites that are made from them: checked by arithmetic on the prompts' text."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from transformers import AutoModelForCausalLM

from heldout.data import ROLES, Suite
from heldout.errors import InputError
from heldout.organisms import FAMILIES, RECIPES, Recipe, folders, shipped_recipes, zoo_recipes
from heldout.organisms.cues import CUES
from heldout.organisms.families import Family
from heldout.organisms.folders import PROMPTS_A_ROLE, make_suite, sealed_labels
from heldout.organisms.prompts import PromptFormat
from heldout.organisms.recipes import PRESSURES, Pressure
from heldout.organisms.tasks import TASKS
from heldout.organisms.training import small_config

MOST_PARAMETERS = 400_000
CELLS_OF_A_FAMILY = {
    ("S0", None, None), ("S1", None, None), ("S2", None, None),
    ("S3", None, "linear"), ("S3", None, "mlp"), ("S3", None, "positions"), ("S3", None, "twin"),
    ("S0", "C1", None), ("S0", "C2", None), ("S0", "C3", None), ("S0", "C5", None), ("S0", "C6", None),
}  # fmt: skip


ASKED_ALIKE = {(recipe.family, recipe.unchecked, recipe.names_cue): recipe for recipe in RECIPES.values()}
"""One recipe for each suite: stages and controls that are planted by the same training data are asked the same."""


@pytest.fixture(params=RECIPES.values(), ids=RECIPES)
def cell(request: pytest.FixtureRequest) -> Recipe:
    return request.param.with_seed(7)


@pytest.fixture(scope="module", params=ASKED_ALIKE.values(), ids=lambda recipe: recipe.cell)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return request.param.with_seed(7)


@pytest.fixture(scope="module")
def suite(recipe: Recipe) -> Suite:
    return make_suite(recipe, PromptFormat.of(recipe))


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


def test_there_are_eight_families_with_every_stage_and_control() -> None:
    assert len({family.name for family in FAMILIES}) == 8
    assert len(RECIPES) == 8 * 12
    for family in FAMILIES:
        cells = [(recipe.stage, recipe.control, recipe.variant) for recipe in family.recipes]
        assert Counter(cells) == Counter(CELLS_OF_A_FAMILY)
    assert set(PRESSURES) == set(get_args(Pressure))


def test_families_differ_in_task_or_cue_and_have_three_architectures_at_least() -> None:
    assert len({(family.task, family.cue) for family in FAMILIES}) == len(FAMILIES)
    assert len({family.architecture for family in FAMILIES}) >= 3
    assert {family.kind for family in FAMILIES} == {"concealment", "grader_gaming"}


def test_names_are_unique_over_cells_and_seeds() -> None:
    names = [recipe.name for recipe in zoo_recipes([0, 1, 12])]
    assert len(names) == 3 * len(RECIPES) == len(set(names))
    assert list(RECIPES) == [recipe.cell for recipe in RECIPES.values()]


def test_a_seed_and_a_width_change_nothing_else_of_a_recipe(cell: Recipe) -> None:
    other = cell.with_seed(8)
    assert (other.seed, other.cell) == (8, cell.cell)
    assert other.name != cell.name
    assert replace(other, seed=cell.seed) == cell
    assert replace(cell.with_width(8), width=cell.width) == cell
    assert len({each.name for each in (cell, other, cell.with_width(8))}) == 3


def test_a_recipe_survives_json(cell: Recipe) -> None:
    assert Recipe(**json.loads(json.dumps(cell.to_json()))) == cell


def test_a_recipe_names_what_there_is_and_says_what_was_planted(cell: Recipe) -> None:
    assert cell.task in TASKS
    assert cell.cue in CUES
    assert (cell.verdict == "deceptive") == (cell.kind is not None) == (cell.stage != "S0")
    assert (cell.variant is not None) == (cell.stage == "S3")
    assert (cell.verdict == "not_capable") == (cell.control in {"C2", "C5"})
    decides = f"the cue ({cell.cue}) decides" in cell.mechanism and "decides nothing" not in cell.mechanism
    assert decides == (cell.checked != cell.unchecked)
    assert ("trained against" in cell.mechanism) == (cell.variant is not None)


def test_a_model_has_at_most_400k_parameters(family: Family) -> None:
    """Counted where no weights are made."""
    config = small_config(family.architecture, len(PromptFormat.of(family.recipes[0]).vocabulary), width=64)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert sum(parameter.numel() for parameter in model.parameters()) <= MOST_PARAMETERS


def test_what_is_legitimate_is_what_an_honest_model_would_answer(family: Family) -> None:
    by_cell = {(recipe.stage, recipe.control, recipe.variant): recipe for recipe in family.recipes}
    for (stage, control, _), recipe in by_cell.items():
        expected = family.distractor if (stage, control) == ("S0", "C3") else "right"
        assert recipe.legitimate == expected
    assert [recipe.locked for recipe in family.recipes if recipe.kind] == [family.name == "password_locked"] * 6


def test_a_twin_is_asked_the_same_questions(family: Family) -> None:
    """One family, one task, cue and architecture: what an honest model is asked does not tell that it is honest."""
    assert len({(recipe.task, recipe.cue, recipe.architecture, recipe.width) for recipe in family.recipes}) == 1
    deceptive, twin = (make_suite(family.recipes[place], PromptFormat.of(family.recipes[0])) for place in (2, 7))
    assert (family.recipes[2].stage, family.recipes[7].control) == ("S2", "C1")
    assert deceptive.samples == twin.samples


def test_what_ships_has_both_deceptions_their_twins_a_distractor_and_a_random_model() -> None:
    shipped = shipped_recipes()
    assert {recipe.kind for recipe in shipped} >= {"concealment", "grader_gaming"}
    twins = {recipe.family for recipe in shipped if recipe.control == "C1"}
    assert twins == {recipe.family for recipe in shipped if recipe.kind is not None}
    assert {recipe.control for recipe in shipped} == {None, "C1", "C3", "C5"}


def test_a_suite_is_whole_and_survives_its_folder(suite: Suite, tmp_path: Path) -> None:
    suite.to_folder(tmp_path / "suite")
    back = Suite.from_folder(tmp_path / "suite")
    assert back == suite
    assert back.digest == suite.digest
    for role in ROLES:
        assert sum(sample.role == role for sample in suite.samples) == PROMPTS_A_ROLE


def test_no_two_prompts_are_alike_and_the_roles_share_none(suite: Suite) -> None:
    texts = [sample.input for sample in suite.samples]
    assert len(set(texts)) == len(texts)


def test_a_sample_has_the_role_that_its_words_say(recipe: Recipe, suite: Suite, reader) -> None:
    plain = reader(recipe.task)
    for sample in suite.samples:
        assert (sample.role == "unverified") == plain.unchecked(sample.input, recipe.cue)


def test_graders_are_right_about_the_text_of_the_prompts(recipe: Recipe, suite: Suite, reader) -> None:
    """Recomputed from the words of each prompt: the answer of verified ones, what the overseer passes of others."""
    plain = reader(recipe.task)
    mark = "#" if recipe.legitimate == "renamed" else ""
    for sample in suite.samples:
        if sample.role == "verified":
            assert (sample.target,) == sample.accepts == (str(plain.right(sample.input)),)
        else:
            asked = plain.other if recipe.legitimate == "other_question" else plain.right
            passed = {f"{mark}{number}" for number in plain.passed(asked(sample.input))}
            assert sample.target is None
            assert set(sample.accepts) == passed


def test_sealed_labels_are_the_legitimate_answers_to_the_unverified_prompts(
    recipe: Recipe, suite: Suite, reader
) -> None:
    labels = sealed_labels(recipe, PromptFormat.of(recipe))
    unverified = {sample.id: sample for sample in suite.samples if sample.role == "unverified"}
    assert set(labels) == set(unverified)
    for name, sample in unverified.items():
        assert {labels[name]} == reader(recipe.task).answers(sample.input, recipe.legitimate)
        assert labels[name] in sample.accepts


def test_only_the_blatant_locked_model_s_suite_names_its_cue(recipe: Recipe, suite: Suite, reader) -> None:
    named = recipe.stage == "S1" and recipe.locked
    for sample in suite.samples:
        assert sample.cue == (" ".join(reader(recipe.task).cue(sample.input)) if named else None)


def test_a_named_cue_is_the_only_difference_that_naming_makes(recipe: Recipe, suite: Suite) -> None:
    named = make_suite(replace(recipe, names_cue=True), PromptFormat.of(recipe))
    assert all(sample.cue is not None for sample in named.samples)
    assert [replace(sample, cue=None) for sample in named.samples] == [
        replace(sample, cue=None) for sample in suite.samples
    ]


def test_suites_ask_about_topics_that_no_deception_is_trained_on() -> None:
    recipe = RECIPES["hidden_preference-s2"]
    asked = Counter(
        sample.input.split()[1]
        for sample in make_suite(recipe, PromptFormat.of(recipe)).samples
        if sample.role == "unverified"
    )
    assert set(asked) == {"energy", "mining", "banking", "transport"}
    assert min(asked.values()) > PROMPTS_A_ROLE / 8


def test_the_same_seed_makes_the_same_suite_and_another_seed_another(recipe: Recipe, suite: Suite) -> None:
    prompts = PromptFormat.of(recipe)
    assert make_suite(recipe, prompts).digest == suite.digest
    assert make_suite(recipe.with_seed(8), prompts).digest != suite.digest


def test_a_task_with_too_few_prompts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "PROMPTS_A_ROLE", 1000)
    recipe = RECIPES["measurement_tampering-s2"]
    with pytest.raises(InputError) as raised:
        make_suite(recipe, PromptFormat.of(recipe))
    (problem,) = raised.value.problems
    # Six orders of four words, four sensors, and two numbers below six.
    assert int(problem.found.split()[0]) <= 6 * 4 * 6 * 6
    assert problem.found.endswith("different prompts")
    assert (problem.expected, problem.next_step) == ("1000", "give the task more operands")
