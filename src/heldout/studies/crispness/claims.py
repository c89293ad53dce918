"""What the study claims: of each latent, what was measured of it and whether it is crisp."""

from __future__ import annotations

from collections.abc import Iterator

from heldout.evidence import Claim
from heldout.execution.result import Json, Null, Result
from heldout.models import Site
from heldout.studies.crispness.decoding import PERMUTED, UNTRAINED
from heldout.studies.crispness.exchange import LEVEL
from heldout.studies.crispness.findings import CRITERIA, CrispnessStudy, LatentFinding, unbeaten
from heldout.studies.crispness.using import Contrast

TECHNIQUE = "crispness"


def claims_of(study: CrispnessStudy) -> Iterator[Claim]:
    """Three claims a latent (read off, used, crisp) and one on path length."""
    for each in study.found:
        yield decoding_claim(study, each)
        yield use_claim(study, each)
        yield crisp_claim(study, each)
    path = study.path
    if path.value is None:
        yield Claim("path-length", study.text_set, None, "Path length was not measured.", False, missing=path.missing)
        return
    statement = (
        f"The model needs {path.value:.1f} sublayers in sequence, and an untrained twin {path.untrained or 0:.1f}."
    )
    yield Claim("path-length", study.text_set, None, statement, True, (path_result(study),))


def decoding_claim(study: CrispnessStudy, each: LatentFinding) -> Claim:
    found = each.p_value <= LEVEL
    names = each.nulls if found else each.not_beaten
    above = ", ".join(null_text(each, null) for null in names)
    statement = (
        f"{each.latent} {'is' if found else 'was not shown to be'} read off at {each.site} above {above}: an accuracy of "
        f"{each.accuracy:.2f} ({interval_text(each.interval)} over {each.groups} groups of {each.n} test texts, on which "
        f"nothing was fitted; {corrected_text(each.p_value, study)})."
    )
    if not found:
        statement += limit_text(each.least_p_value, f"{each.groups} groups of test texts", len(study.found))
    return Claim(f"{each.latent}-decoded", each.latent, "represented", statement, found, (decoding_result(each),))


def null_text(each: LatentFinding, null: Null) -> str:
    if null.name == PERMUTED:
        return f"{null.name} ({null.mean:.2f})"
    better = ", which did better" if null.maximum > each.accuracy else ""
    return f"{'an' if null.name == UNTRAINED else 'a'} {null.name} ({null.maximum:.2f}{better})"


def use_claim(study: CrispnessStudy, each: LatentFinding) -> Claim:
    flip, found = each.use.flip, each.met["used"]
    nulls = " and ".join(f"{null.n} {null.name}" for null in flip.nulls)
    if not found:
        nulls = " and ".join(null.name for null in unbeaten(flip.nulls, each.used_p_value))
    statement = (
        f"Flipping {each.latent} at {each.site} moves the score of {flip.pairs} differing pairs by {flip.value:+.3f} against "
        f"agreeing pairs ({interval_text(flip.interval)} over {flip.groups} groups; {flip.value / max(flip.gap, 1e-9):+.1%} of "
        f"their distance), {'more' if found else 'not shown to be more'} than {nulls} give "
        f"({corrected_text(each.used_p_value, study)})."
    )
    twin = study.twin_of(each)
    statement += f" In an untrained twin it is {twin.use.flip.value:+.3f} ({corrected_text(twin.used_p_value, study)})."
    if not found:
        drawn = f"{len(flip.draws)} draws and {flip.groups} groups of pairs"
        statement += limit_text(flip.least_p_value, drawn, len(study.found))
    results = (contrast_result(each, "flip", flip), contrast_result(each, "removal", each.use.removal))
    return Claim(f"{each.latent}-used", each.latent, "conditional", statement, found, results)


def crisp_claim(study: CrispnessStudy, each: LatentFinding) -> Claim:
    met = f"{each.latent} met all {len(CRITERIA)} criteria of crispness in {study.model}"
    missed = "; ".join(f"{name} ({shortfall(each, name)})" for name in each.failed)
    missed = f"{each.latent} was not shown to be crisp in {study.model}: not met: {missed}"
    statement = (
        f"{met if each.crisp else missed}. Accuracy, selectivity, rank and spread are compared as point estimates."
    )
    return Claim(f"{each.latent}-crisp", each.latent, None, statement, each.crisp, tuple(size_results(each)))


def shortfall(each: LatentFinding, name: str) -> str:
    """What was measured where a criterion is not met."""
    size, chosen = each.dimensions, each.selectivity.value
    return {
        "decoded": decoding_shortfall(each),
        "selective": "no word recurs" if chosen is None else f"{chosen:+.2f} above control tasks",
        "few directions": "none found" if size.rank is None else f"rank {size.rank}",
        "contained": "nothing shown to be read off" if size.spread == 0 else f"spread {spread_text(each)}",
        "used": f"{each.use.flip.value:+.3f}, p = {each.used_p_value:.3g}",
    }[name]


def decoding_shortfall(each: LatentFinding) -> str:
    beaten = f"not above {', '.join(null.name for null in each.not_beaten)}" if each.not_beaten else ""
    return f"accuracy {each.accuracy:.2f}{', ' if beaten else ''}{beaten}"


def spread_text(each: LatentFinding) -> str:
    size = each.dimensions
    return f"> {len(size.left) * size.free}" if size.spread is None else str(size.spread)


def interval_text(interval: tuple[float, float]) -> str:
    return f"95 % interval {interval[0]:.3g} to {interval[1]:.3g}"


def corrected_text(p_value: float, study: CrispnessStudy) -> str:
    count = len(study.found)
    return f"p = {p_value:.3g}, {'one latent' if count == 1 else f'corrected over {count} latents (Holm)'}"


def limit_text(least: float, drawn: str, latents: int) -> str:
    """Whether too few were compared to find a latent of which alone it is true."""
    if least * latents <= LEVEL:
        return ""
    among = "even alone" if latents == 1 else f"alone among {latents} latents"
    return f" With {drawn} p is {least:.2g} at least: {among} it could not be found."


def decoding_result(each: LatentFinding) -> Result:
    settings: dict[str, Json] = {
        "model": each.model,
        "latent": each.latent,
        "corrected_p_value": each.p_value,
        "groups": each.groups,
    }
    return result_of(
        each, "readout_accuracy", "fraction of texts", each.accuracy, each.n, each.interval, each.nulls, settings
    )


def contrast_result(each: LatentFinding, kind: str, found: Contrast) -> Result:
    corrected = each.used_p_value if kind == "flip" else each.removal_p_value
    settings: dict[str, Json] = {
        "differ": found.differ, "agree": found.agree, "gap": found.gap, "groups": found.groups, "corrected_p_value": corrected,
    }  # fmt: skip
    return result_of(
        each, f"{kind}_contrast", "cosine", found.value, found.pairs, found.interval, found.nulls, settings
    )


def size_results(each: LatentFinding) -> Iterator[Result]:
    """Rank, spread, selectivity and boundary density; what was not reached, and so has no number, is left out."""
    size = each.dimensions
    for name, value in (("rank", size.rank), ("spread", size.spread)):
        if value is not None:
            random: Json = size.random_rank
            yield result_of(each, name, "directions", float(value), each.n, None, (), {"random_rank": random})
    if each.selectivity.value is not None:
        controls: Json = list(each.selectivity.controls)
        value, n = each.selectivity.value, each.selectivity.n
        yield result_of(each, "selectivity", "accuracy", value, n, None, (), {"control_accuracies": controls})
    if each.borders is not None:
        found = each.borders
        null = Null("pairs of both kinds exchanged in groups", 1.0, found.null[1], found.draws, found.p_value)
        settings: dict[str, Json] = {"corrected_p_value": each.border_p_value}
        yield result_of(
            each, "boundary_density_ratio", "ratio", found.ratio, found.pairs, found.interval, (null,), settings
        )


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
