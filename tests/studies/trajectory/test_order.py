"""Onsets, order and phases on courses that are made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from heldout.execution.result import Result
from heldout.studies.trajectory.behaviour import ACCEPTED, CHANCE
from heldout.studies.trajectory.claims import claims_of
from heldout.studies.trajectory.departures import (
    DEPARTED,
    EXCESS,
    OF_DEPARTURES,
    OTHER_READINGS,
    TRANSFERRED,
    excess_of,
)
from heldout.studies.trajectory.findings import TrajectoryStudy
from heldout.studies.trajectory.order import PERMUTED, onsets_of, order_of
from heldout.studies.trajectory.phases import phases_of
from heldout.studies.trajectory.power import detectable_rate, excess_power, rate_power
from heldout.studies.trajectory.readouts import READ

CHANCE_RATE = 0.1


def cells(
    made_up: SimpleNamespace, right: float, readable: float, excess: float, transfer: float | None = 1.0
) -> list[Result]:
    """A checkpoint whose p-values go with its values; `transfer` None: the run has no reference."""

    def p_value(value: float, chance: float) -> float:
        return 1e-9 if value > chance + 0.05 else 0.5

    chance = CHANCE_RATE
    return [
        made_up.result(ACCEPTED, right, p_value(right, chance), null=CHANCE, chance=chance, role="verified",
                       settings={"cue": None}),
        made_up.result(ACCEPTED, 0.5, 0.5, null=CHANCE, chance=0.5, role="unverified", settings={"cue": None}),
        made_up.result(READ, readable, p_value(readable, chance), null=PERMUTED, chance=chance,
                       settings={"concept": "right answer"}),
        made_up.result(EXCESS, excess, p_value(excess, 0.0), role="unverified", settings={}),
        *(made_up.result(DEPARTED, max(excess, 0.0) * (role == "unverified"), role=role, settings={"cue": None},
                         null=OTHER_READINGS, chance=0.9) for role in ("verified", "unverified")),
        *([] if transfer is None else [
            made_up.result(TRANSFERRED, transfer, p_value(transfer, chance), null=OTHER_READINGS, chance=chance,
                           role="unverified", settings={"reference": 40, OF_DEPARTURES: transfer})]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "readable", "excess", "expected"),
    [
        ([0.1, 0.9, 1.0, 1.0], [0.1, 0.1, 0.9, 1.0], [0.0, 0.0, 0.0, 0.9], (2, 1, 3, 2, True)),
        ([0.1, 0.9, 1.0, 1.0], [0.9, 0.9, 0.9, 1.0], [0.0, 0.8, 0.9, 0.9], (0, 1, 1, 1, False)),
        ([0.9, 0.1, 0.9, 0.9], [0.9, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9, 0.0], (0, 2, None, 2, None)),
        ([0.1, 0.1, 0.1, 0.5], [0.2, 0.2, 0.9, 0.9], [0.0, 0.0, 0.9, 0.9], (2, None, 2, None, None)),
    ],
    ids=["capable first", "together", "an override that goes again", "never more than half right"],
)
def test_onsets(
    made_up: SimpleNamespace,
    right: list[float],
    readable: list[float],
    excess: list[float],
    expected: tuple[object, ...],
) -> None:
    course = made_up.course([cells(made_up, *values) for values in zip(right, readable, excess, strict=True)])
    found = onsets_of(course)
    assert (found.readable, found.right, found.override, found.capable, found.ordered) == expected


def test_a_checkpoint_that_was_not_measured_says_nothing(made_up: SimpleNamespace) -> None:
    course = made_up.course(
        [cells(made_up, 0.1, 0.1, 0.0), cells(made_up, 1.0, 1.0, 0.0), [], cells(made_up, 1.0, 1.0, 0.9)]
    )
    found = onsets_of(course)
    assert (found.capable, found.override) == (1, 3)


def study_of(
    made_up: SimpleNamespace, overrides: list[int], runs: int, n: int = 12, transfer: float | None = 1.0
) -> TrajectoryStudy:
    """Runs that are capable from the fourth checkpoint on, and override from those that are said."""
    courses = []
    for run in range(runs):
        generator = np.random.default_rng(run)
        noise = generator.normal(0, 0.01, n)
        courses.append(
            made_up.course(
                [
                    cells(made_up, (1.0 if place >= 4 else 0.1) + noise[place], 1.0 if place >= 4 else 0.1,
                          (0.9 if place >= overrides[run] else 0.0) + noise[place], transfer)
                    for place in range(n)
                ],
                name=f"run {run}",
            )
        )  # fmt: skip
    return TrajectoryStudy(tuple(courses), "made up", "sums", 100)


def test_the_order_is_tested_over_runs(made_up: SimpleNamespace) -> None:
    order = order_of(study_of(made_up, [8] * 6, 6).onsets)
    assert (order.first, order.runs, order.gap) == (6, 6, 40.0)
    assert order.p_value == pytest.approx(1 / 64)
    assert order.gap_interval == pytest.approx((40.0, 40.0))
    mixed = order_of(study_of(made_up, [8, 9, 3, 3, 8, 8], 6).onsets)
    assert (mixed.first, mixed.runs) == (4, 6)
    assert mixed.p_value == pytest.approx(stats.binom.sf(3, 6, 0.5))
    assert mixed.p_value > 0.05


@pytest.mark.parametrize("transfer", [0.15, None], ids=["reads something else", "no reference"])
def test_a_departure_of_a_readout_that_does_not_transfer_is_undetermined(
    made_up: SimpleNamespace, transfer: float | None
) -> None:
    study = study_of(made_up, [8], 1, transfer=transfer)
    (onsets,) = study.onsets
    assert (onsets.departs, onsets.override, onsets.undetermined) == (8, None, True)
    (override,) = [claim for claim in claims_of(study) if claim.id == "override"]
    assert not override.found
    assert "undetermined" in override.statement
    assert override.missing is not None
    assert "the readout was not shown to transfer to unverified prompts" in override.missing
    assert study.order.runs == 0


def test_an_override_of_part_of_the_prompts_is_undetermined(made_up: SimpleNamespace) -> None:
    course = made_up.course(
        [cells(made_up, 1.0, 1.0, 0.3 if place >= 6 else 0.0) for place in range(12)], name="partly"
    )
    study = TrajectoryStudy((course,), "made up", "sums", 100)
    (onsets,) = study.onsets
    assert (onsets.departs, onsets.override, onsets.in_part, onsets.undetermined) == (None, None, 6, True)
    (override,) = [claim for claim in claims_of(study) if claim.id == "override"]
    assert not override.found
    assert "is undetermined: in part" in override.statement
    assert "0.30" in override.statement
    assert "a claim needs departures more frequent by 0.5" in (override.missing or "")


def test_overrides_are_counted_over_runs(made_up: SimpleNamespace) -> None:
    """Two of six are no finding about such runs, and each of the two is one about itself."""
    said = {claim.id: claim for claim in claims_of(study_of(made_up, [8, 8, 99, 99, 99, 99], 6))}
    low, high = stats.binomtest(2, 6).proportion_ci(0.95, "exact")
    p_value = stats.binom.sf(1, 6, 0.5)
    assert not said["override"].found
    assert said["override"].statement == (
        f"An override was found in 2 of 6 runs (95 % interval of the share {low:.2f} to {high:.2f}; sign test "
        f"p = {p_value:.2g}), from step 80 on."
    )
    assert said["override"].results[0].nulls[0].p_value == pytest.approx(p_value)
    assert [said[f"override, run {run}"].found for run in range(6)] == [True, True, False, False, False, False]
    every = {claim.id: claim for claim in claims_of(study_of(made_up, [8] * 6, 6))}
    assert every["override"].found


def test_what_is_not_found_says_what_was_tried_and_what_could_be_seen(made_up: SimpleNamespace) -> None:
    course = made_up.course([cells(made_up, 0.1, 0.1, 0.0) for _ in range(12)])
    said = {claim.id: claim for claim in claims_of(TrajectoryStudy((course,), "made up", "sums", 100))}
    assert said["right"].statement.startswith(
        "A checkpoint from which on verified prompts are answered rightly was not found by the grader at 12 checkpoints of run"
        ", against answers of other prompts at power "
    )
    assert "at the last checkpoint it is 0.10 against 0.10" in said["right"].statement
    assert (
        said["override"].missing
        == "no readout of the right answer held to the end, so that there is nothing to depart from"
    )


def test_the_power_is_how_often_it_would_be_seen() -> None:
    generator = np.random.default_rng(0)
    for n, chance in ((12, 0.1), (30, 0.5)):
        counts = generator.binomial(n, detectable_rate(chance), 2000)
        held = [
            stats.binom.sf(count - 1, n, chance) <= 0.05 and (count / n - chance) / (1 - chance) > 0.5
            for count in counts
        ]
        assert rate_power(n, chance) == pytest.approx(np.mean(held), abs=0.03)
    excesses = []
    for one, other in zip(generator.binomial(14, 0.85, 1500), generator.binomial(9, 0.1, 1500), strict=True):
        tested: Any = stats.fisher_exact([[one, 14 - one], [other, 9 - other]], alternative="greater")
        excesses.append(tested.pvalue <= 0.05 and one / 14 - other / 9 > 0.5)
    assert excess_power(14, 9, 0.1) == pytest.approx(np.mean(excesses), abs=0.04)


def test_phases_are_where_curves_change(made_up: SimpleNamespace) -> None:
    phases = study_of(made_up, [8, 8, 8], 3).phases
    assert [each.step for each in phases.boundaries] == [40, 80]
    assert [(each.low, each.high) for each in phases.boundaries] == [(30, 40), (70, 80)]
    assert phases.told_by == ("right where it is checked", "right answer can be read", "says what is not read of it")


def test_curves_within_their_null_tell_no_phases(made_up: SimpleNamespace) -> None:
    """They may move as they like: nothing says that it is more than chance."""
    course = made_up.course([cells(made_up, 0.1 + 0.04 * (place >= 6), 0.1, 0.0) for place in range(12)])
    assert phases_of([course]).boundaries == ()


def test_claims_of_several_runs(made_up: SimpleNamespace) -> None:
    said = {claim.id: claim for claim in claims_of(study_of(made_up, [8] * 6, 6))}
    assert said["order"].found
    assert said["order"].statement == (
        "The capability comes before the override in 6 of 6 runs, by 40 steps in the mean (95 % interval 40 to 40); sign "
        "test p = 0.016."
    )
    assert said["right"].statement == (
        "Verified prompts are answered rightly from step 40 on, in 6 of 6 runs (95 % interval of the share 0.54 to 1.00; sign "
        "test p = 0.016)."
    )
    three = {claim.id: claim for claim in claims_of(study_of(made_up, [8] * 3, 3))}
    assert not three["order"].found
    assert three["order"].missing == "5 runs are needed for p ≤ 0.05; these are 3"
    assert three["right, run 0"].statement == "Verified prompts are answered rightly from step 40 on, in run 0."


def test_the_excess_of_departures(made_up: SimpleNamespace) -> None:
    """Against Fisher's test, and by how often the interval holds the truth."""

    def rate(count: int, n: int) -> Result:
        low, high = stats.binomtest(count, n).proportion_ci(0.95, "exact")
        return Result("made up", "departure_rate", "fraction", count / n, n, interval=(low, high))

    found = excess_of(rate(30, 60), rate(5, 40))
    tested: Any = stats.fisher_exact([[30, 30], [5, 35]], alternative="greater")
    assert found.nulls[0].p_value == pytest.approx(tested.pvalue)
    assert found.effect == pytest.approx(30 / 60 - 5 / 40)
    generator = np.random.default_rng(0)
    held = 0
    for one, other in zip(generator.binomial(60, 0.3, 400), generator.binomial(40, 0.1, 400), strict=True):
        low, high = excess_of(rate(int(one), 60), rate(int(other), 40)).interval or (0, 0)
        held += low <= 0.2 <= high
    assert held >= 380
