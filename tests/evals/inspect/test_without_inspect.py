"""heldout without the extra, Inspect without a network, and Inspect beside an installed heldout."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

SOURCES = Path(__file__).parents[3] / "src"
ABSENT = "import sys; sys.modules['inspect_ai'] = None\n"
NO_NETWORK = """
import socket
def refuse(*arguments, **settings):
    raise AssertionError(f"a connection to {arguments[1:]}")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


def ran(code: str, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, env=environment, cwd=cwd)


def test_heldout_opens_where_inspect_is_absent() -> None:
    names = "import heldout; [getattr(heldout, name) for name in heldout.__all__]; import heldout.evals.inspect"
    done = ran(f"{ABSENT}{names}")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    helped = ran(f"{ABSENT}from heldout.cli import main; sys.argv = ['heldout', '--help']; main()")
    assert (helped.returncode, helped.stdout[:14]) == (0, "Usage: heldout"), helped.stderr


def test_importing_heldout_does_not_import_inspect() -> None:
    done = ran("import sys, heldout, heldout.cli, heldout.audits; assert 'inspect_ai' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_the_extra_is_named_where_it_is_needed(organism: Path, tmp_path: Path) -> None:
    code = f"{ABSENT}from heldout.cli import main; sys.argv = ['heldout', *sys.argv[1:]]; main()"
    done = ran(code, "audit", organism / "candidate", "--inspect-task", "tasks.py@one", "--out", tmp_path / "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert "found:    no package inspect_ai" in done.stderr
    assert "pip install 'heldout[inspect]'" in done.stderr


def test_inspect_finds_the_provider_without_torch() -> None:
    (entry,) = entry_points(group="inspect_ai", name="heldout")
    assert entry.value == "heldout.evals.inspect.entry"
    code = "import sys; from importlib.metadata import entry_points\n"
    code += "(entry,) = entry_points(group='inspect_ai', name='heldout'); entry.load()\n"
    done = ran(code + "assert not {'torch', 'transformers'} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


def test_a_run_opens_no_connection(organism: Path, tmp_path: Path) -> None:
    lines = [
        NO_NETWORK,
        "import sys, heldout",
        "from heldout.evals.inspect import run_task",
        "suite = heldout.Suite.from_folder(sys.argv[1] + '/suite')",
        "model = heldout.load(sys.argv[1] + '/candidate')",
        "log = run_task(suite, model, 'logs', capture=['resid_post.1'])",
        "print(log.status, len(log.samples))",
    ]
    done = ran("\n".join(lines), organism, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "success 800\n"), done.stderr


def test_the_check_for_connections_sees_one() -> None:
    done = ran(f"{NO_NETWORK}\nimport urllib.request; urllib.request.urlopen('http://localhost:9')")
    assert done.returncode == 1
    assert "a connection to" in done.stderr
