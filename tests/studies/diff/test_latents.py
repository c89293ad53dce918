"""Latents of one model alone: counted by a crosscoder, and judged beside those of references."""

from __future__ import annotations

import pytest

from heldout.models import Model
from heldout.studies.diff.claims import latents_question
from heldout.studies.diff.judging import judge
from heldout.studies.diff.latents import ExclusiveLatent, LatentReading, latent_reading
from heldout.studies.diff.pairing import paired
from heldout.studies.diff.prompts import Prompts
from heldout.techniques.dictionaries import CrosscoderComparison, NullRuns, Training


def reading(in_tuned: int) -> LatentReading:
    exclusive = (ExclusiveLatent(3, 40, ("rose", "tulip")),) if in_tuned else ()
    return LatentReading("resid_post.1", 500, 40, 0, in_tuned, (0.9, 0.9), exclusive, ())


@pytest.mark.parametrize(("in_tuned", "found"), [(0, False), (1, False), (12, True)])
def test_more_latents_than_in_references_are_found(in_tuned: int, found: bool) -> None:
    question = latents_question(reading(in_tuned), [reading(0), reading(1), reading(0), reading(0)])
    (claim,) = judge([question])
    assert claim.found is found
    assert ("active on rose, tulip" in question.said) is (in_tuned > 0)


def test_latents_are_counted_at_the_middle_layer(base: Model, tuned: Model, asked: Prompts, everyday: Prompts) -> None:
    quick = CrosscoderComparison(training=Training(latents=16, steps=80), nulls=NullRuns(unrelated=1, identical=1))
    found = latent_reading(paired(base, tuned, everyday.texts), (asked, everyday), 0, quick)
    assert found.site == "resid_post.1"
    assert found.shared + found.in_base + found.in_tuned <= 16
    assert len(found.exclusive) == min(found.in_tuned, 8)
    assert min(found.explained) > 0.1
    assert found.nulls[0].name == "a model beside itself"
