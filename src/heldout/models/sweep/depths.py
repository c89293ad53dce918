"""Where in the model an edit begins to matter.

Depth 2l is the stream before layer l, depth 2l + 1 the stream between its attention and its MLP (in families that
have one there), and depth 2 · n_layers the stream before the final norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from heldout.models.intervene import Edit, chosen_positions
from heldout.models.metrics import Metric
from heldout.models.model import Model
from heldout.models.sites import Site

ATTENTION_SITES = frozenset({"q", "k", "v", "z", "head_out", "pattern", "attn_out", "resid_mid"})


@final
@dataclass(frozen=True)
class Depths:
    """The depths of a model with `n_layers` layers, with or without a stream between attention and MLP. `causal`: no
    position sees later ones; `normed`: the stream is normed after each sum."""

    n_layers: int
    middle: bool
    causal: bool = True
    normed: bool = False

    @classmethod
    def of(cls, model: Model) -> Depths:
        middle = model.d_mlp is not None and not model.runs_in_parallel
        return cls(model.n_layers, middle, model.architecture.causal, model.architecture.norms_the_stream)

    @property
    def final(self) -> int:
        return 2 * self.n_layers

    def entrance(self, site: Site) -> int:
        """The depth at which an edit at `site` changes the stream; one of the logits comes after all of them."""
        if site.layer is None:
            return self.final + 1
        if site.name == "resid_pre":
            return 2 * site.layer
        if site.name in ATTENTION_SITES and self.middle:
            return 2 * site.layer + 1
        return 2 * site.layer + 2

    def stream(self, depth: int) -> Site:
        """The site whose activation is the stream at `depth`."""
        layer, odd = divmod(depth, 2)
        if odd:
            return Site("resid_mid", layer)
        return Site("resid_pre", layer) if layer < self.n_layers else Site("resid_post", layer - 1)


def positions_reached(edit: Edit, length: int, *, causal: bool = True) -> int:
    """The first position, counted from the left, that an edit can change: any, where positions see later ones."""
    positions = chosen_positions(edit.positions)
    return 0 if positions is None or not causal else length + min(positions)


def positions_read(model: Model, metric: Metric, length: int) -> list[int]:
    """The positions, counted from the left, whose last stream the metric needs. The first token, from which a classifier
    reads, differs from prompt to prompt: then it is all of them."""
    if model.architecture.reads_first_token:
        return list(range(length))
    return [length + position for position in metric.positions]


def joined_at(site: Site) -> tuple[Site, Site]:
    """The stream that the sublayer of `site` reads, and what it adds to it."""
    if site.name in ATTENTION_SITES:
        return Site("resid_pre", site.layer), Site("attn_out", site.layer)
    return Site("resid_mid", site.layer), Site("mlp_out", site.layer)


def base_sites(edit: Edit, depths: Depths) -> list[Site]:
    """The recorded activations that an edit needs: the stream where it enters, and what it changes."""
    site = edit.site
    if site.name == "logits":
        return []
    sites = [depths.stream(depths.entrance(site))]
    match site.name:
        case "head_out" | "z":
            sites += [Site("z", site.layer), Site("attn_out", site.layer)]
        case "q" | "k" | "v" | "pattern":
            assert site.layer is not None
            sites += [depths.stream(2 * site.layer), Site("attn_out", site.layer)]
        case "mlp_post":
            sites += [site, Site("mlp_out", site.layer)]
        case _:
            sites.append(site)
    if depths.normed and not site.name.startswith("resid"):
        sites += joined_at(site)
    return sites


def sites_to_record(edits: Sequence[Edit], depths: Depths) -> list[Site]:
    """Every activation of the recorded pass that a sweep over `edits` reads."""
    wanted = [depths.stream(depths.final - 2), *(site for edit in edits for site in base_sites(edit, depths))]
    return list(dict.fromkeys(wanted))
