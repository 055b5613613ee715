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
        "keeps-a-dimension", "logistic_mixture", "log_prob comes out as (B, 1)",
        (("self.pi_logits, dim=0), dim=1)", "self.pi_logits, dim=0), dim=1, keepdim=True)"),),
        "shapes_and_levels", "should have shape (12,)", weights="none",
    ),
    Mutant(
        "samples-not-clipped", "logistic_mixture", "draws beyond the ends stay outside the levels",
        (("return level.clamp(0, self.levels - 1).long()[:, None]", "return level.long()[:, None]"),),
        "shapes_and_levels", "sample(n) gives integer levels",
    ),
    Mutant(
        "edge-bins-are-inner-bins", "logistic_mixture", "the edge bins get the mass of an inner bin only",
        ((EDGES, "log_p = inside"),), "probabilities_sum_to_one", "edge bins reach to infinity", weights="trained",
    ),
    Mutant(
        "upper-edge-forgotten", "logistic_mixture", "only the lower edge bin reaches to infinity",
        ((EDGES, "log_p = torch.where(x == 0, left, inside)"),),
        "probabilities_sum_to_one", "level L − 1 all mass above",
    ),
    Mutant(
        "edges-swapped", "logistic_mixture", "each edge bin takes the other tail",
        ((EDGES, "log_p = torch.where(x == 0, right, torch.where(x == self.levels - 1, left, inside))"),),
        "probabilities_sum_to_one", "level 0 takes all mass below",
    ),
    Mutant(
        "density-for-mass", "logistic_mixture", "the density at the level stands for the mass of its bin",
        ((INSIDE, "inside = left + right - torch.log(s)"),), "probabilities_sum_to_one", "difference of two CDFs",
    ),
    Mutant(
        "weights-unnormalised", "logistic_mixture", "the weights are not put through a softmax",
        (("F.log_softmax(self.pi_logits, dim=0)", "self.pi_logits"),),
        "probabilities_sum_to_one", "softmax over the components",
    ),
    Mutant(
        "weights-unused", "logistic_mixture", "the likelihood leaves the mixture weights out",
        ((" + F.log_softmax(self.pi_logits, dim=0)", ""),), "probabilities_sum_to_one", "weights π sum to one",
    ),
    Mutant(
        "mean-of-logs", "logistic_mixture", "averages the components' log-densities instead of their densities",
        (("return torch.logsumexp(log_p + F.log_softmax(self.pi_logits, dim=0), dim=1)",
          "return (log_p * F.softmax(self.pi_logits, dim=0)).sum(dim=1)"),),
        "probabilities_sum_to_one", "inside the logarithm",
    ),
    Mutant(
        "bin-off-by-one", "logistic_mixture", "levels are spread over [−1, 1] as if there were one more",
        (("centre = x * step - 1  # levels 0 … L−1 onto [−1, 1]", "centre = x * 2 / self.levels - 1"),),
        "probabilities_sum_to_one", "half a level to either side",
    ),
    Mutant(
        "sigmoids-subtracted", "logistic_mixture", "subtracts the sigmoids in float32, and takes the log of zero",
        ((INSIDE, "inside = torch.log(torch.sigmoid(b) - torch.sigmoid(a))"),),
        "finite_far_from_every_component", "both sigmoids round to the same number",
    ),
    Mutant(
        "normal-for-logistic", "logistic_mixture", "samples normal noise where the density is logistic",
        (("torch.logit(u)", "torch.randn(n)"),), "samples_follow_the_density", "logit(u)",
    ),
    Mutant(
        "most-likely-component", "logistic_mixture", "samples the heaviest component only",
        (("k = torch.multinomial(self.pi_logits.softmax(dim=0), n, replacement=True)",
          "k = self.pi_logits.argmax().expand(n)"),), "samples_follow_the_density", "Draw a component by its weight",
    ),
    Mutant(
        "floor-for-round", "logistic_mixture", "truncates samples to the level below",
        (("level = torch.round(", "level = torch.floor("),), "samples_follow_the_density", "round to the nearest level",
    ),
    Mutant(
        "hardly-trained", "logistic_mixture", "the learning rate is so small that nothing is learned",
        (("lr=0.05", "lr=0.00005"),), "trained_close_to_the_limit", "Train longer", weights="trained",
    ),
    Mutant(
        "log-prob-of-the-batch", "made", "sums over the batch as well",
        ((TOTAL, TOTAL.replace("sum(dim=1)", "sum()")),),
        "shapes_and_levels", "should have shape (81,)", weights="none",
    ),
    Mutant(
        "batch-norm", "made", "normalises over the batch, also when it is evaluated",
        (("return F.linear(x, self.weight * self.mask, self.bias)",
          "y = F.linear(x, self.weight * self.mask, self.bias)\n"
          "        return F.batch_norm(y, None, None, training=True) if len(y) > 1 else y"),),
        "shapes_and_levels", "mixes the examples of a batch",
    ),
    Mutant(
        "hidden-mask-strict", "made", "> in the hidden layers too: a degree is lost at every layer",
        (("mask = (u > v) if is_output else (u >= v)", "mask = u > v"),),
        "each_output_depends_on_all_earlier_inputs", "with > in a hidden layer too",
    ),
    Mutant(
        "output-mask-not-strict", "made", "≥ in the output layer: an output sees its own input",
        (("mask = (u > v) if is_output else (u >= v)", "mask = u >= v"),),
        "each_output_depends_only_on_earlier_inputs", "the output layer with >", weights="trained",
    ),
    Mutant(
        "mask-transposed", "made", "compares the degrees the wrong way round in the hidden layers",
        (("(u >= v)", "(u <= v)"),), "each_output_depends_only_on_earlier_inputs", "compare degrees with ≥",
    ),
    Mutant(
        "layer-without-mask", "made", "one hidden layer is an ordinary nn.Linear",
        ((HIDDEN_LAYER, "            nn.Linear(hidden, hidden),\n"),),
        "each_output_depends_only_on_earlier_inputs", "every layer has its mask", weights="trained",
    ),
    Mutant(
        "masks-on-activations", "made", "masks what comes out of a layer, not its weights",
        (("return F.linear(x, self.weight * self.mask, self.bias)",
          "return F.linear(x, self.weight, self.bias) * self.mask.amax(dim=1)"),),
        "each_output_depends_only_on_earlier_inputs", "masks its weights",
    ),
    Mutant(
        "degrees-of-flattened-inputs", "made", "the degrees repeat by dimension where the one-hots are by bin",
        (("of_data = torch.arange(1, dims + 1).repeat_interleave(bins)",
          "of_data = torch.arange(1, dims + 1).repeat(bins)"),),
        "each_output_depends_only_on_earlier_inputs", "all bins of one dimension",
    ),
    Mutant(
        "softmax-over-dimensions", "made", "normalises over the dimensions instead of the bins",
        (("F.log_softmax(self.logits(x), dim=-1)", "F.log_softmax(self.logits(x), dim=1)"),),
        "log_density_is_the_sum_of_the_conditionals", "softmax over the bins",
    ),
    Mutant(
        "targets-shifted", "made", "scores each dimension with the logits of the next",
        ((TOTAL, "return log_p.gather(-1, x.roll(1, dims=1)[..., None]).squeeze(-1).sum(dim=1)"),),
        "log_density_is_the_sum_of_the_conditionals", "pick the bin that x_i is in",
    ),
    Mutant(
        "averaged-over-dimensions", "made", "averages over the dimensions instead of summing",
        ((TOTAL, TOTAL.replace("sum(", "mean(")),), "probabilities_sum_to_one", "summed, not averaged",
    ),
    Mutant(
        "bits-for-nats", "made", "gives log_prob in bits",
        ((TOTAL, TOTAL + " / 0.6931"),), "probabilities_sum_to_one", "in nats",
    ),
    Mutant(
        "inverse-order-sampling", "made", "samples in the order of the inverse permutation; its likelihood is right",
        (
            ("of_data = torch.arange(1, dims + 1).repeat_interleave(bins)",
             "self.order = torch.arange(dims).roll(1)  # x_i comes at place order[i]\n"
             "        of_data = (self.order + 1).repeat_interleave(bins)"),
            (LOOP, "        for i in self.order.tolist():\n"),
        ),
        "samples_follow_the_density", "in the model's own order", weights="trained",
    ),
    Mutant(
        "argmax-sampling", "made", "takes the most likely level instead of drawing",
        ((DRAWN, "x[:, i] = p.argmax(dim=-1)"),), "samples_follow_the_density", "do not take the most likely",
    ),
    Mutant(
        "sampled-at-once", "made", "draws all dimensions from one forward pass",
        ((LOOP, "        p_all = self.logits(x).softmax(dim=-1)\n" + LOOP),
         ("p = self.logits(x)[:, i].softmax(dim=-1)", "p = p_all[:, i]")),
        "samples_follow_the_density", "given the values drawn before it",
    ),
    Mutant(
        "learning-rate-gone", "made", "the schedule reaches zero at two percent of the training",
        (("scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-2, total_steps=steps)",
          "scheduler=torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / (0.02 * steps)))"),),
        "trained_close_to_the_limit_on_smiley", "fall towards the end", weights="trained",
    ),
    Mutant(
        "trained-on-the-other-set", "made", "both models are trained on the smiley",
        (("fit=train_made(moons)", "fit=train_made(smiley)"),),
        "trained_close_to_the_limit_on_moons", "Train longer", weights="trained",
    ),
)  # fmt: skip
