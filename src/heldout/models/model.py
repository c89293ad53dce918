"""A language model with its inside open: read any site, write to any site."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor, nn

from heldout.errors import InputError, Problem
from heldout.models.access import Tap, head_output_weights, tap
from heldout.models.architectures import ARCHITECTURES, Architecture
from heldout.models.digests import module_digest
from heldout.models.dimensions import Dimensions
from heldout.models.generation import Choose, decode, end_token_ids, most_likely
from heldout.models.intervene import Edit, Positions, chosen_positions
from heldout.models.passes import Pass
from heldout.models.request_checks import check_causal, check_edits, check_tokens, check_trace, site_problem
from heldout.models.sites import Site
from heldout.models.text import answer_token, tokenize
from heldout.models.tokens import Tokens
from heldout.models.trace import Trace
from heldout.models.weights import HeadProjection, head_projection
from heldout.seeds import derived_seed
from heldout.shapes import Float, Int


@dataclass
class Meter:
    """Counts cost: `samples` is the number of forward passes of one sample, a pass that stopped early counted by its
    layers, and a generated token as a pass."""

    samples: float = 0.0

    def add(self, samples: float) -> None:
        self.samples += samples


@final
class Model:
    """A transformer of a family that `architectures` describes, with its tokenizer: causal, or an encoder, whose output
    `heldout.models.encoders` describes.

    Built by `heldout.load`. Sites and their shapes: `heldout.models.sites.SITE_SHAPES`. Positions count from the end,
    and prompts are left padded, so -1 is every row's last token. Nothing is hooked between calls: hooks live for one
    pass. The module is used as it is: outside evaluation mode its dropout would show in every site.
    """

    def __init__(
        self,
        module: nn.Module,
        tokenizer: Any = None,
        *,
        name: str = "",
        architecture: Architecture | None = None,
        digest: Callable[[], str] | None = None,
    ) -> None:
        config: Any = module.config
        if architecture is None and config.model_type not in ARCHITECTURES:
            found, expected = f"the family {config.model_type!r}", f"one of {', '.join(ARCHITECTURES)}"
            raise InputError(f"Model({name!r})", Problem(found, expected, "pass the architecture that describes it"))
        self.module = module
        self.tokenizer = tokenizer
        self.name = name or config.model_type
        self.architecture = architecture or ARCHITECTURES[config.model_type]
        known: Dimensions | None = getattr(config, "dimensions", None)
        self.dimensions = known or Dimensions.from_config(config, mlp_width=self.architecture.mlp_width)
        self.meter = Meter()
        self._digest = digest
        self._edits: tuple[Edit, ...] = ()
        self._taps: dict[Site, Tap] = {}

    def __repr__(self) -> str:
        size = self.dimensions
        return f"Model({self.name!r}, {self.architecture.family}, {size.n_layers} layers, d_model {size.d_model})"

    @property
    def n_layers(self) -> int:
        return self.dimensions.n_layers

    @property
    def n_heads(self) -> int:
        return self.dimensions.n_heads

    @property
    def n_key_value_heads(self) -> int:
        return self.dimensions.n_key_value_heads

    @property
    def d_model(self) -> int:
        return self.dimensions.d_model

    @property
    def d_head(self) -> int:
        return self.dimensions.d_head

    @property
    def d_mlp(self) -> int | None:
        return self.dimensions.d_mlp

    @property
    def vocabulary_size(self) -> int:
        return self.dimensions.vocabulary_size

    @property
    def n_outputs(self) -> int:
        """Rows of the unembedding: the vocabulary, or a classifier's labels; 0 for an encoder without a head."""
        weight: Tensor | None = getattr(self.module.get_submodule(self.architecture.unembedding), "weight", None)
        return 0 if weight is None else len(weight)

    @property
    def context_length(self) -> int:
        return self.dimensions.context_length

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters())

    @property
    def dtype(self) -> torch.dtype:
        return next(self.module.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    @cached_property
    def digest(self) -> str:
        """`sha256:...` over config and weights: of the files where the model was loaded from a folder (identical files,
        identical digest), of config and tensors otherwise. Computed at first use, once: it does not follow later
        training."""
        return module_digest(self.module) if self._digest is None else self._digest()

    @cached_property
    def missing_sites(self) -> Mapping[str, str]:
        """Names of sites that this model does not have, with the reason."""
        return self.architecture.missing_sites(self.module.config)

    def sites(self, name: str) -> list[Site]:
        """Every place of that name: one for each layer, for `head_out` one for each layer and head.

        Raises InputError, listing what there is, for a name that this model does not have."""
        first = Site(name) if name == "logits" else Site(name, 0)
        problem = site_problem(first, self.dimensions, self.missing_sites, self.architecture.family)
        if problem is not None:
            raise InputError(f"Model.sites({name!r})", problem)
        if name == "logits":
            return [first]
        layers = range(self.n_layers)
        if name == "head_out":
            return [Site(name, layer, head) for layer in layers for head in range(self.n_heads)]
        return [Site(name, layer) for layer in layers]

    def tokenize(self, prompts: str | Sequence[str]) -> Tokens:
        """Left-padded tokens on the model's device, with the tokenizer's special tokens but no second
        beginning-of-sequence token where the prompt's text already begins with one."""
        prompts = [prompts] if isinstance(prompts, str) else prompts
        tokenizer = self._tokenizer("Model.tokenize")
        return tokenize(tokenizer, prompts, vocabulary_size=self.vocabulary_size).to(self.device)

    def answer_token(self, answer: str) -> int:
        """The id of the one token that is `answer`; InputError if it is not one token."""
        return answer_token(self._tokenizer("Model.answer_token"), answer)

    def logits(self, tokens: Tokens, *, last: int = 1) -> Float[Tensor, "batch last vocabulary"]:
        """Logits at the last `last` positions; the unembedding is computed at those only."""
        if not 1 <= last <= max(tokens.length, 1):
            found, expected = (
                f"last={last} for prompts of {tokens.length} tokens",
                "a number of last positions they have",
            )
            raise InputError(f"Model.logits(last={last})", Problem(found, expected, "leave it out for the last token"))
        output, _ = self._forward("Model.logits", tokens, last=last)
        return output.logits

    def trace(
        self,
        tokens: Tokens,
        sites: Iterable[Site],
        *,
        positions: Positions = None,
        logits: bool = True,
        gradients: bool = False,
    ) -> Trace:
        """Reads `sites` at `positions` (None: all). With `logits` the trace also has the last position's logits;
        without, the pass stops after the last site. With `gradients` (all positions only) the graph is kept, and the
        logits can be differentiated by every traced tensor: `torch.autograd.grad(trace.logits.sum(), trace[site])`.

        Raises InputError naming every site that the model lacks and every position out of range."""
        sites, chosen = list(sites), chosen_positions(positions)
        called = f"Model.trace({len(sites)} sites, positions={chosen})"
        known = (self.dimensions, self.missing_sites, self.architecture.family)
        unseen = [site for site in sites if site not in self._taps]
        check_trace(called, unseen, chosen, tokens.length, *known)
        if gradients and chosen is not None:
            raise InputError(
                called,
                Problem("gradients at chosen positions", "positions=None", "slice the gradient by position instead"),
            )
        last = last_logits_read(sites, chosen, tokens.length)
        logits = logits or [site.name for site in sites] == ["logits"]
        output, activations = self._forward(
            called,
            tokens,
            last=last,
            sites=sites,
            positions=chosen,
            stop_early=bool(sites) and not logits,
            gradients=gradients,
        )
        return Trace(activations, chosen, output.logits[:, -1] if logits and output is not None else None)

    @contextmanager
    def intervene(self, *edits: Edit) -> Generator[None]:
        """Inside, `logits`, `trace` and `generate` of this model run with the edits, after those of any outer
        `intervene`.

        Raises InputError naming everything wrong with the sites and positions; shapes are checked against the tokens
        before each pass."""
        outer = self._edits
        self._check_edits("Model.intervene", edits)
        self._edits = (*outer, *edits)
        try:
            yield
        finally:
            self._edits = outer

    def generate(self, tokens: Tokens, max_new_tokens: int) -> list[str]:
        """The text of the greedy continuation of each prompt, up to `max_new_tokens` tokens or the end-of-text token.

        Edits count positions from the end of the prompt. Those of all positions also act on each generated token, where
        their value fits a single position; those of chosen positions act on the prompt only."""
        tokenizer = self._tokenizer("Model.generate")
        ends = end_token_ids(self.module, tokenizer)
        rows = self.generate_ids(tokens, max_new_tokens).tolist()
        texts: list[str] = []
        for row in rows:
            stop = next((i for i, token in enumerate(row) if token in ends), len(row))
            texts.append(tokenizer.decode(row[:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False))
        return texts

    def generate_ids(self, tokens: Tokens, max_new_tokens: int) -> Tensor:
        """As `generate`, the token ids, batch × at most `max_new_tokens`; rows that have ended repeat their end
        token."""
        return self.decode(tokens, max_new_tokens)[0]

    def decode(
        self,
        tokens: Tokens,
        max_new_tokens: int,
        *,
        choose: Choose = most_likely,
        sites: Iterable[Site] = (),
        positions: Positions = None,
    ) -> tuple[Tensor, Trace]:
        """As `generate_ids`, by the rule `choose`; and what the pass over the prompt read of `sites` at `positions`, which
        costs no pass of its own.

        Raises InputError as `generate` and `trace` do."""
        tokens, sites, chosen = tokens.to(self.device), list(sites), chosen_positions(positions)
        called = f"Model.generate(max_new_tokens={max_new_tokens})"
        check_causal(called, self.architecture)
        check_tokens(called, tokens, tokens.longest + max(max_new_tokens - 1, 0), self.dimensions)
        check_trace(called, sites, chosen, tokens.length, self.dimensions, self.missing_sites, self.architecture.family)
        self._check_edits("Model.generate", self._edits, tokens)
        cached = getattr(self.module, "keeps_keys_and_values", True)
        last = last_logits_read(sites, chosen, tokens.length)
        first: Pass | None = None

        def step(ids: Tensor, mask: Tensor, position_ids: Tensor, cache: Any, *, generated: bool) -> Any:
            nonlocal first
            self.meter.add(len(ids))
            reads = sites if first is None else ()
            work = Pass(self._edits, reads, self.tap, self.head_weights, positions=chosen, generated=generated)
            inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": position_ids}
            kept = 1 if first is not None else last
            first = first or work
            return work.run(self.module, **inputs, past_key_values=cache, use_cache=cached, logits_to_keep=kept)

        with torch.no_grad():
            ends = end_token_ids(self.module, self.tokenizer)
            ids = decode(step, tokens, max_new_tokens, ends, cached=cached, choose=choose)
        return ids, Trace({} if first is None else first.activations, chosen, None)

    def randomly_initialised(self, seed: int) -> Model:
        """The same config and tokenizer with fresh weights, as training would start from: the null of a readout."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, "randomly_initialised"))
            module = type(self.module)(copy.deepcopy(self.module.config))
        module = module.to(device=self.device, dtype=self.dtype).eval().requires_grad_(False)
        name = f"{self.name}, randomly initialised with seed {seed}"
        return Model(module, self.tokenizer, name=name, architecture=self.architecture)

    def head_weights(self, layer: int) -> Float[Tensor, "head d_head d_model"]:
        """W_O of a layer, a view of its weight: `head_out[h] = z[h] @ head_weights[h]`."""
        part = self.module.get_submodule(f"{self.architecture.layers}.{layer}")
        return head_output_weights(part, self.architecture, self.dimensions)

    def projection(self, name: str, layer: int) -> HeadProjection:
        """W_Q, W_K or W_V of a layer with its bias, `name` being "q", "k" or "v": `q[h] = projection(normed, h)`."""
        part = self.module.get_submodule(f"{self.architecture.layers}.{layer}")
        return head_projection(part, self.architecture, self.dimensions, name, layer)

    def activations(self, layers: Iterable[int] | None = None) -> list[nn.Module]:
        """The modules that are the MLPs' non-linear functions, of `layers` or of all; a mixture of experts has none of
        its own."""
        if self.d_mlp is None or "mlp_post" in self.missing_sites:
            return []
        chosen = range(self.n_layers) if layers is None else layers
        path = self.architecture.activation
        return [self.module.get_submodule(f"{self.architecture.layers}.{layer}.{path}") for layer in chosen]

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Those of the `intervene` that is on, the outermost first."""
        return self._edits

    @property
    def runs_in_parallel(self) -> bool:
        """Attention and MLP of a layer read the same stream."""
        return self.architecture.runs_in_parallel(self.module.config)

    def unembed(self, residual: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocabulary"]:
        """Logits of a residual stream after the last layer: final norm, unembedding, soft-capping."""
        normed = self.module.get_submodule(self.architecture.final_norm)(residual)
        logits: Tensor = self.module.get_submodule(self.architecture.unembedding)(normed)
        return self._soft_capped(logits)

    def unembed_tokens(
        self, residual: Float[Tensor, "... batch d_model"], tokens: Int[Tensor, "batch k"]
    ) -> Float[Tensor, "... batch k"]:
        """As `unembed`, the logits of the chosen tokens of each prompt only, in float32 at least: small effects on large
        logits would be rounded away. One row of tokens serves all prompts."""
        normed: Tensor = self.module.get_submodule(self.architecture.final_norm)(residual)
        unembedding: Any = self.module.get_submodule(self.architecture.unembedding)
        directions_bkd: Tensor = at_least_float32(unembedding.weight[tokens])
        logits = torch.einsum("...bd,bkd->...bk", at_least_float32(normed), directions_bkd)
        if unembedding.bias is not None:
            logits = logits + unembedding.bias[tokens]
        return self._soft_capped(logits)

    def _soft_capped(self, logits: Tensor) -> Tensor:
        cap = getattr(self.module.config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def _forward(
        self,
        called: str,
        tokens: Tokens,
        *,
        last: int,
        sites: Sequence[Site] = (),
        positions: tuple[int, ...] | None = None,
        stop_early: bool = False,
        gradients: bool = False,
    ) -> tuple[Any, dict[Site, Tensor]]:
        tokens = tokens.to(self.device)
        check_tokens(called, tokens, tokens.longest, self.dimensions)
        self._check_edits(called, self._edits, tokens)
        work = Pass(
            self._edits,
            sites,
            self.tap,
            self.head_weights,
            positions=positions,
            stop_early=stop_early,
            gradients=gradients,
        )
        inputs = {"input_ids": tokens.ids, "attention_mask": tokens.mask, "position_ids": tokens.position_ids}
        with torch.enable_grad() if gradients else torch.no_grad():
            start = self.module.get_submodule(self.architecture.embedding) if gradients else None
            with differentiable_from(start):
                output = work.run(self.module, **inputs, use_cache=False, logits_to_keep=min(last, tokens.length))
        cost = 1.0 if output is not None else (1 + max(site.layer or 0 for site in sites)) / self.n_layers
        self.meter.add(cost * len(tokens))
        return output, work.activations

    def _check_edits(self, called: str, edits: Sequence[Edit], tokens: Tokens | None = None) -> None:
        if edits:
            shape = None if tokens is None else (len(tokens), tokens.length)
            check_edits(called, edits, self.dimensions, self.missing_sites, self.architecture.family, shape)

    def tap(self, site: Site) -> Tap:
        """The module and the slice that hold `site`."""
        if site not in self._taps:
            self._taps[site] = tap(self.module, self.architecture, self.dimensions, site)
        return self._taps[site]

    def _tokenizer(self, called: str) -> Any:
        if self.tokenizer is None:
            raise InputError(
                called,
                Problem(f"{self.name}, which has no tokenizer", "a model with a tokenizer", "use Tokens.from_ids"),
            )
        return self.tokenizer


def last_logits_read(sites: Iterable[Site], positions: tuple[int, ...] | None, length: int) -> int:
    """How many of the last positions need logits: one, or as many as a read of the logits reaches back."""
    if not any(site.name == "logits" for site in sites):
        return 1
    return length if positions is None else max(1, *(-position for position in positions))


def at_least_float32(values: Tensor) -> Tensor:
    return values.float() if values.dtype.itemsize < 4 else values


@contextmanager
def differentiable_from(embedding: nn.Module | None) -> Generator[None]:
    """Inside, the output of `embedding` (None: nothing) requires gradients, so that frozen parameters do not cut the
    graph."""
    if embedding is None:
        yield
        return

    def require(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return output if output.requires_grad else output.requires_grad_()

    handle = embedding.register_forward_hook(require)
    try:
        yield
    finally:
        handle.remove()
