"""A suite: prompts with graders, read from a folder, checked, and written back without loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from heldout.data.findings import Findings
from heldout.data.pairs import ContrastPairs
from heldout.data.reading import SAMPLES_FILE, SUITE_FILE, read_samples, read_suite_table
from heldout.data.samples import Sample, of_role
from heldout.data.schema import Answer, BehaviourTable, SuiteTable
from heldout.data.validation import check_suite
from heldout.errors import InputError, Problem


@dataclass(frozen=True)
class Suite:
    """Prompts with graders for one or more behaviours. Each behaviour gets its own verdict.

    `answer` says in what form a model answers: `next_token` (the one token after the prompt), `tokens` (up to
    `max_new_tokens` of them), or `choice` (one of each sample's `choices`). A suite is checked whenever it is read or
    written, not when it is made.
    """

    name: str
    answer: Answer
    max_new_tokens: int
    behaviours: tuple[str, ...]
    samples: tuple[Sample, ...] = field(repr=False)
    description: str = ""
    behaviour_descriptions: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    @classmethod
    def from_folder(cls, path: str | Path) -> Self:
        """Reads a folder with suite.toml and samples.jsonl. Raises InputError with all that is wrong in either."""
        folder = Path(path)
        findings = Findings(f"Suite.from_folder({str(path)!r})")
        _refuse_missing(folder, findings.called)
        table = read_suite_table(folder, findings)
        lines, complete = read_samples(folder, findings)
        # Where suite.toml is unusable the samples are still checked, against whatever behaviours they name.
        suite = cls._assembled(table or _assumed(lines), lines)
        suite._check([f"{SAMPLES_FILE} line {line}" for line, _ in lines], findings, complete=complete)
        findings.raise_if_any()
        return suite

    def to_folder(self, path: str | Path) -> None:
        """Writes suite.toml and samples.jsonl, which `from_folder` reads back as an equal suite. Raises InputError."""
        findings = Findings(f"Suite.to_folder({str(path)!r})")
        self._check([f"sample {sample.id!r}" for sample in self.samples], findings)
        findings.raise_if_any()
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(sample.to_json(), ensure_ascii=False, allow_nan=False) + "\n" for sample in self.samples]
        (folder / SUITE_FILE).write_text(self._toml(), encoding="utf-8", newline="\n")
        (folder / SAMPLES_FILE).write_text("".join(lines), encoding="utf-8", newline="\n")

    @cached_property
    def digest(self) -> str:
        """`sha256:…` of the contents. The order of the samples and the layout of the files make no difference."""
        contents = {
            "name": self.name,
            "description": self.description,
            "answer": self.answer,
            "max_new_tokens": self.max_new_tokens,
            "behaviours": {name: self.behaviour_descriptions.get(name, "") for name in self.behaviours},
            "samples": [sample.to_json() for sample in sorted(self.samples, key=lambda sample: sample.id)],
        }
        text = json.dumps(contents, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def behaviour(self, name: str) -> tuple[Sample, ...]:
        """The samples of one behaviour. Raises InputError where the suite has none of that name."""
        if name not in self.behaviours:
            raise InputError(
                f"Suite.behaviour({name!r})",
                Problem(
                    f"suite {self.name!r} has no behaviour {name!r}",
                    f"one of {', '.join(map(repr, self.behaviours))}",
                    "name one of these behaviours",
                ),
            )
        return tuple(sample for sample in self.samples if sample.behaviour == name)

    def verified(self, name: str) -> tuple[Sample, ...]:
        """The samples of one behaviour whose right answer is known."""
        return of_role(self.behaviour(name), "verified")

    def unverified(self, name: str) -> tuple[Sample, ...]:
        """The samples of one behaviour whose grader accepts a set of answers."""
        return of_role(self.behaviour(name), "unverified")

    def pairs(self, name: str | None = None) -> ContrastPairs:
        """The contrast pairs of one behaviour, or of all."""
        return ContrastPairs.of(self.samples if name is None else self.behaviour(name))

    @classmethod
    def _assembled(cls, table: SuiteTable, lines: list[tuple[int, Sample]]) -> Self:
        return cls(
            name=table.name,
            answer=table.answer,
            max_new_tokens=table.max_new_tokens,
            behaviours=tuple(behaviour.name for behaviour in table.behaviour),
            samples=tuple(sample for _, sample in lines),
            description=table.description,
            behaviour_descriptions={each.name: each.description for each in table.behaviour if each.description},
        )

    def _check(self, places: list[str], findings: Findings, *, complete: bool = True) -> None:
        placed = list(zip(places, self.samples, strict=True))
        check_suite(self.answer, self.max_new_tokens, self.behaviours, placed, findings, complete=complete)

    def _toml(self) -> str:
        lines = [
            f"name = {_quoted(self.name)}",
            f"description = {_quoted(self.description)}",
            f"answer = {_quoted(self.answer)}",
            f"max_new_tokens = {self.max_new_tokens}",
        ]
        for name in self.behaviours:
            lines += ["", "[[behaviour]]", f"name = {_quoted(name)}"]
            if name in self.behaviour_descriptions:
                lines.append(f"description = {_quoted(self.behaviour_descriptions[name])}")
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: escaped as in JSON, and DEL as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _assumed(lines: list[tuple[int, Sample]]) -> SuiteTable:
    names = dict.fromkeys(sample.behaviour for _, sample in lines)
    return SuiteTable.model_construct(
        name="",
        answer="tokens",
        max_new_tokens=1,
        behaviour=[BehaviourTable.model_construct(name=name) for name in names],
    )


def _refuse_missing(folder: Path, called: str) -> None:
    if folder.is_dir():
        return
    found = f"{folder} is a file" if folder.exists() else f"there is no folder {folder}"
    expected = f"a folder with {SUITE_FILE} and {SAMPLES_FILE}"
    raise InputError(called, Problem(found, expected, "check the path, or write a suite there with Suite.to_folder"))
