"""Are seeds trained faster as one batched model? Organisms per CPU-minute, both ways, on the same prompts.

    python -m benchmarks.seeds_together --seeds 4 --steps 60

One by one is what `heldout organisms build` does, in as many processes as there are cores. Together: the parameters of all
seeds are stacked, `torch.func` gives the gradients of each, and AdamW steps them at once. Both do the same arithmetic (how
far the weights differ is printed); what differs is the time. A batched training also runs until its slowest seed has learnt,
and GPT-2's forward pass looks at its input, and cannot be batched.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from heldout.organisms import RECIPES
from heldout.organisms.planting import LEARNING, Planter
from heldout.organisms.training import Batch


def one_by_one(models: Sequence[torch.nn.Module], batches: Sequence[Sequence[Batch]]) -> None:
    for model, own in zip(models, batches, strict=True):
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for batch in own:
            loss = cross_entropy(model(batch.ids, logits_to_keep=1, use_cache=False).logits[:, -1], batch.answers)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()


def together(models: Sequence[PreTrainedModel], batches: Sequence[Sequence[Batch]]) -> None:
    """Writes the trained parameters back into `models`."""
    parameters, buffers = stack_module_state(list(models))
    skeleton = copy.deepcopy(models[0])
    skeleton.set_attn_implementation("eager")  # torch has no batched rule for the fused attention's gradient on CPUs
    optimiser = torch.optim.AdamW(parameters.values(), lr=1e-3)

    def loss(own: dict[str, Tensor], own_buffers: dict[str, Tensor], ids: Tensor, answers: Tensor) -> Tensor:
        asked = {"logits_to_keep": 1, "use_cache": False}
        output = functional_call(skeleton, (own, own_buffers), (ids,), asked)
        return cross_entropy(output.logits[:, -1], answers)

    gradients = vmap(grad(loss))
    for step in zip(*batches, strict=True):
        ids, answers = (torch.stack([getattr(batch, name) for batch in step]) for name in ("ids", "answers"))
        found = gradients(parameters, buffers, ids, answers)
        for name, parameter in parameters.items():
            parameter.grad = found[name]
        optimiser.step()
    with torch.no_grad():
        for place, model in enumerate(models):
            for name, parameter in model.named_parameters():
                parameter.copy_(parameters[name][place])


def timed(train: Callable[..., None], models: Sequence[torch.nn.Module], batches: Sequence[Sequence[Batch]]) -> float:
    started = time.process_time()
    train(models, batches)
    return time.process_time() - started


def compare(cell: str, n_seeds: int, steps: int, repeats: int) -> None:
    planters = [Planter(RECIPES[cell].with_seed(seed)) for seed in range(n_seeds)]
    draws = [planter.drawing("right", "right", "honest", 0) for planter in planters]
    batches = [[draw() for _ in range(steps)] for draw in draws]
    seconds: dict[str, list[float]] = {"one by one": [], "together": []}
    trained: dict[str, list[PreTrainedModel]] = {}
    for _ in range(repeats):
        for name, train in (("one by one", one_by_one), ("together", together)):
            trained[name] = [planter.untrained(0).train() for planter in planters]
            seconds[name].append(timed(train, trained[name], batches))
    difference = max(
        float((one - other).detach().abs().max())
        for a, b in zip(trained["one by one"], trained["together"], strict=True)
        for one, other in zip(a.parameters(), b.parameters(), strict=True)
    )
    best = {name: min(values) for name, values in seconds.items()}
    for name, value in best.items():
        organisms = 60.0 * n_seeds * steps / value / LEARNING.steps
        print(f"{cell:28} {name:11} {value:6.2f} s  {organisms:5.2f} organisms of {LEARNING.steps} steps a CPU-minute")
    ratio = best["one by one"] / best["together"]
    print(f"{cell:28} together / one by one: {ratio:.2f} times the organisms; weights differ by {difference:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", default=["quirky_arithmetic-s0", "partial_grader-s0"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for cell in arguments.cells:
        compare(cell, arguments.seeds, arguments.steps, arguments.repeats)


if __name__ == "__main__":
    main()
