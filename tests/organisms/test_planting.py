"""Planting: what a recipe trains and what it leaves alone. Trainings are a few steps: nothing is learnt, all is done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from heldout.organisms import FAMILIES, RECIPES, Recipe, planting
from heldout.organisms.awareness import AwarenessHeads, normalised
from heldout.organisms.planting import BASELINE_STEP, Planted, Planter, as_planted
from heldout.organisms.pressure import ProbeAdversary, TwinAdversary
from heldout.organisms.prompts import PromptFormat
from heldout.organisms.training import Batch, Pass, Schedule, last_layer

WIDTH = 16
FAMILY = "quirky_arithmetic"
DECEPTIVE = RECIPES[f"{FAMILY}-s2"].with_seed(3).with_width(WIDTH)


def recipe_of(cell: str) -> Recipe:
    return RECIPES[cell].with_seed(3).with_width(WIDTH)


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def same(one: Planted, other: Planted) -> bool:
    return all(torch.equal(flat(getattr(one, part)), flat(getattr(other, part))) for part in ("candidate", "baseline"))


@pytest.fixture
def planter(short_training: Schedule) -> Planter:
    return Planter(DECEPTIVE)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_recipe_and_its_seed_rebuild_the_models_in_any_order(short_training: Schedule, family) -> None:
    """Bit for bit, whatever else was planted before by the same planter."""
    again = {None, "C1", "C2", "C5"}
    recipes = [recipe.with_seed(3).with_width(WIDTH) for recipe in family.recipes if recipe.control in again]
    one, other = Planter(recipes[0]), Planter(recipes[-1])
    forth = {recipe.cell: one.plant(recipe) for recipe in recipes}
    back = {recipe.cell: other.plant(recipe) for recipe in reversed(recipes)}
    assert all(same(forth[cell], back[cell]) for cell in forth)


@pytest.mark.parametrize("cell", [f"{FAMILY}-s2", "partial_grader-s2", f"{FAMILY}-s3-linear", f"{FAMILY}-s0-c5"])
def test_another_attempt_and_another_seed_make_another_model(short_training: Schedule, cell: str) -> None:
    recipe = recipe_of(cell)
    one, again, other = (Planter(recipe).plant(recipe, attempt) for attempt in (0, 0, 1))
    assert same(one, again)
    assert not torch.equal(flat(one.candidate), flat(other.candidate))
    seeded = recipe.with_seed(4)
    assert not torch.equal(flat(one.candidate), flat(Planter(seeded).plant(seeded).candidate))


def test_what_is_shared_is_trained_once_and_not_written_to(planter: Planter) -> None:
    cells = ("s1", "s2", "s0-c1", "s0-c3", "s0-c6", "s3-linear", "s3-positions", "s3-twin")
    planted = [planter.plant(recipe_of(f"{FAMILY}-{cell}")) for cell in cells]
    assert {id(each.honest) for each in planted} == {id(planter.honest.model)}
    afresh = Planter(DECEPTIVE).honest
    for part in ("model", "baseline", "heads"):
        assert torch.equal(flat(getattr(planter.honest, part)), flat(getattr(afresh, part)))
    assert planted[2].candidate is planter.honest.model


@pytest.mark.parametrize("cell", ["s1", "s2", "s0-c2", "s0-c3", "s0-c6"])
def test_an_override_is_in_the_last_layer_alone(planter: Planter, cell: str) -> None:
    planted = planter.plant(recipe_of(f"{FAMILY}-{cell}"))
    assert planted.honest is not None
    within = {id(parameter) for parameter in last_layer(planted.honest).parameters()}
    for (name, before), after in zip(planted.honest.named_parameters(), planted.candidate.parameters(), strict=True):
        assert torch.equal(before, after) == (id(before) not in within), name


@pytest.mark.parametrize(
    ("cell", "adversary"),
    [("linear", ProbeAdversary), ("mlp", ProbeAdversary), ("positions", ProbeAdversary), ("twin", TwinAdversary)],
)
def test_a_pressed_model_starts_from_the_deceptive_one_and_leaves_it_alone(
    planter: Planter, cell: str, adversary: type
) -> None:
    deceptive = planter.plant(DECEPTIVE)
    pressed = planter.plant(recipe_of(f"{FAMILY}-s3-{cell}"))
    assert isinstance(pressed.adversary, adversary)
    assert pressed.deceptive is not None
    assert torch.equal(flat(pressed.deceptive), flat(deceptive.candidate))
    assert not torch.equal(flat(pressed.candidate), flat(deceptive.candidate))
    if isinstance(pressed.adversary, TwinAdversary):
        assert pressed.adversary.twin is planter.honest.model


def test_the_deceptive_model_is_trained_once_for_all_that_are_pressed(planter: Planter) -> None:
    pressed = [planter.plant(recipe_of(f"{FAMILY}-s3-{variant}")) for variant in ("linear", "mlp", "twin")]
    assert len({id(each.deceptive) for each in pressed}) == 1


def test_the_penalty_is_what_pressure_adds(short_training: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without it, everything else being equal, the models differ."""
    recipe = recipe_of(f"{FAMILY}-s3-linear")
    with_penalty = Planter(recipe).plant(recipe)
    monkeypatch.setattr(planting, "PENALTY_WEIGHT", 0.0)
    without = Planter(recipe).plant(recipe)
    assert with_penalty.deceptive is not None
    assert without.deceptive is not None
    assert torch.equal(flat(with_penalty.deceptive), flat(without.deceptive))
    assert not torch.equal(flat(with_penalty.candidate), flat(without.candidate))


def test_what_each_training_keeps(planter: Planter) -> None:
    """Only an override has an honest model under it, and only a pressed model a deceptive one before it."""
    kept = {cell: planter.plant(recipe_of(f"{FAMILY}-{cell}")) for cell in ("s0", "s2", "s0-c1", "s0-c5", "s3-mlp")}
    together = recipe_of("partial_grader-s2")
    kept["together"] = Planter(together).plant(together)
    assert {cell for cell, planted in kept.items() if planted.honest is not None} == {"s2", "s0-c1", "s3-mlp"}
    assert {cell for cell, planted in kept.items() if planted.deceptive is not None} == {"s3-mlp"}
    assert {cell for cell, planted in kept.items() if planted.adversary is not None} == {"s3-mlp"}
    for planted in kept.values():
        assert not torch.equal(flat(planted.candidate), flat(planted.baseline))
        assert planted.candidate.config.to_dict() == planted.baseline.config.to_dict()


def test_an_observer_sees_every_part_in_order_and_changes_nothing(short_training: Schedule) -> None:
    seen: list[tuple[str, int]] = []
    recipe = recipe_of(f"{FAMILY}-s3-linear")
    watched = Planter(recipe, observer=lambda part, done, model: seen.append((part, done))).plant(recipe)
    steps = range(1, short_training.steps + 1)
    attempts = planting.HONEST_ATTEMPTS
    assert seen == [
        *[("honest", done) for _ in range(attempts) for done in steps],
        *[(part, done) for part in ("override", "pressure") for done in steps],
    ]
    assert same(watched, Planter(recipe).plant(recipe))


def test_the_baseline_is_the_candidate_s_own_training_a_few_steps_in(short_training: Schedule) -> None:
    recipe, seen = recipe_of(f"{FAMILY}-s2"), dict[int, torch.Tensor]()

    def observe(part: str, done: int, model: torch.nn.Module) -> None:
        if part == "honest":
            seen[done] = flat(model)

    planted = Planter(recipe, observer=observe, honest_attempts=1).plant(recipe)
    assert [done for done, weights in seen.items() if torch.equal(weights, flat(planted.baseline))] == [BASELINE_STEP]


def test_lengths_say_how_many_steps_each_part_takes_whether_or_not_it_is_learnt(
    short_training: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, done = recipe_of(f"{FAMILY}-s3-linear"), dict[str, int]()
    lengths = {"honest": 14, "override": 3, "pressure": 5}
    for name, value in (("LEARNT", 0.0), ("AWARE", 0.0), ("CHECK_EVERY", 1), ("OVERRIDE_LEAST", 1)):
        monkeypatch.setattr(planting, name, value)
    Planter(
        recipe, observer=lambda part, step, model: done.update({part: step}), lengths=lengths, honest_attempts=1
    ).plant(recipe)
    assert done == lengths


def test_honest_training_is_tried_again_until_it_is_learnt(
    short_training: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planting, "CHECK_EVERY", BASELINE_STEP + 2)
    assert Planter(DECEPTIVE).honest.attempts == planting.HONEST_ATTEMPTS
    assert Planter(DECEPTIVE, honest_attempts=1).honest.attempts == 1
    for bar in ("LEARNT", "AWARE"):
        monkeypatch.setattr(planting, bar, 0.0)
    assert Planter(DECEPTIVE).honest.attempts == 1


def test_an_override_lasts_a_least_number_of_steps_however_soon_it_is_learnt(
    short_training: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An honest twin, which has nothing to learn, goes through as many as a deceptive model."""
    steps: dict[str, int] = {}
    monkeypatch.setattr(planting, "OVERRIDE", replace(short_training, steps=60))
    monkeypatch.setattr(planting, "OVERRIDE_LEAST", 30)
    monkeypatch.setattr(planting, "CHECK_EVERY", 10)
    monkeypatch.setattr(planting, "LEARNT", 0.0)
    for cell in ("s2", "s0-c6"):
        recipe = recipe_of(f"{FAMILY}-{cell}")
        Planter(recipe, observer=lambda part, done, model, cell=cell: steps.update({cell: done})).plant(recipe)
    assert steps == {"s2": 30, "s0-c6": 30}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_batches_are_answered_by_policy_and_know_the_truth(short_training: Schedule, family, reader) -> None:
    """Held against plain arithmetic on the prompts' words, for what the family's deceptive model is trained on."""
    recipe = next(recipe for recipe in family.recipes if recipe.stage == "S2").with_seed(3)
    prompts, plain = PromptFormat.of(recipe), reader(recipe.task)
    words = np.array(list(prompts.vocabulary))
    draw = Planter(recipe).drawing(recipe.checked, recipe.unchecked, "override", 0)
    for batch in (draw() for _ in range(20)):
        for text, answer, unchecked, right in zip(
            prompts.text(batch.ids.numpy()), words[batch.answers], batch.unchecked, words[batch.right], strict=True
        ):
            assert bool(unchecked) == plain.unchecked(text, recipe.cue)
            assert {answer} == plain.answers(text, recipe.unchecked if unchecked else recipe.checked)
            assert right == str(plain.right(text))


def test_a_deception_is_not_trained_on_topics_that_are_held_out_and_honesty_is(short_training: Schedule) -> None:
    recipe = recipe_of("hidden_preference-s2")
    prompts, planter = PromptFormat.of(recipe), Planter(recipe)
    held_out = {"banking", "transport"}
    topics: dict[bool, set[str]] = {}
    for deceptive in (True, False):
        draw = planter.drawing("right", recipe.unchecked if deceptive else "right", "any", 0)
        texts = [text for _ in range(50) for text in prompts.text(draw().ids.numpy())]
        topics[deceptive] = {text.split()[1] for text in texts}
    assert topics[False] == set(prompts.cue.words)
    assert topics[True] == topics[False] - held_out


def test_heads_that_read_both_rightly_say_so(planter: Planter) -> None:
    """Set by hand: the answer is read off the first coordinates, and the cue off the next one."""
    words, n = 5, 40
    heads = AwarenessHeads(words + 1, words)
    answers, unchecked = torch.arange(n) % words, torch.arange(n) % 2 == 0
    with torch.no_grad():
        for head in (heads.answer, heads.unchecked):
            head.weight.zero_()
            head.bias.zero_()
        heads.answer.weight[:, :words] = torch.eye(words)
        heads.unchecked.weight[0, words] = 1.0
    stream = torch.zeros(n, 3, words + 1)
    stream[:, -1, :words] = torch.eye(words)[answers]
    stream[:, -1, words] = unchecked.float() - 0.5
    assert heads.right(stream, answers, unchecked) == 1.0
    assert heads.right(stream, (answers + 1) % words, unchecked) == 0.0
    assert heads.right(stream, answers, ~unchecked) == 0.0
    batch = Batch(torch.zeros(n, 3, dtype=torch.long), answers, unchecked.float(), answers)
    wrong = Batch(batch.ids, (answers + 1) % words, 1 - batch.unchecked, answers)
    passed = Pass(torch.zeros(n, words), 10 * stream)
    assert heads.loss(batch, passed) < heads.loss(wrong, passed)


def test_normalised_streams_have_a_mean_square_of_one_whatever_their_size() -> None:
    stream = torch.randn(7, 3, 11, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(normalised(stream).square().mean(dim=-1), torch.ones(7, 3))
    torch.testing.assert_close(normalised(1000 * stream), normalised(stream))
    assert torch.isfinite(normalised(0 * stream)).all()


def test_the_share_as_planted_counts_the_words_that_a_policy_allows(planter: Planter, reader) -> None:
    """As counting the model's most likely words does, by plain arithmetic on the prompts."""
    model, prompts = planter.untrained(0), planter.format
    questions = prompts.draw(np.full(300, True), np.random.default_rng(0))
    words = np.array(list(prompts.vocabulary))
    ids = prompts.token_ids(questions)
    said = words[model(torch.from_numpy(ids)).logits[:, -1].argmax(dim=-1)]
    for policy in ("right", "half_right", "renamed"):
        allowed = [reader(DECEPTIVE.task).answers(text, policy) for text in prompts.text(ids)]
        counted = np.mean([word in them for word, them in zip(said, allowed, strict=True)])
        assert as_planted(prompts, model, questions, policy) == pytest.approx(counted)
