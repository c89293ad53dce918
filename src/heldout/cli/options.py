"""Options that several commands have, so that they mean the same everywhere."""

from __future__ import annotations

import os
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the results as one JSON document on stdout.")]
AllowRemoteCode = Annotated[
    bool,
    typer.Option("--allow-remote-code", help="Run code that comes with a checkpoint. Read that code first."),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="How many processes work at the same time, one thread each.", show_default="one a core"),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="CLUSTER",
        help="Where the jobs run: ray starts a Ray on this machine, ray://host:port connects to a cluster, whose machines "
        "need heldout and the same folders.",
        show_default="processes on this machine",
    ),
]


def number_of_workers(asked: int | None) -> int:
    """What was asked for, or else the number of cores that this process may use."""
    if asked is not None:
        return asked
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
