"""Small models get one thread, and whatever happens the number of threads is afterwards what it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from heldout.execution.threads import SMALL, one_thread_if_small


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("n_parameters", "threads"), [(0, 1), (SMALL - 1, 1), (SMALL, 2)])
def test_only_small_models_get_one_thread(n_parameters: int, threads: int) -> None:
    with one_thread_if_small(n_parameters):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_threads_come_back_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="stop"), one_thread_if_small(1):
        raise RuntimeError("stop")
    assert torch.get_num_threads() == 2
