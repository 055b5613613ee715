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
# # WaveNet: dilated convolutions that see far
#
# Aäron van den Oord, Sander Dieleman, Heiga Zen, Karen Simonyan, Oriol Vinyals, Alex Graves, Nal Kalchbrenner, Andrew
# Senior and Koray Kavukcuoglu: *WaveNet: A Generative Model for Raw Audio*, 2016
# ([arXiv:1609.03499](https://arxiv.org/abs/1609.03499)). The paper gave computers a voice, one sample of sound after
# the other, 16,000 a second. A second of sound is longer than any picture of homework 1 is large: the question is how
# to see far back, and at what price.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("wavenet")` runs the very checks that grade you, as often
# as you like. Call it before a class is finished, too: what calls a method that is still missing says so and waits, all
# else is checked. The data have known probabilities, so losses are reported in *nats above the limit*, their entropy.

# %%
import time

from deepul_utils import check, fit, plots, seed_everything, signals, trained, training

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise E5 · WaveNet: dilated convolutions that see far
#
# **Why.** A signal is modelled as pixels were, each value given all that came before,
#
# $$\log p(x) = \sum_{t=1}^{T} \log p\left(x_t \mid x_1, \dots, x_{t-1}\right), \qquad x_t \in \{0, \dots, 255\},$$
#
# with a softmax over all 256 levels: no shape of the conditional is taken for granted. The network is a stack of
# *causal* convolutions: in one dimension no mask is needed, zeros on the left do it. A kernel of $k = 2$ sees one
# value further back, so a stack of $n$ such layers sees $n + 1$. But where the positions of the kernel lie $d$ apart,
#
# $$(W * x)_t = W_0\, x_{t-(k-1)d} + \dots + W_{k-2}\, x_{t-d} + W_{k-1}\, x_t , \qquad
#   \text{receptive field} = 1 + \sum_{\text{layers}} d\,(k-1) ,$$
#
# and with dilations $1, 2, 4, 8, 16$ five layers see 32 values, at the price of five. Twice as far costs *one layer*
# more. That is the idea of the paper, and here you will measure what it is worth.
#
# *Further reading:* Le Paine et al., *Fast Wavenet Generation Algorithm*, 2016
# ([arXiv:1611.09482](https://arxiv.org/abs/1611.09482)), whose sampler you will write, too.
#
# **The data.** Noise that rings at one pitch, and its echo 24 values later: whoever does not see so far back cannot
# know what is due. Its conditionals are Gaussians in 256 levels, so its entropy is exact.

# %%
echo = signals.get("echo")
train_x, valid_x = (torch.as_tensor(echo.sample(n, split=s)) for n, s in ((20_000, "train"), (300, "validation")))
limit = echo.entropy / echo.length  # nats a value
plots.signals({f"echo · limit {limit:.3f} nats a value": train_x[:4]})

# %% [markdown]
# They come as bytes (`uint8`), to save memory; the methods of your model take them as `int64`, `x.long()`.
#
# ### Write
#
# **μ-law.** Sound is mostly quiet, and an ear hears differences of loudness in proportion. So the 256 levels are not
# spread evenly over $[-1, 1]$: they are even in
#
# $$f(x) = \mathrm{sign}(x)\, \frac{\log(1 + \mu\, \lvert x\rvert)}{\log(1 + \mu)}, \qquad \mu = \text{levels} - 1 .$$
#
# $f$ goes from $-1$ to $1$, too. Cut $[-1, 1]$ into as many equal parts as there are levels; the way back takes the
# middle of a part, and inverts $f$.


# %%
def mu_law(x: torch.Tensor, levels: int = 256) -> torch.Tensor:
    """The level of x in [−1, 1], where levels are even in f: float (…) -> int64 (…), 0 … levels − 1."""
    ### BEGIN SOLUTION
    mu = torch.tensor(levels - 1.0)
    f = x.sign() * torch.log1p(mu * x.abs()) / torch.log1p(mu)
    return ((f + 1) / 2 * levels).floor().long().clamp(0, levels - 1)
    ### END SOLUTION


def mu_law_inverse(level: torch.Tensor, levels: int = 256) -> torch.Tensor:
    """x in the middle of a level: int64 (…) -> float (…)."""
    ### BEGIN SOLUTION
    mu = levels - 1.0
    f = 2 * (level + 0.5) / levels - 1  # the middle of each part
    return f.sign() * ((1 + mu) ** f.abs() - 1) / mu
    ### END SOLUTION


# %% [markdown]
# What is it good for? Tones from loud to quiet, in 256 levels of either kind, and how far the noise that the levels add
# lies below the signal. Even levels lose the quiet ones.

# %%
waves = torch.as_tensor(signals.get("tones").waves(1000))
loudness = waves.abs().amax(dim=1)
for low, high in ((0.5, 1.0), (0.2, 0.5), (0.05, 0.2), (0.0, 0.05)):
    x = waves[(loudness > low) & (loudness <= high)]
    even = 2 * (((x + 1) * 128).floor().clamp(0, 255) + 0.5) / 256 - 1
    noise = [10 * torch.log10(x.square().mean() / (x - y).square().mean()) for y in (even, mu_law_inverse(mu_law(x)))]
    print(
        f"peaks up to {high:4.2f}: signal to noise {noise[0]:4.1f} dB with even levels, {noise[1]:4.1f} dB with μ-law"
    )

# %% [markdown]
# **The causal convolution.** `forward` is for training: all values of a signal are known, and all outputs are computed
# at once. `step` is for drawing, when values come one by one: it is given $x_t$ and *what it needs of the past*, the
# $(k-1)\,d$ inputs before it, and hands on what the next step needs.


# %%
class CausalConv1d(nn.Conv1d):
    """y_t = Σ_{j<k} W_j x_{t−(k−1−j)d} + b: an output sees its own input and those before it, d apart."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation)
        self.kept = (kernel_size - 1) * dilation  # inputs before t that reach the output at t

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, T) -> (B, out_channels, T)."""
        ### BEGIN SOLUTION
        return F.conv1d(F.pad(x, (self.kept, 0)), self.weight, self.bias, dilation=self.dilation)
        ### END SOLUTION

    def step(self, x: torch.Tensor, past: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The output at t, and the past of t + 1: (B, in), (B, in, kept), oldest first -> (B, out), (B, in, kept)."""
        ### BEGIN SOLUTION
        seen = torch.cat([past, x[..., None]], dim=-1)  # (B, in, kept + 1)
        read = seen[..., :: self.dilation[0]].flatten(1)  # (B, in · k): one matrix is quicker than a convolution
        return F.linear(read, self.weight.flatten(1), self.bias), seen[..., 1:]
        ### END SOLUTION


# %% [markdown]
# **The block** has the gate of Exercise 1.4. Its convolution makes $2w$ channels of $w$; half of them say what, the
# other half how much. What comes through goes two ways, each by a $1 \times 1$ convolution: added to the input, for the
# next block, and out to a sum over all blocks, from which the logits are made (paper, Figure 4),
#
# $$z = \tanh(W_f * x) \odot \sigma(W_g * x), \qquad x' = x + W_r z, \qquad \text{skip} = W_s z .$$


# %%
class GatedBlock(nn.Module):
    """z = tanh(W_f * x) ⊙ σ(W_g * x);  x' = x + W_r z;  skip = W_s z."""

    def __init__(self, width: int, kernel: int, dilation: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.conv = CausalConv1d(width, 2 * width, kernel, dilation)
        self.out = nn.Conv1d(width, 2 * width, 1)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x', skip: (B, width, T) -> (B, width, T) twice."""
        ### BEGIN SOLUTION
        new, skip = self.out(gate(self.conv(x))).chunk(2, dim=1)
        return x + new, skip
        ### END SOLUTION

    def step(self, x: torch.Tensor, past: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """x', skip and the next past, at one t: (B, width), (B, width, kept) -> (B, width) twice, (B, width, kept)."""
        ### BEGIN SOLUTION
        wide, past = self.conv.step(x, past)
        new, skip = F.linear(gate(wide), self.out.weight[..., 0], self.out.bias).chunk(2, dim=1)
        return x + new, skip, past
        ### END SOLUTION


def gate(x: torch.Tensor) -> torch.Tensor:
    """tanh(a) ⊙ σ(b) of the two halves a, b of the channels: (B, 2 · width, …) -> (B, width, …)."""
    ### BEGIN SOLUTION
    a, b = x.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)
    ### END SOLUTION


# %% [markdown]
# **The network.** Levels enter as numbers, put onto $[-1, 1]$ with $2x / (L - 1) - 1$, through a $1 \times 1$
# convolution. Then everything is *shifted by one*: what goes into the first block at $t$ comes from $x_{t-1}$, and at
# $t = 1$ it is zero. After the blocks: the sum of all skips, relu, a $1 \times 1$ convolution to $2w$ channels, relu,
# and one more, to a logit for each level.
#
# **Drawing.** `draw(u)` turns uniform numbers into a signal: $x_t$ is the level that $u_t$ falls into, the number of
# levels whose cumulative probability $\sum_{j \le \ell} p(j)$ is below $u_t$ (all levels but the last are asked, so
# that rounding leads to none that is not there). The same $u$ gives the same signal, whatever is kept on the way; so
# the checks prove your sampler, number for number.
#
# <details>
# <summary>Hint 1 for draw: the idea</summary>
#
# A pass for every value computes nearly everything again. When $x_t$ is known, each layer has to compute *one* new
# output, of its input at $t$ and of inputs that it has seen before: keep those.
#
# </details>
#
# <details>
# <summary>Hint 2 for draw: the shape of the answer</summary>
#
# One past for each block, of shape (n, width, kept), zeros at first: that is what the padding is. In each of the T
# rounds $h$, of shape (n, width), goes through the blocks with `step`; the skips are summed; the last layers make the
# logits; $u_t$ makes $x_t$; and $x_t$ makes the next $h$.
#
# </details>
#
# <details>
# <summary>Hint 3 for draw: the last nudge</summary>
#
# In the first round $h$ is zero itself: not the level 0, and not the bias of the first layer. A $1 \times 1$
# convolution takes (n, width, 1): `h[..., None]`, and `[..., 0]` of what comes out.
#
# </details>


# %%
class WaveNet(nn.Module):
    """log p(x) = Σ_t log softmax(logits_t)[x_t], where logits_t depends on the 1 + Σ d (k − 1) values before t.

    length: T of a signal. levels: of a value, 0 … levels − 1. width: channels. kernel: k. dilations: d of each block.
    """

    def __init__(
        self, length: int, levels: int = 256, width: int = 32, kernel: int = 2, dilations=(1, 2, 4, 8, 16)
    ):  # fmt: skip
        super().__init__()
        self.length, self.levels, self.width = length, levels, width
        ### BEGIN SOLUTION
        self.first = nn.Conv1d(1, width, 1)
        self.blocks = nn.ModuleList(GatedBlock(width, kernel, d) for d in dilations)
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(width, 2 * width, 1), nn.ReLU(), nn.Conv1d(2 * width, levels, 1))
        ### END SOLUTION

    def entered(self, x: torch.Tensor) -> torch.Tensor:
        """What levels are to the first block, brought to [−1, 1]: int64 (B, T) -> (B, width, T)."""
        ### BEGIN SOLUTION
        return self.first((2 * x / (self.levels - 1) - 1)[:, None])
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p(x_t | x_1 … x_{t−1}) of every level: int64 (B, T) -> (B, T, levels)."""
        ### BEGIN SOLUTION
        h = F.pad(self.entered(x)[..., :-1], (1, 0))  # (B, width, T), shifted by one
        total = 0
        for block in self.blocks:
            h, skip = block(h)
            total = total + skip
        return self.head(total).movedim(1, -1)
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats, summed over the values: int64 (B, T) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).squeeze(-1).sum(dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def draw(self, u: torch.Tensor) -> torch.Tensor:
        """x_t is the level that u_t falls into, given those before: float (n, T) -> int64 (n, T)."""
        ### BEGIN SOLUTION
        n, T = u.shape
        x, h = torch.zeros(n, T, dtype=torch.long), u.new_zeros(n, self.width)
        pasts = [u.new_zeros(n, self.width, block.conv.kept) for block in self.blocks]
        for t in range(T):
            total = 0
            for k, block in enumerate(self.blocks):
                h, skip, pasts[k] = block.step(h, pasts[k])
                total = total + skip
            cdf = self.head(total[..., None])[..., 0].softmax(dim=-1).cumsum(dim=-1)
            x[:, t] = (cdf[:, :-1] < u[:, t, None]).sum(dim=-1)
            h = self.entered(x[:, t, None])[..., 0]
        return x
        ### END SOLUTION

    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, T)."""
        return self.draw(torch.rand(n, self.length))


# %% [markdown]
# ### Look
#
# What the output at each value sees, of networks with random weights: change every input in turn. Five blocks each, as
# many weights, as much computing.

# %%
DILATED, PLAIN = (1, 2, 4, 8, 16), (1, 1, 1, 1, 1)


def field(dilations, kernel: int = 2) -> int:
    """1 + Σ d (k − 1)."""
    return 1 + sum(d * (kernel - 1) for d in dilations)


@torch.no_grad()
def sees(model: WaveNet, T: int = 48) -> torch.Tensor:
    """Whether output i moves with input j: bool (T, T)."""
    x = torch.randint(model.levels, (1, T))
    others = (x.repeat(T, 1) + torch.eye(T, dtype=torch.long) * (model.levels // 2)) % model.levels
    moved = (model.logits(others) - model.logits(x)).abs().amax(dim=-1)  # (input, output)
    return (moved > 1e-6).T


networks = {f"{field(d)} values": WaveNet(48, dilations=d).eval() for d in (DILATED, PLAIN)}
plots.masks([sees(model).float() for model in networks.values()], titles=list(networks))

# %% [markdown]
# Expected:
#
# ![what each output sees with dilations 1 to 16, and without: a wide band and a narrow one](figures/wavenet_sees.png)
#
# ### Train
#
# With maximum likelihood; the loss is the mean of $-\log p(x)$, in nats a *value*: divided by $T$. `fit` is the loop of
# the homeworks, `fit(model, loss, x, optimizer=…, scheduler=…, valid=…, steps=…, batch_size=…)`; it returns the
# History, which your function returns, too.
#
# *The recipe:* Adam, 600 steps on batches of 16, a learning rate that rises to 0.01 and falls to zero again
# (`OneCycleLR`), width 32, kernel 2, dilations 1, 2, 4, 8, 16: a quarter of a minute.


# %%
def train_wavenet(model: WaveNet):
    """Minimise −mean log p(x) / T over train_x with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 600
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return fit(
        model,
        lambda x: -model.log_prob(x.long()).mean() / model.length,
        train_x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps),
        valid=valid_x,
        steps=steps,
        batch_size=16,
        evaluations=6,
    )
    ### END SOLUTION


# %%
wavenet = trained("wavenet", WaveNet(echo.length), fit=train_wavenet, aim=training.reference("wavenet"))
plots.history(training.history("wavenet"), limit=limit, unit="nats a value")

# %% [markdown]
# Expected:
#
# ![training and validation loss of a WaveNet on echoes, falling to the limit](figures/wavenet_losses.png)
#
# And the same network without its dilations: as many steps, as many weights, as much time.

# %%
plain = trained("wavenet.plain", WaveNet(echo.length, dilations=PLAIN), fit=train_wavenet)

# %% [markdown]
# ### See
#
# **What the model was invented for.** For these data one can say what is *possible* for whoever sees $w$ values back
# (`echo.above_limit(w)`: the variance of $x_t$ given the last $w$, against that given all). The dashed line is that;
# the marks are the two networks.


# %%
@torch.no_grad()
def above(model: WaveNet) -> float:
    """Nats a value above the entropy, as a mean of log p(x) − log q(x) over fresh signals."""
    x = echo.sample(100, split="test")
    return float((torch.as_tensor(echo.log_prob(x)) - model.log_prob(torch.as_tensor(x).long())).mean()) / echo.length


windows = list(range(41))
plots.reach(
    windows,
    [echo.above_limit(w) for w in windows],
    {"dilated": (field(DILATED), above(wavenet)), "plain": (field(PLAIN), above(plain))},
)

# %% [markdown]
# Expected:
#
# ![nats above the limit against the receptive field: the best possible, and two trained
# networks](figures/wavenet_reach.png)
#
# The plain network is as good as one can be who sees six values, and no training will make it better. Between 3 and 20
# values there is nothing to gain; the dilated one pays no more, and sees over the gap.
#
# **Samples**, beside data.

# %%
drawn_x = wavenet.sample(100)
plots.signals({"data": valid_x[:4], "WaveNet": drawn_x[:4]})

# %% [markdown]
# Expected:
#
# ![four signals of the data and four of a WaveNet](figures/wavenet_samples.png)
#
# An eye sees no echo in noise; the spectrum does. An echo is a comb: it makes every 24th part of a cycle louder, and
# what lies between quieter. The expected spectrum of the data is exact, those of the networks are means over 100
# signals.


# %%
def decibels(power) -> torch.Tensor:
    return 10 * torch.log10(torch.as_tensor(power))


spectra = {"exact": echo.spectrum(), "WaveNet": echo.power(drawn_x), "plain": echo.power(plain.sample(100))}
plots.curves(
    torch.arange(echo.length // 2 + 1) / echo.length,
    {name: decibels(power) for name, power in spectra.items()},
    xlabel="frequency (cycles a value)",
    ylabel="power (dB)",
)

# %% [markdown]
# Expected:
#
# ![power against frequency: exact, of WaveNet's samples, and of the plain network's](figures/wavenet_spectrum.png)
#
# **Drawing fast.** The same draws by a whole pass for every value, and how long either takes. Of multiplications the
# kept past saves all but one in $(T+1)/2$ (a pass at $t$ need not look beyond $t$); what is left of that in seconds is
# less, since small steps cost what it costs to *call* a layer.


# %%
@torch.no_grad()
def draw_again(model: WaveNet, u: torch.Tensor) -> torch.Tensor:
    """What model.draw(u) gives, by a pass over all values so far for each value: (n, T) -> int64 (n, T)."""
    x = torch.zeros(u.shape, dtype=torch.long)
    for t in range(u.shape[1]):
        cdf = model.logits(x[:, : t + 1])[:, t].softmax(dim=-1).cumsum(dim=-1)
        x[:, t] = (cdf[:, :-1] < u[:, t, None]).sum(dim=-1)
    return x


u, seconds, results = torch.rand(4, echo.length), [], []
for draw in (wavenet.draw, lambda u: draw_again(wavenet, u)):
    begun = time.perf_counter()
    results.append(draw(u))
    seconds.append(time.perf_counter() - begun)
same = (results[0] == results[1]).float().mean()
print(f"{same:.2%} of the values agree; {seconds[1] / seconds[0]:.0f} times as fast")

# %% [markdown]
# ### Question E5
#
# The plain network stays where the dashed line is at six values. What exactly would it cost to reach the limit without
# dilations, and why does more width, more data or more training not do it? And why is one pass enough to *train* on a
# signal of $T$ values, while drawing one takes $T$ steps, kept past or not?

# %% [markdown]
# ### BEGIN SOLUTION
# The echo is told by values 24 to 26 back. With kernels of two and no dilation a stack sees one value more for each
# block, so it takes 25 blocks in place of five. Width, data and training make the network better at using what it sees:
# its loss falls to the dashed line, the entropy of $x_t$ given six values, and the information that lies further back,
# 0.31 nats a value, is not in its input.
#
# In training all values are known, so all conditionals can be computed side by side. In drawing $x_t$ is an input of
# the next conditional and is not there before it is drawn: the steps depend on each other. Keeping the past makes each
# step cheap, not the number of steps smaller.
#
# **Rubric.** *2 points:* the number of blocks (or the kernel's size) that 24 to 26 values take, with the reason that
# what is not seen cannot be learnt, **and** that a draw is the input of the next. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("wavenet")
