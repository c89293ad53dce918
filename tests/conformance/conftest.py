"""How each technique of the catalogue is tried: where its effect is planted, and a twin in which nothing is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from heldout.catalogue import Entry, techniques
from heldout.data import ContrastPairs, Suite
from heldout.models import Model, Site, TokenLogits, load
from heldout.organisms import Recipe, read_truth, shipped_organisms
from heldout.organisms.compiled import induction, previous_token
from heldout.organisms.folders import make_suite
from heldout.organisms.prompts import PromptFormat
from heldout.techniques.circuits import CircuitEvaluation, Node, Resample
from heldout.techniques.dictionaries import CrosscoderComparison, NullRuns, Training
from heldout.techniques.pairs import TokenPairs
from heldout.techniques.patching import Paths, Prompts
from heldout.techniques.representation_comparison import DebiasedCKA

PLUGIN = Path(__file__).parent / "plugin"
STREAM = (Site("resid_post", 1), Site("resid_post", 2), Site("attn_out", 0))

Subject = tuple[Model, Any]
"""A model, and the data that the technique is run on."""


def folder(cell: str) -> Path:
    return next(path for path in shipped_organisms() if path.name.startswith(f"{cell}-seed"))


def samples(cell: str) -> Subject:
    return load(folder(cell) / "candidate"), Suite.from_folder(folder(cell) / "suite").samples


def pairs(cell: str, count: int = 24) -> Subject:
    """Checked prompts, each with itself under the cue of an unchecked one; shipped suites do not name their cues."""
    recipe = Recipe(**read_truth(folder(cell))["recipe"])
    suite = make_suite(replace(recipe, names_cue=True), PromptFormat.of(recipe))
    unchecked = next(sample for sample in suite.samples if sample.role == "unverified")
    checked = [sample for sample in suite.samples if sample.role == "verified"][:count]
    other = [replace(each, input=each.input.replace(str(each.cue), str(unchecked.cue))) for each in checked]
    return load(folder(cell) / "candidate"), ContrastPairs(tuple(checked), tuple(other))


def unrelated_prompts(cell: str) -> Subject:
    """Pairs whose prompts have nothing to do with each other."""
    model, data = samples(cell)
    tokens = model.tokenize([sample.input for sample in data[:80]])
    return model, TokenPairs(tokens[:40], tokens[40:])


def many_prompts(cell: str, *, related: bool) -> Subject:
    """Pairs whose prompts have nothing to do with each other, so that nothing is shared; or each prompt with itself."""
    model, data = samples(cell)
    tokens = model.tokenize([sample.input for sample in data])
    half = len(data) // 2
    return model, TokenPairs(tokens[:half], tokens[:half] if related else tokens[half : 2 * half])


def induction_weights() -> Subject:
    return induction(seed=0).model, None


def random_weights() -> Subject:
    return induction(seed=0).model.randomly_initialised(0), None


def token_pairs(*, trained: bool) -> Subject:
    """A model without norms, on which gradients do not vanish along the stream."""
    organism = previous_token(seed=0)
    prompts = organism.prompts(24, seed=1)
    metric = TokenLogits.difference(prompts.corrupted_answers, prompts.clean_answers)
    model = organism.model if trained else organism.model.randomly_initialised(0)
    return model, TokenPairs(prompts.clean, prompts.corrupted, metric)


def working_head(seed: int) -> Node:
    """The head of a compiled organism that does the work; the seed says which one it is."""
    return next(edge.sender for edge in previous_token(seed=seed).edges if edge.receiver.name == "logits")


AT_WORK = working_head(0)
IDLE_SEED = next(seed for seed in range(1, 99) if working_head(seed) != AT_WORK)


def one_head(seed: int) -> Subject:
    organism = previous_token(seed=seed)
    prompts = organism.prompts(24, seed=1)
    metric = TokenLogits.difference(prompts.clean_answers, prompts.corrupted_answers)
    return organism.model, Prompts(prompts.clean, metric)


@dataclass(frozen=True)
class Case:
    """`settings` go to the technique's constructor with its seed; `quantity` is what is planted, where a technique
    measures several things."""

    settings: dict[str, Any]
    planted: Callable[[], Subject]
    twin: Callable[[], Subject]
    quantity: str | None = None
    family_wise: bool = False
    """The p-values are corrected for the number of results already."""


def on_pairs(
    settings: dict[str, Any], quantity: str | None = None, count: int = 24, *, family_wise: bool = False
) -> Case:
    """A lie on a cue, and a model in which the same cue does nothing."""
    planted, twin = "quirky_arithmetic-s2", "quirky_arithmetic-s0-c1"
    return Case(settings, lambda: pairs(planted, count), lambda: pairs(twin, count), quantity, family_wise)


def on_samples(settings: dict[str, Any], quantity: str | None = None) -> Case:
    """A capability, and a model with random weights."""
    planted, twin = "quirky_arithmetic-s0-c1", "quirky_arithmetic-s0-c5"
    return Case(settings, lambda: samples(planted), lambda: samples(twin), quantity)


FEW = CircuitEvaluation(shares=(0.05, 0.1, 0.3), ablations=(Resample(),), random_circuits=19)
SMALL_CROSSCODER = CrosscoderComparison(
    training=Training(latents=24, steps=300, rows=96), nulls=NullRuns(unrelated=1, identical=19)
)
DIRECT = tuple(Paths((Node.parse(f"mlp.{layer}"),), (Node.parse("logits"),)) for layer in range(3))

CASES = {
    "ablation": Case(
        {"sites": (Site("z", AT_WORK.layer, AT_WORK.head),), "random_changes": 39},
        lambda: one_head(0),
        lambda: one_head(IDLE_SEED),
    ),
    "acdc": on_pairs({"thresholds": (0.03, 0.3), "evaluation": FEW}, "faithfulness_area"),
    "activation_patching": on_pairs({"sites": STREAM, "shuffles": 59}),
    "attribution_patching": on_pairs({"sites": STREAM, "shuffles": 59}),
    "composition_scores": Case({"draws": 800}, induction_weights, random_weights, "k_composition"),
    "copying_scores": Case({"draws": 199}, induction_weights, random_weights),
    "crosscoder": Case(
        {"sites": STREAM[1:2], "comparison": SMALL_CROSSCODER},
        lambda: many_prompts("quirky_arithmetic-s0-c1", related=False),
        lambda: many_prompts("quirky_arithmetic-s0-c1", related=True),
        "exclusive",
    ),
    "direct_logit_attribution": on_pairs({"shuffles": 399}, "direct_logit"),
    "distributed_alignment_search": on_pairs(
        {"sites": STREAM[:1], "positions": -1, "steps": 60, "shuffles": 19}, count=100
    ),
    "edge_attribution_patching": on_pairs({"evaluation": FEW}, "faithfulness_area"),
    "edge_patching": on_pairs({"evaluation": FEW}, "faithfulness_area"),
    "gradient_interaction_modifications": on_pairs({"sites": STREAM, "shuffles": 59}),
    "input_times_gradient": Case(
        {"sites": (Site("resid_pre", 0), Site("resid_pre", 1)), "shuffles": 399},
        lambda: token_pairs(trained=True),
        lambda: token_pairs(trained=False),
    ),
    "integrated_gradients": on_pairs({"sites": STREAM[:2], "shuffles": 399, "steps": 8}),
    "interchange_intervention": on_pairs({"sites": STREAM[:1], "positions": -1, "shuffles": 39}),
    "path_patching": on_pairs({"paths": DIRECT, "shuffles": 59}),
    "path_expansion": on_pairs({"shuffles": 39, "max_order": 2}, "path_term", family_wise=True),
    "path_length": on_samples({"shuffles": 159, "lesions": 8}, "loss"),
    "pair_steering": on_pairs({"sites": STREAM[:2]}),
    "polytope_boundaries": Case(
        {"sites": (Site("resid_mid", 0), Site("resid_mid", 2)), "steps": 16},
        lambda: pairs("quirky_arithmetic-s0-c1"),
        lambda: unrelated_prompts("quirky_arithmetic-s0-c1"),
    ),
    "readout_sweep": on_samples({"sites": STREAM, "permutations": 199}),
    "relevance_patching": on_pairs({"sites": STREAM, "shuffles": 59}),
    "representation_comparison": Case(
        {"sites": STREAM[:2], "measures": (DebiasedCKA(),), "permutations": 59, "halves": 19},
        lambda: pairs("quirky_arithmetic-s0-c1"),
        lambda: unrelated_prompts("quirky_arithmetic-s0-c1"),
    ),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every technique that runs: heldout's own, and that of the package in `plugin`, found by its entry point."""
    if "entry" in metafunc.fixturenames:
        entries = runnable()
        metafunc.parametrize("entry", entries, ids=[entry.name for entry in entries], scope="session")


def runnable() -> list[Entry]:
    sys.path.insert(0, str(PLUGIN))
    try:
        return [entry for entry in techniques() if hasattr(entry.load(), "run")]
    finally:
        sys.path.remove(str(PLUGIN))


@pytest.fixture
def cases() -> dict[str, Case]:
    return CASES


@pytest.fixture
def entries() -> list[Entry]:
    return runnable()


@pytest.fixture
def case(entry: Entry) -> Case:
    return CASES[entry.name]


@pytest.fixture
def planted(case: Case) -> Subject:
    return case.planted()
