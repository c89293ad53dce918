"""The plate of where score differences come from: grids of signed shares, by feature of the pairs."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.report.html import Markup, element, joined
from heldout.studies.drawing import WIDTH, Drawing, box, legend, text
from heldout.studies.drawing.heat_maps import contrast
from heldout.studies.reward.attribution import Attribution
from heldout.studies.reward.findings import Reading
from heldout.studies.reward.signed import signed

MOST_COLUMNS = 16
LEAST = 0.005
NAMES, CELL, TOP, SLOPING = 110.0, 26.0, 104.0, 44.0
COMPONENTS, FEATURES = "components", "named features"
MORE, LESS = "s1", "s2"
CAPTION = (
    "A row: test pairs of one feature, and what makes the score of the text with more of it differ: means over the pairs, in "
    "units of the score. Above: heads (head.layer.number) and MLPs, with the final norm held fixed; they sum to the "
    "difference. Below: named features, as the stream before the first layer has them; “left over” is what they do not "
    "account for. A model that norms its stream behind each sum has no components that add up."
)


def attribution_plate(reading: Reading) -> Drawing:
    components = [each for each in reading.attributions if each.kind == "component"]
    features = [each for each in reading.attributions if each.kind == "feature"]
    first, bottom = grid(COMPONENTS, components, largest_parts(components), TOP) if components else (None, TOP - 92)
    second, bottom = grid(FEATURES, features, list(features[0].parts), bottom + 92)
    signs = [(box(0, -6, 18, 12, MORE, 0.8), "raises the score"), (box(0, -6, 18, 12, LESS, 0.8), "lowers it")]
    errors = ", ".join(f"{kind}s {reading.completeness_error(kind):.2g}" for kind in reading.kinds)
    note = text(f"completeness error: {errors}", WIDTH - 8, 12, "tick end")
    content = joined(legend(signs, 8), note, first, second)
    name = "Parts of the score difference by component and by named feature"
    return Drawing(f"Where differences come from in {reading.name}", name, CAPTION, bottom + 12, content)


def largest_parts(found: Sequence[Attribution]) -> list[str]:
    """The parts that give most to any feature's difference, at least LEAST of the largest difference, in the model's
    order."""
    least = LEAST * max(abs(float(each.difference.mean())) for each in found)
    most = {name: max(abs(each.means[name]) for each in found) for name in found[0].parts}
    kept = [name for name in sorted(most, key=lambda name: -most[name])[:MOST_COLUMNS] if most[name] >= least]
    return [name for name in found[0].parts if name in kept]


def grid(title: str, found: Sequence[Attribution], columns: Sequence[str], top: float) -> tuple[Markup, float]:
    """A grid and where it ends. The last columns are the rest and the whole difference."""
    width = min(64.0, (WIDTH - NAMES - SLOPING) / (len(columns) + 2))
    rest = "left over" if title == FEATURES else "others"
    largest = max(abs(float(each.difference.mean())) for each in found) or 1.0
    parts = [text(title, 0, top - 10, "label strong")]
    for place, name in enumerate([*columns, rest, "difference"]):
        parts.append(sloping(name, NAMES + (place + 0.5) * width, top - 8))
    for row, each in enumerate(found):
        y = top + row * CELL
        means, whole = each.means, float(each.difference.mean())
        values = [means[name] for name in columns]
        parts.append(text(each.feature, NAMES - 10, y + CELL / 2 + 4, "label end"))
        for place, value in enumerate([*values, whole - sum(values), whole]):
            parts.append(cell(value, largest, NAMES + place * width, y, width))
    return joined(parts), top + CELL * len(found)


def sloping(name: str, x: float, y: float) -> Markup:
    return element("g", text(name, 0, 0, "tick"), transform=f"translate({x:.0f} {y:.0f}) rotate(-35)")


def cell(value: float, largest: float, x: float, y: float, width: float) -> Markup:
    strength = min(1.0, abs(value) / largest)
    shade = box(x + 1, y + 1, width - 2, CELL - 2, MORE if value >= 0 else LESS, strength, signed(value, 4))
    said = signed(value)
    return joined(shade, text(said, x + width / 2, y + CELL / 2 + 4, contrast(strength)))
