"""The provider `heldout`: an Inspect model that runs in this process and can record what happens inside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from heldout.errors import InputError, Problem, Problems
from heldout.evals.inspect.answering import Reply, Request, answer, room
from heldout.evals.inspect.batching import Batcher
from heldout.evals.inspect.capture import Capture
from heldout.evals.inspect.prompts import prompt_of
from heldout.evals.inspect.settings import Settings
from heldout.models import Model, load

DEFAULT_BATCH = 32


class HeldoutAPI(ModelAPI):
    """`get_model("heldout/PATH", capture=["resid_post.2"], sidecar="FOLDER")`. Final.

    `capture`: sites to record; `positions`: where, counted from the prompt's end (default -1, its last token); `sidecar`:
    the folder for what is recorded; `device`, `allow_remote_code`: as in `heldout.load`; `batch_size`: the most requests
    that run together; `loaded`: a model that is already open, in place of PATH. Weights are read when the first request
    comes, so that scoring an old log needs none. Raises InputError for unusable arguments, and where PATH has a config
    without the sites."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (Inspect's own signature)
        *,
        capture: str | Sequence[str] = (),
        positions: int | Sequence[int] = -1,
        sidecar: str | None = None,
        device: str = "cpu",
        batch_size: int = DEFAULT_BATCH,
        allow_remote_code: bool = False,
        loaded: Model | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        self._called = f"heldout/{model_name}"
        _refuse_unknown(self._called, unknown, batch_size)
        self._capture = Capture.parse(self._called, capture, positions, sidecar) if capture else None
        self._batch_size = batch_size
        self._device, self._allow_remote_code = device, allow_remote_code
        self._model = loaded
        self._loading = Lock()
        self._batcher = Batcher[Request, Reply](self._answer, batch_size)
        if self._capture is not None and loaded is None:
            self._capture.check_folder(self._called, Path(model_name))
        elif self._capture is not None and loaded is not None:
            self._capture.check_model(self._called, loaded)

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """The answer; with capture, `metadata` refers to what was recorded. Raises InputError for tools, content other than
        text, settings that are not honoured, and prompts that the model cannot take."""
        if tools:
            names = ", ".join(tool.name for tool in tools)
            raise InputError(
                self._called,
                Problem(f"the tools {names}", "a task without tools", "leave the tools out: this provider calls none"),
            )
        started, settings, model = time.monotonic(), Settings.of(config), self._opened()
        prompt = prompt_of(model.tokenizer, input)
        request = Request(prompt, settings, model.tokenize(prompt).longest)
        reply = await self._batcher(request, (settings, room(request, model.context_length)))
        return self._output(reply, time.monotonic() - started)

    def max_connections(self) -> int:
        return 2 * self._batch_size

    def connection_key(self) -> str:
        return self.model_name

    def _answer(self, requests: Sequence[Request]) -> list[Reply]:
        return answer(self._opened(), requests, self._capture)

    def _opened(self) -> Model:
        with self._loading:
            if self._model is None:
                self._model = load(self.model_name, device=self._device, allow_remote_code=self._allow_remote_code)
                if self._capture is not None:
                    self._capture.check_model(self._called, self._model)
            return self._model

    def _output(self, reply: Reply, seconds: float) -> ModelOutput:
        message = ChatMessageAssistant(content=reply.text, model=self.model_name, source="generate")
        choice = ChatCompletionChoice(message=message, stop_reason=reply.stop_reason, logprobs=reply.logprobs)
        usage = ModelUsage(
            input_tokens=reply.n_input, output_tokens=reply.n_output, total_tokens=reply.n_input + reply.n_output
        )
        metadata = None if reply.reference is None else reply.reference.to_metadata()
        return ModelOutput(
            model=self.model_name, choices=[choice], usage=usage, time=round(seconds, 3), metadata=metadata
        )


def _refuse_unknown(called: str, unknown: dict[str, Any], batch_size: int) -> None:
    problems = Problems(called)
    known = "capture, positions, sidecar, device, batch_size, allow_remote_code"
    for name in unknown:
        problems.add(f"the argument {name}", f"only {known}", "correct the name, or leave it out")
    if batch_size < 1:
        problems.add(f"batch_size={batch_size}", "a batch_size of 1 or more", "leave it out for the default")
    problems.raise_if_any()
