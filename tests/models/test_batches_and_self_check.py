"""Batches cover every row once within their budget; the self-check passes on what works and fails on what does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from heldout.models import Model, Tokens, batch_size, batches, batches_by_length, check_access
from heldout.models.batching import bytes_per_sample


def test_batches_keep_the_order(padded: Tokens) -> None:
    parts = list(batches(padded, 2))
    assert [len(part) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.ids for part in parts]), padded.ids)


def test_batches_by_length_cover_every_row_without_needless_padding(one_model: Model, padded: Tokens) -> None:
    whole, together = one_model.logits(padded), torch.empty(5, 1, one_model.vocabulary_size)
    lengths: list[int] = []
    for rows, part in batches_by_length(padded, 2):
        together[rows] = one_model.logits(part)
        lengths.append(part.length)
    assert lengths == [4, 8, 9]
    torch.testing.assert_close(together, whole, rtol=0, atol=1e-5)


def test_a_batch_follows_the_budget(model: Model) -> None:
    for budget in (1 << 16, 1 << 20, 1 << 24):
        size = batch_size(model, 9, budget)
        assert size == 1 or size * bytes_per_sample(model, 9) <= budget
        assert (size + 1) * bytes_per_sample(model, 9) > budget
    assert batch_size(model, 9, 1) == 1
    assert batch_size(model, 9, 1 << 24, last=9) < batch_size(model, 9, 1 << 24)
    assert batch_size(model, 18, 1 << 24) < batch_size(model, 9, 1 << 24)


def test_access_to_every_family_passes_its_check(model: Model) -> None:
    report = check_access(model, pairs=1)
    assert report.passed, report
    assert report.logit_difference <= 1e-5
    assert report.padding_difference <= 1e-5
    assert report.no_op_bit_identical
    assert report.trace_cost > 0
    assert set(report.supported).isdisjoint(dict(report.unsupported))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_pass(one_model: Model, dtype: torch.dtype) -> None:
    module: Any = one_model.randomly_initialised(0).module.to(dtype)
    report = check_access(Model(module), pairs=1)
    assert report.passed, report
    assert report.logit_difference == 0


def test_a_model_that_does_not_repeat_itself_fails(one_model: Model) -> None:
    """Dropout left on: two passes differ, so a no-op seems to change the logits and traced logits are not the plain
    ones."""
    model = one_model.randomly_initialised(1)
    dropout = torch.nn.Dropout(0.5)
    model.module.get_submodule("model.layers.1.mlp").register_forward_hook(lambda _, __, output: dropout(output))
    report = check_access(model, pairs=1)
    assert not report.passed
    assert report.changed_by_no_op
    assert report.logit_difference > report.tolerance
