"""Right designs for the hierarchy that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

# What is only compared with is not trained: no check asks for it.
ALONE = (
    (
        'feedforward = trained("hierarchical_ar.feedforward", Coder(tiles.shape, 3), '
        "fit=lambda m: train_coder(m, everywhere))",
        "feedforward = Coder(tiles.shape, 3)",
    ),
    (
        'local = trained("hierarchical_ar.local", with_coder(feedforward), fit=train_local)',
        "local = with_coder(feedforward)",
    ),
    (
        'pixelcnn = trained("hierarchical_ar.pixelcnn", Causal((16, 16), levels=3), fit=train_pixels)',
        "pixelcnn = Causal((16, 16), levels=3)",
    ),
)
HIDE = (
    "planes = F.one_hot(x[:, 0], levels).movedim(-1, 1).float()\n"
    "    return torch.cat([planes * ~hidden, hidden.float()], dim=1)"
)
PREDICTION = "return F.cross_entropy(self.predict(z_q, x, hidden)[hidden], x[hidden])"
QUANTIZED = (
    "e = self.lookup(self.nearest(z))\n"
    "        return z + (e - z).detach(), F.mse_loss(e, z.detach()), F.mse_loss(z, e.detach())"
)
BIAS = "self.bias = nn.Parameter(0.1 * torch.randn(width, *size))"
HEAD = "self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))"

VARIANTS = (
    Variant(
        "stated-recipe",
        "hierarchical_ar",
        "planes by comparing levels, a loss by the mask's sum, a quantizer with rows",
        (
            (
                HIDE,
                "planes = (x == torch.arange(levels, device=x.device)[:, None, None]) & ~hidden\n"
                "    return torch.cat([planes, hidden], dim=1).float()",
            ),
            (
                PREDICTION,
                "log_p = F.log_softmax(self.predict(z_q, x, hidden), dim=-1).gather(-1, x[..., None])[..., 0]\n"
                "        return -(log_p * hidden).sum() / hidden.sum()",
            ),
            (
                QUANTIZED,
                "e = F.embedding(self.nearest(z), self.codebook).permute(0, 3, 1, 2)\n"
                "        codebook, commitment = (e - z.detach()).square().mean(), (z - e.detach()).square().mean()\n"
                "        return (e - z).detach() + z, codebook, commitment",
            ),
            *ALONE,
        ),
    ),
    Variant(
        "orthogonal-and-smooth",
        "hierarchical_ar",
        "orthogonal kernels to begin with, biases that begin at zero, smooth networks",
        (
            (BIAS, BIAS.replace("0.1 * torch.randn(", "torch.zeros(")),
            (
                HEAD,
                "self.head = nn.Sequential(nn.SiLU(), nn.Conv2d(width, levels, 1))\n"
                "        for module in self.modules():\n"
                "            if isinstance(module, MaskedConv2d):\n"
                "                nn.init.orthogonal_(module.weight)",
            ),
            (
                "nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(width, width, S, stride=S)",
                "nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.ConvTranspose2d(width, width, S, stride=S)",
            ),
            *ALONE,
        ),
    ),
    Variant(
        "written-out",
        "hierarchical_ar",
        "one network's planes by loops, draws by cumulative sums, both losses side by side",
        (
            (
                HIDE,
                "B, _, H, W = x.shape\n"
                "    out = torch.zeros(B, levels + 1, H, W, device=x.device)\n"
                "    for level in range(levels):\n"
                "        out[:, level] = ((x == level) & ~hidden)[:, 0]\n"
                "    out[:, levels] = hidden[:, 0]\n"
                "    return out",
            ),
            (
                Body("Causal.log_prob"),
                "        nll = F.cross_entropy(self.logits(v, e).movedim(-1, 1), v, reduction='none')\n"
                "        return -nll.sum(dim=(1, 2))\n",
            ),
            (
                Body("Causal.sample"),
                "        H, W = self.size\n"
                "        v = torch.zeros(n, H * W, dtype=torch.long)\n"
                "        for i in range(H * W):\n"
                "            p = self.logits(v.view(n, H, W), e).flatten(1, 2)[:, i].double().softmax(dim=-1)\n"
                "            v[:, i] = (p.cumsum(dim=-1)[:, :-1] < torch.rand(n, 1)).sum(dim=-1)\n"
                "        return v.view(n, H, W)\n",
            ),
            (
                Body("HierarchicalAR.bound"),
                "        k = self.encode(x)\n"
                "        nats = [self.prior.log_prob(k), self.decoder.log_prob(x[:, 0], self.spread(k))]\n"
                "        return -torch.stack(nats).sum(dim=0)\n",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "other-parts",
        "hierarchical_ar",
        "codes as planes, pixels shuffled up, a bias of a row and one of a column, a smooth encoder that begins frozen",
        (
            (
                BIAS,
                "H, W = size\n"
                "        self.row, self.column = nn.Parameter(torch.zeros(width, H, 1)), nn.Parameter(torch.zeros(width, 1, W))",
            ),
            (" + self.bias + e", " + self.row + self.column + e"),
            ("self.embedding = nn.Embedding(codes, width)", "self.embedding = nn.Linear(codes, width, bias=False)"),
            (
                "nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(width, width, S, stride=S),",
                "nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width * S * S, 1), nn.PixelShuffle(S),",
            ),
            (
                "return self.up(self.embedding(k).movedim(-1, 1))",
                "return self.up(self.embedding(F.one_hot(k, self.codes).float()).permute(0, 3, 1, 2))",
            ),
            (
                "nn.Conv2d(levels + 1, width, S, stride=S), nn.ReLU(), nn.Conv2d(width, dims, 1),",
                "nn.Conv2d(levels + 1, width, S, stride=S, bias=False).requires_grad_(False), nn.GELU(),\n"
                "            nn.Conv2d(width, dims, 1),",
            ),
        ),
        weights="none",
    ),
)
