"""What a Fréchet distance of 100 means: those of other pictures of digits, in the same features, as many of each.

    python benchmarks/frechet.py                     # the reference weights of 3.2, 4.3 and 5.5
    python benchmarks/frechet.py build/calibrate/dcgan-*/*/dcgan.safetensors > docs/frechet.md     # of all seeds
    python benchmarks/frechet.py --dit >> page.md        # the rows of the DiT alone, below those of a page

Prints, in Markdown, held-out images, blurred ones, samples of the VAE of 3.2, of the DCGAN of 4.3 and of the DiT of 5.5
with several weights of guidance: distance, the share of the rarest digit (1: as often as it should be), and how far
samples are apart, relative to images.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from sample_statistics import blurred
from solved import defined

from autograder import assignments
from autograder.assignments import ROOT
from autograder.properties import samples
from deepul_utils import classifier, images

N = 2000  # images of each kind, as in the check
REPEATS = 5
GUIDANCE, STEPS = (1.0, 2.0, 3.0), 25  # weights, and Euler's steps, of the DiT
MAKE = {
    "vae32": lambda names: names["VAE32"](shape=(1, 32, 32)),
    "dcgan": lambda names: names["DCGAN"](),
    "guided_dit": lambda names: names["DiT"]((1, 32, 32), classes=10),
}


def model_of(exercise: str, weights: Path):
    """The model that a section of the solutions trains, with these weights."""
    e = assignments.get_exercise(exercise)
    made = MAKE[exercise](defined(e.assignment.name, e.number))
    made.load_state_dict(load_file(weights))
    return made.eval()


def _head(n: int) -> str:
    """The page above its rows."""
    return f"""# What a Fréchet distance means

Of {n:,} pictures of each kind, beside {5 * n:,} held-out images, in the features of the frozen classifier: mean ±
standard deviation and range, over draws or over seeds. The rarest digit has this part of its even share, and samples
are so far apart, relative to images. Written, after `deepul calibrate hw4`, by
`python benchmarks/frechet.py build/calibrate/dcgan-*/*/dcgan.safetensors > docs/frechet.md`; `--dit` prints the rows of
the DiT alone, which are then added with `>>`.

| | Fréchet distance | rarest digit | apart |
|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="*", help="of the DCGAN; the reference weights if left out")
    parser.add_argument("--dit", action="store_true", help="the rows of the DiT alone, without the head of the page")
    parser.add_argument("--small", action="store_true", help="150 images twice: only to see that it runs")
    given = parser.parse_args()
    n, repeats = (150, 2) if given.small else (N, REPEATS)
    torch.set_num_threads(1)
    glyphs, judge = images.get("glyphs32", levels=256), classifier.get("glyphs32")

    def held_out(seed: int, split: str = "validation") -> np.ndarray:
        return glyphs.unit(glyphs.sample(n, seed=seed, split=split))

    of_images = samples.gaussian(judge.features(glyphs.unit(glyphs.sample(5 * n, seed=99, split="test"))))
    apart = judge.features(held_out(98, "test"))[:500]

    def row(draw) -> tuple[float, float, float]:
        f = draw()
        x = f.clip(0, 1).astype(np.float32)
        features = judge.features(x)
        counts = np.bincount(judge.probabilities(x).argmax(axis=1), minlength=10)
        ratio = samples.diversity(features[:500], apart).value
        return samples.frechet(samples.gaussian(features), of_images), 10 * counts.min() / len(x), ratio

    def unit(x: torch.Tensor) -> np.ndarray:
        return ((x + 1) / 2).numpy()

    def vae_samples() -> np.ndarray:
        with torch.no_grad():
            return unit(vae.decode(torch.randn(n, vae.latents)))

    def dit_samples(w: float) -> np.ndarray:
        labels = (torch.arange(n) % 10).split(200)
        return unit(torch.cat([dit.sample(part, w, STEPS) for part in labels]))

    dit = model_of("guided_dit", ROOT / "solutions" / "hw5" / "artifacts" / "guided_dit.safetensors")
    kinds = {f"DiT of 5.5, w = {w:g}": [row(lambda w=w: dit_samples(w)) for _ in range(2)] for w in GUIDANCE}
    if not given.dit:
        vae = model_of("vae32", ROOT / "solutions" / "hw3" / "artifacts" / "vae32.safetensors")
        files = given.weights or [ROOT / "solutions" / "hw4" / "artifacts" / "dcgan.safetensors"]
        others = {
            "held-out images": [row(lambda k=k: held_out(k)) for k in range(repeats)],
            "blurred by one pixel": [row(lambda k=k: blurred(held_out(k))) for k in range(repeats)],
            "VAE of 3.2": [row(vae_samples) for _ in range(repeats)],
            f"DCGAN of 4.3, seeds: {len(files)}": [
                row(lambda f=f: unit(model_of("dcgan", f).sample(n))) for f in files
            ],
        }
        kinds = others | kinds
        print(_head(n))
    for kind, rows in kinds.items():
        distance, rarest, ratio = np.mean(rows, axis=0)
        spread = np.std(rows, axis=0, ddof=1) if len(rows) > 1 else [0] * 3
        low, high = min(r[0] for r in rows), max(r[0] for r in rows)
        said = f"{distance:.0f} ± {spread[0]:.0f} ({low:.0f}–{high:.0f})"
        print(f"| {kind} | {said} | {rarest:.2f} ± {spread[1]:.2f} | {ratio:.2f} ± {spread[2]:.2f} |")


if __name__ == "__main__":
    main()
