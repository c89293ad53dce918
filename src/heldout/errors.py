"""Errors that say what was called, what was found, what was expected and what to do next."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input, in the three parts that follow the call itself."""

    found: str
    expected: str
    next_step: str

    def __str__(self) -> str:
        return f"found:    {self.found}\nexpected: {self.expected}\nnext:     {self.next_step}"


class HeldoutError(Exception):
    """Any error that heldout raises on purpose. `exit_code` is what the command line returns for it."""

    exit_code = 1


class InputError(HeldoutError):
    """An input cannot be used. Carries every problem of that input, not just the first."""

    exit_code = 2

    def __init__(self, called: str, *problems: Problem) -> None:
        self.called = called
        self.problems = problems
        super().__init__(str(self))

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.called}\n{self.problems[0]}"
        numbered = (f"problem {i} of {len(self.problems)}\n{problem}" for i, problem in enumerate(self.problems, 1))
        return "\n".join([self.called, *numbered])

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.called, *self.problems))


@dataclass
class Problems:
    """Gathers the problems of one input, so that they are reported together.

    >>> problems = Problems("Suite.from_folder('suite')")
    >>> problems.add("no suite.toml", "a folder with suite.toml and samples.jsonl", "write suite.toml")
    >>> problems.raise_if_any()
    Traceback (most recent call last):
    ...
    heldout.errors.InputError: Suite.from_folder('suite')
    found:    no suite.toml
    expected: a folder with suite.toml and samples.jsonl
    next:     write suite.toml
    """

    called: str
    found: list[Problem] = field(default_factory=list[Problem])

    def add(self, found: str, expected: str, next_step: str) -> None:
        self.found.append(Problem(found, expected, next_step))

    def raise_if_any(self) -> None:
        if self.found:
            raise InputError(self.called, *self.found)
