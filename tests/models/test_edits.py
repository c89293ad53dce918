"""What must hold of writes, for every family: no-ops change no bit, and edits do what they say."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from heldout.errors import InputError
from heldout.models import Add, MeanAblate, Model, Project, Resample, Set, Site, Swap, Tokens, ZeroAblate
from heldout.models.sites import SITE_SHAPES

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ORDER = torch.tensor([1, 0, 3, 2])


def all_sites(model: Model) -> list[Site]:
    """Every place of every name, heads singly and together."""
    names = [name for name in SITE_SHAPES if name not in model.missing_sites]
    sites = [site for name in names for site in model.sites(name)]
    sites += [Site("head_out", layer) for layer in range(model.n_layers)]
    return sites + [Site(name, 1, 1) for name in ("q", "k", "v", "z", "pattern")]


def edited_logits(model: Model, tokens: Tokens, *edits: Any, last: int = 9) -> Tensor:
    with model.intervene(*edits):
        return model.logits(tokens, last=last)


def test_writing_what_was_there_changes_no_bit(model: Model, padded: Tokens) -> None:
    plain = model.logits(padded)
    eager = model.trace(padded, [Site("pattern", 0)]).logits[:, None]
    trace = model.trace(padded, all_sites(model))
    itself = torch.arange(len(padded))
    for site in all_sites(model):
        expected = eager if site.name == "pattern" else plain
        for edit in (Resample(site, itself), Resample(site, itself, positions=(-1, -3))):
            assert torch.equal(edited_logits(model, padded, edit, last=1), expected), edit
    fused = {s: model.trace(padded, [s])[s] for s in all_sites(model) if s.name != "pattern"}
    for site, value in fused.items():
        if site.name != "logits":
            assert torch.equal(edited_logits(model, padded, Set(site, value), last=1), plain), site
    for site in (Site("pattern", 1), Site("pattern", 1, 1)):
        first = model.trace(padded, [Site("pattern", 1)])[Site("pattern", 1)]
        value = first if site.head is None else first[:, 1]
        assert torch.equal(edited_logits(model, padded, Set(site, value), last=1), eager), site
    assert len(trace) == len(set(all_sites(model)))


def test_a_read_shows_what_was_written(model: Model, tokens: Tokens) -> None:
    for site in all_sites(model):
        shape = model.trace(tokens, [site])[site].shape
        value = torch.rand(shape, generator=torch.Generator().manual_seed(3))
        with model.intervene(Set(site, value)):
            torch.testing.assert_close(model.trace(tokens, [site])[site], value, rtol=0, atol=0)


def test_writing_a_whole_stream_makes_the_rest_that_of_the_donor(model: Model, tokens: Tokens) -> None:
    expected = model.logits(tokens, last=9)[ORDER]
    names = [name for name in ("resid_pre", "resid_mid", "resid_post") if name not in model.missing_sites]
    for site in [site for name in names for site in model.sites(name)]:
        torch.testing.assert_close(edited_logits(model, tokens, Swap(site, ORDER)), expected, **CLOSE)


def test_writing_the_stream_equals_a_hook_written_by_hand(model: Model, padded: Tokens) -> None:
    value = torch.randn(model.d_model, generator=torch.Generator().manual_seed(2))
    layer = model.module.get_submodule(f"{model.architecture.layers}.1")

    def by_hand(_: Any, __: Any, output: Tensor) -> Tensor:
        output = output.clone()
        output[:, -2] = value
        return output

    handle = layer.register_forward_hook(by_hand)
    expected = model.logits(padded)
    handle.remove()
    assert (expected - model.logits(padded)).abs().max() > 1e-3
    assert torch.equal(edited_logits(model, padded, Set(Site("resid_post", 1), value, -2), last=1), expected)


def test_what_a_sublayer_adds_is_what_was_written(model: Model, tokens: Tokens) -> None:
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(4))
    sites = [Site("resid_pre", 1), Site("attn_out", 1), Site("mlp_out", 1), Site("resid_post", 1)]
    if "mlp_out" in model.missing_sites:
        with model.intervene(Set(sites[1], vector)):
            trace = model.trace(tokens, [sites[0], sites[3]])
        torch.testing.assert_close(trace[sites[3]], trace[sites[0]] + vector, **CLOSE)
        return
    with model.intervene(Set(sites[1], vector), ZeroAblate(sites[2], positions=-1)):
        trace = model.trace(tokens, sites)
    before, _, mlp, after = (trace[site] for site in sites)
    assert mlp[:, -1].abs().max() == 0
    assert mlp[:, :-1].abs().min() > 0
    torch.testing.assert_close(after, before + vector + mlp, **CLOSE)


def test_heads_can_be_edited_at_z_or_at_their_output(model: Model, tokens: Tokens) -> None:
    for head in range(model.n_heads):
        at_z = edited_logits(model, tokens, ZeroAblate(Site("z", 1, head)))
        at_output = edited_logits(model, tokens, ZeroAblate(Site("head_out", 1, head)))
        assert (at_z - model.logits(tokens, last=9)).abs().max() > 1e-4
        torch.testing.assert_close(at_z, at_output, **CLOSE)
    torch.testing.assert_close(
        edited_logits(model, tokens, *(ZeroAblate(Site("z", 1, head)) for head in (0, 3))),
        edited_logits(model, tokens, *(ZeroAblate(Site("head_out", 1, head)) for head in (0, 3))),
        **CLOSE,
    )


def test_queries_keys_and_values_decide_what_attention_gives(model: Model, tokens: Tokens) -> None:
    pattern, z = Site("pattern", 1), Site("z", 1)
    plain = model.trace(tokens, [pattern, z])
    with model.intervene(Swap(Site("q", 1), ORDER), Swap(Site("k", 1), ORDER)):
        torch.testing.assert_close(model.trace(tokens, [pattern])[pattern], plain[pattern][ORDER], **CLOSE)
    with model.intervene(*(Swap(Site(name, 1), ORDER) for name in "qkv")):
        torch.testing.assert_close(model.trace(tokens, [z])[z], plain[z][ORDER], **CLOSE)
    with model.intervene(Swap(pattern, ORDER), Swap(Site("v", 1), ORDER)):
        torch.testing.assert_close(model.trace(tokens, [z])[z], plain[z][ORDER], **CLOSE)


def test_an_edited_pattern_weighs_the_values(model: Model, tokens: Tokens) -> None:
    """With all attention on the first token, every position receives the first token's value."""
    z, v = Site("z", 1), Site("v", 1)
    first = torch.zeros(9)
    first[0] = 1
    with model.intervene(Set(Site("pattern", 1), first)):
        trace = model.trace(tokens, [z, v])
    group = model.n_heads // model.n_key_value_heads
    expected = trace[v][:, :1].repeat_interleave(group, dim=2).expand_as(trace[z])
    torch.testing.assert_close(trace[z], expected, **CLOSE)
    with model.intervene(Set(Site("pattern", 1, 2), first, positions=-1)):
        one = model.trace(tokens, [z])[z]
    plain = model.trace(tokens, [z, Site("pattern", 1)])[z]
    torch.testing.assert_close(one[:, -1, 2], expected[:, -1, 2], **CLOSE)
    assert torch.equal(one[:, :-1], plain[:, :-1])
    assert torch.equal(one[:, -1, :2], plain[:, -1, :2])


def test_a_key_value_head_reaches_its_group_only(model: Model, tokens: Tokens) -> None:
    group = model.n_heads // model.n_key_value_heads
    with model.intervene(ZeroAblate(Site("v", 1, 1))):
        z = model.trace(tokens, [Site("z", 1)])[Site("z", 1)]
    plain = model.trace(tokens, [Site("z", 1)])[Site("z", 1)]
    changed = (z - plain).abs().amax(dim=(0, 1, 3)) > 1e-6
    assert changed.tolist() == [head // group == 1 for head in range(model.n_heads)]


def test_the_mlp_gives_what_its_last_matrix_received(model: Model, tokens: Tokens) -> None:
    if "mlp_post" in model.missing_sites:
        with pytest.raises(InputError, match=re.escape(model.missing_sites["mlp_post"])):
            model.sites("mlp_post")
        return
    out = Site("mlp_out", 1)
    plain = model.trace(tokens, [out])[out]
    with model.intervene(Swap(Site("mlp_post", 1), ORDER)):
        torch.testing.assert_close(model.trace(tokens, [out])[out], plain[ORDER], **CLOSE)


def test_edits_reach_later_positions_only(model: Model, tokens: Tokens) -> None:
    plain = model.logits(tokens, last=9)
    for name in ("resid_post", "z", "k", "head_out"):
        changed = edited_logits(model, tokens, ZeroAblate(model.sites(name)[1], positions=-4))
        torch.testing.assert_close(changed[:, :5], plain[:, :5], rtol=0, atol=1e-6)
        assert (changed[:, 5:] - plain[:, 5:]).abs().max() > 1e-4


def test_an_edit_does_the_same_under_padding(model: Model, padded: Tokens) -> None:
    """The shortest prompt, alone and in a padded batch, with edits at its last position."""
    row = 1
    alone = padded[row : row + 1].trimmed()
    edits = [Add(Site("resid_post", 0), torch.ones(model.d_model), positions=-1), ZeroAblate(Site("z", 1, 0), -2)]
    together = edited_logits(model, padded, *edits, last=1)[row]
    torch.testing.assert_close(together, edited_logits(model, alone, *edits, last=1)[0], rtol=0, atol=1e-5)


def test_swapping_twice_and_projecting_twice(model: Model, tokens: Tokens) -> None:
    basis = torch.linalg.qr(torch.randn(model.d_model, 3, generator=torch.Generator().manual_seed(5)))[0].T
    for site in (Site("resid_post", 1), Site("attn_out", 0), Site("head_out", 2, 3)):
        torch.testing.assert_close(
            edited_logits(model, tokens, Swap(site, ORDER), Swap(site, ORDER)), model.logits(tokens, last=9), **CLOSE
        )
        removed, kept = Project(site, basis), Project(site, basis, keep=True)
        with model.intervene(removed):
            once = model.trace(tokens, [site])[site]
        assert (once @ basis.T).abs().max() < 1e-4
        with model.intervene(removed, removed):
            torch.testing.assert_close(model.trace(tokens, [site])[site], once, **CLOSE)
        with model.intervene(kept):
            inside = model.trace(tokens, [site])[site]
        torch.testing.assert_close(inside + once, model.trace(tokens, [site])[site], **CLOSE)


def test_edits_of_one_site_apply_in_order(one_model: Model, tokens: Tokens) -> None:
    site, vector = Site("resid_post", 1), torch.randn(one_model.d_model)
    add, wipe = Add(site, vector), ZeroAblate(site)
    mean = MeanAblate(site, vector)
    assert torch.equal(edited_logits(one_model, tokens, wipe, add), edited_logits(one_model, tokens, mean))
    assert torch.equal(edited_logits(one_model, tokens, add, wipe), edited_logits(one_model, tokens, wipe))
    with one_model.intervene(wipe):
        assert torch.equal(edited_logits(one_model, tokens, add), edited_logits(one_model, tokens, mean))


def test_logits_can_be_edited(model: Model, tokens: Tokens) -> None:
    value = torch.randn(model.vocabulary_size, generator=torch.Generator().manual_seed(6))
    assert torch.equal(
        edited_logits(model, tokens, Set(Site("logits"), value, -1), last=1), value.expand(4, 1, model.vocabulary_size)
    )
    plain = model.logits(tokens, last=9)
    elsewhere = edited_logits(model, tokens, Set(Site("logits"), value, -3), last=1)
    torch.testing.assert_close(elsewhere, plain[:, -1:], rtol=0, atol=1e-5)
