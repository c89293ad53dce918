"""The load-time self-test of access: is what we read what the model computes, and does looking leave it alone?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from heldout.models.intervene import Resample, Set
from heldout.models.model import Model
from heldout.models.sites import RESIDUAL_SITES, SITE_SHAPES, Site
from heldout.models.tokens import Tokens
from heldout.seeds import torch_generator

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
LOW_PRECISION_TOLERANCE = 1e-2
NO_OP_SITES = (*RESIDUAL_SITES, "attn_out", "mlp_out")


@dataclass(frozen=True)
class AccessReport:
    """What `check_access` found.

    `logit_difference`: largest absolute difference, in logits, between traced passes and plain forward passes of the
    module on the same batches, one of them left padded. `padding_difference`: the same between a left-padded batch and
    each of its prompts alone without mask or positions, as a fraction of the largest logit. `tolerance`: what both are
    held to. `changed_by_no_op`: sites at which writing
    back what was read changed a bit of the logits. `trace_cost`: time of a pass that reads the whole residual stream,
    as a multiple of a plain pass (median of interleaved pairs); it is reported and not judged.
    """

    model: str
    digest: str
    family: str
    dtype: str
    device: str
    logit_difference: float
    padding_difference: float
    tolerance: float
    changed_by_no_op: tuple[str, ...]
    trace_cost: float
    supported: tuple[str, ...]
    unsupported: tuple[tuple[str, str], ...]

    @property
    def no_op_bit_identical(self) -> bool:
        return not self.changed_by_no_op

    @property
    def passed(self) -> bool:
        """Differences within tolerance and no bit changed by a no-op."""
        within = max(self.logit_difference, self.padding_difference) <= self.tolerance
        return within and self.no_op_bit_identical


def check_access(model: Model, seed: int = 0, *, pairs: int = 15) -> AccessReport:
    """Compares access with the plain model on random tokens, chosen by `seed`; `pairs` timings of the trace's cost.

    The tolerance is 1e-5 in float32 and 1e-2 in half precision."""
    whole, padded = random_tokens(model, seed)
    stream = [site for name in RESIDUAL_SITES if name not in model.missing_sites for site in model.sites(name)]
    plain_logits = [plain_forward(model, tokens) for tokens in (whole, padded)]
    traced = [model.trace(tokens, stream).logits for tokens in (whole, padded)]
    direct = [model.logits(tokens)[:, -1] for tokens in (whole, padded)]
    alone = prompts_alone(model, padded)
    return AccessReport(
        model=model.name,
        digest=model.digest,
        family=model.architecture.family,
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device),
        logit_difference=max(
            largest_difference(ours, plain)
            for path in (traced, direct)
            for ours, plain in zip(path, plain_logits, strict=True)
        ),
        padding_difference=largest_difference(direct[1], alone) / max(1.0, float(alone.abs().max())),
        tolerance=TOLERANCE.get(model.dtype, LOW_PRECISION_TOLERANCE),
        changed_by_no_op=sites_changed_by_no_op(model, padded),
        trace_cost=cost_ratio(
            lambda: model.trace(whole, stream), lambda: plain_forward(model, whole), pairs=pairs, device=model.device
        ),
        supported=tuple(name for name in SITE_SHAPES if name not in model.missing_sites),
        unsupported=tuple(model.missing_sites.items()),
    )


def random_tokens(model: Model, seed: int) -> tuple[Tokens, Tokens]:
    """Eight prompts of equal length, and the ends of them, of several lengths, left padded."""
    length = min(32, model.context_length)
    generator = torch_generator(seed, "check_access")
    ids = torch.randint(0, model.vocabulary_size, (8, length), generator=generator)
    rows = [ids[i, (i * length) // 9 :].tolist() for i in range(8)]
    return Tokens.from_ids(ids).to(model.device), Tokens.from_ids(rows).to(model.device)


def plain_forward(model: Model, tokens: Tokens) -> Tensor:
    """Logits at the last position from the module itself."""
    module: Any = model.module
    with torch.no_grad():
        output = module(
            input_ids=tokens.ids,
            attention_mask=tokens.mask,
            position_ids=tokens.position_ids,
            use_cache=False,
            logits_to_keep=1,
        )
    return output.logits[:, -1]


def prompts_alone(model: Model, tokens: Tokens) -> Tensor:
    """Logits at the last position of every prompt run by itself, with nothing but its ids."""
    module: Any = model.module
    with torch.no_grad():
        alone = [module(input_ids=tokens[i : i + 1].trimmed().ids).logits[:, -1] for i in range(len(tokens))]
    return torch.cat(alone)


def sites_changed_by_no_op(model: Model, tokens: Tokens) -> tuple[str, ...]:
    """Sites of the stream, and of what is added to it, where writing back what was read changes the logits."""
    changed: list[str] = []
    plain = model.logits(tokens)
    itself = torch.arange(len(tokens))
    for site in no_op_sites(model):
        value = model.trace(tokens, [site], logits=False)[site]
        for edit in (Set(site, value), Resample(site, itself, positions=-1)):
            with model.intervene(edit):
                if not torch.equal(model.logits(tokens), plain):
                    changed.append(str(site))
                    break
    return tuple(changed)


def no_op_sites(model: Model) -> list[Site]:
    return [site for name in NO_OP_SITES if name not in model.missing_sites for site in model.sites(name)]


def largest_difference(left: Tensor, right: Tensor) -> float:
    return float((left - right).abs().max())


def cost_ratio(
    measured: Callable[[], object], reference: Callable[[], object], *, pairs: int, device: torch.device
) -> float:
    """Median over interleaved pairs of the time of `measured` as a multiple of that of `reference`."""

    def seconds(work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    for warm_up in (measured, reference):
        seconds(warm_up)
    return statistics.median(seconds(measured) / seconds(reference) for _ in range(pairs))
