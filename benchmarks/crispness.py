"""Which human latents are crisp in a sentence encoder, and in the same shape without training.

    python benchmarks/crispness.py OUT [SEED]

Runs `heldout study crispness minilm` on the text set that heldout brings, with seven latents, and prints the rows of
docs/crispness.md: of each latent, in all-MiniLM-L6-v2 and in its untrained twin, what was measured and which criteria are
not met. Seed 0 is reported; other seeds were used to write the study. Needs the extra minilm. One thread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from heldout.studies.crispness import LatentFinding, crispness


def row(each: LatentFinding) -> str:
    nulls = {null.name: f"{null.mean:.2f}" for null in each.nulls}
    size, flip, removal, borders = each.dimensions, each.use.flip, each.use.removal, each.borders
    chosen = each.selectivity.value
    cells = (
        each.latent,
        f"{each.accuracy:.2f} ({each.interval[0]:.2f} to {each.interval[1]:.2f}; p {each.p_value:.3g})",
        nulls.get("untrained twin", "–"),
        nulls.get("bag of tokens", "–"),
        "–" if chosen is None else f"{chosen:+.2f}",
        f"{flip.value:+.3f} (p {each.used_p_value:.3g})",
        f"{flip.value / flip.gap:+.0%}",
        f"{removal.value:+.3f} (p {each.removal_p_value:.3g})",
        "–" if size.rank is None else f"{size.rank} ({size.random_rank})",
        f"> {len(size.left)}" if size.spread is None else str(size.spread),
        "–" if borders is None else f"{borders.ratio:.2f} (p {each.border_p_value:.3g})",
        "crisp" if each.crisp else ", ".join(each.failed),
    )
    return f"| {' | '.join(cells)} |"


def show(title: str, found: Iterable[LatentFinding]) -> None:
    print(f"\n{title}\n")
    print(
        "| latent | accuracy | twins | bag | selectivity | flip | of distance | removal | rank (random) "
        "| spread | borders | not met |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for each in found:
        print(row(each))


def main(out: Path, seed: int) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    study = crispness(
        "minilm", out=out, seed=seed, progress=lambda what, done, of: print(f"{done}/{of} {what}", file=sys.stderr)
    )
    show(study.model, study.found)
    show("its untrained twin", study.twin)
    print(f"\npath length: {study.path.missing}")
    print(f"{time.process_time() - cpu:.0f} s of CPU time, {time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
