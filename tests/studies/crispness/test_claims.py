"""A latent that is planted in a model meets every criterion, and where one part of the plan is left out, that is not met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from heldout.evidence import Claim
from heldout.models import Model, Site, Tokens
from heldout.studies.crispness.claims import claims_of
from heldout.studies.crispness.decoding import decode
from heldout.studies.crispness.findings import CRITERIA, CrispnessStudy, LatentFinding, PathReading
from heldout.studies.crispness.measuring import Effort, Read, findings_of, over_latents
from heldout.studies.crispness.page import report_page
from heldout.studies.crispness.reading import LatentTexts

SITE = Site("resid_post", 0)
Planted = Callable[..., LatentTexts]
Measured = Callable[..., CrispnessStudy]


@pytest.fixture
def measured(planted: Planted, wired: Callable[..., Model]) -> Measured:
    """A study of the order of two tokens, which bare words do not tell. The last one's dimension 0 is the latent, which the
    unembedding reads if `used`; `coins`, as many latents as that, are of random labels."""

    def make(*, used: bool = True, coins: int = 0) -> CrispnessStudy:
        model, texts = wired(used=used), planted(words=40)
        module: Any = model.module
        module.embed.weight.data[1, 1:] = module.embed.weight.data[2, 1:]
        ids = torch.randint(3, 30, (len(texts.texts), 4), generator=torch.Generator().manual_seed(2))
        ids[:, -2:] = torch.tensor([[2, 1] if label == "up" else [1, 2] for label in texts.labels])
        tokens = Tokens.from_ids(ids)
        stream = model.trace(tokens, [SITE], positions=-1, logits=False)[SITE][:, 0].double().numpy()
        order = replace(texts, tokens=tokens, streams={SITE: stream})
        generator = np.random.default_rng(4)
        read = {"order": order}
        for coin in range(coins):
            flipped = generator.permutation(texts.labels).tolist()
            labelled = (replace(text, value=value) for text, value in zip(texts.texts, flipped, strict=True))
            read[f"coin {coin}"] = replace(order, texts=tuple(labelled))
        noise = {
            name: replace(each, streams={SITE: generator.normal(size=stream.shape)}) for name, each in read.items()
        }
        effort = Effort(pairs=12).resolved("a test", len(read))
        found, twin = read_by(model, read), read_by(model, noise)
        return CrispnessStudy(
            "a model", "plain", "0", True, "orders", "0",
            findings_of(found, [twin], effort, 0, lambda _: None), findings_of(twin, [], effort, 0, lambda _: None),
            1, PathReading(missing="not asked"), 0,
        )  # fmt: skip

    return make


def read_by(model: Model, texts: dict[str, LatentTexts]) -> Read:
    return Read(model, texts, {name: decode(each.streams, each) for name, each in texts.items()})


def by_id(study: CrispnessStudy) -> dict[str, Claim]:
    return {claim.id: claim for claim in claims_of(study)}


def test_what_is_planted_is_crisp_and_its_twin_is_not(measured: Measured) -> None:
    study = measured()
    (order,) = study.found
    assert order.failed == ()
    assert not study.twin[0].crisp
    claims = by_id(study)
    assert all(claims[f"order-{name}"].found for name in ("decoded", "used", "crisp"))
    assert f"met all {len(CRITERIA)} criteria" in claims["order-crisp"].statement


def test_one_planted_latent_is_found_among_six_coins(measured: Measured) -> None:
    """The draws and groups suffice for the correction over seven latents; no coin is found."""
    study = measured(coins=6)
    order, *coins = study.found
    assert order.failed == ()
    assert order.used_p_value <= 0.05
    for coin in coins:
        assert not coin.met["decoded"]
        assert not coin.met["used"]
    assert "corrected over 7 latents (Holm)" in by_id(study)["order-decoded"].statement


def test_what_is_not_read_is_said_to_be_not_met_and_by_which_null(measured: Measured) -> None:
    study = measured(used=False)
    (order,) = study.found
    assert order.failed == ("used",)
    claims = by_id(study)
    assert not claims["order-used"].found
    assert "not shown to be more than" in claims["order-used"].statement
    assert "was not shown to be crisp in a model: not met: used (" in claims["order-crisp"].statement
    assert "contained" not in claims["order-crisp"].statement
    page = report_page(study, list(claims.values()), [])
    assert "0 of 1 latents met all five criteria" in page
    assert "Found to be used: none (in the untrained twin: none)" in page


def test_what_the_untrained_twin_does_as_well_is_said(measured: Measured) -> None:
    """A use that needs no training is one of the network's shape, not of what it learnt."""
    study = measured()
    page = report_page(study, [], [])
    assert "twin too" not in page
    assert "(in the untrained twin: none)" in page
    same = replace(study, twin=study.found)
    page = report_page(same, [], [])
    assert page.count("twin too") == len(CRITERIA)
    assert "(in the untrained twin: order)" in page
    assert f"In an untrained twin it is {study.found[0].use.flip.value:+.3f}" in by_id(same)["order-used"].statement


def test_every_claim_says_null_number_interval_and_correction(measured: Measured) -> None:
    claims = by_id(measured(coins=1))
    for name in ("order", "coin 0"):
        for what in ("decoded", "used"):
            statement = claims[f"{name}-{what}"].statement
            for said in ("95 % interval", "12 groups", "corrected over 2 latents (Holm)", "p = "):
                assert said in statement, statement
            for result in claims[f"{name}-{what}"].results:
                assert result.interval is not None
                assert all(null.n for null in result.nulls)
    assert "12 differing pairs" in claims["order-used"].statement
    assert "random directions and" in claims["order-used"].statement
    for null in ("permuted labels", "untrained twin", "bag of tokens"):
        assert null in claims["order-decoded"].statement
    assert "was not shown to be read off" in claims["coin 0-decoded"].statement


def test_too_few_groups_are_named_where_they_could_find_nothing(measured: Measured) -> None:
    study = measured()
    (order,) = study.found
    few: LatentFinding = replace(order, groups=4, least_p_value=0.5**4, p_value=0.4)
    (claim, *_) = claims_of(replace(study, found=(few,)))
    assert "With 4 groups of test texts p is 0.062 at least: even alone it could not be found." in claim.statement


def test_each_kind_of_question_is_corrected_over_the_latents(measured: Measured) -> None:
    (order,) = measured().found
    alone = over_latents([order])[0]
    assert alone.used_p_value == order.use.flip.p_value
    for each in over_latents([order] * 7):
        assert each.used_p_value == pytest.approx(7 * order.use.flip.p_value)
        assert each.p_value == pytest.approx(7 * max(null.p_value or 0.0 for null in order.nulls))
        assert each.removal_p_value == pytest.approx(min(1.0, 7 * order.use.removal.p_value))
