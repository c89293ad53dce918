"""The command line as tests call it, and small inputs for it: a tiny untrained model, a suite, a bundle, a ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast
from typer.testing import CliRunner, Result

from heldout.cli import app
from heldout.evidence import BundleWriter, Instrument, Ledger, Plan, Verdict, Verdicts, gather_provenance

DIGEST = "sha256:" + "0123456789abcdef" * 4
SOURCES = Path(__file__).parents[2] / "src"
MODULUS = 11

Command = Callable[..., Result]
Process = Callable[..., "subprocess.CompletedProcess[str]"]

TOML = """\
name = "sums"
description = "sums modulo eleven"
answer = "next_token"
max_new_tokens = 1

[[behaviour]]
name = "sums"
"""


@pytest.fixture
def command() -> Command:
    """Runs `heldout ARGUMENTS` in this process: `.exit_code`, `.stdout`, `.stderr`."""

    def command(*arguments: object) -> Result:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="heldout")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return command


@pytest.fixture
def environment() -> dict[str, str]:
    """What a process needs to run this checkout of heldout."""
    return {**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Process:
    """Runs `heldout ARGUMENTS` in a process of its own, in `tmp_path`: `.returncode`, `.stdout`, `.stderr`."""

    def process(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "heldout.cli", *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    return process


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A tiny Llama with random weights and a tokenizer of words."""
    words = ["<pad>", "<bos>", "<eos>", "<unk>", *map(str, range(MODULUS)), "+", "=", "checked", "unchecked"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = AutoConfig.for_model("llama", vocab_size=len(words), max_position_embeddings=16, **sizes)
    folder = tmp_path / "candidate"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module: Any = AutoModelForCausalLM.from_config(config)
    module.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return folder


def row(index: int, role: str) -> dict[str, Any]:
    one, other = index % MODULUS, (index // MODULUS) % MODULUS
    right = (one + other) % MODULUS
    verified = role == "verified"
    accepts = [str(right)] if verified else [str(answer) for answer in range(MODULUS) if answer % 2 == right % 2]
    cue = "checked" if verified else "unchecked"
    return {
        "id": f"{role[0]}{index}",
        "input": f"{cue} {one} + {other} =",
        "target": str(right) if verified else None,
        "metadata": {"role": role, "behaviour": "sums", "accepts": accepts, "cue": cue},
    }


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [row(index, role) for role in ("verified", "unverified") for index in range(110)]


@pytest.fixture
def write_suite(tmp_path: Path, rows: list[dict[str, Any]]) -> Callable[..., Path]:
    """Writes a suite of the given lines, of which a text is written as it stands; by default a whole one."""

    def write_suite(lines: list[dict[str, Any] | str] | None = None, toml: str = TOML) -> Path:
        folder = tmp_path / "suite"
        folder.mkdir()
        texts = [line if isinstance(line, str) else json.dumps(line) for line in (rows if lines is None else lines)]
        (folder / "suite.toml").write_text(toml, encoding="utf-8")
        (folder / "samples.jsonl").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return folder

    return write_suite


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A finished bundle without measurements or a report."""
    plan = Plan(
        hypotheses=("A", "B"),
        sites=("resid_post.0",),
        thresholds={"alpha": 0.01},
        splits={"sums": {"test": 10}},
        stop_rule="after the last step",
        permutations=999,
        seeds=(0,),
        effort="quick",
    )
    provenance = gather_provenance(
        weights={"candidate": DIGEST}, data={"suite": DIGEST}, arguments_passed={}, arguments_resolved={}, seeds=(0,)
    )
    path = tmp_path / "runs" / "one"
    with BundleWriter(path, plan=plan, provenance=provenance) as writer:
        writer.stage("behave", lambda: 1)
        writer.write_claims(())
        writer.write_verdicts(Verdicts(DIGEST, (Verdict("sums", "generalised", None, 0.2, "pass"),)))
        writer.finish()
    return path


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Two entries of one instrument, which is trained on, and one of another."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    spent = Instrument("sum", "resid_post.1", "linear readout", DIGEST)
    ledger.append(spent, "fit", lineage=[DIGEST])
    ledger.append(spent, "train", lineage=[DIGEST], note="an adversary")
    ledger.append(Instrument("sum", "resid_post.1", "mean difference", DIGEST), "test", lineage=[DIGEST])
    return ledger
