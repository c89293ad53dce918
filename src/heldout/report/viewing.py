"""Opening reports: that of one bundle, or a page that lists the bundles of a folder."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from pathlib import Path
from urllib.parse import quote

from heldout.errors import HeldoutError, InputError, Problem
from heldout.evidence.bundle import Bundle
from heldout.evidence.canonical import write_durably
from heldout.report.behaviours import badge
from heldout.report.html import Child, element, table
from heldout.report.pages import REPORT, document, write_report

INDEX = "index.html"


def view(path: str | Path, *, open_browser: bool = True) -> Path:
    """Opens the report of a bundle, or the index of a folder of bundles, in a browser; prints its path where none
    opens.

    Returns the path of the page. Raises InputError where `path` holds no bundle.
    """
    folder = Path(path)
    if folder.is_file() and folder.name == REPORT:
        page = folder
    elif is_bundle(folder):
        page = folder / REPORT if (folder / REPORT).is_file() else write_report(folder)
    else:
        page = write_index(folder)
    if not (open_browser and webbrowser.open(page.resolve().as_uri())):
        print(page)
    return page


def is_bundle(folder: Path) -> bool:
    return (folder / "verdict.json").is_file()


def write_index(runs: str | Path) -> Path:
    """Writes index.html, which lists every bundle in the folder `runs`; beside them, or in a temporary folder if that
    is read-only.

    A bundle that cannot be opened is listed with the reason. Raises InputError where there is no bundle.
    """
    folder = Path(runs)
    found = (
        sorted(path for path in folder.glob("*") if is_bundle(path) and not path.name.startswith("."))
        if folder.is_dir()
        else []
    )
    if not found:
        next_step = "name the folder that `heldout audit --out` wrote, or the one above it"
        raise InputError(
            f"view({str(runs)!r})", Problem("no bundle in it", "a bundle or a folder of bundles", next_step)
        )
    beside = os.access(folder, os.W_OK)
    rows = [
        _row(path, f"{quote(path.name)}/{REPORT}" if beside else (path / REPORT).resolve().as_uri()) for path in found
    ]
    headings = ("run", "finished", "candidate", "verdicts")
    body = (element("p", "heldout", class_="eyebrow"), element("h1", "Audits"), table(headings, rows, class_="runs"))
    target = folder if beside else Path(tempfile.mkdtemp(prefix="heldout-"))
    write_durably(target / INDEX, document("heldout audits", element("header", body)).encode())
    return target / INDEX


def _row(path: Path, link: str) -> list[Child]:
    try:
        bundle = Bundle.open(path)
        provenance, verdicts = bundle.provenance(), bundle.verdicts()
    except (HeldoutError, ValueError, KeyError, TypeError, OSError) as error:
        return [path.name, "–", "–", element("span", f"cannot be opened: {error}", class_="note")]
    name = element("a", path.name, href=link) if (path / REPORT).is_file() else path.name
    lines = [element("div", f"{verdict.behaviour} ", badge(verdict)) for verdict in verdicts]
    return [
        name,
        (provenance.finished or "").replace("T", " "),
        provenance.names.get("candidate") or verdicts.candidate,
        lines,
    ]
