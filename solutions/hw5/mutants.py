"""Slips in HW5, most of them seen in public code."""

from autograder.proof.changes import Body, Mutant

ONE_HOT = "return self.net(one_hot).view(-1, self.dims, self.bins)"
HIDDEN = "masked = torch.rand(x.shape) < t[:, None]"
MASKED = "return torch.where(masked, self.bins, x)"
LOG_P = "log_p = F.log_softmax(self.logits(z), dim=-1).gather(-1, x[..., None]).squeeze(-1)  # (B, dims)"
NATS = "return -torch.where(z == self.bins, log_p, 0.0).sum(dim=1)"
WEIGHTED = "return self.nats(x, self.corrupt(x, t)) / t"
OF_MASK = "total = total + self.nats(x, z) / (k * math.comb(self.dims, k))"
LIFTED = "lifted = (z == self.bins) & (torch.rand(z.shape) < (t - s) / t)"
DRAWN = "drawn = torch.distributions.Categorical(logits=self.logits(z)).sample()"
BACK = "z = self.reverse_step(z, 1 - k / steps, 1 - (k + 1) / steps)"


def masked(name: str, slip: str, edits: tuple, caught_by: str, hint: str, **options) -> Mutant:
    """A slip in 5.4."""
    return Mutant(name, "masked_diffusion", slip, edits, caught_by, hint, **options)


SQUARES = "squares = x.reshape(B, C, H // size, size, W // size, size).permute(0, 2, 4, 1, 3, 5)"
BACK_TO_IMAGES = "squares = tokens.reshape(-1, H // size, W // size, C, size, size).permute(0, 3, 1, 4, 2, 5)"
DROPPED = "return torch.where(torch.rand(len(y)) < rate, none, y)"
ZEROS = "        nn.init.zeros_(self.modulation.weight)\n        nn.init.zeros_(self.modulation.bias)\n"
SIX = "gamma_2 = self.modulation(F.silu(c))[:, None].chunk(6, dim=-1)"
QKV = ".view(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, N, width / heads) each"
BLOCKS = "self.blocks = nn.ModuleList(DiTBlock(width, heads) for _ in range(depth))"
CONDITION = "c = self.times(torch.cat([waves.sin(), waves.cos()], dim=1)) + self.labels(y)"
VELOCITY = "return (guess - x) / (1 - t).clamp_min(0.05)[:, None, None, None]"
X_T = "x_t = (1 - t_) * noise + t_ * x"
SQUARED = "return ((self.velocity(x_t, t, y) - (x - noise)) ** 2).mean(dim=(1, 2, 3))"
WITHOUT = "without = self.velocity(x, t, torch.full_like(y, self.classes))"
GUIDED = "return without + w * (self.velocity(x, t, y) - without)"
EULER = "x = x + self.guided(x, torch.full((len(x),), k / steps), y, w) / steps"
DROPS = "y = drop_labels(y, 0.1, none=model.classes)"


def dit(name: str, slip: str, edits: tuple, caught_by: str, hint: str, **options) -> Mutant:
    """A slip in 5.5."""
    return Mutant(name, "guided_dit", slip, edits, caught_by, hint, **options)


def loss(name: str, slip: str, edits: tuple, hint: str) -> Mutant:
    """A slip in the loss of 5.5."""
    return dit(name, slip, edits, "the_loss_is_the_velocitys_squared_error", hint)


def guidance(name: str, slip: str, edits: tuple, hint: str) -> Mutant:
    """A slip in the guidance of 5.5."""
    return dit(name, slip, edits, "guidance_goes_from_one_velocity_to_the_other", hint)


def steps(name: str, slip: str, edits: tuple, hint: str) -> Mutant:
    """A slip in the sampler of 5.5."""
    return dit(name, slip, edits, "images_are_made_in_eulers_steps", hint)


MUTANTS = (
    # ---- 5.4 ----
    masked(
        "normalised-over-the-batch",
        "the logits are normalised over the batch",
        ((ONE_HOT, f"{ONE_HOT}.log_softmax(dim=0)"),),
        "every_example_for_itself",
        "mixes the examples of a batch",
    ),
    masked(
        "a-logit-for-the-mask",
        "the network gives the mask a logit, too",
        (
            ("nn.Linear(hidden, dims * bins),", "nn.Linear(hidden, dims * (bins + 1)),"),
            (ONE_HOT, ONE_HOT.replace("self.bins)", "self.bins + 1)")),
        ),
        "every_example_for_itself",
        "should have shape (20, 3, 3), got (20, 3, 4)",
        weights="none",
    ),
    masked(
        "squeezed",
        "squeeze() drops the batch, too, when it holds one example",
        ((NATS, f"{NATS}.squeeze()"),),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    masked(
        "shown-with-probability-t",
        "t is the probability that a token is shown",
        ((HIDDEN, HIDDEN.replace("<", ">")),),
        "tokens_are_masked_with_probability_t",
        "Tokens are shown with probability t",
    ),
    masked(
        "all-tokens-together",
        "one number for all tokens of an example",
        ((HIDDEN, HIDDEN.replace("x.shape", "len(x), 1")),),
        "tokens_are_masked_with_probability_t",
        "All tokens of an example are masked together",
    ),
    masked(
        "same-tokens-everywhere",
        "one number for each token, the same in every example",
        ((HIDDEN, HIDDEN.replace("x.shape", "x.shape[1:]")),),
        "tokens_are_masked_with_probability_t",
        "masked",
    ),
    masked(
        "time-of-the-first",
        "the time of the first example for all",
        ((HIDDEN, HIDDEN.replace("t[:, None]", "t[0]")),),
        "tokens_are_masked_with_probability_t",
        "masked alike, whatever their t",
    ),
    masked(
        "mask-is-zero",
        "masked tokens become level 0",
        ((MASKED, "return torch.where(masked, 0, x)"),),
        "tokens_are_masked_with_probability_t",
        "one more than the last level",
    ),
    masked(
        "mask-is-the-last-level",
        "the mask is bins − 1, which is a level of the data",
        ((MASKED, "return torch.where(masked, self.bins - 1, x)"),),
        "tokens_are_masked_with_probability_t",
        "one more than the last level",
    ),
    masked(
        "shown-tokens-count",
        "the loss of all tokens, also of those that are shown",
        ((NATS, "return -log_p.sum(dim=1)"),),
        "only_what_is_masked_counts",
        "Tokens that are shown count, too",
    ),
    masked(
        "mean-over-tokens",
        "the mean over all tokens",
        ((NATS, NATS.replace("sum(", "mean(")),),
        "only_what_is_masked_counts",
        "divided by the number of tokens",
    ),
    masked(
        "mean-over-masked",
        "the mean over the masked tokens",
        ((NATS, f"{NATS} / (z == self.bins).sum(dim=1).clamp_min(1)"),),
        "only_what_is_masked_counts",
        "the mean over the masked tokens",
    ),
    masked(
        "sees-the-data",
        "the network is given x in the place of z",
        ((LOG_P, LOG_P.replace("self.logits(z)", "self.logits(x)")),),
        "only_what_is_masked_counts",
        "The network sees everything",
    ),
    masked(
        "sign",
        "log p, to be minimised",
        ((NATS, NATS.replace("-torch", "torch")),),
        "only_what_is_masked_counts",
        "Its sign is wrong",
    ),
    masked(
        "not-weighted",
        "the loss of masked language models, without 1 / t",
        ((WEIGHTED, "return self.nats(x, self.corrupt(x, t))"),),
        "the_loss_is_weighted_by_one_over_t",
        "It is not weighted",
    ),
    masked(
        "weight-inverted",
        "multiplied by t",
        ((WEIGHTED, WEIGHTED.replace("/ t", "* t")),),
        "the_loss_is_weighted_by_one_over_t",
        "The weight is inverted",
    ),
    masked(
        "weight-of-what-is-shown",
        "divided by 1 − t, as if t were the share that is shown",
        ((WEIGHTED, WEIGHTED.replace("/ t", "/ (1 - t)")),),
        "the_loss_is_weighted_by_one_over_t",
        "The weight is that of the tokens that are shown",
    ),
    masked(
        "masks-of-another-time",
        "z of the first example's time, weights of each example's own",
        ((WEIGHTED, WEIGHTED.replace("(x, t))", "(x, t[:1].expand(len(t))))")),),
        "the_loss_is_weighted_by_one_over_t",
        "not those of time t",
    ),
    masked(
        "mean-of-the-batch",
        "the loss is averaged over the batch",
        ((WEIGHTED, "return (self.nats(x, self.corrupt(x, t)) / t).mean()"),),
        "the_loss_is_weighted_by_one_over_t",
        "should have shape (9000,), got ()",
    ),
    masked(
        "loss-sees-the-data",
        "the loss asks the network about x, and masks afterwards",
        (
            (
                WEIGHTED,
                "log_p = F.log_softmax(self.logits(x), dim=-1).gather(-1, x[..., None]).squeeze(-1)\n"
                "        return -torch.where(self.corrupt(x, t) == self.bins, log_p, 0.0).sum(dim=1) / t",
            ),
        ),
        "the_loss_is_weighted_by_one_over_t",
        "The network sees everything",
    ),
    masked(
        "bound-without-k",
        "masks of k tokens weigh 1 / C(d, k)",
        ((OF_MASK, OF_MASK.replace("(k * math.comb(self.dims, k))", "math.comb(self.dims, k)")),),
        "the_bound_is_exact",
        "1 / k is missing",
    ),
    masked(
        "bound-without-binomial",
        "masks of k tokens weigh 1 / k",
        ((OF_MASK, OF_MASK.replace("(k * math.comb(self.dims, k))", "k")),),
        "the_bound_is_exact",
        "C(d, k) is missing",
    ),
    masked(
        "bound-of-equal-masks",
        "the mean over all masks",
        ((OF_MASK, OF_MASK.replace("(k * math.comb(self.dims, k))", "(2**self.dims - 1)")),),
        "the_bound_is_exact",
        "All masks weigh alike",
    ),
    masked(
        "bound-in-one-order",
        "the chain rule from the first token to the last",
        (
            (
                Body("MaskedDiffusion.bound"),
                """        total = torch.zeros(len(x))
        for i in range(self.dims):
            z = torch.where(torch.arange(self.dims) >= i, self.bins, x)
            total = total - F.log_softmax(self.logits(z)[:, i], dim=-1).gather(-1, x[:, i, None])[:, 0]
        return total
""",
            ),
        ),
        "the_bound_is_exact",
        "the chain rule in one order",
    ),
    masked(
        "bound-is-the-mixture",
        "−log of the mean over the orders, in the place of the mean of −log",
        (
            (
                Body("MaskedDiffusion.bound"),
                """        log_p = []
        for order in itertools.permutations(range(self.dims)):
            z, total = torch.full_like(x, self.bins), torch.zeros(len(x))
            for i in order:
                total = total + F.log_softmax(self.logits(z)[:, i], dim=-1).gather(-1, x[:, i, None])[:, 0]
                z[:, i] = x[:, i]
            log_p.append(total)
        return math.log(len(log_p)) - torch.stack(log_p).logsumexp(dim=0)
""",
            ),
        ),
        "the_bound_is_exact",
        "−log of the mean over the orders",
    ),
    masked(
        "bound-misses-masks",
        "the mask that hides everything is left out",
        (("            if k:\n", "            if 0 < k < self.dims:\n"),),
        "the_bound_is_exact",
        "below −log p(x): no bound does",
    ),
    masked(
        "redraws-what-is-shown",
        "each step draws some of the tokens that are shown, too",
        ((LIFTED, "lifted = torch.rand(z.shape) < (t - s) / t"),),
        "what_is_shown_never_changes",
        "that were shown have changed",
    ),
    masked(
        "lifted-too-seldom",
        "masks are lifted with probability t − s",
        ((LIFTED, LIFTED.replace("(t - s) / t)", "t - s)")),),
        "each_step_lifts_the_masks_that_it_should",
        "with probability t − s",
    ),
    masked(
        "lifted-and-left-exchanged",
        "masks are lifted with probability s / t",
        ((LIFTED, LIFTED.replace("(t - s) / t)", "s / t)")),),
        "each_step_lifts_the_masks_that_it_should",
        "Masks stay with probability (t − s) / t",
    ),
    masked(
        "lifts-all",
        "every step lifts all masks",
        ((LIFTED, "lifted = z == self.bins"),),
        "each_step_lifts_the_masks_that_it_should",
        "All masks are lifted at once",
    ),
    masked(
        "lifted-together",
        "one number for all masks of an example",
        ((LIFTED, LIFTED.replace("torch.rand(z.shape)", "torch.rand(len(z), 1)")),),
        "each_step_lifts_the_masks_that_it_should",
        "All masks of an example are lifted together",
    ),
    masked(
        "most-likely",
        "takes the most likely token instead of drawing",
        ((DRAWN, "drawn = self.logits(z).argmax(dim=-1)"),),
        "each_step_lifts_the_masks_that_it_should",
        "The most likely token is taken",
    ),
    masked(
        "drawn-from-anything",
        "lifted tokens are drawn evenly",
        ((DRAWN, "drawn = torch.randint(self.bins, z.shape)"),),
        "each_step_lifts_the_masks_that_it_should",
        "a draw from softmax(logits_i(z))",
    ),
    masked(
        "one-step-too-few",
        "the last step is left out",
        (("        for k in range(steps):\n", "        for k in range(steps - 1):\n"),),
        "samples_are_drawn_in_so_many_even_steps",
        "The last step ends at s = 0",
    ),
    masked(
        "time-runs-forward",
        "the times go from 0 to 1",
        ((BACK, "z = self.reverse_step(z, (k + 1) / steps, k / steps)"),),
        "samples_are_drawn_in_so_many_even_steps",
        "It takes 1 steps, in the place of",
    ),
    masked(
        "steps-are-ignored",
        "always fifty steps",
        (("        for k in range(steps):\n", "        steps = 50\n        for k in range(steps):\n"),),
        "samples_are_drawn_in_so_many_even_steps",
        "many more steps",
    ),
    masked(
        "thirty-steps",
        "training ends after thirty steps",
        (("    steps = 2500\n", "    steps = 30\n"),),
        "trained_close_to_the_limit_on_smiley",
        "number of steps 2,500, here 30",
        weights="trained",
    ),
    # ---- 5.5 ----
    dit(
        "a-reshape-alone",
        "patches by reshape, without permute: it comes back, and the tokens are pieces of rows",
        (
            (SQUARES, "squares = x"),
            (BACK_TO_IMAGES, "squares = tokens"),
        ),
        "patches_are_squares_and_come_back",
        "A reshape alone cuts rows into pieces",
    ),
    dit(
        "back-turned",
        "every patch is turned when it is put back",
        ((BACK_TO_IMAGES, BACK_TO_IMAGES.replace("0, 3, 1, 4, 2, 5", "0, 3, 1, 5, 2, 4")),),
        "patches_are_squares_and_come_back",
        "are not where they were",
    ),
    dit(
        "gates-that-are-open",
        "the layer of shift, scale and gate starts as torch makes it",
        ((ZEROS, ""),),
        "a_block_is_the_identity_at_the_start",
        "no gate is open",
    ),
    dit(
        "gates-and-what-they-gate",
        "the last layers of attention and MLP start at zero, too",
        (
            (
                ZEROS,
                ZEROS
                + "        for last in (self.out, self.mlp[-1]):\n            nn.init.zeros_(last.weight)\n"
                + "            nn.init.zeros_(last.bias)\n",
            ),
        ),
        "a_block_is_the_identity_at_the_start",
        "no gradient reaches either",
    ),
    dit(
        "no-way-around",
        "attention is not added to h, but takes its place",
        (("h = h + gamma_1 * self.out(mixed)", "h = gamma_1 * self.out(mixed)"),),
        "a_block_is_the_identity_at_the_start",
        "a fresh block changes its tokens",
    ),
    dit(
        "attention-over-the-batch",
        "attention between images, not between tokens",
        (
            (QKV, QKV.replace("permute(2, 0, 3, 1, 4)", "permute(2, 1, 3, 0, 4)")),
            (
                "F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, N, width)",
                "F.scaled_dot_product_attention(q, k, v).permute(2, 0, 1, 3).reshape(B, N, width)",
            ),
        ),
        "a_block_mixes_tokens_and_knows_c",
        "Attention is over dimension 1",
    ),
    dit(
        "c-of-the-first",
        "shift, scale and gate of the first example for all",
        ((SIX, SIX.replace("silu(c)", "silu(c[:1])")),),
        "a_block_mixes_tokens_and_knows_c",
        "at another place in the batch",
    ),
    dit(
        "c-is-not-used",
        "shift, scale and gate are the same for every c",
        ((SIX, SIX.replace("silu(c)", "silu(0 * c)")),),
        "a_block_mixes_tokens_and_knows_c",
        "made of c by a linear layer",
    ),
    dit(
        "one-block-for-all",
        "all blocks are the same object",
        ((BLOCKS, "self.blocks = nn.ModuleList([DiTBlock(width, heads)] * depth)"),),
        "every_layer_has_weights_of_its_own",
        "repeat the same object",
        weights="none",
    ),
    dit(
        "centred-over-the-batch",
        "the mean of the batch is taken off",
        ((VELOCITY, VELOCITY.replace("(guess - x)", "(guess - guess.mean(dim=0) - x)")),),
        "every_image_for_itself",
        "mixes the examples of a batch",
    ),
    dit(
        "time-not-given",
        "t is not given to the network",
        ((CONDITION, "c = self.labels(y)"), (VELOCITY, "return guess - x")),
        "the_velocity_knows_image_time_and_label",
        "t is not used",
    ),
    dit(
        "label-not-given",
        "y is not given to the network",
        ((CONDITION, CONDITION.replace(" + self.labels(y)", "")),),
        "the_velocity_knows_image_time_and_label",
        "y is not used",
    ),
    dit(
        "none-is-the-last-class",
        "the label of nothing is that of the last class",
        ((CONDITION, CONDITION.replace("self.labels(y)", "self.labels(y.clamp(max=self.classes - 1))")),),
        "the_velocity_knows_image_time_and_label",
        "none is not a label of its own",
    ),
    dit(
        "kept-at-the-rate",
        "rate is the share of labels that are kept",
        ((DROPPED, DROPPED.replace("<", ">")),),
        "labels_are_dropped_at_the_rate",
        "Labels are kept with probability",
    ),
    dit(
        "dropped-together",
        "one number for the whole batch",
        ((DROPPED, DROPPED.replace("torch.rand(len(y))", "torch.rand(1)")),),
        "labels_are_dropped_at_the_rate",
        "All labels are dropped, or none",
    ),
    dit(
        "dropped-to-zero",
        "a dropped label becomes 0, which is a digit",
        ((DROPPED, DROPPED.replace("none, y", "0, y")),),
        "labels_are_dropped_at_the_rate",
        "not another class, and not 0",
    ),
    loss(
        "given-the-image",
        "the network is given x in the place of x_t",
        ((SQUARED, SQUARED.replace("velocity(x_t", "velocity(x")),),
        "The network is given x",
    ),
    loss(
        "noise-at-one",
        "data and noise exchanged in x_t",
        ((X_T, "x_t = t_ * noise + (1 - t_) * x"),),
        "Data and noise are exchanged",
    ),
    loss(
        "backwards",
        "noise at t = 1, and its velocity",
        ((X_T, "x_t = t_ * noise + (1 - t_) * x"), (SQUARED, SQUARED.replace("(x - noise)", "(noise - x)"))),
        "Times run backwards",
    ),
    loss(
        "target-turned",
        "from data to noise",
        ((SQUARED, SQUARED.replace("(x - noise)", "(noise - x)")),),
        "The sign of the target",
    ),
    loss(
        "target-is-the-noise",
        "the noise is the target, as of an ε-prediction",
        ((SQUARED, SQUARED.replace("(x - noise)", "noise")),),
        "The target is the noise",
    ),
    loss(
        "target-is-the-image",
        "the image is the target, as of an x-prediction",
        ((SQUARED, SQUARED.replace("(x - noise)", "x")),),
        "The target is the image",
    ),
    loss(
        "loss-without-time",
        "the network is told t = 0",
        ((SQUARED, SQUARED.replace("(x_t, t, y)", "(x_t, 0 * t, y)")),),
        "The network is not told t",
    ),
    loss(
        "time-of-the-first",
        "one time for the whole batch",
        (("t_ = t[:, None, None, None]\n", "t = t[:1].expand(len(t))\n        t_ = t[:, None, None, None]\n"),),
        "All images have the time of the first",
    ),
    loss(
        "sum-over-pixels",
        "the sum over the image",
        ((SQUARED, SQUARED.replace(".mean(", ".sum(")),),
        "take their mean",
    ),
    loss(
        "mean-of-the-batch",
        "one number for the whole batch",
        ((SQUARED, SQUARED.replace(".mean(dim=(1, 2, 3))", ".mean()")),),
        "should have shape (8,), got ()",
    ),
    guidance(
        "terms-exchanged",
        "from the velocity of the label to that without",
        ((GUIDED, "with_label = self.velocity(x, t, y)\n        return with_label + w * (without - with_label)"),),
        "The two terms are exchanged",
    ),
    guidance(
        "w-counts-from-one",
        "v(y) + w (v(y) − v(none)), the convention of the paper",
        (
            (
                GUIDED,
                "with_label = self.velocity(x, t, y)\n        return with_label + w * (with_label - without)",
            ),
        ),
        "another convention",
    ),
    guidance(
        "labels-dropped-in-both",
        "both velocities are without a label",
        ((GUIDED, GUIDED.replace("(x, t, y)", "(x, t, torch.full_like(y, self.classes))")),),
        "The labels are dropped",
    ),
    guidance(
        "none-not-used",
        "both velocities are of the label",
        ((WITHOUT, "without = self.velocity(x, t, y)"),),
        "with its label, whatever w is",
    ),
    guidance(
        "difference-alone",
        "the velocity without a label is not added",
        ((GUIDED, GUIDED.replace("without + w", "w")),),
        "v(none) is missing",
    ),
    steps(
        "time-runs-backwards",
        "from t = 1 to 0",
        ((EULER, EULER.replace("k / steps)", "1 - k / steps)").replace("x = x +", "x = x -")),),
        "Times run from 1 to 0",
    ),
    steps(
        "velocity-at-the-end",
        "the velocity of a step's end",
        ((EULER, EULER.replace("k / steps)", "(k + 1) / steps)")),),
        "Each step asks for the velocity at its end",
    ),
    steps(
        "one-step-too-few",
        "the last step is left out",
        ((f"range(steps):\n            {EULER}", f"range(steps - 1):\n            {EULER}"),),
        "The last step is left out",
    ),
    steps(
        "labels-dropped",
        "samples without labels",
        ((EULER, EULER.replace(", y, w)", ", torch.full_like(y, self.classes), w)")),),
        "The labels are dropped",
    ),
    steps(
        "weight-ignored",
        "no guidance in the sampler",
        (
            (
                EULER,
                "x = x + self.velocity(x, torch.full((len(x),), k / steps), y) / steps",
            ),
        ),
        "as if w were 1",
    ),
    steps(
        "noise-in-every-step",
        "noise is added in every step, the last one too",
        ((EULER, EULER + " + 0.1 * torch.randn_like(x)"),),
        "x = noise; for k in range(steps)",
    ),
    dit(
        "thirty-steps",
        "training ends after thirty steps",
        (("    steps = 2500\n", "    steps = 30\n"),),
        "loss_of_held_out_images",
        "number of steps 2,500, here 30",
        weights="trained",
    ),
    dit(
        "labels-of-others",
        "the labels of other images, and few steps",
        (("    steps = 2500\n", "    steps = 100\n"), (DROPS, DROPS.replace("(y,", "(y.flip(0),"))),
        "guidance_steers_and_narrows",
        "The label is not followed",
        weights="trained",
    ),
    dit(
        "forty-steps",
        "training ends after forty steps",
        (("    steps = 2500\n", "    steps = 40\n"),),
        "frechet_distance",
        "number of steps 2,500, here 40",
        weights="trained",
    ),
)
