# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Homework 5 · Diffusion and flow matching
#
# Destroying data is easy: add noise until nothing else is left. Each small step of that can be undone, and a network
# can learn how. Nearly everything that makes pictures, sound and video today is trained this way, by a plain squared
# error.
#
# **How this notebook works.** As in the homeworks before: *why*, *write*, *look*, *train*, *see*, *check*; the contents
# pane on the left lists them, and the hardest steps have hints that unfold. You write the code where it says
# `NotImplementedError`; `check("…")` runs the very checks that grade you, as often as you like.
# `check("ddpm", only="posterior")` runs the checks with this word in their title.
#
# **What is known here, and nowhere else.** The data of the first three exercises are mixtures of Gaussians, and a
# mixture of Gaussians with Gaussian noise is one again. So at *every* noise level the density, its score and the best
# possible denoiser are known in closed form. No denoising loss goes to zero: the noise cannot be guessed. But here you
# know what a perfect network would still get wrong, and losses are reported *above that*. And before you train anything
# you can try your samplers with the perfect network: what goes wrong then is the sampler.
#
# | letter | is |
# |---|---|
# | $x_t = \alpha(t)\, x_0 + \sigma(t)\, \varepsilon$ | data $x_0$ with noise $\varepsilon \sim \mathcal N(0, I)$; (B, D) |
# | $t$ | the time, (B,): one number for each example |
# | $\hat\varepsilon(x_t, t)$ | what the network takes for the noise, (B, D) |
# | $p_t$ | the density of $x_t$ |
#
# *To read beside this notebook:* Luo, *Understanding Diffusion Models: A Unified Perspective*, 2022
# ([arXiv:2208.11970](https://arxiv.org/abs/2208.11970)).

# %%
from deepul_utils import check, diffusion, fit, plots, seed_everything, tensors, toy, trained, training

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# A network of a point and a time, for the first three exercises. It is given; change it if you like. A time alone is one
# small number among others, and waves of it are easier to tell apart. (What you write for it has to take every batch:
# also one of a single example.)


# %%
class TimeMLP(nn.Module):
    """f(x, t): (B, D), (B,) with times in [0, 1] -> (B, D)."""

    def __init__(self, dims: int, hidden: int, depth: int = 3):
        super().__init__()
        self.register_buffer("frequencies", math.pi * torch.arange(1.0, 5.0), persistent=False)
        widths = [dims + 2 * len(self.frequencies), *(depth * [hidden])]
        layers = [m for a, b in zip(widths[:-1], widths[1:], strict=True) for m in (nn.Linear(a, b), nn.SiLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, dims))

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        waves = t[:, None] * self.frequencies
        return self.layers(torch.cat([x, waves.sin(), waves.cos()], dim=1))


# %% [markdown]
# ---
# ## Exercise 5.1 · Scores
#
# **Why.** Let the noise come in little by little. In a time $dt$ every point shrinks a little, so that nothing explodes,
# and is kicked a little:
#
# $$dx = -\tfrac12\,\beta(t)\, x\, dt + \sqrt{\beta(t)}\, dw, \qquad \beta(t) = \beta_0 + (\beta_1 - \beta_0)\, t .$$
#
# This is the *variance-preserving* process: what has variance one keeps it. From 0 to $t$ all those steps come to one,
#
# $$x_t = \alpha(t)\, x_0 + \sigma(t)\, \varepsilon, \qquad
#   \alpha(t) = \exp\left(-\tfrac12 \int_0^t \beta(s)\, ds\right), \qquad \alpha(t)^2 + \sigma(t)^2 = 1 .$$
#
# To go back you need one thing only: the direction in which the density of $x_t$ rises, its *score*
# $\nabla \log p_t(x)$. And that is a denoiser in disguise. Of all functions $f$ of $x_t$, the one that guesses the noise
# with the least squared error is $\mathbb E[\varepsilon \mid x_t]$, and (Tweedie's formula)
#
# $$\nabla \log p_t(x) = -\frac{\mathbb E[\varepsilon \mid x_t = x]}{\sigma(t)} .$$
#
# Whoever can tell noise from data knows where the data are.
#
# *The papers:* Song and Ermon, *Generative Modeling by Estimating Gradients of the Data Distribution*, 2019
# ([arXiv:1907.05600](https://arxiv.org/abs/1907.05600)); Song et al., *Score-Based Generative Modeling through Stochastic
# Differential Equations*, 2020 ([arXiv:2011.13456](https://arxiv.org/abs/2011.13456)). *Further reading:* Vincent, *A
# Connection Between Score Matching and Denoising Autoencoders*, 2011.

# %%
bumps, smiley, moons = toy.get("two_bumps"), toy.get("smiley"), toy.get("moons")
plots.distribution(smiley)

# %% [markdown]
# ### Write
#
# First the noise levels. $\int_0^t \beta$ has a closed form, and `torch.expm1` gives $1 - e^{-u}$ with all its digits
# where $u$ is tiny.

# %%
BETA_0, BETA_1 = 0.1, 20.0


def alpha_sigma(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """α(t) = exp(−½ ∫_0^t β(s) ds) and σ(t) = √(1 − α(t)²), of times in [0, 1]: (B,) -> (B,), (B,)."""
    ### BEGIN SOLUTION
    area = BETA_0 * t + (BETA_1 - BETA_0) * t**2 / 2  # ∫_0^t β
    return torch.exp(-area / 2), torch.sqrt(-torch.expm1(-area))
    ### END SOLUTION


# %% [markdown]
# Then the model. Its loss at one example takes *one* time $t \sim U[0, 1]$ and *one* noise $\varepsilon$, fresh at every
# call and different from example to example:
#
# $$\mathcal L(x_0) = \left\lVert \varepsilon - \hat\varepsilon\left(\alpha(t)\, x_0 + \sigma(t)\, \varepsilon,\; t\right)
#   \right\rVert^2 ,$$
#
# summed over the dimensions. And **Langevin dynamics**, which draws from a density whose score it knows: climb a little,
# shake a little, at one and the same noise level $t$, with steps of size $h$:
#
# $$x \;\leftarrow\; x + \tfrac{h}{2}\, \nabla \log p_t(x) + \sqrt h\, z, \qquad z \sim \mathcal N(0, I) .$$
#
# `sample` is annealed: it begins with pure noise, at the largest level, and goes down the levels, with some steps of
# Langevin at each. A time between 1 and about 0.01 is a level: say 40 of them, whose $\sigma$ falls by equal factors,
# 10 steps at each, and $h = \tfrac12 \sigma(t)^2$. (Ask your network by `self(x, t)`, and its score by
# `self.score(x, t)`: then it can be exchanged for a perfect one, as you see below.)
#
# **Hints** for `loss` and `langevin`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# The loss is a regression: inputs $x_t$ and $t$, target $\varepsilon$. What is particular is only that the inputs are
# made on the spot, from draws that you make anew at every call.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# `t` has shape (B,), `x` (B, D): a column `alpha[:, None]` multiplies every row by its own number. The squares are
# summed over the dimensions, and nothing is averaged: a loss for each example.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# In `langevin` the time is one number, and the network wants one for each example: `torch.full`. The noise is drawn
# anew in every step; half of the step goes with the score, and the *root* of the step with the noise.
#
# </details>


# %%
class ScoreModel(nn.Module):
    """A network ε̂(x_t, t) and the score that it stands for, −ε̂/σ."""

    def __init__(self, dims: int = 2, hidden: int = 96):
        super().__init__()
        self.dims = dims
        ### BEGIN SOLUTION
        self.net = TimeMLP(dims, hidden)
        ### END SOLUTION

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """ε̂(x_t, t): (B, D), (B,) -> (B, D)."""
        ### BEGIN SOLUTION
        return self.net(x, t)
        ### END SOLUTION

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """‖ε − ε̂(α x + σ ε, t)‖² with t ~ U[0, 1] and ε ~ N(0, I), one draw of both an example: (B, D) -> (B,)."""
        ### BEGIN SOLUTION
        t, eps = torch.rand(len(x)), torch.randn_like(x)
        alpha, sigma = alpha_sigma(t)
        x_t = alpha[:, None] * x + sigma[:, None] * eps
        return ((eps - self(x_t, t)) ** 2).sum(dim=1)
        ### END SOLUTION

    def score(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """∇ log p_t(x) = −ε̂(x, t) / σ(t), for t > 0: (B, D), (B,) -> (B, D)."""
        ### BEGIN SOLUTION
        return -self(x, t) / alpha_sigma(t)[1][:, None]
        ### END SOLUTION

    @torch.no_grad()
    def langevin(self, x: torch.Tensor, t: float, h: float, steps: int) -> torch.Tensor:
        """`steps` times x ← x + h/2 ∇ log p_t(x) + √h z, all at the time t: (B, D) -> (B, D)."""
        ### BEGIN SOLUTION
        times = torch.full((len(x),), t, dtype=x.dtype)
        for _ in range(steps):
            x = x + h / 2 * self.score(x, times) + math.sqrt(h) * torch.randn_like(x)
        return x
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, (n, D): from noise down the levels, by Langevin dynamics at each."""
        ### BEGIN SOLUTION
        x = torch.randn(n, self.dims)
        times = torch.linspace(0, 1, 10_001)[1:]
        sigmas = alpha_sigma(times)[1]
        for sigma in torch.logspace(0, math.log10(0.05), 40):
            t = times[(sigmas - sigma).abs().argmin()].item()
            x = self.langevin(x, t, h=0.5 * float(sigma) ** 2, steps=10)
        return x
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# Before you train: a *perfect* network. Of data from a mixture of Gaussians $\mathbb E[\varepsilon \mid x_t]$ is known,
# and this class has it in the place of a network. (It is given. The checks use it, too: leave it as it is.)


# %%
class PerfectScore(ScoreModel):
    """A ScoreModel with E[ε | x_t] of a mixture of Gaussians in the place of a network."""

    def __init__(self, weights, means, covariances):
        super().__init__(dims=len(means[0]), hidden=8)
        self.exact = diffusion.NoisyMixture(weights, means, covariances)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.exact.noise(x, *alpha_sigma(t))


# %%
perfect = PerfectScore(smiley.weights, smiley.means, smiley.covariances)
plots.samples_2d({"annealed Langevin, perfect score": (smiley, perfect.sample(2000))})

# %% [markdown]
# And where a single level is used, and no annealing? Langevin dynamics with the perfect score of nearly clean data,
# begun in noise: it knows where to go, and how long would it take? (A step larger than this does not stay on the smile.)

# %%
x = torch.randn(2000, 2)
plots.samples_2d({f"{k} steps": (smiley, perfect.langevin(x, t=0.02, h=0.004, steps=k)) for k in (10, 100, 1000)})

# %% [markdown]
# ### Train
#
# On the mean of the loss, with `fit` as in the homeworks before.
#
# *The recipe:* Adam on batches of 512, from 200,000 samples, 3,000 steps, `OneCycleLR` with `max_lr=5e-3` and
# `pct_start=0.1`. It takes about ten seconds, twice.


# %%
def train_score(model: ScoreModel, data: toy.Distribution):
    """Minimise the mean of the loss over samples of `data` with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 3000
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return fit(
        model,
        lambda x: model.loss(x).mean(),
        data.sample(200_000, seed=0),
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps, pct_start=0.1),
        valid=data.sample(20_000, seed=0, split="validation"),
        steps=steps,
        batch_size=512,
    )
    ### END SOLUTION


# %%
score_bumps = trained("score.two_bumps", ScoreModel(dims=1), fit=lambda model: train_score(model, bumps))
score_smiley = trained("score.smiley", ScoreModel(), fit=lambda model: train_score(model, smiley))

# %% [markdown]
# What a perfect network would still lose, at each time, and what yours loses: the loss per $t$ above its floor. Where is
# the noise easy to guess, and why can the floor not be zero there, either?


# %%
def losses_at(model: ScoreModel, data: toy.Distribution, times, n: int = 4000) -> dict[str, list[float]]:
    """{"yours", "a perfect network"}: the mean of ‖ε − ε̂‖² at each of the times, both on the same noise."""
    exact, x = diffusion.NoisyMixture.of(data), torch.as_tensor(data.sample(n, seed=1, split="validation"))
    found: dict[str, list[float]] = {"yours": [], "a perfect network": []}
    for t in times:
        t = torch.full((n,), float(t))
        (alpha, sigma), eps = alpha_sigma(t), torch.randn_like(x)
        x_t = alpha[:, None] * x + sigma[:, None] * eps
        with torch.no_grad():
            for guess, of in zip((model(x_t, t), exact.noise(x_t, alpha, sigma)), found.values(), strict=True):
                of.append(((eps - guess) ** 2).sum(dim=1).mean().item())
    return found


# %%
times = np.linspace(0.01, 1, 40)
found = losses_at(score_smiley, smiley, times)
plots.above_floor(times, {"your network": found["yours"]}, floor=found["a perfect network"])

# %% [markdown]
# ### See
#
# The scores themselves: exact above, learned below, at four times. The arrows point to where the density rises.

# %%
exact = diffusion.NoisyMixture.of(smiley)
plots.vector_fields(
    {"exact": lambda x, t: exact.score(x, *alpha_sigma(t)), "learned": score_smiley.score},
    times=(0.05, 0.15, 0.3, 0.6),
    log_prob=lambda x, t: exact.log_prob(x, *alpha_sigma(t)),
)

# %% [markdown]
# Expected:
#
# ![exact and learned scores of the smiley at four noise levels](figures/score.png)
#
# And with a handle to move through time, where the notebook is live:

# %%
plots.slider(
    lambda t: plots.vector_fields(
        {"exact": lambda x, s: exact.score(x, *alpha_sigma(s)), "learned": score_smiley.score},
        times=(t,),
        log_prob=lambda x, s: exact.log_prob(x, *alpha_sigma(s)),
    ),
    (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0),
    "t",
    start=3,
)

# %% [markdown]
# Samples, by annealed Langevin dynamics.

# %%
plots.samples_2d({"annealed Langevin, learned score": (smiley, score_smiley.sample(2000))})

# %% [markdown]
# ### Question 5.1
#
# At large $t$ the floor of the loss is close to zero, at small $t$ it is close to $D$. Yet it is at small $t$ that a
# sampler needs the score most. Explain both ends; and say what would happen to the *score's* error if the loss were
# weighted equally for all $t$ in the score instead, $\lVert \nabla \log p_t - s \rVert^2$.

# %% [markdown]
# ### BEGIN SOLUTION
# At large $t$ $x_t$ is almost all noise: who sees $x_t$ sees $\varepsilon$, so guessing is easy. At small $t$ the point
# has hardly moved, by less than the width of the data, and $x_t$ says nothing of $\varepsilon$: the best guess is nearly
# 0, and the loss is the variance of the noise, 1 in each dimension. The score is $-\hat\varepsilon/\sigma$, so its squared
# error is the loss above its floor divided by $\sigma^2$: with equal weights in the score the smallest $t$ would decide
# everything, with gradients of a huge variance ($\varepsilon/\sigma$ is the target), and large $t$, which decide which
# part of the data a sample goes to, would hardly be trained.
#
# **Rubric.** *2 points:* both ends explained, **and** the factor $1/\sigma^2$ with what it does (small $t$ dominates). *1
# point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("score")
