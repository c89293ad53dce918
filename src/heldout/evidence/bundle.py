"""The bundle: the folder that an audit leaves. `BundleWriter` makes one, whole or not at all; `Bundle` reads one."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from heldout.errors import InputError, Problem, Problems
from heldout.evidence.canonical import canonical_json, flush_folder, read_json, sha256, write_durably
from heldout.evidence.claims import Claim, read_claims, write_claims
from heldout.evidence.manifest import MANIFEST, manifest_problems, write_manifest
from heldout.evidence.measurements import MeasurementFile, concatenate, measurement_table
from heldout.evidence.plan import Plan
from heldout.evidence.provenance import Provenance, now
from heldout.evidence.stages import StageStore, file_name
from heldout.evidence.verdicts import Verdicts, read_verdicts, write_verdicts

REQUIRED = (
    "verdict.json",
    "claims.json",
    "plan.json",
    "plan.sha256",
    "provenance.json",
    "measurements.parquet",
    MANIFEST,
)

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Bundle:
    """A finished bundle. Reading it needs neither the models nor torch."""

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Raises InputError that lists every file that a whole bundle has and `path` lacks."""
        folder = Path(path)
        problems = Problems(f"Bundle.open({str(path)!r})")
        if not folder.is_dir():
            problems.add("no such folder", "the folder that `heldout audit --out` wrote", "check the path")
        else:
            for name in REQUIRED:
                if not (folder / name).is_file():
                    problems.add(
                        f"no {name}",
                        "a whole bundle",
                        "name a finished run; a run under way has a hidden .NAME.partial folder",
                    )
        problems.raise_if_any()
        return cls(folder)

    def verdicts(self) -> Verdicts:
        return read_verdicts(self.path / "verdict.json")

    def claims(self) -> tuple[Claim, ...]:
        return read_claims(self.path / "claims.json")

    def plan(self) -> Plan:
        return Plan.read(self.path)

    def provenance(self) -> Provenance:
        return Provenance.from_json(read_json(self.path / "provenance.json"))

    def measurements(self) -> pa.Table:
        return pq.read_table(self.path / "measurements.parquet")

    def nulls(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted((self.path / "nulls").glob("*.parquet"))}

    def null(self, name: str) -> pa.Table:
        return pq.read_table(self.path / "nulls" / f"{file_name(name)}.parquet")

    def tensors(self, name: str) -> dict[str, np.ndarray[Any, Any]]:
        return load_file(self.path / "tensors" / f"{file_name(name)}.safetensors")

    def check_hashes(self) -> list[Problem]:
        """What differs from the manifest, from the digested plan, and between verdict and provenance.

        Empty: nothing does.
        """
        problems: list[Problem] = []
        try:
            problems = manifest_problems(self.path)
            plan = self.plan()
            provenance, verdicts = self.provenance(), self.verdicts()
        except (InputError, ValueError, KeyError, IndexError, TypeError, AttributeError, OSError) as error:
            found = (
                error.problems
                if isinstance(error, InputError)
                else (Problem(str(error), "readable files", "make the bundle again"),)
            )
            return [*problems, *found]
        do_not_rely = "do not rely on this bundle: its files do not belong together"
        if provenance.plan_digest != plan.digest:
            problems.append(
                Problem(
                    f"the plan has the digest {plan.digest}", f"{provenance.plan_digest} (provenance.json)", do_not_rely
                )
            )
        if provenance.weights.get("candidate") != verdicts.candidate:
            expected = f"{provenance.weights.get('candidate')} (provenance.json)"
            problems.append(Problem(f"verdict.json is about {verdicts.candidate}", expected, do_not_rely))
        return problems


class BundleWriter:
    """Writes a bundle in a hidden sibling folder and renames it when it is whole. Final.

    The plan and its digest are on disk when the constructor returns. Stages that are finished stay finished: the
    same run (equal plan, weights, data and code), started again after it was killed, goes on behind them. The
    partial folder of another run is discarded, with a notice. Use it as a context manager, so that the folder's lock
    is let go after an error. One thread.

    Raises InputError where `out` exists, or while another process writes it.
    """

    def __init__(self, out: str | Path, *, plan: Plan, provenance: Provenance) -> None:
        self.path = Path(out).absolute()
        self.partial = self.path.with_name(f".{self.path.name}.partial")
        self.folder = self.partial / "bundle"
        self.notices: list[str] = []
        self.resumed: list[str] = []
        self._called = f"BundleWriter({str(out)!r})"
        self._open: list[_OpenStage] = []
        self._refuse_existing()
        self.partial.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        try:
            self._refuse_existing()
            self.provenance = self._begin(plan, provenance)
            self._stages = StageStore(self.partial / "stages")
        except BaseException:
            self.close()
            raise

    def stage(self, name: str, compute: Callable[[], T]) -> T:
        """The value of `compute()`, or what it was when this run finished the stage before it was killed.

        The value may hold None, bool, int, float, str, Result, Claim, numpy arrays, Arrow tables, and lists and
        mappings of these. It comes back as it was read from disk (tuples are lists), in the first run too. What
        `compute` measures is kept with it.
        """
        if self._stages.finished(name):
            self.resumed.append(name)
            return self._stages.load(name)
        stage = _OpenStage(name, self._stages.begin(name))
        self._open.append(stage)
        try:
            value = compute()
            stage.write_measurements()
            return self._stages.complete(name, value)
        finally:
            self._open.pop()

    def measure(self, rows: Iterable[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | pa.Table) -> None:
        """Adds rows to measurements.parquet; see `measurements.SCHEMA`. Call it inside a stage, else InputError."""
        stage = self._current("measure")
        stage.tables.append(measurement_table(rows, stage.name))

    def null(self, name: str, columns: Mapping[str, Sequence[Any]] | pa.Table) -> None:
        """Keeps the draws of a null as nulls/NAME.parquet. Call it inside a stage, else InputError."""
        table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
        pq.write_table(table, self._current("null").place("nulls", f"{file_name(name)}.parquet"), compression="zstd")

    def tensors(self, name: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Keeps arrays as tensors/NAME.safetensors. Call it inside a stage, else InputError."""
        contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        save_file(contiguous, self._current("tensors").place("tensors", f"{file_name(name)}.safetensors"))

    def write_claims(self, claims: Iterable[Claim]) -> None:
        write_claims(self.folder / "claims.json", tuple(claims))

    def write_verdicts(self, verdicts: Verdicts) -> None:
        write_verdicts(self.folder / "verdict.json", verdicts)

    def finish(
        self, render: Callable[[Path], object] | None = None, *, cost: Mapping[str, float] | None = None
    ) -> Bundle:
        """Gathers the stages, lets `render` write report.html, digests every file, and gives the folder its name in one
        step.
        """
        problems = Problems(f"{self._called}.finish()")
        for name, method in (("claims.json", "write_claims"), ("verdict.json", "write_verdicts")):
            if not (self.folder / name).is_file():
                problems.add(f"no {name}", "claims and verdicts", f"call {method} before finish")
        problems.raise_if_any()
        self._gather()
        history = {"resumed_stages": tuple(self.resumed), "notices": tuple(self.notices), "cost": dict(cost or {})}
        self.provenance = self.provenance.completed(**history)
        write_durably(self.folder / "provenance.json", canonical_json(self.provenance.to_json(), indent=1))
        if render is not None:
            render(self.folder)
        write_manifest(self.folder)
        flush_folder(self.folder)
        self._refuse_existing()
        self.folder.rename(self.path)
        flush_folder(self.path.parent, contents=False)
        shutil.rmtree(self.partial, ignore_errors=True)
        self.close()
        return Bundle.open(self.path)

    def close(self) -> None:
        """Lets the lock go; the partial folder stays for the next attempt."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, plan: Plan, provenance: Provenance) -> Provenance:
        """Keeps or discards what an earlier attempt left, and writes the plan."""
        key = {"key": sha256(canonical_json({"plan": plan.digest, "inputs": provenance.inputs_digest}))}
        state = self.partial / "state.json"
        earlier = read_json(state) if state.is_file() else {}
        if earlier.get("key") != key["key"]:
            if any(self.partial.iterdir()):
                self._notice(
                    f"discarded {self.partial.name}: it was left by a run with another plan, other inputs or other code"
                )
                _empty(self.partial)
            earlier = {**key, "started": provenance.started, "plan_written": now()}
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        plan.write(self.folder)
        write_durably(state, canonical_json(earlier))
        times = {name: earlier[name] for name in ("started", "plan_written")}
        return replace(provenance, plan_digest=plan.digest, **times)

    def _gather(self) -> None:
        folders = self._stages.finished_folders()
        sources = [path for folder in folders if (path := folder / "measurements.parquet").is_file()]
        concatenate(sources, self.folder / "measurements.parquet")
        for kind in ("nulls", "tensors"):
            target = self.folder / kind
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for path in (path for folder in folders for path in sorted((folder / kind).glob("*"))):
                if (target / path.name).exists():
                    self._notice(f"{kind}/{path.name} was written by several stages; the last of them is kept")
                    (target / path.name).unlink()
                shutil.copyfile(path, target / path.name)

    def _current(self, method: str) -> _OpenStage:
        if not self._open:
            problem = Problem(
                "no stage is open",
                f"{method} inside a stage",
                "call it in the function that is given to stage(name, ...)",
            )
            raise InputError(f"{self._called}.{method}(...)", problem)
        return self._open[-1]

    def _notice(self, text: str) -> None:
        self.notices.append(text)
        log.warning(text)

    def _refuse_existing(self) -> None:
        if self.path.exists():
            what = "a folder" if self.path.is_dir() else "a file"
            problem = Problem(
                f"{what} at {self.path}",
                "an output path that does not exist",
                "choose another name, or move the old run away",
            )
            raise InputError(self._called, problem)

    def _take_lock(self) -> int:
        descriptor = os.open(self.partial, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            problem = Problem(
                f"another process is writing {self.partial}",
                "one writer for an output",
                "wait for it, or choose another name",
            )
            raise InputError(self._called, problem) from error
        return descriptor


@dataclass(frozen=True)
class _OpenStage:
    name: str
    folder: Path
    tables: list[pa.Table] = field(default_factory=list[pa.Table])

    def place(self, kind: str, name: str) -> Path:
        (self.folder / kind).mkdir(exist_ok=True)
        return self.folder / kind / name

    def write_measurements(self) -> None:
        if self.tables:
            with MeasurementFile(self.folder / "measurements.parquet") as file:
                for table in self.tables:
                    file.add(table)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
