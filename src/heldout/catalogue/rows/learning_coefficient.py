"""How degenerate a point of the loss is."""

from heldout.catalogue.entry import Entry

LEARNING_COEFFICIENT = (
    Entry(
        name="learning_coefficient",
        factory="heldout.techniques.LearningCoefficient",
        method="Samples the tempered posterior around the weights by Hamiltonian Monte Carlo at several temperatures, and "
        "gives what the scaled excess loss tends to, or says by name why there is no such number.",
        source="Lau et al. 2023, arXiv 2308.12108, equation 9; Watanabe 2013 for the temperature; Neal 2011 for the sampler",
        needs="a loss over all of the data as a function of the weights (`token_loss` and `own_outputs` make one of a "
        "model and samples), and gradients",
        assumes="The weights are a local minimum of that loss.",
        fails="Where curvatures spread over many decades, as in the language model that was tried, levels are no plateau, "
        "and all that comes is a refusal; a multiplicity above 2 hides more than the interval allows for.",
    ),
)
