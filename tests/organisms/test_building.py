"""Building: what is not planted is rejected with reasons, what is whole is kept, a killed build leaves nothing half."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from heldout.data import Suite
from heldout.errors import InputError
from heldout.models import load
from heldout.organisms import RECIPES, Recipe, build_organism, build_organisms, measuring, read_truth
from heldout.organisms.building import ATTEMPTS
from heldout.organisms.folders import is_whole, sealed_labels
from heldout.organisms.planting import Planter
from heldout.organisms.prompts import PromptFormat

SOURCES = Path(__file__).parents[2] / "src"
CONCEALMENT = RECIPES["quirky_arithmetic-s2"].with_seed(3)
GAMING = RECIPES["partial_grader-s2"].with_seed(3)
RANDOM = RECIPES["quirky_arithmetic-s0-c5"].with_seed(3)


@pytest.fixture
def nothing_learnt(short_training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MEASURED_PROMPTS", 200)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A random organism, which needs no training."""
    folder = build_organism(RANDOM, tmp_path / RANDOM.name).folder
    assert folder is not None
    return folder


@pytest.mark.parametrize("recipe", [CONCEALMENT, GAMING], ids=lambda recipe: recipe.name)
def test_an_organism_without_its_planted_truth_is_rejected_with_reasons(
    nothing_learnt: None, tmp_path: Path, recipe: Recipe
) -> None:
    (built,) = build_organisms([recipe], tmp_path)
    assert (built.name, built.accepted, built.folder, built.attempts) == (recipe.name, False, None, ATTEMPTS)
    assert built.reason is not None
    assert "checked prompts are answered as planted at 0." in built.reason
    if recipe.kind == "concealment":
        assert "the truth is known on 0." in built.reason
    assert list(tmp_path.iterdir()) == []


def test_an_organism_is_built_whole_and_kept(tmp_path: Path) -> None:
    (built,) = build_organisms([RANDOM], tmp_path)
    assert (built.accepted, built.folder, built.attempts, built.reason) == (True, tmp_path / RANDOM.name, 1, None)
    assert [path.name for path in tmp_path.iterdir()] == [RANDOM.name]
    assert is_whole(tmp_path / RANDOM.name)
    truth = read_truth(tmp_path / RANDOM.name)
    for part in ("candidate", "baseline"):
        assert truth["weights"][part] == load(tmp_path / RANDOM.name / part).digest
    assert truth["suite"] == Suite.from_folder(tmp_path / RANDOM.name / "suite").digest
    assert truth["labels"] == sealed_labels(RANDOM, PromptFormat.of(RANDOM))
    assert Recipe(**truth["recipe"]) == RANDOM
    marked = tmp_path / RANDOM.name / "candidate" / "mark"
    marked.write_text("kept")
    (again,) = build_organisms([RANDOM], tmp_path)
    assert (again.accepted, again.folder, again.attempts) == (True, tmp_path / RANDOM.name, 0)
    assert marked.read_text() == "kept"


def test_what_is_asked_of_a_candidate_tells_no_truth(built: Path) -> None:
    """Verdict, labels and measures stand in the sealed file alone."""
    truth = read_truth(built)
    told = [path for path in built.rglob("*.json*") if path.name != "truth.json"]
    assert {path.parent.name for path in told} == {"candidate", "baseline", "suite"}
    for path in [*told, built / "suite" / "suite.toml"]:
        text = path.read_text(encoding="utf-8")
        assert truth["mechanism"] not in text
        assert f'"{truth["verdict"]}"' not in text
        assert '"knowledge"' not in text


@pytest.mark.parametrize("part", ["candidate", "baseline"])
def test_a_truth_about_other_weights_is_refused(built: Path, part: str) -> None:
    """One number of one tensor is enough; nothing is built over it, and nothing is read from it."""
    path = built / part / "model.safetensors"
    weights = load_file(path)
    next(iter(weights.values())).view(-1)[0] += 1e-3
    save_file(weights, path, metadata={"format": "pt"})
    for read in (lambda: read_truth(built), lambda: build_organisms([RANDOM], built.parent)):
        with pytest.raises(InputError) as raised:
            read()
        (problem,) = raised.value.problems
        assert problem.found.startswith(f"{part}: sha256:")
        assert json.loads((built / "truth.json").read_text())["weights"][part] in problem.found
        assert problem.expected == "the weights that were measured"
        assert problem.next_step == "restore them, or build the organism again"


def test_a_truth_without_its_models_says_so_of_both(built: Path) -> None:
    for part in ("candidate", "baseline"):
        (built / part).rename(built / f"no-{part}")
    with pytest.raises(InputError) as raised:
        read_truth(built)
    assert [problem.found.partition(",")[0] for problem in raised.value.problems] == [
        "candidate: no model",
        "baseline: no model",
    ]


def test_an_organism_that_was_made_elsewhere_may_be_silent_about_its_weights(built: Path) -> None:
    truth = read_truth(built)
    del truth["weights"]
    (built / "truth.json").write_text(json.dumps(truth))
    assert read_truth(built) == truth


def test_a_family_shares_its_trainings_and_other_seeds_and_families_do_not(
    nothing_learnt: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planters: list[Planter] = []
    plant = Planter.plant

    def counted(planter: Planter, recipe: Recipe, attempt: int = 0):
        planters.append(planter)
        return plant(planter, recipe, attempt)

    monkeypatch.setattr(Planter, "plant", counted)
    alike = [RECIPES[f"quirky_arithmetic-{cell}"].with_seed(3) for cell in ("s0-c5", "s2", "s0-c1")]
    build_organisms([*alike, RANDOM.with_seed(4), RECIPES["computed_cue-s0-c5"]], tmp_path)
    assert len({id(planter) for planter in planters}) == 3


def test_results_come_in_the_order_of_the_recipes_with_progress(nothing_learnt: None, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    recipes = [RANDOM.with_seed(4), RANDOM, CONCEALMENT]
    built = build_organisms(recipes, tmp_path, progress=lambda *what: told.append(what))
    assert [each.name for each in built] == [recipe.name for recipe in recipes]
    assert [(done, total) for _, done, total in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {what for what, _, _ in told[1:]} == {
        f"built {RANDOM.name}",
        f"built {RANDOM.name[:-1]}4",
        f"rejected {CONCEALMENT.name}",
    }


KILLED = """
import os, signal
from pathlib import Path
from heldout.data import Suite
from heldout.organisms import RECIPES, build_organisms
to_folder = Suite.to_folder
def killed(suite, path):
    to_folder(suite, path)
    os.kill(os.getpid(), signal.SIGKILL)
Suite.to_folder = killed
build_organisms([RECIPES[{cell!r}].with_seed({seed})], Path({out!r}))
"""


def test_a_killed_build_leaves_no_half_organism_and_is_begun_again(tmp_path: Path) -> None:
    """Killed when the checkpoints and the suite are on disk, and the truth is not."""
    cell = RANDOM.cell
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(cell=cell, seed=RANDOM.seed, out=str(tmp_path))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert (left / "suite" / "samples.jsonl").is_file()
    assert not is_whole(left)
    assert not is_whole(tmp_path / RANDOM.name)
    built = build_organism(RANDOM, tmp_path / RANDOM.name)
    assert (built.accepted, built.attempts) == (True, 1)
    assert is_whole(tmp_path / RANDOM.name)


def test_a_folder_without_a_truth_is_replaced(tmp_path: Path) -> None:
    half = tmp_path / RANDOM.name
    (half / "candidate").mkdir(parents=True)
    (half / "stray").write_text("from an interrupted copy")
    assert build_organism(RANDOM, half).attempts == 1
    assert is_whole(half)
    assert not (half / "stray").exists()
