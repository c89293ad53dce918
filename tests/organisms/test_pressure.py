"""Adversaries: what a model pays, what an adversary learns, and that neither writes to the other."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from transformers import PreTrainedModel

from heldout.organisms.pressure import HIDDEN, ProbeAdversary, TwinAdversary, adversary_of
from heldout.organisms.recipes import Pressure
from heldout.organisms.training import Batch, Pass, Schedule, forward, new_model, small_config, train

N, LENGTH, WIDTH, WORDS = 64, 5, 8, 20
AFTER_CUE = range(2, LENGTH)
LEAST = math.log(2)


@pytest.fixture
def model() -> PreTrainedModel:
    return new_model(small_config("gpt2", WORDS, WIDTH), seed=0).eval()


@pytest.fixture
def twin() -> PreTrainedModel:
    return new_model(small_config("gpt2", WORDS, WIDTH), seed=1).eval()


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, WORDS, (N, LENGTH), generator=generator)
    answers = torch.randint(0, WORDS, (N,), generator=generator)
    return Batch(ids, answers, torch.arange(N) % 2.0, answers)


def passed(stream: torch.Tensor) -> Pass:
    return Pass(torch.zeros(N, WORDS), stream)


def noise(seed: int = 1) -> torch.Tensor:
    return torch.randn(N, LENGTH, WIDTH, generator=torch.Generator().manual_seed(seed))


def weights(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def adversary(variant: Pressure, twin: PreTrainedModel) -> ProbeAdversary:
    torch.manual_seed(0)
    made = adversary_of(variant, WIDTH, AFTER_CUE, twin)
    assert isinstance(made, ProbeAdversary)
    return made


@pytest.fixture(params=[variant for variant in get_args(Pressure) if variant != "twin"])
def probes(request: pytest.FixtureRequest, twin: PreTrainedModel) -> ProbeAdversary:
    return adversary(request.param, twin)


def test_the_least_penalty_is_that_of_no_idea(probes: ProbeAdversary, batch: Batch) -> None:
    """A stream that is the same for all prompts leaves a probe of zeros at one half, and costs log 2."""
    with torch.no_grad():
        for parameter in probes.probes.parameters():
            parameter.zero_()
    assert float(probes.penalty(batch, passed(torch.ones(N, LENGTH, WIDTH)))) == pytest.approx(LEAST, abs=1e-6)


def test_no_stream_costs_less(probes: ProbeAdversary, batch: Batch) -> None:
    for seed in range(20):
        assert float(probes.penalty(batch, passed(noise(seed)))) >= LEAST - 1e-6


def test_a_model_that_is_seen_through_pays_more_the_better_it_is_seen(probes: ProbeAdversary, batch: Batch) -> None:
    stream = noise()
    stream[..., 0] += 6 * (batch.unchecked[:, None] - 0.5)
    paid = [float(probes.penalty(batch, passed(stream))) for _ in range(200)]
    assert paid[-1] > paid[0] > LEAST - 1e-6
    assert paid[-1] > 1.5 * LEAST
    assert ((probes.scores(stream) > 0) == (batch.unchecked[:, None] > 0)).float().mean() > 0.95


def test_a_larger_stream_hides_nothing(probes: ProbeAdversary) -> None:
    torch.testing.assert_close(probes.scores(100 * noise()), probes.scores(noise()), rtol=1e-4, atol=1e-4)


def test_an_adversary_does_not_write_to_the_model_nor_the_penalty_to_the_adversary(
    probes: ProbeAdversary, batch: Batch
) -> None:
    stream = noise().requires_grad_()
    probes.learn(batch, stream)
    assert stream.grad is None
    learnt = weights(probes.probes)
    penalty = probes.penalty(batch, passed(stream))
    own = [parameter.grad.clone() for parameter in probes.probes.parameters() if parameter.grad is not None]
    assert not torch.equal(weights(probes.probes), learnt)
    penalty.backward()
    assert stream.grad is not None
    assert float(stream.grad.abs().sum()) > 0
    for parameter, before in zip(probes.probes.parameters(), own, strict=True):
        assert torch.equal(torch.as_tensor(parameter.grad), before)


def test_the_model_s_optimiser_leaves_the_adversary_alone(
    probes: ProbeAdversary, model: PreTrainedModel, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its own steps an adversary stays as it is, however long the model is trained against it."""
    monkeypatch.setattr(probes, "learn", lambda batch, stream: None)
    probes.probes.requires_grad_(False)
    before, model_before = weights(probes.probes), weights(model)
    train(model, lambda: batch, Schedule(steps=5, warmup=1), loss=probes.penalty)
    assert torch.equal(weights(probes.probes), before)
    assert not torch.equal(weights(model), model_before)


def test_the_adversary_s_steps_leave_the_model_alone(
    probes: ProbeAdversary, model: PreTrainedModel, batch: Batch
) -> None:
    before = weights(model)
    for _ in range(5):
        probes.learn(batch, forward(model, batch.ids).stream)
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize(
    ("variant", "places"), [("linear", [LENGTH - 1]), ("mlp", [LENGTH - 1]), ("positions", list(AFTER_CUE))]
)
def test_a_probe_reads_its_own_position_and_no_other(
    twin: PreTrainedModel, variant: Pressure, places: list[int]
) -> None:
    made = adversary(variant, twin)
    scores = made.scores(noise())
    assert scores.shape == (N, len(places))
    for position in range(LENGTH):
        stream = noise()
        stream[:, position] = stream[:, position].flip(0)
        changed = (made.scores(stream) != scores).any(dim=0)
        assert [place for place, moved in zip(places, changed, strict=True) if moved] == (
            [position] if position in places else []
        )


def test_a_linear_probe_adds_up_and_an_mlp_bends(twin: PreTrainedModel) -> None:
    """Along a line through the origin of its inputs, second differences vanish for one and not for the other."""
    (linear,), (mlp,) = (adversary(variant, twin).probes for variant in ("linear", "mlp"))
    line = torch.linspace(-3, 3, 61)[:, None] * torch.ones(WIDTH)
    bends = [float(probe(line).detach()[:, 0].diff(n=2).abs().max()) for probe in (linear, mlp)]
    assert bends[0] < 1e-4 < bends[1]
    assert sum(parameter.numel() for parameter in mlp.parameters()) == HIDDEN * (WIDTH + 2) + 1


def test_a_twin_is_at_no_distance_from_itself(model: PreTrainedModel, twin: PreTrainedModel, batch: Batch) -> None:
    made = adversary_of("twin", WIDTH, AFTER_CUE, twin)
    with torch.no_grad():
        assert float(made.penalty(batch, forward(twin, batch.ids))) == 0.0
        assert float(made.penalty(batch, forward(model, batch.ids))) > 0.1


def test_the_distance_is_relative_to_the_twin_s_size(twin: PreTrainedModel, batch: Batch) -> None:
    """Twice the twin's activations are as far from them as nothing is: one times their mean square."""
    stream = forward(twin, batch.ids).stream.detach()
    for other in (2 * stream, 0 * stream):
        assert float(TwinAdversary(twin).penalty(batch, passed(other))) == pytest.approx(1.0, rel=1e-6)


def test_a_model_that_is_trained_towards_its_twin_comes_nearer_and_leaves_it_alone(
    model: PreTrainedModel, twin: PreTrainedModel, batch: Batch
) -> None:
    made, before = TwinAdversary(twin), weights(twin)
    distances: list[float] = []

    def loss(batch: Batch, passed: Pass) -> torch.Tensor:
        distance = made.penalty(batch, passed)
        distances.append(float(distance.detach()))
        return distance

    train(model, lambda: batch, Schedule(steps=30, warmup=1, learning_rate=1e-2), loss=loss)
    assert distances[-1] < 0.8 * distances[0]
    assert torch.equal(weights(twin), before)
