"""Slips in PixelCNN++: one at least for each check. Of public code are edge bins that are cut off, a density for the
mass of a bin, means that move with the same coefficient for green and blue, an upsampling that is cut at the wrong
end, and a component for each colour.
"""

from autograder.proof.changes import Mutant

EDGES = "return torch.where(x == 0, below, torch.where(x == levels - 1, above, inside))"
INSIDE = "inside = below + above + torch.log(-torch.expm1(-delta / s))"
LINES = "[mu[:, :, 0], mu[:, :, 1] + alpha * R, mu[:, :, 2] + beta * R + gamma * G]"
PIXEL = (
    "log_p = log_bins(x[:, None], mu, log_s, levels).sum(dim=2)  # of the three colours, (B, K, H, W)\n"
    "    return torch.logsumexp(log_pi + log_p, dim=1)"
)
WEIGHTS = "log_w = log_w + log_bins(x[:, None, c], mu[:, :, c], log_s[:, :, c], levels)"
DOWN = "return F.pad(x, (0, 0, 1, 0))[:, :, :-1]"
BESIDE = "beside = (w - 1, 0) if self.right else (w // 2, w // 2)"
PADDED = "return super().forward(F.pad(x, (*beside, h - 1, 0)))"
UP = "return super().forward(x)[:, :, : size[0], begin : begin + size[1]]"
FIRST_U = "u = self.u[0](down_shift(self.above_u(v)))"
FIRST_L = "ul = self.ul[0](down_shift(self.above_ul(v)) + right_shift(self.left(v)), u)"
LOG_P = "return pixel_log_prob(self.head(self.features(x)), x, self.levels).flatten(1).sum(dim=1)"
AT = "at = 2 * x[:, :, i : i + 1, j : j + 1] / (self.levels - 1) - 1"
ROUND = ".round().clamp(0, self.levels - 1).long()"
CHOSEN = "k = torch.multinomial(log_pi[:, :, 0, 0].exp(), 1)[:, :, None, None, None].expand(-1, 1, 3, 1, 1)"
LEVEL = "result.append(torch.logsumexp(log_w[..., None] + log_p, dim=1))"
ONTO = "v = 2 * x / (self.levels - 1) - 1\n        v = torch.cat([v, torch.ones_like(v[:, :1])], dim=1)"
LAST_U = "u = self.u[2](self.up_u(u, size), kept_u)"
LAST_L = "ul = self.ul[2](self.up_ul(ul, size), torch.cat([u, kept_ul], dim=1))"
NOISE = "noise = log_s.exp() * torch.logit(torch.rand(n, 1, 3, 1, 1).clamp(1e-6, 1 - 1e-6))"
HEAD = "self.head = nn.Conv2d(width, 10 * components, 1)"
DRAWS = ("samples_follow_the_density",)

MUTANTS = (
    Mutant(
        "ends-like-the-others", "pixelcnnpp", "the bins at the ends are as wide as the others",
        ((EDGES, "return inside"),),
        "the_bins_of_a_channel_sum_to_one", "The lowest bin begins at −∞",
    ),
    Mutant(
        "density-for-mass", "pixelcnnpp", "the density in the middle of a bin in the place of its mass",
        ((INSIDE, "z = (centre - mu) / s\n    inside = F.logsigmoid(z) + F.logsigmoid(-z) - log_s"),),
        "the_bins_of_a_channel_sum_to_one", "All others are σ(b) − σ(a)",
    ),
    Mutant(
        "difference-and-1e-8", "pixelcnnpp", "the logarithm of σ(b) − σ(a) + 1e-8",
        ((INSIDE, "inside = torch.log(torch.sigmoid(b) - torch.sigmoid(a) + 1e-8)"),),
        "bins_are_exact_at_the_ends_and_far_away", "1e-8",
    ),
    Mutant(
        "ends-changed", "pixelcnnpp", "the two ends are mistaken for each other",
        ((EDGES, EDGES.replace("x == 0, below", "x == 0, above").replace("- 1, above", "- 1, below")),),
        "bins_are_exact_at_the_ends_and_far_away", "F.logsigmoid of b alone at level 0",
    ),
    Mutant(
        "blue-forgets-green", "pixelcnnpp", "the mean of blue moves with red alone",
        ((LINES, LINES.replace(" + gamma * G", "")),),
        "means_are_straight_lines_in_the_colours_before", "μ_B + β R + γ G",
    ),
    Mutant(
        "one-coefficient", "pixelcnnpp", "green and blue move with red by the same number",
        ((LINES, LINES.replace("beta * R", "alpha * R")),),
        "means_are_straight_lines_in_the_colours_before", "the three numbers of `tied`",
    ),
    Mutant(
        "mean-of-red-for-red", "pixelcnnpp", "the mean of green moves with the mean of red, not with the true red",
        ((LINES, LINES.replace("alpha * R", "alpha * mu[:, :, 0]")),),
        "means_are_straight_lines_in_the_colours_before", "R and G are colours of the pixel",
    ),
    Mutant(
        "sums-the-colours-first", "pixelcnnpp", "a mixture for each colour: components are summed before the colours",
        ((PIXEL, "log_p = log_bins(x[:, None], mu, log_s, levels)\n"
                 "    return torch.logsumexp(log_pi[:, :, None] + log_p, dim=1).sum(dim=1)"),),
        "the_colours_of_a_pixel_sum_to_one", "the colours are multiplied within a component",
    ),
    Mutant(
        "pi-for-each-colour", "pixelcnnpp", "π counts once for each colour",
        ((PIXEL, "log_p = (log_bins(x[:, None], mu, log_s, levels) + log_pi[:, :, None]).sum(dim=2)\n"
                 "    return torch.logsumexp(log_p, dim=1)"),),
        "the_colours_of_a_pixel_sum_to_one", "π counts once",
    ),
    Mutant(
        "exp-sum-log", "pixelcnnpp", "the components are summed by exp and log, which underflow far away",
        ((PIXEL, PIXEL.replace("torch.logsumexp(log_pi + log_p, dim=1)", "(log_pi + log_p).exp().sum(dim=1).log()")),),
        "exact_for_colours_that_are_hardly_possible", "is −∞ where all of them are far away",
    ),
    Mutant(
        "levels-by-exp-sum-log", "pixelcnnpp", "those of the levels are, of a softmax of the weights",
        ((LEVEL, "p = log_w.softmax(dim=1)[..., None] * log_p.exp()\n"
                 "        result.append(torch.log(p.sum(dim=1) + 1e-12))"),),
        "exact_for_colours_that_are_hardly_possible", "with 1e-12 inside the logarithm it stops there",
    ),
    Mutant(
        "rolled", "pixelcnnpp", "the last row comes round to the first",
        ((DOWN, "return x.roll(1, dims=2)"),),
        "shifts_are_by_one_and_zeros_come_in", "no row comes round", also=DRAWS,
    ),
    Mutant(
        "shifted-up", "pixelcnnpp", "rows are moved the other way",
        ((DOWN, "return F.pad(x, (0, 0, 0, 1))[:, :, 1:]"),),
        "shifts_are_by_one_and_zeros_come_in", "is row i − 1", also=DRAWS,
    ),
    Mutant(
        "zeros-below", "pixelcnnpp", "zeros above and below, as for a picture",
        ((PADDED, "return super().forward(F.pad(x, (*beside, (h - 1) // 2, h - 1 - (h - 1) // 2)))"),),
        "convolutions_end_at_the_pixel_itself_in_both_sizes", "Zeros above: h − 1 rows", also=DRAWS,
    ),
    Mutant(
        "centred-to-the-right", "pixelcnnpp", "the kernel that should end at the own column begins there",
        ((BESIDE, BESIDE.replace("(w - 1, 0)", "(0, w - 1)")),),
        "convolutions_end_at_the_pixel_itself_in_both_sizes", "w − 1 on the left", also=DRAWS,
    ),
    Mutant(
        "cut-at-the-begin", "pixelcnnpp", "what is too much after upsampling is cut off above",
        ((UP, "return F.pad(super().forward(x), (0, 0, 0, 1))[:, :, 1 : 1 + size[0], begin : begin + size[1]]"),),
        "convolutions_end_at_the_pixel_itself_in_both_sizes", "cut at the end, not at the begin", also=DRAWS,
    ),
    Mutant(
        "u-not-shifted", "pixelcnnpp", "u begins with the own row",
        ((FIRST_U, "u = self.u[0](self.above_u(v))"),),
        "each_value_depends_only_on_earlier_values", "u by a row", also=DRAWS,
    ),
    Mutant(
        "nothing-from-the-left", "pixelcnnpp", "ul begins with the rows above alone",
        ((FIRST_L, FIRST_L.replace("right_shift(self.left(v))", "0 * self.left(v)")),),
        "no_blind_spot", "reaches no output",
    ),
    Mutant(
        "one-block-for-all", "pixelcnnpp", "the second block of u is the first once more",
        (("u = self.u[1](self.down_u(u))", "u = self.u[0](self.down_u(u))"),
         ("self.down_u = ShiftedConv2d", "self.u[1] = self.u[0]\n        self.down_u = ShiftedConv2d")),
        "every_layer_has_weights_of_its_own", "repeat the same object",
    ),
    Mutant(
        "a-block-called-twice", "pixelcnnpp", "the first block of u is called in half the size, too",
        (("u = self.u[1](self.down_u(u))", "u = self.u[0](self.down_u(u))"),),
        "every_layer_has_weights_of_its_own", "of 5 blocks",
    ),
    Mutant(
        "above-ul-forgotten", "pixelcnnpp", "ul begins with what is to the left alone; u tells it of the rows above",
        ((FIRST_L, "ul = self.ul[0](right_shift(self.left(v)), u)"),),
        "the_network_has_all_its_parts", "made and not called",
    ),
    Mutant(
        "u-not-brought-up", "pixelcnnpp", "block 2 of u gets what was kept in the place of what comes up",
        ((LAST_U, "u = self.u[2](kept_u, kept_u)"),),
        "the_network_has_all_its_parts", "made and not called",
    ),
    Mutant(
        "five-components", "pixelcnnpp", "the head has channels for five components, whatever was asked for",
        ((HEAD, "self.head = nn.Conv2d(width, 50, 1)"),),
        "the_network_has_all_its_parts", "K as `components` says", weights="none",
    ),
    Mutant(
        "levels-as-they-are", "pixelcnnpp", "levels go into the network as they are, up to 63",
        ((ONTO, ONTO.replace("2 * x / (self.levels - 1) - 1", "x.float()")),),
        "the_network_has_all_its_parts", "come in as 0, 1, 2",
    ),
    Mutant(
        "levels-from-zero", "pixelcnnpp", "levels go onto [0, 1]",
        ((ONTO, ONTO.replace("2 * x / (self.levels - 1) - 1", "x / (self.levels - 1)")),),
        "the_network_has_all_its_parts", "come in as 0, 0.5, 1",
    ),
    Mutant(
        "zeros-for-ones", "pixelcnnpp", "the channel that tells the picture from what lies outside is zero",
        ((ONTO, ONTO.replace("ones_like", "zeros_like")),),
        "the_network_has_all_its_parts", "no channel of ones",
    ),
    Mutant(
        "u-not-kept", "pixelcnnpp", "what came up comes in aside, too, in the place of what went down",
        ((LAST_U, "u = self.up_u(u, size)\n        u = self.u[2](u, u)"),),
        "the_network_has_all_its_parts", "keep them before `down`",
    ),
    Mutant(
        "ul-not-kept", "pixelcnnpp", "the same of ul",
        ((LAST_L, "ul = self.up_ul(ul, size)\n        ul = self.ul[2](ul, torch.cat([u, ul], dim=1))"),),
        "the_network_has_all_its_parts", "keep them before `down`",
    ),
    Mutant(
        "normalised-by-the-batch", "pixelcnnpp", "the mean log-probability of the batch is taken off",
        ((LOG_P, LOG_P.replace("return ", "log_p = ") + "\n        return log_p - log_p.mean()"),),
        "every_example_for_itself", "mixes the examples of a batch",
    ),
    Mutant(
        "squeezed", "pixelcnnpp", "squeeze() drops the batch, too, when it holds one picture",
        ((LOG_P, LOG_P.replace(".flatten(1).sum(dim=1)", ".flatten(1).squeeze().sum(dim=-1)")),),
        "called_with_one_example", "should have shape (1,)",
    ),
    Mutant(
        "same-weights-for-all", "pixelcnnpp", "the logits of green and blue use the weights of red",
        ((WEIGHTS, "log_w = log_w + 0"),),
        "log_density_is_the_sum_of_the_conditionals", "multiplied by what it gave",
    ),
    Mutant(
        "averaged", "pixelcnnpp", "log_prob is the mean over the pixels",
        ((LOG_P, LOG_P.replace("sum(dim=1)", "mean(dim=1)")),),
        "probabilities_sum_to_one", "summed over the pixels, not averaged",
    ),
    Mutant(
        "means-of-nothing", "pixelcnnpp", "the means of green and blue move with what was not drawn yet, zeros",
        ((AT, "at = 0 * x[:, :, i : i + 1, j : j + 1] - 1.0"),),
        "samples_follow_the_density", "depends on the level that was drawn",
    ),
    Mutant(
        "rounded-down", "pixelcnnpp", "draws are cut instead of rounded",
        ((ROUND, ROUND.replace("round", "floor")),),
        "samples_follow_the_density", "rounded to the nearest level",
    ),
    Mutant(
        "a-component-a-colour", "pixelcnnpp", "each colour draws a component of its own",
        ((CHOSEN, "k = torch.multinomial(log_pi[:, :, 0, 0].exp(), 3, replacement=True)[:, None, :, None, None]"),),
        "samples_follow_the_density", "One component a pixel",
    ),
    Mutant(
        "normal-draws", "pixelcnnpp", "draws of a normal with the variance of the logistic",
        ((NOISE, "noise = log_s.exp() * torch.pi / 3**0.5 * torch.randn(n, 1, 3, 1, 1)"),),
        "samples_follow_the_density", "A normal has other tails",
    ),
    Mutant(
        "thirty-steps", "pixelcnnpp", "training ends after thirty steps",
        (("optimizer = torch.optim.Adam", "steps = 30\n    optimizer = torch.optim.Adam"),),
        "trained_close_to_the_limit", "number of steps 1,000, here 30", weights="trained",
    ),
)  # fmt: skip
