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
# # PixelSNAIL: attention over all that was drawn
#
# Xi Chen, Nikhil Mishra, Mostafa Rohaninejad and Pieter Abbeel: *PixelSNAIL: An Improved Autoregressive Generative
# Model*, 2017 ([arXiv:1712.09763](https://arxiv.org/abs/1712.09763)). A PixelCNN sees as far as its convolutions reach,
# and what is far has to be handed on from layer to layer. Self-attention asks every earlier pixel at once. The paper
# puts the two together, and was the best model of CIFAR-10 and ImageNet in its year.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("pixelsnail")` runs the very checks that grade you, as
# often as you like. Call it before a class is finished, too: what calls a method that is still missing says so and
# waits, all else is checked. The data have known probabilities, so losses are reported in *nats above the limit*, their
# entropy.

# %%
from deepul_utils import check, drawn, fit, pictures, plots, seed_everything, tensors, trained, training

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise E4 · PixelSNAIL: attention over all that was drawn
#
# **Why.** Pixel $i$ is given by those before it, in raster order,
#
# $$\log p(x) = \sum_{i} \log p\left(x_i \mid x_1, \dots, x_{i-1}\right) .$$
#
# What the pixels just around it tell, a convolution finds. But sometimes one pixel far away decides: the other eye of a
# face, the other end of a line. A convolution has to carry it there, through all layers between, among everything else
# that somebody might need. *Attention* goes and gets it. Every pixel $i$ asks a question $q_i$, every pixel $j$ offers
# a key $k_j$ and a value $v_j$, and what $i$ gets is a mean of values, of those whose keys answer its question,
#
# $$w_{ij} = \frac{e^{q_i \cdot k_j / \sqrt{d}}}{\sum_{l < i} e^{q_i \cdot k_l / \sqrt{d}}} \;\; (j < i), \qquad
#   w_{ij} = 0 \;\; (j \ge i), \qquad \text{out}_i = \sum_j w_{ij}\, v_j ,$$
#
# over the *strict past*: a key and a value may then be made of pixel $j$ itself. ($d$ is the length of a key.) Any two
# pixels are one step apart. The price: every pixel asks all others, so for $N$ pixels $N^2$ numbers.
#
# *Further reading:* Vaswani et al., *Attention Is All You Need*, 2017
# ([arXiv:1706.03762](https://arxiv.org/abs/1706.03762)); Parmar et al., *Image Transformer*, 2018
# ([arXiv:1802.05751](https://arxiv.org/abs/1802.05751)), which leaves the convolutions out.
#
# **The data.** Patches of black and white, in which every pixel depends on its two neighbours, and two corners: the
# nine pixels of the first are coins, and the nine of the last are *the same, turned by half*. Whoever does not look
# there has to guess nine coins: $9 \log 2 = 6.24$ nats.

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
# **The weights.** The rows of $w$ are the pixels that ask. Two things are easily wrong. What is masked must get *no*
# weight, however small the scores of the past are. And the first pixel has no past: a softmax over nothing is $0/0$.
# Let its row be zero, and see to it that its gradient is no `nan` either, as it is where $-\infty$ was *added*.
#
# <details>
# <summary>Hint 1: the idea</summary>
#
# Give the scores of the present and the future a number that is far below all others, but finite, take the softmax over
# $j$, and multiply by the mask once more.
#
# </details>
#
# <details>
# <summary>Hint 2: the last nudge</summary>
#
# In the first row all scores are the same low number, and the softmax is even: a mean over *everything*, the future
# too. The second use of the mask is for that row. `Tensor.tril(-1)` keeps what lies strictly below the diagonal.
#
# </details>


# %%
def attention_weights(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """w_ij = softmax over j < i of q_i · k_j / √d, 0 for j ≥ i, and in the first row: (B, N, d) twice -> (B, N, N)."""
    ### BEGIN SOLUTION
    N, d = q.shape[1:]
    past = torch.ones(N, N, dtype=torch.bool, device=q.device).tril(-1)  # j < i
    scores = (q @ k.transpose(1, 2) / d**0.5).masked_fill(~past, torch.finfo(q.dtype).min)
    return scores.softmax(dim=-1) * past
    ### END SOLUTION


# %% [markdown]
# **The layer.** Questions are a $1 \times 1$ convolution of what a pixel *asks* with, features that have seen its past
# only. Keys and values are a $1 \times 1$ convolution of what a pixel *tells*: that may be the pixel itself. `rows`
# lays the pixels out one after the other, and is given.


# %%
def rows(h: torch.Tensor) -> torch.Tensor:
    """Pixels in raster order: (B, C, H, W) -> (B, H · W, C)."""
    return h.flatten(2).transpose(1, 2)


class CausalAttention(nn.Module):
    """out_i = Σ_{j < i} w_ij v_j over the pixels in raster order.

    asks, tells: channels of what questions are made of, and keys and values. keys: d. values: channels of the output.
    """

    def __init__(self, asks: int, tells: int, keys: int, values: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.question = nn.Conv2d(asks, keys, 1)
        self.key, self.value = nn.Conv2d(tells, keys, 1), nn.Conv2d(tells, values, 1)
        ### END SOLUTION

    def forward(self, asks: torch.Tensor, tells: torch.Tensor) -> torch.Tensor:
        """(B, asks, H, W), (B, tells, H, W) -> (B, values, H, W)."""
        ### BEGIN SOLUTION
        H, W = asks.shape[2:]
        q, k, v = (rows(h) for h in (self.question(asks), self.key(tells), self.value(tells)))  # (B, N, …)
        return (attention_weights(q, k) @ v).transpose(1, 2).unflatten(2, (H, W))
        ### END SOLUTION


# %% [markdown]
# **The gated residual block** does the rest: what is near. (Here the gate has no tanh.) With $*$ a causal convolution,
# and $s$ what comes from aside, where something does,
#
# $$x' = x + a \odot \sigma(b), \qquad (a, b) = W_2 * \text{elu}\left(W_1 * \text{elu}(x) + U\, \text{elu}(s)\right) ,$$
#
# $W_2$ makes $2w$ channels, $a$ and $b$ are the two halves; $U$ is a $1 \times 1$ convolution. The causal convolution
# is given: its kernel ends at the pixel itself, so it sees what is above and to the left. Nothing is masked: zeros
# above and on the left do it.


# %%
class CausalConv2d(nn.Conv2d):
    """A convolution whose k × k kernel ends at the pixel itself: (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, k: int):
        super().__init__(in_channels, out_channels, k)
        self.zeros = (k - 1, 0, k - 1, 0)  # left, right, above, below

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(x, self.zeros))


class GatedResidual(nn.Module):
    """x' = x + a ⊙ σ(b), where (a, b) = W_2 * elu(W_1 * elu(x) + U elu(s)).

    width: channels of x. k: side of the kernels. aside: channels of s, 0 where there is none.
    """

    def __init__(self, width: int, k: int, aside: int = 0):
        super().__init__()
        ### BEGIN SOLUTION
        self.W_1, self.W_2 = CausalConv2d(width, width, k), CausalConv2d(width, 2 * width, k)
        self.U = nn.Conv2d(aside, width, 1) if aside else None
        ### END SOLUTION

    def forward(self, x: torch.Tensor, s: torch.Tensor | None = None) -> torch.Tensor:
        """(B, width, H, W), (B, aside, H, W) if there is something aside -> (B, width, H, W)."""
        ### BEGIN SOLUTION
        h = self.W_1(F.elu(x))
        if self.U is not None:
            h = h + self.U(F.elu(s))
        a, b = self.W_2(F.elu(h)).chunk(2, dim=1)
        return x + a * torch.sigmoid(b)
        ### END SOLUTION


# %% [markdown]
# **The network.** Two parts are given. `StrictPast` makes features of the strict past: of two rows above, and of three
# pixels to the left. `places` tells a pixel where it is, by its row and its column: the paper adds two channels that
# count from $-1/2$ to $1/2$; with a channel for each row and each column (five times as large as a pixel, so that they
# count early in training) a small network learns in seconds where to look. Then, `blocks` times,
#
# 1. $h \leftarrow$ `residual` gated residual blocks of $h$, with $k = 2$, one after the other;
# 2. $s \leftarrow$ attention, which asks with $h$ and the places, and is told the pixels, $h$ and the places;
# 3. $h \leftarrow$ one gated residual block with $k = 1$, of $h$, and of $s$ aside;
#
# and at the end elu and a $1 \times 1$ convolution, to a logit for each level. Values of an attention are $w$ channels.
# Pixels are levels, put onto $[-1, 1]$ with $2x / (L - 1) - 1$.


# %%
class StrictPast(nn.Module):
    """Features of two rows above a pixel, and of three pixels to its left: (B, 1, H, W) -> (B, width, H, W)."""

    def __init__(self, width: int):
        super().__init__()
        self.above, self.left = nn.Conv2d(2, width, (2, 5)), nn.Conv2d(2, width, (1, 3))

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        v = torch.cat([v, torch.ones_like(v)], dim=1)  # the second channel tells pixels from what lies outside
        above, left = F.pad(v, (2, 2, 2, 0))[:, :, :-1], F.pad(v, (3, 0))[..., :-1]  # shifted by one
        return self.above(above) + self.left(left)


def places(H: int, W: int) -> torch.Tensor:
    """A channel for each row and each column, which is 5 there and 0 elsewhere: (H + W, H, W)."""
    row, column = torch.eye(H)[:, :, None].expand(H, H, W), torch.eye(W)[:, None].expand(W, H, W)
    return 5 * torch.cat([row, column])


# %%
class PixelSNAIL(nn.Module):
    """log p(x) = Σ_i log softmax(logits_i)[x_i] over the pixels i.

    shape: (1, H, W). levels: of a pixel. width: channels. blocks: of residual blocks and an attention. residual: gated
    residual blocks in each. keys: length of a key.
    """

    def __init__(
        self, shape: tuple[int, int, int], levels: int, width: int = 16, blocks: int = 1, residual: int = 1, keys=16
    ):
        super().__init__()
        self.shape, self.levels = shape, levels
        ### BEGIN SOLUTION
        _, H, W = shape
        self.register_buffer("places", places(H, W))
        asks = width + H + W
        self.first = StrictPast(width)
        near = (nn.Sequential(*(GatedResidual(width, 2) for _ in range(residual))) for _ in range(blocks))
        self.near = nn.ModuleList(near)
        self.far = nn.ModuleList(CausalAttention(asks, asks + 1, keys, width) for _ in range(blocks))
        self.both = nn.ModuleList(GatedResidual(width, 1, aside=width) for _ in range(blocks))
        self.head = nn.Sequential(nn.ELU(), nn.Conv2d(width, levels, 1))
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p(x_i | x_1 … x_{i−1}) of every level: int64 (B, 1, H, W) -> (B, 1, H, W, levels)."""
        ### BEGIN SOLUTION
        v = 2 * x / (self.levels - 1) - 1  # levels onto [−1, 1]
        at, h = self.places[:, : x.shape[2]].expand(len(x), -1, -1, -1), self.first(v)
        for near, far, both in zip(self.near, self.far, self.both, strict=True):
            h = near(h)
            h = both(h, far(torch.cat([h, at], dim=1), torch.cat([v, h, at], dim=1)))
        return self.head(h).movedim(1, -1)[:, None]
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats, summed over the pixels: int64 (B, 1, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, 1, H, W), pixel by pixel in raster order."""
        ### BEGIN SOLUTION
        _, H, W = self.shape
        x = torch.zeros(n, 1, H, W, dtype=torch.long)
        for i in range(H):
            for j in range(W):
                p = self.logits(x[:, :, : i + 1])[:, 0, i, j].softmax(dim=-1)  # rows below decide nothing
                x[:, 0, i, j] = torch.multinomial(p, 1)[:, 0]
        return x
        ### END SOLUTION


# %% [markdown]
# **What it is compared with** is the gated PixelCNN of Exercise 1.4, without classes and, as in its paper, without
# dilations: two stacks of convolutions, in which every layer sees a pixel further. It is given.


# %%
class GatedLayer(nn.Module):
    """v' = gate(W_v * v), h' = h + U gate(W_h * h + L (W_v * v)): zeros in the place of masks; `first` without h +."""

    def __init__(self, in_channels: int, width: int, k: int, first: bool):
        super().__init__()
        self.first, reach = first, k // 2
        self.zeros_v, self.zeros_h = (reach, reach, reach, 0), (reach, 0)
        self.W_v = nn.Conv2d(in_channels, 2 * width, (reach + 1 - first, k))  # the first leaves the own row out
        self.W_h = nn.Conv2d(in_channels, 2 * width, (1, reach + 1 - first))  # or the own column
        self.L, self.U = nn.Conv2d(2 * width, 2 * width, 1), nn.Conv2d(width, width, 1)

    def forward(self, v: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, in_channels, H, W) twice -> (B, width, H, W) twice."""
        H, W = v.shape[2:]
        wide = self.W_v(F.pad(v, self.zeros_v))[:, :, :H]
        new_h = self.U(tanh_gate(self.W_h(F.pad(h, self.zeros_h))[..., :W] + self.L(wide)))
        return tanh_gate(wide), new_h if self.first else h + new_h


def tanh_gate(x: torch.Tensor) -> torch.Tensor:
    """tanh(a) ⊙ σ(b) of the two halves a, b of the channels."""
    a, b = x.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedPixelCNN(nn.Module):
    """As in Exercise 1.4: a first layer of seven pixels, then `depth` − 1 of three. It sees depth + 2 pixels far."""

    def __init__(self, shape: tuple[int, int, int], levels: int, width: int = 16, depth: int = 4):
        super().__init__()
        self.shape, self.levels = shape, levels
        later = (GatedLayer(width, width, 3, first=False) for _ in range(depth - 1))
        self.layers = nn.ModuleList([GatedLayer(1, width, 7, first=True), *later])
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, levels, 1))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        v = h = 2 * x / (self.levels - 1) - 1
        for layer in self.layers:
            v, h = layer(v, h)
        return self.head(h).movedim(1, -1)[:, None]

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)


# %% [markdown]
# ### Look
#
# What the output at one pixel of a larger picture sees, of networks with random weights: one block of PixelSNAIL, with
# three convolutions one after the other, and four layers of the gated PixelCNN.

# %%
large, at = (1, 20, 20), (14, 9)
untrained = {
    "PixelSNAIL, one block": PixelSNAIL(large, levels=2),
    "gated PixelCNN, four layers": GatedPixelCNN(large, levels=2),
}
with torch.no_grad():
    fields = {name: tensors.receptive_field(model.logits, large, at=at) for name, model in untrained.items()}
plots.receptive_field(fields, centre=at)

# %% [markdown]
# Expected:
#
# ![what one output sees: all that lies before it, in one block; with four layers of convolutions a part of
# it](figures/pixelsnail_sees.png)
#
# ### Train
#
# With maximum likelihood; the loss is the mean of $-\log p(x)$, in nats a picture. `fit` is the loop of the homeworks,
# `fit(model, loss, x, optimizer=…, scheduler=…, valid=…, steps=…, batch_size=…)`; it returns the History, which your
# function returns, too.
#
# *The recipe:* Adam, 1,200 steps on batches of 32, a learning rate that rises to 0.01 and falls to zero again
# (`OneCycleLR`), width 16, one block with one gated residual block: ten seconds.


# %%
def train_pixelsnail(model: nn.Module, steps: int = 1200):
    """Minimise −mean log p(x) over train_x with `fit`; returns the History."""
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return fit(
        model,
        lambda x: -model.log_prob(x.long()).mean(),
        train_x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps),
        valid=valid_x,
        steps=steps,
        batch_size=32,
        evaluations=8,
    )
    ### END SOLUTION


# %%
pixelsnail = trained(
    "pixelsnail", PixelSNAIL(corners.shape, levels=2), fit=train_pixelsnail, aim=training.reference("pixelsnail")
)
plots.history(training.history("pixelsnail"), limit=limit, unit="nats a picture")

# %% [markdown]
# Expected:
#
# ![training and validation loss of PixelSNAIL, at the limit after a third of the steps](figures/pixelsnail_losses.png)
#
# And the gated PixelCNN for as long: one of its steps takes a little longer.


# %%
def train_gated(model: nn.Module):
    return train_pixelsnail(model, steps=700)


gated = trained("pixelsnail.gated", GatedPixelCNN(corners.shape, levels=2), fit=train_gated)

# %% [markdown]
# ### See
#
# **What the model was invented for.** Nats above the limit, and where in the picture they are lost. Every value is a
# mean of $\log p(x_i \mid \dots) - \log q(x_i \mid \dots)$ over fresh pictures, with the true probability $p$.

# %%
fresh = corners.sample(500, split="test")
truth = torch.as_tensor(corners.log_conditionals(fresh))


@torch.no_grad()
def lost(model: nn.Module) -> torch.Tensor:
    """Nats above the limit at every pixel: (1, H, W)."""
    x = torch.as_tensor(fresh).long()
    log_q = F.log_softmax(model.logits(x), dim=-1).gather(-1, x[..., None])[..., 0]
    return (truth - log_q).mean(dim=0)


networks = {"PixelSNAIL": pixelsnail, "gated PixelCNN": gated}
maps = {name: lost(model) for name, model in networks.items()}
for name, nats in maps.items():
    print(f"{name:15} {nats.sum():5.2f} nats above the limit, {nats[0, -3:, -3:].sum():5.2f} in the last corner")
plots.masks([nats[0] for nats in maps.values()], list(maps), label="nats above the limit")

# %% [markdown]
# Expected:
#
# ![what PixelSNAIL and the gated PixelCNN lose at each pixel: only the second loses anything, in the last
# corner](figures/pixelsnail_lost.png)
#
# The gated PixelCNN sees six pixels far. Of the nine pixels four are told by one in reach; the other five are told by
# pixels seven rows or seven columns off: five coins, $5 \log 2 = 3.47$ nats, that it cannot know however long it
# trains. More layers would see them, or dilations, as in Exercise 1.4: in a picture as small as this one a few dilated
# layers find the corner about as soon as attention does. The difference is what it takes when the picture grows:
# attention still needs *one* layer.
#
# **Where do they look?** What moves the output at one pixel of the last corner, of the trained networks. The pixel that
# decides is the one on the other side of the middle.

# %%
at = (7, 6)
with torch.no_grad():
    fields = {name: tensors.receptive_field(model.logits, corners.shape, at=at) for name, model in networks.items()}
fields = {name: moved.where(moved > 1e-3 * moved.max(), 0.0) for name, moved in fields.items()}  # less is rounding
plots.receptive_field(fields, centre=at)

# %% [markdown]
# Expected:
#
# ![what reaches one pixel of the last corner in the trained networks: in PixelSNAIL the pixel opposite most of
# all](figures/pixelsnail_looks.png)
#
# **Samples.** Nobody has to look hard: the last corner is the first one turned, or it is not.

# %%
samples = drawn("pixelsnail", lambda: pixelsnail.sample(56))
first, last = samples[:, 0, :3, :3], samples[:, 0, -3:, -3:].flip(1, 2)
right = (first == last).flatten(1).all(dim=1).float().mean()
print(f"{right:.0%} of {len(samples)} samples repeat the corner; by chance one in 512 would")
plots.images(samples[:28], levels=2)

# %% [markdown]
# Expected:
#
# ![28 samples of PixelSNAIL: patches of black and white](figures/pixelsnail_samples.png)
#
# ### Question E4
#
# Before training attention is nearly an even mean over the whole past. What does the network learn first, and why does
# the corner come later (look at the loss when it is about 6 nats above the limit)? And what would it cost, in memory,
# to do the same with a picture of $256 \times 256$ pixels; what do you gain if you put attention only where the picture
# is small?

# %% [markdown]
# ### BEGIN SOLUTION
# First it learns what the neighbours tell: that needs no attention, and gives a gradient from the first step. The
# corner costs $9 \log 2 = 6.24$ nats as long as it is guessed. Attention begins as a mean over the whole past, in which
# the one pixel that decides has a weight of about one in sixty; how much the loss gains from more weight on it depends
# on how well the value is read, and the other way round. So there is hardly a gradient at first, and it grows as both
# do.
#
# The weights are one number for each pair of pixels: $65{,}536^2 \approx 4.3 \cdot 10^9$, 17 GB in float32, for each
# picture of a batch and each layer. Half of the side is a sixteenth of that. So attention is put where the picture is
# small (after downsampling, or on the codes of a VQ-VAE), and convolutions do what is near.
#
# **Rubric.** *2 points:* neighbours first, since attention starts as an even mean in which the deciding pixel hardly
# counts, **and** that the weights grow with the square of the number of pixels, with a number. *1 point:* one of them.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("pixelsnail")
