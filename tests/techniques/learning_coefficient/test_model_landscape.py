"""Language models as landscapes: their losses are those of the model, and a reading on one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from heldout.data import Suite
from heldout.errors import InputError
from heldout.models import Model, Site, ZeroAblate
from heldout.techniques.learning_coefficient import (
    Landscape,
    LearningCoefficient,
    Sampling,
    own_outputs,
    token_loss,
)
from heldout.techniques.path_length import Labelled
from heldout.techniques.path_length.labelled import labelled_of

NORM = ["model.norm"]
Organism = Callable[[str], Model]


@pytest.fixture
def model(organism: Organism) -> Model:
    return organism("quirky_arithmetic-s0-c1")


@pytest.fixture
def data(model: Model, suite: Callable[[str], Suite]) -> Labelled:
    samples = [sample for sample in suite("quirky_arithmetic-s0-c1").samples if sample.target is not None][:12]
    return labelled_of(model, samples, "test")


def several(model: Model, data: Labelled) -> Labelled:
    """The same prompts' own next tokens, at three positions."""
    return Labelled.next_tokens(data.tokens, last=3)


def direct_loss(model: Model, data: Labelled) -> float:
    logits = model.logits(data.tokens, last=-min(data.positions))
    log_probabilities = logits[:, [position - min(data.positions) for position in data.positions]].log_softmax(dim=-1)
    return float(-log_probabilities.gather(-1, data.targets[..., None])[..., 0][data.read].mean())


@pytest.mark.parametrize("choose", [lambda _, data: data, several], ids=["last", "several"])
def test_the_loss_of_tokens_is_the_models(
    model: Model, data: Labelled, choose: Callable[[Model, Labelled], Labelled]
) -> None:
    chosen = choose(model, data)
    landscape = token_loss(model, chosen)
    assert landscape.loss_at_point == pytest.approx(direct_loss(model, chosen), rel=1e-4)
    assert landscape.n == int(chosen.read.sum())
    assert len(landscape) == model.n_parameters


def test_targets_are_told_among_their_answers(model: Model, data: Labelled) -> None:
    answers = torch.cat([data.targets.flatten(), torch.arange(5, 12)]).unique()
    among = Labelled(data.tokens, data.targets, data.positions, data.counted, answers)
    logits = model.logits(data.tokens)[:, 0][:, answers]
    places = torch.searchsorted(answers, data.targets[:, 0])
    expected = torch.nn.functional.cross_entropy(logits, places)
    assert token_loss(model, among).loss_at_point == pytest.approx(float(expected), rel=1e-4)


def test_the_divergence_from_itself_is_least_at_the_model(model: Model, data: Labelled) -> None:
    landscape = own_outputs(model, data, parameters=NORM)
    assert len(landscape) == model.d_model
    assert abs(landscape.loss_at_point) < 1e-7
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        assert float(landscape.loss(landscape.point + torch.randn(model.d_model, generator=generator))) > 1e-4


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("make", [token_loss, own_outputs])
def test_chains_together_are_chains_one_by_one(model: Model, data: Labelled, make: Callable[..., Landscape]) -> None:
    together, apart = (make(model, data, together=together) for together in (True, False))
    points = together.point + 0.01 * torch.randn(3, len(together), generator=torch.Generator().manual_seed(0))
    for first, second in zip(together.losses_and_gradients(points), apart.losses_and_gradients(points), strict=True):
        assert torch.allclose(first, second, rtol=1e-3, atol=1e-5)


def test_edits_are_not_overlooked(model: Model, data: Labelled) -> None:
    edit = ZeroAblate(Site("mlp_out", 0))
    with model.intervene(edit), pytest.raises(InputError, match="1 edits of the model"):
        own_outputs(model, data)


def test_a_norm_of_a_language_model_is_measured_against_itself_and_refused_against_its_tokens(
    model: Model, data: Labelled
) -> None:
    """It is where it is least different from itself, and not where its loss on a dozen prompts is least."""
    settings = LearningCoefficient((100.0, 300.0, 1000.0), sampling=Sampling(4, draws=20, warmup=15, largest_steps=20))
    weights = {name: value.clone() for name, value in model.module.state_dict().items()}
    (level, *_) = settings.measure(own_outputs(model, data, parameters=NORM)).levels
    assert 0.0 < level.value < model.d_model / 2
    assert level.lowest > 0.0
    estimate = settings.measure(token_loss(model, data, parameters=NORM))
    assert any(reason.startswith("w* is no minimum") for reason in estimate.refused)
    assert all(torch.equal(value, weights[name]) for name, value in model.module.state_dict().items())
    assert not any(parameter.requires_grad for parameter in model.module.parameters())
