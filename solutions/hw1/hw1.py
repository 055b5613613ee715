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
# # Homework 1 · Autoregressive models
#
# An autoregressive model takes a joint distribution apart with the chain rule,
#
# $$\log p_\theta(x) \;=\; \sum_{i=1}^{d} \log p_\theta\left(x_i \mid x_{1:i-1}\right),$$
#
# and learns each factor with a network whose output $i$ may look at the inputs before $i$ and at nothing
# else. That gives an exact likelihood, which we can train on directly, and a sampler: draw $x_1$, then
# $x_2$ given $x_1$, and so on.
#
# **How this notebook works.** Each exercise has the same steps: *why*, *write*, *look*, *train*, *see*,
# *check*. You write the code where it says `NotImplementedError`. `check("…")` runs the very checks that
# grade you, as often as you like; at grading time only the seeds and the held-out data are new. Every data
# set here has a known density, so you always know how far your model is from the best that is possible:
# we call the entropy of the data **the limit**, and report losses in *nats above the limit*.

# %%
from deepul_utils import check, fit, plots, progress, seed_everything, toy, trained, training

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise 1.1 · A mixture of discretised logistics
#
# **Why.** Pixels, sounds and counts are integers on a scale: level 57 is close to level 58. A softmax over
# all levels knows nothing of that and needs a parameter for each. PixelCNN++ instead puts a continuous
# density over the scale and integrates it over each level's bin. With the logistic distribution the
# integral is closed: its CDF is the sigmoid, $\mathrm{CDF}(x) = \sigma\left(\frac{x - \mu}{s}\right)$.
#
# For levels $0, \dots, L-1$, with $K$ components of weight $\pi_k$,
#
# $$P(x) \;=\; \sum_{k=1}^{K} \pi_k \left[\sigma\left(\frac{x + \frac12 - \mu_k}{s_k}\right)
#   - \sigma\left(\frac{x - \frac12 - \mu_k}{s_k}\right)\right].$$
#
# **The two edge bins** reach to infinity: for $x = 0$ the lower edge is $-\infty$ (its sigmoid is 0), and
# for $x = L-1$ the upper edge is $+\infty$ (its sigmoid is 1). Forget this and the probabilities no longer
# sum to one.

# %%
edges = toy.discrete("edges", bins=100)
plots.distribution(edges)

# %% [markdown]
# This is what you will model: 100 levels, several bumps, and a good share of the mass piled up on the first
# and the last level, as it happens when a sensor saturates.
#
# **Write** the model. One trap is numerical: far from $\mu$ both sigmoids round to the same number and
# their difference to zero. With $b = \frac{x + 1/2 - \mu}{s}$ and $a = \frac{x - 1/2 - \mu}{s}$,
#
# $$\sigma(b) - \sigma(a) \;=\; \sigma(b)\;\sigma(-a)\;\left(1 - e^{-(b-a)}\right), \qquad b - a = \frac1s ,$$
#
# and the logarithm of the right side is exact at any distance. (Why is it true? Put both sigmoids over a
# common denominator.)


# %%
class DiscretizedLogisticMixture(nn.Module):
    """A mixture of logistics, integrated over the bins of the integers 0 … levels − 1.

    P(x) = Σ_k π_k [σ((x + ½ − μ_k) / s_k) − σ((x − ½ − μ_k) / s_k)], the outer bins reaching to ±∞.

    Keep μ and s in units in which the levels span [−1, 1]: then one learning rate suits any number of levels.
    """

    def __init__(self, levels: int, components: int):
        super().__init__()
        self.levels = levels
        ### BEGIN SOLUTION
        self.pi_logits = nn.Parameter(torch.zeros(components))
        self.mu = nn.Parameter(torch.linspace(-1, 1, components))
        self.log_s = nn.Parameter(torch.full((components,), -2.0))
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log P(x) in nats: int64 (B, 1) -> (B,)."""
        ### BEGIN SOLUTION
        step = 2 / (self.levels - 1)
        centre = x * step - 1  # levels 0 … L−1 onto [−1, 1]
        s = self.log_s.exp()
        b = (centre + step / 2 - self.mu) / s  # (B, K)
        a = (centre - step / 2 - self.mu) / s
        left = F.logsigmoid(b)  # log σ(b): all mass below the upper edge
        right = F.logsigmoid(-a)  # log (1 − σ(a)): all mass above the lower edge
        inside = left + right + torch.log(-torch.expm1(-step / s))
        log_p = torch.where(x == 0, left, torch.where(x == self.levels - 1, right, inside))
        return torch.logsumexp(log_p + F.log_softmax(self.pi_logits, dim=0), dim=1)
        ### END SOLUTION

    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, 1): a component, then a logistic, rounded to the nearest level, clipped at the ends."""
        ### BEGIN SOLUTION
        k = torch.multinomial(self.pi_logits.softmax(dim=0), n, replacement=True)
        u = torch.rand(n).clamp(1e-7, 1 - 1e-7)
        value = self.mu[k] + self.log_s.exp()[k] * torch.logit(u)  # logit is the inverse of the logistic's CDF
        level = torch.round((value + 1) * (self.levels - 1) / 2)
        return level.clamp(0, self.levels - 1).long()[:, None]
        ### END SOLUTION


# %% [markdown]
# **Look** before you train: an untrained mixture, all of its levels at once. The bars must sum to one.

# %%
untrained = DiscretizedLogisticMixture(levels=100, components=4)
with torch.no_grad():
    p = untrained.log_prob(torch.arange(100)[:, None]).exp()
print(f"sum of the probabilities: {p.sum():.6f}")
plots.pmf_1d(edges.pmf, p, "untrained")

# %% [markdown]
# **Train.** Write the loop yourself this once: draw a mini-batch, take the mean negative log-likelihood,
# step. (`for step in progress(range(steps)):` shows a bar.) About ten seconds are enough. Return the list of
# losses.

# %%
train_levels = torch.as_tensor(edges.sample(50_000, seed=0))


def train_logistic_mixture(model: DiscretizedLogisticMixture, steps: int = 1500, batch_size: int = 1024) -> list[float]:
    """Minimise 𝓛 = −mean log P(x) over mini-batches of train_levels; returns the loss of every step."""
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for _ in progress(range(steps)):
        batch = train_levels[torch.randint(len(train_levels), (batch_size,))]
        loss = -model.log_prob(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


# %%
mixture = trained(
    "logistic_mixture",
    DiscretizedLogisticMixture(levels=100, components=10),
    fit=train_logistic_mixture,
)
plots.history(training.history("logistic_mixture"), limit=edges.entropy)

# %% [markdown]
# **See** the density that you learned, over the true one, and your samples.

# %%
with torch.no_grad():
    learned = mixture.log_prob(torch.arange(100)[:, None]).exp()
plots.samples_1d(mixture.sample(20_000), pmf=edges.pmf, model_pmf=learned)

# %% [markdown]
# Expected:
#
# ![learned pmf and samples](figures/logistic_mixture.png)
#
# *A question to think about:* the loss of your model is an average of $-\log P(x)$ over data. Which levels
# weigh most in it, and what does that mean for the levels that never occur in the training set?

# %%
check("logistic_mixture")

# %% [markdown]
# ---
# ## Exercise 1.2 · MADE: a masked autoencoder
#
# **Why.** In two dimensions we could train one network for $x_1$ and another for $x_2$ given $x_1$; with
# $d$ dimensions that is $d$ networks. MADE trains *one*: an autoencoder whose weights are masked so that
# output $i$ depends on inputs $1, \dots, i-1$ only. One forward pass gives all conditionals.
#
# **How the masks work.** Give every unit a *degree*: input $i$ has degree $i$, output $i$ has degree $i$, a
# hidden unit some degree $m$ from $1$ to $d - 1$. A hidden unit of degree $m$ may see inputs up to $m$; the
# output of degree $i$ may see hidden units *below* $i$:
#
# $$M^{\text{hidden}}_{uv} = \left[\,m_u \ge m_v\,\right], \qquad M^{\text{output}}_{uv} = \left[\,i_u > m_v\,\right].$$
#
# The one strict inequality is what keeps an output from seeing its own input. (Why may it stand in the last
# layer alone? What would two of them do?)

# %%
smiley, moons = toy.discrete("smiley", bins=25), toy.discrete("moons", bins=25)
plots.pmf_2d(smiley=smiley.pmf, moons=moons.pmf)

# %% [markdown]
# **Write** the masked layer first. Multiply the mask out of place: overwriting `weight.data` in `forward`
# silently eats weights.


# %%
class MaskedLinear(nn.Linear):
    """y = (W ∘ M) x + b, with the mask M[u, v] = 1 where output unit u may see input unit v.

    Out of the degrees of both sides: in a hidden layer M = [m_u ≥ m_v], in the output layer M = [m_u > m_v].
    """

    def __init__(self, in_degrees: torch.Tensor, out_degrees: torch.Tensor, is_output: bool = False):
        super().__init__(len(in_degrees), len(out_degrees))
        ### BEGIN SOLUTION
        u, v = out_degrees[:, None], in_degrees[None, :]
        mask = (u > v) if is_output else (u >= v)
        self.register_buffer("mask", mask.float())
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in) -> (B, out)."""
        ### BEGIN SOLUTION
        return F.linear(x, self.weight * self.mask, self.bias)
        ### END SOLUTION


# %% [markdown]
# Now the model. The inputs are levels, so feed them in as one-hot vectors (all `bins` inputs of one
# dimension share its degree). The outputs are `bins` logits a dimension.


# %%
class MADE(nn.Module):
    """log p(x) = Σ_i log softmax(logits_i)[x_i], where logits_i depends on x_1 … x_{i−1} only.

    dims: number of variables. bins: levels of each, 0 … bins − 1.
    """

    def __init__(self, dims: int, bins: int, hidden: int = 64):
        super().__init__()
        self.dims, self.bins = dims, bins
        ### BEGIN SOLUTION
        of_data = torch.arange(1, dims + 1).repeat_interleave(bins)  # every bin carries its dimension's degree
        of_hidden = torch.arange(hidden) % max(1, dims - 1) + 1
        self.net = nn.Sequential(
            MaskedLinear(of_data, of_hidden),
            nn.ReLU(),
            MaskedLinear(of_hidden, of_hidden),
            nn.ReLU(),
            MaskedLinear(of_hidden, of_data, is_output=True),
        )
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p(x_i | x_{1:i−1}) of every level: int64 (B, dims) -> (B, dims, bins)."""
        ### BEGIN SOLUTION
        one_hot = F.one_hot(x, self.bins).float().flatten(1)  # (B, dims · bins)
        return self.net(one_hot).view(-1, self.dims, self.bins)
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats, summed over the dimensions: int64 (B, dims) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).squeeze(-1).sum(dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, dims): x_1 first, then each x_i given those before it."""
        ### BEGIN SOLUTION
        x = torch.zeros(n, self.dims, dtype=torch.long)
        for i in range(self.dims):
            p = self.logits(x)[:, i].softmax(dim=-1)
            x[:, i] = torch.multinomial(p, 1).squeeze(-1)
        return x
        ### END SOLUTION


# %% [markdown]
# **Look.** Which outputs move when one input changes? In a right model, with four dimensions, the picture is
# a triangle with an *empty diagonal*: output $i$ (row) sees the inputs before $i$ (columns).

# %%
tiny = MADE(dims=4, bins=3)
x = torch.randint(3, (64, 4))
with torch.no_grad():
    moved = torch.stack(
        [(tiny.logits(x) - tiny.logits(x.index_fill(1, torch.tensor(j), 0))).abs().amax(dim=(0, 2)) for j in range(4)],
        dim=1,
    )
plots.matrix(moved > 1e-6, xlabel="input", ylabel="output", title="which outputs see which inputs")

# %% [markdown]
# **Train** with maximum likelihood: the loss is the mean of $-\log p(x)$. `fit` is the loop that you wrote
# above, with a progress bar, gradient clipping, and an evaluation on validation data now and then; you give
# it the loss and the optimiser. If you interrupt it, run the cell again: it goes on where it stopped.


# %%
def train_made(data):
    """A function that trains a MADE on samples of `data` with `fit`, and returns the History."""

    def train(model: MADE):
        ### BEGIN SOLUTION
        steps = 2500
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        return fit(
            model,
            lambda x: -model.log_prob(x).mean(),
            data.sample(200_000, seed=0),
            optimizer=optimizer,
            scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-2, total_steps=steps),
            valid=data.sample(20_000, seed=0, split="validation"),
            steps=steps,
            batch_size=1024,
        )
        ### END SOLUTION

    return train


# %%
made_smiley = trained("made.smiley", MADE(dims=2, bins=25), fit=train_made(smiley))
made_moons = trained("made.moons", MADE(dims=2, bins=25), fit=train_made(moons))
plots.history(training.history("made.smiley"), limit=smiley.entropy)

# %% [markdown]
# **See** what it learned: the true probabilities, those of your model on the whole grid, and a histogram of
# its samples.

# %%
grid = torch.cartesian_prod(torch.arange(25), torch.arange(25))
with torch.no_grad():
    learned = made_smiley.log_prob(grid).exp().view(25, 25)
counts = torch.zeros(25, 25).index_put_(tuple(made_smiley.sample(20_000).T), torch.tensor(1.0), accumulate=True)
plots.pmf_2d(true=smiley.pmf, model=learned, samples=counts / counts.sum())

# %% [markdown]
# Expected:
#
# ![true pmf, learned pmf and samples of MADE on the smiley](figures/made_smiley.png)
#
# *A question to think about:* you modelled $x_1$ first and $x_2$ given $x_1$. Would the other order be
# easier to learn for one of the two data sets? Try it: any order passes the checks.

# %%
with torch.no_grad():
    learned = made_moons.log_prob(grid).exp().view(25, 25)
plots.pmf_2d(true=moons.pmf, model=learned)

# %%
check("made")
