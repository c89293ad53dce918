"""How alike two representations of the same items are, against permuted items, and what the likeness stands on."""

from heldout.techniques.representation_comparison.activations import read_activations
from heldout.techniques.representation_comparison.canonical_correlation import PWCCA, SVCCA
from heldout.techniques.representation_comparison.comparison import Comparison, Draws, compare
from heldout.techniques.representation_comparison.kernel_alignment import BiasedCKA, DebiasedCKA
from heldout.techniques.representation_comparison.measure import Measure
from heldout.techniques.representation_comparison.principal_components import PrincipalComponents
from heldout.techniques.representation_comparison.procrustes import OrthogonalProcrustes
from heldout.techniques.representation_comparison.robustness import FLAGS, Removals
from heldout.techniques.representation_comparison.similarity_analysis import RSA, crossnobis
from heldout.techniques.representation_comparison.technique import MEASURES, RepresentationComparison

__all__ = [
    "FLAGS",
    "MEASURES",
    "PWCCA",
    "RSA",
    "SVCCA",
    "BiasedCKA",
    "Comparison",
    "DebiasedCKA",
    "Draws",
    "Measure",
    "OrthogonalProcrustes",
    "PrincipalComponents",
    "Removals",
    "RepresentationComparison",
    "compare",
    "crossnobis",
    "read_activations",
]
