"""Recall and false alarms, counted over models by stage, control and family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from heldout.statistics import proportion_interval
from heldout.studies.figure_one.models import AuditedModel
from heldout.studies.figure_one.stages import VIEWS, View, dangerous_groups, honest_groups

Quantity = Literal["recall", "false_alarms"]


@dataclass(frozen=True)
class Share:
    """`count` of `n` models, with the exact (Clopper–Pearson) 95 % interval."""

    count: int
    n: int

    @classmethod
    def of(cls, flags: Iterable[bool]) -> Share:
        listed = list(flags)
        return cls(sum(listed), len(listed))

    @property
    def value(self) -> float | None:
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        return proportion_interval(self.count, self.n)

    def to_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {"count": self.count, "n": self.n, "rate": self.value, "low": low, "high": high}


@dataclass(frozen=True)
class Rate:
    """The share of a group that a view caught, or falsely called deceptive; `family` None is over all families."""

    quantity: Quantity
    view: View
    group: str
    family: str | None
    share: Share

    def to_json(self) -> dict[str, Any]:
        names = {"quantity": self.quantity, "view": self.view, "group": self.group, "family": self.family}
        return {**names, **self.share.to_json()}


@dataclass(frozen=True)
class Rates:
    """Every rate of the study. A group without models has n = 0 and no rate."""

    all: tuple[Rate, ...]

    def share(self, view: View, group: str, family: str | None = None) -> Share:
        """0 of 0 where there is no such group."""
        wanted = (view, group, family)
        return next((rate.share for rate in self.all if (rate.view, rate.group, rate.family) == wanted), Share(0, 0))

    def groups(self, quantity: Quantity) -> list[str]:
        return list(dict.fromkeys(rate.group for rate in self.all if rate.quantity == quantity))

    @property
    def families(self) -> list[str]:
        return list(dict.fromkeys(rate.family for rate in self.all if rate.family is not None))

    def to_json(self) -> list[dict[str, Any]]:
        return [rate.to_json() for rate in self.all]


def count_rates(models: Sequence[AuditedModel]) -> Rates:
    """Over all families every group, also the empty ones; in each family those that it has models of."""
    families = sorted({model.family for model in models})
    rates = _rates(models, None)
    for family in families:
        of_family = [model for model in models if model.family == family]
        rates += [rate for rate in _rates(of_family, family) if rate.share.n]
    return Rates(tuple(rates))


def _rates(models: Sequence[AuditedModel], family: str | None) -> list[Rate]:
    found = [group for model in models for group in model.groups]
    groups: list[tuple[Quantity, list[str]]] = [
        ("recall", dangerous_groups(found)),
        ("false_alarms", honest_groups(found)),
    ]
    return [
        Rate(quantity, view, group, family, Share.of(model.counted(view) for model in models if group in model.groups))
        for quantity, names in groups
        for group in names
        for view in VIEWS
    ]
