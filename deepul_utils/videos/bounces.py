"""Shapes that move by a pixel a frame along either axis, bounce off the walls, and turn at random.

Each shape has a bit of its own in the levels of the pixels, so that none hides another: two frames tell where all of
them are and which way they go, and nothing else has to be known. So what comes next has exact probabilities.
"""

import operator
from functools import cached_property

import numpy as np

from deepul_utils.toy.distribution import as_array, check_count, stream

SIDES = (16, 32)  # pixels
KINDS = ("ring", "cross", "diamond")
ABOUT = (
    "A ring moves, bounces and turns.",
    "A ring and a cross move, bounce and turn.",
    "A ring, a cross and a diamond move, bounce and turn.",
)
TURN = 0.1  # how probable it is, in each frame and along each axis, that a shape turns of itself


def template(kind: str, radius: int) -> np.ndarray:
    """The picture of a shape, bool (2 · radius + 1,) * 2; it touches all four sides."""
    y, x = np.abs(np.mgrid[-radius : radius + 1, -radius : radius + 1])
    thick = radius // 2
    return {
        "ring": np.maximum(x, y) > radius - thick,
        "cross": np.minimum(x, y) < thick,
        "diamond": x + y <= radius,
    }[kind]


class Bounces:
    """Videos of `shapes` different shapes, each of which moves by itself; levels 0 … 2^shapes − 1, a bit for each.

    Along either axis a shape has a direction, +1 or −1. In each frame it turns with the probability `turn`; then, where
    a step would lead out of the picture, it bounces; then it moves by a pixel. It begins anywhere, in any direction.
    shape: of a video, (length, 1, side, side). Raises ValueError for numbers that there are no videos of.
    """

    def __init__(self, shapes: int, length: int = 8, side: int = 16, turn: float = TURN):
        self.shapes, self.length, self.side, self.turn = shapes, operator.index(length), operator.index(side), turn
        self.name = f"bounce{shapes}"
        if not 1 <= shapes <= len(KINDS):
            raise ValueError(f"{self.name}: there are from 1 to {len(KINDS)} shapes, not {shapes}.")
        if self.length < 1:
            raise ValueError(f"{self.name}: a video has at least one frame, got a length of {length}.")
        if self.side not in SIDES:
            raise ValueError(f"{self.name}: a side has {' or '.join(map(str, SIDES))} pixels, not {side}.")
        self.about = ABOUT[shapes - 1]
        self.levels, self.shape = 2**shapes, (self.length, 1, self.side, self.side)
        self.templates = [template(kind, self.side // 8) for kind in KINDS[:shapes]]
        self.places = self.side - len(self.templates[0]) + 1  # along either axis

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {'×'.join(map(str, self.shape))}, {self.levels} levels>"

    def sample(self, n: int, seed: int | np.random.Generator = 0, split: str = "train") -> np.ndarray:
        """n videos, levels as uint8 (n, length, 1, side, side). `split` is "train", "validation" or "test": separate.

        A byte a level, to save memory; models take them as int64 (`torch.from_numpy(x).long()`). Raises ValueError
        for a negative n or seed and for an unknown split.
        """
        return self.render(self.tracks(n, seed, split))

    def tracks(self, n: int, seed: int | np.random.Generator = 0, split: str = "train") -> np.ndarray:
        """Where the shapes of `sample` are, int64 (n, length, shapes, 2): the row and column of their upper left."""
        rng = stream(f"{self.name} {self.side}", seed, split)
        size = (check_count(n), self.shapes, 2)
        place, direction = rng.integers(self.places, size=size), rng.choice((-1, 1), size=size)
        tracks = [place]
        for _ in range(self.length - 1):
            direction = np.where(rng.random(size) < self.turn, -direction, direction)
            direction = np.where(self._inside(place + direction), direction, -direction)
            place = place + direction
            tracks.append(place)
        return np.stack(tracks, axis=1)

    def render(self, tracks: np.ndarray) -> np.ndarray:
        """The video of each track: int (n, length, shapes, 2) -> uint8 (n, length, 1, side, side)."""
        n, T = tracks.shape[:2]
        x = np.zeros((n, T, self.side, self.side), dtype=np.uint8)
        for k, shape in enumerate(self.templates):
            rows, columns = np.nonzero(shape)
            at = tracks[:, :, k, :, None] + np.stack([rows, columns])  # (n, T, 2, pixels)
            x[np.arange(n)[:, None, None], np.arange(T)[:, None], at[:, :, 0], at[:, :, 1]] |= np.uint8(1 << k)
        return x[:, :, None]

    def read(self, x) -> np.ndarray:
        """Where the shapes of videos are, int64 (n, length, shapes, 2); −1 in a frame that holds no such picture."""
        x = self.checked(x)
        bits = (x[:, :, 0, None] >> np.arange(self.shapes)[:, None, None]) & 1  # (n, T, shapes, side, side)
        tracks = np.stack([bits.any(axis=a).argmax(axis=-1) for a in (-1, -2)], axis=-1)
        tracks = tracks.clip(0, self.places - 1)
        is_one = (self.render(tracks) == x).all(axis=(2, 3, 4))
        return np.where(is_one[:, :, None, None], tracks, -1)

    def rgb(self, x) -> np.ndarray:
        """Videos in colour, one channel a shape, and a single shape white: uint8 (n, length, 3, side, side)."""
        bits = (self.checked(x) >> np.arange(self.shapes)[:, None, None]) & 1
        if self.shapes == 1:
            bits = np.repeat(bits, 3, axis=2)
        dark = np.zeros_like(bits[:, :, : 3 - bits.shape[2]])
        return (255 * np.concatenate([bits, dark], axis=2)).astype(np.uint8)

    def log_prob(self, x) -> np.ndarray:
        """log p(x) in nats, float64 (n,), of levels (n, length, 1, side, side); −inf for what is no such video."""
        return self.log_conditionals(x).sum(axis=1)

    def log_conditionals(self, x) -> np.ndarray:
        """log p(frame_t | the frames before) in nats, float64 (n, length); −inf from an impossible frame on."""
        tracks = self.read(x)
        p = np.full(tracks.shape, 1 / self.places)
        moves = np.diff(tracks, axis=1)
        for t in range(1, self.length):
            before = moves[:, t - 2] if t > 1 else np.zeros_like(tracks[:, 0])
            p[:, t] = self._chance(tracks[:, t - 1], before, moves[:, t - 1])
        p[(tracks < 0).any(axis=(2, 3))] = 0
        with np.errstate(divide="ignore"):
            log_p = np.log(p).sum(axis=(2, 3))
        impossible = np.isinf(log_p).cumsum(axis=1) > 0
        return np.where(impossible, -np.inf, log_p)

    @cached_property
    def entropies(self) -> np.ndarray:
        """Nats of each frame given those before it, (length,)."""
        nats = [np.log(self.places)]
        for p in self._states[:-1]:
            nats.append(float((p[:, None] * _terms(self._moves)).sum()))
        return 2 * self.shapes * np.array(nats)

    @property
    def entropy(self) -> float:
        """−E[log p(x)] of a video in nats: the loss that no model beats."""
        return float(self.entropies.sum())

    @property
    def entropy_without_time(self) -> float:
        """Nats of a video to who knows nothing of the other frames: those of each frame alone, summed."""
        alone = [_terms(p.sum(axis=0)).sum() for p in self._states]
        return float(2 * self.shapes * sum(alone))

    @cached_property
    def _moves(self) -> np.ndarray:
        """p(move | the move before, place) along an axis, for moves −1 and +1: (3, 2, places).

        Moves before are −1, none and +1.
        """
        before, move, place = np.meshgrid((-1, 0, 1), (-1, 1), np.arange(self.places), indexing="ij")
        return self._chance(place, before, move)

    @cached_property
    def _states(self) -> list[np.ndarray]:
        """Of each frame p(the move that led to it, place) along an axis: (3, places), as in `_moves`."""
        p = np.zeros((3, self.places))
        p[1] = 1 / self.places
        states = [p]
        for _ in range(self.length - 1):
            down, up = (p[:, None] * self._moves).sum(axis=0)
            # No chance leads out of the picture, so nothing comes in on the other side.
            p = np.stack([np.roll(down, -1), np.zeros(self.places), np.roll(up, 1)])
            states.append(p)
        return states

    def checked(self, x) -> np.ndarray:
        """Videos as int64 (n, length, 1, side, side). Raises ValueError for what is none."""
        x = as_array(x)
        if x.shape[1:] != self.shape:
            size = ", ".join(map(str, self.shape))
            raise ValueError(f"{self.name} expects videos of shape (n, {size}), got {x.shape}.")
        valid = (x >= 0) & (x < self.levels) & (x == np.floor(x))
        if not valid.all():
            raise ValueError(f"{self.name} has integer levels 0 … {self.levels - 1}, got {x[~valid][0]}.")
        return x.astype(np.int64)

    def _inside(self, place: np.ndarray) -> np.ndarray:
        return (place >= 0) & (place < self.places)

    def _chance(self, place: np.ndarray, before: np.ndarray, move: np.ndarray) -> np.ndarray:
        """p(move | place, the move before), along an axis; 0 for the move before: there was none."""
        free = np.where(before == 0, 0.5, np.where(move == before, 1 - self.turn, self.turn))
        chance = np.where(self._inside(place - move), free, 1.0)  # a wall at its back: it can go nowhere else
        return np.where(self._inside(place + move) & (np.abs(move) == 1), chance, 0.0)


def _terms(p: np.ndarray) -> np.ndarray:
    """−p log p of each."""
    return -p * np.log(np.where(p > 0, p, 1.0))
