"""Small models with planted, documented ground truth."""

from heldout.organisms.building import Built, build_organism, build_organisms
from heldout.organisms.folders import read_truth
from heldout.organisms.recipes import RECIPES, Recipe, shipped_recipes, trial_recipes
from heldout.organisms.shipping import shipped_organisms

__all__ = [
    "RECIPES",
    "Built",
    "Recipe",
    "build_organism",
    "build_organisms",
    "read_truth",
    "shipped_organisms",
    "shipped_recipes",
    "trial_recipes",
]
