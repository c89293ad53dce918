"""Saving a model of transformers without the progress bar that it draws for each file."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedModel
from transformers.utils import logging


def save_quietly(model: PreTrainedModel, folder: Path) -> None:
    """`model.save_pretrained(folder)`; whether bars are drawn elsewhere stays as it was."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model.save_pretrained(folder)
    finally:
        if shown:
            logging.enable_progress_bar()
