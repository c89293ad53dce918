"""Reproducible randomness: every random choice has a name, and its seed is derived from that name."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def derived_seed(seed: int, *names: object) -> int:
    """A 63-bit seed for the purpose that `names` spell out, independent of other purposes under the same `seed`."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: object) -> np.random.Generator:
    return np.random.default_rng(derived_seed(seed, *names))


def torch_generator(seed: int, *names: object, device: str | torch.device = "cpu") -> torch.Generator:
    return torch.Generator(device=device).manual_seed(derived_seed(seed, *names))
