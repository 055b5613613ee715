"""Slips in WaveNet: one at least for each check. Of public code are padding that is cut at the wrong end, an input that
is not shifted, levels in signed bytes, and a first step that reads level 0.
"""

from autograder.proof.changes import Body, Mutant

CONV = "return F.conv1d(F.pad(x, (self.kept, 0)), self.weight, self.bias, dilation=self.dilation)"
GATE = "return torch.tanh(a) * torch.sigmoid(b)"
BLOCK = "new, skip = self.out(gate(self.conv(x))).chunk(2, dim=1)\n        return x + new, skip\n"
SHIFT = "h = F.pad(self.entered(x)[..., :-1], (1, 0))  # (B, width, T), shifted by one"
BLOCKS = "nn.ModuleList(GatedBlock(width, kernel, d) for d in dilations)"
LOG_P = "log_p = F.log_softmax(self.logits(x), dim=-1)"
TOTAL = "return log_p.gather(-1, x[..., None]).squeeze(-1).sum(dim=1)"
FIRST = "x, h = torch.zeros(n, T, dtype=torch.long), u.new_zeros(n, self.width)"
STEP = "h, skip, pasts[k] = block.step(h, pasts[k])"
LEVEL = "x[:, t] = (cdf[:, :-1] < u[:, t, None]).sum(dim=-1)\n            h = self.entered"
NEXT = "h = self.entered(x[:, t, None])[..., 0]"
STEPPED = "self.out.bias).chunk(2, dim=1)\n        return x + new, skip, past"
SKIPPED = ("drawing_saves_work",)  # where draws are wrong, nothing is said of their speed

MUTANTS = (
    Mutant(
        "no-sign",
        "wavenet",
        "μ-law without the sign of x",
        (("f = x.sign() * torch.log1p", "f = torch.log1p"),),
        "mu_law_and_its_inverse",
        "sign(x) log(1 + μ|x|)",
    ),
    Mutant(
        "lower-edge",
        "wavenet",
        "the way back takes the lower edge of a level, not its middle",
        (("f = 2 * (level + 0.5) / levels - 1", "f = 2 * level / levels - 1"),),
        "mu_law_and_its_inverse",
        "the middle of the level",
    ),
    Mutant(
        "forgets-the-base",
        "wavenet",
        "the way back uses e^|f| for (1 + μ)^|f|",
        (("((1 + mu) ** f.abs() - 1) / mu", "(f.abs().exp() - 1) / mu"),),
        "mu_law_and_its_inverse",
        "(1 + μ)^|f| − 1",
    ),
    Mutant(
        "padded-on-both-sides",
        "wavenet",
        "zeros on either side, as for pictures",
        ((CONV, CONV.replace("(self.kept, 0)", "(self.kept // 2, self.kept - self.kept // 2)")),),
        "a_causal_convolution_and_one_step_of_it",
        "zeros on the left, none on the right",
        also=("samples_follow_the_density", *SKIPPED),
    ),
    Mutant(
        "cut-at-the-wrong-end",
        "wavenet",
        "padded by conv1d on both sides, and cut on the left",
        (
            (
                CONV,
                "out = F.conv1d(x, self.weight, self.bias, padding=self.kept, dilation=self.dilation)\n"
                "        return out[..., self.kept :]",
            ),
        ),
        "a_causal_convolution_and_one_step_of_it",
        "zeros on the left, none on the right",
        also=("samples_follow_the_density", *SKIPPED),
    ),
    Mutant(
        "step-without-dilation",
        "wavenet",
        "a step reads the last k inputs, whatever the dilation",
        (("read = seen[..., :: self.dilation[0]].flatten(1)", "read = seen[..., -self.kernel_size[0] :].flatten(1)"),),
        "a_causal_convolution_and_one_step_of_it",
        "hands on the last (k − 1)·d of all",
        also=SKIPPED,
    ),
    Mutant(
        "relu-for-tanh",
        "wavenet",
        "what is gated goes through a ReLU",
        ((GATE, "return torch.relu(a) * torch.sigmoid(b)"),),
        "a_block_adds_what_its_gate_lets_through",
        "lies between −1 and 1",
    ),
    Mutant(
        "tanh-alone",
        "wavenet",
        "nothing shuts the gate",
        ((GATE, "return torch.tanh(a) * torch.tanh(b).abs()"),),
        "a_block_adds_what_its_gate_lets_through",
        "⊙ σ(b)",
    ),
    Mutant(
        "no-residual",
        "wavenet",
        "a block hands on what its gate lets through, without x",
        ((BLOCK, "new, skip = self.out(gate(self.conv(x))).chunk(2, dim=1)\n        return new, skip\n"),),
        "a_block_adds_what_its_gate_lets_through",
        "The block gives x plus",
        also=SKIPPED,
    ),
    Mutant(
        "not-shifted",
        "wavenet",
        "what goes into the first block at t comes from x_t",
        ((SHIFT, "h = self.entered(x)"),),
        "each_value_depends_only_on_earlier_values",
        "shift what goes into the first block by one",
        also=("samples_follow_the_density", *SKIPPED),
    ),
    Mutant(
        "shifted-twice",
        "wavenet",
        "what goes into the first block at t comes from x_{t−2}",
        ((SHIFT, "h = F.pad(self.entered(x)[..., :-2], (2, 0))"),),
        "the_receptive_field_is_exact",
        "the shift gives one",
        also=SKIPPED,
    ),
    Mutant(
        "no-dilations",
        "wavenet",
        "all blocks have dilation 1",
        ((BLOCKS, "nn.ModuleList(GatedBlock(width, kernel, 1) for d in dilations)"),),
        "the_receptive_field_is_exact",
        "Each block has its own dilation",
    ),
    Mutant(
        "dilations-are-exponents",
        "wavenet",
        "block number d has dilation 2^d, whatever dilations it is given",
        ((BLOCKS, "nn.ModuleList(GatedBlock(width, kernel, 2**d) for d in range(len(dilations)))"),),
        "the_receptive_field_is_exact",
        "Each block has its own dilation",
    ),
    Mutant(
        "one-block-for-all",
        "wavenet",
        "all blocks are the same object",
        ((BLOCKS, "nn.ModuleList([GatedBlock(width, kernel, dilations[0])] * len(dilations))"),),
        "every_layer_has_weights_of_its_own",
        "repeat the same object",
        weights="none",
    ),
    Mutant(
        "softmax-over-the-batch",
        "wavenet",
        "the softmax is over the batch",
        ((LOG_P, LOG_P.replace("-1", "0")),),
        "every_example_for_itself",
        "mixes the examples of a batch",
    ),
    Mutant(
        "squeezed",
        "wavenet",
        "squeeze() drops the batch, too, when it holds one signal",
        ((TOTAL, "return log_p.gather(-1, x[..., None]).squeeze().sum(dim=-1)"),),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    Mutant(
        "softmax-over-time",
        "wavenet",
        "the softmax is over the values instead of the levels",
        ((LOG_P, LOG_P.replace("-1", "1")),),
        "log_density_is_the_sum_of_the_conditionals",
        "softmax over the levels",
    ),
    Mutant(
        "log-of-a-softmax",
        "wavenet",
        "adds 1e-8 to the probabilities before their logarithm",
        ((LOG_P, "log_p = torch.log(F.softmax(self.logits(x), dim=-1) + 1e-8)"),),
        "exact_far_from_the_data",
        "stands inside a logarithm",
    ),
    Mutant(
        "averaged",
        "wavenet",
        "log_prob is the mean over the values",
        ((TOTAL, TOTAL.replace("sum(", "mean(")),),
        "probabilities_sum_to_one",
        "summed over the values, not averaged",
    ),
    Mutant(
        "one-u-for-all",
        "wavenet",
        "one uniform number a signal, not one a value",
        (("torch.rand(n, self.length)", "torch.rand(n, 1).expand(n, self.length)"),),
        "samples_follow_the_density",
        "n × T fresh uniform numbers",
    ),
    Mutant(
        "first-step-reads-level-0",
        "wavenet",
        "the first step reads level 0 instead of nothing",
        ((FIRST, FIRST + "\n        h = self.entered(x[:, :1])[..., 0]"),),
        "what_is_kept_changes_no_draw",
        "What does the first step read",
        also=SKIPPED,
    ),
    Mutant(
        "past-is-not-kept",
        "wavenet",
        "every step begins with an empty past",
        ((STEP, "h, skip, _ = block.step(h, pasts[k])"),),
        "what_is_kept_changes_no_draw",
        "Every block keeps its own",
        also=SKIPPED,
    ),
    Mutant(
        "most-likely",
        "wavenet",
        "takes the most likely level instead of the one that u falls into",
        (
            (
                LEVEL,
                LEVEL.replace(
                    "(cdf[:, :-1] < u[:, t, None]).sum(dim=-1)",
                    "cdf.diff(dim=-1, prepend=torch.zeros(n, 1)).argmax(dim=-1)",
                ),
            ),
        ),
        "what_is_kept_changes_no_draw",
        "Is x_1 the level that u_1 falls into",
        also=SKIPPED,
    ),
    Mutant(
        "one-value-late",
        "wavenet",
        "a step reads the value before the last",
        ((NEXT, "h = self.entered(x[:, max(t - 1, 0), None])[..., 0]"),),
        "what_is_kept_changes_no_draw",
        "given x_1 … x_{t−1}",
        also=SKIPPED,
    ),
    Mutant(
        "a-pass-a-value",
        "wavenet",
        "draws by a whole pass for every value",
        (
            (
                Body("WaveNet.draw"),
                "        x = torch.zeros(u.shape, dtype=torch.long)\n"
                "        for t in range(u.shape[1]):\n"
                "            cdf = self.logits(x)[:, t].softmax(dim=-1).cumsum(dim=-1)\n"
                "            x[:, t] = (cdf[:, :-1] < u[:, t, None]).sum(dim=-1)\n"
                "        return x\n",
            ),
        ),
        "drawing_saves_work",
        "Calling logits for every value",
        weights="none",
    ),
    Mutant(
        "thirty-steps",
        "wavenet",
        "training ends after thirty steps",
        (("steps = 600", "steps = 30"),),
        "trained_close_to_the_limit",
        "number of steps 600, here 30",
        weights="trained",
    ),
    Mutant(
        "signed-bytes",
        "wavenet",
        "levels are kept as int8, which ends at 127",
        ((FIRST, FIRST.replace("torch.long", "torch.int8")),),
        "the_trained_model_draws_what_it_says",
        "other levels",
        also=SKIPPED,
    ),
    Mutant(
        "as-torchaudio-does",
        "wavenet",
        "levels are points from −1 to 1 that are rounded to, not parts with a middle",
        (
            (
                "return ((f + 1) / 2 * levels).floor().long().clamp(0, levels - 1)",
                "return ((f + 1) / 2 * (levels - 1) + 0.5).long()",
            ),
            ("f = 2 * (level + 0.5) / levels - 1", "f = 2 * level / (levels - 1) - 1"),
        ),
        "mu_law_and_its_inverse",
        "the middle of the level",
    ),
    Mutant(
        "mu-is-levels",
        "wavenet",
        "μ is the number of levels, not one less",
        (("mu = torch.tensor(levels - 1.0)", "mu = torch.tensor(float(levels))"), ("mu = levels - 1.0", "mu = levels")),
        "mu_law_and_its_inverse",
        "μ = levels − 1",
    ),
    Mutant(
        "no-bias",
        "wavenet",
        "the convolution is called without its bias, in a step, too",
        (
            (CONV, CONV.replace("self.bias", "None")),
            ("F.linear(read, self.weight.flatten(1), self.bias)", "F.linear(read, self.weight.flatten(1))"),
        ),
        "a_causal_convolution_and_one_step_of_it",
        "+ b",
    ),
    Mutant(
        "newest-first",
        "wavenet",
        "the past is kept newest first",
        (
            ("torch.cat([past, x[..., None]], dim=-1)", "torch.cat([x[..., None], past], dim=-1)"),
            (
                "self.weight.flatten(1), self.bias), seen[..., 1:]",
                "self.weight.flip(-1).flatten(1), self.bias), seen[..., :-1]",
            ),
        ),
        "a_causal_convolution_and_one_step_of_it",
        "hands on the last (k − 1)·d of all",
    ),
    Mutant(
        "two-sigmoids",
        "wavenet",
        "both halves go through a sigmoid",
        ((GATE, "return torch.sigmoid(a) * torch.sigmoid(b)"),),
        "a_block_adds_what_its_gate_lets_through",
        "z = tanh(a) ⊙ σ(b)",
    ),
    Mutant(
        "one-convolution-for-both",
        "wavenet",
        "what is added is what is skipped on",
        (
            (BLOCK, BLOCK.replace("x + new, skip", "x + new, new")),
            (STEPPED, STEPPED.replace("x + new, skip", "x + new, new")),
        ),
        "a_block_adds_what_its_gate_lets_through",
        "another one of z for the skip sum",
    ),
    Mutant(
        "last-skip",
        "wavenet",
        "only the skip of the last block goes into the logits",
        (
            ("h, skip = block(h)\n            total = total + skip", "h, total = block(h)"),
            (f"{STEP}\n                total = total + skip", f"{STEP}\n                total = skip"),
        ),
        "every_layer_has_weights_of_its_own",
        "are the skips of all blocks summed",
    ),
    Mutant(
        "what-is-handed-on",
        "wavenet",
        "the logits are made of the last x′, not of the skips",
        (
            ("return self.head(total).movedim(1, -1)", "return self.head(h).movedim(1, -1)"),
            ("cdf = self.head(total[..., None])", "cdf = self.head(h[..., None])"),
        ),
        "every_layer_has_weights_of_its_own",
        "are the skips of all blocks summed",
    ),
    Mutant(
        "blocks-in-a-list",
        "wavenet",
        "blocks are kept in a plain list",
        ((BLOCKS, "[GatedBlock(width, kernel, d) for d in dilations]"),),
        "every_layer_has_weights_of_its_own",
        "nn.ModuleList",
        weights="none",
    ),
    Mutant(
        "blocks-cut-off",
        "wavenet",
        "what goes into a block is detached",
        (("h, skip = block(h)", "h, skip = block(h.detach())"),),
        "every_layer_has_weights_of_its_own",
        "is there a detach()",
        weights="none",
    ),
    Mutant(
        "softmax-twice",
        "wavenet",
        "logits are probabilities already",
        (
            ("return self.head(total).movedim(1, -1)", "return self.head(total).movedim(1, -1).softmax(dim=-1)"),
            (
                "cdf = self.head(total[..., None])[..., 0].softmax(dim=-1)",
                "cdf = self.head(total[..., None])[..., 0].softmax(dim=-1).softmax(dim=-1)",
            ),
        ),
        "log_density_is_the_sum_of_the_conditionals",
        "no softmax",
        weights="none",
    ),
    Mutant(
        "relu-at-the-end",
        "wavenet",
        "a relu comes after the last layer, too",
        (("nn.Conv1d(2 * width, levels, 1))", "nn.Conv1d(2 * width, levels, 1), nn.ReLU())"),),
        "log_density_is_the_sum_of_the_conditionals",
        "No ReLU comes after the last layer",
        weights="none",
    ),
    Mutant(
        "from-zero-to-one",
        "wavenet",
        "levels enter on [0, 1]",
        (("2 * x / (self.levels - 1) - 1", "x / (self.levels - 1)"),),
        "levels_enter_between_minus_one_and_one",
        "level 0 enters as −1",
        weights="none",
    ),
    Mutant(
        "whole-numbers",
        "wavenet",
        "levels are divided as whole numbers",
        (("(2 * x / (self.levels - 1) - 1)[:, None]", "(2 * x // (self.levels - 1) - 1)[:, None].float()"),),
        "levels_enter_between_minus_one_and_one",
        "enter as the same",
        weights="none",
    ),
    Mutant(
        "all-levels-asked",
        "wavenet",
        "the last level is asked, too: rounding leads beyond it",
        ((LEVEL, LEVEL.replace("cdf[:, :-1]", "cdf")),),
        "what_is_kept_changes_no_draw",
        "Ask all levels but the last",
        also=SKIPPED,
        weights="none",
    ),
    Mutant(
        "pasts-in-self",
        "wavenet",
        "pasts stay in self, and the next signals begin with them",
        (
            (
                "pasts = [u.new_zeros(n, self.width, block.conv.kept) for block in self.blocks]",
                "if n != getattr(self, 'rows', 0):\n"
                "            self.rows = n\n"
                "            self.pasts = [u.new_zeros(n, self.width, block.conv.kept) for block in self.blocks]\n"
                "        pasts = self.pasts",
            ),
        ),
        "what_is_kept_changes_no_draw",
        "nothing is kept in self",
        also=SKIPPED,
        weights="none",
    ),
)
