"""Readings are added to a log that exists, by a readout, without the model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from inspect_ai import score
from inspect_ai.log import EvalLog, read_eval_log, write_eval_log

from heldout.data import Suite
from heldout.errors import InputError
from heldout.evals.inspect import load_readout, reading, run_task, save_readout
from heldout.models import Model, Site
from heldout.techniques.probes import AnswerReadout, AnswerReadoutFitter

SITE = Site("resid_post", 2)


@pytest.fixture(scope="module")
def readout(model: Model, organism: Path) -> AnswerReadout:
    """Fitted on verified prompts that the log does not have."""
    whole = Suite.from_folder(organism / "suite")
    samples = [sample for sample in whole.samples if sample.role == "verified"][12:]
    trace = model.trace(model.tokenize([sample.input for sample in samples]), [SITE], positions=(-1,), logits=False)
    return AnswerReadoutFitter().fit(trace[SITE][:, 0], [str(sample.target) for sample in samples])


def by_hand(model: Model, suite: Suite, readout: AnswerReadout) -> dict[str, str]:
    trace = model.trace(model.tokenize([sample.input for sample in suite.samples]), [SITE], positions=(-1,))
    return dict(zip([sample.id for sample in suite.samples], map(str, readout(trace[SITE][:, 0])), strict=True))


def test_readings_are_added_and_nothing_is_run(
    recorded: EvalLog, sidecars: Path, model: Model, suite: Suite, readout: AnswerReadout, tmp_path: Path
) -> None:
    expected, before = by_hand(model, suite, readout), model.meter.samples
    scored = score(recorded, [reading(readout, str(SITE), str(sidecars))], action="append", display="none")
    assert model.meter.samples == before
    write_eval_log(scored, str(tmp_path / "scored.eval"))
    again = read_eval_log(str(tmp_path / "scored.eval"))
    assert [each.name for each in again.results.scores] == ["accepts", "reading"]
    accepts = {sample.id: sample.accepts for sample in suite.samples}
    for sample in again.samples:
        found = sample.scores["reading"]
        assert found.answer == expected[sample.id]
        assert (found.value == "C") == (found.answer in accepts[sample.id])
        assert found.metadata["agrees_with_output"] == (found.answer == sample.output.completion)
        assert sample.scores["accepts"].answer == sample.output.completion
    assert again.results.scores[1].metrics["accuracy"].value > 0.5


def test_the_folder_of_the_model_may_be_gone(
    organism: Path, suite: Suite, readout: AnswerReadout, tmp_path: Path
) -> None:
    """The log was made by the provider on a folder, and is scored after that folder was removed."""
    from inspect_ai import eval as run_inspect

    from heldout.evals.inspect import task_of

    copy, recordings = tmp_path / "candidate", str(tmp_path / "recordings")
    shutil.copytree(organism / "candidate", copy)
    arguments = {"capture": [str(SITE)], "sidecar": recordings}
    settings = {"log_dir": str(tmp_path / "logs"), "display": "none", "model_args": arguments}
    (log,) = run_inspect(task_of(suite), model=f"heldout/{copy}", **settings)
    assert (log.status, log.eval.model_args["capture"]) == ("success", [str(SITE)])
    shutil.rmtree(copy)
    scored = score(
        read_eval_log(log.location), reading(readout, str(SITE), recordings), action="append", display="none"
    )
    assert all(sample.scores["reading"].answer for sample in scored.samples)


def test_a_saved_readout_is_the_same(recorded: EvalLog, sidecars: Path, readout: AnswerReadout, tmp_path: Path) -> None:
    path = tmp_path / "readout.safetensors"
    save_readout(readout, path)
    loaded = load_readout(path)
    for name in ("weights", "bias", "centre", "scale", "classes"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(readout, name))
    assert loaded.n_fitted == readout.n_fitted
    scorers = [reading(each, str(SITE), str(sidecars)) for each in (readout, str(path))]
    scored = score(recorded, scorers, action="append", display="none")
    names = [name for name in scored.samples[0].scores if name.startswith("reading")]
    assert len(names) == 2
    assert all(sample.scores[names[0]].answer == sample.scores[names[1]].answer for sample in scored.samples)


def test_what_is_no_readout(tmp_path: Path, sidecars: Path) -> None:
    file = tmp_path / "readout.safetensors"
    file.write_bytes(b"nothing")
    for path in (file, tmp_path / "nowhere.safetensors", next(sidecars.iterdir())):
        with pytest.raises(InputError, match="which is no saved readout"):
            load_readout(path)


def test_a_log_without_recordings(model: Model, suite: Suite, readout: AnswerReadout, tmp_path: Path) -> None:
    log = run_task(suite, model, tmp_path)
    with pytest.raises(BaseException) as raised:  # noqa: PT011 (Inspect wraps it in a group)
        score(log, reading(readout, str(SITE), str(tmp_path)), action="append", display="none")
    assert "without a reference to recorded activations" in str(root_of(raised.value))


def root_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
