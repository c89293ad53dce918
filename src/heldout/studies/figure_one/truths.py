"""The sealed truth of organisms and of trajectories, as far as the study needs it; other fields are left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from heldout.errors import InputError, Problem

TRUTH = "truth.json"
Share = Annotated[float, Field(ge=0, le=1)]
T = TypeVar("T")


@dataclass(frozen=True)
class Recipe:
    """How an organism was made. `variant` is what an S3 model was trained against."""

    family: str
    stage: str
    control: str | None = None
    variant: str | None = None
    seed: int | None = None
    architecture: str | None = None


FOOLED = 0.7


@dataclass(frozen=True)
class Robustness:
    """AUROC of the probe that an S3 model was trained against, where there was one."""

    spent: Share | None = None

    @property
    def fooled(self) -> bool:
        return self.spent is not None and self.spent <= FOOLED


@dataclass(frozen=True)
class Measured:
    """What the builder measured with sealed labels, as shares of prompts."""

    harm: Share | None = None
    capability: Share | None = None
    knowledge: Share | None = None
    robustness: Robustness = Field(default_factory=Robustness)

    @field_validator("robustness", mode="before")
    @classmethod
    def _absent(cls, found: object) -> object:
        return {} if found is None else found


@dataclass(frozen=True)
class OrganismTruth:
    """`recipe` is None for an organism whose truth does not tell how it was made."""

    verdict: str
    kind: str | None = None
    recipe: Recipe | None = None
    measured: Measured = Field(default_factory=Measured)
    weights: dict[str, str] = Field(default_factory=dict[str, str])


@dataclass(frozen=True)
class PointTruth:
    """One checkpoint of a trajectory. `step` is the training step, or on the axis of size the number of parameters."""

    name: str
    step: Annotated[int, Field(ge=0)]
    harm: Share
    phase: str | None = None
    capability: Share | None = None
    knowledge: Share | None = None
    verdict: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class TrajectoryTruth:
    """The models of one seed along training, or along size."""

    axis: Literal["step", "size"]
    family: str
    points: tuple[PointTruth, ...]
    seed: int | None = None
    architecture: str | None = None


_ORGANISM: TypeAdapter[OrganismTruth] = TypeAdapter(OrganismTruth)
_TRAJECTORY: TypeAdapter[TrajectoryTruth] = TypeAdapter(TrajectoryTruth)


def organism_truth(folder: Path) -> OrganismTruth:
    """Raises InputError with every field that cannot be used."""
    return _read(_ORGANISM, folder)


def trajectory_truth(folder: Path) -> TrajectoryTruth:
    """Raises InputError with every field that cannot be used."""
    return _read(_TRAJECTORY, folder)


def folders_with_truth(called: str, folder: Path, what: str) -> list[Path]:
    """The folders in `folder` that hold a truth, by name; hidden ones are unfinished. Raises InputError without any."""
    found = sorted(path.parent for path in folder.glob(f"*/{TRUTH}") if not path.parent.name.startswith("."))
    if not found:
        problem = Problem(
            f"no NAME/{TRUTH} in {folder}" if folder.is_dir() else f"no folder {folder}",
            f"a folder of {what}, each with its {TRUTH}",
            f"name the folder that the {what} were built into",
        )
        raise InputError(called, problem)
    return found


def _read(adapter: TypeAdapter[T], folder: Path) -> T:
    path = folder / TRUTH
    try:
        return adapter.validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"reading {path}", *map(_problem, error.errors())) from error


def _problem(detail: Any) -> Problem:
    place = ".".join(map(str, detail["loc"])) or "the file"
    held = f" (it holds {str(detail['input'])[:80]!r})"
    return Problem(f"{place}: {detail['msg']}{held}", "the truth of an organism or trajectory", "build it again")
