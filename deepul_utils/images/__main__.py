"""Prints the table of data/README.md."""

from deepul_utils import images

print(images.table())
