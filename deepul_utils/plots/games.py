"""Games of two: their losses, and pictures taken while they are played."""

import functools
from collections.abc import Callable

import numpy as np

from deepul_utils.errors import CannotDraw
from deepul_utils.plots import given
from deepul_utils.plots.common import (
    BLACK,
    BLUE,
    GREY,
    INK,
    ORANGE,
    NotDrawn,
    _color_bar,
    _draws,
    _legend,
    _styled,
    _subplots,
)
from deepul_utils.plots.distributions import PIXELS, _density_2d, _points
from deepul_utils.plots.sliders import slider

OUTLINE = 0.1  # of the largest density: where a line is drawn round the data
STRETCHES = 20  # of a training: the mean of each is drawn over the single losses
STEPS = 12  # of colour, from sure of a sample to sure of data


@_styled
def curves(x, series: dict, xlabel: str = "", ylabel: str = "", title: str = ""):
    """Functions of one variable, {name: values (n,)} at x (n,), with the axis y = 0."""
    x = given.numbers(x, "x", ("n",), ("n", 1)).reshape(-1)
    given.table(series, "series", '{"loss": values}')
    figure, axes = _subplots(1, 3.0, width=7)
    ax = axes[0, 0]
    ax.axhline(0, color="#8A9099", linewidth=0.8)
    for name, y in series.items():
        ax.plot(x, given.numbers(y, name, (len(x),), (len(x), 1)).reshape(-1), label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.margins(x=0.01)
    _legend(ax)
    return figure


@_styled
def game_history(history, fixed_point: dict | None = None):
    """Both players' losses against the round, side by side, the means of twenty stretches over the single ones.

    history: an object with the lists `steps`, `train` (the discriminator's loss) and `generator`. fixed_point:
    {"D": …, "G": …}, the losses where both are at their best, dashed.
    """
    steps, of_discriminator, of_generator = given.losses(history, "steps", "train", "generator")
    given.same_length(**{"history.steps": steps, "history.train": of_discriminator, "history.generator": of_generator})
    if not len(steps):
        raise CannotDraw("history should have losses of both players, got none.")
    figure, axes = _subplots(2, 2.9)
    players = (("D", "discriminator", of_discriminator, BLUE), ("G", "generator", of_generator, ORANGE))
    for ax, (name, title, losses, color) in zip(axes[0], players, strict=True):
        _player(ax, steps, losses, color, (fixed_point or {}).get(name))
        ax.set(xlabel="round", ylabel="loss", title=title)
    return figure


def _player(ax, steps: np.ndarray, losses: np.ndarray, color: str, fixed_point: float | None) -> None:
    """One player's losses, and what lies in view: the first twentieth may leave the picture, nan is left out."""
    seen = losses[len(losses) // 20 :]
    seen = seen[np.isfinite(seen)]
    ax.plot(steps, losses, color=color, linewidth=0.7, alpha=0.35)
    stretches = [stretch for stretch in np.array_split(np.arange(len(steps)), STRETCHES) if len(stretch)]
    ax.plot(*([values[s].mean() for s in stretches] for values in (steps, losses)), color=color, label="mean")
    ends = [*np.quantile(seen, [0.005, 0.995])] if len(seen) else []
    if fixed_point is not None:
        label = f"fixed point {fixed_point:.3f}"
        ax.axhline(fixed_point, color=INK, linestyle="--", linewidth=1.3, label=label)
        ends.append(fixed_point)
    if ends:
        room = 0.08 * (max(ends) - min(ends)) or 0.5
        ax.set_ylim(min(ends) - room, max(ends) + room)
    ax.margins(x=0.02)
    _legend(ax, columnspacing=0.8)


@_styled
def game_1d(dist, frames: dict, x):
    """A strip of a 1-D game: in each frame the density, a histogram of samples, and D(x) on an axis from 0 to 1.

    frames: of a Film, {"round": (F,), "samples": (F, n), "logits": (F, m)}; x: where the logits are, (m,) or (m, 1).
    Raises CannotDraw where there are no frames.
    """
    given.distribution(dist, dims=1)
    x = given.numbers(x, "x", ("m",), ("m", 1)).reshape(-1)
    rounds, samples, logits = _frames(frames, samples=("frames", "n"), logits=("frames", len(x)))
    figure, axes = _strip(len(rounds), height=1.75, above=0.5)
    density = np.exp(dist.log_prob(x[:, None]))
    for k, ax in enumerate(axes.flat[: len(rounds)]):
        beliefs = _judged(ax, x, density, samples[k], logits[k])
        beliefs.tick_params(labelright=ax is axes[k // axes.shape[1], -1])
        ax.tick_params(labelbottom=k + axes.shape[1] >= len(rounds))
        ax.set_title(f"round {rounds[k]:,}")
    for ax in axes.flat[len(rounds) :]:
        ax.remove()
    axes.flat[0].plot([], [], color=BLUE, label="D(x), on the right")
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


def _judged(ax, x: np.ndarray, density: np.ndarray, samples: np.ndarray, logits: np.ndarray):
    """One frame: density and samples upwards, and D(x) on an axis of its own on the right, which is returned."""
    ax.fill_between(x, density, color=GREY, alpha=0.8, linewidth=0, label="density")
    edges = np.linspace(x[0], x[-1], 60)
    heights = np.histogram(samples, edges)[0] / len(samples) / np.diff(edges)
    ax.stairs(heights, edges, color=ORANGE, linewidth=1.3, label="samples")
    ax.set(xlim=(x[0], x[-1]), ylim=(0, 2.1 * density.max()), yticks=[])
    ax.grid(False, axis="y")
    beliefs = ax.twinx()
    beliefs.plot(x, _sigmoid(logits), color=BLUE, linewidth=1.6)
    beliefs.axhline(0.5, color=BLUE, linestyle=":", linewidth=1)
    beliefs.set(ylim=(-0.03, 1.03), yticks=[0, 0.5, 1])
    beliefs.tick_params(colors=BLUE, labelcolor=BLUE, length=0)
    beliefs.spines["right"].set_visible(False)
    beliefs.grid(False)
    return beliefs


@_styled
def game_2d(dist, frames: dict, reach: float = 4.0, critic: bool = False):
    """A strip of a 2-D game: samples over what the discriminator says, the data's density outlined.

    dist: of the data, a toy distribution. frames: of a Film, {"round": (F,), "samples": (F, n, 2), "logits":
    (F, m, m)}, logits on a square grid over [−reach, reach]², first index x₁. critic: they are no logits but a
    critic's numbers, known up to a constant: their distance from the middle one is drawn, on one scale for all frames.
    Raises CannotDraw where there are no frames.
    """
    given.distribution(dist, dims=2)
    rounds, samples, logits = _frames(frames, samples=("frames", "n", 2), logits=("frames", "m", "m"))
    shown, low, high = (*_centred(logits),) if critic else (_sigmoid(logits), 0.0, 1.0)
    figure, axes = _strip(len(rounds), height=2.25, width=2.1)
    at = np.linspace(-reach, reach, logits.shape[1])
    fine = np.linspace(-reach, reach, PIXELS)
    density = np.exp(dist.log_prob(np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)))
    density = density.reshape(PIXELS, PIXELS)
    for k, ax in enumerate(axes.flat[: len(rounds)]):
        levels = np.linspace(low, high, STEPS + 1)
        fields = ax.contourf(at, at, shown[k].T, levels=levels, cmap=_lights(), extend="both" if critic else "neither")
        ax.contour(fine, fine, density.T, levels=[OUTLINE * density.max()], colors=[INK], linewidths=0.8)
        _points(ax, samples[k], size=3)
        ax.collections[-1].set(color=BLACK, alpha=0.55)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), title=f"round {rounds[k]:,}", xticks=[], yticks=[])
        ax.grid(False)
    for ax in axes.flat[len(rounds) :]:
        ax.remove()
    said = "critic f(x), from its median" if critic else "D(x): 1 says data, 0 says sample"
    _color_bar(figure, fields, axes.flat[: len(rounds)], said, ticks=np.linspace(low, high, 5), format="%.2g")
    return figure


def _centred(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Each frame without its median, and a scale that holds nearly all numbers of the later half."""
    centred = values - np.median(values, axis=(1, 2), keepdims=True)
    most = float(np.quantile(np.abs(centred[len(centred) // 2 :]), 0.98)) or 1.0
    return centred, -most, most


@_styled
def samples_2d(panels: dict):
    """Samples over the density that they should follow, {title: (toy distribution, samples (n, 2))}, side by side."""
    given.table(panels, "panels", '{"GAN": (moons, samples)}')
    for title, pair in panels.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise CannotDraw(f"{title} should be a pair, (toy distribution, samples).")
    figure, axes = _subplots(len(panels), 3.2, width=2.9 * len(panels) + 0.2)
    for ax, (title, (dist, samples)) in zip(axes[0], panels.items(), strict=True):
        samples = given.numbers(samples, f"samples of {title}", ("n", 2))
        _density_2d(ax, given.distribution(dist, f"the first of {title}", dims=2), faint=True)
        _points(ax, samples, dist, size=4)
        ax.tick_params(labelleft=ax is axes[0, 0])
        ax.set(title=title, xlabel="$x_1$")
    axes[0, 0].set_ylabel("$x_2$")
    return figure


def _strip(frames: int, height: float, width: float = 2.25, above: float = 0.0):
    """Axes for so many frames, four in a row; a single one is larger."""
    if frames == 1:
        return _subplots(1, 1.8 * height + above, width=1.8 * width + 1.2)
    columns = min(4, frames)
    rows = -(-frames // columns)
    return _subplots(columns, height * rows + above, rows, width=width * columns + 0.9)


def film(draw: Callable[[dict], object], frames: dict, label: str = "round"):
    """A handle to move through a film: draw(frame) of each of its frames, which is a film of one.

    frames: of a Film, {"round": (F,), name: (F, …)}. Raises CannotDraw where there are none.
    """
    if not _draws():
        return NotDrawn()
    try:
        (rounds,) = _frames(frames)
    except CannotDraw as error:
        raise CannotDraw(f"plots.film: {error}") from None
    places = {int(r): k for k, r in enumerate(rounds)}
    return slider(lambda r: draw({n: v[places[r] : places[r] + 1] for n, v in frames.items()}), list(places), label)


def _frames(frames: dict, **shapes: given.Shape) -> list[np.ndarray]:
    """The rounds of a film, and these arrays of it, a frame for each round."""
    names = ("round", *shapes)
    missing = [name for name in names if not isinstance(frames, dict) or name not in frames]
    if missing:
        raise CannotDraw(
            f"There are no pictures of this training ({', '.join(missing)}): they are taken while it trains. Train "
            "anew with retrain=True, with film.look in the loop."
        )
    rounds = given.integers(frames["round"], 'frames["round"]', ("frames",))
    if not len(rounds):
        raise CannotDraw("There are no pictures of this training: the film has no frame.")
    arrays = {f'frames["{n}"]': given.numbers(frames[n], f'frames["{n}"]', shape) for n, shape in shapes.items()}
    given.same_length(**{'frames["round"]': rounds}, **arrays)
    return [rounds, *(array.astype(float) for array in arrays.values())]


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -50, 50)))


@functools.cache
def _lights():
    """For what a discriminator says: orange where it says sample, white between, blue where it says data."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("lights", ["#E8935C", "#FFFFFF", "#6FAEDB"])
