"""Which frequencies a model adds with.

Of the amplitudes of cos and sin of 2πk(a + b − c)/p in the logits, a key frequency's is CLEAR times the median and
MATERIAL times the largest. Logits without structure have amplitudes of Rayleigh's distribution, of which 2^(−CLEAR²) are
CLEAR times the median, 1 in 30 million; with so few amplitudes that their median is uncertain, as modulo 53, one model in
2,000 has such a frequency by chance. The largest amplitude is held to the same rule as every other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from heldout.shapes import Float

CLEAR = 5.0
MATERIAL = 0.05


def key_frequencies(cosines: Float[Tensor, " frequency"], sines: Float[Tensor, " frequency"]) -> tuple[int, ...]:
    """The frequencies, the largest amplitude first; none where the logits have no structure.

    >>> key_frequencies(torch.tensor([0.1, 9.0, 0.2, 0.1, 2.0, 0.3]), torch.zeros(6))
    (2, 5)
    """
    amplitudes = torch.hypot(cosines, sines)
    bound = torch.maximum(CLEAR * amplitudes.median(), MATERIAL * amplitudes.max())
    order = amplitudes.argsort(descending=True, stable=True)
    return tuple(int(place) + 1 for place in order if amplitudes[place] > bound)
