"""Dictionaries of sparse latents that two models share: which concepts one has and the other lacks.

    findings = CrosscoderComparison(seed=0).compare(a, b, groups)  # activations [row, feature], row i of both one token;
                                                           # groups [row], such as prompts, are held out together (optional)
    findings.counts                                        # {"shared": 49, "only A": 5, "only B": 6, ...}
    findings.of_class("only B")                            # numbers of latents, the most active first
    findings.latents.scaling.error, ....reconstruction, ....counterpart, ....presence      # by latent
    findings.latents.relative_norms, .active, .explained, .dead
    findings.limits.absent, .present; findings.calibration.exclusive_in_identical
    codes = findings.crosscoder.codes((a, b))              # [row, latent]; which tokens a latent is active on

`CrosscoderDiff(sites, other=model_b)` does this at sites of two models: `.findings(model_a, samples)` is a
`CrosscoderFindings` for each site, `.rows(model_a, samples)` says which prompt and position each row is, and
`.run(model_a, samples)` gives `Result`s. `sparsity=L1()` stands beside the default `BatchTopK()` for comparison. With one
set of activations, `train((a,), BatchTopK(), Training())` is a BatchTopK sparse autoencoder.
"""

from heldout.techniques.dictionaries.calibration import Calibration, NullRuns
from heldout.techniques.dictionaries.classes import CLASSES, LatentClass, Limits
from heldout.techniques.dictionaries.comparison import CrosscoderComparison
from heldout.techniques.dictionaries.crosscoder import Crosscoder
from heldout.techniques.dictionaries.findings import CrosscoderFindings
from heldout.techniques.dictionaries.latent_scaling import LatentScaling
from heldout.techniques.dictionaries.latents import Latents
from heldout.techniques.dictionaries.sparsity import L1, BatchTopK
from heldout.techniques.dictionaries.technique import CrosscoderDiff
from heldout.techniques.dictionaries.token_rows import TokenRows
from heldout.techniques.dictionaries.training import Training, train

__all__ = [
    "CLASSES",
    "L1",
    "BatchTopK",
    "Calibration",
    "Crosscoder",
    "CrosscoderComparison",
    "CrosscoderDiff",
    "CrosscoderFindings",
    "LatentClass",
    "LatentScaling",
    "Latents",
    "Limits",
    "NullRuns",
    "TokenRows",
    "Training",
    "train",
]
