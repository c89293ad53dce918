"""Loading: what is loaded is what was saved, and every unusable checkpoint is refused in words that help."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from heldout.errors import InputError
from heldout.models import Model, load, loading


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(path: Path | str, **settings: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        load(path, **settings)
    assert str(raised.value).startswith(f"heldout.load({str(path)!r})\n")
    return raised.value


def assert_same_model(left: Model, right: Model) -> None:
    """The same weights, to the bit (where weights lie in memory can change the last bit of what is computed from
    them)."""
    found, expected = left.module.state_dict(), right.module.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert left.architecture == right.architecture
    assert left.dimensions == right.dimensions


def test_a_folder_gives_the_model_that_was_saved(checkpoint: Path, build_model: Callable[..., Model]) -> None:
    model, saved = load(checkpoint), build_model("qwen3")
    tokens = model.tokenize(["w1 w2 w3", "w4"])
    assert_same_model(model, saved)
    torch.testing.assert_close(model.logits(tokens), saved.logits(tokens), rtol=0, atol=1e-5)
    assert model.name.endswith("/checkpoint")
    assert model.dtype == torch.float32
    assert not model.module.training
    assert not any(p.requires_grad for p in model.module.parameters())


@pytest.mark.parametrize("case", ["gpt2", "llama", "gemma2", "olmo2", "mixtral"])
def test_every_kind_of_checkpoint_loads(checkpoint: Path, build_model: Callable[..., Model], case: str) -> None:
    module: Any = build_model(case).module
    (checkpoint / "model.safetensors").unlink()
    module.save_pretrained(checkpoint)
    model = load(checkpoint)
    assert_same_model(model, build_model(case))
    assert model.tokenize(["w1 w2 w3"]).ids.tolist() == [[5, 6, 7]]


def test_the_stored_dtype_is_kept_unless_another_is_asked_for(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    save_file({k: v.bfloat16() for k, v in load_file(file).items()}, file, metadata={"format": "pt"})
    change_config(checkpoint, dtype="bfloat16")
    assert load(checkpoint).dtype == torch.bfloat16
    assert load(checkpoint, dtype=torch.float32).dtype == torch.float32


def test_the_digest_follows_the_files(checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    digest = load(checkpoint).digest
    assert digest.startswith("sha256:")
    assert len(digest) == 71
    assert load(copy).digest == digest
    state = load_file(copy / "model.safetensors")
    state["model.norm.weight"][0] += 1
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    assert load(copy).digest != digest
    change_config(checkpoint, rms_norm_eps=1e-4)
    assert load(checkpoint).digest != digest


def test_a_missing_folder() -> None:
    error = refusal("./nowhere/at/all")
    assert str(error).splitlines()[1:] == [
        "found:    no folder at ./nowhere/at/all",
        "expected: a checkpoint folder, or a hub id of the form owner/name",
        "next:     correct the path",
    ]


@pytest.mark.parametrize("path", ["/no/such", "../no", "a/b/c", "~/models"])
def test_what_looks_like_a_path_is_never_looked_up(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "snapshot_download", pytest.fail)
    assert "no folder at" in str(refusal(path))


def test_a_hub_id_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> str:
        raise OSError("no connection")

    monkeypatch.setattr(loading, "snapshot_download", offline)
    error = str(refusal("owner/name"))
    assert "no folder of that name, and the hub gave: no connection" in error
    assert "go online, or download the checkpoint first and give its folder" in error


def test_no_config(checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    error = str(refusal(checkpoint))
    assert f"found:    no config.json in {checkpoint}" in error
    assert "next:     give the folder that save_pretrained wrote" in error


def test_a_config_that_is_not_json(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("{")
    assert "a config.json that is not JSON" in str(refusal(checkpoint))


def test_pickled_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    torch.save({"a": torch.ones(1)}, checkpoint / "pytorch_model.bin")
    error = str(refusal(checkpoint))
    assert "found:    pickled weights only: pytorch_model.bin" in error
    assert "expected: *.safetensors, which cannot run code when read" in error
    assert "save_pretrained(folder, safe_serialization=True)" in error


def test_no_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    assert f"found:    no weights in {checkpoint}" in str(refusal(checkpoint))


def test_a_truncated_weights_file(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    assert "model.safetensors, which cannot be read" in str(refusal(checkpoint))


def test_remote_code(checkpoint: Path) -> None:
    change_config(checkpoint, model_type="mystery", auto_map={"AutoModelForCausalLM": "modeling_mystery.Mystery"})
    error = str(refusal(checkpoint))
    assert "found:    a model that needs code from its checkpoint: modeling_mystery.Mystery" in error
    assert "pass allow_remote_code=True" in error
    assert "code from its checkpoint" not in str(refusal(checkpoint, allow_remote_code=True))


def test_a_family_without_a_map_names_all_that_is_unsupported(checkpoint: Path) -> None:
    change_config(checkpoint, model_type="mamba", architectures=["MambaForCausalLM"], quantization_config={"bits": 4})
    error = refusal(checkpoint)
    assert "found:    the family 'mamba' (architecture MambaForCausalLM)" in str(error)
    assert "expected: one of gpt2, gpt_neox, llama, mistral, qwen2, qwen3, gemma2, gemma3_text" in str(error)
    assert "quantised weights (quantization_config is set)" in str(error)
    assert len(error.problems) == 2


def test_no_tokenizer(checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").unlink()
    error = str(refusal(checkpoint))
    assert f"found:    no tokenizer in {checkpoint}" in error
    assert "next:     save the tokenizer beside the weights: tokenizer.save_pretrained(folder)" in error


def test_the_tokenizer_of_another_model(checkpoint: Path, word_tokenizer: Callable[..., Any]) -> None:
    word_tokenizer([f"w{i}" for i in range(60)]).save_pretrained(checkpoint)
    error = str(refusal(checkpoint))
    assert "found:    a tokenizer with ids up to 63 for an embedding of 50 rows" in error
    assert "next:     put the model's own tokenizer into the folder" in error


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite(checkpoint: Path, value: float) -> None:
    file = checkpoint / "model.safetensors"
    state = load_file(file)
    state["model.norm.weight"][3] = value
    state["model.layers.1.mlp.up_proj.weight"][0, 0] = value
    save_file(state, file, metadata={"format": "pt"})
    error = str(refusal(checkpoint))
    assert "NaN or infinite values in model.safetensors: model.layers.1.mlp.up_proj.weight, model.norm.weight" in error


def test_weights_that_are_missing(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    state = load_file(file)
    del state["model.layers.2.mlp.up_proj.weight"]
    save_file(state, file, metadata={"format": "pt"})
    assert "no weights for model.layers.2.mlp.up_proj.weight" in str(refusal(checkpoint))


def test_weights_of_another_shape(checkpoint: Path) -> None:
    change_config(checkpoint, intermediate_size=40)
    error = refusal(checkpoint)
    assert len(error.problems) == 9
    found = {problem.found: problem.expected for problem in error.problems}
    assert found["model.layers.0.mlp.down_proj.weight of shape (32, 48)"] == "shape (32, 40), by config.json"


@pytest.mark.parametrize("change", [{"num_hidden_layers": "three"}, {"num_hidden_layers": 2}, {"vocab_size": None}])
def test_a_config_that_transformers_refuses(checkpoint: Path, change: dict[str, Any]) -> None:
    change_config(checkpoint, **change)
    error = refusal(checkpoint)
    assert len(error.problems) == 1
    assert "found:    a config.json that transformers refuses: " in str(error)


def test_a_model_that_transformers_cannot_build(checkpoint: Path) -> None:
    change_config(checkpoint, hidden_act="no such activation")
    assert "a checkpoint that transformers cannot open" in str(refusal(checkpoint))


def test_all_problems_of_a_checkpoint_come_together(checkpoint: Path) -> None:
    change_config(checkpoint, model_type="mamba")
    (checkpoint / "tokenizer.json").unlink()
    (checkpoint / "model.safetensors").unlink()
    assert [problem.found.split()[0:2] for problem in refusal(checkpoint).problems] == [
        ["the", "family"],
        ["no", "weights"],
        ["no", "tokenizer"],
    ]


def test_a_tokenizer_that_lies_elsewhere(checkpoint: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in checkpoint.glob("tokenizer*"):
        file.rename(elsewhere / file.name)
    assert f"found:    no tokenizer in {checkpoint}" in str(refusal(checkpoint))
    model = load(checkpoint, tokenizer_folder=elsewhere)
    assert model.tokenize(["w1 w2 w3"]).ids.tolist() == [[5, 6, 7]]
