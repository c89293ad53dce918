"""Small models with planted, documented ground truth."""

from heldout.organisms.building import Built, build_organism, build_organisms
from heldout.organisms.families import FAMILIES, RECIPES, Family, shipped_recipes, zoo_recipes
from heldout.organisms.folders import read_truth
from heldout.organisms.recipes import Recipe
from heldout.organisms.shipping import shipped_organisms
from heldout.organisms.trajectories import (
    TRAJECTORY_FAMILIES,
    BuiltTrajectory,
    Point,
    baseline_of,
    build_trajectories,
    read_points,
)

__all__ = [
    "FAMILIES",
    "RECIPES",
    "TRAJECTORY_FAMILIES",
    "Built",
    "BuiltTrajectory",
    "Family",
    "Point",
    "Recipe",
    "baseline_of",
    "build_organism",
    "build_organisms",
    "build_trajectories",
    "read_points",
    "read_truth",
    "shipped_organisms",
    "shipped_recipes",
    "zoo_recipes",
]
