"""Prompts, tokens, answers, and greedy text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from heldout.errors import InputError
from heldout.models import Add, Edit, Model, Set, Site, Swap, Tokens, ZeroAblate


@pytest.fixture
def talking(build_model: Callable[..., Model], word_tokenizer: Callable[..., Any]) -> Model:
    return Model(build_model("qwen3").module, word_tokenizer([f"w{i}" for i in range(46)]))


def test_prompts_are_padded_on_the_left(talking: Model) -> None:
    tokens = talking.tokenize(["w0 w1 w2", "w3"])
    assert tokens.ids.tolist() == [[4, 5, 6], [0, 0, 7]]
    assert tokens.mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert tokens.position_ids.tolist() == [[0, 1, 2], [0, 0, 0]]
    assert talking.tokenize("w3").ids.tolist() == [[7]]


def test_a_prompt_that_begins_with_bos_gets_no_second_one(talking: Model) -> None:
    tokenizer = talking.tokenizer
    assert talking.tokenize(["<bos> w0"]).ids.tolist() == [[1, 4]]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 1)]
    )
    assert talking.tokenize(["w0", "<bos> w0"]).ids.tolist() == [[1, 4], [1, 4]]


def test_prompts_without_tokens_are_all_named(talking: Model) -> None:
    with pytest.raises(InputError) as raised:
        talking.tokenize(["w0", "", "  "])
    assert [problem.found for problem in raised.value.problems] == [
        "prompt 1, '', gives no token",
        "prompt 2, '  ', gives no token",
    ]


def test_an_id_without_an_embedding_is_refused(talking: Model) -> None:
    talking.tokenizer.add_tokens(["<image>"])
    with pytest.raises(InputError, match="prompt 0, 'w0 <image>', has token id 50"):
        talking.tokenize(["w0 <image>"])


def test_an_answer_is_one_token(talking: Model) -> None:
    assert talking.answer_token("w7") == 11
    with pytest.raises(InputError) as raised:
        talking.answer_token("w7 w8")
    assert str(raised.value).splitlines() == [
        "Model.answer_token('w7 w8')",
        "found:    the tokens ['w7', 'w8'] for 'w7 w8' and ['w7', 'w8'] for ' w7 w8'",
        "expected: an answer that is one known token",
        "next:     choose answers of one token, or a suite with answer = 'tokens'",
    ]
    with pytest.raises(InputError, match="one known token"):
        talking.answer_token("unheard")


def test_an_answer_may_be_a_token_that_continues_a_text(build_model: Callable[..., Model]) -> None:
    vocabulary = {"<unk>": 0, "Ġ": 1, "a": 2, "b": 3, "Ġa": 4, "Ġab": 5}
    backend = Tokenizer(models.BPE(vocabulary, [("Ġ", "a"), ("Ġa", "b")], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model = Model(build_model("gpt2").module, PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>"))
    assert model.answer_token("a") == 2
    assert model.answer_token("ab") == 5


def test_greedy_text_is_that_of_the_full_recomputation(model: Model, padded: Tokens) -> None:
    """The cache, the positions and the padding are right if every token is the argmax of a pass over the whole text."""
    new = model.generate_ids(padded, 6)
    for i in range(len(padded)):
        text = padded[i : i + 1].trimmed().ids
        for token in new[i].tolist():
            assert int(model.logits(Tokens.from_ids(text))[0, -1].argmax()) == token
            if token == 2:
                break
            text = torch.cat([text, torch.tensor([[token]])], dim=1)


def test_text_ends_at_the_end_token(talking: Model) -> None:
    tokens = talking.tokenize(["w0 w1", "w2"])

    def one_hot(i: int) -> torch.Tensor:
        return 100.0 * torch.nn.functional.one_hot(torch.tensor(i), 50)

    with talking.intervene(Set(Site("logits"), one_hot(9))):
        assert talking.generate(tokens, 3) == ["w5 w5 w5", "w5 w5 w5"]
        with talking.intervene(Set(Site("logits"), one_hot(2))):
            assert talking.generate(tokens, 3) == ["", ""]
            assert talking.generate_ids(tokens, 3).shape == (2, 1)
    assert talking.generate(tokens, 0) == ["", ""]


def test_generation_runs_edited(model: Model, tokens: Tokens) -> None:
    plain = model.generate_ids(tokens, 4)
    with model.intervene(Swap(Site("resid_post", 1), torch.tensor([1, 0, 3, 2]))):
        swapped = model.generate_ids(tokens, 1)
    assert torch.equal(swapped[:, 0], plain[[1, 0, 3, 2], 0])


def test_edits_of_every_position_reach_generated_tokens(model: Model, tokens: Tokens) -> None:
    """With an edit of all positions, decoding with a cache agrees with recomputing the edited text."""
    edits: list[Edit] = [Add(Site("resid_post", 0), torch.ones(model.d_model)), ZeroAblate(Site("z", 1, 0))]
    edits.append(ZeroAblate(Site("pattern", 1, 1)))
    with model.intervene(*edits):
        new = model.generate_ids(tokens, 4)
        text = torch.cat([tokens.ids, new[:, :3]], dim=1)
        again = model.logits(Tokens.from_ids(text), last=4).argmax(dim=-1)
    alive = torch.cat([torch.ones(4, 1, dtype=torch.bool), (new != 2).cumprod(dim=1)[:, :3].bool()], dim=1)
    assert torch.equal(new[alive], again[alive])


def test_edits_of_chosen_positions_stay_with_the_prompt(one_model: Model, tokens: Tokens) -> None:
    value = 30 * torch.nn.functional.one_hot(torch.tensor(7), 50).float()
    with one_model.intervene(Set(Site("logits"), value, positions=-1)):
        new = one_model.generate_ids(tokens, 3)
    text = torch.cat([tokens.ids, new[:, :2]], dim=1)
    assert new[:, 0].tolist() == [7] * 4
    assert torch.equal(new[:, 1:], one_model.logits(Tokens.from_ids(text), last=2).argmax(dim=-1))


def test_a_model_without_a_tokenizer_says_so(one_model: Model, tokens: Tokens) -> None:
    for call in (lambda: one_model.tokenize("a"), lambda: one_model.generate(tokens, 1)):
        with pytest.raises(InputError, match="has no tokenizer"):
            call()


def test_tokens_of_any_lengths() -> None:
    tokens = Tokens.from_ids([[5, 6, 7], [8]], pad_id=9)
    assert tokens.ids.tolist() == [[5, 6, 7], [9, 9, 8]]
    assert len(tokens) == 2
    assert tokens.length == 3
    assert tokens[1:].ids.tolist() == [[9, 9, 8]]
    assert tokens[1:].trimmed().ids.tolist() == [[8]]
    assert tokens[[1, 0]].ids.tolist() == [[9, 9, 8], [5, 6, 7]]
    both = Tokens.concatenate([tokens[1:].trimmed(), tokens])
    assert both.mask.tolist() == [[0, 0, 1], [1, 1, 1], [0, 0, 1]]


def test_padding_on_the_right_is_refused() -> None:
    with pytest.raises(InputError) as raised:
        Tokens(torch.ones(3, 2, dtype=torch.long), torch.tensor([[1, 0], [0, 1], [0, 0]]))
    assert "found:    padding after a real token, or nothing but padding, in rows [0, 2]" in str(raised.value)
    with pytest.raises(InputError, match="two integer tensors of the same shape"):
        Tokens(torch.ones(3, 2, dtype=torch.long), torch.ones(3, 1, dtype=torch.long))
