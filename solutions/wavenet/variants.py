"""Right designs for WaveNet that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

CONV = "self.conv = CausalConv1d(width, 2 * width, kernel, dilation)\n        self.out = nn.Conv1d(width, 2 * width, 1)"
ENTERED = "return self.first((2 * x / (self.levels - 1) - 1)[:, None])"
HEAD = "nn.Sequential(nn.ReLU(), nn.Conv1d(width, 2 * width, 1), nn.ReLU(), nn.Conv1d(2 * width, levels, 1))"

# What is only compared with is not trained: no check asks for it.
ALONE = (
    'plain = trained("wavenet.plain", WaveNet(echo.length, dilations=PLAIN), fit=train_wavenet)',
    "plain = WaveNet(echo.length, dilations=PLAIN)",
)

VARIANTS = (
    Variant(
        "stated-recipe",
        "wavenet",
        "a convolution of its own for every letter of the formulas",
        (
            (
                CONV,
                "self.conv, self.W_g = (CausalConv1d(width, width, kernel, dilation) for _ in range(2))\n"
                "        self.W_r, self.W_s = nn.Conv1d(width, width, 1), nn.Conv1d(width, width, 1)",
            ),
            ALONE,
            (
                Body("GatedBlock.forward"),
                "        z = torch.tanh(self.conv(x)) * torch.sigmoid(self.W_g(x))\n"
                "        return x + self.W_r(z), self.W_s(z)\n",
            ),
            (
                Body("GatedBlock.step"),
                "        f, after = self.conv.step(x, past)\n"
                "        g, _ = self.W_g.step(x, past)\n"
                "        z = (torch.tanh(f) * torch.sigmoid(g))[..., None]\n"
                "        return x + self.W_r(z)[..., 0], self.W_s(z)[..., 0], after\n",
            ),
        ),
    ),
    Variant(
        "orthogonal-and-smooth",
        "wavenet",
        "orthogonal kernels to begin with, a smooth head with a third layer",
        (
            (
                f"self.head = {HEAD}",
                "self.head = nn.Sequential(nn.SiLU(), nn.Conv1d(width, 2 * width, 1), nn.SiLU(), "
                "nn.Conv1d(2 * width, 2 * width, 1), nn.SiLU(), nn.Conv1d(2 * width, levels, 1))\n"
                "        for block in self.blocks:\n"
                "            nn.init.orthogonal_(block.conv.weight)",
            ),
            ALONE,
        ),
    ),
    Variant(
        "channels-last",
        "wavenet",
        "the sums of the convolution are written out; draws keep all there was, in lists",
        (
            (
                "return F.conv1d(F.pad(x, (self.kept, 0)), self.weight, self.bias, dilation=self.dilation)",
                "padded, T = F.pad(x, (self.kept, 0)).movedim(1, 2), x.shape[2]  # (B, kept + T, in)\n"
                "        taps = [padded[:, j * self.dilation[0] : j * self.dilation[0] + T] for j in range(self.kernel_size[0])]\n"
                '        return torch.einsum("jbti,oij->bot", torch.stack(taps), self.weight) + self.bias[:, None]',
            ),
            (
                Body("WaveNet.draw"),
                "        n, T = u.shape\n"
                "        levels, h = [], torch.zeros(n, self.width)\n"
                "        seen = [[torch.zeros(n, self.width)] * b.conv.kept for b in self.blocks]\n"
                "        for t in range(T):\n"
                "            skips = []\n"
                "            for block, past in zip(self.blocks, seen):\n"
                "                now = torch.stack(past[len(past) - block.conv.kept :], dim=-1)\n"
                "                past.append(h)\n"
                "                h, skip, _ = block.step(h, now)\n"
                "                skips.append(skip)\n"
                "            p = self.head(sum(skips)[:, :, None])[:, :, 0].double().softmax(dim=1)\n"
                "            level = torch.searchsorted(p.cumsum(dim=1), u[:, t, None].double()).clamp(max=self.levels - 1)\n"
                "            levels.append(level)\n"
                "            h = self.entered(level)[:, :, 0]\n"
                "        return torch.cat(levels, dim=1)\n",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "weights-with-a-norm",
        "wavenet",
        "weights as length and direction, outputs that begin at zero, and logits with their normaliser taken away",
        (
            (
                "self.out = nn.Conv1d(width, 2 * width, 1)",
                "self.out = nn.Conv1d(width, 2 * width, 1)\n"
                "        nn.init.zeros_(self.out.weight)\n"
                "        nn.init.zeros_(self.out.bias)",
            ),
            (
                "self.first = nn.Conv1d(1, width, 1)",
                "self.first = nn.utils.parametrizations.weight_norm(nn.Conv1d(1, width, 1))",
            ),
            (
                "return self.head(total).movedim(1, -1)",
                "return self.head(total).movedim(1, -1).log_softmax(dim=-1)",
            ),
        ),
        weights="none",
    ),
    Variant(
        "levels-by-a-table",
        "wavenet",
        "levels enter by an embedding; skips are stacked; draws by searchsorted; the first value reads nothing, by roll",
        (
            ("self.first = nn.Conv1d(1, width, 1)", "self.first = nn.Embedding(levels, width)"),
            (ENTERED, "return self.first(x).movedim(-1, 1)"),
            (
                "h = F.pad(self.entered(x)[..., :-1], (1, 0))",
                "h = self.entered(x).roll(1, dims=-1)\n        h[..., 0] = 0",
            ),
            (
                "        for block in self.blocks:\n            h, skip = block(h)\n            total = total + skip\n",
                "        skips = []\n"
                "        for block in self.blocks:\n"
                "            h, skip = block(h)\n"
                "            skips.append(skip)\n"
                "        total = torch.stack(skips).sum(dim=0)\n",
            ),
            (
                "(cdf[:, :-1] < u[:, t, None]).sum(dim=-1)\n            h = self.entered",
                "torch.searchsorted(cdf[:, :-1].contiguous(), u[:, t, None].contiguous())[:, 0]\n"
                "            h = self.entered",
            ),
        ),
        weights="none",
    ),
    Variant(
        "frozen-entrance",
        "wavenet",
        "what enters is made of two layers, of which the first is not trained",
        (
            (
                "self.first = nn.Conv1d(1, width, 1)",
                "self.first = nn.Sequential(nn.Conv1d(1, width, 1).requires_grad_(False), nn.Conv1d(width, width, 1))",
            ),
        ),
        weights="none",
    ),
)
