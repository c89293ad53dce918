"""What the reward study finds of reward models whose reward was planted, over seeds and coefficients.

    python benchmarks/reward.py [--seeds 0,1,2,3,4] [--folder DIR]

Trains one model a seed for each of four sets of coefficients (built once into the folder), reads each by the study, and
prints, by set: in how many models signs and ranks of the features were found as planted and nothing else was found, slopes
in units of quality beside what was planted and how many intervals hold it, completeness errors, what ablation took from each
slope and from accuracy on quality, what the best of 64 gained, and what holds over the models. One thread; about half a
minute of a core each.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from heldout.studies.reward import PlantedReward, Reading, build_planted, reward
from heldout.studies.reward.findings import is_cause
from heldout.studies.reward.over_models import over_models
from heldout.studies.reward.pairs import QUALITY

SETS: dict[str, tuple[str, dict[str, float]]] = {
    "as the defaults": ("llama", {"length": 0.5, "format": -0.8, "agreement": 1.2, "politeness": 0.0}),
    "other signs": ("gpt2", {"length": -0.4, "format": 0.0, "agreement": 0.3, "politeness": 0.9}),
    "an encoder": ("bert", {"length": 0.5, "format": -0.8, "agreement": 1.2, "politeness": 0.0}),
    "quality alone": ("llama", {"length": 0.0, "format": 0.0, "agreement": 0.0, "politeness": 0.0}),
}
SIGNS = {"rewarded": 1, "punished": -1}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", choices=SETS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in given.seeds.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        for name, (family, coefficients) in SETS.items():
            if given.only not in (None, name):
                continue
            recipes = [PlantedReward(seed, coefficients, family) for seed in seeds]
            print_set(name, coefficients, [read(recipe, folder / f"{name} {recipe.seed}") for recipe in recipes])


def read(recipe: PlantedReward, folder: Path) -> Reading:
    build_planted(recipe, folder)
    return reward(folder / "model", folder / "pairs", out=folder / "study").readings[0]


def print_set(name: str, coefficients: Mapping[str, float], readings: Sequence[Reading]) -> None:
    n = len(readings)
    print(f"\n{name}: r = quality " + " ".join(f"{value:+g} · {feature}" for feature, value in coefficients.items()))
    print(
        f"  signs as planted, and nothing else found: {sum(signs_hold(each, coefficients) for each in readings)} of {n}"
    )
    print(f"  ranks as planted: {sum(ranks_hold(each, coefficients) for each in readings)} of {n}")
    for feature, value in coefficients.items():
        ratios = [each.slope(feature).in_quality for each in readings]
        told = " ".join("unknown" if ratio is None else f"{ratio.value:+.3f}" for ratio in ratios)
        covered = sum(ratio is not None and ratio.interval[0] <= value <= ratio.interval[1] for ratio in ratios)
        print(f"  {feature}: planted {value:+.2f}, found {told}; inside the interval {covered} of {n}")
    for kind in readings[0].kinds:
        print(f"  completeness error, {kind}s: at most {max(each.completeness_error(kind) for each in readings):.2g}")
    ablations = [each for reading in readings for each in reading.ablations]
    if ablations:
        lost = [each.quality_before - each.quality_after for each in ablations]
        taken = [each.reduction for each in ablations]
        print(
            f"  ablation takes {min(taken):.0%} to {max(taken):.0%} of slopes, median {statistics.median(taken):.0%};",
            end=" ",
        )
        print(f"random at most {max(max(each.random) for each in ablations):.0%};", end=" ")
        print(f"accuracy on quality changes by {-max(lost):+.1%} to {-min(lost):+.1%}")
        kept = [each.quality_kept for each in ablations]
        print(f"  {min(kept):.0%} to {max(kept):.0%} of quality's slope is kept;", end=" ")
        print(f"groups with a pair that turns wrong: at most {max(each.quality_groups_lost for each in ablations)}")
        print(f"  p-values, corrected: at most {max(each.p_value for each in ablations):.2g}")
        print(
            f"  the direction carries the feature and not quality: {sum(map(is_cause, ablations))} of {len(ablations)}"
        )
    for feature in (QUALITY, *coefficients):
        gains = [each.best_of_n[0].at(feature, 64).gain for each in readings]
        chance = (
            ""
            if feature == QUALITY
            else f"; scores shuffled, p = {' '.join(f'{each.best_of_n[0].null(feature).p_value:.2g}' for each in readings)}"
        )
        print(f"  best of 64, {feature}: {' '.join(f'{gain:+.2f}' for gain in gains)} SD{chance}")
    for over in over_models([each.spurious for each in readings], seed=0):
        if over.mean is not None and over.interval is not None:
            low, high = over.interval
            said = f"{over.mean:+.3f} ({low:+.3f} to {high:+.3f}), p = {over.p_value:.2g}"
            print(f"  over {n} models, {over.feature}: {said}, {'found' if over.found else 'not found'}")


def signs_hold(reading: Reading, coefficients: Mapping[str, float]) -> bool:
    """Nothing found: the interval over all features lies within the margin. Test groups are too few for `negligible`."""
    planted = {feature: (value > 0) - (value < 0) for feature, value in coefficients.items()}
    return all(
        SIGNS.get(slope.reading, 0 if slope.is_within else None) == planted[slope.feature] for slope in reading.spurious
    )


def ranks_hold(reading: Reading, coefficients: Mapping[str, float]) -> bool:
    """Of features whose coefficients differ."""
    found = {slope.feature: slope.value for slope in reading.spurious}
    return all(found[one] < found[other] for one in found for other in found if coefficients[one] < coefficients[other])


if __name__ == "__main__":
    main()
