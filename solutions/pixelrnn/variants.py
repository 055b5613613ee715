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
        "pixel-by-pixel",
        "pixelrnn",
        "diagonals without a skew: a loop over pixels, and products of matrices for the states",
        (
            (
                Body("DiagonalLSTM.forward"),
                "        of_x, (H, W) = self.input_to_state(x), x.shape[2:]\n"
                "        of_above, of_left = self.state_to_state.weight.unbind(dim=2)\n"
                "        zero = x.new_zeros(len(x), self.width)\n"
                "        above, rows = [zero] * W, []\n"
                "        for i in range(H):\n"
                "            h, c, row = zero, zero, []\n"
                "            for j in range(W):\n"
                "                h, c = lstm_step(of_x[:, :, i, j] + h @ of_left.T + above[j] @ of_above.T, c)\n"
                "                row.append(h)\n"
                "            above = row\n"
                "            rows.append(torch.stack(row, dim=2))\n"
                "        return torch.stack(rows, dim=2)\n",
            ),
            ALONE,
        ),
        weights="reference",
    ),
    Variant(
        "orthogonal",
        "pixelrnn",
        "state to state is orthogonal to begin with; a step of the diagonals is one product of a matrix",
        (
            (
                "begin(self.input_to_state, self.state_to_state, above=0)",
                "nn.init.orthogonal_(self.state_to_state.weight)\n"
                "        begin(self.input_to_state, self.state_to_state, above=0)",
            ),
            (
                Body("DiagonalLSTM.forward"),
                "        of_x, (H, W) = self.input_to_state(x), x.shape[2:]\n"
                "        at = [(i, s - i) for s in range(H + W - 1) for i in range(H) if 0 <= s - i < W]\n"
                "        matrix = self.state_to_state.weight.flatten(1)  # of above and left, by turns\n"
                "        h = x.new_zeros(len(x), H + 1, self.width)  # of row i − 1 at i\n"
                "        c, states = h[:, 1:], {}\n"
                "        for s in range(H + W - 1):\n"
                "            columns = torch.stack([of_x[:, :, i, min(max(s - i, 0), W - 1)] for i in range(H)], dim=1)\n"
                "            inside = torch.tensor([0 <= s - i < W for i in range(H)])[:, None]\n"
                "            both = torch.stack([h[:, :-1], h[:, 1:]], dim=-1).flatten(2)\n"
                "            new, c = lstm_step((columns + both @ matrix.T).transpose(1, 2), c.transpose(1, 2))\n"
                "            c = c.transpose(1, 2) * inside\n"
                "            h = F.pad(new.transpose(1, 2) * inside, (0, 0, 1, 0))\n"
                "            states |= {(i, s - i): h[:, i + 1] for i, j in at if i + j == s}\n"
                "        rows = [torch.stack([states[i, j] for j in range(W)], dim=2) for i in range(H)]\n"
                "        return torch.stack(rows, dim=2)\n",
            ),
            ALONE,
        ),
        weights="trained",
    ),
    Variant(
        "masked-by-hand",
        "pixelrnn",
        "weights that are set to zero at every call, states with a bias, a head of zeros, other names and layers in pairs",
        (
            (
                Body("RowLSTM.__init__"),
                "        self.of_x = nn.Conv2d(in_channels, 4 * width, (1, k), padding=(0, k // 2))\n"
                "        self.of_h = nn.Conv1d(width, 4 * width, k, padding=k // 2)\n"
                "        begin(self.of_x, self.of_h, k // 2)\n",
            ),
            (
                Body("RowLSTM.forward"),
                "        with torch.no_grad():\n"
                "            self.of_x.weight[..., self.k // 2 + 1 :] = 0\n"
                "        gates, h = self.of_x(x), x.new_zeros(len(x), self.width, x.shape[3])\n"
                "        c, out = h, torch.zeros(len(x), self.width, *x.shape[2:], dtype=x.dtype)\n"
                "        for i in range(x.shape[2]):\n"
                "            h, c = lstm_step(gates[:, :, i] + self.of_h(h), c)\n"
                "            out[:, :, i] = h\n"
                "        return out\n",
            ),
            (
                Body("DiagonalLSTM.forward"),
                "        gates = self.input_to_state(skew(x))\n"
                "        h = c = x.new_zeros(len(x), self.width, x.shape[2])\n"
                "        states = []\n"
                "        for s in range(gates.shape[3]):\n"
                "            h, c = lstm_step(gates[..., s] + self.state_to_state(F.pad(h, (1, 0))), c)\n"
                "            inside = torch.arange(x.shape[2]) <= s\n"
                "            h, c = h * inside, c * inside\n"
                "            states.append(h)\n"
                "        return unskew(torch.stack(states, dim=3))\n",
            ),
            (
                Body("DiagonalBiLSTM.forward"),
                "        both = self.from_left(x).clone()\n"
                "        both[:, :, 1:] += self.from_right(x.flip(-1)).flip(-1)[:, :, :-1]\n"
                "        return both\n",
            ),
            (
                "self.U = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(layers))",
                "self.U = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))",
            ),
            (
                "h = h + U(lstm(torch.cat([h, at], dim=1)))",
                "h = h + U(lstm(torch.cat([at, h], dim=1)).movedim(1, -1)).movedim(-1, 1)",
            ),
        ),
        weights="none",
    ),
)
