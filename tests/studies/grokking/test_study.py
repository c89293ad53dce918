"""The whole study: models that were trained here have the structure; what is written, read again and shown."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
import torch

from heldout.errors import InputError
from heldout.studies.grokking import GrokkingRun, Recipe, grokking_of_training, grokking_of_weights
from heldout.studies.grokking import study as study_module

RECORD = {"claims.json", "provenance.json"}
FILES = {
    "measures.parquet",
    "frequencies.parquet",
    "phases.parquet",
    "grokking.json",
    "grokking.svg",
    "report.html",
} | RECORD
SVG = "{http://www.w3.org/2000/svg}"
Grokked = tuple[GrokkingRun, Path]


def test_a_model_that_is_trained_here_generalises_after_it_has_memorised(grokked: Grokked) -> None:
    run, _ = grokked
    memorised, generalised = run.learnt_at("train_accuracy"), run.learnt_at("test_accuracy")
    assert memorised is not None
    assert generalised is not None
    assert memorised < generalised
    assert run.checkpoints[0].measures.test_accuracy < 0.1


def test_it_has_the_structure(grokked: Grokked) -> None:
    run, _ = grokked
    assert [check.name for check in run.checks if not check.holds] == []
    first, last = run.checkpoints[0].measures, run.last
    chance = math.log(run.task.modulus)
    assert last.restricted < last.loss < 0.1 < chance / 2 < last.excluded_train
    assert last.random_excluded_train is not None
    assert last.random_excluded_train < 0.1
    assert last.neuron_logit_gini > first.neuron_logit_gini + 0.2
    assert last.embedding_gini > first.embedding_gini + 0.2
    assert last.neuron_logit_key_share > 0.8 > 0.5 > first.neuron_logit_key_share
    assert last.single_frequency_neurons > first.single_frequency_neurons


def test_the_excluded_loss_tells_memory_from_rule(grokked: Grokked) -> None:
    """While it has memorised only, the model does well on trained pairs without the frequencies that it will use."""
    run, _ = grokked
    memory = min(run.values("excluded_train"))
    assert memory < 0.5 * run.last.excluded_train
    assert run.last.train_loss < 0.01


def test_its_phases_begin_with_memory_and_come_to_clean_up(grokked: Grokked) -> None:
    run, _ = grokked
    moving = [span.phase for span in run.phases if span.phase not in ("plateau", "settled")]
    assert moving[0] == "memorisation"
    assert "clean-up" in moving


def test_everything_is_written(grokked: Grokked) -> None:
    run, out = grokked
    assert {path.name for path in out.iterdir() if path.is_file()} == FILES
    measures = pq.read_table(out / "measures.parquet").to_pylist()
    assert [row["step"] for row in measures] == list(run.steps)
    assert measures[-1]["excluded_train"] == run.last.excluded_train
    assert [measures[-1][f"order_{order}_loss"] for order in range(3)] == list(run.last.order_losses)
    frequencies = pq.read_table(out / "frequencies.parquet").to_pylist()
    assert len(frequencies) == len(run.steps) * 26
    assert {row["frequency"] for row in frequencies if row["key"]} == set(run.keys)
    phases = pq.read_table(out / "phases.parquet").to_pylist()
    assert [(row["phase"], row["start"], row["end"]) for row in phases] == [
        (span.phase, span.start, span.end) for span in run.phases
    ]


def test_the_json_says_what_was_found(grokked: Grokked) -> None:
    run, out = grokked
    found = json.loads((out / "grokking.json").read_text())
    assert found["schema"] == "heldout.grokking/1"
    assert (found["modulus"], found["recipe"]["fraction"]) == (53, 0.4)
    (told,) = found["runs"]
    assert told["key_frequencies"] == list(run.keys)
    assert told["test_learnt_at"] == run.learnt_at("test_accuracy")
    assert told["neurons"]["rank"] == 2 * len(run.keys)


def test_the_page_and_the_figure_stand_alone(grokked: Grokked) -> None:
    run, out = grokked
    page, figure = (out / "report.html").read_text(), (out / "grokking.svg").read_text()
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert page.count("<h1>") == 1
    for said in (
        "Against nulls",
        "shuffled weights",
        "Trained pairs are learnt for good before the others: in 1 of 1 seeds",
    ):
        assert said in page.replace("\u00a0", " ")
    assert not re.search(r'(href|src)="(?!#)', page)
    assert not re.search(r"(href|src|url\()", figure)
    root = ElementTree.fromstring(figure)
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    for said in ("Losses and phases", "Structure", "Spectrum at the end", "loss, nats", "clean-up"):
        assert said in texts
    for key in run.keys:
        assert str(key) in texts


def test_the_same_call_computes_nothing_again(
    tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = grokking_of_training(tiny_recipe, [0, 1], tmp_path)
    names = FILES - {"provenance.json"}
    before = {name: (tmp_path / name).read_bytes() for name in names}
    monkeypatch.setattr("heldout.studies.grokking.measures.measures_of", lambda *_: pytest.fail("measured again"))
    monkeypatch.setattr(study_module, "subspace_losses", lambda *_: pytest.fail("measured again"))
    again = grokking_of_training(tiny_recipe, [0, 1], tmp_path)
    assert again == first
    assert {name: (tmp_path / name).read_bytes() for name in names} == before


def test_seeds_can_be_added(tiny_recipe: Recipe, tmp_path: Path) -> None:
    one = grokking_of_training(tiny_recipe, [4], tmp_path)
    both = grokking_of_training(tiny_recipe, [4, 2, 4], tmp_path)
    assert [run.task.seed for run in both.runs] == [4, 2]
    assert both.runs[0] == one.runs[0]
    assert one.band("loss", logarithmic=True)[0].interval is None
    assert both.band("loss", logarithmic=True)[0].interval is not None


def test_processes_give_the_same(tiny_recipe: Recipe, tmp_path: Path) -> None:
    told: list[tuple[int, ...]] = []
    here = grokking_of_training(tiny_recipe, [0, 1], tmp_path / "here")
    apart = grokking_of_training(
        tiny_recipe, [0, 1], tmp_path / "apart", workers=2, progress=lambda _, *counts: told.append(counts)
    )
    assert apart == here
    assert told == [(12, 24), (24, 24)]


def test_a_model_that_has_not_learnt_fails_the_checks(tiny_recipe: Recipe, tmp_path: Path) -> None:
    study = grokking_of_training(tiny_recipe, [0], tmp_path)
    assert "answers pairs it was not trained on" in [check.name for _, check in study.failed]
    assert study.runs[0].learnt_at("test_accuracy") is None
    assert "✕" in (tmp_path / "report.html").read_text()


def test_weights_from_a_file(tiny_recipe: Recipe, tmp_path: Path) -> None:
    """Saved under the names that published weights have, they are the model that they were."""
    model, task = tiny_recipe.untrained(0), tiny_recipe.task(1)
    torch.save({"model": published_names(model.module.state_dict(), heads=2)}, tmp_path / "tiny.pth")
    study = grokking_of_weights(tmp_path / "tiny.pth", tmp_path / "out", fraction=0.5, seed=1)
    (run,) = study.runs
    expected = study_module.measured_run(
        study_module.CheckpointSuite.from_run({0: model}, name="tiny"), task, tmp_path / "own", None
    )
    assert run.last.train_loss == pytest.approx(expected.last.train_loss)
    assert (run.name, run.phases, study.along_training) == ("tiny", (), False)
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 1
    assert "Phases were not looked for. Not tested: tiny: 1 checkpoint, and phases need 6" in page
    assert (
        json.loads((tmp_path / "out" / "grokking.json").read_text())["runs"][0]["phases_missing"] == run.phases_missing
    )


def published_names(state: dict[str, torch.Tensor], heads: int) -> dict[str, torch.Tensor]:
    """As the code of arXiv 2301.05217 stores them: output × input."""
    attention, mlp = "layers.0.attention", "layers.0.mlp"
    split = {f"blocks.0.attn.W_{letter}": name for letter, name in (("Q", "query"), ("K", "key"), ("V", "value"))}
    return {
        "embed.W_E": state["embed.weight"].T,
        "pos_embed.W_pos": state["embed_position.weight"],
        "unembed.W_U": state["unembed.weight"].T,
        **{stored: state[f"{attention}.{name}.weight"].unflatten(0, (heads, -1)) for stored, name in split.items()},
        "blocks.0.attn.W_O": state[f"{attention}.output.weight"],
        "blocks.0.mlp.W_in": state[f"{mlp}.input.weight"],
        "blocks.0.mlp.b_in": state[f"{mlp}.input.bias"],
        "blocks.0.mlp.W_out": state[f"{mlp}.output.weight"],
        "blocks.0.mlp.b_out": state[f"{mlp}.output.bias"],
    }


def test_without_seeds_there_is_no_study(tiny_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found:    no seeds"):
        grokking_of_training(tiny_recipe, [], tmp_path)


def test_weights_of_another_shape_are_refused(tiny_recipe: Recipe, tmp_path: Path) -> None:
    state = published_names(tiny_recipe.untrained(0).module.state_dict(), heads=2)
    two = {
        **state,
        **{name.replace("blocks.0", "blocks.1"): value for name, value in state.items() if "blocks" in name},
    }
    torch.save(two, tmp_path / "deep.pth")
    with pytest.raises(InputError, match="found:    a model of 2 layers"):
        grokking_of_weights(tmp_path / "deep.pth", tmp_path / "out")
    torch.save({name: value for name, value in state.items() if "mlp" not in name}, tmp_path / "flat.pth")
    with pytest.raises(InputError, match="attention only"):
        grokking_of_weights(tmp_path / "flat.pth", tmp_path / "out")
