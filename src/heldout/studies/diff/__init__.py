"""What a fine-tune changed, inside and outside, beside what other fine-tunes of the same base change.

found = diff("base", "tuned", suite="suite", text="everyday.txt", references=["other-1", "other-2"], out="diff")
found.claims                # what was found, and what was not
found.tuned.lens[0].tokens  # what activations on unrelated text are pushed to
found.shares                # which components carry the change of behaviour
"""

from heldout.studies.diff.findings import Measured, ModelDiff
from heldout.studies.diff.study import diff

__all__ = ["Measured", "ModelDiff", "diff"]
