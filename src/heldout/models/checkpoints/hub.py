"""Checkpoints on a hub: one revision of a repository for each step.

The hub tells the digests of large files, so a suite is hashed, and duplicates are found, before any weights are
downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.hf_api import RepoFile

from heldout.errors import InputError, Problem, Problems
from heldout.models.checkpoint_checks import TOKENIZER_FILES
from heldout.models.checkpoints.checkpoint import Checkpoint, Loading, empty
from heldout.models.checkpoints.checks import check_distinct_steps
from heldout.models.checkpoints.files import first_line, has_tokenizer, is_weights, names_digest
from heldout.models.checkpoints.names import Names, chosen_names, step_of
from heldout.models.checkpoints.optimisers import FILES, read_optimiser
from heldout.models.digests import file_digest, files_digest
from heldout.models.loading import WANTED_FILES, load
from heldout.models.model import Model


class Hub(Protocol):
    """What is asked of a hub. Each may raise OSError."""

    def revisions(self, repo: str) -> Mapping[str, str]:
        """Commits, by the names of branches and tags."""
        ...

    def files(self, repo: str, commit: str) -> Mapping[str, str | None]:
        """`sha256:...` of the files at the top of a commit, by their names; None where the hub does not tell."""
        ...

    def fetch(self, repo: str, commit: str, patterns: Sequence[str]) -> Path:
        """A folder that holds those of a commit's files that match."""
        ...


@final
class HuggingFaceHub:
    """The hub that huggingface_hub is set up for."""

    def revisions(self, repo: str) -> Mapping[str, str]:
        refs = HfApi().list_repo_refs(repo)
        return {ref.name: ref.target_commit for ref in (*refs.tags, *refs.branches)}

    def files(self, repo: str, commit: str) -> Mapping[str, str | None]:
        found = [file for file in HfApi().list_repo_tree(repo, revision=commit) if isinstance(file, RepoFile)]
        return {file.path: f"sha256:{file.lfs.sha256}" if file.lfs is not None else None for file in found}

    def fetch(self, repo: str, commit: str, patterns: Sequence[str]) -> Path:
        return Path(snapshot_download(repo, revision=commit, allow_patterns=list(patterns), ignore_patterns=["*/*"]))


@final
@dataclass(frozen=True)
class HubPlace:
    """One commit. A revision without a tokenizer of its own has that of `main`."""

    hub: Hub
    repo: str
    revision: str
    commit: str
    main: str | None
    loading: Loading

    def load(self) -> Model:
        folder = self.fetch(self.commit, WANTED_FILES)
        elsewhere = self.main is not None and not has_tokenizer(folder)
        model = load(
            folder,
            device=self.loading.device,
            dtype=self.loading.dtype,
            allow_remote_code=self.loading.allow_remote_code,
            tokenizer_folder=self.fetch(self.main, (*TOKENIZER_FILES, "*.json")) if elsewhere and self.main else None,
        )
        model.name = f"{self.repo}@{self.revision}"
        return model

    def release(self, model: Model) -> None:
        empty(model)

    def optimiser_state(self) -> Any:
        return read_optimiser(self.fetch(self.commit, FILES))

    def fetch(self, commit: str, patterns: Sequence[str]) -> Path:
        try:
            return self.hub.fetch(self.repo, commit, patterns)
        except (OSError, ValueError) as error:
            raise InputError(f"Checkpoint.load() of {self.repo}@{self.revision}", unanswered(error)) from error


def hub_checkpoints(called: str, repo: str, names: Names, hub: Hub, loading: Loading) -> list[Checkpoint]:
    """The revisions that have a step in their name, in the order of the steps."""
    problems = Problems(called)
    try:
        commits = hub.revisions(repo)
    except (OSError, ValueError) as error:
        raise InputError(called, unanswered(error)) from error
    there = [name for name in commits if step_of(name) is not None]
    chosen = chosen_names(there, names, problems)
    if not there or (not chosen and not problems.found):
        inside = ", ".join(list(commits)[:5]) or "none"
        problems.add(f"no such revisions of {repo}, but {inside}", "revisions like step1000", "name the revisions")
    checkpoints: list[Checkpoint] = []
    for name in chosen:
        place = HubPlace(hub, repo, name, commits[name], commits.get("main"), loading)
        digests = read_digests(place, problems)
        weights = names_digest([digest for file, digest in digests.items() if is_weights(file)])
        checkpoints.append(Checkpoint(step_of(name) or 0, name, files_digest(digests), weights, place))
    check_distinct_steps([(checkpoint.name, checkpoint.step) for checkpoint in checkpoints], "step", problems)
    problems.raise_if_any()
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.step)


def read_digests(place: HubPlace, problems: Problems) -> dict[str, str]:
    """Digests of config and weights by their names; what the hub does not tell is downloaded, as configs are small."""
    try:
        files = place.hub.files(place.repo, place.commit)
        wanted = {name: files[name] for name in files if name == "config.json" or name.endswith(".safetensors")}
        untold = [name for name, digest in wanted.items() if digest is None]
        folder = place.hub.fetch(place.repo, place.commit, untold) if untold else Path()
        digests = {name: digest or file_digest(folder / name) for name, digest in wanted.items()}
    except (OSError, ValueError) as error:
        problem = unanswered(error)
        problems.add(f"{place.revision}: {problem.found}", problem.expected, problem.next_step)
        return {}
    missing = [what for what in ("config.json", "*.safetensors") if not any(Path(n).match(what) for n in digests)]
    if missing:
        problems.add(
            f"{place.revision}: no {' and no '.join(missing)}",
            "a Hugging Face checkpoint with safetensors weights",
            "name the revisions to use and leave it out, or convert it",
        )
    return digests


def unanswered(error: Exception) -> Problem:
    return Problem(
        f"no answer from the hub: {first_line(error)}",
        "a repository that can be reached, or lies in the local cache",
        "correct the name, or go online",
    )
