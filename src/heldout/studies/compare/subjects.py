"""The models that take part, each loaded when it is its turn."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from heldout.errors import InputError, Problem
from heldout.models import CheckpointSuite, Model, load

Source = Model | str | Path | CheckpointSuite


@final
@dataclass(frozen=True)
class Subject:
    """A model under the letter that the figure calls it by."""

    label: str
    name: str
    opened: Callable[[], AbstractContextManager[Model]]


def subjects_of(called: str, sources: Source | Iterable[Source], *, allow_remote_code: bool) -> list[Subject]:
    """Models, folders, hub ids, and suites of checkpoints: a folder without a config of its own is one of these.

    Raises InputError for fewer than two models."""
    listed = [sources] if isinstance(sources, Model | str | Path | CheckpointSuite) else list(sources)
    found = [each for source in listed for each in opened(source, allow_remote_code)]
    if len(found) < 2:
        problem = Problem(f"{len(found)} models", "at least two models", "name another, or a folder of checkpoints")
        raise InputError(called, problem)
    counts: Counter[str] = Counter()
    subjects: list[Subject] = []
    for number, (name, how) in enumerate(found):
        counts[name] += 1
        again = f" ({counts[name]})" if counts[name] > 1 else ""
        subjects.append(Subject(letter(number), f"{name}{again}", how))
    return subjects


def opened(source: Source, allow_remote_code: bool) -> list[tuple[str, Callable[[], AbstractContextManager[Model]]]]:
    if isinstance(source, Model):
        return [(source.name, partial(nullcontext, source))]
    if isinstance(source, CheckpointSuite):
        return [(checkpoint.name, checkpoint.resident) for checkpoint in source]
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file() and any(folder.glob("*/config.json")):
        return opened(CheckpointSuite.from_folder(folder, allow_remote_code=allow_remote_code), allow_remote_code)
    name = "/".join(folder.resolve().parts[-2:]) if folder.is_dir() else str(source)
    return [(name, partial(loaded, source, allow_remote_code))]


@contextmanager
def loaded(source: Any, allow_remote_code: bool) -> Generator[Model]:
    yield load(source, allow_remote_code=allow_remote_code)


def letter(number: int) -> str:
    """
    >>> [letter(number) for number in (0, 25, 26)]
    ['A', 'Z', 'A2']
    """
    turn, place = divmod(number, len(string.ascii_uppercase))
    return string.ascii_uppercase[place] + (str(turn + 1) if turn else "")
