"""Labelled texts: sentences or passages with the values of human latents, in parts that share no template and no word."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

from heldout.data import Sample, Suite, split_samples
from heldout.data.grouping import connected, same_question, same_template
from heldout.errors import InputError, Problem, Problems
from heldout.evidence.canonical import canonical_json, sha256

Part = Literal["fit", "select", "test"]
LEAST: dict[Part, int] = {"fit": 20, "select": 6, "test": 12}
"""The texts of a latent that each part needs."""
SPLITS: dict[Part, tuple[str, ...]] = {"fit": ("fit",), "select": ("select", "calibrate"), "test": ("test",)}
"""The parts of a suite that each part takes."""


@final
@dataclass(frozen=True)
class LabelledText:
    """One text and its value of one latent. `pair` names the other text that differs in this latent alone; `group` is the
    template, document or question that must not be in two parts; `word` is the word that a control task labels."""

    text: str
    latent: str
    value: str
    part: Part
    group: str
    pair: str | None = None
    word: str = ""


@final
@dataclass(frozen=True)
class TextSet:
    """The texts of some latents. `targets` is a suite's samples with a target, for path lengths."""

    name: str
    texts: tuple[LabelledText, ...]
    targets: tuple[Sample, ...] = ()

    @property
    def latents(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text.latent for text in self.texts))

    @property
    def digest(self) -> str:
        return sha256(canonical_json([vars(text) for text in self.texts]))

    def of(self, latent: str, part: Part | None = None) -> tuple[LabelledText, ...]:
        return tuple(text for text in self.texts if text.latent == latent and part in (None, text.part))

    def only(self, latents: Sequence[str]) -> TextSet:
        """Raises InputError for a latent that no text has."""
        if unknown := [name for name in latents if name not in self.latents]:
            problem = Problem(
                f"the latents {', '.join(unknown)}", f"some of {', '.join(self.latents)}", "correct the names"
            )
            raise InputError(f"TextSet({self.name!r}).only", problem)
        return replace(self, texts=tuple(text for text in self.texts if text.latent in latents))

    def checked(self, called: str) -> TextSet:
        """Itself. Raises InputError naming each latent with too few texts in a part, or one value only, and each text,
        group and pair that is in two parts."""
        problems = Problems(called)
        if not self.latents:
            next_step = (
                'write {"text": …, "latents": {"tense": "past"}, "group": …} a line, or name latents in the suite'
            )
            problems.add(f"{self.name}, in which no text has a latent", "texts with latents", next_step)
        for latent in self.latents:
            for part, least in LEAST.items():
                found = self.of(latent, part)
                values = {text.value for text in found}
                if len(found) < least or len(values) < 2:
                    problems.add(
                        f"{latent}: {len(found)} texts with {len(values)} values to {part}",
                        f"at least {least} texts and two values",
                        "add texts, in more groups, or leave this latent out",
                    )
            for kind, name, parts in self.torn(latent):
                problems.add(
                    f"{latent}: the {kind} {name!r} is in the parts {' and '.join(parts)}",
                    f"every {kind} in one part, or what is fitted leaks into the test",
                    "give all of it one part, or none"
                    if kind == "text"
                    else f"give its texts one part, or {kind}s of their own",
                )
        problems.raise_if_any()
        return self

    def torn(self, latent: str) -> Iterable[tuple[str, str, tuple[Part, ...]]]:
        """The texts, groups and pairs of a latent that are in several parts, and these."""
        found: dict[tuple[str, str], dict[Part, None]] = defaultdict(dict)
        for text in self.of(latent):
            found["text", text.text][text.part] = None
            found["group", text.group][text.part] = None
            if text.pair is not None:
                found["pair", text.pair][text.part] = None
        return ((kind, name, tuple(parts)) for (kind, name), parts in found.items() if len(parts) > 1)


def read_text_set(called: str, path: str | Path) -> TextSet:
    """A file with an object a line: `text`, `latents` (name to value), and optionally `group` (what must stay in one part;
    the pair or else the text itself by default), `pair`, `word` and `part`. Raises InputError naming every line that is none
    of that."""
    source = Path(path)
    problems = Problems(called)
    try:
        lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        found = f"{source} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
        raise InputError(called, Problem(found, "a JSONL file of labelled texts", "check the path")) from error
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        row = parsed(line)
        if row is None:
            expected = (
                'an object with "text" and "latents", such as {"text": "It rained.", "latents": {"tense": "past"}}'
            )
            problems.add(f"line {number} of {source.name}: {line[:60]!r}", expected, "correct that line")
        else:
            rows.append(row)
    problems.raise_if_any()
    return TextSet(source.name, tuple(texts_of(rows))).checked(called)


def parsed(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    good = isinstance(row, dict) and isinstance(row.get("text"), str) and isinstance(row.get("latents"), dict)
    return row if good and row["text"].strip() and row.get("part") in (None, *LEAST) else None


def texts_of(rows: Iterable[Mapping[str, Any]]) -> Iterable[LabelledText]:
    rows = list(rows)
    groups = list(dict.fromkeys(group_of(row) for row in rows))
    parts = dict(zip(groups, shared_out(len(groups)), strict=True))
    for row in rows:
        group = group_of(row)
        for latent, value in row["latents"].items():
            yield LabelledText(
                row["text"],
                str(latent),
                str(value),
                row.get("part") or parts[group],
                group,
                None if row.get("pair") is None else str(row["pair"]),
                str(row.get("word", row["text"].split()[0])),
            )


def group_of(row: Mapping[str, Any]) -> str:
    return str(next(row[name] for name in ("group", "pair", "text") if row.get(name) is not None))


def shared_out(count: int) -> list[Part]:
    """Of ten groups five to fit, two to select and three to test, in turn."""
    pattern: tuple[Part, ...] = ("fit", "test", "fit", "select", "fit", "test", "fit", "select", "fit", "test")
    return [pattern[place % len(pattern)] for place in range(count)]


def texts_of_suite(called: str, suite: Suite | str | Path, seed: int) -> TextSet:
    """The samples of a suite that name latents, split by the suite's own rule. The group is the template, or the question
    where that rule has a template in several parts."""
    opened = suite if isinstance(suite, Suite) else Suite.from_folder(suite)
    labelled = [sample for sample in opened.samples if sample.latents]
    splits = split_samples(labelled, seed).parts() if labelled else {}
    groups = groups_of(labelled, {sample.id: part for part, found in splits.items() for sample in found})
    texts = [
        LabelledText(
            sample.input,
            str(latent),
            str(value),
            part,
            groups[sample.id],
            None,
            sample.input.split()[0],
        )
        for part, names in SPLITS.items()
        for name in names
        for sample in splits.get(name, ())
        for latent, value in sample.latents.items()
    ]
    targets = tuple(sample for sample in opened.samples if sample.target is not None)
    return TextSet(opened.name, tuple(few_values(texts)), targets).checked(called)


def groups_of(samples: Sequence[Sample], splits: Mapping[str, str]) -> dict[str, str]:
    """From the id of a sample to the name of its template, or of its question."""
    questions = {sample.id: unit.name for unit in connected(samples, same_question) for sample in unit.samples}
    groups = dict(questions)
    for unit in connected(samples, same_template):
        if len({splits[sample.id] for sample in unit.samples}) == 1:
            groups.update({sample.id: f"template of {unit.name}" for sample in unit.samples})
    return groups


def few_values(texts: Sequence[LabelledText], most: int = 20) -> Iterable[LabelledText]:
    """Without values that are not in every part, and without latents of more than `most` values, which name the text."""
    for latent in dict.fromkeys(text.latent for text in texts):
        own = [text for text in texts if text.latent == latent]
        known = set.intersection(*({text.value for text in own if text.part == part} for part in LEAST))
        if 2 <= len(known) <= most:
            yield from (text for text in own if text.value in known)
