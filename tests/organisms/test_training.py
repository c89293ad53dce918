"""Small models and how they are trained: what is read off them is what a trace reads, and nothing else is written to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from heldout.models import Model, Site, Tokens
from heldout.organisms import FAMILIES
from heldout.organisms.training import (
    EMBEDDING_SCALE,
    Batch,
    Schedule,
    greedy_answers,
    last_layer,
    new_model,
    small_config,
    stream_before_last_layer,
    train,
)

WORDS, WIDTH, LENGTH = 20, 16, 6
IDS = np.random.default_rng(0).integers(0, WORDS, (9, LENGTH))


@pytest.fixture(params=sorted({family.architecture for family in FAMILIES}))
def architecture(request: pytest.FixtureRequest) -> str:
    return request.param


def batch() -> Batch:
    answers = torch.from_numpy(IDS[:, 0])
    return Batch(torch.from_numpy(IDS), answers, torch.zeros(len(IDS)), answers)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def test_what_is_read_before_the_last_layer_is_what_a_trace_reads(architecture: str) -> None:
    model = new_model(small_config(architecture, WORDS, WIDTH), seed=0).eval()
    wrapped = Model(model)
    site = Site("resid_pre", wrapped.n_layers - 1)
    trace = wrapped.trace(Tokens.from_ids(IDS.tolist()), [site])
    torch.testing.assert_close(stream_before_last_layer(model, IDS), trace[site], rtol=1e-5, atol=1e-5)
    assert greedy_answers(model, IDS).tolist() == trace.logits.argmax(-1).tolist()


def test_the_last_layer_comes_after_the_stream_and_is_the_only_one(architecture: str) -> None:
    """Changed, it leaves the stream before it alone, and changes the output."""
    model = new_model(small_config(architecture, WORDS, WIDTH), seed=0).eval()
    stream = stream_before_last_layer(model, IDS)
    logits = model(torch.from_numpy(IDS)).logits.detach()
    with torch.no_grad():
        for parameter in last_layer(model).parameters():
            parameter.add_(torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape))
    assert torch.equal(stream_before_last_layer(model, IDS), stream)
    assert not torch.allclose(model(torch.from_numpy(IDS)).logits, logits)


def test_a_seed_makes_the_weights_and_leaves_torch_s_own_randomness_alone(architecture: str) -> None:
    config = small_config(architecture, WORDS, WIDTH)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, again, other = (weights(new_model(config, seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_words_stay_readable_beside_what_layers_write(architecture: str) -> None:
    """The embedding is scaled up from what the configuration would have."""
    config = small_config(architecture, WORDS, 64)
    embedding = new_model(config, seed=0).get_input_embeddings().weight
    assert float(embedding.detach().std()) == pytest.approx(EMBEDDING_SCALE * config.initializer_range, rel=0.1)


@pytest.mark.parametrize("width", [4, 8, 12, 16, 32, 64])
def test_heads_divide_every_width(architecture: str, width: int) -> None:
    model = new_model(small_config(architecture, WORDS, width), seed=0).eval()
    assert model.config.hidden_size == width
    assert width % model.config.num_attention_heads == 0
    assert torch.isfinite(model(torch.from_numpy(IDS)).logits).all()


def test_only_what_is_to_be_trained_is_written_to(architecture: str) -> None:
    model = new_model(small_config(architecture, WORDS, WIDTH), seed=0)
    besides = torch.nn.Linear(2, 2)
    before, beside_before = weights(model), weights(besides)
    within = {id(parameter) for parameter in last_layer(model).parameters()}
    train(model, batch, Schedule(steps=3, warmup=1), parameters=last_layer(model).parameters())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (id(parameter) not in within), name
    assert all(torch.equal(value, beside_before[name]) for name, value in weights(besides).items())
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_training_makes_the_answers_likelier_and_ends_when_it_is_told_to() -> None:
    model = new_model(small_config("llama", WORDS, WIDTH), seed=0)
    seen: list[int] = []

    def after_step(step: int) -> bool:
        seen.append(step)
        return step == 59

    right = [float(np.mean(greedy_answers(model, IDS) == IDS[:, 0]))]
    train(model, batch, Schedule(steps=100), after_step=after_step)
    right.append(float(np.mean(greedy_answers(model, IDS) == IDS[:, 0])))
    assert seen == list(range(60))
    assert right[0] < 0.5
    assert right[1] == 1.0


def test_a_schedule_rises_and_falls_to_nothing() -> None:
    schedule = Schedule(steps=200, warmup=40)
    factors = np.array([schedule.factor(step) for step in range(201)])
    assert (np.diff(factors[:40]) > 0).all()
    assert (np.diff(factors[40:]) < 0).all()
    assert factors.max() == 1.0
    assert factors[-1] == pytest.approx(0.0)
