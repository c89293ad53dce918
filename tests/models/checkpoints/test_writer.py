"""What is saved is what is read; a killed run leaves whole checkpoints and goes on behind them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from heldout.errors import InputError
from heldout.models import CheckpointSuite, CheckpointWriter, Model, load
from heldout.models.checkpoints import folder as folders
from heldout.models.plain_transformer import PlainTransformer

Seeded = Callable[..., Model]
SOURCES = Path(__file__).parents[3] / "src"


def test_what_is_saved_is_what_is_read_and_is_hashed_already(
    tmp_path: Path, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = CheckpointWriter(tmp_path / "run")
    for step in (0, 100, 20):
        assert writer.save(step, seeded(step)).name == f"step-{step:06d}"
    assert writer.steps == (0, 20, 100)
    monkeypatch.setattr(folders, "hash_checkpoint", pytest.fail)
    suite = CheckpointSuite.from_folder(tmp_path / "run")
    assert suite.steps == (0, 20, 100)
    for checkpoint, model in suite.models():
        expected = seeded(checkpoint.step).module.state_dict()
        assert all(torch.equal(model.module.state_dict()[name], expected[name]) for name in expected)
    assert load(tmp_path / "run" / "step-000020").digest == suite.at(20).digest


def test_an_optimiser_goes_on_as_it_would_have(tmp_path: Path, seeded: Seeded) -> None:
    model = seeded(1)
    parameters = [parameter.requires_grad_() for parameter in model.module.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=0.1)
    sum(parameter.square().sum() for parameter in parameters).backward()
    optimiser.step()
    CheckpointWriter(tmp_path).save(1, model, optimiser=optimiser)
    checkpoint = CheckpointSuite.from_folder(tmp_path).at(1)
    stored: Any = checkpoint.optimiser_state()
    again = checkpoint.load()
    resumed = torch.optim.AdamW([parameter.requires_grad_() for parameter in again.module.parameters()], lr=0.5)
    resumed.load_state_dict(stored)
    for one, other in ((model, optimiser), (again, resumed)):
        other.zero_grad()
        sum(parameter.square().sum() for parameter in one.module.parameters()).backward()
        other.step()
    pairs = zip(model.module.parameters(), again.module.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


KILLED = """
import os, signal, sys
from heldout.models import CheckpointWriter, load
model = load(sys.argv[1])
writer = CheckpointWriter(sys.argv[2])
assert writer.steps == (10,)
save = model.module.save_pretrained
def save_and_die(folder):
    save(folder)
    os.kill(os.getpid(), signal.SIGKILL)
model.module.save_pretrained = save_and_die
writer.save(20, model)
"""


def test_a_killed_run_leaves_no_half_checkpoint_and_goes_on(tmp_path: Path, seeded: Seeded) -> None:
    run = tmp_path / "run"
    first = CheckpointWriter(run).save(10, seeded(1))
    line = [sys.executable, "-c", KILLED, str(first), str(run)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (run / ".step-000020.partial" / "model.safetensors").is_file()
    assert CheckpointSuite.from_folder(run).steps == (10,)
    writer = CheckpointWriter(run)
    assert writer.steps == (10,)
    writer.save(20, seeded(2))
    assert sorted(path.name for path in run.iterdir()) == ["manifest.json", "step-000010", "step-000020"]
    assert CheckpointSuite.from_folder(run).steps == (10, 20)


def test_a_save_that_fails_leaves_nothing(tmp_path: Path, seeded: Seeded) -> None:
    class Tokenizer:
        def save_pretrained(self, folder: Path) -> None:
            raise OSError("the disk is full")

    writer = CheckpointWriter(tmp_path)
    with pytest.raises(OSError, match="the disk is full"):
        writer.save(1, seeded(1), tokenizer=Tokenizer())
    assert list(tmp_path.iterdir()) == []


def test_a_scale_series_is_saved_by_name(tmp_path: Path, seeded: Seeded) -> None:
    writer = CheckpointWriter(tmp_path, axis="size")
    for width in (32, 16):
        writer.save(f"width-{width}", seeded(width, n_embd=width))
    assert (writer.names, writer.steps) == (("width-16", "width-32"), ())
    assert [checkpoint.name for checkpoint in CheckpointSuite.from_folder(tmp_path)] == ["width-16", "width-32"]
    with pytest.raises(InputError, match=r"the axis 'step', and manifest\.json has 'size'"):
        CheckpointWriter(tmp_path)


def test_a_module_of_transformers_is_saved_with_a_tokenizer_that_is_given(tmp_path: Path, seeded: Seeded) -> None:
    model = seeded(4)
    CheckpointWriter(tmp_path).save(4, model.module, tokenizer=model.tokenizer)
    assert CheckpointSuite.from_folder(tmp_path).at(4).load().tokenize(["w1"]).ids.tolist() == [[5]]


@pytest.mark.parametrize(("axis", "step"), [("step", "10"), ("step", -1), ("step", True), ("size", 3), ("size", "a/b")])
def test_steps_and_names_of_another_kind(tmp_path: Path, seeded: Seeded, axis: Any, step: Any) -> None:
    with pytest.raises(InputError) as raised:
        CheckpointWriter(tmp_path, axis=axis).save(step, seeded(1))
    assert f"found:    {step!r} on the axis {axis}" in str(raised.value)


def test_a_step_that_is_there_stays(tmp_path: Path, seeded: Seeded) -> None:
    writer = CheckpointWriter(tmp_path)
    writer.save(5, seeded(5))
    (tmp_path / "step-000005").rename(tmp_path / "checkpoint-5")
    with pytest.raises(InputError) as raised:
        writer.save(5, seeded(6).module)
    assert [problem.found for problem in raised.value.problems] == ["step-000005 is there", "no tokenizer"]


def test_a_model_that_cannot_be_saved(tmp_path: Path, build_model: Callable[..., Model]) -> None:
    model = build_model("plain")
    assert isinstance(model.module, PlainTransformer)
    with pytest.raises(InputError, match="a PlainTransformer, which cannot be saved"):
        CheckpointWriter(tmp_path).save(1, model)
