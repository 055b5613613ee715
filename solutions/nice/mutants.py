"""Slips in NICE: one at least for each check. Of public code are (B, 1) log-dets, a product of scales, sigmoids."""

from autograder.proof.changes import Mutant

COUPLED = "return self.joined(kept, other + self.m(kept)), torch.zeros_like(kept[:, 0])"
SCALED = "return x * self.s.exp(), self.s.sum().expand(len(x))"
BACK = "x = z * (-self.s).exp()"
DRAWN = "return self.inverse(torch.logit(u))"
DENSITY = "log_logistic = -z - 2 * F.softplus(-z)  # (B, 2)"
UNDONE = "x = coupling.inverse(x)\n        return x"
CLIMB = "x = torch.where(known, x, x + rate * slope)"

MUTANTS = (
    Mutant(
        "one-log-det-for-all",
        "nice",
        "log_det is one number for the whole batch",
        ((SCALED, "return x * self.s.exp(), self.s.sum()"),),
        "shapes",
        "should have shape",
    ),
    Mutant(
        "log-det-in-a-column",
        "nice",
        "log_det comes out as (B, 1)",
        ((SCALED, "return x * self.s.exp(), self.s.sum().expand(len(x), 1)"),),
        "shapes",
        "should have shape",
    ),
    Mutant(
        "squeezes-everything",
        "nice",
        "log_det of a coupling loses the batch where it is one example",
        ((COUPLED, "return self.joined(kept, other + self.m(kept)), torch.zeros_like(kept).squeeze()"),),
        "called_with_one_example",
        "should have shape (1,), got ()",
    ),
    Mutant(
        "keeps-the-other-half",
        "nice",
        "the halves are exchanged when they are put together",
        (
            (COUPLED, "return self.joined(other + self.m(kept), kept), torch.zeros_like(kept[:, 0])"),
            ("return self.joined(kept, other - self.m(kept))", "return self.joined(other - self.m(kept), kept)"),
        ),
        "a_coupling_adds",
        "hands x_keep on as it is",
    ),
    Mutant(
        "adds-what-it-sees-of-both",
        "nice",
        "m reads the half that it moves",
        ((COUPLED, "return self.joined(kept, other + self.m(kept + other)), torch.zeros_like(kept[:, 0])"),),
        "a_coupling_adds",
        "adds m(x_keep) to the other half",
    ),
    Mutant(
        "scales-by-what-it-sees",
        "nice",
        "the scaling depends on the example, as RealNVP's does",
        ((SCALED, "s = self.s * x[:, :1].tanh()\n        return x * s.exp(), s.sum(dim=1)"),),
        "the_volume_changes_by_one_factor_everywhere",
        "Couplings have log_det 0",
    ),
    Mutant(
        "no-scaling",
        "nice",
        "the scaling layer is forgotten",
        ((SCALED, "return x, torch.zeros(len(x))"), (BACK, "x = z")),
        "the_volume_changes_by_one_factor_everywhere",
        "Where is the scaling layer?",
        weights="none",
    ),
    Mutant(
        "product-of-scales",
        "nice",
        "log_det is the product of the scales, not the sum of their logarithms",
        ((SCALED, "return x * self.s.exp(), self.s.exp().prod().expand(len(x))"),),
        "log_det_is_that_of_the_jacobian",
        "It is the determinant itself",
    ),
    Mutant(
        "log-det-of-the-way-back",
        "nice",
        "log_det has the wrong sign",
        ((SCALED, "return x * self.s.exp(), -self.s.sum().expand(len(x))"),),
        "log_det_is_that_of_the_jacobian",
        "It has the wrong sign",
    ),
    Mutant(
        "normal-base",
        "nice",
        "z is scored under N(0, I)",
        ((DENSITY, "log_logistic = -0.5 * z**2 - 0.918938533"),),
        "the_base_is_logistic",
        "z is scored under a standard normal",
    ),
    Mutant(
        "one-softplus",
        "nice",
        "the logistic density without its square",
        ((DENSITY, "log_logistic = -z - F.softplus(-z)"),),
        "density_integrates_to_one",
        "that does not fall has infinite mass",
    ),
    Mutant(
        "log-det-left-out",
        "nice",
        "log_prob is that of z",
        (("return log_logistic.sum(dim=1) + log_det", "return log_logistic.sum(dim=1)"),),
        "density_integrates_to_one",
        "log_det is left out",
    ),
    Mutant(
        "adds-on-the-way-back",
        "nice",
        "the inverse adds, too",
        (("other - self.m(kept)", "other + self.m(kept)"),),
        "inverse_undoes_forward",
        "z_other − m(z_keep)",
    ),
    Mutant(
        "first-coupling-first",
        "nice",
        "couplings are undone in the order in which they were done",
        (("for coupling in reversed(self.couplings):", "for coupling in self.couplings:"),),
        "inverse_undoes_forward",
        "in reverse order",
    ),
    Mutant(
        "scaling-undone-last",
        "nice",
        "the scaling is undone after the couplings",
        ((BACK, "x = z"), (UNDONE, UNDONE + " * (-self.s).exp()")),
        "inverse_undoes_forward",
        "the scaling first",
    ),
    Mutant(
        "normal-draws",
        "nice",
        "z is drawn from N(0, I)",
        ((DRAWN, "return self.inverse(torch.randn(n, 2))"),),
        "samples_follow_the_density",
        "from the logistic distribution",
    ),
    Mutant(
        "sigmoid-for-logit",
        "nice",
        "the uniform numbers go through the CDF, not through its inverse",
        ((DRAWN, "return self.inverse(torch.sigmoid(u))"),),
        "samples_follow_the_density",
        "logit(u) of a uniform u",
    ),
    Mutant(
        "descends",
        "nice",
        "inpainting goes down",
        ((CLIMB, "x = torch.where(known, x, x - rate * slope)"),),
        "inpainting_climbs_and_keeps_what_is_known",
        "log p rises",
    ),
    Mutant(
        "moves-what-is-known",
        "nice",
        "inpainting moves the known numbers",
        ((CLIMB, "x = torch.where(known, x + rate * slope, x)"),),
        "inpainting_climbs_and_keeps_what_is_known",
        "known numbers moved",
    ),
    Mutant(
        "thirty-steps",
        "nice",
        "training ends after thirty steps",
        (("steps = 2500", "steps = 30"),),
        "trained_close_to_the_limit",
        "number of steps 2,500, here 30",
        weights="trained",
    ),
)
