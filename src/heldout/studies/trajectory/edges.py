"""Which edges of the computational graph carry what the model says in the end: edge attribution patching.

The metric is the same at every checkpoint: the logit of what the *last* checkpoint answers to a prompt, less that of
what it answers to another prompt, from which the absent edges are taken. So edges are named in hindsight, and those of
an answer that a model gives up on the way are not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heldout.data import ROLES, Role
from heldout.errors import InputError, Problem
from heldout.execution.result import Null, Result
from heldout.models import Checkpoint, Model, TokenLogits, Tokens
from heldout.seeds import numpy_generator
from heldout.shapes import Int
from heldout.statistics import permutation_p_value
from heldout.studies.trajectory.asked import Asked, Rows
from heldout.studies.trajectory.gauge import as_json
from heldout.techniques.circuits import EdgeAttributionPatching, Graph

EDGES = "edges_above_null"
OTHER = "answers of other prompts"
Array = NDArray[np.float64]
MOST_PROMPTS, DRAWS = 64, 19
MOST_EDGES = 50_000


@final
@dataclass(frozen=True, eq=False)
class Edges:
    """By role, every edge's score in logits, and how many stand out from `draws` repetitions with the answers of other
    pairs in the metric, family-wise at 5 %. `answers` are tokens, one a prompt."""

    asked: Asked
    answers: Int[Tensor, " item"]
    key: str
    draws: int = DRAWS
    name: str = "edges"

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.asked.key, "last": self.key, "draws": self.draws, "most": MOST_PROMPTS}

    def measure(self, model: Model, checkpoint: Checkpoint, **settings: Any) -> list[dict[str, Any]]:
        graph = Graph.of(model)
        if graph.n_edges > MOST_EDGES:
            problem = Problem(f"{graph.n_edges} edges", f"at most {MOST_EDGES}", "measure the rest without edges")
            raise InputError(f"edges of {model.name!r}", problem)
        return as_json([self._of_role(model, role, [str(edge) for edge in graph.edges()]) for role in ROLES])

    def _of_role(self, model: Model, role: Role, names: list[str]) -> Result:
        """Where the last checkpoint says the same to all prompts there is nothing to carry, and every score is 0."""
        clean, others = self._pairs(model, role)
        scores, draws = np.zeros(len(names)), np.zeros((self.draws, len(names)))
        if len(clean):
            scores, draws = self._scores_and_draws(model, role, clean, others)
        sizes, null = in_spreads(scores, draws)
        return Result(
            technique="edge_attribution_patching",
            quantity=EDGES,
            unit="edges",
            effect=float((sizes > null.max()).sum()),
            n=len(clean),
            nulls=(Null(OTHER, 0.0, 0.0, self.draws, permutation_p_value(float(sizes.max()), null)),),
            role=role,
            settings={
                "edges": names,
                "scores": scores.tolist(),
                "present": np.flatnonzero(sizes > null.max()).tolist(),
            },
        )

    def _scores_and_draws(self, model: Model, role: Role, clean: Rows, others: Rows) -> tuple[Array, Array]:
        """In the metric of each pair, and in that of other pairs, `draws` times."""
        tokens, given = [self.asked.tokens(model, rows) for rows in (clean, others)]
        generator = numpy_generator(self.asked.seed, "edges", role)
        scores = self._scores(model, tokens, given, clean, others)
        orders = [generator.permutation(len(clean)) for _ in range(self.draws)]
        draws = [self._scores(model, tokens, given, clean[order], others[order]) for order in orders]
        return scores, np.array(draws)

    def _pairs(self, model: Model, role: Role) -> tuple[Rows, Rows]:
        """Prompts of one length, each with another of the role to which the last checkpoint answers otherwise."""
        rows = self.asked.rows(role)
        lengths = self.asked.tokens(model, rows).mask.sum(dim=1).numpy()
        rows = rows[lengths == np.bincount(lengths).argmax()][:MOST_PROMPTS]
        generator = numpy_generator(self.asked.seed, "pairs of prompts", role)
        answers = self.answers[torch.from_numpy(rows)].numpy()
        pairs = [
            (row, int(generator.choice(rows[answers != answer])))
            for row, answer in zip(rows, answers, strict=True)
            if (answers != answer).any()
        ]
        clean, others = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return clean, others

    def _scores(self, model: Model, tokens: Tokens, given: Tokens, right: Rows, wrong: Rows) -> np.ndarray:
        metric = TokenLogits.difference(*(self.answers[torch.from_numpy(rows)] for rows in (right, wrong)))
        return EdgeAttributionPatching().scores(model, tokens, given, metric).values().double().numpy()


def in_spreads(scores: Array, draws: Array) -> tuple[Array, Array]:
    """Sizes of scores [edge], and the largest size of each draw [draw, edge], both in root mean squares of the edge in all
    the *others* of scores and draws: so that scores and draws are treated alike, and what exceeds all of 19 draws does so
    in 5 % of cases by chance, over all edges together (max-T)."""
    squares = np.vstack([scores, draws]) ** 2
    others = (squares.sum(axis=0) - squares) / len(draws)
    others = np.where(others > 1e-18 * others.max(initial=0.0), others, np.inf)
    sizes = np.sqrt(squares / others)
    return sizes[0], sizes[1:].max(axis=1)
