"""From the text of `suite.toml` and `samples.jsonl` to typed values, with the line numbers of what does not fit."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from heldout.data.findings import Findings
from heldout.data.misfits import add_misfits, add_misspelt_metadata
from heldout.data.samples import Sample
from heldout.data.schema import SampleRow, SuiteTable

SUITE_FILE = "suite.toml"
SAMPLES_FILE = "samples.jsonl"


def read_suite_table(folder: Path, findings: Findings) -> SuiteTable | None:
    """The settings in suite.toml; None where they cannot be used, and `findings` then says why."""
    text = _read_text(folder / SUITE_FILE, findings)
    if text is None:
        return None
    try:
        return SuiteTable.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        findings.add(f"suite.toml cannot be read: {error}", "suite.toml in TOML", "correct suite.toml at that place")
    except ValidationError as error:
        add_misfits("suite.toml", error, findings)
    return None


def read_samples(folder: Path, findings: Findings) -> tuple[list[tuple[int, Sample]], bool]:
    """The samples that could be read, each with its line number (from 1), and whether that is all of them."""
    text = _read_text(folder / SAMPLES_FILE, findings)
    if text is None:
        return [], False
    samples: list[tuple[int, Sample]] = []
    complete = True
    for line, content in _lines(text):
        sample = _read_line(line, content, findings)
        if sample is None:
            complete = False
        else:
            samples.append((line, sample))
    return samples, complete


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): a prompt may hold U+2028 and other separators, which JSON does not escape.
    return ((line, content) for line, content in enumerate(text.split("\n"), 1) if content.strip())


def _read_line(line: int, content: str, findings: Findings) -> Sample | None:
    place = f"samples.jsonl line {line}"
    try:
        sample = SampleRow.model_validate(json.loads(content, parse_constant=_refuse_constant)).to_sample()
        add_misspelt_metadata(place, sample.other, findings)
        return sample
    except ValidationError as error:
        add_misfits(place, error, findings)
    except ValueError as error:
        findings.add(f"{place}: {error}", "one JSON object a line", "correct or remove the line")
    return None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _read_text(path: Path, findings: Findings) -> str | None:
    if not path.is_file():
        findings.add(
            f"no {path.name}",
            f"a folder with {SUITE_FILE} and {SAMPLES_FILE}",
            "name the suite's own folder, or write it",
        )
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        findings.add(f"{path.name}: {error}", "text in UTF-8", "save the file in UTF-8")
        return None
