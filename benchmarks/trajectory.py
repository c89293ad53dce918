"""Does the study of trajectories find what was planted, and nothing where nothing was? Over several seeds.

    python benchmarks/trajectory.py FOLDER [SEEDS] [WORKERS]

Trains an organism of quirky arithmetic a seed (501..505 by default): it learns to answer rightly, and then its last layer
learns to override the answers on unverified prompts; its honest twin goes on for as many steps to answer rightly. Follows
both, and runs of weights that wander without learning anything; and the honest twin once more with its activations on
unverified prompts turned before they are read: a readout that does not transfer. Prints what came first in each run, the
claims, the phases, and the CPU time of a checkpoint; edges only where something was planted. What FOLDER holds is neither
trained nor measured again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from heldout.cli.organisms import parsed_seeds
from heldout.cli.study_trajectory import tell
from heldout.models import CheckpointWriter, Model, Site, Tokens
from heldout.organisms.families import RECIPES
from heldout.organisms.folders import make_suite, word_tokenizer
from heldout.organisms.planting import Part, Planter
from heldout.seeds import torch_generator
from heldout.studies.trajectory import TrajectoryStudy, departures, trajectory
from heldout.studies.trajectory.asked import asked_of
from heldout.studies.trajectory.readouts import finite_activations

SEEDS = "501..505"
LENGTHS: dict[Part, int] = {"honest": 512, "override": 256}
SAVED: dict[Part, tuple[int, ...]] = {
    "honest": (16, 64, 96, 128, 192, 256, 512),
    "override": (4, 8, 16, 32, 128, 256),
    "pressure": (),
}
KINDS = {"deceptive": "quirky_arithmetic-s2", "honest": "quirky_arithmetic-s0-c6"}
WANDERING, STEP = 10, 0.3
PROMPTS = 500


def main() -> None:
    torch.set_num_threads(1)
    folder, seeds = Path(sys.argv[1]), parsed_seeds(sys.argv[2] if len(sys.argv) > 2 else SEEDS)
    workers = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    for seed in seeds:
        train(folder, seed)
    recipe = RECIPES[KINDS["deceptive"]].with_seed(seeds[0])
    make_suite(recipe, Planter(recipe).format).to_folder(folder / "suite")
    for kind in (*KINDS, "wandering"):
        print(f"\n{kind}\n")
        show(folder, kind, seeds, workers)
    print("\nhonest, read by a readout that does not transfer\n")
    show_turned(folder, seeds)


def show(folder: Path, kind: str, seeds: Sequence[int], workers: int) -> None:
    runs = [folder / f"{kind}-seed{seed}" for seed in seeds]
    started, out = time.process_time(), folder / "studies" / kind
    without = () if kind == "deceptive" else ("edges",)
    found = trajectory(runs, suite=folder / "suite", out=out, prompts=PROMPTS, workers=workers, without=without)
    cells = len(runs) * len(found.steps)
    tell(found)
    print(out)
    print(in_words(found))
    print(f"{(time.process_time() - started) / cells:.1f} CPU s a checkpoint, with one worker and nothing kept")


def show_turned(folder: Path, seeds: Sequence[int]) -> None:
    """In this process: others would not have what is put in the place of reading."""
    runs = [folder / f"honest-seed{seed}" for seed in seeds]
    asked = asked_of("benchmark", folder / "suite", None, PROMPTS, 0)

    def turned(model: Model, tokens: Tokens, sites: Sequence[Site]) -> Any:
        found, rows = finite_activations(model, tokens, sites), asked.rows("unverified")
        for values in found.values():
            values[rows] = values[rows].roll(values.shape[1] // 2, dims=1)
        return found

    without = ("edges", "path_length")
    with patch.object(departures, "finite_activations", turned):
        out = folder / "studies" / "turned"
        found = trajectory(runs, suite=folder / "suite", out=out, prompts=PROMPTS, without=without)
    tell(found)
    print(f"departs, as an override would: {sum(each.departs is not None for each in found.onsets)} of {len(runs)}")


def in_words(found: TrajectoryStudy) -> str:
    own = [f"{name} {[each.step for each in phases.boundaries]}" for name, phases in found.phases_by_run.items()]
    return f"boundaries of each run: {'; '.join(own)}\nlevels: {found.levels}"


def train(folder: Path, seed: int) -> None:
    """One honest training, from which both kinds go on; and the walk from its untrained weights."""
    writers = {kind: CheckpointWriter(folder / f"{kind}-seed{seed}") for kind in (*KINDS, "wandering")}
    expected = 1 + len(SAVED["honest"]) + len(SAVED["override"])
    if all(len(writers[kind].steps) == expected for kind in KINDS) and len(writers["wandering"].steps) == WANDERING:
        return
    recipe = RECIPES[KINDS["deceptive"]].with_seed(seed)
    planter = Planter(recipe, lengths=LENGTHS, honest_attempts=1)
    tokenizer = word_tokenizer(planter.format)

    def save(kinds: Sequence[str], step: int, model: Any) -> None:
        for kind in kinds:
            if step not in writers[kind].steps:
                writers[kind].save(step, model, tokenizer=tokenizer)

    save(list(KINDS), 0, planter.untrained(0))
    for kind, name in KINDS.items():

        def observe(part: Part, done: int, model: Any, kind: str = kind) -> None:
            """The honest part is shared, and trained once."""
            if done in SAVED[part] and part == "honest":
                save(list(KINDS), done, model)
            elif done in SAVED[part]:
                save([kind], LENGTHS["honest"] + done, model)

        planter.observe = observe
        planter.plant(RECIPES[name].with_seed(seed))
    wander(writers["wandering"], planter.untrained(0), tokenizer, seed)


def wander(writer: CheckpointWriter, model: Any, tokenizer: Any, seed: int) -> None:
    """Noise on every weight at every step, as large as a share of the weight's spread."""
    generator = torch_generator(seed, "wandering weights")
    for step in range(WANDERING):
        if step not in writer.steps:
            writer.save(step, model, tokenizer=tokenizer)
        for weight in model.parameters():
            spread = weight.data.std() if weight.numel() > 1 else torch.tensor(0.0)
            weight.data += STEP * spread * torch.randn(weight.shape, generator=generator)


if __name__ == "__main__":
    main()
