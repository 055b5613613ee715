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
# # Hierarchical autoregressive models: codes for what neighbours do not tell
#
# Jeffrey De Fauw, Sander Dieleman and Karen Simonyan: *Hierarchical Autoregressive Image Models with Auxiliary
# Decoders*, 2019 ([arXiv:1903.04933](https://arxiv.org/abs/1903.04933)). An autoregressive model of pixels spends
# itself on what is near. The paper puts a second one above it, of a few discrete codes a picture. What these codes hold
# is decided by another decoder, which is thrown away afterwards: the *auxiliary* one.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("hierarchical_ar")` runs the very checks that grade you, as
# often as you like. Call it before a class is finished, too: what calls a method that is still missing says so and
# waits, all else is checked. The data have known probabilities, so losses are reported in *nats above the limit*.

# %%
from collections.abc import Callable

from deepul_utils import check, drawn, fit, information, mosaics, plots, seed_everything, trained, training

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise E8 · Hierarchical autoregressive models: codes for what neighbours do not tell
#
# **Why.** Let $k(x)$ be codes of a picture, of which there are far fewer than pixels. Two autoregressive models, a
# *prior* of the codes and a *decoder* that is told them, are together a model of codes and pixels, and since $p(x) =
# \sum_k p(k)\, p(x \mid k)$ has more terms than one,
#
# $$-\log p(x) \;\le\; -\log p(k(x)) - \log p(x \mid k(x)) .$$
#
# Nats of the codes and nats of the pixels add up. The codes may hold what is far apart in the picture, and near in the
# small grid of codes; what is near in the picture the decoder finds out from the pixels before. But who makes such
# codes? Trained together, a decoder that sees all earlier pixels hardly needs any. And an autoencoder like the one of
# Exercise 3.4, whose decoder makes all pixels at once from the codes alone, puts into them whatever explains the most
# pixels, stripes and grain above all.
#
# The paper trains the encoder with an **auxiliary decoder**, apart from all else. It is either *feed-forward*, as in
# 3.4, or does **masked self-prediction**: a part of the picture is hidden, and it predicts this part from the codes
# *and from the pixels around*. What these tell need not stand in the codes. Then the encoder stays as it is, and the
# prior and the decoder are trained on its codes: their losses do not reach it.
#
# *Further reading:* van den Oord, Vinyals and Kavukcuoglu, *Neural Discrete Representation Learning*, 2017
# ([arXiv:1711.00937](https://arxiv.org/abs/1711.00937)).
#
# **The data.** Mosaics of $4 \times 4$ tiles of $4 \times 4$ pixels. Every tile has stripes and a mark. Where the
# stripes begin, the tile's *phase*, is mostly that of its neighbours: they run through. The column of the mark, the
# tile's *kind*, is thrown with a die of four sides, which nothing near tells; but the lower half has the marks of the
# upper half once more. Who does not see that throws eight dice too many: $8 \log 4 = 11.09$ nats.

# %%
tiles = mosaics.Mosaics()
train_x, valid_x = (torch.as_tensor(tiles.sample(n, split=s)) for n, s in ((20_000, "train"), (500, "validation")))
limit = tiles.entropy
plots.images(train_x[:14], levels=3, title=f"limit {limit:.2f} nats; {tiles.repeated:.2f} more without the upper half")

# %% [markdown]
# They come as bytes (`uint8`), to save memory; the methods of your models take them as `int64`, `x.long()`.
#
# ### Write
#
# **The quantizer** is that of 3.4: nearest codes, and a straight-through gradient. `nearest` and `lookup` are given.


# %%
class VectorQuantizer(nn.Module):
    """Nearest vectors of a codebook e, (codes, dims)."""

    def __init__(self, codes: int, dims: int):
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(codes, dims))

    def nearest(self, z: torch.Tensor) -> torch.Tensor:
        """arg min_j ‖z − e_j‖² at every place: (B, dims, h, w) -> int64 (B, h, w)."""
        B, D, H, W = z.shape
        rows = z.movedim(1, -1).reshape(-1, D)
        return torch.cdist(rows, self.codebook, compute_mode="donot_use_mm_for_euclid_dist").argmin(dim=1).view(B, H, W)

    def lookup(self, k: torch.Tensor) -> torch.Tensor:
        """e_k at every place: int64 (B, h, w) -> (B, dims, h, w)."""
        return self.codebook[k].movedim(-1, 1)

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """z_q with a straight-through gradient (B, dims, h, w); mean squares ‖sg[z] − e‖² and ‖z − sg[e]‖²."""
        ### BEGIN SOLUTION
        e = self.lookup(self.nearest(z))
        return z + (e - z).detach(), F.mse_loss(e, z.detach()), F.mse_loss(z, e.detach())
        ### END SOLUTION


# %% [markdown]
# **What is hidden.** `hidden` is true where a pixel is to be predicted. A network sees the picture as planes, one for
# each level, with a 1 where a pixel has that level. Hidden pixels are 0 in all of them; one plane more, the last, is 1
# where a pixel is hidden.


# %%
def hide(x: torch.Tensor, hidden: torch.Tensor, levels: int) -> torch.Tensor:
    """Planes of the levels, zero where hidden, and one of what is: int64, bool (B, 1, H, W) -> (B, levels + 1, …)."""
    ### BEGIN SOLUTION
    planes = F.one_hot(x[:, 0], levels).movedim(-1, 1).float()
    return torch.cat([planes * ~hidden, hidden.float()], dim=1)
    ### END SOLUTION


# %% [markdown]
# With one network we get both auxiliary decoders: what differs is what is hidden from them. The *feed-forward* one sees
# no pixel, all it has are the codes. For *masked self-prediction* every second tile of every second row is hidden,
# beginning at random, so that each hidden tile has eight neighbours to be seen. Both are given.


# %%
def everywhere(x: torch.Tensor) -> torch.Tensor:
    """Feed-forward: all pixels are hidden. (B, 1, H, W) -> bool (B, 1, H, W)."""
    return torch.ones(x.shape, dtype=torch.bool, device=x.device)


def lattice(x: torch.Tensor, S: int = 4) -> torch.Tensor:
    """Masked: every second tile of S × S pixels, of every second row of tiles. (B, 1, H, W) -> bool (B, 1, H, W)."""
    B, _, H, W = x.shape
    first = torch.randint(2, (2, B, 1), device=x.device)
    rows, columns = (torch.arange(n, device=x.device) // S % 2 == at for n, at in zip((H, W), first, strict=True))
    return rows[:, None, :, None] & columns[:, None, None, :]


# %% [markdown]
# **The coder** is an encoder, a quantizer and the auxiliary decoder.
#
# - `vectors(x)`: of each tile a vector. The encoder sees *the whole picture*, nothing is hidden from it: a convolution
#   of `S` × `S` pixels with stride `S` of the planes of the levels (`hide` with nothing hidden does it, too), relu, a
#   $1 \times 1$ convolution.
# - `predict(z_q, x, hidden)`: logits of every pixel. Add two things on the grid of tiles: what can be seen, by another
#   convolution of `S` × `S` pixels with stride `S`, and $z_q$, by a $1 \times 1$ convolution. Then relu, a convolution
#   of $3 \times 3$ tiles, relu, and a transposed one back to pixels. That reaches one tile far, and no further.
# - `prediction_loss(z_q, x, hidden)`: the mean of $-\log p$ **over the hidden pixels only**.
# - `losses(x, hidden)`: this one, with $z_q$ of the *whole* picture, the codebook's and the commitment loss. `loss`
#   adds them as in 3.4.
#
# <details>
# <summary>Hint: who sees what</summary>
#
# The encoder sees the pixels that are hidden from the auxiliary decoder: they can be told by the codes, and only by
# these. If the encoder saw the masked picture, the codes could hold nothing of it.
#
# </details>


# %%
class Coder(nn.Module):
    """Codes of the tiles of S × S pixels, and the auxiliary decoder that says what they are for.

    shape: (1, H, W). levels: of a pixel. codes: the size of the codebook, of vectors with `dims` numbers.
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, S: int = 4, codes: int = 4, dims: int = 4,
                 width: int = 48):  # fmt: skip
        super().__init__()
        self.shape, self.levels, self.S = shape, levels, S
        self.quantizer = VectorQuantizer(codes, dims)
        ### BEGIN SOLUTION
        self.encoder = nn.Sequential(
            nn.Conv2d(levels + 1, width, S, stride=S), nn.ReLU(), nn.Conv2d(width, dims, 1),
        )  # fmt: skip
        self.look, self.told = nn.Conv2d(levels + 1, width, S, stride=S), nn.Conv2d(dims, width, 1)
        self.auxiliary = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(), nn.ConvTranspose2d(width, levels, S, stride=S),
        )  # fmt: skip
        ### END SOLUTION

    def vectors(self, x: torch.Tensor) -> torch.Tensor:
        """z of every tile: int64 (B, 1, H, W) -> (B, dims, h, w)."""
        ### BEGIN SOLUTION
        return self.encoder(hide(x, torch.zeros_like(x, dtype=torch.bool), self.levels))
        ### END SOLUTION

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """The code of every tile: int64 (B, 1, H, W) -> int64 (B, h, w)."""
        return self.quantizer.nearest(self.vectors(x))

    def predict(self, z_q: torch.Tensor, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of all pixels by z_q (B, dims, h, w) and those of x (B, 1, H, W) that are not hidden:
        (B, 1, H, W, levels)."""
        ### BEGIN SOLUTION
        h = self.look(hide(x, hidden, self.levels)) + self.told(z_q)
        return self.auxiliary(h).movedim(1, -1)[:, None]
        ### END SOLUTION

    def prediction_loss(self, z_q: torch.Tensor, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """The mean of −log softmax(logits)[x] over the hidden pixels, a number."""
        ### BEGIN SOLUTION
        return F.cross_entropy(self.predict(z_q, x, hidden)[hidden], x[hidden])
        ### END SOLUTION

    def losses(self, x: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The prediction's, the codebook's and the commitment loss, a number each."""
        ### BEGIN SOLUTION
        z_q, codebook, commitment = self.quantizer(self.vectors(x))
        return self.prediction_loss(z_q, x, hidden), codebook, commitment
        ### END SOLUTION

    def loss(self, x: torch.Tensor, hidden: torch.Tensor, beta: float = 0.25) -> torch.Tensor:
        """prediction + codebook + β · commitment, a number."""
        prediction, codebook, commitment = self.losses(x, hidden)
        return prediction + codebook + beta * commitment


# %% [markdown]
# ### Look
#
# Pictures, and what the masked auxiliary decoder sees of them. In most hidden tiles you can draw the stripes yourself;
# where the mark is you cannot know.


# %%
def seen(x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Pictures in grey, and what is hidden in red: (B, 3, H, W)."""
    red = torch.tensor([0.84, 0.37, 0.0])[:, None, None]
    return torch.where(hidden, red, (x / 2).expand(-1, 3, -1, -1))


plots.image_rows({"picture": train_x[:7], "masked": seen(train_x[:7], lattice(train_x[:7]))}, levels=3)

# %% [markdown]
# Expected:
#
# ![seven mosaics, and the same with every second tile of every second row hidden](figures/hierarchical_ar_masks.png)
#
# ### Train the codes
#
# Codes begin where they happen to be, and stay near there: of a few words none is free to become something else. So two
# warm-ups come before the codes. In the first the auxiliary decoder learns what the pixels around tell, with noise in
# place of the vectors. In the second it is given the vectors themselves, with noise, and large vectors cost something:
# what is worth its cost is what the decoder does not know otherwise. Then `place` puts the codebook where the vectors
# are (by $k$-means). All that is given.


# %%
def train_on(model: Coder, loss: Callable, steps: int):
    """Minimise loss(x), with Adam and a learning rate that falls from 0.005 to zero as a cosine, on batches of 64."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    return fit(model, lambda x: loss(x.long()), train_x, optimizer=optimizer, scheduler=schedule, valid=valid_x,
               steps=steps, batch_size=64, evaluations=4)  # fmt: skip


def warm_up(model: Coder, hidden: Callable) -> None:
    """150 steps of the auxiliary decoder alone, 500 with noisy vectors; then the codebook is placed."""

    def alone(x):
        return model.prediction_loss(torch.randn_like(model.vectors(x)), x, hidden(x))

    def noisy(x):
        z = model.vectors(x)
        return model.prediction_loss(z + torch.randn_like(z), x, hidden(x)) + 0.03 * (z**2).mean()

    train_on(model, alone, 150)
    train_on(model, noisy, 500)
    place(model, train_x[:200].long())


@torch.no_grad()
def place(model: Coder, x: torch.Tensor) -> None:
    """The codebook as the means of groups of the vectors of x: k-means, the best of twenty beginnings."""
    z = model.vectors(x).movedim(1, -1).flatten(0, 2)  # (B · h · w, dims)
    least = torch.inf
    for _ in range(20):
        centres = z[torch.randint(len(z), (1,))]
        while len(centres) < len(model.quantizer.codebook):
            squares = torch.cdist(z, centres).amin(dim=1) ** 2
            centres = torch.cat([centres, z[torch.multinomial(squares, 1)]])
        for _ in range(10):
            own = torch.cdist(z, centres).argmin(dim=1)
            centres = torch.stack([z[own == k].mean(dim=0) for k in range(len(centres))])
        off = (torch.cdist(z, centres).amin(dim=1) ** 2).sum()
        if off < least:
            least = off
            model.quantizer.codebook.copy_(centres)


# %% [markdown]
# *The recipe:* the warm-ups, then 300 steps of `model.loss` with `train_on`, $\beta = 0.25$: ten seconds for each
# coder.


# %%
def train_coder(model: Coder, hidden: Callable):
    """Warm up, then minimise model.loss(x, hidden(x)) with `train_on`; returns its History."""
    ### BEGIN SOLUTION
    warm_up(model, hidden)
    return train_on(model, lambda x: model.loss(x, hidden(x)), 300)
    ### END SOLUTION


# %%
feedforward = trained("hierarchical_ar.feedforward", Coder(tiles.shape, 3), fit=lambda m: train_coder(m, everywhere))
masked = trained("hierarchical_ar.masked", Coder(tiles.shape, 3), fit=lambda m: train_coder(m, lattice))

# %% [markdown]
# ### See
#
# **What the codes keep.** Four words for each tile, and one network, in two ways. How much of a tile's phase and of its
# kind does its code tell? In shares of their entropy, $\log 4$ each: 100 % is all of it.


# %%
def kept(model: Coder, x: torch.Tensor):
    """What a tile's code tells of its phase and of its kind, as shares of their entropy: (2,)."""
    with torch.no_grad():
        codes = model.encode(x.long()).reshape(-1, 1)
    factors = torch.as_tensor(tiles.phases(x)), torch.as_tensor(tiles.kinds(x))
    return information.shares(codes, torch.stack([f.flatten() for f in factors], dim=1))[0]


test_x = torch.as_tensor(tiles.sample(1000, split="test"))
for name, model in {"feed-forward": feedforward, "masked": masked}.items():
    phase, kind = kept(model, test_x)
    print(f"{name:12} tells {phase:4.0%} of the phase and {kind:4.0%} of the kind")

# %% [markdown]
# A word of the feed-forward decoder says, most of all, where the stripes are: that explains fourteen pixels of sixteen,
# the mark two. The masked one reads the stripes off the neighbours, and is told the mark. Each code below has the
# colour of the phase, or kind, that it most often stands for.

# %%
PALETTE = torch.tensor([[0.0, 0.45, 0.7], [0.9, 0.62, 0.0], [0.0, 0.62, 0.45], [0.8, 0.47, 0.65]])


def coloured(values: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
    """Numbers of tiles (B, 4, 4) as colours, each that of the `like` with which it most often comes: (B, 3, 16, 16)."""
    if like is not None:
        values = torch.stack([torch.bincount(like[values == k], minlength=4).argmax() for k in range(4)])[values]
    return PALETTE[values].movedim(-1, 1).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)


phases, kinds = torch.as_tensor(tiles.phases(test_x)), torch.as_tensor(tiles.kinds(test_x))
with torch.no_grad():
    of_feedforward, of_masked = feedforward.encode(test_x.long()), masked.encode(test_x.long())
rows = {"picture": (test_x / 2).expand(-1, 3, -1, -1), "phases": coloured(phases),
        "feed-forward codes": coloured(of_feedforward, phases), "kinds": coloured(kinds),
        "masked codes": coloured(of_masked, kinds)}  # fmt: skip
plots.image_rows({name: row[:7] for name, row in rows.items()})

# %% [markdown]
# Expected:
#
# ![pictures, phases of tiles above feed-forward codes, kinds above masked codes](figures/hierarchical_ar_codes.png)
#
# ### Write
#
# **The two models** are of one kind: a PixelCNN on a grid of numbers, which is told something besides, $e$. The masked
# convolution of Exercise 1.3 and the residual block are given. You write `logits`: the planes of the values, and a
# plane of ones, which tells what lies outside, through a masked $7 \times 7$ convolution; plus $e$, plus a bias for
# each place; then `depth` residual blocks, relu, and a $1 \times 1$ convolution.


# %%
class MaskedConv2d(nn.Conv2d):
    """A k × k convolution that sees the places before its own in raster order, and its own if `own`."""

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


# %%
class Causal(nn.Module):
    """log p(v | e) = Σ_i log softmax(logits_i)[v_i] over the places of a grid of `size` (H, W), in raster order."""

    def __init__(self, size: tuple[int, int], levels: int, width: int = 32, depth: int = 2):
        super().__init__()
        self.size, self.levels = size, levels
        ### BEGIN SOLUTION
        self.first = MaskedConv2d(levels + 1, width, 7, own=False)
        self.bias = nn.Parameter(0.1 * torch.randn(width, *size))
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(depth)))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))
        ### END SOLUTION

    def logits(self, v: torch.Tensor, e: torch.Tensor | float = 0.0) -> torch.Tensor:
        """By the strict past and e (B, width, H, W), or nothing: int64 (B, H, W) -> (B, H, W, levels)."""
        ### BEGIN SOLUTION
        planes = F.one_hot(v, self.levels).movedim(-1, 1).float()
        h = self.first(torch.cat([planes, torch.ones_like(planes[:, :1])], dim=1)) + self.bias + e
        return self.head(self.blocks(h)).movedim(1, -1)
        ### END SOLUTION

    def log_prob(self, v: torch.Tensor, e: torch.Tensor | float = 0.0) -> torch.Tensor:
        """log p(v | e) in nats, summed over the places: int64 (B, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(v, e), dim=-1)
        return log_p.gather(-1, v[..., None]).flatten(1).sum(dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int, e: torch.Tensor | float = 0.0) -> torch.Tensor:
        """n draws given e, int64 (n, H, W)."""
        ### BEGIN SOLUTION
        H, W = self.size
        v = torch.zeros(n, H, W, dtype=torch.long)
        for i in range(H):
            for j in range(W):
                p = self.logits(v, e)[:, i, j].softmax(dim=-1)
                v[:, i, j] = torch.multinomial(p, 1)[:, 0]
        return v
        ### END SOLUTION


# %% [markdown]
# **The hierarchy.** A coder, which stays as it is, a prior on its grid and a decoder on that of the pixels. The numbers
# of the codes are all that goes from the coder to the decoder: an embedding of the decoder's own makes vectors of them
# (`width` numbers a code), a convolution of $3 \times 3$ tiles mixes neighbours, and a transposed convolution of `S` ×
# `S` with stride `S` makes `width` channels of pixels. That is $e$, `spread(k)`.
#
# - `bound(x)`: $-\log p(k(x)) - \log p(x \mid k(x))$.
# - `sample(n)`: codes from the prior, then pixels from the decoder, given these codes.


# %%
class HierarchicalAR(nn.Module):
    """p(k, x) = p(k) p(x | k), with codes k of tiles of S × S pixels, which a Coder makes."""

    def __init__(self, shape: tuple[int, int, int], levels: int, S: int = 4, codes: int = 4, dims: int = 4,
                 width: int = 32, depth: int = 2):  # fmt: skip
        super().__init__()
        _, H, W = shape
        self.shape, self.levels, self.codes, self.size = shape, levels, codes, (H // S, W // S)
        self.coder = Coder(shape, levels, S, codes, dims)
        self.prior, self.decoder = Causal(self.size, codes, width, depth), Causal((H, W), levels, width, depth)
        ### BEGIN SOLUTION
        self.embedding = nn.Embedding(codes, width)
        self.up = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(width, width, S, stride=S),
        )  # fmt: skip
        ### END SOLUTION

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """k(x): int64 (B, 1, H, W) -> int64 (B, h, w)."""
        return self.coder.encode(x)

    def spread(self, k: torch.Tensor) -> torch.Tensor:
        """What the decoder is told of the codes: int64 (B, h, w) -> (B, width, H, W)."""
        ### BEGIN SOLUTION
        return self.up(self.embedding(k).movedim(-1, 1))
        ### END SOLUTION

    def code_logits(self, k: torch.Tensor) -> torch.Tensor:
        """Of every code, given those before it: int64 (B, h, w) -> (B, h, w, codes)."""
        return self.prior.logits(k)

    def pixel_logits(self, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        """Of every pixel, given those before it and all codes: (B, 1, H, W), (B, h, w) -> (B, 1, H, W, levels)."""
        return self.decoder.logits(x[:, 0], self.spread(k))[:, None]

    def log_prob(self, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        """log p(k) + log p(x | k) in nats: int64 (B, 1, H, W), (B, h, w) -> (B,)."""
        ### BEGIN SOLUTION
        return self.prior.log_prob(k) + self.decoder.log_prob(x[:, 0], self.spread(k))
        ### END SOLUTION

    def bound(self, x: torch.Tensor) -> torch.Tensor:
        """−log p(k(x)) − log p(x | k(x)) ≥ −log p(x), in nats: int64 (B, 1, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        return -self.log_prob(x, self.encode(x))
        ### END SOLUTION

    def sample_codes(self, n: int) -> torch.Tensor:
        """n draws of p(k), int64 (n, h, w)."""
        ### BEGIN SOLUTION
        return self.prior.sample(n)
        ### END SOLUTION

    @torch.no_grad()
    def decode(self, k: torch.Tensor) -> torch.Tensor:
        """A draw of p(x | k) for each: int64 (B, h, w) -> int64 (B, 1, H, W)."""
        ### BEGIN SOLUTION
        return self.decoder.sample(len(k), self.spread(k))[:, None]
        ### END SOLUTION

    def sample(self, n: int) -> torch.Tensor:
        """n draws of p(x), int64 (n, 1, H, W)."""
        ### BEGIN SOLUTION
        return self.decode(self.sample_codes(n))
        ### END SOLUTION


# %% [markdown]
# ### Train
#
# The coder is copied into the model, and no loss moves it any more: the numbers that it gives have no gradient.
# Minimise the mean of `bound`; it is the sum of two losses, which have no parameter in common.
#
# *The recipe:* Adam, 800 steps on batches of 32, a learning rate that rises to 0.005 and falls to zero again
# (`OneCycleLR`), width 32, two residual blocks: half a minute.


# %%
def with_coder(coder: Coder) -> HierarchicalAR:
    model = HierarchicalAR(tiles.shape, levels=3)
    model.coder.load_state_dict(coder.state_dict())
    return model


def train_model(model: nn.Module, loss: Callable, steps: int = 800):
    """Minimise the mean of loss(x), (B,), over train_x with `fit`; returns the History."""
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return fit(
        model,
        lambda x: loss(x.long()).mean(),
        train_x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps),
        valid=valid_x,
        steps=steps,
        batch_size=32,
        evaluations=8,
    )
    ### END SOLUTION


# %%
model = with_coder(masked)
hierarchy = trained("hierarchical_ar", model, fit=lambda m: train_model(m, m.bound),
                    aim=training.reference("hierarchical_ar"))  # fmt: skip
samples = drawn("hierarchical_ar", lambda: hierarchy.sample(56))
plots.history(training.history("hierarchical_ar"), limit=limit, unit="nats a picture")

# %% [markdown]
# Expected:
#
# ![training and validation loss of the hierarchy, near the limit at the end](figures/hierarchical_ar_losses.png)
#
# And for comparison: the same with the feed-forward codes, and a PixelCNN without codes, which gets as many seconds as
# a coder and a hierarchy together.


# %%
def train_local(model: HierarchicalAR):
    return train_model(model, model.bound)


def train_pixels(model: Causal):
    return train_model(model, lambda x: -model.log_prob(x[:, 0]), steps=1800)


local = trained("hierarchical_ar.local", with_coder(feedforward), fit=train_local)
pixelcnn = trained("hierarchical_ar.pixelcnn", Causal((16, 16), levels=3), fit=train_pixels)

# %% [markdown]
# ### See
#
# **What the model was invented for.** Nats above the limit, where they are spent, and how many of the samples' marks in
# the lower half are those of the upper one. Those that are not stand in red.


# %%
def strays(x: torch.Tensor) -> torch.Tensor:
    """Marks of the lower half that are not those of the upper one: (B, 1, 16, 16) -> bool (B, 1, 16, 16)."""
    kinds = torch.as_tensor(tiles.kinds(x))
    other = torch.cat([kinds[:, :2] != kinds[:, :2], kinds[:, :2] != kinds[:, 2:]], dim=1)
    return (x == 2) & other.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)[:, None]


truth = torch.as_tensor(tiles.log_prob(test_x))
seed_everything(1)
with torch.no_grad():
    nats = {"masked codes": hierarchy.bound(test_x.long()), "feed-forward codes": local.bound(test_x.long()),
            "PixelCNN": -pixelcnn.log_prob(test_x[:, 0].long())}  # fmt: skip
    spent = {name: -m.prior.log_prob(m.encode(test_x.long())).mean() for name, m in
             {"masked codes": hierarchy, "feed-forward codes": local}.items()}  # fmt: skip
of = {"masked codes": samples, "feed-forward codes": local.sample(56), "PixelCNN": pixelcnn.sample(56)[:, None]}
for name, x in of.items():
    again = 1 - strays(x).sum() / (x[:, :, 8:] == 2).sum()
    print(f"{name:18} {(nats[name] + truth).mean():5.2f} nats above the limit, {spent.get(name, 0):5.2f} for codes; "
          f"{again:4.0%} of the marks come again")  # fmt: skip
plots.image_rows({name: seen(x[:7], strays(x[:7])) for name, x in of.items()})

# %% [markdown]
# Expected:
#
# ![samples with masked codes, with feed-forward codes, and of a PixelCNN](figures/hierarchical_ar_samples.png)
#
# All three draw stripes. The upper half is eight rows away, out of the decoder's reach: $3 + 1 + 1 = 5$ rows. In
# the grid of codes it is two places away. But that helps only if the codes are the marks: where they hold the stripes,
# most of the lower half's dice are thrown again, as the PixelCNN throws them all; one mark in four comes again by
# chance. (That is a fact about decoders of this reach. A deeper one, or attention as in Exercise E4, finds the marks in
# the pixels. The paper's pictures are larger than any reach, and it stacks several levels of codes.)
#
# **The codes decide what is where, the decoder how it looks.** Codes of one fresh picture, and six pictures drawn from
# them: the marks stay, the stripes are others.

# %%
with torch.no_grad():
    codes = hierarchy.encode(test_x[:1].long())
plots.images(torch.cat([test_x[:1].long(), hierarchy.decode(codes.expand(6, -1, -1))]), levels=3,
             title="a picture, and six drawn from its codes")  # fmt: skip

# %% [markdown]
# Expected:
#
# ![a picture and six others with the same marks and other stripes](figures/hierarchical_ar_decoded.png)
#
# ### Question E8
#
# Here one tile is hidden at a time, as far as its neighbours can see. What would the codes hold if single pixels were
# hidden instead, and what if half of the picture were? And why may the losses of the prior and of the decoder not reach
# the encoder, though their sum could be lower if they did?

# %% [markdown]
# ### BEGIN SOLUTION
# What is hidden decides what the pixels around leave open. Of a single pixel nearly everything is told by those beside
# it, the stripes and, as the mark has two pixels, most of the marks as well: the codes would be needed for hardly
# anything, and hold whatever little is left. With half of the picture hidden, most hidden tiles have no visible
# neighbour; their stripes are told by nobody, and the codes hold them, as the feed-forward ones do, which are the case
# where everything is hidden. The size of what is hidden sets the scale: codes hold what is not told across so many
# pixels.
#
# If the prior's loss reached the encoder, the cheapest codes would be those that are always the same: zero nats. The
# decoder's loss would ask for whatever a decoder with all earlier pixels does not know, which is little. Between the
# two the codes collapse, as the latents of a VAE with a strong decoder do. The sum might even be lower; but it is the
# auxiliary decoder that says what codes are for.
#
# **Rubric.** *2 points:* that small masks leave little for the codes and large ones leave texture, too, **and** that
# codes which the prior's or a strong decoder's loss may move collapse. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("hierarchical_ar")
