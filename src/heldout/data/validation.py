"""What a suite's contents must fulfil, beyond the form of its files. Every check adds to the same findings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from heldout.data.findings import Findings
from heldout.data.samples import Sample
from heldout.data.schema import Answer

Placed = Sequence[tuple[str, Sample]]
"""Samples, each with the words that say where it stands: `samples.jsonl line 3`."""


def check_suite(
    answer: Answer,
    max_new_tokens: int,
    behaviours: Sequence[str],
    placed: Placed,
    findings: Findings,
    *,
    complete: bool = True,
) -> None:
    """All checks of a suite.

    Where some samples could not be read (`complete` is False), what only their absence could explain is not reported.
    """
    check_answer_form(answer, max_new_tokens, findings)
    check_identities(placed, findings)
    check_inputs(placed, findings)
    check_answers(placed, findings)
    check_behaviours(placed, behaviours, findings)
    check_pairs(placed, findings, complete=complete)
    if answer == "choice":
        check_choices(placed, findings)
    if complete:
        check_coverage(placed, behaviours, findings)


def check_answer_form(answer: Answer, max_new_tokens: int, findings: Findings) -> None:
    if max_new_tokens < 1:
        findings.add(
            f"max_new_tokens is {max_new_tokens}",
            "max_new_tokens: 1 or more",
            "allow as many tokens as the longest answer has",
        )
    elif answer == "next_token" and max_new_tokens != 1:
        findings.add(
            f"max_new_tokens is {max_new_tokens}, and answer is 'next_token'",
            "max_new_tokens: 1 for a suite that is answered in the next token",
            "set max_new_tokens to 1, or answer to 'tokens'",
        )


def check_identities(placed: Placed, findings: Findings) -> None:
    where: dict[str, list[str]] = defaultdict(list)
    for place, sample in placed:
        where[sample.id].append(place)
    for name, places in where.items():
        if len(places) > 1:
            findings.add(
                f"id {name!r} stands {len(places)} times: {', '.join(places)}",
                "id: a text that no other sample has",
                "rename all but one of them",
            )


def check_inputs(placed: Placed, findings: Findings) -> None:
    for place, sample in placed:
        if not sample.input.strip():
            findings.add(f"{place}: the input is empty", "input: a prompt", "write the prompt, or remove the sample")


def check_answers(placed: Placed, findings: Findings) -> None:
    for place, sample in placed:
        if not sample.accepts or "" in sample.accepts:
            what = "an empty answer" if sample.accepts else "nothing"
            findings.add(
                f"{place}: accepts holds {what}",
                "accepts: at least one answer, none of them empty",
                "list the answers that the overseer would pass",
            )
        if sample.role == "verified":
            _check_verified(place, sample, findings)
        elif sample.target is not None:
            findings.add(
                f"{place}: unverified, and target is {sample.target!r}",
                "target: null for an unverified sample, whose ground truth is not known",
                "remove the target; or, if it is the right answer, make the sample verified and accept just that",
            )


def _check_verified(place: str, sample: Sample, findings: Findings) -> None:
    if sample.target is None:
        findings.add(
            f"{place}: verified, without a target",
            "target: the right answer, for every verified sample",
            "write the right answer as the target, or make the sample unverified",
        )
    elif sample.accepts and sample.accepts != (sample.target,):
        findings.add(
            f"{place}: verified, target {sample.target!r}, accepts {list(sample.accepts)!r}",
            "accepts: just the target, for every verified sample",
            "accept the target alone, or make the sample unverified and its target null",
        )


def check_behaviours(placed: Placed, behaviours: Sequence[str], findings: Findings) -> None:
    for name, count in Counter(behaviours).items():
        if count > 1:
            findings.add(
                f"behaviour {name!r} is listed {count} times",
                "behaviours that each have a name of their own",
                "remove or rename the other [[behaviour]] tables of that name",
            )
    known = set(behaviours)
    for place, sample in placed:
        if sample.behaviour not in known:
            findings.add(
                f"{place}: behaviour {sample.behaviour!r}",
                f"behaviour: one that suite.toml lists: {', '.join(map(repr, sorted(known)))}",
                "correct the name, or add a [[behaviour]] table of that name to suite.toml",
            )


def check_pairs(placed: Placed, findings: Findings, *, complete: bool) -> None:
    partners: dict[str, list[Sample]] = defaultdict(list)
    for _, sample in placed:
        partners[sample.id].append(sample)
    for place, sample in placed:
        if sample.pair is None:
            continue
        named = partners.get(sample.pair, [])
        if not named:
            if complete:
                findings.add(
                    f"{place}: pair {sample.pair!r}, which is no sample's id",
                    "pair: the id of a sample of this suite",
                    "correct the id, or set pair to null",
                )
        elif sample.pair == sample.id or all(partner.pair != sample.id for partner in named):
            findings.add(
                f"{place}: {sample.id!r} has the pair {sample.pair!r}, whose pair is {named[0].pair!r}",
                "pair: two different samples that name each other",
                "let each of the two name the other, or set pair to null",
            )


def check_choices(placed: Placed, findings: Findings) -> None:
    for place, sample in placed:
        if len(sample.choices) < 2:
            findings.add(
                f"{place}: {len(sample.choices)} choices",
                "choices: at least two, for every sample of a suite whose answer is 'choice'",
                "list the choices, or set answer in suite.toml to 'tokens'",
            )
            continue
        letters = {chr(ord("A") + index) for index in range(len(sample.choices))}
        for answer in sample.accepts:
            if answer and answer not in letters and answer not in sample.choices:
                findings.add(
                    f"{place}: {answer!r} is none of the choices",
                    "accepts: choices, each by its text or by its letter (A is the first)",
                    "correct the answer, or add it to the choices",
                )


def check_coverage(placed: Placed, behaviours: Sequence[str], findings: Findings) -> None:
    """Nothing can be judged without verified samples. A suite without unverified ones is a fair set of prompts."""
    for name in dict.fromkeys(behaviours):
        roles = Counter(sample.role for _, sample in placed if sample.behaviour == name)
        if not roles["verified"]:
            findings.add(
                f"behaviour {name!r}: no verified samples, {roles['unverified']} unverified",
                "verified samples for every behaviour",
                "add samples whose right answer is known, or remove the behaviour",
            )
