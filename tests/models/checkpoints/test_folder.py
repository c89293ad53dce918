"""A folder of checkpoints: in the order of numbers, loaded as saved, hashed once, refused with all its problems."""

from __future__ import annotations

import gc
import json
import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import heldout
from heldout.errors import InputError
from heldout.models import CheckpointSuite, Model
from heldout.models.checkpoints import folder as folders
from heldout.models.digests import folder_digest

WriteFolder = Callable[..., Path]
SEEDS = {"step2": 2, "step10": 10, "step-000100": 100}


def refusal(folder: Path, **settings: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        CheckpointSuite.from_folder(folder, **settings)
    assert str(raised.value).startswith(f"CheckpointSuite.from_folder({str(folder)!r})\n")
    return raised.value


def equal_weights(left: Model, right: Model) -> bool:
    one, other = left.module.state_dict(), right.module.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def touch_later(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))


def count_hashing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    hashed: list[str] = []
    original = folders.hash_checkpoint

    def counting(folder: Path, *rest: Any) -> Any:
        hashed.append(folder.name)
        return original(folder, *rest)

    monkeypatch.setattr(folders, "hash_checkpoint", counting)
    return hashed


@pytest.mark.parametrize("tokenizer", ["folder", "each"])
def test_the_order_is_that_of_the_numbers_and_models_are_those_that_were_saved(
    write_folder: WriteFolder, seeded: Callable[..., Model], tokenizer: str
) -> None:
    folder = write_folder(SEEDS, tokenizer=tokenizer)
    (folder / "logs").mkdir()
    (folder / ".step-000200.partial").mkdir()
    suite = heldout.CheckpointSuite.from_folder(folder)
    assert (suite.steps, len(suite), suite.axis, suite.name) == ((2, 10, 100), 3, "step", "run")
    for checkpoint in suite:
        model = checkpoint.load()
        assert equal_weights(model, seeded(checkpoint.step))
        assert model.digest == checkpoint.digest == folder_digest(folder / checkpoint.name)
        assert model.tokenize(["w1 w2"]).ids.tolist() == [[5, 6]]
        assert checkpoint.values == {"parameters": model.n_parameters, "width": model.d_model, "depth": 1}


def test_the_names_that_people_use_are_known(write_folder: WriteFolder) -> None:
    folder = write_folder({"checkpoint-20": 1, "global_step3": 2, "stage1-step5000-tokens20B": 3, "iter_0000040": 4})
    assert CheckpointSuite.from_folder(folder).steps == (3, 20, 40, 5000)
    assert CheckpointSuite.from_folder(folder, names="stage1-*").steps == (5000,)
    assert CheckpointSuite.from_folder(folder, names=["iter_0000040", "global_step3"]).steps == (3, 40)
    assert "no checkpoint 'step9'" in str(refusal(folder, names=["step9"]))


def test_one_model_is_resident_at_a_time_though_the_caller_keeps_them(write_folder: WriteFolder) -> None:
    suite = CheckpointSuite.from_folder(write_folder(SEEDS))
    kept: list[Model] = []
    weights: list[weakref.ref[torch.Tensor]] = []
    for _, model in suite.models():
        gc.collect()
        assert [reference() is None for reference in weights] == [True] * len(weights)
        weights.extend(map(weakref.ref, model.module.parameters()))
        assert weights[-1]() is not None
        kept.append(model)
    assert len(kept) == 3
    assert {parameter.device.type for model in kept for parameter in model.module.parameters()} == {"meta"}


def test_a_model_is_given_back_after_an_error(write_folder: WriteFolder) -> None:
    checkpoint = CheckpointSuite.from_folder(write_folder(SEEDS)).at(10)
    with pytest.raises(ZeroDivisionError), checkpoint.resident() as model:
        raise ZeroDivisionError
    assert model.device.type == "meta"


def test_weights_are_hashed_once_and_again_when_a_file_is_touched(
    write_folder: WriteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, hashed = write_folder(SEEDS), count_hashing(monkeypatch)
    reported: list[tuple[str, int, int]] = []
    first = CheckpointSuite.from_folder(folder, progress=lambda *what: reported.append(what))
    assert sorted(hashed) == sorted(SEEDS)
    assert [(done, total) for _, done, total in reported] == [(1, 3), (2, 3), (3, 3)]
    hashed.clear()
    assert CheckpointSuite.from_folder(folder).digest == first.digest
    assert hashed == []
    touch_later(folder / "step10" / "model.safetensors")
    assert CheckpointSuite.from_folder(folder).digest == first.digest
    assert hashed == ["step10"]
    hashed.clear()
    CheckpointSuite.from_folder(folder)
    assert hashed == []


def test_a_part_of_a_folder_keeps_the_rest_of_the_manifest(
    write_folder: WriteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(SEEDS)
    CheckpointSuite.from_folder(folder)
    hashed = count_hashing(monkeypatch)
    touch_later(folder / "step2" / "config.json")
    CheckpointSuite.from_folder(folder, names=["step2"])
    CheckpointSuite.from_folder(folder)
    assert hashed == ["step2"]


def test_a_folder_that_cannot_be_written_is_hashed_each_time(
    write_folder: WriteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise PermissionError(13, "read-only")

    monkeypatch.setattr("heldout.models.checkpoints.manifest.write_whole", read_only)
    folder, hashed = write_folder(SEEDS), count_hashing(monkeypatch)
    for _ in range(2):
        CheckpointSuite.from_folder(folder)
    assert len(hashed) == 2 * len(SEEDS)
    assert not (folder / "manifest.json").exists()


def test_every_group_of_duplicates_is_refused_by_name(write_folder: WriteFolder) -> None:
    """Also where only the config or the division into files differs."""
    folder = write_folder({"step1": 9, "step2": 2, "step3": 9, "step4": 4, "step5": 2, "step6": 9})
    config = folder / "step3" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "transformers_version": "0"}))
    state = load_file(folder / "step6" / "model.safetensors")
    half = len(state) // 2
    (folder / "step6" / "model.safetensors").unlink()
    for part, names in enumerate((list(state)[:half], list(state)[half:])):
        save_file({name: state[name] for name in names}, folder / "step6" / f"model-{part}.safetensors")
    error = refusal(folder)
    assert [problem.found for problem in error.problems] == [
        "the same weights in step1, step3, step6",
        "the same weights in step2, step5",
    ]
    assert "name the checkpoints to use and leave out all but one" in str(error)
    assert CheckpointSuite.from_folder(folder, names=["step1", "step2", "step4"]).steps == (1, 2, 4)


def test_everything_that_is_wrong_is_said_at_once(write_folder: WriteFolder) -> None:
    folder = write_folder({f"step{n}": n for n in range(1, 8)}, tokenizer="none")
    list_one_that_is_gone(folder)
    shutil.rmtree(folder / "step1")
    (folder / "step2" / "model.safetensors").unlink()
    file = folder / "step3" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    (folder / "step4" / "config.json").unlink()
    (folder / "step5" / "model.safetensors.index.json").write_text('{"weight_map": {"a": "other.safetensors"}}')
    (folder / "step6").rename(folder / "step-7")
    error = str(refusal(folder))
    for words in (
        "no step1",
        "step2: no *.safetensors",
        "step3: model.safetensors, which cannot be read",
        "step4: a config that cannot be read: no config.json",
        "step5: no other.safetensors",
        "step 7 more than once: step-7, step7",
        f"no tokenizer in step-7, step2, step3, step4, step5, step7, nor in {folder}",
    ):
        assert f"found:    {words}" in error, words
    assert error.count("found: ") == 7


def list_one_that_is_gone(folder: Path) -> None:
    """A manifest that lists step1 and nothing else."""
    entry = {"name": "step1", "step": 1, "values": {}, "digest": "sha256:1", "weights": "sha256:1", "files": {}}
    manifest = {"format": "heldout.checkpoints/1", "axis": "step", "checkpoints": [entry]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_checkpoint_that_was_changed_is_not_what_the_manifest_says(write_folder: WriteFolder) -> None:
    folder = write_folder(SEEDS)
    suite = CheckpointSuite.from_folder(folder)
    file = folder / "step10" / "model.safetensors"
    state = load_file(file)
    state["transformer.ln_f.bias"] += 1
    save_file(state, file, metadata={"format": "pt"})
    touch_later(file)
    with pytest.raises(InputError, match="files that were changed since the suite was opened"):
        suite.at(10).load()
    error = str(refusal(folder))
    assert "found:    step10 is sha256:" in error
    assert f"expected: {suite.at(10).digest}, which manifest.json recorded" in error
    (folder / "manifest.json").unlink()
    assert CheckpointSuite.from_folder(folder).at(10).digest != suite.at(10).digest


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "heldout.checkpoints/2", "axis": "step", "checkpoints": []}'])
def test_a_manifest_of_another_form(write_folder: WriteFolder, text: str) -> None:
    folder = write_folder(SEEDS)
    (folder / "manifest.json").write_text(text)
    error = str(refusal(folder))
    assert "found:    a manifest.json that cannot be used: " in error
    assert "next:     remove it, and it is written anew" in error


def test_no_folder_and_no_checkpoints(tmp_path: Path) -> None:
    assert "no folder" in str(refusal(tmp_path / "nowhere"))
    (tmp_path / "notes.txt").touch()
    assert f"no checkpoints in {tmp_path}, but notes.txt" in str(refusal(tmp_path))


def test_a_scale_series_is_ordered_by_its_parameters(
    tmp_path: Path, seeded: Callable[..., Model], write_folder: WriteFolder
) -> None:
    sizes = {"wide": (48, 1), "narrow": (16, 2), "middle": (32, 3)}
    for name, (width, seed) in sizes.items():
        model: Any = seeded(seed, n_embd=width)
        model.module.save_pretrained(tmp_path / "series" / name)
    seeded(0).tokenizer.save_pretrained(tmp_path / "series")
    suite = CheckpointSuite.from_folder(tmp_path / "series", axis="size")
    assert [checkpoint.name for checkpoint in suite] == ["narrow", "middle", "wide"]
    assert suite.steps == tuple(model.n_parameters for _, model in suite.models())
    stored = json.loads((tmp_path / "series" / "manifest.json").read_text())
    assert stored["axis"] == "size"
    assert [entry["values"]["width"] for entry in stored["checkpoints"]] == [16, 32, 48]
    assert CheckpointSuite.from_folder(tmp_path / "series").axis == "size"
    assert "the axis 'step', and manifest.json has 'size'" in str(refusal(tmp_path / "series", axis="step"))
    model = seeded(5, n_embd=32)
    model.module.save_pretrained(tmp_path / "series" / "twin")
    assert f"{model.n_parameters} parameters more than once: middle, twin" in str(refusal(tmp_path / "series"))


def test_the_state_of_an_optimiser(write_folder: WriteFolder) -> None:
    folder = write_folder(SEEDS)
    plain = CheckpointSuite.from_folder(folder)
    torch.save({"state": {0: torch.arange(3)}}, folder / "step2" / "optimizer.pt")
    save_file({"momentum": torch.arange(4)}, folder / "step10" / "optimizer.safetensors")
    torch.save(os.getcwd, folder / "step-000100" / "optimizer.pt")
    (folder / "manifest.json").unlink()
    suite = CheckpointSuite.from_folder(folder)
    assert [checkpoint.weights for checkpoint in suite] == [checkpoint.weights for checkpoint in plain]
    assert suite.at(10).values == plain.at(10).values
    assert suite.at(10).load().digest == suite.at(10).digest
    assert torch.equal(suite.at(2).optimiser_state()["state"][0], torch.arange(3))
    assert torch.equal(suite.at(10).optimiser_state()["momentum"], torch.arange(4))
    with pytest.raises(InputError, match=r"optimizer\.pt, which cannot be read"):
        suite.at(100).optimiser_state()
    (folder / "step2" / "optimizer.pt").unlink()
    assert suite.at(2).optimiser_state() is None
