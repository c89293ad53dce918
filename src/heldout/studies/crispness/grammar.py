"""Pairs of sentences that differ in one grammatical latent and in nothing else.

The sentences are lower case and without punctuation. A question and its statement have the same words in another order;
a person is tested on pronouns that were not fitted; tense and number on verbs and nouns that were not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product

from heldout.seeds import numpy_generator
from heldout.studies.crispness.texts import LabelledText, Part
from heldout.studies.crispness.words import FIT, SELECT, TEST, Verb, Words

Clauses = Callable[[str, Verb, str, tuple[str, str]], tuple[str, str]]
"""From a noun, a verb, an object and two pronouns to the clauses of a pair."""
PARTS: dict[Part, Words] = {"fit": FIT, "select": SELECT, "test": TEST}
PAIRS: dict[Part, int] = {"fit": 120, "select": 40, "test": 60}


def tense(noun: str, verb: Verb, thing: str, _: tuple[str, str]) -> tuple[str, str]:
    return f"the {noun} {verb.third} the {thing}", f"the {noun} {verb.past} the {thing}"


def number(noun: str, verb: Verb, thing: str, _: tuple[str, str]) -> tuple[str, str]:
    return f"the {noun} {verb.past} the {thing}", f"the {noun}s {verb.past} the {thing}"


def negation(noun: str, verb: Verb, thing: str, _: tuple[str, str]) -> tuple[str, str]:
    return f"the {noun} did {verb.base} the {thing}", f"the {noun} did not {verb.base} the {thing}"


def question(noun: str, verb: Verb, thing: str, _: tuple[str, str]) -> tuple[str, str]:
    return f"the {noun} did {verb.base} the {thing}", f"did the {noun} {verb.base} the {thing}"


def person(_: str, verb: Verb, thing: str, pronouns: tuple[str, str]) -> tuple[str, str]:
    return f"{pronouns[0]} {verb.past} the {thing}", f"{pronouns[1]} {verb.past} the {thing}"


GRAMMAR: dict[str, tuple[Clauses, tuple[str, str]]] = {
    "tense": (tense, ("present", "past")),
    "number": (number, ("singular", "plural")),
    "negation": (negation, ("affirmed", "negated")),
    "question": (question, ("statement", "question")),
    "person": (person, ("speaker", "others")),
}
"""Each latent with how its clauses are made, and the names of its two values."""


def sentences(seed: int, pairs: Mapping[Part, int] = PAIRS) -> Iterator[LabelledText]:
    """Both sentences of every pair, latent by latent and part by part. The group is the template, the word the subject of
    the sentence (of a person, the verb)."""
    for latent, part in product(GRAMMAR, PARTS):
        clauses, values = GRAMMAR[latent]
        words = PARTS[part]
        chosen = combinations(words, latent, part, seed, pairs[part])
        for count, (noun, verb, thing, template, pronouns) in enumerate(chosen):
            for value, clause in zip(values, clauses(noun, verb, thing, pronouns), strict=True):
                text = template.format(clause=clause)
                word = verb.base if latent == "person" else noun
                yield LabelledText(text, latent, value, part, template, f"{part} {count}", word)


def combinations(
    words: Words, latent: str, part: Part, seed: int, count: int
) -> list[tuple[str, Verb, str, str, tuple[str, str]]]:
    """Different choices of noun, verb, object, template and pronouns, in random order. A person has no noun."""
    nouns = ("",) if latent == "person" else words.nouns
    every = list(product(nouns, words.verbs, words.objects, words.templates, words.pronouns))
    order = numpy_generator(seed, "sentences", latent, part).permutation(len(every))
    return [every[place] for place in order[:count]]
