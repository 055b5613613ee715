"""Prints the table of data/README.md."""

from deepul_utils import toy

print(toy.table())
