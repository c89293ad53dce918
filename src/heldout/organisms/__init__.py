"""Small models with planted, documented ground truth."""

from heldout.organisms.building import Built, build_organism, build_organisms
from heldout.organisms.families import FAMILIES, RECIPES, Family, shipped_recipes, zoo_recipes
from heldout.organisms.folders import read_truth
from heldout.organisms.recipes import Recipe
from heldout.organisms.shipping import shipped_organisms

__all__ = [
    "FAMILIES",
    "RECIPES",
    "Built",
    "Family",
    "Recipe",
    "build_organism",
    "build_organisms",
    "read_truth",
    "shipped_organisms",
    "shipped_recipes",
    "zoo_recipes",
]
