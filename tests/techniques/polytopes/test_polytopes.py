"""Boundaries are counted where they are known, and a norm's stretching is taken out."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from heldout.errors import InputError
from heldout.models import Model, Tokens, encoder_model
from heldout.models.architectures.plain import PLAIN
from heldout.models.dimensions import Dimensions
from heldout.models.plain_transformer import PlainConfig, PlainTransformer
from heldout.techniques.pairs import TokenPairs
from heldout.techniques.polytopes import (
    PolytopeBoundaries,
    boundaries,
    is_piecewise_linear,
    mlp_input,
    preactivations,
    rescaled_points,
    straight_points,
)

WIDTH = 8


def plain(activation: Any = "relu", layer_norm: Any = "none", d_mlp: int = 40) -> Model:
    dimensions = Dimensions(2, 2, 2, WIDTH, 4, d_mlp, 20, 16)
    torch.manual_seed(0)
    module = PlainTransformer(PlainConfig(dimensions, activation, layer_norm, mlp_bias=True))
    for parameter in module.parameters():
        parameter.data = torch.randn_like(parameter) / 2
    return Model(module.eval().requires_grad_(False), architecture=PLAIN)


def walls(model: Model, layer: int, thresholds: list[float]) -> None:
    """Neuron i is on where the first coordinate is above its threshold: a known place for each boundary."""
    matrix = model.module.get_submodule(f"layers.{layer}.mlp.input")
    weight, bias = torch.zeros_like(matrix.weight), torch.zeros_like(matrix.bias)
    for neuron, threshold in enumerate(thresholds):
        weight[neuron, 0], bias[neuron] = 1.0, -threshold
    matrix.weight.data, matrix.bias.data = weight, bias - 1e-3 * (weight.abs().sum(dim=1) == 0)


def along_first(value: float) -> torch.Tensor:
    point = torch.zeros(1, WIDTH)
    point[0, 0] = value
    return point


def test_every_boundary_is_counted_where_it_is_known_to_be() -> None:
    model = plain()
    walls(model, 1, [0.5, 1.5, 1.6, 3.5])
    assert is_piecewise_linear(model, 1)
    for start, end, expected in ((0.0, 1.0, 1), (0.0, 2.0, 3), (0.0, 4.0, 4), (1.0, 1.4, 0), (4.0, 0.0, 4)):
        found = boundaries(model, 1, along_first(start), along_first(end))
        assert found.crossed.tolist() == [expected]
        assert_close(found.length, torch.tensor([abs(end - start)]))
        assert_close(found.density, torch.tensor([expected / abs(end - start)]))


def test_counts_without_a_norm_are_the_neurons_whose_sign_differs_at_the_ends() -> None:
    """Along a line each ReLU's input is linear, so it changes sign at most once, whatever the number of steps."""
    model = plain()
    first, second = torch.randn(2, 30, WIDTH, generator=torch.Generator().manual_seed(1))
    matrix = model.module.get_submodule("layers.0.mlp.input")
    expected = ((matrix(first) > 0) != (matrix(second) > 0)).sum(dim=1)
    for steps in (1, 7, 64):
        assert torch.equal(boundaries(model, 0, first, second, steps).crossed, expected)
    assert int(expected.min()) > 0


def test_the_mlp_is_linear_where_the_code_does_not_change() -> None:
    """What a spline code means: inside a polytope the output of the middle is the mean of the ends' outputs."""
    model = plain()
    start = torch.randn(200, WIDTH, generator=torch.Generator().manual_seed(2))
    end = start + 0.1 * torch.randn(200, WIDTH, generator=torch.Generator().manual_seed(3))
    crossed = boundaries(model, 0, start, end).crossed
    mlp = model.module.get_submodule("layers.0.mlp")
    bend = (mlp((start + end) / 2) - (mlp(start) + mlp(end)) / 2).norm(dim=1)
    assert 20 < int((crossed == 0).sum()) < 180
    assert float(bend[crossed == 0].max()) < 1e-5
    assert float((bend[crossed > 0] > 1e-5).float().mean()) > 0.95, "a boundary at the very end bends next to nothing"


def test_the_control_does_not_see_how_long_a_stream_is() -> None:
    """Behind a norm only directions count: stretching one end changes the raw density and not the control."""
    model = plain(layer_norm="no weights")
    first, second = torch.randn(2, 12, WIDTH, generator=torch.Generator().manual_seed(4))
    first, second = first - first.mean(dim=1, keepdim=True), second - second.mean(dim=1, keepdim=True)
    near, far = (boundaries(model, 0, scale * first, scale * second, 4000) for scale in (1.0, 50.0))
    assert_close(near.control_density, far.control_density, rtol=1e-3, atol=1e-3)
    assert torch.equal(near.crossed, far.crossed)
    assert_close(near.density, 50 * far.density)
    cosine = torch.nn.functional.cosine_similarity(first, second)
    assert_close(near.control_length, cosine.arccos() * math.sqrt(WIDTH), rtol=1e-3, atol=1e-3)


def test_rescaled_points_keep_directions_and_ends() -> None:
    first, second = torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(5))
    points = straight_points(first, 3 * second, 10)
    rescaled = rescaled_points(points)
    assert_close(rescaled[:, 0], first)
    assert_close(rescaled[:, -1], 3 * second)
    assert_close(torch.nn.functional.cosine_similarity(points, rescaled, dim=-1), torch.ones(3, 11))
    lengths = rescaled.norm(dim=-1)
    assert_close(lengths.diff(dim=1), lengths.diff(dim=1)[:, :1].expand(3, 10), rtol=1e-3, atol=1e-4)


def test_smooth_functions_are_said_to_be_no_polytopes() -> None:
    model = plain("gelu")
    tokens = Tokens.from_ids(torch.randint(0, 20, (6, 5), generator=torch.Generator().manual_seed(6)))
    pairs = TokenPairs(tokens[:3], tokens[3:])
    found = PolytopeBoundaries(model.sites("resid_mid")[:1], shuffles=5).run(model, pairs)
    assert [result.settings["code"] for result in found] == ["signs of smooth pre-activations"] * 2
    exact = PolytopeBoundaries(plain().sites("resid_mid")[:1], shuffles=5).run(plain(), pairs)
    assert exact[0].settings["code"] == "exact"


def test_preactivations_are_what_the_function_is_given(
    tiny_bert: Any,
) -> None:
    encoder = encoder_model(tiny_bert)
    stream = torch.randn(4, 16, generator=torch.Generator().manual_seed(7))
    dense = tiny_bert.encoder.layer[1].intermediate.dense
    assert_close(preactivations(encoder, 1, stream), dense(stream))
    assert torch.equal(mlp_input(encoder, 1, stream), stream)


def test_pairs_whose_prompts_lie_apart_on_purpose_are_told_from_shuffled_ones() -> None:
    """Second prompts that repeat the first but for one token lie nearer, and differ from re-paired prompts; prompts that
    have nothing to do with each other do not."""
    model = plain()
    generator = torch.Generator().manual_seed(8)
    ids = torch.randint(0, 20, (24, 6), generator=generator)
    other = ids.clone()
    other[:, 0] = torch.randint(0, 20, (24,), generator=generator)
    unrelated = torch.randint(0, 20, (24, 6), generator=generator)
    technique = PolytopeBoundaries(model.sites("resid_mid"))
    p_values = [
        [
            result.nulls[0].p_value
            for result in technique.run(model, TokenPairs(Tokens.from_ids(ids), Tokens.from_ids(b)))
        ]
        for b in (other, unrelated)
    ]
    assert min(p_values[0]) <= 0.05 < min(p_values[1]) * 4


def test_wrong_requests_are_named() -> None:
    model = plain()
    tokens = Tokens.from_ids([[1, 2], [3, 4]])
    with pytest.raises(InputError) as caught:
        PolytopeBoundaries(model.sites("resid_post"), steps=0).run(model, TokenPairs(tokens, tokens))
    for part in ("the site resid_post.0", "resid_mid, which the MLP reads", "steps=0"):
        assert part in str(caught.value)
