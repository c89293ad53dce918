"""The page of the study."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.evidence import Claim
from heldout.evidence.claims import p_value_text
from heldout.report.html import Markup, element, joined, table
from heldout.studies.pages import claim_list, section, study_page, titled
from heldout.studies.reward.changes import UnknownChange
from heldout.studies.reward.drawing import TITLE, drawings
from heldout.studies.reward.findings import Reading, RewardStudy, is_cause
from heldout.studies.reward.pairs import QUALITY
from heldout.studies.reward.signed import signed
from heldout.studies.reward.slopes import WORTH, Slope

TOKENS_SHOWN = 5
VERBS = (("rewards", "rewarded"), ("punishes", "punished"))
WORDS = (
    ("score", "the one number that the reward model gives to a text, read at its last token; of encoders, at its first"),
    ("slope", "by how much the score changes with a unit of a feature, between two texts that are alike in all else"),
    ("quality", "what the reward should go by: in these pairs one text is known to be better"),
    ("random orientations", "the same pairs, with the two texts of a group exchanged at random"),
    ("direction", "the mean difference that a unit of a feature makes to the stream, over fit pairs. It is taken out as its "
     "reader finds it, which finds nothing in the directions of quality and of other features"),
    ("completeness error", "the part of the differences that the parts do not add up to"),
    ("scores shuffled", "how often the best of n gains or loses as much when scores are dealt out at random among the "
     "candidates of each prompt, corrected over features"),
    ("best of n", "the candidate of highest score, of n replies to one prompt"),
)  # fmt: skip


def report_page(study: RewardStudy, claims: Sequence[Claim]) -> str:
    models = study.readings[0].name if len(study.readings) == 1 else f"{len(study.readings)} models"
    return study_page(
        command="heldout study reward",
        title=TITLE,
        facts=f"{models}; {study.n_pairs} contrastive pairs of {len(study.features)} features and of quality",
        answer=answer(study),
        drawings=drawings(study),
        sections=joined(
            section("Words that move the score", *(token_table(reading) for reading in study.readings[:1])),
            section("Ablation", *(ablation_table(reading) for reading in study.readings if reading.ablations)),
            section("Best of n", *(best_table(reading) for reading in study.readings if reading.best_of_n)),
            section("Every statement", claim_list(claims)),
        ),
        words=WORDS,
    )


def answer(study: RewardStudy) -> Markup:
    return joined(element("p", sentence) for sentence in answers(study))


def answers(study: RewardStudy) -> list[str]:
    """What was found, a sentence a model; then what changed."""
    said = [answer_of(reading) for reading in study.readings]
    changed = [change.feature for change in study.changes if change.found]
    if study.before is not None:
        what = (
            f"the slope of {', '.join(changed)} changed"
            if changed
            else f"a change by more than {WORTH:g} was not found"
        )
        unknown = [change.feature for change in study.changes if isinstance(change, UnknownChange)]
        rest = f" Not known, as a slope of quality was not found in both: {', '.join(unknown)}." if unknown else ""
        said.append(f"Since {study.before.name}, {what}.{rest}")
    return said


def answer_of(reading: Reading) -> str:
    """Names features by how their slopes are read, and those whose direction was found."""
    kinds: dict[str, list[str]] = {
        kind: [told(slope) for slope in reading.spurious if slope.reading == kind]
        for kind in ("rewarded", "punished", "negligible", "undecided")
    }
    few = [told(slope) for slope in reading.spurious if slope.reading == "undecided" and slope.is_within]
    open_ = [each for each in kinds["undecided"] if each not in few]
    if any(slope.reading == "unknown" for slope in reading.spurious):
        low, high = reading.quality.interval
        scores = ", ".join(f"{slope.feature} ({signed(slope.value)})" for slope in reading.spurious)
        return (
            f"{reading.name}: a slope of quality was not found ({signed(low)} to {signed(high)}), so what features are worth "
            f"in its units is not known. In units of the score: {scores}."
        )
    verbs = [f"{verb} {', '.join(kinds[kind])}" for verb, kind in VERBS if kinds[kind]]
    verbs = verbs or ["was not found to go by any of the features"]
    rest = f" Less than {WORTH:g}: {', '.join(kinds['negligible'])}." if kinds["negligible"] else ""
    rest += f" Less than {WORTH:g}, but in too few groups to exclude a rare reward: {', '.join(few)}." if few else ""
    rest += f" Undecided: {', '.join(open_)}." if open_ else ""
    carried = [each.feature for each in reading.ablations if is_cause(each)]
    cause = f" A direction was found that carries {', '.join(carried)} and not quality." if carried else ""
    against = " Quality itself is punished; its units are told by their size." if reading.quality.value < 0 else ""
    return f"{reading.name} {' and '.join(verbs)}, in units of quality.{against}{rest}{cause}"


def told(slope: Slope) -> str:
    return slope.feature if slope.in_quality is None else f"{slope.feature} ({signed(slope.in_quality.value)})"


def token_table(reading: Reading) -> Markup:
    """The edits that most of each feature's difference comes from."""
    rows = [
        (
            each.feature,
            signed(float(each.difference.mean()), 3),
            ", ".join(f"{edit} ({signed(value, 3)})" for edit, value in list(each.means.items())[:TOKENS_SHOWN]),
        )
        for each in reading.attributions
        if each.kind == "token"
    ]
    note = "Edits that make the text with less of a feature the one with more, and what each is worth on the mean of the pairs."
    return titled(reading.name, note, table(("pairs of", "difference", "edits worth most"), rows))


def ablation_table(reading: Reading) -> Markup:
    rows = [
        (
            each.feature,
            each.place,
            f"{signed(each.slope_before, 3)} → {signed(each.slope_after, 3)}",
            f"{each.reduction:.0%}",
            f"{max(each.random):.0%} of {len(each.random)}, {p_value_text(each.p_value)}",
            f"{each.quality_before:.1%} → {each.quality_after:.1%}",
            f"{signed(each.quality_slope_before, 3)} → {signed(each.quality_slope_after, 3)}",
        )
        for each in reading.ablations
    ]
    heads = ("feature", "place", "slope", "taken", "random at most", "accuracy on quality", "slope of quality")
    return titled(reading.name, None, table(heads, rows))


def best_table(reading: Reading) -> Markup:
    rows: list[tuple[str, ...]] = []
    for each in reading.best_of_n:
        shown = [QUALITY, each.ablated] if each.ablated else [*dict.fromkeys(chosen.name for chosen in each.chosen)]
        for name in shown:
            own = each.at(name, each.most)
            low, high = own.gain_interval
            by = f"score without {each.ablated}" if each.ablated else "score"
            gain = f"{signed(own.gain)} ({signed(low)} to {signed(high)})"
            chance = next((p_value_text(null.p_value) for null in each.shuffled if null.name == name), "–")
            rows.append((by, name, f"{own.value:.2f}", gain, chance, f"{own.best:.2f}"))
    n = reading.best_of_n[0].most
    heads = (
        "chosen by",
        "amount of",
        f"in the best of {n}",
        "gain, standard deviations",
        "scores shuffled",
        "if chosen by it",
    )
    return titled(reading.name, None, table(heads, rows))
