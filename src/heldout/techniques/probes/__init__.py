"""Readouts: what can be decoded from an activation."""

from heldout.techniques.probes.answer_readout import AnswerReadout, AnswerReadoutFitter, bag_of_tokens
from heldout.techniques.probes.readout_sweep import ReadoutSweep

__all__ = ["AnswerReadout", "AnswerReadoutFitter", "ReadoutSweep", "bag_of_tokens"]
