"""The page of the study."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.evidence import Claim
from heldout.report.html import Markup, element, joined, table
from heldout.studies.crispness.decoding import PERMUTED, UNTRAINED, WORDS
from heldout.studies.crispness.drawing import TITLE
from heldout.studies.crispness.findings import CRITERIA, CrispnessStudy, LatentFinding
from heldout.studies.drawing import Drawing
from heldout.studies.pages import claim_list, section, study_page, titled

READING = (
    "Accuracy on test texts, and that of each null. p is the largest against the nulls, which exchange whole groups of texts, "
    "corrected over the latents (Holm). Selectivity: accuracy above control tasks."
)
USE = (
    "Flip, removal and distance are differences of the score, a cosine. The p of a flip or removal is the larger against "
    "random directions and against random signs of groups; each p is corrected over the latents (Holm)."
)
GLOSSARY = (
    ("latent", "a variable that people use: the tense of a sentence, whether a passage is code"),
    (
        "site",
        "where the latent is read: resid_pre.0 are the embeddings, resid_post.3 is the stream after the fourth layer",
    ),
    ("group", "the texts of one template or document, which are alike: in every test they are exchanged together"),
    ("control task", "a random label for each word, which a readout can only learn by heart (Hewitt and Liang 2019)"),
    ("untrained twin", "the same shape with random weights"),
    ("bag of tokens", "a readout of how often each token stands in a text, without a model"),
    ("differing and agreeing pairs", "two texts whose values of the latent differ, and two whose values are the same"),
    ("flip", "adding the difference of the class means, fitted on other texts, to one text of a pair"),
    ("contrast", "the change of the score of differing pairs less that of agreeing pairs"),
    (
        "rank",
        "the first directions of repeated readouts that keep 95 % of the accuracy above chance; each readout of two values has "
        "one, so that a rank of 1 says little by itself",
    ),
    ("spread", "how many such directions must be removed until it is no longer shown to be read off"),
    (
        "boundary density",
        "neurons of one MLP whose sign changes on the line between the last tokens of two texts, per length",
    ),
)


def report_page(study: CrispnessStudy, claims: Sequence[Claim], plates: Sequence[Drawing]) -> str:
    trained = f"{len(study.found)} latents of {study.text_set} in {study.model} ({study.family})"
    return study_page(
        command="heldout study crispness",
        title=TITLE,
        facts=f"{trained}, beside {study.twins} untrained twin{'' if study.twins == 1 else 's'}",
        answer=joined(element("p", answer(study)), verdict_table(study)),
        drawings=plates,
        sections=joined(
            section(
                "The numbers",
                titled("Read off", READING, reading_table(study.found)),
                titled("Used and shaped", USE, use_table(study.found)),
                titled("The same of the first untrained twin", None, use_table(study.twin)),
            ),
            section("What crisp means here", element("ul", [element("li", f"{k}: {v}") for k, v in CRITERIA.items()])),
            section("Path length", element("p", path_words(study))),
            section("Claims", claim_list(claims)),
        ),
        words=GLOSSARY,
    )


def answer(study: CrispnessStudy) -> str:
    """What was found, in a few sentences."""
    crisp, count = [each.latent for each in study.crisp], len(study.found)
    decoded, used = (listed(study, name) for name in ("decoded", "used"))
    twin = ", ".join(each.latent for each in study.twin if each.met["used"]) or "none"
    return (
        f"{len(crisp)} of {count} latents met all five criteria of crispness{': ' + ', '.join(crisp) if crisp else ''}. "
        f"Read off as well as is asked and beyond every null: {decoded}. Found to be used: {used} (in the untrained twin: "
        f"{twin}). "
        "What is marked – was not shown; it may be there all the same."
    )


def listed(study: CrispnessStudy, name: str) -> str:
    return ", ".join(each.latent for each in study.found if each.met[name]) or "none"


def verdict_table(study: CrispnessStudy) -> Markup:
    rows = [(each.latent, *(verdict(study, each, name) for name in CRITERIA), mark(each.crisp)) for each in study.found]
    return table(("latent", *CRITERIA, "crisp"), rows)


def verdict(study: CrispnessStudy, each: LatentFinding, name: str) -> Markup:
    return joined(mark(each.met[name]), " twin too" if study.met_by_both(each, name) else None)


def mark(met: bool) -> Markup:
    sign, look = ("✓", "generalised") if met else ("–", "undetermined")
    return element("span", sign, class_=f"badge {look}")


def reading_table(found: Sequence[LatentFinding]) -> Markup:
    head = (
        "latent", "site", "accuracy", "95 % interval", "permuted", "twins", "bag", "p", "not above",
        "groups", "selectivity",
    )  # fmt: skip
    return table(head, [reading_row(each) for each in found])


def reading_row(each: LatentFinding) -> tuple[str, ...]:
    def null(name: str) -> str:
        value = each.null(name)
        return "–" if value is None else f"{value.mean:.2f}"

    chosen = each.selectivity.value
    return (
        each.latent,
        each.site,
        f"{each.accuracy:.2f}",
        f"{each.interval[0]:.2f} to {each.interval[1]:.2f}",
        *(null(name) for name in (PERMUTED, UNTRAINED, WORDS)),
        f"{each.p_value:.3g}",
        ", ".join(null.name for null in each.not_beaten) or "–",
        str(each.groups),
        "–" if chosen is None else f"{chosen:.2f}",
    )


def use_table(found: Sequence[LatentFinding]) -> Markup:
    head = (
        "latent", "flip", "p", "largest of random", "removal", "p", "distance", "rank",
        "random rank", "spread", "boundary ratio", "p",
    )  # fmt: skip
    return table(head, [use_row(each) for each in found])


def use_row(each: LatentFinding) -> tuple[str, ...]:
    size, flip, removal, borders = each.dimensions, each.use.flip, each.use.removal, each.borders
    most = len(size.left) * size.free
    return (
        each.latent,
        f"{flip.value:+.3f}",
        f"{each.used_p_value:.3g}",
        f"{max(flip.draws):+.3f}",
        f"{removal.value:+.3f}",
        f"{each.removal_p_value:.3g}",
        f"{flip.gap:.3f}",
        "–" if size.rank is None else str(size.rank),
        "–" if size.random_rank is None else str(size.random_rank),
        f"> {most}" if size.spread is None else str(size.spread),
        "–" if borders is None else f"{borders.ratio:.2f}",
        "–" if borders is None else f"{each.border_p_value:.3g}",
    )


def path_words(study: CrispnessStudy) -> str:
    path = study.path
    if path.value is None:
        return f"Not measured: {path.missing}."
    return f"{path.value:.1f} sublayers in sequence, against {path.untrained or 0:.1f} of an untrained twin."
