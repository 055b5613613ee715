"""Small frozen classifiers of images: the digit of `glyphs32`, the factors of `shapes32`.

    judge = classifier.get("glyphs32")
    judge.features(x)              # float32 (n, 64) of images x in [0, 1], float (n, 1, 32, 32)
    judge.probabilities(x)         # float32 (n, 10)

The grader asks them what samples show. They know the sets as they were made, and see samples of another turn of the
data turned back. They run in NumPy alone. `python -m deepul_utils.classifier` trains
them and writes `data/classifier_<name>.safetensors`, with the accuracy on held-out images inside.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from deepul_utils import images, turn
from deepul_utils.toy.distribution import as_array

DATA = Path(__file__).resolve().parents[1] / "data"
BLOCK = 128  # images at once: their patches stay in the processor's cache
# (kernel, channels) of each convolution, with stride 2; then the number of features
LAYERS = {"glyphs32": (((5, 16), (3, 32), (3, 48)), 64), "shapes32": (((5, 24), (3, 32), (3, 32)), 96)}
LEVELS = {"glyphs32": (2, 256), "shapes32": (2, 4, 256)}  # what each is trained on, in equal parts
STEPS = {"glyphs32": 2000, "shapes32": 8000}
BATCH, RATE = 192, 3e-3
HELD_OUT = 10_000  # images for the accuracy that is stated


class Classifier:
    """Three strided convolutions, a layer of features, and a softmax for each head.

    heads: {name: number of classes}; "digit" of glyphs32, the factors of shapes32. channels: of its input.
    accuracy: {levels: {head: share of held-out images that it gets right}}.
    """

    def __init__(self, name: str, weights: dict[str, np.ndarray], heads: dict[str, int], accuracy: dict):
        self.name, self.heads, self.accuracy = name, heads, accuracy
        self.channels = weights["conv1.weight"].shape[1]
        self._weights = weights

    def features(self, x) -> np.ndarray:
        """What the last layer sees: images in [0, 1], float (n, C, 32, 32) → float32 (n, d), all ≥ 0.

        Grey images may be given where colours are expected.
        Raises ValueError for another shape, for integers and for values outside [0, 1].
        """
        x = self._input(x)
        d = len(self._weights["features.bias"])
        blocks = [self._forward(x[start : start + BLOCK]) for start in range(0, len(x), BLOCK)]
        return np.concatenate([np.empty((0, d), np.float32), *blocks])

    def probabilities(self, x, head: str | None = None) -> np.ndarray:
        """P(class | image): images as for `features` → float32 (n, classes). `head` may be left out if there is one.

        Raises ValueError also for an unknown head.
        """
        if head is None and len(self.heads) == 1:
            (head,) = self.heads
        if head not in self.heads:
            raise ValueError(f"{self.name} has the heads {', '.join(self.heads)}, not {head!r}.")
        end = np.cumsum([*self.heads.values()])[[*self.heads].index(head)]
        rows = slice(end - self.heads[head], end)
        logits = self.features(x) @ self._weights["heads.weight"][rows].T + self._weights["heads.bias"][rows]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def _input(self, x) -> np.ndarray:
        x = as_array(x)
        if x.ndim != 4 or x.shape[1] not in (1, self.channels) or x.shape[2:] != (32, 32):
            raise ValueError(f"Expected images (n, {self.channels}, 32, 32), got {x.shape}.")
        if x.dtype.kind != "f":
            raise ValueError(f"Expected floats in [0, 1], got {x.dtype}: images.get(…).unit(x) turns levels into them.")
        if not ((x >= 0) & (x <= 1)).all():
            raise ValueError(f"Expected images in [0, 1], got values from {np.min(x)} to {np.max(x)}.")
        return np.broadcast_to(turn.unit(x), (len(x), self.channels, 32, 32))

    def _forward(self, x: np.ndarray) -> np.ndarray:
        w = self._weights
        h = x.transpose(0, 2, 3, 1).astype(np.float32)  # (n, H, W, C)
        for layer in ("conv1", "conv2", "conv3"):
            h = np.maximum(_convolved(h, w[f"{layer}.weight"], w[f"{layer}.bias"]), 0)
        flat = h.transpose(0, 3, 1, 2).reshape(len(h), -1)  # in torch's order: channel, row, column
        return np.maximum(flat @ w["features.weight"].T + w["features.bias"], 0)


def _convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Convolution with stride 2 and zeros around, as one matrix product: (n, H, W, C) → (n, H / 2, W / 2, D)."""
    D, C, k, _ = weight.shape
    padded = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(1, 2))[:, ::2, ::2]  # (n, h, w, C, k, k)
    n, h, w = patches.shape[:3]
    return (patches.reshape(n * h * w, C * k * k) @ weight.reshape(D, -1).T + bias).reshape(n, h, w, D)


@cache
def get(name: str) -> Classifier:
    """The classifier of the image set `name`. Raises ValueError for a set that has none."""
    if name not in LAYERS:
        raise ValueError(f"There is no classifier for {name!r}, only for {', '.join(LAYERS)}.")
    from safetensors import safe_open

    with safe_open(_file(name), framework="numpy") as stored:
        weights = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - not a dict
        about = stored.metadata()
    accuracy = {int(levels): shares for levels, shares in json.loads(about["accuracy"]).items()}
    return Classifier(name, weights, json.loads(about["heads"]), accuracy)


def accuracy(judge: Classifier, levels: int, n: int = HELD_OUT, seed: int = 0) -> dict[str, float]:
    """{head: share of n images of the test stream that it gets right}. A silhouette has no colours to get right."""
    data = images.get(judge.name, levels)
    x, y = data.sample_labelled(n, seed, "test")
    heads = data.factor_names or tuple(judge.heads)
    unit, columns = data.unit(x), y.reshape(n, -1).T
    guesses = [judge.probabilities(unit, head).argmax(axis=1) for head in heads]
    return {head: float(np.mean(g == t)) for head, g, t in zip(heads, guesses, columns, strict=True)}


def network(name: str):
    """The classifier as a torch module, untrained: images (B, C, 32, 32) in [0, 1] → logits of all heads, (B, K)."""
    from torch import nn

    convolutions, d = LAYERS[name]
    parts, channels = {}, images.get(name).shape[0]  # type: dict[str, nn.Module], int
    for i, (kernel, width) in enumerate(convolutions, start=1):
        parts[f"conv{i}"] = nn.Conv2d(channels, width, kernel, stride=2, padding=kernel // 2)
        parts[f"relu{i}"], channels = nn.ReLU(), width
    parts |= {"flat": nn.Flatten(), "features": nn.Linear(channels * 16, d), "relu": nn.ReLU()}
    model = nn.Sequential()
    for key, part in (parts | {"heads": nn.Linear(d, sum(heads_of(name).values()))}).items():
        model.add_module(key, part)
    return model


def heads_of(name: str) -> dict[str, int]:
    """{head: number of classes} of the image set `name`."""
    data = images.get(name)
    return dict(zip(data.factor_names, data.factor_sizes, strict=True)) or {"digit": len(data.label_names)}


def train(name: str, steps: int, seed: int = 0):
    """A trained network: every step on images that it has never seen, in all its numbers of levels."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(seed)
    model, sizes = network(name), list(heads_of(name).values())
    where = next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=1e-3)
    annealing = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for x, y in _batches(name, steps, seed):
        logits = model(x.to(where)).split(sizes, dim=1)
        # Colours of a silhouette are marked −100, which the cross entropy leaves out.
        loss = sum(F.cross_entropy(part, target) for part, target in zip(logits, y.to(where).T, strict=True))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]  # a sum over one head at least
        optimizer.step()
        annealing.step()
    return model.eval()


def _batches(name: str, steps: int, seed: int) -> Iterator:
    """Fresh images in [0, 1], float32 (B, C, 32, 32), and their labels, int64 (B, heads)."""
    import torch

    from deepul_utils.training import progress

    sets = [images.get(name, levels) for levels in LEVELS[name]]
    rng = np.random.default_rng(seed)
    channels, heads = images.get(name).shape[0], len(heads_of(name))
    for _ in progress(range(steps), name):
        parts = [data.sample_labelled(BATCH // len(sets), rng) for data in sets]
        unit = [turn.unit(s.unit(x)) for s, (x, _) in zip(sets, parts, strict=True)]
        x = [np.broadcast_to(u, (len(u), channels, 32, 32)) for u in unit]
        y = [y.reshape(len(y), -1) for _, y in parts]
        y = [np.pad(part, ((0, 0), (0, heads - part.shape[1])), constant_values=-100) for part in y]
        yield torch.from_numpy(np.concatenate(x)), torch.from_numpy(np.concatenate(y))


def _file(name: str) -> Path:
    return DATA / f"classifier_{name}.safetensors"


def main() -> None:
    """Train all, write their files, say how good they are."""
    from safetensors.numpy import save

    for name in LAYERS:
        weights = {key: value.cpu().numpy() for key, value in train(name, STEPS[name]).state_dict().items()}
        judge = Classifier(name, weights, heads_of(name), {})
        right = {levels: accuracy(judge, levels) for levels in LEVELS[name]}
        about = dict(heads=json.dumps(judge.heads), accuracy=json.dumps(right), levels=json.dumps(LEVELS[name]))
        _file(name).write_bytes(save(weights, metadata=about))  # save_file would hide it from other users
        for levels, shares in right.items():
            print(f"{name}, {levels} levels: {', '.join(f'{h} {100 * share:.2f} %' for h, share in shares.items())}")


if __name__ == "__main__":
    main()
