"""Components that change places: where the change was planted, it goes with them, and all of them are all of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from heldout.models import Model, Set, Site
from heldout.studies.diff.behaviour import Behaviour, behaviour_of
from heldout.studies.diff.claims import beyond_shares
from heldout.studies.diff.components import components_of, sign_flipped, weights_of, with_weights
from heldout.studies.diff.interchange import Change, output_shares, weight_shares
from heldout.studies.diff.pairing import paired
from heldout.studies.diff.study import silent

DRAWS = 39


@pytest.fixture(scope="module")
def behaviour(base: Model, asked) -> Behaviour:
    return behaviour_of(base, asked)


def shares(base: Model, other: Model, behaviour: Behaviour, draws: int = DRAWS, outputs: bool = False):
    change = Change(behaviour.values(base), behaviour.values(other))
    exchanged = output_shares if outputs else weight_shares
    return exchanged(paired(base, other, ["the"]), behaviour, change, draws, 0, silent)


def test_a_change_in_one_part_goes_with_that_part(base: Model, one_part: Model, behaviour: Behaviour) -> None:
    (share,) = shares(base, one_part, behaviour)
    assert share.component == "MLP 1"
    assert share.inserted == pytest.approx(1.0, abs=1e-9)
    assert share.removed == pytest.approx(1.0, abs=1e-9)
    assert share.inserted_interval == pytest.approx((1.0, 1.0))
    assert share.inserted_null.maximum < 0.5
    assert beyond_shares(share) == (True, True)


def test_outputs_of_that_part_carry_it_and_earlier_ones_do_not(
    base: Model, one_part: Model, behaviour: Behaviour
) -> None:
    found = {share.component: share for share in shares(base, one_part, behaviour, draws=1, outputs=True)}
    assert found["mlp_out.1"].inserted == pytest.approx(1.0, abs=1e-5)
    assert found["resid_post.1"].inserted == pytest.approx(1.0, abs=1e-5)
    assert found["resid_post.1"].removed == pytest.approx(1.0, abs=1e-5)
    for before in ("attn_out.0", "mlp_out.0", "attn_out.1", "resid_post.0"):
        assert found[before].inserted == pytest.approx(0.0, abs=1e-5)


def test_all_components_together_are_the_whole_change(base: Model, tuned: Model, behaviour: Behaviour) -> None:
    found = shares(base, tuned, behaviour, draws=1)
    assert len(found) == 8
    assert found[-1].up_to == pytest.approx(1.0, abs=1e-9)
    assert found[0].up_to == pytest.approx(found[0].inserted, abs=1e-9)


def test_what_does_not_touch_the_answers_is_not_beyond_random(
    base: Model, one_part: Model, behaviour: Behaviour
) -> None:
    """Beside a part that was trained, one that was moved at random."""
    other = Model(one_part.module, base.tokenizer)
    part = next(
        each for each in components_of(base, dict(base.module.named_parameters())) if each.name == "attention 0"
    )
    moved = {name: value + 0.01 * torch.randn(value.shape, generator=torch.Generator().manual_seed(3))
             for name, value in weights_of(base, part).items()}  # fmt: skip
    with with_weights(other, moved):
        found = {share.component: share for share in shares(base, other, behaviour)}
    assert beyond_shares(found["attention 0"]) == (False, False)
    assert beyond_shares(found["MLP 1"]) == (True, True)


def test_weights_are_put_back_after_an_error(base: Model, tuned: Model) -> None:
    before = {name: p.clone() for name, p in base.module.named_parameters()}
    part = components_of(base, before)[2]
    with pytest.raises(RuntimeError), with_weights(base, weights_of(tuned, part)):
        raise RuntimeError
    assert all(torch.equal(before[name], p) for name, p in base.module.named_parameters())


def test_random_changes_have_the_size_of_the_change(base: Model, tuned: Model) -> None:
    part = components_of(base, dict(base.module.named_parameters()))[3]
    here, there = weights_of(base, part), weights_of(tuned, part)
    moved = sign_flipped(here, there, torch.Generator().manual_seed(0))
    for name in here:
        assert torch.allclose((moved[name] - here[name]).abs(), (there[name] - here[name]).abs(), atol=1e-6)


def test_values_are_what_a_plain_loop_gives(base: Model, behaviour: Behaviour, asked) -> None:
    found = behaviour.values(base)
    for place, sample in list(enumerate(asked.samples))[:6]:
        logits = base.logits(base.tokenize(sample.input))[0, -1].double()
        expected = logits.log_softmax(-1)[base.answer_token(str(sample.target))]
        assert found[place] == pytest.approx(float(expected), abs=1e-5)


def test_an_output_that_is_put_in_is_read_there(base: Model, tuned: Model, behaviour: Behaviour, asked) -> None:
    """The exchange of outputs, against one prompt at a time."""
    share = next(s for s in shares(base, tuned, behaviour, 1, outputs=True) if s.component == "mlp_out.1")
    site, change = Site("mlp_out", 1), behaviour.values(tuned) - behaviour.values(base)
    moved: list[float] = []
    for sample in asked.samples:
        one, answer = base.tokenize(sample.input), base.answer_token(sample.target)
        theirs = tuned.trace(one, [site], logits=False)[site]
        before = base.logits(one)[0, -1].double().log_softmax(-1)[answer]
        with base.intervene(Set(site, theirs)):
            after = base.logits(one)[0, -1].double().log_softmax(-1)[answer]
        moved.append(float(after - before))
    assert share.inserted == pytest.approx(np.mean(moved) / change.mean(), abs=1e-4)
