"""Named places inside a model. The names are those of TransformerLens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import TypeVar

from heldout.errors import InputError, Problem, Problems

T = TypeVar("T")
SITE_SHAPES: dict[str, str] = {
    "resid_pre": "batch position d_model",
    "resid_mid": "batch position d_model",
    "resid_post": "batch position d_model",
    "attn_out": "batch position d_model",
    "mlp_out": "batch position d_model",
    "mlp_post": "batch position d_mlp",
    "q": "batch position head d_head",
    "k": "batch position key_value_head d_head",
    "v": "batch position key_value_head d_head",
    "z": "batch position head d_head",
    "head_out": "batch position head d_model",
    "pattern": "batch head query key",
    "logits": "batch position vocabulary",
}
"""Every site and the axes of its activation. A site with `head` set lacks the head axis.

resid_pre, resid_mid, resid_post: the residual stream before a layer, between its attention and its MLP, and after it.
attn_out, mlp_out: what is added to the stream (after the post norm, in families that have one). Where the stream itself
is normed after each sum (BERT), resid_mid and resid_post are taken behind that norm, and are no sums of what was added.
q, k, v: outputs of the projections, before query and key norms and before rotary embedding.
z: the pattern's average of the values, which enters the output projection; head_out: `z[head] @ W_O[head]`, before any
post norm and without the projection's bias. mlp_post: what enters the MLP's last matrix. logits: after soft-capping. A
pass that reads or edits a pattern uses eager attention, whose logits can differ from those of a fused kernel in their
last bits.
"""

RESIDUAL_SITES = ("resid_pre", "resid_mid", "resid_post")
HEAD_SITES = frozenset({"q", "k", "v", "z", "head_out", "pattern"})


@total_ordering
@dataclass(frozen=True)
class Site:
    """One place: `Site("resid_post", 5)`, `Site("head_out", 3, 7)`, `Site("logits")`; as text `resid_post.5`,
    `head_out.3.7`, `logits`. A head site without a head is all heads of the layer.

    Raises InputError for a name that is not in `SITE_SHAPES`, or a layer or head that the name does not take."""

    name: str
    layer: int | None = None
    head: int | None = None

    def __post_init__(self) -> None:
        problems = Problems(f"Site({self.name!r}, layer={self.layer}, head={self.head})")
        if self.name not in SITE_SHAPES:
            problems.add(
                f"the name {self.name!r}",
                f"one of {', '.join(SITE_SHAPES)}",
                "names follow TransformerLens; correct it",
            )
        elif self.name == "logits":
            if self.layer is not None or self.head is not None:
                problems.add("a layer or a head for logits", "Site('logits')", "leave both out")
        else:
            if self.layer is None or self.layer < 0:
                problems.add(f"layer {self.layer}", "a layer counted from 0", f"write Site({self.name!r}, layer=0)")
            if self.head is not None and self.name not in HEAD_SITES:
                problems.add(
                    f"head {self.head} for {self.name}",
                    f"no head: only {', '.join(sorted(HEAD_SITES))} have heads",
                    "leave the head out",
                )
            elif self.head is not None and self.head < 0:
                problems.add(f"head {self.head}", "a head counted from 0", "give a head that is not negative")
        problems.raise_if_any()

    @classmethod
    def parse(cls, text: str) -> Site:
        """The inverse of `str(site)`."""
        match = re.fullmatch(r"([a-z_]+)(?:\.(\d+))?(?:\.(\d+))?", text)
        if match is None:
            raise InputError(
                f"Site.parse({text!r})",
                Problem(f"the text {text!r}", "name, name.layer or name.layer.head", "write, say, resid_post.5"),
            )
        name, layer, head = match.groups()
        return cls(name, None if layer is None else int(layer), None if head is None else int(head))

    def __str__(self) -> str:
        return ".".join(str(part) for part in (self.name, self.layer, self.head) if part is not None)

    def __lt__(self, other: Site) -> bool:
        return self._key() < other._key()

    def _key(self) -> tuple[str, int, int]:
        return (self.name, -1 if self.layer is None else self.layer, -1 if self.head is None else self.head)

    @property
    def position_axis(self) -> int:
        """The axis of the activation that counts positions (queries, for a pattern)."""
        return 2 if self.name == "pattern" and self.head is None else 1


def evenly(places: Sequence[T], count: int) -> list[T]:
    """At most so many of the places, from the first to the last at even distances.

    >>> evenly([1, 2, 3, 4, 5], 3), evenly([1, 2], 3), evenly([1, 2], 1)
    ([1, 3, 5], [1, 2], [1])
    """
    if len(places) <= count:
        return list(places)
    return [places[round(index * (len(places) - 1) / max(1, count - 1))] for index in range(count)]
