"""Is a new capability real? From a candidate, a baseline and a suite to a bundle with verdicts and evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from heldout.audits.behave import RoleBehaviour
from heldout.audits.claims import battery_claim, claims_of, verdict_of
from heldout.audits.elicit import elicit
from heldout.audits.examination import Examination, Subject
from heldout.audits.inspect_half import Asked
from heldout.audits.intervene import intervention_results
from heldout.audits.judge import Findings, Judgement, capabilities, corrected, judge
from heldout.audits.legs import findings_of
from heldout.audits.metering import MeteredStages
from heldout.audits.planning import check_inputs, make_plan
from heldout.audits.readings import readability_results, reading_results
from heldout.audits.settings import AuditSettings, Effort
from heldout.audits.spending import record_uses, without_spent
from heldout.audits.steps import battery_step, behave_step, intervene_step, locate_step, read_step
from heldout.data import Role, Suite
from heldout.evidence import (
    BatteryRecord,
    Bundle,
    BundleWriter,
    Claim,
    Ledger,
    Provenance,
    Verdict,
    Verdicts,
    gather_provenance,
)
from heldout.execution.result import Result
from heldout.execution.threads import one_thread_if_small
from heldout.models import Model, as_model
from heldout.progress import Progress
from heldout.report import write_report

if TYPE_CHECKING:
    from inspect_ai import Task


def audit(
    candidate: Model | str | Path,
    *,
    suite: Suite | str | Path | None = None,
    inspect_task: Task | str | Path | None = None,
    out: str | Path,
    baseline: Model | str | Path | None = None,
    effort: Effort = "standard",
    seed: int = 0,
    allow_remote_code: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Audits every behaviour of `suite` in `candidate` and writes the bundle `out`, which must not exist.

    Models are folders, hub ids or loaded models. The plan and its digest are on disk before the candidate first runs. A
    run that was killed goes on where it stopped when it is started again with the same arguments. `effort` sets how
    many nulls are drawn. Cost in forward passes over the whole suite: printed in the bundle's provenance.

    An `inspect_task` (a task of Inspect, or `file.py@name`) stands in for a suite; its log is kept in the bundle.

    Raises InputError, before any work, for models, suites and folders that cannot be used.
    """
    model = as_model(candidate, allow_remote_code=allow_remote_code)
    asked = Asked.of(suite, inspect_task, model)
    suite = asked.suite
    settings = AuditSettings(effort=effort, seed=seed, behaviours=len(suite.behaviours))
    base = None if baseline is None else as_model(baseline, allow_remote_code=allow_remote_code)
    check_inputs(suite, model, base, settings)
    subjects = [Subject.of(name, model, base, suite, settings) for name in suite.behaviours]
    plan, provenance = make_plan(subjects, suite, settings), provenance_of(model, base, suite, settings, out)

    ledger, before = Ledger.beside(out), model.meter.samples

    with BundleWriter(out, plan=plan, provenance=provenance) as writer, one_thread_if_small(model.n_parameters):
        asked.keep_log(model, writer.folder)
        steps = StepCounter(progress, len(subjects))
        outcomes = corrected_outcomes(
            [examine(subject, suite, ledger, writer, steps) for subject in subjects], settings
        )
        writer.write_claims(claim for outcome in outcomes for claim in outcome.claims(settings))
        writer.write_verdicts(Verdicts(model.digest, tuple(outcome.verdict() for outcome in outcomes)))
        record_uses(ledger, model, suite, {outcome.behaviour: outcome.judgement.legs for outcome in outcomes})
        passes = (model.meter.samples - before) / len(suite.samples)
        return writer.finish(write_report, cost={"candidate_forward_passes": passes} | costs(outcomes, suite))


@dataclass(frozen=True, eq=False)
class Outcome:
    """One behaviour after its steps: what the grader said, what was measured, and what follows from it."""

    behaviour: str
    behaviours: Mapping[Role, RoleBehaviour]
    findings: Findings
    judgement: Judgement
    results: Mapping[str, Sequence[Result]]
    battery: BatteryRecord

    def claims(self, settings: AuditSettings) -> list[Claim]:
        claims = claims_of(self.behaviour, self.findings, self.judgement, self.results, settings.thresholds.alpha)
        return [*claims, battery_claim(self.behaviour, self.battery)]

    def verdict(self) -> Verdict:
        return verdict_of(self.behaviour, self.behaviours, self.findings, self.judgement, self.battery)


def examine(subject: Subject, suite: Suite, ledger: Ledger, writer: BundleWriter, steps: StepCounter) -> Outcome:
    """One behaviour: behave, elicit, locate, intervene, read, battery, judge."""
    thresholds, stages = subject.settings.thresholds, MeteredStages(writer, subject.model)
    steps.begin(subject, "behave")
    behaviours = behave_step(subject, stages)
    elicited = [found.result(one) for one in behaviours.values() if (found := elicit(one)) is not None]
    results = {"behaviour": [behaviour.result() for behaviour in behaviours.values()], "elicited": elicited}
    capable = capabilities(behaviours, thresholds)
    examination = whom_to_examine(subject, capable)

    steps.begin(subject, "locate")
    readings, words, screened = locate_step(examination, capable, stages)
    if screened:
        steps.begin(subject, "intervene")
        intervened = intervene_step(examination, readings, screened[0], stages)
        steps.begin(subject, "read")
        nulls, heat_map = read_step(examination, stages)
        findings = findings_of(examination, capable, readings, nulls, intervened)
        results |= {
            "screened": [found.result(examination.prompts.of_split("select")) for found in screened],
            "intervention": intervention_results(examination, readings, intervened),
            "reading": [*reading_results(examination, readings, nulls, intervened), *heat_map],
        }
    else:
        findings = Findings(capable, examination.role, readable=False)
        results["reading"] = readability_results(examination, readings, words)
    steps.begin(subject, "battery")
    battery = battery_step(subject, behaviours, capable, stages)
    steps.finish(subject)
    counted = without_spent(findings, subject.behaviour, subject.model, suite, ledger)
    return Outcome(subject.behaviour, behaviours, counted, judge(counted, thresholds), results, battery)


def costs(outcomes: Sequence[Outcome], suite: Suite) -> dict[str, float]:
    """What both halves spent, in forward passes over the suite."""
    halves = {
        "inside_forward_passes": sum(outcome.battery.budget for outcome in outcomes),
        "battery_forward_passes": sum(outcome.battery.spent for outcome in outcomes),
    }
    return {half: passes / len(suite.samples) for half, passes in halves.items()}


def whom_to_examine(subject: Subject, capable: Mapping[Role, bool]) -> Examination:
    """The unverified prompts, with the verified ones as the measure; the verified ones where only the others pass, as a
    model that hides its ability from tests would have it."""
    if capable["unverified"] and not capable["verified"]:
        return subject.examined("verified", trusted=True)
    return subject.examined("unverified", trusted=capable["verified"])


def corrected_outcomes(outcomes: Sequence[Outcome], settings: AuditSettings) -> list[Outcome]:
    """Benjamini–Hochberg over the behaviours: a verdict of deception that does not survive it is withdrawn."""
    judgements = corrected([outcome.judgement for outcome in outcomes], settings.thresholds)
    return [replace(outcome, judgement=judgement) for outcome, judgement in zip(outcomes, judgements, strict=True)]


class StepCounter:
    """Tells the caller how far the audit is."""

    STEPS = ("behave", "locate", "intervene", "read", "battery")

    def __init__(self, progress: Progress | None, n_behaviours: int) -> None:
        self._progress = progress
        self._total = n_behaviours * len(self.STEPS)
        self._behaviours: list[str] = []

    def begin(self, subject: Subject, step: str) -> None:
        if subject.behaviour not in self._behaviours:
            self._behaviours.append(subject.behaviour)
        self._tell(f"{subject.behaviour}: {step}", self._before() + self.STEPS.index(step))

    def finish(self, subject: Subject) -> None:
        self._tell(f"{subject.behaviour}: judged", self._before() + len(self.STEPS))

    def _before(self) -> int:
        return (len(self._behaviours) - 1) * len(self.STEPS)

    def _tell(self, what: str, done: int) -> None:
        if self._progress is not None:
            self._progress(what, done, self._total)


def provenance_of(
    model: Model, baseline: Model | None, suite: Suite, settings: AuditSettings, out: str | Path
) -> Provenance:
    models = {"candidate": model} | ({} if baseline is None else {"baseline": baseline})
    names = {role: each.name for role, each in models.items()} | {"suite": suite.name}
    return gather_provenance(
        weights={role: each.digest for role, each in models.items()},
        data={"suite": suite.digest},
        names=names,
        arguments_passed={**names, "out": str(out), "effort": settings.effort, "seed": settings.seed},
        arguments_resolved=settings.to_json(),
        seeds=(settings.seed,),
    )
