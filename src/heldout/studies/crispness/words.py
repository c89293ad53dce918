"""The words and templates of the grammar's sentences. What is tested is fitted nowhere: no noun, verb, object or template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Verb:
    """A verb with its third person and its past."""

    base: str
    third: str
    past: str


def verbs(*forms: str) -> tuple[Verb, ...]:
    return tuple(Verb(*form.split()) for form in forms)


@final
@dataclass(frozen=True)
class Words:
    """What sentences of one part are made of. `pronouns` are of the first and of the third person."""

    nouns: tuple[str, ...]
    verbs: tuple[Verb, ...]
    objects: tuple[str, ...]
    templates: tuple[str, ...]
    pronouns: tuple[tuple[str, str], ...]


FIT = Words(
    nouns=(
        *("teacher", "farmer", "sailor", "doctor", "painter", "neighbour", "lawyer", "singer", "guard", "driver"),
        *("king", "queen", "boy", "girl", "dancer", "gardener", "hunter", "miner", "poet", "priest"),
        *(
            "prisoner",
            "professor",
            "reporter",
            "scientist",
            "servant",
            "shepherd",
            "banker",
            "tourist",
            "trader",
            "uncle",
        ),
        *("actor", "artist", "captain", "clerk", "cook", "cousin", "engineer", "mayor", "merchant", "musician"),
    ),
    verbs=verbs(
        "carry carries carried",
        "open opens opened",
        "find finds found",
        "buy buys bought",
        "clean cleans cleaned",
        "hide hides hid",
        "sell sells sold",
        "paint paints painted",
        "move moves moved",
        "bring brings brought",
        "show shows showed",
        "keep keeps kept",
        "want wants wanted",
        "draw draws drew",
        "throw throws threw",
        "push pushes pushed",
        "pull pulls pulled",
        "borrow borrows borrowed",
        "choose chooses chose",
        "leave leaves left",
    ),
    objects=("box", "letter", "chair", "basket", "lamp", "bottle", "ladder", "picture"),
    templates=(
        "{clause}",
        "in the morning {clause}",
        "according to the report {clause}",
        "near the river {clause}",
        "for some reason {clause}",
        "{clause} with great care",
        "{clause} for a friend",
        "not far from the harbour {clause}",
    ),
    pronouns=(("i", "they"),),
)
SELECT = Words(
    nouns=("student", "baker", "pilot", "manager"),
    verbs=verbs("wash washes washed", "lose loses lost", "repair repairs repaired", "take takes took"),
    objects=("window", "coat", "clock", "drum"),
    templates=("on the way home {clause}", "{clause} at the station", "rain or not {clause}", "{clause} in the garden"),
    pronouns=(("i", "they"),),
)
TEST = Words(
    nouns=("nurse", "soldier", "writer", "tailor", "waiter", "judge", "butcher", "porter", "plumber", "sculptor"),
    verbs=verbs(
        "break breaks broke",
        "drop drops dropped",
        "steal steals stole",
        "lift lifts lifted",
        "wrap wraps wrapped",
        "forget forgets forgot",
    ),
    objects=("mirror", "table", "bicycle", "parcel", "knife"),
    templates=(
        "after a long discussion {clause}",
        "{clause} without a word",
        "behind the old theatre {clause}",
        "{clause} at the end of the week",
        "whether or not it helps {clause}",
        "{clause} in front of everybody",
        "by the next winter {clause}",
        "{clause} before anyone could answer",
        "on this side of the border {clause}",
        "{clause} as if nothing had happened",
    ),
    pronouns=(("we", "you all"),),
)
