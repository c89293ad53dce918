"""Which of Inspect's generation settings the provider honours. What it does not honour it refuses by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inspect_ai.model import GenerateConfig

from heldout.errors import Problems

HONOURED = frozenset({"max_tokens", "temperature", "seed", "stop_seqs", "logprobs", "top_logprobs", "extra_body"})
ELSEWHERE = frozenset(
    {
        *(
            "max_retries",
            "timeout",
            "attempt_timeout",
            "stream_idle_timeout",
            "max_connections",
            "adaptive_connections",
        ),
        *("system_message", "cache", "cache_prompt", "fail_on_refusal", "parallel_tool_calls", "internal_tools"),
        *("reasoning_history", "num_choices"),
    }
)
"""What Inspect itself does, or what has no meaning for a model in the same process; `num_choices` above 1 is refused."""

OPTIONS = "options"
"""The one name in `extra_body`: a list of answers, of which the most likely by its one token is given."""


@dataclass(frozen=True)
class Settings:
    """How one request is to be answered. Temperature 0, the default, is the most likely token."""

    max_tokens: int | None = None
    temperature: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n_logprobs: int | None = None
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: GenerateConfig) -> Settings:
        """Raises InputError naming every setting that is not honoured."""
        given = config.model_dump(exclude_none=True)
        problems = Problems("heldout provider")
        for name in sorted(given.keys() - HONOURED - ELSEWHERE):
            _add(problems, f"the setting {name}={given[name]!r}")
        if given.get("num_choices", 1) != 1:
            _add(problems, f"the setting num_choices={given['num_choices']}")
        body: dict[str, Any] = given.get("extra_body", {})
        for name in sorted(body.keys() - {OPTIONS}):
            _add(problems, f"the setting extra_body={{{name!r}: ...}}")
        problems.raise_if_any()
        return cls(
            max_tokens=given.get("max_tokens"),
            temperature=float(given.get("temperature", 0.0)),
            seed=given.get("seed"),
            stop=tuple(given.get("stop_seqs", ())),
            n_logprobs=given.get("top_logprobs", 0) if given.get("logprobs") else None,
            options=tuple(body.get(OPTIONS, ())),
        )


def _add(problems: Problems, found: str) -> None:
    expected = f"{', '.join(sorted(HONOURED - {'extra_body'}))}; in extra_body, {OPTIONS}"
    problems.add(found, expected, "leave it out: this provider does not do it, and would not pretend to")
