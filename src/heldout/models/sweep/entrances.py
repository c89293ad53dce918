"""How an edit changes the stream where it enters: its new activation, carried to the stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from heldout.models.intervene import Edit, apply_edit
from heldout.models.sites import Site
from heldout.models.sublayers import Sublayer, Sublayers
from heldout.models.sweep.depths import ATTENTION_SITES, Depths, joined_at
from heldout.shapes import Float

RECOMPUTED = frozenset({"q", "k", "v", "pattern"})
"""Sites behind which the attention has to be computed again."""


def edited(edit: Edit, activation: Tensor, site: Site) -> Tensor:
    """The activation with the edit; `site` says which of its axes counts positions."""
    axis = site.position_axis

    def index(positions: tuple[int, ...]) -> Tensor:
        return torch.tensor([activation.shape[axis] + p for p in positions], device=activation.device)

    return apply_edit(edit, activation, index, axis=axis)


@final
class Entrances:
    """The streams of a recorded pass, each with one edit."""

    def __init__(self, work: Sublayers, depths: Depths) -> None:
        self.work = work
        self.depths = depths

    def stream(self, edit: Edit, start: int, kept: Sequence[int] | range) -> Float[Tensor, "batch kept d_model"]:
        """The stream at the edit's depth, at the positions `kept`; nothing before `start` differs from the record."""
        stream = self.work.trace[self.depths.stream(self.depths.entrance(edit.site))]
        site = edit.site
        window = slice(kept[0], kept[-1] + 1) if isinstance(kept, range) else list(kept)
        if site.name in ("resid_pre", "resid_mid", "resid_post"):
            return edited(edit, stream, site)[:, window]
        if site.name in RECOMPUTED:
            attended = self._attention_again(edit, start)
            inner = [position - start for position in kept]
            change = attended[:, inner] - self.work.trace[Site("attn_out", site.layer)][:, window]
        else:
            change = self._change(edit, window)
        return self._joined(site, change, window) if self.depths.normed else stream[:, window] + change

    def _joined(self, site: Site, change: Tensor, window: slice | list[int]) -> Tensor:
        """The stream behind its norm, where what the sublayer of `site` adds has changed."""
        before, added = (self.work.trace[each][:, window] for each in joined_at(site))
        assert site.layer is not None
        sublayer = Sublayer("attention" if site.name in ATTENTION_SITES else "mlp", site.layer)
        return self.work.joined(sublayer, before, added + change)

    def _change(self, edit: Edit, window: slice | list[int]) -> Tensor:
        """Of what a sublayer adds to the stream."""
        trace, site = self.work.trace, edit.site
        assert site.layer is not None
        if site.name in ("z", "head_out"):
            return self._change_of_heads(edit, window)
        if site.name == "mlp_post":
            last: Any = self.work.part(site.layer, self.work.model.architecture.last_mlp_matrix)
            added = self.work.post_mlp_norm(site.layer)(last(edited(edit, trace[site], site)[:, window].contiguous()))
            return added - trace[Site("mlp_out", site.layer)][:, window]
        return edited(edit, trace[site], site)[:, window] - trace[site][:, window]

    def _change_of_heads(self, edit: Edit, window: slice | list[int]) -> Tensor:
        """A change of one head's z has rank d_head: it is carried through that head's rows of W_O alone, unless a norm
        behind the projection has to see the whole."""
        site = edit.site
        assert site.layer is not None
        norm = self.work.post_attention_norm(site.layer)
        z_bphd = self.work.trace[Site("z", site.layer)]
        if isinstance(norm, nn.Identity):
            return self._projected_change(edit, z_bphd, window)
        if site.name == "z":
            z_bphd = z_bphd.clone()
            view = z_bphd if site.head is None else z_bphd[:, :, site.head]
            view.copy_(edited(edit, view, site))
        whole: Any = self.work.part(site.layer, self.work.model.architecture.output_projection)
        projected = whole(z_bphd[:, window].flatten(2).contiguous())
        if site.name == "head_out":
            projected = projected + self._projected_change(edit, z_bphd, window)
        return norm(projected) - self.work.trace[Site("attn_out", site.layer)][:, window]

    def _projected_change(self, edit: Edit, z_bphd: Tensor, window: slice | list[int]) -> Tensor:
        """Of what the output projection gives."""
        site = edit.site
        assert site.layer is not None
        weights_hdm = self.work.model.head_weights(site.layer)
        if site.head is not None:
            z, weights = z_bphd[:, :, site.head], weights_hdm[site.head]
        elif site.name == "z":
            moved_bphd = (edited(edit, z_bphd, site) - z_bphd)[:, window]
            return moved_bphd.flatten(2) @ weights_hdm.flatten(0, 1)
        else:
            old_bphm = torch.einsum("bphd,hdm->bphm", z_bphd, weights_hdm)
            return (edited(edit, old_bphm, site) - old_bphm)[:, window].sum(dim=2)
        if site.name == "z":
            return (edited(edit, z, site) - z)[:, window] @ weights
        old = z @ weights
        return (edited(edit, old, site) - old)[:, window]

    def _attention_again(self, edit: Edit, start: int) -> Tensor:
        site = edit.site
        assert site.layer is not None
        stream = self.work.trace[self.depths.stream(2 * site.layer)]
        act = {site: lambda value: edited(edit, value, site)}
        return self.work.attended(site.layer, stream[:, start:], start=start, act=act)
