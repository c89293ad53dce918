"""The organisms inside the package."""

from __future__ import annotations

from pathlib import Path

from heldout.organisms.families import shipped_recipes
from heldout.organisms.folders import is_whole

FOLDER = Path(__file__).parent / "shipped"


def shipped_organisms() -> list[Path]:
    """The folders of the shipped organisms, in the order of their recipes; those that are not there are left out."""
    return [folder for recipe in shipped_recipes() if is_whole(folder := FOLDER / recipe.name)]
