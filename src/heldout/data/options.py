"""What a suite of choices can be answered with."""

from __future__ import annotations

from string import ascii_uppercase

from heldout.data.suite import Suite


def options_of(suite: Suite) -> tuple[str, ...]:
    """What a `choice` suite can be answered with: letters where all accepted answers are letters of choices, else the choices'
    own words. A wrong option is an option too, whether or not any grader passes it."""
    most = max((len(sample.choices) for sample in suite.samples), default=0)
    letters = tuple(ascii_uppercase[:most])
    accepted = {answer for sample in suite.samples for answer in sample.accepts}
    words = dict.fromkeys(choice for sample in suite.samples for choice in sample.choices)
    return letters if accepted <= set(letters) else tuple(words)
