"""The mean difference: what it takes out it can put back, and how it was gathered makes no difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from heldout.data import ContrastPairs
from heldout.models import Model, Site, Tokens
from heldout.techniques import MeanDifference, MeanDifferenceFitter

SITE, WIDTH = Site("resid_post", 1), 6
LENGTHS = {True: (5, 3, 5, 1), False: (4, 2, 4)}
Batch = tuple[Tensor, Tokens]


def batch(lengths: Sequence[int], seed: int) -> Batch:
    """Activations of prompts of these lengths, with junk where there is padding."""
    tokens = Tokens.from_ids([[1] * n for n in lengths])
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(tokens), tokens.length, WIDTH, generator=generator), tokens


GROUPS: dict[bool, Batch] = {first: batch(lengths, seed=int(first)) for first, lengths in LENGTHS.items()}


def fit(batches: dict[bool, list[Batch]], site: Site = SITE) -> MeanDifference:
    fitter = MeanDifferenceFitter(site)
    for first, each in batches.items():
        for activations, tokens in each:
            fitter.update(activations, tokens, first=first)
    return fitter.fitted()


def whole() -> MeanDifference:
    return fit({first: [group] for first, group in GROUPS.items()})


def test_it_is_the_difference_of_the_means_at_positions_from_the_end() -> None:
    difference = whole()
    assert difference.vector.shape == (4, WIDTH)
    for place in range(1, 5):
        means = []
        for first, (activations, _) in GROUPS.items():
            rows = [row for row, n in zip(activations, LENGTHS[first], strict=True) if n >= place]
            means.append(torch.stack([row[-place] for row in rows]).mean(dim=0))
        torch.testing.assert_close(difference.vector[-place], means[0] - means[1])
    assert difference.norm == pytest.approx(float(difference.vector.square().sum() ** 0.5))


def test_batch_by_batch_is_the_same_as_all_at_once() -> None:
    """Batches of other lengths among them: each is padded to its own longest prompt only."""
    parts: dict[bool, list[Batch]] = {}
    for first, (activations, tokens) in GROUPS.items():
        rows = [([row], tokens[[row]].trimmed()) for row in range(len(tokens))]
        parts[first] = [(activations[row][:, -alone.length :], alone) for row, alone in rows]
    torch.testing.assert_close(fit(parts).vector, whole().vector)
    backwards = {first: each[::-1] for first, each in reversed(parts.items())}
    torch.testing.assert_close(fit(backwards).vector, whole().vector)


def test_what_stands_at_padding_does_not_count() -> None:
    junk = {
        first: [(torch.where(tokens.mask.bool()[..., None], activations, 1e6), tokens)]
        for first, (activations, tokens) in GROUPS.items()
    }
    assert torch.equal(fit(junk).vector, whole().vector)


def test_exchanging_the_groups_turns_the_difference_round() -> None:
    turned = fit({not first: [group] for first, group in GROUPS.items()})
    assert torch.equal(turned.vector, -whole().vector)


def test_means_are_kept_in_float32_whatever_the_model_computes_in() -> None:
    """Two groups far from the origin that differ by less than bfloat16 can tell apart there, once summed."""
    generator = torch.Generator().manual_seed(5)
    tokens = Tokens.from_ids([[1]] * 300)
    groups = {first: torch.randn(300, 1, WIDTH, generator=generator) + 40 + first for first in (True, False)}
    rounded = {first: group.bfloat16() for first, group in groups.items()}
    found = fit({first: [(group, tokens)] for first, group in rounded.items()})
    exact = fit({first: [(group.float(), tokens)] for first, group in rounded.items()})
    torch.testing.assert_close(found.vector.float(), exact.vector, rtol=1e-3, atol=1e-3)


def test_a_removal_fits_prompts_of_any_length() -> None:
    difference = whole()
    assert torch.equal(difference.injection(4).vector, difference.vector)
    assert torch.equal(difference.injection(2).vector, difference.vector[-2:])
    longer = difference.injection(7).vector
    assert torch.equal(longer[-4:], difference.vector)
    assert not longer[:-4].any()
    for length in (2, 4, 7):
        assert torch.equal(difference.removal(length).vector, -difference.injection(length).vector)
        assert difference.removal(length).site == SITE


def test_random_counterparts_have_the_norm_of_the_difference_at_each_position() -> None:
    difference = whole()
    counterparts = [difference.random_like(0, index) for index in range(50)]
    for each in counterparts:
        torch.testing.assert_close(each.vector.norm(dim=-1), difference.vector.norm(dim=-1))
        assert each.site == difference.site
    unit = torch.stack([each.vector / each.vector.norm(dim=-1, keepdim=True) for each in counterparts])
    # Uniform directions cancel: the mean of 50 has a norm of about 1/√50.
    assert (unit.mean(dim=0).norm(dim=-1) < 3 / 50**0.5).all()


def test_random_counterparts_differ_by_index_seed_and_site_and_by_nothing_else() -> None:
    difference = whole()
    elsewhere = MeanDifference(Site("resid_post", 2), difference.vector)
    one = difference.random_like(0, 0)
    assert torch.equal(one.vector, difference.random_like(0, 0).vector)
    for other in (difference.random_like(0, 1), difference.random_like(1, 0), elsewhere.random_like(0, 0)):
        assert (one.vector != other.vector).any(dim=-1).all()


@pytest.fixture
def groups(
    organism: Callable[[str], Model], pairs: Callable[[str, int], ContrastPairs]
) -> tuple[Model, dict[bool, Tokens]]:
    """A deceptive organism, and the same questions under the unchecked cue (first) and the checked one."""
    model, both = organism("quirky_arithmetic-s2"), pairs("quirky_arithmetic-s2", 60)
    return model, {
        True: model.tokenize([sample.input for sample in both.second]),
        False: model.tokenize([sample.input for sample in both.first]),
    }


def difference_at(model: Model, tokens: dict[bool, Tokens], site: Site) -> MeanDifference:
    return fit({first: [(model.trace(each, [site])[site], each)] for first, each in tokens.items()}, site)


@pytest.mark.parametrize("site", [Site("resid_pre", 0), Site("resid_mid", 1), Site("resid_post", 1)], ids=str)
def test_removing_the_difference_leaves_groups_of_equal_means(
    groups: tuple[Model, dict[bool, Tokens]], site: Site
) -> None:
    model, tokens = groups
    difference = difference_at(model, tokens, site)
    assert difference.norm > 1.0
    with model.intervene(difference.removal(tokens[True].length)):
        removed = model.trace(tokens[True], [site])[site]
    kept = model.trace(tokens[False], [site])[site]
    left = fit({True: [(removed, tokens[True])], False: [(kept, tokens[False])]}, site)
    assert left.norm < 1e-4 * difference.norm


def test_removal_then_injection_is_the_identity_up_to_rounding(groups: tuple[Model, dict[bool, Tokens]]) -> None:
    model, tokens = groups
    difference = difference_at(model, tokens, SITE)
    length = tokens[True].length
    plain = model.logits(tokens[True])
    with model.intervene(difference.removal(length)):
        assert (model.logits(tokens[True]) - plain).abs().max() > 1.0
    with model.intervene(difference.removal(length), difference.injection(length)):
        torch.testing.assert_close(model.logits(tokens[True]), plain, rtol=1e-3, atol=1e-3)
