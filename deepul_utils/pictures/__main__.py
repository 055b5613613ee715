"""Prints the table of data/README.md."""

from deepul_utils import pictures

print(pictures.table())
