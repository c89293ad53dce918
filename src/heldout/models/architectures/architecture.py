"""What differs between families of transformers, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Separate:
    """Queries, keys and values each have a projection; the paths are relative to the layer."""

    query: str = "self_attn.q_proj"
    key: str = "self_attn.k_proj"
    value: str = "self_attn.v_proj"


@dataclass(frozen=True)
class Fused:
    """One projection gives all three. `concatenated`: all queries, then all keys, then all values (GPT-2, Phi-3).
    `interleaved`: for each head its query, key and value (GPT-NeoX)."""

    path: str
    order: Literal["concatenated", "interleaved"] = "concatenated"


@dataclass(frozen=True)
class Architecture:
    """Where a family keeps what the sites name. Paths of a layer's parts are relative to the layer.

    `stream_before_mlp` is the module whose input *is* the residual stream between attention and MLP (the norm before
    the MLP, or the MLP itself where there is none). `added_by_attention` and `added_by_mlp` are the modules whose
    output is added to the stream: a post norm where the family has one.

    Most families add to a stream that stays as it is. Where the stream itself is normed after each sublayer
    (post-LayerNorm), `stream_norm_after_attention` and `stream_norm_after_mlp` are those norms.
    """

    family: str
    model_type: str
    layers: str = "model.layers"
    embedding: str = "model.embed_tokens"
    final_norm: str = "model.norm"
    unembedding: str = "lm_head"
    attention: str = "self_attn"
    attention_norm: str | None = "input_layernorm"
    """The norm between the stream and the projections; None where attention reads the stream as it is."""
    projections: Separate | Fused = field(default_factory=Separate)
    output_projection: str = "self_attn.o_proj"
    stream_before_mlp: str = "post_attention_layernorm"
    added_by_attention: str = "self_attn.o_proj"
    added_by_mlp: str = "mlp"
    mlp: str = "mlp"
    last_mlp_matrix: str = "mlp.down_proj"
    activation: str = "mlp.act_fn"
    """The module that is the MLP's non-linear function."""
    gated_mlp: bool = True
    """The MLP multiplies the function's output by a second projection."""
    pattern: str | None = None
    """A module whose output is the attention pattern; None where transformers' attention interface computes it."""
    weights_input_first: bool = False
    """Weights are input × output (GPT-2's Conv1D), not output × input (Linear)."""
    mlp_width: str = "intermediate_size"
    """The entry of the config that says how wide an MLP (an expert, in a mixture) is."""
    parallel_if: str | None = None
    """The entry of the config that, when true, makes attention and MLP read the same stream."""
    pattern_hidden_if: str | None = None
    """The entry of the config that, when true, makes attention take a way past the attention interface."""
    causal: bool = True
    """A position sees itself and earlier ones only."""
    stream_norm_after_attention: str | None = None
    stream_norm_after_mlp: str | None = None
    matrices_behind_modules: bool = False
    """The output projection and the last MLP matrix are called behind the modules `attention` and `mlp`, not in them."""
    reads_first_token: bool = False
    """The output is one row a text, made of the last stream at its first token."""
    unsupported: tuple[tuple[str, str], ...] = ()
    """Sites that this family does not have, with the reason."""

    def missing_sites(self, config: Any) -> dict[str, str]:
        """Sites that a model with this config does not have, with the reason."""
        missing = dict(self.unsupported)
        if self.runs_in_parallel(config):
            missing["resid_mid"] = f"attention and MLP run in parallel ({self.parallel_if} is true)"
        if self.pattern_hidden_if is not None and getattr(config, self.pattern_hidden_if):
            missing["pattern"] = f"attention takes a way of its own ({self.pattern_hidden_if} is true)"
        return missing

    def runs_in_parallel(self, config: Any) -> bool:
        """Attention and MLP read the same stream."""
        return self.parallel_if is not None and bool(getattr(config, self.parallel_if))

    @property
    def norms_the_stream(self) -> bool:
        """The stream after a sublayer is not the sum of what was there and what was added."""
        return self.stream_norm_after_attention is not None

    def layer_paths(self) -> dict[str, str]:
        """The paths inside a layer that must exist, by what they are for."""
        parts = self.projections
        missing = dict(self.unsupported)
        paths = (
            {"query": parts.query, "key": parts.key, "value": parts.value}
            if isinstance(parts, Separate)
            else {"query, key and value": parts.path}
        )
        paths |= {"output projection": self.output_projection, "attention": self.attention}
        paths |= {"what attention adds": self.added_by_attention}
        if self.attention_norm is not None:
            paths["norm before attention"] = self.attention_norm
        if "resid_mid" not in missing:
            paths["stream before the MLP"] = self.stream_before_mlp
        if "mlp_out" not in missing:
            paths["what the MLP adds"] = self.added_by_mlp
        if "mlp_post" not in missing:
            paths["last MLP matrix"] = self.last_mlp_matrix
        if self.pattern is not None:
            paths["pattern"] = self.pattern
        if self.stream_norm_after_attention is not None:
            paths["norm of the stream after attention"] = self.stream_norm_after_attention
        if self.stream_norm_after_mlp is not None:
            paths["norm of the stream after the MLP"] = self.stream_norm_after_mlp
        return paths
