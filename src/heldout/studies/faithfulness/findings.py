"""Everything that the study found, in one frozen record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

from heldout.evidence import Claim
from heldout.execution.result import Null, Result
from heldout.studies.faithfulness.estimates import Share, follows, share_of
from heldout.studies.faithfulness.measuring import Measured
from heldout.studies.faithfulness.trials import Test, Trial
from heldout.studies.faithfulness.verdicts import LEAST_OF_A_KIND, CausalUse, causal_use

NAMES: dict[Test, str] = {
    "corruption": "a wrong step, written on from",
    "interchange": "activations at the steps exchanged",
    "hint": "earlier steps put back under a hint",
    "truncation": "reasoning cut short",
    "filler": "filler words in place of the steps",
    "idle words": "idle words changed",
    "idle positions": "activations at idle words exchanged",
    "same answer": "activations exchanged between questions of one answer",
    "untrained": "a wrong step, untrained model",
    "silent": "the same words over another question",
    "bypass": "activations at the prompt exchanged",
    "held": "a wrong step, later steps as they were",
    "map": "activations of one step at one layer exchanged",
}
"""What is done, in words."""


@final
@dataclass(frozen=True)
class Place:
    """How much one step is used: with the model writing on from it, with later steps as they were (`held`), and by its
    activations at each of `layers`."""

    group: str
    step: int
    free: Share
    held: Share
    layers: Mapping[int, Share]


@final
@dataclass(frozen=True)
class Faithfulness:
    """Everything that the study found; docs/faithfulness.md says what the words mean."""

    suite: str
    half_width: float
    groups: Mapping[str, tuple[Measured, ...]]
    uses: tuple[CausalUse, ...]
    places: tuple[Place, ...]
    silent: Mapping[str, Share]

    def use(self, group: str, kind: str | None = None) -> CausalUse:
        return next(each for each in self.uses if (each.group, each.kind) == (group, kind))

    @property
    def overall(self) -> list[CausalUse]:
        return [each for each in self.uses if each.kind is None]

    def kinds(self, group: str) -> list[CausalUse]:
        return [each for each in self.uses if each.group == group and each.kind is not None]

    def results(self, use: CausalUse) -> tuple[Result, ...]:
        models = self.groups[use.group]
        nulls = tuple(
            Null(NAMES[test], share.value, max(share.seeds), len(share.seeds))
            for test, share in use.nulls.items()
            if share.known
        )
        cost = sum(model.forward_passes for model in models)
        shares = [("causal use", use.use), *((NAMES[test], share) for test, share in use.tests.items())]
        return tuple(
            Result(
                "faithfulness",
                quantity,
                "share of answers that follow the steps",
                share.value,
                share.n,
                share.interval,
                nulls,
                forward_passes=cost,
                settings={"group": use.group, "kind": use.kind, "models": len(models)},
            )
            for quantity, share in shares
            if share.known
        )

    def claims(self) -> Iterator[Claim]:
        for number, use in enumerate(self.uses, 1):
            kind = use.kind or "all kinds"
            missing = "; ".join(f"{NAMES[test]}: {why}" for test, why in use.untested.items()) or None
            found = use.verdict.word != "undetermined"
            statement = f"{use.group}, {kind}: written steps are {use.verdict.word} ({use.scope}): {use.verdict.why}."
            if not found:
                statement = f"{use.group}, {kind}: what the written steps do was not found: {use.verdict.why}."
            yield Claim(f"use-{number}", kind, None, statement, found, self.results(use), missing)

    def to_json(self) -> dict[str, Any]:
        models = {
            group: [{name: value for name, value in asdict(model).items() if name != "trials"} for model in members]
            for group, members in self.groups.items()
        }
        return {
            "suite": self.suite,
            "half_width": self.half_width,
            "models": models,
            "uses": [asdict(each) for each in self.uses],
            "places": [
                {**asdict(each), "layers": {str(layer): asdict(share) for layer, share in each.layers.items()}}
                for each in self.places
            ],
            "silent": {group: asdict(share) for group, share in self.silent.items()},
        }


def found_in(
    suite: str,
    kinds: Sequence[str],
    groups: Mapping[str, tuple[Measured, ...]],
    half_width: float,
    least: int,
    seed: int,
) -> Faithfulness:
    """What trials say of the groups of models. `least` prompts are needed for a test, of a kind LEAST_OF_A_KIND."""
    uses: list[CausalUse] = []
    for group, models in groups.items():
        whole = causal_use(group, models, None, least, seed)
        of_kinds = [causal_use(group, models, kind, min(least, LEAST_OF_A_KIND), seed) for kind in kinds]
        uses += [whole.told_apart(of_kinds), *of_kinds] if len(kinds) > 1 else [whole]
    return Faithfulness(
        suite,
        half_width,
        groups,
        tuple(uses),
        tuple(place for group, models in groups.items() for place in places_of(group, models, seed)),
        {group: share_of(models, [lambda t: t.test == "silent"], follows, seed) for group, models in groups.items()},
    )


def places_of(group: str, models: Sequence[Measured], seed: int) -> Iterator[Place]:
    trials = [trial for model in models for trial in model.trials]
    steps = sorted({trial.step for trial in trials if trial.test in ("held", "map") and trial.step is not None})
    layers = sorted({trial.layer for trial in trials if trial.layer is not None})

    def share(test: Test, step: int, layer: int | None = None) -> Share:
        def chosen(trial: Trial) -> bool:
            return (trial.test, trial.step, trial.layer) == (test, step, layer)

        return share_of(models, [chosen], follows, seed)

    for step in steps:
        by_layer = {layer: share("map", step, layer) for layer in layers}
        yield Place(group, step, share("corruption", step), share("held", step), by_layer)
