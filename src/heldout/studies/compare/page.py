"""The page of the study: one HTML file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.report.html import Markup, element, joined
from heldout.report.words import held_together, number, p_value_text
from heldout.studies.compare.alignment import BIASED_OUTLIERS, Likeness
from heldout.studies.compare.drawing import LEVEL, TITLE
from heldout.studies.compare.findings import ModelComparison
from heldout.studies.compare.page_tables import (
    cell_table,
    concept_table,
    geometry_table,
    likeness_table,
    measure_table,
    model_table,
)
from heldout.studies.drawing.canvas import Drawing
from heldout.studies.pages import section, study_page, titled
from heldout.techniques.representation_comparison.robustness import FIRST_COMPONENT, OUTLIERS

FLAG_WORDS = {
    FIRST_COMPONENT: "the value changes by more than half when the first principal component of each side is taken out: one "
    "dimension decides it. Where a task is one number, that can be all there is to share",
    OUTLIERS: "the value changes by more than half when the prompts that are far out are left out",
    BIASED_OUTLIERS: "the biased estimate, which is often quoted, changes by more than half when the prompts that are far out "
    "are left out. The debiased one, which the figure shows, is not deceived by a single such prompt",
}
WORDS = (
    ("debiased CKA", "how well the inner products between prompts agree, centred, and without those of a prompt with itself: 1 "
     "is the same up to rotation and scale, and unrelated models give 0 on average (Murphy et al. 2024)"),
    ("equal depth", "the same sites where both models have the same; else those at the same place among the layers"),
    ("permuted", "the null of no relation at all: the prompts of one side in a random order. Any two models that read the same "
     "words are beyond it"),
    ("untrained", "the reference for what training made: a model of the same shape with random weights"),
    ("far out", "a prompt whose median distance to the others lies more than three interquartile ranges above the third "
     "quartile of all"),
    ("held", "a concept that is decoded more often than with permuted labels, from an untrained model, and from bare words, "
     "on prompts that were neither fitted nor chosen on; p is the largest of the three, corrected over concepts and models. "
     "What is decodable need not be used"),
    ("95 % interval", "of a comparison from random halves of the prompts, of a share the exact one (Clopper–Pearson). Both "
     "are about prompts like these, and not about other seeds of a model"),
)  # fmt: skip
GEOMETRY_NOTE = (
    "Do both models lay the values of a concept out in the same way? Cross-validated distances between the values, at the "
    "site where each model holds the concept best; p from permuted values."
)
MEASURE_NOTE = (
    "Every measure at a few equal depths. Beside the value stands what permuted prompts give, on average, and what the other "
    "model’s untrained twin gives. Of the Procrustes distance 0 is the same. A measure that is flagged as chance says nothing."
)
MOST_PAIRS = 10


def report_page(study: ModelComparison, plates: Sequence[Drawing]) -> str:
    where = {None: "averaged over tokens", -1: "at the last token"}.get(study.position, f"at position {study.position}")
    return study_page(
        command="heldout study compare",
        title=TITLE,
        facts=f"{len(study.trained)} models, {len(study.items)} prompts of {study.items.source}, {where}",
        answer=answer(study),
        drawings=plates,
        sections=joined(numbers(study), left_out(study)),
        words=WORDS,
    )


def answer(study: ModelComparison) -> Markup:
    pairs = [study.likeness(*pair) for pair in study.neighbours_first]
    sentences = [likeness_words(study, found) for found in pairs[:MOST_PAIRS] if found is not None]
    if len(pairs) > MOST_PAIRS:
        sentences.append(f"The other {len(pairs) - MOST_PAIRS} pairs are in a table below.")
    return joined(
        element("ul", [element("li", each) for each in sentences], class_="items"),
        flag_summary(study),
        concept_summary(study),
        titled("The models", None, model_table(study)),
    )


def likeness_words(study: ModelComparison, found: Likeness) -> str:
    """A pair in one sentence, beside what an untrained model reaches."""
    one, other = (study.model(label) for label in (found.model, found.other))
    where = f"the mean over {found.sites} sites at equal depth"
    said = (
        f"{one.label} and {other.label}: debiased CKA {number(found.value)}, {where} ({p_value_text(found.p_value)})."
    )
    untrained = study.likeness(found.model, str(other.twin))
    if untrained is not None:
        said += f" An untrained model of {other.label}’s shape reaches {number(untrained.value)}."
    if found.p_value > LEVEL:
        said += " That is not beyond permuted prompts."
    if found.flagged:
        are = "is" if found.flagged == 1 else "are"
        said += f" {found.flagged} of the {found.sites} values {are} flagged: see below before quoting it."
    return held_together(said)


def flag_summary(study: ModelComparison) -> Markup | None:
    cells = study.flagged
    if not cells:
        return element("p", "No value between different models is flagged.")
    items = [
        joined(element("strong", flag), f", in {count} of {between(study)} values: {words}.")
        for flag, words in FLAG_WORDS.items()
        if (count := sum(flag in cell.flags for cell in cells))
    ]
    return element(
        "div", element("p", element("strong", "Some values do not mean what they seem to.")),
        element("ul", [element("li", item) for item in items], class_="missed"), class_="flags",
    )  # fmt: skip


def between(study: ModelComparison) -> int:
    return sum(cell.model != cell.other for cell in study.cells)


def concept_summary(study: ModelComparison) -> Markup | None:
    """Which models hold each concept beyond what needs no training."""
    said: list[str] = []
    labels = [model.label for model in study.trained]
    for concept in dict.fromkeys(held.concept for held in study.held):
        holders = [held.model for held in study.held if held.concept == concept and held.held]
        if len(holders) == len(labels):
            said.append(f"{concept}: held by {'both' if len(labels) == 2 else 'all'}.")
        else:
            others = [label for label in labels if label not in holders]
            held = f"held by {', '.join(holders)}; " if holders else ""
            said.append(f"{concept}: {held}not shown in {', '.join(others)}.")
    if not said:
        return None
    heading = element("h3", "What people use")
    return joined(heading, element("ul", [element("li", each) for each in said], class_="items"))


def numbers(study: ModelComparison) -> Markup:
    return section(
        "The numbers",
        titled("Models", None, likeness_table(study)),
        titled("Flagged values", None, cell_table(study.flagged)) if study.flagged else None,
        titled("All measures", MEASURE_NOTE, measure_table(study.measures)),
        titled("Concepts", None, concept_table(study.held)) if study.held else None,
        titled("The geometry of concepts", GEOMETRY_NOTE, geometry_table(study.geometries))
        if study.geometries
        else None,
    )


def left_out(study: ModelComparison) -> Markup | None:
    items = study.items
    missing = [
        f"{model.name}, {site}: all prompts are the same there."
        for model in study.models
        for site in constant_sites(study, model.label)
    ]
    told: Sequence[str] = [
        *([f"{items.repeated} repeated prompts were read once."] if items.repeated else []),
        *([f"{items.left_out} further prompts were not read."] if items.left_out else []),
        *(f"{skipped.name} is not compared: {skipped.reason}." for skipped in study.skipped),
        *missing,
    ]
    if not told:
        return None
    return section("What is left out", element("ul", [element("li", each) for each in told], class_="items"))


def constant_sites(study: ModelComparison, label: str) -> list[str]:
    there = {cell.site for cell in study.cells if cell.model == label}
    there |= {cell.other_site for cell in study.cells if cell.other == label}
    return [str(site) for site in study.model(label).activations if str(site) not in there]
