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
# A model that draws in many small steps, each of which is easy to learn.

# %%
from deepul_utils import check, classifier, fit, images, plots, seed_everything, toy, trained, training

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

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
# The jumps are draws with a small $t$, where by chance something was masked all the same.
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


by_steps = {f"{steps} step{'s' * (steps > 1)}": shares(masked.sample(20_000, steps)) for steps in (1, 2, 8, 64)}
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
# the label, one of `classes` + 1, and of a small MLP of waves of the time, $\sin(\omega t)$ and $\cos(\omega t)$.
#
# **Guess the image.** A velocity holds the noise of every single pixel, and a narrow network has no room for it. The
# image is simpler, and $x_t$ is known: let the blocks give a guess $\hat x$, and return
#
# $$v = \frac{\hat x - x_t}{1 - t}, \qquad \text{since} \quad x - \varepsilon = \frac{x - x_t}{1 - t},$$
#
# with at least $0.05$ below. With blocks that give $v$ itself, the Fréchet distance after a short training is twice as
# large. (Li and He, *Back to Basics: Let Denoising Generative Models Denoise*, 2025,
# [arXiv:2511.13720](https://arxiv.org/abs/2511.13720).)


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
for part in small.blocks:
    nn.init.normal_(part.modulation.weight)
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
# rises to 0.01 in the first tenth of them and falls to zero again (`OneCycleLR`, `pct_start=0.1`): a minute. Graded are
# the loss of held-out images at even times from 0 to 0.8, how many samples with $w = 3$ are of their label, and the
# Fréchet distance of samples with $w = 2$.


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
# In numbers: how many samples the kit's classifier takes for their label, how far samples of one label are apart in its
# features, in shares of that without guidance, and the Fréchet distance of 4.3.

# %%
judge = classifier.get("glyphs32")
y = torch.arange(200) % 10
features, right = {}, {}
for w in (0.0, 0.5, 1.0, 2.0, 3.0):
    x = (dit.sample(y, w).clamp(-1, 1) + 1) / 2
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
