"""Faults on purpose: servers and processes that die, stand still or disagree in the middle of work."""
