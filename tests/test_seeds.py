"""Every random choice has a name: the same name gives the same draws, another name gives others."""

from __future__ import annotations

import numpy as np
import torch

from heldout.seeds import derived_seed, numpy_generator, torch_generator


def test_a_seed_depends_on_the_number_and_on_every_name() -> None:
    purposes = [(0,), (1,), (0, "a"), (1, "a"), (0, "b"), (0, "a", "b"), (0, "b", "a"), (0, "a", 1), (0, "a", 2)]
    seeds = [derived_seed(*purpose) for purpose in purposes]
    assert len(set(seeds)) == len(purposes)
    assert seeds == [derived_seed(*purpose) for purpose in purposes]


def test_seeds_fit_every_generator() -> None:
    seeds = [derived_seed(number, "any purpose") for number in range(1000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == len(seeds)
    assert 0.4 < np.mean([seed % 2 for seed in seeds]) < 0.6


def test_generators_repeat_by_name_and_leave_the_global_state_alone() -> None:
    state, torch_state = np.random.get_state()[1].tolist(), torch.get_rng_state()
    one, other = (numpy_generator(3, "draws").normal(size=5) for _ in range(2))
    assert (one == other).all()
    assert (one != numpy_generator(3, "other draws").normal(size=5)).all()
    first, second = (torch.randn(5, generator=torch_generator(3, "draws")) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.randn(5, generator=torch_generator(4, "draws")))
    assert np.random.get_state()[1].tolist() == state
    assert torch.equal(torch.get_rng_state(), torch_state)
