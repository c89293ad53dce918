"""Writing whole or not at all: under a hidden name first, flushed to the disk, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(folder: Path) -> Generator[Path]:
    """A hidden folder to write into, which is called `folder` once the block ends without an error. What a killed
    process left of an earlier attempt is replaced."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for path in [*partial.rglob("*"), partial]:
        flush(path)
    partial.rename(folder)
    flush(folder.parent)


def write_whole(path: Path, data: bytes) -> None:
    """As `whole_folder`, one file; two processes may write the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.write_bytes(data)
    flush(partial)
    partial.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
