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
# # PixelCNN++: levels are numbers
#
# Tim Salimans, Andrej Karpathy, Xi Chen and Diederik P. Kingma: *PixelCNN++: Improving the PixelCNN with Discretized
# Logistic Mixture Likelihood and Other Modifications*, 2017 ([arXiv:1701.05517](https://arxiv.org/abs/1701.05517)). A
# softmax over 256 levels does not know that level 127 lies beside level 128: it learns each of them by itself. Here the
# distribution of a value is a few bumps on a line, cut into levels, and the three colours of a pixel are tied by
# straight lines. The network around it has no masks, and looks at the picture in two sizes.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("pixelcnnpp")` runs the very checks that grade you, as
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
# ## Exercise E3 · PixelCNN++: levels are numbers
#
# **Why.** The mixture of Exercise 1.1, for three colours at once. Levels $0 \dots L-1$ are put onto $[-1, 1]$ by
# $\tilde x = x\,\delta - 1$ with $\delta = 2 / (L - 1)$, and the mass of a logistic in the bin of $x$ is
#
# $$P(x \mid \mu, s) = \sigma\left(\frac{\tilde x + \delta/2 - \mu}{s}\right) -
#   \sigma\left(\frac{\tilde x - \delta/2 - \mu}{s}\right),$$
#
# where the bin of level 0 begins at $-\infty$ and that of level $L-1$ ends at $+\infty$. A pixel has $K$ components,
# each with a weight $\pi_k$ for the *whole pixel*, and for each colour a mean and a width. Within a component the
# colours are tied by their means, which are straight lines in the colours before,
#
# $$p(R, G, B) = \sum_{k} \pi_k\; P(R \mid \mu_R, s_R)\; P(G \mid \mu_G + \alpha \tilde R,\, s_G)\;
#   P(B \mid \mu_B + \beta \tilde R + \gamma \tilde G,\, s_B) .$$
#
# That is ten numbers for a component: $\log \pi$ but for a constant, three $\mu$, three $\log s$, and $\alpha$,
# $\beta$, $\gamma$. A softmax over 64 levels takes 192 numbers a pixel.
#
# *Further reading:* Exercise 1.1, and van den Oord et al., *Parallel WaveNet*, 2017
# ([arXiv:1711.10433](https://arxiv.org/abs/1711.10433)), which took the same mixture for sound.
#
# **The data.** Stripes of tints, in which red follows the red beside it, green follows red and blue green; many values
# are as dark or as bright as can be.

# %%
tints = pictures.get("tints")
train_x, valid_x = (torch.as_tensor(tints.sample(n, split=s)) for n, s in ((20_000, "train"), (200, "validation")))
limit = tints.entropy
plots.images(train_x[:28], levels=tints.levels, title=f"tints · limit {limit:.1f} nats a picture")

# %% [markdown]
# They come as bytes (`uint8`), to save memory; the methods of your model take them as `int64`, `x.long()`.
#
# ### Write
#
# **The mass in a bin**, as in Exercise 1.1: with $b = (\tilde x + \delta/2 - \mu) / s$ and $a = (\tilde x - \delta/2 -
# \mu) / s$,
#
# $$\log P = \log\sigma(b) + \log\sigma(-a) + \log\left(1 - e^{-\delta/s}\right),$$
#
# exact at any distance, $\log \sigma(b)$ alone for the lowest level, and $\log \sigma(-a)$ alone for the highest.


# %%
def log_bins(x: torch.Tensor, mu: torch.Tensor, log_s: torch.Tensor, levels: int) -> torch.Tensor:
    """log P(x | μ, s) in nats of levels x, int64; all three broadcast against each other."""
    ### BEGIN SOLUTION
    delta, s = 2 / (levels - 1), log_s.exp()
    centre = x * delta - 1
    b, a = (centre + delta / 2 - mu) / s, (centre - delta / 2 - mu) / s
    below, above = F.logsigmoid(b), F.logsigmoid(-a)
    inside = below + above + torch.log(-torch.expm1(-delta / s))
    return torch.where(x == 0, below, torch.where(x == levels - 1, above, inside))
    ### END SOLUTION


# %% [markdown]
# **The three colours.** The network gives $10 K$ channels a pixel; `parts` cuts them up, and is given. You write how
# the means of green and blue move with the colours before, and the log-probability of a pixel.
#
# <details>
# <summary>Hint: what is added, and what is multiplied</summary>
#
# Give the levels a dimension for the components: then one call answers for all components and colours. What is
# multiplied, the colours within a component and its weight, is a sum of logarithms; the sum over the components is
# `logsumexp`, and comes last.
#
# </details>


# %%
def parts(channels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """log π (B, K, H, W), and μ, log s and (α, β, γ), each (B, K, 3, H, W), of channels (B, 10 K, H, W)."""
    B, tenfold, H, W = channels.shape
    logits, *rest = channels.view(B, 10, tenfold // 10, H, W).split([1, 3, 3, 3], dim=1)
    mu, log_s, tied = (part.transpose(1, 2) for part in rest)
    return logits[:, 0].log_softmax(dim=1), mu, (log_s - 2).clamp_min(-7), 2 * tied.tanh()


def tied_means(mu: torch.Tensor, tied: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """μ_R, μ_G + α R, μ_B + β R + γ G of every component, with the colours x of the pixel, on [−1, 1].

    mu, and tied, which is (α, β, γ): (B, K, 3, H, W). x: (B, 3, H, W) -> (B, K, 3, H, W).
    """
    ### BEGIN SOLUTION
    alpha, beta, gamma = tied.unbind(dim=2)  # (B, K, H, W)
    R, G = x[:, None, 0], x[:, None, 1]  # (B, 1, H, W)
    return torch.stack([mu[:, :, 0], mu[:, :, 1] + alpha * R, mu[:, :, 2] + beta * R + gamma * G], dim=2)
    ### END SOLUTION


def pixel_log_prob(channels: torch.Tensor, x: torch.Tensor, levels: int) -> torch.Tensor:
    """log p(R, G, B) in nats of every pixel: (B, 10 K, H, W), int64 (B, 3, H, W) -> (B, H, W)."""
    ### BEGIN SOLUTION
    log_pi, mu, log_s, tied = parts(channels)
    mu = tied_means(mu, tied, 2 * x / (levels - 1) - 1)
    log_p = log_bins(x[:, None], mu, log_s, levels).sum(dim=2)  # of the three colours, (B, K, H, W)
    return torch.logsumexp(log_pi + log_p, dim=1)
    ### END SOLUTION


# %% [markdown]
# **What a softmax would give**, the log-probability of *every* level of every colour, given the colours before, is in
# the mixture, too. The weights of the components change on the way: a component that fits $R$ badly counts less for
# $G$,
#
# $$p(G \mid R) = \frac{\sum_k \pi_k\, P_k(R)\, P_k(G \mid R)}{\sum_k \pi_k\, P_k(R)} .$$
#
# <details>
# <summary>Hint: colour by colour</summary>
#
# Keep one log-weight for each component, $\log \pi_k$ to begin with. Of a colour, ask for all levels at once (means and
# widths get a last dimension for them); then add to the log-weights what each component gave to the level in `x`.
#
# </details>


# %%
def level_logits(channels: torch.Tensor, x: torch.Tensor, levels: int) -> torch.Tensor:
    """log p of every level of each colour, given those before it in x: -> (B, 3, H, W, levels), but for constants."""
    ### BEGIN SOLUTION
    log_w, mu, log_s, tied = parts(channels)
    mu, every, result = tied_means(mu, tied, 2 * x / (levels - 1) - 1), torch.arange(levels), []
    for c in range(3):
        log_p = log_bins(every, mu[:, :, c, ..., None], log_s[:, :, c, ..., None], levels)  # (B, K, H, W, levels)
        result.append(torch.logsumexp(log_w[..., None] + log_p, dim=1))
        log_w = log_w + log_bins(x[:, None, c], mu[:, :, c], log_s[:, :, c], levels)
    return torch.stack(result, dim=1)
    ### END SOLUTION


# %% [markdown]
# **Shifted convolutions.** No mask: the picture is moved, and what comes in at the edge is zero. Two streams go through
# the network. $u$ sees rows above, its kernels end at the own row and reach to both sides. $ul$ sees what is above
# *and* what is to the left, its kernels end at the pixel itself. Both begin shifted, $u$ by a row, $ul$ by a row or a
# column, so nothing of the pixel itself is in them; from then on they may see their own place.
#
# With a stride of two a convolution makes the picture half as large, and a transposed one makes it as large again. Both
# are causal where the kernel ends at the pixel itself (downsampling), and where each pixel is spread over those from it
# on (upsampling): the small pixel at $(i, j)$ knows nothing beyond $(2i, 2j)$, and is told to $(2i, 2j)$ and its
# neighbours to the right and below.


# %%
def down_shift(x: torch.Tensor) -> torch.Tensor:
    """Each row is the row above, the first is 0: (B, C, H, W) -> the same shape."""
    ### BEGIN SOLUTION
    return F.pad(x, (0, 0, 1, 0))[:, :, :-1]
    ### END SOLUTION


def right_shift(x: torch.Tensor) -> torch.Tensor:
    """Each column is the column to the left, the first is 0: (B, C, H, W) -> the same shape."""
    ### BEGIN SOLUTION
    return F.pad(x, (1, 0))[..., :-1]
    ### END SOLUTION


class ShiftedConv2d(nn.Conv2d):
    """A convolution whose kernel (h, w) ends at the own row, and at the own column where `right`; else it is centred.

    stride: 2 makes the picture half as large. (B, in, H, W) -> (B, out, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int], right: bool, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel, stride=stride)
        self.right = right

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ### BEGIN SOLUTION
        h, w = self.kernel_size
        beside = (w - 1, 0) if self.right else (w // 2, w // 2)
        return super().forward(F.pad(x, (*beside, h - 1, 0)))
        ### END SOLUTION


class ShiftedUp2d(nn.ConvTranspose2d):
    """Twice as large: pixel (i, j) is spread from (2i, 2j) on, down and to the right; without `right` to both sides."""

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int], right: bool):
        super().__init__(in_channels, out_channels, kernel, stride=2)
        self.right = right

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(B, in, H, W) -> (B, out, *size), cut to what went down: 2H × 2W, or a row or a column less."""
        ### BEGIN SOLUTION
        begin = 0 if self.right else (self.kernel_size[1] - 1) // 2
        return super().forward(x)[:, :, : size[0], begin : begin + size[1]]
        ### END SOLUTION


# %% [markdown]
# **The network.** Gated residual blocks as in the paper's code, given: those of $ul$ get $u$ aside. Two streams of
# three blocks, the second of them in half the size; what went down is kept, and comes in aside when the picture is as
# large again (paper, Figure 2).
#
# 1. Levels go onto $[-1, 1]$; a channel of ones tells the picture from what lies outside. $u$ begins as `above_u`,
#    moved down; $ul$ as `above_ul`, moved down, plus `left`, moved right.
# 2. $u \leftarrow$ block 0, then $ul \leftarrow$ block 0 with $u$ aside. Keep both.
# 3. Both down; block 1 of either, in the same way.
# 4. Both up; $u \leftarrow$ block 2 with the kept $u$ aside, $ul \leftarrow$ block 2 with $u$ and the kept $ul$ aside.
# 5. elu of $ul$, and a $1 \times 1$ convolution to $10 K$ channels.
#
# The first three layers take four channels: `above_u` has a kernel of $2 \times 3$ and `above_ul` one of $1 \times 3$,
# both centred; `left` has one of $2 \times 1$, which ends at the own column. Down and up take $2 \times 3$ for $u$ and
# $2 \times 2$ for $ul$. No layer stands in two places: each of the six blocks has weights of its own.
#
# (The paper has three sizes, five blocks at each of them on the way down and on the way up, and dropout.)
#
# **Drawing** a pixel: a component by its $\pi$, red from its logistic, rounded to the nearest level and kept between
# the ends; then green, whose mean depends on the red that was drawn, then blue. $\mu + s \log \frac{u}{1-u}$ with $u$
# uniform is a draw of a logistic (`torch.logit`).


# %%
class Residual(nn.Module):
    """x' = x + a ⊙ σ(b), where (a, b) = W_2 * elu(W_1 * elu(x) + U elu(s)). aside: channels of s."""

    def __init__(self, width: int, right: bool, aside: int = 0):
        super().__init__()
        kernel = (2, 2) if right else (2, 3)
        self.W_1 = ShiftedConv2d(width, width, kernel, right)
        self.W_2 = ShiftedConv2d(width, 2 * width, kernel, right)
        self.U = nn.Conv2d(aside, width, 1) if aside else None

    def forward(self, x: torch.Tensor, s: torch.Tensor | None = None) -> torch.Tensor:
        """(B, width, H, W), (B, aside, H, W) if there is something aside -> (B, width, H, W)."""
        h = self.W_1(F.elu(x)) + (self.U(F.elu(s)) if self.U is not None else 0)
        a, b = self.W_2(F.elu(h)).chunk(2, dim=1)
        return x + a * torch.sigmoid(b)


class PixelCNNpp(nn.Module):
    """log p(x) = Σ over the pixels of log p(R, G, B | the pixels before).

    shape: (3, H, W). levels: of a colour. width: channels. components: K.
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, width: int = 16, components: int = 5):
        super().__init__()
        self.shape, self.levels = shape, levels
        ### BEGIN SOLUTION
        self.above_u = ShiftedConv2d(4, width, (2, 3), right=False)
        self.above_ul = ShiftedConv2d(4, width, (1, 3), right=False)
        self.left = ShiftedConv2d(4, width, (2, 1), right=True)
        self.u = nn.ModuleList(Residual(width, False, aside) for aside in (0, 0, width))
        self.ul = nn.ModuleList(Residual(width, True, aside) for aside in (width, width, 2 * width))
        self.down_u = ShiftedConv2d(width, width, (2, 3), right=False, stride=2)
        self.down_ul = ShiftedConv2d(width, width, (2, 2), right=True, stride=2)
        self.up_u, self.up_ul = ShiftedUp2d(width, width, (2, 3), False), ShiftedUp2d(width, width, (2, 2), True)
        self.head = nn.Conv2d(width, 10 * components, 1)
        ### END SOLUTION

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """elu(ul) at the end, which has seen the pixels before: int64 (B, 3, H, W) -> (B, width, H, W)."""
        ### BEGIN SOLUTION
        v = 2 * x / (self.levels - 1) - 1
        v = torch.cat([v, torch.ones_like(v[:, :1])], dim=1)
        u = self.u[0](down_shift(self.above_u(v)))
        ul = self.ul[0](down_shift(self.above_ul(v)) + right_shift(self.left(v)), u)
        kept_u, kept_ul, size = u, ul, u.shape[2:]
        u = self.u[1](self.down_u(u))
        ul = self.ul[1](self.down_ul(ul), u)
        u = self.u[2](self.up_u(u, size), kept_u)
        ul = self.ul[2](self.up_ul(ul, size), torch.cat([u, kept_ul], dim=1))
        return F.elu(ul)
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """log p of every level, given all before it, but for constants: int64 (B, 3, H, W) -> (B, 3, H, W, levels)."""
        ### BEGIN SOLUTION
        return level_logits(self.head(self.features(x)), x, self.levels)
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats: int64 (B, 3, H, W) -> (B,)."""
        ### BEGIN SOLUTION
        return pixel_log_prob(self.head(self.features(x)), x, self.levels).flatten(1).sum(dim=1)
        ### END SOLUTION

    @torch.no_grad()
    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, 3, H, W), pixel by pixel in raster order."""
        ### BEGIN SOLUTION
        _, H, W = self.shape
        x = torch.zeros(n, *self.shape, dtype=torch.long)
        for i in range(H):
            for j in range(W):
                log_pi, *rest = parts(self.head(self.features(x)[:, :, i : i + 1, j : j + 1]))
                k = torch.multinomial(log_pi[:, :, 0, 0].exp(), 1)[:, :, None, None, None].expand(-1, 1, 3, 1, 1)
                mu, log_s, tied = (part.gather(1, k) for part in rest)  # (n, 1, 3, 1, 1)
                noise = log_s.exp() * torch.logit(torch.rand(n, 1, 3, 1, 1).clamp(1e-6, 1 - 1e-6))
                for c in range(3):  # the means move with what was drawn
                    at = 2 * x[:, :, i : i + 1, j : j + 1] / (self.levels - 1) - 1
                    value = (tied_means(mu, tied, at) + noise)[:, 0, c, 0, 0]
                    x[:, c, i, j] = ((value + 1) * (self.levels - 1) / 2).round().clamp(0, self.levels - 1).long()
        return x
        ### END SOLUTION


# %% [markdown]
# **What it is compared with** is a softmax over the levels, on the same network a little narrower, so that both have as
# many parameters. It is given: green gets the red of the pixel as a number, blue gets both. A step of it takes about as
# long, too.


# %%
class SoftmaxPixelCNN(PixelCNNpp):
    """The same network with a softmax over the levels of each colour."""

    def __init__(self, shape: tuple[int, int, int], levels: int, width: int = 14, hidden: int = 32):
        super().__init__(shape, levels, width)
        self.head = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width + c, hidden, 1), nn.ELU(), nn.Conv2d(hidden, levels, 1)) for c in range(3)
        )

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        h, v = self.features(x), 2 * x / (self.levels - 1) - 1
        of_colours = [head(torch.cat([h, v[:, :c]], dim=1)) for c, head in enumerate(self.head)]
        return torch.stack(of_colours, dim=1).movedim(2, -1)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)


# %% [markdown]
# ### Look
#
# What the output at one pixel sees, of a network with random weights, and how many parameters the two have. (Green and
# blue see the pixel's own red, too: so its own place is not empty.)

# %%
large, at = (3, 16, 16), (9, 8)
with torch.no_grad():
    seen = tensors.receptive_field(PixelCNNpp(large, levels=64).logits, large, at=at)
for model in (PixelCNNpp(tints.shape, tints.levels), SoftmaxPixelCNN(tints.shape, tints.levels)):
    print(f"{type(model).__name__:15} {sum(p.numel() for p in model.parameters()):,} parameters")
plots.receptive_field(seen, centre=at, title="what one pixel sees, in two sizes")

# %% [markdown]
# Expected:
#
# ![what the output at one pixel sees: itself, for its later colours, and much of what is above and to the
# left](figures/pixelcnnpp_sees.png)
#
# ### Train
#
# With maximum likelihood; the loss is the mean of $-\log p(x)$, in nats a picture. `fit` is the loop of the homeworks,
# `fit(model, loss, x, optimizer=…, scheduler=…, valid=…, steps=…, batch_size=…)`; it returns the History, which your
# function returns, too.
#
# *The recipe:* Adam, 1000 steps on batches of 16, a learning rate that rises to 0.01 and falls to zero again
# (`OneCycleLR`), width 16, five components: a quarter of a minute.


# %%
def train_pixelcnnpp(model: nn.Module, x: torch.Tensor = train_x, steps: int = 1000):
    """Minimise −mean log p over pictures x, uint8 (n, 3, H, W), with `fit`; returns the History."""
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    return fit(
        model,
        lambda x: -model.log_prob(x.long()).mean(),
        x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps),
        valid=valid_x,
        steps=steps,
        batch_size=16,
        evaluations=6,
    )
    ### END SOLUTION


# %%
pixelcnnpp = trained(
    "pixelcnnpp", PixelCNNpp(tints.shape, tints.levels), fit=train_pixelcnnpp, aim=training.reference("pixelcnnpp")
)
plots.history(training.history("pixelcnnpp"), limit=limit, unit="nats a picture")

# %% [markdown]
# Expected:
#
# ![training and validation loss of PixelCNN++ on tints, falling towards the limit](figures/pixelcnnpp_losses.png)
#
# The softmax on the same pictures, for as many steps, and both on a few pictures only, for fewer steps: with more of
# them they would learn these pictures by heart, the softmax first.

# %%
softmax = trained("pixelcnnpp.softmax", SoftmaxPixelCNN(tints.shape, tints.levels), fit=train_pixelcnnpp)


# %%
def train_on_100(model: nn.Module):
    return train_pixelcnnpp(model, train_x[:100], steps=300)


def train_on_1000(model: nn.Module):
    return train_pixelcnnpp(model, train_x[:1000], steps=300)


new = (tints.shape, tints.levels)
mixture_100 = trained("pixelcnnpp.mixture_100", PixelCNNpp(*new), fit=train_on_100)
mixture_1000 = trained("pixelcnnpp.mixture_1000", PixelCNNpp(*new), fit=train_on_1000)
softmax_100 = trained("pixelcnnpp.softmax_100", SoftmaxPixelCNN(*new), fit=train_on_100)
softmax_1000 = trained("pixelcnnpp.softmax_1000", SoftmaxPixelCNN(*new), fit=train_on_1000)

# %% [markdown]
# ### See
#
# **What the model was invented for.** Nats above the limit, with as many parameters, by how many pictures they have
# seen.


# %%
fresh = tints.sample(100, split="test")


@torch.no_grad()
def above(model: nn.Module) -> float:
    """Nats a picture above the entropy, as a mean of log p(x) − log q(x) over fresh pictures."""
    return float((torch.as_tensor(tints.log_prob(fresh)) - model.log_prob(torch.as_tensor(fresh).long())).mean())


losses = {
    "PixelCNN++": [above(model) for model in (mixture_100, mixture_1000, pixelcnnpp)],
    "softmax": [above(model) for model in (softmax_100, softmax_1000, softmax)],
}
for name, of in losses.items():
    numbers = ", ".join(f"{nats:.1f} of {n:,}" for n, nats in zip((100, 1000, 20_000), of, strict=True))
    print(f"{name:10} {numbers} pictures; that is {of[-1] / fresh[0].size:.3f} a value")
plots.curves(
    torch.tensor([100, 1000, 20_000]).log10(),
    losses,
    xlabel="log₁₀ of the pictures seen",
    ylabel="nats above the limit",
)

# %% [markdown]
# Expected:
#
# ![nats above the limit against the number of pictures, of PixelCNN++ and of a softmax](figures/pixelcnnpp_few.png)
#
# From 100 pictures the mixture learns more than the softmax does from 20,000: what it knows of one level, it knows of
# those beside it. The softmax of 100 pictures does worse than a model that never looks at the pixels beside, which is
# 100 nats above the limit; it is too sure of what it has seen. This is no proof that a softmax cannot get
# there: with more steps it comes nearer. Nor would a mixture always win: the noise of these tints is a bump on a line,
# as that of a camera is, and Question E3 asks where it is none.
#
# **What they have learnt of a number.** The green of one pixel, given its red and all before it: exact, and of the two
# networks that saw 100 pictures. To a softmax each level is a name, and it has seen few of each.

# %%
picture, i, j = torch.as_tensor(fresh[1:2]).long(), 4, 4
exact = torch.as_tensor(tints.tables[1][fresh[1, 0, i, j]])
with torch.no_grad():
    of_green = {
        name: model.logits(picture)[0, 1, i, j].double().softmax(dim=-1)
        for name, model in (("PixelCNN++", mixture_100), ("softmax", softmax_100))
    }
for name, p in of_green.items():
    print(f"{name:10} {(exact * (exact / p).log()).sum():.2f} nats above the entropy of this green")
plots.curves(
    torch.arange(tints.levels), {"exact": exact, **of_green}, xlabel="level of green", ylabel="probability given red"
)

# %% [markdown]
# Expected:
#
# ![probabilities of the levels of one green: exact, of PixelCNN++ and of a softmax](figures/pixelcnnpp_green.png)
#
# **Samples**, beside data.

# %%
samples = drawn("pixelcnnpp", lambda: pixelcnnpp.sample(28))
plots.image_rows({"data": valid_x[:14], "PixelCNN++": samples[:14]}, levels=tints.levels)

# %% [markdown]
# Expected:
#
# ![fourteen pictures of the data and as many of PixelCNN++](figures/pixelcnnpp_samples.png)
#
# ### Question E3
#
# Within a component the mean of blue is $\mu_B + \beta \tilde R + \gamma \tilde G$, and there is one $\pi_k$ for a
# whole pixel. What would be lost if each colour had a mixture of its own, with weights and means that do not depend on
# the pixel's other colours? And where can a mixture of five logistics be no match for a softmax, however long it
# trains?

# %% [markdown]
# ### BEGIN SOLUTION
# Then the colours of a pixel would be independent given the pixels before. What red tells about green and blue, their
# mutual information given the past, would be lost at every pixel: here nearly all that is known of green and blue,
# since they follow red. The straight lines keep it where colours go together, and the common $\pi_k$ where a pixel is
# of one kind or of another (the same object, or a new one).
#
# A softmax can have any distribution over the levels. A mixture of few logistics is smooth: it cannot say that only
# every fourth level occurs, as after a picture was made brighter, or give one level in the middle a mass of its own
# while its neighbours have none, but by spending a very narrow component on it.
#
# **Rubric.** *2 points:* the dependence of the colours given the past (mutual information), **and** a distribution that
# is not smooth in the level, with an example. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("pixelcnnpp")
