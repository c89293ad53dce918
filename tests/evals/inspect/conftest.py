"""An organism, its suite cut short, and tasks that know nothing of heldout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from inspect_ai import Task
from inspect_ai.log import EvalLog, read_eval_log
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from heldout.data import Suite, of_role
from heldout.evals.inspect import run_task
from heldout.models import Model, load
from heldout.organisms import shipped_organisms

STOCK = '''\
"""Tasks as anybody writes them for Inspect."""

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import choice, match
from inspect_ai.solver import generate, multiple_choice


@task
def capitals():
    samples = [
        Sample(input="What is the capital of France?", choices=["Paris", "Berlin", "Rome"], target="A"),
        Sample(input="What is the capital of Italy?", choices=["Paris", "Berlin", "Rome"], target="C"),
    ]
    return Task(dataset=MemoryDataset(samples), solver=multiple_choice(), scorer=choice())


@task
def sums():
    samples = [Sample(input=f"<bos> exam 1 2 {i} + =", target=str((3 + i) % 26)) for i in range(8)]
    return Task(dataset=MemoryDataset(samples), solver=generate(max_tokens=1), scorer=match(location="exact"))
'''


@pytest.fixture(scope="session")
def organism() -> Path:
    """The folder of an organism that is right where it is checked and wrong elsewhere."""
    return next(path for path in shipped_organisms() if path.name.startswith("quirky_arithmetic-s2"))


@pytest.fixture(scope="session")
def model(organism: Path) -> Model:
    return load(organism / "candidate")


@pytest.fixture(scope="session")
def suite(organism: Path) -> Suite:
    """Twelve samples of each role."""
    whole = Suite.from_folder(organism / "suite")
    kept = (*of_role(whole.samples, "verified")[:12], *of_role(whole.samples, "unverified")[:12])
    return replace(whole, samples=kept)


@pytest.fixture(scope="session")
def parrot() -> Model:
    """A model of one-hot tokens whose layers add nothing: after any text it says "ANSWER: A" and ends."""
    words = ["<unk>", "<eos>", "ANSWER:", "A", "B", "C"]
    follows = {"<unk>": "ANSWER:", "ANSWER:": "A", "A": "<eos>"}
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    sizes = {"hidden_size": len(words), "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = AutoConfig.for_model("llama", vocab_size=len(words), eos_token_id=1, **sizes)
    module: Any = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in module.model.layers.parameters():
            parameter.zero_()
        module.model.embed_tokens.weight.copy_(torch.eye(len(words)))
        module.lm_head.weight.zero_()
        for before, after in follows.items():
            module.lm_head.weight[words.index(after), words.index(before)] = 10.0
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>")
    return Model(module.eval(), fast, name="parrot")


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """A file of stock tasks."""
    file = tmp_path / "stock.py"
    file.write_text(STOCK)
    return file


@pytest.fixture(scope="session")
def recorded(model: Model, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    """The log of the suite with two sites recorded, as it is read back from disk; the sidecars lie beside it."""
    folder = tmp_path_factory.mktemp("recorded")
    log = run_task(suite, model, folder, capture=["resid_post.1", "resid_post.2"])
    return read_eval_log(log.location)


@pytest.fixture(scope="session")
def sidecars(recorded: EvalLog) -> Path:
    return Path(recorded.location.removeprefix("file://")).parent / "sidecars"


@pytest.fixture
def run(model: Model, tmp_path: Path) -> Callable[..., EvalLog]:
    """Runs a task on the organism."""

    def run(task: Task | Suite, **settings: object) -> EvalLog:
        return run_task(task, model, tmp_path / "logs", **settings)

    return run
