"""The fast path gives the logits, and the gradients, of the model itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from heldout.errors import InputError
from heldout.models.dimensions import Dimensions
from heldout.models.plain_transformer import PlainConfig, PlainTransformer
from heldout.studies.grokking import ModularAddition, Recipe
from heldout.studies.grokking.fast_path import sum_logits

TASK = ModularAddition(11, 0.5, 0)
CASES: dict[str, dict[str, Any]] = {
    "as it is trained here": {"mlp_bias": True},
    "everything": {
        "layer_norm": "weights",
        "attention_bias": True,
        "mlp_bias": True,
        "unembedding_bias": True,
        "activation": "gelu",
    },
    "attention only": {"d_mlp": None},
    "one head": {"n_heads": 1},
}


def build(*, d_mlp: int | None = 20, n_heads: int = 4, n_layers: int = 1, **settings: Any) -> PlainTransformer:
    """Weights drawn so that nothing is idle: norms and biases too."""
    size = Dimensions(n_layers, n_heads, n_heads, 16, 16 // n_heads, d_mlp, 12, 3)
    module = PlainTransformer(PlainConfig(size, **settings))
    generator = torch.Generator().manual_seed(3)
    for weight in module.parameters():
        weight.data.copy_(torch.randn(weight.shape, generator=generator) * 0.4)
    return module


@pytest.mark.parametrize("case", CASES)
def test_the_logits_are_those_of_the_model(case: str) -> None:
    module = build(**CASES[case])
    plain = module(TASK.tokens.ids).logits[:, -1]
    torch.testing.assert_close(sum_logits(module, TASK.pairs), plain, rtol=1e-5, atol=1e-5)
    assert plain.std() > 0.1, "there is something to compare"


@pytest.mark.parametrize("case", CASES)
def test_the_gradients_are_those_of_the_model(case: str) -> None:
    module = build(**CASES[case]).double()
    weights, some = list(module.parameters()), TASK.trained

    def gradients(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        loss = torch.nn.functional.cross_entropy(logits, TASK.sums[some])
        return torch.autograd.grad(loss, weights)

    expected = gradients(module(TASK.tokens.ids[some]).logits[:, -1])
    for found, wanted in zip(gradients(sum_logits(module, TASK.pairs[some])), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_logits_of_the_published_model(published) -> None:
    model, task = published
    plain = model.logits(task.tokens)[:, -1]
    with torch.no_grad():
        fast = sum_logits(model.module, task.pairs)
    assert float((fast - plain).abs().max() / plain.abs().max()) < 1e-5


def test_the_logits_of_a_fresh_model() -> None:
    recipe = Recipe()
    task, model = recipe.task(0), recipe.untrained(0)
    with torch.no_grad():
        torch.testing.assert_close(sum_logits(model.module, task.pairs), model.logits(task.tokens)[:, -1])  # type: ignore[arg-type]


def test_two_layers_are_refused() -> None:
    with pytest.raises(InputError, match="found:    a model of 2 layers"):
        sum_logits(build(n_layers=2), TASK.pairs)
