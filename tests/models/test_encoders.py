"""Encoders: what is read and edited is what transformers' BERT computes, and edits reach every position."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from heldout.errors import InputError
from heldout.models import (
    SITE_SHAPES,
    Add,
    LogitsFunction,
    Metric,
    Model,
    Project,
    Resample,
    Set,
    Site,
    Sublayers,
    TokenLogits,
    Tokens,
    ZeroAblate,
    check_access,
    encoder_model,
    load,
    plan_sweep,
    sweep,
)
from heldout.models.attention_patterns import attention_patterns
from heldout.models.norms import frozen_norm

CLASSES: dict[str, Any] = {
    "headless": BertModel,
    "masked": BertForMaskedLM,
    "classifier": BertForSequenceClassification,
}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def inner_model(name: str, **changes: Any) -> Any:
    settings = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
    config = BertConfig(vocab_size=50, max_position_embeddings=64, num_labels=3, **{**settings, **changes})
    torch.manual_seed(len(name))
    module = CLASSES[name](config)
    for parameter in module.parameters():
        noise = torch.randn_like(parameter)
        parameter.data.add_(0.3 * noise if parameter.ndim == 1 else noise / parameter.shape[-1] ** 0.5)
    return module.eval().requires_grad_(False)


@pytest.fixture(params=list(CLASSES))
def inner(request: pytest.FixtureRequest) -> Any:
    return inner_model(request.param)


@pytest.fixture
def encoder(inner: Any) -> Model:
    return encoder_model(inner)


def alone(inner: Any, ids: Tensor, **settings: Any) -> Any:
    with torch.no_grad():
        return inner(input_ids=ids, attention_mask=torch.ones_like(ids), **settings)


def output_of(found: Any) -> Tensor:
    """Logits, or the last stream of an encoder without a head."""
    return found.last_hidden_state if "last_hidden_state" in found else found["logits"]


def test_the_output_is_that_of_transformers_whatever_the_padding(inner: Any, padded: Tokens) -> None:
    encoder = encoder_model(inner)
    ours = encoder.logits(padded)
    assert (
        encoder.n_outputs
        == {"BertModel": 0, "BertForMaskedLM": 50, "BertForSequenceClassification": 3}[type(inner).__name__]
    )
    for row in range(len(padded)):
        expected = output_of(alone(inner, padded[row : row + 1].trimmed().ids))
        last = expected if expected.ndim == 2 else expected[:, -1]
        assert_close(ours[row], last, **CLOSE)


def test_streams_and_patterns_are_those_of_transformers(inner: Any, encoder: Model, tokens: Tokens) -> None:
    inner.set_attn_implementation("eager")
    found = alone(inner, tokens.ids, output_hidden_states=True, output_attentions=True)
    sites = [Site(name, layer) for name in ("resid_pre", "resid_post", "pattern") for layer in range(3)]
    trace = encoder.trace(tokens, sites, logits=False)
    for layer in range(3):
        assert_close(trace[Site("resid_pre", layer)], found.hidden_states[layer], **CLOSE)
        assert_close(trace[Site("resid_post", layer)], found.hidden_states[layer + 1], **CLOSE)
        assert_close(trace[Site("pattern", layer)], found.attentions[layer], **CLOSE)
        assert float(trace[Site("pattern", layer)].triu(1).abs().max()) > 0.01, "positions see later ones"


def hooked(inner: Any, path: str, tokens: Tokens, *, side: str = "output") -> Tensor:
    """What one of transformers' own modules gives, or is given, by a plain torch hook."""
    found: list[Tensor] = []
    module = inner.base_model.get_submodule(path)
    if side == "output":
        handle = module.register_forward_hook(lambda _, __, output: found.append(output))
    else:
        handle = module.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    alone(inner, tokens.ids)
    handle.remove()
    return found[0]


def test_sites_are_what_plain_hooks_find(inner: Any, encoder: Model, tokens: Tokens) -> None:
    layer = "encoder.layer.1"
    trace = encoder.trace(
        tokens, [Site(name, 1) for name in SITE_SHAPES if name not in ("logits", "pattern")], logits=False
    )
    assert_close(trace[Site("attn_out", 1)], hooked(inner, f"{layer}.attention.output.dense", tokens), **CLOSE)
    assert_close(trace[Site("resid_mid", 1)], hooked(inner, f"{layer}.attention.output", tokens), **CLOSE)
    assert_close(trace[Site("mlp_out", 1)], hooked(inner, f"{layer}.output.dense", tokens), **CLOSE)
    assert_close(trace[Site("mlp_post", 1)], hooked(inner, f"{layer}.output.dense", tokens, side="input"), **CLOSE)
    for name, part in (("q", "query"), ("k", "key"), ("v", "value")):
        assert_close(trace[Site(name, 1)].flatten(2), hooked(inner, f"{layer}.attention.self.{part}", tokens), **CLOSE)


def test_the_stream_is_normed_after_each_sum(inner: Any, encoder: Model, tokens: Tokens) -> None:
    """The structure that the names stand for: y = LayerNorm(x + attn_out), and LayerNorm(y + mlp_out)."""
    names = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
    trace = encoder.trace(tokens, [Site(name, layer) for name in names for layer in range(3)], logits=False)
    for number, layer in enumerate(inner.base_model.encoder.layer):
        before, attended, middle, added, after = (trace[Site(name, number)] for name in names)
        assert_close(layer.attention.output.LayerNorm(before + attended), middle, **CLOSE)
        assert_close(layer.output.LayerNorm(middle + added), after, **CLOSE)
        assert float((before + attended - middle).abs().mean()) > 0.1, "the norm is not the identity"


def test_heads_sum_to_what_attention_adds(inner: Any, encoder: Model, tokens: Tokens) -> None:
    trace = encoder.trace(tokens, [Site("head_out", 1), Site("attn_out", 1)], logits=False)
    bias = inner.base_model.encoder.layer[1].attention.output.dense.bias
    assert_close(trace[Site("head_out", 1)].sum(dim=2) + bias, trace[Site("attn_out", 1)], **CLOSE)


def test_an_edit_at_the_last_position_changes_every_position_above(encoder: Model, tokens: Tokens) -> None:
    above, beside = Site("resid_post", 1), Site("resid_post", 0)
    plain = encoder.trace(tokens, [beside, above], logits=False)
    with encoder.intervene(Add(Site("resid_pre", 1), torch.ones(32) * torch.arange(32), positions=-1)):
        moved = encoder.trace(tokens, [beside, above], logits=False)
    assert torch.equal(plain[beside], moved[beside])
    assert bool(((plain[above] - moved[above]).abs().amax(dim=(0, 2)) > 1e-3).all())


def edits_at(model: Model, site: Site, tokens: Tokens, generator: torch.Generator) -> list[Any]:
    found: list[Any] = []
    for positions in (None, -1, (-4, -2)):
        chosen = tokens.length if positions is None else 1 if isinstance(positions, int) else len(positions)
        shape = model.dimensions.shape_at(site, len(tokens), chosen, tokens.length)
        donors = torch.randint(0, len(tokens), (len(tokens),), generator=generator)
        found += [
            Set(site, torch.randn(shape, generator=generator), positions),
            Add(site, torch.randn(shape, generator=generator), positions),
            ZeroAblate(site, positions),
            Resample(site, donors, positions),
        ]
        if site.name != "pattern":
            basis = torch.linalg.qr(torch.randn(shape[-1], 2, generator=generator))[0].T
            found.append(Project(site, basis, positions=positions))
    return found


def metrics_of(model: Model) -> list[Metric]:
    found: list[Metric] = [LogitsFunction(lambda logits: logits.square().sum(dim=(1, 2)), positions=(-1,))]
    if model.n_outputs:
        found.append(TokenLogits(torch.tensor([[1, 2]]), torch.tensor([[1.0, -2.0]])))
    return found


@pytest.mark.parametrize("name", SITE_SHAPES)
def test_a_sweep_is_the_model_run_once_for_each_edit(encoder: Model, padded: Tokens, name: str) -> None:
    if name in encoder.missing_sites:
        with pytest.raises(InputError, match=name):
            encoder.sites(name)
        return
    generator = torch.Generator().manual_seed(0)
    tokens = padded[[0, 2, 4]]
    sites = [Site("logits")] if name == "logits" else [Site(name, layer) for layer in range(3)]
    if encoder.dimensions.heads_at(name) is not None:
        sites.append(Site(name, 1, 2))
    edits = [edit for site in sites for edit in edits_at(encoder, site, tokens, generator)]
    for metric in metrics_of(encoder):
        plan = plan_sweep(encoder, tokens, edits, metric)
        assert all(chunk.start == 0 for chunk in plan.chunks), "an edit reaches the positions before it"
        found = sweep(encoder, tokens, edits, metric)
        assert found.forward_passes == pytest.approx(plan.forward_passes, rel=1e-6)
        expected = torch.stack([run_alone(encoder, tokens, edit, metric) for edit in edits])
        scale = float((expected - found.base).abs().max())
        assert scale > 1e-3, "the edits do something"
        assert_close(found.values, expected, rtol=1e-4, atol=1e-4 * scale)


def run_alone(model: Model, tokens: Tokens, edit: Any, metric: Metric) -> Tensor:
    with attention_patterns(model.module, {}), model.intervene(edit):
        return metric.of_logits(model.logits(tokens))


def test_a_sweep_reads_a_position_in_the_middle(tokens: Tokens) -> None:
    """The metric of a masked word lies before the edit, which still reaches it."""
    encoder = encoder_model(inner_model("masked"))
    metric = TokenLogits(torch.tensor([[7]]), torch.ones(1, 1), position=-6)
    edit = ZeroAblate(Site("resid_pre", 0), positions=-1)
    with encoder.intervene(edit):
        expected = encoder.logits(tokens, last=6)[:, 0, 7]
    found = sweep(encoder, tokens, [edit], metric)
    assert_close(found.values[0], expected, **CLOSE)
    assert float(found.effects.abs().min()) > 1e-4


@pytest.mark.parametrize("eager", [False, True])
def test_layers_run_alone_give_the_streams_that_the_model_has(encoder: Model, padded: Tokens, eager: bool) -> None:
    sites = [Site(name, layer) for name in ("resid_pre", "resid_post") for layer in range(3)]
    work = Sublayers(encoder, padded, sites, eager=eager)
    real = padded.mask.bool()
    for layer in range(3):
        after = work.layer(layer, work.trace[Site("resid_pre", layer)])
        assert_close(after[real], work.trace[Site("resid_post", layer)][real], **CLOSE)


def test_what_does_not_hold_for_a_normed_stream_is_refused(encoder: Model, tokens: Tokens) -> None:
    work = Sublayers(encoder, tokens)
    for call in (
        lambda: work.attention(0, work.embedding),
        lambda: work.mlp(0, work.embedding),
        lambda: work.attention_norm(0),
    ):
        with pytest.raises(InputError, match="norms the stream after each sublayer"):
            call()
    with pytest.raises(InputError, match="every position sees every other"):
        work.attended(0, work.embedding[:, 2:], start=2)
    with pytest.raises(InputError, match="every position sees every other"):
        encoder.decode(tokens, 1)


def test_a_head_is_not_taken_apart_as_a_norm(tokens: Tokens) -> None:
    encoder = encoder_model(inner_model("masked"))
    head = encoder.module.get_submodule(encoder.architecture.final_norm)
    with pytest.raises(InputError, match="BertPredictionHeadTransform where a norm"):
        frozen_norm(head, torch.randn(3, 32, generator=torch.Generator().manual_seed(0)))


def test_logits_of_an_encoder_without_a_head_are_refused(tokens: Tokens) -> None:
    encoder = encoder_model(inner_model("headless"))
    with pytest.raises(InputError, match="without a head"):
        sweep(encoder, tokens, [], TokenLogits(torch.tensor([[1]]), torch.ones(1, 1)))


def test_the_self_test_of_access_passes_and_can_fail(encoder: Model) -> None:
    report = check_access(encoder, pairs=1)
    assert report.passed
    assert report.no_op_bit_identical
    assert dict(report.unsupported) == dict(encoder.missing_sites)
    broken = copy.deepcopy(encoder.module)
    broken.get_submodule("bert.embeddings.position_embeddings").register_forward_hook(lambda _, __, out: out * 1.0 + 1)
    layer = broken.get_submodule("bert.encoder.layer.0.attention.self")
    layer.register_forward_pre_hook(
        lambda _, args, kwargs: (args, {**kwargs, "attention_mask": None}), with_kwargs=True
    )
    assert not check_access(Model(broken, architecture=encoder.architecture), pairs=1).passed, "padding is seen"


def test_gradients_are_those_of_finite_differences(encoder: Model, tokens: Tokens) -> None:
    sites = [Site(name, 1) for name in ("resid_pre", "resid_mid", "attn_out", "z", "q", "pattern", "mlp_post")]
    trace = encoder.trace(tokens, sites, gradients=True)
    gradients = torch.autograd.grad(trace.logits.pow(3).sum(), [trace[site] for site in sites])
    for site, gradient in zip(sites, gradients, strict=True):
        step = 3e-3 * gradient / gradient.norm()
        losses: list[float] = []
        for sign in (1, -1):
            with encoder.intervene(Add(site, sign * step)):
                losses.append(float(encoder.trace(tokens, [Site("pattern", 0)]).logits.double().pow(3).sum()))
        assert (losses[0] - losses[1]) / 6e-3 == pytest.approx(float(gradient.norm()), rel=0.03), site


@pytest.fixture
def saved(inner: Any, tmp_path: Path, word_tokenizer: Callable[..., PreTrainedTokenizerFast]) -> Path:
    inner.save_pretrained(tmp_path)
    word_tokenizer([f"w{i}" for i in range(40)]).save_pretrained(tmp_path)
    return tmp_path


def test_a_saved_encoder_is_opened_with_its_head(inner: Any, saved: Path, padded: Tokens) -> None:
    encoder = load(saved)
    assert encoder.architecture is encoder_model(inner).architecture
    assert_close(encoder.logits(padded), encoder_model(inner).logits(padded), rtol=0, atol=1e-5)
    twin = encoder.randomly_initialised(0)
    assert twin.logits(padded).shape == encoder.logits(padded).shape
    assert not torch.allclose(twin.logits(padded), encoder.logits(padded), atol=1e-2)
    assert twin.digest == encoder.randomly_initialised(0).digest != encoder.digest


def test_heads_and_settings_without_a_map_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "model_type": "bert",
                "architectures": ["BertForTokenClassification"],
                "is_decoder": True,
                "position_embedding_type": "relative_key",
            }
        )
    )
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    for part in ("class BertForTokenClassification", "a BERT that decodes", "relative positions", "BertForMaskedLM"):
        assert part in str(caught.value)
    with pytest.raises(InputError, match="class BertForTokenClassification"):
        encoder_model(BertForTokenClassification(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)))


def test_no_hook_stays(encoder: Model, padded: Tokens, hook_count: Callable[[nn.Module], int]) -> None:
    metric = metrics_of(encoder)[0]
    sweep(encoder, padded[[0]], [ZeroAblate(Site("pattern", 0)), ZeroAblate(Site("resid_mid", 1), -1)], metric)
    assert hook_count(encoder.module) == 0
