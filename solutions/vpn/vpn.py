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
# # Video Pixel Networks: what comes next
#
# Nal Kalchbrenner, Aäron van den Oord, Karen Simonyan, Ivo Danihelka, Oriol Vinyals, Alex Graves and Koray Kavukcuoglu:
# *Video Pixel Networks*, 2016 ([arXiv:1610.00527](https://arxiv.org/abs/1610.00527)). The future is not one picture: a
# ball may bounce to the left or to the right. Who draws the mean of both draws a smear. The paper gives a video a
# probability, pixel by pixel, and so its frames are drawn *sharp*: one future or the other.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("vpn")` runs the very checks that grade you, as often as
# you like. Call it before a class is finished, too: what calls a method that is still missing says so and waits, all
# else is checked. The data have known probabilities, so losses are reported in *nats above the limit*, their entropy.

# %%
from deepul_utils import check, fit, plots, seed_everything, trained, training, videos

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise E6 · Video Pixel Networks: what comes next
#
# **Why.** A video is one variable more than a picture: time. Take the frames one after the other, and the pixels of a
# frame in raster order,
#
# $$\log p(x) = \sum_{t=1}^{T} \sum_{i} \log p\left(x_{t,i} \mid x_{t,<i},\; x_1, \dots, x_{t-1}\right) .$$
#
# One network could read all that, but most of it is read again and again. The paper divides the work:
#
# - an *encoder* reads each finished frame by itself, and keeps its size: $e_t = E(x_t)$;
# - a *convolutional LSTM* goes through the frames in time and keeps what is to be remembered, for each place:
#   $h_t, c_t = \text{LSTM}(e_t, h_{t-1}, c_{t-1})$;
# - a *decoder*, a PixelCNN, draws frame $t$ by what it has of this frame, and by the state $s_t = h_{t-1}$.
#
# The state holds frames *before* $t$, all of them and as a whole. Frame $t$ itself the decoder sees alone, in its
# order.
#
# *Further reading:* Shi et al., *Convolutional LSTM Network*, 2015
# ([arXiv:1506.04214](https://arxiv.org/abs/1506.04214)).
#
# **The data.** A ring moves by one pixel a frame, up or down and left or right. Along each axis it turns with
# probability 0.1 in each frame, and at a wall always. Two frames tell where it is and which way it goes; then a frame
# has $0.6$ nats, of a coin that is thrown for each axis. Of a frame whose past is not known, place and all has to be
# said: $2 \log 12 = 4.97$ nats.

# %%
bounce = videos.get("bounce1")
train_x, valid_x = (torch.as_tensor(bounce.sample(n, split=s)) for n, s in ((8000, "train"), (100, "validation")))
T, limit = bounce.length, bounce.entropy / bounce.length  # nats a frame
print(f"limit: {limit:.3f} nats a frame; without time {bounce.entropy_without_time / T:.3f}")
plots.image_rows({f"video {k + 1}": x for k, x in enumerate(train_x[:3])}, levels=2)

# %% [markdown]
# Videos are (B, T, 1, H, W). They come as bytes (`uint8`), to save memory; the methods of your model take them as
# `int64`, `x.long()`.
#
# ### Write
#
# **Frames as examples.** Encoder and decoder are networks of pictures. To them, $B$ videos of $T$ frames are one batch
# of $B T$ frames; `fold` makes this batch, `unfold` makes videos of it again. Whatever the dimensions behind: frames,
# codes, logits.


# %%
def fold(x: torch.Tensor) -> torch.Tensor:
    """Frame t of video b is number bT + t of the batch: (B, T, …) -> (BT, …)."""
    ### BEGIN SOLUTION
    return x.flatten(0, 1)
    ### END SOLUTION


def unfold(frames: torch.Tensor, T: int) -> torch.Tensor:
    """The inverse of `fold`: (BT, …) -> (B, T, …)."""
    ### BEGIN SOLUTION
    return frames.unflatten(0, (-1, T))
    ### END SOLUTION


# %% [markdown]
# **The convolutional LSTM** is an LSTM at every place, with one set of weights for all places, and each place looks at
# its neighbours, too: its matrices are convolutions. Of the frame's code $x$ and the state $h$, side by side as
# channels, *one* convolution makes four numbers for each channel and place, and these
#
# $$i, f, o = \sigma(\cdot), \quad g = \tanh(\cdot), \qquad c' = f \odot c + i \odot g, \qquad h' = o \odot \tanh c' .$$
#
# The memory $c$ is kept where $f$ is near one, whatever comes; $i$ says what is written into it, and $o$ what of it is
# shown.


# %%
class ConvLSTM(nn.Module):
    """i, f, o, g = W * [x, h];  c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g);  h' = σ(o) ⊙ tanh(c')."""

    def __init__(self, in_channels: int, channels: int, kernel: int = 3):
        super().__init__()
        ### BEGIN SOLUTION
        self.conv = nn.Conv2d(in_channels + channels, 4 * channels, kernel, padding=kernel // 2)
        ### END SOLUTION

    def forward(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """h', c': (B, in_channels, H, W), (B, channels, H, W) twice -> (B, channels, H, W) twice."""
        ### BEGIN SOLUTION
        i, f, o, g = self.conv(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
        ### END SOLUTION


# %% [markdown]
# **Given:** the masked convolution of Exercise 1.3, and a residual block, masked for the decoder and as it is for the
# encoder. (The paper's blocks multiply, with gates as in an LSTM; these are enough here.)


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
    """h + W_2 relu(W_1 * relu(h)), with a 3 × 3 convolution W_1, masked or not, and a 1 × 1 convolution W_2."""

    def __init__(self, width: int, masked: bool):
        super().__init__()
        self.W_1 = MaskedConv2d(width, width, 3, own=True) if masked else nn.Conv2d(width, width, 3, padding=1)
        self.W_2 = nn.Conv2d(width, width, 1)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return h + self.W_2(F.relu(self.W_1(F.relu(h))))


# %% [markdown]
# Write the rest. What a network reads of a frame is `seen(frame)`, which is given: its pixels on $[-1, 1]$, and a
# channel of ones, which tells them from what lies outside.
#
# - `encode(x)`: of each frame a convolution $5 \times 5$ and a residual block that is not masked.
# - `states(x)`: $s_t$ is the $h$ that the LSTM has after frame $t - 1$. Before the first frame $h$ and $c$ are zero, so
#   $s_1 = 0$. Without time (`time=False`) every state is zero: a model of single pictures.
# - `decode(frame, s)`: a masked $9 \times 9$ convolution of the frame, plus a $3 \times 3$ convolution of the state,
#   plus a bias for each channel and *place* (where the walls are); then `depth` masked residual blocks, relu, and a
#   $1 \times 1$ convolution, to a logit for each level.
# - `logits(x)`: of all frames. Only the LSTM has to go through the time, one frame after the other; all frames are
#   encoded at once, and decoded at once.
# - `go_on(x)`: some frames are given, the others are drawn: frame by frame, each pixel by pixel. The state is made once
#   a frame. Then `sample` is one line.
#
# <details>
# <summary>Hint for logits</summary>
#
# `decode` takes a batch of frames and as many states: `fold` both of them.
#
# </details>
#
# <details>
# <summary>Hint for go_on</summary>
#
# Begin with all $T$ frames, zeros where nothing is drawn yet. `states(x)[:, t]` does not look at frame $t$ nor at later
# ones, so it may be asked while they are zeros.
#
# </details>


# %%
class VPN(nn.Module):
    """log p(x) = Σ_t Σ_i log softmax(logits)[x_{t,i}] over frames t and their pixels i in raster order.

    shape: (T, 1, H, W). levels: of a pixel. width: channels. depth: residual blocks of the decoder. time: whether a
    frame is told of those before it.
    """

    def __init__(
        self, shape: tuple[int, int, int, int], levels: int, width: int = 16, depth: int = 2, time: bool = True
    ):
        super().__init__()
        self.shape, self.levels, self.width, self.time = shape, levels, width, time
        ### BEGIN SOLUTION
        _, _, H, W = shape
        self.encoder = nn.Sequential(nn.Conv2d(2, width, 5, padding=2), Residual(width, masked=False))
        self.lstm = ConvLSTM(width, width)
        self.told = nn.Conv2d(width, width, 3, padding=1)
        self.place = nn.Parameter(0.1 * torch.randn(width, H, W))
        self.first = MaskedConv2d(2, width, 9, own=False)
        self.blocks = nn.Sequential(*(Residual(width, masked=True) for _ in range(depth)))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))
        ### END SOLUTION

    def seen(self, frame: torch.Tensor) -> torch.Tensor:
        """Pixels on [−1, 1], and ones: int64 (n, 1, H, W) -> (n, 2, H, W)."""
        v = 2 * frame / (self.levels - 1) - 1
        return torch.cat([v, torch.ones_like(v)], dim=1)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """e_t of every frame, by itself: int64 (B, T, 1, H, W) -> (B, T, width, H, W)."""
        ### BEGIN SOLUTION
        return unfold(self.encoder(self.seen(fold(x))), x.shape[1])
        ### END SOLUTION

    def states(self, x: torch.Tensor) -> torch.Tensor:
        """s_t, of the frames before t, and s_1 = 0: int64 (B, T, 1, H, W) -> (B, T, width, H, W)."""
        ### BEGIN SOLUTION
        e = self.encode(x)
        h, c = torch.zeros_like(e[:, 0]), torch.zeros_like(e[:, 0])
        states = []
        for t in range(x.shape[1]):
            states.append(h)
            if self.time:
                h, c = self.lstm(e[:, t], h, c)
        return torch.stack(states, dim=1)
        ### END SOLUTION

    def decode(self, frame: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        """Logits of frames, given their states: int64 (n, 1, H, W), (n, width, H, W) -> (n, 1, H, W, levels)."""
        ### BEGIN SOLUTION
        h = self.first(self.seen(frame)) + self.told(s) + self.place
        return self.head(self.blocks(h)).movedim(1, -1)[:, None]
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p of every level, given all before: int64 (B, T, 1, H, W) -> (B, T, 1, H, W, levels)."""
        ### BEGIN SOLUTION
        return unfold(self.decode(fold(x), fold(self.states(x))), x.shape[1])
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats, summed over frames and pixels: int64 (B, T, 1, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def go_on(self, x: torch.Tensor) -> torch.Tensor:
        """Draws the frames after the first K, which are given: int64 (B, K, 1, H, W) -> (B, T, 1, H, W)."""
        ### BEGIN SOLUTION
        (B, K), (T, _, H, W) = x.shape[:2], self.shape
        x = torch.cat([x, x.new_zeros(B, T - K, 1, H, W)], dim=1)
        for t in range(K, T):
            s = self.states(x)[:, t]
            for i in range(H):
                for j in range(W):
                    p = self.decode(x[:, t], s)[:, 0, i, j].softmax(dim=-1)
                    x[:, t, 0, i, j] = torch.multinomial(p, 1)[:, 0]
        return x
        ### END SOLUTION

    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, T, 1, H, W)."""
        ### BEGIN SOLUTION
        _, _, H, W = self.shape
        return self.go_on(torch.zeros(n, 0, 1, H, W, dtype=torch.long))
        ### END SOLUTION


# %% [markdown]
# ### Look
#
# What the output at each pixel sees, of networks with random weights: three frames of $3 \times 3$ pixels, in the order
# of the model, and every input changed in turn. With time the frames before are seen as a whole; without, each frame
# sees itself only, three times the triangle of a PixelCNN.


# %%
@torch.no_grad()
def sees(model: VPN) -> torch.Tensor:
    """Whether output i moves with input j, in one of some videos: bool (dims, dims)."""
    dims = model.shape[0] * model.shape[2] * model.shape[3]
    x = torch.randint(2, (20, 1, dims))
    others = (x + torch.eye(dims, dtype=torch.long)) % 2  # (video, input, dims)
    before, now = (model.logits(v.reshape(-1, *model.shape)).reshape(20, -1, dims, 2) for v in (x, others))
    return ((now - before).abs().amax(dim=(0, 3)) > 1e-6).T


networks = {"with time": VPN((3, 1, 3, 3), levels=2), "without time": VPN((3, 1, 3, 3), levels=2, time=False)}
plots.masks([sees(model).float() for model in networks.values()], titles=list(networks))

# %% [markdown]
# Expected:
#
# ![what each pixel of three frames sees: all frames before and its own past; without time three triangles along the
# diagonal](figures/vpn_sees.png)
#
# ### Train
#
# With maximum likelihood; the loss is the mean of $-\log p(x) / T$, in nats a *frame*. `fit` is the loop of the
# homeworks, `fit(model, loss, x, optimizer=…, scheduler=…, valid=…, steps=…, batch_size=…)`; it returns the History,
# which your function returns, too.
#
# *The recipe:* Adam, 1,000 steps on batches of 8, a learning rate that rises to 0.005 and falls to zero again
# (`OneCycleLR`), width 16, two residual blocks: half a minute.


# %%
def train_vpn(model: nn.Module, steps: int = 1000):
    """Minimise −mean log p(x) / T over train_x with `fit`; returns the History."""
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return fit(
        model,
        lambda x: -model.log_prob(x.long()).mean() / T,
        train_x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps),
        valid=valid_x,
        steps=steps,
        batch_size=8,
        evaluations=8,
    )
    ### END SOLUTION


# %%
vpn = trained("vpn", VPN(bounce.shape, levels=2), fit=train_vpn, aim=training.reference("vpn"))
plots.history(training.history("vpn"), limit=limit, unit="nats a frame")

# %% [markdown]
# Expected:
#
# ![training and validation loss of a Video Pixel Network, near the limit at the end](figures/vpn_losses.png)
#
# And the same network without time, a PixelCNN of single frames, by the same recipe. It needs no encoder and no LSTM,
# so its steps take less than half the time; but it is at its end by then: with as much time, 1,800 steps, it was 0.01
# nats better.

# %%
still = trained("vpn.still", VPN(bounce.shape, levels=2, time=False), fit=train_vpn)

# %% [markdown]
# ### See
#
# **What the model was invented for.** Nats of each frame, given those before it, beside what is possible: the entropy
# of a frame whose past is known, and of one whose past is not.

# %%
fresh = bounce.sample(300, seed=1, split="test")
truth = torch.as_tensor(bounce.log_conditionals(fresh))  # of each frame


@torch.no_grad()
def of_frames(model: VPN, x) -> torch.Tensor:
    """log p of each frame given those before it: (B, T, 1, H, W) -> (B, T)."""
    x = torch.as_tensor(x).long()
    return model.logits(x).log_softmax(dim=-1).gather(-1, x[..., None]).flatten(2).sum(dim=2)


alone = torch.tensor([0.0] + [videos.get("bounce1", t).entropy_without_time for t in range(1, T + 1)])
exact = {"limit": bounce.entropies, "limit without time": alone.diff()}
above = {name: (truth - of_frames(m, fresh)).mean(dim=0) for name, m in (("VPN", vpn), ("without time", still))}
for name, nats in above.items():
    print(f"{name:12s} {limit + nats.mean():.3f} nats a frame, {nats.mean():.3f} above the limit")
print(f"and without time nobody does better than {alone[-1] / T:.3f}, {alone[-1] / T - limit:.3f} above the limit")
curves = exact | {name: torch.as_tensor(bounce.entropies) + nats for name, nats in above.items()}
plots.curves(range(1, T + 1), curves, xlabel="frame", ylabel="nats")

# %% [markdown]
# Expected:
#
# ![nats of each frame: with time they fall from five to near 0.6 in three frames, along the limit; without time they
# stay near five](figures/vpn_frames.png)
#
# The first frame costs either model the same, for there nothing is known. The second one costs a coin for each axis,
# $2 \log 2 = 1.39$ nats, less at the walls. From the third on the state knows the direction, too.
#
# **The probability of a bounce.** The frame after is one of four, so the model can be asked for the probability of
# each: of a turn along either axis, by how far the ring is from the wall that it moves to. The true one is 0.1, and at
# a wall it is 1. What the four do not have together, the model gives to pictures that cannot come.

# %%
t = 5  # frames before it are known
tracks = bounce.tracks(300, seed=2, split="test")  # (n, T, 1, 2): where the ring is
at, step = tracks[:, t - 1, 0], tracks[:, t - 1, 0] - tracks[:, t - 2, 0]
p, turned = 0.0, torch.zeros(300, 2)
for turn in ((1, 1), (1, -1), (-1, 1), (-1, -1)):  # −1 along an axis where it turns
    after = at + step * turn
    tracks[:, t, 0] = after.clip(0, bounce.places - 1)
    can = torch.as_tensor((tracks[:, t, 0] == after).all(axis=1))
    chance = can * of_frames(vpn, bounce.render(tracks))[:, t].exp()
    p, turned = p + chance, turned + chance[:, None] * (torch.tensor(turn) < 0)
print(f"pictures that cannot come have {1 - p.mean():.2%} of the probability")
steps = torch.as_tensor(at * (step < 0) + (bounce.places - 1 - at) * (step > 0))  # that are left before the wall
asked = range(bounce.places - 1)
by_model = [float(turned[steps == k].mean()) for k in asked]
print("at a wall it turns with", f"{by_model[0]:.4f}, else with {turned[steps > 0].mean():.4f}; true are 1 and 0.1")
plots.curves(asked, {"true": [1.0] + [0.1] * (len(asked) - 1), "VPN": by_model}, "steps to the wall", "p(turn)")

# %% [markdown]
# Expected:
#
# ![the probability of a turn against the steps that are left before the wall: of the model 0.85 at the wall and a
# little above 0.1 elsewhere; the true ones are one and 0.1](figures/vpn_turns.png)
#
# In the open the model knows its coin within two or three hundredths. At the wall it is not yet sure: in one video of
# seven it would go on into the wall. That is nearly all of what it gives to pictures that cannot come, for a wall is
# met in one frame of six only.
#
# **What comes next.** Two frames of a fresh video are given, and the rest is drawn: three futures, and that of the
# model without time. Each future is sharp.

# %%
given = torch.as_tensor(fresh[4:5, :2]).long()
seed_everything(1)
futures = vpn.go_on(given.expand(3, -1, -1, -1, -1))
rows = {"data": fresh[4]} | {f"future {k + 1}": x for k, x in enumerate(futures)}
plots.image_rows(rows | {"without time": still.go_on(given)[0]}, levels=2)

# %% [markdown]
# Expected:
#
# ![a video of the data, three futures of its first two frames in which the ring goes on and turns in its own way, and
# one without time, where it jumps](figures/vpn_futures.png)
#
# ### Question E6
#
# The paper compares with a model that has the same encoders and the same LSTM, and no masked decoder: it draws all
# pixels of a frame at once, independent of each other, $p(x_t) = \prod_i p(x_{t,i} \mid x_1, \dots, x_{t-1})$. Say a
# ring is in the middle and its way is known. What do samples of the best such model look like? A pixel of the ring is
# lit with the probability of the positions that light it: how large is this model's loss at least, above the limit of
# $0.65$ nats? What does it do better?

# %% [markdown]
# ### BEGIN SOLUTION
# Each pixel is drawn by its own marginal. The four positions have the probabilities $0.81, 0.09, 0.09, 0.01$, so pixels
# that only the likeliest lights are lit with 0.81, others with 0.9, 0.1 or 0.09: a ring with holes and specks around
# it, parts of several rings, which is a picture that never comes. All of one ring comes in 1.6 % of the samples only.
# The mean of such a model is right, and it is what a squared error would draw: a smear.
#
# The loss is at least the sum of the entropies of the pixels' marginals, $\sum_i H(x_{t,i}) \approx 12.1$ nats: 11.4
# above the limit. What is lost is the mutual information of the pixels: one of them tells all the others.
#
# What it does better: a frame takes one pass, not 256, one for each pixel.
#
# **Rubric.** *2 points:* samples mix pixels of several positions, **and** the loss is the sum of the pixels' entropies,
# many nats above the limit (by the number or by its order). *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("vpn")
