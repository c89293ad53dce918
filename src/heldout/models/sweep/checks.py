"""Everything that can be wrong with a sweep, said before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.errors import InputError, Problem, Problems
from heldout.models.intervene import Edit
from heldout.models.metrics import Metric, TokenLogits
from heldout.models.model import Model
from heldout.models.request_checks import check_edits, check_tokens, position_problems
from heldout.models.tokens import Tokens


def check_sweep(
    model: Model, tokens: Tokens, edits: Sequence[Edit], metric: Metric, budget_bytes: int, needed_bytes: int
) -> None:
    """Raises InputError naming every edit that the model or the prompts have no place for, a metric that reads what is
    not there, and a budget that not even one edit fits into."""
    called = f"plan_sweep({len(edits)} edits)"
    problems = Problems(called)
    known = (model.dimensions, model.missing_sites, model.architecture.family)
    shape = (len(tokens), tokens.length)
    for part in (
        lambda: check_tokens(called, tokens, tokens.longest, model.dimensions),
        lambda: check_edits(called, edits, *known, shape),
    ):
        try:
            part()
        except InputError as error:
            problems.found.extend(error.problems)
    problems.found.extend(metric_problems(metric, tokens, model))
    if budget_bytes < needed_bytes:
        problems.add(
            f"a budget of {budget_bytes} bytes",
            f"at least {needed_bytes} bytes, for the recorded pass and one edit",
            "raise budget_bytes, or sweep over fewer or shorter prompts at a time",
        )
    problems.raise_if_any()


def metric_problems(metric: Metric, tokens: Tokens, model: Model) -> list[Problem]:
    """What keeps `metric` from being read on these prompts."""
    problems = position_problems(metric.positions, tokens.length)
    if not metric.positions:
        problems.append(Problem("a metric without positions", "at least one position", "name the positions it reads"))
    if not problems:
        masked = [p for p in metric.positions if bool((tokens.mask[:, p] == 0).any())]
        if masked:
            rows = (tokens.mask[:, masked] == 0).any(dim=1).nonzero().flatten().tolist()
            problems.append(
                Problem(
                    f"a metric that reads positions {masked}, which are padding in rows {rows[:5]}",
                    "positions that are real tokens in every prompt",
                    "leave those prompts out, or read positions nearer to the end",
                )
            )
    if isinstance(metric, TokenLogits):
        if len(metric.tokens) not in (1, len(tokens)):
            problems.append(
                Problem(
                    f"a metric with tokens for {len(metric.tokens)} prompts",
                    f"one row for each of the {len(tokens)} prompts, or one row for all",
                    "build the metric from these prompts",
                )
            )
        if not metric.tokens.numel():
            problems.append(Problem("a metric without tokens", "at least one token id a prompt", "name the tokens"))
            return problems
        low, high = int(metric.tokens.min()), int(metric.tokens.max())
        if not model.n_outputs:
            found = f"a metric of logits in a {model.architecture.family} model without a head"
            expected, next_step = "a metric of its last stream", "use LogitsFunction, which is given that stream"
            problems.append(Problem(found, expected, next_step))
        elif low < 0 or high >= model.n_outputs:
            problems.append(
                Problem(
                    f"a metric that reads token ids from {low} to {high}",
                    f"ids from 0 to {model.n_outputs - 1}",
                    "tokenise the answers with this model's own tokenizer",
                )
            )
    return problems
