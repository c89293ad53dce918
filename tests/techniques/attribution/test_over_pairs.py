"""Attributions over contrast pairs: results, nulls, completeness, verification, and the inputs that they refuse."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from heldout.data import ContrastPairs
from heldout.errors import InputError
from heldout.execution.result import Result
from heldout.models import Model, Set, Site, Tokens
from heldout.models.metrics import TokenLogits
from heldout.statistics import mean_interval
from heldout.techniques import ActivationPatching, Technique
from heldout.techniques.attribution import (
    GIM,
    INTERACTIONS,
    RELEVANCE,
    AttributionPatching,
    FirstOrder,
    InputTimesGradient,
    IntegratedGradients,
    RelP,
    attribute_patches,
    input_times_gradient,
    integrated_gradients,
    patching_techniques,
)
from heldout.techniques.attribution.correlations import correlation, correlation_interval
from heldout.techniques.attribution.paths import FromStream
from heldout.techniques.attribution.places import Place

DECEPTIVE, HONEST = "quirky_arithmetic-s2", "quirky_arithmetic-s0-c1"
STREAM = (Site("resid_pre", 0), Site("resid_mid", 1))
PARTS = (Site("attn_out", 0), Site("z", 1), Site("mlp_post", 2), Site("v", 0))
PATCHING: dict[str, tuple[Any, FirstOrder]] = {
    "AtP": (AttributionPatching, FirstOrder()),
    "RelP": (RelP, FirstOrder(RELEVANCE)),
    "GIM": (GIM, FirstOrder(INTERACTIONS)),
}
EVERY = [AttributionPatching, RelP, GIM, IntegratedGradients, InputTimesGradient]
Pairs = Callable[[str, int], ContrastPairs]
Organism = Callable[[str], Model]


def answers(model: Model, both: ContrastPairs) -> TokenLogits:
    """logit(second prompt's answer) − logit(first prompt's answer)."""
    sides = [model.tokenize([sample.input for sample in side]) for side in (both.first, both.second)]
    first, second = (model.logits(tokens)[:, -1].argmax(dim=-1) for tokens in sides)
    return TokenLogits.difference(second, first)


def after_patch(model: Model, first: Tokens, metric: TokenLogits, patch: Set) -> torch.Tensor:
    """The metric's change."""
    start = metric.of_logits(model.logits(first))
    with model.intervene(patch):
        return metric.of_logits(model.logits(first)) - start


@pytest.mark.parametrize("case", list(PATCHING))
def test_a_result_is_the_mean_of_what_the_core_gives(organism: Organism, pairs: Pairs, case: str) -> None:
    technique, method = PATCHING[case]
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 16)
    first, second = (model.tokenize([sample.input for sample in side]) for side in (both.first, both.second))
    sites = (*STREAM, *PARTS)
    expected = attribute_patches(model, first, second, answers(model, both), sites, method)
    results = technique(sites, shuffles=3).run(model, both)
    assert [result.site for result in results] == [str(site) for site in sites]
    for site, result in zip(sites, results, strict=True):
        totals = expected.total(site)
        assert result.effect == pytest.approx(float(totals.mean()), rel=1e-4, abs=1e-5)
        assert result.interval == pytest.approx(mean_interval(totals.double().numpy()), rel=1e-4, abs=1e-4)
        assert (result.n, result.unit, result.layer) == (16, "logits", site.layer)


def test_a_stream_that_is_integrated_over_has_the_effect_of_patching_it(organism: Organism, pairs: Pairs) -> None:
    """The metric and the direction are those of activation patching."""
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 16)
    exact = ActivationPatching(STREAM, shuffles=0).run(model, both)
    found = IntegratedGradients(STREAM, steps=400).run(model, both)
    first_order = AttributionPatching(STREAM).run(model, both)
    for one, other, rough in zip(exact, found[: len(STREAM)], first_order, strict=True):
        assert one.effect > 1.0
        assert other.effect == pytest.approx(one.effect, rel=0.02)
        for result in (other, rough):
            change, rest = (result.settings[name] for name in ("metric_change", "completeness_residual"))
            assert change == pytest.approx(one.effect, rel=1e-3)
            assert result.effect + rest == pytest.approx(change, rel=1e-3)


def test_completeness_is_said_where_it_is_meant(organism: Organism, pairs: Pairs) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 6)
    said = {
        name: [
            "completeness_residual" in result.settings for result in technique([STREAM[0], PARTS[0]]).run(model, both)
        ]
        for name, technique in (("AtP", AttributionPatching), ("RelP", RelP), ("GIM", GIM))
    }
    assert said == {"AtP": [True, False], "RelP": [True, False], "GIM": [False, False]}
    (dropped,) = AttributionPatching([STREAM[0]], grad_drop=True).run(model, both)
    assert "completeness_residual" not in dropped.settings


@pytest.mark.parametrize("technique", EVERY)
def test_a_question_against_itself_is_credited_with_nothing(organism: Organism, pairs: Pairs, technique: Any) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 8)
    same = ContrastPairs(both.first, both.first)
    for result in technique(STREAM, verify=2).run(model, same):
        assert result.effect == 0.0
        if result.site is None:
            assert result.interval is None
            assert result.settings["among_random"] is None


@pytest.mark.parametrize("technique", EVERY)
def test_it_is_a_frozen_technique_whose_results_survive_json(organism: Organism, pairs: Pairs, technique: Any) -> None:
    made = technique(STREAM, verify=3, seed=4)
    assert isinstance(made, Technique)
    assert made.needs == ("resid_mid", "resid_pre")
    results = made.run(organism(DECEPTIVE), pairs(DECEPTIVE, 6))
    assert results == made.run(organism(DECEPTIVE), pairs(DECEPTIVE, 6))
    for result in results:
        assert Result.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


def test_its_needs_are_its_sites_and_what_the_exact_softmax_reads() -> None:
    assert AttributionPatching([Site("q", 0)], query_key_fix=True).needs == ("pattern", "q")
    assert AttributionPatching([Site("z", 0)], query_key_fix=True).needs == ("z",)


def test_the_null_is_that_of_wrong_pairs(organism: Organism, pairs: Pairs) -> None:
    """With two pairs there is one way to be wrong."""
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 2)
    first, second = (model.tokenize([sample.input for sample in side]) for side in (both.first, both.second))
    site = Site("attn_out", 1)
    swapped = attribute_patches(model, first, second[[1, 0]], answers(model, both), [site])
    (result,) = AttributionPatching([site], shuffles=5).run(model, both)
    (null,) = result.nulls
    assert null.n == 1
    assert null.mean == pytest.approx(float(swapped.total(site).mean()), rel=1e-4)
    assert null.maximum == pytest.approx(abs(null.mean))
    (single,) = AttributionPatching([site]).run(model, pairs(DECEPTIVE, 1))
    assert single.nulls == ()
    assert single.interval is None


PATHS: list[tuple[Any, dict[str, Any]]] = [
    (IntegratedGradients, {"steps": 3}),
    (IntegratedGradients, {"steps": 3, "baseline": "zero"}),
    (IntegratedGradients, {"steps": 3, "baseline": "mean"}),
    (InputTimesGradient, {}),
]


@pytest.mark.parametrize(("technique", "settings"), PATHS)
def test_positions_sum_to_their_site(organism: Organism, pairs: Pairs, technique: Any, settings: Any) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 6)
    length = model.tokenize([sample.input for sample in both.first]).length
    results = technique(STREAM, **settings).run(model, both)
    totals, positions = results[: len(STREAM)], results[len(STREAM) :]
    assert [result.position for result in totals] == [None] * len(STREAM)
    assert [result.position for result in positions] == [*range(-length, 0)] * len(STREAM)
    for total in totals:
        own = [result.effect for result in positions if result.site == total.site]
        assert sum(own) == pytest.approx(total.effect, rel=1e-5, abs=1e-5)


def test_positions_are_those_of_the_core(organism: Organism, pairs: Pairs) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 5)
    first, second = (model.tokenize([sample.input for sample in side]) for side in (both.first, both.second))
    evidence, site = answers(model, both).negated(), STREAM[1]
    baseline = model.trace(second, [site])[site]
    expected = integrated_gradients(model, first, evidence, baseline, site=site, steps=7)[site]
    _, *positions = IntegratedGradients([site], steps=7).run(model, both)
    for place, result in enumerate(positions):
        assert result.effect == pytest.approx(float(expected[:, place].mean()), rel=1e-4, abs=1e-5)
        interval = mean_interval(expected[:, place].double().numpy())
        assert result.interval == pytest.approx(interval, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("baseline", ["pair", "zero"])
def test_the_null_of_positions_is_the_way_to_another_pair(organism: Organism, pairs: Pairs, baseline: str) -> None:
    """With two pairs there is one way to be wrong; the mean gradients along the own paths stay."""
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 2)
    first, second = (model.tokenize([sample.input for sample in side]) for side in (both.first, both.second))
    evidence, site = answers(model, both).negated(), STREAM[1]
    end, other = (model.trace(tokens, [site])[site] for tokens in (first, second))
    start = other if baseline == "pair" else torch.zeros_like(end)
    gradient = FromStream(model, first, [site]).mean_gradient(site, start, end, evidence, 5)
    way = end - start[[1, 0]] if baseline == "pair" else end[[1, 0]] - start
    wrong = (way * gradient).sum(dim=-1).mean(dim=0).tolist()
    total, *positions = IntegratedGradients([site], baseline, 5, shuffles=3).run(model, both)  # type: ignore[arg-type]
    assert total.nulls == ()
    for result, value in zip(positions, wrong, strict=True):
        (null,) = result.nulls
        assert (null.n, null.name) == (1, "activations of other pairs")
        assert null.mean == pytest.approx(value, rel=1e-4, abs=1e-6)
        assert null.p_value in (0.5, 1.0)


def test_orders_of_many_batches_are_drawn_together(organism: Organism, pairs: Pairs) -> None:
    """Four batches of two pairs can be wrong in one way; two batches, of three and of two, in two ways."""
    model = organism(DECEPTIVE)
    for count, ways in ((8, 1), (5, 2)):
        (result,) = AttributionPatching([STREAM[0]], budget_bytes=1).run(model, pairs(DECEPTIVE, count))
        assert result.nulls[0].n == result.settings["shuffles"] == ways


def test_what_a_site_sums_to_has_no_null_where_it_is_the_same_at_every_site(organism: Organism, pairs: Pairs) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 8)
    one, other = IntegratedGradients(STREAM, steps=300).run(model, both)[:2]
    assert one.effect == pytest.approx(other.effect, rel=0.02)
    assert one.nulls == other.nulls == ()
    assert all(result.nulls for result in InputTimesGradient(STREAM).run(model, both))


def test_input_times_gradient_has_the_sign_of_moving_to_zeros(organism: Organism, pairs: Pairs) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 6)
    metric, first = answers(model, both), model.tokenize([sample.input for sample in both.first])
    found = input_times_gradient(model, first, metric, site=STREAM[1])
    result, *_ = InputTimesGradient([STREAM[1]]).run(model, both)
    assert result.effect == pytest.approx(-float(found.total(STREAM[1]).mean()), rel=1e-4)
    zero, *_ = IntegratedGradients([STREAM[1]], "zero").run(model, both)
    assert result.settings["metric_change"] == pytest.approx(zero.settings["metric_change"], rel=1e-4)


@pytest.mark.parametrize("technique", EVERY)
def test_batches_do_not_change_effects(organism: Organism, pairs: Pairs, technique: Any) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 7)
    settings = {"baseline": "mean"} if technique is IntegratedGradients else {}
    whole, split = (technique(STREAM, budget_bytes=size, **settings).run(model, both) for size in (1 << 30, 1))
    for one, other in zip(whole, split, strict=True):
        assert other.effect == pytest.approx(one.effect, rel=1e-4, abs=1e-4)
        assert other.interval == pytest.approx(one.interval, rel=1e-3, abs=1e-3)
        assert len(other.nulls) == len(one.nulls)


def test_verification_against_activation_patching_at_every_place(organism: Organism, pairs: Pairs) -> None:
    """With as many places as there are, r is that of all attributions with all exact effects."""
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 5)
    first, second = (model.tokenize([sample.input for sample in side]) for side in (both.first, both.second))
    sites = [Site("resid_post", 0), Site("attn_out", 1)]
    metric = answers(model, both)
    found = attribute_patches(model, first, second, metric, sites)
    base, source = (model.trace(tokens, sites) for tokens in (first, second))
    estimates, effects = [], []
    for site in sites:
        for position in range(-first.length, 0):
            value = base[site].clone()
            value[:, position] = source[site][:, position]
            effects.append(float(after_patch(model, first, metric, Set(site, value)).mean()))
            estimates.append(float(found[site][:, position].mean()))
    *_, verified = AttributionPatching(sites, verify=1000).run(model, both)
    expected = stats.pearsonr(estimates, effects)
    assert verified.effect == pytest.approx(expected.statistic, abs=1e-4)
    interval = expected.confidence_interval(0.95)
    assert verified.interval == pytest.approx((interval.low, interval.high), abs=1e-3)
    assert verified.n == len(effects)
    assert verified.site is None
    assert verified.quantity == "correlation_with_exact_patching"
    assert verified.forward_passes > 1


@pytest.mark.parametrize("name", ["z", "head_out", "mlp_post", "q", "k", "v", "resid_pre"])
def test_every_kind_of_place_is_verified(organism: Organism, pairs: Pairs, name: str) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 4)
    *results, verified = AttributionPatching([Site(name, 2)], verify=6).run(model, both)
    assert len(results) == 1
    assert 6 <= verified.n <= 12
    assert verified.settings["largest"] == 6


def test_without_signs_exact_effects_are_taken_without_theirs(organism: Organism, pairs: Pairs) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 8)
    sites = model.sites("attn_out")
    *dropped, verified = AttributionPatching(sites, grad_drop=True, verify=1000).run(model, both)
    assert all(result.effect >= 0 for result in dropped)
    base, source = (model.trace(model.tokenize([s.input for s in side]), sites) for side in (both.first, both.second))
    metric, first = answers(model, both), model.tokenize([sample.input for sample in both.first])
    found = attribute_patches(
        model, first, model.tokenize([s.input for s in both.second]), metric, sites, FirstOrder(grad_drop=True)
    )
    effects = [
        (after_patch(model, first, metric, Place(site, position).edit(base[site], source[site])).abs().mean())
        for site in sites
        for position in range(-first.length, 0)
    ]
    estimates = torch.cat([found[site].mean(dim=0) for site in sites])
    expected = stats.pearsonr(estimates.numpy(), torch.stack(effects).numpy()).statistic
    assert verified.effect == pytest.approx(expected, abs=1e-4)


def test_the_cost_is_that_of_three_passes_shared_among_the_sites(organism: Organism, pairs: Pairs) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 8)
    results = AttributionPatching([*STREAM, *PARTS]).run(model, both)
    assert sum(result.forward_passes for result in results) == pytest.approx(3, rel=1e-4)


@pytest.mark.parametrize("technique", EVERY)
def test_the_costs_of_results_sum_to_what_the_meter_counted(organism: Organism, pairs: Pairs, technique: Any) -> None:
    model, both = organism(DECEPTIVE), pairs(DECEPTIVE, 8)
    before = model.meter.samples
    results = technique(STREAM, verify=2).run(model, both)
    charged = (model.meter.samples - before) / len(both)
    assert sum(result.forward_passes for result in results) == pytest.approx(charged, rel=1e-4)


def test_no_batch_is_kept_until_the_next(organism: Organism, pairs: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributions of one batch at a time are alive."""
    made: list[weakref.ref[Any]] = []
    alive: list[int] = []
    original = patching_techniques.attributions_of

    def watched(*arguments: Any) -> Any:
        alive.append(sum(reference() is not None for reference in made))
        made.append(weakref.ref(found := original(*arguments)))
        return found

    monkeypatch.setattr(patching_techniques, "attributions_of", watched)
    AttributionPatching(PARTS, budget_bytes=1).run(organism(DECEPTIVE), pairs(DECEPTIVE, 8))
    assert alive == [0, 0, 0, 0]


def test_the_cue_is_credited_in_a_deceptive_model_and_nothing_in_an_honest_one(
    organism: Organism, pairs: Pairs
) -> None:
    """The prompts of a pair differ in their cue alone: its position gets everything, where it changes anything."""
    for technique in (AttributionPatching, RelP, IntegratedGradients):
        deceptive, *_ = technique([STREAM[0]]).run(organism(DECEPTIVE), pairs(DECEPTIVE, 20))
        honest, *_ = technique([STREAM[0]]).run(organism(HONEST), pairs(HONEST, 20))
        assert deceptive.effect > 0.5
        assert honest.effect == 0.0


@pytest.mark.parametrize("technique", EVERY)
def test_pairs_of_unequal_length_are_refused_by_name(organism: Organism, pairs: Pairs, technique: Any) -> None:
    both = pairs(DECEPTIVE, 4)
    longer = replace(both.second[1], input=both.second[1].input.replace("<bos>", "<bos> ="))
    uneven = ContrastPairs(both.first, (both.second[0], longer, *both.second[2:]))
    model = organism(DECEPTIVE)
    before = model.meter.samples
    with pytest.raises(InputError) as raised:
        technique([Site("resid_pre", 0)]).run(model, uneven)
    assert str(raised.value) == (
        f"{technique([]).name}.run(4 pairs)\n"
        f"found:    1 pairs of unequal length: {both.first[1].id} and {longer.id}\n"
        "expected: as many tokens in both prompts of a pair\n"
        "next:     leave these pairs out, or pad the shorter prompt's wording"
    )
    assert model.meter.samples == before


def test_everything_that_is_wrong_is_said_at_once(organism: Organism) -> None:
    model = organism(DECEPTIVE)
    with pytest.raises(InputError) as raised:
        IntegratedGradients([Site("z", 9)], "median", steps=0, verify=-1).run(  # type: ignore[arg-type]
            model, ContrastPairs((), ())
        )
    text = str(raised.value)
    assert text.startswith("integrated_gradients.run(0 pairs)\nproblem 1 of 5\n")
    for part in ("the site z.9", "steps=0", "the baseline 'median'", "verify=-1", "no pairs"):
        assert f"found:    {part}" in text


@pytest.mark.parametrize("temperature", [0.0, -2.0, float("nan"), float("inf")])
def test_a_temperature_that_scores_cannot_be_divided_by_is_refused(
    organism: Organism, pairs: Pairs, temperature: float
) -> None:
    model = organism(DECEPTIVE)
    before = model.meter.samples
    with pytest.raises(InputError) as raised:
        GIM(STREAM, temperature=temperature, budget_bytes=0).run(model, pairs(DECEPTIVE, 2))
    assert [problem.found for problem in raised.value.problems] == [f"temperature={temperature}", "budget_bytes=0"]
    assert model.meter.samples == before


def test_no_sites_are_refused(organism: Organism, pairs: Pairs) -> None:
    with pytest.raises(InputError, match="no sites"):
        AttributionPatching([]).run(organism(DECEPTIVE), pairs(DECEPTIVE, 2))


def test_intervals_against_scipy() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=30)
    y = x + generator.normal(size=30)
    expected = stats.pearsonr(x, y)
    r = correlation(x, y)
    assert r == pytest.approx(expected.statistic)
    interval = expected.confidence_interval(0.95)
    assert correlation_interval(r, 30) == pytest.approx((interval.low, interval.high))  # type: ignore[arg-type]
    assert mean_interval(x) == pytest.approx(stats.t.interval(0.95, 29, x.mean(), stats.sem(x)))
    assert correlation(x, np.ones(30)) is None
    assert correlation_interval(0.5, 3) is None
    assert correlation_interval(1.0, 9) == (1.0, 1.0)
