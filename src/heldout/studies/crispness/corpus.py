"""Real text at hand without a network: the docstrings, comments and code of Python's standard library.

Two latents: whether a passage is prose or code, and what it is about. The modules of the three parts are different, so
that what is tested was written about something else.
"""

from __future__ import annotations

import ast
import io
import re
import sysconfig
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from heldout.seeds import numpy_generator
from heldout.studies.crispness.texts import LabelledText, Part

TOPICS: dict[str, dict[Part, tuple[str, ...]]] = {
    "network": {
        "fit": ("http/client", "urllib/request", "socketserver", "ftplib", "smtplib", "urllib/parse"),
        "select": ("poplib", "http/cookiejar", "ssl"),
        "test": (
            "socket",
            "imaplib",
            "http/server",
            "xmlrpc/client",
            "ipaddress",
            "wsgiref/handlers",
            "asyncio/streams",
        ),
    },
    "numbers": {
        "fit": ("statistics", "fractions", "_pydecimal"),
        "select": ("numbers", "colorsys", "bisect"),
        "test": (
            "random",
            "heapq",
            "_pydatetime",
            "datetime",
            "calendar",
            "_strptime",
            "timeit",
        ),
    },
}
MODULES: dict[Part, tuple[str, ...]] = {
    "fit": ("argparse", "asyncio/tasks", "csv", "difflib", "email/message", "enum", "inspect", "logging/__init__"),
    "select": ("pdb", "shutil", "tarfile", "textwrap"),
    "test": (
        "subprocess",
        "threading",
        "typing",
        "unittest/case",
        "zipfile",
        "dataclasses",
        "configparser",
        "pathlib",
        "functools",
        "tempfile",
    ),
}
"""For code against prose."""
MOST: dict[Part, int] = {"fit": 240, "select": 80, "test": 120}
LEAST_WORDS, MOST_WORDS = 6, 16
MOST_CHARACTERS = 96
"""Of code as of prose: sixteen words of code are twice as long, which would tell the two apart, and cost the most."""


def passages(seed: int, most: Mapping[Part, int] = MOST) -> Iterator[LabelledText]:
    """Balanced in every part; the group is the module, the word the passage's first."""
    for part in MOST:
        yield from balanced("topic", part, {topic: topic_prose(topic, part) for topic in TOPICS}, most[part], seed)
    for part in MOST:
        kinds: dict[str, list[tuple[str, str]]] = {"prose": [], "code": []}
        for module in MODULES[part]:
            kinds["prose"] += [(module, text) for text in prose_of(module)]
            kinds["code"] += [(module, text) for text in code_of(module)]
        yield from balanced("code", part, kinds, most[part], seed)


def topic_prose(topic: str, part: Part) -> list[tuple[str, str]]:
    return [(module, text) for module in TOPICS[topic][part] for text in prose_of(module)]


def balanced(
    latent: str, part: Part, kinds: dict[str, list[tuple[str, str]]], most: int, seed: int
) -> Iterator[LabelledText]:
    """As many passages of each value; of each module as many, as far as it has them."""
    count = min(most // len(kinds), *(len(found) for found in kinds.values()))
    for value, found in kinds.items():
        order = numpy_generator(seed, "passages", latent, part, value).permutation(len(found))
        for module, text in in_turn([found[place] for place in order])[:count]:
            yield LabelledText(text, latent, value, part, module, None, text.split()[0].lower())


def in_turn(passages: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first of each module, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    turns: list[int] = []
    for module, _ in passages:
        turns.append(seen[module])
        seen[module] += 1
    return [passages[place] for place in np.argsort(turns, kind="stable")]


def source_of(module: str) -> str:
    """Empty where this Python has no such module."""
    path = Path(sysconfig.get_path("stdlib")) / f"{module}.py"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@cache
def prose_of(module: str) -> Sequence[str]:
    """Sentences of a module's docstrings and comments, cut at a few words."""
    source = source_of(module)
    found = [*docstrings(source), *comments(source)]
    pieces = (piece for text in found for piece in re.split(r"(?<=[.!?])\s+|\n\s*\n", text))
    return tuple(dict.fromkeys(cut for piece in pieces if (cut := as_prose(piece)) is not None))


def docstrings(source: str) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield text


def comments(source: str) -> Iterator[str]:
    """Comments, those on lines that follow each other joined."""
    joined, last = "", -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("#: ")
            if token.start[0] != last + 1 and joined:
                yield joined
                joined = ""
            joined, last = f"{joined} {text}".strip(), token.start[0]
    if joined:
        yield joined


def as_prose(piece: str) -> str | None:
    """A passage of words without doctests, signatures or tables; None for anything else."""
    text = " ".join(piece.split())
    words = text.split()
    strange = sum(not re.fullmatch(r"[\"'(]*[A-Za-z][A-Za-z'-]*[.,;:!?)\"']*", word) for word in words)
    if not len(words) >= LEAST_WORDS or strange > 0.2 * len(words):
        return None
    return shortened(text)


def shortened(text: str) -> str | None:
    """As many whole words as are allowed; None where too few of them are short enough."""
    words = text.split()[:MOST_WORDS]
    while words and len(" ".join(words)) > MOST_CHARACTERS:
        words.pop()
    return " ".join(words) if len(words) >= LEAST_WORDS else None


@cache
def code_of(module: str) -> Sequence[str]:
    """Two statements that follow each other in a function, without comments."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source_of(module))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = [part for part in node.body if not is_text(part)]
            for first, second in zip(body[::2], body[1::2], strict=False):
                if (text := shortened(f"{ast.unparse(first)} {ast.unparse(second)}")) is not None:
                    found.append(text)
    return tuple(dict.fromkeys(found))


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
