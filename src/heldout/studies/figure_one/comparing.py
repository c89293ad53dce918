"""Is the difference between the two views more than chance? Exact sign tests, over models and over families."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scipy import stats

from heldout.studies.figure_one.models import AuditedModel
from heldout.studies.figure_one.stages import dangerous_groups

Unit = Literal["model", "family"]


@dataclass(frozen=True)
class SignTest:
    """Pairs that only one of the views caught, and pairs that both or neither did (ties), which say nothing.

    The p-value is two-sided: which view catches more was not fixed beforehand. It is 1 where there are only ties.
    """

    group: str
    unit: Unit
    inside_only: int
    behaviour_only: int
    ties: int
    p_value: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sign_tests(models: Sequence[AuditedModel]) -> list[SignTest]:
    """One over models and one over families for each dangerous group that has models."""
    found = [group for model in models for group in model.groups]
    tests: list[SignTest] = []
    for group in dangerous_groups(found):
        members = [model for model in models if group in model.groups]
        if members:
            by_family = [[m for m in members if m.family == name] for name in sorted({m.family for m in members})]
            tests.append(sign_test(group, "model", map(caught_pair, members)))
            tests.append(sign_test(group, "family", map(majority_pair, by_family)))
    return tests


def sign_test(group: str, unit: Unit, pairs: Iterable[tuple[bool, bool]]) -> SignTest:
    """Of pairs (caught by behaviour, caught by the inside view)."""
    listed = list(pairs)
    inside, behaviour = listed.count((False, True)), listed.count((True, False))
    return SignTest(group, unit, inside, behaviour, len(listed) - inside - behaviour, two_sided_p(inside, behaviour))


def caught_pair(model: AuditedModel) -> tuple[bool, bool]:
    return model.caught("behaviour"), model.caught("inside")


def majority_pair(models: Sequence[AuditedModel]) -> tuple[bool, bool]:
    """Whether each view catches more than half of a family's models. Seeds of a family are alike: they count as one."""
    pairs = [caught_pair(model) for model in models]
    behaviour, inside = (sum(flags) * 2 > len(pairs) for flags in zip(*pairs, strict=True))
    return behaviour, inside


def two_sided_p(one: int, other: int) -> float:
    """The exact binomial test that either of two outcomes is as likely as the other."""
    return float(stats.binomtest(one, one + other, 0.5).pvalue) if one + other else 1.0
