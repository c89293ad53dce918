"""What access costs: for each family, a model of 6 layers and width 256 with random weights.

    python benchmarks/access.py

Prints the largest difference of logits from plain transformers, whether a no-op edit is bit-identical, and the time of a pass
that reads the whole residual stream as a multiple of a plain pass (median of interleaved pairs).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from heldout.models import Model, check_access

SHARED: dict[str, Any] = {
    "vocab_size": 1000,
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "intermediate_size": 768,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
NO_GROUPS = {name: value for name, value in SHARED.items() if name != "num_key_value_heads"}
GEMMA = {**SHARED, "head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16}
EXPERTS = {"num_experts_per_tok": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"vocab_size": 1000, "n_embd": 256, "n_layer": 6, "n_head": 8, "n_positions": 128},
    "gpt_neox": NO_GROUPS,
    "llama": SHARED,
    "mistral": SHARED,
    "qwen2": SHARED,
    "qwen3": {**SHARED, "head_dim": 32},
    "gemma2": GEMMA,
    "gemma3_text": GEMMA,
    "phi3": SHARED,
    "olmo2": SHARED,
    "mixtral": {**SHARED, **EXPERTS, "num_local_experts": 4},
    "qwen3_moe": {**SHARED, **EXPERTS, "num_experts": 4, "moe_intermediate_size": 256},
}


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"{'family':12} {'logit difference':>17} {'no-op bit-identical':>20} {'trace cost':>11}")
    for family, settings in FAMILIES.items():
        module = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **settings))
        report = check_access(Model(module.eval().requires_grad_(False), name=family))
        identical = "yes" if report.no_op_bit_identical else "no"
        print(f"{family:12} {report.logit_difference:17.1e} {identical:>20} {report.trace_cost:11.3f}")


if __name__ == "__main__":
    main()
