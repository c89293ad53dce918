"""The study: a base and a fine-tune of it are held against each other, and against other fine-tunes of that base."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from heldout.data import Suite
from heldout.errors import InputError, Problem
from heldout.evidence import gather_provenance
from heldout.execution.threads import one_thread_if_small
from heldout.models import Model, load
from heldout.statistics import mean_interval
from heldout.studies.diff.activation_lens import lens_readings
from heldout.studies.diff.behaviour import Behaviour, behaviour_of
from heldout.studies.diff.claims import claims_of, component_claims
from heldout.studies.diff.divergence import divergence
from heldout.studies.diff.findings import Measured, ModelDiff
from heldout.studies.diff.interchange import Change, Progress, Share, output_shares, weight_shares
from heldout.studies.diff.pairing import Pairing, paired
from heldout.studies.diff.prompts import Prompts, suite_prompts, text_prompts
from heldout.studies.diff.recording import write_diff
from heldout.studies.diff.weight_deltas import component_deltas, spectra

PROMPTS = 200
DRAWS = 49
Source = Model | str | Path


def diff(
    base: Source,
    tuned: Source,
    *,
    out: str | Path | None = None,
    suite: Suite | str | Path | None = None,
    text: str | Path | Prompts | None = None,
    references: Sequence[Source] = (),
    prompts: int = PROMPTS,
    draws: int = DRAWS,
    seed: int = 0,
    allow_remote_code: bool = False,
    progress: Progress | None = None,
) -> ModelDiff:
    """What `tuned` does and holds that `base` does not, in weights, activations, predictions and behaviour.

    Behaviour is how likely the accepted answers of `suite` are, or the tokens of `text` where there is no suite;
    activations are read on `text`, which should have nothing to do with the fine-tune. `references` are other fine-tunes
    of the same base: a difference is found only where it is beyond theirs. At most `prompts` of each source are read, and
    each component is tried with `draws` random changes. Writes a record into `out` if it is given. Raises InputError for
    inputs that cannot be compared."""
    called = "diff(base, tuned)"
    report = progress or silent
    sources = sources_of(called, suite, text, prompts, seed)
    report("opening the models", 0, 3 + len(references))
    first, second = (opened(source, allow_remote_code) for source in (base, tuned))
    with one_thread_if_small(first.n_parameters):
        pairing = paired(first, second, [text for source in sources for text in source.texts])
        behaviour = behaviour_of(first, sources[0]) if pairing.same_tokens else None
        measured = measure(pairing, sources, behaviour, seed)
        others = [
            reference_measured(
                first, opened(each, allow_remote_code), sources, behaviour, seed, place, report, references
            )
            for place, each in enumerate(references)
        ]
        claims = claims_of(measured, others, sources, "" if behaviour is None else behaviour.quantity)
        reason = why_not_attributed(pairing, measured, claims_found=[claim.id for claim in claims if claim.found],
                                    referenced=len(others) >= 2)  # fmt: skip
        shares = () if reason or behaviour is None else shares_of(pairing, behaviour, measured, draws, seed, report)
        matrices = spectra(pairing, seed)
    found = ModelDiff(
        first.name, first.digest, measured, tuple(others), sources, "" if behaviour is None else behaviour.quantity,
        matrices, shares, reason, pairing.left_out, (*claims, *component_claims(shares, len(others) >= 2)), seed, draws,
    )  # fmt: skip
    if out is not None:
        passed = {"base": named(base), "tuned": named(tuned), "references": [named(each) for each in references]}
        resolved = {"prompts": prompts, "draws": draws, "seed": seed}
        weights = {"base": first.digest, "tuned": second.digest}
        weights |= {f"reference {place}": each.digest for place, each in enumerate(others, 1)}
        data = {source.source: source.digest for source in sources}
        provenance = gather_provenance(weights=weights, data=data, arguments_passed=passed, arguments_resolved=resolved,
                                       seeds=[seed], names={"base": first.name, "tuned": second.name})  # fmt: skip
        write_diff(found, Path(out), provenance)
    return found


def sources_of(
    called: str, suite: Suite | str | Path | None, text: str | Path | Prompts | None, most: int, seed: int
) -> tuple[Prompts, ...]:
    """The suite first, which the behaviour is of; the text last, which activations are read on."""
    if suite is None and text is None:
        problem = Problem(
            "neither a suite nor a text", "a suite, a text, or both", "give a suite's folder or a text file"
        )
        raise InputError(called, problem)
    asked = () if suite is None else (suite_prompts(called, suite, most, seed),)
    if text is None:
        return asked
    return (*asked, text if isinstance(text, Prompts) else text_prompts(called, text, most, seed))


def measure(pairing: Pairing, sources: tuple[Prompts, ...], behaviour: Behaviour | None, seed: int) -> Measured:
    """Everything that is measured of references as well."""
    readable = pairing.same_tokens and pairing.same_width
    change = None
    if behaviour is not None and pairing.same_tokens:
        change = Change(behaviour.values(pairing.base), behaviour.values(pairing.tuned))
    return Measured(
        pairing.tuned.name,
        pairing.tuned.digest,
        component_deltas(pairing),
        lens_readings(pairing, sources[-1], seed) if readable else (),
        tuple(divergence(pairing, source) for source in sources) if pairing.same_tokens else (),
        change,
    )


def reference_measured(
    base: Model, reference: Model, sources: tuple[Prompts, ...], behaviour: Behaviour | None, seed: int, place: int,
    report: Progress, references: Sequence[Source],
) -> Measured:  # fmt: skip
    """Raises InputError for a reference that cannot be compared with the base as the fine-tune can."""
    report(f"measuring {reference.name}", 2 + place, 3 + len(references))
    pairing = paired(base, reference, [text for source in sources for text in source.texts])
    if pairing.left_out:
        problem = Problem(
            f"{reference.name}, of which not all can be compared with the base ({pairing.left_out[0]})",
            "references that are fine-tunes of the base, of its shape and vocabulary",
            "leave it out, or name another",
        )
        raise InputError("diff(references)", problem)
    return measure(pairing, sources, behaviour, seed)


def why_not_attributed(
    pairing: Pairing, measured: Measured, *, claims_found: Sequence[str], referenced: bool
) -> str | None:
    """Why the change of behaviour is not divided among components; None where it is."""
    if not (pairing.same_shape and pairing.same_tokens) or measured.change is None:
        return "the models have different shapes or vocabularies"
    interval = mean_interval(measured.change.tuned - measured.change.base)
    if interval is None or interval[0] <= 0 <= interval[1] or not np.any(measured.change.tuned != measured.change.base):
        return "the behaviour did not change by more than chance over prompts"
    if referenced and "behaviour" not in claims_found:
        return "the behaviour changed no more than it does in the references"
    return None


def shares_of(
    pairing: Pairing, behaviour: Behaviour, measured: Measured, draws: int, seed: int, report: Progress
) -> tuple[Share, ...]:
    assert measured.change is not None
    arguments = (pairing, behaviour, measured.change)
    weights = weight_shares(*arguments, draws, seed, report)
    return (*weights, *output_shares(*arguments, min(draws, 19), seed, report))


def opened(source: Source, allow_remote_code: bool) -> Model:
    return source if isinstance(source, Model) else load(source, allow_remote_code=allow_remote_code)


def named(source: Source) -> str:
    return source.name if isinstance(source, Model) else str(source)


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""
