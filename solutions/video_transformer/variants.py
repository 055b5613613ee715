"""Right designs for the video transformer that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

# What is only compared with is not trained: no check asks for it.
COMPARED = (
    (
        'fixed = trained(\n    "video_transformer.fixed",\n'
        "    VideoTransformer(rings.shape, 2, S, (FIXED, FIXED), (FIXED, FIXED, FIXED)),\n    fit=train_video,\n)",
        "fixed = VideoTransformer(rings.shape, 2, S, (FIXED, FIXED), (FIXED, FIXED, FIXED))",
    ),
    (
        'convlstm = trained("video_transformer.convlstm", ConvLSTM(rings.shape, levels=2), fit=train_convlstm)',
        "convlstm = ConvLSTM(rings.shape, levels=2)",
    ),
)
SLICES = (
    "    (B, T, _, H, W), (s_t, s_h, s_w) = x.shape, S\n"
    "    apart = x.reshape(B, T // s_t, s_t, H // s_h, s_h, W // s_w, s_w)\n"
    "    return apart.permute(0, 2, 4, 6, 1, 3, 5).reshape(B, -1, T // s_t, H // s_h, W // s_w)\n"
)
CUT = (
    "    (B, T, H, W, C), (t, a, b) = h.shape, block\n"
    "    apart = h.reshape(B, T // t, t, H // a, a, W // b, b, C)\n"
    "    return apart.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(B, -1, t * a * b, C)\n"
)
JOIN = (
    "    (T, H, W), (t, a, b), (B, _, _, C) = size, block, z.shape\n"
    "    apart = z.reshape(B, T // t, H // a, W // b, t, a, b, C)\n"
    "    return apart.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(B, T, H, W, C)\n"
)
ATTENTION = (
    "    p, d = q.shape[-2:]\n"
    "    scores = q @ k.transpose(-1, -2) / d**0.5 + bias\n"
    "    if not strict:\n"
    "        w = scores.softmax(dim=-1)\n"
    "    else:\n"
    "        past = torch.ones(p, p, dtype=torch.bool, device=q.device).tril(-1)  # j < i\n"
    "        w = scores.masked_fill(~past, torch.finfo(scores.dtype).min).softmax(dim=-1) * past\n"
    "    return w @ v, w\n"
)
BY_STRIDES = (
    "    s_t, s_h, s_w = S\n"
    "    offsets = [(a, b, c) for a in range(s_t) for b in range(s_h) for c in range(s_w)]\n"
    "    return torch.stack([x[:, a::s_t, 0, b::s_h, c::s_w] for a, b, c in offsets], dim=1)\n"
)
ONE_BY_ONE = (
    "        s = slices(x, self.S)\n"
    "        at = [torch.full((len(x),), k) for k in range(self.n)]\n"
    "        return merge(torch.stack([self.decode(s[:, int(k[0])], self.embed(s, k)) for k in at], dim=1), self.S)\n"
)
BOX_BY_BOX = (
    "    (T, H, W), (t, a, b) = h.shape[1:4], block\n"
    "    parts = []\n"
    "    for i in range(0, T, t):\n"
    "        for j in range(0, H, a):\n"
    "            for c in range(0, W, b):\n"
    "                parts.append(h[:, i : i + t, j : j + a, c : c + b].flatten(1, 3))\n"
    "    return torch.stack(parts, dim=1)\n"
)
BOXES_BACK = (
    "    (T, H, W), (t, a, b) = size, block\n"
    "    h, at = z.new_empty(len(z), T, H, W, z.shape[-1]), 0\n"
    "    for i in range(0, T, t):\n"
    "        for j in range(0, H, a):\n"
    "            for c in range(0, W, b):\n"
    "                h[:, i : i + t, j : j + a, c : c + b] = z[:, at].unflatten(1, (t, a, b))\n"
    "                at += 1\n"
    "    return h\n"
)
EXP = (
    "    p, d = q.shape[-2:]\n"
    "    scores = torch.einsum('...id,...jd->...ij', q, k) * d**-0.5 + bias\n"
    "    known = torch.ones(p, p, dtype=torch.bool)\n"
    "    if strict:\n"
    "        known = torch.arange(p)[:, None] > torch.arange(p)\n"
    "    low = scores.masked_fill(~known, -1e30).amax(dim=-1, keepdim=True).detach()\n"
    "    e = (scores - low).masked_fill(~known, -200.0).exp() * known\n"
    "    w = e / e.sum(dim=-1, keepdim=True).clamp_min(1e-30)\n"
    "    return torch.einsum('...ij,...jd->...id', w, v), w\n"
)
CUMULATIVE = (
    "        s = torch.zeros(n, self.n, self.size[0] * self.size[1] * self.size[2], dtype=torch.long)\n"
    "        for k in range(self.n):\n"
    "            for i in range(s.shape[-1]):\n"
    "                now = s.unflatten(2, self.size)\n"
    "                e = self.embed(now, torch.full((n,), k))\n"
    "                level = self.decode(now[:, k], e).flatten(1, 3)[:, i].double()\n"
    "                p = (level - level.logsumexp(dim=-1, keepdim=True)).exp()\n"
    "                s[:, k, i] = (p.cumsum(dim=-1)[:, :-1] < torch.rand(n, 1)).sum(dim=-1)\n"
    "        return merge(s.unflatten(2, self.size), self.S)\n"
)

VARIANTS = (
    Variant(
        "stated-recipe",
        "video_transformer",
        "slices by strides, one slice after the other in logits",
        ((SLICES, BY_STRIDES), (Body("VideoTransformer.logits"), ONE_BY_ONE), *COMPARED),
    ),
    Variant(
        "other-start",
        "video_transformer",
        "places and slices begin at zero, small weights to begin with, and a smooth MLP",
        (
            ("nn.Parameter(0.3 * torch.randn(*side, width))", "nn.Parameter(torch.zeros(*side, width))"),
            (
                "self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, levels))",
                "self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, levels))\n"
                "        for module in self.modules():\n"
                "            if isinstance(module, nn.Linear):\n"
                "                nn.init.xavier_normal_(module.weight)\n"
                "                nn.init.zeros_(module.bias)",
            ),
            ("nn.ReLU(), nn.Linear(2 * width, width)", "nn.GELU(), nn.Linear(2 * width, width)"),
            *COMPARED,
        ),
    ),
    Variant(
        "box-by-box",
        "video_transformer",
        "loops over boxes, a softmax written out, and draws by comparing with a uniform number",
        (
            (CUT, BOX_BY_BOX),
            (JOIN, BOXES_BACK),
            (ATTENTION, EXP),
            (Body("VideoTransformer.sample"), CUMULATIVE),
        ),
        weights="reference",
    ),
    Variant(
        "four-matrices",
        "video_transformer",
        "maps without biases in one list, a vector for every place in one table",
        (
            (
                "self.ask, self.tell, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)",
                "self.maps = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(4))",
            ),
            (
                "q, (k, v) = self.ask(h), self.tell(told).chunk(2, dim=-1)",
                "q, k, v = (of(z) for of, z in zip(self.maps, (h, told, told)))",
            ),
            ("return self.out(join(", "return self.maps[3](join("),
            ("sides = (t, 1, 1), (1, h, 1), (1, 1, w)", "sides = ((t, h, w),)"),
        ),
        weights="none",
    ),
)
