"""Single measurements: what counts as chance, as an edge that stands out, and as an edge's course."""

from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from heldout.data import Sample
from heldout.execution.result import Result
from heldout.models import CheckpointSuite
from heldout.studies.trajectory import Course, CurveName, TrajectoryStudy
from heldout.studies.trajectory.answers import accepted_by, answers_of, chance_of
from heldout.studies.trajectory.asked import asked_of
from heldout.studies.trajectory.circuits import EdgeCourses
from heldout.studies.trajectory.coefficients import COEFFICIENT, Coefficients
from heldout.studies.trajectory.drawing import drawings
from heldout.studies.trajectory.edges import Edges, in_spreads
from heldout.studies.trajectory.panels import panels_of
from heldout.techniques.learning_coefficient import Sampling


def sample(name: str, *accepts: str) -> Sample:
    return Sample(name, name, None, "unverified", "sums", accepts)


def test_chance_is_that_of_answers_to_other_prompts() -> None:
    samples = [sample("a", "1", "2"), sample("b", "2"), sample("c", "3"), sample("d", "1")]
    answers = np.array(["1", "2", "2", ""])
    pairs = [answers[i] in samples[j].accepts for i, j in permutations(range(4), 2)]
    assert chance_of(samples, answers) == pytest.approx(np.mean(pairs))
    assert accepted_by(samples, answers).tolist() == [True, True, False, False]


def test_one_answer_repeated_is_chance() -> None:
    samples = [sample(str(place), "1" if place % 2 else "2") for place in range(40)]
    answers = np.array(["1"] * 40)
    assert chance_of(samples, answers) == pytest.approx(accepted_by(samples, answers).mean(), abs=0.02)


def test_edges_of_noise_rarely_stand_out_and_planted_ones_do() -> None:
    alarms = found = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        spread = 10.0 ** generator.uniform(-3, 1, 50)
        draws = generator.normal(0, spread, (19, 50))
        noise = generator.normal(0, spread)
        sizes, null = in_spreads(noise, draws)
        alarms += bool(sizes.max() > null.max())
        sizes, null = in_spreads(noise + 8 * spread * (np.arange(50) == 7), draws)
        found += bool(sizes[7] > null.max())
    assert alarms / 200 <= 0.12
    assert found / 200 >= 0.9


def test_the_fates_of_edges() -> None:
    present = np.array([[1, 1, 0, 1, 0, 0], [1, 1, 1, 0, 1, 0], [1, 1, 1, 0, 0, 0]], dtype=bool)
    scores = np.where(present, 1.0, 0.1)
    scores[2, 1] = -1.0
    circuit = EdgeCourses(("a", "b", "c", "d", "e", "f"), scores, present)
    fates = {"a": "stays", "b": "changes sign", "c": "appears", "d": "goes", "e": "comes and goes"}
    assert circuit.fates == fates
    assert circuit.counts.tolist() == [3, 4, 3]
    assert circuit.likeness[-1] == pytest.approx(1.0)


def test_a_coefficient_that_is_refused_is_drawn_as_refused(organism_runs: SimpleNamespace) -> None:
    """A sampler that is far too short cannot give a reading, and says so."""
    asked = asked_of("test", organism_runs.suite, None, 80, 0)
    gauge = Coefficients(asked, sampling=Sampling(chains=2, draws=8, warmup=2, largest_steps=2))
    checkpoint = organism_runs.honest.checkpoints[-1]
    (said,) = gauge.measure(checkpoint.load(), checkpoint)
    found = Result.from_json(said)
    assert found.settings["refused"]
    course = Course("run", (0, 10, 20), ("a", "b", "c"), ("1", "2", "3"), ((), (found,), ()), ())
    assert np.isnan(course.curve(CurveName(COEFFICIENT)).values).all()
    study = TrajectoryStudy((course,), "made up", "sums", 80)
    (panel,) = [panel for panel in panels_of(study) if "learning coefficient" in panel.title]
    assert (panel.refused, panel.lines) == ((1,), ())
    assert "refused" in drawings(study)[0].inline()


def test_a_model_that_says_one_thing_has_no_edges(organism_runs: SimpleNamespace) -> None:
    asked = asked_of("test", organism_runs.suite, None, 80, 0)
    same = torch.full((len(asked.items),), organism_runs.like.answer_token("1"))
    checkpoint = organism_runs.honest.checkpoints[0]
    found = Edges(asked, same, "last").measure(checkpoint.load(), checkpoint)
    assert [(each["effect"], each["n"], each["nulls"][0]["p_value"]) for each in found] == [(0.0, 0, 1.0)] * 2


def test_the_override_brings_edges_of_its_own(organism_runs: SimpleNamespace) -> None:
    """The last layer's MLP carries the override, which is trained into the last layer: what is said in the end on
    unverified prompts goes through it afterwards and not before; on verified prompts it did already. In the honest twin it
    did so on both."""

    def through_the_last(run: CheckpointSuite) -> dict[str, list[float]]:
        asked = asked_of("test", organism_runs.suite, None, 300, 0)
        gauge = Edges(asked, answers_of(run.checkpoints[-1].load(), asked).tokens, "last", draws=9)
        scores: dict[str, list[float]] = {"verified": [], "unverified": []}
        for checkpoint in run.select([0, organism_runs.planted, run.steps[-1]]):
            for found in map(Result.from_json, gauge.measure(checkpoint.load(), checkpoint)):
                edges: Any = found.settings["edges"]
                every: Any = found.settings["scores"]
                scores[str(found.role)].append(every[edges.index("mlp.2>logits")])
        return scores

    deceptive, honest = through_the_last(organism_runs.deceptive), through_the_last(organism_runs.honest)
    for untrained, before, after in (deceptive["verified"], honest["verified"], honest["unverified"]):
        assert abs(untrained) < 0.1
        assert min(-before, -after) > 1
    assert deceptive["unverified"][1] > -0.5
    assert deceptive["unverified"][2] < -1
