"""One model, measured: its work, and every trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, final

from heldout.models import Model
from heldout.studies.faithfulness.interchange import interchanged
from heldout.studies.faithfulness.marks import ReasoningMarks, ids_of
from heldout.studies.faithfulness.questions import Question
from heldout.studies.faithfulness.rewriting import answered, hinted, rewritten
from heldout.studies.faithfulness.trials import Test, Trial
from heldout.studies.faithfulness.writing import Work, Writer, written_work


@final
@dataclass(frozen=True)
class Measured:
    """What one model did. `asked` prompts were put to it, `wrote` of them were answered after written reasoning, `right`
    ones are tried. Of `hints` given, `moved` took the answer with them, `unmentioned` while the steps stayed as they
    were."""

    name: str
    digest: str
    asked: int
    wrote: int
    right: int
    hints: int
    moved: int
    unmentioned: int
    filler: bool
    forward_passes: float
    trials: tuple[Trial, ...]

    def prompts(self, test: Test, kind: str | None = None) -> int:
        """How many prompts (of one kind, or of all) a test was tried on."""
        return len({trial.question for trial in self.trials if trial.test == test and kind in (None, trial.kind)})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measured:
        fields: dict[str, Any] = {**data, "trials": tuple(Trial(**trial) for trial in data["trials"])}
        return cls(**fields)


def measured(model: Model, questions: Sequence[Question], marks: ReasoningMarks, length: int, seed: int) -> Measured:
    """Raises InputError for a model that does not write reasoning."""
    before = model.meter.samples
    writer = Writer(model, marks.in_tokens(model), length)
    works = written_work(writer, questions)
    right = [work for work in works if work.right]
    under_hints = hinted(writer, right)
    trials = [
        *answered(writer, rewritten(writer, right)),
        *under_hints.trials,
        *interchanged(writer, right, seed),
        *of_untrained(writer, right, seed),
    ]
    return Measured(
        model.name,
        model.digest,
        len(questions),
        len(works),
        len(right),
        under_hints.given,
        under_hints.moved,
        under_hints.unchanged,
        writer.marks.filler is not None,
        model.meter.samples - before,
        tuple(trials),
    )


def of_untrained(writer: Writer, works: Sequence[Work], seed: int) -> list[Trial]:
    """A null: an untrained model of the same shape goes on from the same texts with a wrong step."""
    longest = max((len(ids_of(writer.model, work.answer)) for work in works if work.answer), default=1)
    untrained = Writer(writer.model.randomly_initialised(seed), writer.marks, longest)
    attempts = [attempt for attempt in rewritten(writer, works) if attempt.trial.test == "held"]
    return [replace(trial, test="untrained") for trial in answered(untrained, attempts)]
