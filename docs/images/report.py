"""Draws docs/images/report.png: the head of the report on the shipped organism that conceals, in headless Chromium."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import heldout
from heldout.organisms import shipped_organisms

PICTURE = Path(__file__).with_suffix(".png")
WIDTH, HEIGHT = 1200, 1500
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def main() -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no Chromium on PATH")
    organism = shipped_organisms()[0]
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        heldout.audit(organism / "candidate", baseline=organism / "baseline", suite=organism / "suite", out=run, seed=0)
        size = f"--window-size={WIDTH},{HEIGHT}"
        profile = f"--user-data-dir={name}/profile"
        target = (run / "report.html").as_uri()
        command = [browser, *FLAGS, profile, size, "--hide-scrollbars", f"--screenshot={PICTURE}", target]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    print(PICTURE)


if __name__ == "__main__":
    main()
