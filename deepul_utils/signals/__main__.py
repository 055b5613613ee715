"""Prints the table of data/README.md."""

from deepul_utils import signals

print(signals.table())
