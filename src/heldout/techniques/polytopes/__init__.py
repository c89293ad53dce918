"""The polytope view: regions of activation space in which a model's neurons keep their signs."""

from heldout.techniques.polytopes.boundaries import Lines, boundaries, rescaled_points, straight_points
from heldout.techniques.polytopes.codes import is_piecewise_linear, mlp_input, preactivations, read_site, spline_code
from heldout.techniques.polytopes.polytope_boundaries import PolytopeBoundaries

__all__ = [
    "Lines",
    "PolytopeBoundaries",
    "boundaries",
    "is_piecewise_linear",
    "mlp_input",
    "preactivations",
    "read_site",
    "rescaled_points",
    "spline_code",
    "straight_points",
]
