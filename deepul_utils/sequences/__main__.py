"""Prints the table of data/README.md."""

from deepul_utils import sequences

print(sequences.table())
