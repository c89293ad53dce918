"""What a task asks of a model: its solvers are run up to where they call the model, and the messages are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from inspect_ai import Task
from inspect_ai.dataset import Sample as InspectSample
from inspect_ai.model import ChatMessage, ChatMessageUser, ModelName
from inspect_ai.solver import Solver, TaskState

from heldout.errors import Problems
from heldout.evals.inspect.registered import Registered

SUPPORTED = ("generate", "multiple_choice", "system_message", "user_message", "prompt_template")
MULTIPLE_CHOICE = "multiple_choice"


@dataclass(frozen=True)
class Asked:
    """The messages of each sample as the model gets them, and the limit of tokens that the solvers set, if they do."""

    messages: list[list[ChatMessage]]
    max_tokens: int | None


def solvers_of(task: Task) -> list[Solver]:
    """The solvers in order; a chain is taken apart."""
    parts = task.solver if isinstance(task.solver, Sequence) else [task.solver]
    setup = [] if task.setup is None else task.setup if isinstance(task.setup, Sequence) else [task.setup]
    return [*setup, *parts]


def check_solvers(task: Task, problems: Problems) -> list[str]:
    """The names of the solvers; a problem for each whose answer does not come straight after its prompt."""
    found = [Registered.of(solver) for solver in solvers_of(task)]
    for solver in found:
        if solver.name not in SUPPORTED:
            problems.add(
                f"the solver {solver}",
                f"only {', '.join(SUPPORTED)}",
                "ask in one turn, without tools and without reasoning before the answer",
            )
        elif given := [name for name in ("cot", "multiple_correct", "shuffle") if solver.arguments.get(name)]:
            problems.add(
                f"the solver {solver}",
                f"multiple_choice without {', '.join(given)}: one letter, straight after the prompt, of choices that stay",
                "leave it out; choices can be shuffled in the dataset",
            )
    names = [solver.name for solver in found]
    if (n := sum(name in ("generate", MULTIPLE_CHOICE) for name in names)) != 1:
        problems.add(f"{n} solvers that ask the model", "one, generate or multiple_choice", "ask once")
    return names


def ask(task: Task, samples: Sequence[InspectSample]) -> Asked:
    """Runs the solvers of a task that `check_solvers` passed; nothing is generated."""
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(asyncio.run, _ask_all(solvers_of(task), samples)).result()
    limits = [each.max_tokens for each in heard if each.max_tokens is not None]
    return Asked([each.messages for each in heard], max(limits, default=None))


@dataclass
class _Ear:
    """Stands in for the model: keeps what it is asked, and answers nothing."""

    messages: list[ChatMessage] = field(default_factory=list[ChatMessage])
    max_tokens: int | None = None

    async def __call__(self, state: TaskState, *_: Any, **settings: Any) -> TaskState:
        self.messages = [message.model_copy() for message in state.messages]
        self.max_tokens = settings.get("max_tokens")
        state.completed = True
        return state


async def _ask_all(solvers: Sequence[Solver], samples: Sequence[InspectSample]) -> list[_Ear]:
    return [await _ask(solvers, sample) for sample in samples]


async def _ask(solvers: Sequence[Solver], sample: InspectSample) -> _Ear:
    ear = _Ear()
    given = [ChatMessageUser(content=sample.input)] if isinstance(sample.input, str) else list(sample.input)
    messages: list[ChatMessage] = [*given]
    state = TaskState(
        ModelName("none/none"), sample.id or 0, 1, sample.input, messages,
        choices=sample.choices, metadata=dict(sample.metadata or {}),
    )  # fmt: skip
    for solver in solvers:
        if Registered.of(solver).name == "generate":
            state = await ear(state, **Registered.of(solver).arguments)
        else:
            state = await solver(state, ear)
        if ear.messages:
            break
    return ear
