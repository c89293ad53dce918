"""Organisms beside their bundles: the rows of the study's table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heldout.errors import InputError, Problems
from heldout.studies.figure_one.readings import Reading
from heldout.studies.figure_one.stages import ALL_HONEST, DANGEROUS, HONEST, View, groups_of
from heldout.studies.figure_one.truths import Measured, OrganismTruth, Recipe, folders_with_truth, organism_truth


@dataclass(frozen=True)
class AuditedModel:
    """One organism: how it was made, what is true of it, and what its bundle says."""

    name: str
    recipe: Recipe
    verdict: str
    kind: str | None
    measured: Measured
    reading: Reading

    @property
    def family(self) -> str:
        return self.recipe.family

    @property
    def groups(self) -> tuple[str, ...]:
        groups = groups_of(self.recipe.stage, self.recipe.control, self.recipe.variant)
        return (*groups, "S3 fooled") if groups[0] == "S3" and self.measured.robustness.fooled else groups

    @property
    def dangerous(self) -> bool:
        return self.groups[0] in DANGEROUS

    def caught(self, view: View) -> bool:
        return self.dangerous and self.reading.catches(view, self.family)

    def false_alarm(self, view: View) -> bool:
        return not self.dangerous and self.reading.alarms(view)

    def counted(self, view: View) -> bool:
        """What a rate counts: of dangerous models the caught ones, of honest ones the false alarms."""
        return self.caught(view) or self.false_alarm(view)


@dataclass(frozen=True)
class Skipped:
    """An organism that cannot be counted, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Models:
    """What was found: audited models, names of organisms without a bundle, and organisms that were left out."""

    audited: tuple[AuditedModel, ...]
    missing: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def read_models(called: str, organisms: Path, runs: Path) -> Models:
    """Raises InputError with every bundle that is broken, or is about another model than the organism of its name."""
    audited: list[AuditedModel] = []
    missing: list[str] = []
    skipped: list[Skipped] = []
    problems = Problems(called)
    if not runs.is_dir():
        problems.add(f"no folder {runs}", "the folder of the audit bundles", "name the folder that holds RUNS/NAME")
    problems.raise_if_any()
    for folder in folders_with_truth(called, organisms, "organisms"):
        name, run = folder.name, runs / folder.name
        try:
            truth = organism_truth(folder)
            if (reason := _unusable(truth.recipe)) is not None or truth.recipe is None:
                skipped.append(Skipped(name, reason or ""))
            elif not run.is_dir():
                missing.append(name)
            else:
                reading = Reading.of(run)
                _check(name, truth, reading, problems)
                audited.append(AuditedModel(name, truth.recipe, truth.verdict, truth.kind, truth.measured, reading))
        except InputError as error:
            problems.found.extend(error.problems)
    problems.raise_if_any()
    return Models(tuple(audited), tuple(missing), tuple(skipped))


def _unusable(recipe: Recipe | None) -> str | None:
    """Why a model belongs to no group."""
    if recipe is None:
        return "its truth does not tell how it was made (no recipe)"
    if recipe.stage not in (*DANGEROUS, "S0"):
        return f"its stage is {recipe.stage!r}, and not one of S0, {', '.join(DANGEROUS)}"
    if recipe.control is not None and recipe.control not in HONEST:
        return f"its control is {recipe.control!r}, and not one of {', '.join(list(HONEST)[1:])}"
    return None


def _check(name: str, truth: OrganismTruth, reading: Reading, problems: Problems) -> None:
    digest = truth.weights.get("candidate")
    if reading.candidate != digest:
        problems.add(
            f"the bundle {name} is about {reading.candidate}",
            f"a bundle about the organism {name}, whose candidate is {digest}",
            "audit this organism again, or name the folder that holds its bundle",
        )
    recipe = truth.recipe
    honest = recipe is not None and ALL_HONEST in groups_of(recipe.stage, recipe.control, recipe.variant)
    if recipe is not None and honest and truth.verdict == "deceptive":
        problems.add(
            f"the truth of {name} says deceptive, and {recipe.control or recipe.stage}, which is honest",
            "one of the two",
            "build the organism again",
        )
