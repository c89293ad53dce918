"""Activation patching: put one prompt's activation into another's forward pass, a site at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from heldout.data import ContrastPairs, Sample
from heldout.errors import InputError, Problem
from heldout.execution.result import Null, Result
from heldout.models import Model, Set, Site, Tokens
from heldout.seeds import torch_generator
from heldout.shapes import Float, Int
from heldout.statistics import permutation_p_value


@final
@dataclass(frozen=True)
class ActivationPatching:
    """Denoising: runs the first prompt of each pair with one site's activation from the second, at every position.

    Effect, in logits: the mean change of logit(second prompt's answer) − logit(first prompt's answer) at the last
    position, where the answers are what the unpatched model says to each. Null: the second prompts' activations given
    to the wrong pairs. Source: Vig et al. 2020; Wang et al. 2022 (path patching, section 3.1); Zhang and Nanda 2023
    for the metric.

    Assumes that the prompts of a pair have equally many tokens (raises InputError otherwise): a shifted activation
    would be read as another position's. Known failure: an effect that several sites share is missed one site at a time.
    """

    sites: Sequence[Site]
    shuffles: int = 20
    seed: int = 0
    name: str = "activation_patching"

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(sorted({site.name for site in self.sites}))

    def run(self, model: Model, data: ContrastPairs) -> tuple[Result, ...]:
        """One result a site, in the order of `sites`."""
        refuse_unequal(model, data)
        before = model.meter.samples
        first, second = (model.tokenize([sample.input for sample in samples]) for samples in (data.first, data.second))
        source = model.trace(second, self.sites)
        plain = model.logits(first)[:, -1]
        answers = torch.stack([source.logits.argmax(-1), plain.argmax(-1)], dim=1)
        start = logit_difference(plain, answers)
        orders = self._orders(len(data))
        effects: list[tuple[float, list[float]]] = []
        for site in self.sites:
            value = source[site]
            effect = self._effect(model, first, Set(site, value), answers, start)
            nulls = [self._effect(model, first, Set(site, value[order]), answers, start) for order in orders]
            effects.append((effect, nulls))
        passes = (model.meter.samples - before) / max(1, len(data))
        return tuple(
            self._result(site, effect, nulls, len(data), passes / len(self.sites))
            for site, (effect, nulls) in zip(self.sites, effects, strict=True)
        )

    def _effect(self, model: Model, first: Tokens, edit: Set, answers: Tensor, start: Tensor) -> float:
        with model.intervene(edit):
            return float((logit_difference(model.logits(first)[:, -1], answers) - start).mean())

    def _orders(self, n: int) -> list[Tensor]:
        """Cyclic shifts in a random order of pairs, so that no pair ever gets its own activation."""
        generator = torch_generator(self.seed, "shuffled pairs", n)
        orders: list[Tensor] = []
        for _ in range(self.shuffles if n > 1 else 0):
            ring = torch.randperm(n, generator=generator)
            order = torch.empty_like(ring)
            order[ring] = ring.roll(1)
            orders.append(order)
        return orders

    def _result(self, site: Site, effect: float, nulls: list[float], n: int, passes: float) -> Result:
        null = ()
        if nulls:
            p_value = permutation_p_value(abs(effect), torch.tensor(nulls).abs().double().numpy())
            null = (Null("activations of other pairs", sum(nulls) / len(nulls), max(nulls), len(nulls), p_value),)
        return Result(
            technique=self.name,
            quantity="logit_difference_change",
            unit="logits",
            effect=effect,
            n=n,
            nulls=null,
            site=str(site),
            layer=site.layer,
            forward_passes=passes,
            settings={"shuffles": len(nulls), "seed": self.seed},
        )


def logit_difference(
    logits: Float[Tensor, "batch vocabulary"], answers: Int[Tensor, "batch 2"]
) -> Float[Tensor, " batch"]:
    """logit(answers[:, 0]) − logit(answers[:, 1])."""
    chosen = logits.gather(1, answers)
    return (chosen[:, 0] - chosen[:, 1]).float()


def refuse_unequal(model: Model, pairs: ContrastPairs) -> None:
    """Raises InputError where there are no pairs, or the prompts of some have different numbers of tokens."""
    called = f"ActivationPatching.run({len(pairs)} pairs)"
    if not len(pairs):
        problem = Problem(
            "no pairs",
            "samples whose `pair` names the same question under another cue",
            "fill in `pair` in samples.jsonl",
        )
        raise InputError(called, problem)

    def length(sample: Sample) -> int:
        return int(model.tokenize(sample.input).mask.sum())

    unequal = [f"{first.id} and {second.id}" for first, second in pairs if length(first) != length(second)]
    if unequal:
        problem = Problem(
            f"{len(unequal)} pairs of unequal length: {', '.join(unequal[:5])}",
            "as many tokens in both prompts of a pair",
            "leave these pairs out, or pad the shorter prompt's wording",
        )
        raise InputError(called, problem)
