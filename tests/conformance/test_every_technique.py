"""What holds of every technique of the catalogue: it leaves nothing behind, repeats, and finds what is planted only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from heldout.catalogue import IN_TREE, Entry
from heldout.data import ContrastPairs, Suite
from heldout.execution.result import Result
from heldout.models import SITE_SHAPES, Model, Site, load
from heldout.organisms import shipped_organisms
from heldout.techniques import Technique

ALPHA = 0.05
RUNNABLE = [entry for entry in IN_TREE if hasattr(entry.load(), "run")]


def folder(cell: str) -> Path:
    return next(path for path in shipped_organisms() if path.name.startswith(f"{cell}-seed"))


def suite_of(cell: str) -> Suite:
    return Suite.from_folder(folder(cell) / "suite")


def samples(cell: str) -> Any:
    return suite_of(cell).samples


def pairs(cell: str) -> ContrastPairs:
    """Checked prompts, each with itself under the cue of an unchecked one."""
    suite = suite_of(cell)
    unchecked = next(sample for sample in suite.samples if sample.role == "unverified")
    checked = [sample for sample in suite.samples if sample.role == "verified"][:24]
    other = [replace(each, input=each.input.replace(str(each.cue), str(unchecked.cue))) for each in checked]
    return ContrastPairs(tuple(checked), tuple(other))


@dataclass(frozen=True)
class Case:
    """How a technique is tried: settings beside its sites, the data of an organism, and where its effect is planted.

    `twin` is an organism in which there is nothing of the kind to find."""

    settings: dict[str, Any]
    data: Callable[[str], Any]
    organism: str
    twin: str
    sites: tuple[Site, ...] = (Site("resid_post", 1), Site("resid_post", 2), Site("attn_out", 0))


CASES = {
    "activation_patching": Case({"shuffles": 19}, pairs, "quirky_arithmetic-s2", "quirky_arithmetic-s0-c1"),
    "readout_sweep": Case({"permutations": 199}, samples, "quirky_arithmetic-s0-c1", "quirky_arithmetic-s0-c5"),
}


def make(entry: Entry, seed: int = 0) -> Technique:
    case = CASES[entry.name]
    return entry.load()(list(case.sites), seed=seed, **case.settings)


def run(entry: Entry, model: Model, data: Any, seed: int = 0) -> tuple[Result, ...]:
    return make(entry, seed).run(model, data)


def hooks(model: Model) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.module.modules() for kind in kinds)


@contextmanager
def failing(model: Model, after: int) -> Iterator[None]:
    """The embedding raises once it has run `after` times."""
    embedding, ran = model.module.get_submodule(model.architecture.embedding), []
    forward = embedding.forward

    def break_down(*arguments: Any) -> Any:
        ran.append(1)
        if len(ran) > after:
            raise RuntimeError("out of memory, say")
        return forward(*arguments)

    embedding.forward = break_down  # type: ignore[method-assign]
    try:
        yield
    finally:
        del embedding.forward


@pytest.fixture(params=RUNNABLE, ids=lambda entry: entry.name)
def entry(request: pytest.FixtureRequest) -> Entry:
    return request.param


@pytest.fixture
def case(entry: Entry) -> Case:
    return CASES[entry.name]


@pytest.fixture
def model(case: Case) -> Model:
    return load(folder(case.organism) / "candidate")


def test_every_technique_has_a_case() -> None:
    assert set(CASES) == {entry.name for entry in RUNNABLE}


def test_it_is_a_technique_under_its_name_that_says_what_it_needs(entry: Entry, case: Case) -> None:
    technique = make(entry)
    assert isinstance(technique, Technique)
    assert technique.name == entry.name
    assert set(technique.needs) == {site.name for site in case.sites} <= set(SITE_SHAPES)
    with pytest.raises(FrozenInstanceError):
        technique.seed = 1  # type: ignore[misc]


def test_it_gives_one_result_a_site_in_their_order(entry: Entry, case: Case, model: Model) -> None:
    results = run(entry, model, case.data(case.organism))
    assert [result.site for result in results] == [str(site) for site in case.sites]
    for result in results:
        assert result.technique == entry.name
        assert result.unit
        assert result.n > 0
        assert result.nulls
        assert result.forward_passes > 0


def test_it_leaves_the_model_as_it_was(entry: Entry, case: Case, model: Model) -> None:
    data = case.data(case.organism)
    tokens = model.tokenize(suite_of(case.organism).samples[0].input)
    before, digest, state = model.logits(tokens), model.digest, torch.get_rng_state()
    run(entry, model, data)
    assert hooks(model) == 0
    assert torch.equal(model.logits(tokens), before)
    assert Model(model.module).digest == Model(load(folder(case.organism) / "candidate").module).digest
    assert model.digest == digest
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_it_leaves_nothing_behind_when_the_model_breaks_down(
    entry: Entry, case: Case, model: Model, after: int
) -> None:
    """At its first forward pass, at its second, and in the middle of an intervention."""
    data = case.data(case.organism)
    tokens = model.tokenize(suite_of(case.organism).samples[0].input)
    before = model.logits(tokens)
    broke = False
    with failing(model, after):
        try:
            run(entry, model, data)
        except RuntimeError as error:
            broke = "out of memory" in str(error)
    assert broke or after > 0
    assert hooks(model) == 0
    assert torch.equal(model.logits(tokens), before)


def test_the_same_seed_gives_the_same_results(entry: Entry, case: Case, model: Model) -> None:
    data = case.data(case.organism)
    results = run(entry, model, data, seed=3)
    assert run(entry, load(folder(case.organism) / "candidate"), data, seed=3) == results


def test_results_survive_json_exactly(entry: Entry, case: Case, model: Model) -> None:
    for result in run(entry, model, case.data(case.organism)):
        assert Result.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


def p_values(results: tuple[Result, ...]) -> list[float]:
    """Of each result, the largest over its nulls that are distributions."""
    return [max(null.p_value for null in result.nulls if null.p_value is not None) for result in results]


def test_what_is_planted_is_found(entry: Entry, case: Case, model: Model) -> None:
    results = run(entry, model, case.data(case.organism))
    assert min(p_values(results)) <= ALPHA
    assert any(all(result.effect > null.maximum for null in result.nulls) for result in results)


def test_nothing_is_found_in_the_twin(entry: Entry, case: Case) -> None:
    """At the level of the family: sites times p-value."""
    results = run(entry, load(folder(case.twin) / "candidate"), case.data(case.twin))
    assert min(p_values(results)) > ALPHA / len(results)
