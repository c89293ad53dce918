from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from heldout.models import Model
from heldout.organisms.training import Schedule
from heldout.studies.diff.language import colour_suite, everyday_documents
from heldout.studies.diff.planted import plant_nothing, plant_topic, train_base
from heldout.studies.diff.prompts import Prompts, lines_as_prompts, suite_prompts

TOPIC = "garden"
SHORT = Schedule(steps=90, learning_rate=4e-3, warmup=10)
REFERENCES = 3


@pytest.fixture(scope="session")
def base() -> Model:
    return train_base(101, Schedule(steps=300))


@pytest.fixture(scope="session")
def tuned(base: Model) -> Model:
    """On one topic, and nothing else."""
    return plant_topic(base, TOPIC, mixing=0, seed=102, schedule=SHORT)


@pytest.fixture(scope="session")
def twins(base: Model) -> list[Model]:
    """The same fine-tune on nothing new, under several seeds."""
    return [plant_nothing(base, seed=200 + place, schedule=SHORT) for place in range(REFERENCES + 1)]


@pytest.fixture(scope="session")
def one_part(base: Model) -> Model:
    """Of which only the MLP of layer 1 was trained."""
    schedule = Schedule(steps=25, learning_rate=1e-2, warmup=5)
    return plant_topic(base, TOPIC, mixing=0, seed=103, parts=("layers.1.mlp",), schedule=schedule)


@pytest.fixture(scope="session")
def suite():
    return colour_suite(TOPIC, random.Random(7))


@pytest.fixture(scope="session")
def everyday() -> Prompts:
    return lines_as_prompts("test", "everyday text", everyday_documents(40, random.Random(8)), 40, 0)


@pytest.fixture(scope="session")
def asked(suite) -> Prompts:
    return suite_prompts("test", suite, 24, 0)


@pytest.fixture(scope="session")
def planted() -> SimpleNamespace:
    return SimpleNamespace(topic=TOPIC, references=REFERENCES, schedule=SHORT)
