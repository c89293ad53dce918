"""How many threads a piece of work is given: on small tensors, several wait for each other more than they work."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

SMALL = 10_000_000
"""Parameters below which one thread is fastest (measured with `benchmarks/audit_cost.py`)."""


@contextmanager
def one_thread_if_small(n_parameters: int) -> Generator[None]:
    """Inside, torch and the linear algebra libraries use one thread for a small model; afterwards as many as before."""
    if n_parameters >= SMALL:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
