"""Right designs for HW5 that look nothing like the reference."""

from autograder.proof.changes import Body, Variant

# Attention among the tokens, with tables of embeddings, and a norm before each layer.
ATTENTION = """        width = 32
        self.tokens = nn.Embedding(bins + 1, width)
        self.places = nn.Parameter(torch.randn(dims, width))
        self.mix = nn.MultiheadAttention(width, 2, batch_first=True)
        self.before, self.between, self.after = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.each = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.head = nn.Linear(width, bins)
"""
DROP = "    return torch.where(torch.rand(len(y)) < rate, none, y)\n"

VARIANTS = (
    # ---- 5.4 ----
    Variant(
        "stated-recipe",
        "masked_diffusion",
        "two hidden layers written out, trained as the text says",
        (
            (
                Body("MaskedDiffusion.__init__"),
                """        self.first = nn.Linear(dims * (bins + 1), hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, dims * bins)
""",
            ),
            (
                Body("MaskedDiffusion.logits"),
                """        h = F.one_hot(z, self.bins + 1).float().reshape(len(z), -1)
        h = torch.relu(self.first(h))
        h = torch.relu(self.second(h))
        return self.last(h).reshape(len(z), self.dims, self.bins)
""",
            ),
            (
                Body("MaskedDiffusion.nats"),
                """        each = F.cross_entropy(self.logits(z).flatten(0, 1), x.flatten(), reduction="none").view(x.shape)
        return (each * (z == self.bins)).sum(dim=1)
""",
            ),
            (
                "t = (torch.arange(len(x)) + 1 - torch.rand(len(x))) / len(x)  # one in each of B stretches of (0, 1]",
                "t = (torch.arange(len(x)) + (1 - torch.rand(len(x)))) / len(x)",
            ),
        ),
    ),
    Variant(
        "attention-and-orders",
        "masked_diffusion",
        "attention over embedded tokens; the bound as a mean over all orders; Bernoulli masks, Gumbel draws",
        (
            (Body("MaskedDiffusion.__init__"), ATTENTION),
            (
                Body("MaskedDiffusion.logits"),
                """        h = self.tokens(z) + self.places
        g = self.before(h)
        h = h + self.mix(g, g, g, need_weights=False)[0]
        h = h + self.each(self.between(h))
        return self.head(self.after(h))
""",
            ),
            (
                Body("MaskedDiffusion.corrupt"),
                """        z = x.clone()
        z[torch.bernoulli(t[:, None].expand(x.shape)) == 1] = self.bins
        return z
""",
            ),
            (
                Body("MaskedDiffusion.bound"),
                """        orders = list(itertools.permutations(range(self.dims)))
        total = 0
        for order in orders:
            z = torch.full_like(x, self.bins)
            for i in order:
                log_p = torch.log_softmax(self.logits(z)[:, i], -1)
                total = total - log_p[torch.arange(len(x)), x[:, i]]
                z[:, i] = x[:, i]
        return total / len(orders)
""",
            ),
            (
                Body("MaskedDiffusion.reverse_step"),
                """        z = z.clone()
        logits = self.logits(z)
        drawn = (logits - torch.log(-torch.log(torch.rand_like(logits)))).argmax(-1)
        stays = torch.rand(z.shape) < s / t
        z[(z == self.bins) & ~stays] = drawn[(z == self.bins) & ~stays]
        return z
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "carries-over",
        "masked_diffusion",
        "what is shown has probability one, as in the paper; the loss in full, an example at a time; a mask for each step",
        (
            (
                Body("MaskedDiffusion.logits"),
                """        one_hot = F.one_hot(z, self.bins + 1)
        logits = self.net(one_hot.float().flatten(1)).view(-1, self.dims, self.bins)
        shown = (one_hot[..., : self.bins].float()).log()  # 0 and −∞
        return torch.where((z == self.bins)[..., None], logits, shown)
""",
            ),
            (
                Body("MaskedDiffusion.loss"),
                """        z, losses = self.corrupt(x, t), []
        log_p = self.logits(z).log_softmax(-1)
        for b in range(len(x)):
            hidden = z[b] == self.bins
            picked = log_p[b, torch.arange(self.dims), x[b]]
            losses.append(-picked[hidden].sum() / t[b])
        return torch.stack(losses)
""",
            ),
            (
                Body("MaskedDiffusion.sample"),
                """        grid = torch.linspace(1, 0, steps + 1).tolist()
        z = torch.zeros(n, self.dims, dtype=torch.long) + self.bins
        for t, s in zip(grid[:-1], grid[1:]):
            z = self.reverse_step(z, t, s)
        return z
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "norms-and-a-count",
        "masked_diffusion",
        "batch normalisation and dropout; the share of masks as an input; logits of both tokens in another layout",
        (
            (
                Body("MaskedDiffusion.__init__"),
                """        self.net = nn.Sequential(
            nn.Linear(dims * bins + 1, hidden), nn.BatchNorm1d(hidden), nn.GELU(), nn.Dropout(0.1),
            nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.GELU(), nn.Linear(hidden, bins * dims),
        )
""",
            ),
            (
                Body("MaskedDiffusion.logits"),
                """        shown = F.one_hot(z, self.bins + 1)[..., :-1].float().flatten(1)  # a mask is no level: zeros
        share = (z == self.bins).float().mean(dim=1, keepdim=True)
        return self.net(torch.cat([shown, share], dim=1)).view(-1, self.bins, self.dims).mT
""",
            ),
        ),
        weights="none",
    ),
    # ---- 5.5 ----
    Variant(
        "stated-recipe",
        "guided_dit",
        "attention by torch's own layer, trained as the text says",
        (
            (
                Body("DiTBlock.__init__"),
                """        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        nn.init.zeros_(self.modulation[1].weight)
        nn.init.zeros_(self.modulation[1].bias)
""",
            ),
            (
                Body("DiTBlock.forward"),
                """        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulation(c).unsqueeze(1).chunk(6, dim=2)
        a = self.norm1(h) * (1 + scale1) + shift1
        h = h + gate1 * self.attention(a, a, a, need_weights=False)[0]
        return h + gate2 * self.mlp(self.norm2(h) * (1 + scale2) + shift2)
""",
            ),
        ),
    ),
    Variant(
        "learned-times",
        "guided_dit",
        "pixel_unshuffle for patches; a table of times, v-prediction, a plain last layer; both velocities in one batch",
        (
            (
                """    B, C, H, W = x.shape
    squares = x.reshape(B, C, H // size, size, W // size, size).permute(0, 2, 4, 1, 3, 5)  # (B, H', W', C, p, p)
    return squares.reshape(B, -1, C * size**2)
""",
                "    return F.pixel_unshuffle(x, size).flatten(2).transpose(1, 2)\n",
            ),
            (
                """    C, H, W = shape
    squares = tokens.reshape(-1, H // size, W // size, C, size, size).permute(0, 3, 1, 4, 2, 5)  # (B, C, H', p, W', p)
    return squares.reshape(-1, C, H, W)
""",
                "    planes = tokens.mT.unflatten(2, (shape[1] // size, shape[2] // size))\n"
                "    return F.pixel_shuffle(planes, size)\n",
            ),
            (
                DROP,
                """    y = y.clone()
    y[torch.bernoulli(torch.full((len(y),), float(rate))).bool()] = none
    return y
""",
            ),
            (
                Body("DiT.__init__"),
                """        C, H, W = shape
        self.tokens = nn.Linear(C * patch**2, width)
        self.places = nn.Embedding(H * W // patch**2, width)
        self.labels, self.times = nn.Embedding(classes + 1, width), nn.Embedding(1001, width)
        self.blocks = nn.Sequential(*(DiTBlock(width, heads) for _ in range(depth)))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, C * patch**2))
""",
            ),
            (
                Body("DiT.velocity"),
                """        c = self.times((1000 * t).round().long()) + self.labels(y)
        h = self.tokens(patchify(x, self.patch)) + self.places.weight
        for block in self.blocks:
            h = block(h, c)
        return unpatchify(self.last(h), self.patch, self.shape)
""",
            ),
            (
                Body("DiT.loss"),
                """        losses = []
        for one, eps, at, label in zip(x, noise, t, y):
            v = self.velocity((eps + at * (one - eps))[None], at[None], label[None])[0]
            losses.append(F.mse_loss(v, one - eps))
        return torch.stack(losses)
""",
            ),
            (
                Body("DiT.guided"),
                """        both = self.velocity(x.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([y, 0 * y + self.classes]))
        with_label, without = both.chunk(2)
        return w * with_label + (1 - w) * without
""",
            ),
            (
                Body("DiT.generate"),
                """        x, t = noise.clone(), torch.zeros(len(noise))
        for _ in range(steps):
            x += self.guided(x, t, y, w) * (1.0 / steps)
            t += 1.0 / steps
        return x.clamp(-1, 1)
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "unet",
        "guided_dit",
        "a U-Net in the place of the transformer, with group norms and a scale and shift by time and label",
        (
            (
                Body("DiT.__init__"),
                """        C, w = shape[0], width
        self.embed = nn.Sequential(nn.Linear(1 + classes + 1, w), nn.SiLU(), nn.Linear(w, 4 * w))
        self.into, self.down = nn.Conv2d(C, w, 3, padding=1), nn.Conv2d(w, w, 4, stride=2, padding=1)
        self.lower = nn.Conv2d(w, w, 4, stride=4)
        self.middle = nn.Conv2d(w, w, 3, padding=1)
        self.rise = nn.Upsample(scale_factor=4)
        self.up, self.out = nn.ConvTranspose2d(w, w, 4, stride=2, padding=1), nn.Conv2d(2 * w, C, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(4, w) for _ in range(2))
""",
            ),
            (
                Body("DiT.velocity"),
                """        c = self.embed(torch.cat([t[:, None], F.one_hot(y, self.classes + 1).float()], dim=1))
        a, b, d, e = c[:, :, None, None].chunk(4, dim=1)
        top = self.into(x)
        h = F.silu(self.norms[0](self.down(top)) * (1 + a) + b)
        deep = self.middle(self.lower(h) + d)
        whole = deep.mean(dim=(2, 3), keepdim=True)
        h = F.silu(self.norms[1](h + self.rise(deep)) * (1 + e) + whole)
        return self.out(torch.cat([top, self.up(h)], dim=1))
""",
            ),
        ),
        weights="none",
    ),
)
