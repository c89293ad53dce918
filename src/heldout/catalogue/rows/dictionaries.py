"""Which sparse latents two models share."""

from heldout.catalogue.entry import Entry

DICTIONARIES = (
    Entry(
        name="crosscoder",
        factory="heldout.techniques.dictionaries.CrosscoderDiff",
        method="Trains one sparse dictionary on the activations of two models, and says which latents both have, which one of "
        "them has alone, and of which that cannot be told, by latent scaling against models without relation.",
        source="Lindsey et al. 2024; Minder et al. 2025, arXiv 2504.02922, for BatchTopK and latent scaling",
        needs="two models and samples, or one model and pairs of prompts; some thousands of tokens",
        assumes="Activations are sums of few directions, and a concept has the same codes in both models.",
        fails="A concept that no latent stands for is not compared; a latent that stands for two concepts is called shared if "
        "one of them is; dense codes, as with L1, blur what is exclusive.",
    ),
)
