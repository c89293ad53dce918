"""The study's claims: each check of each model, and over seeds in how many it holds, and what came first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from heldout.evidence import Claim
from heldout.evidence.claims import p_value_text
from heldout.execution.result import Result
from heldout.studies.grokking.findings import GrokkingRun, GrokkingStudy
from heldout.studies.over_runs import in_most, share_text, sign_test, too_few

BEHAVIOUR = "modular addition"


def claims_of(study: GrokkingStudy) -> tuple[Claim, ...]:
    """Of each model; then over seeds, where there are several; then of what came first, in training."""
    of_models = [claim for run in study.runs for claim in _of_model(run)]
    return (*over_seeds(study), *of_models)


def over_seeds(study: GrokkingStudy) -> tuple[Claim, ...]:
    """What holds in how many seeds, by an exact sign test with the seed as the unit."""
    runs = study.runs
    found = [] if len(runs) < 2 else list(_structure(runs))
    if study.along_training:
        memory = [_earlier(run.learnt_at("train_accuracy"), run.learnt_at("test_accuracy")) for run in runs]
        phases = [_earlier(*(_begins(run, phase) for phase in ("memorisation", "clean-up"))) for run in runs]
        said = "Trained pairs are learnt for good before the others"
        found.append(_seeds("memory-first", said, runs, memory))
        found.append(_seeds("phases", "Memorisation begins before clean-up, by change-points", runs, phases))
    missing = [f"{run.name}: {run.phases_missing}" for run in runs if run.phases_missing]
    if missing:
        statement = "Phases were not looked for."
        found.append(Claim("phases", BEHAVIOUR, None, statement, False, missing="; ".join(missing)))
    return tuple(found)


def _of_model(run: GrokkingRun) -> Iterator[Claim]:
    """What does not hold was looked for and not found."""
    for number, check in enumerate(run.checks, 1):
        holds = "holds" if check.holds else "was not found to hold"
        against = _against(check.results)
        statement = f"{run.name}, last checkpoint: {check.name}: {holds} ({check.found}{against})."
        yield Claim(f"{run.name}-{number}", BEHAVIOUR, None, statement, check.holds, check.results)


def _against(results: Sequence[Result]) -> str:
    """The nulls that were tried, each once."""
    said = {
        f"{null.name} {null.mean:.3g} in the mean of {null.n}, {p_value_text(null.p_value)}": None
        for result in results
        for null in result.nulls
        if null.p_value is not None
    }
    return "".join(f"; {each}" for each in said)


def _structure(runs: Sequence[GrokkingRun]) -> Iterator[Claim]:
    """A check that a run does not have, as no frequency of it is key, does not hold there."""
    by_run = [{check.name: check.holds for check in run.checks} for run in runs]
    names = list(dict.fromkeys(name for each in by_run for name in each))
    for number, name in enumerate(names, 1):
        said = f"{name[0].upper()}{name[1:]}"
        yield _seeds(f"seeds-{number}", said, runs, [each.get(name, False) for each in by_run])


def _seeds(name: str, said: str, runs: Sequence[GrokkingRun], holds: Sequence[bool]) -> Claim:
    """That something holds in most seeds."""
    k, n = sum(holds), len(holds)
    without = [run.name for run, each in zip(runs, holds, strict=True) if not each]
    exceptions = f" Not found in {', '.join(without)}." if without else ""
    statement = f"{said}: {share_text(k, n, 'seeds')}.{exceptions}"
    test = sign_test(f"seeds in which: {said}", k, n, "seeds")
    return Claim(name, BEHAVIOUR, None, statement, in_most(k, n), (test,), too_few(n, "seeds"))


def _begins(run: GrokkingRun, phase: str) -> int | None:
    return next((span.start for span in run.phases if span.phase == phase), None)


def _earlier(one: int | None, other: int | None) -> bool:
    """Whether both happened, the one before the other."""
    return one is not None and other is not None and one < other
