"""An audit of a randomly initialised model of Qwen2-0.5B's shape: what it costs in time, memory and forward passes.

    python benchmarks/large_model.py [--dtype float32|bfloat16] [--prompts 100] [--tokens 32]

The verdict must be `not_capable`, and the audit must stop after what that verdict needs. The checkpoint is written to a
temporary folder and loaded from there, as any other would be.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

import heldout

VOCABULARY = 151_936


def write_checkpoint(folder: Path, dtype: torch.dtype, seed: int) -> None:
    config = AutoConfig.for_model(
        "qwen2",
        vocab_size=VOCABULARY,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(folder)
    words = {f"word{number}": number for number in range(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="word0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="word0", pad_token="word1").save_pretrained(folder)


def write_suite(folder: Path, prompts: int, tokens: int) -> None:
    generator = random.Random(0)
    answers = [f"word{number}" for number in range(10, 20)]
    folder.mkdir(parents=True)
    (folder / "suite.toml").write_text(
        'name = "random"\ndescription = "no capability"\nanswer = "next_token"\nmax_new_tokens = 1\n\n'
        '[[behaviour]]\nname = "random"\n'
    )
    with (folder / "samples.jsonl").open("w") as file:
        for role in ("verified", "unverified"):
            for number in range(prompts):
                text = " ".join(f"word{generator.randrange(100, VOCABULARY)}" for _ in range(tokens))
                target = generator.choice(answers)
                accepts = [target] if role == "verified" else sorted({target, *generator.sample(answers, 4)})
                metadata = {"role": role, "behaviour": "random", "accepts": accepts}
                sample = {"id": f"{role[0]}{number}", "input": text, "target": target if role == "verified" else None}
                file.write(json.dumps({**sample, "metadata": metadata}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for role, seed in (("candidate", 0), ("baseline", 1)):
            write_checkpoint(folder / role, getattr(torch, arguments.dtype), seed)
        write_suite(folder / "suite", arguments.prompts, arguments.tokens)
        started = time.monotonic()
        bundle = heldout.audit(
            folder / "candidate",
            baseline=folder / "baseline",
            suite=folder / "suite",
            out=folder / "run",
            progress=lambda what, done, total: print(f"{time.monotonic() - started:7.1f} s  {what}", flush=True),
        )
        print(bundle.verdicts())
        print(f"{time.monotonic() - started:.0f} s of wall time with {torch.get_num_threads()} threads")
        print(f"{bundle.provenance().cost['candidate_forward_passes']:.2f} forward passes over the suite")
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB peak memory of the process")


if __name__ == "__main__":
    main()
