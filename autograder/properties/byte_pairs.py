"""Byte-pair encoding: merges of the most frequent neighbours, applied in order, and undone."""

from itertools import pairwise

import numpy as np

from autograder.properties.finding import Finding


def merged(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Every pair of neighbours as one token, from left to right."""
    out: list[int] = []
    for token in tokens:
        if token == pair[1] and out and out[-1] == pair[0]:
            out[-1] = new
        else:
            out.append(token)
    return out


def encoded(x: np.ndarray, levels: int, merges: np.ndarray) -> list[int]:
    """Tokens of a text, int (T,), by all merges in the order of their numbers, int (number, 2)."""
    tokens = x.tolist()
    for number, (a, b) in enumerate(merges.tolist(), start=levels):
        tokens = merged(tokens, (a, b), number)
    return tokens


def are_most_frequent(x: np.ndarray, levels: int, merges: np.ndarray) -> Finding:
    """Each merge is of a pair that no other pair outnumbers, after the merges before it."""
    tokens, required = x.tolist(), "each merge takes the pair of neighbours that comes most often"
    for number, (a, b) in enumerate(merges.tolist(), start=levels):
        counts: dict[tuple[int, int], int] = {}
        for pair in pairwise(tokens):
            counts[pair] = counts.get(pair, 0) + 1
        found, most = counts.get((a, b), 0), max(counts.values())
        if found < most:
            measured = f"merge {number - levels + 1} is of a pair that comes {found} times; another comes {most} times"
            return Finding(0.0, measured, required)
        tokens = merged(tokens, (a, b), number)
    return Finding(1.0, f"all {len(merges)} merges are of the most frequent pair", required)


def applied_in_order(x: np.ndarray, levels: int, merges: np.ndarray, tokens: np.ndarray) -> Finding:
    """tokens are what the merges make of x, one after the other."""
    wanted, required = encoded(x, levels, merges), "each merge everywhere, in the order of the list, from left to right"
    if tokens.tolist() == wanted:
        return Finding(1.0, f"{len(x)} letters become the {len(wanted)} tokens that they should", required)
    same = min(len(wanted), len(tokens))
    first = next((i for i in range(same) if tokens[i] != wanted[i]), same)
    return Finding(
        0.0, f"{len(x)} letters become {len(tokens)} tokens, for {len(wanted)}; number {first + 1} is another", required
    )


def gives_back(x: np.ndarray, back: np.ndarray) -> Finding:
    """What was encoded and decoded is the text: int (T,) both."""
    required = "decode(encode(x)) = x"
    if len(x) != len(back):
        return Finding(0.0, f"of {len(x)} letters {len(back)} come back", required)
    wrong = int((x != back).sum())
    return Finding(float(not wrong), f"{wrong} of {len(x)} letters come back as others", required)
