"""A hub's revisions, with a hub that lies in a folder: what it tells is not downloaded, and not hashed again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.hf_api import RepoFile, RepoFolder

from heldout.errors import InputError
from heldout.models import CheckpointSuite, Model
from heldout.models.checkpoints import HuggingFaceHub, hub
from heldout.models.digests import file_digest

WriteFolder = Callable[..., Path]


class FolderHub:
    """Each folder is a commit of a branch of the same name; `tells` says which files the hub has digests of."""

    def __init__(self, folder: Path, cache: Path, *, tells: str = ".safetensors") -> None:
        self.folder, self.cache, self.tells = folder, cache, tells
        self.fetched: list[str] = []

    def revisions(self, repo: str) -> Mapping[str, str]:
        return {path.name: f"commit of {path.name}" for path in self.folder.iterdir() if path.is_dir()}

    def files(self, repo: str, commit: str) -> Mapping[str, str | None]:
        there = sorted((self.folder / commit.removeprefix("commit of ")).iterdir())
        return {path.name: file_digest(path) if path.name.endswith(self.tells) else None for path in there}

    def fetch(self, repo: str, commit: str, patterns: Sequence[str]) -> Path:
        name = commit.removeprefix("commit of ")
        (self.cache / name).mkdir(parents=True, exist_ok=True)
        for path in sorted((self.folder / name).iterdir()):
            if any(path.match(pattern) for pattern in patterns):
                shutil.copyfile(path, self.cache / name / path.name)
                self.fetched.append(f"{name}/{path.name}")
        return self.cache / name


@pytest.fixture
def branches(write_folder: WriteFolder, seeded: Callable[..., Model]) -> Path:
    """Three steps, without tokenizers, and `main`, which has one."""
    folder = write_folder({"step10": 10, "step2": 2, "step100": 100, "main": 100}, tokenizer="none")
    seeded(0).tokenizer.save_pretrained(folder / "main")
    return folder


def test_revisions_give_what_their_folders_give(branches: Path, tmp_path: Path) -> None:
    there = FolderHub(branches, tmp_path / "cache")
    suite = CheckpointSuite.from_hub("owner/name", hub=there)
    assert (suite.steps, suite.name) == ((2, 10, 100), "owner/name")
    assert not [name for name in there.fetched if name.endswith(".safetensors")]
    for checkpoint, model in suite.models():
        assert model.digest == checkpoint.digest
        assert model.name == f"owner/name@{checkpoint.name}"
        assert model.tokenize(["w1 w2"]).ids.tolist() == [[5, 6]]
    assert suite.at(2).optimiser_state() is None


def test_what_the_hub_does_not_tell_is_fetched(branches: Path, tmp_path: Path) -> None:
    told = CheckpointSuite.from_hub("owner/name", hub=FolderHub(branches, tmp_path / "one"))
    silent = FolderHub(branches, tmp_path / "two", tells="nothing")
    untold = CheckpointSuite.from_hub("owner/name", hub=silent)
    assert untold.digest == told.digest
    assert "step2/model.safetensors" in silent.fetched


def test_revisions_can_be_chosen(branches: Path, tmp_path: Path) -> None:
    there = FolderHub(branches, tmp_path / "cache")
    assert CheckpointSuite.from_hub("owner/name", revisions="step1*", hub=there).steps == (10, 100)
    assert CheckpointSuite.from_hub("owner/name", revisions=["step100", "step2"], hub=there).steps == (2, 100)
    with pytest.raises(InputError) as raised:
        CheckpointSuite.from_hub("owner/name", revisions=["step3", "step4"], hub=there)
    assert [problem.found for problem in raised.value.problems] == ["no checkpoint 'step3'", "no checkpoint 'step4'"]
    with pytest.raises(InputError, match=r"no such revisions of owner/name, but .*main"):
        CheckpointSuite.from_hub("owner/name", revisions="epoch*", hub=there)


def test_duplicates_are_found_before_anything_is_downloaded(branches: Path, tmp_path: Path) -> None:
    for name in ("step2", "step10"):
        shutil.copyfile(branches / "step100" / "model.safetensors", branches / name / "model.safetensors")
    there = FolderHub(branches, tmp_path / "cache")
    with pytest.raises(InputError, match="found:    the same weights in step2, step10, step100"):
        CheckpointSuite.from_hub("owner/name", hub=there)
    assert {name.partition("/")[2] for name in there.fetched} == {"config.json"}


def test_what_is_missing_is_said_at_once(branches: Path, tmp_path: Path) -> None:
    (branches / "step2" / "config.json").unlink()
    (branches / "step10" / "model.safetensors").unlink()
    with pytest.raises(InputError) as raised:
        CheckpointSuite.from_hub("owner/name", hub=FolderHub(branches, tmp_path / "cache"))
    assert {problem.found for problem in raised.value.problems} == {
        "step2: no config.json",
        "step10: no *.safetensors",
    }


def test_a_hub_that_does_not_answer(branches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object) -> Any:
        raise ConnectionError("no route")

    there = FolderHub(branches, tmp_path / "cache")
    suite = CheckpointSuite.from_hub("owner/name", hub=there)
    for method, open_it in (
        ("fetch", suite.at(2).load),
        ("files", lambda: CheckpointSuite.from_hub("owner/name", hub=there)),
        ("revisions", lambda: CheckpointSuite.from_hub("owner/name", hub=there)),
    ):
        monkeypatch.setattr(there, method, offline)
        with pytest.raises(InputError, match="no answer from the hub: no route"):
            open_it()


def test_the_hub_is_asked_in_its_own_terms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The types are huggingface_hub's own; the network is not."""
    weights = RepoFile(
        path="model.safetensors",
        size=7,
        oid="b1",
        lfs={"size": 7, "oid": "ab" * 32, "sha256": "ab" * 32, "pointerSize": 1},
    )
    config = RepoFile(path="config.json", size=2, oid="b2")
    asked: list[Any] = []

    class Api:
        def list_repo_refs(self, repo: str) -> Any:
            branch = SimpleNamespace(name="step1", target_commit="c1")
            return SimpleNamespace(tags=[SimpleNamespace(name="v1", target_commit="c0")], branches=[branch])

        def list_repo_tree(self, repo: str, *, revision: str) -> Any:
            asked.append((repo, revision))
            return [weights, config, RepoFolder(path="logs", oid="b3")]

    def snapshot_download(repo: str, **settings: Any) -> str:
        asked.append((repo, settings["revision"], settings["allow_patterns"]))
        return str(tmp_path)

    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    real = HuggingFaceHub()
    assert real.revisions("owner/name") == {"v1": "c0", "step1": "c1"}
    assert real.files("owner/name", "c1") == {"model.safetensors": f"sha256:{'ab' * 32}", "config.json": None}
    assert real.fetch("owner/name", "c1", ("*.json",)) == tmp_path
    assert asked == [("owner/name", "c1"), ("owner/name", "c1", ["*.json"])]
