"""How a model is trained to add: everything but the seed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import torch

from heldout.errors import Problems
from heldout.models import Model
from heldout.models.architectures.plain import PLAIN
from heldout.models.dimensions import Dimensions
from heldout.models.plain_transformer import PlainConfig, PlainTransformer
from heldout.seeds import torch_generator
from heldout.studies.grokking.phases import FEWEST
from heldout.studies.grokking.task import ModularAddition

PROMPT_LENGTH = 3
WARM_UP = 10
"""Steps in which the learning rate rises."""


@final
@dataclass(frozen=True)
class Recipe:
    """One layer, no LayerNorm, ReLU; full batches, AdamW, cross-entropy in double precision. The defaults grok in about
    half a minute of one core. Those of arXiv 2301.05217 are modulus 113, width 128, 512 neurons, learning rate 1e-3 without
    a cool-down, weight decay 1 and epsilon 1e-8, in 40,000 steps.

    `epsilon` is Adam's. Once the loss is tiny it says how far gradients are magnified: at 1e-8 they are until training is
    thrown off, which sends some seeds back to memorising. In the last `cool_down` of all steps the learning rate falls to
    0, so that the last checkpoint is not one that was just thrown off. `checkpoints` are kept, the first before any
    training and the last after `steps`. Raises InputError for settings out of range."""

    modulus: int = 53
    width: int = 64
    heads: int = 4
    mlp_width: int = 512
    fraction: float = 0.3
    learning_rate: float = 1.5e-2
    weight_decay: float = 1.5
    epsilon: float = 1e-5
    cool_down: float = 0.35
    steps: int = 2500
    checkpoints: int = 40

    def __post_init__(self) -> None:
        problems = Problems("Recipe")
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            found = f"width {self.width} and {self.heads} heads"
            problems.add(found, "a width that is a multiple of the heads", "give, say, width 64 and 4 heads")
        for name in ("mlp_width", "steps"):
            if getattr(self, name) < 1:
                problems.add(f"{name} {getattr(self, name)}", "1 or more", "give a larger number")
        found = f"{self.checkpoints} checkpoints of {self.steps} steps"
        if self.checkpoints < FEWEST:
            problems.add(found, f"{FEWEST} or more, as phases need", "give more checkpoints")
        elif self.checkpoints > self.steps + 1:
            problems.add(found, "no more than there are steps to keep", "give fewer checkpoints, or more steps")
        for name in ("learning_rate", "epsilon"):
            if not getattr(self, name) > 0:
                problems.add(f"{name} {getattr(self, name)}", "a number above 0", "correct it")
        if not 0 <= self.cool_down <= 1:
            problems.add(f"cool_down {self.cool_down}", "a share of the steps, 0 to 1", "0 leaves it out")
        if not self.weight_decay >= 0:
            problems.add(f"weight_decay {self.weight_decay}", "0 or more", "correct it")
        problems.raise_if_any()
        self.task(0)

    def task(self, seed: int) -> ModularAddition:
        return ModularAddition(self.modulus, self.fraction, seed)

    @property
    def kept_steps(self) -> list[int]:
        """Rising steps, closer together early on: the square of equal distances, so that 40 of 2500 are 2 apart at the
        start and 127 at the end."""
        last = self.checkpoints - 1
        steps: list[int] = []
        for place in range(self.checkpoints):
            step = round(self.steps * (place / last) ** 2)
            steps.append(max(step, steps[-1] + 1) if steps else step)
        return [min(step, self.steps - (last - place)) for place, step in enumerate(steps)]

    def learning_rate_at(self, step: int) -> float:
        """Rises in the first steps, and falls to 0 in the last."""
        cool_steps = self.cool_down * self.steps
        cooled = (self.steps - step) / cool_steps if cool_steps else 1.0
        return self.learning_rate * min((step + 1) / WARM_UP, cooled, 1.0)

    def untrained(self, seed: int) -> Model:
        """Fresh weights, normally distributed: 1/√width each, the unembedding 1/√vocabulary, and biases 0."""
        size = Dimensions(
            n_layers=1,
            n_heads=self.heads,
            n_key_value_heads=self.heads,
            d_model=self.width,
            d_head=self.width // self.heads,
            d_mlp=self.mlp_width,
            vocabulary_size=self.modulus + 1,
            context_length=PROMPT_LENGTH,
        )
        module = PlainTransformer(PlainConfig(size, mlp_bias=True))
        generator = torch_generator(seed, "grokking", "weights")
        for name, weight in module.named_parameters():
            scale = len(weight) ** -0.5 if name == "unembed.weight" else self.width**-0.5
            drawn = torch.randn(weight.shape, generator=generator) * scale
            weight.data.copy_(torch.zeros_like(weight) if weight.ndim == 1 else drawn)
        return Model(module.eval().requires_grad_(False), name=f"seed-{seed}", architecture=PLAIN)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
