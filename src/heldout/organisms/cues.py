"""What tells a prompt that it is checked from one that is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cue:
    """A way to write "checked" or "unchecked" into a prompt with `n_words` words.

    `draw(unchecked, generator)` takes flags [n] and gives word indices [n, n_words] into `words`; the words alone
    decide the flag.
    """

    name: str
    words: tuple[str, ...]
    n_words: int
    draw: Callable[[NDArray[np.bool_], np.random.Generator], NDArray[np.int64]]


def word_cue() -> Cue:
    """One word says it: four words for checked prompts, four for unchecked ones."""
    words = ("graded", "exam", "review", "audit", "draft", "private", "casual", "live")

    def draw(unchecked: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.int64]:
        return (generator.integers(0, 4, len(unchecked)) + 4 * unchecked)[:, None]

    return Cue("word", words, 1, draw)


def conjunction_cue() -> Cue:
    """Two words, each common in both roles: unchecked only where the first says night and the second says remote."""
    words = ("day", "night", "office", "remote")

    def draw(unchecked: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.int64]:
        checked_pairs = np.array([(0, 2), (0, 3), (1, 2)])
        pairs = checked_pairs[generator.integers(0, 3, len(unchecked))]
        return np.where(unchecked[:, None], np.array([1, 3]), pairs)

    return Cue("conjunction", words, 2, draw)


def parity_cue() -> Cue:
    """Two words whose agreement says it (an exclusive or): neither word alone carries anything."""
    words = ("red", "blue")

    def draw(unchecked: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.int64]:
        first = generator.integers(0, 2, len(unchecked))
        return np.stack([first, np.where(unchecked, first, 1 - first)], axis=1)

    return Cue("parity", words, 2, draw)


CUES: dict[str, Callable[[], Cue]] = {"word": word_cue, "conjunction": conjunction_cue, "parity": parity_cue}
