"""Sites, positions and edits are checked before a pass, all problems at once; and no pass leaves a hook behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from heldout.errors import InputError, Problem
from heldout.models import Add, Model, Project, Resample, Set, Site, Swap, Tokens, ZeroAblate
from heldout.models.sites import SITE_SHAPES


@pytest.mark.parametrize(
    ("site", "text"),
    [
        (Site("resid_post", 5), "resid_post.5"),
        (Site("head_out", layer=3, head=7), "head_out.3.7"),
        (Site("logits"), "logits"),
    ],
)
def test_sites_have_a_text(site: Site, text: str) -> None:
    assert str(site) == text
    assert Site.parse(text) == site


def test_sites_are_ordered_by_name_layer_and_head() -> None:
    sites = [Site("z", 10), Site("z", 2, 1), Site("z", 2), Site("logits"), Site("attn_out", 3)]
    assert list(map(str, sorted(sites))) == ["attn_out.3", "logits", "z.2", "z.2.1", "z.10"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("resid", 1), "the name 'resid'"),
        (("resid_post",), "layer None"),
        (("resid_post", -1), "layer -1"),
        (("resid_post", 1, 2), "head 2 for resid_post"),
        (("z", 1, -2), "head -2"),
        (("logits", 1), "a layer or a head for logits"),
    ],
)
def test_a_site_that_cannot_be_is_refused(arguments: tuple[Any, ...], found: str) -> None:
    with pytest.raises(InputError) as raised:
        Site(*arguments)
    assert f"found:    {found}" in str(raised.value)


def test_text_that_is_no_site_is_refused() -> None:
    for text in ("resid_post.x", "", "z.1.2.3", "Z.1"):
        with pytest.raises(InputError):
            Site.parse(text)


def test_a_parallel_model_names_why_it_has_no_middle(build_model: Callable[..., Model], tokens: Tokens) -> None:
    model = build_model("gpt_neox")
    with pytest.raises(InputError) as raised:
        model.sites("resid_mid")
    assert str(raised.value).splitlines() == [
        "Model.sites('resid_mid')",
        "found:    resid_mid.0, which this GPT-NeoX model does not have: attention and MLP run in parallel "
        "(use_parallel_residual is true)",
        "expected: one of resid_pre, resid_post, attn_out, mlp_out, mlp_post, q, k, v, z, head_out, pattern, logits",
        "next:     choose another site; Model.sites lists the places of each name",
    ]
    with pytest.raises(InputError, match="in parallel"), model.intervene(ZeroAblate(Site("resid_mid", 0))):
        pass


def test_a_gpt2_that_reorders_attention_has_no_pattern(build_model: Callable[..., Model]) -> None:
    model = build_model("gpt2", reorder_and_upcast_attn=True)
    with pytest.raises(InputError, match="a way of its own"):
        model.sites("pattern")


def test_sites_lists_one_for_each_layer_or_head(model: Model) -> None:
    for name in SITE_SHAPES:
        if name not in model.missing_sites:
            count = {"logits": 1, "head_out": model.n_layers * model.n_heads}.get(name, model.n_layers)
            assert len(model.sites(name)) == count


def test_all_problems_of_a_trace_come_together(one_model: Model, tokens: Tokens) -> None:
    with pytest.raises(InputError) as raised:
        one_model.trace(tokens, [Site("resid_post", 3), Site("k", 0, 2), Site("z", 0, 4)], positions=(-1, 0, -10))
    assert [problem.found for problem in raised.value.problems] == [
        "resid_post.3 in a model of 3 layers",
        "k.0.2 in a layer with 2 key-value heads",
        "z.0.4 in a layer with 4 heads",
        "positions [0, -10] in prompts of 9 tokens",
    ]


def test_an_edit_is_refused_where_it_is_given(one_model: Model) -> None:
    with (
        pytest.raises(InputError) as raised,
        one_model.intervene(ZeroAblate(Site("z", 9)), ZeroAblate(Site("z", 0), positions=2)),
    ):
        pass
    assert raised.value.called == "Model.intervene"
    assert [problem.found for problem in raised.value.problems] == [
        "ZeroAblate at z.9: z.9 in a model of 3 layers",
        "ZeroAblate at z.0: positions [2]",
    ]


def test_shapes_are_checked_against_the_tokens(one_model: Model, tokens: Tokens) -> None:
    site = Site("resid_post", 1)
    edits = [
        Set(site, torch.zeros(31)),
        Add(site, torch.zeros(4, 2, 32), positions=-1),
        Add(site, torch.zeros(2, 4, 9, 32)),
        Resample(site, torch.tensor([0, 1, 2, 4])),
        Swap(site, torch.tensor([0, 0, 1, 2])),
        Project(site, torch.ones(2, 32)),
        Project(site, torch.ones(2, 31)),
        ZeroAblate(site, positions=-10),
        Set(Site("pattern", 0, 1), torch.zeros(4, 9, 9)),
    ]
    with one_model.intervene(*edits), pytest.raises(InputError) as raised:
        one_model.logits(tokens)
    assert [problem.found.removesuffix(" (largest error 31)") for problem in raised.value.problems] == [
        "Set at resid_post.1: value of shape (31,)",
        "Add at resid_post.1: vector of shape (4, 2, 32)",
        "Add at resid_post.1: vector of shape (2, 4, 9, 32)",
        "Resample at resid_post.1: donors [0, 1, 2, 4]",
        "Swap at resid_post.1: order [0, 0, 1, 2] with a row used twice",
        "Project at resid_post.1: basis rows that are not orthonormal (largest error 32)",
        "Project at resid_post.1: basis of shape (2, 31)",
        "ZeroAblate at resid_post.1: positions [-10] in prompts of 9 tokens",
    ]


def test_tokens_that_the_model_cannot_read(one_model: Model) -> None:
    with pytest.raises(InputError) as raised:
        one_model.logits(Tokens.from_ids(torch.full((1, 65), 50)))
    assert [problem.found for problem in raised.value.problems] == ["texts of 65 tokens", "token ids from 50 to 50"]
    with pytest.raises(InputError, match="at least one prompt"):
        one_model.logits(Tokens.from_ids([]))
    with pytest.raises(InputError, match="last=0"):
        one_model.logits(Tokens.from_ids([[1]]), last=0)
    with pytest.raises(InputError, match="texts of 66 tokens"):
        one_model.generate_ids(Tokens.from_ids([[1] * 60]), 7)


@dataclass(frozen=True)
class Broken:
    """An edit that fails in the middle of a pass."""

    site: Site
    positions: None = None

    def apply(self, activation: Tensor) -> Tensor:
        raise RuntimeError("broken on purpose")

    def problems(self, shape: tuple[int, ...]) -> list[Problem]:
        return []


def test_no_hook_is_left_behind(model: Model, tokens: Tokens, hook_count: Callable[[nn.Module], int]) -> None:
    config: Any = model.module.config
    before = (hook_count(model.module), getattr(config, "_attn_implementation", None))
    names = [name for name in SITE_SHAPES if name not in model.missing_sites]
    sites = [site for name in names for site in model.sites(name)]
    plain = model.logits(tokens)

    def clean() -> None:
        assert (hook_count(model.module), getattr(config, "_attn_implementation", None)) == before
        assert "eager" not in ALL_ATTENTION_FUNCTIONS
        assert torch.equal(model.logits(tokens), plain)

    model.trace(tokens, sites)
    model.trace(tokens, sites[:2], logits=False)
    model.trace(tokens, sites[:2], gradients=True)
    clean()
    for name in names:
        broken: Any = Broken(model.sites(name)[-1])
        with pytest.raises(RuntimeError, match="broken on purpose"), model.intervene(broken):
            model.trace(tokens, sites, gradients=True)
        clean()
    with pytest.raises(KeyError), model.intervene(ZeroAblate(sites[0])):
        raise KeyError
    clean()


def test_a_module_of_an_unknown_family_is_refused(build_model: Callable[..., Model]) -> None:
    with pytest.raises(InputError, match="found:    the family 'plain_transformer'"):
        Model(build_model("plain").module)


def test_the_meter_counts_passes(build_model: Callable[..., Model], tokens: Tokens) -> None:
    model = build_model("llama")
    model.logits(tokens)
    assert model.meter.samples == 4
    model.trace(tokens, [Site("resid_post", 0)], logits=False)
    assert model.meter.samples == pytest.approx(4 + 4 / 3)
    model.generate_ids(tokens[:1], 1)
    assert model.meter.samples == pytest.approx(5 + 4 / 3)


def test_random_initialisations_follow_their_seed(model: Model, tokens: Tokens) -> None:
    state = torch.random.get_rng_state()
    one, again, other = (model.randomly_initialised(seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert one.digest == again.digest != other.digest
    assert one.digest != model.digest
    assert torch.equal(one.logits(tokens), again.logits(tokens))
    assert not torch.equal(one.logits(tokens), other.logits(tokens))
    shapes = {name: p.shape for name, p in model.module.named_parameters()}
    assert {name: p.shape for name, p in one.module.named_parameters()} == shapes
