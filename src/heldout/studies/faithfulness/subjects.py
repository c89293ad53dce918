"""The models that take part, and which of them are seeds of one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, final

from heldout.errors import InputError, Problem
from heldout.models import Model, as_model

Source = Model | str | Path
Sources = Source | Iterable[Source] | Mapping[str, Iterable[Source]]


@final
@dataclass(frozen=True)
class Subject:
    """A model that is loaded when it is its turn."""

    group: str
    source: Source

    @property
    def name(self) -> str:
        return name_of(self.source)

    def opened(self, *, allow_remote_code: bool) -> Model:
        return as_model(self.source, allow_remote_code=allow_remote_code)


def subjects_of(called: str, sources: Sources) -> list[Subject]:
    """A mapping names groups of models that are seeds of one another; else each model stands by itself. Raises InputError
    where there is none."""
    if isinstance(sources, Mapping):
        groups = cast("Mapping[str, Iterable[Source]]", sources)
        subjects = [Subject(group, source) for group, members in groups.items() for source in members]
    else:
        listed: list[Source] = [sources] if isinstance(sources, Model | str | Path) else list(sources)
        subjects = [Subject(name_of(source), source) for source in listed]
    if not subjects:
        raise InputError(called, Problem("no models", "one model or more", "name a model, such as models/candidate"))
    _refuse_twice(called, subjects)
    return subjects


def _refuse_twice(called: str, subjects: list[Subject]) -> None:
    """The unit is the model: the same one is no second seed."""
    places = [(each.group, each.source if isinstance(each.source, Model) else Path(each.source).resolve())
              for each in subjects]  # fmt: skip
    for place, subject in zip(places, subjects, strict=True):
        if places.count(place) > 1:
            found = f"{subject.name} several times in the group {subject.group!r}"
            raise InputError(called, Problem(found, "each model once in a group", "name other seeds, or each once"))


def name_of(source: Source) -> str:
    if isinstance(source, Model):
        return source.name
    folder = Path(source)
    return "/".join(folder.resolve().parts[-2:]) if folder.is_dir() else str(source)
