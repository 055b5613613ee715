"""Sequences by name, with exact probabilities and entropies: Markov sources, and a text of a small grammar.

    source = sequences.get("markov2")
    x = source.sample(1000, seed=0, split="train")   # uint8 (1000, 64)
    source.entropy, source.entropy_rate              # nats: of a sequence, and of one more value

    text = sequences.get("text")
    text.decode(text.sample(1)[0])                   # "anna sees two big cats. anna …"
    text.encode("anna sees ")                        # int64 (10,): the place of each letter in text.alphabet

`python -m deepul_utils.sequences` prints the table of all sets.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from deepul_utils.sequences.grammar import Grammar, stories
from deepul_utils.sequences.markov import Markov
from deepul_utils.sequences.sequence_set import SequenceSet, closest
from deepul_utils.sequences.sequence_set import table as _table

__all__ = ["Grammar", "Markov", "SequenceSet", "get", "names", "table"]

SETS: dict[str, Callable[[int], SequenceSet]] = {f"markov{k}": partial(Markov, k) for k in (1, 2, 3)}
SETS["text"] = stories
LENGTHS = {"text": 96}


def get(name: str, length: int | None = None) -> Any:
    """The set called `name`, of sequences of so many values (None: its usual number).

    Raises ValueError for an unknown name, with the closest.
    """
    if name not in SETS:
        raise closest(name, SETS, "sequences")
    return _get(name, LENGTHS.get(name, 64) if length is None else length)


@cache
def _get(name: str, length: int):
    return SETS[name](length)


def names() -> list[str]:
    """The names of all sets."""
    return list(SETS)


def table() -> str:
    """All sets as a Markdown table."""
    return _table(map(get, SETS))
