"""Right designs for PixelSNAIL that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

LAYERS = (
    "self.question = nn.Conv2d(asks, keys, 1)\n"
    "        self.key, self.value = nn.Conv2d(tells, keys, 1), nn.Conv2d(tells, values, 1)"
)
READ = "q, k, v = (rows(h) for h in (self.question(asks), self.key(tells), self.value(tells)))  # (B, N, …)"
WEIGHTS = (
    "past = torch.ones(N, N, dtype=torch.bool, device=q.device).tril(-1)  # j < i\n"
    "    scores = (q @ k.transpose(1, 2) / d**0.5).masked_fill(~past, torch.finfo(q.dtype).min)\n"
    "    return scores.softmax(dim=-1) * past"
)
GATE = "a, b = self.W_2(F.elu(h)).chunk(2, dim=1)\n        return x + a * torch.sigmoid(b)\n        ### END SOLUTION"

# What is only compared with is not trained: no check asks for it.
ALONE = (
    'gated = trained("pixelsnail.gated", GatedPixelCNN(corners.shape, levels=2), fit=train_gated)',
    "gated = GatedPixelCNN(corners.shape, levels=2)",
)

VARIANTS = (
    Variant(
        "stated-recipe",
        "pixelsnail",
        "one layer for keys and values, and the first row is left out of the softmax",
        (
            (
                LAYERS,
                "self.question = nn.Conv2d(asks, keys, 1)\n"
                "        self.told, self.sizes = nn.Conv2d(tells, keys + values, 1), [keys, values]",
            ),
            (READ, "q, (k, v) = rows(self.question(asks)), rows(self.told(tells)).split(self.sizes, dim=2)"),
            (
                WEIGHTS,
                "future = torch.ones(N - 1, N - 1, dtype=torch.bool).triu(1)\n"
                "    scores = torch.einsum('bid,bjd->bij', q[:, 1:], k[:, :-1]) / d**0.5\n"
                "    return F.pad(scores.masked_fill(future, float('-inf')).softmax(dim=-1), (0, 1, 1, 0))",
            ),
            ALONE,
        ),
    ),
    Variant(
        "orthogonal-and-smooth",
        "pixelsnail",
        "orthogonal kernels to begin with, and a head with a layer more",
        (
            (
                "self.head = nn.Sequential(nn.ELU(), nn.Conv2d(width, levels, 1))",
                "self.head = nn.Sequential(nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, levels, 1))\n"
                "        for module in self.modules():\n"
                "            if isinstance(module, CausalConv2d):\n"
                "                nn.init.orthogonal_(module.weight)",
            ),
            ALONE,
        ),
    ),
    Variant(
        "written-out",
        "pixelsnail",
        "weights by exponentials, channels last, and draws from what is above alone",
        (
            (
                WEIGHTS,
                "scores = torch.einsum('bid,bjd->bij', q, k) * d**-0.5\n"
                "    past = torch.tril(torch.ones_like(scores[0]), diagonal=-1)\n"
                "    scores = scores - (scores - 1e30 * (1 - past)).amax(dim=2, keepdim=True).clamp_min(-1e29).detach()\n"
                "    e = torch.where(past > 0, scores.clamp_max(0).exp(), 0.0)\n"
                "    return e / e.sum(dim=2, keepdim=True).clamp_min(1e-30)",
            ),
            (
                GATE,
                "a, b = self.W_2(F.elu(h)).movedim(1, -1).split(x.shape[1], dim=-1)\n"
                "        return (x.movedim(1, -1) + a / (1 + (-b).exp())).movedim(-1, 1)\n"
                "        ### END SOLUTION",
            ),
            (
                Body("PixelSNAIL.sample"),
                "        _, H, W = self.shape\n"
                "        flat = torch.zeros(n, H * W, dtype=torch.long)\n"
                "        for k in range(H * W):\n"
                "            p = self.logits(flat.view(n, 1, H, W)).flatten(1, 3)[:, k].double().softmax(dim=-1)\n"
                "            flat[:, k] = (p.cumsum(dim=-1)[:, :-1] < torch.rand(n, 1)).sum(dim=-1)\n"
                "        return flat.view(n, 1, H, W)\n",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "as-in-the-paper",
        "pixelsnail",
        "places that count from −1/2 to 1/2; weight norm; a gate by a layer of its own, which begins at zero",
        (
            (
                "self.W_1, self.W_2 = CausalConv2d(width, width, k), CausalConv2d(width, 2 * width, k)",
                "self.W_1 = nn.utils.parametrizations.weight_norm(CausalConv2d(width, width, k))\n"
                "        self.W_a, self.W_b = CausalConv2d(width, width, k), CausalConv2d(width, width, k)\n"
                "        nn.init.zeros_(self.W_a.weight)",
            ),
            (
                GATE,
                "h = F.elu(h)\n        return x + F.glu(torch.cat([self.W_a(h), self.W_b(h)], dim=1), dim=1)\n"
                "        ### END SOLUTION",
            ),
            (
                'self.register_buffer("places", places(H, W))',
                "row, column = (torch.linspace(-0.5, 0.5, n) for n in (H, W))\n"
                "        at = torch.stack(torch.meshgrid(row, column, indexing='ij'))\n"
                "        self.places = nn.Parameter(at, requires_grad=False)",
            ),
            ("asks = width + H + W", "asks = width + 2"),
        ),
        weights="none",
    ),
)
