"""Each measure on streams and models whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from heldout.models import Add, Model, Site, Tokens, sentence_vectors
from heldout.studies.crispness.borders import borders
from heldout.studies.crispness.decoding import decode, decode_bag, decoding_nulls, group_interval, selectivity
from heldout.studies.crispness.dimensions import dimensions
from heldout.studies.crispness.pairs import text_pairs
from heldout.studies.crispness.reading import LatentTexts, read_texts, stream_sites
from heldout.studies.crispness.texts import TextSet
from heldout.studies.crispness.using import EditedOutputs, causal_use, contrast_of

SITE = Site("resid_pre", 0)
Planted = Callable[..., LatentTexts]
Wired = Callable[..., Model]


def test_a_planted_latent_is_read_off_and_noise_is_not(planted: Planted) -> None:
    for strength, found in ((6.0, True), (0.0, False)):
        texts = planted(strength)
        decoded, nothing = decode(texts.streams, texts), decode({SITE: planted(0.0, seed=9).streams[SITE]}, texts)
        labels = texts.labels[texts.rows("test")]
        nulls = decoding_nulls(decoded, [nothing], decode_bag(texts), labels, texts.groups("test"), seed=0)
        p_values = [null.p_value or 0.0 for null in nulls]
        assert (decoded.accuracy > 0.95) == found
        assert (max(p_values) <= 0.05) == found
        assert abs(nulls[0].mean - 0.5) < 0.05


def test_the_site_is_chosen_without_the_test_texts(planted: Planted) -> None:
    texts, noise = planted(), planted(0.0, seed=5).streams[SITE]
    streams = {SITE: noise, Site("resid_post", 0): texts.streams[SITE], Site("resid_post", 1): texts.streams[SITE]}
    decoded = decode(streams, texts)
    assert decoded.site == decoded.first_site == Site("resid_post", 0)
    test = texts.rows("test")
    spoiled = {site: values.copy() for site, values in streams.items()}
    spoiled[Site("resid_post", 0)][test] = 0.0
    assert decode(spoiled, texts).site == decoded.site, "what test texts say does not choose"


def test_one_direction_is_one_and_many_are_many(planted: Planted) -> None:
    one = dimensions(planted(6.0, copies=1).streams[SITE], planted(6.0, copies=1), seed=0)
    assert (one.rank, one.spread) == (1, 1)
    assert one.random_rank is not None
    assert one.random_rank >= 8
    texts = planted(3.0, copies=12)
    many = dimensions(texts.streams[SITE], texts, seed=0)
    assert many.rank == 1, "they all say the same, so that one sum of them suffices"
    with_groups = len(set(texts.groups("test")))
    assert with_groups == 12, "enough for exchanges of groups to tell"
    nothing = dimensions(planted(0.0).streams[SITE], planted(0.0), seed=0)
    assert (nothing.rank, nothing.spread) == (None, 0)


def test_two_independent_bits_of_a_latent_with_four_values_need_three_directions_at_most(planted: Planted) -> None:
    texts = planted(0.0)
    generator = np.random.default_rng(3)
    bits = generator.integers(0, 2, (len(texts.texts), 2))
    streams = texts.streams[SITE].copy()
    streams[:, :2] += 8.0 * bits
    labelled = replace(
        texts,
        texts=tuple(replace(text, value=str(pair)) for text, pair in zip(texts.texts, bits.tolist(), strict=True)),
    )
    found = dimensions(streams, labelled, seed=0)
    assert found.free == 3
    assert found.rank == 3
    assert found.accuracy > 0.95


def test_control_tasks_tell_a_latent_from_words_learnt_by_heart(planted: Planted) -> None:
    latent = planted()
    assert selectivity(latent.streams[SITE], latent, seed=0).value == pytest.approx(0.5, abs=0.15)
    words = sorted({text.word for text in latent.texts})
    by_heart = np.eye(len(words))[[words.index(text.word) for text in latent.texts]]
    value = {word: "up" if place % 2 else "down" for place, word in enumerate(words)}
    labelled = replace(latent, texts=tuple(replace(text, value=value[text.word]) for text in latent.texts))
    lexical = selectivity(by_heart, labelled, seed=0)
    assert lexical.task == 1.0
    assert lexical.value == 0.0


def test_intervals_over_groups_are_as_wide_as_groups_differ() -> None:
    values = np.repeat([1.0, 0.0, 1.0, 0.0], 50)
    groups = [f"g{i // 50}" for i in range(200)]
    low, high = group_interval(values, groups, seed=0)
    assert high - low > 0.7, "four templates, however many texts they have"
    low, high = group_interval(values, [f"t{i}" for i in range(200)], seed=0)
    assert high - low < 0.2


def test_pairs_differ_or_agree_and_are_minimal_where_they_can_be(encoder: Model, sentences: TextSet) -> None:
    for latent, minimal in (("colour", True), ("luck", False)):
        texts = read_texts(encoder, sentences.of(latent), [SITE])
        pairs = text_pairs(texts, 12, seed=0)
        labels, test = texts.labels, set(texts.rows("test").tolist())
        assert pairs.minimal == minimal
        assert (labels[pairs.first] != labels[pairs.differ]).all()
        assert (labels[pairs.first] == labels[pairs.agree]).all()
        assert {*pairs.first.tolist(), *pairs.differ.tolist(), *pairs.agree.tolist()} <= test
        assert all(texts.texts[a].text != texts.texts[b].text for a, b in zip(pairs.first, pairs.agree, strict=True))
        assert pairs.groups == tuple(texts.texts[row].group for row in pairs.first)
        if minimal:
            couples = zip(pairs.first, pairs.differ, strict=True)
            assert all(texts.texts[a].pair == texts.texts[b].pair for a, b in couples)


def test_pairs_are_spread_over_the_groups(planted: Planted) -> None:
    texts = planted()
    groups = set(texts.groups("test"))
    assert set(text_pairs(texts, len(groups), seed=0).groups) == groups
    counts = Counter(text_pairs(texts, 2 * len(groups), seed=0).groups)
    assert set(counts.values()) == {2}


def test_edited_outputs_are_those_of_the_whole_model_with_the_edit(encoder: Model, sentences: TextSet) -> None:
    rows = sentences.of("colour")[:5]
    tokens = encoder.tokenize([*(text.text for text in rows), "red was"])
    moves = torch.randn(3, len(tokens), encoder.d_model, generator=torch.Generator().manual_seed(0))
    for site in stream_sites(encoder):
        found = EditedOutputs(encoder, tokens, site)(moves.double())
        for copy, move in enumerate(moves):
            with encoder.intervene(Add(site, move[:, None])):
                assert_close(found[copy], sentence_vectors(encoder, tokens).double(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("used", [True, False])
def test_what_the_model_does_not_read_is_decoded_and_not_used(planted: Planted, wired: Wired, used: bool) -> None:
    """The colour is the last token; it stands in the stream in both models, and only one of them reads it."""
    model, texts = wired(used=used), planted()
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(3, 30, (len(texts.texts), 4), generator=generator)
    ids[:, -1] = torch.tensor([1 if label == "up" else 2 for label in texts.labels])
    module: Any = model.module
    module.embed.weight.data[1, 1:] = module.embed.weight.data[2, 1:]
    tokens, site = Tokens.from_ids(ids), Site("resid_post", 0)
    stream = model.trace(tokens, [site], positions=-1, logits=False)[site][:, 0].double().numpy()
    texts = replace(texts, tokens=tokens, streams={site: stream})
    assert decode(texts.streams, texts).accuracy == 1.0
    found = causal_use(model, site, texts, text_pairs(texts, 16, 0), seed=0, draws=140)
    for contrast in (found.flip, found.removal):
        assert len(contrast.draws) == 140
        assert contrast.least_p_value * 7 <= 0.05, "seven latents could be corrected for"
        if used:
            assert contrast.p_value == contrast.least_p_value, (
                "no random direction does as much, and no group disagrees"
            )
            assert contrast.p_value <= 0.05
            assert contrast.value > 0.1
        else:  # class means of few texts differ a little in what is read, too
            assert abs(contrast.value) < 0.05
            assert contrast.p_value > 0.05
    if used:
        assert found.flip.differ > 0 > found.flip.agree


def test_what_one_group_does_is_no_use(planted: Planted) -> None:
    """The contrast of a move that is larger than all random ones, yet comes from one template of twelve."""
    texts = planted()
    groups = text_pairs(texts, 12, seed=0).groups
    changed = np.zeros((2, 71, 12))
    changed[0, 0, 0] = 1.0
    contrast = contrast_of(changed, groups, gap=1.0, seed=0)
    directions, signs = contrast.nulls
    assert directions.p_value == 1 / 141
    assert contrast.p_value == signs.p_value == 0.5
    changed[0, 0] = 1.0
    assert contrast_of(changed, groups, gap=1.0, seed=0).p_value == 1 / 141


def test_the_opposite_of_a_move_has_the_opposite_contrast(encoder: Model, sentences: TextSet) -> None:
    """So that each random direction counts as two draws."""
    texts = read_texts(encoder, sentences.of("colour"), [SITE])
    pairs = text_pairs(texts, 12, seed=0)
    draws = causal_use(encoder, SITE, texts, pairs, seed=0, draws=20).flip.draws
    assert_close(np.array(draws[:10]), -np.array(draws[10:]))
    assert min(abs(draw) for draw in draws) > 0


def test_borders_between_texts_are_those_of_an_mlp_that_tells_them_apart(planted: Planted, wired: Wired) -> None:
    """Neurons that all turn on between the two colours, and none within one."""
    model, texts = wired(used=True), planted()
    module: Any = model.module
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(3, 30, (len(texts.texts), 4), generator=generator)
    ids[:, -1] = torch.tensor([1 if label == "up" else 2 for label in texts.labels])
    weights = module.layers[0].mlp.input.weight
    pairs = text_pairs(replace(texts, tokens=Tokens.from_ids(ids)), 24, 0)
    before = borders(model, 0, replace(texts, tokens=Tokens.from_ids(ids)), pairs, seed=0)
    weights.data.zero_()
    weights.data[:, 0] = 1.0
    after = borders(model, 0, replace(texts, tokens=Tokens.from_ids(ids)), pairs, seed=0)
    assert after.ratio > 100 > before.ratio
    assert after.p_value == 2 * 2.0 ** -len(set(pairs.groups))
    assert after.pairs == len(pairs.first)
    assert after.exact
