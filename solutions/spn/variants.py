"""Right designs for the subscale network that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

# What is only compared with is not trained: no check asks for it.
ALONE = (
    'raster = trained("spn.raster", SPN(corners.shape, levels=2, S=1), fit=train_raster)',
    "raster = SPN(corners.shape, levels=2, S=1)",
)
LOGITS = (
    "B, n = len(x), self.S**2\n"
    "        s = slices(x, self.S)  # (B, n, h, w)\n"
    "        k = torch.arange(n, device=x.device).repeat(B)\n"
    "        out = self.decode(s.flatten(0, 1), self.embed(s.repeat_interleave(n, dim=0), k))\n"
    "        return merge(out.unflatten(0, (B, n)), self.S)"
)
ONE_BY_ONE = (
    "s = slices(x, self.S)\n"
    "        at = [torch.full((len(x),), k) for k in range(self.S**2)]\n"
    "        return merge(torch.stack([self.decode(s[:, int(k[0])], self.embed(s, k)) for k in at], dim=1), self.S)"
)
SLICES = (
    "B, _, H, W = x.shape\n"
    "    apart = x.reshape(B, H // S, S, W // S, S)  # i, a, j, b\n"
    "    return apart.permute(0, 2, 4, 1, 3).reshape(B, S * S, H // S, W // S)"
)
MERGE = (
    "apart = s.reshape(B, S, S, h, w, *s.shape[4:]).movedim((1, 2), (2, 4))  # i, a, j, b\n"
    "    return apart.reshape(B, 1, h * S, w * S, *s.shape[4:])"
)
TOLD = (
    "known = torch.arange(v.shape[1], device=v.device) < k[:, None]  # (B, S²)\n"
    "    known = known[:, :, None, None].expand(v.shape).to(v.dtype)\n"
    "    return torch.cat([v * known, known], dim=1)"
)

VARIANTS = (
    Variant(
        "stated-recipe",
        "spn",
        "slices by strides, one slice after the other in logits",
        (
            (SLICES, "return torch.stack([x[:, 0, a::S, b::S] for a in range(S) for b in range(S)], dim=1)"),
            (LOGITS, ONE_BY_ONE),
            ALONE,
        ),
    ),
    Variant(
        "orthogonal-and-smooth",
        "spn",
        "orthogonal kernels to begin with, a bias that begins at zero, and a smooth embedding",
        (
            ("nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)", "nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)"),
            ("nn.Parameter(0.1 * torch.randn(", "nn.Parameter(torch.zeros("),
            (
                "self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))",
                "self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))\n"
                "        for module in self.modules():\n"
                "            if isinstance(module, MaskedConv2d):\n"
                "                nn.init.orthogonal_(module.weight)",
            ),
            ALONE,
        ),
    ),
    Variant(
        "written-out",
        "spn",
        "loops over offsets, channels filled one by one, and draws by cumulative sums",
        (
            (
                MERGE,
                "x = s.new_empty(B, 1, h * S, w * S, *s.shape[4:])\n"
                "    for k in range(S * S):\n"
                "        x[:, 0, k // S :: S, k % S :: S] = s[:, k]\n"
                "    return x",
            ),
            (
                TOLD,
                "n = v.shape[1]\n"
                "    rows = []\n"
                "    for one, at in zip(v, k.tolist()):\n"
                "        known = torch.zeros_like(one)\n"
                "        known[:at] = 1\n"
                "        rows.append(torch.cat([torch.where(known > 0, one, 0.0), known]))\n"
                "    return torch.stack(rows) if rows else v.new_zeros(0, 2 * n, *v.shape[2:])",
            ),
            (
                Body("SPN.upscale"),
                "        B, K, h, w = s.shape\n"
                "        every = torch.zeros(B, self.S**2, h * w, dtype=torch.long)\n"
                "        every[:, :K] = s.flatten(2)\n"
                "        for k in range(K, self.S**2):\n"
                "            for i in range(h * w):\n"
                "                x = merge(every.view(B, -1, h, w), self.S)\n"
                "                p = slices_of(self.logits(x), self.S)[:, k, i].double().softmax(dim=-1)\n"
                "                every[:, k, i] = (p.cumsum(dim=-1)[:, :-1] < torch.rand(B, 1)).sum(dim=-1)\n"
                "        return merge(every.view(B, -1, h, w), self.S)\n",
            ),
            (
                "class SPN(nn.Module):",
                "def slices_of(logits, S):\n"
                "    parts = [logits[:, 0, a::S, b::S].flatten(1, 2) for a in range(S) for b in range(S)]\n"
                "    return torch.stack(parts, dim=1)\n\n\n"
                "class SPN(nn.Module):",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "slow-and-single",
        "spn",
        "every slice of every picture asked alone; biases in a list, which begin at zero; densities in double precision",
        (
            (
                LOGITS,
                "s = slices(x, self.S)\n"
                "        at = torch.arange(self.S**2).unsqueeze(1)\n"
                "        each = [[self.decode(one[None, k], self.embed(one[None], at[k])) for k in range(len(at))] for one in s]\n"
                "        return merge(torch.cat([torch.stack(row, dim=1) for row in each]), self.S)",
            ),
            (
                "self.bias = nn.Parameter(0.1 * torch.randn(S * S, width, H // S, W // S))",
                "zeros = [torch.zeros(width, H // S, W // S) for _ in range(S * S)]\n"
                "        self.bias = nn.ParameterList([nn.Parameter(zero) for zero in zeros])",
            ),
            ("+ self.bias[k]", "+ torch.stack(list(self.bias))[k]"),
            (
                Body("SPN.log_prob"),
                "        log_p = self.logits(x).double().log_softmax(dim=-1)\n"
                "        return torch.take_along_dim(log_p, x[..., None], dim=-1).flatten(1).sum(dim=1).float()\n",
            ),
        ),
        weights="none",
    ),
)
