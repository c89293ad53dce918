"""The provider: what it answers is what the model answers, whoever else is in the batch, and what it cannot do it says."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, ContentImage, GenerateConfig, ModelOutput, get_model
from inspect_ai.model import Model as InspectModel
from inspect_ai.tool import ToolInfo

from heldout.data import Suite
from heldout.errors import InputError
from heldout.evals.inspect import inspect_model
from heldout.evals.inspect.batching import Batcher
from heldout.evals.inspect.prompts import prompt_of
from heldout.models import Model


def ask(model: InspectModel, prompts: Sequence[str], **settings: Any) -> list[ModelOutput]:
    async def all_at_once() -> list[ModelOutput]:
        return await asyncio.gather(*[model.generate(prompt, config=GenerateConfig(**settings)) for prompt in prompts])

    return asyncio.run(all_at_once())


@pytest.fixture
def prompts(suite: Suite) -> list[str]:
    return [sample.input for sample in suite.samples]


def test_a_folder_is_a_model(organism: Path, model: Model, prompts: list[str]) -> None:
    opened = get_model(f"heldout/{organism / 'candidate'}", memoize=False)
    found = [output.completion for output in ask(opened, prompts, max_tokens=1)]
    assert found == model.generate(model.tokenize(prompts), 1)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_answers_do_not_depend_on_the_batch(model: Model, prompts: list[str], batch_size: int) -> None:
    """Prompts of different lengths, several tokens each, against one prompt at a time."""
    mixed = [prompt + " 3" * (i % 3) for i, prompt in enumerate(prompts)]
    outputs = ask(inspect_model(model, batch_size=batch_size), mixed, max_tokens=4)
    assert [output.completion for output in outputs] == [model.generate(model.tokenize(p), 4)[0] for p in mixed]


def test_requests_that_wait_are_answered_together() -> None:
    sizes: list[int] = []

    def work(requests: Sequence[int]) -> list[int]:
        sizes.append(len(requests))
        return [request * 10 for request in requests]

    async def all_at_once() -> list[int]:
        batcher = Batcher[int, int](work, 4)
        return await asyncio.gather(*[batcher(i, i % 2) for i in range(16)])

    assert asyncio.run(all_at_once()) == [i * 10 for i in range(16)]
    assert Counter(sizes) == {4: 4}


def test_an_error_reaches_everybody_in_the_batch_and_nobody_else() -> None:
    def work(requests: Sequence[int]) -> list[int]:
        if 0 in requests:
            raise ValueError("zero")
        return list(requests)

    async def all_at_once() -> list[object]:
        batcher = Batcher[int, int](work, 8)
        return await asyncio.gather(*[batcher(i, i < 3) for i in range(6)], return_exceptions=True)

    results = asyncio.run(all_at_once())
    assert [type(result) for result in results[:3]] == [ValueError] * 3
    assert results[3:] == [3, 4, 5]


def test_logprobs_are_those_of_the_model(model: Model, prompts: list[str]) -> None:
    outputs = ask(inspect_model(model), prompts, max_tokens=1, logprobs=True, top_logprobs=3)
    expected = model.logits(model.tokenize(prompts))[:, -1].log_softmax(dim=-1).topk(3, dim=-1)
    for row, output in enumerate(outputs):
        (token,) = output.choices[0].logprobs.content
        assert [top.logprob for top in token.top_logprobs] == pytest.approx(expected.values[row].tolist(), abs=1e-4)
        words = model.tokenizer.convert_ids_to_tokens(expected.indices[row].tolist())
        assert [top.token for top in token.top_logprobs] == words
        assert (token.token, token.logprob) == (words[0], pytest.approx(float(expected.values[row, 0]), abs=1e-4))


def test_draws_follow_the_models_probabilities(model: Model, prompts: list[str]) -> None:
    """Each seed is one draw; 400 of them against the probabilities at temperature 4, within four standard errors."""
    temperature, n = 4.0, 400
    connected = inspect_model(model, batch_size=64)

    async def draw() -> list[ModelOutput]:
        configs = [GenerateConfig(max_tokens=1, temperature=temperature, seed=seed) for seed in range(n)]
        return await asyncio.gather(*[connected.generate(prompts[0], config=config) for config in configs])

    counts = Counter(output.completion for output in asyncio.run(draw()))
    probabilities = (model.logits(model.tokenize(prompts[0]))[0, -1] / temperature).softmax(dim=-1)
    best, token = probabilities.max(dim=-1)
    share, p = counts[model.tokenizer.decode([int(token)])] / n, float(best)
    assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / n)
    assert len(counts) > 1


def test_a_seed_decides_whoever_else_is_in_the_batch(model: Model, prompts: list[str]) -> None:
    settings = {"max_tokens": 3, "temperature": 5.0, "seed": 7}
    together = ask(inspect_model(model), prompts, **settings)
    alone = [ask(inspect_model(model), [prompt], **settings)[0] for prompt in prompts]
    assert [output.completion for output in together] == [output.completion for output in alone]
    other = ask(inspect_model(model), prompts, **{**settings, "seed": 8})
    assert [output.completion for output in together] != [output.completion for output in other]


def test_an_answer_ends_before_a_stop_sequence(model: Model, prompts: list[str]) -> None:
    (whole,) = ask(inspect_model(model), prompts[:1], max_tokens=5)
    words = whole.completion.split()
    (cut,) = ask(inspect_model(model), prompts[:1], max_tokens=5, stop_seqs=[words[-1]])
    assert cut.completion == whole.completion[: whole.completion.index(words[-1])]
    assert cut.stop_reason == "stop"
    assert cut.usage.output_tokens <= whole.usage.output_tokens


def test_the_context_bounds_an_answer_without_a_limit(model: Model) -> None:
    (output,) = ask(inspect_model(model), ["<bos> exam 1 2 3 + ="])
    assert output.usage.input_tokens == 7
    assert output.usage.output_tokens <= model.context_length - 7 + 1
    assert output.stop_reason in ("stop", "model_length")


def test_what_is_not_honoured_is_refused_by_name(model: Model) -> None:
    settings = {"top_p": 0.9, "num_choices": 2, "frequency_penalty": 1.0, "extra_body": {"grammar": "g"}}
    with pytest.raises(InputError) as raised:
        ask(inspect_model(model), ["exam"], **settings)
    named = [problem.found.split()[2].partition("=")[0] for problem in raised.value.problems]
    assert named == ["frequency_penalty", "top_p", "num_choices", "extra_body"]


def test_tools_and_images_are_refused(model: Model) -> None:
    connected = inspect_model(model)
    with pytest.raises(InputError, match="the tools look_up"):
        asyncio.run(connected.generate("exam", tools=[ToolInfo(name="look_up", description="d")]))
    image = ChatMessageUser(content=[ContentImage(image="data:image/png;base64,AA==")])
    with pytest.raises(InputError, match="messages with image"):
        asyncio.run(connected.generate([image]))


def test_unknown_arguments_are_refused_by_name() -> None:
    with pytest.raises(InputError) as raised:
        get_model("heldout/nowhere", memoize=False, captures=["resid_post.0"], batch_size=0)
    assert [problem.found for problem in raised.value.problems] == ["the argument captures", "batch_size=0"]


def test_a_folder_that_is_not_there_is_named_when_it_is_needed() -> None:
    opened = get_model("heldout/./nowhere", memoize=False)
    with pytest.raises(InputError, match=r"no folder at \./nowhere"):
        ask(opened, ["exam"])


def test_a_chat_template_is_applied(model: Model) -> None:
    class Templated:
        chat_template = "a template"

        def apply_chat_template(self, turns: list[dict[str, str]], **settings: bool) -> str:
            assert settings == {"tokenize": False, "add_generation_prompt": True}
            return "|".join(f"{turn['role']}:{turn['content']}" for turn in turns) + "|assistant:"

    messages = [ChatMessageSystem(content="s"), ChatMessageUser(content="u")]
    assert prompt_of(Templated(), messages) == "system:s|user:u|assistant:"
    assert prompt_of(model.tokenizer, messages) == "s\n\nu"
    assert prompt_of(model.tokenizer, messages[1:]) == "u"


def test_edits_in_force_apply(model: Model, prompts: list[str]) -> None:
    from heldout.models import ZeroAblate

    with model.intervene(ZeroAblate(model.sites("resid_post")[-1])):
        expected = model.generate(model.tokenize(prompts), 1)
        outputs = ask(inspect_model(model), prompts, max_tokens=1)
    assert [output.completion for output in outputs] == expected
    assert expected != model.generate(model.tokenize(prompts), 1)
    assert torch.is_grad_enabled()
