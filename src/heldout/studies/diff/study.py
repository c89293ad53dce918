"""The study: a base and a fine-tune of it are held against each other, and against other fine-tunes of that base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from heldout.data import Suite
from heldout.errors import InputError, Problem
from heldout.evidence import Provenance, gather_provenance
from heldout.execution.threads import one_thread_if_small
from heldout.models import Model, as_model
from heldout.progress import Progress, silent
from heldout.statistics import mean_interval
from heldout.studies.diff.activation_lens import lens_readings
from heldout.studies.diff.behaviour import Behaviour, behaviour_of
from heldout.studies.diff.claims import claims_of, component_claims
from heldout.studies.diff.divergence import divergence
from heldout.studies.diff.findings import Measured, ModelDiff
from heldout.studies.diff.interchange import Change, Share, output_shares, weight_shares
from heldout.studies.diff.latents import latent_reading
from heldout.studies.diff.pairing import Pairing, paired
from heldout.studies.diff.prompts import Prompts, suite_prompts, text_prompts
from heldout.studies.diff.storing import write_diff
from heldout.studies.diff.weight_deltas import component_deltas, spectra
from heldout.studies.recording import refuse_foreign_folder

PROMPTS = 200
DRAWS = 49
DRAWS_OF_OUTPUTS = 39
"""Fewer could not be beyond random in either of two directions: 2 / (draws + 1) is to be WITHIN at most."""
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
    crosscoder: bool = False,
    seed: int = 0,
    allow_remote_code: bool = False,
    progress: Progress | None = None,
) -> ModelDiff:
    """What `tuned` does and holds that `base` does not, in weights, activations, predictions and behaviour.

    Behaviour is how likely the accepted answers of `suite` are, or the tokens of `text` where there is no suite;
    activations are read on `text`, which should have nothing to do with the fine-tune. `references` are other fine-tunes
    of the same base: a difference is found only where it is beyond theirs. At most `prompts` of each source are read, and
    each component is tried with `draws` random changes. With `crosscoder` latents are compared as well. Writes a record
    into `out` if it is given. Raises InputError for inputs that cannot be compared."""
    report = progress or silent
    if out is not None:
        refuse_foreign_folder(f"diff(out={str(out)!r})", out, "diff")
    sources = sources_of("diff(base, tuned)", suite, text, prompts, seed)
    report("opening the models", 0, 1)
    first, second = (as_model(source, allow_remote_code=allow_remote_code) for source in (base, tuned))
    settings = Settings(prompts, draws, crosscoder, seed)
    with one_thread_if_small(first.n_parameters):
        pairing = paired(first, second, texts_of(sources))
        behaviour = behaviour_of(first, sources[0]) if pairing.same_tokens else None
        measured = measure(pairing, sources, behaviour, settings)
        others = [
            reference_measured(first, as_model(each, allow_remote_code=allow_remote_code), sources, behaviour, settings)
            for each in told(references, report)
        ]
        refuse_twins(measured, others)
        found = judged(pairing, sources, behaviour, measured, others, settings, report)
    if out is not None:
        passed = {"base": named(base), "tuned": named(tuned), "references": [named(each) for each in references]}
        write_diff(found, Path(out), provenance_of(found, passed, settings))
    return found


@final
@dataclass(frozen=True)
class Settings:
    """How much is read and drawn."""

    prompts: int
    draws: int
    crosscoder: bool
    seed: int


def judged(
    pairing: Pairing, sources: tuple[Prompts, ...], behaviour: Behaviour | None, measured: Measured,
    references: Sequence[Measured], settings: Settings, report: Progress,
) -> ModelDiff:  # fmt: skip
    """What differs beyond the references; and, where behaviour does, which components carry it."""
    quantity, referenced = "" if behaviour is None else behaviour.quantity, len(references) >= 2
    claims = claims_of(measured, references, sources, quantity)
    changed = any(claim.found and claim.id == "behaviour" for claim in claims)
    reason = why_not_attributed(pairing, measured, beyond_references=changed or not referenced)
    shares = () if reason or behaviour is None else shares_of(pairing, behaviour, measured, settings, report)
    return ModelDiff(
        base=pairing.base.name,
        base_digest=pairing.base.digest,
        tuned=measured,
        references=tuple(references),
        sources=sources,
        quantity=quantity,
        spectra=spectra(pairing, settings.seed),
        shares=shares,
        not_attributed=reason,
        left_out=pairing.left_out,
        claims=(*claims, *component_claims(shares, referenced)),
        seed=settings.seed,
        draws=settings.draws,
    )


def provenance_of(found: ModelDiff, passed: dict[str, Any], settings: Settings) -> Provenance:
    weights = {"base": found.base_digest, "tuned": found.tuned.digest}
    weights |= {f"reference {place}": each.digest for place, each in enumerate(found.references, 1)}
    return gather_provenance(
        weights=weights,
        data={source.source: source.digest for source in found.sources},
        arguments_passed=passed,
        arguments_resolved=asdict(settings),
        seeds=[settings.seed],
        names={"base": found.base, "tuned": found.tuned.name},
    )


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


def told(references: Sequence[Source], report: Progress) -> Iterator[Source]:
    for place, each in enumerate(references):
        report(f"measuring {named(each)}", place, len(references))
        yield each


def measure(
    pairing: Pairing, sources: tuple[Prompts, ...], behaviour: Behaviour | None, settings: Settings
) -> Measured:
    """Everything that is measured of references as well."""
    readable = pairing.same_tokens and pairing.same_width
    change = None
    if behaviour is not None and pairing.same_tokens:
        change = Change(behaviour.values(pairing.base), behaviour.values(pairing.tuned))
    return Measured(
        pairing.tuned.name,
        pairing.tuned.digest,
        component_deltas(pairing),
        lens_readings(pairing, sources[-1], settings.seed) if readable else (),
        tuple(divergence(pairing, source) for source in sources) if pairing.same_tokens else (),
        change,
        latent_reading(pairing, sources, settings.seed)
        if settings.crosscoder and readable and differs(pairing)
        else None,
    )


def differs(pairing: Pairing) -> bool:
    """A crosscoder of a model beside itself has nothing to say."""
    return any(delta.norm > 0 for delta in component_deltas(pairing))


def reference_measured(
    base: Model, reference: Model, sources: tuple[Prompts, ...], behaviour: Behaviour | None, settings: Settings
) -> Measured:
    """Raises InputError for a reference that cannot be compared with the base as a fine-tune can."""
    pairing = paired(base, reference, texts_of(sources))
    if pairing.left_out:
        problem = Problem(
            f"{reference.name}, of which not all can be compared with the base ({pairing.left_out[0]})",
            "references that are fine-tunes of the base, of its shape and vocabulary",
            "leave it out, or name another",
        )
        raise InputError("diff(references)", problem)
    return measure(pairing, sources, behaviour, settings)


def refuse_twins(tuned: Measured, references: Sequence[Measured]) -> None:
    """Raises InputError for a reference given twice, or that is the fine-tune itself: it would count as another one."""
    seen = {tuned.digest: tuned.name}
    for each in references:
        if each.digest in seen:
            found = f"{each.name} and {seen[each.digest]}, which have the same weights"
            problem = Problem(found, "the fine-tune and references that differ", "name each once, or other seeds of it")
            raise InputError("diff(references)", problem)
        seen[each.digest] = each.name


def why_not_attributed(pairing: Pairing, measured: Measured, *, beyond_references: bool) -> str | None:
    """Why the change of behaviour is not divided among components; None where it is."""
    if not (pairing.same_shape and pairing.same_tokens) or measured.change is None:
        return "the models have different shapes or vocabularies"
    difference = measured.change.tuned - measured.change.base
    interval = mean_interval(difference)
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "the behaviour did not change by more than chance over prompts"
    return None if beyond_references else "the behaviour changed no more than in the references"


def shares_of(
    pairing: Pairing, behaviour: Behaviour, measured: Measured, settings: Settings, report: Progress
) -> tuple[Share, ...]:
    assert measured.change is not None
    change, seed = measured.change, settings.seed
    weights = weight_shares(pairing, behaviour, change, settings.draws, seed, report)
    return (*weights, *output_shares(pairing, behaviour, change, min(settings.draws, DRAWS_OF_OUTPUTS), seed, report))


def texts_of(sources: Sequence[Prompts]) -> list[str]:
    return [text for source in sources for text in source.texts]


def named(source: Source) -> str:
    return source.name if isinstance(source, Model) else str(source)
