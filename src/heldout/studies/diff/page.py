"""The page of the study."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.evidence import Claim
from heldout.report.html import Markup, element, joined, table
from heldout.report.words import held_together, percent, plain_number
from heldout.studies.diff.divergence import Divergence
from heldout.studies.diff.drawing import TITLE, shortened
from heldout.studies.diff.findings import ModelDiff
from heldout.studies.diff.judging import NO_REFERENCE
from heldout.studies.diff.latents import LatentReading
from heldout.studies.drawing import three_digits
from heldout.studies.drawing.canvas import Drawing
from heldout.studies.pages import claim_list, section, study_page, titled

WORDS = (
    ("reference", "another fine-tune of the same base, such as the same fine-tune without what is looked for, or under another "
     "seed. A difference is found only where it is larger than one more reference could be expected to show"),
    ("relative norm", "the Frobenius norm of the change of weights, divided by that of the weights before"),
    ("effective rank", "e to the entropy of the singular values’ shares: over how many directions a change is spread"),
    ("push", "how far the mean difference of activations moves a token’s logit, read through the base’s final norm and "
     "unembedding, less the mean over all tokens"),
    ("KL divergence", "how surprised the base would be by what the tuned model predicts, in nats; 0 where they predict alike"),
    ("put in, taken out", "a component of the tuned model stands in the base; or a component of the base in the tuned model"),
    ("random changes", "each entry of a component is moved as far as the fine-tune moved it, up or down as a coin falls"),
)  # fmt: skip
SHOWN = 12
LATENTS_NOTE = "A crosscoder of both models, with latent scaling; the null is a model beside itself."


def report_page(study: ModelDiff, plates: Sequence[Drawing]) -> str:
    return study_page(
        command="heldout study diff",
        title=TITLE,
        facts=facts(study),
        answer=answer(study),
        drawings=plates,
        sections=(section("The numbers", *numbers(study)), left_out(study)),
        words=WORDS,
    )


def facts(study: ModelDiff) -> str:
    read = " and ".join(f"{len(each)} prompts of {each.source}" for each in study.sources)
    return f"{study.base} → {study.tuned.name}, {len(study.references)} references, {read}"


def answer(study: ModelDiff) -> Markup:
    if study.identical:
        return element("p", "The weights of the two models are identical: nothing differs, and nothing is reported.")
    parts = [claim for claim in study.claims if is_part(claim)]
    questions = [claim for claim in study.claims if not is_part(claim)]
    count = sum(claim.found for claim in questions)
    lead = f"{count} of {len(questions)} questions found a difference." if count else "No difference was found."
    if parts:
        lead += f" {sum(claim.found for claim in parts)} of {len(parts)} components carry a part of the change of behaviour."
    if len(study.references) < 2:
        lead += f" {NO_REFERENCE[0].upper()}{NO_REFERENCE[1:]}."
    bare = [claim.id.removeprefix("component ") for claim in parts if not claim.found]
    others = f"No part of the change of behaviour was found in {', '.join(bare)}." if bare else None
    shown = [*questions, *(claim for claim in parts if claim.found)]
    return joined(
        element("p", element("strong", held_together(lead))),
        claim_list(sorted(shown, key=lambda claim: not claim.found)),
        element("p", others) if others and len(study.references) >= 2 else None,
    )


def is_part(claim: Claim) -> bool:
    return claim.id.startswith("component ")


def numbers(study: ModelDiff) -> list[Markup]:
    parts = [titled("Models", None, model_table(study))]
    if study.spectra:
        parts.append(titled("Matrices that moved most", None, matrix_table(study)))
    if study.tuned.lens:
        note = "The most pushed tokens of each of the first positions by itself, at the layer of the figure."
        parts.append(titled("Tokens by position", note, position_table(study)))
    if study.tuned.latents is not None:
        parts.append(titled("Latents of one model alone", LATENTS_NOTE, latent_tables(study.tuned.latents)))
    parts += [titled(f"Divergence on {each.source}", None, divergence_tables(each)) for each in study.tuned.divergences]
    return parts


def model_table(study: ModelDiff) -> Markup:
    rows = [
        (
            each.name,
            three_digits(each.relative_norm),
            three_digits(each.lens[0].shift) if each.lens else "–",
            *(three_digits(own.mean) for own in each.divergences),
            "–" if each.change is None else f"{float((each.change.tuned - each.change.base).mean()):+.3f}",
        )
        for each in (study.tuned, *study.references)
    ]
    sources = (f"KL on {each.source}, nats" for each in study.tuned.divergences)
    return table(("model", "weights moved", "activations moved", *sources, f"{study.quantity}, nats"), rows)


def matrix_table(study: ModelDiff) -> Markup:
    moved = sorted(study.spectra, key=lambda each: -each.relative_norm)[:SHOWN]
    rows = [
        (shortened(each.parameter), each.component, three_digits(each.relative_norm), f"{each.effective_rank:.1f}",
         f"{each.random_rank:.1f}", percent(each.top_share), percent(each.random_share.maximum))
        for each in moved
    ]  # fmt: skip
    return table(("matrix", "component", "relative norm", "effective rank", "of random ones", "in 4 directions",
                  "of random ones, at most"), rows)  # fmt: skip


def position_table(study: ModelDiff) -> Markup:
    rows = [(str(place), ", ".join(tokens)) for place, tokens in enumerate(study.tuned.lens[0].by_position, 1)]
    return table(("token", "pushed most"), rows)


def latent_tables(reading: LatentReading) -> Markup:
    null = f"{reading.nulls[0].maximum:.0f} at most" if reading.nulls else "–"
    counts = table(
        ("site", "shared", "the base’s alone", "the tuned model’s alone", "of either alone in the null", "variance explained"),
        [(reading.site, str(reading.shared), str(reading.in_base), str(reading.in_tuned), null,
          ", ".join(percent(each) for each in reading.explained))],
    )  # fmt: skip
    rows = [(str(each.latent), plain_number(each.active), ", ".join(each.tokens)) for each in reading.exclusive]
    return joined(
        counts, table(("latent of the tuned model", "active on tokens", "largest on"), rows) if rows else None
    )


def divergence_tables(each: Divergence) -> Markup:
    kinds = sorted(each.by_kind().items(), key=lambda item: -float(item[1].mean()))
    means = [(kind, three_digits(float(values.mean())), plain_number(len(values))) for kind, values in kinds]
    by_kind = table(("before", "KL, nats", "prompts"), means)
    by_token = table(("before the token", "KL, nats", "occurs"),
                     [(text, three_digits(mean), plain_number(n)) for text, mean, n in each.by_token()[:SHOWN]])  # fmt: skip
    return joined(by_kind, by_token)


def left_out(study: ModelDiff) -> Markup | None:
    told = list(study.left_out)
    if study.not_attributed is not None:
        told.append(f"No component was exchanged: {study.not_attributed}")
    if not told:
        return None
    return section("What is left out", element("ul", [element("li", f"{each}.") for each in told], class_="items"))
