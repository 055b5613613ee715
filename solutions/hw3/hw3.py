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
# *check*. You write the code where it says `NotImplementedError`. `check("…")` runs the very checks that
# grade you, as often as you like; at grading time only the seeds and the held-out data are new. Where the entropy of
# the data is known we call it **the limit**: no model has a smaller loss.

# %%
import math

from deepul_utils import check, fit, images, plots, seed_everything, tensors, toy, trained, training

import torch
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
# **Reconstruction**, in each dimension of $x$ (Eq. 4):
#
# $$-\log p_\theta(x \mid z) \;=\; \tfrac12 \log 2\pi + \log \sigma_x + \frac{(x - \mu_x)^2}{2 \sigma_x^2}.$$
#
# **KL**, in each dimension of $z$ (Eq. 5). The two $\tfrac12 \log 2\pi$ cancel:
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

# %%
axis, rotated, moons = toy.get("axis_gaussian"), toy.get("rotated_gaussian"), toy.get("moons")
plots.gallery(["axis_gaussian", "rotated_gaussian", "moons"])

# %% [markdown]
# **Write** the two terms first. All is summed over the dimensions, one number an example, in nats.


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
# whose mean is $-\mathrm{ELBO}$ at $K = 1$, never rises with $K$, and tends to $-\log p_\theta(x)$. The mean stands
# *inside* the logarithm: `torch.logsumexp`.


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
# **Look** before you train. The closed form of the KL must agree with a mean of $\log q - \log p$ over many draws, and
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
# **Train** with the sum of both terms (a few seconds each). On `moons` begin with a *warm-up*: for the first part of
# the training the KL counts `0.1` times. You will see below what happens without.


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
vae_axis = trained("vae2d.axis", VAE2d(), fit=train_vae2d(axis))
vae_rotated = trained("vae2d.rotated", VAE2d(), fit=train_vae2d(rotated))
vae_moons = trained("vae2d.moons", VAE2d(), fit=train_vae2d(moons, warm_up=1500, steps=3000))
vae_cold = trained("vae2d.moons_cold", VAE2d(), fit=train_vae2d(moons))
plots.history(training.history("vae2d.moons"), limit=moons.entropy)

# %% [markdown]
# **See** the two terms of the loss apart: what the code costs (KL), and what is left to say once the code is known.


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
# **See** samples, without and with the decoder's noise. For Gaussian data the difference is easy to say: the covariance
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
# *A question to think about:* why are the samples without noise on `rotated` all on a line, and on `axis` a point?

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
# *half* the squared error, *summed* over the pixels, and a constant. "MSE loss" often stands for the mean over the
# pixels; beside the KL that is a thousand times too little, and the code is not used at all. Pixels are in $[-1, 1]$
# here: with variance one, that is what says how exact a reconstruction has to be.

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
# **Write** the model. Three convolutions with stride 2 lead from 32 to 16, 8 and 4 pixels a side.


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
# **Look** before you train: what does the best constant image cost, with no code at all? Training has to beat it by
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
# **Train** it with the mean of the sum (less than a minute).


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
vae32 = trained("vae32", VAE32(glyphs.shape), fit=train_vae32)
plots.history(training.history("vae32"), baseline=float(mean_image), unit="nats an image")

# %% [markdown]
# **See** what the code keeps: originals, their reconstructions, and samples of the prior. Nothing in the loss asks for
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
# *A question to think about:* a straight line between two images themselves would show one fading over the other. What
# happens here instead, and where does it go wrong?

# %%
check("vae32")
