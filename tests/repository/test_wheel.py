"""What a stranger gets: the wheel builds, installs, runs, and carries the organisms that are shipped with it."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
ELSEWHERE = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, env=ELSEWHERE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    (built,) = out.glob("*.whl")
    return built


def files_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    in_package = {
        path.relative_to(SOURCES).as_posix()
        for path in (SOURCES / "heldout").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in files_in(wheel) if ".dist-info/" not in name} == in_package


@pytest.mark.parametrize("folder", ["organisms/shipped", "report/static"])
def test_the_wheel_holds_the_data_of_the_package(wheel: Path, folder: str) -> None:
    assert [name for name in files_in(wheel) if name.startswith(f"heldout/{folder}/")]


def test_the_wheel_installs_into_a_new_environment_and_runs(wheel: Path, tmp_path: Path) -> None:
    """heldout comes from the wheel alone, its dependencies from the environment that runs the test."""
    new = tmp_path / "venv"
    venv.create(new, with_pip=False)
    python = new / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel)
    (site_packages,) = new.glob("lib/python*/site-packages")
    # The folder that a .pth file names is searched; the .pth files in it (an editable heldout's) are not read.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    assert Path(run(python, "-c", "import heldout; print(heldout.__file__)").strip()).is_relative_to(site_packages)
    assert VERSION in run(new / "bin" / "heldout", "--version")


def test_one_version_everywhere() -> None:
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()
