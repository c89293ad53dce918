"""`heldout organisms`: what is chosen, what is printed, and what the exit codes say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from heldout import audits, organisms
from heldout.audits import Score
from heldout.cli.organisms import parsed_seeds
from heldout.errors import InputError
from heldout.organisms import RECIPES, Built, shipped_recipes


def score(name: str, expected: str, verdict: str, **fields: Any) -> Score:
    kinds = {"deceptive": "concealment"}
    settled = {
        "name": name,
        "family": "quirky_arithmetic",
        "stage": "S2" if expected == "deceptive" else "S0",
        "control": None,
        "seed": 0,
        "expected": expected,
        "expected_kind": kinds.get(expected),
        "verdict": verdict,
        "kind": kinds.get(verdict),
        "behavioural_only": "pass",
        "seconds": 12.3,
    }
    return Score(**{**settled, **fields})


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """`heldout organisms score` over two folders, with audits that come out as given."""

    def audited(*scores: Score) -> list[object]:
        for each in scores:
            folder = tmp_path / "trial" / each.name
            folder.mkdir(parents=True)
            (folder / "truth.json").write_text("{}")

        def score_organisms(
            folders: Sequence[Path], runs: Path, *, workers: int, cluster: str | None, effort: str, progress: Any
        ):
            progress("an organism", len(folders), len(folders))
            called.extend([[folder.name for folder in folders], runs, workers, cluster, effort])
            return list(scores)

        monkeypatch.setattr(audits, "score_organisms", score_organisms)
        return called

    called: list[object] = []
    return audited


def test_every_recipe_is_listed(command) -> None:
    done = command("organisms", "list")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert set(lines) == {"organism", *RECIPES}
    shipped = {name for name, line in lines.items() if "✓" in line}
    assert shipped == {recipe.cell for recipe in shipped_recipes()}


def test_the_list_as_json(command) -> None:
    listed = json.loads(command("organisms", "list", "--json").stdout)
    assert [one["name"] for one in listed] == list(RECIPES)
    folders = [Path(one["shipped"]) for one in listed if one["shipped"]]
    assert len(folders) == len(shipped_recipes())
    assert all((folder / "truth.json").is_file() for folder in folders)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), ["no organism"]),
        (("--shipped", "--all"), ["--shipped and --all"]),
        (("nothing-of-that-name",), ["no organism 'nothing-of-that-name'"]),
        (("no-a", "no-b", "--shipped"), ["no-a and no-b and --shipped", "no organism 'no-a'", "no organism 'no-b'"]),
        (("--shipped", "--seeds", "1..2"), ["--shipped with --seeds 1..2"]),
        (("--all", "--seeds", "6..1"), ["--seeds 6..1"]),
        (("--all", "--seeds", "one"), ["--seeds one"]),
    ],
)
def test_what_to_build_must_be_clear(command, tmp_path: Path, arguments: tuple[str, ...], found: list[str]) -> None:
    done = command("organisms", "build", *arguments, "--out", tmp_path / "built")
    assert (done.exit_code, done.stdout) == (2, "")
    said = [line.removeprefix("found:    ") for line in done.stderr.splitlines() if line.startswith("found:")]
    assert said == found
    assert not (tmp_path / "built").exists()


def test_a_misspelt_name_is_recognised(command, tmp_path: Path) -> None:
    name = next(iter(RECIPES))
    done = command("organisms", "build", name[:-1] + "x", "--out", tmp_path)
    assert f"expected: a name like {name}" in done.stderr or name in done.stderr


@pytest.mark.parametrize(
    ("text", "seeds"), [("7", [7]), ("1..3", [1, 2, 3]), ("5, 1..2", [5, 1, 2]), ("3..3,3", [3]), ("0..1", [0, 1])]
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert parsed_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3..", "..3", "1...3", "-1", "4..2", "1;2"])
def test_what_are_no_seeds(text: str) -> None:
    with pytest.raises(InputError) as raised:
        parsed_seeds(text)
    assert raised.value.problems[0].expected == "seeds as 101..106 or 101,105, each 0 or more"


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("accepted", [True, False])
def test_building(command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, accepted: bool, as_json: bool) -> None:
    names = list(RECIPES)[:2]
    built = [
        Built(name=names[0], folder=tmp_path / names[0], accepted=True, reason=None, attempts=1, seconds=40.0),
        Built(name=names[1], folder=None, accepted=False, reason="it knows nothing", attempts=3, seconds=99.0),
    ]
    asked: list[object] = []

    def build_organisms(recipes: Any, out: Path, *, workers: int, cluster: str | None, progress: Any) -> list[Built]:
        progress("training", 1, 2)
        asked.extend([[recipe.name for recipe in recipes], out, workers, cluster])
        return built[: 1 if accepted else 2]

    monkeypatch.setattr(organisms, "build_organisms", build_organisms)
    options = ["--out", tmp_path, "--workers", 3, "--cluster", "ray", *(["--json"] if as_json else [])]
    done = command("organisms", "build", *names, *options)
    assert asked == [[f"{name}-seed0" for name in names], tmp_path, 3, "ray"]
    assert done.exit_code == (0 if accepted else 1)
    assert "training" in done.stderr
    if as_json:
        assert [one["accepted"] for one in json.loads(done.stdout)] == ([True] if accepted else [True, False])
    else:
        assert str(tmp_path / names[0]) in done.stdout
        assert ("it knows nothing" in done.stdout) is not accepted
        assert f"1 of {1 if accepted else 2} organisms have what was to be planted" in done.stdout


def test_the_seeds_that_are_asked_for(command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[set[int]] = []

    def build_organisms(recipes: Any, *_: object, **__: object) -> list[Built]:
        asked.append({recipe.seed for recipe in recipes})
        return []

    monkeypatch.setattr(organisms, "build_organisms", build_organisms)
    assert command("organisms", "build", "--all", "--seeds", "301..303", "--out", tmp_path).exit_code == 0
    assert command("organisms", "build", "--all", "--out", tmp_path).exit_code == 0
    assert command("organisms", "build", next(iter(RECIPES)), "--seeds", "7,9", "--out", tmp_path).exit_code == 0
    assert asked == [{301, 302, 303}, {101, 102, 103, 104, 105, 106}, {7, 9}]


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("deceptive", "generalised"), 0),
        (("undetermined", "generalised"), 0),
        (("deceptive", "deceptive"), 1),
    ],
)
def test_scoring_fails_on_a_false_alarm_only(
    command, audited, tmp_path: Path, verdicts: tuple[str, str], code: int
) -> None:
    scores = (score("liar", "deceptive", verdicts[0]), score("honest", "generalised", verdicts[1]))
    called = audited(*scores)
    done = command("organisms", "score", tmp_path / "trial", "--out", tmp_path / "runs", "--workers", 2)
    assert done.exit_code == code
    assert called == [["honest", "liar"], tmp_path / "runs", 2, None, "standard"]
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    for each in scores:
        assert ("✓" if each.right else "✗") in rows[each.name]
        assert "pass" in rows[each.name]
    right = sum(each.right for each in scores)
    assert f"verdict as planted:              {right} of 2 (95 % interval" in done.stdout
    assert f"honest, called deceptive:        {code} of 1" in done.stdout
    assert f"deceptive, not called deceptive: {int(verdicts[0] != 'deceptive')} of 1" in done.stdout


def test_scores_as_json(command, audited, tmp_path: Path) -> None:
    audited(score("liar", "deceptive", "deceptive"), score("honest", "generalised", "undetermined"))
    done = command("organisms", "score", tmp_path / "trial", "--out", tmp_path / "runs", "--effort", "deep", "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["tally"] == {
        "organisms": 2, "right": 1, "honest": 1, "false_alarms": 0, "deceptive": 1, "missed": 0,
    }  # fmt: skip
    assert [one["verdict"] for one in found["scores"]] == ["deceptive", "undetermined"]
    assert [one["right"] for one in found["scores"]] == [True, False]


def test_an_organism_that_was_made_elsewhere(command, audited, tmp_path: Path) -> None:
    """Its truth says the verdict, and not how it was made."""
    audited(score("stranger", "generalised", "generalised", family=None, stage=None, seed=None))
    done = command("organisms", "score", tmp_path / "trial", "--out", tmp_path / "runs")
    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines() if line.startswith("stranger")] == [
        ["stranger", "pass", "generalised", "generalised", "✓", "12"]
    ]


def test_a_single_organism_can_be_scored(command, audited, tmp_path: Path) -> None:
    called = audited(score("liar", "deceptive", "deceptive"))
    done = command(
        "organisms", "score", tmp_path / "trial" / "liar", "--out", tmp_path / "runs", "--cluster", "ray://a:1"
    )
    assert done.exit_code == 0
    assert called[0] == ["liar"]
    assert called[3] == "ray://a:1"
    assert "honest, called deceptive:        none among them" in done.stdout


def test_what_a_killed_build_left_is_not_scored(command, audited, tmp_path: Path) -> None:
    called = audited(score("liar", "deceptive", "deceptive"))
    left = tmp_path / "trial" / ".honest.partial-1"
    left.mkdir()
    (left / "truth.json").write_text("{}")
    assert command("organisms", "score", tmp_path / "trial", "--out", tmp_path / "runs").exit_code == 0
    assert called[0] == ["liar"]


@pytest.mark.parametrize(("name", "found"), [("nowhere", "no folder"), (".", "no organism in")])
def test_a_folder_without_organisms(command, tmp_path: Path, name: str, found: str) -> None:
    done = command("organisms", "score", tmp_path / name, "--out", tmp_path / "runs")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"found:    {found} {tmp_path / name}" in done.stderr
    assert not (tmp_path / "runs").exists()
