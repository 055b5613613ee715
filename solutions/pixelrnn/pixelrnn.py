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
# # PixelRNN: a memory that goes through the picture
#
# Aäron van den Oord, Nal Kalchbrenner and Koray Kavukcuoglu: *Pixel Recurrent Neural Networks*, 2016
# ([arXiv:1601.06759](https://arxiv.org/abs/1601.06759)). The paper has three networks. The PixelCNN became famous,
# since it is fast. The other two have a memory, an LSTM in two dimensions: it goes down row by row (*Row LSTM*), or
# along the diagonals (*Diagonal BiLSTM*), which was the best of the three.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("pixelrnn")` runs the very checks that grade you, as often
# as you like. Call it before a class is finished, too: what calls a method that is still missing says so and waits, all
# else is checked. The data have known probabilities, so losses are reported in *nats above the limit*, their entropy.

# %%
import math
import time

from deepul_utils import check, drawn, fit, plots, seed_everything, tensors, trained, training
from deepul_utils.pictures.echoes import Echoes

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise E2 · PixelRNN: a memory that goes through the picture
#
# **Why.** Pixel $i$ is given by those before it, in raster order,
#
# $$\log p(x) = \sum_{i} \log p\left(x_i \mid x_1, \dots, x_{i-1}\right) .$$
#
# A convolution sees as far as its kernel reaches, and what is farther takes more layers. A *recurrent* layer sees as
# far as its memory goes: one layer may see the whole past. In each step an LSTM makes four gates of its input and of
# its last state $h$, and writes into its cell $c$,
#
# $$(o, f, i, g) = K^{is} * x + K^{ss} * h, \qquad c' = \sigma(f) \odot c + \sigma(i) \odot \tanh(g), \qquad
#   h' = \sigma(o) \odot \tanh(c') .$$
#
# $K^{is} * x$, *input to state*, needs no memory: it is one convolution of the whole picture. Only $K^{ss} * h$, *state
# to state*, has to wait for the step before. So the fewer steps, the faster: a step is a whole row, or a whole
# diagonal, and never a single pixel.
#
# *Further reading:* Theis and Bethge, *Generative Image Modeling Using Spatial LSTMs*, 2015
# ([arXiv:1506.03478](https://arxiv.org/abs/1506.03478)).
#
# **The data.** Coins, and two rules: *the last pixel of each row is its first one, and the last row is the first row.*
# So the other 49 pixels are all that is in a picture, $49 \log 2 = 33.96$ nats, and the 15 of the last row and column
# are echoes, $15 \log 2 = 10.40$ nats for whoever cannot look back so far. What lies near tells nothing at all.

# %%
echoes = Echoes()
train_x, valid_x = (torch.as_tensor(echoes.sample(n, split=s)) for n, s in ((20_000, "train"), (300, "validation")))
limit = echoes.entropy
plots.images(train_x[:28], levels=2, title=f"limit {limit:.2f} nats; {echoes.repeated:.2f} more without the echoes")

# %% [markdown]
# They come as bytes (`uint8`), to save memory; the methods of your model take them as `int64`, `x.long()`.
#
# ### Write
#
# **A step** of an LSTM is given.


# %%
def lstm_step(gates: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """h' = σ(o) ⊙ tanh(c'), c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g): gates (B, 4w, n), c (B, w, n) -> (B, w, n) twice."""
    o, f, i, g = gates.chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


# %% [markdown]
# **What it begins with** is given, too. A cell can keep a pixel for as many steps as its forget gate is open; but in
# the Diagonal LSTM below the cells go along the rows. From a row to the next there is only $h$, which passes three
# gates each time. With gates that are half open nothing of a pixel is left after seven rows, and so nothing is learned
# from it. `begin` fills the first weights: half of the cells forget, are open, and start from what the state *above*
# says; the other half remember. Both LSTMs call it once, when their two convolutions are made.


# %%
@torch.no_grad()
def begin(input_to_state: nn.Conv2d, state_to_state: nn.Conv1d, above: int) -> None:
    """Half of the cells pass on what the state above says, and half remember. above: its place in the kernel."""
    n = state_to_state.in_channels // 2
    o, f, i, _ = input_to_state.bias.chunk(4)
    o[:n] += 2
    i[:n] += 2
    f[:n] -= 2
    f[n:] += 2
    g = state_to_state.weight.chunk(4)[3]
    g[:n, :n, above] += 1.5 * torch.eye(n)


# %% [markdown]
# **The Row LSTM** goes down. Both convolutions are along the row, with $k$ pixels ($k$ is odd). State to state takes
# the states of the row *above*: they are complete, so nothing is masked, and the kernel is centred. Input to state
# takes the features of the row *itself*: of pixels to the right nothing may be known, so the right half of its kernel
# is masked. (The features that come in have seen the strict past only: that of the pixel itself may be taken.) The
# states above the first row are zero.
#
# <details>
# <summary>Hint: a mask without a mask</summary>
#
# A kernel of $k$ pixels whose right half is zero is a kernel of $k // 2 + 1$ pixels, with $k // 2$ zeros put to the
# left of the row. The states need $k // 2$ zeros on either side.
#
# </details>


# %%
class RowLSTM(nn.Module):
    """The state of row i is computed from that of row i − 1: (B, in_channels, H, W) -> (B, width, H, W)."""

    def __init__(self, in_channels: int, width: int, k: int = 3):
        super().__init__()
        self.width, self.k = width, k
        ### BEGIN SOLUTION
        self.input_to_state = nn.Conv2d(in_channels, 4 * width, (1, k // 2 + 1))
        self.state_to_state = nn.Conv1d(width, 4 * width, k, padding=k // 2, bias=False)
        begin(self.input_to_state, self.state_to_state, above=k // 2)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """h of every pixel."""
        ### BEGIN SOLUTION
        of_x = self.input_to_state(F.pad(x, (self.k // 2, 0)))
        h = c = x.new_zeros(len(x), self.width, x.shape[3])
        states = []
        for row in of_x.unbind(dim=2):
            h, c = lstm_step(row + self.state_to_state(h), c)
            states.append(h)
        return torch.stack(states, dim=2)
        ### END SOLUTION


# %% [markdown]
# **Skewed.** What lies on a diagonal can be computed at once, if every pixel asks its left neighbour and the one above.
# Row $i$ is moved $i$ places to the right, so that diagonals become columns, and zeros fill what is free:
#
# $$\text{skew}(x)_{i,\, i + j} = x_{i, j}, \qquad \text{unskew}(\text{skew}(x)) = x .$$


# %%
def skew(x: torch.Tensor) -> torch.Tensor:
    """Row i is moved i places to the right, between zeros: (B, C, H, W) -> (B, C, H, H + W − 1)."""
    ### BEGIN SOLUTION
    H, W = x.shape[2:]
    return F.pad(x, (0, H)).flatten(2)[..., :-H].unflatten(2, (H, H + W - 1))  # a row of W + H, read as one shorter
    ### END SOLUTION


def unskew(x: torch.Tensor) -> torch.Tensor:
    """Row i is moved back again, and what was filled is left out: (B, C, H, H + W − 1) -> (B, C, H, W)."""
    ### BEGIN SOLUTION
    H, W = x.shape[2], x.shape[3] - x.shape[2] + 1
    return F.pad(x.flatten(2), (0, H)).unflatten(2, (H, W + H))[..., :W]
    ### END SOLUTION


# %% [markdown]
# **The Diagonal LSTM** goes through the columns of the skewed picture. Input to state is a $1 \times 1$ convolution.
# State to state is a convolution along the column before, with a kernel of two: in row $i$ it takes the states of rows
# $i$ (the left neighbour) and $i - 1$ (the one above).
#
# The cell $c$ comes from the left neighbour, in the same row of the skewed picture. In the end the states are unskewed.


# %%
class DiagonalLSTM(nn.Module):
    """The state of a pixel is computed from those to its left and above: (B, in_channels, H, W) -> (B, width, H, W)."""

    def __init__(self, in_channels: int, width: int):
        super().__init__()
        self.width = width
        ### BEGIN SOLUTION
        self.input_to_state = nn.Conv2d(in_channels, 4 * width, 1)
        self.state_to_state = nn.Conv1d(width, 4 * width, 2, bias=False)
        begin(self.input_to_state, self.state_to_state, above=0)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """h of every pixel."""
        ### BEGIN SOLUTION
        of_x = skew(self.input_to_state(x))
        h = c = x.new_zeros(len(x), self.width, x.shape[2])
        states = []
        for column in of_x.unbind(dim=3):
            h, c = lstm_step(column + self.state_to_state(F.pad(h, (1, 0))), c)  # rows i − 1 and i
            states.append(h)
        return unskew(torch.stack(states, dim=3))
        ### END SOLUTION


# %% [markdown]
# **In two directions.** Such a state knows what lies above *and to the left*. Above and to the right is the past, too.
# So a second LSTM goes through the picture turned from left to right (`flip`). Its state at a pixel knows the rows
# above from that column on, but also the *own* row to the right, which is the future. So its states are shifted one row
# down, zeros come in at the top, and the two are added.


# %%
def shift_down(h: torch.Tensor) -> torch.Tensor:
    """Row i gets what row i − 1 had, and the first row zeros: (B, C, H, W) -> (B, C, H, W)."""
    ### BEGIN SOLUTION
    return F.pad(h, (0, 0, 1, 0))[:, :, :-1]
    ### END SOLUTION


class DiagonalBiLSTM(nn.Module):
    """One LSTM from the left, and one from the right, shifted down: (B, in_channels, H, W) -> (B, width, H, W)."""

    def __init__(self, in_channels: int, width: int):
        super().__init__()
        self.from_left, self.from_right = DiagonalLSTM(in_channels, width), DiagonalLSTM(in_channels, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """h of every pixel."""
        ### BEGIN SOLUTION
        from_right = self.from_right(x.flip(3)).flip(3)
        return self.from_left(x) + shift_down(from_right)
        ### END SOLUTION


# %% [markdown]
# **The network.** Two parts are given. `StrictPast` is the paper's first convolution, with mask A: features of the
# pixel to the left and of the three above. (The paper's has $7 \times 7$ pixels, this one $3 \times 3$.) `places` tells
# a pixel its row and its column. The paper has no such thing; with it a small network learns sooner what to keep for
# where.
#
# Then, `layers` times, $h \leftarrow h + U\, \text{lstm}(h, \text{places})$, with a $1 \times 1$ convolution $U$: the
# LSTM's input are the channels of $h$ and of the places, one after the other. At the end ReLU, a $1 \times 1$
# convolution to $2w$ channels, ReLU, and one to a logit for each level.
#
# *A column more.* Features are of the strict past, so what a pixel is stands in those of its right neighbour. The last
# pixel of a row has none: the second direction would not know it, and it is a blind spot of the row below. So one
# column of zeros is put to the right of the picture (the places have one column more, too), and left out again before
# the head.
#
# The `kind` is `"row"` or `"diagonal"`. Pixels are levels, put
# onto $[-1, 1]$ with $2x / (L - 1) - 1$.


# %%
class StrictPast(nn.Module):
    """Features of the pixel to the left and of the three above: (B, 1, H, W) -> (B, width, H, W)."""

    def __init__(self, width: int):
        super().__init__()
        self.above, self.left = nn.Conv2d(2, width, (1, 3)), nn.Conv2d(2, width, 1)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        v = torch.cat([v, torch.ones_like(v)], dim=1)  # the second channel tells pixels from what lies outside
        above, left = F.pad(v, (1, 1, 1, 0))[:, :, :-1], F.pad(v, (1, 0))[..., :-1]  # shifted by one
        return self.above(above) + self.left(left)


def places(H: int, W: int) -> torch.Tensor:
    """A channel for each row and each column, which is 2 there and 0 elsewhere: (H + W, H, W)."""
    row, column = torch.eye(H)[:, :, None].expand(H, H, W), torch.eye(W)[:, None].expand(W, H, W)
    return 2 * torch.cat([row, column])


# %%
class PixelRNN(nn.Module):
    """log p(x) = Σ_i log softmax(logits_i)[x_i] over the pixels i.

    shape: (1, H, W). levels: of a pixel. width: channels. layers: of LSTMs. kind: "diagonal" or "row".
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, width: int = 24, layers: int = 1, kind="diagonal"):
        super().__init__()
        self.shape, self.levels = shape, levels
        ### BEGIN SOLUTION
        _, H, W = shape
        self.register_buffer("places", places(H, W + 1))
        self.first = StrictPast(width)
        make = {"diagonal": DiagonalBiLSTM, "row": RowLSTM}[kind]
        self.layers = nn.ModuleList(make(width + H + W + 1, width) for _ in range(layers))
        self.U = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(layers))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, levels, 1))
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p(x_i | x_1 … x_{i−1}) of every level: int64 (B, 1, H, W) -> (B, 1, H, W, levels)."""
        ### BEGIN SOLUTION
        v = F.pad(2 * x / (self.levels - 1) - 1, (0, 1))  # levels onto [−1, 1], and a column more
        h = self.first(v)
        at = self.places[:, : x.shape[2]].expand(len(x), -1, -1, -1)
        for lstm, U in zip(self.layers, self.U, strict=True):
            h = h + U(lstm(torch.cat([h, at], dim=1)))
        return self.head(h[..., :-1]).movedim(1, -1)[:, None]
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
# **What it is compared with** is the paper's PixelCNN: the same first convolution, and residual layers of masked
# $3 \times 3$ convolutions. It is given.


# %%
class MaskedConv2d(nn.Conv2d):
    """3 × 3, with mask B: what is above, and in the own row what is to the left, and the pixel itself."""

    def __init__(self, width: int):
        super().__init__(width, width, 3, padding=1)
        mask = torch.ones(3, 3)
        mask[1, 2], mask[2] = 0, 0
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=1)


class PixelCNN(nn.Module):
    """It sees depth + 1 rows up, and to the right one pixel a row: there is a blind spot."""

    def __init__(self, shape: tuple[int, int, int], levels: int, width: int = 16, depth: int = 4):
        super().__init__()
        _, H, W = shape
        self.levels = levels
        self.register_buffer("places", places(H, W))
        self.first, self.where = StrictPast(width), nn.Conv2d(H + W, width, 1)
        self.layers = nn.ModuleList(nn.Sequential(nn.ReLU(), MaskedConv2d(width)) for _ in range(depth))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, levels, 1))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(2 * x / (self.levels - 1) - 1) + self.where(self.places[None])
        for layer in self.layers:
            h = h + layer(h)
        return self.head(h).movedim(1, -1)[:, None]

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)


# %% [markdown]
# ### Look
#
# What the output at one pixel of a larger picture sees, of networks with random weights.

# %%
large, at = (1, 9, 9), (5, 4)
untrained = {
    "Diagonal BiLSTM, one layer": PixelRNN(large, levels=2),
    "Row LSTM, one layer": PixelRNN(large, levels=2, kind="row"),
    "PixelCNN, two layers": PixelCNN(large, levels=2, depth=2),
}
with torch.no_grad():
    fields = {name: tensors.receptive_field(model.logits, large, at=at) for name, model in untrained.items()}
plots.receptive_field({name: (moved > 0).double() for name, moved in fields.items()}, centre=at)

# %% [markdown]
# Expected:
#
# ![what one output sees: all that lies before it, a triangle, and a part of a triangle](figures/pixelrnn_sees.png)
#
# A kernel of three lets the Row LSTM see a pixel more on either side with each row up.
#
# ### Train
#
# With maximum likelihood; the loss is the mean of $-\log p(x)$, in nats a picture. `fit` is the loop of the homeworks,
# `fit(model, loss, x, optimizer=…, scheduler=…, valid=…, steps=…, batch_size=…)`; it returns the History, which your
# function returns, too.
#
# *The recipe:* Adam, 300 steps on batches of 32, a learning rate that rises to 0.01 and falls to zero again
# (`OneCycleLR`), width 24, one layer, and `begin` to begin with: ten seconds.


# %%
def train_pixelrnn(model: nn.Module, steps: int = 300):
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
pixelrnn = trained("pixelrnn", PixelRNN(echoes.shape, levels=2), fit=train_pixelrnn, aim=training.reference("pixelrnn"))
plots.history(training.history("pixelrnn"), limit=limit, unit="nats a picture")

# %% [markdown]
# Expected:
#
# ![training and validation loss of the Diagonal BiLSTM: far above the limit at first, and near it after a hundred
# steps](figures/pixelrnn_losses.png)
#
# And the other two for about as long: their steps are shorter, so they get more of them.


# %%
def train_rows(model: nn.Module):
    return train_pixelrnn(model, steps=900)


def train_cnn(model: nn.Module):
    return train_pixelrnn(model, steps=1800)


by_rows = trained("pixelrnn.row", PixelRNN(echoes.shape, levels=2, kind="row"), fit=train_rows)
cnn = trained("pixelrnn.cnn", PixelCNN(echoes.shape, levels=2), fit=train_cnn)

# %% [markdown]
# ### See
#
# **What the model was invented for.** First what theory says: an echo whose pixel before lies outside the receptive
# field is a coin, and costs $\log 2$, however long a network trains. Then what was trained: a mean of
# $\log p(x_i \mid \dots) - \log q(x_i \mid \dots)$ over fresh pictures, with the true probability $p$. A *step* is what
# has to wait for the one before it, in one layer, when all pixels are known.

# %%
fresh = echoes.sample(500, split="test")
truth = torch.as_tensor(echoes.log_conditionals(fresh))
H, W = echoes.shape[1:]


def unseen(model: nn.Module) -> int:
    """Echoes of which the output sees no pixel that they repeat."""
    count = 0
    for i, j in [(i, j) for i in range(H) for j in range(W) if echoes.partners(i, j)]:
        field = tensors.receptive_field(model.logits, echoes.shape, at=(i, j))
        count += not any(field[at] > 0 for at in echoes.partners(i, j))
    return count


@torch.no_grad()
def lost(model: nn.Module) -> torch.Tensor:
    """Nats above the limit at every pixel: (1, H, W)."""
    x = torch.as_tensor(fresh).long()
    log_q = F.log_softmax(model.logits(x), dim=-1).gather(-1, x[..., None])[..., 0]
    return (truth - log_q).mean(dim=0)


@torch.no_grad()
def milliseconds(model: nn.Module, times: int = 5) -> float:
    """Of one pass over 32 pictures."""
    x, start = torch.as_tensor(fresh[:32]).long(), time.perf_counter()
    for _ in range(times):
        model.log_prob(x)
    return 1000 * (time.perf_counter() - start) / times


# %%
networks = {"Diagonal BiLSTM": pixelrnn, "Row LSTM": by_rows, "PixelCNN": cnn}
steps = {"Diagonal BiLSTM": 2 * (H + W - 1), "Row LSTM": H, "PixelCNN": 1}
maps = {name: lost(model) for name, model in networks.items()}
for name, model in networks.items():
    coins = unseen(model)
    print(
        f"{name:15} {coins:2} echoes unseen, {coins * math.log(2):5.2f} nats; lost {maps[name].sum():5.2f} nats; "
        f"steps {steps[name]:2}, {milliseconds(model):4.1f} ms a pass"
    )
plots.masks([nats[0] for nats in maps.values()], list(maps), label="nats above the limit")

# %% [markdown]
# Expected:
#
# ![what the networks lose at each pixel: the diagonal one nothing, that of rows the last column, PixelCNN the last row,
# too](figures/pixelrnn_lost.png)
#
# The Row LSTM sees two pixels to the left in its own row, so it guesses the last pixel of seven rows; all of the last
# row stands in its triangle. PixelCNN sees five pixels far, to the left and above: it guesses all fifteen. Two more
# layers would let it see seven, and at $32 \times 32$ pixels it would take thirty.
#
# Whether a network *learns* what it sees is another matter. Without `begin` the diagonal one is $7 \log 2 = 4.85$ nats
# above the limit after the same training: it sees the first row, and guesses the last one, but for its last pixel.
#
# Of the two directions of the diagonal network each takes $H + W - 1$ steps; both could be done at the same time. For
# *drawing* all three are as slow: every pixel waits for the one before it, $H W$ passes a picture.
#
# **Samples.** Read any row from its first pixel to its last.

# %%
samples = drawn("pixelrnn", lambda: pixelrnn.sample(56))
right = torch.as_tensor([math.isfinite(log_p) for log_p in echoes.log_prob(samples)]).double().mean()
print(f"{right:.0%} of {len(samples)} samples have all echoes right; by chance one in {2**15:,} would")
plots.images(samples[:28], levels=2)

# %% [markdown]
# Expected:
#
# ![28 samples of the Diagonal BiLSTM: noise, whose last row is the first and whose last column is the
# first](figures/pixelrnn_samples.png)
#
# ### Question E2
#
# Why can a Row LSTM of one layer not know the last pixel of its own row, though it knows all of the last row? How many
# layers would it take? And why is the second direction of the diagonal network shifted one row down: what would the
# loss do in training, and what would the samples look like, without the shift?

# %% [markdown]
# ### BEGIN SOLUTION
# States come from the row above. Of its own row an output sees what input to state brings, one pixel to the left, and
# the first convolution one more: two, where the first pixel of the row is seven away. No way round leads over the rows
# above, for they are drawn before it. The last row is the first one, seven rows up in the same columns: inside the
# triangle, and the cells go down. Each layer more reads states that have seen one pixel farther to the left, so six
# layers see seven.
#
# Without the shift the state knows the own row to the right, and in it the pixel itself, by way of its right
# neighbours' features. The loss would fall far below the entropy, towards zero, which no honest model can. When a
# sample is drawn these pixels are not there yet; the network reads the zeros that stand in their place, and the samples
# are worthless.
#
# **Rubric.** *2 points:* that the own row is seen as far as the kernels reach, with the six layers, **and** that the
# loss falls below the limit while samples are worthless. *1 point:* one of them.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("pixelrnn")
