"""Crispness: whether human latents have decodable, used, low-dimensional representations in a model."""

from heldout.studies.crispness.english import english
from heldout.studies.crispness.findings import CRITERIA, CrispnessStudy, LatentFinding
from heldout.studies.crispness.measuring import Effort
from heldout.studies.crispness.study import crispness
from heldout.studies.crispness.texts import LabelledText, TextSet, read_text_set, texts_of_suite

__all__ = [
    "CRITERIA",
    "CrispnessStudy",
    "Effort",
    "LabelledText",
    "LatentFinding",
    "TextSet",
    "crispness",
    "english",
    "read_text_set",
    "texts_of_suite",
]
