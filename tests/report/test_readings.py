import pytest

from heldout.execution.result import Null, Result
from heldout.report.readings import (
    at_last_position,
    effects,
    heat_maps,
    is_charted,
    on_test_samples,
    random_effects,
    readout_lines,
    stability_lines,
)
from heldout.report.tables import predictive_values, weakest_p
from heldout.report.words import number, p_value, percent


def reading(quantity="readout_accuracy", effect=0.5, **fields):
    defaults = {"technique": "t", "unit": "fraction", "n": 10, "site": "resid_post.0", "position": -1}
    return Result(quantity=quantity, effect=effect, **{**defaults, **fields})


def test_only_test_samples_are_drawn_where_there_are_any():
    select, test = reading(split="select"), reading(split="test")
    other = reading("restoration", split="select")
    assert on_test_samples([select, test, other]) == [test, other]


def test_a_spent_instrument_is_never_drawn():
    spent = reading(settings={"instrument_status": "trained-on"})
    assert on_test_samples([spent]) == []
    assert readout_lines([spent]) is None


def test_the_last_position_is_that_nearest_to_the_end():
    first, last, everywhere = reading(position=-3), reading(position=-2), reading(site="resid_post.1", position=None)
    assert at_last_position([first, last, everywhere]) == [last, everywhere]


def test_lines_hold_the_effects_in_the_order_of_sites_and_nulls_their_own():
    nulls = (Null("permuted labels", 0.1, 0.2, 100, 0.01), Null("baseline", 0.3, 0.3, 1))
    found = readout_lines([
        reading(site="resid_post.1", effect=0.9, nulls=nulls),
        reading(site="resid_post.0", effect=0.4, nulls=nulls),
        reading("readout_agreement", 0.2, nulls=(Null("permuted labels", 0.7, 0.9, 100, 0.5),)),
    ])  # fmt: skip
    assert found is not None
    accuracy, agreement, permuted, baseline = found[0]
    assert [(p.x, p.y) for p in accuracy.points] == [(0, 0.4), (1, 0.9)]
    assert agreement.tone != accuracy.tone
    assert (permuted.kind, permuted.points[0].y, permuted.points[0].high) == ("band", 0.1, 0.2)
    assert (baseline.kind, baseline.points[0].y) == ("null", 0.3)


def test_a_heat_map_needs_more_than_one_position_and_shows_the_largest_null():
    nulls = (Null("a", 0.1, 0.2, 5), Null("b", 0.05, 0.4, 5))
    one = [reading(nulls=nulls)]
    assert heat_maps(one) == ()
    (shown,) = heat_maps([*one, reading(position=-2, effect=0.1, nulls=nulls)])
    assert shown.values == {("resid_post.0", -2): 0.1, ("resid_post.0", -1): 0.5}
    assert set(shown.nulls.values()) == {0.4}


def test_random_directions_come_from_the_settings_or_as_a_range():
    null = Null("random directions", 0.1, 0.3, 20, 0.05)
    with_draws = reading("restoration", nulls=(null,), settings={"random_effects": [0.1, 0.3]})
    without = reading("restoration", site="resid_post.1", nulls=(null, Null("decoy", 0.2, 0.2, 1)))
    found = effects([with_draws, without], "restoration")
    assert found is not None
    assert found[0][0].random == (0.1, 0.3)
    assert found[0][1].random_range == (0.1, 0.3)
    assert found[0][1].others == (("decoy", 0.2),)


def test_many_random_directions_are_thinned_out_but_keep_their_extremes():
    draws = [index / 1000 for index in range(500)]
    shown = random_effects(reading("restoration", settings={"random_effects": draws}), None)
    assert (len(shown), shown[0], shown[-1]) == (60, 0.0, 0.499)


def test_results_that_no_chart_shows_are_known():
    assert is_charted(reading())
    assert not is_charted(reading(site=None))
    assert not is_charted(reading("novelty"))
    assert not is_charted(reading("stability"))
    assert is_charted(reading("stability", settings={"noise": 0.1}))


def test_stability_is_drawn_by_role_over_noise():
    found = stability_lines([
        reading("stability", effect, role=role, settings={"noise": noise})
        for role in ("unverified", "verified") for noise, effect in ((0.2, 0.4), (0.1, 0.3))
    ])  # fmt: skip
    assert found is not None
    lines, scales, _ = found
    assert [line.name for line in lines] == ["verified", "unverified"]
    assert [(p.x, p.y) for p in lines[0].points] == [(0.1, 0.3), (0.2, 0.4)]
    assert scales == (0.1, 0.2)


def test_an_effect_has_to_beat_every_null():
    nulls = (Null("a", 0, 0, 9, 0.001), Null("b", 0, 0, 9, 0.2), Null("c", 0, 0, 1))
    assert weakest_p(reading(nulls=nulls)) == 0.2


def test_predictive_values_follow_bayes():
    """Recall .95 at 1 % false alarms: 49, 8.7 and 0.9 % at prevalences of 1e-2, 1e-3 and 1e-4."""
    assert [value for _, value in predictive_values(0.95, 0.01)] == pytest.approx([0.490, 0.0868, 0.00941], rel=5e-3)
    assert [value for _, value in predictive_values(0.3, 0.3)] == pytest.approx([1e-2, 1e-3, 1e-4])


def test_numbers_are_written_for_people():
    assert [number(v) for v in (None, 0.0, 1.0, 0.123, -0.5, 12.34, 41230.0, 1e-5, float("nan"))] == [
        "–", "0", "1", "0.12", "−0.50", "12.3", "41230", "< 0.001", "nan",
    ]  # fmt: skip
    assert [p_value(v) for v in (None, 0.048, 0.0004, 1e-9)] == ["–", "0.048", "< 0.001", "< 0.001"]
    assert [percent(v) for v in (None, 0, 0.985, 0.087, 0.0094)] == ["–", "0 %", "98 %", "8.7 %", "0.94 %"]
    assert [percent(v) for v in (1, 0.9999, 0.996, -0.5, -1, 1e-7)] == [
        "100 %", "99.9 %", "99.6 %", "−50 %", "−100 %", "< 0.01 %",
    ]  # fmt: skip
