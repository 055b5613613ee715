"""Slips in HW2, most of them seen in students' notebooks or in published solutions."""

from autograder.proof.changes import Mutant

# 2.1
CDF_T = "t = (x - self.mu) / self.log_sigma.exp()  # (B, K)"
CDF_LOG_DET = "        return z, torch.logsumexp(log_pi + log_normal, dim=1)"
CDF_Z = "z = (log_pi.exp() * torch.special.ndtr(t)).sum(dim=1, keepdim=True)"
CDF_NORMAL = "log_normal = -0.5 * t**2 - self.log_sigma - 0.5 * math.log(2 * math.pi)"
CDF_LOG_PI = "log_pi = self.pi_logits.log_softmax(dim=0)"
BEGUN = 'log dz/dx in nats: (B, 1) -> (B,)."""\n        ### BEGIN SOLUTION\n'
CDF_LOG_PROB = BEGUN + "        return self(x)[1]\n"
CDF_LOOP = "        for _ in range(50):\n"
CDF_FIT = "optimizer = torch.optim.Adam(model.parameters(), lr=0.05)"
# 2.2
AR_T = "t = (x[:, None] - mu) / log_sigma.exp()  # (B, K)"
AR_Z = "z = (log_pi.exp() * torch.special.ndtr(t)).sum(dim=1)\n"
AR_NORMAL = "log_normal = -0.5 * t**2 - log_sigma - 0.5 * math.log(2 * math.pi)"
AR_FORWARD = "        return torch.stack([z1, z2], dim=1), log_slope1 + log_slope2"
AR_SECOND = "z2, log_slope2 = mixture_cdf(x[:, 1], *of_x2.chunk(3, dim=1))"
AR_SEES = "of_x2 = self.start + self.net(x[:, :1])  # (B, 3K)"
AR_BEGUN = '|det ∂z/∂x| in nats: (B, 2) -> (B,)."""\n        ### BEGIN SOLUTION\n        return self(x)[1]\n'
AR_INVERTED = "        of_x2 = self.start + self.net(x1[:, None])"
AR_RATE = "max_lr=2e-2, total_steps=steps)"
# 2.3
KEPT = "kept, other = x[:, [self.keep]], x[:, [1 - self.keep]]"
SCALED = "return self.scale * torch.tanh(s) + self.shift, mu"
COUPLED = "return self.joined(kept, other * log_sigma.exp() + mu), log_sigma.squeeze(1)"
UNDONE = "return self.joined(kept, (other - mu) * (-log_sigma).exp())"
TURNS = "AffineCoupling((i + 1) % 2, hidden)"
ADDED = "log_det = log_det + log_sigma"
BASE = "return log_normal.sum(dim=1) + log_det"
NVP_STEPS = "        steps = 3500\n"
NVP_DATA = "            data.sample(1_000_000, seed=0)"
NVP_RATE = "max_lr=4e-3, total_steps"
NVP_QUICK = (NVP_STEPS, "        steps = 400\n")  # a slip in the training shows long before its end
NORMAL = "log_normal = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)  # (B, 2)"

# 2.4
DEQUANTIZED = "    y = (x + torch.rand(x.shape)) / levels"
DEQ_LOG_DET = "torch.full((len(x),), -x[0].numel() * math.log(levels))"
LOGIT_SLOPES = "tensors.sum_except_batch(log_slope)"
IMG_BOARD = "return ((row + column) % 2 == keep).float().repeat(C, 1, 1)"
IMG_HALF = "first = torch.arange(C) < C // 2"
IMG_SQUEEZED = "return x.permute(0, 1, 3, 5, 2, 4).reshape(B, 4 * C, H // 2, W // 2)"
IMG_UNSQUEEZED = "z.permute(0, 1, 4, 2, 5, 3)"
IMG_MASKED = "return (1 - self.mask) * log_sigma, (1 - self.mask) * mu"
IMG_NET = "s, mu = self.net(self.mask * x).chunk(2, dim=1)"
IMG_COUPLED = "return x * log_sigma.exp() + mu, tensors.sum_except_batch(log_sigma)"
IMG_UNDONE = "return (z - mu) * (-log_sigma).exp()"
IMG_ADDED = "log_det = log_det + log_sigma"
IMG_DEQUANTIZES = "y, log_det_y = dequantize(x, self.levels)"
IMG_LOGITS = "t, log_det_t = to_logits(y)"
IMG_BASE = "log_normal = tensors.sum_except_batch(-0.5 * z**2 - 0.5 * math.log(2 * math.pi))"
IMG_SUM = "return log_normal + log_det_y + log_det_t + log_det_z"
IMG_BROUGHT_BACK = "        return self.inverse(z.flatten(0, 1)).view(z.shape)"
IMG_SHARES = "w = torch.linspace(0, 1, steps)[:, None, None, None]"
IMG_DRAWN = "y = from_logits(self.inverse(torch.randn(n, *self.shape)))"
IMG_LEVELS = "return (y * self.levels).floor().clamp(0, self.levels - 1).long()"
IMG_BOARDS = '[MaskedCoupling("checkerboard", i % 2, (C, H, W), width * 2**k) for i in range(2)]'
IMG_CHANNELS = '[MaskedCoupling("channel", i % 2, (C, H, W), width * 2**k) for i in range(4)]'
IMG_ASKED = "model.log_prob(x.long())"
IMG_FEW = ("    steps = 1000\n", "    steps = 20\n")  # a slip in the training shows at once
# 2.5
NORM_WHEN = "if self.training and not self.ready:"
NORM_SPREAD = "self.l.copy_(-x.std(dim=(0, 2, 3)).clamp(min=1e-6).log()[:, None, None])"
NORM_Z = "return (x + self.b) * self.l.exp(), (H * W * self.l.sum()).expand(B)"
NORM_UNDONE = "return z * (-self.l).exp() - self.b"
CONV_START = "rotation = torch.linalg.qr(torch.randn(channels, channels))[0]"
CONV_LOWER = "lower = self.L.tril(-1) + torch.eye(len(self.L))"
CONV_LOGS = "self.log_s = nn.Parameter(U.diagonal().abs().log())"
CONV_WHOLE = "return self.P @ lower @ upper"
CONV_Z = "return F.conv2d(x, self.weight()[:, :, None, None]), (H * W * self.log_s.sum()).expand(B)"
CONV_UNDONE = "return F.conv2d(z, self.weight().inverse()[:, :, None, None])"
GLOW_COUPLED = ("return torch.cat([x_a, x_b * log_sigma.exp() + mu], dim=1), "
                "tensors.sum_except_batch(log_sigma)")  # fmt: skip
GLOW_PARTS = "s, mu = self.net(x_a).chunk(2, dim=1)"
GLOW_UNDONE = "return torch.cat([z_a, (z_b - mu) * (-log_sigma).exp()], dim=1)"
GLOW_ADDED = "log_det = log_det + log_det_of_layer"
GLOW_NORMAL = "tensors.sum_except_batch(-0.5 * z**2 - 0.5 * math.log(2 * math.pi))"
GLOW_SUM = f"return {GLOW_NORMAL} + log_det_t + log_det_z"
GLOW_SAMPLE = "tensors.to_levels(self.inverse(torch.randn(n, *self.shape)), self.levels)"
GLOW_FEW = ("    steps = 1500\n", "    steps = 20\n")

MUTANTS = (
    Mutant(
        "cdf-one-value", "cdf_flow", "forward returns z and forgets log_det",
        ((CDF_LOG_DET, "        return z"),), "shapes", "should return two values, (z, log_det)", weights="none",
    ),
    Mutant(
        "cdf-keeps-a-dimension", "cdf_flow", "log_det comes out as (B, 1)",
        ((CDF_LOG_DET, CDF_LOG_DET.replace("dim=1)", "dim=1, keepdim=True)")),),
        "shapes", "should have shape", weights="none",
    ),
    Mutant(
        "cdf-log-of-a-sum", "cdf_flow", "exponentiates, sums, and takes the logarithm: −∞ far away",
        ((CDF_LOG_DET, "        return z, (log_pi + log_normal).exp().sum(dim=1).log()"),),
        "log_density_is_finite_far_away", "logsumexp of logs does not",
    ),
    Mutant(
        "cdf-weights-unnormalised", "cdf_flow", "the mixture weights are not put through a softmax",
        ((CDF_LOG_PI, "log_pi = self.pi_logits"),), "z_rises_from_0_to_1", "a softmax over the components",
    ),
    Mutant(
        "cdf-of-one-component", "cdf_flow", "z is the CDF of the first component alone",
        ((CDF_Z, "z = torch.special.ndtr(t[:, :1])"),), "log_det_is_the_slope_of_z", "derivative of Φ",
    ),
    Mutant(
        "cdf-of-the-mixture-mean", "cdf_flow", "one Gaussian CDF at the weighted means and widths (the notes' slip)",
        ((CDF_Z, "pi, sigma = log_pi.exp(), self.log_sigma.exp()\n"
                 "        z = torch.special.ndtr((x - (pi * self.mu).sum()) / (pi * sigma).sum())"),),
        "log_det_is_the_slope_of_z", "derivative of Φ",
    ),
    Mutant(
        "cdf-falls", "cdf_flow", "the survival function: z falls from 1 to 0",
        ((CDF_T, "t = (self.mu - x) / self.log_sigma.exp()"),), "z_rises_from_0_to_1", "runs from 0 to 1",
    ),
    Mutant(
        "cdf-sigma-forgotten", "cdf_flow", "the density lost its 1/σ",
        ((CDF_NORMAL, CDF_NORMAL.replace(" - self.log_sigma", "")),), "log_det_is_the_slope_of_z", "with its 1/σ",
    ),
    Mutant(
        "cdf-mean-of-logs", "cdf_flow", "averages the components' log-densities instead of their densities",
        ((CDF_LOG_DET, "        return z, (log_pi.exp() * log_normal).sum(dim=1)"),),
        "log_det_is_the_slope_of_z", "inside the logarithm",
    ),
    Mutant(
        "cdf-normal-base", "cdf_flow", "log_prob scores z under a standard normal base",
        ((CDF_LOG_PROB, BEGUN + "        z, log_det = self(x)\n"
          "        return log_det + torch.distributions.Normal(0, 1).log_prob(z).squeeze(1)\n"),),
        "density_integrates_to_one", "U[0, 1] has log-density 0",
    ),
    Mutant(
        "cdf-sign-of-log-det", "cdf_flow", "log_prob subtracts log_det",
        ((CDF_LOG_PROB, BEGUN + "        return -self(x)[1]\n"),),
        "density_integrates_to_one", "wrong sign",
    ),
    Mutant(
        "cdf-few-halvings", "cdf_flow", "bisection stops after eight steps",
        ((CDF_LOOP, CDF_LOOP.replace("50", "8")),), "inverse_undoes_forward", "halve it some 50 times",
    ),
    Mutant(
        "cdf-bisects-the-wrong-way", "cdf_flow", "moves the wrong end of the bracket",
        (("too_low = self(middle)[0] < z", "too_low = self(middle)[0] > z"),),
        "inverse_undoes_forward", "where the middle's z is too small, low moves",
    ),
    Mutant(
        "cdf-bracket-too-small", "cdf_flow", "the bracket is [−1, 1]",
        (("low = torch.zeros_like(z) + (self.mu - reach).min()", "low = -torch.ones_like(z)"),
         ("high = torch.zeros_like(z) + (self.mu + reach).max()", "high = torch.ones_like(z)")),
        "inverse_undoes_forward", "far outside every component",
    ),
    Mutant(
        "cdf-samples-of-a-normal", "cdf_flow", "draws z from a normal instead of a uniform",
        (("return self.inverse(torch.rand(n, 1))", "return self.inverse(torch.randn(n, 1))"),),
        "samples_follow_the_density", "Draw z from U[0, 1]",
    ),
    Mutant(
        "cdf-one-draw-for-all", "cdf_flow", "one z for all samples",
        (("return self.inverse(torch.rand(n, 1))", "return self.inverse(torch.rand(1, 1).expand(n, 1))"),),
        "samples_follow_the_density", "one for each sample",
    ),
    Mutant(
        "cdf-trained-on-other-data", "cdf_flow", "trains on another distribution",
        (("skewed.sample(100_000, seed=0)", 'toy.get("three_bumps").sample(100_000, seed=0)'),),
        "latents_of_held_out_data_are_uniform", "once the mixture fits", weights="trained",
    ),
    Mutant(
        "cdf-hardly-trained", "cdf_flow", "the learning rate is so small that nothing is learned",
        ((CDF_FIT, CDF_FIT.replace("0.05", "0.00005")),), "trained_close_to_the_limit", "learning rate 0.05, here",
        weights="trained",
    ),
    Mutant(
        "cdf-clamped", "cdf_flow", "x is clamped to the range of the data, against overflow",
        ((CDF_T, CDF_T.replace("(x -", "(x.clamp(-5, 5) -")),), "z_rises_from_0_to_1", "Is x clamped?",
    ),
    Mutant(
        "cdf-floor-in-the-logarithm", "cdf_flow", "adds a small number inside the logarithm, against −∞",
        ((CDF_LOG_DET, "        return z, (1e-8 + (log_pi + log_normal).exp().sum(dim=1)).log()"),),
        "density_integrates_to_one", "infinite mass",
    ),
    Mutant(
        "cdf-log-pi-forgotten", "cdf_flow", "log π is missing inside the logsumexp",
        ((CDF_LOG_DET, "        return z, torch.logsumexp(log_normal, dim=1)"),),
        "log_det_is_the_slope_of_z", "a mixture without its weights",
    ),
    Mutant(
        "cdf-squeezes-everything", "cdf_flow", "squeeze() drops the batch, too, when it holds one example",
        ((CDF_LOG_DET, "        return z, torch.logsumexp(log_pi + log_normal, dim=1, keepdim=True).squeeze()"),),
        "called_with_one_example", "should have shape (1,)",
    ),
    Mutant(
        "ar-keeps-a-dimension", "ar_flow", "log_det has one number for each dimension",
        ((AR_FORWARD, "        return torch.stack([z1, z2], dim=1), torch.stack([log_slope1, log_slope2], dim=1)"),),
        "shapes", "should have shape", weights="none",
    ),
    Mutant(
        "ar-batch-norm", "ar_flow", "normalises the network's input over the batch",
        (("of_x2 = self.start + self.net(x[:, :1])", "of_x2 = self.start + self.net(x[:, :1] - x[:, :1].mean())"),),
        "shapes", "mixes the examples of a batch",
    ),
    Mutant(
        "ar-log-of-a-sum", "ar_flow", "exponentiates, sums, and takes the logarithm: −∞ far away",
        (("\n    return z, torch.logsumexp(log_pi + log_normal, dim=1)",
          "\n    return z, (log_pi + log_normal).exp().sum(dim=1).log()"),),
        "log_density_is_finite_far_away", "logsumexp of logs does not",
    ),
    Mutant(
        "ar-sees-its-own-input", "ar_flow", "the parameters of x_2's mixture depend on x_2",
        ((AR_SEES, "of_x2 = self.start + self.net(x[:, 1:])"),), "jacobian_is_triangular", "sees x_1 and nothing else",
    ),
    Mutant(
        "ar-independent", "ar_flow", "x_2's mixture does not depend on x_1",
        ((AR_SEES, "of_x2 = (self.start + self.net(torch.zeros(1, 1))).expand(len(x), -1)"),),
        "jacobian_is_triangular", "sees x_1",
    ),
    Mutant(
        "ar-both-see-each-other", "ar_flow", "x_1 goes through the CDF of a mixture that depends on x_2, too",
        (("z1, log_slope1 = mixture_cdf(x[:, 0], *of_x1.chunk(3, dim=1))",
          "z1, log_slope1 = mixture_cdf(x[:, 0], *(of_x1 + self.net(x[:, 1:])).chunk(3, dim=1))"),),
        "jacobian_is_triangular", "z_1 is a function of x_1 alone",
    ),
    Mutant(
        "ar-log-det-forgets-x1", "ar_flow", "log_det is that of z_2 alone",
        ((AR_FORWARD, "        return torch.stack([z1, z2], dim=1), log_slope2"),),
        "log_det_is_that_of_the_jacobian", "sum of log dz_1/dx_1",
    ),
    Mutant(
        "ar-log-det-mean", "ar_flow", "averages over the dimensions instead of summing",
        ((AR_FORWARD, "        return torch.stack([z1, z2], dim=1), (log_slope1 + log_slope2) / 2"),),
        "log_det_is_that_of_the_jacobian", "averaged over the dimensions", weights="trained",
    ),
    Mutant(
        "ar-log-det-of-inverse", "ar_flow", "log_det has the wrong sign, and log_prob makes up for it",
        ((AR_FORWARD, AR_FORWARD.replace("log_slope1 + log_slope2", "-log_slope1 - log_slope2")),
         (AR_BEGUN, AR_BEGUN.replace("return self", "return -self"))),
        "log_det_is_that_of_the_jacobian", "wrong sign",
    ),
    Mutant(
        "ar-sigma-forgotten", "ar_flow", "the density lost its 1/σ",
        ((AR_NORMAL, AR_NORMAL.replace(" - log_sigma", "")),), "log_det_is_that_of_the_jacobian", "with their 1/σ",
    ),
    Mutant(
        "ar-cdf-of-one-component", "ar_flow", "z is the CDF of the first component alone",
        ((AR_Z, "z = torch.special.ndtr(t[:, 0])\n"),), "log_det_is_that_of_the_jacobian", "the two mixture densities",
    ),
    Mutant(
        "ar-weights-unnormalised", "ar_flow", "the mixture weights are not put through a softmax",
        (("log_pi = pi_logits.log_softmax(dim=1)", "log_pi = pi_logits"),),
        "density_integrates_to_one", "a softmax over its components",
    ),
    Mutant(
        "ar-normal-base", "ar_flow", "log_prob scores z under a standard normal base",
        ((AR_BEGUN, AR_BEGUN.replace("return self(x)[1]", "z, log_det = self(x)\n        return log_det + "
                                     "torch.distributions.Normal(0, 1).log_prob(z).sum(dim=1)")),),
        "density_integrates_to_one", "U[0, 1] has log-density 0",
    ),
    Mutant(
        "ar-bits-for-nats", "ar_flow", "gives log_prob in bits",
        ((AR_BEGUN, AR_BEGUN.replace("[1]\n", "[1] / 0.6931\n")),), "density_integrates_to_one", "It is in bits",
    ),
    Mutant(
        "ar-inverts-given-z1", "ar_flow", "the way back conditions on z_1 instead of x_1",
        ((AR_INVERTED, "        of_x2 = self.start + self.net(z[:, :1])"),),
        "inverse_undoes_forward", "the mixture of x_2 given that x_1",
    ),
    Mutant(
        "ar-few-halvings", "ar_flow", "bisection stops after eight steps",
        (("\n    for _ in range(50):\n", "\n    for _ in range(8):\n"),), "inverse_undoes_forward", "some 50 halvings",
    ),
    Mutant(
        "ar-samples-along-the-diagonal", "ar_flow", "one random number for both dimensions",
        (("self.inverse(torch.rand(n, 2))", "self.inverse(torch.rand(n, 1).expand(n, 2))"),),
        "samples_follow_the_density", "independently",
    ),
    Mutant(
        "ar-samples-not-to-the-ends", "ar_flow", "draws z from the middle of the square only, against infinities",
        (("self.inverse(torch.rand(n, 2))", "self.inverse(0.1 + 0.8 * torch.rand(n, 2))"),),
        "samples_follow_the_density", "U[0, 1]",
    ),
    Mutant(
        "ar-trained-on-the-other-set", "ar_flow", "both models are trained on the smiley",
        (("fit=train_ar_flow(moons)", "fit=train_ar_flow(smiley)"),),
        "latents_of_held_out_data_are_uniform", "trained on its own set", weights="trained",
    ),
    Mutant(
        "ar-hardly-trained", "ar_flow", "the learning rate is so small that nothing is learned",
        ((AR_RATE, AR_RATE.replace("2e-2", "1e-5")), ("        steps = 3500\n", "        steps = 300\n")),
        "trained_close_to_the_limit_on_smiley", "number of steps 3,500", weights="trained",
    ),
    Mutant(
        "ar-hardly-trained-on-moons", "ar_flow", "stops after a hundred steps",
        (("        steps = 3500\n", "        steps = 100\n"),),
        "trained_close_to_the_limit_on_moons", "number of steps 3,500", weights="trained",
    ),
    Mutant(
        "ar-clamped", "ar_flow", "x is clamped to the range of the data, against overflow",
        ((AR_T, AR_T.replace("(x[:, None] -", "(x[:, None].clamp(-4, 4) -")),),
        "density_integrates_to_one", "clamped",
    ),
    Mutant(
        "ar-log-pi-forgotten", "ar_flow", "log π is missing inside the logsumexp",
        (("\n    return z, torch.logsumexp(log_pi + log_normal, dim=1)",
          "\n    return z, torch.logsumexp(log_normal, dim=1)"),),
        "density_integrates_to_one", "without its weights",
    ),
    Mutant(
        "ar-squeezes-everything", "ar_flow", "squeeze() drops the batch, too, when it holds one example",
        ((AR_FORWARD, AR_FORWARD.replace("log_slope1 + log_slope2", "(log_slope1 + log_slope2)[:, None].squeeze()")),),
        "called_with_one_example", "should have shape (1,)",
    ),
    Mutant(
        "nvp-keeps-a-dimension", "realnvp", "a coupling's log_det comes out as (B, 1)",
        ((COUPLED, COUPLED.replace(".squeeze(1)", "")),), "shapes", "should have shape",
    ),
    Mutant(
        "nvp-log-det-over-the-batch", "realnvp", "log_det is summed over the batch as well",
        ((ADDED, "log_det = log_det + log_sigma.sum().expand(len(z))"),), "shapes", "mixes the examples of a batch",
    ),
    Mutant(
        "nvp-both-halves", "realnvp", "both halves are transformed, by the half that was to be kept",
        ((COUPLED, COUPLED.replace("joined(kept,", "joined(kept * log_sigma.exp() + mu,")),),
        "coupling_keeps_one_half", "hands x_keep on as it is",
    ),
    Mutant(
        "nvp-halves-swapped", "realnvp", "joins the halves in the wrong places",
        (("[kept, other] if self.keep == 0 else [other, kept]", "[other, kept] if self.keep == 0 else [kept, other]"),),
        "coupling_keeps_one_half", "hands x_keep on as it is",
    ),
    Mutant(
        "nvp-no-tanh", "realnvp", "log σ = scale · s + shift, without the tanh",
        ((SCALED, "return self.scale * s + self.shift, mu"),), "log_scale_is_bounded", "without the tanh",
    ),
    Mutant(
        "nvp-log-det-sign", "realnvp", "a coupling's log_det has the wrong sign",
        ((COUPLED, COUPLED.replace("log_sigma.squeeze(1)", "-log_sigma.squeeze(1)")),),
        "log_det_is_that_of_the_jacobian", "wrong sign",
    ),
    Mutant(
        "nvp-log-det-forgotten", "realnvp", "the flow returns the log_det of its last coupling only",
        ((ADDED, "log_det = log_sigma"),), "log_det_is_that_of_the_jacobian", "log_dets add",
    ),
    Mutant(
        "nvp-log-det-without-the-stretch", "realnvp", "the log_det of the first stretch is forgotten",
        (("x * self.stretch, 2 * math.log(self.stretch)", "x * self.stretch, 0.0"),),
        "log_det_is_that_of_the_jacobian", "log_dets add",
    ),
    Mutant(
        "nvp-log-det-mean", "realnvp", "averages the log_dets of the couplings",
        ((ADDED, "log_det = log_det + log_sigma / len(self.couplings)"),),
        "log_det_is_that_of_the_jacobian", "log_dets add",
    ),
    Mutant(
        "nvp-log-det-is-sigma", "realnvp", "returns σ where log σ is wanted",
        ((COUPLED, COUPLED.replace("log_sigma.squeeze(1)", "log_sigma.exp().squeeze(1)")),),
        "log_det_is_that_of_the_jacobian", "determinant itself",
    ),
    Mutant(
        "nvp-never-alternates", "realnvp", "every coupling keeps the same half",
        ((TURNS, "AffineCoupling(0, hidden)"),), "every_z_depends_on_every_x", "take turns",
    ),
    Mutant(
        "nvp-inverse-in-the-same-order", "realnvp", "undoes the first coupling first",
        (("for coupling in reversed(self.couplings):", "for coupling in self.couplings:"),),
        "inverse_undoes_forward", "the couplings in reverse order",
    ),
    Mutant(
        "nvp-inverse-divides-first", "realnvp", "divides before it subtracts",
        ((UNDONE, "return self.joined(kept, other * (-log_sigma).exp() - mu)"),),
        "inverse_undoes_forward", "in that order",
    ),
    Mutant(
        "nvp-inverse-multiplies", "realnvp", "forgets the sign of log σ on the way back",
        ((UNDONE, UNDONE.replace("(-log_sigma)", "log_sigma")),), "inverse_undoes_forward", "exp(−log σ)",
    ),
    Mutant(
        "nvp-base-without-constant", "realnvp", "the base density lost −½ log 2π",
        ((NORMAL, "log_normal = -0.5 * z**2"),), "density_integrates_to_one", "lost its constant",
    ),
    Mutant(
        "nvp-base-mean", "realnvp", "the base's log-density is averaged over the dimensions",
        ((BASE, "return log_normal.mean(dim=1) + log_det"),),
        "density_integrates_to_one", "averaged over the dimensions",
    ),
    Mutant(
        "nvp-log-prob-forgets-log-det", "realnvp", "log_prob is the base's alone",
        ((BASE, "return log_normal.sum(dim=1)"),), "density_integrates_to_one", "log_det is left out",
    ),
    Mutant(
        "nvp-log-prob-subtracts", "realnvp", "log_prob subtracts log_det",
        ((BASE, "return log_normal.sum(dim=1) - log_det"),), "density_integrates_to_one", "log_det is subtracted",
    ),
    Mutant(
        "nvp-cool-samples", "realnvp", "draws z with a temperature of 0.7, for prettier samples",
        (("self.inverse(torch.randn(n, 2))", "self.inverse(0.7 * torch.randn(n, 2))"),),
        "samples_follow_the_density", "as much spread",
    ),
    Mutant(
        "nvp-uniform-samples", "realnvp", "draws z from a uniform distribution",
        (("self.inverse(torch.randn(n, 2))", "self.inverse(torch.rand(n, 2))"),),
        "samples_follow_the_density", "Draw z from N(0, I)",
    ),
    Mutant(
        "nvp-trained-on-the-other-set", "realnvp", "both models are trained on the moons",
        (("fit=train_realnvp(smiley)", "fit=train_realnvp(moons)"), NVP_QUICK),
        "latents_of_held_out_data_are_normal", "Once the flow fits", weights="trained",
    ),
    Mutant(
        "nvp-trained-on-scaled-data", "realnvp", "trains on data divided by two, and forgets to scale back",
        ((NVP_DATA + ",", NVP_DATA + " / 2,"), NVP_QUICK),
        "samples_look_like_the_data", "as they are", weights="trained",
    ),
    Mutant(
        "nvp-hardly-trained", "realnvp", "stops after a hundred steps",
        ((NVP_STEPS, "        steps = 100\n"),),
        "trained_close_to_the_limit_on_smiley", "number of steps 3,500", weights="trained",
    ),
    Mutant(
        "nvp-small-rate", "realnvp", "the learning rate is so small that little is learned",
        ((NVP_RATE, "max_lr=2e-5, total_steps"), NVP_QUICK),
        "trained_close_to_the_limit_on_moons", "learning rate 0.004", weights="trained",
    ),
    Mutant(
        "nvp-plain-list", "realnvp", "the couplings are in a plain list: the optimiser does not see them",
        (("nn.ModuleList(AffineCoupling((i + 1) % 2, hidden) for i in range(couplings))",
          "[AffineCoupling((i + 1) % 2, hidden) for i in range(couplings)]"),),
        "every_z_depends_on_every_x", "plain Python list", weights="none",
    ),
    Mutant(
        "nvp-one-coupling-for-all", "realnvp", "two couplings, repeated: they share their weights",
        (("nn.ModuleList(AffineCoupling((i + 1) % 2, hidden) for i in range(couplings))",
          "nn.ModuleList([AffineCoupling(1, hidden), AffineCoupling(0, hidden)] * (couplings // 2))"),),
        "every_z_depends_on_every_x", "[layer] * n", weights="none",
    ),
    Mutant(
        "nvp-tanh-on-z", "realnvp", "a tanh at the end keeps z small, and its log_det is counted",
        ((ADDED + "\n        return z, log_det", ADDED + "\n        z = torch.tanh(z)\n"
          "        return z, log_det + torch.log1p(-(z**2)).sum(dim=1)"),),
        "density_integrates_to_one", "Is there a tanh", weights="none",
    ),
    Mutant(
        "nvp-clamped", "realnvp", "x is clamped to the range of the data, against overflow",
        (("z, log_det = x * self.stretch,", "z, log_det = x.clamp(-5, 5) * self.stretch,"),),
        "density_integrates_to_one", "Is x clamped", weights="none",
    ),
    Mutant(
        "nvp-squeezes-everything", "realnvp", "squeeze() drops the batch, too, when it holds one example",
        ((COUPLED, COUPLED.replace("squeeze(1)", "squeeze()")),),
        "called_with_one_example", "should have shape (1,)",
    ),
    Mutant(
        "nvp-loss-is-log-det", "realnvp", "the loss is −log_det: the base density is left out",
        (("lambda x: -model.log_prob(x).mean(),", "lambda x: -model(x)[1].mean(),"), NVP_QUICK),
        "latents_of_held_out_data_are_normal", "the flow only stretches", weights="trained",
    ),
    Mutant(
        "img-samples-are-reals", "realnvp_images", "samples come as reals, not as levels",
        ((IMG_LEVELS, "return y"),),
        "samples_follow_the_density", "should be integer levels", weights="none",
    ),
    Mutant(
        "img-batch-mean", "realnvp_images", "normalises over the batch",
        ((IMG_NET, "s, mu = self.net(self.mask * (x - x.mean(dim=0))).chunk(2, dim=1)"),),
        "shapes", "mixes the examples of a batch", weights="none",
    ),
    Mutant(
        "img-one-log-det-for-all", "realnvp_images", "log_det is summed over the batch, too",
        ((IMG_COUPLED, "return x * log_sigma.exp() + mu, log_sigma.sum()[None]"),),
        "log_det_is_that_of_the_jacobian", "should have shape", weights="none",
    ),
    Mutant(
        "img-no-noise", "realnvp_images", "divides by the number of levels, and adds no noise",
        ((DEQUANTIZED, "    y = x / levels"),),
        "dequantize_adds_uniform_noise", "from U[0, 1)", weights="none",
    ),
    Mutant(
        "img-one-noise-an-image", "realnvp_images", "one draw of noise for all pixels of an image",
        ((DEQUANTIZED, "    y = (x + torch.rand(len(x), 1, 1, 1)) / levels"),),
        "dequantize_adds_uniform_noise", "of its own for every number", weights="none",
    ),
    Mutant(
        "img-noise-about-zero", "realnvp_images", "the noise lies between −½ and ½",
        ((DEQUANTIZED, "    y = (x + torch.rand(x.shape) - 0.5) / levels"),),
        "dequantize_adds_uniform_noise", "u lies outside [0, 1)", weights="none",
    ),
    Mutant(
        "img-noise-in-units-of-white", "realnvp_images", "divides by levels − 1: white comes out above 1",
        ((DEQUANTIZED, "    y = (x + torch.rand(x.shape)) / (levels - 1)"),),
        "dequantize_adds_uniform_noise", "y = (x + u) / levels", weights="none",
    ),
    Mutant(
        "img-division-forgotten", "realnvp_images", "the log-determinant of the division is forgotten",
        ((DEQ_LOG_DET, "torch.zeros(len(x))"),),
        "dequantize_adds_uniform_noise", "−D log levels", weights="none",
    ),
    Mutant(
        "img-logit-log-det-forgotten", "realnvp_images", "the log-determinant of the logit is forgotten",
        ((LOGIT_SLOPES, "torch.zeros(len(y))"),),
        "logit_and_its_log_det", "log_det sums their logarithms", weights="none",
    ),
    Mutant(
        "img-alpha-forgotten", "realnvp_images", "the slope of the logit lost its factor 1 − 2α",
        (("log_slope = math.log(1 - 2 * ALPHA) - s.log()", "log_slope = -s.log()"),),
        "logit_and_its_log_det", "(1 − 2α) / (s (1 − s))", weights="none",
    ),
    Mutant(
        "img-logit-averaged", "realnvp_images", "averages the logit's log-slopes over the image",
        ((LOGIT_SLOPES, "log_slope.flatten(1).mean(dim=1)"),),
        "logit_and_its_log_det", "one number an image", weights="none",
    ),
    Mutant(
        "img-logit-without-alpha", "realnvp_images", "no α: black and white go to infinity",
        (("    s = ALPHA + (1 - 2 * ALPHA) * y\n", "    s = y\n"),),
        "logit_and_its_log_det", "s = α + (1 − 2α) y", weights="none",
    ),
    Mutant(
        "img-stripes", "realnvp_images", "the checkerboard is rows in turns",
        ((IMG_BOARD, IMG_BOARD.replace("(row + column)", "(row + 0 * column)")),),
        "masks_keep_one_half", "(row + column) % 2", weights="none",
    ),
    Mutant(
        "img-same-checkerboard", "realnvp_images", "keep makes no difference to the checkerboard",
        ((IMG_BOARD, IMG_BOARD.replace("== keep", "== 0")),),
        "masks_keep_one_half", "keep 1: ", weights="none",
    ),
    Mutant(
        "img-every-second-channel", "realnvp_images", "keeps every second channel",
        ((IMG_HALF, "first = torch.arange(C) % 2 == 0"),),
        "masks_keep_one_half", "the first half of the channels", weights="none",
    ),
    Mutant(
        "img-squeeze-by-reshape", "realnvp_images", "squeezes by reshaping alone: rows land in channels",
        ((IMG_SQUEEZED, "return x.reshape(B, 4 * C, H // 2, W // 2)"),),
        "squeeze_moves_squares_into_channels", "numbers of other squares", weights="none",
    ),
    Mutant(
        "img-unsqueeze-turned", "realnvp_images", "unsqueeze puts each square back turned over",
        ((IMG_UNSQUEEZED, "z.permute(0, 1, 4, 3, 5, 2)"),),
        "squeeze_moves_squares_into_channels", "puts every number back where it was", weights="none",
    ),
    Mutant(
        "img-both-halves-change", "realnvp_images", "the kept half is scaled and shifted, too",
        ((IMG_MASKED, "return log_sigma, mu"),),
        "coupling_keeps_what_the_mask_keeps", "Where the mask is 1", weights="none",
    ),
    Mutant(
        "img-shift-everywhere", "realnvp_images", "the kept half is shifted, too",
        ((IMG_MASKED, "return (1 - self.mask) * log_sigma, mu"),),
        "coupling_keeps_what_the_mask_keeps", "numbers that the mask keeps change", weights="none",
    ),
    Mutant(
        "img-network-sees-everything", "realnvp_images", "the network sees the half that it changes",
        ((IMG_NET, "s, mu = self.net(x).chunk(2, dim=1)"),),
        "log_det_is_that_of_the_jacobian", "log_det is off", weights="none",
    ),
    Mutant(
        "img-log-det-averaged", "realnvp_images", "a coupling's log_det is a mean over the image",
        ((IMG_COUPLED, "return x * log_sigma.exp() + mu, log_sigma.flatten(1).mean(dim=1)"),),
        "log_det_is_that_of_the_jacobian", "averaged over the dimensions", weights="none",
    ),
    Mutant(
        "img-log-det-sign", "realnvp_images", "log_det has the wrong sign",
        ((IMG_COUPLED, "return x * log_sigma.exp() + mu, -tensors.sum_except_batch(log_sigma)"),),
        "log_det_is_that_of_the_jacobian", "wrong sign", weights="none",
    ),
    Mutant(
        "img-last-log-det-only", "realnvp_images", "log_det is that of the last coupling alone",
        ((IMG_ADDED, "log_det = log_sigma"),),
        "log_det_is_that_of_the_jacobian", "those of a composition add", weights="none",
    ),
    Mutant(
        "img-inverse-in-the-wrong-order", "realnvp_images", "the way back scales first, and subtracts then",
        ((IMG_UNDONE, "return z * (-log_sigma).exp() - mu"),),
        "inverse_undoes_forward", "in that order", weights="none",
    ),
    Mutant(
        "img-inverse-multiplies", "realnvp_images", "the way back multiplies by σ again",
        ((IMG_UNDONE, "return (z - mu) * log_sigma.exp()"),),
        "inverse_undoes_forward", "exp(−log σ)", weights="none",
    ),
    Mutant(
        "img-base-without-constant", "realnvp_images", "the base density lost its −½ log 2π",
        ((IMG_BASE, "log_normal = tensors.sum_except_batch(-0.5 * z**2)"),),
        "log_prob_adds_base_and_all_log_dets", "log N(z; 0, I)", weights="none",
    ),
    Mutant(
        "img-log-det-of-logit-not-added", "realnvp_images", "log_prob leaves the logit's log_det out",
        ((IMG_SUM, "return log_normal + log_det_y + log_det_z"),),
        "log_prob_adds_base_and_all_log_dets", "to_logits and forward, each once", weights="none",
    ),
    Mutant(
        "img-log-dets-subtracted", "realnvp_images", "log_prob subtracts the flow's log_det",
        ((IMG_SUM, "return log_normal + log_det_y + log_det_t - log_det_z"),),
        "log_prob_adds_base_and_all_log_dets", "should be", weights="none",
    ),
    Mutant(
        "img-dequantised-twice", "realnvp_images", "noise is added twice",
        ((IMG_LOGITS, "t, log_det_t = to_logits((y + torch.rand(y.shape) / self.levels).clamp(max=1))"),),
        "log_prob_adds_base_and_all_log_dets", "should be", weights="none",
    ),
    Mutant(
        "img-log-prob-without-noise", "realnvp_images", "log_prob takes the middle of each level",
        ((IMG_DEQUANTIZES, "y, log_det_y = (x + 0.5) / self.levels, dequantize(x, self.levels)[1]"),),
        "log_prob_adds_base_and_all_log_dets", "drawn anew at every call", weights="none",
    ),
    Mutant(
        "img-log-prob-a-pixel", "realnvp_images", "log_prob is divided by the number of pixels",
        ((IMG_SUM, "return (log_normal + log_det_y + log_det_t + log_det_z) / z[0].numel()"),),
        "log_prob_adds_base_and_all_log_dets", "sums over the image", weights="none",
    ),
    Mutant(
        "img-way-through-pixels", "realnvp_images", "interpolates pixels, not latents",
        ((IMG_BROUGHT_BACK, "        return (1 - w) * a[:, None] + w * b[:, None]"),),
        "interpolation_is_straight_in_latent_space", "w f(b)", weights="none",
    ),
    Mutant(
        "img-way-without-its-end", "realnvp_images", "the way stops a step before its end",
        ((IMG_SHARES, "w = torch.arange(steps)[:, None, None, None] / steps"),),
        "interpolation_is_straight_in_latent_space", "from 0 to 1", weights="none",
    ),
    Mutant(
        "img-samples-skip-the-logit", "realnvp_images", "sample does not go back through the logit",
        ((IMG_DRAWN, "y = self.inverse(torch.randn(n, *self.shape))"),),
        "samples_follow_the_density", "from_logits, times levels",
    ),
    Mutant(
        "img-samples-of-the-base", "realnvp_images", "sample draws z and forgets the inverse",
        ((IMG_DRAWN, "y = from_logits(torch.randn(n, *self.shape))"),),
        "samples_follow_the_density", "is the inverse missing",
    ),
    Mutant(
        "img-twenty-steps", "realnvp_images", "training ends after twenty steps",
        (IMG_FEW,),
        "trained_bits_per_dimension", "number of steps 1,000", weights="trained",
    ),
    Mutant(
        "img-trained-on-negatives", "realnvp_images", "trains on white digits turned black, for a short time",
        (("    steps = 1000\n", "    steps = 100\n"), (IMG_ASKED, "model.log_prob(15 - x.long())")),
        "samples_look_like_the_data", "on the data as they are", weights="trained",
    ),
    Mutant(
        "img-fixed-noise", "realnvp_images", "the noise has a seed of its own, and is the same at every call",
        ((DEQUANTIZED, "    y = (x + torch.rand(x.shape, generator=torch.Generator().manual_seed(0))) / levels"),),
        "dequantize_adds_uniform_noise", "the same at every call", weights="none",
    ),
    Mutant(
        "img-shared-couplings", "realnvp_images", "[coupling] * n: one coupling, the same half, again and again",
        ((IMG_BOARDS, '[MaskedCoupling("checkerboard", 0, (C, H, W), width * 2**k)] * 2'),
         (IMG_CHANNELS, '[MaskedCoupling("channel", 0, (C, H, W), width * 2**k)] * 4')),
        "every_z_depends_on_every_x", "couplings take turns", weights="none",
    ),
    Mutant(
        "img-channels-never-take-turns", "realnvp_images", "all channel masks keep the same half",
        ((IMG_CHANNELS, IMG_CHANNELS.replace("i % 2", "0")),),
        "every_z_depends_on_every_x", "couplings take turns", weights="none",
    ),
    Mutant(
        "img-plain-list", "realnvp_images", "the couplings are in a plain list: the optimiser does not see them",
        (("self.layers = nn.ModuleList(layers)", "self.layers = layers"),),
        "every_z_depends_on_every_x", "plain Python list", weights="none",
    ),
    Mutant(
        "img-samples-rounded", "realnvp_images", "sample rounds to the nearest level, where it must round down",
        ((IMG_LEVELS, IMG_LEVELS.replace("floor", "round")),),
        "samples_follow_the_density", "rounds to the nearest level",
    ),
    Mutant(
        "img-samples-of-other-levels", "realnvp_images", "sample stretches [0, 1] to 0 … levels − 1, and rounds",
        ((IMG_LEVELS, "return (y * (self.levels - 1)).round().clamp(0, self.levels - 1).long()"),),
        "samples_follow_the_density", "not y · (levels − 1)",
    ),
    Mutant(
        "img-cool-samples", "realnvp_images", "draws z with a temperature of 0.7, for prettier samples",
        ((IMG_DRAWN, IMG_DRAWN.replace("torch.randn", "0.7 * torch.randn")),),
        "samples_follow_the_density", "a temperature",
    ),
    Mutant(
        "img-one-image-squeezed", "realnvp_images", "squeeze() drops the batch, too, when it holds one image",
        ((IMG_COUPLED, "return x * log_sigma.exp() + mu, log_sigma.flatten(1).sum(dim=1, keepdim=True).squeeze()"),),
        "called_with_one_example", "should have shape (1,)", weights="none",
    ),
    Mutant(
        "glow-samples-are-reals", "glow", "samples come as reals, not as levels",
        ((GLOW_SAMPLE, "tensors.from_logits(self.inverse(torch.randn(n, *self.shape)))"),),
        "samples_follow_the_density", "should be integer levels", weights="none",
    ),
    Mutant(
        "glow-batch-normalisation", "glow", "ActNorm takes its numbers from every batch, always",
        ((NORM_WHEN, "if True:"),),
        "shapes_and_parameters", "mixes the examples of a batch", weights="none",
    ),
    Mutant(
        "glow-never-initialised", "glow", "ActNorm never looks at its first batch",
        ((NORM_WHEN, "if False:"),),
        "act_norm_starts_from_its_first_batch", "In training mode the first batch", weights="none",
    ),
    Mutant(
        "glow-initialised-again", "glow", "every batch in training sets ActNorm anew",
        ((NORM_WHEN, "if self.training:"),),
        "act_norm_starts_from_its_first_batch", "Later batches change nothing", weights="none",
    ),
    Mutant(
        "glow-variance-for-spread", "glow", "divides by the variance",
        ((NORM_SPREAD, NORM_SPREAD.replace("std", "var")),),
        "act_norm_starts_from_its_first_batch", "log(standard deviation)", weights="none",
    ),
    Mutant(
        "glow-spread-of-everything", "glow", "one standard deviation for all channels",
        ((NORM_SPREAD, "self.l.fill_(-x.std().log())"),),
        "act_norm_starts_from_its_first_batch", "of each channel", weights="none",
    ),
    Mutant(
        "glow-convolution-turned", "glow", "multiplies by the transposed matrix",
        ((CONV_Z, CONV_Z.replace("self.weight()", "self.weight().T")),),
        "convolution_has_the_determinant_of_its_matrix", "multiplied by the same matrix", weights="none",
    ),
    Mutant(
        "glow-convolution-one-pixel", "glow", "the convolution's log_det is that of one pixel",
        ((CONV_Z, CONV_Z.replace("H * W * ", "")),),
        "convolution_has_the_determinant_of_its_matrix", "H · W · Σ log|s|", weights="none",
    ),
    Mutant(
        "glow-lower-without-mask", "glow", "L is not masked: training fills what should be zero",
        ((CONV_LOWER, "lower = self.L + torch.eye(len(self.L))"),),
        "convolution_has_the_determinant_of_its_matrix", "Masks keep L", weights="none",
    ),
    Mutant(
        "glow-starts-anyhow", "glow", "starts with any random matrix",
        ((CONV_START, "rotation = torch.randn(channels, channels)"),),
        "convolution_starts_as_a_rotation", "W Wᵀ differs from I", weights="none",
    ),
    Mutant(
        "glow-starts-as-identity", "glow", "starts as the identity, which mixes nothing",
        ((CONV_START, "rotation = torch.eye(channels)"),),
        "convolution_starts_as_a_rotation", "channels are not mixed", weights="none",
    ),
    Mutant(
        "glow-both-halves-change", "glow", "the first half is shifted, too",
        ((GLOW_COUPLED, GLOW_COUPLED.replace("[x_a,", "[x_a + mu,")),),
        "coupling_keeps_one_half_of_the_channels", "hands one half of the channels on", weights="none",
    ),
    Mutant(
        "glow-coupling-sees-the-other-half", "glow", "the network sees the half that is changed",
        ((GLOW_PARTS, "s, mu = self.net(x_b).chunk(2, dim=1)"),),
        "log_det_is_that_of_the_jacobian", "log_det is off", weights="none",
    ),
    Mutant(
        "glow-norm-one-pixel", "glow", "ActNorm's log_det is that of one pixel",
        ((NORM_Z, NORM_Z.replace("H * W * ", "")),),
        "log_det_is_that_of_the_jacobian", "ActNorm: H · W · Σ l", weights="none",
    ),
    Mutant(
        "glow-coupling-averaged", "glow", "the coupling's log_det is a mean",
        ((GLOW_COUPLED, GLOW_COUPLED.replace("tensors.sum_except_batch(log_sigma)", "log_sigma.mean(dim=(1, 2, 3))")),),
        "log_det_is_that_of_the_jacobian", "Coupling: the sum of log σ", weights="none",
    ),
    Mutant(
        "glow-last-log-det-only", "glow", "log_det is that of the last layer alone",
        ((GLOW_ADDED, "log_det = log_det_of_layer"),),
        "log_det_is_that_of_the_jacobian", "those of a composition add", weights="none",
    ),
    Mutant(
        "glow-norm-undone-in-the-wrong-order", "glow", "ActNorm's way back subtracts first",
        ((NORM_UNDONE, "return (z - self.b) * (-self.l).exp()"),),
        "inverse_undoes_forward", "exp(−l) − b", weights="none",
    ),
    Mutant(
        "glow-transpose-for-inverse", "glow", "undoes the convolution by the transpose: right for a rotation only",
        ((CONV_UNDONE, CONV_UNDONE.replace("inverse()", "T")),),
        "inverse_undoes_forward", "the inverse matrix", weights="none",
    ),
    Mutant(
        "glow-coupling-undone-in-the-wrong-order", "glow", "the coupling's way back scales first",
        ((GLOW_UNDONE, GLOW_UNDONE.replace("(z_b - mu) * (-log_sigma).exp()", "z_b * (-log_sigma).exp() - mu")),),
        "inverse_undoes_forward", "(z − μ) ∘ exp(−log σ)", weights="none",
    ),
    Mutant(
        "glow-base-without-constant", "glow", "the base density lost its −½ log 2π",
        ((GLOW_SUM, GLOW_SUM.replace(" - 0.5 * math.log(2 * math.pi)", "")),),
        "log_prob_adds_base_and_all_log_dets", "log N(z; 0, I)", weights="none",
    ),
    Mutant(
        "glow-to-reals-forgotten", "glow", "log_prob leaves the log_det of to_reals out",
        ((GLOW_SUM, GLOW_SUM.replace(" + log_det_t", "")),),
        "log_prob_adds_base_and_all_log_dets", "the log_det of to_reals", weights="none",
    ),
    Mutant(
        "glow-samples-of-the-base", "glow", "sample draws z and forgets the inverse",
        ((GLOW_SAMPLE, "tensors.to_levels(torch.randn(n, *self.shape), self.levels)"),),
        "samples_follow_the_density", "is the inverse missing",
    ),
    Mutant(
        "glow-twenty-steps", "glow", "training ends after twenty steps",
        (GLOW_FEW,),
        "trained_bits_per_dimension", "number of steps 1,500", weights="trained",
    ),
    Mutant(
        "glow-trained-on-negatives", "glow", "trains on white digits turned black, for a short time",
        (("    steps = 1500\n", "    steps = 100\n"), (IMG_ASKED, "model.log_prob(15 - x.long())")),
        "samples_look_like_the_data", "on the data as they are", weights="trained",
    ),
    Mutant(
        "glow-initialised-in-eval-mode", "glow", "ActNorm is set by the first batch, also by one in eval mode",
        ((NORM_WHEN, "if not self.ready:"),),
        "act_norm_starts_from_its_first_batch", "In eval mode ActNorm changes nothing", weights="none",
    ),
    Mutant(
        "glow-matrix-kept", "glow", "W is computed once, and kept",
        ((CONV_LOGS, CONV_LOGS + '\n        self.register_buffer("W", rotation)'), (CONV_WHOLE, "return self.W")),
        "convolution_has_the_determinant_of_its_matrix", "computed once and kept", weights="none",
    ),
    Mutant(
        "glow-plain-list", "glow", "the layers are in a plain list: the optimiser does not see them",
        (("self.layers = nn.ModuleList(layers)", "self.layers = layers"),),
        "shapes_and_parameters", "plain Python list", weights="none",
    ),
    Mutant(
        "glow-fixed-noise", "glow", "log_prob sets a seed, and its noise is the same at every call",
        (("t, log_det_t = tensors.to_reals(x, self.levels)",
          "torch.manual_seed(0)\n        t, log_det_t = tensors.to_reals(x, self.levels)"),),
        "log_prob_adds_base_and_all_log_dets", "the same at every call", weights="none",
    ),
    Mutant(
        "glow-samples-rounded", "glow", "sample rounds to the nearest level, where it must round down",
        ((GLOW_SAMPLE, "(tensors.from_logits(self.inverse(torch.randn(n, *self.shape))) * self.levels).round()"
                       ".clamp(0, self.levels - 1).long()"),),
        "samples_follow_the_density", "rounds to the nearest level",
    ),
    Mutant(
        "glow-cool-samples", "glow", "draws z with a temperature of 0.7, for prettier samples",
        ((GLOW_SAMPLE, GLOW_SAMPLE.replace("torch.randn", "0.7 * torch.randn")),),
        "samples_follow_the_density", "a temperature",
    ),
    Mutant(
        "glow-one-image-squeezed", "glow", "squeeze() drops the batch, too, when it holds one image",
        ((GLOW_COUPLED, GLOW_COUPLED.replace("tensors.sum_except_batch(log_sigma)",
                                             "log_sigma.flatten(1).sum(dim=1, keepdim=True).squeeze()")),),
        "called_with_one_example", "should have shape (1,)", weights="none",
    ),
)  # fmt: skip
