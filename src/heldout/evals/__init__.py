"""Behavioural evals: what can be said of a model from its outputs, kept beside what is read inside."""
