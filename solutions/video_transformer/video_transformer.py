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
# # The Video Transformer: attention in blocks that change
#
# Dirk Weissenborn, Oscar Täckström and Jakob Uszkoreit: *Scaling Autoregressive Video Models*, 2019
# ([arXiv:1906.02634](https://arxiv.org/abs/1906.02634)). A video has so many pixels that attention between all pairs of
# them cannot be paid. The paper cuts it into small blocks of space and time, attends inside of each, and cuts it
# differently in the next layer, so that what one layer keeps apart the next brings together.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("video_transformer")` runs the very checks that grade you,
# as often as you like. Call it before a class is finished, too: what calls a method that is still missing says so and
# waits, all else is checked. The data have known probabilities, so losses are reported in *nats above the limit*, their
# entropy.

# %%
from deepul_utils import check, drawn, fit, plots, seed_everything, trained, training, videos

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise E9 · The Video Transformer: attention in blocks that change
#
# **Why.** With $N$ pixels attention has $N^2$ scores. Twice as many frames cost four times as much. The paper takes two
# steps.
#
# *Blocks.* Cut the $N$ places into blocks of $p = t \cdot h \cdot w$ places, of some frames, rows and columns.
# Attention inside of the blocks has $N / p$ blocks with $p^2$ scores each,
#
# $$\frac{N}{p} \cdot p^2 = N p :$$
#
# twice as many frames cost twice as much. But what is in another block is not seen, however many layers there are, if
# all of them have the same blocks. So each layer has blocks of *another shape*: long in time, along a row, along a
# column.
#
# *Subscale order.* Take every $s_t$-th frame, every $s_h$-th row and every $s_w$-th column: a small video, a *slice*.
# There are $n = s_t s_h s_w$ of them, interleaved. The model draws slice after slice, and each in raster order: frame
# by frame, row by row. As in Exercise E7, but in three directions,
#
# $$\log p(x) = \sum_{k=0}^{n - 1} \; \sum_{i} \log p\left(x_i^{(k)} \mid x_{< i}^{(k)},\; x^{(0)}, \dots,
#   x^{(k-1)}\right) .$$
#
# An *encoder* reads all earlier slices, without a mask. A *decoder* draws one slice, and is masked. Both are small.
#
# *Further reading:* Kalchbrenner et al., *Video Pixel Networks*, 2016
# ([arXiv:1610.00527](https://arxiv.org/abs/1610.00527)), which the model is compared with below.
#
# **The data.** Three frames of a ring that begins anywhere, moves by one pixel along either axis, bounces off the
# walls, and sometimes turns. Where it is costs $2 \log 12 = 4.97$ nats, the first step 1.16, each one after that 0.6.

# %%
FRAMES = 3
rings = videos.get("bounce1", length=FRAMES)
train_x, valid_x = (torch.as_tensor(rings.sample(n, split=s)) for n, s in ((20_000, "train"), (100, "validation")))
limit, at_frame = rings.entropy, " + ".join(f"{nats:.2f}" for nats in rings.entropies)
some = {f"video {k + 1}": train_x[k] for k in range(3)}
plots.image_rows(some, levels=2, title=f"limit {limit:.2f} = {at_frame} nats")

# %% [markdown]
# They come as bytes (`uint8`), to save memory; the methods of your model take them as `int64`, `x.long()`.
#
# ### Write
#
# **Slices.** Slice $k = (a\, s_h + b)\, s_w + c$ holds the frames $a, a + s_t, \dots$, of these the rows
# $b, b + s_h, \dots$, and of these the columns $c, c + s_w, \dots$. `merge` puts slices together again; there may be
# several numbers for each pixel, as logits are, in a last dimension.
#
# <details>
# <summary>Hint: the idea</summary>
#
# A frame's number is $i s_t + a$: `reshape` makes two dimensions of it, $i$ and $a$, with $i$ first. The same for rows
# and columns; then bring the three offsets to the front with `permute` or `movedim`. Backwards: the same steps, from
# the last.
#
# </details>


# %%
def slices(x: torch.Tensor, S: tuple[int, int, int]) -> torch.Tensor:
    """The n = s_t s_h s_w slices of S = (s_t, s_h, s_w): (B, T, 1, H, W) -> (B, n, T/s_t, H/s_h, W/s_w)."""
    ### BEGIN SOLUTION
    (B, T, _, H, W), (s_t, s_h, s_w) = x.shape, S
    apart = x.reshape(B, T // s_t, s_t, H // s_h, s_h, W // s_w, s_w)
    return apart.permute(0, 2, 4, 6, 1, 3, 5).reshape(B, -1, T // s_t, H // s_h, W // s_w)
    ### END SOLUTION


def merge(s: torch.Tensor, S: tuple[int, int, int]) -> torch.Tensor:
    """The inverse of `slices`, of pixels that may have several numbers: (B, n, t, h, w, …) -> (B, T, 1, H, W, …)."""
    ### BEGIN SOLUTION
    (B, _, t, h, w), (s_t, s_h, s_w) = s.shape[:5], S
    apart = s.reshape(B, s_t, s_h, s_w, t, h, w, *s.shape[5:]).movedim((1, 2, 3), (2, 4, 6))
    return apart.reshape(B, t * s_t, 1, h * s_h, w * s_w, *s.shape[5:])
    ### END SOLUTION


# %% [markdown]
# **Blocks.** The other way to cut: a block is a box of neighbours. With `block` $= (t, h, w)$ the first block is the
# first $t$ frames, and of these the upper left corner of $h \times w$. Blocks are numbered in raster order (time first,
# then down, then to the right), and so are the places in a block. `join` puts them together again.


# %%
def cut(h: torch.Tensor, block: tuple[int, int, int]) -> torch.Tensor:
    """Boxes of p places: (B, T, H, W, C) -> (B, blocks, p, C)."""
    ### BEGIN SOLUTION
    (B, T, H, W, C), (t, a, b) = h.shape, block
    apart = h.reshape(B, T // t, t, H // a, a, W // b, b, C)
    return apart.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(B, -1, t * a * b, C)
    ### END SOLUTION


def join(z: torch.Tensor, block: tuple[int, int, int], size: tuple[int, int, int]) -> torch.Tensor:
    """The inverse of `cut`; size: (T, H, W): (B, blocks, p, C) -> (B, T, H, W, C)."""
    ### BEGIN SOLUTION
    (T, H, W), (t, a, b), (B, _, _, C) = size, block, z.shape
    apart = z.reshape(B, T // t, H // a, W // b, t, a, b, C)
    return apart.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(B, T, H, W, C)
    ### END SOLUTION


# %% [markdown]
# **Attention in a block.** The $p$ places of a block ask with $q_i$, and offer keys $k_j$ and values $v_j$,
#
# $$w_{ij} = \frac{e^{q_i \cdot k_j / \sqrt{d} + b_{ij}}}{\sum_l e^{q_i \cdot k_l / \sqrt{d} + b_{il}}} , \qquad
#   \text{out}_i = \sum_j w_{ij}\, v_j .$$
#
# $b_{ij}$ is a bias that hangs on how far $j$ is from $i$: `Nearness`, which is given, has a number for each distance
# in time, one for each in rows and one for each in columns, and adds the three. In the encoder the sums are over all
# places of the block. In the decoder, `strict`, over $j < i$ only: the pixel itself may be among what is offered. Then
# the first place has nothing to ask: its weights are zero, and its gradient is no `nan`.
#
# <details>
# <summary>Hint</summary>
#
# As in Exercise E4: the scores of $j \ge i$ get the lowest number of their type, then comes the softmax over $j$, then
# the mask once more, for the first row.
#
# </details>


# %%
def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor, strict: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """out and w of each block: q, k, v (…, p, d) and bias (…, p, p) -> (…, p, d), (…, p, p)."""
    ### BEGIN SOLUTION
    p, d = q.shape[-2:]
    scores = q @ k.transpose(-1, -2) / d**0.5 + bias
    if not strict:
        w = scores.softmax(dim=-1)
    else:
        past = torch.ones(p, p, dtype=torch.bool, device=q.device).tril(-1)  # j < i
        w = scores.masked_fill(~past, torch.finfo(scores.dtype).min).softmax(dim=-1) * past
    return w @ v, w
    ### END SOLUTION


class Nearness(nn.Module):
    """b_ij = b_t[Δt] + b_h[Δh] + b_w[Δw] by how far j is from i, in each head: () -> (heads, p, p)."""

    def __init__(self, heads: int, block: tuple[int, int, int]):
        super().__init__()
        self.by = nn.ParameterList(nn.Parameter(torch.zeros(heads, 2 * n - 1)) for n in block)
        at = torch.cartesian_prod(*(torch.arange(n) for n in block))  # (p, 3), in raster order
        self.register_buffer("apart", at[:, None] - at + torch.tensor(block) - 1)

    def forward(self) -> torch.Tensor:
        return sum(b[:, self.apart[..., k]] for k, b in enumerate(self.by))


# %% [markdown]
# **The layer** cuts, attends, and joins. Questions are `ask(h)`, keys and values the two halves of `tell(told)`: what a
# place tells may be more than what it asks with. Heads share the width: `z.unflatten(-1, (heads, -1))` parts it. All
# blocks stand side by side in one call of `attention`: with $w$ of shape (B, blocks, heads, p, p) and nothing larger,
# the cost is that of the blocks.


# %%
class BlockAttention(nn.Module):
    """Attention inside of each block of (t, h, w) places. strict: over earlier places only."""

    def __init__(self, width: int, heads: int, block: tuple[int, int, int], strict: bool):
        super().__init__()
        self.heads, self.block, self.strict = heads, block, strict
        ### BEGIN SOLUTION
        self.ask, self.tell, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.near = Nearness(heads, block)
        ### END SOLUTION

    def forward(self, h: torch.Tensor, told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each place gets, and w: (B, T, H, W, width) twice -> the same, (B, blocks, heads, p, p)."""
        ### BEGIN SOLUTION
        q, (k, v) = self.ask(h), self.tell(told).chunk(2, dim=-1)
        q, k, v = (cut(z, self.block).unflatten(-1, (self.heads, -1)).transpose(2, 3) for z in (q, k, v))
        got, w = attention(q, k, v, self.near(), self.strict)  # (B, blocks, heads, p, …)
        return self.out(join(got.transpose(2, 3).flatten(3), self.block, h.shape[1:4])), w
        ### END SOLUTION


# %% [markdown]
# Around it stands a pre-norm block as in Exercise E10, which is given. $x$ is the embedding of the pixels themselves,
# which a place tells and does not ask with; the encoder has none.


# %%
class Layer(nn.Module):
    """h' = h + attention(norm(h), norm(h) + x), then h' + MLP(norm(h'))."""

    def __init__(self, width: int, heads: int, block: tuple[int, int, int], strict: bool):
        super().__init__()
        self.norm, self.attend = nn.LayerNorm(width), BlockAttention(width, heads, block, strict)
        wide = nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        self.mlp = nn.Sequential(nn.LayerNorm(width), *wide)

    def forward(self, h: torch.Tensor, x: torch.Tensor | float = 0.0) -> torch.Tensor:
        asks = self.norm(h)
        h = h + self.attend(asks, asks + x)[0]
        return h + self.mlp(h)


def told(v: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Slices l < k, zeros for the others, and which these are: floats (B, n, …), int64 (B,) -> (B, …, 2n)."""
    known = torch.arange(v.shape[1], device=v.device) < k[:, None]  # (B, n)
    known = known[:, :, None, None, None].expand(v.shape).to(v.dtype)
    return torch.cat([v * known, known], dim=1).movedim(1, -1)


# %% [markdown]
# Write the model. `told` of Exercise E7 is given: at each place it tells the pixels of the earlier slices at that
# place. Slices have a size of $(T / s_t, H / s_h, W / s_w)$ places.
#
# - `embed(s, k)`: a linear map of what slice $k$ is told (pixels on $[-1, 1]$, with `scaled`, which is given), plus an
#   embedding of the place (one of the frame, one of the row, one of the column, added), plus one of $k$; then a layer
#   for each block of `read`, not strict.
# - `decode(own, e)`: $x$ is an embedding of the slice's own pixels. $h$ begins as $e$; a strict layer for each block of
#   `blocks`, which is given $x$ each time; then a norm and a linear map, to a logit for each level.
# - `logits(x)`: all slices side by side in one batch, as in Exercise E7. `slice_log_prob(x, k)`: $\log p$ of slice
#   $k_b$ of video $b$, given the earlier ones: one slice of each video, and no more work than that. With it a step of
#   training is cheap.
# - `sample(n)`: slice after slice; the embedding is made once a slice.


# %%
class VideoTransformer(nn.Module):
    """log p(x) = Σ_k Σ_i log softmax(logits)[x] over slices k and their pixels i in raster order.

    shape: (T, 1, H, W). levels: of a pixel. S: (s_t, s_h, s_w) of the slices. read, blocks: (t, h, w) of each layer of
    the encoder and of the decoder, in places of a slice. width: of the embeddings; heads share it.
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        levels: int,
        S: tuple[int, int, int],
        read: tuple[tuple[int, int, int], ...],
        blocks: tuple[tuple[int, int, int], ...],
        width: int = 32,
        heads: int = 4,
    ):
        super().__init__()
        T, _, H, W = shape
        self.shape, self.levels, self.S, self.n = shape, levels, S, S[0] * S[1] * S[2]
        self.size = T // S[0], H // S[1], W // S[2]
        ### BEGIN SOLUTION
        t, h, w = self.size
        self.told, self.pixel = nn.Linear(2 * self.n, width), nn.Embedding(levels, width)
        sides = (t, 1, 1), (1, h, 1), (1, 1, w)
        self.places = nn.ParameterList(nn.Parameter(0.3 * torch.randn(*side, width)) for side in sides)
        self.slice = nn.Parameter(0.3 * torch.randn(self.n, 1, 1, 1, width))
        self.encoder = nn.ModuleList(Layer(width, heads, block, strict=False) for block in read)
        self.decoder = nn.ModuleList(Layer(width, heads, block, strict=True) for block in blocks)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, levels))
        ### END SOLUTION

    def scaled(self, x: torch.Tensor) -> torch.Tensor:
        """Levels onto [−1, 1]."""
        return 2 * x / (self.levels - 1) - 1

    def embed(self, s: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        """What slice k is told of those before it: int64 (B, n, t, h, w), int64 (B,) -> (B, t, h, w, width)."""
        ### BEGIN SOLUTION
        h = self.told(told(self.scaled(s), k)) + sum(self.places) + self.slice[k]
        for layer in self.encoder:
            h = layer(h)
        return h
        ### END SOLUTION

    def decode(self, own: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
        """Logits of a slice by its strict past and e: (B, t, h, w), (B, t, h, w, width) -> (B, t, h, w, levels)."""
        ### BEGIN SOLUTION
        x, h = self.pixel(own), e
        for layer in self.decoder:
            h = layer(h, x)
        return self.head(h)
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p of every level, given all before: int64 (B, T, 1, H, W) -> (B, T, 1, H, W, levels)."""
        ### BEGIN SOLUTION
        B, s = len(x), slices(x, self.S)
        k = torch.arange(self.n, device=x.device).repeat(B)
        out = self.decode(s.flatten(0, 1), self.embed(s.repeat_interleave(self.n, dim=0), k))
        return merge(out.unflatten(0, (B, self.n)), self.S)
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats, summed over the pixels: int64 (B, T, 1, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)
        ### END SOLUTION

    def slice_log_prob(self, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        """log p of slice k_b of each video, given those before it: int64 (B, T, 1, H, W), int64 (B,) -> (B,)."""
        ### BEGIN SOLUTION
        s = slices(x, self.S)
        own = s[torch.arange(len(x), device=x.device), k]
        log_q = F.log_softmax(self.decode(own, self.embed(s, k)), dim=-1)
        return log_q.gather(-1, own[..., None]).flatten(1).sum(dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, T, 1, H, W), slice by slice."""
        ### BEGIN SOLUTION
        t, h, w = self.size
        s = torch.zeros(n, self.n, t, h, w, dtype=torch.long)
        for k in range(self.n):
            e = self.embed(s, torch.full((n,), k))
            for i in range(t * h * w):
                p = self.decode(s[:, k], e).flatten(1, 3)[:, i].softmax(dim=-1)
                s[:, k].view(n, -1)[:, i] = torch.multinomial(p, 1)[:, 0]
        return merge(s, self.S)
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# One video, and some of its sixteen slices for $S = (1, 4, 4)$: all three frames, every fourth row and column.

# %%
S, SIZE = (1, 4, 4), (FRAMES, 4, 4)
parts = slices(train_x[:1], S)[0]
rows = {f"slice {k}": parts[k, :, None].repeat_interleave(4, 2).repeat_interleave(4, 3) for k in (0, 1, 5, 15)}
plots.image_rows({"video": train_x[0], **rows}, levels=2)

# %% [markdown]
# Expected:
#
# ![three frames of a ring, and below them four of its slices, with pixels four times as
# large](figures/video_transformer_slices.png)
#
# **The receptive field over layers.** Decoders with random weights: which of the 48 pixels of a slice (a column)
# reaches the output at which place (a row). Blocks of three frames and $2 \times 2$ places, in every layer the same,
# see after three layers what they saw after one. Blocks that change (a row of places, a column, a frame) see more with
# each layer. Their blocks are as small.

# %%
FIXED, ROW, COLUMN, FRAME = (FRAMES, 2, 2), (FRAMES, 1, 4), (FRAMES, 4, 1), (1, 4, 4)


def field(blocks: tuple[tuple[int, int, int], ...], width: int = 16) -> torch.Tensor:
    """Which pixel reaches which output, through random layers: bool (places, places)."""
    layers = [Layer(width, 4, block, strict=True) for block in blocks]
    h, x = torch.randn(1, *SIZE, width), torch.randn(1, *SIZE, width, requires_grad=True)
    for layer in layers:
        h = layer(h, x)
    outputs = h.square().sum(dim=-1).flatten()
    moved = [torch.autograd.grad(out, x, retain_graph=True)[0].abs().sum(dim=-1).flatten() for out in outputs]
    return torch.stack(moved) > 0


fields = {
    "fixed, three layers": field((FIXED, FIXED, FIXED)),
    "changing, one layer": field((ROW,)),
    "two layers": field((ROW, COLUMN)),
    "three layers": field((ROW, COLUMN, FRAME)),
}
plots.masks(list(fields.values()), list(fields))

# %% [markdown]
# Expected:
#
# ![four matrices of what sees what: fixed blocks see few pixels, blocks that change see nearly the whole past after
# three layers](figures/video_transformer_fields.png)
#
# **What it costs**, counted: operations of the network for one slice, when there are more and more frames. Blocks stay
# as large as they are, so there are more of them.


# %%
def operations(frames: int, blocks: tuple[tuple[int, int, int], ...]) -> float:
    """Millions of operations of the network for one slice, of so many frames of 32 × 32 pixels."""
    model = VideoTransformer((frames, 1, 32, 32), 2, S, blocks, blocks)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.slice_log_prob(torch.zeros(1, frames, 1, 32, 32, dtype=torch.long), torch.tensor([3]))
    return counter.get_total_flops() / 1e6


frames = torch.tensor([3, 6, 9, 12])
counted = {
    "blocks that change": [operations(int(n), (ROW, COLUMN, FRAME)) for n in frames],
    "attention to everything": [operations(int(n), ((int(n), 8, 8),) * 3) for n in frames],
}
plots.curves(frames, {name: torch.tensor(of) for name, of in counted.items()}, "frames", "million operations")

# %% [markdown]
# Expected:
#
# ![operations against frames: a straight line for blocks, a parabola far above it for attention to
# everything](figures/video_transformer_operations.png)
#
# ### Train
#
# With maximum likelihood, of *one* slice of each video: $n$ times its loss has the mean of the whole. `one_each`, which
# is given, draws the slices so that each comes as often as the others. While nothing is trained (`model.training` is
# false, as when `fit` looks at the validation set) the loss is that of whole videos. `fit` is the loop of the
# homeworks, `fit(model, loss, x, optimizer=…, scheduler=…, valid=…, steps=…, batch_size=…)`; it returns the History,
# which your function returns, too.
#
# *The recipe:* Adam, 1500 steps on batches of 32, a learning rate that rises to 0.01 and falls to zero again
# (`OneCycleLR`), width 32, four heads: about forty seconds. $S = (1, 4, 4)$; the encoder has the blocks `ROW` and
# `COLUMN`, the decoder `ROW`, `COLUMN` and `FRAME`.


# %%
def one_each(B: int, n: int) -> torch.Tensor:
    """A slice for each of B videos, of n, at random; each as often as the others: int64 (B,)."""
    return (torch.randperm(B) + torch.randint(n, (1,))) % n


def train_video(model: nn.Module, steps: int = 1500):
    """Minimise −n · mean log p of one slice of each video over train_x with `fit`; returns the History."""

    ### BEGIN SOLUTION
    def loss(x: torch.Tensor) -> torch.Tensor:
        x = x.long()
        if not model.training:
            return -model.log_prob(x).mean()
        return -model.n * model.slice_log_prob(x, one_each(len(x), model.n)).mean()

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return fit(
        model,
        loss,
        train_x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps),
        valid=valid_x,
        steps=steps,
        batch_size=32,
        evaluations=6,
    )
    ### END SOLUTION


# %%
changing = trained(
    "video_transformer",
    VideoTransformer(rings.shape, 2, S, (ROW, COLUMN), (ROW, COLUMN, FRAME)),
    fit=train_video,
    aim=training.reference("video_transformer"),
)
plots.history(training.history("video_transformer"), limit=limit, unit="nats a video")

# %% [markdown]
# Expected:
#
# ![training and validation loss of the video transformer, near the limit at the
# end](figures/video_transformer_losses.png)
#
# What it is compared with: the same network with fixed blocks, and a small Video Pixel Network, which is given: a
# ConvLSTM carries a state from frame to frame, and a PixelCNN draws each frame, given that state. It gets about as much
# time as the transformer.


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


class ConvLSTM(nn.Module):
    """log p(x) = Σ_t log p(x_t | state of the frames before): a ConvLSTM, and a PixelCNN that is told its state."""

    def __init__(self, shape: tuple[int, int, int, int], levels: int, width: int = 16):
        super().__init__()
        self.levels = levels
        self.look, self.gates = nn.Conv2d(1, width, 5, padding=2), nn.Conv2d(2 * width, 4 * width, 3, padding=1)
        self.begin = nn.Parameter(torch.zeros(width, *shape[2:]))
        self.first, self.tell = MaskedConv2d(2, width, 7, own=False), nn.Conv2d(width, width, 3, padding=1)
        self.blocks = nn.Sequential(Residual(width), Residual(width), nn.ReLU(), nn.Conv2d(width, levels, 1))

    def states(self, v: torch.Tensor) -> torch.Tensor:
        """The state before each frame: (B, T, 1, H, W) -> (B, T, width, H, W)."""
        B, T = v.shape[:2]
        seen = F.relu(self.look(v.flatten(0, 1))).unflatten(0, (B, T))
        h, c, all_h = self.begin.expand(B, -1, -1, -1), torch.zeros_like(seen[:, 0]), []
        for t in range(T):
            all_h.append(h)
            i, f, o, g = self.gates(torch.cat([seen[:, t], h], dim=1)).chunk(4, dim=1)
            c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return torch.stack(all_h, dim=1)

    def log_conditionals(self, x: torch.Tensor) -> torch.Tensor:
        """log p of each frame, given those before it: int64 (B, T, 1, H, W) -> (B, T)."""
        v = 2.0 * x / (self.levels - 1) - 1
        frames = v.flatten(0, 1)
        h = self.first(torch.cat([frames, torch.ones_like(frames)], dim=1)) + self.tell(self.states(v).flatten(0, 1))
        log_q = F.log_softmax(self.blocks(h), dim=1).gather(1, x.flatten(0, 1))
        return log_q.flatten(1).sum(dim=1).view(x.shape[:2])


def train_convlstm(model: nn.Module, steps: int = 2000):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    falls = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    return fit(
        model,
        lambda x: -model.log_conditionals(x.long()).sum(dim=1).mean(),
        train_x,
        optimizer=optimizer,
        scheduler=falls,
        valid=valid_x,
        steps=steps,
        batch_size=16,
        evaluations=6,
    )


# %%
fixed = trained(
    "video_transformer.fixed",
    VideoTransformer(rings.shape, 2, S, (FIXED, FIXED), (FIXED, FIXED, FIXED)),
    fit=train_video,
)
convlstm = trained("video_transformer.convlstm", ConvLSTM(rings.shape, levels=2), fit=train_convlstm)

# %% [markdown]
# ### See
#
# **What fixed blocks lose, exactly.** Nothing crosses the border of a block: not in attention, and all else is done at
# each place for itself. So the network with fixed blocks is four networks, one for each quarter of the picture, of
# which none sees the others. The best that such a network can do is $\sum_b H(x_b)$, the entropies of the quarters,
# added: what it loses is what the quarters tell of each other. That can be counted, for there are only some thousand
# videos.


# %%
def every_video() -> tuple[torch.Tensor, torch.Tensor]:
    """All videos there are, and how probable they are: uint8 (n, T, 1, 16, 16), float64 (n,)."""
    start = torch.cartesian_prod(*[torch.arange(rings.places)] * 2)  # row, column
    moves = torch.cartesian_prod(*[torch.tensor([-1, 1])] * (2 * (FRAMES - 1))).view(-1, FRAMES - 1, 2)
    path = F.pad(moves.cumsum(dim=1), (0, 0, 1, 0))  # no move before the first frame
    tracks = (start[:, None, None] + path).flatten(0, 1)
    inside = ((tracks >= 0) & (tracks < rings.places)).flatten(1).all(dim=1)
    x = rings.render(tracks[inside][:, :, None].numpy())
    return torch.as_tensor(x), torch.as_tensor(rings.log_prob(x)).exp()


def entropy_of(part: torch.Tensor, p: torch.Tensor) -> float:
    """−Σ q log q of what is told by a part of each video: (n, …), float64 (n,) -> nats."""
    which = torch.unique(part.flatten(1), dim=0, return_inverse=True)[1]
    q = torch.zeros(len(p), dtype=p.dtype).index_add(0, which, p)
    return -torch.special.xlogy(q, q).sum().item()


x, p = every_video()
s, quarters = slices(x, S), [(i, j) for i in (0, 2) for j in (0, 2)]
upto = range(1, 17)  # slices 0 … k − 1
best = torch.tensor([entropy_of(s[:, :k], p) for k in upto])
best_fixed = torch.tensor([sum(entropy_of(s[:, :k, :, i : i + 2, j : j + 2], p) for i, j in quarters) for k in upto])
print(f"limit {limit:.2f} nats a video; with fixed blocks {best_fixed[-1]:.2f}, {best_fixed[-1] - limit:.2f} above it")

# %% [markdown]
# Now what was trained. The figure adds up the nats of the slices, in the order of the model, of the best that can be
# done and of the two networks; nearly everything is said in the first five slices. The table has nats *a frame* above
# the limit.

# %%
fresh = rings.sample(200, split="test")
truth = torch.as_tensor(rings.log_prob(fresh))
seen = torch.as_tensor(fresh).long()


@torch.no_grad()
def nats_of(model: nn.Module) -> torch.Tensor:
    """−log p of the first slices, added up: (n,), a mean over fresh videos."""
    each = [model.slice_log_prob(seen, torch.full((len(seen),), k)).mean() for k in range(model.n)]
    return -torch.stack(each).cumsum(dim=0)


of_changing, of_fixed = nats_of(changing), nats_of(fixed)
with torch.no_grad():
    of_frames = (torch.as_tensor(rings.log_conditionals(fresh)) - convlstm.log_conditionals(seen)).mean(dim=0)
table = {
    "fixed blocks, predicted": best_fixed[-1] - limit,
    "fixed blocks": of_fixed[-1] + truth.mean(),
    "blocks that change": of_changing[-1] + truth.mean(),
    "ConvLSTM and PixelCNN": of_frames.sum(),
}
for name, above in table.items():
    print(f"{name:24} {above / FRAMES:6.3f} nats a frame above the limit")
print(f"of the ConvLSTM {of_frames[0] / of_frames.sum():.0%} in the first frame")
lines = {
    "fixed blocks": of_fixed,
    "fixed blocks, predicted": best_fixed,
    "blocks that change": of_changing,
    "the limit": best,
}
plots.curves(torch.arange(1, 17), lines, "slices", "nats a video, added up")

# %% [markdown]
# Expected:
#
# ![nats added up over the slices: fixed blocks where it was predicted, blocks that change near the
# limit](figures/video_transformer_slicewise.png)
#
# Fixed blocks cannot get below what was predicted, however long they train; these steps end above it. Blocks that
# change cost as many operations, and have no such wall: what is left there is training. And the Video Pixel Network? In
# the same time it ends lower, about half as far above the limit: a convolution knows from the start that neighbours
# count, attention has to find it out. Nearly all that it still loses, it loses in the first frame, and training takes
# that away only with more layers: its PixelCNN sees five pixels far, and does not know whether the ring has been drawn
# already. The transformer can know: no layer more is needed for what is farther away, and it trains all frames at once,
# where a ConvLSTM goes from one to the next. That counts in the paper, whose videos are larger and whose networks have
# up to some hundred million weights.
#
# **Samples.** Is there one ring in each frame, and does it move as it may? `read` looks for it.

# %%
samples = drawn("video_transformer", lambda: changing.sample(24))
possible = torch.as_tensor(rings.log_prob(samples)).isfinite()
print(f"{possible.float().mean():.0%} of {len(samples)} sampled videos are possible, in all {16 * 16 * FRAMES} pixels")
plots.image_rows({f"sample {k + 1}": samples[k] for k in range(3)}, levels=2)

# %% [markdown]
# Expected:
#
# ![three samples of three frames: rings that move by one pixel; one falls apart in its last
# frame](figures/video_transformer_samples.png)
#
# ### Question E9
#
# The network with fixed blocks has as many layers, and as many weights. Why does more training not help it, and what,
# in words of information, is the number of nats that it loses? And blocks that change: look at the last of the four
# matrices above. Which pixels of the past are still not seen, why can no layer more of these shapes bring them, and why
# does that cost next to nothing here?

# %% [markdown]
# ### BEGIN SOLUTION
# Every operation of the network is at one place, or inside of a block, and the blocks are the same in all layers:
# nothing crosses. So it is a product of four models, one for each quarter, and no such product is better than that of
# the quarters' own distributions. What it loses is $\sum_b H(x_b) - H(x)$, the total correlation of the quarters: what
# they tell of each other (where the ring is, when it leaves one quarter and enters the next).
#
# Attention is masked in raster order, so a path from pixel $j$ to output $i$ has to go through places between the two,
# in their order. Between the last places of a frame and the first of the next there are few or none, and no block holds
# both: the upper row of a frame does not see what lies below and to the right in the frame just before. More layers of
# these shapes have no other paths. It costs little (0.01 nats at most, counted over all videos), since this is so in
# the own slice only: earlier slices are read without a mask, and there the whole video is seen.
#
# **Rubric.** *2 points:* that nothing crosses a block in any layer, so the loss is $\sum_b H(x_b) - H(x)$, **and** that
# a masked path needs places in between, or that the encoder sees what the decoder misses. *1 point:* one of them.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("video_transformer")
