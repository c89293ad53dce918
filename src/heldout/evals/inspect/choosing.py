"""The next token of each row of a batch: the most likely one, a drawn one, or the most likely of the options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from inspect_ai.model import Logprob, TopLogprob
from torch import Tensor

from heldout.evals.inspect.settings import Settings
from heldout.models import Model
from heldout.models.generation import end_token_ids
from heldout.seeds import derived_seed
from heldout.shapes import Float, Int


class Chooser:
    """A rule for `Model.decode`, for requests that share their settings. `logprobs[row]` gathers natural logarithms of the
    model's own probabilities, before temperature and options.

    With a seed, a row's draws depend on the seed and its prompt alone, and not on who else is in the batch."""

    def __init__(self, model: Model, settings: Settings, prompts: Sequence[str]) -> None:
        self.settings = settings
        self.ends = sorted(end_token_ids(model.module, model.tokenizer))
        self.logprobs: list[list[Logprob]] = [[] for _ in prompts]
        self._tokenizer: Any = model.tokenizer
        self._rows: list[list[int]] = [[] for _ in prompts]
        self._generators = [_generator(settings.seed, prompt) for prompt in prompts]
        self._stopped = torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
        self._options = torch.tensor([model.answer_token(option) for option in settings.options], dtype=torch.long)

    def __call__(self, logits: Float[Tensor, "row vocabulary"]) -> Int[Tensor, " row"]:
        logits_rv = logits.float()
        chosen = self._chosen(logits_rv)
        if self.settings.stop and self.ends:
            chosen = torch.where(self._stopped, self.ends[0], chosen)
        if self.settings.n_logprobs is not None:
            self._note(logits_rv.log_softmax(dim=-1), chosen)
        for row, token in zip(self._rows, chosen.tolist(), strict=True):
            row.append(token)
        if self.settings.stop:
            self._stopped = torch.tensor([self._has_stop(row) for row in self._rows], device=chosen.device)
        return chosen

    def _chosen(self, logits_rv: Tensor) -> Tensor:
        if len(self._options):
            columns = self._options.to(logits_rv.device)
            return columns[logits_rv[:, columns].argmax(dim=-1)]
        if self.settings.temperature <= 0:
            return logits_rv.argmax(dim=-1)
        probabilities = (logits_rv / self.settings.temperature).softmax(dim=-1).cpu()
        drawn = [torch.multinomial(row, 1, generator=g) for row, g in zip(probabilities, self._generators, strict=True)]
        return torch.cat(drawn).to(logits_rv.device)

    def _has_stop(self, row: list[int]) -> bool:
        """A row whose text holds a stop sequence ends with its next token, where the model has a token for that."""
        text = self._tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return any(stop in text for stop in self.settings.stop)

    def _note(self, logprobs_rv: Tensor, chosen: Tensor) -> None:
        n = min(self.settings.n_logprobs or 0, logprobs_rv.shape[1])
        values, tokens = logprobs_rv.topk(n, dim=-1)
        own = logprobs_rv.gather(1, chosen[:, None])[:, 0].tolist()
        for row, (gathered, token) in enumerate(zip(self.logprobs, chosen.tolist(), strict=True)):
            best = zip(tokens[row].tolist(), values[row].tolist(), strict=True)
            top = [TopLogprob(token=self._spelt(other), logprob=value) for other, value in best]
            gathered.append(Logprob(token=self._spelt(token), logprob=own[row], top_logprobs=top or None))

    def _spelt(self, token: int) -> str:
        return str(self._tokenizer.convert_ids_to_tokens(token))


def _generator(seed: int | None, prompt: str) -> torch.Generator:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(derived_seed(seed, "answer", prompt))
    return generator
