"""What Inspect finds of heldout: the entry point of the group `inspect_ai`. Importing it loads no model library."""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi

from heldout.evals.inspect.grading import accepts
from heldout.evals.inspect.readings import reading

__all__ = ["accepts", "heldout", "reading"]


@modelapi(name="heldout")
def heldout() -> type[ModelAPI]:
    """The provider behind `heldout/PATH`."""
    from heldout.evals.inspect.provider import HeldoutAPI

    return HeldoutAPI
