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
# # NICE: flows that keep volumes
#
# Laurent Dinh, David Krueger and Yoshua Bengio: *NICE: Non-linear Independent Components Estimation*, 2014
# ([arXiv:1410.8516](https://arxiv.org/abs/1410.8516)). The first flow with couplings, two years before RealNVP: it only
# *adds*. That makes it exact in both directions, whatever the network, and leaves volumes as they are: a limit that
# this notebook makes visible.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("nice")` runs the very checks that grade you, as often as
# you like. Call it before a class is finished, too: what calls a method that is still missing says so and waits, all
# else is checked. The data have a known density, so losses are reported in *nats above the limit*, its entropy.

# %%
from deepul_utils import check, fit, plots, seed_everything, toy, trained, training

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise E1 · NICE: flows that keep volumes
#
# **Why.** The determinant of a Jacobian costs $D^3$. Dinh, Krueger and Bengio made layers where there is nothing to
# compute. An *additive coupling* keeps one half of $x$ and moves the other by a function of the half that is kept,
#
# $$z_1 = x_1, \qquad z_2 = x_2 + m(x_1), \qquad
#   \frac{\partial z}{\partial x} = \begin{bmatrix} 1 & 0 \\ m'(x_1) & 1 \end{bmatrix}, \qquad
#   \log\left\lvert\det\frac{\partial z}{\partial x}\right\rvert = 0 .$$
#
# To go back, subtract: $x_2 = z_2 - m(z_1)$. The network $m$ is never inverted, so it may be anything. Couplings take
# turns at what they keep, and after the last one stands a **scaling layer**, $z = e^{s} \odot h$ with one number $s_i$
# for each dimension. That is the only place where a volume changes, by the same factor everywhere:
#
# $$\log p(x) = \sum_i \log p_L(z_i) + \sum_i s_i , \qquad
#   \log p_L(z) = -z - 2\log\left(1 + e^{-z}\right) .$$
#
# The base is the *logistic* distribution in each dimension, which the paper prefers to the normal one; $\odot$ is the
# product of elements.
#
# *Further reading:* what came next, RealNVP ([arXiv:1605.08803](https://arxiv.org/abs/1605.08803)), is Exercise 2.3.

# %%
moons = toy.get("moons")
plots.distribution(moons)

# %% [markdown]
# ### Write
#
# One coupling. `keep` says which of the two dimensions stays; $m$ is an MLP of it.


# %%
class AdditiveCoupling(nn.Module):
    """z_keep = x_keep;  z_other = x_other + m(x_keep).  keep: 0 or 1, the dimension that stays."""

    def __init__(self, keep: int, hidden: int = 64):
        super().__init__()
        self.keep = keep
        ### BEGIN SOLUTION
        self.m = nn.Sequential(
            nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and log|det ∂z/∂x| = 0, one of each example: (B, 2) -> (B, 2), (B,)."""
        ### BEGIN SOLUTION
        kept, other = x[:, [self.keep]], x[:, [1 - self.keep]]
        return self.joined(kept, other + self.m(kept)), torch.zeros_like(kept[:, 0])
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """x_other = z_other − m(z_keep): (B, 2) -> (B, 2)."""
        ### BEGIN SOLUTION
        kept, other = z[:, [self.keep]], z[:, [1 - self.keep]]
        return self.joined(kept, other - self.m(kept))
        ### END SOLUTION

    def joined(self, kept: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Both halves in their places: (B, 1), (B, 1) -> (B, 2)."""
        return torch.cat([kept, other] if self.keep == 0 else [other, kept], dim=1)


# %% [markdown]
# Now the flow. On the way back the scaling is undone first, then the last coupling. For the logistic base,
# `F.softplus` is a logarithm that does not overflow: $\log(1 + e^{-z})$ is `F.softplus(-z)`. To draw from it, push a
# uniform number through the inverse of its CDF, which is the logit.
#
# `inpaint` is what the paper does with holes in pictures: the known numbers stay, the others climb $\log p(x)$ along
# its gradient, $x_i \leftarrow x_i + \mathrm{rate} \cdot \partial \log p(x) / \partial x_i$.


# %%
class NICE(nn.Module):
    """z = exp(s) ⊙ f_n ∘ … ∘ f_1 (x) with z logistic; couplings that keep x_1 and x_2 in turns, and one scaling."""

    def __init__(self, couplings: int = 6, hidden: int = 64):
        super().__init__()
        ### BEGIN SOLUTION
        self.couplings = nn.ModuleList(AdditiveCoupling(i % 2, hidden) for i in range(couplings))
        self.s = nn.Parameter(torch.zeros(2))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and log|det ∂z/∂x| = Σ s_i, the same for every example: (B, 2) -> (B, 2), (B,)."""
        ### BEGIN SOLUTION
        for coupling in self.couplings:
            x, _ = coupling(x)
        return x * self.s.exp(), self.s.sum().expand(len(x))
        ### END SOLUTION

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """The scaling is undone first, then the last coupling: (B, 2) -> (B, 2)."""
        ### BEGIN SOLUTION
        x = z * (-self.s).exp()
        for coupling in reversed(self.couplings):
            x = coupling.inverse(x)
        return x
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) = Σ log p_L(z_i) + log|det ∂z/∂x| in nats: (B, 2) -> (B,)."""
        ### BEGIN SOLUTION
        z, log_det = self(x)
        log_logistic = -z - 2 * F.softplus(-z)  # (B, 2)
        return log_logistic.sum(dim=1) + log_det
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, (n, 2): z from the logistic distribution, then back."""
        ### BEGIN SOLUTION
        u = torch.rand(n, 2).clamp(1e-6, 1 - 1e-6)
        return self.inverse(torch.logit(u))
        ### END SOLUTION

    def inpaint(self, x: torch.Tensor, known: torch.Tensor, steps: int = 200, rate: float = 0.01) -> torch.Tensor:
        """x after so many steps up the gradient of log p; `known` numbers stay: (B, 2), bool (B, 2) -> (B, 2)."""
        ### BEGIN SOLUTION
        for _ in range(steps):
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.log_prob(x).sum(), x)
            x = torch.where(known, x, x + rate * slope)
        return x.detach()
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# Two couplings with random weights: a straight grid goes in. The first moves points up and down, the second
# left and right. The cells lean, and all keep their area.

# %%
flow = NICE(couplings=2).eval()
plots.latent_space(flow, moons.sample(4000, seed=0))

# %% [markdown]
# ### Train
#
# With maximum likelihood. `fit` is the loop:
# `fit(model, loss, x, optimizer=…, scheduler=…, valid=…, steps=…, batch_size=…)`, where `loss` is a function of a batch
# that returns one number, the mean of $-\log p(x)$, and `x` and `valid` are arrays or tensors. It returns
# a `History` of the losses, which your function returns, too; what it cannot take it says in a sentence.
#
# *The recipe:* Adam, 2,500 steps on batches of 1,024, from 500,000 samples, `OneCycleLR` with `max_lr=4e-3` and
# `pct_start=0.1`, six couplings: half a minute.


# %%
def train_nice(data):
    """A function that trains a NICE on samples of `data` with `fit`, and returns the History."""

    def train(model: NICE):
        ### BEGIN SOLUTION
        steps = 2500
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        return fit(
            model,
            lambda x: -model.log_prob(x).mean(),
            data.sample(500_000, seed=0),
            optimizer=optimizer,
            scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.1),
            valid=data.sample(10_000, seed=0, split="validation"),
            steps=steps,
            batch_size=1024,
        )
        ### END SOLUTION

    return train


# %%
nice = trained("nice", NICE(), fit=train_nice(moons), aim=training.reference("nice"))
plots.history(training.history("nice"), limit=moons.entropy)

# %% [markdown]
# Expected:
#
# ![training and validation loss of NICE on the moons, above the limit](figures/nice_losses.png)

# %% [markdown]
# ### See
#
# What it learned.

# %%
plots.density_2d(moons, nice.log_prob, nice.sample(4000))

# %% [markdown]
# Expected:
#
# ![true density, learned density and samples of NICE on the moons](figures/nice_moons.png)
#
# **What such layers cannot do.** Volumes change by one factor everywhere, so
# $p(x) = e^{\sum s_i}\, p_L(z_1)\, p_L(z_2)$: where the density is low, $z$ *must* lie far out; no empty space can be
# squeezed into a thin sheet in the middle. In the latent space the moons keep their area, and the empty space between
# them does, too.

# %%
plots.latent_space(nice, moons.sample(4000, seed=0, split="validation"))

# %% [markdown]
# Expected:
#
# ![latent space of NICE on the moons: every cell of the grid keeps its area](figures/nice_latents.png)
#
# The number to compare: RealNVP of homework 2 has as many couplings, which may stretch one place and shrink another,
# and ends at 0.02 nats above the limit.

# %%
with torch.no_grad():
    x = torch.as_tensor(moons.sample(20_000, seed=1, split="validation"))
    above, (_, log_det) = -nice.log_prob(x).mean().item() - moons.entropy, nice(x)
print(f"{above:.3f} nats above the limit; volumes change by {log_det.min().exp():.2f} to {log_det.max().exp():.2f}")

# %% [markdown]
# **Inpainting.** Let $x_1$ be known and $x_2$ lost, start anywhere, and climb.

# %%
lost = torch.stack([torch.linspace(-2, 2, 400), 2 * torch.randn(400)], dim=1)
found = nice.inpaint(lost, torch.tensor([[True, False]]).expand(400, 2))
plots.samples_2d({"$x_2$ lost": (moons, lost), "after 200 steps": (moons, found)})

# %% [markdown]
# Expected:
#
# ![points with a known first coordinate: the second climbed to a ridge of the density](figures/nice_inpainted.png)

# %% [markdown]
# ### Question E1
#
# Why do two points with the same $x_1$ end on different moons, and what would you add to the steps to get draws of
# $p(x_2 \mid x_1)$ in place of its peaks? (The paper adds noise; homework 5 says how much.)

# %% [markdown]
# ### BEGIN SOLUTION
# Where the moons lie above each other $p(x_2 \mid x_1)$ has two peaks. Climbing goes up the slope and ends on the peak
# in whose basin it began, and the starting points are drawn at random. For draws add noise of the right size to each
# step, Langevin dynamics: $x_2 \leftarrow x_2 + \frac{\varepsilon}{2}\, \partial_{x_2} \log p(x) +
# \sqrt{\varepsilon}\, \xi$ with $\xi \sim N(0, 1)$, small $\varepsilon$ and many steps, while $x_1$ stays. It spends
# as much time at each place as the density says; from one moon to the other it goes seldom, as it must cross the gap.
#
# **Rubric.** *2 points:* two peaks with a basin each, **and** noise whose variance is tied to the step (Langevin), in
# some form. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("nice")
