"""Prints the table of data/README.md."""

from deepul_utils import videos

print(videos.table())
