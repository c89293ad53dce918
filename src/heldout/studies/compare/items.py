"""The prompts that every model reads: those of a suite, or the lines of a text file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from heldout.data import Sample, Suite
from heldout.errors import InputError, Problem
from heldout.evidence.canonical import sha256
from heldout.seeds import numpy_generator
from heldout.techniques.representation_comparison.comparison import LEAST_ITEMS


@final
@dataclass(frozen=True)
class Items:
    """Different prompts, in the order of their source. `samples` is empty for a text, which says nothing about them.

    `repeated` prompts were read once, as copies would make unrelated models alike; `left_out` are beyond the most that
    were asked for."""

    source: str
    digest: str
    texts: tuple[str, ...]
    samples: tuple[Sample, ...]
    repeated: int
    left_out: int

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of the samples, or the prompts themselves."""
        return tuple(sample.id for sample in self.samples) or self.texts

    def to_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "digest": self.digest,
            "n": len(self),
            "repeated": self.repeated,
            "left_out": self.left_out,
        }


def items_of(called: str, suite: Suite | str | Path | None, text: str | Path | None, most: int, seed: int) -> Items:
    """Raises InputError unless there is just one source, with enough different prompts."""
    if (suite is None) == (text is None):
        found = "neither a suite nor a text" if suite is None else "a suite and a text"
        raise InputError(called, Problem(found, "one source of prompts", "give a suite's folder, or a text file"))
    if suite is not None:
        opened = suite if isinstance(suite, Suite) else Suite.from_folder(suite)
        return chosen(called, opened.name, opened.digest, [sample.input for sample in opened.samples], opened.samples,
                      most, seed)  # fmt: skip
    path = Path(text or "")
    lines = read_lines(called, path)
    return chosen(called, path.name, sha256("\n".join(lines).encode()), lines, (), most, seed)


def chosen(
    called: str, source: str, digest: str, texts: list[str], samples: tuple[Sample, ...], most: int, seed: int
) -> Items:
    first = list({prompt: index for index, prompt in reversed(list(enumerate(texts)))}.values())
    if len(first) < LEAST_ITEMS:
        found = f"{len(first)} different prompts in {source}"
        raise InputError(called, Problem(found, f"at least {LEAST_ITEMS}", "add prompts: some hundreds are better"))
    kept = sorted(numpy_generator(seed, "items").permutation(sorted(first))[:most].tolist())
    return Items(
        source,
        digest,
        tuple(texts[index] for index in kept),
        tuple(samples[index] for index in kept) if samples else (),
        repeated=len(texts) - len(first),
        left_out=len(first) - len(kept),
    )


def read_lines(called: str, path: Path) -> list[str]:
    """The lines that are not empty. Raises InputError for what is no text."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        problem = Problem(f"{path} cannot be read: {reason}", "a text file with a prompt a line", "check the path")
        raise InputError(called, problem) from error
    return [line for line in content.splitlines() if line.strip()]
