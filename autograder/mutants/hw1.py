"""Slips in HW1, most of them seen in students' notebooks or in published solutions."""

from autograder.mutants import Mutant

EDGES = "log_p = torch.where(x == 0, left, torch.where(x == self.levels - 1, right, inside))"
INSIDE = "inside = left + right + torch.log(-torch.expm1(-step / s))"
TOTAL = "return log_p.gather(-1, x[..., None]).squeeze(-1).sum(dim=1)"
DRAWN = "x[:, i] = torch.multinomial(p, 1).squeeze(-1)"
HIDDEN_LAYER = "            MaskedLinear(of_hidden, of_hidden),\n"
LOOP = "        for i in range(self.dims):\n"

MUTANTS = (
    Mutant(
        "edge-bins-are-inner-bins", "logistic_mixture", "the edge bins get the mass of an inner bin only",
        ((EDGES, "log_p = inside"),), "probabilities_sum_to_one", retrain=True,
    ),
    Mutant(
        "upper-edge-forgotten", "logistic_mixture", "only the lower edge bin reaches to infinity",
        ((EDGES, "log_p = torch.where(x == 0, left, inside)"),), "probabilities_sum_to_one",
    ),
    Mutant(
        "edges-swapped", "logistic_mixture", "each edge bin takes the other tail",
        ((EDGES, "log_p = torch.where(x == 0, right, torch.where(x == self.levels - 1, left, inside))"),),
        "probabilities_sum_to_one",
    ),
    Mutant(
        "density-for-mass", "logistic_mixture", "the density at the level stands for the mass of its bin",
        ((INSIDE, "inside = left + right - torch.log(s)"),), "probabilities_sum_to_one",
    ),
    Mutant(
        "weights-unnormalised", "logistic_mixture", "the weights are not put through a softmax",
        (("F.log_softmax(self.pi_logits, dim=0)", "self.pi_logits"),), "probabilities_sum_to_one",
    ),
    Mutant(
        "weights-unused", "logistic_mixture", "the likelihood leaves the mixture weights out",
        ((" + F.log_softmax(self.pi_logits, dim=0)", ""),), "probabilities_sum_to_one",
    ),
    Mutant(
        "mean-of-logs", "logistic_mixture", "averages the components' log-densities instead of their densities",
        (("return torch.logsumexp(log_p + F.log_softmax(self.pi_logits, dim=0), dim=1)",
          "return (log_p * F.softmax(self.pi_logits, dim=0)).sum(dim=1)"),), "probabilities_sum_to_one",
    ),
    Mutant(
        "bin-off-by-one", "logistic_mixture", "levels are spread over [−1, 1] as if there were one more",
        (("centre = x * step - 1  # levels 0 … L−1 onto [−1, 1]", "centre = x * 2 / self.levels - 1"),),
        "probabilities_sum_to_one",
    ),
    Mutant(
        "sigmoids-subtracted", "logistic_mixture", "subtracts the sigmoids in float32, and takes the log of zero",
        ((INSIDE, "inside = torch.log(torch.sigmoid(b) - torch.sigmoid(a))"),), "finite_far_from_every_component",
    ),
    Mutant(
        "normal-for-logistic", "logistic_mixture", "samples normal noise where the density is logistic",
        (("torch.logit(u)", "torch.randn(n)"),), "samples_follow_the_density",
    ),
    Mutant(
        "most-likely-component", "logistic_mixture", "samples the heaviest component only",
        (("k = torch.multinomial(self.pi_logits.softmax(dim=0), n, replacement=True)",
          "k = self.pi_logits.argmax().expand(n)"),), "samples_follow_the_density",
    ),
    Mutant(
        "floor-for-round", "logistic_mixture", "truncates samples to the level below",
        (("level = torch.round(", "level = torch.floor("),), "samples_follow_the_density",
    ),
    Mutant(
        "hardly-trained", "logistic_mixture", "the learning rate is so small that nothing is learned",
        (("lr=0.05", "lr=0.00005"),), "trained_close_to_the_limit", retrain=True,
    ),
    Mutant(
        "hidden-mask-strict", "made", "> in the hidden layers too: a degree is lost at every layer",
        (("mask = (u > v) if is_output else (u >= v)", "mask = u > v"),),
        "each_output_depends_on_all_earlier_inputs",
    ),
    Mutant(
        "output-mask-not-strict", "made", "≥ in the output layer: an output sees its own input",
        (("mask = (u > v) if is_output else (u >= v)", "mask = u >= v"),),
        "each_output_depends_only_on_earlier_inputs", retrain=True,
    ),
    Mutant(
        "mask-transposed", "made", "compares the degrees the wrong way round in the hidden layers",
        (("(u >= v)", "(u <= v)"),), "each_output_depends_only_on_earlier_inputs",
    ),
    Mutant(
        "layer-without-mask", "made", "one hidden layer is an ordinary nn.Linear",
        ((HIDDEN_LAYER, "            nn.Linear(hidden, hidden),\n"),),
        "each_output_depends_only_on_earlier_inputs", retrain=True,
    ),
    Mutant(
        "masks-on-activations", "made", "masks what comes out of a layer, not its weights",
        (("return F.linear(x, self.weight * self.mask, self.bias)",
          "return F.linear(x, self.weight, self.bias) * self.mask.amax(dim=1)"),),
        "each_output_depends_only_on_earlier_inputs",
    ),
    Mutant(
        "degrees-of-flattened-inputs", "made", "the degrees repeat by dimension where the one-hots are by bin",
        (("of_data = torch.arange(1, dims + 1).repeat_interleave(bins)",
          "of_data = torch.arange(1, dims + 1).repeat(bins)"),), "each_output_depends_only_on_earlier_inputs",
    ),
    Mutant(
        "softmax-over-dimensions", "made", "normalises over the dimensions instead of the bins",
        (("F.log_softmax(self.logits(x), dim=-1)", "F.log_softmax(self.logits(x), dim=1)"),),
        "log_density_is_the_sum_of_the_conditionals",
    ),
    Mutant(
        "targets-shifted", "made", "scores each dimension with the logits of the next",
        ((TOTAL, "return log_p.gather(-1, x.roll(1, dims=1)[..., None]).squeeze(-1).sum(dim=1)"),),
        "log_density_is_the_sum_of_the_conditionals",
    ),
    Mutant(
        "averaged-over-dimensions", "made", "averages over the dimensions instead of summing",
        ((TOTAL, TOTAL.replace("sum(", "mean(")),), "probabilities_sum_to_one",
    ),
    Mutant(
        "bits-for-nats", "made", "gives log_prob in bits",
        ((TOTAL, TOTAL + " / 0.6931"),), "probabilities_sum_to_one",
    ),
    Mutant(
        "inverse-order-sampling", "made", "samples in the order of the inverse permutation; its likelihood is right",
        (
            ("of_data = torch.arange(1, dims + 1).repeat_interleave(bins)",
             "self.order = torch.arange(dims).roll(1)  # x_i comes at place order[i]\n"
             "        of_data = (self.order + 1).repeat_interleave(bins)"),
            (LOOP, "        for i in self.order.tolist():\n"),
        ),
        "samples_follow_the_density", retrain=True,
    ),
    Mutant(
        "argmax-sampling", "made", "takes the most likely level instead of drawing",
        ((DRAWN, "x[:, i] = p.argmax(dim=-1)"),), "samples_follow_the_density",
    ),
    Mutant(
        "sampled-at-once", "made", "draws all dimensions from one forward pass",
        ((LOOP, "        p_all = self.logits(x).softmax(dim=-1)\n" + LOOP),
         ("p = self.logits(x)[:, i].softmax(dim=-1)", "p = p_all[:, i]")), "samples_follow_the_density",
    ),
    Mutant(
        "learning-rate-gone", "made", "the schedule reaches zero at two percent of the training",
        (("scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-2, total_steps=steps)",
          "scheduler=torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / (0.02 * steps)))"),),
        "trained_close_to_the_limit_on_smiley", retrain=True,
    ),
)  # fmt: skip
