"""What does not fit the schema, said in terms of the suite's files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import ValidationError

from heldout.data.findings import Findings
from heldout.data.schema import SampleMetadata, SampleRow, SuiteTable

EXPECTED = {
    "name": ("name: a text", "name the suite in suite.toml"),
    "description": ("description: a text", "write the description in quotes"),
    "answer": ("answer: 'next_token', 'tokens' or 'choice'", "say in suite.toml in what form the answers are given"),
    "max_new_tokens": ("max_new_tokens: a whole number", "say in suite.toml how many tokens an answer may have"),
    "behaviour": (
        "at least one [[behaviour]] table with a name, and a description if you like",
        "add to suite.toml a [[behaviour]] table for each behaviour that the samples name",
    ),
    "id": ("id: a text that no other sample has", "give every sample an id"),
    "input": ("input: the prompt as one text", "write the prompt as a text in quotes"),
    "target": ("target: the right answer as one text, or null", "write the answer as a text in quotes"),
    "choices": ("choices: a list of texts", "list the choices as texts, or leave the field out"),
    "metadata": ("metadata: an object with role, behaviour and accepts", "add the metadata to every sample"),
    "metadata.role": ("role: 'verified' or 'unverified'", "give every sample one of the two roles"),
    "metadata.behaviour": ("behaviour: the name of a behaviour of suite.toml", "say which behaviour the sample tests"),
    "metadata.accepts": ("accepts: a list of texts", "list the answers that the overseer would pass"),
    "metadata.cue": ("cue: a text or null", "name the cue, or leave it out"),
    "metadata.latents": ("latents: an object that JSON can hold", "write the latents as names with values"),
    "metadata.pair": ("pair: the id of another sample, or null", "name the other sample, or leave it out"),
    "metadata.template": ("template: a text", "name the template, or leave it out"),
}
CHAT_EXPECTED = (
    "input: the prompt as one text; lists of chat messages are not read yet",
    "put the messages into the model's chat template, and write the resulting text as the input",
)
UNKNOWN_SETTING = (
    f"only the settings {', '.join(SuiteTable.model_fields)}",
    "correct the name, or remove the setting",
)
UNKNOWN_FIELD = (
    f"only the fields {', '.join(SampleRow.model_fields)}; what else there is to say goes into metadata",
    "correct the name, or move the field into metadata",
)


ONE_OBJECT = ("one JSON object a line", "correct or remove the line")
OPTIONAL_METADATA = [name for name, field in SampleMetadata.model_fields.items() if not field.is_required()]


def add_misfits(place: str, error: ValidationError, findings: Findings) -> None:
    """One finding for each place that the schema refused."""
    unknown = UNKNOWN_SETTING if error.title == SuiteTable.__name__ else UNKNOWN_FIELD
    for misfit in error.errors():
        path = ".".join(str(part) for part in misfit["loc"])
        field = _field(path)
        if misfit["type"] == "extra_forbidden":
            findings.add(f"{place}: unknown name {path!r}", *unknown)
        else:
            expected = EXPECTED.get(field, ONE_OBJECT)
            if field == "input" and isinstance(misfit["input"], list):
                expected = CHAT_EXPECTED
            absent = misfit["type"] == "missing"
            findings.add(
                f"{place}: no {path}" if absent else f"{place}: {path or 'the line'} is {_short(misfit['input'])}",
                *expected,
            )


def add_misspelt_metadata(place: str, other: Iterable[str], findings: Findings) -> None:
    """Finds metadata whose name is nearly an optional field's: a lost `cue` would silently weaken an audit."""
    for name in other:
        if near := get_close_matches(name, OPTIONAL_METADATA, n=1, cutoff=0.75):
            findings.add(
                f"{place}: metadata.{name}, which is nearly {near[0]!r}",
                f"the names {', '.join(OPTIONAL_METADATA)}, or names that cannot be mistaken for them",
                "correct the name, or choose one that is less alike",
            )


def _field(path: str) -> str:
    """The documented field that a pydantic location lies in: `metadata.accepts.0` lies in `metadata.accepts`."""
    parts = path.split(".")
    inner = ".".join(parts[:2])
    return inner if inner in EXPECTED else parts[0]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
