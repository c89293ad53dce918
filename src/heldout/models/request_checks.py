"""Checks of sites, positions and edits against a model, before anything runs. All problems of a request are reported
at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from heldout.errors import Problem, Problems
from heldout.models.architectures import Architecture
from heldout.models.dimensions import Dimensions
from heldout.models.intervene import Edit, chosen_positions
from heldout.models.sites import SITE_SHAPES, Site
from heldout.models.tokens import Tokens


def site_problem(site: Site, dimensions: Dimensions, missing: Mapping[str, str], family: str) -> Problem | None:
    """What keeps a model from having this site, or None."""
    if site.name in missing:
        have = ", ".join(name for name in SITE_SHAPES if name not in missing)
        return Problem(
            f"{site}, which this {family} model does not have: {missing[site.name]}",
            f"one of {have}",
            "choose another site; Model.sites lists the places of each name",
        )
    if site.layer is not None and site.layer >= dimensions.n_layers:
        return Problem(
            f"{site} in a model of {dimensions.n_layers} layers",
            f"a layer from 0 to {dimensions.n_layers - 1}",
            "choose a layer that exists",
        )
    heads = dimensions.heads_at(site.name)
    if site.head is not None and heads is not None and site.head >= heads:
        return Problem(
            f"{site} in a layer with {heads} {'key-value ' if site.name in 'kv' else ''}heads",
            f"a head from 0 to {heads - 1}",
            "choose a head that exists",
        )
    return None


def position_problems(positions: Sequence[int] | None, length: int | None) -> list[Problem]:
    """What is wrong with positions counted from the end of `length` tokens (None: not known yet)."""
    wrong = [p for p in positions or () if p >= 0 or (length is not None and -p > length)]
    if not wrong:
        return []
    span = "below 0" if length is None else f"from {-length} to -1"
    return [
        Problem(
            f"positions {wrong}" + ("" if length is None else f" in prompts of {length} tokens"),
            f"positions counted from the end, {span}",
            "count from the end: -1 is the last token, whatever the padding",
        )
    ]


def check_edits(
    called: str,
    edits: Iterable[Edit],
    dimensions: Dimensions,
    missing: Mapping[str, str],
    family: str,
    shape: tuple[int, int] | None = None,
) -> None:
    """Raises InputError naming everything that is wrong with the edits; shapes only where batch and length are
    known."""
    problems = Problems(called)
    for edit in edits:
        positions = chosen_positions(edit.positions)
        found = [site_problem(edit.site, dimensions, missing, family)]
        if found[0] is None:
            found = [*position_problems(positions, shape[1] if shape else None)]
            if shape is not None and not found:
                batch, length = shape
                part = length if positions is None else len(positions)
                found = [*edit.problems(dimensions.shape_at(edit.site, batch, part, length))]
        for problem in found:
            if problem is not None:
                label = f"{type(edit).__name__} at {edit.site}: {problem.found}"
                problems.add(label, problem.expected, problem.next_step)
    problems.raise_if_any()


def check_trace(
    called: str,
    sites: Iterable[Site],
    positions: Sequence[int] | None,
    length: int,
    dimensions: Dimensions,
    missing: Mapping[str, str],
    family: str,
) -> None:
    """Raises InputError naming every site that the model lacks and every position out of range."""
    found = [site_problem(site, dimensions, missing, family) for site in sites]
    problems = Problems(called)
    for problem in [*found, *position_problems(positions, length)]:
        if problem is not None:
            problems.add(problem.found, problem.expected, problem.next_step)
    problems.raise_if_any()


def check_tokens(called: str, tokens: Tokens, length: int, dimensions: Dimensions) -> None:
    """Raises InputError for an empty batch, texts longer than the context, or ids outside the vocabulary."""
    empty = tokens.ids.numel() == 0
    low, high = (0, 0) if empty else tokens.id_range
    if not empty and length <= dimensions.context_length and low >= 0 and high < dimensions.vocabulary_size:
        return
    problems = Problems(called)
    if empty:
        problems.add(f"ids of shape {tuple(tokens.ids.shape)}", "at least one prompt of one token", "add a prompt")
    if length > dimensions.context_length:
        problems.add(
            f"texts of {length} tokens",
            f"at most {dimensions.context_length}, the model's context length",
            "shorten the prompts, or generate fewer tokens",
        )
    if low < 0 or high >= dimensions.vocabulary_size:
        problems.add(
            f"token ids from {low} to {high}",
            f"ids from 0 to {dimensions.vocabulary_size - 1}, the rows of the embedding",
            "tokenise with this model's own tokenizer",
        )
    problems.raise_if_any()


def check_causal(called: str, architecture: Architecture) -> None:
    """Raises InputError for an encoder, which cannot continue a text."""
    if not architecture.causal:
        problems = Problems(called)
        found = f"a {architecture.family} model, in which every position sees every other"
        problems.add(found, "a causal language model", "read its output by Model.logits, or its stream by Model.trace")
        problems.raise_if_any()


def check_added(called: str, architecture: Architecture) -> None:
    """Raises InputError where the stream is no sum of what sublayers add to it."""
    if architecture.norms_the_stream:
        problems = Problems(called)
        found = f"a {architecture.family} model, which norms the stream after each sublayer"
        expected = "a residual stream that is the sum of what was added to it"
        problems.add(found, expected, "use interventions (Model.intervene, heldout.models.sweep), which hold for it")
        problems.raise_if_any()
