"""Right designs for PixelCNN++ that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

LINES = (
    "alpha, beta, gamma = tied.unbind(dim=2)  # (B, K, H, W)\n"
    "    R, G = x[:, None, 0], x[:, None, 1]  # (B, 1, H, W)\n"
    "    return torch.stack([mu[:, :, 0], mu[:, :, 1] + alpha * R, mu[:, :, 2] + beta * R + gamma * G], dim=2)"
)
INSIDE = "inside = below + above + torch.log(-torch.expm1(-delta / s))"
PIXEL = (
    "log_p = log_bins(x[:, None], mu, log_s, levels).sum(dim=2)  # of the three colours, (B, K, H, W)\n"
    "    return torch.logsumexp(log_pi + log_p, dim=1)"
)
DOWN = "return F.pad(x, (0, 0, 1, 0))[:, :, :-1]"
RIGHT = "return F.pad(x, (1, 0))[..., :-1]"
PADDED = "return super().forward(F.pad(x, (*beside, h - 1, 0)))"

# What is only compared with is not trained: no check asks for it.
ALONE = (
    ('softmax = trained("pixelcnnpp.softmax", SoftmaxPixelCNN(tints.shape, tints.levels), fit=train_pixelcnnpp)',
     "softmax = SoftmaxPixelCNN(tints.shape, tints.levels)"),
    ('mixture_100 = trained("pixelcnnpp.mixture_100", PixelCNNpp(*new), fit=train_on_100)', "mixture_100 = pixelcnnpp"),
    ('mixture_1000 = trained("pixelcnnpp.mixture_1000", PixelCNNpp(*new), fit=train_on_1000)',
     "mixture_1000 = pixelcnnpp"),
    ('softmax_100 = trained("pixelcnnpp.softmax_100", SoftmaxPixelCNN(*new), fit=train_on_100)',
     "softmax_100 = softmax"),
    ('softmax_1000 = trained("pixelcnnpp.softmax_1000", SoftmaxPixelCNN(*new), fit=train_on_1000)',
     "softmax_1000 = softmax"),
)  # fmt: skip

VARIANTS = (
    Variant(
        "stated-recipe", "pixelcnnpp", "the formulas colour by colour, as they stand in the text",
        ((LINES,
          "R, G = x[:, None, 0], x[:, None, 1]\n"
          "    means = mu.clone()\n"
          "    means[:, :, 1] = mu[:, :, 1] + tied[:, :, 0] * R\n"
          "    means[:, :, 2] = mu[:, :, 2] + tied[:, :, 1] * R + tied[:, :, 2] * G\n"
          "    return means"),
         (PIXEL,
          "for c in range(3):\n"
          "        log_pi = log_pi + log_bins(x[:, None, c], mu[:, :, c], log_s[:, :, c], levels)\n"
          "    return log_pi.logsumexp(dim=1)"),
         *ALONE),
    ),
    Variant(
        "orthogonal", "pixelcnnpp", "orthogonal kernels to begin with, and means that are spread",
        (("self.head = nn.Conv2d(width, 10 * components, 1)",
          "self.head = nn.Conv2d(width, 10 * components, 1)\n"
          "        for module in self.modules():\n"
          "            if isinstance(module, ShiftedConv2d):\n"
          "                nn.init.orthogonal_(module.weight)\n"
          "        with torch.no_grad():\n"
          "            self.head.bias[components : 4 * components] = torch.linspace(-1, 1, components).repeat(3)"),
         *ALONE),
    ),
    Variant(
        "written-out", "pixelcnnpp", "concatenated zeros in the place of padding, and draws by the levels' probabilities",
        ((DOWN, "return torch.cat([torch.zeros_like(x[:, :, :1]), x[:, :, :-1]], dim=2)"),
         (RIGHT, "return torch.cat([torch.zeros_like(x[..., :1]), x[..., :-1]], dim=3)"),
         (INSIDE, "inside = below + above + torch.log1p(-torch.exp(-delta / s))"),
         (PADDED,
          "left, right = beside\n"
          "        zeros = lambda height, width: x.new_zeros(len(x), x.shape[1], height, width)\n"
          "        x = torch.cat([zeros(x.shape[2], left), x, zeros(x.shape[2], right)], dim=3)\n"
          "        return super().forward(torch.cat([zeros(h - 1, x.shape[3]), x], dim=2))"),
         (Body("PixelCNNpp.sample"),
          "        x = torch.zeros(n, *self.shape, dtype=torch.long)\n"
          "        for k in range(3 * self.shape[1] * self.shape[2]):\n"
          "            (pixel, c), W = divmod(k, 3), self.shape[2]\n"
          "            i, j = divmod(pixel, W)\n"
          "            p = self.logits(x)[:, c, i, j].softmax(dim=-1)\n"
          "            x[:, c, i, j] = torch.multinomial(p, 1)[:, 0]\n"
          "        return x\n")),
        weights="reference",
    ),
    Variant(
        "other-parts", "pixelcnnpp", "ones stand first, as a buffer; a head of zeros, its bias frozen; normalised weights",
        (("v = torch.cat([v, torch.ones_like(v[:, :1])], dim=1)",
          "v = torch.cat([self.one.expand(len(v), 1, *v.shape[2:]), v], dim=1)"),
         ("torch.cat([u, kept_ul], dim=1)", "torch.cat([kept_ul, u], dim=1)"),
         ("self.head = nn.Conv2d(width, 10 * components, 1)",
          "self.register_buffer('one', torch.ones(1, 1, 1, 1))\n"
          "        self.left = nn.utils.parametrizations.weight_norm(self.left)\n"
          "        self.head = nn.Conv2d(width, 10 * components, 1)\n"
          "        nn.init.zeros_(self.head.weight)\n"
          "        self.head.bias.requires_grad_(False)"),
         ("noise = log_s.exp() * torch.logit(torch.rand(n, 1, 3, 1, 1).clamp(1e-6, 1 - 1e-6))",
          "a, b = (torch.empty(n, 1, 3, 1, 1).exponential_().clamp_min(1e-9).log() for _ in range(2))\n"
          "                noise = log_s.exp() * (a - b)  # of two Gumbels, a logistic"),
         (PIXEL,
          "terms = log_pi + log_bins(x[:, None], mu, log_s, levels).sum(dim=2)\n"
          "    most = terms.amax(dim=1, keepdim=True)\n"
          "    return (most + (terms - most).exp().sum(dim=1, keepdim=True).log())[:, 0]")),
        weights="none",
    ),
)  # fmt: skip
