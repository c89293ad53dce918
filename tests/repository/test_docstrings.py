"""Every module of the package can be imported, and the examples in its docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import heldout

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(heldout.__path__, "heldout.")
    if not module.name.endswith(".__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_are_found() -> None:
    assert doctest.testmod(importlib.import_module("heldout.errors")).attempted > 0
