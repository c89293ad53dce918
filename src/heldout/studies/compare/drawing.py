"""The figure: models against each other, layers against layers, and what people use in each model."""

from __future__ import annotations

from collections.abc import Sequence

from heldout.report.html import Markup, joined
from heldout.report.words import percent
from heldout.studies.compare.alignment import Cell
from heldout.studies.compare.decoding import PERMUTED, UNTRAINED, WORDS
from heldout.studies.compare.findings import ModelComparison
from heldout.studies.drawing.canvas import WIDTH, Drawing, text
from heldout.studies.drawing.heat_maps import Grid, Shown, drawn, key

TITLE = "How alike these models are inside"
LEVEL = 0.05
ACROSS, GAP = 3, 22.0
MOST_PANELS = 12
KEY = 34.0
WIDE = 84.0
WITHIN = "not beyond its null"

LIKENESS_CAPTION = (
    "Debiased CKA, mean over the sites that are equally deep: 1 is the same up to rotation and scale, 0 is what unrelated "
    "models give. A letter with ₀ is an untrained model of that shape, which reads the same words: what it reaches is no "
    "likeness that training made. Corner: at some of these sites the value does not stand on the whole representation."
)
LAYERS_CAPTION = (
    "Debiased CKA between every two sites. Corner: flagged, as the value changes by more than half without the first "
    "principal component or without prompts that are far out, or the biased estimate does; the tables say which. Dashed: "
    "not more alike than with the prompts permuted (p > 0.05 over the cells of the panel)."
)
CONCEPTS_CAPTION = (
    "How often a linear readout is right on prompts that it was neither fitted nor chosen on. Dashed: not more than "
    "permuted labels, an untrained model and the bare words give (p > 0.05, corrected over concepts and models)."
)


def drawings(study: ModelComparison) -> list[Drawing]:
    """The plates of the figure, in their order."""
    plates = [likeness_plate(study), layers_plate(study)]
    return [*plates, concepts_plate(study)] if study.held else plates


def likeness_plate(study: ModelComparison) -> Drawing:
    """Trained models against all, with the letters beside them."""
    rows, columns = study.trained, study.models
    names = [model.label for model in columns]
    cells = likeness_cells(study)
    grid = Grid("", [row.label for row in rows], names, "model", "model", cells, WIDTH / 2, upwards=False)
    left = grid.left + grid.column * len(columns) + 44
    legend = [
        joined(text(model.label, left, 18 + 18 * i, "label strong"), text(model.name, left + 28, 18 + 18 * i, "label"))
        for i, model in enumerate(columns)
    ]
    height = max(grid.height, 30.0 + 18 * len(columns))
    content = joined(drawn(grid, 0, 0), legend, key(height, WITHIN, "flagged"))
    heading, name = "Models against each other", "Likeness of models, by debiased CKA"
    return Drawing(heading, name, LIKENESS_CAPTION, height + KEY, content)


def likeness_cells(study: ModelComparison) -> dict[tuple[int, int], Shown]:
    cells: dict[tuple[int, int], Shown] = {}
    for i, one in enumerate(study.trained):
        for j, other in enumerate(study.models):
            found = study.likeness(one.label, other.label)
            if found is not None:
                sites = f"{found.sites} sites, {found.flagged} flagged"
                title = f"{one.label} and {other.label}: {found.value:.3f}, {sites}"
                flagged = found.flagged > 0 and one is not other
                cells[i, j] = Shown(found.value, title, flagged, within=found.p_value > LEVEL)
    return cells


def layers_plate(study: ModelComparison) -> Drawing:
    """A panel for each pair of models."""
    pairs = panel_pairs(study)
    width = (WIDTH - GAP * (ACROSS - 1)) / ACROSS
    parts: list[Markup] = []
    y = 0.0
    for start in range(0, len(pairs), ACROSS):
        grids = [layer_grid(study, *pair, width) for pair in pairs[start : start + ACROSS]]
        parts += [drawn(grid, place * (width + GAP), y) for place, grid in enumerate(grids)]
        y += max(grid.height for grid in grids) + 10
    parts.append(key(y, WITHIN, "flagged"))
    return Drawing("Layer against layer", "Likeness of layers, by debiased CKA", LAYERS_CAPTION, y + KEY, joined(parts))


def panel_pairs(study: ModelComparison) -> list[tuple[str, str]]:
    """Different models, each with an untrained one, and each with itself; as many as there is room for."""
    pairs = list(dict.fromkeys((cell.model, cell.other) for cell in study.cells))
    trained = {model.label for model in study.trained}
    themselves = [pair for pair in pairs if pair[0] == pair[1]]
    untrained = [pair for pair in pairs if pair[1] not in trained]
    return [*study.neighbours_first, *untrained, *themselves][:MOST_PANELS]


def layer_grid(study: ModelComparison, model: str, other: str, room: float) -> Grid:
    cells = [cell for cell in study.cells if (cell.model, cell.other) == (model, other)]
    rows = list(dict.fromkeys(cell.site for cell in cells))
    columns = list(dict.fromkeys(cell.other_site for cell in cells))
    shown = {(rows.index(cell.site), columns.index(cell.other_site)): shown_cell(cell) for cell in cells}
    names = {site.partition(".")[0] for site in (*rows, *columns)}
    said = f"{next(iter(names))} at layer, of " if len(names) == 1 else "site, of "
    return Grid(f"{model} and {other}", short(rows), short(columns), f"{said}{model}", f"{said}{other}", shown, room)


def shown_cell(cell: Cell) -> Shown:
    flags = f", flagged: {', '.join(cell.flags)}" if cell.flags else ""
    title = (
        f"{cell.model} {cell.site}, {cell.other} {cell.other_site}: {cell.debiased:.3f}, biased {cell.biased:.3f}, "
        f"p {cell.p_value:.2g}{flags}"
    )
    flagged = bool(cell.flags) and (cell.model, cell.site) != (cell.other, cell.other_site)
    return Shown(cell.debiased, title, flagged, within=cell.p_value > LEVEL)


def short(sites: Sequence[str]) -> list[str]:
    """Layers alone where every site has the same name."""
    if len({site.partition(".")[0] for site in sites}) == 1:
        return [site.partition(".")[2] or site for site in sites]
    return [site.removeprefix("resid_") for site in sites]


def concepts_plate(study: ModelComparison) -> Drawing:
    concepts = list(dict.fromkeys(held.concept for held in study.held))
    models = [model.label for model in study.trained]
    references = ((UNTRAINED, "untrained"), (WORDS, "words"), (PERMUTED, "permuted"))
    cells: dict[tuple[int, int], Shown] = {}
    for held in study.held:
        row = concepts.index(held.concept)
        title = f"{held.concept} in {held.model}, {held.site}: {percent(held.accuracy)} of {held.n}"
        cells[row, models.index(held.model)] = Shown(held.accuracy, title, within=not held.held)
        if held.model == models[0]:
            for place, (name, _) in enumerate(references):
                rate = next(null.mean for null in held.nulls if null.name == name)
                cells[row, len(models) + place] = Shown(rate, f"{held.concept}, {name}: {percent(rate)}")
    columns = [*models, *(said for _, said in references)]
    title = f"model, and what {models[0]} is held against"
    grid = Grid("", concepts, columns, "", title, cells, WIDTH, upwards=False, widest=WIDE)
    content = joined(drawn(grid, 0, 0), key(grid.height, "not held"))
    heading = "What people use, in each model"
    return Drawing(heading, "Decodability of concepts", CONCEPTS_CAPTION, grid.height + KEY, content)
