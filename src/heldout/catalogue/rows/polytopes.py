"""How finely layers cut up activation space."""

from heldout.catalogue.entry import Entry

POLYTOPES = (
    Entry(
        name="polytope_boundaries",
        factory="heldout.techniques.PolytopeBoundaries",
        method="Counts how many neurons change their sign on the straight line between the streams of two prompts, per unit "
        "of length, with and without the stretching that a norm does.",
        source="Black et al. 2022, arXiv 2211.12312; Balestriero and Baraniuk 2018 for spline codes",
        needs="contrast pairs",
        assumes="ReLUs, for exact polytopes; signs of pre-activations stand for them in GELU and SiLU.",
        fails="Every direction along which many neurons change is dense, whether or not it means anything.",
    ),
)
