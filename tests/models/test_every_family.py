"""What must hold of reads, for every family: theorems of the residual stream, and transformers' own outputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from heldout.errors import InputError
from heldout.models import ARCHITECTURES, Add, Model, Site, Tokens

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def plain(model: Model, tokens: Tokens, **settings: Any) -> Any:
    module: Any = model.module
    with torch.no_grad():
        return module(input_ids=tokens.ids, attention_mask=tokens.mask, position_ids=tokens.position_ids, **settings)


def captured(module: nn.Module, model: Model, tokens: Tokens) -> Tensor:
    """The output of one module in a plain pass."""
    found: list[Tensor] = []
    handle = module.register_forward_hook(lambda _, __, output: found.append(output))
    plain(model, tokens)
    handle.remove()
    return found[0]


def test_the_table_has_every_family(cases: list[str]) -> None:
    assert {case.split()[0] for case in cases} == set(ARCHITECTURES)


def test_logits_are_those_of_transformers(model: Model, padded: Tokens) -> None:
    expected = plain(model, padded).logits
    for last in (1, 3):
        torch.testing.assert_close(model.logits(padded, last=last), expected[:, -last:], rtol=0, atol=1e-5)
    assert model.logits(padded, last=3).shape == (5, 3, model.vocabulary_size)


def test_padding_changes_nothing(model: Model, padded: Tokens) -> None:
    together = model.logits(padded)
    for i in range(len(padded)):
        alone = padded[i : i + 1].trimmed()
        assert alone.length == int(padded.mask[i].sum())
        torch.testing.assert_close(together[i : i + 1], model.logits(alone), rtol=0, atol=1e-5)


def test_the_same_call_gives_the_same_bits(model: Model, padded: Tokens) -> None:
    assert torch.equal(model.logits(padded), model.logits(padded))
    site = Site("attn_out", 1)
    assert torch.equal(model.trace(padded, [site])[site], model.trace(padded, [site])[site])


def test_the_stream_is_that_of_transformers(transformers_model: Model, tokens: Tokens) -> None:
    model = transformers_model
    hidden = plain(model, tokens, output_hidden_states=True).hidden_states
    trace = model.trace(tokens, model.sites("resid_pre") + model.sites("resid_post"))
    for layer in range(model.n_layers):
        assert torch.equal(trace[Site("resid_pre", layer)], hidden[layer])
        if layer:
            assert torch.equal(trace[Site("resid_pre", layer)], trace[Site("resid_post", layer - 1)])


def test_what_is_added_sums_to_the_stream(model: Model, tokens: Tokens) -> None:
    names = [n for n in ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out") if n not in model.missing_sites]
    trace = model.trace(tokens, [site for name in names for site in model.sites(name)])
    for layer in range(model.n_layers):
        before, after = trace[Site("resid_pre", layer)], trace[Site("resid_post", layer)]
        attention = trace[Site("attn_out", layer)]
        mlp = trace[Site("mlp_out", layer)] if "mlp_out" in names else torch.zeros_like(attention)
        assert attention.abs().mean() > 1e-2
        assert mlp.abs().mean() > 1e-2 or "mlp_out" not in names
        torch.testing.assert_close(before + attention + mlp, after, **CLOSE)
        if "resid_mid" in names:
            torch.testing.assert_close(before + attention, trace[Site("resid_mid", layer)], **CLOSE)


def test_heads_sum_to_the_output_projection(model: Model, tokens: Tokens) -> None:
    layer = model.module.get_submodule(f"{model.architecture.layers}.1")
    projection: Any = layer.get_submodule(model.architecture.output_projection)
    heads = [Site("head_out", 1, head) for head in range(model.n_heads)]
    trace = model.trace(tokens, [*heads, Site("head_out", 1), Site("z", 1)])
    total = torch.stack([trace[head] for head in heads]).sum(dim=0)
    bias = 0 if getattr(projection, "bias", None) is None else projection.bias
    torch.testing.assert_close(total + bias, captured(projection, model, tokens), **CLOSE)
    torch.testing.assert_close(trace[Site("head_out", 1)].unbind(dim=2), tuple(trace[head] for head in heads), **CLOSE)
    from_z = torch.einsum("bphd,hdm->bphm", trace[Site("z", 1)], model.head_weights(1))
    torch.testing.assert_close(from_z, trace[Site("head_out", 1)], **CLOSE)


def test_patterns_are_distributions_over_the_real_past(model: Model, padded: Tokens) -> None:
    trace = model.trace(padded, [Site("pattern", 1), Site("pattern", 1, 2)])
    pattern = trace[Site("pattern", 1)]
    real = padded.mask.bool()
    assert pattern.shape == (5, model.n_heads, 9, 9)
    assert torch.equal(trace[Site("pattern", 1, 2)], pattern[:, 2])
    for row in range(len(padded)):
        of_row = pattern[row][:, real[row]]
        torch.testing.assert_close(of_row.sum(dim=-1), torch.ones(of_row.shape[:2]), **CLOSE)
        assert of_row[..., ~real[row]].abs().max() == 0 if (~real[row]).any() else True
        assert of_row[..., real[row]].triu(diagonal=1).abs().max() == 0


def test_z_is_the_pattern_applied_to_the_values(model: Model, tokens: Tokens) -> None:
    trace = model.trace(tokens, [Site("pattern", 1), Site("v", 1), Site("z", 1)])
    values = trace[Site("v", 1)].repeat_interleave(model.n_heads // model.n_key_value_heads, dim=2)
    z = torch.einsum("bhqk,bkhd->bqhd", trace[Site("pattern", 1)], values)
    torch.testing.assert_close(z, trace[Site("z", 1)], **CLOSE)


def test_fused_and_separate_projections_give_the_same_heads(model: Model, tokens: Tokens) -> None:
    trace = model.trace(tokens, [Site(name, 1) for name in "qkv"] + [Site(name, 1, 1) for name in "qkv"])
    for name, heads in zip("qkv", (model.n_heads, *[model.n_key_value_heads] * 2), strict=True):
        assert trace[Site(name, 1)].shape == (4, 9, heads, model.d_head)
        assert torch.equal(trace[Site(name, 1)][:, :, 1], trace[Site(name, 1, 1)])


def test_positions_are_counted_from_the_end(model: Model, padded: Tokens) -> None:
    for name in ("resid_post", "z", "pattern", "head_out", "q", "logits"):
        for site in model.sites(name)[-1:]:
            whole = model.trace(padded, [site])[site]
            part = model.trace(padded, [site], positions=(-1, -4))[site]
            picked = whole.index_select(site.position_axis, torch.tensor([8, 5]))
            torch.testing.assert_close(part, picked, rtol=0, atol=0 if name != "logits" else 1e-5)


def test_unembedding_the_stream_gives_the_logits(model: Model, tokens: Tokens) -> None:
    last = Site("resid_post", model.n_layers - 1)
    trace = model.trace(tokens, [last], positions=-1)
    torch.testing.assert_close(model.unembed(trace[last][:, 0]), trace.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(trace.logits, model.logits(tokens)[:, 0], rtol=0, atol=1e-5)


def test_a_pass_without_logits_stops_at_the_last_site(model: Model, tokens: Tokens) -> None:
    site = Site("resid_post", 0)
    ran: list[int] = []
    layers = model.module.get_submodule(model.architecture.layers)
    handles = [layer.register_forward_hook(lambda *_, i=i: ran.append(i)) for i, layer in enumerate(layers.children())]
    early = model.trace(tokens, [site], logits=False)
    [handle.remove() for handle in handles]
    assert ran == [0]
    assert torch.equal(early[site], model.trace(tokens, [site])[site])
    with pytest.raises(InputError, match="logits=False"):
        _ = early.logits


def test_gradients_are_those_of_finite_differences(model: Model, tokens: Tokens) -> None:
    names = ("resid_pre", "attn_out", "head_out", "z", "q", "k", "v", "pattern", "mlp_post")
    sites = [model.sites(name)[-1] for name in names if name not in model.missing_sites]
    trace = model.trace(tokens, sites, gradients=True)
    gradients = torch.autograd.grad(trace.logits.square().sum(), [trace[site] for site in sites])
    for site, gradient in zip(sites, gradients, strict=True):
        step = 1e-2 * gradient / gradient.norm()
        losses: list[Tensor] = []
        for sign in (1, -1):
            with model.intervene(Add(site, sign * step)):
                losses.append(model.trace(tokens, [Site("pattern", 0)]).logits.double().square().sum())
        measured = float(losses[0] - losses[1]) / 2e-2
        assert measured == pytest.approx(float(gradient.norm()), rel=0.03), site
