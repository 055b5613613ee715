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
# # GPT: every letter looks at all before it
#
# Alec Radford, Karthik Narasimhan, Tim Salimans and Ilya Sutskever: *Improving Language Understanding by Generative
# Pre-Training*, 2018
# ([PDF](https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf)), and Mark Chen
# et al.: *Generative Pretraining from Pixels*, 2020
# ([PMLR 119](https://proceedings.mlr.press/v119/chen20s.html)), which gives the same network pixels, and calls it iGPT.
# The lecture notes end their chapter with this model: its large sisters write, and what follows is all that they are
# made of.
#
# **How this notebook works.** It has the steps of the homeworks: *why*, *write*, *look*, *train*, *see*, *check*. You
# write the code where it says `NotImplementedError`; `check("gpt")` runs the very checks that grade you, as often
# as you like. Call it before a class is finished, too: what calls a method that is still missing says so and waits, all
# else is checked. The text is written by a small grammar, whose probabilities are known, so losses are reported in
# *nats above the limit*, its entropy.

# %%
import time
from itertools import pairwise

from deepul_utils import check, fit, plots, seed_everything, sequences, trained, training
from deepul_utils.pictures import small_shapes
from deepul_utils.sequences.contexts import above_limit

import torch
import torch.nn.functional as F
from torch import nn

# %matplotlib inline
seed_everything(0)

# %% [markdown]
# ---
# ## Exercise E10 · GPT: every letter looks at all before it
#
# **Why.** A text is modelled as pixels and signals were, each letter given all that came before,
#
# $$\log p(x) = \sum_{t=1}^{T} \log p\left(x_t \mid x_1, \dots, x_{t-1}\right).$$
#
# A convolution sees what its kernels reach, and always the same places. But what tells the next letter stands now here,
# now there: the name at the beginning of a story, a *two* some words back. *Attention* lets each place ask for what it
# needs: it makes a query $q$, all places before it hold keys $k$ and values $v$, and what comes back is a mean of the
# values, weighted by how well their keys answer,
#
# $$\mathrm{attention}(q, k, v)_t = \sum_{s \le t} w_{ts}\, v_s, \qquad
#   w_{ts} = \frac{\exp(q_t \cdot k_s / \sqrt d)}{\sum_{r \le t} \exp(q_t \cdot k_r / \sqrt d)} ,$$
#
# where $d$ is the number of components of $q_t$. One layer sees the whole past, whatever its length. The price: $T$
# places that look at up to $T$ others each.
#
# *Further reading:* Vaswani et al., *Attention Is All You Need*, 2017
# ([arXiv:1706.03762](https://arxiv.org/abs/1706.03762)); Sennrich, Haddow and Birch, *Neural Machine Translation of
# Rare Words with Subword Units*, 2015 ([arXiv:1508.07909](https://arxiv.org/abs/1508.07909)), whose tokens you will
# make.
#
# **The data.** Stories of one person each, 96 letters of them. The name comes again in every sentence, and what there
# are two of has an *s* and verbs without one.

# %%
text = sequences.get("text")
train_x, valid_x = (torch.as_tensor(text.sample(n, split=s)) for n, s in ((10_000, "train"), (200, "validation")))
limit = text.entropy / text.length  # nats a letter
print(f"{text.levels} letters, limit {limit:.3f} nats a letter\n")
for x in train_x[:3]:
    print(text.decode(x), end="\n\n")

# %% [markdown]
# They come as bytes (`uint8`), the places of the letters in `text.alphabet`; the methods of your model take them as
# `int64`, `x.long()`.
#
# ### Write
#
# **Attention** itself, for queries that are the *last* $S$ of $T$ places: with all $T$ it is what training needs, with
# one it is what drawing needs. Query number $i$ (from 0) stands at the place $T - S + i$, and sees the keys there and
# before. What lies later gets the weight 0, *exactly*: put $-\infty$ in the place of its score, before the softmax.


# %%
def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(out, w): w = softmax over the keys up to its own place of q · k / √d, out = w v.

    q: (B, heads, S, d), the last S of T places. k, v: (B, heads, T, d). Returns (B, heads, S, d), (B, heads, S, T).
    """
    ### BEGIN SOLUTION
    S, T, d = q.shape[-2], k.shape[-2], q.shape[-1]
    scores = q @ k.transpose(-1, -2) / d**0.5  # (B, heads, S, T)
    later = torch.ones(S, T, dtype=torch.bool).triu(T - S + 1)
    w = scores.masked_fill(later, -torch.inf).softmax(dim=-1)
    return w @ v, w
    ### END SOLUTION


# %% [markdown]
# **Several heads.** One softmax can look for one thing at a time. So the $W$ channels are cut into `heads` parts of
# $d = W / \text{heads}$ channels, and each part has queries, keys and values of its own; what they bring back is put
# side by side again, and goes through one more linear layer.
#
# `past` is for drawing: the keys and values of all places before these, if there are any. The layer puts the new ones
# behind them, and hands both on.


# %%
class CausalAttention(nn.Module):
    """out = W_o [head_1, …, head_H], head_h = attention(W_q x, W_k x, W_v x) of the h-th part of the channels."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        ### BEGIN SOLUTION
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        ### END SOLUTION

    def forward(self, x: torch.Tensor, past: tuple | None = None) -> tuple[torch.Tensor, tuple]:
        """out and (keys, values) of all places so far: (B, S, width) -> (B, S, width), two (B, heads, T, d).

        past: (keys, values) of the places before these. The weights stay in self.weights, for a figure.
        """
        ### BEGIN SOLUTION
        B, S, width = x.shape
        q, k, v = self.qkv(x).view(B, S, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, S, d) each
        if past is not None:
            k, v = (torch.cat([old, new], dim=2) for old, new in zip(past, (k, v), strict=True))
        out, weights = attention(q, k, v)
        self.weights = weights.detach()
        return self.out(out.transpose(1, 2).reshape(B, S, width)), (k, v)
        ### END SOLUTION


# %% [markdown]
# **The block** has two steps, and each *adds* to $x$: attention carries from place to place, a small network works at
# each place for itself. What they read is normalised first (*pre-norm*, as from GPT-2 on), and $x$ itself never is: so
# a path leads from the last layer to the first that nothing bends,
#
# $$x' = x + \mathrm{attention}(\mathrm{norm}_1(x)), \qquad x'' = x' + \mathrm{mlp}(\mathrm{norm}_2(x')) ,$$
#
# with LayerNorm over the channels of a place, and an mlp of one hidden layer of $4W$ units with GELU.


# %%
class Block(nn.Module):
    """x' = x + attention(norm_1(x));  x'' = x' + mlp(norm_2(x'))."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        ### BEGIN SOLUTION
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        ### END SOLUTION

    def forward(self, x: torch.Tensor, past: tuple | None = None) -> tuple[torch.Tensor, tuple]:
        """x'', and what the attention hands on: (B, S, width) -> (B, S, width), (keys, values)."""
        ### BEGIN SOLUTION
        looked_up, kept = self.attention(self.norm_1(x), past)
        x = x + looked_up
        return x + self.mlp(self.norm_2(x)), kept
        ### END SOLUTION


# %% [markdown]
# **The network.** Each letter has a vector, and each place has one (to attention, a set of places has no order; the
# second vector tells where a letter stands); their sum goes through the blocks, a last LayerNorm and a linear layer to
# the logits. What goes in is *shifted by one*: at the first place stands the sign for the beginning, which is the
# number `levels`, at place $t$ stands $x_{t-1}$.
#
# `answers` does this for letters with a past or without one; `logits` and `step` both call it.
#
# **Drawing.** `step` is given one letter and what was kept of those before, and gives the logits of the next letter.
# Which place the letter stands at follows from what was kept. `draw(u)` turns uniform numbers into a text: $x_t$ is the
# level that $u_t$ falls into, the number of levels whose cumulative probability $\sum_{j \le \ell} p(j)$ is below $u_t$
# (all levels but the last are asked, so that rounding leads to none that is not there). The same $u$ gives the same
# text, whatever is kept on the way; so the checks prove your sampler, number for number.
#
# <details>
# <summary>Hint 1 for step: the idea</summary>
#
# What a place hands on to later ones are its keys and values, one pair a block. They hang on what came before it, and
# not on what comes after: once computed they stay.
#
# </details>
#
# <details>
# <summary>Hint 2 for step: the shape of the answer</summary>
#
# `logits` and `step` have `answers` in common: vectors of letters and of places, blocks, norm, logits, for S letters
# with a past or without one. The past is a list, one pair a block, and the place of the first new letter is the number
# of keys that are kept.
#
# </details>


# %%
class GPT(nn.Module):
    """log p(x) = Σ_t log softmax(logits_t)[x_t], where logits_t depends on all x before t.

    length: the most letters of a text. levels: of a letter, 0 … levels − 1. width: channels. depth: blocks.
    """

    def __init__(self, length: int, levels: int, width: int = 64, heads: int = 4, depth: int = 2):
        super().__init__()
        self.length, self.levels = length, levels
        ### BEGIN SOLUTION
        self.letter = nn.Embedding(levels + 1, width)  # the last is the beginning
        self.place = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, levels))
        for vectors in (self.letter, self.place):
            nn.init.normal_(vectors.weight, std=0.1)
        ### END SOLUTION

    def answers(self, x: torch.Tensor, past: list | None = None) -> tuple[torch.Tensor, list]:
        """Logits at S places, and (keys, values) of each block so far: int64 (B, S) -> (B, S, levels), a list.

        x: what goes in, 0 … levels − 1 or, at the beginning, `levels`. past: such a list, of the places before.
        """
        ### BEGIN SOLUTION
        first = past[0][0].shape[2] if past else 0
        h = self.letter(x) + self.place.weight[first : first + x.shape[1]]
        kept = []
        for block, old in zip(self.blocks, past or [None] * len(self.blocks), strict=True):
            h, new = block(h, old)
            kept.append(new)
        return self.head(h), kept
        ### END SOLUTION

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Unnormalised log p(x_t | x_1 … x_{t−1}) of every level: int64 (B, T) -> (B, T, levels)."""
        ### BEGIN SOLUTION
        return self.answers(F.pad(x[:, :-1], (1, 0), value=self.levels))[0]
        ### END SOLUTION

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log p(x) in nats, summed over the letters: int64 (B, T) -> (B,)."""
        ### BEGIN SOLUTION
        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).squeeze(-1).sum(dim=1)
        ### END SOLUTION

    def step(self, last: torch.Tensor, past: list | None = None) -> tuple[torch.Tensor, list]:
        """Logits of the next letter, and what to keep for the step after: int64 (n,) -> (n, levels), a list.

        last: the letter before it, or `levels` at the beginning. past: what the step before handed on.
        """
        ### BEGIN SOLUTION
        logits, past = self.answers(last[:, None], past)
        return logits[:, 0], past
        ### END SOLUTION

    @torch.no_grad()
    def draw(self, u: torch.Tensor) -> torch.Tensor:
        """x_t is the level that u_t falls into, given those before: float (n, T) -> int64 (n, T)."""
        ### BEGIN SOLUTION
        letters, last, past = [], torch.full((len(u),), self.levels), None
        for u_t in u.T:
            logits, past = self.step(last, past)
            cdf = logits.softmax(dim=-1).cumsum(dim=-1)
            last = (cdf[:, :-1] < u_t[:, None]).sum(dim=-1)
            letters.append(last)
        return torch.stack(letters, dim=1)
        ### END SOLUTION

    def stepwise(self, x: torch.Tensor) -> torch.Tensor:
        """The same as logits(x), letter by letter with `step`: int64 (B, T) -> (B, T, levels)."""
        last, past, every = torch.full_like(x[:, 0], self.levels), None, []
        for x_t in x.T:
            logits, past = self.step(last, past)
            every.append(logits)
            last = x_t
        return torch.stack(every, dim=1)

    def sample(self, n: int) -> torch.Tensor:
        """n draws, int64 (n, T)."""
        return self.draw(torch.rand(n, self.length))


# %% [markdown]
# **Tokens.** A GPT that writes in earnest does not see letters, but *tokens*, pieces of words that come often: what is
# seldom is spelt, what is common is one. Byte-pair encoding finds them: of all neighbours in a text take the pair that
# comes most often, make it one token, everywhere, and begin again. A text is a tensor of numbers here, $0, \dots,$
# `levels` $- 1$; the first pair that is merged becomes the number `levels`, the next one `levels + 1`, and so on.
#
# * `merged` is one merge of one text, for which a plain list is quickest.
# * `learn_merges` counts all neighbours $(x_i, x_{i+1})$, also those that overlap as in *aaa*; of pairs that come
#   equally often, take any.
# * `encode` applies the merges to a text in the order in which they were learnt, each from left to right, so that *aaa*
#   becomes the token *aa*, and *a*.
# * `decode` turns tokens into letters again.


# %%
def merged(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Every pair of neighbours, from left to right, as one token: [1, 1, 1, 0, 1, 1] becomes [7, 1, 0, 7]."""
    ### BEGIN SOLUTION
    if pair[0] not in tokens:  # most merges find nothing in a short text
        return tokens
    out, i = [], 0
    while i < len(tokens):
        found = i + 1 < len(tokens) and tokens[i] == pair[0] and tokens[i + 1] == pair[1]
        out.append(new if found else tokens[i])
        i += 2 if found else 1
    return out
    ### END SOLUTION


def learn_merges(x: torch.Tensor, levels: int, number: int) -> torch.Tensor:
    """The pairs of tokens that are made one, in order: int64 (T,) -> int64 (number, 2)."""
    ### BEGIN SOLUTION
    tokens, merges = x.tolist(), []
    for new in range(levels, levels + number):
        pairs = {}
        for pair in pairwise(tokens):
            pairs[pair] = pairs.get(pair, 0) + 1
        merges.append(max(pairs, key=pairs.get))
        tokens = merged(tokens, merges[-1], new)
    return torch.tensor(merges).view(-1, 2)
    ### END SOLUTION


def encode(x: torch.Tensor, levels: int, merges: torch.Tensor) -> torch.Tensor:
    """Tokens of a text: int64 (T,) -> int64 (up to T,)."""
    ### BEGIN SOLUTION
    tokens = x.tolist()
    for new, pair in enumerate(merges.tolist(), start=levels):
        tokens = merged(tokens, tuple(pair), new)
    return torch.tensor(tokens, dtype=torch.long)
    ### END SOLUTION


def decode(tokens: torch.Tensor, levels: int, merges: torch.Tensor) -> torch.Tensor:
    """The text of tokens, encode's inverse: int64 (up to T,) -> int64 (T,)."""
    ### BEGIN SOLUTION
    words = [[letter] for letter in range(levels)]
    for a, b in merges.tolist():
        words.append(words[a] + words[b])
    return torch.tensor([letter for token in tokens.tolist() for letter in words[token]], dtype=torch.long)
    ### END SOLUTION


# %% [markdown]
# ### Look
#
# The weights of your attention, row by row what each of 12 places sees: with random queries and keys, and with keys
# that are all equal. There nothing tells one place from another, and attention is the mean of all values so far: row
# $t$ is $1/t$.

# %%
q, k = torch.randn(2, 1, 1, 12, 8).unbind()
looks = {"random keys": attention(2 * q, k, k)[1], "equal keys": attention(2 * q, k[:, :, :1].expand_as(k), k)[1]}
plots.masks([w[0, 0] for w in looks.values()], titles=list(looks))

# %% [markdown]
# Expected:
#
# ![weights of attention, triangles below the diagonal: uneven with random keys, even rows with equal
# keys](figures/gpt_weights.png)
#
# And the tokens: the first pairs that are merged, and the letters of a text that one token stands for.

# %%
MERGES = 40
merges = learn_merges(train_x[:300].flatten().long(), text.levels, MERGES)
words = [text.decode(decode(torch.tensor([k]), text.levels, merges)) for k in range(text.levels + MERGES)]
print("first merges:", words[text.levels : text.levels + 10])
print("last merges: ", words[-10:])
print(" | ".join(words[k] for k in encode(train_x[0].long(), text.levels, merges)))

# %% [markdown]
# ### Train
#
# With maximum likelihood; the loss is the mean of $-\log p(x)$, in nats a *letter*: divided by $T$. `fit` is the loop
# of the homeworks, `fit(model, loss, x, optimizer=…, scheduler=…, valid=…, steps=…, batch_size=…)`; it returns the
# History, which your function returns, too.
#
# *The recipe:* Adam, 600 steps on batches of 16, a learning rate that rises to 0.005 and falls to zero again
# (`OneCycleLR`), width 64, 4 heads, 2 blocks, vectors of letters and places that begin at N(0, 0.1²): a third of a
# minute.


# %%
def train_gpt(model: GPT, x: torch.Tensor = train_x, valid: torch.Tensor = valid_x, batch_size: int = 16):
    """Minimise −mean log p(x) / T over x with `fit`; returns the History."""
    ### BEGIN SOLUTION
    steps = 600
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return fit(
        model,
        lambda x: -model.log_prob(x.long()).mean() / x.shape[1],
        x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps),
        valid=valid,
        steps=steps,
        batch_size=batch_size,
        evaluations=6,
    )
    ### END SOLUTION


# %%
gpt = trained("gpt", GPT(text.length, text.levels), fit=train_gpt, aim=training.reference("gpt"))
plots.history(training.history("gpt"), limit=limit, unit="nats a letter")

# %% [markdown]
# Expected:
#
# ![training and validation loss of a GPT on stories, falling to the limit](figures/gpt_losses.png)
#
# And the same network with a context of 8 letters: the same letters, cut into pieces, as many in each step.

# %%
SHORT = 8


def pieces(x: torch.Tensor) -> torch.Tensor:
    """Texts cut into pieces: (n, T) -> (n · T / SHORT, SHORT)."""
    return x.reshape(-1, SHORT)


short = trained(
    "gpt.short",
    GPT(SHORT, text.levels),
    fit=lambda model: train_gpt(model, pieces(train_x), pieces(valid_x), batch_size=16 * text.length // SHORT),
)

# %% [markdown]
# ### See
#
# **What context is worth.** For this text one can say what is *possible* for whoever sees $w$ letters back: the exact
# probabilities of the grammar, summed over all states in which it may have been before (`above_limit`, a mean over 500
# texts). The dashed line is that; the marks are the two networks, at the last letter that each of them sees.


# %%
@torch.no_grad()
def above_at_last(model: GPT, n: int = 500) -> float:
    """Nats of the last letter above the entropy, given as many before it as the model's context holds."""
    x = text.sample(n, split="test")
    log_q = F.log_softmax(model.logits(torch.as_tensor(x[:, -model.length :]).long())[:, -1], dim=-1)
    told = torch.as_tensor(text.log_conditionals(x)[:, -1])
    return float((told - log_q.gather(-1, torch.as_tensor(x[:, -1:]).long())[:, 0]).mean())


windows = list(range(3, 48))
plots.reach(
    windows,
    above_limit(text, windows),
    {f"context {m.length}": (min(m.length - 1, windows[-1]), above_at_last(m)) for m in (gpt, short)},
    unit="nats of a letter above the limit",
)

# %% [markdown]
# Expected:
#
# ![nats above the limit against the letters that are seen: a fall up to five letters, then slow steps down to 35; both
# networks close to the line, one of them at its end](figures/gpt_reach.png)
#
# (The mark of the long context stands at 47: it sees 95 letters.) Who sees one letter loses 1.33 nats, who sees three
# of them 0.17: those tell how a word goes on. What is left is told by words: whether there were two of them, five to
# twenty letters back, and whose story it is, up to 35 letters back. With 8 letters no training tells a name that is not
# in sight.
#
# **What it looks at.** The weights of all heads on one text: row $t$ is what place $t$ looked at when it said what
# letter $t$ is.

# %%
seen_x = torch.as_tensor(text.sample(1, seed=4, split="test")).long()[:, :48]
with torch.no_grad():
    gpt.logits(seen_x)
print(text.decode(seen_x[0]))
for k, layer in enumerate((m for m in gpt.modules() if isinstance(m, CausalAttention)), start=1):
    heads = layer.weights[0]
    figure = plots.masks(list(heads), titles=[f"block {k}, head {h + 1}" for h in range(len(heads))])
figure

# %% [markdown]
# Expected, of the last block:
#
# ![attention of four heads over 48 letters: cells near the diagonal, short columns below the letters that words begin
# with, and single cells far off, where a name comes again](figures/gpt_attention.png)
#
# **Samples.**

# %%
for x in gpt.sample(4):
    print(text.decode(x), end="\n\n")

# %% [markdown]
# **Tokens or letters?** The same network on tokens: 24 of them are some 50 letters, half of what it saw before in a
# quarter of the places, and cost a third of the time. Its loss is put on letters again: nats of all tokens, by the
# letters that they stand for.

# %%
PLACES = 24


def tokens_of(split: str, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first tokens of n texts, int64 (n, PLACES), and their exact log-probability as letters, by their number.

    Both (n,) of it: float64 nats and letters, stacked as (2, n).
    """
    longer = sequences.get("text", 160)
    x = longer.sample(n, split=split)
    tokens = torch.stack([encode(torch.as_tensor(row).long(), text.levels, merges)[:PLACES] for row in x])
    covered = torch.tensor([sum(len(words[k]) for k in row) for row in tokens.tolist()])
    log_p = torch.as_tensor(longer.log_conditionals(x)).cumsum(dim=1).gather(1, covered[:, None] - 1)[:, 0]
    return tokens, torch.stack([log_p, covered])


token_x, (_, covered) = tokens_of("train", 1500)
print(f"{PLACES} tokens are {covered.mean():.0f} letters")
on_tokens = trained(
    "gpt.tokens",
    GPT(PLACES, text.levels + MERGES),
    fit=lambda model: train_gpt(model, token_x, token_x[:100]),
)

# %%
token_x, (log_p, covered) = tokens_of("test", 200)
with torch.no_grad():
    excess = {"tokens": float((log_p - on_tokens.log_prob(token_x)).sum() / covered.sum())}
    x = text.sample(200, split="test")
    own = torch.as_tensor(text.log_prob(x)) - gpt.log_prob(torch.as_tensor(x).long())
    excess["letters"] = float(own.mean()) / text.length
for name, nats in excess.items():
    seconds = training.history("gpt" if name == "letters" else "gpt.tokens").seconds
    print(f"{name:8s} {nats:.4f} nats a letter above the limit, after {seconds:.0f} s of training")

# %% [markdown]
# **Drawing fast.** The same draws by a whole pass for every letter, and how long either takes. Of multiplications the
# kept keys and values save nearly all but one in $(T+1)/2$ (a pass at $t$ need not look beyond $t$; the looking itself
# is not saved, and is little at this length); what is left of that in seconds is less, since small steps cost what it
# costs to *call* a layer.


# %%
@torch.no_grad()
def draw_again(model: GPT, u: torch.Tensor) -> torch.Tensor:
    """What model.draw(u) gives, by a pass over all letters so far for each letter: (n, T) -> int64 (n, T)."""
    x = torch.zeros(u.shape, dtype=torch.long)
    for t in range(u.shape[1]):
        cdf = model.logits(x[:, : t + 1])[:, t].softmax(dim=-1).cumsum(dim=-1)
        x[:, t] = (cdf[:, :-1] < u[:, t, None]).sum(dim=-1)
    return x


u, seconds, results = torch.rand(4, text.length), [], []
for draw in (gpt.draw, lambda u: draw_again(gpt, u)):
    begun = time.perf_counter()
    results.append(draw(u))
    seconds.append(time.perf_counter() - begun)
same = (results[0] == results[1]).float().mean()
print(f"{same:.2%} of the letters agree; {seconds[1] / seconds[0]:.1f} times as fast")

# %% [markdown]
# **Pixels, too.** Nothing in this network knows that it writes. iGPT gives it pictures, row by row, as if they were
# text. Since attention costs the square of the length, a picture is made shorter first: iGPT takes clusters of colours
# for its three channels, here one token stands for 2 × 2 pixels. The pictures, 16 × 16 pixels of four shades, have one
# shape each. Every one of them is equally likely, so the limit is the logarithm of their number; and of a token or of
# its pixels the nats are the same, since each says what the other is.
#
# No vector tells which tokens stand one above the other, eight places apart: the network has to find that out, and
# needs more pictures for it, 2000 steps on batches of 48 (a minute).

# %%
shapes = small_shapes.SmallShapes()


def blocks(x: torch.Tensor) -> torch.Tensor:
    """The pixels of each token, one after the other: (n, 1, 16, 16) -> int64 (n, 64, 4)."""
    return x.long().unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).flatten(1, 3)


vocabulary = blocks(torch.tensor(shapes.pictures)[:, None]).flatten(0, 1).unique(dim=0)  # int64 (tokens, 4)
number_of = {tuple(block): k for k, block in enumerate(vocabulary.tolist())}


def as_tokens(x: torch.Tensor) -> torch.Tensor:
    """(n, 1, 16, 16) -> int64 (n, 64)."""
    return torch.tensor([[number_of[tuple(block)] for block in picture] for picture in blocks(x).tolist()])


def as_pixels(tokens: torch.Tensor) -> torch.Tensor:
    """The inverse: (n, 64) -> int64 (n, 1, 16, 16)."""
    return vocabulary[tokens].view(-1, 8, 8, 2, 2).transpose(2, 3).reshape(-1, 1, 16, 16)


shape_x, shape_valid, shape_test = (
    as_tokens(torch.as_tensor(shapes.sample(n, split=s)))
    for n, s in ((20_000, "train"), (200, "validation"), (400, "test"))
)
print(f"{len(shapes.pictures):,} pictures, {len(vocabulary)} tokens")


def train_pixels(model: GPT):
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return fit(
        model,
        lambda x: -model.log_prob(x).mean(),
        shape_x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=2000),
        valid=shape_valid,
        steps=2000,
        batch_size=48,
        evaluations=10,
    )


igpt = trained("gpt.pixels", GPT(64, len(vocabulary)), fit=train_pixels)
plots.history(training.history("gpt.pixels"), limit=shapes.entropy, unit="nats a picture")

# %% [markdown]
# Each picture's upper half is given now, and the network draws the rest: what is given goes through `step` like what
# is drawn. Red frames the pictures that are none of the set.


# %%
@torch.no_grad()
def go_on(model: GPT, given: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Texts that begin as given, (n, S), and go on as u says, (n, T − S): int64 (n, T)."""
    tokens, last, past = [], torch.full((len(given),), model.levels), None
    for t in range(given.shape[1] + u.shape[1]):
        logits, past = model.step(last, past)
        cdf = logits.softmax(dim=-1).cumsum(dim=-1)
        known = t < given.shape[1]
        last = given[:, t] if known else (cdf[:, :-1] < u[:, t - given.shape[1], None]).sum(dim=-1)
        tokens.append(last)
    return torch.stack(tokens, dim=1)


def shown(x: torch.Tensor, hidden: bool = False) -> torch.Tensor:
    """Pictures in colours, (n, 3, 18, 18): a frame, red where it is none of the set; hidden: the lower half in blue."""
    framed = F.pad((x / 3).expand(-1, 3, -1, -1).clone(), (1, 1, 1, 1), value=1.0)
    if hidden:
        framed[:, :, 9:17, 1:17] = torch.tensor([0.75, 0.85, 1.0])[:, None, None]
    else:
        frame, red = torch.ones(18, 18, dtype=torch.bool), torch.tensor([0.85, 0.1, 0.1])[:, None, None]
        frame[1:17, 1:17] = False
        wrong = torch.as_tensor(shapes.log_prob(x)).isinf()
        framed = torch.where((wrong[:, None, None] & frame)[:, None], red, framed)
    return framed


with torch.no_grad():
    above = -float(igpt.log_prob(shape_test).mean()) - shapes.entropy
seed_everything(1)
again = [as_pixels(go_on(igpt, shape_test[:200, :32], torch.rand(200, 32))) for _ in range(3)]
right = torch.as_tensor(shapes.log_prob(torch.cat(again))).isfinite().double().mean()
print(f"{above:.2f} nats a picture above the limit of {shapes.entropy:.2f}; {right:.0%} of the halves end well")
data = as_pixels(shape_test[:12])
rows = {"data": shown(data), "given": shown(data, hidden=True)}
plots.image_rows(rows | {f"drawn {k + 1}": shown(x[:12]) for k, x in enumerate(again)})

# %% [markdown]
# Expected:
#
# ![rows of shapes: the data, their upper halves, and three ways in which the network goes on; most are whole shapes of
# the same kind, size and shade](figures/gpt_pixels.png)
#
# And where it looks: for the token in row 4 and column 3 (from 0), the weights of each head, put back where the tokens
# stand; means over 200 pictures. (The weight of a place belongs to the token before, which went in there.)

# %%
place = 8 * 4 + 3
with torch.no_grad():
    igpt.logits(shape_test[:200])
for k, layer in enumerate((m for m in igpt.modules() if isinstance(m, CausalAttention)), start=1):
    weights = layer.weights[:, :, place, 1:].mean(dim=0)  # (heads, 63); the first is the beginning's
    maps = F.pad(weights, (0, 1)).view(-1, 8, 8)
    figure = plots.masks(list(maps), titles=[f"block {k}, head {h + 1}" for h in range(len(maps))])
figure

# %% [markdown]
# Expected, of the last block:
#
# ![four maps of attention over 8 × 8 tokens: dark to the left of the token and above it, pale farther up and at the
# sides](figures/gpt_looks.png)
#
# So it has found out that pictures have two dimensions: it asks its neighbours to the left and above, which a PixelCNN
# is told to do by its kernels. What that is worth can be counted, over all pictures that there are: the line says what
# is possible for whoever sees so many tokens before, the mark where the network ended.

# %%
windows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 32, 48, 63]
every = as_tokens(torch.tensor(shapes.pictures)[:, None])
plots.reach(
    windows,
    small_shapes.above_limit(every, windows),
    {"iGPT": (63, above)},
    unit="nats of a picture above the limit",
)

# %% [markdown]
# Expected:
#
# ![nats above the limit against the tokens that are seen: from 40 with one token a steep fall up to the eighth, which
# stands above, then slow; the network near the line at its end](figures/gpt_pixels_reach.png)
#
# Four tokens before leave 23 nats open, the eighth, which is the one above, brings it to 3.8, two rows to 0.6. The
# network was at 15 after 400 steps, and ends at 1: longer training brings it nearer, and nothing it has not seen is
# missing.

# %% [markdown]
# ### Question E10
#
# A text of twice the length: how much more does one layer of attention compute in training, and how much more does a
# WaveNet of Exercise E5 whose receptive field is to hold that text? What does a GPT keep while it draws, what does a
# WaveNet, and how do both grow? And what do tokens change in this bill?

# %% [markdown]
# ### BEGIN SOLUTION
# Attention compares each of $T$ places with those before it: $T^2/2$ products of length $W$, so four times as many for
# twice the length (its linear layers and the mlp: twice). A dilated convolution costs the same at each place, so twice
# as much in each layer, and one layer more has twice the receptive field: the cost grows as $T \log T$.
#
# While it draws, a GPT keeps the keys and values of all letters in every layer, $2 \cdot T \cdot W$ numbers a layer,
# which grows with $T$, and looks at all of them in each step. A WaveNet keeps $(k-1)\,d$ inputs in each layer: its
# receptive field in all, whatever the length of the text. So what a WaveNet has forgotten is gone, and a GPT finds
# a name again at any distance.
#
# Tokens make the same text shorter, here by a factor of about two: a quarter of the comparisons, half of the steps and
# half to keep, for a larger softmax. With more merges it is more, and what has to be learnt at each place is, too.
#
# **Rubric.** *2 points:* that attention grows with the square of the length **and** what is kept: keys and values of
# all letters, against a window of fixed size. *1 point:* one of the two.
# ### END SOLUTION

# %% [markdown]
# ### Check

# %%
check("gpt")
