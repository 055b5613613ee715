"""Slips in PixelRNN: one at least for each check. Of public code are a skew that rolls without zeros, a second
direction that is not shifted, a state to state whose zero is below, and a picture without a column more.
"""

from autograder.proof.changes import Body, Mutant

LOG_P = (
    "log_p = F.log_softmax(self.logits(x), dim=-1)\n"
    "        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)\n        ### END"
)
DRAWN = "torch.multinomial(p, 1)[:, 0]"
OF_X = "of_x = self.input_to_state(F.pad(x, (self.k // 2, 0)))"
STATES = "row + self.state_to_state(h)"
ABOVE = "self.state_to_state(F.pad(h, (1, 0)))"
SKEW = (
    "return F.pad(x, (0, H)).flatten(2)[..., :-H].unflatten(2, (H, H + W - 1))  # a row of W + H, read as one shorter"
)
BOTH = "return self.from_left(x) + shift_down(from_right)"
LAYERS = "nn.ModuleList(make(width + H + W + 1, width) for _ in range(layers))"

STEP = "h, c = lstm_step(row + self.state_to_state(h), c)"
ROWS = "states.append(h)\n        return torch.stack(states, dim=2)"
ADDED = "h = h + U(lstm(torch.cat([h, at], dim=1)))"
ONTO = "v = F.pad(2 * x / (self.levels - 1) - 1, (0, 1))"

# What is only compared with is not trained: no check asks for it.
ALONE = (
    'by_rows = trained("pixelrnn.row", PixelRNN(echoes.shape, levels=2, kind="row"), fit=train_rows)\n'
    'cnn = trained("pixelrnn.cnn", PixelCNN(echoes.shape, levels=2), fit=train_cnn)',
    'by_rows, cnn = PixelRNN(echoes.shape, levels=2, kind="row"), PixelCNN(echoes.shape, levels=2)',
)

MUTANTS = (
    Mutant(
        "skewed-to-the-left",
        "pixelrnn",
        "the last row is moved least",
        ((SKEW, "return F.pad(x.flip(2), (0, H)).flatten(2)[..., :-H].unflatten(2, (H, H + W - 1)).flip(2)"),),
        "skew_and_back",
        "moved to the right by their number",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "not-masked",
        "pixelrnn",
        "input to state of a row is not masked",
        (
            (
                "self.input_to_state = nn.Conv2d(in_channels, 4 * width, (1, k // 2 + 1))",
                "self.input_to_state = nn.Conv2d(in_channels, 4 * width, (1, k), padding=(0, k // 2))",
            ),
            (OF_X, "of_x = self.input_to_state(x)"),
        ),
        "rows_see_a_triangle",
        "none to the right",
    ),
    Mutant(
        "masked-states",
        "pixelrnn",
        "state to state of a row is masked, too",
        ((STATES, "row + self.state_to_state(F.pad(h, (self.k // 2, 0)))[..., : h.shape[2]]"),),
        "rows_see_a_triangle",
        "unmasked",
    ),
    Mutant(
        "zero-below",
        "pixelrnn",
        "the zero of state to state is put below the last row: states of rows i and i + 1",
        ((ABOVE, "self.state_to_state(F.pad(h, (0, 1)))"),),
        "diagonals_see_all_above_and_to_the_left",
        "put the zero above the first row",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "cell-from-above",
        "pixelrnn",
        "the cell comes from the row above, not from the left",
        (
            (
                f"lstm_step(column + {ABOVE}, c)  # rows i − 1 and i",
                f"lstm_step(column + {ABOVE}, F.pad(c, (1, 0))[..., :-1])",
            ),
        ),
        "diagonals_see_all_above_and_to_the_left",
        "its cell comes from above",
    ),
    Mutant(
        "no-cell",
        "pixelrnn",
        "the cell of the diagonals begins anew in every column",
        ((f"lstm_step(column + {ABOVE}, c)", f"lstm_step(column + {ABOVE}, 0 * c)"),),
        "diagonals_see_all_above_and_to_the_left",
        "no cell comes from the left",
    ),
    Mutant(
        "rolled",
        "pixelrnn",
        "the last row comes in at the top",
        (("return F.pad(h, (0, 0, 1, 0))[:, :, :-1]", "return h.roll(1, dims=2)"),),
        "shifted_one_row_down",
        "no roll",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "not-shifted",
        "pixelrnn",
        "the second direction is not shifted",
        ((BOTH, "return self.from_left(x) + from_right"),),
        "two_directions_see_the_whole_past",
        "sees nothing of the own row",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "not-flipped",
        "pixelrnn",
        "the second direction goes from the left, too",
        (("from_right = self.from_right(x.flip(3)).flip(3)", "from_right = self.from_right(x)"),),
        "two_directions_see_the_whole_past",
        "flipped from left to right",
    ),
    Mutant(
        "own-pixel",
        "pixelrnn",
        "the first features are of the pixel itself, too",
        (("h = self.first(v)", "h = self.first(v) + v"),),
        "each_pixel_depends_only_on_earlier_pixels",
        "Some output sees its own pixel",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "no-column-more",
        "pixelrnn",
        "no column to the right: nobody tells the last pixel of a row",
        (
            (
                "self.first = StrictPast(width)\n        make",
                "self.places = self.places[..., :-1]\n        self.first = StrictPast(width)\n        make",
            ),
            ("v = F.pad(2 * x / (self.levels - 1) - 1, (0, 1))", "v = 2 * x / (self.levels - 1) - 1"),
            ("make(width + H + W + 1, width)", "make(width + H + W + 1, width)"),
            ("self.head(h[..., :-1])", "self.head(h)"),
        ),
        "no_blind_spot",
        "column",
    ),
    Mutant(
        "rows-of-diagonals",
        "pixelrnn",
        "the kind is not looked at",
        (('{"diagonal": DiagonalBiLSTM, "row": RowLSTM}[kind]', "DiagonalBiLSTM"),),
        "the_network_of_rows_sees_a_triangle",
        "every layer is a RowLSTM",
    ),
    Mutant(
        "one-layer-for-all",
        "pixelrnn",
        "all layers are the same object",
        ((LAYERS, "nn.ModuleList([make(width + H + W + 1, width)] * layers)"),),
        "every_layer_has_weights_of_its_own",
        "repeat the same object",
    ),
    Mutant(
        "one-direction-for-both",
        "pixelrnn",
        "the LSTM from the left goes through the flipped picture, too",
        (("from_right = self.from_right(x.flip(3)).flip(3)", "from_right = self.from_left(x.flip(3)).flip(3)"),),
        "every_layer_has_weights_of_its_own",
        "any weight of from_right",
    ),
    Mutant(
        "softmax-over-the-batch",
        "pixelrnn",
        "the softmax over the levels is over the batch",
        ((LOG_P, LOG_P.replace("log_softmax(self.logits(x), dim=-1)", "log_softmax(self.logits(x), dim=0)")),),
        "every_example_for_itself",
        "mixes the examples of a batch",
    ),
    Mutant(
        "squeezed",
        "pixelrnn",
        "squeeze() drops the batch, too, when it holds one picture",
        ((LOG_P, LOG_P.replace(".flatten(1).sum(dim=1)", ".squeeze().flatten(-2).sum(dim=-1)")),),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    Mutant(
        "softmax-over-pixels",
        "pixelrnn",
        "the softmax is over the columns instead of the levels",
        ((LOG_P, LOG_P.replace("log_softmax(self.logits(x), dim=-1)", "log_softmax(self.logits(x), dim=3)")),),
        "log_density_is_the_sum_of_the_conditionals",
        "softmax over the levels",
    ),
    Mutant(
        "log-of-a-softmax",
        "pixelrnn",
        "adds 1e-8 to the probabilities before their logarithm",
        (
            (
                LOG_P,
                LOG_P.replace(
                    "F.log_softmax(self.logits(x), dim=-1)", "torch.log(F.softmax(self.logits(x), dim=-1) + 1e-8)"
                ),
            ),
        ),
        "exact_for_images_that_are_hardly_possible",
        "stands inside a logarithm",
    ),
    Mutant(
        "averaged",
        "pixelrnn",
        "log_prob is the mean over the pixels",
        ((LOG_P, LOG_P.replace("sum(dim=1)", "mean(dim=1)")),),
        "probabilities_sum_to_one",
        "summed over the pixels, not averaged",
    ),
    Mutant(
        "most-likely",
        "pixelrnn",
        "takes the most likely level instead of a draw",
        ((DRAWN, "p.argmax(dim=-1)"),),
        "samples_follow_the_density",
        "not the most likely level",
    ),
    Mutant(
        "all-at-once",
        "pixelrnn",
        "draws all pixels of a row from one pass",
        (
            (
                Body("PixelRNN.sample"),
                "        _, H, W = self.shape\n"
                "        x = torch.zeros(n, 1, H, W, dtype=torch.long)\n"
                "        for i in range(H):\n"
                "            p = self.logits(x)[:, 0, i].softmax(dim=-1)\n"
                "            x[:, 0, i] = torch.multinomial(p.flatten(0, 1), 1).view(n, W)\n"
                "        return x\n",
            ),
        ),
        "samples_follow_the_density",
        "given those before it",
    ),
    Mutant(
        "cell-forgotten",
        "pixelrnn",
        "the cell of a row begins with zero again",
        ((STEP, STEP.replace("h, c =", "h, _ =")),),
        "rows_see_a_triangle",
        "no cell comes from above",
    ),
    Mutant(
        "cell-for-state",
        "pixelrnn",
        "what goes out of the rows is the cell",
        ((ROWS, ROWS.replace("append(h)", "append(c)")),),
        "rows_see_a_triangle",
        "c stays inside",
    ),
    Mutant(
        "state-for-cell",
        "pixelrnn",
        "state and cell are mistaken for each other",
        ((STEP, STEP.replace("h, c =", "c, h =")),),
        "rows_see_a_triangle",
        "in this order",
    ),
    Mutant(
        "row-begins-anyhow",
        "pixelrnn",
        "a Row LSTM begins with the first weights as they come",
        (("begin(self.input_to_state, self.state_to_state, above=k // 2)", "pass"),),
        "both_lstms_begin_with_begin",
        "`begin` was not called",
    ),
    Mutant(
        "diagonal-begins-anyhow",
        "pixelrnn",
        "so does a Diagonal LSTM",
        (("begin(self.input_to_state, self.state_to_state, above=0)", "pass"),),
        "both_lstms_begin_with_begin",
        "`begin` was not called",
    ),
    Mutant(
        "begins-from-the-left",
        "pixelrnn",
        "a Diagonal LSTM begins by passing on what the state to the left says",
        (("above=0)", "above=1)"),),
        "both_lstms_begin_with_begin",
        "0 of two",
    ),
    Mutant(
        "averaged-directions",
        "pixelrnn",
        "the mean of the two directions",
        ((BOTH, "return (self.from_left(x) + shift_down(from_right)) / 2"),),
        "two_directions_see_the_whole_past",
        "the states are off by",
    ),
    Mutant(
        "shifted-before",
        "pixelrnn",
        "what goes into the second direction is shifted, not its states",
        (
            (
                "from_right = self.from_right(x.flip(3)).flip(3)",
                "from_right = self.from_right(shift_down(x).flip(3)).flip(3)",
            ),
            (BOTH, "return self.from_left(x) + from_right"),
        ),
        "two_directions_see_the_whole_past",
        "its states are flipped back, and then",
    ),
    Mutant(
        "first-layer-alone",
        "pixelrnn",
        "of several layers the first is called",
        (("for lstm, U in zip(self.layers, self.U, strict=True):", "for lstm, U in [(self.layers[0], self.U[0])]:"),),
        "the_network_has_all_its_parts",
        "made and not called",
    ),
    Mutant(
        "without-u",
        "pixelrnn",
        "U is made and not called",
        ((ADDED, "h = h + lstm(torch.cat([h, at], dim=1))"),),
        "the_network_has_all_its_parts",
        "made and not called",
    ),
    Mutant(
        "one-u",
        "pixelrnn",
        "one U for all layers",
        (
            (
                "self.U = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(layers))",
                "self.one = nn.Conv2d(width, width, 1)\n        self.U = [self.one] * layers",
            ),
        ),
        "the_network_has_all_its_parts",
        "two layers have one U",
        weights="none",
    ),
    Mutant(
        "nothing-goes-on",
        "pixelrnn",
        "h is replaced, not added to",
        ((ADDED, "h = U(lstm(torch.cat([h, at], dim=1)))"),),
        "the_network_has_all_its_parts",
        "h itself is lost",
    ),
    Mutant(
        "nowhere",
        "pixelrnn",
        "the places are zeros",
        ((ADDED, ADDED.replace("at]", "0 * at]")),),
        "the_network_has_all_its_parts",
        "columns are the same",
    ),
    Mutant(
        "levels-as-they-are",
        "pixelrnn",
        "levels go into the network as they are",
        ((ONTO, "v = F.pad(x.float(), (0, 1))"),),
        "the_network_has_all_its_parts",
        "come in as 0, 1, 2",
    ),
    Mutant(
        "for-two-levels",
        "pixelrnn",
        "levels go onto [−1, 1] where there are two of them",
        ((ONTO, "v = F.pad(2.0 * x - 1, (0, 1))"),),
        "the_network_has_all_its_parts",
        "come in as -1, 1, 3",
    ),
    Mutant(
        "rows-detached",
        "pixelrnn",
        "gradients end at the row",
        ((STEP, STEP.replace("(h), c)", "(h.detach()), c.detach())")),),
        "the_network_has_all_its_parts",
        "is detached",
    ),
    Mutant(
        "thirty-steps",
        "pixelrnn",
        "training ends after thirty steps",
        (("optimizer = torch.optim.Adam", "steps = 30\n    optimizer = torch.optim.Adam"), ALONE),
        "trained_close_to_the_limit",
        "here 30",
        weights="trained",
    ),
)
