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
# # Homework 2 · Flow models
#
# A flow is an invertible function $z = f_\theta(x)$ from the data to a space where the distribution is one we
# know: the unit square, or a standard normal. It gives an exact likelihood, a sampler (draw $z$, go back), and
# a latent code for every $x$, all with one set of weights.
#
# **How this notebook works.** As in homework 1: *why*, *write*, *look*, *train*, *see*, *check*. You write the
# code where it says `NotImplementedError`; `check("…")` runs the very checks that grade you, as often as you
# like. Every data set has a known density, so losses are reported in *nats above the limit*, its entropy.
#
# All flows here speak the same few verbs. With $B$ examples of $D$ numbers,
#
# | verb | gives |
# |---|---|
# | `forward(x)` | `(z, log_det)`: (B, D), and (B,) with $\log\lvert\det \partial z/\partial x\rvert$ of each example |
# | `inverse(z)` | `x`, (B, D) |
# | `log_prob(x)` | (B,), in nats |
# | `sample(n)` | `x`, (n, D) |

# %%
from deepul_utils import check, fit, plots, seed_everything, toy, trained, training

import math

import numpy as np
import torch
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise 2.1 · A flow in one dimension: the CDF
#
# **Why.** Push a distribution through its own CDF, and what comes out is flat. Here is a histogram of 20,000
# draws $x$ (below), the CDF that they go through (middle), and the histogram of $z = \mathrm{CDF}(x)$ (left).

# %%
skewed = toy.get("skewed")
x = np.sort(skewed.sample(20_000, seed=0), axis=0)
z = skewed.bin_mass([np.append(-np.inf, x)]).cumsum()  # the mass between neighbours, added up from the left
plots.pushed_through(x, z, xlabel="$x$", zlabel="$z = \\mathrm{CDF}(x)$")

# %% [markdown]
# **The change of variables.** Look at one thin bar of the histogram, from $x$ to $x + dx$. All of its points land
# between $z$ and $z + dz$, and nothing else does: the two bars hold the *same mass*,
#
# $$p(x)\,dx \;=\; p_z(z)\,dz \qquad\Longrightarrow\qquad
#   \log p(x) \;=\; \log p_z(f(x)) + \log\left\lvert\frac{dz}{dx}\right\rvert .$$
#
# Where the curve is steep, a thin bar is spread over a wide one: $p(x)$ is large. That is all. In $D$ dimensions the
# bar is a little box, and its volume changes by the determinant of the Jacobian,
#
# $$\log p(x) \;=\; \log p_z(f(x)) + \log\left\lvert\det\frac{\partial z}{\partial x}\right\rvert .$$
#
# **Your first flow** turns this round: take a CDF with parameters, and fit them until the latents are flat. A mixture
# of $K$ Gaussians has the CDF
#
# $$z \;=\; \sum_{k=1}^{K} \pi_k\,\Phi\left(\frac{x-\mu_k}{\sigma_k}\right), \qquad z \sim U[0, 1], \qquad
#   \frac{dz}{dx} \;=\; \sum_{k=1}^{K} \pi_k\,\mathcal N\left(x;\,\mu_k, \sigma_k^2\right) ,$$
#
# and $\log p_z(z) = 0$ on $[0, 1]$, so its log-likelihood is `log_det` alone.
#
# **Write** it. Two hints. The logarithm of a sum of tiny densities is the business of `torch.logsumexp`. And a
# mixture's CDF has no inverse in closed form, but it rises: *bisection* keeps a bracket around the answer and halves it
# until float32 can tell its ends no more apart. Start the bracket where no component has any mass left, for example
# $12\,\sigma_k$ beyond every $\mu_k$.


# %%
class CDFFlow(nn.Module):
    """z = CDF(x) = Σ_k π_k Φ((x − μ_k) / σ_k) with z ~ U[0, 1], so that p(x) = dz/dx = Σ_k π_k N(x; μ_k, σ_k²)."""

    def __init__(self, components: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.pi_logits = nn.Parameter(torch.zeros(components))
        self.mu = nn.Parameter(torch.linspace(-3, 3, components))
        self.log_sigma = nn.Parameter(torch.zeros(components))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z = CDF(x) and log dz/dx: (B, 1) -> (B, 1), (B,)."""
        ### BEGIN SOLUTION
        log_pi = self.pi_logits.log_softmax(dim=0)
        t = (x - self.mu) / self.log_sigma.exp()  # (B, K)
        z = (log_pi.exp() * torch.special.ndtr(t)).sum(dim=1, keepdim=True)
        log_normal = -0.5 * t**2 - self.log_sigma - 0.5 * math.log(2 * math.pi)
        return z, torch.logsumexp(log_pi + log_normal, dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """x with CDF(x) = z, by bisection: (B, 1) in [0, 1] -> (B, 1)."""
        ### BEGIN SOLUTION
        reach = 12 * self.log_sigma.exp()
        low = torch.zeros_like(z) + (self.mu - reach).min()
        high = torch.zeros_like(z) + (self.mu + reach).max()
        for _ in range(50):
            middle = (low + high) / 2
            too_low = self(middle)[0] < z
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        return (low + high) / 2
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) = log U(z) + log dz/dx in nats: (B, 1) -> (B,)."""
        ### BEGIN SOLUTION
        return self(x)[1]
        ### END SOLUTION

    def sample(self, n: int) -> torch.Tensor:
        """n draws, (n, 1): z from the uniform distribution, then back."""
        ### BEGIN SOLUTION
        return self.inverse(torch.rand(n, 1))
        ### END SOLUTION


# %% [markdown]
# **Look** before you train. An untrained mixture is a CDF already, only not that of the data: the latents are not flat.
# Where is their histogram too high, and what does that say about the density there?

# %%
untrained = CDFFlow(components=5)
with torch.no_grad():
    z, log_det = untrained(torch.as_tensor(x))
plots.pushed_through(x, z, xlabel="$x$ (data)", zlabel="$z = f(x)$, untrained")

# %% [markdown]
# **Train** with maximum likelihood: $\mathcal J = -\frac1B \sum_b \log p(x^{(b)})$. `fit` is the loop of homework 1;
# you give it the loss and the optimiser.


# %%
def train_cdf_flow(model: CDFFlow):
    """Minimise −mean log p(x) over samples of `skewed` with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 1500
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    return fit(
        model,
        lambda x: -model.log_prob(x).mean(),
        skewed.sample(100_000, seed=0),
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        valid=skewed.sample(50_000, seed=0, split="validation"),
        steps=steps,
        batch_size=1024,
    )
    ### END SOLUTION


# %%
cdf_flow = trained("cdf_flow", CDFFlow(components=5), fit=train_cdf_flow)
plots.history(training.history("cdf_flow"), limit=skewed.entropy)

# %% [markdown]
# **See** the density that you learned over the true one, with your samples, and the latents of data that the model has
# never seen: flat at last.

# %%
plots.density_1d(skewed, cdf_flow.log_prob, cdf_flow.sample(20_000))

# %% [markdown]
# Expected:
#
# ![learned density, true density and samples of the CDF flow](figures/cdf_flow.png)

# %%
x = skewed.sample(20_000, seed=0, split="validation")
with torch.no_grad():
    z, log_det = cdf_flow(torch.as_tensor(x))
plots.pushed_through(x, z, xlabel="$x$ (data)", zlabel="$z = f(x)$, trained")

# %% [markdown]
# *A question to think about:* this flow is a mixture of Gaussians, fitted by maximum likelihood; we only *called* it a
# flow. What would you have to change to get a flow that is no mixture of anything? (Any rising function from
# $\mathbb R$ onto $[0, 1]$ will do.)

# %%
check("cdf_flow")

# %% [markdown]
# ---
# ## Exercise 2.2 · An autoregressive flow
#
# **Why.** In two dimensions, use the same idea twice. First $x_1$ goes through the CDF of its mixture. Then $x_2$ goes
# through the CDF of *its* mixture, whose parameters come out of a network that sees $x_1$:
#
# $$z_1 = \mathrm{CDF}(x_1), \qquad
#   z_2 = \sum_{k=1}^{K} \pi_k(x_1)\,\Phi\left(\frac{x_2-\mu_k(x_1)}{\sigma_k(x_1)}\right), \qquad
#   (\pi, \mu, \sigma)(x_1) = \mathrm{MLP}(x_1) .$$
#
# Because $z_1$ does not see $x_2$, the Jacobian is triangular, and its determinant is the product of its diagonal:
#
# $$\frac{\partial z}{\partial x} = \begin{bmatrix} \dfrac{\partial z_1}{\partial x_1} & 0 \\[2ex]
#   \dfrac{\partial z_2}{\partial x_1} & \dfrac{\partial z_2}{\partial x_2} \end{bmatrix}, \qquad
#   \log\left\lvert\det\frac{\partial z}{\partial x}\right\rvert
#   = \log \frac{\partial z_1}{\partial x_1} + \log \frac{\partial z_2}{\partial x_2}
#   = \log p(x_1) + \log p(x_2 \mid x_1) .$$
#
# The chain rule of probability again. The awkward entry below the diagonal is never needed: that is the whole trick of
# fast flows.

# %%
smiley, moons = toy.get("smiley"), toy.get("moons")
plots.distribution(smiley)

# %% [markdown]
# **Write** a CDF whose parameters differ from example to example, and its inverse. (Exercise 2.1 has all the pieces.)


# %%
def mixture_cdf(x, pi_logits, mu, log_sigma) -> tuple[torch.Tensor, torch.Tensor]:
    """z = Σ_k π_k Φ((x − μ_k) / σ_k) and log dz/dx; every x has parameters of its own.

    x: (B,). pi_logits, mu, log_sigma: (B, K). Returns z (B,), log dz/dx (B,).
    """
    ### BEGIN SOLUTION
    log_pi = pi_logits.log_softmax(dim=1)
    t = (x[:, None] - mu) / log_sigma.exp()  # (B, K)
    z = (log_pi.exp() * torch.special.ndtr(t)).sum(dim=1)
    log_normal = -0.5 * t**2 - log_sigma - 0.5 * math.log(2 * math.pi)
    return z, torch.logsumexp(log_pi + log_normal, dim=1)
    ### END SOLUTION


@torch.no_grad()
def inverse_mixture_cdf(z, pi_logits, mu, log_sigma) -> torch.Tensor:
    """x with mixture_cdf(x, …) = z, by bisection: z (B,), parameters (B, K) -> (B,)."""
    ### BEGIN SOLUTION
    low = (mu - 12 * log_sigma.exp()).amin(dim=1)
    high = (mu + 12 * log_sigma.exp()).amax(dim=1)
    for _ in range(50):
        middle = (low + high) / 2
        too_low = mixture_cdf(middle, pi_logits, mu, log_sigma)[0] < z
        low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
    return (low + high) / 2
    ### END SOLUTION


# %% [markdown]
# Now the flow. The $3K$ parameters of the first mixture are plain `nn.Parameter`s, the $3K$ of the second the output of
# a small network. Start the means apart from each other, spread over $[-3, 3]$: components that start alike stay alike.


# %%
class ARFlow(nn.Module):
    """z_1 = CDF(x_1),  z_2 = CDF(x_2; π(x_1), μ(x_1), σ(x_1)),  z ~ U[0, 1]²; each CDF of a mixture of `components`."""

    def __init__(self, components: int = 5, hidden: int = 64):
        super().__init__()
        ### BEGIN SOLUTION
        start = torch.cat([torch.zeros(components), torch.linspace(-3, 3, components), torch.zeros(components)])
        self.first = nn.Parameter(start.clone())  # π logits, μ, log σ of x_1
        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 3 * components)
        )
        self.start = nn.Parameter(start.clone())  # the same of x_2, before the network adds to it
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and log|det ∂z/∂x| = log ∂z_1/∂x_1 + log ∂z_2/∂x_2: (B, 2) -> (B, 2), (B,)."""
        ### BEGIN SOLUTION
        of_x1 = self.first.expand(len(x), -1)
        of_x2 = self.start + self.net(x[:, :1])  # (B, 3K)
        z1, log_slope1 = mixture_cdf(x[:, 0], *of_x1.chunk(3, dim=1))
        z2, log_slope2 = mixture_cdf(x[:, 1], *of_x2.chunk(3, dim=1))
        return torch.stack([z1, z2], dim=1), log_slope1 + log_slope2
        ### END SOLUTION

    @torch.no_grad()
    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """x_1 from z_1, then x_2 from z_2 given x_1: (B, 2) in [0, 1]² -> (B, 2)."""
        ### BEGIN SOLUTION
        of_x1 = self.first.expand(len(z), -1)
        x1 = inverse_mixture_cdf(z[:, 0], *of_x1.chunk(3, dim=1))
        of_x2 = self.start + self.net(x1[:, None])
        x2 = inverse_mixture_cdf(z[:, 1], *of_x2.chunk(3, dim=1))
        return torch.stack([x1, x2], dim=1)
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) = log U(z) + log|det ∂z/∂x| in nats: (B, 2) -> (B,)."""
        ### BEGIN SOLUTION
        return self(x)[1]
        ### END SOLUTION

    def sample(self, n: int) -> torch.Tensor:
        """n draws, (n, 2)."""
        ### BEGIN SOLUTION
        return self.inverse(torch.rand(n, 2))
        ### END SOLUTION


# %% [markdown]
# **Look.** Autograd knows the true Jacobian. Its upper right corner must be empty, and `log_det` must be the logarithm
# of its determinant at every point.

# %%
flow = ARFlow(components=3)
x = torch.as_tensor(moons.sample(64, seed=0))
jacobian = torch.stack([torch.func.jacrev(lambda point: flow(point[None])[0][0])(point) for point in x])
error = (flow(x)[1] - torch.linalg.slogdet(jacobian).logabsdet).abs().max().item()
plots.matrix(jacobian.abs().amax(dim=0) > 0, xlabel="$x$", ylabel="$z$", title=f"∂z/∂x; log_det is off by {error:.0e}")

# %% [markdown]
# **Train** with $\mathcal J = -\frac1B \sum_b \left(\log p(x_1^{(b)}) + \log p(x_2^{(b)} \mid x_1^{(b)})\right)$. The
# conditionals change abruptly with $x_1$ (think of the edge of an eye), so give the network a learning rate that rises
# first, to a large value, and then falls to zero, and batches of a thousand.


# %%
def train_ar_flow(data):
    """A function that trains an ARFlow on samples of `data` with `fit`, and returns the History."""

    def train(model: ARFlow):
        ### BEGIN SOLUTION
        steps = 3500
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        return fit(
            model,
            lambda x: -model.log_prob(x).mean(),
            data.sample(500_000, seed=0),
            optimizer=optimizer,
            scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-2, total_steps=steps),
            valid=data.sample(10_000, seed=0, split="validation"),
            steps=steps,
            batch_size=1024,
        )
        ### END SOLUTION

    return train


# %%
ar_smiley = trained("ar_flow.smiley", ARFlow(components=5), fit=train_ar_flow(smiley))
ar_moons = trained("ar_flow.moons", ARFlow(components=5), fit=train_ar_flow(moons))
plots.history(training.history("ar_flow.smiley"), limit=smiley.entropy)

# %% [markdown]
# **See** the true density, yours, and your samples.

# %%
plots.density_2d(smiley, ar_smiley.log_prob, ar_smiley.sample(4000))

# %% [markdown]
# Expected:
#
# ![true density, learned density and samples of the autoregressive flow on the smiley](figures/ar_flow_smiley.png)

# %%
plots.density_2d(moons, ar_moons.log_prob, ar_moons.sample(4000))

# %% [markdown]
# Expected:
#
# ![true density, learned density and samples of the autoregressive flow on the moons](figures/ar_flow_moons.png)
#
# And the latent space. Every point keeps its colour; the straight grid on the left is carried along by the flow. Where
# there are no data, the grid is squeezed to nothing, so that the data fill the square evenly.

# %%
plots.latent_space(ar_moons, moons.sample(4000, seed=0, split="validation"))

# %% [markdown]
# Expected:
#
# ![latent space of the autoregressive flow on the moons](figures/ar_flow_latents.png)
#
# *A question to think about:* the vertical lines of the grid stay straight, the horizontal ones do not. Why? And which
# of the two data sets would be easier with $x_2$ first?

# %%
check("ar_flow")

# %% [markdown]
# ---
# ## Exercise 2.3 · RealNVP
#
# **Why.** The autoregressive flow inverts by bisection, one dimension after the other: with 3,072 of them that takes
# a while. RealNVP is built from layers that are as quick backwards as forwards. An *affine coupling* leaves one half of
# $x$ alone, and scales and shifts the other by amounts that depend on the first half:
#
# $$z_1 = x_1, \qquad z_2 = x_2 \exp\left(\log\sigma(x_1)\right) + \mu(x_1), \qquad
#   \log\sigma(x_1) = \mathrm{scale}\cdot\tanh\left(s(x_1)\right) + \mathrm{shift} .$$
#
# To go back, subtract and divide: $\mu$ and $\sigma$ are known, because $x_1 = z_1$ is. The network that computes
# $s$ and $\mu$ is never inverted, so it may be anything. The Jacobian is triangular again,
#
# $$\frac{\partial z}{\partial x} = \begin{bmatrix} 1 & 0 \\[1ex]
#   x_2\, e^{\log\sigma(x_1)}\,(\log\sigma)'(x_1) + \mu'(x_1) & e^{\log\sigma(x_1)} \end{bmatrix}, \qquad
#   \log\left\lvert\det\frac{\partial z}{\partial x}\right\rvert = \log\sigma(x_1) ,$$
#
# and once more the entry below the diagonal does not matter. (Texts often forget its first term. It changes nothing.)
#
# One coupling leaves $x_1$ as it was, so we **compose** six of them, which take turns at what they keep. Determinants
# multiply, $\det(AB) = \det A\,\det B$, so log-determinants add:
#
# $$\log p(x) = \log \mathcal N(z;\, 0, I) + \sum_{\text{couplings}} \log\sigma .$$

# %%
smiley, moons = toy.get("smiley"), toy.get("moons")
plots.distribution(moons)

# %% [markdown]
# **Write** one coupling. `keep` says which of the two dimensions stays. The tanh keeps $\log\sigma$ between two bounds:
# without it, a single point far out can make $e^{\log\sigma}$ overflow in the middle of training. `scale` and `shift`
# are parameters, one number each.


# %%
class AffineCoupling(nn.Module):
    """z_keep = x_keep;  z_other = x_other · exp(log σ) + μ, with log σ = scale · tanh(s(x_keep)) + shift.

    keep: 0 or 1, the dimension that stays. s and μ are the two outputs of one MLP of x_keep.
    """

    def __init__(self, keep: int, hidden: int = 64):
        super().__init__()
        self.keep = keep
        ### BEGIN SOLUTION
        self.register_buffer("frequency", 0.12 * torch.arange(1, 7))
        self.net = nn.Sequential(
            nn.Linear(1 + 2 * 6, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )
        nn.init.zeros_(self.net[-1].weight)  # every coupling starts as the identity
        nn.init.zeros_(self.net[-1].bias)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.shift = nn.Parameter(torch.tensor(0.0))
        ### END SOLUTION

    def log_sigma_and_mu(self, kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """log σ and μ of the other half, out of the half that is kept: (B, 1) -> (B, 1), (B, 1)."""
        ### BEGIN SOLUTION
        t = kept * self.frequency  # (B, 6)
        s, mu = self.net(torch.cat([kept, t.sin(), t.cos()], dim=1)).chunk(2, dim=1)
        return self.scale * torch.tanh(s) + self.shift, mu
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and log|det ∂z/∂x| = log σ: (B, 2) -> (B, 2), (B,)."""
        ### BEGIN SOLUTION
        kept, other = x[:, [self.keep]], x[:, [1 - self.keep]]
        log_sigma, mu = self.log_sigma_and_mu(kept)
        return self.joined(kept, other * log_sigma.exp() + mu), log_sigma.squeeze(1)
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """x_other = (z_other − μ) · exp(−log σ): (B, 2) -> (B, 2)."""
        ### BEGIN SOLUTION
        kept, other = z[:, [self.keep]], z[:, [1 - self.keep]]
        log_sigma, mu = self.log_sigma_and_mu(kept)
        return self.joined(kept, (other - mu) * (-log_sigma).exp())
        ### END SOLUTION

    def joined(self, kept: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Both halves in their places: (B, 1), (B, 1) -> (B, 2)."""
        return torch.cat([kept, other] if self.keep == 0 else [other, kept], dim=1)


# %% [markdown]
# Now the composition. `nn.ModuleList` keeps the couplings; on the way back they are undone in reverse order.
#
# Two things help the training, and you may do without them. Stretch the plane by a constant before the first coupling,
# so that there is room to move things about (a stretch by $c$ has the log-determinant $2 \log c$). And let the MLP see
# $x_1$ together with a few slow waves, $\sin(kx_1)$ and $\cos(kx_1)$: functions with steps are easier to make of them.


# %%
class RealNVP(nn.Module):
    """z = f_n ∘ … ∘ f_1 (x) with z ~ N(0, I); couplings that keep x_1 and x_2 in turns."""

    def __init__(self, couplings: int = 6, hidden: int = 64):
        super().__init__()
        ### BEGIN SOLUTION
        self.stretch = 3.0
        self.couplings = nn.ModuleList(AffineCoupling((i + 1) % 2, hidden) for i in range(couplings))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and log|det ∂z/∂x|, the sum over the couplings: (B, 2) -> (B, 2), (B,)."""
        ### BEGIN SOLUTION
        z, log_det = x * self.stretch, 2 * math.log(self.stretch)
        for coupling in self.couplings:
            z, log_sigma = coupling(z)
            log_det = log_det + log_sigma
        return z, log_det
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """The last coupling is undone first: (B, 2) -> (B, 2)."""
        ### BEGIN SOLUTION
        x = z
        for coupling in reversed(self.couplings):
            x = coupling.inverse(x)
        return x / self.stretch
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) = log N(z; 0, I) + log|det ∂z/∂x| in nats: (B, 2) -> (B,)."""
        ### BEGIN SOLUTION
        z, log_det = self(x)
        log_normal = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)  # (B, 2)
        return log_normal.sum(dim=1) + log_det
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, (n, 2): z from N(0, I), then back."""
        ### BEGIN SOLUTION
        return self.inverse(torch.randn(n, 2))
        ### END SOLUTION


# %% [markdown]
# **Look** at two couplings with random weights: a straight grid goes in. The first moves points up and down, by amounts
# that depend on how far left or right they are; the second left and right. Volumes change, and `log_det` says by how
# much.

# %%
flow = RealNVP(couplings=2)
with torch.no_grad():
    for parameter in flow.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
plots.latent_space(flow, moons.sample(4000, seed=0))

# %% [markdown]
# **Train** with maximum likelihood. RealNVP is harder to train than the flow before: it starts as one round blob, and
# must *tear* the data apart with steep functions, because it cannot make holes. A point on the wrong side of a tear
# lands far out, and its gradient is huge. So: large batches, the gradient clipped (`fit` does it), a learning rate that
# warms up and falls to zero.


# %%
def train_realnvp(data):
    """A function that trains a RealNVP on samples of `data` with `fit`, and returns the History."""

    def train(model: RealNVP):
        ### BEGIN SOLUTION
        steps = 4000
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.99), fused=True)
        return fit(
            model,
            lambda x: -model.log_prob(x).mean(),
            data.sample(1_000_000, seed=0),
            optimizer=optimizer,
            scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.1),
            valid=data.sample(10_000, seed=0, split="validation"),
            steps=steps,
            batch_size=1024,
        )
        ### END SOLUTION

    return train


# %%
nvp_smiley = trained("realnvp.smiley", RealNVP(couplings=6), fit=train_realnvp(smiley))
nvp_moons = trained("realnvp.moons", RealNVP(couplings=6), fit=train_realnvp(moons))
plots.history(training.history("realnvp.smiley"), limit=smiley.entropy)

# %% [markdown]
# **See** what it learned. Look closely for the threads of faint density between the parts: a flow is continuous, and a
# connected blob stays connected.

# %%
plots.density_2d(smiley, nvp_smiley.log_prob, nvp_smiley.sample(4000))

# %% [markdown]
# Expected:
#
# ![true density, learned density and samples of RealNVP on the smiley](figures/realnvp_smiley.png)

# %%
plots.density_2d(moons, nvp_moons.log_prob, nvp_moons.sample(4000))

# %% [markdown]
# Expected:
#
# ![true density, learned density and samples of RealNVP on the moons](figures/realnvp_moons.png)
#
# The latent space: the data on the left, where the flow puts them on the right, and what becomes of a straight grid.

# %%
plots.latent_space(nvp_moons, moons.sample(4000, seed=0, split="validation"))

# %% [markdown]
# Expected:
#
# ![latent space of RealNVP on the moons](figures/realnvp_latents.png)
#
# *A question to think about:* mixtures in the autoregressive flow made holes with ease; RealNVP pays for each with a
# thread. What is it about $U[0,1]$ pushed through the inverse of a CDF that allows holes, and about a coupling that
# does not?

# %%
check("realnvp")
