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
# **How this notebook works.** As in homework 1: *why*, *write*, *look*, *train*, *see*, *check*; the contents pane on
# the left lists them, and the hardest steps have hints that unfold. You write the code where it says
# `NotImplementedError`; `check("…")` runs the very checks that grade you, as often as you like. Call it before a class
# is finished, too: what calls a method that is still missing says so and waits, all else is checked.
# `check("realnvp", only="log_det")` runs the checks with these words in their title. In the first three exercises the
# density of the data is known, so losses are reported in *nats above the limit*, their entropy (logarithms are natural;
# a nat is 1.44 bits). Of the images in 2.4 and 2.5 it is not.
#
# All flows here speak the same few verbs. With $B$ examples of $D$ numbers,
#
# | verb | gives |
# |---|---|
# | `forward(x)` | `(z, log_det)`: (B, D), and (B,) with $\log\lvert\det \partial z/\partial x\rvert$ of each example |
# | `inverse(z)` | `x`, (B, D) |
# | `log_prob(x)` | (B,), in nats |
# | `sample(n)` | `x`, (n, D) |
#
# $\mathcal N(x; \mu, \sigma^2)$ is the density of a normal distribution and $\Phi$ the CDF of the standard one; $\odot$
# (in docstrings $\circ$) is the product of elements. *To read beside this notebook:* Papamakarios et al., *Normalizing
# Flows for Probabilistic Modeling and Inference*, 2019 ([arXiv:1912.02762](https://arxiv.org/abs/1912.02762)).

# %%
from deepul_utils import check, fit, images, plots, seed_everything, tensors, toy, trained, training

import math

import numpy as np
import torch
import torch.nn.functional as F
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
# *The papers:* the lecture notes, section 10.2, and section 2.2 of the review above. *Further reading:* Ho et al.,
# *Flow++: Improving Flow-Based Generative Models with Variational Dequantization and Architecture Design*, 2019
# ([arXiv:1902.00275](https://arxiv.org/abs/1902.00275)), which puts CDFs of mixtures into the layers of a flow of
# images.
#
# ### Write
#
# The flow. Its parameters are free real numbers: logits whose softmax is $\pi$, the means $\mu$, and $\log \sigma$.
# Start with means that are spread over $[-3, 3]$: components that start alike stay alike. $\Phi$ is
# `torch.special.ndtr`, and the logarithm of a sum of tiny densities is `torch.logsumexp` of their logarithms.
#
# A mixture's CDF has no inverse in closed form, but it rises. So *bisection* finds it: keep an interval that contains
# the answer, and halve it until float32 cannot tell its ends apart. Begin where no component has any mass left, for
# example $12\,\sigma_k$ beyond every $\mu_k$.
#
# **Hints** for `inverse`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Whether the answer lies left or right of a point is seen from the CDF at that point: it is smaller than $z$ on the
# left of the answer, larger on the right. Do it for all examples at once.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# Two tensors of the shape of `z`, the lower and the upper ends, which start at the same two numbers for every example.
# Then a fixed number of rounds: the middles, their CDF, and for each example one of its two ends moves to its middle.
# The answer is the middle of what is left.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# Compare the CDF at the middles with `z`, and let `torch.where` choose twice, once for the lower ends, once for the
# upper. Fifty rounds are plenty: an interval of 100 is then shorter than float32 can say. A loop over examples, or one
# that stops early, is not needed.
#
# </details>


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
# ### Look
#
# Before you train: an untrained mixture is a CDF already, only not that of the data: the latents are not flat.
# Where is their histogram too high, and what does that say about the density there?

# %%
untrained = CDFFlow(components=5)
with torch.no_grad():
    z, log_det = untrained(torch.as_tensor(x))
plots.pushed_through(x, z, xlabel="$x$ (data)", zlabel="$z = f(x)$, untrained")

# %% [markdown]
# ### Train
#
# With maximum likelihood: $\mathcal J = -\frac1B \sum_b \log p(x^{(b)})$. `fit` is the loop of homework 1: you give it
# the model, a function of a batch that returns one number, the examples, and the optimiser. A whole call, here of some
# `model` with a method `loss`:
#
# ```python
# optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
# history = fit(
#     model,
#     lambda batch: model.loss(batch).mean(),  # one number, the mean over the batch
#     data.sample(10_000, seed=0),  # an array or a tensor, examples first
#     optimizer=optimizer,
#     scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200),  # may be left out
#     valid=data.sample(1_000, seed=0, split="validation"),  # may be left out
#     steps=200,
#     batch_size=256,
# )
# ```
#
# `valid` is measured now and then, and the scheduler is stepped after every step. `fit` draws its batches itself, so it
# takes no `Dataset` and no `DataLoader`. It returns a `History`, and so does a training function: `history.train` are
# the losses of every step, `history.valid` those on `valid`, `history.seconds` is how long it took.
#
# What `fit` cannot take it says in a sentence: a loss that is no single number, an optimiser of another model, a loss
# that became nan. `help(fit)` shows the rest. `trained(name, model, fit=…)` calls your training function with the
# model, keeps the weights in `artifacts/`, which you hand in, and loads them next time; `retrain=True` trains anew.
#
# *The recipe:* Adam, 1,500 steps on batches of 1,024, from 100,000 samples, with a learning rate of 0.05 that falls to
# zero along a cosine (`CosineAnnealingLR`). It takes a second or two.


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
cdf_flow = trained("cdf_flow", CDFFlow(components=5), fit=train_cdf_flow, aim=training.reference("cdf_flow"))
plots.history(training.history("cdf_flow"), limit=skewed.entropy)

# %% [markdown]
# Expected:
#
# ![training and validation loss of the CDF flow, falling to the limit](figures/cdf_flow_losses.png)

# %% [markdown]
# ### See
#
# The density that you learned over the true one, with your samples, and the latents of data that the model has never
# seen: flat at last.

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
# ### Question 2.1
#
# This flow is a mixture of Gaussians, fitted by maximum likelihood; we only *called* it a flow. What would you have to
# change to get a flow that is no mixture? (Any rising function from $\mathbb R$ onto $[0, 1]$ will do.) Name such a
# function, and say what its density is.

# %% [markdown]
# ### BEGIN SOLUTION
# A rising function $f$ from $\mathbb R$ onto $[0, 1]$ is the CDF of $p(x) = f'(x)$, whatever it is made of. Here $f$
# is a weighted sum of Gaussians' CDFs, so $f'$ is the weighted sum of their densities. In its place take a function
# that is built otherwise: a network with positive weights and rising activations, with a sigmoid at the end; a rising
# spline; or two such flows one after the other, $f_2(\sigma^{-1}(f_1(x)))$. The density is the derivative, which
# automatic differentiation gives; it is one by the change of variables, and needs no components.
#
# **Rubric.** *2 points:* a function that does rise from 0 to 1 and is no weighted sum of CDFs, **and** $p = f'$. *1
# point:* one of the two, or a function whose range or monotony is left open.
# ### END SOLUTION

# %% [markdown]
# ### Check

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
# The chain rule of probability again. The difficult entry below the diagonal is never needed: that is the whole trick
# of fast flows.
#
# *The paper:* Papamakarios, Pavlakou and Murray, *Masked Autoregressive Flow for Density Estimation*, 2017
# ([arXiv:1705.07057](https://arxiv.org/abs/1705.07057)). *Further reading:* Kingma et al., *Improving Variational
# Inference with Inverse Autoregressive Flow*, 2016 ([arXiv:1606.04934](https://arxiv.org/abs/1606.04934)), the same the
# other way round.

# %%
smiley, moons = toy.get("smiley"), toy.get("moons")
plots.distribution(smiley)

# %% [markdown]
# ### Write
#
# A CDF whose parameters differ from example to example, and its inverse. (Exercise 2.1 has all the pieces. Each example
# now has an interval of its own to begin with.)


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
# ### Look
#
# Autograd knows the true Jacobian. Its upper right corner must be empty, and `log_det` must be the logarithm
# of its determinant at every point.

# %%
flow = ARFlow(components=3).eval()
x = torch.as_tensor(moons.sample(64, seed=0)).requires_grad_()
z, log_det = flow(x)
rows = [torch.autograd.grad(z[:, i].sum(), x, retain_graph=True)[0] for i in range(2)]  # of every example at once
jacobian = torch.stack(rows, dim=1)  # (B, 2, 2)
error = (log_det - torch.linalg.slogdet(jacobian).logabsdet).abs().max().item()
plots.matrix(jacobian.abs().amax(dim=0) > 0, xlabel="$x$", ylabel="$z$", title=f"∂z/∂x; log_det is off by {error:.0e}")

# %% [markdown]
# ### Train
#
# With $\mathcal J = -\frac1B \sum_b \left(\log p(x_1^{(b)}) + \log p(x_2^{(b)} \mid x_1^{(b)})\right)$. The
# conditionals change abruptly with $x_1$ (think of the edge of an eye), so give the network a learning rate that rises
# first, to a large value, and then falls to zero, and large batches.
#
# *The recipe:* Adam, 3,500 steps on batches of 1,024, from 500,000 samples, `OneCycleLR` with `max_lr=2e-2` and
# `total_steps=3500` (a quarter of a minute for each of the two sets).


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
ar_smiley = trained(
    "ar_flow.smiley", ARFlow(components=5), fit=train_ar_flow(smiley), aim=training.reference("ar_flow.smiley")
)
ar_moons = trained(
    "ar_flow.moons", ARFlow(components=5), fit=train_ar_flow(moons), aim=training.reference("ar_flow.moons")
)
plots.history(training.history("ar_flow.smiley"), limit=smiley.entropy)

# %% [markdown]
# Expected:
#
# ![training and validation loss of the autoregressive flow, falling to the limit](figures/ar_flow_losses.png)

# %% [markdown]
# ### See
#
# The true density, yours, and your samples.

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

# %% [markdown]
# ### Question 2.2
#
# The vertical lines of the grid stay straight, the horizontal ones do not. Why? And would one of the two data sets be
# easier with $x_2$ first?

# %% [markdown]
# ### BEGIN SOLUTION
# $z_1 = F(x_1)$ depends on $x_1$ alone: all points of the line $x_1 = c$ go to the line $z_1 = F(c)$. $z_2 = F(x_2
# \mid x_1)$ depends on both: the line $x_2 = c$ becomes the curve $z_2 = F(c \mid x_1)$, which is straight only where
# the conditional does not change with $x_1$. On the moons $x_2$ first would be harder: a row can cross each moon
# twice, a column about once, so $p(x_1 \mid x_2)$ has up to four modes. On the smiley the two orders are about alike:
# rows and columns have one mode or two.
#
# **Rubric.** *2 points:* $z_1$ does not depend on $x_2$ while $z_2$ depends on $x_1$, **and** an answer on the order
# with a reason from the shapes of conditionals. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("ar_flow")

# %% [markdown]
# ---
# ## Exercise 2.3 · RealNVP
#
# **Why.** The autoregressive flow inverts by bisection, one dimension after the other: with the 3,072 of a small colour
# image that takes a while. RealNVP is built from layers that are as quick backwards as forwards. An *affine coupling*
# leaves one half of $x$ alone, and scales and shifts the other by amounts that depend on the first half:
#
# $$z_1 = x_1, \qquad z_2 = x_2 \exp\left(\log\sigma(x_1)\right) + \mu(x_1), \qquad
#   \log\sigma(x_1) = \mathrm{scale}\cdot\tanh\left(s(x_1)\right) + \mathrm{shift} .$$
#
# Here $\mu$ moves $x_2$, and $\sigma$ stretches it; *scale* and *shift* are two learned numbers that only say in which
# bounds $\log\sigma$ lies. To go back, subtract $\mu$ and divide by $\sigma$: both are known, because $x_1 = z_1$ is.
# The network that computes $s$ and $\mu$ is never inverted, so it may be anything. The Jacobian is triangular again,
#
# $$\frac{\partial z}{\partial x} = \begin{bmatrix} 1 & 0 \\[1ex]
#   x_2\, e^{\log\sigma(x_1)}\,(\log\sigma)'(x_1) + \mu'(x_1) & e^{\log\sigma(x_1)} \end{bmatrix}, \qquad
#   \log\left\lvert\det\frac{\partial z}{\partial x}\right\rvert = \log\sigma(x_1) ,$$
#
# and once more the entry below the diagonal does not matter. (The lecture notes leave out its first term. It changes
# nothing.)
#
# One coupling leaves $x_1$ as it was, so we **compose** six of them, which take turns at what they keep. Determinants
# multiply, $\det(AB) = \det A\,\det B$, so log-determinants add:
#
# $$\log p(x) = \log \mathcal N(z;\, 0, I) + \sum_{\text{couplings}} \log\sigma .$$
#
# *The paper:* Dinh, Sohl-Dickstein and Bengio, *Density Estimation using Real NVP*, 2016
# ([arXiv:1605.08803](https://arxiv.org/abs/1605.08803)). *Further reading:* Durkan et al., *Neural Spline Flows*, 2019
# ([arXiv:1906.04032](https://arxiv.org/abs/1906.04032)), couplings that bend more than a straight line does.

# %%
smiley, moons = toy.get("smiley"), toy.get("moons")
plots.distribution(moons)

# %% [markdown]
# ### Write
#
# One coupling. `keep` says which of the two dimensions stays. The tanh keeps $\log\sigma$ between two bounds: without
# it, a single point far out can make $e^{\log\sigma}$ overflow in the middle of training. `scale` and `shift` are
# parameters, one number each, and belong to $\log\sigma$ alone. Start them at one and zero: a scale that starts at zero
# may never leave it, since it hides $s$ from the loss, and a network whose last layer is zero hides the scale.


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
# $x_1$ together with a few slow waves, $\sin(kx_1)$ and $\cos(kx_1)$ with some $k$ below one: functions with steps are
# easier to make of them.


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
# ### Look
#
# Two couplings with random weights: a straight grid goes in. The first moves points up and down, by amounts
# that depend on how far left or right they are; the second left and right. Volumes change, and `log_det` says by how
# much.

# %%
flow = RealNVP(couplings=2).eval()
with torch.no_grad():
    for parameter in filter(lambda p: p.requires_grad, flow.parameters()):
        parameter += 0.1 * torch.randn_like(parameter)
plots.latent_space(flow, moons.sample(4000, seed=0))

# %% [markdown]
# ### Train
#
# With maximum likelihood. RealNVP is harder to train than the flow before: it starts as one round blob, and
# must *tear* the data apart with steep functions, because it cannot make holes. A point on the wrong side of a tear
# lands far out, and its gradient is huge. So: large batches, the gradient clipped (`fit` does it), a learning rate that
# warms up and falls to zero.
#
# *The recipe,* good enough also without stretch and waves: Adam, 3,500 steps on batches of 1,024, from 1,000,000
# samples, `OneCycleLR` with `max_lr=4e-3` and `pct_start=0.1` (half a minute for each of the two sets).


# %%
def train_realnvp(data):
    """A function that trains a RealNVP on samples of `data` with `fit`, and returns the History."""

    def train(model: RealNVP):
        ### BEGIN SOLUTION
        steps = 3500
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
aims = {name: training.reference(f"realnvp.{name}") for name in ("smiley", "moons")}
nvp_smiley = trained("realnvp.smiley", RealNVP(couplings=6), fit=train_realnvp(smiley), aim=aims["smiley"])
nvp_moons = trained("realnvp.moons", RealNVP(couplings=6), fit=train_realnvp(moons), aim=aims["moons"])
plots.history(training.history("realnvp.smiley"), limit=smiley.entropy)

# %% [markdown]
# Expected:
#
# ![training and validation loss of RealNVP, falling to just above the limit](figures/realnvp_losses.png)

# %% [markdown]
# ### See
#
# What it learned. Look closely for the threads of faint density between the parts: a flow is continuous, and a
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
# And on the way there: move the handle from coupling to coupling. Each moves points along one axis only.

# %%
plots.layers(nvp_moons, moons.sample(4000, seed=0, split="validation"), layer=AffineCoupling, label="couplings")

# %% [markdown]
# ### Question 2.3
#
# Mixtures in the autoregressive flow made holes with ease; RealNVP pays for each with a thread. What is it about the
# inverse of a mixture's CDF that allows holes, and about a coupling that does not? (What would a face with an outline
# ask of RealNVP? Its data are `toy.get("face")`: try it.)

# %% [markdown]
# ### BEGIN SOLUTION
# Where there are no data, a mixture's CDF is flat, so its inverse is nearly a jump: as good as no $z$ is sent into the
# hole. Components that stand apart and are narrow do that with harmless parameters. A coupling is affine in what it
# changes, $z_2 = x_2\, \sigma(x_1) + \mu(x_1)$ with a bounded $\sigma$: for each $x_1$ a whole line is stretched
# evenly, and no hole can be made in it. Only its dependence on $x_1$ tears, by steep networks, one coupling after the
# other. All of it is continuous and has finite slopes, and a normal distribution is connected: so is what becomes of
# it, and the parts stay tied by threads, thin ones if the functions are steep.
#
# **Rubric.** *2 points:* the inverse CDF can be as steep as a jump where the CDF is flat, **and** couplings are
# (affine, of bounded slope, so) continuous maps that keep a connected set connected. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("realnvp")

# %% [markdown]
# ---
# ## Exercise 2.4 · RealNVP on images
#
# **Why.** The same couplings, on a thousand dimensions. Four things are new: images are *integers*, and lie between
# bounds; halves can be chosen in many ways; a convolution takes the place of the MLP; and because
# the inverse is exact, every image has a latent code that you can go for a walk from.
#
# *The papers:* sections 3.4 to 3.6 and 4.1 of *Density Estimation using Real NVP*
# ([arXiv:1605.08803](https://arxiv.org/abs/1605.08803)), and, for the noise, section 3.1 of Theis, van den Oord and
# Bethge, *A Note on the Evaluation of Generative Models*, 2015 ([arXiv:1511.01844](https://arxiv.org/abs/1511.01844)).
# *Further reading:* Ho et al., *Flow++*, 2019 ([arXiv:1902.00275](https://arxiv.org/abs/1902.00275)), where the noise
# is learned.
#
# The data are real handwriting, $32 \times 32$ pixels with 16 levels each, as bytes (`uint8`): the methods of your
# model take them as `int64`, `x.long()`.

# %%
digits = images.get("digits32", levels=16)
train_digits = torch.as_tensor(digits.sample(20_000))
valid_digits = torch.as_tensor(digits.sample(200, split="validation"))
plots.images(train_digits[:24], levels=16, columns=12)

# %% [markdown]
# ### Write
#
# **From integers to reals.** A density over the reals can put a spike of any height on an integer, and its likelihood
# goes to infinity: it has learned nothing but that pixels are integers. So blur each level over its own cell,
# $y = (x + u) / \text{levels}$ with $u \sim U[0, 1)$. The probability of a level is the mass in its cell, and by
# Jensen's inequality what you measure with one draw of $u$ is, on average, a lower bound on it:
#
# $$\log P(x) \;=\; \log \int_{[0,1)^D} p(x + u)\, du \;\ge\; \mathbb E_u\left[\log p(x + u)\right] .$$
#
# Numbers in $[0, 1)$ still have walls, which the normal base density knows nothing of. The **logit** opens them,
#
# $$t = \log s - \log(1 - s), \qquad s = \alpha + (1 - 2\alpha)\, y, \qquad \alpha = 0.05 ,$$
#
# where $\alpha$ keeps black and white from going to infinity. Both steps are flows, with a log-determinant of their
# own: $-D \log \text{levels}$ for the division, with $D = C H W$ numbers in an image, and
# $\sum \log \frac{dt}{dy}$ over all of them for the logit. Forget one, and your bits per dimension are those of
# another problem.


# %%
ALPHA = 0.05


def dequantize(x: torch.Tensor, levels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """y = (x + u) / levels with u ~ U[0, 1), and log|det ∂y/∂(x + u)|.

    x: integer levels 0 … levels − 1, (B, C, H, W). Returns y, float (B, C, H, W) in [0, 1), and (B,).
    """
    ### BEGIN SOLUTION
    y = (x + torch.rand(x.shape)) / levels
    return y, torch.full((len(x),), -x[0].numel() * math.log(levels))
    ### END SOLUTION


def to_logits(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """t = log s − log(1 − s) with s = α + (1 − 2α) y, and log|det ∂t/∂y|: (B, C, H, W) -> (B, C, H, W), (B,)."""
    ### BEGIN SOLUTION
    s = ALPHA + (1 - 2 * ALPHA) * y
    log_slope = math.log(1 - 2 * ALPHA) - s.log() - (1 - s).log()  # dt/ds = 1/s + 1/(1 − s) = 1 / (s (1 − s))
    return s.log() - (1 - s).log(), tensors.sum_except_batch(log_slope)
    ### END SOLUTION


def from_logits(t: torch.Tensor) -> torch.Tensor:
    """The way back, y = (σ(t) − α) / (1 − 2α): (B, C, H, W) -> (B, C, H, W)."""
    ### BEGIN SOLUTION
    return (torch.sigmoid(t) - ALPHA) / (1 - 2 * ALPHA)
    ### END SOLUTION


# %% [markdown]
# ### Look
#
# Levels, the same with noise within each level, and their logits (from the smallest, black, to the largest, white). The
# noise is hardly seen, but to a density it makes all the difference; the logit spreads black and white out.

# %%
x = train_digits[:12].long()
y, _ = dequantize(x, 16)
t, _ = to_logits(y)
plots.image_rows({"x": x / 15, "y": y, "t": (t - t.min()) / (t.max() - t.min())})

# %% [markdown]
# ### Write
#
# **Which half stays?** A mask says it: 1 where a number is kept, 0 where it is changed. The **checkerboard** keeps the
# pixels whose row and column add up to an even number (`keep=0`) or an odd one (`keep=1`): every pixel that is
# changed has four neighbours that are known. The **channel** mask keeps the first half of the channels (`keep=0`) or
# the second (`keep=1`). And where do channels come from? From the **squeeze**: each square of $2 \times 2$
# pixels becomes one pixel of four times as many channels. It only moves numbers about, so its log-determinant is 0.


# %%
def checkerboard_mask(shape: tuple[int, int, int], keep: int) -> torch.Tensor:
    """1.0 where (row + column) % 2 is `keep`, else 0.0, the same in every channel: (C, H, W)."""
    C, H, W = shape
    ### BEGIN SOLUTION
    row, column = torch.arange(H)[:, None], torch.arange(W)[None, :]
    return ((row + column) % 2 == keep).float().repeat(C, 1, 1)
    ### END SOLUTION


def channel_mask(shape: tuple[int, int, int], keep: int) -> torch.Tensor:
    """1.0 in the first half of the channels (keep 0) or in the second (keep 1), else 0.0: (C, H, W)."""
    C, H, W = shape
    ### BEGIN SOLUTION
    first = torch.arange(C) < C // 2
    return (first if keep == 0 else ~first).float()[:, None, None].repeat(1, H, W)
    ### END SOLUTION


def squeeze(x: torch.Tensor) -> torch.Tensor:
    """Every square of 2 × 2 pixels becomes a pixel of four times the channels: (B, C, H, W) -> (B, 4C, H/2, W/2)."""
    B, C, H, W = x.shape
    ### BEGIN SOLUTION
    x = x.view(B, C, H // 2, 2, W // 2, 2)
    return x.permute(0, 1, 3, 5, 2, 4).reshape(B, 4 * C, H // 2, W // 2)
    ### END SOLUTION


def unsqueeze(z: torch.Tensor) -> torch.Tensor:
    """The inverse of `squeeze`: (B, 4C, H, W) -> (B, C, 2H, 2W)."""
    B, C, H, W = z.shape
    ### BEGIN SOLUTION
    z = z.view(B, C // 4, 2, 2, H, W)
    return z.permute(0, 1, 4, 2, 5, 3).reshape(B, C // 4, 2 * H, 2 * W)
    ### END SOLUTION


# %%
plots.masks([checkerboard_mask((1, 8, 8), keep)[0] for keep in (0, 1)], titles=["keep=0", "keep=1"])

# %% [markdown]
# **The coupling.** With $b$ the mask,
#
# $$z = x \odot \exp(\log\sigma) + \mu, \qquad (\log\sigma, \mu) = (1 - b) \odot \mathrm{net}(b \odot x), \qquad
#   \log\left\lvert\det\frac{\partial z}{\partial x}\right\rvert = \sum \log\sigma ,$$
#
# because where $b = 1$ both are zero, and $x$ stays as it is. (Read the middle formula as: the network sees only what
# is kept, and gives two images, $\log\sigma$ and $\mu$, each set to zero where the mask keeps.) As in Exercise 2.3,
# $\log\sigma = \mathrm{scale} \cdot \tanh(s) + \mathrm{shift}$, now with a scale and a shift for each channel. Three
# convolutions are enough for the network ($3 \times 3$, $1 \times 1$, $3 \times 3$). Let its last layer start at zero,
# and the scales at one: then the whole flow starts as the identity, and training begins calmly.


# %%
class MaskedCoupling(nn.Module):
    """z = x ∘ exp(log σ) + μ with (log σ, μ) = (1 − b) ∘ net(b ∘ x); log|det| = Σ log σ.

    kind: "checkerboard" or "channel", keep: 0 or 1: the mask b. shape: (C, H, W) of x. width: channels of the network.
    """

    def __init__(self, kind: str, keep: int, shape: tuple[int, int, int], width: int):
        super().__init__()
        ### BEGIN SOLUTION
        C = shape[0]
        self.register_buffer("mask", {"checkerboard": checkerboard_mask, "channel": channel_mask}[kind](shape, keep))
        self.net = nn.Sequential(
            nn.Conv2d(C, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * C, 3, padding=1),
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)
        self.scale = nn.Parameter(torch.ones(C, 1, 1))
        self.shift = nn.Parameter(torch.zeros(C, 1, 1))
        ### END SOLUTION

    def log_sigma_and_mu(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """log σ and μ, zero where the mask keeps, out of what it keeps: (B, C, H, W) -> twice (B, C, H, W)."""
        ### BEGIN SOLUTION
        s, mu = self.net(self.mask * x).chunk(2, dim=1)
        log_sigma = self.scale * torch.tanh(s) + self.shift
        return (1 - self.mask) * log_sigma, (1 - self.mask) * mu
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and log|det ∂z/∂x| = Σ log σ: (B, C, H, W) -> (B, C, H, W), (B,)."""
        ### BEGIN SOLUTION
        log_sigma, mu = self.log_sigma_and_mu(x)
        return x * log_sigma.exp() + mu, tensors.sum_except_batch(log_sigma)
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """x = (z − μ) ∘ exp(−log σ): (B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        log_sigma, mu = self.log_sigma_and_mu(z)
        return (z - mu) * (-log_sigma).exp()
        ### END SOLUTION


# %% [markdown]
# Now the flow. At each of `scales` scales: couplings with checkerboards that take turns, a squeeze, couplings with
# channel masks that take turns. The next scale works on what the squeeze has made, half as high and half as wide,
# with twice the `width`. At the end, unsqueeze as often as you squeezed: then $z$ has the shape of $x$.
#
# `forward` and `inverse` work on the reals $t$; `log_prob` and `sample` speak of integer levels, so `log_prob` goes
# all the way, $x \to y \to t \to z$, and adds up three log-determinants. `sample` and `interpolate` go back. (More
# couplings, normalisation between them, or half of the channels set aside after each scale, as in the paper, are right
# too. Only $z$ must come out in the shape of $x$.) Two checkerboards and four channel masks at each scale are enough.
#
# **Hints** for `ImageRealNVP`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Inside the flow the shape changes at every squeeze, and nothing else changes it. Keep the couplings in one list, in
# the order in which `forward` meets them, and know at which of them a squeeze comes first.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# `forward`: at each scale checkerboards, squeeze, channel masks; then `scales` times unsqueeze; the (B,)
# log-determinants add up. `inverse` is the same text read from the end: first `scales` times squeeze, then the
# couplings from the last to the first, and an unsqueeze wherever `forward` squeezed.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# Give every coupling the shape that it meets: (C, H, W) at first, (4C, H/2, W/2) after a squeeze, and so on. In
# `inverse`, the unsqueeze comes *after* the coupling before which `forward` squeezed. `log_prob` has four terms, the
# base density and three log-determinants. In `sample`, a number in $[0, 1)$ becomes a level by multiplying and rounding
# down; a few fall outside, so clip.
#
# </details>


# %%
class ImageRealNVP(nn.Module):
    """log p(x) = log N(z; 0, I) + log_det(dequantize) + log_det(to_logits) + log_det(forward), for integer images x.

    shape: (C, H, W), H and W multiples of 2^scales. levels: of a pixel. width: of the networks at the first scale.
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, scales: int = 3, width: int = 32):
        super().__init__()
        self.shape, self.levels, self.scales = shape, levels, scales
        ### BEGIN SOLUTION
        C, H, W = shape
        layers = []
        for k in range(scales):
            layers += [MaskedCoupling("checkerboard", i % 2, (C, H, W), width * 2**k) for i in range(2)]
            C, H, W = 4 * C, H // 2, W // 2
            layers += [MaskedCoupling("channel", i % 2, (C, H, W), width * 2**k) for i in range(4)]
        self.layers = nn.ModuleList(layers)
        ### END SOLUTION

    def forward(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z, of t's shape, and log|det ∂z/∂t|: reals (B, C, H, W) -> (B, C, H, W), (B,)."""
        ### BEGIN SOLUTION
        z, log_det = t, torch.zeros(len(t))
        for i, layer in enumerate(self.layers):
            if i % 6 == 2:  # between the two checkerboards and the four channel masks of a scale
                z = squeeze(z)
            z, log_sigma = layer(z)
            log_det = log_det + log_sigma
        for _ in range(self.scales):
            z = unsqueeze(z)
        return z, log_det
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """t from z, everything undone in reverse order: (B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        t = z
        for _ in range(self.scales):
            t = squeeze(t)
        for i, layer in reversed(list(enumerate(self.layers))):
            t = layer.inverse(t)
            if i % 6 == 2:
                t = unsqueeze(t)
        return t
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """A lower bound on log P(x) in nats, with one draw of the noise: int64 (B, C, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        y, log_det_y = dequantize(x, self.levels)
        t, log_det_t = to_logits(y)
        z, log_det_z = self(t)
        log_normal = tensors.sum_except_batch(-0.5 * z**2 - 0.5 * math.log(2 * math.pi))
        return log_normal + log_det_y + log_det_t + log_det_z
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n images, int64 levels (n, C, H, W): z ~ N(0, I), then all the way back."""
        ### BEGIN SOLUTION
        y = from_logits(self.inverse(torch.randn(n, *self.shape)))
        return (y * self.levels).floor().clamp(0, self.levels - 1).long()
        ### END SOLUTION

    @torch.no_grad()
    def interpolate(self, a: torch.Tensor, b: torch.Tensor, steps: int) -> torch.Tensor:
        """The straight way from f(a) to f(b) in latent space, in equal steps, brought back by the inverse.

        a, b: reals (B, C, H, W). Returns reals (B, steps, C, H, W), of which the first is a and the last is b.
        """
        ### BEGIN SOLUTION
        z_a, z_b = self(a)[0], self(b)[0]
        w = torch.linspace(0, 1, steps)[:, None, None, None]
        z = (1 - w) * z_a[:, None] + w * z_b[:, None]  # (B, steps, C, H, W)
        return self.inverse(z.flatten(0, 1)).view(z.shape)
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# On a $4 \times 4$ image the whole Jacobian is a matrix of $16 \times 16$, and autograd can fill it in. The
# weights must be random, not the initial ones: of the identity, any forgotten log-determinant is right.

# %%
tiny = ImageRealNVP((1, 4, 4), levels=16, scales=1, width=8).eval()
with torch.no_grad():
    for parameter in filter(lambda p: p.requires_grad, tiny.parameters()):
        parameter += 0.2 * torch.randn_like(parameter)
t = torch.randn(16, 1, 4, 4, requires_grad=True)
z, log_det = tiny(t)
rows = [torch.autograd.grad(z_i.sum(), t, retain_graph=True)[0] for z_i in z.flatten(1).T]  # of every image at once
jacobian = torch.stack(rows, dim=1).flatten(2)  # (B, 16, 16)
error = (log_det - torch.linalg.slogdet(jacobian).logabsdet).abs().max().item()
plots.matrix(jacobian.abs().amax(dim=0), xlabel="$t$", ylabel="$z$", title=f"|∂z/∂t|; log_det is off by {error:.0e}")


# %% [markdown]
# ### Train
#
# On *bits per dimension*, $-\log_2 p(x) / D$: how many bits a pixel costs (`tensors.bits_per_dim(nats, 1024)`). Uniform
# noise would cost $\log_2 16 = 4$. With convolutions, `model.to(memory_format=torch.channels_last)` saves about half of
# the time on a CPU. The images are bytes: in the loss, `x.long()`.
#
# *The recipe:* that line, then Adam, 1,000 steps on batches of 32 images, `OneCycleLR` with `max_lr=5e-3` and
# `pct_start=0.1`; two minutes on two cores.


# %%
def train_realnvp_images(model: ImageRealNVP):
    """Minimise the bits per dimension over train_digits with `fit`; returns the History."""
    ### BEGIN SOLUTION
    model.to(memory_format=torch.channels_last)
    steps = 1000
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return fit(
        model,
        lambda x: tensors.bits_per_dim(-model.log_prob(x.long()).mean(), 1024),
        train_digits,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps, pct_start=0.1),
        valid=valid_digits,
        steps=steps,
        batch_size=32,
        evaluations=10,
    )
    ### END SOLUTION


# %%
aim = training.reference("realnvp_images")
image_nvp = trained("realnvp_images", ImageRealNVP(digits.shape, levels=16), fit=train_realnvp_images, aim=aim)
plots.history(training.history("realnvp_images"), unit="bits a dimension")

# %% [markdown]
# Expected:
#
# ![training and validation loss of RealNVP on images, and the loss to aim at](figures/realnvp_images_losses.png)

# %% [markdown]
# ### See
#
# What it draws: all pixels at once, in a few milliseconds each. (How long did PixelCNN take?)

# %%
samples = image_nvp.sample(36)
rows = {"data": valid_digits[:12], "samples": samples[:12], "": samples[12:24], " ": samples[24:]}
plots.image_rows(rows, levels=16)

# %% [markdown]
# Expected:
#
# ![handwritten digits, above samples of RealNVP](figures/realnvp_images.png)
#
# **A walk in latent space.** Left and right are real images that the model has not been trained on; between them lie
# the images of the straight line from one's $z$ to the other's. The ends come back exactly: a flow forgets nothing.

# %%
with torch.no_grad():
    ends, _ = to_logits(dequantize(valid_digits[:12].long(), 16)[0])
    ways = image_nvp.interpolate(ends[:6], ends[6:], steps=12)
plots.images(from_logits(ways.flatten(0, 1)).clamp(0, 1), columns=12)

# %% [markdown]
# Expected:
#
# ![straight lines in latent space between held-out images](figures/realnvp_images_interpolation.png)

# %% [markdown]
# ### Question 2.4
#
# The point in the middle of two draws of $N(0, I)$ in a thousand dimensions is not a likely draw itself: how long is
# it, compared with its ends? What does that do to the middle of each row?

# %% [markdown]
# ### BEGIN SOLUTION
# A draw has $\lVert z \rVert^2 \approx D$, so all draws lie near a shell of radius $\sqrt D$, 32 for $D = 1024$. The
# middle of two independent ones has entries of variance ½, so its length is $\sqrt{D/2}$, about 23: shorter by $\sqrt
# 2$, and far inside of the shell, where there is as good as no mass and the flow has seen no data. Its density is even
# higher there. So the middle of a row is no typical image: it is paler and smoother than its ends, a blend that lacks
# noise and detail. Going along the sphere instead keeps the length.
#
# **Rubric.** *2 points:* the length $\sqrt{D/2}$ against $\sqrt D$ (or the factor $1/\sqrt 2$), **and** that the
# middle is untypical, with what is seen of it. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("realnvp_images")

# %% [markdown]
# ---
# ## Exercise 2.5 · Glow
#
# **Why.** RealNVP chooses its halves by hand: pixels in turns, channels in turns. Glow *learns* how to mix the channels
# before each split, and makes sure that what goes into a coupling has a decent scale. One **step** of Glow is
#
# $$\text{ActNorm} \;\to\; \text{invertible } 1 \times 1 \text{ convolution} \;\to\; \text{affine coupling}.$$
#
# *The paper:* Kingma and Dhariwal, *Glow: Generative Flow with Invertible 1×1 Convolutions*, 2018
# ([arXiv:1807.03039](https://arxiv.org/abs/1807.03039)), section 3. *Further reading:* Hoogeboom, van den Berg and
# Welling, *Emerging Convolutions for Generative Normalizing Flows*, 2019
# ([arXiv:1901.11137](https://arxiv.org/abs/1901.11137)), which inverts larger kernels.
#
# The data are those of Exercise 2.4. Dequantization, logit and squeeze are there now, in `tensors`:
# `to_reals(x, levels)` gives $t$ and both log-determinants in one, and `to_levels(t, levels)` goes back.

# %%
digits = images.get("digits32", levels=16)
train_digits = torch.as_tensor(digits.sample(20_000))
valid_digits = torch.as_tensor(digits.sample(200, split="validation"))

# %% [markdown]
# ### Write
#
# **ActNorm** moves and stretches each channel, $z_c = (x_c + b_c)\, e^{l_c}$. Their first values come from the first
# batch that it sees *in training*, so that every channel comes out with mean 0 and variance 1. From then on they are
# ordinary parameters; unlike batch normalisation, no example ever depends on the others of its batch. Every one of the
# $n$ pixels of an image (height times width) is stretched alike, so the log-determinant is $n \sum_c l_c$.
#
# Until then $b = l = 0$. Whether the first batch has come must be saved with the weights: a buffer is, a Python
# attribute is not.


# %%
class ActNorm(nn.Module):
    """z = (x + b) ∘ exp(l), b and l one number a channel; log|det| = H · W · Σ l.

    The first call in training mode sets b and l so that z has mean 0 and variance 1 in every channel over that batch.
    """

    def __init__(self, channels: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.b = nn.Parameter(torch.zeros(channels, 1, 1))
        self.l = nn.Parameter(torch.zeros(channels, 1, 1))
        self.register_buffer("ready", torch.tensor(False))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and log|det ∂z/∂x|: (B, C, H, W) -> (B, C, H, W), (B,)."""
        ### BEGIN SOLUTION
        B, _, H, W = x.shape
        if self.training and not self.ready:
            with torch.no_grad():
                self.b.copy_(-x.mean(dim=(0, 2, 3))[:, None, None])
                self.l.copy_(-x.std(dim=(0, 2, 3)).clamp(min=1e-6).log()[:, None, None])
                self.ready.fill_(True)
        return (x + self.b) * self.l.exp(), (H * W * self.l.sum()).expand(B)
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        return z * (-self.l).exp() - self.b
        ### END SOLUTION


# %% [markdown]
# **The invertible $1 \times 1$ convolution** multiplies the channels of every pixel by one matrix $W$, $C \times C$. It
# starts as a random rotation, whose log-determinant is 0. Its determinant, for every image and every step of training,
# would cost $C^3$, so $W$ is kept in its LU form,
#
# $$W = P\, L\, (U + \mathrm{diag}(s)), \qquad
#   \log\left\lvert\det \frac{\partial z}{\partial x}\right\rvert = n \sum_c \log \lvert s_c \rvert ,$$
#
# with $n$ again the number of pixels, a permutation $P$ that stays as it is, $L$ lower triangular with ones on its
# diagonal, and $U$ strictly upper triangular. Let only those entries count (`torch.tril`, `torch.triu`), and use
# `torch.linalg.lu` for the start.
#
# **Hints** for `InvertibleConv`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# $W$ itself is no parameter. $L$, $U$ and $s$ are, and `weight()` makes $W$ of them whenever it is needed; only at the
# start is it the other way round: a rotation is taken apart into $P$, $L$, $U$ and $s$.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# A random rotation is the Q of the QR decomposition of a matrix of normal numbers. `torch.linalg.lu` gives its $P$, $L$
# and $U$, with $s$ on the diagonal of $U$. $P$ is a buffer; what lies strictly below the diagonal of $L$ and strictly
# above that of $U$ counts, nothing else.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# Some $s_c$ are negative. Keep their signs as a buffer, and train $\log \lvert s_c \rvert$: then the log-determinant is
# a plain sum, and no $s_c$ can pass through zero. The convolution is `F.conv2d` with $W$ as a kernel of shape (C, C, 1,
# 1), and the way back the same with the inverse matrix.
#
# </details>


# %%
class InvertibleConv(nn.Module):
    """z = W x at every pixel, with W = P L (U + diag(s)); log|det| = pixels · Σ log|s|. It starts as a rotation."""

    def __init__(self, channels: int):
        super().__init__()
        ### BEGIN SOLUTION
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        P, L, U = torch.linalg.lu(rotation)
        self.register_buffer("P", P)
        self.L, self.U = nn.Parameter(L.tril(-1)), nn.Parameter(U.triu(1))
        self.register_buffer("sign", U.diagonal().sign())
        self.log_s = nn.Parameter(U.diagonal().abs().log())
        ### END SOLUTION

    def weight(self) -> torch.Tensor:
        """W = P L (U + diag(s)): (C, C)."""
        ### BEGIN SOLUTION
        lower = self.L.tril(-1) + torch.eye(len(self.L))
        upper = self.U.triu(1) + torch.diag(self.sign * self.log_s.exp())
        return self.P @ lower @ upper
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and log|det ∂z/∂x|: (B, C, H, W) -> (B, C, H, W), (B,)."""
        ### BEGIN SOLUTION
        B, _, H, W = x.shape
        return F.conv2d(x, self.weight()[:, :, None, None]), (H * W * self.log_s.sum()).expand(B)
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        return F.conv2d(z, self.weight().inverse()[:, :, None, None])
        ### END SOLUTION


# %% [markdown]
# **The coupling** needs no mask: split the channels in two halves, and let the first change the second. Its network and
# its $\log\sigma = \mathrm{scale} \cdot \tanh(s) + \mathrm{shift}$ are as in Exercise 2.4 (the shift may be left out:
# ActNorm has one).


# %%
class ChannelCoupling(nn.Module):
    """z_a = x_a, z_b = x_b ∘ exp(log σ(x_a)) + μ(x_a), with a and b the halves of the channels; log|det| = Σ log σ."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        ### BEGIN SOLUTION
        half = channels // 2
        self.net = nn.Sequential(
            nn.Conv2d(half, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * (channels - half), 3, padding=1),
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)
        self.scale = nn.Parameter(torch.ones(channels - half, 1, 1))
        ### END SOLUTION

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """x_a, x_b, log σ(x_a) and μ(x_a), half the channels each."""
        ### BEGIN SOLUTION
        C = x.shape[1]
        x_a, x_b = x[:, : C // 2], x[:, C // 2 :]
        s, mu = self.net(x_a).chunk(2, dim=1)
        return x_a, x_b, self.scale * torch.tanh(s), mu
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and log|det ∂z/∂x|: (B, C, H, W) -> (B, C, H, W), (B,)."""
        ### BEGIN SOLUTION
        x_a, x_b, log_sigma, mu = self.parts(x)
        return torch.cat([x_a, x_b * log_sigma.exp() + mu], dim=1), tensors.sum_except_batch(log_sigma)
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        z_a, z_b, log_sigma, mu = self.parts(z)
        return torch.cat([z_a, (z_b - mu) * (-log_sigma).exp()], dim=1)
        ### END SOLUTION


# %% [markdown]
# **Glow**: at each of `scales` scales a squeeze, then `steps` steps; at the end, unsqueeze as often as you squeezed.
# (You may learn the mean and the spread of $z$, too, if they start as those of $N(0, I)$.)


# %%
class Glow(nn.Module):
    """log p(x) = log N(z; 0, I) + log_det(to_reals) + log_det(forward), for integer images x.

    shape: (C, H, W), H and W multiples of 2^scales. levels: of a pixel. steps: at each scale. width: of the networks
    at the first scale, twice as many at each further one.
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, scales: int = 3, steps: int = 4, width: int = 48):
        super().__init__()
        self.shape, self.levels, self.scales, self.steps = shape, levels, scales, steps
        ### BEGIN SOLUTION
        layers = []
        for k in range(scales):
            C = shape[0] * 4 ** (k + 1)
            for _ in range(steps):
                layers += [ActNorm(C), InvertibleConv(C), ChannelCoupling(C, width * 2**k)]
        self.layers = nn.ModuleList(layers)
        ### END SOLUTION

    def forward(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z, of t's shape, and log|det ∂z/∂t|: reals (B, C, H, W) -> (B, C, H, W), (B,)."""
        ### BEGIN SOLUTION
        z, log_det = t, torch.zeros(len(t))
        for i, layer in enumerate(self.layers):
            if i % (3 * self.steps) == 0:
                z = tensors.squeeze(z)
            z, log_det_of_layer = layer(z)
            log_det = log_det + log_det_of_layer
        for _ in range(self.scales):
            z = tensors.unsqueeze(z)
        return z, log_det
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """t from z, everything undone in reverse order: (B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        t = z
        for _ in range(self.scales):
            t = tensors.squeeze(t)
        for i, layer in reversed(list(enumerate(self.layers))):
            t = layer.inverse(t)
            if i % (3 * self.steps) == 0:
                t = tensors.unsqueeze(t)
        return t
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """A lower bound on log P(x) in nats, with one draw of the noise: int64 (B, C, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        t, log_det_t = tensors.to_reals(x, self.levels)
        z, log_det_z = self(t)
        return tensors.sum_except_batch(-0.5 * z**2 - 0.5 * math.log(2 * math.pi)) + log_det_t + log_det_z
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n images, int64 levels (n, C, H, W): z ~ N(0, I), then all the way back."""
        ### BEGIN SOLUTION
        return tensors.to_levels(self.inverse(torch.randn(n, *self.shape)), self.levels)
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# What one ActNorm does to the first batch that it sees, channel by channel.

# %%
layer = ActNorm(4)
t = tensors.squeeze(tensors.to_reals(train_digits[:200].long(), 16)[0])
with torch.no_grad():
    z, log_det = layer.train()(t)
for name, values in {"before": t, "after": z}.items():
    mean, spread = values.mean(dim=(0, 2, 3)), values.std(dim=(0, 2, 3))
    print(f"{name:6s}  mean {mean.cpu().numpy().round(2)}  standard deviation {spread.cpu().numpy().round(2)}")

# %% [markdown]
# And at the rotation that the $1 \times 1$ convolution begins with: no channel stays alone.

# %%
plots.matrix(InvertibleConv(16).weight().detach().abs(), xlabel="channel in", ylabel="channel out", label="|W|")


# %% [markdown]
# ### Train
#
# On bits per dimension, as in 2.4.
#
# *The recipe:* `channels_last`, Adam, 1,500 steps on batches of 32 images, `OneCycleLR` with `max_lr=5e-3` and
# `pct_start=0.1`: about two minutes on two cores.


# %%
def train_glow(model: Glow):
    """Minimise the bits per dimension over train_digits with `fit`; returns the History."""
    ### BEGIN SOLUTION
    model.to(memory_format=torch.channels_last)
    steps = 1500
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return fit(
        model,
        lambda x: tensors.bits_per_dim(-model.log_prob(x.long()).mean(), 1024),
        train_digits,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps, pct_start=0.1),
        valid=valid_digits,
        steps=steps,
        batch_size=32,
        evaluations=10,
    )
    ### END SOLUTION


# %%
glow = trained("glow", Glow(digits.shape, levels=16), fit=train_glow, aim=training.reference("glow"))
plots.history(training.history("glow"), unit="bits a dimension")

# %% [markdown]
# Expected:
#
# ![training and validation loss of Glow, and the loss to aim at](figures/glow_losses.png)

# %% [markdown]
# ### See
#
# Its samples.

# %%
samples = glow.sample(36)
rows = {"data": valid_digits[:12], "samples": samples[:12], "": samples[12:24], " ": samples[24:]}
plots.image_rows(rows, levels=16)

# %% [markdown]
# Expected:
#
# ![handwritten digits, above samples of Glow](figures/glow.png)
#
# Compare its bits per dimension with those of Exercise 2.4, and the seconds that each of the two took.

# %%
for name in ("realnvp_images", "glow"):
    if name in training.session.histories:
        run = training.history(name)
        losses, images_of = (run.valid[-1:], "validation") if run.valid else (run.train[-50:], "training")
        bits = f"{np.mean(losses):.3f} bits a dimension on {images_of} images, " if losses else ""
        print(f"{name:15s} {bits}after {run.seconds:.0f} s")

# %% [markdown]
# ### Question 2.5
#
# A permutation of the channels is a $1 \times 1$ convolution, too. Which of RealNVP's ways to choose its halves could
# Glow learn, and which could it not?

# %% [markdown]
# ### BEGIN SOLUTION
# Splitting by channels, and taking turns: to exchange the two halves is a permutation of the channels, a special $W$,
# so Glow can learn that, and any other mixture. A checkerboard of pixels it cannot: the same $W$ acts at every place,
# and cannot tell even places from odd ones. But after a squeeze the four pixels of each $2 \times 2$ block are
# channels of one place. Then the checkerboard inside of the blocks is a choice of channels, and a permutation finds
# it.
#
# **Rubric.** *2 points:* channels yes, as a permutation is one $W$, **and** a checkerboard no, since $W$ is the same
# at every place (or only through a squeeze). *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("glow")

# %% [markdown]
# ---
# ## Go bigger (optional)
#
# Nothing here is graded. Your Glow on photographs: CIFAR-10, 45,000 images for training, with all 256 levels. Set
# `GO_BIGGER = True` on a machine with a GPU, and run the cell; the first time it downloads 170 MB.
#
# | | |
# |---|---|
# | model | `Glow` with 3 scales, 8 steps at each, width 128: 15.5 million parameters |
# | recipe | Adam, 30,000 steps on batches of 64, a learning rate that rises to 0.001 and falls to zero again |
# | time | about 50 minutes on a T4 (as on Colab), 25 on an A100, which has too little to do |
# | memory | 4 GB |
#
# Time and memory are *estimates* from what a step takes, 170 GFLOP in some two thousand small operations; nobody has
# run it. The paper's Glow, with 32 steps at each of 3 scales, comes to 3.35 bits a dimension, RealNVP to 3.49
# ([arXiv:1807.03039](https://arxiv.org/abs/1807.03039), Table 2). Expect a little more than either.
#
# Within `with torch.device(…):` every new tensor and every new layer is made on the GPU, also inside your methods.
# The weights are kept in `artifacts/bigger.…`, which are not handed in.

# %%
GO_BIGGER = False
STEPS = 30_000

if GO_BIGGER and not training.session.grading:
    from IPython.display import display

    with torch.device(training.device()):
        cifar = images.get("cifar10", levels=256)
        train_cifar = torch.as_tensor(cifar.sample(45_000))
        valid_cifar = torch.as_tensor(cifar.sample(1000, split="validation"))
        big = Glow(cifar.shape, levels=256, scales=3, steps=8, width=128)

        def train_big(model: Glow):
            model.to(memory_format=torch.channels_last)
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            return fit(
                model,
                lambda batch: tensors.bits_per_dim(-model.log_prob(batch.long()).mean(), 3072),
                train_cifar,
                optimizer=optimizer,
                scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=STEPS),
                valid=valid_cifar,
                steps=STEPS,
                batch_size=64,
            )

        trained("bigger.glow", big, fit=train_big)
        print(f"{training.history('bigger.glow').valid[-1]:.2f} bits a dimension on held-out images")
        display(plots.images(big.sample(48).cpu(), levels=256, columns=12))
