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
# **How this notebook works.** Each exercise has the same steps: *why*, *write*, *look*, *train*, *see*, *check*; the
# contents pane on the left lists them. You write the code where it says `NotImplementedError`. The hardest steps have
# hints that unfold when you click on them; try without first. `check("…")` runs the very checks that grade you, as
# often as you like; at grading time only the seeds and the held-out data are new. Where the density of the data is
# known (everywhere but in 1.3 and 1.4), you know how far your model is from the best that is possible: we call the
# entropy of the data **the limit**, and report losses in *nats above the limit*. (Logarithms are natural; a nat is
# $1 / \log 2 = 1.44$ bits.)
#
# **Check early.** The table is worth calling long before an exercise is finished: a check needs the methods that it is
# about, and no others. Write one method, run its cell, and call `check("made")`; `check("made", only="earlier inputs")`
# runs only the checks that have these words in their title. Any right design passes: another order of the
# variables, other layers and activations, BatchNorm, Dropout, embeddings, as long as the methods take and give what
# their docstrings say. **The recipe** of each exercise is a training that reaches full points with the plainest right
# network. You need not follow it.
#
# **Two conventions.** Formulas count from one, as in the lecture notes: $x_1$ is the first variable. Python counts from
# zero, and so do the axes of the plots. And $x_{1:i-1}$ are all variables before $x_i$; before $x_1$ there are none.
# (The second line of Eq. 1 in the lecture notes should say $x_{1:i-1}$, too.)

# %%
from deepul_utils import check, device, drawn, fit, images, plots, progress, seed_everything, tensors, toy, trained
from deepul_utils import training

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise 1.1 · A mixture of discretised logistics
#
# **Why.** Pixels, sounds and counts are integers on a scale: level 57 is close to level 58. A softmax over all levels
# knows nothing of that and needs a parameter for each. PixelCNN++ instead puts a continuous density over the scale and
# integrates it over each level's bin. With the logistic distribution the integral has a closed form: its CDF is the
# sigmoid, $\mathrm{CDF}(x) = \sigma\left(\frac{x - \mu}{s}\right)$. Its middle is $\mu$, and $s$ says how wide it is.
#
# Put the levels $0, \dots, L-1$ on the scale from $-1$ to $1$, so that one learning rate suits any number of them:
# level $x$ is at $\tilde x = x\,\delta - 1$, and neighbours are $\delta = \frac{2}{L-1}$ apart. A bin reaches half of
# that to either side. Both $\mu_k$ and $s_k$ are measured on this scale as well, *not* in levels: $s = \delta$ is as
# wide as one level, $s = 1$ as half of all levels. With $K$ components of weight $\pi_k$,
#
# $$P(x) \;=\; \sum_{k=1}^{K} \pi_k \left[\sigma\left(\frac{\tilde x + \delta/2 - \mu_k}{s_k}\right)
#   - \sigma\left(\frac{\tilde x - \delta/2 - \mu_k}{s_k}\right)\right].$$
#
# **The two edge bins** reach to infinity: for $x = 0$ the lower edge is $-\infty$ (its sigmoid is 0), and
# for $x = L-1$ the upper edge is $+\infty$ (its sigmoid is 1). Forget this and the probabilities no longer
# sum to one.
#
# *The paper:* Salimans, Karpathy, Chen and Kingma, *PixelCNN++: Improving the PixelCNN with Discretized Logistic
# Mixture Likelihood and Other Modifications*, 2017 ([arXiv:1701.05517](https://arxiv.org/abs/1701.05517)), section 2.1.
# *Further reading:* van den Oord et al., *WaveNet: A Generative Model for Raw Audio*, 2016
# ([arXiv:1609.03499](https://arxiv.org/abs/1609.03499)), which takes a softmax over 256 levels of sound instead.

# %%
edges = toy.discrete("edges", bins=100)
plots.distribution(edges)

# %% [markdown]
# This is what you will model: 100 levels, several bumps, and a good share of the mass piled up on the first
# and the last level, as it happens when a sensor saturates.
#
# ### Write
#
# The model. Its parameters are free real numbers: logits whose softmax is $\pi$, the means $\mu$, and $\log s$, so that
# $s$ is positive whatever the optimiser does. Start with means that are spread over $[-1, 1]$ (components that start
# alike stay alike) and with $s$ about five levels wide, $0.1$.
#
# One trap is numerical: far from $\mu$ both sigmoids round to the same number and their difference to zero. With
# $b = (\tilde x + \delta/2 - \mu) / s$ and $a = (\tilde x - \delta/2 - \mu) / s$,
#
# $$\sigma(b) - \sigma(a) \;=\; \sigma(b)\;\sigma(-a)\;\left(1 - e^{-(b-a)}\right), \qquad b - a = \frac{\delta}{s} ,$$
#
# and the logarithm of the right side is exact at any distance: it needs no `1e-8` inside, which would stop the tails
# from falling. (Why is it true? Put both sigmoids over a common denominator.)
#
# **Hints** for `log_prob`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# A bin is one of three kinds: the lowest, the highest, or one inside. Compute the logarithm of all three for every
# example and every component, as if each example were of that kind, and choose afterwards, element by element. An `if`
# cannot choose within a batch; `torch.where` can.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# `x` is (B, 1) and the parameters are (K,), so $a$ and $b$ are (B, K), and so are the three logarithms. What is chosen
# from them, plus $\log \pi_k$, is the logarithm of one term of the sum over $k$: (B, K) again. The logarithm of the sum
# is (B,).
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# $\log \sigma$ is `F.logsigmoid`, and $1 - \sigma(a) = \sigma(-a)$. At the lowest level only $\sigma(b)$ is left of
# $\sigma(b) - \sigma(a)$, at the highest only $1 - \sigma(a)$. For $\log(1 - e^{-t})$ look up `torch.expm1`: it keeps
# the digits that `exp` minus one loses. In `sample`, a logistic is drawn by the inverse of its CDF:
# $\mu + s \log \frac{u}{1 - u}$ with $u$ uniform (`torch.logit`).
#
# </details>


# %%
class DiscretizedLogisticMixture(nn.Module):
    """A mixture of logistics, integrated over the bins of the integers 0 … levels − 1.

    P(x) = Σ_k π_k [σ((x̃ + δ/2 − μ_k) / s_k) − σ((x̃ − δ/2 − μ_k) / s_k)], the outer bins reaching to ±∞, where
    x̃ = x δ − 1 and δ = 2 / (levels − 1): on this scale the levels span [−1, 1].
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
# ### Look
#
# Before you train: an untrained mixture, all of its levels at once. The bars must sum to one.

# %%
untrained = DiscretizedLogisticMixture(levels=100, components=4)
with torch.no_grad():
    p = untrained.log_prob(torch.arange(100)[:, None]).exp()
print(f"sum of the probabilities: {p.sum():.6f}")
plots.pmf_1d(edges.pmf, p, "untrained")

# %% [markdown]
# ### Train
#
# Write the loop yourself this once: draw a mini-batch, take the mean negative log-likelihood, step.
# (`for step in progress(range(steps)):` shows a bar.) Return the list of losses, as floats.
#
# The cell after it calls `trained(name, model, fit=…)`, as in all exercises: it calls your function with the model, and
# keeps the weights in `artifacts/`, which is what you hand in. Next time it loads them and does not train;
# `trained(…, retrain=True)` does. `aim` is a number to aim at, the loss that the course's own solution reaches: the
# progress bar shows it beside yours. `training.history(name)` are the losses.
#
# *The recipe:* Adam with a learning rate of 0.05 that falls to zero along a cosine (`CosineAnnealingLR`, stepped after
# every step), 1,500 steps on batches of 1,024: five seconds.

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
    aim=training.reference("logistic_mixture"),
)

# %%
with torch.no_grad():
    held_out = -mixture.log_prob(torch.as_tensor(edges.sample(20_000, seed=0, split="validation"))).mean()
plots.history(training.history("logistic_mixture"), limit=edges.entropy, held_out=held_out)

# %% [markdown]
# Expected:
#
# ![training loss of the mixture, falling to the limit](figures/logistic_mixture_losses.png)

# %% [markdown]
# ### See
#
# The probabilities that you learned, over the true ones, and your samples.

# %%
with torch.no_grad():
    learned = mixture.log_prob(torch.arange(100)[:, None]).exp()
plots.samples_1d(mixture.sample(20_000), pmf=edges.pmf, model_pmf=learned)

# %% [markdown]
# Expected:
#
# ![learned pmf and samples](figures/logistic_mixture.png)

# %% [markdown]
# ### Question 1.1
#
# The loss of your model is an average of $-\log P(x)$ over data. Which levels weigh most in it, and what does that
# mean for the levels that never occur in the training set?

# %% [markdown]
# ### BEGIN SOLUTION
# The loss is $-\sum_x \hat p(x) \log P(x)$, where $\hat p(x)$ is the share of level $x$ among the data: each $\log
# P(x)$ counts as often as its level occurs, so the frequent levels weigh most. A level that never occurs has weight
# zero. Its probability enters only because everything sums to one: what it has, the others lack, so training takes it
# away. How much is left is decided by the shape of the model, here by the tails of the logistics, and not by the data.
# It is never zero, and nothing says that it is right: one such level among new data may cost any number of nats.
#
# **Rubric.** *2 points:* levels count by how often they occur, **and** for those that do not occur the data say
# nothing but that their sum should be small (the model's shape decides). *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

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
# Here $u$ is a unit of the layer's output and $v$ one of its input, $m_u$ and $m_v$ are their degrees, $i_u$ is the
# degree of an output, and $[\cdot]$ is one where the condition holds and zero elsewhere. In the first layer the $m_v$
# are the degrees of the inputs. The one strict inequality is what keeps an output from seeing its own input. (Why may
# it stand in the last layer alone? What would two of them do?)
#
# *The paper:* Germain, Gregor, Murray and Larochelle, *MADE: Masked Autoencoder for Distribution Estimation*, 2015
# ([arXiv:1502.03509](https://arxiv.org/abs/1502.03509)). *Further reading:* Uria et al., *Neural Autoregressive
# Distribution Estimation*, 2016 ([arXiv:1605.02226](https://arxiv.org/abs/1605.02226)), on the models before it.

# %%
smiley, moons = toy.discrete("smiley", bins=25), toy.discrete("moons", bins=25)
plots.pmf_2d(smiley=smiley.pmf, moons=moons.pmf)

# %% [markdown]
# ### Write
#
# The masked layer first. It is given the degrees of both sides, and makes its mask from them. Multiply weight and mask
# anew in every `forward`, and leave `self.weight` as it is: a `forward` that overwrites `self.weight.data` destroys
# weights, and no error tells you. Keep the mask as a buffer (`register_buffer`): it is saved with the weights, and is
# not trained.


# %%
class MaskedLinear(nn.Linear):
    """y = (W ∘ M) x + b, with the mask M[u, v] = 1 where output unit u may see input unit v.

    The degrees m of both sides decide: in a hidden layer M = [m_u ≥ m_v], in the output layer M = [m_u > m_v].
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
# Now the model. The inputs are levels, so feed them in as one-hot vectors (all `bins` inputs of one dimension share its
# degree). The outputs are `bins` logits a dimension. Two hidden layers are enough. (Make two of them: in Python
# `[layer] * 2` is the same layer twice, with the same weights.) Call `check("made")` when you have `logits`, again when
# you have `log_prob`, and again when you have `sample`.
#
# **Hints** for `MADE`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# The degrees do all the work. Make three vectors of degrees: of the inputs, of the hidden units, of the outputs. Each
# `MaskedLinear` is given two of them, and the rest is an ordinary MLP.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# One-hot vectors laid side by side are (B, dims · bins), those of $x_1$ first: their degrees are `bins` times 1, then
# `bins` times 2, and so on. The outputs have the same degrees in the same order, and are given the shape (B, dims,
# bins) at the end. The degrees of the hidden units go through $1, \dots, d - 1$ again and again.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# `torch.arange(…).repeat_interleave(…)` makes such a vector, and `%` one that goes round. In `log_prob`, take the
# log-softmax over the levels, pick the one that `x` names (`gather`), and add over the dimensions. In `sample`, what is
# not drawn yet may hold anything: the logits of $x_i$ do not see it.
#
# </details>


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
# ### Look
#
# Which outputs move when one input changes? In a right model, with four dimensions, the picture is a triangle with an
# *empty diagonal*: output $i$ (row) sees the inputs before $i$ (columns). The axes count from 0, so $x_1$ is row and
# column 0: the first row is empty, since $p(x_1)$ depends on nothing.

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
# ### Train
#
# With maximum likelihood: the loss is the mean of $-\log p(x)$. From here on the kit's `fit` is the loop that you wrote
# in 1.1, with a progress bar, gradient clipping, and a look at validation data now and then. If you interrupt it, run
# the cell again: it goes on where it stopped.
#
# ```python
# fit(model, loss, train, *, optimizer, steps, batch_size=256, valid=None, scheduler=None, clip=1.0, evaluations=20)
# ```
#
# | argument | what it is |
# |---|---|
# | `model` | what is trained, an `nn.Module` |
# | `loss` | a function of a batch that returns *one number*, the mean over the batch |
# | `train` | examples, one array or tensor, or a tuple such as `(images, labels)` if `loss` takes two arguments |
# | `optimizer` | of this model's parameters: `torch.optim.Adam(model.parameters(), lr=…)` |
# | `steps`, `batch_size` | how many steps, on how many examples each |
# | `valid` | held-out examples, like `train`; their loss is measured `evaluations` times |
# | `scheduler` | a schedule of this optimiser's learning rate; it is stepped after every step |
# | `clip` | a gradient that is longer than this is shortened to it |
#
# `train` and `valid` are no `Dataset` and no `DataLoader`: `fit` draws its batches itself. It returns a `History`:
# `train`, the loss of every step; `valid`, the losses on `valid`, and `valid_steps`, when they were measured;
# `seconds`. A training function returns that, too, and `plots.history` draws it.
#
# Here is a whole call, for the simplest model there is: $x_1$ and $x_2$ independent, a table of logits for each.


# %%
class Independent(nn.Module):
    """log p(x) = log p(x_1) + log p(x_2), each a softmax over a table of `bins` logits."""

    def __init__(self, bins: int):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2, bins))

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats: int64 (B, 2) -> (B,)."""
        log_p = self.table.log_softmax(dim=1)
        return log_p[0, x[:, 0]] + log_p[1, x[:, 1]]


independent = Independent(bins=25)
example = fit(
    independent,
    lambda batch: -independent.log_prob(batch).mean(),
    smiley.sample(20_000, seed=0),
    optimizer=torch.optim.Adam(independent.parameters(), lr=0.1),
    valid=smiley.sample(10_000, seed=0, split="validation"),
    steps=200,
    batch_size=512,
)
print(f"{len(example.train)} steps, {example.valid[-1] - smiley.entropy:.2f} nats above the limit")

# %% [markdown]
# That is what independence costs, and where the points of this exercise begin; a MADE ends at less than 0.02.
#
# **When `fit` refuses,** it says in a sentence what it cannot take. The usual ones: *the loss must be one number*
# (`.mean()` is missing); *the optimiser moves no parameter of this model* (the model was made anew, the optimiser was
# not); *the loss does not depend on the model's parameters* (`no_grad` or `detach`, or the loss of another model); *the
# loss became nan* (the logarithm or a division of zero, or a learning rate that is too large); *an interrupted run was
# made by another model* (go back, or start over with `trained(…, retrain=True)`).
#
# *The recipe:* Adam, 2,500 steps on batches of 1,024, with a learning rate that rises to 0.02 and falls to zero again
# (`OneCycleLR(optimizer, max_lr=2e-2, total_steps=2500)`, which `fit` takes as `scheduler=`; the rate that Adam was
# made with does not count then), on 200,000 samples: ten seconds for each of the two.


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
made_smiley = trained(
    "made.smiley", MADE(dims=2, bins=25), fit=train_made(smiley), aim=training.reference("made.smiley")
)
made_moons = trained("made.moons", MADE(dims=2, bins=25), fit=train_made(moons), aim=training.reference("made.moons"))
plots.history(training.history("made.smiley"), limit=smiley.entropy)

# %% [markdown]
# Expected:
#
# ![training and validation loss of MADE on the smiley, falling to the limit](figures/made_losses.png)

# %% [markdown]
# ### See
#
# What it learned: the true probabilities, those of your model on the whole grid, and a histogram of its samples.

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


# %%
with torch.no_grad():
    learned = made_moons.log_prob(grid).exp().view(25, 25)
plots.pmf_2d(true=moons.pmf, model=learned)

# %% [markdown]
# ### Question 1.2
#
# You modelled $x_1$ first and $x_2$ given $x_1$. The chain rule holds for the other order, too. Can the best loss that
# is possible depend on the order? Why may one order be easier to *learn* all the same? Look at the conditionals of one
# of the two data sets. (Try it: any order passes the checks.)

# %% [markdown]
# ### BEGIN SOLUTION
# The chain rule is exact in both orders, so the limit is the same, the entropy of the data. But the network has to
# represent conditionals, and these have other shapes. On the moons a column crosses each moon about once, so $p(x_2
# \mid x_1)$ has one mode or two; a row can cross each of them twice, so $p(x_1 \mid x_2)$ has up to four, and they
# meet and vanish where a moon has its top or its bottom. With $x_2$ first there is more to learn, from the same data
# and with the same hidden units.
#
# **Rubric.** *2 points:* the limit is the same, **and** a reason from the conditionals of one data set: how many modes
# they have, or how fast they change with what is given. Another result is right, too, if the reason is. *1 point:* one
# of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("made")

# %% [markdown]
# ---
# ## Exercise 1.3 · PixelCNN
#
# **Why.** An image has a thousand variables. MADE would give every pair of them a weight of its own; a convolution
# shares its weights over all positions, and a *masked* convolution keeps the order: pixel by pixel, row by row,
# the output at a pixel may see the pixels above it, and those left of it in its own row,
#
# $$\log p(x) \;=\; \sum_{i} \log p\left(x_i \mid x_{1:i-1}\right), \qquad i \text{ in raster order}.$$
#
# (*Raster order* is the order of reading: each row from left to right, the rows from top to bottom.)
#
# **Two masks.** The first layer looks at pixels, so it must hide the pixel that is to be predicted: mask **A** is
# one before the centre of the kernel (in raster order) and zero from the centre on. Later layers look at
# features, and the feature at the centre has seen only what it may: mask **B** shows the centre, too.
#
# *The paper:* van den Oord, Kalchbrenner and Kavukcuoglu, *Pixel Recurrent Neural Networks*, 2016
# ([arXiv:1601.06759](https://arxiv.org/abs/1601.06759)), section 3.4 and Figure 2. *Further reading:* Chen, Mishra,
# Rohaninejad and Abbeel, *PixelSNAIL: An Improved Autoregressive Generative Model*, 2017
# ([arXiv:1712.09763](https://arxiv.org/abs/1712.09763)), which adds attention.

# %%
glyphs = images.get("glyphs32", levels=2)
train_glyphs, train_labels = map(torch.as_tensor, glyphs.sample_labelled(20_000))
valid_glyphs, valid_labels = map(torch.as_tensor, glyphs.sample_labelled(400, split="validation"))
plots.images(train_glyphs[:24], levels=2, columns=12)

# %% [markdown]
# Digits in many typefaces, black and white, $32 \times 32$, and as many different ones as you like. They come as bytes
# (`uint8`), 0 for black and 1 for white; the methods of your model take them as `int64`, `x.long()`.
#
# ### Write
#
# The masked convolution.


# %%
class MaskedConv2d(nn.Conv2d):
    """A convolution whose output at a pixel sees no later pixel: y = (W ∘ M) * x + b.

    In raster order, M is 1 at the kernel's positions before its centre, 0 after it; at the centre 0 for kind "A"
    and 1 for kind "B". Output and input have the same height and width; the kernel's size is odd. dilation: how many
    pixels the kernel's positions are apart.
    """

    def __init__(self, kind: str, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1):
        padding = dilation * (kernel_size // 2)
        super().__init__(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation)
        ### BEGIN SOLUTION
        mask = torch.zeros(kernel_size**2)
        mask[: kernel_size**2 // 2] = 1
        mask[kernel_size**2 // 2] = float(kind == "B")
        self.register_buffer("mask", mask.view(kernel_size, kernel_size))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        ### BEGIN SOLUTION
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding, dilation=self.dilation)
        ### END SOLUTION


# %% [markdown]
# Now the network. Pixels enter as numbers: put the levels $0, \dots, L-1$ onto $[-1, 1]$, as floats, with
# $2x / (L - 1) - 1$. (Black would be zero otherwise, and so is the padding around the image.) Then one layer of kind A
# with a large kernel ($7 \times 7$), then `depth` layers of kind B ($3 \times 3$ are enough), each added to what it
# reads (`h = h + layer(relu(h))` trains much better than `h = layer(relu(h))`), and at the end layers of kind B with
# $1 \times 1$ kernels, down to one logit a level. If the layers have dilations 1, 2, 4, 8, 1, 2, …, they see several
# times further with as much computing: take them.
#
# The logits have a place for every level, `(B, 1, H, W, levels)`. Black and white needs one logit $l$ a pixel only, the
# one of a Bernoulli: then the two levels have the logits $0$ and $l$, `torch.stack([0 * l, l], dim=-1)`. BatchNorm is
# right (in eval mode, also while it samples); a norm over channels *and* pixels, such as `GroupNorm`, shows a pixel all
# others.


# %%
class PixelCNN(nn.Module):
    """log p(x) = Σ_i log softmax(logits_i)[x_i] over the pixels i, where logits_i depends on earlier pixels only.

    shape: (1, H, W) of an image. levels: of a pixel, 0 … levels − 1. width: channels. depth: layers of kind B.
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, width: int = 32, depth: int = 5):
        super().__init__()
        self.shape, self.levels = shape, levels
        ### BEGIN SOLUTION
        self.first = MaskedConv2d("A", 1, width, 7)
        self.layers = nn.ModuleList(MaskedConv2d("B", width, width, 3, dilation=2 ** (k % 4)) for k in range(depth))
        self.head = nn.ModuleList([MaskedConv2d("B", width, 2 * width, 1), MaskedConv2d("B", 2 * width, levels, 1)])
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p(x_i | x_{1:i−1}) of every level: int64 (B, 1, H, W) -> (B, 1, H, W, levels)."""
        ### BEGIN SOLUTION
        h = self.first(2 * x.float() / (self.levels - 1) - 1)  # levels onto [−1, 1]
        for layer in self.layers:
            h = h + layer(F.relu(h))
        for layer in self.head:
            h = layer(F.relu(h))
        return h.movedim(1, -1).unsqueeze(1)
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats, summed over the pixels: int64 (B, 1, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return tensors.sum_except_batch(log_p.gather(-1, x[..., None]))
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, 1, H, W), pixel by pixel in raster order."""
        ### BEGIN SOLUTION
        _, H, W = self.shape
        x, u = torch.zeros(n, 1, H, W, dtype=torch.long), torch.rand(n, 1, H, W)
        for i in progress(range(H), "rows"):
            for j in range(W):
                logits = self.logits(x[:, :, : i + 1])[:, :, i, j]  # rows below are not seen: leave them out
                cdf = logits.softmax(dim=-1).cumsum(dim=-1)
                x[:, :, i, j] = (cdf[..., :-1] < u[:, :, i, j, None]).sum(dim=-1)  # the level that u falls into
        return x
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# Which pixels does the output at one pixel see? Change every pixel of an image in turn, and look how much the logits at
# the marked pixel move. A right stack sees nothing below the mark, nothing right of it in its row, and not the mark
# itself. But it does not see *all* that lies before it either: to the right above the mark there is a **blind spot**.
#
# Why? A layer of kind B reads, with its $3 \times 3$ kernel, features of the row above, up to one column to the right,
# and of its own row, to the left only. So every step to the right costs a step up (with dilation $d$: $d$ columns cost
# $d$ rows). The first layer reaches up to three columns to the right in the row above. Together: $k$ rows above the
# mark, nothing further right than $k + 2$ columns can be reached, however many layers there are.

# %%
small = (1, 24, 24)
masked = PixelCNN(small, levels=2)
with torch.no_grad():
    seen = tensors.receptive_field(masked.logits, small, at=(16, 12))
plots.receptive_field(seen, centre=(16, 12), title="what a stack of masked convolutions sees")

# %% [markdown]
# Expected:
#
# ![what the output at one pixel of a masked stack sees: the blind spot is on the right](figures/pixelcnn_sees.png)
#
# ### Train
#
# The loss is the mean of $-\log p(x)$ in nats; with 1024 pixels, people divide by $1024 \log 2$ and
# speak of *bits per dimension*. One line makes convolutions about twice as fast on a CPU:
# `model.to(memory_format=torch.channels_last)`.
#
# *The recipe:* that line, then Adam, 3,000 steps on batches of 16 (`fit` takes 256 unless you say: far too few steps
# in the same time), with a learning rate that rises to 0.01 and falls to zero again (`OneCycleLR`): two minutes on two
# cores. The images are bytes: in the loss, `x.long()`.


# %%
def train_pixelcnn(model: PixelCNN):
    """Minimise 𝓛 = −mean log p(x) over train_glyphs with `fit`; returns the History."""
    ### BEGIN SOLUTION
    model.to(memory_format=torch.channels_last)
    steps = 3000
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return fit(
        model,
        lambda x: -model.log_prob(x.long()).mean(),
        train_glyphs,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps),
        valid=valid_glyphs,
        steps=steps,
        batch_size=16,
        evaluations=6,
    )
    ### END SOLUTION


# %%
aim = training.reference("pixelcnn", dims=1024)  # nats an image
pixelcnn = trained("pixelcnn", PixelCNN(glyphs.shape, levels=2), fit=train_pixelcnn, aim=aim)
plots.history(training.history("pixelcnn"), unit="nats an image")

# %% [markdown]
# Expected:
#
# ![training and validation loss of a PixelCNN, and the loss to aim at](figures/pixelcnn_losses.png)

# %% [markdown]
# ### See
#
# Sampling takes a forward pass a pixel. So `drawn(name, function)` keeps the samples beside the weights of that name,
# and those are what is graded; it draws anew when the weights or your code have changed.

# %%
pixelcnn_samples = drawn("pixelcnn", lambda: pixelcnn.sample(64))
plots.images(pixelcnn_samples[:48], levels=2, columns=12)

# %% [markdown]
# Expected:
#
# ![samples of a PixelCNN trained on glyphs](figures/pixelcnn.png)
#
# Strokes are right, and often a whole digit is. Where are the bits? The picture shows $-\log_2 p(x_i \mid
# x_{1:i-1})$ at every pixel: a stroke costs where it begins and where it turns, and nothing where it goes on.

# %%
with torch.no_grad():
    log_p = F.log_softmax(pixelcnn.logits(valid_glyphs[:8].long()), dim=-1)
    bits = -log_p.gather(-1, valid_glyphs[:8].long()[..., None])[..., 0] / torch.log(torch.tensor(2.0))
plots.image_rows({"image": valid_glyphs[:8].float()}, heat={"bits a pixel": bits})

# %% [markdown]
# Expected:
#
# ![glyphs, and the bits that each of their pixels costs](figures/pixelcnn_bits.png)
#
# And what does the trained model use of all that it could see?

# %%
with torch.no_grad():
    seen = tensors.receptive_field(pixelcnn.logits, glyphs.shape, at=(16, 14), around=valid_glyphs[0].long())
plots.receptive_field(seen, centre=(16, 14), title="after training: what the output at the mark uses")

# %% [markdown]
# **Optional: sampling fast.** A thousand passes compute a thousand times the same things: when pixel $i$ is drawn,
# all activations before it are what they were. Keep them, and compute in every layer only the one at the new
# pixel. If both ways draw with the same noise (one uniform number $u$ a pixel, compared with the probabilities added
# up), the samples are the same, some twenty times sooner. No check asks for it.


# %%
@torch.no_grad()
def fast_sample(model: PixelCNN, n: int) -> torch.Tensor:
    """The same draws as model.sample(n), int64 (n, 1, H, W), from activations that are kept (optional)."""
    ### BEGIN SOLUTION
    _, H, W = model.shape
    x, u = torch.zeros(n, 1, H, W, dtype=torch.long), torch.rand(n, 1, H, W)
    stack = [model.first, *model.layers]
    # What each layer reads, padded, channels last; a masked kernel needs its rows down to the centre only.
    pads, steps = [c.padding[0] for c in stack], [c.dilation[0] for c in stack]
    reads = [torch.zeros(n, H + p, W + 2 * p, c.in_channels) for p, c in zip(pads, stack, strict=True)]
    kernels = [(c.weight * c.mask)[:, :, : c.kernel_size[0] // 2 + 1].permute(2, 3, 1, 0).flatten(0, 2) for c in stack]
    heads = [(c.weight.flatten(1).T, c.bias) for c in model.head]
    for i in progress(range(H), "rows"):
        for j in range(W):
            h = None
            for read, kernel, conv, p, d in zip(reads, kernels, stack, pads, steps, strict=True):
                if h is not None:
                    read[:, i + p, j + p] = F.relu(h)
                seen = read[:, i : i + p + 1 : d, j : j + 2 * p + 1 : d].reshape(n, -1)
                out = torch.addmm(conv.bias, seen, kernel)
                h = out if h is None else h + out
            for weight, bias in heads:
                h = torch.addmm(bias, F.relu(h), weight)
            cdf = h.softmax(dim=-1).cumsum(dim=-1)
            x[:, 0, i, j] = (cdf[:, :-1] < u[:, 0, i, j, None]).sum(dim=-1)
            reads[0][:, i + 3, j + 3, 0] = 2 * x[:, 0, i, j] / (model.levels - 1) - 1
    return x
    ### END SOLUTION


# %% [markdown]
# ### Question 1.3
#
# The blind spot hides a quarter of what a pixel could know. How does the trained model still draw round digits, and
# where does it pay for what it does not see?

# %% [markdown]
# ### BEGIN SOLUTION
# What the hidden pixels know is mostly known elsewhere: neighbours are alike, strokes are several pixels wide and
# smooth, and the pixels that are seen on the left and above were drawn by the same rules from much of the same past.
# So little of the information is in the blind spot alone. The model is a valid density all the same: each conditional
# is normalised, of what it sees. It learns $p(x_i \mid \text{what is seen})$ in place of $p(x_i \mid x_{<i})$, and
# pays with a larger loss: the information about $x_i$ that only hidden pixels have, summed over the image.
#
# **Rubric.** *2 points:* hidden pixels tell little that is not seen elsewhere (they are correlated), **and** the price
# is paid in likelihood, by a model that is still a proper one. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("pixelcnn")

# %% [markdown]
# ---
# ## Exercise 1.4 · Gated PixelCNN
#
# **Why.** Two stacks have no blind spot. The **vertical** stack $v$ sees whole rows, all those above; the
# **horizontal** stack $h$ sees the own row, left of the pixel, and reads from the vertical one:
#
# $$ v' = \text{gate}\left(W_v * v + V_v y\right), \qquad
#    h' = h + U\,\text{gate}\left(W_h * h + L\,(W_v * v) + V_h y\right), \qquad
#    \text{gate}(a, b) = \tanh(a) \odot \sigma(b), $$
#
# where $a$ and $b$ are the two halves of the channels, $L$ and $U$ are $1 \times 1$ convolutions, and $V y$ is a bias
# that depends on the class $y$: one vector a class, the same at every pixel. ($*$ is a convolution and $\odot$ the
# product of elements.) As before, the first layer hides what is to be predicted: kind A sees the rows *strictly* above,
# or the pixels *strictly* left; kind B sees its own row, or its own pixel, too (of features, which have seen less).
#
# Why has the pair no blind spot? $v$ at a pixel sees all of the rows above, within its reach, on both sides. $h$ at a
# pixel reads $v$ at the same place, and so knows everything above, and what lies left of it in its own row it sees
# itself.
#
# *The paper:* van den Oord et al., *Conditional Image Generation with PixelCNN Decoders*, 2016
# ([arXiv:1606.05328](https://arxiv.org/abs/1606.05328)), Figure 2. *Further reading:* Menick and Kalchbrenner,
# *Generating High Fidelity Images with Subscale Pixel Networks and Multidimensional Upscaling*, 2018
# ([arXiv:1812.01608](https://arxiv.org/abs/1812.01608)), on what it took to come to large pictures.
#
# The data are those of Exercise 1.3, with their labels.

# %%
glyphs = images.get("glyphs32", levels=2)
train_glyphs, train_labels = map(torch.as_tensor, glyphs.sample_labelled(20_000))
valid_glyphs, valid_labels = map(torch.as_tensor, glyphs.sample_labelled(400, split="validation"))

# %% [markdown]
# ### Write
#
# The convolution of either stack (a mask again), and the layer. `down` is the first of the two equations, the vertical
# stack; `across` is the second, the horizontal one; and `link` is what the first tells the second,
# $L\,(W_v * v) + V_h y$. They are apart for the sake of `sample`: $v$ sees nothing of the row that is being drawn, so
# `down` is needed once a row, and only `across` once a pixel. (A sampler that runs the whole model for every pixel is
# right as well, and slower.)
#
# **The first layer** reads pixels where the others read features: its $v$ and its $h$ are both the image. To add that
# $h$ to $h'$ would show every output its own pixel, so there, and only there, the $h\,+$ in front is left out.
#
# **Channels.** The gate makes $w$ channels of $2w$. So $W_v$ and $W_h$ lead to $2w$ channels, $L$ from $2w$ to $2w$,
# $U$ from $w$ to $w$, and $V_v y$ and $V_h y$ are $2w$ numbers each (`nn.Embedding` is a table with a row a class).
#
# **Hints** for `GatedLayer`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Write the two equations as they stand, one in `down` and one in `across`, and give every letter a layer of its own:
# $W_v$ and $W_h$ are a `StackConv2d` each, $L$ and $U$ ordinary $1 \times 1$ convolutions, since they look at one pixel
# only.
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# $W_v * v$ is computed once and used twice: in the gate of $v'$, and, through $L$, in `link`. Each use adds its own
# bias of the class, of shape (B, 2w, 1, 1), which is the same at every pixel.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# `down` returns two things: the gate of $W_v * v$ plus its bias, and $L$ of the same $W_v * v$ plus the other bias.
# (Not $L$ of the gated $v'$.) `across` adds `link` inside its gate, then $U$, then $h$ unless the layer is of kind A.
# The vertical kernel of kind B may see its own row: the features there come from rows strictly above.
#
# </details>


# %%
class StackConv2d(nn.Conv2d):
    """A convolution of the vertical stack (k × k: rows up to the own) or the horizontal one (1 × k: columns up to it).

    kind "A" leaves the own row (vertical) or the own column (horizontal) out, kind "B" sees it. dilation: how many
    pixels the kernel's positions are apart.
    """

    def __init__(self, stack: str, kind: str, in_channels: int, out_channels: int, k: int, dilation: int = 1):
        height = k if stack == "vertical" else 1
        padding = (dilation * (height // 2), dilation * (k // 2))
        super().__init__(in_channels, out_channels, (height, k), padding=padding, dilation=dilation)
        ### BEGIN SOLUTION
        mask = torch.zeros(height, k)
        if stack == "vertical":
            mask[: k // 2 + (kind == "B")] = 1
        else:
            mask[:, : k // 2 + (kind == "B")] = 1
        self.register_buffer("mask", mask)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        ### BEGIN SOLUTION
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding, dilation=self.dilation)
        ### END SOLUTION


# %%
class GatedLayer(nn.Module):
    """v' = gate(W_v * v + V_v y), h' = h + U gate(W_h * h + L (W_v * v) + V_h y); of kind "A" without the first h."""

    def __init__(self, kind: str, in_channels: int, width: int, classes: int, k: int, dilation: int = 1):
        super().__init__()
        ### BEGIN SOLUTION
        self.vertical = StackConv2d("vertical", kind, in_channels, 2 * width, k, dilation)
        self.horizontal = StackConv2d("horizontal", kind, in_channels, 2 * width, k, dilation)
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        self.class_bias = nn.Embedding(classes, 4 * width)
        self.first = kind == "A"
        ### END SOLUTION

    def forward(self, v: torch.Tensor, h: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """v, h (B, channels, H, W), y int64 (B,) -> v', h' (B, width, H, W)."""
        v, link = self.down(v, y)
        return v, self.across(h, link)

    def down(self, v: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """v' of the vertical stack, and what the horizontal one is told: v, y -> v', L (W_v * v) + V_h y."""
        ### BEGIN SOLUTION
        bias_v, bias_h = self.class_bias(y)[..., None, None].chunk(2, dim=1)  # (B, 2 · width, 1, 1) each
        wide = self.vertical(v)
        return gate(wide + bias_v), self.link(wide) + bias_h
        ### END SOLUTION

    def across(self, h: torch.Tensor, link: torch.Tensor) -> torch.Tensor:
        """h' of the horizontal stack, row by row: h (B, channels, H, W), what `down` tells it -> (B, width, H, W)."""
        ### BEGIN SOLUTION
        new_h = self.out(gate(self.horizontal(h) + link))
        return new_h if self.first else h + new_h
        ### END SOLUTION


def gate(x: torch.Tensor) -> torch.Tensor:
    """tanh(a) ∘ σ(b) of the two halves a, b of the channels: (B, 2 · width, H, W) -> (B, width, H, W)."""
    ### BEGIN SOLUTION
    a, b = x.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)
    ### END SOLUTION


# %% [markdown]
# The model is `depth` gated layers, the first of kind A with $k = 7$, the others of kind B with $k = 3$ and dilations
# 1, 2, 4, 8, 1, …, and then on $h$: relu, a $1 \times 1$ convolution, relu, and one more, down to a logit for each
# level. Put the levels onto $[-1, 1]$ before the first layer.


# %%
class GatedPixelCNN(nn.Module):
    """log p(x | y) = Σ_i log softmax(logits_i)[x_i] over the pixels i, given the class y.

    shape: (1, H, W). levels: of a pixel. classes: of images, 0 … classes − 1. depth: gated layers.
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, classes: int, width: int = 16, depth: int = 6):
        super().__init__()
        self.shape, self.levels = shape, levels
        ### BEGIN SOLUTION
        later = (GatedLayer("B", width, width, classes, 3, dilation=2 ** (k % 4)) for k in range(depth - 1))
        self.layers = nn.ModuleList([GatedLayer("A", 1, width, classes, 7), *later])
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, levels, 1))
        self.reach = 3 + sum(2 ** (k % 4) for k in range(depth - 1))  # rows above that reach an output
        ### END SOLUTION

    def logits(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p(x_i | x_{1:i−1}, y): int64 (B, 1, H, W), int64 (B,) -> (B, 1, H, W, levels)."""
        ### BEGIN SOLUTION
        v = h = 2 * x.float() / (self.levels - 1) - 1  # levels onto [−1, 1]
        for layer in self.layers:
            v, h = layer(v, h, y)
        return self.head(h).movedim(1, -1).unsqueeze(1)
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """log p(x | y) in nats: int64 (B, 1, H, W), int64 (B,) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x, y), dim=-1)
        return tensors.sum_except_batch(log_p.gather(-1, x[..., None]))
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, y: torch.Tensor) -> torch.Tensor:
        """A draw for each class in y: int64 (n,) -> int64 (n, 1, H, W)."""
        ### BEGIN SOLUTION
        _, H, W = self.shape
        x = torch.zeros(len(y), 1, H, W, dtype=torch.long)
        for i in progress(range(H), "rows"):
            top = max(0, i - self.reach)  # nothing that is seen lies higher
            v, links = 2 * x[:, :, top : i + 1].float() / (self.levels - 1) - 1, []
            for layer in self.layers:  # the vertical stack sees nothing of this row: once a row is enough
                v, link = layer.down(v, y)
                links.append(link[:, :, -1:])
            for j in range(W):
                h = 2 * x[:, :, i : i + 1].float() / (self.levels - 1) - 1
                for layer, link in zip(self.layers, links, strict=True):
                    h = layer.across(h, link)
                p = self.head(h)[:, :, 0, j].softmax(dim=-1)
                x[:, 0, i, j] = torch.multinomial(p, 1).squeeze(-1)
        return x
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# The blind spot is gone. Within its reach, the output sees exactly what lies before it.

# %%
small = (1, 24, 24)
gated = GatedPixelCNN(small, levels=2, classes=10)
with torch.no_grad():
    zero = torch.zeros(1, dtype=torch.long)
    seen = tensors.receptive_field(lambda x: gated.logits(x, zero.expand(len(x))), small, at=(16, 12))
plots.receptive_field(seen, centre=(16, 12), title="what two stacks see")

# %% [markdown]
# Expected:
#
# ![what the output at one pixel of two stacks sees: all that lies before it](figures/gated_pixelcnn_sees.png)
#
# ### Train
#
# On images *and* labels: `fit` takes the tuple `(images, labels)` for `train` and for `valid`, and calls the loss with
# two arguments, a batch of each.
#
# *The recipe* is that of Exercise 1.3 with fewer steps: `channels_last`, Adam, 1,600 steps on batches of 16, a learning
# rate that rises to 0.01 and falls to zero again (`OneCycleLR`): two and a half minutes on two cores.


# %%
def train_gated(model: GatedPixelCNN):
    """Minimise 𝓛 = −mean log p(x | y) over (train_glyphs, train_labels) with `fit`; returns the History."""
    ### BEGIN SOLUTION
    model.to(memory_format=torch.channels_last)
    steps = 1600
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return fit(
        model,
        lambda x, y: -model.log_prob(x.long(), y).mean(),
        (train_glyphs, train_labels),
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps),
        valid=(valid_glyphs, valid_labels),
        steps=steps,
        batch_size=16,
        evaluations=6,
    )
    ### END SOLUTION


# %%
aim = training.reference("gated_pixelcnn", dims=1024)
gated_pixelcnn = trained("gated_pixelcnn", GatedPixelCNN(glyphs.shape, levels=2, classes=10), fit=train_gated, aim=aim)
plots.history(training.history("gated_pixelcnn"), unit="nats an image")

# %% [markdown]
# Expected:
#
# ![training and validation loss of a gated PixelCNN, and the loss to aim at](figures/gated_pixelcnn_losses.png)

# %% [markdown]
# ### See
#
# What it makes of every class: eight samples each, in the order of the labels.

# %%
sampled_labels = torch.arange(10).repeat_interleave(8)
gated_samples = drawn("gated_pixelcnn", lambda: gated_pixelcnn.sample(sampled_labels))
plots.image_rows({str(y): gated_samples[sampled_labels == y].float() for y in range(10)})

# %% [markdown]
# Expected:
#
# ![samples of a gated PixelCNN, a row a class](figures/gated_pixelcnn.png)

# %% [markdown]
# **A classifier for nothing.** A density for each class is a classifier, by Bayes' rule: $p(y \mid x) \propto
# p(x \mid y)$ when all classes are as frequent. Nobody trained it to tell digits apart. How well does it?

# %%
with torch.no_grad():
    some, classes = valid_glyphs[:60].long(), torch.arange(10)
    log_p = torch.stack([gated_pixelcnn.log_prob(some, y.expand(60)) for y in classes], dim=1)
print(f"{(log_p.argmax(dim=1) == valid_labels[:60]).float().mean():.0%} of 60 images classified right")

# %% [markdown]
# ### Question 1.4
#
# Compare the loss with that of Exercise 1.3, in nats an image. A label can be worth at most $\log 10 = 2.3$ of them.
# Why that much? And is the rest of the difference what the blind spot cost?

# %% [markdown]
# ### BEGIN SOLUTION
# Knowing the label lowers the best loss by the mutual information of image and label, $I(x; y) = H(y) - H(y \mid x)
# \le H(y) = \log 10$. The rest need not be the blind spot: the two networks differ in more, in their gates, their
# residual connections, depth, width and training, and neither is at its limit. To measure the blind spot alone, change
# nothing else: the same network with the same training and without labels, once with the vertical stack and once
# without what it adds above and to the right.
#
# **Rubric.** *2 points:* the bound by $I(x; y) \le H(y)$ in some form, **and** that other things differ as well, so
# that the rest is not the blind spot's alone. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("gated_pixelcnn")

# %% [markdown]
# ---
# ## Exercise 1.5 · PixelCNN in colour
#
# **Why.** A pixel of a colour image is three numbers, and they depend on each other. The chain rule orders them, too:
# red sees the pixels before; green sees those and the red of its own pixel; blue sees those, and the red and green of
# its own pixel.
#
# $$\log p(x) = \sum_i \log p(R_i \mid x_{<i}) + \log p(G_i \mid x_{<i}, R_i) + \log p(B_i \mid x_{<i}, R_i, G_i).$$
#
# (Another order makes a right model, too; the checks here ask for red, green, blue.) Split the channels of every layer
# into three groups of equal size, one a colour. Away from the centre of the kernel the mask is as it was. **At the
# centre** it goes by groups: kind A shows group $g$ the groups *before* it, kind B the groups before it and *its own*.
#
# *The paper:* again *Pixel Recurrent Neural Networks* ([arXiv:1601.06759](https://arxiv.org/abs/1601.06759)), section
# 3.4. *Further reading:* Salimans et al., *PixelCNN++* ([arXiv:1701.05517](https://arxiv.org/abs/1701.05517)), section
# 2.2, on a simpler way to let green and blue depend on red.
#
# ### Write
#
# The convolution whose mask knows about groups.
#
# **Hints** for `ColorMaskedConv2d`, one after the other:
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Away from the centre nothing is new. At the centre, whether a weight counts depends on two channels, that of the
# output and that of the input. So the mask needs all four dimensions of the kernel: (out, in, k, k).
#
# </details>
#
# <details>
# <summary>Hint 2: the shape of the answer</summary>
#
# Number the groups 0, 1, 2, and give every output channel and every input channel its group: two vectors. Compare one
# as a column with the other as a row, and you have the table (out, in) that belongs at the centre.
#
# </details>
#
# <details>
# <summary>Hint 3: the last nudge</summary>
#
# With $C$ channels in three equal groups, channel $c$ is in group $\lfloor 3c / C \rfloor$. "Before" is a strict
# inequality, "before, and its own" one that allows equality. It is easier to fill the kernel as a row of $k^2$
# positions, and give it its shape afterwards.
#
# </details>

# %%
shapes = images.get("shapes32", levels=4)
train_shapes = torch.as_tensor(shapes.sample(20_000))
valid_shapes = torch.as_tensor(shapes.sample(300, split="validation"))
print(f"limit: {shapes.entropy:.2f} nats an image, the logarithm of the number of different images")
plots.images(train_shapes[:24], levels=4, columns=12)


# %%
class ColorMaskedConv2d(nn.Conv2d):
    """A masked convolution over colour images, channels in the order of three equal groups: R, G, B.

    At the centre of the kernel, output group g sees the input groups before g (kind "A"), or up to g (kind "B").
    dilation: how many pixels the kernel's positions are apart.
    """

    def __init__(self, kind: str, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1):
        padding = dilation * (kernel_size // 2)
        super().__init__(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation)
        ### BEGIN SOLUTION
        u = torch.arange(out_channels)[:, None] * 3 // out_channels  # group of each output channel
        v = torch.arange(in_channels)[None, :] * 3 // in_channels
        mask = torch.zeros(out_channels, in_channels, kernel_size**2)
        mask[:, :, : kernel_size**2 // 2] = 1
        mask[:, :, kernel_size**2 // 2] = (u > v if kind == "A" else u >= v).float()
        self.register_buffer("mask", mask.view(self.weight.shape))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        ### BEGIN SOLUTION
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding, dilation=self.dilation)
        ### END SOLUTION


# %% [markdown]
# A **residual block** reads $2h$ channels, works on $h$, and adds what it found:
# $x + \text{B}_{1\times1}(\text{relu}(\text{B}_{3\times3}(\text{relu}(\text{B}_{1\times1}(\text{relu}(x))))))$,
# where $\text{B}_{k\times k}$ is the convolution above, of kind B, with a $k \times k$ kernel.


# %%
class ResidualBlock(nn.Module):
    """x + f(x), where f goes from width to width / 2 channels (1 × 1), over 3 × 3, and back (1 × 1), all of kind B.

    dilation: of the 3 × 3.
    """

    def __init__(self, width: int, dilation: int = 1):
        super().__init__()
        ### BEGIN SOLUTION
        self.net = nn.Sequential(
            nn.ReLU(), ColorMaskedConv2d("B", width, width // 2, 1),
            nn.ReLU(), ColorMaskedConv2d("B", width // 2, width // 2, 3, dilation),
            nn.ReLU(), ColorMaskedConv2d("B", width // 2, width, 1),
        )  # fmt: skip
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, width, H, W) -> (B, width, H, W)."""
        ### BEGIN SOLUTION
        return x + self.net(x)
        ### END SOLUTION


# %% [markdown]
# Feed the levels in as one-hot vectors: `levels` channels for red, then as many for green, and for blue. That keeps
# the three groups in order. The first layer is of kind A, $7 \times 7$, and leads to `width` channels. Then come the
# blocks, and after them relu, a $1 \times 1$ of kind B, relu, and one more, to `levels` logits for red, for green and
# for blue. The blocks have dilations 1, 2, 4, 8, 1, …, which matter here: the right edge of a shape depends on where
# its left edge was. A norm may go over the channels of one colour at one pixel.


# %%
class ColorPixelCNN(nn.Module):
    """log p(x) = Σ over pixels and channels of log softmax(logits)[x]; pixels in raster order, in each R, G, B.

    shape: (3, H, W). levels: of a channel. width: channels, a multiple of six. depth: residual blocks.
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, width: int = 48, depth: int = 5):
        super().__init__()
        self.shape, self.levels = shape, levels
        ### BEGIN SOLUTION
        self.net = nn.Sequential(
            ColorMaskedConv2d("A", 3 * levels, width, 7),
            *(ResidualBlock(width, dilation=2 ** (k % 4)) for k in range(depth)),
            nn.ReLU(), ColorMaskedConv2d("B", width, width, 1),
            nn.ReLU(), ColorMaskedConv2d("B", width, 3 * levels, 1),
        )  # fmt: skip
        self.reach = 3 + sum(2 ** (k % 4) for k in range(depth))  # rows above that reach an output
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log-probabilities of every level: int64 (B, 3, H, W) -> (B, 3, H, W, levels)."""
        ### BEGIN SOLUTION
        one_hot = F.one_hot(x, self.levels).float().movedim(-1, 2).flatten(1, 2)  # (B, 3 · levels, H, W)
        return self.net(one_hot).unflatten(1, (3, self.levels)).movedim(2, -1)
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats, summed over pixels and channels: int64 (B, 3, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return tensors.sum_except_batch(log_p.gather(-1, x[..., None]))
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, 3, H, W): pixel by pixel, in each R, then G, then B."""
        ### BEGIN SOLUTION
        _, H, W = self.shape
        x = torch.zeros(n, 3, H, W, dtype=torch.long)
        for i in progress(range(H), "rows"):
            for j in range(W):
                for c in range(3):
                    top = max(0, i - self.reach)  # nothing that is seen lies higher
                    p = self.logits(x[:, :, top : i + 1])[:, c, -1, j].softmax(dim=-1)
                    x[:, c, i, j] = torch.multinomial(p, 1).squeeze(-1)
        return x
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# One pixel: what do its three outputs see of each other? With the pixel's own channels as inputs (columns) and outputs
# (rows), the picture is a triangle with an empty diagonal. (0, 1, 2 are red, green, blue.)

# %%
pixel = ColorPixelCNN((3, 1, 1), levels=4)
x = torch.randint(4, (64, 3, 1, 1))
with torch.no_grad():
    base = pixel.logits(x)
    moved = [(pixel.logits(x.index_fill(1, torch.tensor(c), 0)) - base).abs().amax(dim=(0, 2, 3, 4)) for c in range(3)]
plots.matrix(torch.stack(moved, dim=1) > 1e-6, xlabel="input R, G, B", ylabel="output R, G, B")


# %% [markdown]
# ### Train
#
# As in 1.3; the images are bytes again, so `x.long()` in the loss.
#
# *The recipe:* `channels_last`, Adam, 2,000 steps on batches of 16, a learning rate that rises to 0.01 and falls to
# zero again (`OneCycleLR`): two and a half minutes on two cores. With batches of 256, steps take so long that in the
# same time the model ends two hundred nats above the limit.


# %%
def train_color(model: ColorPixelCNN):
    """Minimise 𝓛 = −mean log p(x) over train_shapes with `fit`; returns the History."""
    ### BEGIN SOLUTION
    model.to(memory_format=torch.channels_last)
    steps = 2000
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return fit(
        model,
        lambda x: -model.log_prob(x.long()).mean(),
        train_shapes,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps),
        valid=valid_shapes,
        steps=steps,
        batch_size=16,
        evaluations=6,
    )
    ### END SOLUTION


# %%
aim = training.reference("color_pixelcnn")
color_pixelcnn = trained("color_pixelcnn", ColorPixelCNN(shapes.shape, levels=4), fit=train_color, aim=aim)
plots.history(training.history("color_pixelcnn"), limit=shapes.entropy, unit="nats an image")

# %% [markdown]
# Expected:
#
# ![training and validation loss of a PixelCNN in colour, above the limit](figures/color_pixelcnn_losses.png)

# %% [markdown]
# ### See
#
# Your samples. Every wrong pixel is a surprise that costs nats; how far from the limit are you, and what does a typical
# mistake look like?

# %%
color_samples = drawn("color_pixelcnn", lambda: color_pixelcnn.sample(36))
plots.images(color_samples, levels=4, columns=12)

# %% [markdown]
# Expected:
#
# ![samples of a colour PixelCNN trained on shapes](figures/color_pixelcnn.png)

# %% [markdown]
# ### Question 1.5
#
# The order R, G, B is a choice. Name two other ways to factorise the distribution of a colour pixel. What would one
# softmax over all 64 colours cost and give, and what with 256 levels a channel?

# %% [markdown]
# ### BEGIN SOLUTION
# Other orders (six in all), another space of colours (brightness first, then two differences), or one softmax over all
# colours: all of these are exact, and can represent the same distributions. Three channels that are independent given
# the past are a factorisation, too, and lose what the channels know of each other. A softmax over $4^3 = 64$ colours
# needs 64 outputs a pixel in place of $3 \cdot 4 = 12$; it gives all dependences in a pixel at once, and a pixel is
# drawn in one pass instead of three. With 256 levels it would be $256^3 = 16.8$ million outputs in place of 768, each
# learned from the few pixels of exactly this colour.
#
# **Rubric.** *2 points:* two other factorisations, **and** the numbers of outputs ($L^3$ against $3L$) with what
# follows from them. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("color_pixelcnn")

# %% [markdown]
# ---
# ## Go bigger (optional)
#
# Nothing here is graded. The same class of Exercise 1.5 on photographs: CIFAR-10, 45,000 images for training, in 16
# levels a channel. Set `GO_BIGGER = True` on a machine with a GPU, and run the cell; the first time it downloads 170
# MB.
#
# | | |
# |---|---|
# | model | `ColorPixelCNN` with width 192 and 12 residual blocks, 1.9 million parameters |
# | recipe | Adam, 20,000 steps on batches of 32, a learning rate that rises to 0.002 and falls to zero again |
# | time | about an hour on a T4 (as on Colab), 15 minutes on an A100; then a few minutes for samples |
# | memory | 6 GB |
#
# Time and memory are *estimates* from what a step takes, 350 GFLOP; nobody has run it. Colours drawn evenly would cost
# 4 bits a dimension. With `levels=256`, the usual task, they would cost 8, and the first layer alone takes four times
# as long as all of this; the PixelCNN of the paper came to 3.14 bits a dimension there
# ([arXiv:1601.06759](https://arxiv.org/abs/1601.06759)), the gated one to 3.03
# ([arXiv:1606.05328](https://arxiv.org/abs/1606.05328)).
#
# Within `with torch.device(device()):` every new tensor and every new layer is made on the GPU, also inside your
# methods. The weights are kept in `artifacts/bigger.…`, which are not handed in.

# %%
GO_BIGGER = False
STEPS = 20_000

if GO_BIGGER and not training.session.grading:
    from IPython.display import display

    with torch.device(device()):
        cifar = images.get("cifar10", levels=16)
        train_cifar = torch.as_tensor(cifar.sample(45_000))
        valid_cifar = torch.as_tensor(cifar.sample(1000, split="validation"))
        big = ColorPixelCNN(cifar.shape, levels=16, width=192, depth=12)

        def train_big(model: ColorPixelCNN):
            model.to(memory_format=torch.channels_last)
            optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
            return fit(
                model,
                lambda batch: tensors.bits_per_dim(-model.log_prob(batch.long()).mean(), 3072),
                train_cifar,
                optimizer=optimizer,
                scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=STEPS),
                valid=valid_cifar,
                steps=STEPS,
                batch_size=32,
            )

        trained("bigger.color_pixelcnn", big, fit=train_big)
        print(f"{training.history('bigger.color_pixelcnn').valid[-1]:.2f} bits a dimension on held-out images")
        display(plots.images(drawn("bigger.color_pixelcnn", lambda: big.sample(36)).cpu(), levels=16, columns=12))
