"""Restricted and excluded loss of any subspace of any model: theorems, and a model that is cut by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from heldout.errors import InputError
from heldout.models import MeanAblate, Model, Site, Tokens
from heldout.models.architectures.plain import PLAIN
from heldout.models.dimensions import Dimensions
from heldout.models.plain_transformer import PlainConfig, PlainTransformer
from heldout.studies.grokking import (
    Subspace,
    excluded_loss,
    full_loss,
    mean_activation,
    restricted_loss,
    subspace_losses,
)
from heldout.techniques.path_length import Labelled

PADDED = Tokens.from_ids([[5, 9, 4, 7], [8, 3], [6, 11, 2], [4, 4, 9, 10]])
WHOLE = Tokens.from_ids([[5, 9, 4, 7], [8, 3, 12, 6], [6, 11, 2, 3], [4, 4, 9, 10]])
TARGETS = torch.tensor([[4], [12], [7], [9]])
PLACES = [
    (Site("resid_post", 1), -1),
    (Site("resid_pre", 0), None),
    (Site("mlp_out", 1), (-2, -1)),
    (Site("z", 0, 2), -1),
]


def drawn(rank: int, width: int, seed: int = 0) -> Tensor:
    rows = torch.randn(width, rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(rows)[0].T.float()


def width_of(model: Model, site: Site) -> int:
    return model.d_head if site.name == "z" else model.d_model


def skip_without(model: Model, site: Site) -> None:
    if site.name in model.missing_sites:
        pytest.skip(f"{model.name} has no {site.name}: {model.missing_sites[site.name]}")


@pytest.mark.parametrize(("site", "positions"), PLACES, ids=str)
def test_the_whole_space_keeps_everything_and_leaves_the_mean(model: Model, site: Site, positions: Any) -> None:
    skip_without(model, site)
    data = Labelled(WHOLE, TARGETS)
    subspace = Subspace(site, torch.eye(width_of(model, site)), positions)
    mean = mean_activation(model, WHOLE, subspace)
    torch.testing.assert_close(
        restricted_loss(model, data, subspace, mean), full_loss(model, data), rtol=1e-4, atol=1e-4
    )
    with model.intervene(MeanAblate(site, mean.float(), positions=positions)):
        ablated = full_loss(model, data)
    torch.testing.assert_close(excluded_loss(model, data, subspace, mean), ablated, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(ablated, full_loss(model, data), atol=1e-3), "the site matters"


@pytest.mark.parametrize(("site", "positions"), PLACES, ids=str)
def test_keeping_a_subspace_is_leaving_out_its_complement(model: Model, site: Site, positions: Any) -> None:
    skip_without(model, site)
    data, width = Labelled(WHOLE, TARGETS), width_of(model, site)
    space = drawn(width, width)
    one, other = (Subspace(site, rows, positions) for rows in (space[:3], space[3:]))
    mean = mean_activation(model, WHOLE, one)
    kept = restricted_loss(model, data, one, mean)
    torch.testing.assert_close(kept, excluded_loss(model, data, other, mean), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(kept, full_loss(model, data), atol=1e-3)


def test_against_the_last_stream_cut_by_hand(model: Model) -> None:
    """Of a stream after the last layer nothing but the unembedding follows."""
    site, data = Site("resid_post", model.n_layers - 1), Labelled(WHOLE, TARGETS)
    basis = drawn(4, model.d_model)
    subspace = Subspace(site, basis, -1)
    stream = model.trace(WHOLE, [site], positions=-1)[site][:, 0]
    inside = (stream - stream.mean(dim=0)) @ basis.T @ basis
    mean = mean_activation(model, WHOLE, subspace)
    torch.testing.assert_close(mean[0], stream.double().mean(dim=0), rtol=1e-4, atol=1e-4)
    for loss, cut in (
        (restricted_loss(model, data, subspace, mean), stream.mean(dim=0) + inside),
        (excluded_loss(model, data, subspace, mean), stream - inside),
    ):
        logits = model.unembed(cut).double()
        expected = torch.nn.functional.cross_entropy(logits, TARGETS[:, 0], reduction="none")
        torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-3)


def test_padding_has_no_part_in_the_mean(model: Model) -> None:
    site = Site("resid_pre", 0)
    mean = mean_activation(model, PADDED, Subspace(site, drawn(2, model.d_model)))
    activation = model.trace(PADDED, [site])[site].double()
    for position in range(PADDED.length):
        real = PADDED.mask[:, position].bool()
        torch.testing.assert_close(mean[position], activation[real, position].mean(dim=0))


def test_losses_are_those_of_the_answers(model: Model) -> None:
    """Several targets a prompt, some not read, among some answers only."""
    targets = torch.tensor([[4, 9], [12, 4], [9, 4], [9, 12]])
    counted = torch.tensor([[True, True], [False, True], [True, True], [True, True]])
    answers = torch.tensor([4, 9, 12])
    data = Labelled(WHOLE, targets, (-2, -1), counted, answers)
    logits = model.logits(WHOLE, last=2).double()[..., answers].log_softmax(dim=-1)
    places = (targets.unsqueeze(-1) == answers).long().argmax(dim=-1, keepdim=True)
    expected = -logits.gather(-1, places).squeeze(-1)[counted]
    torch.testing.assert_close(full_loss(model, data), expected, rtol=1e-4, atol=1e-4)


def test_directions_need_not_be_independent() -> None:
    rows = drawn(2, 8)
    directions = torch.stack([rows[0], 3 * rows[1], rows[0] + rows[1], torch.zeros(8)])
    subspace = Subspace.spanned_by(Site("resid_post", 0), directions, -1)
    assert subspace.rank == 2
    torch.testing.assert_close(subspace.basis.T @ subspace.basis, rows.T @ rows)
    with pytest.raises(InputError, match="no direction that is not zero"):
        Subspace.spanned_by(Site("resid_post", 0), torch.zeros(3, 8))


def test_random_subspaces_are_alike_in_all_but_direction() -> None:
    subspace = Subspace(Site("resid_post", 0), drawn(3, 8), -1)
    first, again, second = subspace.random(0, 0), subspace.random(0, 0), subspace.random(0, 1)
    assert torch.equal(first.basis, again.basis)
    assert not torch.allclose(first.basis, second.basis)
    torch.testing.assert_close(second.basis @ second.basis.T, torch.eye(3))
    assert (second.site, second.positions) == (subspace.site, -1)


def naming_model() -> Model:
    """The stream's first eight dimensions name the last token, and the logits read these alone; the other 24 hold what
    is different for every token, and does nothing."""
    size = Dimensions(1, 1, 1, 32, 32, 4, 8, 4)
    module = PlainTransformer(PlainConfig(size))
    for parameter in module.parameters():
        parameter.data.zero_()
    module.embed.weight.data[:, :8] = 3 * torch.eye(8)
    module.embed.weight.data[:, 8:] = torch.randn(8, 24, generator=torch.Generator().manual_seed(0))
    module.unembed.weight.data[:, :8] = 3 * torch.eye(8)
    return Model(module.eval().requires_grad_(False), name="names the last token", architecture=PLAIN)


def test_a_subspace_that_holds_the_answer_beats_random_ones() -> None:
    last = torch.arange(8)
    data = Labelled(Tokens.from_ids(torch.stack([last.roll(1), last], dim=1)), last[:, None])
    found = subspace_losses(naming_model(), data, Subspace(Site("resid_post", 0), torch.eye(8, 32), -1))
    assert found.rank == 8
    assert found.restricted == pytest.approx(found.full)
    assert found.excluded == pytest.approx(math.log(8))
    assert found.suffices_p_value == found.necessary_p_value == 1 / 20
    assert len(found.random_restricted) == len(found.random_excluded) == 19


def test_a_subspace_that_holds_nothing_does_not() -> None:
    last = torch.arange(8)
    data = Labelled(Tokens.from_ids(torch.stack([last.roll(1), last], dim=1)), last[:, None])
    idle = Subspace(Site("resid_post", 0), torch.eye(32)[8:16], -1)
    found = subspace_losses(naming_model(), data, idle)
    assert found.excluded == pytest.approx(found.full)
    assert found.restricted == pytest.approx(math.log(8))
    assert found.suffices_p_value == found.necessary_p_value == 1.0


def test_a_basis_that_does_not_fit_is_refused(model: Model) -> None:
    data = Labelled(WHOLE, TARGETS)
    crooked = Subspace(Site("resid_post", 0), torch.ones(2, model.d_model), -1)
    with pytest.raises(InputError, match="basis rows that are not orthonormal"):
        subspace_losses(model, data, crooked)
    narrow = Subspace(Site("resid_post", 0), torch.eye(2, 5), -1)
    with pytest.raises(InputError, match=r"basis of shape \(2, 5\)"):
        subspace_losses(model, data, narrow)
