"""The names of axes, and the tensor types that public signatures use.

Axes: batch (prompts), position (tokens, left padded), d_model (residual stream), head, d_head, d_mlp, vocabulary,
layer. Inside kernels a suffix names the axes: `resid_bpd` is batch × position × d_model.
"""

from jaxtyping import Bool, Float, Int

__all__ = ["Bool", "Float", "Int"]
