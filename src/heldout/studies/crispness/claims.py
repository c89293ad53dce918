"""What the study claims: of each latent, what was measured of it and whether it is crisp."""

from __future__ import annotations

from collections.abc import Iterator

from heldout.evidence import Claim
from heldout.evidence.claims import p_value_text
from heldout.execution.result import Json, Null, Result
from heldout.models import Site
from heldout.studies.crispness.findings import LEVEL, CrispnessStudy, LatentFinding
from heldout.studies.crispness.using import Contrast

TECHNIQUE = "crispness"


def claims_of(study: CrispnessStudy) -> Iterator[Claim]:
    """Three claims a latent (read off, used, crisp) and one on path length."""
    for each in study.found:
        yield decoding_claim(each)
        yield use_claim(each)
        yield crisp_claim(study, each)
    path = study.path
    if path.value is None:
        yield Claim("path-length", study.text_set, None, "Path length was not measured.", False, missing=path.missing)
        return
    statement = (
        f"The model needs {path.value:.1f} sublayers in sequence, and an untrained twin {path.untrained or 0:.1f}."
    )
    yield Claim("path-length", study.text_set, None, statement, True, (path_result(study),))


def decoding_claim(each: LatentFinding) -> Claim:
    found = each.p_value <= LEVEL
    how = "is read off" if found else "was not read off above every null"
    statement = (
        f"{each.latent} {how} at {each.site} with an accuracy of {each.accuracy:.2f} on words and templates not fitted "
        f"({p_value_text(each.p_value)}, corrected)."
    )
    return Claim(f"{each.latent}-decoded", each.latent, "represented", statement, found, (decoding_result(each),))


def use_claim(each: LatentFinding) -> Claim:
    flip = each.use.flip
    found = each.met["used"]
    statement = (
        f"Flipping {each.latent} at {each.site} moves the score of differing pairs by {flip.value:+.3f} against agreeing "
        f"pairs, {'more' if found else 'not shown to be more'} than random directions do "
        f"({p_value_text(each.used_p_value)}, corrected)."
    )
    results = (contrast_result(each, "flip", flip), contrast_result(each, "removal", each.use.removal))
    return Claim(f"{each.latent}-used", each.latent, "conditional", statement, found, results)


def crisp_claim(study: CrispnessStudy, each: LatentFinding) -> Claim:
    failed = ", ".join(each.failed)
    statement = (
        f"{each.latent} is crisp in {study.model}." if each.crisp else f"{each.latent} is not crisp: not {failed}."
    )
    return Claim(f"{each.latent}-crisp", each.latent, None, statement, each.crisp, tuple(size_results(each)))


def decoding_result(each: LatentFinding) -> Result:
    settings: dict[str, Json] = {"model": each.model, "latent": each.latent, "corrected_p_value": each.p_value}
    return result_of(
        each, "readout_accuracy", "fraction of texts", each.accuracy, each.n, each.interval, each.nulls, settings
    )


def contrast_result(each: LatentFinding, kind: str, found: Contrast) -> Result:
    draws = found.draws
    null = Null("random directions", sum(draws) / len(draws), max(draws), len(draws), found.p_value)
    settings: dict[str, Json] = {"differ": found.differ, "agree": found.agree, "gap": found.gap}
    return result_of(each, f"{kind}_contrast", "cosine", found.value, each.n, found.interval, (null,), settings)


def size_results(each: LatentFinding) -> Iterator[Result]:
    """Rank, spread, selectivity and boundary density; what was not reached, and so has no number, is left out."""
    size = each.dimensions
    for name, value in (("rank", size.rank), ("spread", size.spread)):
        if value is not None:
            random: Json = size.random_rank
            yield result_of(each, name, "directions", float(value), each.n, None, (), {"random_rank": random})
    if each.selectivity.value is not None:
        controls: Json = list(each.selectivity.controls)
        yield result_of(
            each, "selectivity", "accuracy", each.selectivity.value, each.n, None, (), {"control_accuracies": controls}
        )
    if each.borders is not None:
        found = each.borders
        null = Null("pairs of both kinds exchanged", 1.0, found.null[1], 999, found.p_value)
        yield result_of(each, "boundary_density_ratio", "ratio", found.ratio, each.n, found.interval, (null,), {})


def path_result(study: CrispnessStudy) -> Result:
    path = study.path
    twin = Null("untrained twin", path.untrained or 0.0, path.untrained or 0.0, 1)
    return Result("path_length", "effective_path_length", "sublayers", path.value or 0.0, 1, path.interval, (twin,))


def result_of(
    each: LatentFinding,
    quantity: str,
    unit: str,
    effect: float,
    n: int,
    interval: tuple[float, float] | None,
    nulls: tuple[Null, ...],
    settings: dict[str, Json],
) -> Result:
    return Result(
        technique=TECHNIQUE,
        quantity=quantity,
        unit=unit,
        effect=effect,
        n=n,
        interval=interval,
        nulls=nulls,
        site=each.site,
        layer=Site.parse(each.site).layer,
        split="test",
        settings={"latent": each.latent, **settings},
    )
