"""A text of a small grammar, letter by letter, with exact probabilities.

What may come next hangs on a state; in each state one of several words is chosen, and leads to another state. No word
of a state begins another, so the letters so far tell the state, and the text is a Markov chain whose states are known:
(a state of the grammar, the letters of a word so far).
"""

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from deepul_utils.sequences.sequence_set import SequenceSet

Rules = Mapping[str, tuple[tuple[float, str, str], ...]]  # state -> (probability, word, next state)

NAMES = ("anna", "boris", "clara", "david", "elena", "felix", "greta", "hugo")
VERBS = ("sees", "likes", "draws", "finds")
ADJECTIVES = ("red", "big", "small")
NOUNS = ("cat", "dog", "boat", "tree", "bird", "star")
DOES = ("sing", "sleep", "shine")
ROUNDS = 3000  # steps of the chain, until its states are as frequent as they stay
MIXED = 200  # the last of them are averaged


class Grammar(SequenceSet):
    """Texts that begin in the state `start` and go on by rules {state: ((probability, word, next state), …)}.

    alphabet: its letters, in order; a letter's level is its place there. Raises ValueError where a word of a state
    begins another, a word is empty, or probabilities of a state do not sum to one.
    """

    def __init__(self, name: str, about: str, length: int, rules: Rules, start: str):
        self.alphabet = "".join(sorted({letter for words in rules.values() for _, word, _ in words for letter in word}))
        super().__init__(name, about, length, len(self.alphabet))
        _require_in_order(rules)
        self.rules, self.start = rules, start

    def encode(self, text: str) -> np.ndarray:
        """Levels of a text, int64 (n,). Raises ValueError for a letter that is not in the alphabet."""
        unknown = sorted(set(text) - set(self.alphabet))
        if unknown:
            raise ValueError(f"{self.name} has no letter {unknown[0]!r}. Its alphabet: {self.alphabet!r}.")
        return np.array([self.alphabet.index(letter) for letter in text], dtype=np.int64)

    def decode(self, levels) -> str:
        """The text of levels (n,)."""
        return "".join(self.alphabet[int(level)] for level in levels)

    @cached_property
    def entropy_rate(self) -> float:
        """Nats of one more letter, in a text that began long ago."""
        p = self._at_first
        shares = np.zeros_like(p)
        for step in range(ROUNDS):
            p = self._moved(p)
            shares += p * (step >= ROUNDS - MIXED) / MIXED
        return float(shares @ self._entropies)

    @cached_property
    def entropies(self) -> np.ndarray:
        """Nats of each letter of a text, given those before it, (length,)."""
        p, nats = self._at_first, np.empty(self.length)
        for t in range(self.length):
            nats[t] = p @ self._entropies
            p = self._moved(p)
        return nats

    def draw(self, n, rng):
        """n texts, uint8 (n, length), and zeros for labels."""
        sums = self._chances.cumsum(axis=1)
        at, x = np.zeros(n, dtype=np.int64), np.empty((self.length, n), dtype=np.uint8)
        u = rng.random((self.length, n))
        for t in range(self.length):
            level = (sums[at] <= u[t, :, None] * sums[at, -1:]).sum(axis=1)
            x[t], at = level, self._next[at, level]
        return np.ascontiguousarray(x.T), np.zeros(n, dtype=np.int64)

    def _entropy(self):
        return float(self.entropies.sum())

    def _log_conditionals(self, x):
        at, log_p = np.zeros(len(x), dtype=np.int64), np.empty(x.shape)
        with np.errstate(divide="ignore"):
            logs = np.log(self._chances)
        for t, level in enumerate(x.T):
            log_p[:, t] = logs[at, level]
            at = self._next[at, level]  # where no word goes on, anywhere: the text is impossible already
        return log_p

    def _moved(self, p: np.ndarray) -> np.ndarray:
        """One letter on: how probable each state of the chain is, (states,) -> (states,)."""
        return np.bincount(self._next.ravel(), (p[:, None] * self._chances).ravel(), minlength=len(p))

    @property
    def _at_first(self) -> np.ndarray:
        return np.eye(1, len(self._chances))[0]

    @cached_property
    def _entropies(self) -> np.ndarray:
        p = self._chances
        return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)

    @property
    def _chances(self) -> np.ndarray:
        """p(letter | state of the chain), float64 (states, levels)."""
        return self._chain[0]

    @property
    def _next(self) -> np.ndarray:
        """The state that a letter leads to, int64 (states, levels)."""
        return self._chain[1]

    @cached_property
    def _chain(self) -> tuple[np.ndarray, np.ndarray]:
        numbers: dict[tuple[str, str], int] = {(self.start, ""): 0}
        rows: list[tuple[np.ndarray, np.ndarray]] = []
        pending = [(self.start, "")]  # grows as it goes, in the order of the numbers
        for state, begun in pending:
            chances, after = np.zeros(self.levels), np.zeros(self.levels, dtype=np.int64)
            for chance, word, following in self.rules[state]:
                if word.startswith(begun):
                    more = word[: len(begun) + 1]
                    reached = (following, "") if more == word else (state, more)
                    if reached not in numbers:
                        numbers[reached] = len(numbers)
                        pending.append(reached)
                    level = self.alphabet.index(more[-1])
                    chances[level] += chance
                    after[level] = numbers[reached]
            rows.append((chances / chances.sum(), after))
        return np.stack([chances for chances, _ in rows]), np.stack([after for _, after in rows])


def _require_in_order(rules: Rules) -> None:
    for state, words in rules.items():
        total = sum(chance for chance, _, _ in words)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"The probabilities of the state {state!r} sum to {total:g}, not to one.")
        for k, (_, word, following) in enumerate(words):
            others = [other for j, (_, other, _) in enumerate(words) if j != k and other.startswith(word)]
            if not word or others:
                raise ValueError(f"In the state {state!r} the word {word!r} begins {others[0] if others else 'all'!r}.")
            if following not in rules:
                raise ValueError(f"The word {word!r} of the state {state!r} leads to {following!r}, and there is none.")


def stories(length: int) -> Grammar:
    """Stories of one person each, whose name comes again in every sentence; with two of a thing, no s."""
    rules: dict[str, tuple] = {"story": tuple((1 / len(NAMES), f"{name} ", f"{name} does") for name in NAMES)}
    for name in NAMES:
        rules |= {
            f"{name} does": _even(VERBS, " ", f"{name} what"),
            f"{name} what": ((0.5, "a ", f"{name} one"), (0.5, "two ", f"{name} two")),
            **{f"{name} {many}": _thing(f"{name} {many}", many) for many in ("one", "two")},
            **{f"{name} {many} noun": _even(NOUNS, _plural(many), f"{name} {many} then") for many in ("one", "two")},
            **{
                f"{name} {many} then": ((0.5, ". ", f"{name} next"), (0.5, " that ", f"{name} {many} that"))
                for many in ("one", "two")
            },
            **{f"{name} {many} that": _even(DOES, f"{_singular(many)}. ", f"{name} next") for many in ("one", "two")},
            f"{name} next": (
                (0.7, f"{name} ", f"{name} does"),
                (0.15, f"then {name} ", f"{name} does"),
                (0.15, "\n", "story"),
            ),
        }
    about = "Stories of one person each, whose name comes again in every sentence."
    return Grammar("text", about, length, rules, "story")


def _thing(state: str, many: str) -> tuple[tuple[float, str, str], ...]:
    """An adjective, or none: then the noun comes at once."""
    adjectives = tuple((0.2, f"{word} ", f"{state} noun") for word in ADJECTIVES)
    nouns = tuple((0.4 / len(NOUNS), noun + _plural(many), f"{state} then") for noun in NOUNS)
    return adjectives + nouns


def _even(words: tuple[str, ...], ending: str, following: str) -> tuple[tuple[float, str, str], ...]:
    return tuple((1 / len(words), word + ending, following) for word in words)


def _plural(many: str) -> str:
    return "s" if many == "two" else ""


def _singular(many: str) -> str:
    return "" if many == "two" else "s"
