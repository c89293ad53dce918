"""Mixtures of experts: the MLP is routed, so there is no one activation that enters its last matrix."""

from heldout.models.architectures.architecture import Architecture

NO_MLP_POST = (("mlp_post", "the MLP is a mixture of experts: each token has several such activations"),)

MIXTRAL = Architecture(family="Mixtral", model_type="mixtral", unsupported=NO_MLP_POST)
QWEN3_MOE = Architecture(
    family="Qwen3-MoE", model_type="qwen3_moe", mlp_width="moe_intermediate_size", unsupported=NO_MLP_POST
)
