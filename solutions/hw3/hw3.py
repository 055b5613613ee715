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
# # Homework 3 · Latent-variable models
#
# A latent-variable model says how data come about: first a code $z$ is drawn from a simple prior, then $x$ given $z$,
#
# $$p_\theta(x) \;=\; \int p_\theta(x \mid z)\, p(z)\, dz .$$
#
# The integral has no closed form, so we cannot maximise $\log p_\theta(x)$ itself. We maximise a lower bound of it, and
# get on the way a network that finds the code of an image: the encoder.
#
# **How this notebook works.** Each exercise has the same steps: *why*, *write*, *look*, *train*, *see*,
# *check*; the contents pane on the left lists them. You write the code where it says `NotImplementedError`; the hardest
# steps have hints that unfold. `check("…")` runs the very checks that
# grade you, as often as you like; at grading time only the seeds and the held-out data are new. Where the entropy of
# the data is known we call it **the limit**: no model has a smaller loss.
#
# Call `check` long before a class is finished: what is not written yet waits, everything else is judged. So write one
# method, check, write the next. `check("vae2d", only="KL")` runs the checks with these words in their titles. Each
# **recipe** below says how to train; the plainest network earns full points with it. Other networks, optimisers and
# schedules are as good, if they reach as far.
#
# **`fit`** is the loop of homework 1. You give it the model, a function of a batch that returns one number, the
# examples, and the optimiser. A whole call, here of some `model` with a method `loss`:
#
# ```python
# optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
# history = fit(
#     model,
#     lambda batch: model.loss(batch).mean(),  # one number, the mean over the batch
#     train_x,  # an array or a tensor, examples first
#     optimizer=optimizer,
#     scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200),  # may be left out
#     valid=valid_x,  # may be left out
#     steps=200,
#     batch_size=64,
#     clip=1.0,  # a gradient that is longer is shortened to this
# )
# ```
#
# `valid` is measured now and then, and the scheduler is stepped after every step. `fit` draws its batches itself, so it
# takes no `Dataset` and no `DataLoader`. It returns a `History`, and so does a training function: `history.train` are
# the losses of every step, `history.valid` those on `valid`, `history.seconds` is how long it took.
#
# What `fit` cannot take it says in a sentence: a loss that is no single number (a tuple of terms, or one number an
# example), an optimiser of another model, a loss that became nan. A function that trains in stages calls `fit` once a
# stage, each time with a new optimiser and a new schedule, and returns the last `History`.
# `trained(name, model, fit=…)` calls your training function with the model, keeps the weights in `artifacts/`, which
# you hand in, and loads them next time; `retrain=True` trains anew.
#
# *To read beside this notebook:* Kingma and Welling, *An Introduction to Variational Autoencoders*, 2019
# ([arXiv:1906.02691](https://arxiv.org/abs/1906.02691)).

# %%
import math

from deepul_utils import check, drawn, fit, images, information, plots, seed_everything, tensors, toy, trained, training

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise 3.1 · A variational autoencoder in the plane
#
# **Why.** For any density $q_\phi(z \mid x)$ over codes, by Jensen's inequality,
#
# $$\log p_\theta(x) = \log \mathbb{E}_{q}\left[\frac{p_\theta(x \mid z)\, p(z)}{q_\phi(z \mid x)}\right]
#   \;\ge\; \mathbb{E}_{q}\left[\log \frac{p_\theta(x \mid z)\, p(z)}{q_\phi(z \mid x)}\right]
#   = \mathbb{E}_{q}\left[\log p_\theta(x \mid z)\right] - \mathrm{KL}\left(q_\phi(z \mid x)\,\|\,p(z)\right).$$
#
# The right side is the **evidence lower bound** (ELBO). What the inequality loses is
# $\mathrm{KL}\left(q_\phi(z \mid x)\,\|\,p_\theta(z \mid x)\right)$, nothing if $q$ is the true posterior. We minimise
# $-\mathrm{ELBO}$, the sum of a *reconstruction* term and a *KL* term. Everything here is Gaussian, independent in each
# dimension: the prior $p(z) = \mathcal{N}(0, I)$, the encoder $q_\phi(z \mid x) = \mathcal{N}(\mu_z, \sigma_z^2)$, the
# decoder $p_\theta(x \mid z) = \mathcal{N}(\mu_x, \sigma_x^2)$; the networks give $\mu$ and $\log \sigma$.
#
# **Reconstruction**, in each dimension of $x$ (Eq. 4 of the lecture notes):
#
# $$-\log p_\theta(x \mid z) \;=\; \tfrac12 \log 2\pi + \log \sigma_x + \frac{(x - \mu_x)^2}{2 \sigma_x^2}.$$
#
# **KL**, in each dimension of $z$ (Eq. 5 of the lecture notes, whose last line is right, but not every line before).
# With $\mu$ and $\sigma$ for $\mu_z$ and $\sigma_z$; the two $\tfrac12 \log 2\pi$ cancel:
#
# $$\mathrm{KL} = \mathbb{E}_q\left[\log q_\phi(z \mid x) - \log p(z)\right]
#   = \mathbb{E}_q\left[-\log \sigma - \frac{(z - \mu)^2}{2 \sigma^2} + \frac{z^2}{2}\right].$$
#
# The mean of $(z - \mu)^2$ is the variance $\sigma^2$, so the middle term is $-\tfrac12$. For the last, write
# $z = (z - \mu) + \mu$: the mean of $z^2$ is $\sigma^2 + \mu^2$, since $z - \mu$ has mean zero. Hence
#
# $$\mathrm{KL} = -\log \sigma + \frac{\sigma^2}{2} + \frac{\mu^2}{2} - \frac12 .$$
#
# (When is it zero? Which $\mu$ and $\sigma$ make it grow?)
#
# *The papers:* Kingma and Welling, *Auto-Encoding Variational Bayes*, 2013
# ([arXiv:1312.6114](https://arxiv.org/abs/1312.6114)); Rezende, Mohamed and Wierstra, *Stochastic Backpropagation and
# Approximate Inference in Deep Generative Models*, 2014 ([arXiv:1401.4082](https://arxiv.org/abs/1401.4082)). *Further
# reading:* on the warm-up below, section 3.1 of Bowman et al., *Generating Sentences from a Continuous Space*, 2015
# ([arXiv:1511.06349](https://arxiv.org/abs/1511.06349)); on collapse, Lucas et al., *Don't Blame the ELBO! A Linear VAE
# Perspective on Posterior Collapse*, 2019 ([arXiv:1911.02469](https://arxiv.org/abs/1911.02469)).

# %%
axis, rotated, moons = toy.get("axis_gaussian"), toy.get("rotated_gaussian"), toy.get("moons")
plots.gallery(["axis_gaussian", "rotated_gaussian", "moons"])

# %% [markdown]
# ### Write
#
# The two terms first. All is summed over the dimensions, one number an example, in nats.


# %%
def gaussian_nll(x: torch.Tensor, mu: torch.Tensor, log_sigma: torch.Tensor) -> torch.Tensor:
    """−log N(x; μ, σ²) = Σ_i ½ log 2π + log σ_i + (x_i − μ_i)² / 2σ_i²: (B, …) each -> (B,)."""
    ### BEGIN SOLUTION
    epsilon = (x - mu) * torch.exp(-log_sigma)
    return tensors.sum_except_batch(0.5 * math.log(2 * math.pi) + log_sigma + epsilon**2 / 2)
    ### END SOLUTION


def kl_to_prior(mu: torch.Tensor, log_sigma: torch.Tensor) -> torch.Tensor:
    """KL(N(μ, σ²) ‖ N(0, I)) = Σ_i −log σ_i + σ_i²/2 + μ_i²/2 − ½: (B, D) each -> (B,)."""
    ### BEGIN SOLUTION
    sigma = log_sigma.exp()
    return tensors.sum_except_batch(-log_sigma + sigma**2 / 2 + mu**2 / 2 - 0.5)
    ### END SOLUTION


# %% [markdown]
# The reconstruction term is a mean over $z \sim q_\phi(z \mid x)$. One draw estimates it, and its gradient must reach
# $\phi$ *through* the draw. So draw noise that has nothing to do with $\phi$, and move it:
#
# $$z = \mu_z + \sigma_z\, \epsilon, \qquad \epsilon \sim \mathcal{N}(0, I), \text{ new for every example.}$$


# %%
def reparameterize(mu: torch.Tensor, log_sigma: torch.Tensor) -> torch.Tensor:
    """z = μ + σ ε, with ε ~ N(0, I): (B, D) each -> (B, D)."""
    ### BEGIN SOLUTION
    return mu + log_sigma.exp() * torch.randn_like(mu)
    ### END SOLUTION


# %% [markdown]
# Now the model. `importance_weighted` is a better bound, from $K$ draws of $q$ instead of one,
#
# $$-\log \frac1K \sum_{k=1}^{K} \frac{p_\theta(x \mid z_k)\, p(z_k)}{q_\phi(z_k \mid x)},
#   \qquad z_k \sim q_\phi(z \mid x),$$
#
# whose mean is $-\mathrm{ELBO}$ at $K = 1$, never rises with $K$, and tends to $-\log p_\theta(x)$. The mean over the
# draws stands *inside* the logarithm: `torch.logsumexp`. (Burda, Grosse and Salakhutdinov, *Importance Weighted
# Autoencoders*, 2015, [arXiv:1509.00519](https://arxiv.org/abs/1509.00519).)
#
# Inside, your networks may speak of $\sigma$ as they like (a log-variance, a softplus, one $\sigma_x$ for all $z$):
# `encode` and `decode` return $\mu$ and $\log \sigma$. In eval mode, too, $z$ is a draw.
#
# **Hints** for `importance_weighted`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Treat the $K$ draws of one example as $K$ examples: repeat each example $K$ times, and encode, draw and decode as
# ever. Then each row has a logarithm $\log w$ of its fraction, and what is left is to average $K$ of these at a time.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# Of $B$ examples make $B K$ rows, the $K$ of the first example first. $\log w$ is (B K,), a sum of three logarithms of
# Gaussian densities, each of which is minus your `gaussian_nll`: of $x$ under the decoder, of $z$ under the prior (mean
# 0, $\log\sigma = 0$), and, with the other sign, of $z$ under the encoder.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# Give $\log w$ the shape (B, K), and take `logsumexp` over the $K$; the mean instead of the sum costs a $\log K$. Use
# the density of the $z$ that was drawn, not the KL: at $K = 1$ the two agree on average only. `repeat_interleave`
# repeats example by example, `repeat` the whole batch; the shape (B, K) belongs to the first.
#
# </details>


# %%
class VAE2d(nn.Module):
    """p(x) = ∫ N(x; μ_x(z), σ_x(z)²) N(z; 0, I) dz for points x in the plane, with two latents."""

    def __init__(self, hidden: int = 64):
        super().__init__()

        ### BEGIN SOLUTION
        def mlp() -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(2, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 4)
            )

        self.encoder, self.decoder = mlp(), mlp()
        ### END SOLUTION

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """μ_z and log σ_z of q(z | x): (B, 2) -> (B, 2) each."""
        ### BEGIN SOLUTION
        mu, log_sigma = self.encoder(x).chunk(2, dim=1)
        return mu, log_sigma
        ### END SOLUTION

    def decode(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """μ_x and log σ_x of p(x | z): (B, 2) -> (B, 2) each."""
        ### BEGIN SOLUTION
        mu, log_sigma = self.decoder(z).chunk(2, dim=1)
        return mu, log_sigma
        ### END SOLUTION

    def elbo_terms(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """−log p(x | z) at one draw z of q(z | x), and KL(q(z | x) ‖ p(z)): (B, 2) -> (B,) each; −ELBO is their sum."""
        ### BEGIN SOLUTION
        mu_z, log_sigma_z = self.encode(x)
        z = reparameterize(mu_z, log_sigma_z)
        return gaussian_nll(x, *self.decode(z)), kl_to_prior(mu_z, log_sigma_z)
        ### END SOLUTION

    def importance_weighted(self, x: torch.Tensor, k: int) -> torch.Tensor:
        """−log (1/K) Σ_k p(x | z_k) p(z_k) / q(z_k | x), z_k ~ q(z | x): (B, 2) -> (B,)."""
        ### BEGIN SOLUTION
        B = len(x)
        x = x.repeat_interleave(k, dim=0)  # (B · K, 2)
        mu_z, log_sigma_z = self.encode(x)
        z = reparameterize(mu_z, log_sigma_z)
        log_prior = -gaussian_nll(z, torch.zeros_like(z), torch.zeros_like(z))
        log_w = -gaussian_nll(x, *self.decode(z)) + log_prior + gaussian_nll(z, mu_z, log_sigma_z)
        return math.log(k) - torch.logsumexp(log_w.view(B, k), dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int, noise: bool = True) -> torch.Tensor:
        """n draws (n, 2): z ~ N(0, I), then x ~ N(μ_x, σ_x²); without noise, μ_x itself."""
        ### BEGIN SOLUTION
        mu, log_sigma = self.decode(torch.randn(n, 2))
        return reparameterize(mu, log_sigma) if noise else mu
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# Before you train: the closed form of the KL must agree with a mean of $\log q - \log p$ over many draws, and
# the bounds must come in their order also for random networks.

# %%
with torch.no_grad():
    mu, log_sigma = torch.tensor([[0.5, -1.0]]), torch.tensor([[-0.7, 0.2]])
    z = reparameterize(mu.expand(100_000, 2), log_sigma.expand(100_000, 2))
    log_ratio = gaussian_nll(z, torch.zeros_like(z), torch.zeros_like(z)) - gaussian_nll(z, mu, log_sigma)
    print(f"KL, closed form {kl_to_prior(mu, log_sigma).item():.3f}, mean over draws {log_ratio.mean():.3f}")
    untrained, some = VAE2d(), torch.as_tensor(rotated.sample(20_000))
    print(f"−ELBO {sum(untrained.elbo_terms(some)).mean():.3f}", end="")
    for k in (1, 4, 16):
        print(f", importance-weighted with {k}: {untrained.importance_weighted(some, k).mean():.3f}", end="")


# %% [markdown]
# ### Train
#
# With the sum of both terms, its mean over the batch.
#
# *The recipe:* 100,000 samples, Adam, batches of 512 points, 2,000 steps, with a learning rate that rises to 1e-2 and
# falls to zero again (`torch.optim.lr_scheduler.OneCycleLR`). On `moons` begin with a *warm-up*: 1,500 steps in which
# the KL counts 0.1 times, then, with a new optimiser and schedule, 3,000 steps in which it counts in full. You will see
# below what happens without. Two layers of 64 units are enough; all four trainings together take less than a minute on
# two cores.


# %%
def train_vae2d(data, warm_up: int = 0, steps: int = 2000):
    """A function that minimises the mean of reconstruction + KL; with 0.1 · KL for `warm_up` steps before."""

    def train(model: VAE2d):
        ### BEGIN SOLUTION
        x = torch.as_tensor(data.sample(100_000, seed=0))
        valid = torch.as_tensor(data.sample(20_000, seed=0, split="validation"))

        def run(beta: float, steps: int):
            def loss(x):
                reconstruction, kl = model.elbo_terms(x)
                return (reconstruction + beta * kl).mean()

            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
            options = dict(optimizer=optimizer, scheduler=schedule, valid=valid, steps=steps, batch_size=512)
            return fit(model, loss, x, **options)

        if warm_up:
            run(0.1, warm_up)
        return run(1.0, steps)
        ### END SOLUTION

    return train


# %%
vae_axis = trained("vae2d.axis", VAE2d(), fit=train_vae2d(axis), aim=training.reference("vae2d.axis"))
vae_rotated = trained("vae2d.rotated", VAE2d(), fit=train_vae2d(rotated), aim=training.reference("vae2d.rotated"))
vae_moons = trained("vae2d.moons", VAE2d(), fit=train_vae2d(moons, warm_up=1500, steps=3000))
vae_cold = trained("vae2d.moons_cold", VAE2d(), fit=train_vae2d(moons))
plots.history(training.history("vae2d.moons"), limit=moons.entropy)

# %% [markdown]
# Expected:
#
# ![training and validation loss of the VAE on the moons, above the limit](figures/vae2d_losses.png)

# %% [markdown]
# ### See
#
# The two terms of the loss apart: what the code costs (KL), and what is left to say once the code is known.


# %%
def terms(model: VAE2d, data) -> tuple[float, float]:
    x = torch.as_tensor(data.sample(20_000, seed=0, split="validation"))
    with torch.no_grad():
        return tuple(term.mean().item() for term in model.elbo_terms(x))


models = {"axis": (vae_axis, axis), "rotated": (vae_rotated, rotated),
          "moons": (vae_moons, moons), "moons, no warm-up": (vae_cold, moons)}  # fmt: skip
plots.elbo_terms({name: terms(*pair) for name, pair in models.items()}, {k: d.entropy for k, (_, d) in models.items()})

# %% [markdown]
# Expected:
#
# ![reconstruction and KL of four models, with the limits](figures/vae2d_terms.png)
#
# - **axis.** The KL is zero: the decoder alone, $\mathcal{N}(\mu_x, \sigma_x^2)$ with the same $\mu_x, \sigma_x$ for
#   every $z$, *is* the data's density, and a code would only cost. This is **posterior collapse**, here rightly so.
# - **rotated.** A decoder with independent dimensions cannot tilt; one latent does it. The posterior is Gaussian, too,
#   and diagonal once $z_1$ lies along the data, so the bound is tight.
# - **moons.** Without warm-up one of the two latents collapses early, while the decoder cannot use it yet, and never
#   comes back. With it both are used. Still the limit is not reached: the true posterior over $z$ is bent, which no
#   diagonal Gaussian is (the importance-weighted bound shows how much that costs), and a smooth decoder of one round
#   blob has to draw a thin bridge between the moons.

# %%
with torch.no_grad():
    for name, (model, data) in models.items():
        x = torch.as_tensor(data.sample(4000, seed=1, split="validation"))
        mu, log_sigma = model.encode(x)
        first, second = (kl_to_prior(mu[:, [i]], log_sigma[:, [i]]).mean() for i in (0, 1))
        log_p = torch.as_tensor(data.log_prob(x))
        one, many = ((model.importance_weighted(x, k) + log_p).mean() for k in (1, 64))
        print(f"{name:18} KL of z₁ {first:.2f}, of z₂ {second:.2f} · nats above the limit: −ELBO {one:.3f}, "
              f"with 64 draws {many:.3f}")  # fmt: skip

# %% [markdown]
# Samples, without and with the decoder's noise. For Gaussian data the difference is easy to say: the covariance
# of the samples is that of $\mu_x(z)$ plus the mean of $\sigma_x^2(z)$. How much of each set do the codes explain?

# %%
plots.decoder_noise(
    {name: (data, model.sample(1500, noise=False), model.sample(1500)) for name, (model, data) in models.items()}
)

# %% [markdown]
# Expected:
#
# ![samples without and with decoder noise over the data](figures/vae2d_noise.png)
#
# **A walk through the code.** $z_1$ is held fast, $z_2$ drawn from its prior: what does the model draw? Move $z_1$.

# %%
spread = torch.randn(600, 4)  # of z₂, of nothing, and of the decoder's noise


def at(z_1: float):
    """What the model draws with this z₁."""
    mu, log_sigma = vae_moons.decode(torch.stack([torch.full((600,), z_1), spread[:, 0]], dim=1))
    return plots.scatter_2d(mu + log_sigma.exp() * spread[:, 2:], moons)


plots.slider(at, np.linspace(-2, 2, 9).tolist(), "z₁", start=4)

# %% [markdown]
# ### Question 3.1
#
# Why are the samples without noise on `rotated` all on a line, and on `axis` a point?

# %% [markdown]
# ### BEGIN SOLUTION
# The decoder's noise is independent in the two dimensions. `axis` is such a Gaussian: the decoder alone is exact, with
# a $\mu_x$ and a $\sigma_x$ that do not look at $z$. Using $z$ would cost KL and gain nothing, so it is not used, and
# $\mu_x$ is one point. The correlation of `rotated` cannot be in that noise. It has to be in $\mu_x(z)$: one latent
# moves it along the long axis, and the noise does the rest, the same in both dimensions. One latent, used linearly,
# gives a line; the second would gain nothing, and has no KL.
#
# **Rubric.** *2 points:* the decoder's noise has no correlation and needs $z$ for it, one direction, **and** where it
# is exact without $z$ the KL makes the model ignore it. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("vae2d")

# %% [markdown]
# ---
# ## Exercise 3.2 · A convolutional VAE of 32×32 images
#
# **Why.** The same bound, for images: strided convolutions shrink $32 \times 32$ pixels to the $\mu_z$ and
# $\log \sigma_z$ of 16 latents, transposed convolutions go back. The decoder gives the mean of every pixel only, and
# all pixels have variance one, $p_\theta(x \mid z) = \mathcal{N}(\mu_x(z), I)$. With $d$ pixels the reconstruction
# term is then
#
# $$-\log p_\theta(x \mid z) \;=\; \frac d2 \log 2\pi + \tfrac12 \left\lVert x - \mu_x(z) \right\rVert^2 ,$$
#
# *half* the squared error, *summed* over the pixels, and a constant. "MSE loss", as in the lecture notes, often stands
# for the mean over the pixels; beside the KL that is a thousand times too little, and the code is not used at all.
# Pixels are in $[-1, 1]$ here. Since the variance is one, this range decides how much a wrong pixel costs, beside what
# the code costs.
#
# *Further reading:* Larsen et al., *Autoencoding beyond Pixels Using a Learned Similarity Metric*, 2015
# ([arXiv:1512.09300](https://arxiv.org/abs/1512.09300)), on what to measure instead of squared pixels.

# %%
glyphs = images.get("glyphs32", levels=256)


def pixels(n: int, split: str = "train") -> tuple[torch.Tensor, torch.Tensor]:
    """n images in [−1, 1], float (n, 1, 32, 32), and their digits."""
    x, y = glyphs.sample_labelled(n, split=split)
    return torch.as_tensor(2 * glyphs.unit(x) - 1), torch.as_tensor(y)


train_x, _ = pixels(20_000)
valid_x, valid_y = pixels(1000, split="validation")
plots.images((train_x[:24] + 1) / 2, columns=12)

# %% [markdown]
# ### Write
#
# The model. Three convolutions with stride 2 (kernel 4, padding 1) lead from 32 to 16, 8 and 4 pixels a side, and three
# transposed ones with the same numbers back. `width` channels after the first are enough if each further one doubles
# them. A linear layer leads to $\mu_z$ and $\log\sigma_z$ together, another one from $z$ back; after the last
# transposed convolution comes no activation.
#
# **Hints** for `elbo_terms`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# The two terms are those of 3.1, with one change: the decoder gives means only, and $\sigma_x = 1$ everywhere.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# Two tensors of shape (B,). The reconstruction sums over channels, rows and columns, the KL over the latents; neither
# takes a mean, of pixels or of the batch.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# With $\log\sigma_x = 0$ the reconstruction is half the sum of the squares plus $\frac12 \log 2\pi$ for every one of
# the $d$ numbers in an image, $d = C \cdot 32 \cdot 32$. `tensors.sum_except_batch` sums over everything but the batch.
# Draw a new $z$ for every image, in eval mode, too.
#
# </details>


# %%
class VAE32(nn.Module):
    """p(x) = ∫ N(x; μ_x(z), I) N(z; 0, I) dz for images x of `shape` (C, 32, 32)."""

    def __init__(self, shape: tuple[int, int, int], latents: int = 16, width: int = 16):
        super().__init__()
        self.shape, self.latents = shape, latents
        ### BEGIN SOLUTION
        C, w = shape[0], width
        self.encoder = nn.Sequential(
            nn.Conv2d(C, w, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(w, 2 * w, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(2 * w, 4 * w, 4, stride=2, padding=1), nn.SiLU(),
            nn.Flatten(), nn.Linear(64 * w, 2 * latents),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(latents, 64 * w), nn.Unflatten(1, (4 * w, 4, 4)), nn.SiLU(),
            nn.ConvTranspose2d(4 * w, 2 * w, 4, stride=2, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(2 * w, w, 4, stride=2, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(w, C, 4, stride=2, padding=1),
        )  # fmt: skip
        ### END SOLUTION

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """μ_z and log σ_z of q(z | x): (B, C, 32, 32) -> (B, latents) each."""
        ### BEGIN SOLUTION
        mu, log_sigma = self.encoder(x).chunk(2, dim=1)
        return mu, log_sigma
        ### END SOLUTION

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """μ_x of p(x | z): (B, latents) -> (B, C, 32, 32)."""
        ### BEGIN SOLUTION
        return self.decoder(z)
        ### END SOLUTION

    def elbo_terms(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """−log p(x | z) at one draw z of q(z | x), and KL(q(z | x) ‖ p(z)): (B, C, 32, 32) -> (B,) each, in nats."""
        ### BEGIN SOLUTION
        mu, log_sigma = self.encode(x)
        sigma = log_sigma.exp()
        z = mu + sigma * torch.randn_like(mu)
        squares = tensors.sum_except_batch((x - self.decode(z)) ** 2)
        kl = (-log_sigma + sigma**2 / 2 + mu**2 / 2 - 0.5).sum(dim=1)
        return 0.5 * math.log(2 * math.pi) * x[0].numel() + squares / 2, kl
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """μ_x(z) for n draws z ~ N(0, I): (n, C, 32, 32)."""
        ### BEGIN SOLUTION
        return self.decode(torch.randn(n, self.latents))
        ### END SOLUTION

    @torch.no_grad()
    def interpolate(self, a: torch.Tensor, b: torch.Tensor, steps: int) -> torch.Tensor:
        """μ_x at `steps` even steps from μ_z(a) to μ_z(b), both included: (B, C, 32, 32) -> (B, steps, C, 32, 32)."""
        ### BEGIN SOLUTION
        start, end = self.encode(a)[0], self.encode(b)[0]  # (B, latents)
        codes = [torch.lerp(start, end, t) for t in torch.linspace(0, 1, steps)]
        return torch.stack([self.decode(z) for z in codes], dim=1)
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# Before you train: what does the best constant image cost, with no code at all? Training has to beat it by
# more than the code costs.

# %%
untrained = VAE32(glyphs.shape)
with torch.no_grad():
    reconstruction, kl = untrained.elbo_terms(valid_x)
constant = 512 * math.log(2 * math.pi)
mean_image = constant + ((valid_x - train_x.mean(dim=0)) ** 2).sum(dim=(1, 2, 3)).mean() / 2
print(f"untrained: {reconstruction.mean():.1f} + {kl.mean():.1f} nats; the mean image: {mean_image:.1f}; "
      f"no error at all: {constant:.1f}")  # fmt: skip


# %% [markdown]
# ### Train
#
# With the mean of the sum.
#
# *The recipe:* Adam, batches of 64 images, 1,000 steps, a learning rate that rises to 4e-3 and falls again
# (`OneCycleLR`); the loss is a sum over a thousand pixels, so its gradient's norm may be 50 (`clip=50.0`). Half a
# minute on two cores.


# %%
def train_vae32(model: VAE32):
    """Minimise 𝓛 = mean (reconstruction + KL) over train_x with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 1000
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return fit(
        model,
        lambda x: sum(model.elbo_terms(x)).mean(),
        train_x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps),
        valid=valid_x,
        steps=steps,
        batch_size=64,
        clip=50.0,
    )
    ### END SOLUTION


# %%
vae32 = trained("vae32", VAE32(glyphs.shape), fit=train_vae32, aim=training.reference("vae32"))
plots.history(training.history("vae32"), baseline=float(mean_image), unit="nats an image")

# %% [markdown]
# Expected:
#
# ![training and validation loss of the VAE, below that of the mean image](figures/vae32_losses.png)

# %% [markdown]
# ### See
#
# What the code keeps: originals, their reconstructions, and samples of the prior. Nothing in the loss asks for
# sharp edges: where the code does not say exactly where a stroke ends, the best mean is the average of all the places
# where it might, and that is **blur**.


# %%
def shown(x: torch.Tensor) -> torch.Tensor:
    """Means of pixels, [−1, 1] and a little beyond, as grey values in [0, 1]."""
    return ((x + 1) / 2).clamp(0, 1)


with torch.no_grad():
    some = valid_x[:12]
    rebuilt = vae32.decode(vae32.encode(some)[0])
plots.image_rows({"original": shown(some), "rebuilt": shown(rebuilt), "samples": shown(vae32.sample(12)),
                  "": shown(vae32.sample(12))})  # fmt: skip

# %% [markdown]
# Expected:
#
# ![digits, their reconstructions, and samples](figures/vae32.png)
#
# **Which latents are used?** The KL of each of the 16, largest first. One that costs nothing says nothing: its
# posterior is the prior for every image. Beside them the codes, in the plane in which the ten digits lie
# furthest apart; nobody told the model about digits.

# %%
with torch.no_grad():
    mu, log_sigma = vae32.encode(valid_x)
    reconstruction, kl = vae32.elbo_terms(valid_x)
kl_of_each = (-log_sigma + (2 * log_sigma).exp() / 2 + mu**2 / 2 - 0.5).mean(dim=0)
print(f"held out: reconstruction {reconstruction.mean():.1f}, {constant:.1f} of it the constant; KL {kl.mean():.1f}")
middles = torch.stack([mu[valid_y == digit].mean(dim=0) for digit in range(10)])
directions = torch.linalg.svd(middles - middles.mean(dim=0)).Vh[:2]  # along which the digits' middles differ most
plots.latents(kl_of_each, mu @ directions.T, valid_y, glyphs.label_names, "first direction", "second direction")

# %% [markdown]
# Expected:
#
# ![the KL of each latent, and the codes coloured by digit](figures/vae32_latents.png)
#
# **Interpolation.** A straight line between two codes; its ends are the reconstructions.

# %%
pairs = vae32.interpolate(valid_x[:5], valid_x[5:10], steps=10)
plots.image_rows({f"{valid_y[i]} to {valid_y[5 + i]}": shown(pairs[i]) for i in range(5)})

# %% [markdown]
# Expected:
#
# ![rows of digits turning into others](figures/vae32_interpolation.png)
#
# **A walk in latent space.** The middle code of each digit, and all ten of them moved along the first direction: the
# handle says how far.

# %%
plots.slider(
    lambda t: plots.images(shown(vae32.decode(middles + t * directions[0])), columns=10),
    np.linspace(-4, 4, 17).tolist(), "along the first direction", start=8,
)  # fmt: skip

# %% [markdown]
# ### Question 3.2
#
# A straight line between two images themselves would show one fading over the other. What happens here instead, and
# where does it go wrong? Why there?

# %% [markdown]
# ### BEGIN SOLUTION
# The line is straight among the codes: the decoder turns each code on it into an image like those of the data, so
# strokes bend, move and grow from one digit into the other, and images near the ends are digits. It goes wrong in the
# middle between digits of two kinds. There is no digit between them, and few codes of training images lie there, so
# the decoder was hardly trained at these places; being continuous, it has to show something in between: pale or
# blurred shapes that are no digit, the mean of what might be there.
#
# **Rubric.** *2 points:* shapes change instead of fading, since the decoder gives images like the data for each code,
# **and** it fails where few or no codes of data are (between two kinds), with a reason. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("vae32")

# %% [markdown]
# ---
# ## Exercise 3.3 · β-VAE and disentanglement
#
# **Why.** Nothing in the bound asks that one latent should mean one thing: any rotation of $z$ fits the prior as well.
# A β-VAE makes the code more expensive,
#
# $$\mathcal{L}_\beta \;=\; \mathbb{E}_q\left[-\log p_\theta(x \mid z)\right]
#   + \beta\, \mathrm{KL}\left(q_\phi(z \mid x) \,\|\, p(z)\right), \qquad \beta > 1 .$$
#
# It is a much looser bound than before, and reconstructions get worse. But now each latent has to be worth its price,
# and a diagonal posterior is cheapest where the latents lie along independent factors of the data. Whether they do can
# be measured where the factors are known. Here they are: squares of three sizes, at sixteen places across and eight
# down. So x is worth more than y, and y more than the size. That matters: two factors that are worth the same can be
# rotated into one another at no cost.
#
# *The paper:* Higgins et al., *β-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework*, ICLR
# 2017 ([OpenReview](https://openreview.net/forum?id=Sy2fzU9gl)). *Further reading:* Burgess et al., *Understanding
# Disentangling in β-VAE*, 2018 ([arXiv:1804.03599](https://arxiv.org/abs/1804.03599)); why a diagonal posterior picks
# axes, Rolínek et al., *Variational Autoencoders Pursue PCA Directions (by Accident)*, 2018
# ([arXiv:1812.06775](https://arxiv.org/abs/1812.06775)); and doubts, Locatello et al., *Challenging Common Assumptions
# in the Unsupervised Learning of Disentangled Representations*, 2018
# ([arXiv:1811.12359](https://arxiv.org/abs/1811.12359)).

# %%
silhouettes = images.get("shapes32", levels=2)


def pictures(n: int, split: str = "train") -> tuple[torch.Tensor, torch.Tensor]:
    """n squares in [−1, 1], float (n, 1, 32, 32), and their factors size, x and y, int64 (n, 3)."""
    _, factors = silhouettes.sample_labelled(n, split=split)
    factors[:, 1] = factors[:, 0] // 2  # the size: the three smallest, as often as two of the six kinds
    factors[:, 0] = 0  # the kind: squares
    factors[:, 3] = 4 + factors[:, 3] // 2  # y: eight places in the middle
    return torch.as_tensor(2 * silhouettes.unit(silhouettes.render(factors)) - 1), torch.as_tensor(factors[:, 1:])


train_x, _ = pictures(20_000)
valid_x, valid_y = pictures(8000, split="validation")
plots.images((train_x[:24] + 1) / 2, columns=12)

# %% [markdown]
# ### Write
#
# The loss. The networks are given, much like yours of 3.2, because what a latent comes to mean depends on
# them, too; pixels have variance one. So it is the loss of 3.2, with the constant, and $\beta$ times the KL.


# %%
class BetaVAE(nn.Module):
    """A VAE of images (1, 32, 32) with pixels of variance one, trained with reconstruction + β · KL."""

    def __init__(self, latents: int = 8, width: int = 12):
        super().__init__()
        w = width
        self.encoder = nn.Sequential(
            nn.Conv2d(1, w, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(w, 2 * w, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(2 * w, 2 * w, 4, stride=2, padding=1), nn.SiLU(),
            nn.Flatten(), nn.Linear(32 * w, 8 * w), nn.SiLU(), nn.Linear(8 * w, 2 * latents),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(latents, 8 * w), nn.SiLU(), nn.Linear(8 * w, 32 * w), nn.SiLU(), nn.Unflatten(1, (2 * w, 4, 4)),
            nn.ConvTranspose2d(2 * w, 2 * w, 4, stride=2, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(2 * w, w, 4, stride=2, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(w, 1, 4, stride=2, padding=1),
        )  # fmt: skip

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """μ_z and log σ_z of q(z | x): (B, 1, 32, 32) -> (B, latents) each."""
        mu, log_sigma = self.encoder(x).chunk(2, dim=1)
        return mu, log_sigma

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """μ_x of p(x | z): (B, latents) -> (B, 1, 32, 32)."""
        return self.decoder(z)

    def loss(self, x: torch.Tensor, beta: float) -> torch.Tensor:
        """−log p(x | z) + β KL(q(z | x) ‖ p(z)) at one draw z of q(z | x), in nats: (B, 1, 32, 32) -> (B,)."""
        ### BEGIN SOLUTION
        mu, log_sigma = self.encode(x)
        sigma = log_sigma.exp()
        z = mu + sigma * torch.randn_like(mu)
        reconstruction = tensors.sum_except_batch((x - self.decode(z)) ** 2 + math.log(2 * math.pi)) / 2
        kl = (-log_sigma + sigma**2 / 2 + mu**2 / 2 - 0.5).sum(dim=1)
        return reconstruction + beta * kl
        ### END SOLUTION


# %% [markdown]
# ### Train
#
# Twice, with β = 1 and with a larger β.
#
# *The recipe:* Adam, batches of 64 images, 2,000 steps, a learning rate that rises to 3e-3 and falls again
# (`OneCycleLR`); the gradient's norm may be 50 (`clip=50.0`). The larger β begins at three times its value for 400
# steps; then 1,600 steps follow with β itself, a new optimiser and a new schedule. Half a minute each on two cores.
#
# Why three times? At such a price only the most valuable factor is worth a latent, and the others find theirs
# later, one by one. Without that, one training in twenty ends with two factors rotated into each other. Come back
# later and try other β: at which does the next latent fall silent?

# %%
BETA = 12.0


# %%
def train_beta(beta: float, begin: float | None = None):
    """A function that minimises the mean of model.loss(x, beta) over train_x with `fit`, and returns the History.

    begin: another β for some hundred steps before.
    """

    def train(model: BetaVAE):
        ### BEGIN SOLUTION
        for price, steps in ((begin, 400), (beta, 1600)) if begin else ((beta, 2000),):
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
            history = fit(model, lambda x, price=price: model.loss(x, price).mean(), train_x, optimizer=optimizer,
                          scheduler=schedule, valid=valid_x[:1000], steps=steps, batch_size=64, clip=50.0)  # fmt: skip
        return history
        ### END SOLUTION

    return train


# %%
plain = trained("beta_vae.plain", BetaVAE(), fit=train_beta(1.0))
chosen = trained("beta_vae", BetaVAE(), fit=train_beta(BETA, begin=3 * BETA))

# %% [markdown]
# ### See
#
# What each latent tells of each factor: the mutual information of a draw $z$ of $q(z \mid x)$, in 20 bins, with each
# factor, as a share of the factor's entropy. The **mutual-information gap** of a factor is the difference of its two
# largest shares: one if a single latent tells all of it and no other tells anything. It stands below each column. (Chen
# et al., *Isolating Sources of Disentanglement in Variational Autoencoders*, 2018,
# [arXiv:1802.04942](https://arxiv.org/abs/1802.04942), section 4.) With the recipe and β = 12 the mean of the three
# gaps is 0.6.

# %%
with torch.no_grad():
    codes = {"β = 1": plain.encode(valid_x), f"β = {BETA:g}": chosen.encode(valid_x)}
draws = {title: mu + log_sigma.exp() * torch.randn_like(mu) for title, (mu, log_sigma) in codes.items()}
told = {title: information.shares(z, valid_y) for title, z in draws.items()}
plots.information(told, ("size", "x", "y"))

# %% [markdown]
# Expected:
#
# ![what the latents of both models tell of the three factors](figures/beta_vae_information.png)
#
# And what it costs: the squares of the reconstruction rise as β does, and the KL falls.

# %%
with torch.no_grad():
    for title, model in (("β = 1", plain), (f"β = {BETA:g}", chosen)):
        mu, log_sigma = model.encode(valid_x)
        squares = tensors.sum_except_batch((valid_x - model.decode(mu)) ** 2).mean()
        kl = (-log_sigma + (2 * log_sigma).exp() / 2 + mu**2 / 2 - 0.5).mean(dim=0)
        print(
            f"{title:7s} squares {squares:5.1f} an image, KL {kl.sum():4.1f} nats in {(kl > 0.05).sum()} of 8 latents"
        )

# %% [markdown]
# **Traversals.** One picture's code, and one latent at a time led from −2 to 2, the most informed latents first. With
# β = 1 several things change at once; with a larger β one does, and latents that are not worth their price do nothing.


# %%
def traversals(model: BetaVAE, told: np.ndarray, x: torch.Tensor, rows: int = 5) -> dict:
    """{latent: a row of images} for the latents that tell most, told (latents, factors)."""
    best = told.max(axis=1).argsort()[::-1][:rows]
    with torch.no_grad():
        z = model.encode(x)[0].repeat(rows, 11, 1)  # (rows, 11, latents)
        for row, latent in enumerate(best):
            z[row, :, latent] = torch.linspace(-2, 2, 11)
        images = model.decode(z.flatten(0, 1)).view(rows, 11, 1, 32, 32)
    return {f"latent {latent}": ((images[k] + 1) / 2).clamp(0, 1) for k, latent in enumerate(best)}


# %%
plots.image_rows(traversals(plain, told["β = 1"], valid_x[:1]), title="β = 1")

# %% [markdown]
# Expected:
#
# ![traversals with β = 1](figures/beta_vae_plain.png)

# %%
plots.image_rows(traversals(chosen, told[f"β = {BETA:g}"], valid_x[:1]), title=f"β = {BETA:g}")

# %% [markdown]
# Expected:
#
# ![traversals with the larger β](figures/beta_vae.png)
#
# Both on one spot, to go to and fro between them. Train others and put them into `by_beta`.

# %%
by_beta = {"β = 1": plain, f"β = {BETA:g}": chosen}
plots.slider(
    lambda title: plots.image_rows(traversals(by_beta[title], told[title], valid_x[:1]), title=title), list(by_beta)
)

# %% [markdown]
# *To try:* give the model fully connected networks, or ReLU for SiLU. Are the factors found as well?

# %% [markdown]
# ### Question 3.3
#
# The objective does not say what a latent should mean. Why does a larger $\beta$ bring latents and factors together
# all the same, and what does it cost? And if you put the six kinds of shapes back in (`factors[:, 0]` as drawn), the
# gap of the kind stays small: what is it about a *kind* that one number on a line can hardly say?

# %% [markdown]
# ### BEGIN SOLUTION
# $\beta$ is the price of a nat in the code. With a high price only what helps the reconstruction most is worth a
# latent. The posterior is independent in each latent, so it is cheapest to have one latent for each direction in which
# images change independently, as precise as that direction is worth; a rotated pair of latents would need more nats
# for the same images. The price is a worse reconstruction, since details that are not worth it are left out; and
# nothing guarantees the result, which hangs on the data and the network. Kinds have no order and no distances. On a
# line each has two neighbours only, and a small step must not change the kind, while the decoder is smooth: so the
# kind is spread over several latents, and the two that tell most of it tell about as much.
#
# **Rubric.** *2 points:* the price on information keeps what is worth most, in independent latents, and reconstruction
# pays, **and** a kind has no order (or neighbours) as a line has. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("beta_vae")

# %% [markdown]
# ---
# ## Exercise 3.4 · VQ-VAE and a prior over its codes
#
# **Why.** A code of real numbers with a Gaussian posterior blurs what it says. A VQ-VAE makes the code discrete: the
# encoder gives a vector $z_e$ at each of $8 \times 8$ places, and each is replaced by the nearest of $K$ vectors
# $e_1, \dots, e_K$ of a **codebook**,
#
# $$k = \arg\min_j \lVert z_e - e_j \rVert^2, \qquad z_q = e_k .$$
#
# Two things have no gradient here. The choice $k$ is a step function: for the decoder's sake we pretend that
# $\partial z_q / \partial z_e = 1$, the **straight-through** estimator, $z_e + \mathrm{sg}[z_q - z_e]$, where
# $\mathrm{sg}$ (`detach`) stops gradients. And so the reconstruction never moves the codebook. The codebook gets a loss
# of its own, and the encoder another one, which keeps its vectors near the codes that they chose:
#
# $$\mathcal{L} = \underbrace{\lVert x - \mu_x(z_q) \rVert^2}_{\text{reconstruction}}
#   + \underbrace{\lVert \mathrm{sg}[z_e] - e_k \rVert^2}_{\text{codebook}}
#   + \beta \underbrace{\lVert z_e - \mathrm{sg}[e_k] \rVert^2}_{\text{commitment}} .$$
#
# All three are means over all their entries here: over the batch, the pixels or places, and the channels. Then a
# **prior** over the $8 \times 8$ codes is learned, with a PixelCNN whose pixels are the $K$ codes: it knows which codes
# go together, which the decoder alone does not.
#
# *The papers:* van den Oord, Vinyals and Kavukcuoglu, *Neural Discrete Representation Learning*, 2017
# ([arXiv:1711.00937](https://arxiv.org/abs/1711.00937)); on the straight-through estimator, Bengio, Léonard and
# Courville, 2013 ([arXiv:1308.3432](https://arxiv.org/abs/1308.3432)). *Further reading:* Razavi, van den Oord and
# Vinyals, *Generating Diverse High-Fidelity Images with VQ-VAE-2*, 2019
# ([arXiv:1906.00446](https://arxiv.org/abs/1906.00446)).

# %%
shapes = images.get("shapes32", levels=4)
train_x = torch.as_tensor(2 * shapes.unit(shapes.sample(20_000)) - 1)
valid_x = torch.as_tensor(2 * shapes.unit(shapes.sample(1000, split="validation")) - 1)
plots.images((train_x[:24] + 1) / 2, columns=12)

# %% [markdown]
# ### Write
#
# The quantizer. (In some papers a moving average moves the codebook (EMA). Here its loss does, and the checks
# look at the gradient of that loss: do not use a moving average.)
#
# **Hints** for `VectorQuantizer`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Every place of every image is one vector; lay them all out as the rows of one matrix, and compare each with each code.
# For the gradients, ask of each of the three results: which tensor may it move?
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# `nearest`: rows (B · H · W, D), distances (B · H · W, K), the smallest of each row, and back to (B, H, W). `forward`
# returns $z_q$ in the shape of $z$, and two single numbers. The straight-through $z_q$ moves the encoder, the codebook
# loss moves the codes, the commitment loss moves the encoder.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# $\lVert z - e \rVert^2 = \lVert z \rVert^2 - 2\, z \cdot e + \lVert e \rVert^2$, whose first term is the same for all
# codes, and the middle one is a product of matrices. The channels must be last before rows are laid out (`movedim`).
# The value of $z_e + \mathrm{sg}[z_q - z_e]$ is $z_q$, its gradient that of $z_e$. In each of the two losses one side
# is detached, and $\beta$ is not in here: `VQVAE.loss` applies it.
#
# </details>


# %%
class VectorQuantizer(nn.Module):
    """Nearest vectors of a codebook e, (codes, dims)."""

    def __init__(self, codes: int, dims: int):
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(codes, dims))

    def nearest(self, z: torch.Tensor) -> torch.Tensor:
        """arg min_j ‖z − e_j‖² at every place: (B, dims, H, W) -> int64 (B, H, W)."""
        ### BEGIN SOLUTION
        B, D, H, W = z.shape
        rows = z.movedim(1, -1).reshape(-1, D)  # (B · H · W, D)
        distances = -2 * rows @ self.codebook.T + (self.codebook**2).sum(dim=1)  # without ‖z‖², the same for all j
        return distances.argmin(dim=1).view(B, H, W)
        ### END SOLUTION

    def lookup(self, k: torch.Tensor) -> torch.Tensor:
        """e_k at every place: int64 (B, H, W) -> (B, dims, H, W)."""
        ### BEGIN SOLUTION
        return self.codebook[k].movedim(-1, 1)
        ### END SOLUTION

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """z_q with a straight-through gradient (B, dims, H, W), the codebook and the commitment loss, a number each."""
        ### BEGIN SOLUTION
        e = self.lookup(self.nearest(z))
        return z + (e - z).detach(), F.mse_loss(e, z.detach()), F.mse_loss(z, e.detach())
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# Points in the plane and their nearest codes. The cells of a codebook are those of a Voronoi diagram.

# %%
quantizer = VectorQuantizer(codes=12, dims=2)
plane = torch.cartesian_prod(torch.linspace(-2.5, 2.5, 100), torch.linspace(-2.5, 2.5, 100))
with torch.no_grad():
    cells = quantizer.nearest(plane.T.reshape(1, 2, 100, 100))[0]
plots.code_cells(cells, quantizer.codebook, reach=2.5)

# %% [markdown]
# ### Write
#
# Now the autoencoder around it. Two convolutions with stride 2 lead from 32 to 8 pixels a side, one or two more to
# `dims` channels; the decoder goes back with transposed ones. Call the parts `self.encoder`, `self.quantizer` and
# `self.decoder`: `revive` below looks for the first two.


# %%
class VQVAE(nn.Module):
    """Images of `shape` (C, H, W) as codes on a grid of a quarter of the side."""

    def __init__(self, shape: tuple[int, int, int], codes: int = 64, dims: int = 16, width: int = 32):
        super().__init__()
        ### BEGIN SOLUTION
        C, w = shape[0], width
        self.encoder = nn.Sequential(
            nn.Conv2d(C, w, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(w, w, 4, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(w, w, 3, padding=1), nn.SiLU(), nn.Conv2d(w, dims, 1),
        )  # fmt: skip
        self.quantizer = VectorQuantizer(codes, dims)
        self.decoder = nn.Sequential(
            nn.Conv2d(dims, w, 3, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(w, w, 4, stride=2, padding=1), nn.SiLU(),
            nn.ConvTranspose2d(w, C, 4, stride=2, padding=1),
        )  # fmt: skip
        ### END SOLUTION

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Codes: (B, C, H, W) -> int64 (B, H / 4, W / 4)."""
        ### BEGIN SOLUTION
        return self.quantizer.nearest(self.encoder(x))
        ### END SOLUTION

    def decode(self, k: torch.Tensor) -> torch.Tensor:
        """μ_x of codes: int64 (B, H / 4, W / 4) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        return self.decoder(self.quantizer.lookup(k))
        ### END SOLUTION

    def losses(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruction, codebook and commitment loss, each a mean over all its entries."""
        ### BEGIN SOLUTION
        z_q, codebook, commitment = self.quantizer(self.encoder(x))
        return F.mse_loss(self.decoder(z_q), x), codebook, commitment
        ### END SOLUTION

    def loss(self, x: torch.Tensor, beta: float = 0.25) -> torch.Tensor:
        """reconstruction + codebook + β · commitment: one number."""
        ### BEGIN SOLUTION
        reconstruction, codebook, commitment = self.losses(x)
        return reconstruction + codebook + beta * commitment
        ### END SOLUTION


# %% [markdown]
# ### Train
#
# With $\beta = 0.25$. A code that is never the nearest never moves, and is never the nearest again. So
# begin with codes where the encoder's vectors are, and after a while put those that nobody uses there once more.
#
# *The recipe:* four stages, of 50, 50, 100 and 2,000 steps. Each begins with `revive(model, train_x[:500])` and a new
# Adam with learning rate 5e-3, which falls to zero as a cosine (`CosineAnnealingLR`). Batches of 64 images. About a
# minute on two cores. How to keep codes in use is up to you: what counts is that most of them are used in the end.


# %%
@torch.no_grad()
def revive(model: VQVAE, x: torch.Tensor) -> None:
    """Put every code that no place of the images x uses onto some vector of the encoder."""
    z = model.encoder(x).movedim(1, -1).flatten(0, 2)  # (B · H · W, dims)
    codes = model.quantizer.codebook
    unused = torch.bincount(model.encode(x).flatten(), minlength=len(codes)) == 0
    codes[unused] = z[torch.randperm(len(z))[: int(unused.sum())]]


def train_vqvae(model: VQVAE):
    """Minimise model.loss over train_x with `fit`, in a few stages; returns the History of the last."""
    ### BEGIN SOLUTION
    for steps in (50, 50, 100, 2000):
        revive(model, train_x[:500])
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        history = fit(model, model.loss, train_x, optimizer=optimizer, scheduler=schedule, valid=valid_x, steps=steps,
                      batch_size=64)  # fmt: skip
    return history
    ### END SOLUTION


# %%
vqvae = trained("vqvae", VQVAE(shapes.shape), fit=train_vqvae)
plots.history(training.history("vqvae"), unit="mean squares")

# %% [markdown]
# Expected:
#
# ![training and validation loss of the VQ-VAE](figures/vqvae_losses.png)
#
# It is the sum of three terms. What is graded is the first, on held-out images: 0.014 with the recipe.

# %% [markdown]
# ### See
#
# Originals, reconstructions, and the codes between them. How many of the 64 codes are in use, and how evenly? The
# **perplexity** is $2^H$, with $H$ the entropy of their frequencies in bits: so many codes, used evenly, would say as
# much.

# %%
with torch.no_grad():
    codes = vqvae.encode(valid_x)
    rebuilt = vqvae.decode(codes[:12])
p = torch.bincount(codes.flatten(), minlength=64) / codes.numel()
entropy = -(p * p.clamp(min=1e-12).log2()).sum()
print(f"{(p > 0).sum()} of 64 codes are used, perplexity {2**entropy:.1f}")
plots.code_maps((valid_x[:12] + 1) / 2, codes[:12], ((rebuilt + 1) / 2).clamp(0, 1), size=64)

# %% [markdown]
# Expected:
#
# ![originals, maps of their codes, and reconstructions](figures/vqvae_codes.png)
#
# ### Write
#
# **The prior.** $\log p(k) = \sum_i \log p(k_i \mid k_{1:i-1})$ over the 64 places in raster order: a PixelCNN on
# one-hot codes. Mask A in its first layer hides the centre of the kernel, mask B in the others shows it. The checks of
# the prior and those of the autoencoder do not wait for each other: `check("vqvae", only="prior")`.
#
# A first layer with kernel 7 and six with kernel 3, 64 channels wide, are enough; each of the six is added to what it
# reads, as in Exercise 1.3.


# %%
class MaskedConv2d(nn.Conv2d):
    """A convolution whose kernel is zero below and right of its centre; kind "A" hides the centre too, "B" shows it."""

    def __init__(self, kind: str, in_channels: int, out_channels: int, kernel_size: int):
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        ### BEGIN SOLUTION
        mask = torch.zeros(kernel_size**2)
        mask[: kernel_size**2 // 2 + (kind == "B")] = 1
        self.register_buffer("mask", mask.view(kernel_size, kernel_size))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        ### BEGIN SOLUTION
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)
        ### END SOLUTION


# %%
class CodePrior(nn.Module):
    """log p(k) = Σ_i log softmax(logits_i)[k_i] over the places of a grid of `size` (H, W), each one of `codes`."""

    def __init__(self, size: tuple[int, int], codes: int, width: int = 64, depth: int = 6):
        super().__init__()
        self.size, self.codes = size, codes
        ### BEGIN SOLUTION
        self.first = MaskedConv2d("A", codes, width, 7)
        self.blocks = nn.ModuleList(MaskedConv2d("B", width, width, 3) for _ in range(depth))
        self.head = nn.Conv2d(width, codes, 1)
        ### END SOLUTION

    def logits(self, k: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p(k_i | k_{1:i−1}): int64 (B, H, W) -> (B, H, W, codes)."""
        ### BEGIN SOLUTION
        h = self.first(F.one_hot(k, self.codes).float().movedim(-1, 1))
        for block in self.blocks:
            h = h + block(F.relu(h))
        return self.head(F.relu(h)).movedim(1, -1)
        ### END SOLUTION

    def log_prob(self, k: torch.Tensor) -> torch.Tensor:
        """log p(k) in nats: int64 (B, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(k), dim=-1)
        return tensors.sum_except_batch(log_p.gather(-1, k[..., None]))
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, H, W), place by place in raster order."""
        ### BEGIN SOLUTION
        H, W = self.size
        k = torch.zeros(n, H, W, dtype=torch.long)
        for i in range(H):
            for j in range(W):
                p = self.logits(k)[:, i, j].softmax(dim=-1)
                k[:, i, j] = torch.multinomial(p, 1).squeeze(-1)
        return k
        ### END SOLUTION


# %% [markdown]
# ### Train
#
# The codes of all images are made once, by the autoencoder as it is now; the prior learns nothing but these.
#
# *The recipe:* Adam, batches of 64 grids, 1,200 steps, a learning rate that rises to 4e-3 and falls again
# (`OneCycleLR`). A minute and a half on two cores.

# %%
with torch.no_grad():
    train_codes, valid_codes = (torch.cat([vqvae.encode(part) for part in x.split(1000)]) for x in (train_x, valid_x))


def train_prior(model: CodePrior):
    """Minimise 𝓛 = −mean log p(k) over train_codes with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 1200
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    return fit(model, lambda k: -model.log_prob(k).mean(), train_codes, optimizer=optimizer, scheduler=schedule,
               valid=valid_codes, steps=steps, batch_size=64)  # fmt: skip
    ### END SOLUTION


# %%
aim = training.reference("vqvae.prior", dims=64)  # nats an image
prior = trained("vqvae.prior", CodePrior((8, 8), codes=64), fit=train_prior, aim=aim)
with torch.no_grad():
    bits = tensors.bits_per_dim(-prior.log_prob(valid_codes).mean(), dims=64)
print(f"{bits:.2f} bits a code; codes drawn evenly {math.log2(64):.0f}, with their own frequencies {entropy:.2f}")
plots.history(training.history("vqvae.prior"), unit="nats an image")

# %% [markdown]
# Expected:
#
# ![training and validation loss of the prior, and the loss to aim at](figures/vqvae_prior_losses.png)

# %% [markdown]
# ### See
#
# What the prior is for: codes drawn evenly, codes drawn independently with their right frequencies, and codes
# of the prior, all through the same decoder.

# %%
sampled_codes = drawn("vqvae.prior", lambda: prior.sample(56))
even = torch.randint(64, (12, 8, 8))
frequent = torch.multinomial(p, 12 * 64, replacement=True).view(12, 8, 8)
with torch.no_grad():
    rows = {
        name: ((vqvae.decode(k) + 1) / 2).clamp(0, 1)
        for name, k in {
            "even": even,
            "frequencies": frequent,
            "prior": sampled_codes[:12],
            "": sampled_codes[12:24],
        }.items()
    }
plots.image_rows(rows)

# %% [markdown]
# Expected:
#
# ![decoded codes: even, with the right frequencies, and of the prior](figures/vqvae_samples.png)

# %% [markdown]
# ### Question 3.4
#
# An image here is 64 codes of at most 6 bits. How many bits would an ideal code need (`shapes.entropy` is in nats),
# and where do the others go?

# %% [markdown]
# ### BEGIN SOLUTION
# The codes have $64 \cdot 6 = 384$ bits at most; the entropy of the shapes is 12.19 nats, $12.19 / \log 2 = 17.6$
# bits, which is $\log_2 (24{,}576 \cdot 8)$. The others are redundancy. Codes are not used equally often (the
# background's come again and again), and above all they depend on each other: where a shape lies, how large it is and
# which colour it has is said anew by each of its patches, because the quantizer looks at each place alone. The prior
# knows these dependences: its bits a code, times 64, are far fewer than 384. Some are also spent on details that do
# not matter.
#
# **Rubric.** *2 points:* 384 against 17.6 bits, **and** that the codes are dependent (and used unequally), which the
# prior takes up. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("vqvae")

# %% [markdown]
# ---
# ## Go bigger (optional)
#
# Nothing here is graded. Your VQ-VAE and its prior on photographs: CIFAR-10, 45,000 images for training. Set
# `GO_BIGGER = True` on a machine with a GPU, and run the cell; the first time it downloads 170 MB.
#
# | | |
# |---|---|
# | model | `VQVAE` with 512 codes of 64 numbers, width 128; `CodePrior` with width 256 and depth 12 |
# | recipe | stages of 100, 100, 300 and 20,000 steps, each after `revive`; Adam, rate 1e-3, cosine, batches of 128 |
# | of the prior | Adam, 20,000 steps on batches of 128, `OneCycleLR` with `max_lr=1e-3` |
# | time | about 10 minutes for the autoencoder and 50 for the prior on a T4 (as on Colab), 5 and 15 on an A100 |
# | memory | 3 GB |
#
# Time and memory are *estimates* from what a step takes, 40 GFLOP for the autoencoder and 560 for the prior; nobody has
# run it. Expect reconstructions that are good, if a little soft, and samples with the colours and textures of
# photographs, but seldom an object: a prior of this size is the weak part.
#
# Within `with torch.device(…):` every new tensor and every new layer is made on the GPU, also inside your methods.
# The weights are kept in `artifacts/bigger.…`, which are not handed in.

# %%
GO_BIGGER = False
STAGES = (100, 100, 300, 20_000)

if GO_BIGGER and not training.session.grading:
    from IPython.display import display

    with torch.device(training.device()):
        cifar = images.get("cifar10", levels=256)
        photos, held_out = cifar.sample(45_000), cifar.sample(1000, split="validation")
        photos, held_out = (torch.as_tensor(2 * cifar.unit(x) - 1) for x in (photos, held_out))
        big, big_prior = VQVAE(cifar.shape, codes=512, dims=64, width=128), CodePrior((8, 8), 512, width=256, depth=12)

        def train_big(model: VQVAE):
            for stage in STAGES:
                revive(model, photos[:500])
                optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
                falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, stage)
                settings = dict(optimizer=optimizer, scheduler=falling, steps=stage, batch_size=128)
                history = fit(model, model.loss, photos, valid=held_out, **settings)
            return history

        trained("bigger.vqvae", big, fit=train_big)
        with torch.no_grad():
            photo_codes = torch.cat([big.encode(part) for part in photos.split(1000)])
            held_out_codes = big.encode(held_out)

        def train_big_prior(model: CodePrior):
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            rising = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=STAGES[-1])
            settings = dict(optimizer=optimizer, scheduler=rising, steps=STAGES[-1], batch_size=128)
            return fit(model, lambda k: -model.log_prob(k).mean(), photo_codes, valid=held_out_codes, **settings)

        trained("bigger.vqvae.prior", big_prior, fit=train_big_prior)
        with torch.no_grad():
            rows = {"images": held_out[:12], "rebuilt": big.decode(held_out_codes[:12])}
            rows["samples"] = big.decode(big_prior.sample(12))
        display(plots.image_rows({name: ((x.cpu() + 1) / 2).clamp(0, 1) for name, x in rows.items()}))
