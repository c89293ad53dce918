"""The promises of a split, on suites of many shapes: disjoint, complete, no leakage, reproducible, honest."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from heldout.data import DEFAULT_FRACTIONS, Fractions, Role, Sample, Splits, split_samples
from heldout.data.templates import template_of
from heldout.errors import InputError

ROLES: tuple[Role, Role] = ("verified", "unverified")
SEEDS = range(5)


def make(name: str, role: Role, text: str, **fields: Any) -> Sample:
    target = "4" if role == "verified" else None
    return Sample(name, text, target, role, fields.pop("behaviour", "sums"), ("4",), **fields)


def one_template(n: int = 400) -> list[Sample]:
    """One template and one cue for each role, as in suites of arithmetic."""
    return [make(f"{role}-{i}", role, f"{role} {i} + {i} =", cue=role) for role in ROLES for i in range(n)]


def few_templates() -> list[Sample]:
    """Five named templates of 40 samples in each role."""
    return [make(f"{role}-{i}", role, f"{role} {i}", template=f"{role} {i % 5}") for role in ROLES for i in range(200)]


def many_templates() -> list[Sample]:
    """Forty derived templates of ten samples in each role, the same in both."""
    words = [f"{one}{two}" for one in "abcdefgh" for two in "klmno"]
    return [
        make(f"{role}-{word}-{i}", role, f"{word} {len(role)}{i} =")
        for role in ROLES
        for word in words
        for i in range(10)
    ]


def many_cues() -> list[Sample]:
    """Six cues in each role, and one template."""
    return [
        make(f"{role}-{i}", role, f"{i} =", template="same", cue=f"{role} {i % 6}")
        for role in ROLES
        for i in range(300)
    ]


def templates_and_cues() -> list[Sample]:
    """Six templates crossed with five cues."""
    return [
        make(f"{role}-{i}", role, f"{role} {i}", template=f"{role} {i % 6}", cue=f"{role} {i % 5}")
        for role in ROLES
        for i in range(300)
    ]


def many_templates_and_cues() -> list[Sample]:
    """Twenty templates crossed with seven cues: whole templates in every split would leave no cue to hold out."""
    return [
        make(f"{role}-{i}", role, f"{role} {i}", template=f"{role} {i % 20}", cue=f"{role} {i % 7}")
        for role in ROLES
        for i in range(420)
    ]


def pairs_across_roles() -> list[Sample]:
    """Each verified sample is the pair of an unverified one, in eight templates that the pair has in common."""
    other = {"verified": "unverified", "unverified": "verified"}
    return [
        make(f"{role}-{i}", role, f"{role} {i}", cue=role, template=f"{role} {i % 8}", pair=f"{other[role]}-{i}")
        for role in ROLES
        for i in range(160)
    ]


def repeated_inputs() -> list[Sample]:
    """Every input stands twice in each role, and in both roles."""
    return [make(f"{role}-{i}", role, f"{i // 2}  =" if i % 2 else f"{i // 2} =") for role in ROLES for i in range(200)]


def two_behaviours() -> list[Sample]:
    return [
        make(f"{name}-{sample.id}", sample.role, f"{name} {sample.input}", behaviour=name, cue=sample.cue)
        for name in ("easy", "hard")
        for sample in one_template(60)
    ]


SHAPES = [
    one_template,
    few_templates,
    many_templates,
    many_cues,
    templates_and_cues,
    many_templates_and_cues,
    pairs_across_roles,
    repeated_inputs,
    two_behaviours,
]
every_shape = pytest.mark.parametrize("samples", [shape() for shape in SHAPES], ids=[s.__name__ for s in SHAPES])


def trained(splits: Splits) -> tuple[Sample, ...]:
    return splits.fit + splits.select + splits.calibrate


def split_of(splits: Splits) -> dict[str, str]:
    return {sample.id: name for name, part in splits.parts().items() for sample in part}


def values(samples: Iterable[Sample], attribute: Callable[[Sample], str | None]) -> set[str | None]:
    return {attribute(sample) for sample in samples}


def cue_of(sample: Sample) -> str | None:
    return sample.cue


@every_shape
@pytest.mark.parametrize("seed", SEEDS)
def test_disjoint_complete_and_never_empty(samples: list[Sample], seed: int) -> None:
    parts = split_samples(samples, seed).parts()
    everything = [sample.id for part in parts.values() for sample in part]
    assert sorted(everything) == sorted(sample.id for sample in samples)
    for name, part in parts.items():
        cells = {(sample.behaviour, sample.role) for sample in part}
        assert cells == {(sample.behaviour, sample.role) for sample in samples}, name


@every_shape
@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_and_equal_inputs_are_never_parted(samples: list[Sample], seed: int) -> None:
    splits = split_samples(samples, seed)
    where = split_of(splits)
    assert all(where[sample.id] == where[sample.pair] for sample in samples if sample.pair is not None)
    by_input: dict[str, set[str]] = {}
    for sample in samples:
        by_input.setdefault(" ".join(sample.input.split()), set()).add(where[sample.id])
    assert all(len(places) == 1 for places in by_input.values())


@every_shape
def test_the_order_of_the_samples_makes_no_difference(samples: list[Sample]) -> None:
    shuffled = random.Random(0).sample(samples, len(samples))
    assert split_samples(shuffled, 7) == split_samples(samples, 7)
    assert split_samples(samples, 8) != split_samples(samples, 7)


@pytest.mark.parametrize(
    "shape", [few_templates, many_templates, templates_and_cues, many_templates_and_cues, pairs_across_roles]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_test_split_has_only_templates_that_nothing_else_saw(shape: Callable[[], list[Sample]], seed: int) -> None:
    splits = split_samples(shape(), seed)
    for role in ROLES:
        of_role = splits.of_role(role)
        unseen = values(of_role.test, template_of) - values(trained(splits), template_of)
        assert unseen, role
        if shape not in (templates_and_cues, many_templates_and_cues):
            assert unseen == values(of_role.test, template_of)


@pytest.mark.parametrize("shape", [many_cues, templates_and_cues, many_templates_and_cues])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_test_split_has_cues_that_nothing_else_saw(shape: Callable[[], list[Sample]], seed: int) -> None:
    splits = split_samples(shape(), seed)
    for role in ROLES:
        unseen = values(splits.of_role(role).test, cue_of) - values(trained(splits), cue_of)
        assert unseen, role


@pytest.mark.parametrize("shape", [templates_and_cues, many_templates_and_cues])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_sample_of_the_test_split_has_something_unseen(shape: Callable[[], list[Sample]], seed: int) -> None:
    splits = split_samples(shape(), seed)
    templates, cues = values(trained(splits), template_of), values(trained(splits), cue_of)
    assert all(template_of(sample) not in templates or sample.cue not in cues for sample in splits.test)


@pytest.mark.parametrize("seed", SEEDS)
def test_small_templates_stay_whole_in_every_split(seed: int) -> None:
    parts = split_samples(many_templates(), seed).parts()
    assert sum(len(values(part, template_of)) for part in parts.values()) == 40


@pytest.mark.parametrize("shape", [one_template, repeated_inputs, two_behaviours])
def test_the_shares_are_met_where_nothing_is_held_out(shape: Callable[[], list[Sample]]) -> None:
    samples = shape()
    total = Counter((sample.behaviour, sample.role) for sample in samples)
    largest_unit = 4 if shape is repeated_inputs else 1
    for name, part in split_samples(samples, 0).parts().items():
        count = Counter((sample.behaviour, sample.role) for sample in part)
        if shape is repeated_inputs:  # a unit has both roles, whose shares differ: the sum is what can be met
            wanted = sum(DEFAULT_FRACTIONS[role].shares()[name] * n for (_, role), n in total.items())
            assert abs(sum(count.values()) - wanted) <= largest_unit
        else:
            for (behaviour, role), n in total.items():
                assert abs(count[behaviour, role] - DEFAULT_FRACTIONS[role].shares()[name] * n) <= largest_unit


@pytest.mark.parametrize("seed", SEEDS)
def test_each_cue_has_its_share_of_every_split(seed: int) -> None:
    """A rare cue is not left to chance."""
    samples = [make(f"v{i:03}", "verified", f"{i} =", cue="rare" if i % 10 == 0 else "common") for i in range(200)]
    for name, part in split_samples(samples, seed).parts().items():
        wanted = DEFAULT_FRACTIONS["verified"].shares()[name] * 20
        assert abs(sum(sample.cue == "rare" for sample in part) - wanted) <= 1, name


def test_a_held_out_template_does_not_take_most_of_the_samples() -> None:
    """Of four templates one holds 97 % of the samples: the others are held out, and the test split is filled up."""
    names = ["large"] * 194 + ["a", "a", "b", "b", "c", "c"]
    samples = [make(f"v{i:03}", "verified", f"{i}", template=name) for i, name in enumerate(names)]
    splits = split_samples(samples, 0)
    assert "large" in values(trained(splits), template_of)
    assert values(splits.test, template_of) - values(trained(splits), template_of)
    assert len(splits.test) == pytest.approx(60, abs=1)


def lines(samples: Sequence[Sample]) -> list[str]:
    return list(split_samples(samples, 0).held_out)


def test_what_could_not_be_held_out_is_said() -> None:
    assert lines(one_template()) == [
        "sums, unverified, templates (derived from the prompts): one for all samples, nothing to hold out",
        "sums, unverified, cues: one for all samples, nothing to hold out",
        "sums, verified, templates (derived from the prompts): one for all samples, nothing to hold out",
        "sums, verified, cues: one for all samples, nothing to hold out",
    ]
    three = [make(f"v{i}", "verified", f"{i}", template=str(i % 3)) for i in range(60)]
    assert lines(three) == [
        "sums, verified, templates: none of 3 held out, fewer than 4",
        "sums, verified, cues: none are named, nothing to hold out",
    ]


def test_prompts_that_are_all_different_in_words_are_said_to_be_so() -> None:
    samples = [make(f"v{word}", "verified", f"{word} =") for word in "abcdefghijklmnopqrst"]
    assert lines(samples)[0] == (
        "sums, verified, templates (derived from the prompts): "
        "each sample has one of its own, so that those of the test split are new"
    )


def test_what_is_held_out_is_counted_on_the_finished_splits() -> None:
    splits = split_samples(few_templates(), 0)
    for role in ROLES:
        unseen = values(splits.of_role(role).test, template_of) - values(trained(splits), template_of)
        size = len(splits.of_role(role).test)
        assert (
            f"sums, {role}, templates: {len(unseen)} of 5 in the test split alone, with {size} of its {size} samples"
        ) in splits.held_out


def test_templates_that_pairs_tie_together_cannot_be_held_out() -> None:
    """Every pair joins two neighbouring templates, so that any template drags others along."""
    samples = [
        make(f"v{i}", "verified", f"{i}", template=str((i // 2 + i % 2) % 4), pair=f"v{i ^ 1}") for i in range(160)
    ]
    splits = split_samples(samples, 0)
    unseen = values(splits.test, template_of) - values(trained(splits), template_of)
    said = splits.held_out[0]
    assert said.startswith(f"sums, verified, templates: {len(unseen) or 'none'} of 4")


def random_suite(number: int) -> list[Sample]:
    """Anything at all: some templates, some cues or none, pairs and repeated inputs here and there."""
    draw = random.Random(number)
    templates, cues = draw.randint(1, 30), draw.randint(0, 8)
    size = draw.randint(8, 150)
    ids = [f"s{i:03}" for i in draw.sample(range(1000), size)]
    paired = draw.sample(ids, 2 * draw.randint(0, size // 2))
    partner = dict(zip(paired, reversed(paired), strict=True))
    return [
        make(
            name,
            draw.choice(ROLES),
            f"{draw.randint(0, 200)} =",
            template=f"template {draw.randrange(templates)}" if templates > 1 else None,
            cue=f"cue {draw.randrange(cues)}" if cues else None,
            pair=partner.get(name),
            behaviour=draw.choice(("easy", "hard")),
        )
        for name in ids
    ]


@pytest.mark.parametrize("number", range(60))
def test_the_promises_hold_for_any_suite_and_what_is_said_of_it_is_true(number: int) -> None:
    samples = random_suite(number)
    splits = split_samples(samples, number)
    where = split_of(splits)
    assert sorted(where) == sorted(sample.id for sample in samples)
    assert sum(len(part) for part in splits.parts().values()) == len(samples)
    assert all(where[sample.id] == where[sample.pair] for sample in samples if sample.pair is not None)
    assert len({(sample.input, where[sample.id]) for sample in samples}) == len({sample.input for sample in samples})
    for behaviour, role in {(sample.behaviour, sample.role) for sample in samples}:
        here = [sample for sample in samples if (sample.behaviour, sample.role) == (behaviour, role)]
        unseen = values(here, template_of) - values(trained(splits), template_of)
        (said,) = (line for line in splits.held_out if line.startswith(f"{behaviour}, {role}, templates"))
        n_values = len(values(here, template_of))
        if 1 < n_values < len(here):
            assert f": {len(unseen) or 'none'} of {n_values} " in said


def test_fractions_must_add_up() -> None:
    with pytest.raises(InputError) as raised:
        Fractions(0.5, 0.5, 0.5, 0)
    assert str(raised.value) == (
        "Fractions(fit=0.5, select=0.5, calibrate=0.5, test=0)\n"
        "found:    shares 0.5, 0.5, 0.5, 0, together 1.5\n"
        "expected: four shares above 0 that add up to 1\n"
        "next:     change the shares"
    )


def test_repeated_ids_are_refused() -> None:
    samples = [*one_template(3), *one_template(1)]
    with pytest.raises(InputError, match="ids that stand more than once: 'unverified-0', 'verified-0'"):
        split_samples(samples, 0)


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("<bos> short 12 10 17 mix =", "<bos> short # # # mix ="),
        ("M 1 7 + 2 4 =", "M # # + # # ="),
        ("Add  three\nto Forty-two apples", "Add # to #-# apples"),
        ("someone often attended", "someone often attended"),
    ],
)
def test_a_derived_template_is_the_prompt_without_its_numbers(text: str, template: str) -> None:
    assert template_of(make("v1", "verified", text)) == template
    assert template_of(make("v1", "verified", text, template="named")) == "named"
