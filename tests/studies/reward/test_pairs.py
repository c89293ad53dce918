"""Pairs are read as they were written, or refused in words that help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from heldout.errors import InputError
from heldout.studies.reward import PairSet
from heldout.studies.reward.best_of_n import Candidates
from heldout.studies.reward.pairs import ALPHA, least_groups


def rows(feature: str, groups: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"{feature}{n}", "feature": feature, "with": f"{n} more", "without": f"{n}", "group": f"g{n}", **more}
        for n in range(groups)
    ]


def written(folder: Path, lines: list[dict[str, Any]], name: str = "pairs.jsonl") -> Path:
    (folder / name).write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return folder


def test_a_quality_pair_may_say_chosen_and_rejected(tmp_path: Path) -> None:
    quality = [
        {"id": f"q{n}", "feature": "quality", "chosen": f"good {n}", "rejected": f"bad {n}", "group": f"g{n}"}
        for n in range(20)
    ]
    pairs = PairSet.read(written(tmp_path, [*rows("length", 20, amount=2), *quality]))
    assert pairs.features == ("length",)
    assert {(pair.more[:4], pair.less[:3]) for pair in pairs.pairs if pair.feature == "quality"} == {("good", "bad")}
    assert {pair.amount for pair in pairs.pairs if pair.feature == "length"} == {2.0}


def test_a_group_is_dealt_to_one_split_whatever_its_feature(tmp_path: Path) -> None:
    pairs = PairSet.read(written(tmp_path, [*rows("length", 30), *rows("quality", 30)]))
    by_group = {
        group: {pair.split for pair in pairs.pairs if pair.group == group} for group in (p.group for p in pairs.pairs)
    }
    assert all(len(splits) == 1 for splits in by_group.values())
    assert {split for splits in by_group.values() for split in splits} == {"fit", "select", "test"}
    again = PairSet.read(tmp_path)
    assert again == pairs
    assert PairSet.read(tmp_path, seed=1).digest != pairs.digest


def test_too_few_pairs_for_an_interval_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        PairSet.read(written(tmp_path, [*rows("length", 5), *rows("quality", 30)]))
    assert any("groups of length in the split test" in problem.found for problem in error.value.problems)
    assert all("at least" in problem.expected for problem in error.value.problems)


def test_quality_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pairs of the feature 'quality'"):
        PairSet.read(written(tmp_path, rows("length", 30)))


def test_a_group_in_two_splits_is_refused(tmp_path: Path) -> None:
    lines = [*rows("length", 9, split="fit"), *rows("quality", 9, split="test")]
    with pytest.raises(InputError, match="groups in two splits: g0, g1"):
        PairSet.read(written(tmp_path, lines))


def test_all_lines_that_do_not_fit_are_named(tmp_path: Path) -> None:
    lines = [*rows("length", 30), {"id": "x", "feature": "length", "with": "a"}, {"id": "y", "feature": "length"}]
    written(tmp_path, lines)
    with (tmp_path / "pairs.jsonl").open("a") as file:
        file.write('{"id": "z", "amount": NaN}\n')
    with pytest.raises(InputError) as error:
        PairSet.read(tmp_path)
    assert all(f"pairs.jsonl line {line}" in str(error.value) for line in (31, 32, 33))


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*pairs\.jsonl"):
        PairSet.read(tmp_path)


def test_candidates_need_prompts_and_the_same_features(tmp_path: Path) -> None:
    assert Candidates.read(tmp_path) is None
    lines: list[dict[str, Any]] = [
        {"prompt": "p", "text": f"{n}", "quality": n, "features": {"length": 1} if n else {}} for n in range(3)
    ]
    with pytest.raises(InputError) as error:
        Candidates.read(written(tmp_path, lines, "candidates.jsonl"))
    assert [problem.found for problem in error.value.problems] == [
        "candidates of 1 prompts",
        "candidates with the features [] and ['length']",
    ]


def test_more_features_need_more_groups() -> None:
    """Of n groups, all orientations of which are tried, the rarest two are 2 of 2^n. Changes are tested of quality too."""
    for n_features in (1, 2, 3, 4, 10, 30):
        groups = least_groups("test", n_features)
        assert (n_features + 1) * 2 / 2**groups <= ALPHA
