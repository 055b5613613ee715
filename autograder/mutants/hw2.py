"""Slips in HW2, most of them seen in students' notebooks or in published solutions."""

from autograder.mutants import Mutant

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
NVP_STEPS = "        steps = 4000\n"
NVP_DATA = "            data.sample(1_000_000, seed=0)"
NVP_RATE = "max_lr=4e-3"
NVP_QUICK = (NVP_STEPS, "        steps = 400\n")  # a slip in the training shows long before its end
NORMAL = "log_normal = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)  # (B, 2)"

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
        "density_integrates_to_one", "log U(z) + log_det",
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
        ((CDF_FIT, CDF_FIT.replace("0.05", "0.00005")),), "trained_close_to_the_limit", "Train longer",
        weights="trained",
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
        "shapes", "log_prob gives (B,)",
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
        ((AR_BEGUN, AR_BEGUN.replace("[1]\n", "[1] / 0.6931\n")),), "density_integrates_to_one", "Nats, summed",
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
        "trained_close_to_the_limit_on_smiley", "Train longer", weights="trained",
    ),
    Mutant(
        "ar-hardly-trained-on-moons", "ar_flow", "stops after a hundred steps",
        (("        steps = 3500\n", "        steps = 100\n"),),
        "trained_close_to_the_limit_on_moons", "Train longer", weights="trained",
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
        ((BASE, "return log_normal.mean(dim=1) + log_det"),), "density_integrates_to_one", "sum over dimensions",
    ),
    Mutant(
        "nvp-log-prob-forgets-log-det", "realnvp", "log_prob is the base's alone",
        ((BASE, "return log_normal.sum(dim=1)"),), "density_integrates_to_one", "add log_det once",
    ),
    Mutant(
        "nvp-log-prob-subtracts", "realnvp", "log_prob subtracts log_det",
        ((BASE, "return log_normal.sum(dim=1) - log_det"),), "density_integrates_to_one", "add log_det once",
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
        "trained_close_to_the_limit_on_smiley", "in larger batches", weights="trained",
    ),
    Mutant(
        "nvp-small-rate", "realnvp", "the learning rate is so small that little is learned",
        ((NVP_RATE, "max_lr=2e-5"), NVP_QUICK),
        "trained_close_to_the_limit_on_moons", "in larger batches", weights="trained",
    ),
)  # fmt: skip
