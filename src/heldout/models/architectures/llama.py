"""Llama and the families with its skeleton: norm, attention, add; norm, gated MLP, add."""

from heldout.models.architectures.architecture import Architecture

LLAMA = Architecture(family="Llama", model_type="llama")
MISTRAL = Architecture(family="Mistral", model_type="mistral")
QWEN2 = Architecture(family="Qwen2", model_type="qwen2")
QWEN3 = Architecture(family="Qwen3", model_type="qwen3")
