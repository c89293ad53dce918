"""The order of sites along a chart, and the labels under it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WITHIN_A_LAYER = (
    "resid_pre", "ln1", "q", "k", "v", "scores", "pattern", "z", "head_out", "attn_out", "resid_mid", "ln2", "mlp_pre",
    "mlp_in", "mlp_post", "mlp_out", "resid_post",
)  # fmt: skip
BEFORE, AFTER = -1, 1 << 20


@dataclass(frozen=True)
class SiteAxis:
    """Sites in the order of computation, x = 0, 1, 2, …; `ticks` label single sites, `groups` label layers."""

    sites: tuple[str, ...]
    ticks: tuple[tuple[float, str], ...]
    groups: tuple[tuple[float, float, str], ...]

    def title(self, what: str) -> str:
        """What the axis shows; a name that all the sites share is said here, and not under each of them."""
        names = {site_parts(site)[0] for site in self.sites}
        return (
            f"layer, {what} at {names.pop()}" if len(names) == 1 else f"{what}, by layer, in the order of computation"
        )

    def x(self, site: str) -> float:
        return float(self.sites.index(site))


def site_axis(sites: Iterable[str]) -> SiteAxis:
    """The axis on which each of `sites` occurs once.

    >>> site_axis(["resid_post.1", "resid_pre.0", "resid_post.0"]).sites
    ('resid_pre.0', 'resid_post.0', 'resid_post.1')
    """
    ordered = tuple(sorted(set(sites), key=site_order))
    names = {site_parts(site)[0] for site in ordered}
    ticks = tuple((float(x), _short(site_parts(site)[0])) for x, site in enumerate(ordered)) if len(names) > 1 else ()
    groups: list[tuple[float, float, str]] = []
    for x, site in enumerate(ordered):
        name, layer, _ = site_parts(site)
        label = name if layer is None else str(layer)
        if groups and groups[-1][2] == label:
            groups[-1] = (groups[-1][0], float(x), label)
        else:
            groups.append((float(x), float(x), label))
    return SiteAxis(ordered, ticks, tuple(groups))


def site_order(site: str) -> tuple[int, int, int, str]:
    name, layer, head = site_parts(site)
    if layer is None:
        layer = BEFORE if "embed" in name else AFTER
    place = WITHIN_A_LAYER.index(name) if name in WITHIN_A_LAYER else WITHIN_A_LAYER.index("mlp_pre")
    return (layer, place, head, name)


def site_parts(site: str) -> tuple[str, int | None, int]:
    """The name, layer and head (-1 for none) of `resid_post.5` or `head_out.3.7`."""
    name, *numbers = site.split(".")
    figures = [int(figure) for figure in numbers if figure.isdigit()]
    return name, (figures[0] if figures else None), (figures[1] if len(figures) > 1 else -1)


def _short(name: str) -> str:
    return name.removeprefix("resid_").replace("_out", "")
