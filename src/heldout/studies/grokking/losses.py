"""Restricted and excluded loss in the space of prompts: logits with nothing but some waves over the prompts, or without
them.

Source: arXiv 2301.05217, section 5.1. The waves are any orthonormal functions of the prompts; there cos and sin of
2πk(a + b)/p over all pairs.
"""

from __future__ import annotations

from torch import Tensor, nn

from heldout.shapes import Float, Int


def prompt_losses(logits: Float[Tensor, "prompt answer"], right: Int[Tensor, " prompt"]) -> Float[Tensor, " prompt"]:
    """Cross-entropy in nats, in double precision: losses of 1e-9 are rounded away in single."""
    return nn.functional.cross_entropy(logits.double(), right, reduction="none")


def along(
    logits: Float[Tensor, "prompt answer"], waves: Float[Tensor, "wave prompt"]
) -> Float[Tensor, "prompt answer"]:
    """The part of the logits that lies along the waves."""
    return waves.T @ (waves @ logits.double())


def restricted(
    logits: Float[Tensor, "prompt answer"], waves: Float[Tensor, "wave prompt"]
) -> Float[Tensor, "prompt answer"]:
    """The waves alone, with the mean logit of each answer."""
    return along(logits, waves) + logits.double().mean(dim=0)


def excluded(
    logits: Float[Tensor, "prompt answer"], waves: Float[Tensor, "wave prompt"]
) -> Float[Tensor, "prompt answer"]:
    """Everything but the waves."""
    return logits.double() - along(logits, waves)
