"""What is tested was not fitted: no template, noun, verb or document is in two parts, and pairs differ in one thing."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from heldout.errors import InputError
from heldout.studies.crispness import TextSet, english, read_text_set
from heldout.studies.crispness.exchange import least_p_value
from heldout.studies.crispness.grammar import GRAMMAR
from heldout.studies.crispness.texts import shared_out
from heldout.studies.crispness.words import FIT, SELECT, TEST


@pytest.fixture(scope="module")
def texts() -> TextSet:
    return english(seed=3, share=0.25)


def test_there_are_seven_latents_with_enough_balanced_texts(texts: TextSet) -> None:
    assert texts.latents == (*GRAMMAR, "topic", "code")
    texts.checked("a test")
    for latent in texts.latents:
        for part in ("fit", "select", "test"):
            counts = Counter(text.value for text in texts.of(latent, part))
            assert len(counts) == 2
            assert len(set(counts.values())) == 1, (latent, part)


def test_no_group_is_in_two_parts(texts: TextSet) -> None:
    for latent in texts.latents:
        parts = defaultdict(set)
        for text in texts.of(latent):
            parts[text.group].add(text.part)
        assert all(len(found) == 1 for found in parts.values()), latent


def test_words_of_the_test_part_are_fitted_nowhere() -> None:
    for kind in ("nouns", "objects", "templates", "verbs"):
        tested = set(getattr(TEST, kind))
        assert not tested & (set(getattr(FIT, kind)) | set(getattr(SELECT, kind))), kind
    forms = {form for verb in TEST.verbs for form in (verb.base, verb.third, verb.past)}
    assert not forms & {form for verb in FIT.verbs for form in (verb.base, verb.third, verb.past)}


def test_sentences_of_a_pair_differ_in_the_latent_alone(texts: TextSet) -> None:
    for latent in GRAMMAR:
        pairs = defaultdict(list)
        for text in texts.of(latent):
            pairs[text.pair].append(text)
        for first, second in pairs.values():
            assert first.value != second.value
            assert (first.group, first.part, first.word) == (second.group, second.part, second.word)
            different = set(first.text.split()) ^ set(second.text.split())
            assert len(different) <= 3, (first.text, second.text)


def test_a_question_has_the_words_of_its_statement(texts: TextSet) -> None:
    """So that only their order tells them apart."""
    pairs = defaultdict(list)
    for text in texts.of("question"):
        pairs[text.pair].append(text.text)
    for first, second in pairs.values():
        assert sorted(first.split()) == sorted(second.split())
        assert first != second


def test_code_and_prose_are_real_passages(texts: TextSet) -> None:
    code = [text.text for text in texts.of("code") if text.value == "code"]
    prose = [text.text for text in texts.of("code") if text.value == "prose"]
    marks = set("=()[]._")
    assert sum(bool(marks & set(text)) for text in code) > 0.95 * len(code)
    assert all(len(text.split()) <= 16 for text in (*code, *prose))


def test_the_same_seed_gives_the_same_texts() -> None:
    assert english(2, 0.3).digest == english(2, 0.3).digest != english(4, 0.3).digest


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_a_file_of_texts_is_read(tmp_path: Path) -> None:
    rows: list[object] = [
        {"text": f"it {'rained' if i % 2 else 'rains'} {i}", "latents": {"tense": i % 2}, "group": f"g{i // 4}"}
        for i in range(160)
    ]
    found = read_text_set("a test", write(tmp_path / "texts.jsonl", rows))
    assert found.latents == ("tense",)
    assert {text.value for text in found.texts} == {"0", "1"}
    groups = defaultdict(set)
    for text in found.texts:
        groups[text.group].add(text.part)
    assert all(len(parts) == 1 for parts in groups.values())
    assert Counter(shared_out(10)) == {"fit": 5, "select": 2, "test": 3}


def test_every_bad_line_and_every_small_latent_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "texts.jsonl", ["not json", {"text": "fine", "latents": {}}, {"latents": {"a": 1}}])
    with pytest.raises(InputError) as caught:
        read_text_set("a test", path)
    assert "line 1 of texts.jsonl: 'not json'" in str(caught.value)
    assert "line 3 of texts.jsonl" in str(caught.value)
    few = write(tmp_path / "few.jsonl", [{"text": f"t {i}", "latents": {"a": i % 2}} for i in range(10)])
    with pytest.raises(InputError, match="a: 5 texts with 1 values to fit"):
        read_text_set("a test", few)
    with pytest.raises(InputError, match=r"nothing\.jsonl cannot be read"):
        read_text_set("a test", tmp_path / "nothing.jsonl")


@pytest.mark.parametrize(
    ("kind", "named"), [("group", {"group": "rain"}), ("pair", {"pair": "rain"}), ("text", {"text": "it rained again"})]
)
def test_what_is_in_two_parts_is_refused(tmp_path: Path, kind: str, named: dict[str, str]) -> None:
    """A template whose texts are fitted and tested would be learnt by heart."""
    rows: list[object] = [
        {"text": f"it {'rained' if i % 2 else 'rains'} {i}", "latents": {"tense": i % 2}, "part": part}
        for i, part in enumerate(["fit"] * 30 + ["select"] * 10 + ["test"] * 20)
    ]
    read_text_set("a test", write(tmp_path / "good.jsonl", rows))
    torn: list[object] = [
        {"text": f"more {part}", "latents": {"tense": 1}, "part": part, "group": part, **named}
        for part in ("fit", "test")
    ]
    with pytest.raises(InputError) as caught:
        read_text_set("a test", write(tmp_path / "torn.jsonl", [*rows, *torn]))
    (name,) = named.values()
    assert f"tense: the {kind} {name!r} is in the parts fit and test" in str(caught.value)
    assert "what is fitted leaks into the test" in str(caught.value)


def test_modules_have_a_share_of_the_passages_each() -> None:
    """So that a topic is not one long module, and enough modules are tested for exchanges of them."""
    for latent in ("topic", "code"):
        passages = english(1).of(latent, "test")
        groups = [text.group for text in passages]
        assert max(Counter(groups).values()) <= len(groups) / 5
        assert 7 * least_p_value(np.array([text.value for text in passages]), groups) <= 0.05


def test_an_unknown_latent_is_named() -> None:
    with pytest.raises(InputError, match="the latents colour"):
        english(0, 0.2).only(["colour"])
