"""What a provider is to record: which sites, at which positions of the prompt, into which folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from heldout.errors import InputError, Problems
from heldout.evals.inspect.sidecar import Reference, write_sidecar
from heldout.models import ARCHITECTURES, Model, Site, Trace
from heldout.models.dimensions import Dimensions
from heldout.models.request_checks import position_problems, site_problem


@dataclass(frozen=True)
class Capture:
    """Records `sites` at `positions`, counted from the end of the prompt, into sidecar files in `folder`."""

    sites: tuple[Site, ...]
    folder: Path
    positions: tuple[int, ...] = (-1,)

    @classmethod
    def parse(cls, called: str, sites: str | Sequence[str], positions: int | Sequence[int], folder: object) -> Capture:
        """From what a command line gives: `resid_post.1,resid_post.2`. Raises InputError for unusable arguments."""
        problems = Problems(called)
        names = [name.strip() for name in sites.split(",")] if isinstance(sites, str) else list(sites)
        parsed = [site for name in names if (site := _site(name, problems)) is not None]
        chosen = (positions,) if isinstance(positions, int) else tuple(int(position) for position in positions)
        for problem in position_problems(chosen, None):
            problems.add(problem.found, problem.expected, problem.next_step)
        if folder is None:
            problems.add("capture without sidecar", "a folder for the recorded activations", "add sidecar='FOLDER'")
        problems.raise_if_any()
        return cls(tuple(dict.fromkeys(parsed)), Path(str(folder)), chosen)

    def check_model(self, called: str, model: Model) -> None:
        """Raises InputError naming every site that the model lacks."""
        self._check(called, model.dimensions, model.missing_sites, model.architecture.family)

    def check_folder(self, called: str, folder: Path) -> None:
        """As `check_model`, from the config alone: before weights are read. Says nothing of a folder without one."""
        if not (folder / "config.json").is_file():
            return
        config: Any = AutoConfig.from_pretrained(folder)
        architecture = ARCHITECTURES.get(config.model_type)
        if architecture is not None:
            dimensions = Dimensions.from_config(config, mlp_width=architecture.mlp_width)
            self._check(called, dimensions, architecture.missing_sites(config), architecture.family)

    def check_length(self, called: str, shortest: int) -> None:
        """Raises InputError where the shortest prompt of a batch does not reach back to every position."""
        if problems := position_problems(self.positions, shortest):
            raise InputError(called, *problems)

    def keep(self, trace: Trace, n_rows: int, model_digest: str) -> list[Reference]:
        """Writes what one pass read, and returns the reference of each row."""
        names = tuple(map(str, self.sites))
        about = {"model": model_digest, "positions": list(self.positions)}
        activations = {str(site): trace[site].movedim(site.position_axis, 1) for site in self.sites}
        digest = write_sidecar(self.folder, activations, about)
        return [Reference(digest, row, names, self.positions) for row in range(n_rows)]

    def _check(self, called: str, dimensions: Dimensions, missing: Mapping[str, str], family: str) -> None:
        found = [site_problem(site, dimensions, missing, family) for site in self.sites]
        if problems := [problem for problem in found if problem is not None]:
            raise InputError(called, *problems)


def _site(name: str, problems: Problems) -> Site | None:
    try:
        return Site.parse(name)
    except InputError as error:
        (problem, *_) = error.problems
        problems.add(f"capture {name!r}: {problem.found}", problem.expected, problem.next_step)
    return None
