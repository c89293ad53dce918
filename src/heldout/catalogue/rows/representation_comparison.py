"""How alike two models represent the same prompts."""

from heldout.catalogue.entry import Entry

REPRESENTATION_COMPARISON = (
    Entry(
        name="representation_comparison",
        factory="heldout.techniques.RepresentationComparison",
        method="Says how alike two models represent the same prompts at each pair of sites, by debiased CKA, biased CKA, "
        "orthogonal Procrustes, SVCCA, PWCCA and RSA, and whether one component or a few prompts carry the likeness.",
        source="Murphy et al. 2024, arXiv 2405.01012; Song et al. 2012 for the unbiased HSIC",
        needs="two models and samples, or one model and pairs of prompts",
        assumes="What matters of a representation is how its items lie to each other.",
        fails="Models that read the same words are alike before any training; one dominant component, or two prompts that "
        "are far out, give 1.",
    ),
)
