"""What every checkpoint is asked: the same prompts in the same order, with their concepts and splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from heldout.data import ROLES, Role, Sample, Suite, options_of
from heldout.errors import InputError, Problem, Problems
from heldout.models import Model, Tokens
from heldout.studies.compare.concepts import RIGHT_ANSWER, Concept, Skipped, concepts_of
from heldout.studies.compare.decoding import Parts, parts_of
from heldout.studies.compare.items import Items, items_of

CHECKED = "whether it is checked"
"""The concept that is a prompt's role."""
Rows = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Asked:
    """Prompts of one behaviour of a suite. `seed` divides them into the parts that readouts are fitted and tested on."""

    suite: Suite
    behaviour: str
    items: Items
    seed: int

    @property
    def samples(self) -> tuple[Sample, ...]:
        return self.items.samples

    def rows(self, role: Role, cue: str | None = None) -> Rows:
        """The numbers of the prompts of a role, or of one cue within it."""
        wanted = [sample.role == role and cue in (None, sample.cue) for sample in self.samples]
        return np.flatnonzero(wanted)

    @property
    def groups(self) -> list[tuple[Role, str | None]]:
        """Each role, and each cue within it where the suite names several."""
        found: list[tuple[Role, str | None]] = []
        for role in ROLES:
            samples = [self.samples[row] for row in self.rows(role)]
            cues = sorted({sample.cue for sample in samples if sample.cue is not None})
            named: list[str | None] = [None] if samples else []
            named += cues if len(cues) > 1 else []
            found.extend((role, cue) for cue in named)
        return found

    @property
    def options(self) -> tuple[str, ...]:
        """What a suite of choices can be answered with; nothing for other suites."""
        return options_of(self.suite) if self.suite.answer == "choice" else ()

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """Every answer that the suite accepts or offers, once."""
        named = (answer for sample in self.suite.samples for answer in (*sample.accepts, sample.target or ""))
        return tuple(dict.fromkeys(answer for answer in (*named, *self.options) if answer))

    @cached_property
    def concepts(self) -> list[Concept]:
        """The right answer, the latents that the suite names, and a prompt's role."""
        return [*concepts_of(self.items)[0], Concept(CHECKED, tuple(sample.role for sample in self.samples))]

    @property
    def skipped(self) -> list[Skipped]:
        return concepts_of(self.items)[1]

    @cached_property
    def right_answer(self) -> Concept | None:
        return next((concept for concept in self.concepts if concept.name == RIGHT_ANSWER), None)

    @cached_property
    def right_unverified(self) -> NDArray[np.str_]:
        """The right answers to unverified prompts, as far as they are known, else "": that of a verified prompt of the same
        pair, or the one latent that is the right answer to every verified prompt."""
        verified = [self.samples[row] for row in self.rows("verified")]
        of_pair = {sample.pair: sample.target for sample in verified if sample.pair is not None}
        common = set.intersection(*(set(sample.latents) for sample in verified)) if verified else set[str]()
        telling = [name for name in sorted(common) if all(str(s.latents[name]) == s.target for s in verified)]
        of_latent = telling[0] if telling else None
        unverified = [self.samples[row] for row in self.rows("unverified")]
        known = [of_pair.get(s.pair) or (str(s.latents.get(of_latent, "")) if of_latent else "") for s in unverified]
        return np.array(known, dtype=np.str_)

    def parts(self, concept: Concept) -> Parts:
        return parts_of(self.items, concept, self.seed)

    def tokens(self, model: Model, rows: Sequence[int] | Rows | None = None) -> Tokens:
        texts = self.items.texts
        return model.tokenize([texts[int(row)] for row in (range(len(texts)) if rows is None else rows)])

    @property
    def key(self) -> dict[str, Any]:
        """What tells these prompts from others, for the cells that are kept."""
        return {"suite": self.suite.digest, "behaviour": self.behaviour, "prompts": len(self.items), "seed": self.seed}


def asked_of(called: str, suite: Suite | str | Path, behaviour: str | None, most: int, seed: int) -> Asked:
    """At most `most` different prompts of a behaviour, which need not be named where there is one.

    Raises InputError with all that is unusable: several behaviours and none named, answers of several tokens, and a role
    without prompts."""
    opened = suite if isinstance(suite, Suite) else Suite.from_folder(suite)
    problems, names = Problems(called), list(opened.behaviours)
    if behaviour is None and len(names) > 1:
        found = f"{len(names)} behaviours: {', '.join(names)}"
        problems.add(found, "one behaviour, as each has a course of its own", "name it: behaviour=, or --behaviour")
    if opened.answer == "tokens":
        found = f"answers of up to {opened.max_new_tokens} tokens"
        problems.add(found, "answers that one token tells: next_token or choice", "give a suite of that form")
    problems.raise_if_any()
    name = behaviour or names[0]
    one = Suite(opened.name, opened.answer, opened.max_new_tokens, (name,), opened.behaviour(name))
    asked = Asked(one, name, items_of(called, one, None, most, seed), seed)
    empty = [role for role in ROLES if not len(asked.rows(role))]
    if empty:
        found = Problem(f"no {' and no '.join(empty)} prompts of {name!r}", "prompts of both roles", "add some")
        raise InputError(called, found)
    return asked
