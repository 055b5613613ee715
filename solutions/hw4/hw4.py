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
# # Homework 4 · Implicit models
#
# A generator $x = G(z)$ with noise $z \sim \mathcal{N}(0, I)$ defines a distribution $p_G$ from which it is easy to
# draw, and whose density nobody can write down. So there is no likelihood to maximise. Instead a second network learns
# to tell samples from data, and the generator learns to make that hard: a game of two, a *generative adversarial
# network*.
#
# Without a likelihood there is no limit to compare with either. What grades you here are statistics of your samples,
# each with a known rate of error, and the losses as the theorems that they are.
#
# **How this notebook works.** Each exercise has the same steps: *why*, *write*, *look*, *train*, *see*,
# *check*; the contents pane on the left lists them. You write the code where it says `NotImplementedError`; the hardest
# steps have hints that unfold. `check("…")` runs the very checks that
# grade you, as often as you like; at grading time only the seeds and the held-out data are new. It is worth calling
# before everything is written: what is there is judged, what is missing is named. `check("gan1d", only="loss")` runs
# the checks with that word in their title.
#
# **What is free.** The networks are yours, where an exercise asks for nothing else: other widths, depths and
# activations, batch normalisation, dropout, another initialisation. So is the noise: `noise` may draw from
# $U[-1, 1]^d$, as long as everything takes its $z$ from there. Not free are the losses. They are the formulas below,
# with labels of one and zero: with smoothed labels another $D$ is the best one. (And give `betas` of Adam as two
# floats, `(0.0, 0.9)`: torch refuses `(0, 0.9)`.)

# %%
from deepul_utils import check, classifier, images, play, plots, progress, seed_everything, toy, trained, training

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise 4.1 · A game in one dimension
#
# **Why.** The discriminator gives a number $\ell(x)$, the **logit** of its belief that $x$ is data,
# $D(x) = \sigma(\ell(x)) = 1 / (1 + e^{-\ell(x)})$. Both play for
#
# $$\min_G \max_D \;\; \mathbb{E}_{x \sim p}\left[\log D(x)\right]
#   + \mathbb{E}_{z}\left[\log\left(1 - D(G(z))\right)\right].$$
#
# For a given $G$ the best discriminator is $D^*(x) = p(x) / (p(x) + p_G(x))$: it knows the ratio of two densities that
# it has never seen. With it the value is $2\,\mathrm{JS}(p \,\|\, p_G) - \log 4$, so the best generator has $p_G = p$,
# and then $D^* = \tfrac12$ everywhere. ($\mathrm{JS}$ is the Jensen–Shannon divergence, the mean of the two KL
# divergences from $p$ and from $p_G$ to $\frac12 (p + p_G)$: zero for $p_G = p$ only. What are both losses then? You
# will see them as dashed lines.)
#
# **The generator's loss.** Early on samples are easy to tell, $D(G(z)) \approx 0$, and $\log(1 - D(G(z)))$ is flat
# there: the generator learns nothing just when it has most to learn. The **non-saturating** loss $-\log D(G(z))$ has
# the same fixed point and its steepest slope where the other has none. (The lecture notes, section 10.4, have the first
# only, without a name.)
#
# $$\mathcal{L}_D = -\mathbb{E}\left[\log D(x)\right] - \mathbb{E}\left[\log(1 - D(G(z)))\right], \qquad
#   \mathcal{L}_G^{\text{minimax}} = \mathbb{E}\left[\log(1 - D(G(z)))\right], \qquad
#   \mathcal{L}_G^{\text{ns}} = -\mathbb{E}\left[\log D(G(z))\right].$$
#
# *The paper:* Goodfellow et al., *Generative Adversarial Networks*, 2014
# ([arXiv:1406.2661](https://arxiv.org/abs/1406.2661)), sections 3 and 4. *Further reading:* Arjovsky and Bottou,
# *Towards Principled Methods for Training Generative Adversarial Networks*, 2017
# ([arXiv:1701.04862](https://arxiv.org/abs/1701.04862)), on vanishing gradients; Mescheder, Geiger and Nowozin, *Which
# Training Methods for GANs do actually Converge?*, 2018 ([arXiv:1801.04406](https://arxiv.org/abs/1801.04406)).

# %%
bumps = toy.get("three_bumps")
plots.distribution(bumps)

# %% [markdown]
# ### Write
#
# The three losses. They are given logits, of any size: $\sigma(100)$ is 1 in float32, and $\log(1 - 1)$ is
# $-\infty$, but $-\log(1 - \sigma(\ell)) = \log(1 + e^{\ell})$ is simply 100. `F.softplus` computes that. Then
# `check("gan1d", only="loss")` looks at these three.


# %%
def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """−mean log σ(real) − mean log(1 − σ(fake)), of logits of data and of samples, (B,) each: one number."""
    ### BEGIN SOLUTION
    return F.softplus(-real).mean() + F.softplus(fake).mean()
    ### END SOLUTION


def minimax_loss(fake: torch.Tensor) -> torch.Tensor:
    """mean log(1 − σ(fake)), of the logits of samples (B,): one number, to be minimised by the generator."""
    ### BEGIN SOLUTION
    return -F.softplus(fake).mean()
    ### END SOLUTION


def nonsaturating_loss(fake: torch.Tensor) -> torch.Tensor:
    """−mean log σ(fake), of the logits of samples (B,): one number, to be minimised by the generator."""
    ### BEGIN SOLUTION
    return F.softplus(-fake).mean()
    ### END SOLUTION


# %% [markdown]
# ### Look
#
# The slope of both losses against the logit of a sample: what pushes the generator. On the left the
# discriminator is sure that the sample is none of the data.

# %%
logit = torch.linspace(-8, 8, 400)
slopes = {}
for name, loss in (("minimax", minimax_loss), ("non-saturating", nonsaturating_loss)):
    each = logit.clone().requires_grad_()
    slopes[name] = torch.autograd.grad(sum(loss(one[None]) for one in each), each)[0]
plots.curves(
    logit, slopes, xlabel="logit of a sample", ylabel="slope of the loss", title="where does the generator learn?"
)

# %% [markdown]
# Expected:
#
# ![slopes of the minimax and of the non-saturating loss](figures/gan1d_slopes.png)
#
# ### Write
#
# Now the two players, and one step of each. A step draws noise, computes the player's loss, and moves *that player*
# with its optimiser. Two things are easy to get wrong. In the discriminator's step the samples are constants: `detach`
# them, or gradients run back into the generator, which is work for nothing. And gradients that an earlier step left
# behind must be cleared before `backward`: the generator's step leaves some in the discriminator. The discriminator
# ends in a linear layer, with no sigmoid after it: the losses are of logits. Its answer for $n$ points has the shape
# (n,), so an `nn.Flatten(0)` comes last. (Batch normalisation is at home in the generator. In this discriminator,
# whether data and samples come in one batch or in two, it often loses just what tells them apart.)
#
# **Hints** for the two steps, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Noise, loss, old gradients away, `backward`, one step of the optimiser. Who moves is decided by the optimiser alone:
# it was made of one player's parameters. What differs is through whom the gradient has to run.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# The discriminator's step: as many samples as data, cut off from the generator; two batches of logits;
# `discriminator_loss`. The generator's: new noise, samples, their logits, one of the two other losses; the gradient
# runs through the discriminator into the generator, so nothing is cut off. Both return the loss, without its graph.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# `zero_grad` of the optimiser that is given, just before `backward`: it clears what the other player's step left.
# `no_grad` around the discriminator in the generator's step would cut the path that the gradient needs; around the
# generator in the discriminator's step it is as good as `detach`.
#
# </details>


# %%
class GAN1d(nn.Module):
    """Two small networks: self.generator, z (B, latents) -> x (B, 1); self.discriminator, x (B, 1) -> logits (B,)."""

    def __init__(self, latents: int = 4, hidden: int = 32):
        super().__init__()
        self.latents = latents
        ### BEGIN SOLUTION
        self.generator = nn.Sequential(
            nn.Linear(latents, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(1, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1), nn.Flatten(0),
        )  # fmt: skip
        ### END SOLUTION

    def noise(self, n: int) -> torch.Tensor:
        """n draws of z ~ N(0, I): (n, latents)."""
        return torch.randn(n, self.latents)

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws G(z): (n, 1)."""
        ### BEGIN SOLUTION
        return self.generator(self.noise(n))
        ### END SOLUTION

    def discriminator_step(self, x: torch.Tensor, optimizer: torch.optim.Optimizer) -> torch.Tensor:
        """One step of the discriminator's optimizer, on data x (B, 1) and as many samples; returns its loss."""
        ### BEGIN SOLUTION
        fake = self.generator(self.noise(len(x))).detach()
        loss = discriminator_loss(self.discriminator(x), self.discriminator(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()
        ### END SOLUTION

    def generator_step(self, n: int, optimizer: torch.optim.Optimizer, saturating: bool = False) -> torch.Tensor:
        """One step of the generator's optimizer, on n samples; returns its loss, non-saturating or minimax."""
        ### BEGIN SOLUTION
        fake = self.discriminator(self.generator(self.noise(n)))
        loss = minimax_loss(fake) if saturating else nonsaturating_loss(fake)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()
        ### END SOLUTION


# %% [markdown]
# ### Train
#
# In turns: in every round a few steps of the discriminator, each on a new batch of data, then one of the generator.
# Games are restless where a single loss would settle, and a few tricks calm them; each has a switch below. How near the
# samples come to the data, in the distance $W_1$ that is explained under *See*, is 0.032 with all of them (the mean of
# ten seeds).
#
# - *A learning rate that falls to zero* in the second half: the players stop circling around the fixed point. Without
#   (`decay=False`) the distance is 0.095.
# - *No momentum* (`betas=(momentum, 0.9)` of Adam with `momentum=0.0`): the other player has moved by the time that
#   momentum acts. With 0.5 it is 0.061, with Adam's usual 0.9 it is 0.086.
# - *Two steps of the discriminator* for one of the generator, so that it is near its best, and its slope worth
#   following. With one it is 0.044.
# - The *non-saturating* loss. In one dimension the minimax loss comes as near, 0.031.
#
# *The recipe:* Adam for both players with a learning rate of `8e-3` and `betas=(0.0, 0.9)`; 2,500 rounds, each of two
# steps of the discriminator and one of the generator, with batches of 512; the rate stays as it is for the first half
# of the rounds, and falls from there on a straight line to zero. Ten seconds on two cores. (Usual rates for GANs, as
# 2e-4, are far too small for so few rounds. At this one plain ReLUs may die in a discriminator; `nn.LeakyReLU(0.2)`
# lives.)
#
# Write the loop yourself this once. `torch.as_tensor(bumps.sample(100_000, seed=0))` are data to draw batches from, and
# `progress(range(rounds))` shows a bar. Append the losses of every round to `losses`, as floats; of two discriminator's
# steps, the last. `LambdaLR(optimizer, f)` multiplies the rate by $f(r)$ in round $r$. `film.look(r)` before round $r$,
# and `film.look(rounds)` at the end, take a picture of both players now and then.

# %%
line = torch.linspace(-5, 5, 200)[:, None]


def train_gan1d(gan: GAN1d, saturating=False, discriminator_steps=2, momentum=0.0, decay=True, rounds=2500):
    """Play `rounds` rounds with batches of 512; returns a History of both losses, with the film's frames."""
    film = training.Film(rounds, lambda: {"samples": gan.sample(2000)[:, 0], "logits": gan.discriminator(line)})
    losses = []  # of every round (the discriminator's, the generator's), as floats
    ### BEGIN SOLUTION
    data = torch.as_tensor(bumps.sample(100_000, seed=0))
    players = (gan.discriminator, gan.generator)
    of_d, of_g = (torch.optim.Adam(p.parameters(), lr=8e-3, betas=(momentum, 0.9)) for p in players)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda r: min(1.0, 2 * (1 - r / rounds)) if decay else 1.0)
        for o in (of_d, of_g)
    ]
    for r in progress(range(rounds), "gan1d"):
        film.look(r)
        for _ in range(discriminator_steps):
            d_loss = gan.discriminator_step(data[torch.randint(len(data), (512,))], of_d)
        losses.append((d_loss.item(), gan.generator_step(512, of_g, saturating).item()))
        for schedule in schedules:
            schedule.step()
    film.look(rounds)
    ### END SOLUTION
    d_losses, g_losses = map(list, zip(*losses, strict=True))
    return training.History(list(range(1, rounds + 1)), d_losses, generator=g_losses, frames=film.frames)


# %%
gan1d = trained("gan1d", GAN1d(), fit=train_gan1d)
plots.game_history(training.history("gan1d"), fixed_point={"D": np.log(4), "G": np.log(2)})

# %% [markdown]
# Expected:
#
# ![losses of both players](figures/gan1d_losses.png)
#
# These curves say little about how good the samples are: in a game no loss has to fall. Look at the players instead.
#
# ### See

# %%
plots.game_1d(bumps, training.history("gan1d").frames, line)

# %% [markdown]
# Expected:
#
# ![the density, samples and D(x) in the course of training](figures/gan1d_film.png)
#
# Where the orange histogram is too high, $D$ is below ½; the generator moves mass towards where $D$ rises. Move the
# handle through the rounds: which of the two players moves first?

# %%
plots.film(lambda frame: plots.game_1d(bumps, frame, line), training.history("gan1d").frames)

# %% [markdown]
# How near is it? The Wasserstein distance $W_1$ between samples and data is the least mean distance over which mass
# must be moved to turn one into the other, the area between the two cumulative distributions. Full points need at most
# 0.10 standard deviations of the data; and a discriminator that has learned, and is within 0.05 of ½ all the same.

# %%
fresh = bumps.sample(20_000, seed=1, split="validation")[:, 0]
drawn_by = np.sort(gan1d.sample(20_000)[:, 0].cpu().numpy())
distance = np.abs(drawn_by - np.sort(fresh)).mean() / fresh.std()
with torch.no_grad():
    off = (gan1d.discriminator(torch.as_tensor(fresh)[:, None]).sigmoid() - 0.5).abs().mean()
print(f"W₁ {distance:.3f} standard deviations, D within {off:.3f} of ½ on the data")

# %% [markdown]
# *To try:* switch a trick off, `trained("gan1d.momentum", GAN1d(), fit=lambda gan: train_gan1d(gan, momentum=0.5))`,
# and watch the film; or play with the minimax loss, `saturating=True`.

# %% [markdown]
# ### Question 4.1
#
# With the minimax loss the generator lowers $\log(1 - D(G(z)))$. Why does it hardly learn in the first pictures, and
# why does it recover here, in one dimension?

# %% [markdown]
# ### BEGIN SOLUTION
# With $D = \sigma(a)$ the slope of $\log(1 - \sigma(a))$ in the logit $a$ is $-\sigma(a) = -D$. At the start $D$ tells
# samples from data with ease, $D(G(z)) \approx 0$, so the gradient is nearly zero just where the samples are bad. The
# other loss, $-\log D$, has slope $-(1 - D) \approx -1$ there. In one dimension samples and data lie on the same line
# and overlap, and $D$ is a small smooth network: its logit stays finite and leans towards the data everywhere, so the
# gradient is small but points the right way. Adam divides by the size of the gradients, and makes steps of them all
# the same. In many dimensions the two do not meet, $D$ becomes perfect, and nothing is left to follow.
#
# **Rubric.** *2 points:* the gradient vanishes as $D(G(z)) \to 0$, with the slope or in words, **and** a reason for
# the recovery (overlap on a line, finite logits, or Adam's scaling). *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("gan1d")

# %% [markdown]
# ---
# ## Exercise 4.2 · The plane, and a critic with a bounded slope
#
# **Why.** Where samples and data hardly overlap, a discriminator tells them apart with any certainty it likes, and its
# slope between them says nothing about the way. A **Wasserstein GAN** asks for a number with a bounded slope instead.
# By the duality of Kantorovich and Rubinstein
#
# $$W_1(p, p_G) \;=\; \sup_{\lVert \nabla f \rVert \le 1} \;
#   \mathbb{E}_{x \sim p}\left[f(x)\right] - \mathbb{E}_{z}\left[f(G(z))\right],$$
#
# and the best **critic** $f$ has slope one all along the way from samples to data. WGAN-GP asks for that where it
# matters, on lines between the two, with a penalty:
#
# $$\mathcal{L}_D = \mathbb{E}\left[f(G(z))\right] - \mathbb{E}\left[f(x)\right]
#   + \lambda\, \mathbb{E}_{\hat x}\left[\left(\lVert \nabla f(\hat x) \rVert - 1\right)^2\right],
#   \qquad \hat x = \epsilon\, x + (1 - \epsilon)\, G(z), \quad \epsilon \sim U[0, 1],$$
#
# with an $\epsilon$ of its own for every pair. And $\mathcal{L}_G = -\mathbb{E}\left[f(G(z))\right]$. As in 4.1 samples
# are constants of $\mathcal{L}_D$: `detach` them there, in both games. A critic has no sigmoid: only differences of $f$
# count. ($\nabla f(\hat x)$ is the derivative by the *input*, not by the weights.)
#
# *The papers:* Arjovsky, Chintala and Bottou, *Wasserstein GAN*, 2017
# ([arXiv:1701.07875](https://arxiv.org/abs/1701.07875)); Gulrajani et al., *Improved Training of Wasserstein GANs*,
# 2017 ([arXiv:1704.00028](https://arxiv.org/abs/1704.00028)), Algorithm 1. *Further reading:* Lucic et al., *Are GANs
# Created Equal? A Large-Scale Study*, 2017 ([arXiv:1711.10337](https://arxiv.org/abs/1711.10337)).

# %%
eight, smiley = toy.get("eight_gaussians"), toy.get("smiley")
plots.gallery(["eight_gaussians", "smiley"])

# %% [markdown]
# ### Write
#
# The game of 4.1 for points in the plane. From here on the kit's `play` takes the steps; you write both
# losses, as functions of the model alone. `discriminator_loss` draws its own samples, as many as there are data.


# %%
class GAN2d(nn.Module):
    """self.generator: z (B, latents) -> x (B, 2). self.discriminator: x (B, 2) -> logits (B,)."""

    def __init__(self, latents: int = 4, hidden: int = 48):
        super().__init__()
        self.latents = latents
        ### BEGIN SOLUTION
        h = hidden
        self.generator = nn.Sequential(
            nn.Linear(latents, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 2)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(2, h), nn.LeakyReLU(0.2), nn.Linear(h, h), nn.LeakyReLU(0.2), nn.Linear(h, h), nn.LeakyReLU(0.2),
            nn.Linear(h, 1), nn.Flatten(0),
        )  # fmt: skip
        ### END SOLUTION

    def noise(self, n: int) -> torch.Tensor:
        """n draws of z ~ N(0, I): (n, latents)."""
        return torch.randn(n, self.latents)

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws G(z): (n, 2)."""
        ### BEGIN SOLUTION
        return self.generator(self.noise(n))
        ### END SOLUTION

    def discriminator_loss(self, x: torch.Tensor) -> torch.Tensor:
        """−mean log D(x) − mean log(1 − D(G(z))), with one z for each x: one number."""
        ### BEGIN SOLUTION
        fake = self.generator(self.noise(len(x))).detach()
        return F.softplus(-self.discriminator(x)).mean() + F.softplus(self.discriminator(fake)).mean()
        ### END SOLUTION

    def generator_loss(self, n: int) -> torch.Tensor:
        """−mean log D(G(z)) over n draws of z: one number."""
        ### BEGIN SOLUTION
        return F.softplus(-self.discriminator(self.generator(self.noise(n)))).mean()
        ### END SOLUTION


# %% [markdown]
# The critic's game has the same networks. In the penalty, `torch.autograd.grad` gives $\nabla f(\hat x)$; it must keep
# its own graph (`create_graph=True`), since the penalty's gradient is a gradient of a gradient.
#
# **Hints** for `gradient_penalty`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Make the points $\hat x$ first, and tell torch that you will ask for derivatives by them. Then ask for the derivative
# of the critic's outputs by these inputs.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# $\hat x$ is (B, 2), with an $\epsilon$ of shape (B, 1). The critic judges every point by itself, so the derivative of
# the *sum* of its B outputs has, in each row, the slope at that row's point: (B, 2). Its lengths are (B,), the result
# is a mean of (B,).
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# $\hat x$ has to be a leaf: `detach` it, then `requires_grad_()`. `torch.autograd.grad` returns a tuple, even of one.
# The length is taken row by row, `norm(dim=1)`, not over the whole batch; the square comes after one was taken off.
#
# </details>


# %%
class WGAN2d(GAN2d):
    """The same two networks; self.discriminator is a critic f."""

    def gradient_penalty(self, x: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        """mean (‖∇f(x̂)‖ − 1)², x̂ = ε x + (1 − ε) fake with one ε ~ U[0, 1] for each pair, (B, 2) each: one number."""
        ### BEGIN SOLUTION
        epsilon = torch.rand(len(x), 1)
        between = (epsilon * x + (1 - epsilon) * fake).detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.discriminator(between).sum(), between, create_graph=True)
        return ((slope.norm(dim=1) - 1) ** 2).mean()
        ### END SOLUTION

    def discriminator_loss(self, x: torch.Tensor, penalty: float = 0.2) -> torch.Tensor:
        """mean f(G(z)) − mean f(x) + penalty · mean (‖∇f(x̂)‖ − 1)²: one number."""
        ### BEGIN SOLUTION
        fake = self.generator(self.noise(len(x))).detach()
        difference = self.discriminator(fake).mean() - self.discriminator(x).mean()
        return difference + penalty * self.gradient_penalty(x, fake)
        ### END SOLUTION

    def generator_loss(self, n: int) -> torch.Tensor:
        """−mean f(G(z)) over n draws of z: one number."""
        ### BEGIN SOLUTION
        return -self.discriminator(self.generator(self.noise(n))).mean()
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# The penalty of critics whose slope you know. A linear critic $f(x) = w \cdot x$ has the slope $w$
# everywhere, and the penalty $(\lVert w \rVert - 1)^2$, wherever $\hat x$ is.

# %%
linear, known = nn.Linear(2, 1, bias=False), WGAN2d()
known.discriminator = nn.Sequential(linear, nn.Flatten(0))
for w in ((1.0, 0.0), (3.0, 4.0), (0.3, 0.4)):
    linear.weight.data = torch.tensor([w])
    value = known.gradient_penalty(torch.randn(64, 2), torch.randn(64, 2))
    print(f"w = {w}: penalty {value:.3f}, should be {(np.hypot(*w) - 1) ** 2:.3f}")

# %% [markdown]
# ### Train
#
# With `play`, which is the loop of 4.1 for any model that has `discriminator_loss(x)` and `generator_loss(n)`. A whole
# call:
#
# ```python
# of_d = torch.optim.Adam(gan.discriminator.parameters(), lr=1e-3)
# of_g = torch.optim.Adam(gan.generator.parameters(), lr=1e-3)
# history = play(
#     gan,
#     x,  # the data: one tensor, examples first
#     optimizers=(of_d, of_g),  # the discriminator's first
#     schedulers=(schedule_d, schedule_g),  # may be left out
#     rounds=100,
#     batch_size=128,
#     discriminator_steps=1,  # in a round, each on a new batch
#     frame=frame,  # may be left out; what the film shows
# )
# ```
#
# Schedulers are stepped after every round. `play` draws its batches itself, so it takes no `Dataset` and no
# `DataLoader`. It returns a `History`, and so does a training function: `history.train` are the losses of the
# discriminator, `history.generator` those of the generator, `history.frames` is the film. What `play` cannot take it
# says in a sentence: optimisers in the wrong order or of another model, a loss that is no single number or became nan.
#
# *The recipe,* that of 4.1: 100,000 samples, Adam for both with a learning rate of `8e-3` and `betas=(0.0, 0.9)`, two
# steps of the critic a round, batches of 256, a rate that stays for the first half of the rounds and then falls on a
# straight line to zero; 3,000 rounds for the eight Gaussians, 2,000 for the smiley. Half a minute on two cores, all
# three games together.
#
# The penalty counts little, $\lambda = 0.2$. In images $\lambda = 10$ is usual; but the penalty also holds where a
# slope below one would be right, near the data at the end of the game, and with much of it the samples go on moving. Of
# samples of the eight Gaussians 3.5 % are bad (see below) with all as it is here, 8.6 % with $\lambda = 10$, and 5.7 %
# with a momentum of 0.5: try it.

# %%
cells = torch.cartesian_prod(torch.linspace(-4, 4, 41), torch.linspace(-4, 4, 41))


def train_gan2d(data, penalty=None, discriminator_steps=2, momentum=0.0, decay=True, rounds=3000):
    """A function that plays with batches of 256 of `data`; penalty: another weight than the usual one."""

    def train(gan: GAN2d):
        def frame():
            return {"samples": gan.sample(600), "logits": gan.discriminator(cells).view(41, 41)}

        if penalty is not None:
            usual = gan.discriminator_loss
            gan.discriminator_loss = lambda x: usual(x, penalty=penalty)
        ### BEGIN SOLUTION
        players = (gan.discriminator, gan.generator)
        optimizers = tuple(torch.optim.Adam(p.parameters(), lr=8e-3, betas=(momentum, 0.9)) for p in players)
        schedulers = tuple(
            torch.optim.lr_scheduler.LambdaLR(o, lambda r: min(1.0, 2 * (1 - r / rounds)) if decay else 1.0)
            for o in optimizers
        )
        x = torch.as_tensor(data.sample(100_000, seed=0))
        return play(gan, x, optimizers=optimizers, schedulers=schedulers, rounds=rounds, batch_size=256,
                    discriminator_steps=discriminator_steps, frame=frame)  # fmt: skip
        ### END SOLUTION

    return train


# %%
plain = trained("gan2d.plain", GAN2d(), fit=train_gan2d(eight, rounds=1000))
wgan_eight = trained("gan2d.eight", WGAN2d(), fit=train_gan2d(eight))
wgan_smiley = trained("gan2d.smiley", WGAN2d(), fit=train_gan2d(smiley, rounds=2000))
plots.game_2d(eight, training.history("gan2d.plain").frames)

# %% [markdown]
# Expected, of the first game (samples are black, the data are within the lines, and the discriminator says data where
# it is blue):
#
# ![samples over contours of the discriminator, eight Gaussians](figures/gan2d_plain.png)

# %%
plots.game_2d(eight, training.history("gan2d.eight").frames, critic=True)

# %% [markdown]
# Expected, with a critic:
#
# ![samples over contours of the critic, eight Gaussians](figures/gan2d_eight.png)
#
# And one picture at a time, larger: move the handle through the rounds.

# %%
plots.film(lambda frame: plots.game_2d(eight, frame, critic=True), training.history("gan2d.eight").frames)

# %%
plots.game_history(training.history("gan2d.eight"))

# %% [markdown]
# Expected:
#
# ![losses of critic and generator](figures/gan2d_losses.png)
#
# The critic's loss is *minus* an estimate of $W_1$, plus the penalty. So it starts far below zero, and while the game
# goes well it **rises**, towards zero, where the critic finds no difference any more; a little above zero is the
# penalty. Unlike the losses of 4.1 this one says something. (The generator's says nothing, although it falls here: $f$
# is known up to a constant.)
#
# ### See
#
# Samples of all three. A *good* sample lies within four standard deviations of a mode of the eight Gaussians; a mode is
# *covered* if its share of the good ones is more than a quarter of what it should be. Full points need 95 % good
# samples, in all eight modes.
#
# The smiley has no modes to count. There the **energy distance** compares samples $X$ with data $Y$,
#
# $$2\, \mathbb{E}\lVert X - Y \rVert - \mathbb{E}\lVert X - X' \rVert - \mathbb{E}\lVert Y - Y' \rVert ,$$
#
# with $X'$ and $Y'$ other draws of the same two distributions. It is zero for equal distributions, and positive for all
# others. Its square root is what counts: full points need 0.20 at most. (Samples of one Gaussian, with the mean and the
# variances of the data, have 0.29.)

# %%
samples = {"GAN": (eight, plain.sample(2000)), "WGAN-GP": (eight, wgan_eight.sample(2000)),
           "WGAN-GP, smiley": (smiley, wgan_smiley.sample(2000))}  # fmt: skip
plots.samples_2d(samples)

# %% [markdown]
# Expected:
#
# ![samples of three games over the densities](figures/gan2d_samples.png)

# %%
for name in ("GAN", "WGAN-GP"):
    distance = (samples[name][1][:, None] - torch.tensor(eight.means, dtype=torch.float32)).norm(dim=-1)
    good, mode = (nearest := distance.min(dim=1)).values < 4 * 0.2, nearest.indices
    shares = torch.bincount(mode[good], minlength=8) / good.sum()
    covered = int((shares > 0.25 / 8).sum())
    print(f"{name:8} {good.float().mean():.1%} good samples, {covered} of 8 modes, rarest {shares.min():.1%}")

# %% [markdown]
# ### Question 4.2
#
# Where do the thin lines of bad samples between modes come from? ($G$ is a smooth map of one round blob.) And what
# becomes of the critic's contours at the end, when there is nothing left to tell apart?

# %% [markdown]
# ### BEGIN SOLUTION
# $z$ comes from one connected blob and $G$ is continuous, so the samples are connected, too, while the modes are
# islands. Between noise that goes to one mode and noise that goes to its neighbour there is noise that goes in
# between. A steep $G$ makes the share of such samples small, never zero. When both distributions are equal, the
# difference of the critic's means is zero for every $f$, so only the penalty is left: every function with slope one is
# as good as every other. The contours say nothing then. They follow the chance of each batch, and wander.
#
# **Rubric.** *2 points:* a continuous image of a connected set is connected, **and** that at the end every critic (of
# slope one) is as good, so its contours are arbitrary. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("gan2d")

# %% [markdown]
# ---
# ## Exercise 4.3 · Images: DCGAN with a spectrally normalised discriminator
#
# **Why.** On images a penalty at every step is expensive: a gradient of a gradient. **Spectral normalisation** bounds
# the slope by construction: a layer $h \mapsto W h$ stretches nothing by more than its largest singular value
# $\sigma(W)$, so
#
# $$\hat W = W / \sigma(W) \qquad\text{has}\qquad \sigma(\hat W) = 1,$$
#
# and a chain of such layers with activations of slope at most one has a bounded slope as well. $\sigma(W)$
# comes from **power iteration**: with $u$ kept from step to step,
#
# $$v \leftarrow \frac{W^\top u}{\lVert W^\top u \rVert}, \qquad u \leftarrow \frac{W v}{\lVert W v \rVert}, \qquad
#   \sigma(W) \approx u^\top W v .$$
#
# One iteration in each training step is enough, since $W$ changes little from one to the next. $u$ and $v$ are
# constants for the gradient, $\sigma = u^\top W v$ is *not*: the gradient of $\hat W$ also says what becomes of
# $\sigma$. Of a convolution's kernel $(C_{out}, C_{in}, k, k)$, $W$ is the matrix $C_{out} \times C_{in} k k$: one row
# an output channel. (A pixel lies in several patches, so the convolution itself may stretch by more than $\sigma(W)$,
# by $k$ / stride times as much at most: a bound all the same.)
#
# *The papers:* Radford, Metz and Chintala, *Unsupervised Representation Learning with Deep Convolutional Generative
# Adversarial Networks*, 2015 ([arXiv:1511.06434](https://arxiv.org/abs/1511.06434)); Miyato et al., *Spectral
# Normalization for Generative Adversarial Networks*, 2018 ([arXiv:1802.05957](https://arxiv.org/abs/1802.05957)),
# Algorithm 1. *Further reading:* on the stretch of a convolution, Sedghi, Gupta and Long, *The Singular Values of
# Convolutional Layers*, 2018 ([arXiv:1805.10408](https://arxiv.org/abs/1805.10408)); and Brock, Donahue and Simonyan,
# *Large Scale GAN Training for High Fidelity Natural Image Synthesis*, 2018
# ([arXiv:1809.11096](https://arxiv.org/abs/1809.11096)), where all of this led.

# %%
glyphs = images.get("glyphs32", levels=256)
train_x = torch.as_tensor(2 * glyphs.unit(glyphs.sample(20_000)) - 1)
plots.images((train_x[:24] + 1) / 2, columns=12)

# %% [markdown]
# ### Write
#
# The convolution. In training mode every call takes one step of power iteration before it uses $\sigma$; in
# eval mode $u$ stays as it is. Give $u$ its new value with `self.u = …`: written over in place, it would be lost to the
# graph of the call before, whose gradient still needs it. (Torch has this as `nn.utils.parametrizations.spectral_norm`;
# any layer that uses $W / \sigma(W)$ passes, but here the point is to write it.) Then `check("dcgan", only="kernels")`.
#
# **Hints** for `sigma`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Two things happen here, and only one of them is seen by the gradient: $u$ and $v$ are improved, as mere numbers; then
# $\sigma$ is computed from them and from the weights.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# $W$ is the kernel with its last three dimensions made one: (out, in · k · k). $u$ is (out,), $v$ is (in · k · k,), and
# $u^\top W v$ a single number. Improving is for training mode; in eval mode $v$ is computed from the $u$ that is there.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# Put the improvement under `no_grad`, and the product after it. $v$ from $u$; in training mode a new $u$ from that $v$,
# assigned to `self.u`, and $v$ once more from the new $u$, so that both belong together. `F.normalize(…, dim=0)` makes
# a vector of unit length, and `@` multiplies vectors and matrices.
#
# </details>


# %%
class SpectralConv2d(nn.Conv2d):
    """A convolution with kernel W / σ(W), W of shape (out, in · k · k), and a buffer u (out,) of unit length."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0):
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, padding=padding)
        self.register_buffer("u", F.normalize(torch.randn(out_channels), dim=0))

    def sigma(self) -> torch.Tensor:
        """uᵀ W v, after a step of power iteration if in training mode; u and v are constants of the gradient."""
        ### BEGIN SOLUTION
        W = self.weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(W.T @ self.u, dim=0)
            if self.training:
                self.u = F.normalize(W @ v, dim=0)
                v = F.normalize(W.T @ self.u, dim=0)
        return self.u @ W @ v
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        ### BEGIN SOLUTION
        return F.conv2d(x, self.weight / self.sigma(), self.bias, self.stride, self.padding)
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# Power iteration against the singular values that NumPy finds, and the largest singular value of the kernel
# that is really used.

# %%
layer = SpectralConv2d(3, 8, kernel_size=4)
exact = np.linalg.svd(layer.weight.detach().flatten(1).cpu().numpy(), compute_uv=False)
with torch.no_grad():
    found = [layer.sigma().item() for _ in range(30)]
plots.curves(
    range(1, 31), {"power iteration": found, "largest": 30 * [exact[0]], "second": 30 * [exact[1]]},
    xlabel="step", ylabel="singular value",
)  # fmt: skip

# %% [markdown]
# ### Write
#
# Now both players. *DCGAN*: the generator goes from a vector to $4 \times 4$, and by transposed convolutions with
# stride 2 to 8 and 16 pixels a side, each followed by batch normalisation and ReLU; then on to 32, and `tanh` keeps to
# $[-1, 1]$. The discriminator goes the other way with leaky ReLUs. Every layer of it that has weights is a
# `SpectralConv2d`, the last one too, and there is no batch normalisation: it must judge every image by itself. (For the
# step between 16 and 32 pixels a side `nn.PixelShuffle(2)`, which turns four channels into squares of $2 \times 2$
# pixels, and `nn.PixelUnshuffle(2)` are fast on a CPU; convolutions with stride 2 do as well.) Their losses are
# **hinges** (Lim and Ye, *Geometric GAN*, 2017, [arXiv:1705.02894](https://arxiv.org/abs/1705.02894)): what is right by
# more than one counts no more.
#
# $$\mathcal{L}_D = \mathbb{E}\left[\max(0, 1 - f(x))\right] + \mathbb{E}\left[\max(0, 1 + f(G(z)))\right], \qquad
#   \mathcal{L}_G = -\mathbb{E}\left[f(G(z))\right].$$
#
# Again samples are constants of $\mathcal{L}_D$, and not of $\mathcal{L}_G$.


# %%
class DCGAN(nn.Module):
    """self.generator: z (B, latents) -> images (B, 1, 32, 32) in [−1, 1]. self.discriminator: images -> (B,)."""

    def __init__(self, latents: int = 32, width: int = 16):
        super().__init__()
        self.latents = latents
        ### BEGIN SOLUTION
        w = width

        def up(inside: int, out: int) -> list[nn.Module]:
            return [nn.ConvTranspose2d(inside, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]

        self.generator = nn.Sequential(
            nn.Linear(latents, 64 * w, bias=False), nn.Unflatten(1, (4 * w, 4, 4)), nn.BatchNorm2d(4 * w), nn.ReLU(),
            *up(4 * w, 2 * w), *up(2 * w, w), nn.Conv2d(w, 4, 3, padding=1), nn.PixelShuffle(2), nn.Tanh(),
        )  # fmt: skip
        self.discriminator = nn.Sequential(
            nn.PixelUnshuffle(2), SpectralConv2d(4, w, 3, 1, 1), nn.LeakyReLU(0.1),
            SpectralConv2d(w, 2 * w, 4, 2, 1), nn.LeakyReLU(0.1), SpectralConv2d(2 * w, 4 * w, 4, 2, 1),
            nn.LeakyReLU(0.1), SpectralConv2d(4 * w, 1, 4), nn.Flatten(0),
        )  # fmt: skip
        ### END SOLUTION

    def noise(self, n: int) -> torch.Tensor:
        """n draws of z ~ N(0, I): (n, latents)."""
        return torch.randn(n, self.latents)

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws G(z): (n, 1, 32, 32)."""
        ### BEGIN SOLUTION
        return self.generator(self.noise(n))
        ### END SOLUTION

    def discriminator_loss(self, x: torch.Tensor) -> torch.Tensor:
        """mean max(0, 1 − f(x)) + mean max(0, 1 + f(G(z))), with one z for each x: one number."""
        ### BEGIN SOLUTION
        fake = self.generator(self.noise(len(x))).detach()
        return F.relu(1 - self.discriminator(x)).mean() + F.relu(1 + self.discriminator(fake)).mean()
        ### END SOLUTION

    def generator_loss(self, n: int) -> torch.Tensor:
        """−mean f(G(z)) over n draws of z: one number."""
        ### BEGIN SOLUTION
        return -self.discriminator(self.generator(self.noise(n))).mean()
        ### END SOLUTION


# %% [markdown]
# ### Train
#
# The tricks matter more than in the plane: with `momentum=0.5`, the usual choice for DCGANs, the Fréchet distance,
# which is explained at the end, is 270 in place of 92, with `decay=False` 178, and without spectral normalisation 239
# (means of four seeds). One step of the discriminator for each of the generator is enough; two do as well.
#
# *The recipe:* Adam for both players with a learning rate of `4e-3` and `betas=(0.0, 0.9)`; 2,500 rounds with batches
# of 32; the rate stays for the first half of the rounds, and falls from there on a straight line to zero. One to three
# minutes on two cores. (The rate is twenty times the usual `2e-4`: with that, so few rounds lead nowhere. The
# initialisation matters little: torch's own, or $\mathcal{N}(0, 0.02^2)$ as in the paper.)


# %%
def train_dcgan(gan: DCGAN, momentum=0.0, decay=True, discriminator_steps=1, rounds=2500):
    """Play with batches of 32 images of train_x; returns the History."""
    z = gan.noise(12)

    def frame():
        gan.eval()  # `play` puts it back
        return {"images": gan.generator(z).half()}

    ### BEGIN SOLUTION
    players = (gan.discriminator, gan.generator)
    optimizers = tuple(torch.optim.Adam(p.parameters(), lr=4e-3, betas=(momentum, 0.9)) for p in players)
    schedulers = tuple(
        torch.optim.lr_scheduler.LambdaLR(o, lambda r: min(1.0, 2 * (1 - r / rounds)) if decay else 1.0)
        for o in optimizers
    )
    return play(gan, train_x, optimizers=optimizers, schedulers=schedulers, rounds=rounds, batch_size=32,
                discriminator_steps=discriminator_steps, frame=frame)  # fmt: skip
    ### END SOLUTION


# %%
dcgan = trained("dcgan", DCGAN(), fit=train_dcgan)
plots.game_history(training.history("dcgan"))

# %% [markdown]
# Expected:
#
# ![losses of both players](figures/dcgan_losses.png)
#
# ### See
#
# The same twelve codes in the course of training,

# %%
film = training.history("dcgan").frames
plots.image_rows({f"round {int(r):,}": (x.float() + 1) / 2 for r, x in zip(film["round"], film["images"], strict=True)})

# %% [markdown]
# Expected:
#
# ![samples in the course of training](figures/dcgan_film.png)
#
# and a grid of samples.

# %%
sampled = (dcgan.sample(1000) + 1) / 2
plots.images(sampled[:84], columns=14)

# %% [markdown]
# Expected:
#
# ![samples](figures/dcgan_samples.png)
#
# **Interpolations.** Noise of 32 dimensions lies near a sphere of radius $\sqrt{32}$, so walk along the sphere (White,
# *Sampling Generative Networks*, 2016, [arXiv:1609.04468](https://arxiv.org/abs/1609.04468)). Are the images between
# two samples digits, too?


# %%
def between(a: torch.Tensor, b: torch.Tensor, steps: int = 12) -> torch.Tensor:
    """Points on the great circle from a to b (latents,): (steps, latents)."""
    angle = torch.arccos(F.cosine_similarity(a, b, dim=0))
    t = torch.linspace(0, 1, steps)[:, None]
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


with torch.no_grad():
    ends = dcgan.noise(10)
    walks = [(dcgan.generator(between(a, b)) + 1) / 2 for a, b in zip(ends[::2], ends[1::2], strict=True)]
plots.images(torch.cat(walks), columns=12)

# %% [markdown]
# Expected:
#
# ![walks from one sample to another](figures/dcgan_walks.png)
#
# **How good are they?** What is graded are images $G(z)$ of new noise, in eval mode. A small classifier of digits comes
# with the kit. The **Fréchet distance** (Heusel et al., 2017, [arXiv:1706.08500](https://arxiv.org/abs/1706.08500),
# where the features are those of a large network) compares samples and images in its features, as if both were
# Gaussian:
# $\lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr}\left(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2}\right)$. And
# does every digit come up?
#
# For scale, with 2,000 pictures of each kind beside other images of the data: held-out images are at 17 ± 4 (a finite
# number of them is never at 0), images blurred by one pixel at 176 ± 11, samples of the VAE of 3.2 at 540 ± 31, and
# samples of this game, over twenty seeds, at 85 ± 10. Full points need less than the blurred images have.

# %%
judge = classifier.get("glyphs32")
digits = judge.probabilities(sampled).argmax(axis=1)
nearest = torch.cdist(sampled[:12].flatten(1), (train_x.flatten(1) + 1) / 2).argmin(dim=1)
print("shares of the digits 0 … 9, in %:", *(100 * np.bincount(digits, minlength=10) / len(digits)).round(1))
plots.image_rows({"samples": sampled[:12], "nearest training image": (train_x[nearest] + 1) / 2})

# %% [markdown]
# Expected:
#
# ![samples above their nearest training images](figures/dcgan_nearest.png)

# %% [markdown]
# ### Question 4.3
#
# What would the lower row show if the generator had learned images by heart? And what would the VAE of 3.2 have to do
# to draw edges as sharp as these?

# %% [markdown]
# ### BEGIN SOLUTION
# The nearest training image would be the sample itself, pixel by pixel: distances would be near zero, much smaller
# than those of held-out images to their nearest training images. (Pixels do not see a copy that is moved a little.)
# The VAE's decoder gives a mean with unit variance, and everything that $z$ leaves open is averaged, an edge over all
# places where it may be. So it would have to leave less open, with more latents and a smaller or learned variance, or
# have a decoder that draws instead of averaging: an autoregressive one, codes with a prior as in 3.4, or a
# discriminator's loss.
#
# **Rubric.** *2 points:* the sample itself (or distances below those of held-out images), **and** the VAE's blur is a
# mean over what $z$ does not say, with one way out. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("dcgan")

# %% [markdown]
# ---
# ## Go bigger (optional)
#
# Nothing here is graded. Your DCGAN on real handwriting: MNIST, 54,000 images for training, padded to $32 \times 32$.
# Set `GO_BIGGER = True` on a machine with a GPU, and run the cell; the first time it downloads 12 MB.
#
# | | |
# |---|---|
# | model | `DCGAN` with 64 latents and width 64, four times as wide as above |
# | recipe | Adam with `betas=(0.0, 0.9)` and a rate of 1e-3 for both; 20,000 rounds with batches of 64, one step each |
# | rate | stays for the first half of the rounds, and falls from there on a straight line to zero |
# | time | about 15 minutes on a T4 (as on Colab), 8 on an A100, which has too little to do |
# | memory | 2 GB |
#
# Time and memory are *estimates* from what a round takes, 30 GFLOP in some hundred small operations; nobody has run it,
# and games are restless: if yours breaks off, halve the rate. The sets `svhn` and `cifar10` have three channels, for
# which both networks need another first or last layer.
#
# Within `with torch.device(…):` every new tensor and every new layer is made on the GPU, also inside your methods.
# The weights are kept in `artifacts/bigger.…`, which are not handed in.

# %%
GO_BIGGER = False
ROUNDS = 20_000

if GO_BIGGER and not training.session.grading:
    from IPython.display import display

    with torch.device(training.device()):
        mnist = images.get("mnist32", levels=256)
        handwriting = torch.as_tensor(2 * mnist.unit(mnist.sample(54_000)) - 1)
        big = DCGAN(latents=64, width=64)

        def train_big(gan: DCGAN):
            both = tuple(
                torch.optim.Adam(player.parameters(), lr=1e-3, betas=(0.0, 0.9))
                for player in (gan.discriminator, gan.generator)
            )
            falling = [torch.optim.lr_scheduler.LambdaLR(o, lambda r: min(1.0, 2 - 2 * r / ROUNDS)) for o in both]
            return play(gan, handwriting, optimizers=both, schedulers=falling, rounds=ROUNDS, batch_size=64)

        trained("bigger.dcgan", big, fit=train_big)
        display(plots.images((big.sample(84).cpu() + 1) / 2, columns=14))
