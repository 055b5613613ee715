"""Right designs for the Video Pixel Network that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

# What is only compared with is not trained: no check asks for it.
ALONE = (
    'still = trained("vpn.still", VPN(bounce.shape, levels=2, time=False), fit=train_vpn)',
    "still = VPN(bounce.shape, levels=2, time=False)",
)
STATES = (
    "e = self.encode(x)\n"
    "        h, c = torch.zeros_like(e[:, 0]), torch.zeros_like(e[:, 0])\n"
    "        states = []\n"
    "        for t in range(x.shape[1]):\n"
    "            states.append(h)\n"
    "            if self.time:\n"
    "                h, c = self.lstm(e[:, t], h, c)\n"
    "        return torch.stack(states, dim=1)"
)
LOGITS = "return unfold(self.decode(fold(x), fold(self.states(x))), x.shape[1])"
FRAME_BY_FRAME = (
    "s = self.states(x)\n        return torch.stack([self.decode(x[:, t], s[:, t]) for t in range(x.shape[1])], dim=1)"
)
GATES = (
    "i, f, o, g = self.conv(torch.cat([x, h], dim=1)).chunk(4, dim=1)\n"
    "        c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n"
    "        return o.sigmoid() * c.tanh(), c"
)
CONV = "self.conv = nn.Conv2d(in_channels + channels, 4 * channels, kernel, padding=kernel // 2)"

VARIANTS = (
    Variant(
        "stated-recipe",
        "vpn",
        "frames are encoded and decoded one after the other",
        (
            (
                "return unfold(self.encoder(self.seen(fold(x))), x.shape[1])",
                "return torch.stack([self.encoder(self.seen(frame)) for frame in x.unbind(dim=1)], dim=1)",
            ),
            (LOGITS, FRAME_BY_FRAME),
            ALONE,
        ),
    ),
    Variant(
        "orthogonal-and-remembering",
        "vpn",
        "orthogonal kernels to begin with, a forget gate that begins open, places that begin at zero",
        (
            (CONV, CONV + "\n        nn.init.constant_(self.conv.bias[channels : 2 * channels], 1.0)"),
            ("nn.Parameter(0.1 * torch.randn(width, H, W))", "nn.Parameter(torch.zeros(width, H, W))"),
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
        "gates-apart",
        "vpn",
        "a convolution for each gate, of the frame and of the state; states filled in place; draws by cumulative sums",
        (
            (
                CONV,
                "self.of_x = nn.ModuleList(nn.Conv2d(in_channels, channels, kernel, padding='same') for _ in range(4))\n"
                "        self.of_h = nn.ModuleList(\n"
                "            nn.Conv2d(channels, channels, kernel, padding='same', bias=False) for _ in range(4)\n"
                "        )",
            ),
            (
                GATES,
                "g, o, f, i = (of_x(x) + of_h(h) for of_x, of_h in zip(self.of_x, self.of_h))\n"
                "        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)\n"
                "        return torch.sigmoid(o) * torch.tanh(c), c",
            ),
            (
                STATES,
                "if not self.time:\n"
                "            return torch.zeros(*x.shape[:2], self.width, *x.shape[3:])\n"
                "        e = self.encode(x)\n"
                "        states = torch.zeros_like(e)\n"
                "        memory = torch.zeros_like(e[:, 0])\n"
                "        rows = [states[:, 0]]\n"
                "        for t in range(1, x.shape[1]):\n"
                "            shown, memory = self.lstm(e[:, t - 1], rows[-1], memory)\n"
                "            rows.append(shown)\n"
                "        return torch.stack(rows, dim=1)",
            ),
            (
                Body("VPN.go_on"),
                "        (B, K), (T, _, H, W) = x.shape[:2], self.shape\n"
                "        every = torch.zeros(B, T, 1, H, W, dtype=torch.long)\n"
                "        every[:, :K] = x\n"
                "        for t in range(K, T):\n"
                "            for i in range(H * W):\n"
                "                p = self.logits(every)[:, t].flatten(1, 3)[:, i].double().softmax(dim=-1)\n"
                "                level = (p.cumsum(dim=-1)[:, :-1] < torch.rand(B, 1)).sum(dim=-1)\n"
                "                every[:, t, 0, i // W, i % W] = level\n"
                "        return every\n",
            ),
            (
                Body("VPN.sample"),
                "        T, _, H, W = self.shape\n"
                "        return self.go_on(torch.zeros(n, T, 1, H, W, dtype=torch.long)[:, :0])\n",
            ),
            ALONE,
        ),
    ),
    Variant(
        "rows-and-columns",
        "vpn",
        "a bias for each row and one for each column; one logit a pixel; the state is kept while frames are drawn",
        (
            (
                "self.place = nn.Parameter(0.1 * torch.randn(width, H, W))",
                "self.rows, self.columns = nn.Parameter(torch.zeros(width, H, 1)), nn.Parameter(torch.zeros(width, 1, W))",
            ),
            (
                "self.told(s) + self.place",
                "self.told(s) + self.rows + self.columns",
            ),
            (
                "self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))",
                "self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels - 1, 1))",
            ),
            (
                "return self.head(self.blocks(h)).movedim(1, -1)[:, None]",
                "z = self.head(self.blocks(h))\n"
                "        return torch.cat([torch.zeros_like(z[:, :1]), z], dim=1).movedim(1, -1)[:, None]",
            ),
            (
                Body("VPN.go_on"),
                "        (B, K), (T, _, H, W) = x.shape[:2], self.shape\n"
                "        every = torch.zeros(B, T, 1, H, W, dtype=torch.long)\n"
                "        every[:, :K] = x\n"
                "        h = c = torch.zeros(B, self.width, H, W)\n"
                "        for t in range(T):\n"
                "            for i in range(H * W if t >= K else 0):\n"
                "                p = self.decode(every[:, t], h).reshape(B, H * W, -1)[:, i].softmax(dim=-1)\n"
                "                every[:, t].view(B, -1)[:, i] = torch.multinomial(p, 1).squeeze(1)\n"
                "            if self.time:\n"
                "                h, c = self.lstm(self.encode(every[:, t : t + 1])[:, 0], h, c)\n"
                "        return every\n",
            ),
        ),
        weights="none",
    ),
    Variant(
        "normed-and-silent",
        "vpn",
        "a batch norm in the encoder, a state that begins by saying nothing, and weights as length and direction",
        (
            (
                "nn.Conv2d(2, width, 5, padding=2), Residual",
                "nn.Conv2d(2, width, 5, padding=2), nn.BatchNorm2d(width), Residual",
            ),
            (
                "self.told = nn.Conv2d(width, width, 3, padding=1)",
                "self.told = nn.Conv2d(width, width, 3, padding=1)\n        nn.init.zeros_(self.told.weight)",
            ),
            (
                "self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))",
                "self.head = nn.Sequential(\n"
                "            nn.ReLU(), nn.utils.parametrizations.weight_norm(nn.Conv2d(width, levels, 1))\n"
                "        )",
            ),
        ),
        weights="none",
    ),
)
