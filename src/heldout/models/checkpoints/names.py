"""Which step a folder or revision is of, and which of many are meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from heldout.errors import Problems

STEP = re.compile(r"(?:^|[^a-z])(?:global[-_]?)?(?:step|checkpoint|ckpt|iteration|iter)s?[-_=]?(\d+)", re.IGNORECASE)

Names = str | Sequence[str] | None
"""A pattern such as `stage1-step*`, the names themselves, or None for all."""


def step_of(name: str) -> int | None:
    """The number of a name; None where it has none.

    >>> [step_of(name) for name in ("step-000010", "checkpoint-20", "stage1-step3000-tokens5B", "main")]
    [10, 20, 3000, None]
    """
    found = STEP.search(name)
    return int(found[1]) if found else None


def chosen_names(there: Iterable[str], wanted: Names, problems: Problems) -> list[str]:
    """Those of `there` that are wanted, in their order there; a problem for each that is wanted and not there."""
    there = list(there)
    if wanted is None:
        return there
    if isinstance(wanted, str):
        return [name for name in there if fnmatchcase(name, wanted)]
    for name in wanted:
        if name not in there:
            likely = ", ".join(get_close_matches(name, there, n=3) or there[:3]) or "nothing"
            problems.add(f"no checkpoint {name!r}", f"a name that is there, like {likely}", "correct the name")
    return [name for name in there if name in wanted]
