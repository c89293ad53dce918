"""A fitted readout on disk, so that a scorer can name it and a log can say which one was read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from heldout.errors import InputError, Problem
from heldout.techniques.probes import AnswerReadout

ARRAYS = ("weights", "bias", "centre", "scale")
KEY = "heldout.answer_readout"


def save_readout(readout: AnswerReadout, path: str | Path) -> None:
    """Writes the readout as one safetensors file; `load_readout` reads back an equal one."""
    about = {"classes": readout.classes.tolist(), "n_fitted": readout.n_fitted}
    arrays = {name: np.ascontiguousarray(getattr(readout, name)) for name in ARRAYS}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, path, {KEY: json.dumps(about)})


def load_readout(path: str | Path) -> AnswerReadout:
    """Raises InputError where `path` is no readout."""
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})[KEY])
            arrays = {name: file.get_tensor(name) for name in ARRAYS}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        reason = f"{path}, which is no saved readout: {error}"
        raise InputError(
            f"load_readout({str(path)!r})",
            Problem(reason, "a file that save_readout wrote", "check the path, or save the readout again"),
        ) from error
    return AnswerReadout(**arrays, classes=np.array(about["classes"], dtype=np.str_), n_fitted=about["n_fitted"])
