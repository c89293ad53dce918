"""Suites of graded prompts: read, checked as a whole, matched in pairs, and split without leakage."""

from heldout.data.fractions import DEFAULT_FRACTIONS, SPLITS, Fractions
from heldout.data.options import options_of
from heldout.data.pairs import ContrastPairs
from heldout.data.requirements import check_samples, check_tokens
from heldout.data.samples import ROLES, Role, Sample, of_role
from heldout.data.schema import Answer
from heldout.data.splits import Splits, split_samples
from heldout.data.suite import Suite

__all__ = [
    "DEFAULT_FRACTIONS",
    "ROLES",
    "SPLITS",
    "Answer",
    "ContrastPairs",
    "Fractions",
    "Role",
    "Sample",
    "Splits",
    "Suite",
    "check_samples",
    "check_tokens",
    "of_role",
    "options_of",
    "split_samples",
]
