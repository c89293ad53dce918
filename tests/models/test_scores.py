"""Reward models: their scores are transformers' own, and their inside is as open as that of a language model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from heldout.errors import InputError
from heldout.models import Add, Model, Site, ZeroAblate, check_access
from heldout.models.scores import load_reward_model, score_metric, scored
from heldout.techniques.attribution import integrated_gradients
from heldout.techniques.path_decomposition import direct_logits

TEXTS = ["w4", "w5 w6 w7", "w8 w9 w10 w11 w12 w13", "w5 w5"]
FAMILIES = ["gpt2", "gpt_neox", "llama", "mistral", "qwen3", "gemma2", "phi3", "mixtral"]


@pytest.fixture
def save_classifier(
    tmp_path: Path, build_model: Callable[..., Model], word_tokenizer: Callable[..., Any]
) -> Callable[..., Path]:
    """Saves a tiny sequence classifier of random weights: `save_classifier(family, **changes to its config)`."""

    def save(family: str, **changes: Any) -> Path:
        causal: Any = build_model(family).module
        config: Any = causal.config
        for name, value in {"pad_token_id": 0, "num_labels": 1, **changes}.items():
            setattr(config, name, value)
        module: Any = AutoModelForSequenceClassification.from_config(config)
        module.base_model.load_state_dict(causal.base_model.state_dict())
        module.score.weight.data = torch.randn(module.score.weight.shape, generator=torch.Generator().manual_seed(5))
        module.save_pretrained(tmp_path)
        word_tokenizer([f"w{i}" for i in range(46)]).save_pretrained(tmp_path)
        return tmp_path

    return save


def scores_of_transformers(folder: Path, model: Model) -> Tensor:
    """Of the same texts, right padded, by the pooling of transformers."""
    classifier = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = [model.tokenizer(text)["input_ids"] for text in TEXTS]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    with torch.no_grad():
        return classifier(input_ids=ids, attention_mask=(ids != 0).long()).logits[:, 0]


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_transformers(family: str, save_classifier: Callable[..., Path]) -> None:
    folder = save_classifier(family)
    model = load_reward_model(folder)
    plain = scores_of_transformers(folder, model)
    assert plain.std() > 0.01
    torch.testing.assert_close(scored(model, TEXTS), plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_access_passes_its_own_test(family: str, save_classifier: Callable[..., Path]) -> None:
    report = check_access(load_reward_model(save_classifier(family)), pairs=1)
    assert report.passed


def test_edits_change_the_score_as_a_hook_does(save_classifier: Callable[..., Path]) -> None:
    model = load_reward_model(save_classifier("llama"))
    vector = torch.linspace(-1, 1, model.d_model)
    layer = model.module.get_submodule("model.layers.1")

    def add(_: Any, __: Any, output: Tensor) -> Tensor:
        return output + vector

    handle = layer.register_forward_hook(add)
    hooked = scored(model, TEXTS)
    handle.remove()
    with model.intervene(Add(Site("resid_post", 1), vector)):
        edited = scored(model, TEXTS)
    torch.testing.assert_close(edited, hooked)
    assert not torch.allclose(edited, scored(model, TEXTS))
    with model.intervene(ZeroAblate(Site("resid_post", 2))):
        assert scored(model, TEXTS).abs().max() < 1e-6


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_a_score_is_the_sum_of_its_components(family: str, save_classifier: Callable[..., Path]) -> None:
    model = load_reward_model(save_classifier(family))
    tokens = model.tokenize(TEXTS)
    direct = direct_logits(model, tokens, score_metric())
    torch.testing.assert_close(direct.total, scored(model, TEXTS), atol=1e-5, rtol=1e-5)
    assert direct.remainder.abs().max() < 1e-5


def test_integrated_gradients_of_a_score_are_complete(save_classifier: Callable[..., Path]) -> None:
    model = load_reward_model(save_classifier("gpt2"))
    tokens = model.tokenize(TEXTS)
    baseline = torch.randn(model.d_model, generator=torch.Generator().manual_seed(1))
    found = integrated_gradients(model, tokens, score_metric(), baseline, steps=400)
    site = Site("resid_pre", 0)
    torch.testing.assert_close(found.by_site[site].sum(dim=1), found.change[site], atol=1e-3, rtol=1e-2)


def test_an_untrained_twin_has_one_output_too(save_classifier: Callable[..., Path]) -> None:
    model = load_reward_model(save_classifier("qwen3"))
    twin = model.randomly_initialised(seed=3)
    assert scored(twin, TEXTS).shape == (4,)
    assert not torch.allclose(scored(twin, TEXTS), scored(model, TEXTS))


def test_more_than_one_output_is_refused(save_classifier: Callable[..., Path]) -> None:
    folder = save_classifier("llama", num_labels=3)
    with pytest.raises(InputError) as error:
        load_reward_model(folder)
    assert [problem.found for problem in error.value.problems] == ["3 outputs"]
    assert "one output" in error.value.problems[0].expected


@pytest.fixture
def save_encoder(tmp_path: Path, word_tokenizer: Callable[..., Any]) -> Callable[[int], Path]:
    """Saves a BERT classifier of random weights with so many outputs."""

    def save(outputs: int) -> Path:
        torch.manual_seed(5)
        config = BertConfig(
            vocab_size=50,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=24,
            max_position_embeddings=32,
            num_labels=outputs,
            initializer_range=0.5,
        )
        BertForSequenceClassification(config).save_pretrained(tmp_path)
        word_tokenizer([f"w{i}" for i in range(46)]).save_pretrained(tmp_path)
        return tmp_path

    return save


def test_scores_of_an_encoder_are_those_of_transformers(save_encoder: Callable[[int], Path]) -> None:
    folder = save_encoder(1)
    model = load_reward_model(folder)
    plain = scores_of_transformers(folder, model)
    assert plain.std() > 0.01
    torch.testing.assert_close(scored(model, TEXTS), plain, atol=1e-5, rtol=1e-5)


def test_an_encoder_with_more_than_one_output_is_refused(save_encoder: Callable[[int], Path]) -> None:
    with pytest.raises(InputError, match="2 outputs"):
        load_reward_model(save_encoder(2))


def test_a_language_model_is_refused(checkpoint: Path) -> None:
    with pytest.raises(InputError, match="a model of the class Qwen3ForCausalLM"):
        load_reward_model(checkpoint)


def test_a_tokenizer_needs_a_pad_token_and_the_models_own(save_classifier: Callable[..., Path]) -> None:
    folder = save_classifier("llama", pad_token_id=3)
    with pytest.raises(InputError, match=r"pad token 3 in config\.json and 0 in the tokenizer"):
        load_reward_model(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="a tokenizer without a pad token"):
        load_reward_model(folder)


def test_texts_that_end_in_padding_are_refused(save_classifier: Callable[..., Path]) -> None:
    model = load_reward_model(save_classifier("llama"))
    with pytest.raises(InputError, match=r"texts \[1\] end with the pad token"):
        scored(model, ["w4", "w5 <pad>"])


def test_scores_that_are_not_numbers_are_refused(save_classifier: Callable[..., Path]) -> None:
    model = load_reward_model(save_classifier("llama"))
    model.module.get_submodule("model.layers.0.mlp.down_proj").get_parameter("weight").fill_(3e38)
    with pytest.raises(InputError, match="scores that are NaN or infinite"):
        scored(model, TEXTS)


def test_a_score_layer_that_is_missing_is_no_random_one(save_classifier: Callable[..., Path]) -> None:
    folder = save_classifier("llama")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if "score" not in name},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(InputError, match=r"no weights for score\.weight"):
        load_reward_model(folder)
