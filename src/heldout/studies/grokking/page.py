"""The page of the study: one HTML file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.evidence.claims import p_value_text
from heldout.report.html import Markup, element, joined, table
from heldout.report.words import held_together, percent, plain_number
from heldout.studies.drawing.canvas import Drawing
from heldout.studies.drawing.digits import three_digits
from heldout.studies.grokking.claims import over_seeds
from heldout.studies.grokking.drawing import TITLE
from heldout.studies.grokking.findings import GrokkingRun, GrokkingStudy
from heldout.studies.grokking.nulls import PAIRS
from heldout.studies.grokking.structure import Check
from heldout.studies.pages import claim_list, section, study_page, titled

COMMAND = "heldout study grokking"
NULLS = (
    "The same readings where there is nothing to find: of random sets of as many other frequencies; of the model with the "
    "entries of every weight shuffled, at the best of its own frequencies; of random subspaces of the same rank. The p-value "
    "is the share of draws that are as good, the model itself counted."
)
WORDS = (
    ("trained and other pairs", "pairs (a, b) that the model is trained on, and those that it never sees"),
    ("key frequencies", "those k whose cos and sin of 2πk(a + b − c)/p in the logits of the last checkpoint stand out: at "
     "least 5 times the median of all frequencies and 5 % of the largest"),
    ("restricted loss", "the loss of logits that hold nothing but cos and sin of 2πk(a + b)/p at key frequencies, and each "
     "answer’s mean"),
    ("excluded loss", "the loss of logits from which these are taken away"),
    ("the neurons’ subspace", "the directions in which the unembedding reads the neurons for key frequencies. Restricted and "
     "excluded loss are measured there again, by editing the model, beside random subspaces of the same rank"),
    ("W_E, W_L", "the embedding; and the product of unembedding and the MLP’s last matrix, from neurons to logits"),
    ("Gini coefficient", "of the sizes of all Fourier components: 0 where all are equal, near 1 where few are everything"),
    ("path order", "the loss where no more than so many sublayers run after one another"),
    ("neurons of one frequency", "those of whose variance over all pairs 85 % or more lies at a single frequency"),
    ("phases", "pieces between change-points: memorisation (the loss on trained pairs falls), circuit formation (the excluded "
     "loss rises), clean-up (the loss on other pairs falls), plateau and settled (none of these, before and after)"),
)  # fmt: skip
HINDSIGHT = (
    "Key frequencies are found at the last checkpoint, on all pairs, and used at every one: what is said of early "
    "checkpoints is said in hindsight."
)


def report_page(study: GrokkingStudy, plates: Sequence[Drawing]) -> str:
    task, n = study.runs[0].task, len(study.runs)
    models = f"{n} models" if n > 1 else f"the model {study.runs[0].name}"
    summary = over_seeds(study)
    return study_page(
        command=COMMAND,
        title=TITLE,
        facts=f"a + b modulo {task.modulus}, trained on {percent(task.fraction)} of all pairs; {models}",
        answer=joined(
            element("p", held_together(answer(study))),
            element("p", HINDSIGHT, class_="note") if study.along_training else None,
            _check_table(study),
        ),
        drawings=plates,
        sections=[
            *([section("Over seeds" if n > 1 else "Along training", claim_list(summary))] if summary else []),
            section(
                "The numbers",
                titled("The last checkpoint", None, _last_table(study)),
                titled("Against nulls", NULLS, _null_table(study)),
                titled("Its key frequencies", None, [_frequency_table(run) for run in study.runs]),
                titled("Phases", None, _phase_table(study)) if study.along_training else None,
            ),
        ],
        words=WORDS,
    )


def answer(study: GrokkingStudy) -> str:
    """What was found, in two sentences."""
    runs, failed = study.runs, study.failed
    learnt = sum(run.learnt_at("test_accuracy") is not None for run in runs)
    pairs = "at least 99 % of the pairs that it was not trained on"
    came = f"{learnt} of {len(runs)} models answer {pairs.replace('it was', 'they were')}."
    if len(runs) == 1:
        came = f"The model answers {pairs}." if learnt else f"The model does not answer {pairs}."
    if not failed:
        return f"{came} {'It has' if len(runs) == 1 else 'All have'} the structure of addition by a few frequencies."
    names = ", ".join(dict.fromkeys(run.name for run, _ in failed))
    return f"{came} Not all checks hold: see {names}."


def _check_table(study: GrokkingStudy) -> Markup:
    """One check a row, one run a column."""
    columns = [run.checks for run in study.runs]
    names = list(dict.fromkeys(check.name for checks in columns for check in checks))
    gap = "\u00a0" if len(columns) == 1 else " "
    rows = [(name, *(_check_cell(checks, name, gap) for checks in columns)) for name in names]
    return table(("the last checkpoint", *(run.name for run in study.runs)), rows)


def _check_cell(checks: list[Check], name: str, gap: str) -> Markup:
    check = next((check for check in checks if check.name == name), None)
    if check is None:
        return joined("–")
    mark, look = ("✓", "generalised") if check.holds else ("✕", "deceptive")
    return joined(element("span", mark, class_=f"badge {look}"), "\u00a0", check.found.replace(" ", gap))


def _last_table(study: GrokkingStudy) -> Markup:
    rows = [(words, *(read(run) for run in study.runs)) for words, read in QUANTITIES]
    return table(("", *(run.name for run in study.runs)), rows)


def _null_table(study: GrokkingStudy) -> Markup:
    rows = [
        (run.name, plain_words(result.quantity), three_digits(result.effect), result.unit, null.name,
         three_digits(null.mean), str(null.n), p_value_text(null.p_value).replace(" ", "\u00a0"))
        for run in study.runs
        for check in run.checks
        for result in check.results
        for null in result.nulls
        if null.p_value is not None
    ]  # fmt: skip
    return table(("run", "measured", "value", "unit", "null", "its mean", "of", "p-value"), rows)


def plain_words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _frequency_table(run: GrokkingRun) -> Markup:
    rows = [
        (
            run.name if place == 0 else "",
            str(key),
            three_digits(each.logit_cosine),
            three_digits(each.logit_sine),
            percent(each.embedding_share),
            percent(each.neuron_logit_share),
            str(each.neurons),
            three_digits(each.excluded_train),
            three_digits(each.excluded_test),
        )
        for place, key in enumerate(run.keys)
        for each in [run.last.frequencies[key - 1]]
    ]
    headings = ("run", "k", "cosine", "sine", "of W_E", "of W_L", "neurons", "loss without it, trained", "others")
    return table(headings, rows)


def _phase_table(study: GrokkingStudy) -> Markup:
    rows = [
        (
            row["phase"],
            f"{row['runs']} of {len(study.runs)}",
            "–" if row["start"] is None else plain_number(round(row["start"])),
            "–" if row["low"] is None else f"{max(0, round(row['low']))} to {round(row['high'])}",
        )
        for row in study.phase_starts
    ]
    return table(("phase", "seeds that have it", "first begins at step (mean)", "95 % interval over seeds"), rows)


QUANTITIES = (
    ("loss on trained pairs, nats", lambda run: three_digits(run.last.train_loss)),
    ("loss on other pairs", lambda run: three_digits(run.last.test_loss)),
    ("accuracy on other pairs", lambda run: f"{run.last.test_accuracy:.4f}"),
    ("loss, all pairs", lambda run: three_digits(run.last.loss)),
    ("restricted loss, all pairs", lambda run: three_digits(run.last.restricted)),
    ("restricted to random other frequencies", lambda run: _optional(run.last.random_restricted)),
    ("excluded loss, trained pairs", lambda run: three_digits(run.last.excluded_train)),
    ("excluded loss, other pairs", lambda run: three_digits(run.last.excluded_test)),
    ("random other frequencies excluded, trained pairs", lambda run: _optional(run.last.random_excluded_train)),
    (
        f"the neurons’ subspace alone, at most {PAIRS} pairs",
        lambda run: run.neurons and three_digits(run.neurons.restricted),
    ),
    ("without the neurons’ subspace", lambda run: run.neurons and three_digits(run.neurons.excluded)),
    ("variance of logits explained", lambda run: f"{run.last.logit_variance_explained:.3f}"),
    ("W_L at key frequencies", lambda run: f"{run.last.neuron_logit_key_share:.3f}"),
    ("W_E at key frequencies", lambda run: f"{run.last.embedding_key_share:.3f}"),
    ("Gini coefficient of W_E, of W_L", lambda run: f"{run.last.embedding_gini:.3f}, {run.last.neuron_logit_gini:.3f}"),
    ("Σ w²", lambda run: f"{run.last.sum_of_squares:.0f}"),
    ("neurons of one frequency", lambda run: f"{run.last.single_frequency_neurons} of {run.last.neurons}"),
    ("loss by path order", lambda run: ", ".join(map(three_digits, run.last.order_losses))),
)


def _optional(value: float | None) -> str:
    return "–" if value is None else three_digits(value)
