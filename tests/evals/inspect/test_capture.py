"""What is recorded is what a trace reads; it survives in the log; and everything that can be wrong with it is said."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from inspect_ai.log import EvalLog
from inspect_ai.model import get_model
from safetensors import safe_open

from heldout.data import Suite
from heldout.errors import InputError
from heldout.evals.inspect import Reference, Sidecars, inspect_model, run_task
from heldout.models import Model, Site

SITES = ("resid_post.1", "resid_post.2")


def references(log: EvalLog) -> dict[str, Reference]:
    return {str(sample.id): Reference.from_metadata(sample.output.metadata) for sample in log.samples}


@pytest.mark.parametrize("site", SITES)
def test_the_recorded_is_the_traced(recorded: EvalLog, sidecars: Path, model: Model, suite: Suite, site: str) -> None:
    found, where = Sidecars(sidecars), references(recorded)
    tokens = model.tokenize([sample.input for sample in suite.samples])
    expected = model.trace(tokens, [Site.parse(site)], positions=(-1,))[Site.parse(site)][:, 0]
    actual = found.activations([where[sample.id] for sample in suite.samples], site)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)


def test_other_positions_and_sites_of_other_shapes(model: Model, suite: Suite, tmp_path: Path) -> None:
    """Several tokens are generated, of which the recorded pass is the first."""
    sites = [Site("pattern", 1), Site("head_out", 0, 1), Site("mlp_out", 2), Site("logits")]
    connected = inspect_model(model, capture=sites, positions=(-1, -3), sidecar=tmp_path, batch_size=8)
    prompts = [sample.input for sample in suite.samples[:4]]
    outputs = [asyncio.run(connected.generate(prompt)) for prompt in prompts]
    trace = model.trace(model.tokenize(prompts), sites, positions=(-1, -3))
    found = Sidecars(tmp_path)
    for row, output in enumerate(outputs):
        assert output.usage.output_tokens > 1
        reference = Reference.from_metadata(output.metadata)
        for site in sites:
            for place, position in enumerate((-1, -3)):
                expected = trace[site][row].select(site.position_axis - 1, place)
                actual = found.activation(reference, str(site), position)
                torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_recording_costs_no_pass_and_changes_no_answer(model: Model, suite: Suite, tmp_path: Path) -> None:
    costs, answers = [], []
    for name, capture in (("with", SITES), ("without", ())):
        before = model.meter.samples
        log = run_task(suite, model, tmp_path / name, capture=capture)
        costs.append(model.meter.samples - before)
        answers.append([sample.output.completion for sample in log.samples])
    assert costs == [len(suite.samples)] * 2
    assert answers[0] == answers[1]


def test_files_are_named_by_their_digest_and_say_what_they_hold(sidecars: Path, model: Model) -> None:
    files = list(sidecars.iterdir())
    assert files
    for file in files:
        assert file.name == f"{hashlib.sha256(file.read_bytes()).hexdigest()}.safetensors"
        with safe_open(file, framework="pt") as opened:
            about = json.loads(opened.metadata()["heldout"])
        assert about == {"model": model.digest, "positions": [-1]}


def test_a_batch_is_one_file(recorded: EvalLog, sidecars: Path, suite: Suite) -> None:
    named = {reference.sidecar for reference in references(recorded).values()}
    assert {f"sha256:{file.stem}" for file in sidecars.iterdir()} == named
    assert len(named) < len(suite.samples) / 2


@pytest.fixture
def damaged(sidecars: Path, tmp_path: Path) -> Callable[[Callable[[Path], object]], Sidecars]:
    """The sidecars after something happened to each file."""

    def damaged(damage: Callable[[Path], object]) -> Sidecars:
        copy = tmp_path / "copy"
        shutil.copytree(sidecars, copy)
        for file in copy.iterdir():
            damage(file)
        return Sidecars(copy)

    return damaged


def test_a_missing_file(recorded: EvalLog, damaged: Callable[..., Sidecars]) -> None:
    reference = next(iter(references(recorded).values()))
    with pytest.raises(InputError, match=f"no file .*{reference.sidecar[7:]}.safetensors"):
        damaged(Path.unlink).activation(reference, "resid_post.1")


def test_a_file_that_was_changed(recorded: EvalLog, damaged: Callable[..., Sidecars]) -> None:
    def flip(file: Path) -> None:
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)

    reference = next(iter(references(recorded).values()))
    with pytest.raises(InputError) as raised:
        damaged(flip).activation(reference, "resid_post.1")
    (problem,) = raised.value.problems
    assert "has the digest sha256:" in problem.found
    assert problem.expected == reference.sidecar


@pytest.mark.parametrize(("site", "position"), [("resid_post.0", -1), ("resid_post.1", -2)])
def test_what_was_not_recorded(recorded: EvalLog, sidecars: Path, site: str, position: int) -> None:
    reference = next(iter(references(recorded).values()))
    with pytest.raises(InputError, match="which was not recorded"):
        Sidecars(sidecars).activation(reference, site, position)


def test_an_output_without_a_reference() -> None:
    for metadata in (None, {}, {"heldout": {"row": 1}}):
        with pytest.raises(InputError, match="without a reference"):
            Reference.from_metadata(metadata)


def test_sites_that_the_model_lacks_are_named_before_weights_are_read(
    organism: Path, model: Model, tmp_path: Path
) -> None:
    wrong = ["resid_post.9", "head_out.0.99", "resid_post.1"]
    folder = tmp_path / "config alone"
    folder.mkdir()
    shutil.copy(organism / "candidate" / "config.json", folder)
    for make in (
        lambda: get_model(f"heldout/{folder}", memoize=False, capture=wrong, sidecar=str(tmp_path)),
        lambda: inspect_model(model, capture=wrong, sidecar=tmp_path),
    ):
        with pytest.raises(InputError) as raised:
            make()
        assert [problem.found.split()[0] for problem in raised.value.problems] == wrong[:2]


def test_a_capture_that_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        get_model("heldout/nowhere", memoize=False, capture="resid_post.1,stream.2,nonsense!", positions=0)
    found = [problem.found for problem in raised.value.problems]
    assert found[0].startswith("capture 'stream.2'")
    assert found[1].startswith("capture 'nonsense!'")
    assert found[2:] == ["positions [0]", "capture without sidecar"]


def test_a_position_that_a_prompt_lacks(model: Model, suite: Suite, tmp_path: Path) -> None:
    connected = inspect_model(model, capture=["resid_post.0"], positions=(-40,), sidecar=tmp_path)
    with pytest.raises(InputError, match=r"positions \[-40\] in prompts of 6 tokens"):
        asyncio.run(connected.generate(suite.samples[0].input))
