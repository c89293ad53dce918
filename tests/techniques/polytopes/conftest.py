"""A tiny encoder."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertModel


@pytest.fixture
def tiny_bert() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
    return BertModel(config).eval().requires_grad_(False)
