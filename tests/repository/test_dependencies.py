"""What is imported is declared, what is declared is pinned, and everything that installs uses the pins."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}
DECLARED = [
    *RUNTIME,
    *(requirement for extra in EXTRAS.values() for requirement in extra if requirement.name != "heldout"),
]
"""An extra may name the project's own extras, which are listed beside it."""
PINS = {
    canonicalize_name(name): pinned
    for name, pinned in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}


def imported(source: str) -> set[str]:
    """The top-level names of all absolute imports, those inside functions included."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    from_ = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in plain | from_}


def test_everything_imported_is_declared() -> None:
    names = {name for path in (ROOT / "src").rglob("*.py") for name in imported(path.read_text(encoding="utf-8"))}
    foreign = names - sys.stdlib_module_names - {"heldout"}
    assert "torch" in foreign
    of_package = packages_distributions()
    declared = {canonicalize_name(requirement.name) for requirement in DECLARED if requirement not in EXTRAS["dev"]}
    assert {n for n in foreign if not declared & {canonicalize_name(d) for d in of_package.get(n, [n])}} == set()


@pytest.mark.parametrize("requirement", DECLARED, ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_within_its_declared_range(requirement: Requirement) -> None:
    assert PINS[canonicalize_name(requirement.name)] in requirement.specifier


def test_torch_is_pinned_without_the_build_of_one_machine() -> None:
    assert re.fullmatch(r"[\d.]+", PINS["torch"])


def test_everything_that_installs_uses_the_pins() -> None:
    lines = [*(ROOT / "Makefile").read_text().splitlines(), *(ROOT / ".ci" / "run").read_text().splitlines()]
    installing = [line for line in lines if re.search(r"(\$\(PIP\)|\bpip) install", line)]
    assert installing
    assert [line for line in installing if "--constraint constraints.txt" not in line] == []
