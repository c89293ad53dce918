"""The page of one bundle: one HTML file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from heldout.errors import InputError, Problem
from heldout.evidence.bundle import Bundle
from heldout.evidence.canonical import sha256, sha256_of_file, write_durably
from heldout.evidence.claims import Claim
from heldout.evidence.manifest import ATTESTATIONS, MANIFEST, bundle_files, read_manifest, record_file
from heldout.evidence.provenance import Provenance
from heldout.evidence.verdicts import Verdict, Verdicts
from heldout.report.behaviours import badge, behaviour_section
from heldout.report.html import Child, Markup, details, element, joined, table
from heldout.report.tables import bullets, key_value_table, predictive_value_table, split_table
from heldout.report.words import WORDS, compact, leg_name, number, short_digest, spoken, verdict_sentence

REPORT = "report.html"
SIZE_LIMIT = 2_000_000
ROW_BUDGETS = ((2000, 1600), (400, 800), (0, 200), (0, 0))

PREDICTIVE_NOTE = (
    "A failure that is rare among models makes most alarms false ones, however good the audit. Recall and false "
    "alarms are those of these rules on models whose truth is known; no false alarm among n models bounds the rate "
    "at about 3/n."
)
UNCALIBRATED_NOTE = (
    "No recall or false-alarm rate is attached to this audit. Where the same rules raise 0 alarms in n models that are "
    "known to be honest, their rate of false alarms is below about 3/n (at 95 %)."
)
PLAN_LABELS = {
    "alpha": "level of significance",
    "majority": "most (the share that a leg has to exceed)",
    "tolerance": "tolerance (the share that may be lost)",
    "random_directions": "random directions for the removal that is tested",
    "screening_directions": "random directions in screening",
    "memory_bytes": "memory for cached activations, in bytes",
}
IN_PLAN_FILE_ALONE = ("sample_ids",)
SPLIT_NOTE = (
    "Readouts and differences are fitted on one split, sites and interventions are chosen on two others, and "
    "everything that a verdict stands on is measured on the last. The split of each result stands beside it."
)
COMMANDS = (
    ("Are these the files that the audit wrote?", "heldout verify RUN --level hashes"),
    ("Is the plan the one that was digested before the candidate ran?", "cd RUN && sha256sum --check plan.sha256"),
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_report(bundle_folder: str | Path) -> Path:
    """Writes report.html into a bundle, finished or about to be, and returns its path.

    In a finished bundle the manifest takes up the new page. Raises InputError where that would break a signed
    attestation.
    """
    folder = Path(bundle_folder)
    path = folder / REPORT
    data = report_html(folder).encode()
    sealed = (folder / MANIFEST).is_file()
    if sealed and read_manifest(folder)["files"].get(REPORT, {}).get("sha256") == sha256(data) and path.is_file():
        return path
    signed = [file.name for file in (folder / ATTESTATIONS).glob("*") if file.name != Path(MANIFEST).name]
    if signed:
        found = f"the bundle carries {', '.join(sorted(signed))}, and its report.html would change"
        next_step = "copy the bundle without attestations/ and write the report there"
        raise InputError(f"write_report({str(folder)!r})", Problem(found, "a bundle without signatures", next_step))
    write_durably(path, data)
    if sealed:
        record_file(folder, REPORT)
    return path


def report_html(folder: Path) -> str:
    """The page; tables of results are shortened, and say so, until it is under SIZE_LIMIT bytes."""
    page = ""
    for charted, uncharted in ROW_BUDGETS:
        page = _report(folder, charted, uncharted)
        if len(page.encode()) < SIZE_LIMIT:
            break
    return page


def document(title: str, *body: Child) -> str:
    """A whole page with the style sheet inside."""
    style = files("heldout.report").joinpath("static", "report.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style)),
    )
    return "<!DOCTYPE html>\n" + element("html", head, element("body", element("main", *body)), lang="en") + "\n"


def _report(folder: Path, charted: int, uncharted: int) -> str:
    bundle = Bundle(folder)
    verdicts, claims, plan, provenance = bundle.verdicts(), bundle.claims(), bundle.plan(), bundle.provenance()
    candidate = _named(provenance, "candidate", verdicts.candidate)
    most = (charted // max(1, len(verdicts)), uncharted // max(1, len(verdicts)))
    return document(
        f"{candidate}: heldout audit report",
        _header(candidate, verdicts, claims, provenance),
        _words(),
        [behaviour_section(verdict, claims, index, *most) for index, verdict in enumerate(verdicts, 1)],
        _unjudged(claims, verdicts),
        _trust(verdicts),
        element(
            "section",
            element("h2", "The plan"),
            element(
                "p", "The plan was written, and its digest taken, before the candidate was run for the first time."
            ),
            key_value_table(
                [
                    ("digest", element("code", plan.digest)),
                    ("written", provenance.plan_written),
                    ("effort", plan.effort),
                    ("hypotheses", bullets(map(spoken, plan.hypotheses))),
                    ("sites", plan.sites),
                    ("thresholds", bullets(f"{_label(k)}: {compact(v)}" for k, v in plan.thresholds.items())),
                    ("permutations", plan.permutations),
                    ("stop rule", plan.stop_rule),
                    ("seeds", plan.seeds),
                    *((_label(k), v) for k, v in plan.settings.items() if k not in IN_PLAN_FILE_ALONE),
                ]
            ),
            element("h3", "Prompts in each split"),
            element("p", SPLIT_NOTE),
            split_table(plan.splits) or element("p", "No splits are recorded.", class_="note"),
        ),
        _provenance(provenance),
        _how_to_check(folder),
    )


def _header(candidate: str, verdicts: Verdicts, claims: Sequence[Claim], provenance: Provenance) -> Markup:
    beside = [
        ("compared with", _named(provenance, "baseline", None)),
        ("on the suite", _named(provenance, "suite", None)),
        ("on", (provenance.finished or provenance.started).replace("T", " ").replace("+00:00", " UTC")),
    ]
    facts = [joined(element("span", f"{word} ", class_="evidence"), value, " ") for word, value in beside if value]
    lines = [
        element(
            "li",
            element("a", element("strong", verdict.behaviour), href=f"#behaviour-{index}"),
            " ",
            badge(verdict),
            element("p", verdict_sentence(verdict, claims), _missing(verdict)),
        )
        for index, verdict in enumerate(verdicts, 1)
    ]
    return element(
        "header",
        element("p", "heldout audit report", class_="eyebrow"),
        element("h1", candidate),
        element("p", facts, class_="facts"),
        _resumed(provenance),
        element("ul", lines, class_="answers"),
    )


def _missing(verdict: Verdict) -> str | None:
    return f" Missing: {', '.join(map(leg_name, verdict.missing))}." if verdict.missing else None


def _resumed(provenance: Provenance) -> Markup | None:
    if not provenance.resumed_stages:
        return None
    stages = ", ".join(map(spoken, provenance.resumed_stages))
    said = f"This run was interrupted and resumed: {stages} had been finished before, and were not run again."
    return element("p", said, class_="note")


def _words() -> Markup:
    pairs = [(element("dt", word), element("dd", meaning)) for word, meaning in WORDS]
    return details("Words on this page", element("dl", pairs, class_="words"))


def _trust(verdicts: Verdicts) -> Markup | None:
    """How rare failures make alarms false; for pages that raise an alarm."""
    if not any(verdict.verdict == "deceptive" for verdict in verdicts):
        return None
    known = predictive_value_table(verdicts)
    said = [element("p", PREDICTIVE_NOTE), known] if known else element("p", UNCALIBRATED_NOTE)
    return element("section", element("h2", "How far to trust an alarm"), said)


def _label(key: str) -> str:
    return PLAN_LABELS.get(key, spoken(key))


def _unjudged(claims: Sequence[Claim], verdicts: Verdicts) -> Markup | None:
    """Claims about behaviours that have no verdict, so that no claim goes unseen."""
    known = {verdict.behaviour for verdict in verdicts}
    others = [claim for claim in claims if claim.behaviour not in known]
    items = [element("li", element("strong", claim.behaviour), f": {claim.statement}") for claim in others]
    return element("section", element("h2", "Claims outside the verdicts"), element("ul", items)) if items else None


def _provenance(provenance: Provenance) -> Markup:
    digests = {**{f"weights of {role}": d for role, d in provenance.weights.items()}, **provenance.data}
    repository = provenance.repository
    commit = (
        f"{repository['commit']}{' with uncommitted changes' if repository['dirty'] else ''}"
        if repository
        else "an installed copy, no git checkout"
    )
    pairs: list[tuple[Child, Any]] = [
        *((role, element("code", digest)) for role, digest in digests.items()),
        ("heldout ran from", commit),
        ("versions", {name: version for name, version in provenance.versions.items() if version}),
        ("platform", provenance.platform),
        ("arguments passed", provenance.arguments_passed),
        ("arguments resolved", provenance.arguments_resolved),
        ("seeds", provenance.seeds),
        ("started", provenance.started),
        ("finished", provenance.finished),
        ("cost", {spoken(key): value for key, value in (provenance.cost or {}).items()}),
    ]
    pairs += [("notice", notice) for notice in provenance.notices]
    return element("section", element("h2", "Provenance"), key_value_table(pairs))


def _how_to_check(folder: Path) -> Markup:
    listed = [path for path in bundle_files(folder) if path != REPORT and not Path(path).name.startswith(".")]
    rows = [
        (
            element("code", path),
            number(float((folder / path).stat().st_size)),
            element("code", sha256_of_file(folder / path)),
        )
        for path in listed
    ]
    steps = [element("li", question, element("pre", command)) for question, command in COMMANDS]
    return element(
        "section",
        element("h2", "How to check this"),
        element(
            "p",
            "RUN is the folder that this page lies in. The page only shows what its other files hold: ",
            element("code", "verdict.json"), " the verdicts, ", element("code", "claims.json"), " every result, ",
            element("code", "measurements.parquet"), " every raw score. ", element("code", MANIFEST),
            " lists the digest of every file, and this page is in it.",
        ),
        element("ul", steps, class_="steps"),
        details(f"The {len(rows)} files and their digests", table(("file", "bytes", "SHA-256"), rows, class_="files")),
    )  # fmt: skip


def _named(provenance: Provenance, role: str, digest: str | None) -> str:
    found = digest or provenance.weights.get(role) or provenance.data.get(role)
    return provenance.names.get(role) or (short_digest(found) if found else "")
