"""A measurement along checkpoints: each cell is computed once, kept at once, and found again under what it depends on."""

from __future__ import annotations

import functools
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heldout.errors import InputError
from heldout.models import Checkpoint, CheckpointSuite, Model, measure_along
from heldout.models.checkpoints import CellsFailed

CALLS: list[int] = []
BROKEN: set[int] = set()


def mean_weight(model: Model, checkpoint: Checkpoint, *, scale: float = 1.0) -> dict[str, Any]:
    CALLS.append(checkpoint.step)
    if checkpoint.step in BROKEN:
        raise ZeroDivisionError(f"at {checkpoint.step}")
    parameters = list(model.module.parameters())
    return {"mean": scale * sum(parameter.mean().item() for parameter in parameters), "shape": (len(parameters), 1)}


def not_json(model: Model, checkpoint: Checkpoint) -> Any:
    return [model, float("nan"), 3][checkpoint.step]


@pytest.fixture
def suite(seeded: Callable[..., Model]) -> CheckpointSuite:
    CALLS.clear()
    BROKEN.clear()
    return CheckpointSuite.from_run({step: seeded(step) for step in range(3)}, name="a run")


def test_cells_are_what_the_function_gives_and_are_computed_once(suite: CheckpointSuite, tmp_path: Path) -> None:
    reported: list[tuple[str, int, int]] = []
    cells = measure_along(suite, mean_weight, tmp_path, progress=lambda *what: reported.append(what))
    assert reported == [*((f"measuring step-00000{n}", n, 3) for n in range(3)), ("measured", 3, 3)]
    assert CALLS == [0, 1, 2]
    for cell, (checkpoint, model) in zip(cells, suite.models(), strict=True):
        assert (cell.step, cell.name, cell.digest) == (checkpoint.step, checkpoint.name, checkpoint.digest)
        assert cell.value == json.loads(json.dumps(mean_weight(model, checkpoint)))
    CALLS.clear()
    assert measure_along(suite, mean_weight, tmp_path) == cells
    assert CALLS == []


def test_a_finished_cell_needs_no_model(
    suite: CheckpointSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = measure_along(suite, mean_weight, tmp_path)
    monkeypatch.setattr(Checkpoint, "load", pytest.fail)
    assert measure_along(suite, mean_weight, tmp_path) == cells


def test_a_cell_depends_on_weights_and_settings_and_not_on_the_suite(
    suite: CheckpointSuite, seeded: Callable[..., Model], tmp_path: Path
) -> None:
    single = measure_along(suite, mean_weight, tmp_path)
    double = measure_along(suite, mean_weight, tmp_path, settings={"scale": 2.0})
    assert [cell.value["mean"] for cell in double] == [2 * cell.value["mean"] for cell in single]
    CALLS.clear()
    longer = CheckpointSuite.from_run({5: seeded(0), 6: seeded(9)})
    assert measure_along(longer, mean_weight, tmp_path)[0].value == single[0].value
    assert CALLS == [6]


def test_a_failure_keeps_the_other_cells_and_is_reported_at_the_end(suite: CheckpointSuite, tmp_path: Path) -> None:
    BROKEN.update({0, 2})
    with pytest.raises(CellsFailed) as raised:
        measure_along(suite, mean_weight, tmp_path)
    assert [cell.step for cell in raised.value.finished] == [1]
    assert set(raised.value.failed) == {"step-000000", "step-000002"}
    assert raised.value.exit_code == 1
    assert str(raised.value).splitlines() == [
        "measure_along('a run', mean_weight)",
        "found:    2 of 3 checkpoints failed: step-000000: ZeroDivisionError: at 0; "
        "step-000002: ZeroDivisionError: at 2",
        "expected: a value that JSON can hold at every checkpoint",
        "next:     mend the cause and call again: the finished cells are kept",
    ]
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    BROKEN.clear()
    CALLS.clear()
    assert [cell.step for cell in measure_along(suite, mean_weight, tmp_path)] == [0, 1, 2]
    assert CALLS == [0, 2]


def test_a_killed_run_keeps_its_cells(suite: CheckpointSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    steps = suite.select([0, 1])
    measure_along(suite.select([0]), mean_weight, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("heldout.models.checkpoints.storage.flush", interrupt)
        with pytest.raises(KeyboardInterrupt):
            measure_along(steps, mean_weight, tmp_path)
    CALLS.clear()
    measure_along(steps, mean_weight, tmp_path)
    assert CALLS == [1]


def test_what_json_cannot_hold_is_a_failure(suite: CheckpointSuite, tmp_path: Path) -> None:
    with pytest.raises(CellsFailed) as raised:
        measure_along(suite, not_json, tmp_path)
    assert {name: type(error) for name, error in raised.value.failed.items()} == {
        "step-000000": TypeError,
        "step-000001": ValueError,
    }
    assert [cell.value for cell in raised.value.finished] == [3]


@pytest.mark.parametrize("function", [lambda model, checkpoint: 1, functools.partial(mean_weight, scale=2.0)])
def test_a_function_needs_a_name(suite: CheckpointSuite, tmp_path: Path, function: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="which has no name of its own"):
        measure_along(suite, function, tmp_path)


def test_settings_that_json_cannot_hold(suite: CheckpointSuite, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="settings that JSON cannot hold"):
        measure_along(suite, mean_weight, tmp_path, settings={"scale": {1, 2}})


def test_a_cell_of_something_else_is_not_taken_for_this_one(suite: CheckpointSuite, tmp_path: Path) -> None:
    measure_along(suite, mean_weight, tmp_path)
    first, second, _ = sorted(tmp_path.rglob("*.json"))
    first.write_bytes(second.read_bytes())
    with pytest.raises(CellsFailed, match="remove that file"):
        measure_along(suite, mean_weight, tmp_path)
