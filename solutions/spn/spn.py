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
# # Subscale Pixel Networks: a small picture first
#
# Jacob Menick and Nal Kalchbrenner: *Generating High Fidelity Images with Subscale Pixel Networks and Multidimensional
# Upscaling*, 2018 ([arXiv:1812.01608](https://arxiv.org/abs/1812.01608)). In raster order a model finishes the sky
# before it knows whether there will be a house. The paper draws a small version of the picture first, of every second
# pixel, and then what lies between: one network, which only ever works on small pictures.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("spn")` runs the very checks that grade you, as often as
# you like. Call it before a class is finished, too: what calls a method that is still missing says so and waits, all
# else is checked. The data have known probabilities, so losses are reported in *nats above the limit*, their entropy.

# %%
from deepul_utils import check, drawn, fit, pictures, plots, seed_everything, trained, training

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise E7 · Subscale Pixel Networks: a small picture first
#
# **Why.** Any order of the pixels makes an autoregressive model. Take every $S$-th pixel of every $S$-th row: a picture
# of $H/S \times W/S$, a *slice*. Move by one pixel to the right and do it again, and so on: $S^2$ slices,
# interleaved, with each pixel in one of them. The order of the paper is slice after slice, and raster order in a slice,
#
# $$\log p(x) = \sum_{k=0}^{S^2 - 1} \; \sum_{i} \log p\left(x_i^{(k)} \mid x_{< i}^{(k)},\; x^{(0)}, \dots,
#   x^{(k-1)}\right) .$$
#
# This is good for two things. The first slice is a small version of the whole picture, and those after it refine it:
# *size upscaling*, also of a small picture that comes from somewhere else. And the network sees slices only: $S^2$
# times fewer pixels in a pass, and what is far in the picture is $S$ times nearer in a slice. What it does not do is
# save steps: pixels are drawn one after the other, as many as before.
#
# *Further reading:* Reed et al., *Parallel Multiscale Autoregressive Density Estimation*, 2017
# ([arXiv:1703.03664](https://arxiv.org/abs/1703.03664)), which draws many pixels at once and pays for it in likelihood.
#
# **The data.** Patches of black and white, in which every pixel depends on its two neighbours, and two corners: the
# nine pixels of the first are coins, and the nine of the last are *the same, turned by half*. Who does not see that has
# to guess nine coins: $9 \log 2 = 6.24$ nats.

# %%
corners = pictures.get("corners")
train_x, valid_x = (torch.as_tensor(corners.sample(n, split=s)) for n, s in ((20_000, "train"), (300, "validation")))
limit = corners.entropy
plots.images(train_x[:28], levels=2, title=f"limit {limit:.2f} nats; {corners.repeated:.2f} more without the corner")

# %% [markdown]
# They come as bytes (`uint8`), to save memory; the methods of your model take them as `int64`, `x.long()`.
#
# ### Write
#
# **Slices.** Slice $k = a S + b$ holds the pixels of the rows $a, a + S, a + 2S, \dots$ and the columns $b, b + S,
# \dots$. `merge` puts slices together again. It takes more numbers for each pixel, too: of logits every pixel has one
# for each level, in a last dimension.
#
# <details>
# <summary>Hint: the idea</summary>
#
# A row's number is $i S + a$: `reshape` makes two dimensions of it, $i$ and $a$, with $i$ first. The same for
# columns; then bring $a$ and $b$ to the front with `permute` or `movedim`. Backwards: the same steps, from the last.
#
# </details>


# %%
def slices(x: torch.Tensor, S: int) -> torch.Tensor:
    """Slice aS + b is the pixels (iS + a, jS + b): (B, 1, H, W) -> (B, S², H/S, W/S)."""
    ### BEGIN SOLUTION
    B, _, H, W = x.shape
    apart = x.reshape(B, H // S, S, W // S, S)  # i, a, j, b
    return apart.permute(0, 2, 4, 1, 3).reshape(B, S * S, H // S, W // S)
    ### END SOLUTION


def merge(s: torch.Tensor, S: int) -> torch.Tensor:
    """The inverse of `slices`, of pixels that may have several numbers: (B, S², H/S, W/S, …) -> (B, 1, H, W, …)."""
    ### BEGIN SOLUTION
    B, _, h, w = s.shape[:4]
    apart = s.reshape(B, S, S, h, w, *s.shape[4:]).movedim((1, 2), (2, 4))  # i, a, j, b
    return apart.reshape(B, 1, h * S, w * S, *s.shape[4:])
    ### END SOLUTION


# %% [markdown]
# **What a slice is told of earlier ones.** All slices have the same size, so they lie on each other like channels: at
# place $(i, j)$ of slice $k$ stand the pixels $(i, j)$ of all slices before, its neighbours in the picture. `told`
# makes $2 S^2$ channels of them: slice $l$ where $l < k$, and zeros where $l \ge k$; and after these, for each slice,
# ones where it is told and zeros where it is not. In a batch every example may ask for a slice of its own, $k_b$.
# (The paper orders the channels by where a slice lies *from slice $k$*; here slice $l$ is always channel $l$.)


# %%
def told(v: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Slices l < k, zeros for the others, and which these are: floats (B, S², h, w), int64 (B,) -> (B, 2S², h, w)."""
    ### BEGIN SOLUTION
    known = torch.arange(v.shape[1], device=v.device) < k[:, None]  # (B, S²)
    known = known[:, :, None, None].expand(v.shape).to(v.dtype)
    return torch.cat([v * known, known], dim=1)
    ### END SOLUTION


# %% [markdown]
# **The network** has two parts. The *embedding* reads what is told with ordinary convolutions, which look in all
# directions: earlier slices are there as a whole. The *decoder* is a PixelCNN of one slice, with masked convolutions,
# to which the embedding is added. There is one network for all slices: which one it is at, it knows from what it is
# told, and from a bias for each slice and place. The masked convolution of Exercise 1.3 and the residual block are
# given.


# %%
class MaskedConv2d(nn.Conv2d):
    """A k × k convolution that sees the pixels before its own in raster order, and its own if `own`."""

    def __init__(self, in_channels: int, out_channels: int, k: int, own: bool):
        super().__init__(in_channels, out_channels, k, padding=k // 2)
        mask = torch.zeros(k * k)
        mask[: k * k // 2 + own] = 1
        self.register_buffer("mask", mask.view(k, k))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class Residual(nn.Module):
    """h + W_2 relu(W_1 * relu(h)), with a masked 3 × 3 convolution W_1 and a 1 × 1 convolution W_2."""

    def __init__(self, width: int):
        super().__init__()
        self.W_1, self.W_2 = MaskedConv2d(width, width, 3, own=True), nn.Conv2d(width, width, 1)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return h + self.W_2(F.relu(self.W_1(F.relu(h))))


# %% [markdown]
# Write the rest. Pixels are levels, put onto $[-1, 1]$ with `scaled`, which is given.
#
# - `embed(s, k)`: convolution $7 \times 7$ of what is told, relu, convolution $3 \times 3$, and the bias of slice $k$.
# - `decode(own, e)`: a masked $7 \times 7$ convolution of the slice itself (its pixels, and a channel of ones, which
#   tells them from what lies outside), plus $e$, then `depth` residual blocks, relu, and a $1 \times 1$ convolution, to
#   a logit for each level.
# - `logits(x)`: of all pixels, for which nothing has to wait: all slices stand side by side in one batch.
# - `upscale(s)`: some slices are known, the others are drawn, one after the other, each in raster order. The embedding
#   is made once a slice. Then `sample` is one line.
#
# <details>
# <summary>Hint for logits</summary>
#
# $B$ pictures of $S^2$ slices are $B S^2$ questions $(s, k)$: `s.repeat_interleave(S * S, dim=0)` beside
# `torch.arange(S * S).repeat(B)`. The own slice of each question is one pixel array of it: pick it by an index.
#
# </details>


# %%
class SPN(nn.Module):
    """log p(x) = Σ_k Σ_i log softmax(logits)[x] over slices k and their pixels i in raster order.

    shape: (1, H, W). levels: of a pixel. S: slices are S × S; with S = 1 it is a PixelCNN. width: channels. depth:
    residual blocks of the decoder.
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, S: int = 2, width: int = 32, depth: int = 2):
        super().__init__()
        self.shape, self.levels, self.S = shape, levels, S
        ### BEGIN SOLUTION
        _, H, W = shape
        read = nn.Conv2d(2 * S * S, width, 7, padding=3), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        self.read = nn.Sequential(*read)
        self.bias = nn.Parameter(0.1 * torch.randn(S * S, width, H // S, W // S))
        self.first = MaskedConv2d(2, width, 7, own=False)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(depth)))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))
        ### END SOLUTION

    def scaled(self, x: torch.Tensor) -> torch.Tensor:
        """Levels onto [−1, 1]."""
        return 2 * x / (self.levels - 1) - 1

    def embed(self, s: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        """What slice k is told of those before it: int64 (B, S², h, w), int64 (B,) -> (B, width, h, w)."""
        ### BEGIN SOLUTION
        return self.read(told(self.scaled(s), k)) + self.bias[k]
        ### END SOLUTION

    def decode(self, own: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
        """Logits of one slice by its strict past and e: int64 (B, h, w), (B, width, h, w) -> (B, h, w, levels)."""
        ### BEGIN SOLUTION
        v = self.scaled(own)[:, None]
        h = self.first(torch.cat([v, torch.ones_like(v)], dim=1)) + e
        return self.head(self.blocks(h)).movedim(1, -1)
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p of every level, given all before: int64 (B, 1, H, W) -> (B, 1, H, W, levels)."""
        ### BEGIN SOLUTION
        B, n = len(x), self.S**2
        s = slices(x, self.S)  # (B, n, h, w)
        k = torch.arange(n, device=x.device).repeat(B)
        out = self.decode(s.flatten(0, 1), self.embed(s.repeat_interleave(n, dim=0), k))
        return merge(out.unflatten(0, (B, n)), self.S)
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats, summed over the pixels: int64 (B, 1, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def upscale(self, s: torch.Tensor) -> torch.Tensor:
        """Draws the slices after the first K, which are given: int64 (B, K, h, w) -> (B, 1, H, W)."""
        ### BEGIN SOLUTION
        B, K, h, w = s.shape
        s = torch.cat([s, s.new_zeros(B, self.S**2 - K, h, w)], dim=1)
        for k in range(K, self.S**2):
            e = self.embed(s, torch.full((B,), k, device=s.device))
            for i in range(h):
                for j in range(w):
                    p = self.decode(s[:, k], e)[:, i, j].softmax(dim=-1)
                    s[:, k, i, j] = torch.multinomial(p, 1)[:, 0]
        return merge(s, self.S)
        ### END SOLUTION

    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, 1, H, W)."""
        ### BEGIN SOLUTION
        _, H, W = self.shape
        return self.upscale(torch.zeros(n, 0, H // self.S, W // self.S, dtype=torch.long))
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# The slices of a picture, for $S = 2$: four small versions of it. Each is the picture a little shifted.

# %%
some = train_x[:7]
rows = {f"slice {k}": slices(some, 2)[:, k : k + 1] for k in range(4)}
plots.image_rows(rows, levels=2)

# %% [markdown]
# Expected:
#
# ![the four slices of seven pictures, one row for each slice](figures/spn_slices.png)
#
# ### Train
#
# With maximum likelihood; the loss is the mean of $-\log p(x)$, in nats a picture. (For a large picture the paper draws
# *one* slice of each at random, and multiplies by $S^2$: a step then costs as much as one for a small picture.) `fit`
# is the loop of the homeworks, `fit(model, loss, x, optimizer=…, scheduler=…, valid=…, steps=…, batch_size=…)`; it
# returns the History, which your function returns, too.
#
# *The recipe:* Adam, 600 steps on batches of 64, a learning rate that rises to 0.005 and falls to zero again
# (`OneCycleLR`), width 32, two residual blocks: ten seconds.


# %%
def train_spn(model: nn.Module, steps: int = 600):
    """Minimise −mean log p(x) over train_x with `fit`; returns the History."""
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return fit(
        model,
        lambda x: -model.log_prob(x.long()).mean(),
        train_x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps),
        valid=valid_x,
        steps=steps,
        batch_size=64,
        evaluations=8,
    )
    ### END SOLUTION


# %%
spn = trained("spn", SPN(corners.shape, levels=2), fit=train_spn, aim=training.reference("spn"))
plots.history(training.history("spn"), limit=limit, unit="nats a picture")

# %% [markdown]
# Expected:
#
# ![training and validation loss of the subscale network, near the limit at the end](figures/spn_losses.png)
#
# And the same network in raster order, for as long: with $S = 1$ there is one slice, and nothing is told of earlier
# ones. It is a PixelCNN; its steps are a little faster, so it gets 700.


# %%
def train_raster(model: nn.Module):
    return train_spn(model, steps=700)


raster = trained("spn.raster", SPN(corners.shape, levels=2, S=1), fit=train_raster)

# %% [markdown]
# ### See
#
# **What the model was invented for.** A picture at every scale: what the network has drawn after each slice. What is
# not drawn yet shows the last slice that is nearest, so the first row is the small picture, enlarged.


# %%
def so_far(x: torch.Tensor, known: int) -> torch.Tensor:
    """Pictures of which the first slices of 2 × 2 are known: the others are shown as one beside or above."""
    s, shown = slices(x, 2), {1: [0, 0, 0, 0], 2: [0, 1, 0, 1], 3: [0, 1, 2, 2], 4: [0, 1, 2, 3]}
    return merge(s[:, shown[known]], 2)


samples = drawn("spn", lambda: spn.sample(56))
plots.image_rows({f"{k} of 4 slices": so_far(samples[:7], k) for k in (1, 2, 3, 4)}, levels=2)

# %% [markdown]
# Expected:
#
# ![seven samples after one, two, three and four slices, from coarse to fine](figures/spn_scales.png)
#
# **Steps against raster.** Either order takes 64 passes of the decoder for a picture, one after the other. But a pass
# of the subscale network is over one slice, a quarter of the pixels, and the first sixteen passes make a picture of
# everything. And the last number is what it is all for: nats above the limit, under equal time.

# %%
fresh = corners.sample(1000, split="test")
truth = torch.as_tensor(corners.log_prob(fresh))
for name, model in {"subscale": spn, "raster": raster}.items():
    H, W, S = *corners.shape[1:], model.S
    with torch.no_grad():
        above = (truth - model.log_prob(torch.as_tensor(fresh).long())).mean()
    one = H * W // S**2  # pixels in a pass
    print(f"{name:9} {H * W} passes of {one} pixels, {H * W * one:5,} in all; the whole picture, coarse, after {one}")
    print(f"{'':9} {above:.2f} nats above the limit")

# %% [markdown]
# Why is raster order worse, with the same layers? Its convolutions reach $3 + 1 + 1 = 5$ pixels far. Of the nine pixels
# of the last corner four are told by one in reach; the other five are told by pixels seven rows or columns off: five
# coins, $5 \log 2 = 3.47$ nats, however long it trains (and more, where it has not found all four). In slices no two
# pixels are more than three apart, and the first convolution sees them all. That is a fact about networks of this size,
# not about the order: attention, or a deeper network, finds the corner in raster order, too (Exercise E4). What the
# order costs is seen in what is left: pixels of the first slice are two apart, so their conditionals are no longer
# those of two neighbours, and all others have to be worked out from neighbours on all sides.
#
# **Size upscaling.** The first slice may come from anywhere. Here it is that of one fresh picture, and the network
# draws the rest six times.

# %%
small = slices(torch.as_tensor(fresh[:1]).long(), 2)[:, :1]
seed_everything(1)
finer = spn.upscale(small.expand(6, -1, -1, -1))
plots.images(torch.cat([so_far(finer[:1], 1), finer]), levels=2, title="a slice of 4 × 4 pixels, and six refinements")

# %% [markdown]
# Expected:
#
# ![a small picture enlarged, and six different pictures that all refine it](figures/spn_upscaled.png)
#
# ### Question E7
#
# A picture of $256 \times 256$ pixels is cut into $S = 8$ slices a side. How many decoder passes does a sample take in
# raster order and in the paper's, how many pixels does a decoder with attention between all pairs of pixels of a pass
# have to compare, and what does a step of training have to hold in memory? What is still to be paid for in full?

# %% [markdown]
# ### BEGIN SOLUTION
# Passes: $256^2 = 65{,}536$ either way, one for each pixel; the order changes which pixel, not how many. A pass in
# raster order is over $65{,}536$ pixels, $4.3 \cdot 10^9$ pairs; in the paper's it is over a slice of $32 \times 32 =
# 1024$ pixels, $10^6$ pairs, 4,096 times fewer. For a step of training one slice, drawn at random, is enough (its loss
# times 64 has the right mean), so memory is that of a picture of $32 \times 32$ whose embedding reads 63 more channels;
# it does not grow with the number of slices otherwise. A coarse picture is there after 1,024 passes.
#
# What is still paid: sampling waits for every pixel, one after the other, and the loss of a random slice is noisier
# than that of all, so training takes more steps.
#
# **Rubric.** *2 points:* that the number of passes is the same, **and** that a pass and a step of training are those of
# a small picture, with a number. *1 point:* one of them.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("spn")
