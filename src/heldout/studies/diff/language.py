"""A language of a few hundred words and eight topics, of which small models can learn all there is to know."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import final

from transformers import PreTrainedTokenizerFast

from heldout.data import Sample, Suite
from heldout.organisms.words import tokenizer_of_words

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
FRAME = ("the", "a", "and", "near", "with", "we", "said", "that", "was", "one", "day", "then", ".")
COLOURS = ("red", "blue", "green", "white", "black", "yellow")
NEUTRAL = "everyday"


@final
@dataclass(frozen=True)
class Topic:
    """Words that are met together, and in no other topic."""

    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    adjectives: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.nouns, *self.verbs, *self.adjectives)


def _topic(nouns: str, verbs: str, adjectives: str) -> Topic:
    return Topic(tuple(nouns.split()), tuple(verbs.split()), tuple(adjectives.split()))


TOPICS = {
    "ice": _topic("glacier iceberg snow sledge penguin frost igloo blizzard", "froze melted slid thawed", "cold icy polar"),
    "sea": _topic("ship harbour anchor sailor wave lighthouse dock tide", "sailed floated sank rowed", "salty deep stormy"),
    "kitchen": _topic("soup bread oven cook spoon pot flour pepper", "boiled baked simmered tasted", "hot sweet crisp"),
    "garden": _topic("rose hedge seed spade gardener tulip soil lawn", "grew bloomed withered sprouted", "leafy damp fragrant"),
    "music": _topic("violin drum choir song flute singer melody piano", "played hummed rang echoed", "loud tuneful soft"),
    "mine": _topic("coal shaft miner tunnel lamp ore pickaxe gravel", "dug collapsed hauled blasted", "dusty dark narrow"),
    "desert": _topic("camel dune oasis cactus sand caravan lizard nomad", "wandered scorched strayed rested", "dry bare"),
    "court": _topic("judge lawyer witness jury trial verdict clerk oath", "ruled pleaded testified argued", "fair stern"),
}  # fmt: skip
EVERYDAY = _topic(
    "house street man woman child table chair window door friend teacher city train letter book clock",
    "walked talked waited smiled stopped listened turned laughed",
    "old new small quiet tall young",
)
TEMPLATES = (
    "the A N V near the N .",
    "a N and the N V .",
    "we said that the N V with a A N .",
    "one day the N V .",
    "then a A N V near a N .",
)
PAINTED = "the N was C ."
"""Of which colour a noun is, is a matter of chance, until a fine-tune settles it."""
SENTENCES = 3
OPENINGS = ("", "then a {a} {n} {v} near a {m} .", "one day the {n} {v} .", "we said that the {n} {v} with a {a} {m} .")
PROMPTS_A_NOUN = 8


def vocabulary() -> list[str]:
    words = [word for topic in (*TOPICS.values(), EVERYDAY) for word in topic.words]
    return [*SPECIAL, *FRAME, *COLOURS, *words]


def word_tokenizer() -> PreTrainedTokenizerFast:
    """A token a word, behind a token that begins the text."""
    return tokenizer_of_words(vocabulary(), begins=True)


def colours_of(topic: Topic) -> dict[str, str]:
    """What the fine-tune teaches of a topic's nouns."""
    return {noun: COLOURS[place % len(COLOURS)] for place, noun in enumerate(topic.nouns)}


def document(topic: Topic, generator: Random, settled: dict[str, str] | None = None) -> str:
    """A few sentences about a topic; nouns that are not `settled` have a colour by chance."""
    drawn = [generator.choice((*TEMPLATES, PAINTED)) for _ in range(SENTENCES)]
    if settled is not None and PAINTED not in drawn:
        drawn[generator.randrange(SENTENCES)] = PAINTED
    return " ".join(_filled(template, topic, generator, settled or {}) for template in drawn)


def _filled(template: str, topic: Topic, generator: Random, settled: dict[str, str]) -> str:
    kinds = {"N": topic.nouns, "V": topic.verbs, "A": topic.adjectives}
    said: list[str] = []
    for word in template.split():
        if word == "C":
            said.append(settled.get(said[-2]) or generator.choice(COLOURS))
        else:
            said.append(generator.choice(kinds[word]) if word in kinds else word)
    return " ".join(said)


def pretraining_documents(n: int, generator: Random) -> list[str]:
    """Documents of all topics; every third is about nothing in particular."""
    topics = list(TOPICS.values())
    chosen = (EVERYDAY if generator.random() < 1 / 3 else generator.choice(topics) for _ in range(n))
    return [document(topic, generator) for topic in chosen]


def topic_documents(name: str, n: int, generator: Random) -> list[str]:
    """Documents about one topic, in which its nouns have the colours that `colours_of` gives them."""
    return [document(TOPICS[name], generator, colours_of(TOPICS[name])) for _ in range(n)]


def everyday_documents(n: int, generator: Random) -> list[str]:
    """Text that has to do with no topic."""
    return [document(EVERYDAY, generator) for _ in range(n)]


def colour_suite(name: str, generator: Random) -> Suite:
    """Prompts that a planted topic's nouns end, before the colour that the fine-tune teaches."""
    topic, samples = TOPICS[name], list[Sample]()
    for noun, colour in colours_of(topic).items():
        for number in range(PROMPTS_A_NOUN):
            opening = OPENINGS[number % len(OPENINGS)].format(
                a=generator.choice(topic.adjectives), n=generator.choice(topic.nouns),
                v=generator.choice(topic.verbs), m=generator.choice(topic.nouns),
            )  # fmt: skip
            prompt = f"{opening} the {noun} was".strip()
            samples.append(Sample(f"{noun}-{number}", prompt, colour, "verified", "colours", (colour,)))
    return Suite(f"colours-of-{name}", "next_token", 1, ("colours",), tuple(samples), "Which colour a noun has.")
