"""What both models read: the prompts of a suite, with their answers, and the lines of a text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from heldout.data import Sample, Suite
from heldout.errors import InputError, Problem
from heldout.evidence.canonical import sha256
from heldout.seeds import numpy_generator
from heldout.studies.compare.items import read_lines

LEAST = 8
"""Prompts: with fewer, no interval over them says anything."""


@final
@dataclass(frozen=True)
class Prompts:
    """Texts of one source. `samples` is empty for a text, which asks nothing."""

    source: str
    digest: str
    texts: tuple[str, ...]
    samples: tuple[Sample, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def asks(self) -> bool:
        return bool(self.samples)


def suite_prompts(called: str, suite: Suite | str | Path, most: int, seed: int) -> Prompts:
    """At most so many samples of a suite, drawn by the seed."""
    opened = suite if isinstance(suite, Suite) else Suite.from_folder(suite)
    rows = _chosen(called, opened.name, len(opened.samples), most, seed)
    samples = tuple(opened.samples[row] for row in rows)
    return Prompts(opened.name, opened.digest, tuple(sample.input for sample in samples), samples)


def text_prompts(called: str, text: str | Path, most: int, seed: int) -> Prompts:
    """At most so many lines of a text file, drawn by the seed."""
    path = Path(text)
    return lines_as_prompts(called, path.name, read_lines(called, path), most, seed)


def lines_as_prompts(called: str, source: str, lines: list[str], most: int, seed: int) -> Prompts:
    rows = _chosen(called, source, len(lines), most, seed)
    return Prompts(source, sha256("\n".join(lines).encode()), tuple(lines[row] for row in rows))


def _chosen(called: str, source: str, n: int, most: int, seed: int) -> list[int]:
    if n < LEAST:
        problem = Problem(f"{n} prompts in {source}", f"at least {LEAST}", "add prompts: some hundreds are better")
        raise InputError(called, problem)
    return sorted(numpy_generator(seed, "prompts", source).permutation(n)[:most].tolist())
