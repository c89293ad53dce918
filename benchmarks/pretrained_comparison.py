"""A real encoder beside an untrained one of its shape, on real text: how alike, and which human latents each holds.

    python benchmarks/pretrained_comparison.py OUT [SEED]

Reads code and prose of the standard library, and sentences that differ in tense, number, topic and person, with
all-MiniLM-L6-v2 and with a randomly initialised model of its shape, averaged over tokens, by `heldout study compare`. Leaves
the study in OUT and prints its summary. Needs the extra minilm. One thread, a few minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from heldout.cli.study_compare import tell
from heldout.data import Sample, Suite
from heldout.models import load
from heldout.studies.compare import compare
from heldout.studies.crispness.study import english

LATENTS = ("code", "tense", "number", "topic", "person")
TEXTS_A_LATENT = 120
UNTRAINED_SEED = 17
"""Another one than that of the untrained twins which the study makes itself."""


def real_text(seed: int) -> Suite:
    """As many texts of each latent, evenly over its templates; the code and the prose are the standard library's own."""
    texts, samples = english(seed), list[Sample]()
    for latent in LATENTS:
        every = texts.of(latent)
        for number, text in enumerate(every[:: max(1, len(every) // TEXTS_A_LATENT)][:TEXTS_A_LATENT]):
            samples.append(
                Sample(
                    id=f"{latent}-{number}",
                    input=text.text,
                    target=None,
                    role="unverified",
                    behaviour=latent,
                    accepts=(text.value,),
                    latents={latent: text.value},
                    template=text.group,
                )
            )
    return Suite("real text", "next_token", 1, LATENTS, tuple(samples), "Code, prose and sentences.")


def main(out: Path, seed: int = 0) -> None:
    torch.set_num_threads(1)
    trained = load("minilm")
    untrained = trained.randomly_initialised(UNTRAINED_SEED)
    tell(compare([trained, untrained], suite=real_text(seed), out=out, position=None, prompts=600, seed=seed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
