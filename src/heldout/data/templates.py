"""The template of a prompt: its form, without the numbers in it."""

from __future__ import annotations

import re

from heldout.data.samples import Sample

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_MORE = "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million"
_WORDS = "|".join((_UNITS + " " + _MORE).split())
_NUMBER = re.compile(rf"\d+|\b(?:{_WORDS})\b", re.IGNORECASE)


def template_of(sample: Sample) -> str:
    """The template that the sample names, or else one derived from its input.

    A derived template is the input with every number, in digits or in an English word, replaced by `#` and with runs of
    white space made one space. Prompts that differ in other words get templates of their own.
    """
    return sample.template if sample.template is not None else derived_template(sample.input)


def derived_template(text: str) -> str:
    """The text without its numbers.

    >>> derived_template("What is 17 plus twenty-four?")
    'What is # plus #-#?'
    """
    return _NUMBER.sub("#", " ".join(text.split()))
