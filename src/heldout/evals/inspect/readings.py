"""A scorer that reads recorded activations: what the model represents, added to a log without running the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState

from heldout.evals.inspect.grading import accepted_by

if TYPE_CHECKING:
    from torch import Tensor


@scorer(metrics=[accuracy(), stderr()])
def reading(readout: Callable[[Tensor], Any] | str | Path, site: str, sidecar: str, position: int = -1) -> Scorer:
    """Decodes each sample's answer from the activation at `site` and `position` that the run recorded in the folder
    `sidecar`, and passes it where the sample accepts it.

    `readout` is a fitted one (`techniques.probes.AnswerReadout`, or anything that turns activations [item, d] into
    answers), or the file that `save_readout` wrote. The score's answer is what was decoded; its metadata say at which
    site, and whether the output said the same. Scoring raises InputError where an activation cannot be had."""
    from heldout.evals.inspect.saved_readouts import load_readout
    from heldout.evals.inspect.sidecar import Reference, Sidecars
    from heldout.models import Site

    fitted = load_readout(readout) if isinstance(readout, str | Path) else readout
    name, sidecars = str(Site.parse(site)), Sidecars(Path(sidecar))

    async def score(state: TaskState, target: Target) -> Score:
        activation = sidecars.activation(Reference.from_metadata(state.output.metadata), name, position)
        decoded = str(fitted(activation.flatten()[None])[0])
        return Score(
            value=CORRECT if decoded in accepted_by(state, target) else INCORRECT,
            answer=decoded,
            metadata={
                "site": name,
                "position": position,
                "agrees_with_output": decoded == state.output.completion.strip(),
            },
        )

    return score
