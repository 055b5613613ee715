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
# | $x_t = \alpha(t)\, x_0 + \sigma(t)\, \varepsilon$ | data $x_0$, noise $\varepsilon \sim \mathcal N(0, I)$; (B, D) |
# | $t$ | the time, (B,): one number for each example. In 5.1 from 0, the data, to 1, nothing but noise |
# | $\hat\varepsilon(x_t, t)$ | what the network takes for the noise, (B, D) |
# | $p_t$ | the density of $x_t$ |
#
# *To read beside this notebook:* Luo, *Understanding Diffusion Models: A Unified Perspective*, 2022
# ([arXiv:2208.11970](https://arxiv.org/abs/2208.11970)).

# %%
from deepul_utils import check, classifier, diffusion, fit, images, plots, seed_everything, toy, trained, training

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

bumps, smiley, moons = toy.get("two_bumps"), toy.get("smiley"), toy.get("moons")

# %% [markdown]
# A network of a point and a time, for the first three exercises. It is given; change it if you like. A
# time alone is one small number among others, and waves of it are easier to tell apart. (What you write for it has to
# take every batch: also one of a single example.)


# %%
class TimeMLP(nn.Module):
    """f(x, t): (B, D), (B,) with times in [0, 1] -> (B, D)."""

    def __init__(self, dims: int, hidden: int, depth: int = 3):
        super().__init__()
        self.register_buffer("frequencies", math.pi * torch.arange(1.0, 5.0), persistent=False)
        widths = [dims + 2 * len(self.frequencies), *(depth * [hidden])]
        layers = [m for a, b in itertools.pairwise(widths) for m in (nn.Linear(a, b), nn.SiLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, dims))

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        waves = t[:, None] * self.frequencies
        return self.layers(torch.cat([x, waves.sin(), waves.cos()], dim=1))


# %% [markdown]
# ---
# ## Exercise 5.1 · Scores
#
# **Why.** Let the noise come in little by little. In a time $dt$ every point shrinks a little, so that nothing
# explodes, and is kicked a little:
#
# $$dx = -\tfrac12\,\beta(t)\, x\, dt + \sqrt{\beta(t)}\, dw, \qquad \beta(t) = \beta_0 + (\beta_1 - \beta_0)\, t .$$
#
# ($dw$ is a kick: normal numbers, new in each of those short times, with variance $dt$.) This is the
# *variance-preserving* process: what has variance one keeps it. From 0 to $t$ all those steps come to one,
#
# $$x_t = \alpha(t)\, x_0 + \sigma(t)\, \varepsilon, \qquad
#   \alpha(t) = \exp\left(-\tfrac12 \int_0^t \beta(s)\, ds\right), \qquad \alpha(t)^2 + \sigma(t)^2 = 1 .$$
#
# To go back you need one thing only: the direction in which the density of $x_t$ rises, its *score*
# $\nabla \log p_t(x)$. And that is a denoiser in disguise. Of all functions $f$ of $x_t$, the one that guesses the
# noise with the least squared error is $\mathbb E[\varepsilon \mid x_t]$, and (Tweedie's formula)
#
# $$\nabla \log p_t(x) = -\frac{\mathbb E[\varepsilon \mid x_t = x]}{\sigma(t)} .$$
#
# Whoever can tell noise from data knows where the data are.
#
# *The papers:* Song and Ermon, *Generative Modeling by Estimating Gradients of the Data Distribution*, 2019
# ([arXiv:1907.05600](https://arxiv.org/abs/1907.05600)); Song et al., *Score-Based Generative Modeling through
# Stochastic Differential Equations*, 2020 ([arXiv:2011.13456](https://arxiv.org/abs/2011.13456)). *Further reading:*
# Vincent, *A Connection Between Score Matching and Denoising Autoencoders*, 2011.

# %%
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
# Then the model. Its loss at one example takes *one* time $t \sim U[0, 1]$ and *one* noise $\varepsilon$,
# fresh at every call and different from example to example:
#
# $$\mathcal L(x_0) = \left\lVert \varepsilon
#   - \hat\varepsilon\left(\alpha(t)\, x_0 + \sigma(t)\, \varepsilon,\; t\right) \right\rVert^2 ,$$
#
# summed over the dimensions. And **Langevin dynamics**, which draws from a density whose score it knows: climb a
# little, shake a little, at one and the same noise level $t$, with steps of size $h$:
#
# $$x \;\leftarrow\; x + \tfrac{h}{2}\, \nabla \log p_t(x) + \sqrt h\, z, \qquad z \sim \mathcal N(0, I) .$$
#
# `sample` is annealed: it begins with pure noise, at the largest level, and goes down the levels, with some steps of
# Langevin at each. A time between 1 and about 0.01 is a level: say 40 of them, whose $\sigma$ falls by equal factors,
# 10 steps at each, and $h = \tfrac12 \sigma(t)^2$. (Which time has a given $\sigma$? Look it up among 10,000 of them,
# or let the *times* fall by equal factors: that does as well.) Ask your network by `self(x, t)`, and its score by
# `self.score(x, t)`: then it can be exchanged for a perfect one, as you see below.
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
plots.samples_2d({"annealed Langevin, perfect score": (smiley, perfect.sample(500))})

# %% [markdown]
# And where a single level is used, and no annealing? Langevin dynamics with the perfect score of nearly
# clean data, begun in noise: it knows where to go, and how long would it take? (A step larger than this does not stay
# on the smile.)

# %%
x = torch.randn(500, 2)
plots.samples_2d({f"{k} steps": (smiley, perfect.langevin(x, t=0.02, h=0.004, steps=k)) for k in (10, 100, 500)})

# %% [markdown]
# ### Train
#
# On the mean of the loss, with `fit` as in the homeworks before.
#
# *The recipe:* Adam on batches of 512, from 200,000 samples, 3,000 steps, `OneCycleLR` with `max_lr=0.005` and
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
# What a perfect network would still lose, at each time, and what yours loses: the loss per $t$ above its
# floor. (Both are means over the same draws; where the line on the right dips below zero, that is chance.) Where is the
# noise easy to guess, and why can the floor not be zero there, either?

# %%
times = np.linspace(0.01, 1, 40)
yours, floor = diffusion.squared_errors(score_smiley, smiley, times, alpha_sigma)
plots.above_floor(times, {"your network": yours}, floor)

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
plots.samples_2d({"annealed Langevin, learned score": (smiley, score_smiley.sample(1000))})

# %% [markdown]
# ### Question 5.1
#
# At large $t$ the floor of the loss is close to zero, at small $t$ it is close to $D$. Yet it is at small $t$ that a
# sampler needs the score most. Explain both ends; and say what would happen to the *score's* error if the loss were
# weighted equally for all $t$ in the score instead, $\lVert \nabla \log p_t - s \rVert^2$.

# %% [markdown]
# ### BEGIN SOLUTION
# At large $t$ $x_t$ is almost all noise: who sees $x_t$ sees $\varepsilon$, so guessing is easy. At small $t$ the point
# has hardly moved, by less than the width of the data, and $x_t$ says nothing of $\varepsilon$: the best guess is
# nearly 0, and the loss is the variance of the noise, 1 in each dimension. The score is $-\hat\varepsilon/\sigma$, so
# its squared error is the loss above its floor divided by $\sigma^2$: with equal weights in the score the smallest $t$
# would decide everything, with gradients of a huge variance ($\varepsilon/\sigma$ is the target), and large $t$, which
# decide which part of the data a sample goes to, would hardly be trained.
#
# **Rubric.** *2 points:* both ends explained, **and** the factor $1/\sigma^2$ with what it does (small $t$ dominates).
# *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("score")

# %% [markdown]
# ---
# ## Exercise 5.2 · Denoising diffusion
#
# **Why.** Langevin dynamics needs many steps at many levels. A better way back is to *undo* the noise, step by step.
# Take $T$ steps, with $\beta_1, \dots, \beta_T$:
#
# $$q(x_t \mid x_{t-1}) = \mathcal N\left(\sqrt{1-\beta_t}\, x_{t-1},\; \beta_t I\right), \qquad
#   q(x_t \mid x_0) = \mathcal N\left(\sqrt{\bar\alpha_t}\, x_0,\; (1-\bar\alpha_t) I\right), \qquad
#   \bar\alpha_t = \prod_{s=1}^{t} (1 - \beta_s) .$$
#
# Nobody knows $q(x_{t-1} \mid x_t)$. But if $x_0$ were known, too, then Bayes' rule makes a product of two Gaussians of
# it, which is a Gaussian. With any earlier $s < t$ and $\beta_{t|s} = 1 - \bar\alpha_t/\bar\alpha_s$, the noise that
# comes in between,
#
# $$q(x_s \mid x_t, x_0) \;\propto\; q(x_t \mid x_s)\; q(x_s \mid x_0) .$$
#
# The model puts its guess $\hat x_0(x_t)$ in the place of $x_0$: the mean of $p_\theta(x_{t-1} \mid x_t)$ is that of
# $q(x_{t-1} \mid x_t, \hat x_0)$. That is a latent variable model, a VAE with $T$ layers whose encoder is fixed, and it
# has the same kind of bound,
#
# $$-\log p_\theta(x_0) \;\le\;
#   \underbrace{\mathrm{KL}\left(q(x_T \mid x_0) \,\Vert\, \mathcal N(0, I)\right)}_{\text{prior}}
#   + \sum_{t=2}^{T} \mathbb E\, \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p_\theta(x_{t-1} \mid x_t)\right)
#   - \mathbb E \log p_\theta(x_0 \mid x_1) .$$
#
# Each KL is of two Gaussians: a squared distance of their means, which is a squared error of $\hat\varepsilon$ with a
# weight, and a constant. Ho, Jain and Abbeel left the weights out, and the pictures became better.
#
# *Which variance?* That of the posterior, $\tilde\beta_t$, is right if there is a single $x_0$; $\beta_t$, which is
# larger, if the data are as broad as the noise. Samplers like the first, and our data, seen from close by, are broad:
# for the bound we take $\beta_t$. Even then a *perfect* denoiser does not reach the entropy with finitely many steps,
# since the true $q(x_{t-1} \mid x_t)$ is no Gaussian. How far it is away can be computed here. Losses below are
# reported above *that*.
#
# *The papers:* Ho, Jain and Abbeel, *Denoising Diffusion Probabilistic Models*, 2020
# ([arXiv:2006.11239](https://arxiv.org/abs/2006.11239)); Song, Meng and Ermon, *Denoising Diffusion Implicit Models*,
# 2020 ([arXiv:2010.02502](https://arxiv.org/abs/2010.02502)). *Further reading:* Nichol and Dhariwal, *Improved
# Denoising Diffusion Probabilistic Models*, 2021 ([arXiv:2102.09672](https://arxiv.org/abs/2102.09672)), with the
# cosine schedule.

# %% [markdown]
# ### Write
#
# The chain: a schedule of your choice, and the products. Good schedules begin gently ($\beta_1$ at most 0.01) and leave
# next to nothing of the data ($\bar\alpha_T$ at most 0.01). Two well-known ones, for $T$ steps: *linear*, from $0.1/T$
# to $20/T$, at most 0.999; or *cosine*, $\bar\alpha_t = \cos^2\left(\frac\pi2 \frac{t/T + 0.008}{1.008}\right)$ up to a
# factor.


# %%
def schedule(steps: int) -> torch.Tensor:
    """β_1, …, β_T of a chain of so many steps: (T,), each between 0 and 1."""
    ### BEGIN SOLUTION
    return torch.linspace(0.1 / steps, 20 / steps, steps).clamp(max=0.999)
    ### END SOLUTION


def alpha_bars(betas: torch.Tensor) -> torch.Tensor:
    """ᾱ_0 = 1, ᾱ_1, …, ᾱ_T with ᾱ_t = Π_{s ≤ t} (1 − β_s): (T,) -> (T + 1,)."""
    ### BEGIN SOLUTION
    return torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(dim=0)])
    ### END SOLUTION


# %% [markdown]
# Then the posterior. Multiply the two Gaussians, and read the mean and the variance off.
#
# **Hints**, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# The product of two Gaussian densities *in $x_s$* is a Gaussian whose precision (one over the variance) is the sum of
# both precisions, and whose mean is the mean of both centres, weighted by their precisions.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# As a function of $x_s$, $q(x_t \mid x_s)$ has its centre at $x_t/\sqrt{1-\beta_{t|s}}$ and the variance
# $\beta_{t|s}/(1-\beta_{t|s})$; $q(x_s \mid x_0)$ has its own. Simplify, until nothing is divided by
# $1 - \bar\alpha_s$, which is zero for $s = 0$.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# Everything ends up over $1-\bar\alpha_t$. The variance is a product of what came in between and what was there at $s$;
# in the mean, $x_0$ has the root of $\bar\alpha_s$ beside it, and $x_t$ the root of $1-\beta_{t|s}$. Try $s = 0$: the
# mean must be $x_0$, and the variance 0.
#
# </details>


# %%
def posterior(x_t, x_0, alpha_bar_t, alpha_bar_s) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of q(x_s | x_t, x_0), s < t: (B, D), (B, D), (B,), (B,) -> (B, D), (B,).

    alpha_bar_t < alpha_bar_s, of each example; alpha_bar_s may be 1, which is s = 0.
    """
    ### BEGIN SOLUTION
    beta = 1 - alpha_bar_t / alpha_bar_s  # the noise that came in from s to t
    of_x_0 = alpha_bar_s.sqrt() * beta / (1 - alpha_bar_t)
    of_x_t = (1 - beta).sqrt() * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    variance = beta * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    return of_x_0[:, None] * x_0 + of_x_t[:, None] * x_t, variance
    ### END SOLUTION


# %% [markdown]
# And the model. It is given the whole number $t$ of the step, and guesses $\varepsilon$ (the `TimeMLP`
# above wants times in $[0, 1]$: $t/T$). **Ancestral sampling** draws $x_{t-1}$ from the posterior with $\hat x_0$ in
# the place of $x_0$; at $t = 1$ its variance is zero, and the last step adds no noise. **DDIM** goes from $t$ to any
# earlier $s$ with as much or as little new noise as you like,
#
# $$x_s = \sqrt{\bar\alpha_s}\, \hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\; \hat\varepsilon + \sigma z, \qquad
#   \sigma = \eta\, \sqrt{\frac{1-\bar\alpha_s}{1-\bar\alpha_t}}\, \sqrt{1 - \frac{\bar\alpha_t}{\bar\alpha_s}} ,$$
#
# which is ancestral sampling for $\eta = 1$, and draws nothing at all for $\eta = 0$. The **bound** is the sum above
# with one draw of noise in each of its $T$ terms, and with the variance $\beta_t$ in every $p_\theta$, also in the last
# one, $p_\theta(x_0 \mid x_1) = \mathcal N(\hat x_0, \beta_1 I)$. (Ask your network by `self(x, t)`.)
#
# **Hints** for `bound`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Three parts, each a number for each example. The first hangs on no network, the last on $\hat x_0(x_1)$; in the middle
# is the KL of $\mathcal N(\mu_q, \tilde\beta_t I)$ and $\mathcal N(\mu_p, \beta_t I)$, in each dimension
# $\frac12 \left(\frac{(\mu_q - \mu_p)^2}{\beta_t} + r - 1 - \log r\right)$ with $r = \tilde\beta_t/\beta_t$.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# A loop over $t$, from $T$ to 1. In each round one fresh $x_t$, and $\hat x_0$ of it. For $t \ge 2$ ask `posterior`
# twice, with $x_0$ and with $\hat x_0$; for $t = 1$ add the Gaussian's $-\log$, with its constant.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# The prior, in each dimension, is the KL of two Gaussians from homework 3, with the mean $\sqrt{\bar\alpha_T}\, x_0$
# and the variance $1-\bar\alpha_T$: $\frac12(\bar\alpha_T x_0^2 - \bar\alpha_T - \log(1-\bar\alpha_T))$. Sum over
# dimensions.
#
# </details>


# %%
class DDPM(nn.Module):
    """p(x_{t−1} | x_t) = q(x_{t−1} | x_t, x̂_0), from a network ε̂(x_t, t); t = 1, …, T."""

    def __init__(self, betas: torch.Tensor, dims: int = 2, hidden: int = 128):
        super().__init__()
        self.dims = dims
        self.register_buffer("betas", torch.as_tensor(betas, dtype=torch.get_default_dtype()))
        ### BEGIN SOLUTION
        self.register_buffer("alpha_bar", alpha_bars(self.betas))
        self.net = TimeMLP(dims, hidden)
        ### END SOLUTION

    def chain(self) -> torch.Tensor:
        """β_1, …, β_T: (T,)."""
        return self.betas

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """ε̂(x_t, t), t from 1 to T: (B, D), int64 (B,) -> (B, D)."""
        ### BEGIN SOLUTION
        return self.net(x, t / len(self.betas))
        ### END SOLUTION

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """‖ε − ε̂(x_t, t)‖² with t uniform in 1, …, T and ε ~ N(0, I), one draw of both an example: (B, D) -> (B,)."""
        ### BEGIN SOLUTION
        t, eps = torch.randint(1, len(self.betas) + 1, (len(x),)), torch.randn_like(x)
        a = self.alpha_bar[t][:, None]
        return ((eps - self(a.sqrt() * x + (1 - a).sqrt() * eps, t)) ** 2).sum(dim=1)
        ### END SOLUTION

    def denoised(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """x̂_0, which with ε̂ makes x_t = √ᾱ_t x̂_0 + √(1 − ᾱ_t) ε̂: (B, D), int64 (B,) -> (B, D)."""
        ### BEGIN SOLUTION
        a = self.alpha_bar[t][:, None]
        return (x - (1 - a).sqrt() * self(x, t)) / a.sqrt()
        ### END SOLUTION

    @torch.no_grad()
    def step(self, x: torch.Tensor, t: int) -> torch.Tensor:
        """A draw of x_{t−1} ~ q(x_{t−1} | x_t, x̂_0), without noise for t = 1: (B, D) -> (B, D)."""
        ### BEGIN SOLUTION
        now = torch.full((len(x),), t)
        mean, variance = posterior(x, self.denoised(x, now), self.alpha_bar[now], self.alpha_bar[now - 1])
        return mean + variance.sqrt()[:, None] * torch.randn_like(x)
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, (n, D): x_T ~ N(0, I), then all T steps."""
        ### BEGIN SOLUTION
        x = torch.randn(n, self.dims)
        for t in range(len(self.betas), 0, -1):
            x = self.step(x, t)
        return x
        ### END SOLUTION

    @torch.no_grad()
    def ddim_step(self, x: torch.Tensor, t: int, s: int, eta: float) -> torch.Tensor:
        """From x_t to x_s, s < t, with η of the noise of ancestral sampling: (B, D) -> (B, D)."""
        ### BEGIN SOLUTION
        a_t, a_s = self.alpha_bar[t], self.alpha_bar[s]
        now = torch.full((len(x),), t)
        sigma = eta * ((1 - a_s) / (1 - a_t)).sqrt() * (1 - a_t / a_s).sqrt()
        direction = (1 - a_s - sigma**2).clamp(min=0).sqrt()
        return a_s.sqrt() * self.denoised(x, now) + direction * self(x, now) + sigma * torch.randn_like(x)
        ### END SOLUTION

    @torch.no_grad()
    def ddim(self, n: int, steps: int, eta: float = 0.0) -> torch.Tensor:
        """n draws, (n, D), in `steps` steps of DDIM, over the times torch.linspace(T, 0, steps + 1).round()."""
        ### BEGIN SOLUTION
        x = torch.randn(n, self.dims)
        times = torch.linspace(len(self.betas), 0, steps + 1).round().long().tolist()
        for t, s in itertools.pairwise(times):
            x = self.ddim_step(x, t, s, eta)
        return x
        ### END SOLUTION

    @torch.no_grad()
    def bound(self, x: torch.Tensor) -> torch.Tensor:
        """−ELBO in nats, with one draw of noise in each of its T terms: (B, D) -> (B,)."""
        ### BEGIN SOLUTION
        B, D = x.shape
        last = self.alpha_bar[-1]
        total = ((last * (x**2 - 1) - (1 - last).log()) / 2).sum(dim=1)  # KL(q(x_T | x_0) ‖ N(0, I))
        for t in range(len(self.betas), 0, -1):
            now = torch.full((B,), t)
            a_t, a_s = self.alpha_bar[now], self.alpha_bar[now - 1]
            x_t = a_t.sqrt()[:, None] * x + (1 - a_t).sqrt()[:, None] * torch.randn_like(x)
            guess = self.denoised(x_t, now)
            if t == 1:
                beta = self.betas[0]
                total = total + ((x - guess) ** 2).sum(dim=1) / (2 * beta) + D / 2 * (2 * math.pi * beta).log()
            else:
                beta = self.betas[t - 1]
                (mean, variance), (guessed, _) = (posterior(x_t, x_0, a_t, a_s) for x_0 in (x, guess))
                ratio = variance / beta
                squares = ((mean - guessed) ** 2).sum(dim=1)
                total = total + squares / (2 * beta) + D / 2 * (ratio - 1 - ratio.log())
        return total
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# Your samplers with a perfect network, before you train one. (This class is given, and the checks use it.)


# %%
class PerfectDDPM(DDPM):
    """A DDPM with E[ε | x_t] of a mixture of Gaussians in the place of a network. levels: ᾱ_0, …, ᾱ_T."""

    def __init__(self, betas, levels, weights, means, covariances):
        super().__init__(betas, dims=len(means[0]), hidden=8)
        self.register_buffer("levels", torch.as_tensor(levels, dtype=torch.get_default_dtype()))
        self.exact = diffusion.NoisyMixture(weights, means, covariances)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        level = self.levels[t]
        return self.exact.noise(x, level.sqrt(), (1 - level).sqrt())


def perfect_ddpm(dist, steps: int) -> PerfectDDPM:
    betas = schedule(steps)
    return PerfectDDPM(betas, alpha_bars(betas), dist.weights, dist.means, dist.covariances)


# %%
perfect = perfect_ddpm(moons, 100)
plots.samples_2d(
    {
        "ancestral, 100 steps": (moons, perfect.sample(1000)),
        "DDIM, 10 steps": (moons, perfect.ddim(1000, steps=10)),
    }
)

# %% [markdown]
# What finitely many steps cost: the bound of a perfect network, above the entropy of the data. More steps help. Where
# does it come from, if the network is perfect?

# %%
x = torch.as_tensor(moons.sample(500, seed=1, split="validation"))
for steps in (20, 50, 100, 200):
    gap = perfect_ddpm(moons, steps).bound(x).mean().item() + moons.log_prob(x).mean()
    print(f"{steps:4d} steps: a perfect network is {gap:.2f} nats above the limit")

# %% [markdown]
# ### Train
#
# *The recipe:* 100 steps of the chain. Adam on batches of 512, from 200,000 samples, 8,000 steps, `OneCycleLR` with
# `max_lr=0.005` and `pct_start=0.1`. It takes about twenty seconds, twice.


# %%
def train_ddpm(model: DDPM, data: toy.Distribution):
    """Minimise the mean of the loss over samples of `data` with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 8000
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
ddpm_smiley = trained("ddpm.smiley", DDPM(schedule(100)), fit=lambda model: train_ddpm(model, smiley))
ddpm_moons = trained("ddpm.moons", DDPM(schedule(100)), fit=lambda model: train_ddpm(model, moons))

# %% [markdown]
# The loss at each step of the chain, above what a perfect network loses there.

# %%
steps_of_chain = np.arange(1, 101, 3)
chain = alpha_bars(schedule(100))
yours, floor = diffusion.squared_errors(
    ddpm_moons, moons, steps_of_chain, lambda t: (chain[t].sqrt(), (1 - chain[t]).sqrt())
)
plots.above_floor(steps_of_chain, {"your network": yours}, floor, xlabel="step $t$ of the chain")

# %% [markdown]
# Expected:
#
# ![the loss at each step over the floor, and how far above it](figures/ddpm_floor.png)
#
# And in nats: your bound, that of a perfect network with the same chain, and the entropy.

# %%
for name, data, model in (("smiley", smiley, ddpm_smiley), ("moons", moons, ddpm_moons)):
    x = torch.as_tensor(data.sample(1000, seed=2, split="validation"))
    bound, best = (m.bound(x).mean().item() + data.log_prob(x).mean() for m in (model, perfect_ddpm(data, 100)))
    print(f"{name}: {bound:.2f} nats above the limit; a perfect network {best:.2f}")

# %% [markdown]
# ### See
#
# A film of denoising: ancestral sampling, from noise to data.

# %%
frames = {100: torch.randn(1000, 2)}
for t in range(100, 0, -1):
    frames[t - 1] = ddpm_moons.step(frames[t], t)
shown = [100, 80, 60, 40, 30, 20, 15, 10, 7, 5, 3, 2, 1, 0]
plots.slider(lambda t: plots.cloud(frames[t], moons, f"t = {t}"), shown, "t")

# %% [markdown]
# Samples, in a hundred steps, and in ten: with all of the noise, and with none.

# %%
plots.samples_2d(
    {
        "ancestral, 100 steps": (moons, ddpm_moons.sample(1000)),
        "η = 1, 10 steps": (moons, ddpm_moons.ddim(1000, steps=10, eta=1.0)),
        "η = 0, 10 steps": (moons, ddpm_moons.ddim(1000, steps=10, eta=0.0)),
    }
)

# %% [markdown]
# Expected:
#
# ![samples of the moons: ancestral, and ten steps with and without noise](figures/ddpm.png)

# %% [markdown]
# ### Question 5.2
#
# The true $q(x_{t-1} \mid x_t)$ is no Gaussian, and yet the model uses one. Why does that do less and less harm the
# more steps there are? And why does ancestral sampling ($\eta = 1$) suffer more from few steps than DDIM ($\eta = 0$)?

# %% [markdown]
# ### BEGIN SOLUTION
# By Bayes' rule $q(x_{t-1} \mid x_t) \propto q(x_t \mid x_{t-1})\, q(x_{t-1})$. With many steps $\beta_t$ is tiny: the
# first factor is a very narrow Gaussian, and over its width $\log q(x_{t-1})$ is nearly a straight line, which only
# moves the Gaussian. So the reverse step is Gaussian up to terms that vanish with $\beta_t$. With few steps the narrow
# factor is wide, the second factor bends within it (it may have two peaks), and a draw from one Gaussian around
# $\hat x_0$, which is a mean over all that is possible, lies between them. Ancestral sampling makes this error with a
# lot of noise in every large step, and the last steps have to take all that noise away; DDIM with $\eta = 0$ follows an
# ordinary differential equation whose solution has the right distribution, so its only error is that of a solver, which
# is smaller for the same number of steps.
#
# **Rubric.** *2 points:* the narrow factor makes the product Gaussian (or log q is linear over a small step), **and**
# DDIM draws no noise, it solves an ODE. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("ddpm")

# %% [markdown]
# ---
# ## Exercise 5.3 · Flow matching
#
# **Why.** Draw a noise $x_0$ and a data point $x_1$, and walk from one to the other on a straight line, at constant
# speed:
#
# $$x_t = (1 - t)\, x_0 + t\, x_1, \qquad \frac{dx_t}{dt} = x_1 - x_0 .$$
#
# (*Time runs the other way now, as in the papers:* noise at 0, data at 1.) Millions of such lines cross each other, and
# a point that only knows where it is, and when, cannot know on which of them it walks. The best that it can do is the
# mean velocity of all that pass here,
#
# $$v(x, t) = \mathbb E\left[x_1 - x_0 \mid x_t = x\right] ,$$
#
# and that is what a network learns from the squared error $\lVert v_\theta(x_t, t) - (x_1 - x_0) \rVert^2$. The
# miracle: who follows $dx/dt = v(x, t)$ from noise has, at every time, the *same density* as all those crossing lines.
# It is a flow as in homework 2, continuous in time, without any restriction on the network. It has a sampler (solve the
# equation from 0 to 1), latents (solve it backwards), and an exact likelihood: along a path,
#
# $$\frac{d}{dt} \log p_t(x_t) = -\nabla \cdot v(x_t, t), \qquad
#   \nabla \cdot v = \sum_i \frac{\partial v_i}{\partial x_i} = \operatorname{tr} \frac{\partial v}{\partial x} .$$
#
# *The papers:* Lipman et al., *Flow Matching for Generative Modeling*, 2022
# ([arXiv:2210.02747](https://arxiv.org/abs/2210.02747)); Liu, Gong and Liu, *Flow Straight and Fast*, 2022
# ([arXiv:2209.03003](https://arxiv.org/abs/2209.03003)). *Further reading:* Grathwohl et al., *FFJORD*, 2018
# ([arXiv:1810.01367](https://arxiv.org/abs/1810.01367)), for the likelihood; Song et al., 2020, once more, whose
# *probability flow* is this of 5.1's process.

# %% [markdown]
# ### Write
#
# The lines first.


# %%
def interpolate(x_0, x_1, t) -> tuple[torch.Tensor, torch.Tensor]:
    """x_t = (1 − t) x_0 + t x_1, and its velocity dx_t/dt: (B, D), (B, D), (B,) -> (B, D), (B, D)."""
    ### BEGIN SOLUTION
    t = t[:, None]
    return (1 - t) * x_0 + t * x_1, x_1 - x_0
    ### END SOLUTION


# %% [markdown]
# Then the model. To follow $dx/dt = v(x, t)$ in steps of $h$ (which is negative on the way back):
#
# | method | a step from $x$ at $t$ | error of all steps |
# |---|---|---|
# | `"euler"` | $x + h\, v(x, t)$ | $\sim h$ |
# | `"heun"` | $x + \frac h2 (k_1 + k_2)$ with $k_1 = v(x, t)$, $k_2 = v(x + h k_1, t + h)$ | $\sim h^2$ |
# | `"rk4"` | $x + \frac h6 (k_1 + 2 k_2 + 2 k_3 + k_4)$ | $\sim h^4$ |
#
# where in `"rk4"` $k_1 = v(x, t)$, $k_2 = v(x + \frac h2 k_1, t + \frac h2)$,
# $k_3 = v(x + \frac h2 k_2, t + \frac h2)$ and $k_4 = v(x + h k_3, t + h)$.
#
# The divergence is a sum of $D$ derivatives: differentiate the $i$-th output, summed over the batch, by `x`, and take
# the $i$-th column of that. That takes $D$ passes; **Hutchinson's estimator** takes one, for any $D$: with random signs
# $s$, $\mathbb E[s^\top J s] = \operatorname{tr} J$, and $s^\top J$ is one gradient. For `log_prob` carry the integral
# of the divergence along with $x$: both are followed by the same Runge–Kutta, from $t = 1$ to $t = 0$. (Ask your
# network by `self(x, t)`.)
#
# **Hints** for `divergence` and `log_prob`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Each row of $v$ hangs on its own row of $x$ alone. So the gradient of a sum over the batch has, in each row, the
# gradient of that row.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# `divergence` runs in `torch.enable_grad()`, on a copy of `x` that is detached and requires a gradient, and uses
# `torch.autograd.grad` $D$ times with `retain_graph=True`. `log_prob` has two things to carry, $x$ and
# $\int \nabla \cdot v$, and a function that gives the rates of both.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# The signs: $\log p_1(x_1) = \log p_0(x_0) - \int_0^1 \nabla \cdot v\, dt$. Going back from 1 to 0 you add up
# $\int_1^0$, which is minus that integral: so it is *added* to $\log \mathcal N(x_0; 0, I)$. Where a flow spreads
# points out, $\nabla \cdot v > 0$, the density falls.
#
# </details>


# %%
class FlowMatching(nn.Module):
    """dx/dt = v(x, t) carries x_0 ~ N(0, I) at t = 0 to the data at t = 1."""

    def __init__(self, dims: int = 2, hidden: int = 128):
        super().__init__()
        self.dims = dims
        ### BEGIN SOLUTION
        self.net = TimeMLP(dims, hidden)
        ### END SOLUTION

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """v(x, t): (B, D), (B,) -> (B, D)."""
        ### BEGIN SOLUTION
        return self.net(x, t)
        ### END SOLUTION

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        """‖v(x_t, t) − (x − x_0)‖² for data x, with t ~ U[0, 1] and x_0 ~ N(0, I), a draw of both an example: (B,)."""
        ### BEGIN SOLUTION
        t, x_0 = torch.rand(len(x)), torch.randn_like(x)
        x_t, velocity = interpolate(x_0, x, t)
        return ((self(x_t, t) - velocity) ** 2).sum(dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def integrate(self, x: torch.Tensor, start: float, end: float, steps: int, method: str = "rk4") -> torch.Tensor:
        """x at the time `end` of dx/dt = v(x, t), from x at the time `start`: (B, D) -> (B, D).

        method: "euler", "heun" or "rk4", with so many equal steps. end may lie before start.
        """
        ### BEGIN SOLUTION
        h = (end - start) / steps

        def v(x: torch.Tensor, t: float) -> torch.Tensor:
            return self(x, torch.full((len(x),), t, dtype=x.dtype))

        for k in range(steps):
            t = start + k * h
            k1 = v(x, t)
            if method == "euler":
                x = x + h * k1
            elif method == "heun":
                x = x + h / 2 * (k1 + v(x + h * k1, t + h))
            else:
                k2 = v(x + h / 2 * k1, t + h / 2)
                k3 = v(x + h / 2 * k2, t + h / 2)
                k4 = v(x + h * k3, t + h)
                x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return x
        ### END SOLUTION

    def sample(self, n: int, steps: int = 50, method: str = "heun") -> torch.Tensor:
        """n draws, (n, D): x_0 ~ N(0, I), carried from t = 0 to t = 1."""
        ### BEGIN SOLUTION
        return self.integrate(torch.randn(n, self.dims), 0.0, 1.0, steps, method)
        ### END SOLUTION

    def divergence(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Σ_i ∂v_i/∂x_i at x and t: (B, D), (B,) -> (B,)."""
        ### BEGIN SOLUTION
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            v = self(x, t)
            return sum(
                torch.autograd.grad(v[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(x.shape[1])
            ).detach()
        ### END SOLUTION

    def hutchinson(self, x: torch.Tensor, t: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
        """sᵀ J s with the Jacobian J of v and given signs s, ±1: (B, D), (B,), (B, D) -> (B,)."""
        ### BEGIN SOLUTION
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            pulled = torch.autograd.grad((self(x, t) * signs).sum(), x)[0]  # sᵀ J
            return (pulled * signs).sum(dim=1).detach()
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor, steps: int = 50) -> torch.Tensor:
        """log p(x) in nats, by `steps` steps of Runge–Kutta from t = 1 to 0: (B, D) -> (B,)."""
        ### BEGIN SOLUTION
        h, spread = -1.0 / steps, torch.zeros(len(x), dtype=x.dtype)

        def rates(x: torch.Tensor, t: float) -> tuple[torch.Tensor, torch.Tensor]:
            times = torch.full((len(x),), t, dtype=x.dtype)
            with torch.no_grad():
                v = self(x, times)
            return v, self.divergence(x, times)

        for k in range(steps):
            t = 1.0 + k * h
            v1, d1 = rates(x, t)
            v2, d2 = rates(x + h / 2 * v1, t + h / 2)
            v3, d3 = rates(x + h / 2 * v2, t + h / 2)
            v4, d4 = rates(x + h * v3, t + h)
            x = x + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
            spread = spread + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)  # ∫ from 1 to 0
        log_normal = -0.5 * x**2 - 0.5 * math.log(2 * math.pi)
        return log_normal.sum(dim=1) + spread
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# The perfect flow, before you train one. (This class is given, and the checks use it.) The velocity is a difference of
# two guesses: where the data are, less where the noise was.


# %%
class PerfectFlow(FlowMatching):
    """A FlowMatching with E[x_1 − x_0 | x_t] of a mixture of Gaussians in the place of a network."""

    def __init__(self, weights, means, covariances):
        super().__init__(dims=len(means[0]), hidden=8)
        self.exact = diffusion.NoisyMixture(weights, means, covariances)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.exact.denoised(x, t, 1 - t) - self.exact.noise(x, t, 1 - t)


# %%
def paths_of(flow: FlowMatching, n: int, pieces: int = 20) -> torch.Tensor:
    """Where n draws of noise go, from t = 0 to t = 1: (pieces + 1, n, 2)."""
    paths, times = [torch.randn(n, 2)], np.linspace(0, 1, pieces + 1)
    for start, end in itertools.pairwise(times):
        paths.append(flow.integrate(paths[-1], float(start), float(end), 2))
    return torch.stack(paths)


perfect_flow = PerfectFlow(moons.weights, moons.means, moons.covariances)
plots.trajectories(paths_of(perfect_flow, 60), moons)

# %% [markdown]
# Its `log_prob` is the density of the data, if your solver and your divergence are right, and better so
# with more steps. By how much does the error fall when the steps double?

# %%
x = torch.as_tensor(moons.sample(100, seed=1, split="validation"))
for steps in (10, 20, 40):
    error = np.abs(perfect_flow.log_prob(x, steps).cpu().numpy() - moons.log_prob(x)).mean()
    print(f"{steps} steps: {error:.5f} nats from the density")

# %% [markdown]
# ### Train
#
# *The recipe:* Adam on batches of 512, from 200,000 samples, 7,000 steps, `OneCycleLR` with `max_lr=0.005` and
# `pct_start=0.1`. It takes about twenty seconds, twice.


# %%
def train_flow_matching(model: FlowMatching, data: toy.Distribution):
    """Minimise the mean of the loss over samples of `data` with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 7000
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
flow_smiley = trained("flow_matching.smiley", FlowMatching(), fit=lambda model: train_flow_matching(model, smiley))
flow_moons = trained("flow_matching.moons", FlowMatching(), fit=lambda model: train_flow_matching(model, moons))

# %% [markdown]
# ### See
#
# The learned density over the true one, and samples.

# %%
plots.density_2d(moons, lambda x: flow_moons.log_prob(x, steps=4), flow_moons.sample(1000))

# %% [markdown]
# Expected:
#
# ![density of the moons, density of the learned flow, and its samples](figures/flow_matching.png)
#
# What samples cost: DDPM and DDIM of 5.2 against Euler and Heun, by the energy distance to fresh data. An evaluation of
# the network is what takes time; Heun needs two for a step. (Two sets of 2,000 points of the *data* are up to 0.002
# apart by chance, nine times in ten: smaller distances mean nothing, and are drawn at 0.002.)


# %%
def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """2 E‖a − b‖ − E‖a − a'‖ − E‖b − b'‖, without the pairs of a point with itself: 0 for equal distributions."""
    n, m = len(a), len(b)
    within = torch.cdist(a, a).sum() / (n * (n - 1)) + torch.cdist(b, b).sum() / (m * (m - 1))
    return (2 * torch.cdist(a, b).mean() - within).item()


def distances(draw, evaluations) -> dict[int, float]:
    """{evaluations of the network: energy distance to fresh data, 0.002 at least}."""
    fresh = torch.as_tensor(moons.sample(2000, seed=0, split="validation"))
    return {k: max(energy_distance(draw(k), fresh), 2e-3) for k in evaluations}


# %%
ways = {
    "Euler": lambda k: flow_moons.sample(2000, k, "euler"),
    "Heun": lambda k: flow_moons.sample(2000, k // 2, "heun"),
}
if "ddpm.moons" in training.session.models:
    ddpm = training.session.models["ddpm.moons"]
    ways["DDIM, η = 0"] = lambda k: ddpm.ddim(2000, k)
    ways["DDPM, η = 1"] = lambda k: ddpm.ddim(2000, k, eta=1.0)
plots.against_steps({title: distances(draw, (4, 8, 16, 32, 64)) for title, draw in ways.items()})

# %% [markdown]
# Expected:
#
# ![distance to the data against evaluations of the network, for Euler, Heun, DDIM and DDPM](figures/steps.png)
#
# The paths of your flow. The lines that it learned from were straight; the mean of many straight lines is none. *How*
# bent is it? With the velocity $\bar v$ that would lead straight from the beginning of a path to its end, the mean of
# $\lVert v - \bar v \rVert^2$ is zero for straight paths, which one single Euler step would follow.

# %%
paths = paths_of(flow_moons, 400)
with torch.no_grad():
    v = torch.stack([flow_moons(x, torch.full((400,), k / 20)) for k, x in enumerate(paths)])
bend = ((v - (paths[-1] - paths[0])) ** 2).sum(dim=2).mean()
print(f"E‖v − v̄‖² = {bend:.2f}, with E‖v̄‖² = {((paths[-1] - paths[0]) ** 2).sum(dim=1).mean():.2f}")
plots.trajectories(paths[:, :60], moons)

# %% [markdown]
# Expected:
#
# ![paths of the learned flow from noise to the moons](figures/flow_paths.png)
#
# ### Question 5.3
#
# The pairs $(x_0, x_1)$ were drawn independently. Suppose you pair the points of each batch instead so that the sum of
# their squared distances is smallest (an *optimal coupling*). Does the flow still end in the data distribution? What
# happens to the floor of the loss, and to the number of steps that a solver needs?

# %% [markdown]
# ### BEGIN SOLUTION
# It still ends in the data: all that the derivation uses is that $x_0$ alone is normal and $x_1$ alone is of the data,
# and re-pairing the points of a batch changes neither; any coupling has its own $v(x, t)$ with the right densities at
# both ends. The floor falls: it is the variance of $x_1 - x_0$ given $x_t$, and lines of optimally coupled pairs hardly
# cross, so that a place and a time nearly tell the line. With less to average over, $v$ is nearly constant along a
# path, paths are straighter, and fewer steps are enough: with an optimal coupling of the whole distributions, where no
# lines cross, a single Euler step is exact. (In a batch the coupling is optimal only for those few points.)
#
# **Rubric.** *2 points:* both ends stay right, with the reason (marginals are unchanged), **and** a lower floor or
# straighter paths with fewer steps, with the reason (fewer lines cross). *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("flow_matching")

# %% [markdown]
# ---
# ## Exercise 5.4 · Masked diffusion over tokens
#
# **Why.** Words, codes and pixels in few levels have no small noise: nothing lies between two words. Masked diffusion
# destroys them another way. There is one token more, the **mask**, and until time $t$ each token has become the mask
# with probability $t$, by itself. At $t = 0$ everything is shown, at $t = 1$ nothing is. A network sees the rest, $z$,
# and says for each masked token what it may have been, $p(x_i \mid z)$; going back from $t = 1$ to $0$, masks are
# lifted a few at a time. An autoregressive model does that in one order, one token a step. This one knows *every*
# order, may lift several at once, and can fill in any gap.
#
# **The bound.** With $d$ tokens,
#
# $$-\log p(x) \;\le\; \int_0^1 \frac{1}{t}\;\mathbb{E}_{z \sim q(z \mid x,\, t)}\left[\,\sum_{i\,:\,z_i\,\text{masked}}
#   -\log p(x_i \mid z)\right] \mathrm{d}t .$$
#
# Why $1/t$? On the way back from $t$ to $t - \mathrm{d}t$ a mask is lifted with probability $\mathrm{d}t / t$, and what
# comes to light then costs its surprise, $-\log p(x_i \mid z)$. So the loss of one example is: draw $t$, draw $z$, add
# the surprises of what is masked, divide by $t$.
#
# **The bound, exactly.** A certain mask of $k$ tokens has the probability $t^k (1-t)^{d-k}$ at time $t$, and
# $\int_0^1 t^{k-1} (1-t)^{d-k}\,\mathrm{d}t = 1 / \left(k \binom{d}{k}\right)$. So the integral is a sum over the
# $2^d - 1$ masks,
#
# $$\mathrm{bound}(x) \;=\; \sum_{M \ne \emptyset} \frac{1}{k \binom{d}{k}} \sum_{i \in M} -\log p(x_i \mid z_M),
#   \qquad k = |M| ,$$
#
# where in $z_M$ the tokens of $M$ are masked. It is also the mean over all $d!$ orders of the chain rule's
# $-\log p(x)$, one order after the other. (Why? How often does token $i$ come right after a given set of others?) With
# ever more steps the sampler draws from the *mean of the probabilities* over the orders; by Jensen's inequality the
# mean of the logarithms is a bound. No model brings its average over the data below their entropy, **the limit**.
#
# **No time for the network.** Given what is shown, the time tells nothing about what is hidden, so the network is not
# told $t$. What it learns is to fill in gaps, as BERT does; the weights $1/t$ make a generative model of it.
#
# *The paper:* Sahoo et al., *Simple and Effective Masked Diffusion Language Models*, 2024
# ([arXiv:2406.07524](https://arxiv.org/abs/2406.07524)), section 3; and, with the same bound, Shi et al., *Simplified
# and Generalized Masked Diffusion for Discrete Data*, 2024 ([arXiv:2406.04329](https://arxiv.org/abs/2406.04329)).
# *Further reading:* Austin et al., *Structured Denoising Diffusion Models in Discrete State-Spaces*, 2021
# ([arXiv:2107.03006](https://arxiv.org/abs/2107.03006)), where the absorbing state comes from; Hoogeboom et al.,
# *Autoregressive Diffusion Models*, 2021 ([arXiv:2110.02037](https://arxiv.org/abs/2110.02037)), on the mean over
# orders.

# %%
smiley_25 = toy.discrete("smiley", bins=25)
plots.distribution(smiley_25)

# %% [markdown]
# ### Write
#
# Two tokens, $x_1$ and $x_2$, of 25 levels each, as in 1.2; your code is for any number of both. The mask is the token
# `bins`, one more than the last level. The network reads $z$ as one-hot vectors with a place for the mask, and gives
# `bins` logits a token: a lifted mask is never a mask again. What it says of tokens that are shown does not matter.
# Two hidden layers are enough.
#
# Call `check("masked_diffusion")` after each method.
#
# **Hints**, one for each of the harder methods:
#
# <details>
# <summary>Hint 1: nats</summary>
#
# The log-softmax over the levels is (B, dims, bins); pick the one that `x` names for every token, masked or not. Which
# tokens are masked stands in `z`: `z == self.bins`. Where they are not, zero is added.
#
# </details>
#
# <details>
# <summary>Hint 2: bound</summary>
#
# `itertools.product([False, True], repeat=self.dims)` goes through all masks. One mask is for the whole batch: make
# `z` with it, weigh `nats(x, z)`, add. `math.comb(d, k)` is $\binom{d}{k}$.
#
# </details>
#
# <details>
# <summary>Hint 3: reverse_step</summary>
#
# Draw a token for every place, as if all masks were lifted (`torch.distributions.Categorical(logits=…).sample()`).
# Then decide, place by place, with a number of its own, whether to take it: only where there is a mask, and there with
# probability $(t - s) / t$. `torch.where` chooses.
#
# </details>


# %%
class MaskedDiffusion(nn.Module):
    """p(x_i | z) = softmax(logits_i(z))[x_i] of every token i that is masked in z.

    dims: number of tokens. bins: levels of each, 0 … bins − 1; the mask is the token `bins`.
    """

    def __init__(self, dims: int, bins: int, hidden: int = 128):
        super().__init__()
        self.dims, self.bins = dims, bins
        ### BEGIN SOLUTION
        self.net = nn.Sequential(
            nn.Linear(dims * (bins + 1), hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, dims * bins),
        )  # fmt: skip
        ### END SOLUTION

    def logits(self, z: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p(x_i | z) of every level: int64 (B, dims), some of it masked -> (B, dims, bins)."""
        ### BEGIN SOLUTION
        one_hot = F.one_hot(z, self.bins + 1).float().flatten(1)  # the mask has a place of its own
        return self.net(one_hot).view(-1, self.dims, self.bins)
        ### END SOLUTION

    def corrupt(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """z ~ q(z | x, t): each token of x is masked with probability t, by itself; (B, dims), (B,) -> (B, dims)."""
        ### BEGIN SOLUTION
        masked = torch.rand(x.shape) < t[:, None]
        return torch.where(masked, self.bins, x)
        ### END SOLUTION

    def nats(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Σ over the tokens that are masked in z of −log p(x_i | z), in nats: (B, dims) both -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(z), dim=-1).gather(-1, x[..., None]).squeeze(-1)  # (B, dims)
        return -torch.where(z == self.bins, log_p, 0.0).sum(dim=1)
        ### END SOLUTION

    def loss(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """nats(x, z) / t, with one draw of z ~ q(z | x, t) for each example: (B, dims), (B,) -> (B,).

        Its mean over t ~ U(0, 1] and z is the bound.
        """
        ### BEGIN SOLUTION
        return self.nats(x, self.corrupt(x, t)) / t
        ### END SOLUTION

    def bound(self, x: torch.Tensor) -> torch.Tensor:
        """Σ over all masks with k ≥ 1 tokens of nats(x, z) / (k C(d, k)), d = dims, exactly: (B, dims) -> (B,)."""
        ### BEGIN SOLUTION
        total = torch.zeros(len(x))
        for mask in itertools.product([False, True], repeat=self.dims):
            k = sum(mask)
            if k:
                z = torch.where(torch.tensor(mask), self.bins, x)
                total = total + self.nats(x, z) / (k * math.comb(self.dims, k))
        return total
        ### END SOLUTION

    @torch.no_grad()
    def reverse_step(self, z: torch.Tensor, t: float, s: float) -> torch.Tensor:
        """From time t to s < t: each mask is lifted with probability (t − s) / t, to a draw from p(x_i | z).

        What is shown stays as it is: int64 (B, dims) -> (B, dims).
        """
        ### BEGIN SOLUTION
        drawn = torch.distributions.Categorical(logits=self.logits(z)).sample()
        lifted = (z == self.bins) & (torch.rand(z.shape) < (t - s) / t)
        return torch.where(lifted, drawn, z)
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int, steps: int = 50) -> torch.Tensor:
        """n draws, int64 (n, dims): all masked at t = 1, then so many reverse steps of length 1 / steps, to s = 0."""
        ### BEGIN SOLUTION
        z = torch.full((n, self.dims), self.bins)
        for k in range(steps):
            z = self.reverse_step(z, 1 - k / steps, 1 - (k + 1) / steps)
        return z
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# An untrained model of three tokens, and one example. The mean of many draws of the loss must come to the bound, which
# is exact. Does it come there evenly? (`torch.rand` may give 0, by which nothing can be divided; `1 - torch.rand` lies
# in $(0, 1]$.)

# %%
untrained, draws = MaskedDiffusion(dims=3, bins=4), 20_000
x = torch.tensor([[0, 3, 1]])
with torch.no_grad():
    losses = untrained.loss(x.repeat(draws, 1), 1 - torch.rand(draws))
    exact = untrained.bound(x).item()
n = torch.arange(1, draws + 1)
print(f"mean of {draws:,} losses {losses.mean():.3f}, bound {exact:.3f} nats")
off = (losses.cumsum(0) / n - exact)[99::50]
plots.curves(n[99::50], {"mean of so many losses, less the bound": off}, xlabel="draws of t and z", ylabel="nats")

# %% [markdown]
# Expected:
#
# ![the running mean of the loss, with jumps, less the bound](figures/masked_diffusion_draws.png)
#
# The jumps are draws with a small $t$, where by chance something was masked all the same. Until such a draw comes, the
# mean may lie a little too low, and for long: the loss has a mean, but no variance, since $1/t^2$ times the probability
# $t$ of a mask has no integral from 0 on.
#
# ### Train
#
# The loss is the mean of `loss(x, t)`. Its draws scatter far less if the times of a batch are *even*, one in each of
# $B$ equal stretches of $(0, 1]$: $t_b = (b + u_b) / B$, with $b$ from 0 to $B - 1$ and $u_b \in (0, 1]$ random.
#
# *The recipe:* even times, Adam, 2,500 steps on batches of 1,024, with a learning rate that rises to 0.01 and falls to
# zero again (`OneCycleLR`), on 200,000 samples: twenty seconds.


# %%
def train_masked(model: MaskedDiffusion):
    """Minimise the mean of loss(x, t) over smiley_25 with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 2500
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def loss(x: torch.Tensor) -> torch.Tensor:
        t = (torch.arange(len(x)) + 1 - torch.rand(len(x))) / len(x)  # one in each of B stretches of (0, 1]
        return model.loss(x, t).mean()

    return fit(
        model,
        loss,
        smiley_25.sample(200_000, seed=0),
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps),
        steps=steps,
        batch_size=1024,
    )
    ### END SOLUTION


# %%
masked = trained(
    "masked_diffusion",
    MaskedDiffusion(dims=2, bins=25),
    fit=train_masked,
    aim=training.reference("masked_diffusion"),
)

# %%
with torch.no_grad():
    held_out = masked.bound(torch.as_tensor(smiley_25.sample(20_000, seed=0, split="validation"))).mean()
plots.history(training.history("masked_diffusion"), limit=smiley_25.entropy, held_out=held_out)

# %% [markdown]
# Expected:
#
# ![training loss of the masked diffusion, and the bound on held-out data](figures/masked_diffusion_losses.png)
#
# ### See
#
# **Where is the loss?** At time $t$ its mean over data and masks is, for two tokens, $2(1-t)\,A_1 + t\,A_2$, where
# $A_k$ are the nats of $k$ masked tokens. The least that is possible is known: the entropy of one token given the
# other, and of each alone.

# %%
p = torch.tensor(smiley_25.pmf).float()
grid = torch.cartesian_prod(torch.arange(25), torch.arange(25))


def nats_hidden(*hidden: int) -> float:
    """The mean over the data of the nats where these tokens are masked."""
    z = grid.clone()
    z[:, hidden] = 25
    with torch.no_grad():
        return (p.flatten() * masked.nats(grid, z)).sum().item()


t = torch.linspace(0, 1, 100)
H, H_1, H_2 = smiley_25.entropy, *(-torch.special.xlogy(m, m).sum().item() for m in (p.sum(1), p.sum(0)))
of_model = (1 - t) * (nats_hidden(0) + nats_hidden(1)) + t * nats_hidden(0, 1)
least = (1 - t) * (2 * H - H_1 - H_2) + t * (H_1 + H_2)
print(f"the loss {of_model.mean():.4f} nats, the least {least.mean():.4f}, which is the limit {H:.4f}")
plots.curves(t, {"above the least": of_model - least}, xlabel="time t: the share that is masked", ylabel="nats")

# %% [markdown]
# Expected:
#
# ![how far the loss is above the least that is possible, at each time](figures/masked_diffusion_times.png)
#
# **How many steps?** In one step all masks are lifted at once, and each token is drawn without the other.


# %%
def shares(x: torch.Tensor, bins: int = 25) -> torch.Tensor:
    """How often each pair of tokens comes up among x (n, 2): (bins, bins)."""
    return torch.zeros(bins, bins).index_put_(tuple(x.T), torch.tensor(1.0), accumulate=True) / len(x)


by_steps = {f"{steps} step{'s' * (steps > 1)}": shares(masked.sample(5_000, steps)) for steps in (1, 2, 8, 64)}
plots.pmf_2d(**by_steps, true=smiley_25.pmf)

# %% [markdown]
# Expected:
#
# ![samples with 1, 2, 8 and 64 steps beside the true probabilities](figures/masked_diffusion_steps.png)
#
# **A film of unmasking.** Twenty thousand pairs on the way from $t = 1$ to $0$. The grid has a row and a column for the
# mask, at the far ends: a pair begins in the corner, moves to one of the two edges when its first token is drawn, and
# into the picture with its second. (Colours end at the most probable pair of the data.)

# %%
z, pairs_at, times = torch.full((20_000, 2), 25), {}, [k / 20 for k in range(20, -1, -1)]
for t, later in zip(times, [*times[1:], None], strict=True):
    pairs_at[t] = shares(z, bins=26).clamp(max=smiley_25.pmf.max())
    z = z if later is None else masked.reverse_step(z, t, later)
plots.slider(lambda t: plots.pmf_2d(**{f"t = {t:.2f}": pairs_at[t], "true": smiley_25.pmf}), times, "t", start=10)

# %% [markdown]
# Expected, in the middle of the film:
#
# ![half of the tokens are drawn: on the edges pairs of which one is still masked](figures/masked_diffusion_film.png)
#
# *To try:* what does the model say of $x_2$ where you give it an $x_1$, and of $x_1$ where you give it an $x_2$? One
# network answers both; the MADE of 1.2 answers one of them only.
#
# ### Question 5.4
#
# The model is perfect. Which distribution do $T$ even steps draw two tokens from, exactly? (How probable is it that
# both are lifted in the same step?) And what does that mean for a text of a thousand tokens, drawn in a hundred steps?

# %% [markdown]
# ### BEGIN SOLUTION
# Each token is lifted in step $k$ with probability $1/T$, by itself, so both in the same step with probability
# $T \cdot 1/T^2 = 1/T$. Then both are drawn from their marginals, without the other; else the second is drawn given the
# first, which is right. The samples are of $\frac1T\,p(x_1)\,p(x_2) + \left(1 - \frac1T\right) p(x_1, x_2)$. In a text
# about ten tokens are lifted in each step, all given what stood there before and none given the other nine: each may
# fit, and two that depend on each other need not fit together, as the two words of a name. That is what fewer steps
# than tokens cost, however good the network is; a hundred passes in the place of a thousand are what they save.
#
# **Rubric.** *2 points:* the mixture with weight $1/T$ of the product of the marginals, **and** that tokens of one step
# are independent given the rest, so that those which depend on each other may not fit. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("masked_diffusion")

# %% [markdown]
# ---
# ## Exercise 5.5 · A guided diffusion transformer
#
# **Why.** The picture generators of today are transformers: an image is cut into patches, each patch is a token, and
# attention does what convolutions did. Two ideas of this exercise are in nearly all of them. *adaLN-zero* tells every
# layer the time and the label, and begins as a network that does nothing, which trains at once and stays stable.
# *Classifier-free guidance* makes one network answer with and without the label, and goes beyond the first.
#
# **Velocities** as in flow matching, with noise at $t = 0$ and data at $t = 1$: between noise $\varepsilon$ and an
# image $x$
#
# $$x_t = (1 - t)\,\varepsilon + t\,x, \qquad \frac{\mathrm{d}x_t}{\mathrm{d}t} = x - \varepsilon, \qquad
#   \mathcal{L} = \mathbb{E}\left[\left(v_\theta(x_t, t, y) - (x - \varepsilon)\right)^2\right],$$
#
# with the mean over the numbers of an image. From noise to an image goes $x \leftarrow x + \frac1T\,v_\theta(x, t, y)$,
# at $t = 0, \frac1T, \dots, 1 - \frac1T$.
#
# **Guidance.** In training one label in ten is dropped: it becomes `classes`, a label more, which says that nothing is
# said. So the network knows $v(x, t, \text{none})$ of all digits, and $v(x, t, y)$ of one. The difference points to
# where the label makes the image more probable, and we go there $w$ times as far:
#
# $$v_w(x, t, y) \;=\; v(x, t, \text{none}) + w\left(v(x, t, y) - v(x, t, \text{none})\right).$$
#
# $w = 0$ knows no label, $w = 1$ is the model that was trained, and with $w > 1$ images are more of their kind and less
# of their own: no distribution is known that they are drawn from. (The paper on guidance writes $1 + w$ for this $w$;
# most code has it as here.)
#
# *The papers:* Peebles and Xie, *Scalable Diffusion Models with Transformers*, 2022
# ([arXiv:2212.09748](https://arxiv.org/abs/2212.09748)), section 3.2 and Figure 3; Ho and Salimans, *Classifier-Free
# Diffusion Guidance*, 2022 ([arXiv:2207.12598](https://arxiv.org/abs/2207.12598)). *Further reading:* Ma et al., *SiT:
# Exploring Flow and Diffusion-based Generative Models with Scalable Interpolant Transformers*, 2024
# ([arXiv:2401.08740](https://arxiv.org/abs/2401.08740)), the same network with velocities.

# %%
digits = images.get("glyphs32", levels=256)
digit_x, digit_y = digits.sample_labelled(20_000)
digit_x, digit_y = torch.as_tensor(2 * digits.unit(digit_x) - 1), torch.as_tensor(digit_y)
plots.images((digit_x[:24] + 1) / 2, columns=12)

# %% [markdown]
# ### Write
#
# Patches first: squares of $p \times p$ pixels, all channels of one together, are the tokens. `unpatchify` puts them
# back. Then the labels that are dropped. Check both with `check("guided_dit", only="patches")` and `only="dropped"`.
#
# <details>
# <summary>Hint for patchify</summary>
#
# Split H into (H / p, p) and W into (W / p, p) with `reshape`; you have (B, C, H / p, p, W / p, p). Bring the two
# counts of patches together, and C with the two p together (`permute`), then `reshape` again. A `reshape` without the
# `permute` comes back just as well, but its tokens are pieces of rows. `unpatchify` does the same backwards.
#
# </details>


# %%
def patchify(x: torch.Tensor, size: int) -> torch.Tensor:
    """Squares of size × size pixels as tokens: (B, C, H, W) -> (B, H W / size², C size²)."""
    ### BEGIN SOLUTION
    B, C, H, W = x.shape
    squares = x.reshape(B, C, H // size, size, W // size, size).permute(0, 2, 4, 1, 3, 5)  # (B, H', W', C, p, p)
    return squares.reshape(B, -1, C * size**2)
    ### END SOLUTION


def unpatchify(tokens: torch.Tensor, size: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """The inverse, for images of shape (C, H, W): (B, H W / size², C size²) -> (B, C, H, W)."""
    ### BEGIN SOLUTION
    C, H, W = shape
    squares = tokens.reshape(-1, H // size, W // size, C, size, size).permute(0, 3, 1, 4, 2, 5)  # (B, C, H', p, W', p)
    return squares.reshape(-1, C, H, W)
    ### END SOLUTION


def drop_labels(y: torch.Tensor, rate: float, none: int) -> torch.Tensor:
    """Each label becomes `none` with probability `rate`, by itself: int64 (B,) -> (B,)."""
    ### BEGIN SOLUTION
    return torch.where(torch.rand(len(y)) < rate, none, y)
    ### END SOLUTION


# %% [markdown]
# ### Look
#
# The tokens of one image, in their order, as small pictures. You should see the digit, cut along straight lines.

# %%
one = digit_x[:1]
cut = patchify(one, 8)
print("comes back as it was:", torch.equal(unpatchify(cut, 8, digits.shape), one))
plots.images((cut.reshape(-1, 1, 8, 8) + 1) / 2, columns=4)

# %% [markdown]
# Expected:
#
# ![sixteen square patches of a digit](figures/guided_dit_patches.png)
#
# ### Write
#
# The block. With $c$ the vector that knows time and label, and LayerNorm *without* parameters of its own,
#
# $$h \leftarrow h + \gamma_1 \cdot \mathrm{attention}\left((1 + \alpha_1)\,\mathrm{LN}(h) + \beta_1\right), \qquad
#   h \leftarrow h + \gamma_2 \cdot \mathrm{MLP}\left((1 + \alpha_2)\,\mathrm{LN}(h) + \beta_2\right),$$
#
# where all six of $\alpha, \beta, \gamma$ come from one linear layer of $\mathrm{SiLU}(c)$, the same for all tokens.
# That layer, weights and biases, begins at *zero*: then $\gamma = 0$, and the block is the identity. (Why may nothing
# else be zero? Which gradient would be left?) The MLP has four times the width inside, and a GELU.
#
# `F.scaled_dot_product_attention(q, k, v)` takes (B, heads, N, width / heads) each.
#
# <details>
# <summary>Hint for the block</summary>
#
# `self.modulation(F.silu(c))[:, None].chunk(6, dim=-1)` are six parts of shape (B, 1, width), which go together with
# (B, N, width). `nn.init.zeros_` sets a tensor to zero. `qkv(a)` of shape (B, N, 3 · width) becomes
# `.view(B, N, 3, heads, -1).permute(2, 0, 3, 1, 4)`, three times (B, heads, N, width / heads); and back:
# `.transpose(1, 2).reshape(B, N, width)`.
#
# </details>


# %%
class DiTBlock(nn.Module):
    """Attention and an MLP over tokens h, each with shift, scale and gate made of c; the identity at the start."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        ### BEGIN SOLUTION
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        ### END SOLUTION

    def forward(self, h: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """(B, N, width), (B, width) -> (B, N, width)."""
        ### BEGIN SOLUTION
        B, N, width = h.shape
        alpha_1, beta_1, gamma_1, alpha_2, beta_2, gamma_2 = self.modulation(F.silu(c))[:, None].chunk(6, dim=-1)
        a = (1 + alpha_1) * self.norm(h) + beta_1
        q, k, v = self.qkv(a).view(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, N, width / heads) each
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, N, width)
        h = h + gamma_1 * self.out(mixed)
        return h + gamma_2 * self.mlp((1 + alpha_2) * self.norm(h) + beta_2)
        ### END SOLUTION


# %% [markdown]
# The network: a linear layer makes tokens of patches; each place has a vector of its own, learned, which is added; the
# blocks; one more LayerNorm with shift and scale of $c$; a linear layer back to patches. $c$ is the sum of a vector for
# the label, one of `classes` + 1, and of a small MLP of waves of the time, $\sin(\omega t)$ and $\cos(\omega t)$, say
# with 16 frequencies $\omega$ between 1 and 150, each the same factor above the one before.
#
# **Guess the image.** A velocity holds the noise of every single pixel, and a narrow network has no room for it. The
# image is simpler, and $x_t$ is known: let the blocks give a guess $\hat x$, and return
#
# $$v = \frac{\hat x - x_t}{1 - t}, \qquad \text{since} \quad x - \varepsilon = \frac{x - x_t}{1 - t},$$
#
# where the denominator is $0.05$ at least, so that nothing explodes at the end. With blocks that give $v$ itself, the
# Fréchet distance after a short training is twice as large. (Li and He, *Back to Basics: Let Denoising Generative
# Models Denoise*, 2025, [arXiv:2511.13720](https://arxiv.org/abs/2511.13720).)


# %%
class DiT(nn.Module):
    """v(x_t, t, y) of images of `shape` (C, H, W), noise at t = 0, data at t = 1.

    classes: labels 0 … classes − 1; the label `classes` says that there is none. patch: pixels of a token's side.
    """

    def __init__(
        self, shape: tuple[int, int, int], classes: int, patch: int = 8, width: int = 64, depth: int = 2, heads: int = 4
    ):
        super().__init__()
        self.shape, self.classes, self.patch = shape, classes, patch
        ### BEGIN SOLUTION
        C, H, W = shape
        self.tokens = nn.Linear(C * patch**2, width)
        self.places = nn.Parameter(0.02 * torch.randn(H * W // patch**2, width))
        self.labels = nn.Embedding(classes + 1, width)
        self.times = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.register_buffer("frequencies", math.pi / 2 * torch.logspace(0, 2, 16), persistent=False)
        self.blocks = nn.ModuleList(DiTBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation, self.last = nn.Linear(width, 2 * width), nn.Linear(width, C * patch**2)
        ### END SOLUTION

    def velocity(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """v(x_t, t, y): (B, C, H, W), (B,), int64 (B,) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        waves = t[:, None] * self.frequencies
        c = self.times(torch.cat([waves.sin(), waves.cos()], dim=1)) + self.labels(y)
        h = self.tokens(patchify(x, self.patch)) + self.places
        for block in self.blocks:
            h = block(h, c)
        alpha, beta = self.modulation(F.silu(c))[:, None].chunk(2, dim=-1)
        guess = unpatchify(self.last((1 + alpha) * self.norm(h) + beta), self.patch, self.shape)
        return (guess - x) / (1 - t).clamp_min(0.05)[:, None, None, None]
        ### END SOLUTION

    def loss(self, x: torch.Tensor, y: torch.Tensor, t: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Mean over the numbers of an image of (v(x_t, t, y) − (x − noise))², x_t = (1 − t) noise + t x: (B,)."""
        ### BEGIN SOLUTION
        t_ = t[:, None, None, None]
        x_t = (1 - t_) * noise + t_ * x
        return ((self.velocity(x_t, t, y) - (x - noise)) ** 2).mean(dim=(1, 2, 3))
        ### END SOLUTION

    def guided(self, x: torch.Tensor, t: torch.Tensor, y: torch.Tensor, w: float) -> torch.Tensor:
        """v(x, t, none) + w (v(x, t, y) − v(x, t, none)): (B, C, H, W)."""
        ### BEGIN SOLUTION
        without = self.velocity(x, t, torch.full_like(y, self.classes))
        return without + w * (self.velocity(x, t, y) - without)
        ### END SOLUTION

    @torch.no_grad()
    def generate(self, noise: torch.Tensor, y: torch.Tensor, w: float, steps: int) -> torch.Tensor:
        """So many of Euler's steps of the guided velocity, from the noise at t = 0 to t = 1: (B, C, H, W)."""
        ### BEGIN SOLUTION
        x = noise
        for k in range(steps):
            x = x + self.guided(x, torch.full((len(x),), k / steps), y, w) / steps
        return x
        ### END SOLUTION

    def sample(self, y: torch.Tensor, w: float = 1.0, steps: int = 25) -> torch.Tensor:
        """An image of each label, (B,) -> (B, C, H, W)."""
        return self.generate(torch.randn(len(y), *self.shape), y, w, steps)


# %% [markdown]
# ### Look
#
# A fresh block changes nothing; and of random weights, how far is the guided velocity from the one without a label? A
# straight line in $w$.

# %%
block, h, c = DiTBlock(width=16, heads=4), torch.randn(2, 9, 16), torch.randn(2, 16)
print("a fresh block changes its tokens by", (block(h, c) - h).abs().max().item())
small = DiT((1, 16, 16), classes=10, patch=4, width=32, depth=2)
for p in small.parameters():  # whatever yours are called: random ones, for a fresh model may know no label yet
    nn.init.normal_(p, std=0.2)
x_t, at, y = torch.randn(1, 1, 16, 16), torch.tensor([0.5]), torch.tensor([3])
weights = torch.linspace(0, 4, 9)
with torch.no_grad():
    without = small.velocity(x_t, at, torch.tensor([10]))
    distance = [(small.guided(x_t, at, y, w.item()) - without).norm() for w in weights]
plots.curves(weights, {"distance from the velocity without a label": torch.stack(distance)}, xlabel="w")

# %% [markdown]
# ### Train
#
# Of each image a time, noise, and its label or none, all new in every step: `fit` gives your loss the images and their
# labels, if `train` is the pair of both.
#
# Times need not be even: which digit it is to be is decided early, near the noise, and there is most to be learned.
# $t = \sigma(u)$ with $u \sim \mathcal{N}(-0.8, 1)$ is there more often (Esser et al., *Scaling Rectified Flow
# Transformers for High-Resolution Image Synthesis*, 2024, [arXiv:2403.03206](https://arxiv.org/abs/2403.03206)). The
# best velocity stays the same: it is the best at every single time. But a small network has to choose what it is good
# at: after 650 steps on batches of 64 the Fréchet distance of samples with $w = 2$ is 451 so, and 720 with the middle
# at $-0.3$.
#
# *The recipe:* one label in ten dropped, such times, Adam, 2,500 steps on batches of 32, with a learning rate that
# rises to 0.01 in the first tenth of them and falls to zero again (`OneCycleLR`, `pct_start=0.1`): a minute at most.
# Graded are the loss of held-out images at even times from 0 to 0.8, how many samples with $w = 3$ are of their label,
# and the Fréchet distance of 300 samples with $w = 2$. (The fewer samples, the larger it is: 300 *images* are about 160
# away from the others, 2,000 of them about 20. So it goes together with no distance of 4.3, which is of 2,000.)


# %%
def train_dit(model: DiT):
    """Minimise the mean of loss(x, y, t, noise) over digit_x and digit_y with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 2500
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        y = drop_labels(y, 0.1, none=model.classes)
        t = torch.sigmoid(torch.randn(len(x)) - 0.8)
        return model.loss(x, y, t, torch.randn_like(x)).mean()

    return fit(
        model,
        loss,
        (digit_x, digit_y),
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps, pct_start=0.1),
        steps=steps,
        batch_size=32,
    )
    ### END SOLUTION


# %%
dit = trained("guided_dit", DiT(digits.shape, classes=10), fit=train_dit, aim=training.reference("guided_dit"))
plots.history(training.history("guided_dit"), unit="mean squared error")

# %% [markdown]
# Expected:
#
# ![training loss of the diffusion transformer](figures/guided_dit_losses.png)
#
# ### See
#
# **From noise to digits.** Ten images on their way, with $w = 2$. Move the handle through the steps: when do you know
# the digit, and when the typeface?

# %%
y, steps = torch.arange(10), 25
x, digits_at = torch.randn(10, *digits.shape), {}
for k in range(steps + 1):
    digits_at[k] = ((x.clamp(-1, 1) + 1) / 2).clone()
    with torch.no_grad():
        x = x + dit.guided(x, torch.full((10,), k / steps), y, 2.0) / steps if k < steps else x
plots.slider(lambda k: plots.images(digits_at[k], columns=10), list(digits_at), "step")

# %% [markdown]
# Expected, at the last step:
#
# ![the digits 0 to 9, made of noise](figures/guided_dit_film.png)
#
# **What guidance does.** The same noise in each column, a weight in each row.

# %%
noise, y = torch.randn(10, *digits.shape), torch.arange(10)
sheet = {f"w = {w:g}": (dit.generate(noise, y, w, 25).clamp(-1, 1) + 1) / 2 for w in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)}
plots.image_rows(sheet)

# %% [markdown]
# Expected:
#
# ![the same noise with six weights of guidance](figures/guided_dit_sheet.png)
#
# In numbers: how many samples the kit's classifier takes for their label, and how far samples of one label are apart in
# its features, in shares of that without guidance. (The Fréchet distance of 4.3 sees both: it is 404,
# 206 and 303 with $w = 1$, 2 and 3, of 2,000 samples; the DCGAN's is 85, the VAE's of 3.2 is 540.)

# %%
judge = classifier.get("glyphs32")
y = torch.arange(200) % 10
features, right = {}, {}
for w in (0.0, 0.5, 1.0, 2.0, 3.0):
    x = (dit.sample(y, w, steps=10).clamp(-1, 1) + 1) / 2
    features[w] = torch.as_tensor(judge.features(x.cpu()))
    right[w] = float((judge.probabilities(x.cpu()).argmax(axis=1) == y.cpu().numpy()).mean())
apart = {w: np.mean([torch.pdist(f[k::10]).mean().item() for k in range(10)]) for w, f in features.items()}
series = {"of their label": list(right.values()), "apart, within a label": [a / apart[0.0] for a in apart.values()]}
plots.curves(list(right), series, xlabel="weight of guidance w", ylabel="share")

# %% [markdown]
# Expected:
#
# ![accuracy rises with the weight of guidance, and the spread within a label falls](figures/guided_dit_weights.png)
#
# ### Question 5.5
#
# Why do samples come out of the same kind, and alike, with a large $w$? And if labels were never dropped in training,
# what would the term $v(x, t, \text{none})$ be, and the samples?

# %% [markdown]
# ### BEGIN SOLUTION
# The difference of the two velocities points to where the label makes an image more probable, that is, to where a
# classifier would be surer. With $w > 1$ it counts more than the model says: images go to the middle of their kind,
# past those that could be something else, and what lies at its rim, unusual ways of writing it, is no longer reached.
# So more of them are recognised, and they differ less: fidelity is bought with diversity. Were no label dropped, the
# vector of `none` would never be trained. $v(x, t, \text{none})$ would be what the network happens to say for a random
# vector, no velocity of anything; the difference would point anywhere, and every $w \ne 1$ add $w - 1$ times an error
# to each step. Only $w = 1$, where it cancels, would be right.
#
# **Rubric.** *2 points:* towards where the label is surer, at the cost of what is unusual (or fidelity against
# diversity with a reason), **and** that the term without a label is untrained, so that only $w = 1$ is right. *1
# point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("guided_dit")

# %% [markdown]
# ---
# ## Go bigger (optional)
#
# Nothing here is graded. Your DiT on photographs: CIFAR-10, 45,000 images of ten kinds for training. Set
# `GO_BIGGER = True` on a machine with a GPU, and run the cell; the first time it downloads 170 MB.
#
# | | |
# |---|---|
# | model | `DiT` with patches of $4 \times 4$, 8 blocks of width 384: 22 million parameters |
# | recipe | Adam, 40,000 steps on batches of 128, a learning rate that rises to 3e-4 and falls to zero again |
# | samples | guided with $w = 2$, 50 of Euler's steps |
# | time | about three hours on a T4 (as on Colab), 25 minutes on an A100 |
# | memory | 4 GB |
#
# Time and memory are *estimates* from what a step takes, about 0.8 TFLOP; nobody has run it. The paper's DiTs, with
# patches of $2 \times 2$ in a latent space and thirty times as many parameters, are better by far
# ([arXiv:2212.09748](https://arxiv.org/abs/2212.09748)): expect photographs of ten kinds that are told apart, and
# strange ones among them.
#
# Within `with torch.device(…):` every new tensor and every new layer is made on the GPU, also inside your methods.
# The weights are kept in `artifacts/bigger.…`, which are not handed in.

# %%
GO_BIGGER = False
STEPS = 40_000

if GO_BIGGER and not training.session.grading:
    from IPython.display import display

    with torch.device(training.device()):
        cifar = images.get("cifar10", levels=256)
        photos, kinds = cifar.sample_labelled(45_000)
        photos, kinds = 2 * torch.as_tensor(cifar.unit(photos)) - 1, torch.as_tensor(kinds)
        big = DiT(cifar.shape, classes=10, patch=4, width=384, depth=8, heads=6)

        def big_loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            y = drop_labels(y, 0.1, none=10)
            return big.loss(x, y, torch.sigmoid(torch.randn(len(x)) - 0.4), torch.randn_like(x)).mean()

        def train_big(model: DiT):
            optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
            return fit(
                model,
                big_loss,
                (photos, kinds),
                optimizer=optimizer,
                scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-4, total_steps=STEPS),
                steps=STEPS,
                batch_size=128,
            )

        trained("bigger.guided_dit", big, fit=train_big)
        display(plots.images((big.sample(torch.arange(80) % 10, 2.0, 50).cpu().clamp(-1, 1) + 1) / 2, columns=10))
