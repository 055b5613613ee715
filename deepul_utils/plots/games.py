"""Games of two: their losses, and pictures taken while they are played."""

import functools

import numpy as np

from deepul_utils import toy
from deepul_utils.plots.common import BLUE, GREY, INK, ORANGE, _legend, _styled, _subplots
from deepul_utils.plots.distributions import PIXELS, _density_2d, _points

OUTLINE = 0.1  # of the largest density: where a line is drawn round the data


@_styled
def curves(x, series: dict, xlabel: str = "", ylabel: str = "", title: str = ""):
    """Functions of one variable, {name: values (n,)} at x (n,), with the axis y = 0."""
    figure, axes = _subplots(1, 3.0, width=7)
    ax = axes[0, 0]
    ax.axhline(0, color="#8A9099", linewidth=0.8)
    for name, y in series.items():
        ax.plot(toy.as_array(x), toy.as_array(y), label=name)
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
    figure, axes = _subplots(2, 2.7)
    players = ((history.train, "D", "discriminator", BLUE), (history.generator, "G", "generator", ORANGE))
    for ax, (losses, name, title, color) in zip(axes[0], players, strict=True):
        steps, losses = np.asarray(history.steps), np.asarray(losses)
        ax.plot(steps, losses, color=color, linewidth=0.7, alpha=0.35)
        parts = [(s.mean(), v.mean()) for s, v in zip(np.array_split(steps, 20), np.array_split(losses, 20),
                 strict=True) if len(s)]  # fmt: skip
        ax.plot(*zip(*parts, strict=True), color=color)
        seen = [*np.quantile(losses[len(losses) // 20 :], [0.005, 0.995])]
        if fixed_point and name in fixed_point:
            label = f"at the fixed point, {fixed_point[name]:.3f}"
            ax.axhline(fixed_point[name], color=INK, linestyle="--", linewidth=1.3, label=label)
            seen.append(fixed_point[name])
            _legend(ax)
        room = 0.08 * (max(seen) - min(seen)) or 0.5
        ax.set(xlabel="round", ylim=(min(seen) - room, max(seen) + room), title=f"loss of the {title}")
        ax.margins(x=0.02)
    return figure


@_styled
def game_1d(dist, frames: dict, x):
    """A strip of a 1-D game: in each frame the density, a histogram of samples, and D(x) on an axis from 0 to 1.

    frames: of a Film, {"round": (F,), "samples": (F, n), "logits": (F, m)}; x: where the logits are, (m,) or (m, 1).
    Raises ValueError where there are no frames.
    """
    rounds, x = _require_frames(frames, "samples", "logits"), toy.as_array(x).reshape(-1)
    columns = min(4, len(rounds))
    rows = -(-len(rounds) // columns)
    figure, axes = _subplots(columns, 1.75 * rows + 0.5, rows)
    density = np.exp(dist.log_prob(x[:, None]))
    edges = np.linspace(x[0], x[-1], 60)
    for k, (ax, samples, logits) in enumerate(zip(axes.flat, *(toy.as_array(frames[n]) for n in ("samples", "logits")),
                                                  strict=False)):  # fmt: skip
        ax.fill_between(x, density, color=GREY, alpha=0.8, linewidth=0, label="density" if not k else None)
        counts, _ = np.histogram(samples, edges)
        ax.stairs(counts / len(samples) / np.diff(edges), edges, color=ORANGE, linewidth=1.3,
                  label="samples" if not k else None)  # fmt: skip
        right = ax.twinx()
        right.plot(x, 1 / (1 + np.exp(-np.clip(logits, -50, 50))), color=BLUE, linewidth=1.6)
        right.axhline(0.5, color=BLUE, linestyle=":", linewidth=1)
        right.set(ylim=(-0.03, 1.03), yticks=[0, 0.5, 1])
        right.tick_params(colors=BLUE, labelright=k % columns == columns - 1, length=0)
        right.spines["right"].set_visible(False)
        right.grid(False)
        ax.set(xlim=(x[0], x[-1]), ylim=(0, 2.1 * density.max()), yticks=[], title=f"round {rounds[k]:,}")
        ax.tick_params(labelbottom=k // columns == rows - 1)
        ax.grid(False, axis="y")
    for ax in axes.flat[len(rounds) :]:
        ax.remove()
    if len(axes.flat) > 0:
        axes.flat[0].plot([], [], color=BLUE, label="D(x)")
        figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


@_styled
def game_2d(dist, frames: dict, reach: float = 4.0):
    """A strip of a 2-D game: samples over contours of what the discriminator says, the data's density outlined.

    dist: of the data, a toy distribution. frames: of a Film, {"round": (F,), "samples": (F, n, 2), "logits":
    (F, m, m)}, logits on a square grid over [−reach, reach]², first index x₁. Raises ValueError where there are no
    frames.
    """
    rounds = _require_frames(frames, "samples", "logits")
    columns = min(4, len(rounds))
    rows = -(-len(rounds) // columns)
    figure, axes = _subplots(columns, 2.25 * rows, rows)
    fine = np.linspace(-reach, reach, PIXELS)
    density = np.exp(dist.log_prob(np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)))
    density = density.reshape(PIXELS, PIXELS)
    for k, (ax, samples, logits) in enumerate(zip(axes.flat, *(toy.as_array(frames[n]) for n in ("samples", "logits")),
                                                  strict=False)):  # fmt: skip
        at = np.linspace(-reach, reach, len(logits))
        ax.contourf(at, at, logits.T, levels=12, cmap=_lights(), alpha=0.9)
        ax.contour(fine, fine, density.T, levels=[OUTLINE * density.max()], colors=[INK], linewidths=0.7)
        _points(ax, samples)
        ax.collections[-1].set(sizes=[3], color=INK, alpha=0.45)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), title=f"round {rounds[k]:,}", xticks=[], yticks=[])
        ax.grid(False)
    for ax in axes.flat[len(rounds) :]:
        ax.remove()
    return figure


@_styled
def samples_2d(panels: dict):
    """Samples over the density that they should follow, {title: (toy distribution, samples (n, 2))}, side by side."""
    figure, axes = _subplots(len(panels), 3.0, width=2.7 * len(panels) + 0.4)
    for ax, (title, (dist, samples)) in zip(axes[0], panels.items(), strict=True):
        _density_2d(ax, dist, faint=True)
        _points(ax, samples, dist)
        ax.collections[0].set(sizes=[4])
        ax.tick_params(labelbottom=False, labelleft=False, length=0)
        ax.set_title(title)
    return figure


def _require_frames(frames: dict, *names: str) -> np.ndarray:
    missing = [name for name in ("round", *names) if name not in frames]
    if missing:
        raise ValueError(
            f"There are no pictures of this training ({', '.join(missing)}): they are taken while it trains. Train "
            "anew with retrain=True, with film.look in the loop."
        )
    return toy.as_array(frames["round"])


@functools.cache
def _lights():
    """For what a discriminator says: orange where it says sample, white between, blue where it says data."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("lights", ["#F0B48A", "#FFFFFF", "#8FC1E3"])
