"""The form of `suite.toml` and of a line of `samples.jsonl`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from heldout.data.samples import Role, Sample

Answer = Literal["next_token", "tokens", "choice"]


class BehaviourTable(BaseModel):
    """One `[[behaviour]]` table of suite.toml."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = Field(min_length=1)
    description: str = ""


class SuiteTable(BaseModel):
    """The whole of suite.toml."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str = Field(min_length=1)
    description: str = ""
    answer: Answer
    max_new_tokens: int
    behaviour: list[BehaviourTable] = Field(min_length=1)


class SampleMetadata(BaseModel):
    """What heldout reads of a sample's metadata; further fields are kept."""

    model_config = ConfigDict(extra="allow", strict=True)
    role: Role
    behaviour: str
    accepts: list[str]
    cue: str | None = None
    latents: dict[str, JsonValue] | None = None
    pair: str | None = None
    template: str | None = None


def _number_as_text(value: object) -> object:
    return str(value) if type(value) is int else value


class SampleRow(BaseModel):
    """One line of samples.jsonl, in Inspect's form."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: Annotated[str, BeforeValidator(_number_as_text)]
    input: str
    target: str | None = None
    choices: list[str] | None = None
    metadata: SampleMetadata

    def to_sample(self) -> Sample:
        known = self.metadata
        return Sample(
            id=self.id,
            input=self.input,
            target=self.target,
            role=known.role,
            behaviour=known.behaviour,
            accepts=tuple(known.accepts),
            cue=known.cue,
            latents=known.latents or {},
            pair=known.pair,
            template=known.template,
            choices=tuple(self.choices or ()),
            other=known.model_extra or {},
        )
