"""Reads and edits attention patterns inside transformers' own attention.

Fused attention kernels never build the pattern, so for one pass the model is told to use its eager attention, and that
function is wrapped through transformers' attention interface. Both are put back afterwards. The interface belongs to
the whole process, so passes with patterns take turns.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ONE_AT_A_TIME = threading.RLock()


@contextmanager
def attention_patterns(
    module: nn.Module, actions: Mapping[nn.Module, Callable[[Tensor], Tensor]], *, recompute: bool = False
) -> Generator[None]:
    """Inside, `actions[attention]` is called with that attention module's pattern (batch × head × query × key); where
    it returns another tensor, or with `recompute`, the weighted values are computed again from what it returns."""

    def attend(
        attention: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **settings: Any
    ) -> tuple[Tensor, Tensor]:
        eager = sys.modules[type(attention).__module__].eager_attention_forward
        z_bphd, pattern_bhqk = eager(attention, query, key, value, mask, **settings)
        act = actions.get(attention)
        if act is None:
            return z_bphd, pattern_bhqk
        acted_bhqk = act(pattern_bhqk)
        if acted_bhqk is pattern_bhqk and not recompute:
            return z_bphd, pattern_bhqk
        groups = acted_bhqk.shape[1] // value.shape[1]
        value_bhkd = value if groups == 1 else value.repeat_interleave(groups, dim=1)
        return (acted_bhqk @ value_bhkd).transpose(1, 2).contiguous(), acted_bhqk

    config: Any = module.config
    with ONE_AT_A_TIME:
        implementation, outer = config._attn_implementation, ALL_ATTENTION_FUNCTIONS.get("eager")
        config._attn_implementation = "eager"
        ALL_ATTENTION_FUNCTIONS["eager"] = attend
        try:
            yield
        finally:
            config._attn_implementation = implementation
            if outer is None:
                del ALL_ATTENTION_FUNCTIONS["eager"]
            else:
                ALL_ATTENTION_FUNCTIONS["eager"] = outer
