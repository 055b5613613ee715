"""Pictures of tiles: stripes that run through from tile to tile, and marks that come again in the other half.

    mosaics = Mosaics()
    x = mosaics.sample(1000, seed=0, split="train")   # uint8 (1000, 1, 16, 16)
    mosaics.phases(x), mosaics.kinds(x)                # what the tiles are made of, int64 (1000, 4, 4) each
    mosaics.entropy, mosaics.log_prob(x)               # nats

Every tile has a *phase*, where its diagonal stripes begin, and a *kind*, the column of its mark. The phase is mostly
that of a neighbour: who sees the pixels around a tile knows its stripes. The kind is a die of four sides, which nothing
near tells; but a tile of the lower half has the kind of the one eight rows above it.
"""

from functools import cached_property

import numpy as np

from deepul_utils.pictures.picture_set import PictureSet

TILE, GRID = 4, 4  # pixels of a tile's side, tiles of a picture's side
HALF = GRID // 2
PHASES = KINDS = TILE
NEW = 0.03  # the probability that a phase is thrown anew, and not that of the tile to the left or above
DARK, LIGHT, MARK = 0, 1, 2
LEVELS = 3
MARKED = slice(1, 3)  # the rows of the mark in its tile


def _tiles() -> np.ndarray:
    """What the tile of each phase and kind looks like, (PHASES, KINDS, TILE, TILE)."""
    phase, i, j = np.ogrid[:PHASES, :TILE, :TILE]
    stripes = np.where((i + j + phase) % TILE < TILE // 2, LIGHT, DARK)
    tiles = np.repeat(stripes[:, None], KINDS, axis=1)
    for kind in range(KINDS):
        tiles[:, kind, MARKED, kind] = MARK
    return tiles


TILES = _tiles()


class Mosaics(PictureSet):
    """p(x) = Π p(kind), over the upper half, · Π p(phase | the phase to the left, the one above)."""

    def __init__(self) -> None:
        about = "Stripes that run through from tile to tile; the marks of the lower half are those of the upper one."
        super().__init__("mosaics", about, (1, TILE * GRID, TILE * GRID), LEVELS)

    @property
    def repeated(self) -> float:
        """What the lower half's marks cost who does not see the upper one's, nats a picture: a die for each tile."""
        return HALF * GRID * float(np.log(KINDS))

    def phases(self, x) -> np.ndarray:
        """The phase of every tile, int64 (n, GRID, GRID); 0 for what is no tile."""
        return self._read(x)[0]

    def kinds(self, x) -> np.ndarray:
        """The kind of every tile, int64 (n, GRID, GRID); 0 for what is no tile."""
        return self._read(x)[1]

    def log_prob(self, x) -> np.ndarray:
        """log p(x) in nats, float64 (n,), of levels (n, 1, 16, 16); −inf where nothing has that probability."""
        phases, kinds, is_tile = self._read(x)
        possible = is_tile.all(axis=(1, 2)) & (kinds[:, :HALF] == kinds[:, HALF:]).all(axis=(1, 2))
        log_p = np.full(len(phases), -self.repeated)
        for a, b in np.ndindex(GRID, GRID):
            p = _phase(a, b, phases[:, a, b - 1], phases[:, a - 1, b])
            log_p += np.log(np.take_along_axis(p, phases[:, a, b, None], axis=1)[:, 0])
        return np.where(possible, log_p, -np.inf)

    def conditionals(self, x, kinds=None) -> np.ndarray:
        """p of every level of each pixel given those before it, float64 (n, 1, 16, 16, LEVELS).

        kinds: of all tiles, int (n, GRID, GRID), if these are told besides.
        """
        x = self.checked(x)
        return self._conditionals(x) if kinds is None else self._told(x, np.eye(KINDS)[np.asarray(kinds)])

    @cached_property
    def entropies(self) -> np.ndarray:
        """Of each tile's phase given those before it, nats, (GRID, GRID); exact.

        By passing over the tiles with the probabilities of all phases of the last GRID ones, the oldest first.
        """
        p, result = np.ones(1), np.zeros((GRID, GRID))
        for a, b in np.ndindex(GRID, GRID):
            states = np.arange(len(p))
            new = _phase(a, b, left=states % PHASES, above=states * PHASES // len(p))
            result[a, b] = -(p[:, None] * new * np.log(new)).sum()
            p = (p[:, None] * new).ravel()
            p = p.reshape(PHASES, -1).sum(axis=0) if len(p) > PHASES**GRID else p
        return result

    def _entropy(self):
        return self.repeated + float(self.entropies.sum())

    def _draw(self, n, rng):
        kinds = np.tile(rng.integers(KINDS, size=(n, HALF, GRID)), (1, 2, 1))
        phases, u = np.zeros((n, GRID, GRID), dtype=np.int64), rng.random((n, GRID, GRID))
        for a, b in np.ndindex(GRID, GRID):
            p = _phase(a, b, phases[:, a, b - 1], phases[:, a - 1, b])
            phases[:, a, b] = (u[:, a, b, None] >= np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
        return TILES[phases, kinds].swapaxes(2, 3).reshape(n, *self.shape).astype(np.uint8)

    def _read(self, x) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Phase, kind and whether there is such a tile, (n, GRID, GRID) each."""
        tiles = self.checked(x).reshape(-1, GRID, TILE, GRID, TILE).swapaxes(2, 3)
        same = (tiles[:, :, :, None, None] == TILES).all(axis=(-2, -1)).reshape(*tiles.shape[:3], -1)
        which = same.argmax(axis=-1)
        return which // KINDS, which % KINDS, same.any(axis=-1)

    def _conditionals(self, x):
        """The kinds of the lower half are told by the upper one."""
        kinds = self._read(x)[1]
        known = np.full((*kinds.shape, KINDS), 1 / KINDS)
        known[:, HALF:] = np.eye(KINDS)[kinds[:, :HALF]]
        return self._told(x, known)

    def _told(self, x: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """By Bayes' rule, over a row of tiles; kinds: how probable each is before, (n, GRID, GRID, KINDS)."""
        n, phases = len(x), self._read(x)[0]
        levels, result = np.eye(LEVELS)[TILES], np.zeros((n, *self.shape[1:], LEVELS))
        for a in range(GRID):
            p = _row_of_phases(a, phases[:, a - 1])  # (n, PHASES, …), one dimension a tile
            fits = np.broadcast_to(kinds[:, a, :, None], (n, GRID, PHASES, KINDS)).copy()
            for i, b, j in np.ndindex(TILE, GRID, TILE):
                of_phase = p
                for other in set(range(GRID)) - {b}:
                    shape = [n, *(PHASES if k == other else 1 for k in range(GRID))]
                    of_phase = of_phase * fits[:, other].sum(axis=-1).reshape(shape)
                of_phase = of_phase.sum(axis=tuple(k + 1 for k in range(GRID) if k != b))  # (n, PHASES)
                at = a * TILE + i, b * TILE + j
                both = np.einsum("np,npk,pkl->nl", of_phase, fits[:, b], levels[:, :, i, j])
                result[:, *at] = both / np.maximum(both.sum(axis=1, keepdims=True), 1e-300)
                fits[:, b] *= TILES[:, :, i, j] == x[:, 0, *at, None, None]
        return result[:, None]


def _phase(a: int, b: int, left: np.ndarray, above: np.ndarray) -> np.ndarray:
    """p of each phase of tile (a, b) by the phases to the left and above, int (n,) each: (n, PHASES)."""
    beside = [np.eye(PHASES)[of] for of in [left] * (b > 0) + [above] * (a > 0)]
    if not beside:
        return np.full((len(left), PHASES), 1 / PHASES)
    return (1 - NEW) * sum(beside) / len(beside) + NEW / PHASES


def _row_of_phases(a: int, above: np.ndarray) -> np.ndarray:
    """p of all phases of row a of tiles by those of the row above, int (n, GRID): (n, PHASES, …, PHASES)."""
    n = len(above)
    p = np.ones((n, 1))
    for b in range(GRID):
        states = np.arange(p.shape[1])
        each = np.stack([_phase(a, b, states % PHASES, np.full(len(states), k)) for k in range(PHASES)])
        p = (p[:, :, None] * each[above[:, b]]).reshape(n, -1)
    return p.reshape(n, *[PHASES] * GRID)
