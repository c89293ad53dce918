"""The families that heldout can open: causal ones by the `model_type` of their config, encoders by their class."""

from heldout.models.architectures.architecture import Architecture, Fused, Separate
from heldout.models.architectures.bert import ENCODERS
from heldout.models.architectures.gpt2 import GPT2
from heldout.models.architectures.gpt_neox import GPT_NEOX
from heldout.models.architectures.llama import LLAMA, MISTRAL, QWEN2, QWEN3
from heldout.models.architectures.mixture_of_experts import MIXTRAL, QWEN3_MOE
from heldout.models.architectures.phi3 import PHI3
from heldout.models.architectures.post_norm import GEMMA2, GEMMA3, OLMO2

ARCHITECTURES: dict[str, Architecture] = {
    architecture.model_type: architecture
    for architecture in (
        GPT2,
        GPT_NEOX,
        LLAMA,
        MISTRAL,
        QWEN2,
        QWEN3,
        GEMMA2,
        GEMMA3,
        PHI3,
        OLMO2,
        MIXTRAL,
        QWEN3_MOE,
    )
}

__all__ = ["ARCHITECTURES", "ENCODERS", "Architecture", "Fused", "Separate"]
