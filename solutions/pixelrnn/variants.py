"""Right designs for PixelRNN that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

ROW = (
    "self.input_to_state = nn.Conv2d(in_channels, 4 * width, (1, k // 2 + 1))",
    "self.input_to_state = nn.Conv2d(in_channels, 4 * width, (1, k), padding=(0, k // 2))\n"
    "        self.register_buffer('mask', (torch.arange(k) <= k // 2).float())",
)
OF_X = (
    "of_x = self.input_to_state(F.pad(x, (self.k // 2, 0)))",
    "kernel = self.input_to_state\n"
    "        of_x = F.conv2d(x, kernel.weight * self.mask, kernel.bias, padding=(0, self.k // 2))",
)

SKEW = (
    "return F.pad(x, (0, H)).flatten(2)[..., :-H].unflatten(2, (H, H + W - 1))  # a row of W + H, read as one shorter"
)
UNSKEW = "return F.pad(x.flatten(2), (0, H)).unflatten(2, (H, W + H))[..., :W]"

# What is only compared with is not trained: no check asks for it.
ALONE = (
    'by_rows = trained("pixelrnn.row", PixelRNN(echoes.shape, levels=2, kind="row"), fit=train_rows)\n'
    'cnn = trained("pixelrnn.cnn", PixelCNN(echoes.shape, levels=2), fit=train_cnn)',
    'by_rows, cnn = PixelRNN(echoes.shape, levels=2, kind="row"), PixelCNN(echoes.shape, levels=2)',
)

VARIANTS = (
    Variant(
        "stated-recipe",
        "pixelrnn",
        "a mask in the place of zeros, and rows that are moved one by one",
        (
            ROW,
            OF_X,
            (SKEW, "return torch.stack([F.pad(x[:, :, i], (i, H - 1 - i)) for i in range(H)], dim=2)"),
            (UNSKEW, "return torch.stack([x[:, :, i, i : i + W] for i in range(H)], dim=2)"),
            ALONE,
        ),
    ),
    Variant(
        "orthogonal-and-pixel-by-pixel",
        "pixelrnn",
        "diagonals without a skew, a linear layer for states, orthogonal to begin with",
        (
            (
                "self.state_to_state = nn.Conv1d(width, 4 * width, 2, bias=False)\n"
                "        begin(self.input_to_state, self.state_to_state, above=0)",
                "self.left, self.above = (nn.Linear(width, 4 * width, bias=False) for _ in range(2))\n"
                "        nn.init.orthogonal_(self.left.weight)\n"
                "        nn.init.zeros_(self.above.weight)\n"
                "        both = nn.Conv1d(width, 4 * width, 2, bias=False)\n"
                "        both.weight.data[..., 0] = self.above.weight\n"
                "        begin(self.input_to_state, both, above=0)\n"
                "        self.above.weight.data = both.weight.data[..., 0].clone()",
            ),
            (
                Body("DiagonalLSTM.forward"),
                "        of_x, (H, W) = self.input_to_state(x), x.shape[2:]\n"
                "        zero = x.new_zeros(len(x), self.width)\n"
                "        above, rows = [zero] * W, []\n"
                "        for i in range(H):\n"
                "            h, c, row = zero, zero, []\n"
                "            for j in range(W):\n"
                "                gates = of_x[:, :, i, j] + self.left(h) + self.above(above[j])\n"
                "                h, c = lstm_step(gates, c)\n"
                "                row.append(h)\n"
                "            above = row\n"
                "            rows.append(torch.stack(row, dim=2))\n"
                "        return torch.stack(rows, dim=2)\n",
            ),
            ALONE,
        ),
        weights="trained",
    ),
)
