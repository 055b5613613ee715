"""Slips in HW1, most of them seen in students' notebooks or in published solutions."""

from autograder.proof.changes import Mutant

EDGES = "log_p = torch.where(x == 0, left, torch.where(x == self.levels - 1, right, inside))"
INSIDE = "inside = left + right + torch.log(-torch.expm1(-step / s))"
TOTAL = "return log_p.gather(-1, x[..., None]).squeeze(-1).sum(dim=1)"
DRAWN = "x[:, i] = torch.multinomial(p, 1).squeeze(-1)"
HIDDEN_LAYER = "            MaskedLinear(of_hidden, of_hidden),\n"
LOOP = "        for i in range(self.dims):\n"

LOG_P = "log_p = F.log_softmax(self.logits(x), dim=-1)"
SUMMED = "return tensors.sum_except_batch(log_p.gather(-1, x[..., None]))"
OVER_LEVELS = "x[:, :, i, j] = (cdf[..., :-1] < u[:, :, i, j, None]).sum(dim=-1)  # the level that u falls into"
RESIDUAL = "            h = h + layer(F.relu(h))\n"
PIXEL_LOOP = """        for i in progress(range(H), "rows"):
            for j in range(W):
                logits = """
CENTRE = 'mask[kernel_size**2 // 2] = float(kind == "B")'
GATED_DRAW = "x[:, 0, i, j] = torch.multinomial(p, 1).squeeze(-1)"
COLOR_CENTRE = 'mask[:, :, kernel_size**2 // 2] = (u > v if kind == "A" else u >= v).float()'
COLOR_DRAW = "x[:, c, i, j] = torch.multinomial(p, 1).squeeze(-1)"
# Checks that say nothing of a model that sees what it may not, or of a mixture that is no density.
SAMPLER = ("samples_follow_the_density",)
PIXELS_REST = (*SAMPLER, "trained_well_on_held_out_glyphs", "saved_samples_are_the_models_own")
GATED_REST = (
    "samples_follow_the_density_of_their_class",
    "trained_well_on_held_out_glyphs",
    "saved_samples_are_of_their_class",
)
COLOR_REST = (*SAMPLER, "trained_close_to_the_limit", "saved_samples_are_the_models_own")
FEW_STEPS = (" steps=steps,", " steps=30,")  # a training that ends almost before it began

MUTANTS = (
    Mutant(
        "keeps-a-dimension", "logistic_mixture", "log_prob comes out as (B, 1)",
        (("self.pi_logits, dim=0), dim=1)", "self.pi_logits, dim=0), dim=1, keepdim=True)"),),
        "probabilities_sum_to_one", "should have shape (12,)", weights="none", also=SAMPLER,
    ),
    Mutant(
        "squeezed-mixture", "logistic_mixture", "squeeze() drops the batch, too, when it holds one example",
        (("self.pi_logits, dim=0), dim=1)", "self.pi_logits, dim=0), dim=1).squeeze()"),),
        "called_with_one_example", "should have shape (1,)",
    ),
    Mutant(
        "normalised-over-the-batch", "logistic_mixture", "makes the probabilities of whatever it is asked sum to one",
        (("return torch.logsumexp(log_p + F.log_softmax(self.pi_logits, dim=0), dim=1)",
          "return F.log_softmax(torch.logsumexp(log_p + F.log_softmax(self.pi_logits, dim=0), dim=1), dim=0)"),),
        "every_example_for_itself", "mixes the examples of a batch",
    ),
    Mutant(
        "half-a-level-where-levels-span-two", "logistic_mixture", "levels span [−1, 1], and a bin is ½ to either side",
        (("b = (centre + step / 2 - self.mu) / s  # (B, K)", "b = (centre + 0.5 - self.mu) / s"),
         ("a = (centre - step / 2 - self.mu) / s", "a = (centre - 0.5 - self.mu) / s"),
         ("torch.expm1(-step / s)", "torch.expm1(-1 / s)")),
        "probabilities_sum_to_one", "two units are mixed", also=SAMPLER,
    ),
    Mutant(
        "one-over-s", "logistic_mixture", "levels span [−1, 1], and b − a is taken for 1 / s",
        (("torch.expm1(-step / s)", "torch.expm1(-1 / s)"),),
        "probabilities_sum_to_one", "b − a is δ / s, not 1 / s", also=SAMPLER,
    ),
    Mutant(
        "floor-inside-the-log", "logistic_mixture", "adds 1e-8 to the difference of the sigmoids",
        ((INSIDE, "inside = torch.log(torch.sigmoid(b) - torch.sigmoid(a) + 1e-8)"),),
        "the_tails_go_on_falling", "A floor stops it",
    ),
    Mutant(
        "clamped-difference", "logistic_mixture", "clamps the difference of the sigmoids at 1e-12",
        ((INSIDE, "inside = torch.log((torch.sigmoid(b) - torch.sigmoid(a)).clamp(min=1e-12))"),),
        "the_tails_go_on_falling", "log P stops falling at -27.6",
    ),
    Mutant(
        "samples-not-clipped", "logistic_mixture", "draws beyond the ends stay outside the levels",
        (("return level.clamp(0, self.levels - 1).long()[:, None]", "return level.long()[:, None]"),),
        "samples_follow_the_density", "lie outside the levels",
    ),
    Mutant(
        "edge-bins-are-inner-bins", "logistic_mixture", "the edge bins get the mass of an inner bin only",
        ((EDGES, "log_p = inside"),),
        "probabilities_sum_to_one", "edge bins reach to infinity", also=SAMPLER, weights="trained",
    ),
    Mutant(
        "upper-edge-forgotten", "logistic_mixture", "only the lower edge bin reaches to infinity",
        ((EDGES, "log_p = torch.where(x == 0, left, inside)"),),
        "probabilities_sum_to_one", "level L − 1 all mass above", also=SAMPLER,
    ),
    Mutant(
        "edges-swapped", "logistic_mixture", "each edge bin takes the other tail",
        ((EDGES, "log_p = torch.where(x == 0, right, torch.where(x == self.levels - 1, left, inside))"),),
        "probabilities_sum_to_one", "level 0 takes all mass below", also=SAMPLER,
    ),
    Mutant(
        "density-for-mass", "logistic_mixture", "the density at the level stands for the mass of its bin",
        ((INSIDE, "inside = left + right - torch.log(s)"),),
        "probabilities_sum_to_one", "difference of two CDFs", also=SAMPLER,
    ),
    Mutant(
        "weights-unnormalised", "logistic_mixture", "the weights are not put through a softmax",
        (("F.log_softmax(self.pi_logits, dim=0)", "self.pi_logits"),),
        "probabilities_sum_to_one", "softmax over the components", also=SAMPLER,
    ),
    Mutant(
        "weights-unused", "logistic_mixture", "the likelihood leaves the mixture weights out",
        ((" + F.log_softmax(self.pi_logits, dim=0)", ""),),
        "probabilities_sum_to_one", "weights π sum to one", also=SAMPLER,
    ),
    Mutant(
        "mean-of-logs", "logistic_mixture", "averages the components' log-densities instead of their densities",
        (("return torch.logsumexp(log_p + F.log_softmax(self.pi_logits, dim=0), dim=1)",
          "return (log_p * F.softmax(self.pi_logits, dim=0)).sum(dim=1)"),),
        "probabilities_sum_to_one", "inside the logarithm", also=SAMPLER,
    ),
    Mutant(
        "bin-off-by-one", "logistic_mixture", "levels are spread over [−1, 1] as if there were one more",
        (("centre = x * step - 1  # levels 0 … L−1 onto [−1, 1]", "centre = x * 2 / self.levels - 1"),),
        "probabilities_sum_to_one", "half a level to either side", also=SAMPLER,
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
        (("lr=0.05", "lr=0.00005"),), "trained_close_to_the_limit", "learning rate 0.05, here 5e-05",
        weights="trained",
    ),
    Mutant(
        "log-prob-of-the-batch", "made", "sums over the batch as well",
        ((TOTAL, TOTAL.replace("sum(dim=1)", "sum()")),),
        "log_density_is_the_sum_of_the_conditionals", "should have shape (81,)", weights="none",
    ),
    Mutant(
        "softmax-over-the-batch", "made", "the softmax is over the batch",
        (("F.log_softmax(self.logits(x), dim=-1)", "F.log_softmax(self.logits(x), dim=0)"),),
        "every_example_for_itself", "a softmax or a normalisation over dimension 0",
    ),
    Mutant(
        "squeezed", "made", "squeeze() drops the batch, too, when it holds one example",
        ((TOTAL, "return log_p.gather(-1, x[..., None]).squeeze().sum(dim=-1)"),),
        "called_with_one_example", "should have shape (1,)",
    ),
    Mutant(
        "one-layer-twice", "made", "both hidden layers are the same object",
        ((HIDDEN_LAYER, "            *[MaskedLinear(of_hidden, of_hidden), nn.ReLU()] * 2,\n"),),
        "every_layer_has_weights_of_its_own", "repeat the same object", weights="none",
    ),
    Mutant(
        "log-of-a-softmax", "made", "adds 1e-8 to the probabilities before their logarithm",
        (("F.log_softmax(self.logits(x), dim=-1)", "torch.log(F.softmax(self.logits(x), dim=-1) + 1e-8)"),),
        "exact_far_from_the_data", "stands inside a logarithm",
    ),
    Mutant(
        "norm-over-the-units", "made", "a LayerNorm over hidden units of all degrees",
        ((HIDDEN_LAYER, HIDDEN_LAYER + "            nn.LayerNorm(hidden),\n"),),
        "each_output_depends_only_on_earlier_inputs", "A norm over a layer's units", weights="none",
        also=SAMPLER,
    ),
    Mutant(
        "samples-with-a-dimension-more", "made", "samples come as (n, dims, 1)",
        (("            x[:, i] = torch.multinomial(p, 1).squeeze(-1)\n        return x\n",
          "            x[:, i] = torch.multinomial(p, 1).squeeze(-1)\n        return x[..., None]\n"),),
        "samples_follow_the_density", "should have shape (10000, 4)",
    ),
    Mutant(
        "batch-norm", "made", "normalises over the batch, also when it is evaluated",
        (("return F.linear(x, self.weight * self.mask, self.bias)",
          "y = F.linear(x, self.weight * self.mask, self.bias)\n"
          "        return F.batch_norm(y, None, None, training=True) if len(y) > 1 else y"),),
        "every_example_for_itself", "mixes the examples of a batch",
    ),
    Mutant(
        "hidden-mask-strict", "made", "> in the hidden layers too: a degree is lost at every layer",
        (("mask = (u > v) if is_output else (u >= v)", "mask = u > v"),),
        "each_output_depends_on_all_earlier_inputs", "with > in a hidden layer too",
    ),
    Mutant(
        "output-mask-not-strict", "made", "≥ in the output layer: an output sees its own input",
        (("mask = (u > v) if is_output else (u >= v)", "mask = u >= v"),),
        "each_output_depends_only_on_earlier_inputs", "the output layer with >", weights="trained", also=SAMPLER,
    ),
    Mutant(
        "mask-transposed", "made", "compares the degrees the wrong way round in the hidden layers",
        (("(u >= v)", "(u <= v)"),),
        "each_output_depends_only_on_earlier_inputs", "compare degrees with ≥", also=SAMPLER,
    ),
    Mutant(
        "layer-without-mask", "made", "one hidden layer is an ordinary nn.Linear",
        ((HIDDEN_LAYER, "            nn.Linear(hidden, hidden),\n"),),
        "each_output_depends_only_on_earlier_inputs", "every layer has its mask", weights="trained", also=SAMPLER,
    ),
    Mutant(
        "masks-on-activations", "made", "masks what comes out of a layer, not its weights",
        (("return F.linear(x, self.weight * self.mask, self.bias)",
          "return F.linear(x, self.weight, self.bias) * self.mask.amax(dim=1)"),),
        "each_output_depends_only_on_earlier_inputs", "masks its weights", also=SAMPLER,
    ),
    Mutant(
        "degrees-of-flattened-inputs", "made", "the degrees repeat by dimension where the one-hots are by bin",
        (("of_data = torch.arange(1, dims + 1).repeat_interleave(bins)",
          "of_data = torch.arange(1, dims + 1).repeat(bins)"),),
        "each_output_depends_only_on_earlier_inputs", "all bins of one dimension", also=SAMPLER,
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
        "trained_close_to_the_limit_on_smiley", "learning rate 0.02, here 0.001", weights="trained",
    ),
    Mutant(
        "trained-on-the-other-set", "made", "both models are trained on the smiley",
        (("fit=train_made(moons)", "fit=train_made(smiley)"),),
        "trained_close_to_the_limit_on_moons", "were these weights trained by the code as it is now", weights="trained",
    ),
    # Exercise 1.3
    Mutant(
        "flat-samples", "pixelcnn", "samples come as rows of pixels",
        (("        return x\n", "        return x.flatten(1)\n"),),
        "samples_follow_the_density", "should have shape (8000, 1, 3, 3)",
    ),
    Mutant(
        "one-logit-a-pixel", "pixelcnn", "gives the logit of a Bernoulli, one a pixel",
        (("return h.movedim(1, -1).unsqueeze(1)", "return h[:, 1:] - h[:, :1]"),),
        "each_pixel_depends_only_on_earlier_pixels", "of its two levels are 0 and l",
        also=PIXELS_REST,
    ),
    Mutant(
        "pixel-softmax-over-the-batch", "pixelcnn", "the softmax is over the batch",
        ((LOG_P, LOG_P.replace("-1", "0")),),
        "every_example_for_itself", "a softmax or a normalisation over dimension 0",
    ),
    Mutant(
        "squeezed-image", "pixelcnn", "squeeze() drops the batch, too, when it holds one image",
        ((SUMMED, "return log_p.gather(-1, x[..., None]).squeeze().sum(dim=(-2, -1))"),),
        "called_with_one_example", "should have shape (1,)",
    ),
    Mutant(
        "one-layer-again-and-again", "pixelcnn", "all layers of kind B are the same object",
        (('nn.ModuleList(MaskedConv2d("B", width, width, 3, dilation=2 ** (k % 4)) for k in range(depth))',
          'nn.ModuleList([MaskedConv2d("B", width, width, 3)] * depth)'),),
        "every_layer_has_weights_of_its_own", "repeat the same object", weights="none",
    ),
    Mutant(
        "log-prob-clamped", "pixelcnn", "log_prob is clamped at −100", ((SUMMED, SUMMED + ".clamp(min=-100)"),),
        "exact_for_images_that_are_hardly_possible", "is clamped",
    ),
    Mutant(
        "binary-cross-entropy-of-a-sigmoid", "pixelcnn", "binary_cross_entropy, which stops at −100 a pixel",
        ((LOG_P, "l = self.logits(x)"),
         (SUMMED, "return -tensors.sum_except_batch(F.binary_cross_entropy(torch.sigmoid(l[..., 1] - l[..., 0]), "
                  'x.float(), reduction="none"))')),
        "exact_for_images_that_are_hardly_possible", "binary_cross_entropy",
    ),
    Mutant(
        "norm-over-the-image", "pixelcnn", "a norm over channels, rows and columns",
        ((RESIDUAL, RESIDUAL.replace("F.relu(h)", "F.layer_norm(F.relu(h), h.shape[1:])")),),
        "each_pixel_depends_only_on_earlier_pixels", "a norm over (C, H, W)", weights="none",
        also=PIXELS_REST,
    ),
    Mutant(
        "samples-in-training-mode", "pixelcnn", "BatchNorm in training mode while it samples",
        ((RESIDUAL, RESIDUAL.replace("F.relu(h)", "F.relu(self.norm(h))")),
         ('self.first = MaskedConv2d("A", 1, width, 7)',
          'self.first, self.norm = MaskedConv2d("A", 1, width, 7), nn.BatchNorm2d(width)'),
         (PIXEL_LOOP, "        self.train()\n" + PIXEL_LOOP)),
        "samples_follow_the_density", "sample in eval mode", weights="none",
    ),
    Mutant(
        "sees-the-last-rows-only", "pixelcnn", "each pass of the sampler sees four rows, the network twenty",
        (("self.logits(x[:, :, : i + 1])[:, :, i, j]", "self.logits(x[:, :, max(0, i - 3) : i + 1])[:, :, -1, j]"),),
        "samples_follow_the_density", "all the rows above that the network can see",
    ),
    Mutant(
        "sees-the-columns-so-far-only", "pixelcnn", "each pass of the sampler leaves out the columns to the right",
        (("self.logits(x[:, :, : i + 1])[:, :, i, j]", "self.logits(x[:, :, : i + 1, : j + 1])[:, :, i, j]"),),
        "samples_follow_the_density", "from its conditional",
    ),
    Mutant(
        "validation-images-for-samples", "pixelcnn", "keeps images of the validation set as samples",
        (("lambda: pixelcnn.sample(64))", "lambda: valid_glyphs[:64], redraw=True)"),),
        "saved_samples_are_the_models_own", "64 of 64 samples are validation images",
    ),
    Mutant(
        "new-data-for-samples", "pixelcnn", "keeps new images of the data as samples",
        (("lambda: pixelcnn.sample(64))", "lambda: torch.from_numpy(glyphs.sample(64, seed=7)), redraw=True)"),),
        "saved_samples_are_the_models_own", "which are never as clean",
    ),
    Mutant(
        "shifted-images-for-samples", "pixelcnn", "keeps images of the training set, moved by some pixels, as samples",
        (("lambda: pixelcnn.sample(64))", "lambda: train_glyphs[:64].roll((1, -2), dims=(2, 3)), redraw=True)"),),
        "saved_samples_are_the_models_own", "64 of 64 samples are training images",
    ),
    Mutant(
        "mask-a-shows-centre", "pixelcnn", "kind A shows the centre, too", ((CENTRE, "mask[kernel_size**2 // 2] = 1"),),
        "mask_a_hides_the_centre_and_mask_b_shows_it", "at the centre A is zero", also=PIXELS_REST,
    ),
    Mutant(
        "mask-b-hides-centre", "pixelcnn", "kind B hides the centre, too", ((CENTRE, "pass"),),
        "mask_a_hides_the_centre_and_mask_b_shows_it", "B is one",
    ),
    Mutant(
        "own-row-hidden", "pixelcnn", "the mask shows the rows above, and nothing of the own row",
        (("mask[: kernel_size**2 // 2] = 1", "mask[: kernel_size * (kernel_size // 2)] = 1"),),
        "mask_a_hides_the_centre_and_mask_b_shows_it", "one before the kernel's centre",
    ),
    Mutant(
        "mask-on-output", "pixelcnn", "the mask multiplies what comes out, not the weights",
        (("self.weight * self.mask, self.bias, padding=self.padding, dilation=self.dilation)",
          "self.weight, self.bias, padding=self.padding, dilation=self.dilation) * self.mask.mean()"),),
        "mask_a_hides_the_centre_and_mask_b_shows_it", "multiplies the weights, not the output", also=PIXELS_REST,
    ),
    Mutant(
        "kind-b-first", "pixelcnn", "the first layer is of kind B: every pixel sees itself",
        (('MaskedConv2d("A", 1, width, 7)', 'MaskedConv2d("B", 1, width, 7)'),),
        "each_pixel_depends_only_on_earlier_pixels", "kind A in the first layer", also=PIXELS_REST,
    ),
    Mutant(
        "ordinary-convolution", "pixelcnn", "the layers after the first are ordinary convolutions",
        (('MaskedConv2d("B", width, width, 3, dilation=2 ** (k % 4))', "nn.Conv2d(width, width, 3, padding=1)"),),
        "each_pixel_depends_only_on_earlier_pixels", "Either a layer has no mask", weights="none", also=PIXELS_REST,
    ),
    Mutant(
        "kind-a-in-the-head", "pixelcnn", "kind A in a 1 × 1 layer: nothing gets through",
        (('MaskedConv2d("B", width, 2 * width, 1)', 'MaskedConv2d("A", width, 2 * width, 1)'),),
        "each_pixel_sees_its_left_and_upper_neighbour", "B shows the centre",
    ),
    Mutant(
        "softmax-over-columns", "pixelcnn", "the softmax is over the columns of the image",
        ((LOG_P, LOG_P.replace("-1", "3")),), "probabilities_sum_to_one", "softmax over the levels",
    ),
    Mutant(
        "averaged-over-pixels", "pixelcnn", "log_prob is the mean over the pixels",
        ((SUMMED, "return log_p.gather(-1, x[..., None]).flatten(1).mean(dim=1)"),),
        "probabilities_sum_to_one", "sum over the pixels, not average",
    ),
    Mutant(
        "bits-from-log-prob", "pixelcnn", "log_prob is in bits", ((SUMMED, SUMMED + " / 0.6931"),),
        "probabilities_sum_to_one", "in nats",
    ),
    Mutant(
        "targets-one-pixel-on", "pixelcnn", "each pixel is scored with the logits of the next",
        ((SUMMED, SUMMED.replace("x[..., None]", "x.roll(1, dims=-1)[..., None]")),),
        "probabilities_sum_to_one", "pick the level that the pixel has",
    ),
    Mutant(
        "most-likely-level", "pixelcnn", "takes the most likely level",
        ((OVER_LEVELS, "x[:, :, i, j] = logits.argmax(dim=-1)"),),
        "samples_follow_the_density", "do not take the most likely",
    ),
    Mutant(
        "column-by-column", "pixelcnn", "draws column by column; the model reads row by row",
        ((PIXEL_LOOP, PIXEL_LOOP.replace('i in progress(range(H), "rows")', "j in range(W)", 1).replace(
            "            for j in range(W)", "            for i in range(H)")),
         ("self.logits(x[:, :, : i + 1])[:, :, i, j]", "self.logits(x)[:, :, i, j]")),
        "samples_follow_the_density", "in raster order",
    ),
    Mutant(
        "one-noise-for-all-pixels", "pixelcnn", "the same noise at every pixel of an image",
        (("x, u = torch.zeros(n, 1, H, W, dtype=torch.long), torch.rand(n, 1, H, W)\n        for",
          "x, u = torch.zeros(n, 1, H, W, dtype=torch.long), torch.rand(n, 1, 1, 1).expand(n, 1, H, W)\n        for"),),
        "samples_follow_the_density", "from its conditional",
    ),
    Mutant(
        "logits-of-the-next-pixel", "pixelcnn", "reads the logits one pixel further on",
        (("self.logits(x[:, :, : i + 1])[:, :, i, j]", "self.logits(x[:, :, : i + 1])[:, :, i, min(j + 1, W - 1)]"),),
        "samples_follow_the_density", "at that very pixel",
    ),
    Mutant(
        "thirty-steps", "pixelcnn", "training ends after thirty steps", (FEW_STEPS,),
        "trained_well_on_held_out_glyphs", "number of steps 3,000, here 30", weights="trained",
    ),
    Mutant(
        "training-images-for-samples", "pixelcnn", "keeps images of the training set as samples",
        (("lambda: pixelcnn.sample(64))", "lambda: train_glyphs[:64], redraw=True)"),),
        "saved_samples_are_the_models_own", "and not draws of the model",
    ),
    Mutant(
        "samples-of-the-untrained", "pixelcnn", "draws from the model that was not trained",
        (("lambda: pixelcnn.sample(64))", "lambda: untrained.sample(64), redraw=True)"),),
        "saved_samples_are_the_models_own", "with the trained model",
    ),
    # Exercise 1.4
    Mutant(
        "levels-second", "gated_pixelcnn", "the logits come as (B, levels, H, W)",
        (("self.head(h).movedim(1, -1).unsqueeze(1)", "self.head(h)"),),
        "each_pixel_depends_only_on_earlier_pixels", "should have shape", also=GATED_REST,
    ),
    Mutant(
        "vertical-sees-its-row", "gated_pixelcnn", "the vertical stack of kind A sees its own row",
        (('mask[: k // 2 + (kind == "B")] = 1', "mask[: k // 2 + 1] = 1"),),
        "each_pixel_depends_only_on_earlier_pixels", "leaves out the own row", also=GATED_REST,
    ),
    Mutant(
        "horizontal-sees-itself", "gated_pixelcnn", "the horizontal stack of kind A sees its own pixel",
        (('mask[:, : k // 2 + (kind == "B")] = 1', "mask[:, : k // 2 + 1] = 1"),),
        "each_pixel_depends_only_on_earlier_pixels", "the own column in the horizontal one", also=GATED_REST,
    ),
    Mutant(
        "input-into-the-head", "gated_pixelcnn", "adds the input to what the head reads",
        (("return self.head(h)", "h = h + 2 * x.float() / (self.levels - 1) - 1\n        return self.head(h)"),),
        "each_pixel_depends_only_on_earlier_pixels", "sees its own pixel", also=GATED_REST,
    ),
    Mutant(
        "stacks-not-linked", "gated_pixelcnn", "the horizontal stack does not read the vertical one",
        (("gate(wide + bias_v), self.link(wide) + bias_h", "gate(wide + bias_v), bias_h"),),
        "no_blind_spot", "must read the vertical one",
    ),
    Mutant(
        "vertical-sees-no-right", "gated_pixelcnn", "the vertical stack sees the columns up to its own",
        (('mask[: k // 2 + (kind == "B")] = 1', 'mask[: k // 2 + (kind == "B"), : k // 2 + 1] = 1'),),
        "no_blind_spot", "sees all columns",
    ),
    Mutant(
        "class-bias-forgotten", "gated_pixelcnn", "computes V y, and adds it nowhere",
        (("gate(wide + bias_v), self.link(wide) + bias_h", "gate(wide), self.link(wide)"),),
        "the_class_reaches_every_pixel", "V y is added before the gate",
    ),
    Mutant(
        "softmax-over-rows", "gated_pixelcnn", "the softmax is over the rows of the image",
        (("F.log_softmax(self.logits(x, y), dim=-1)", "F.log_softmax(self.logits(x, y), dim=2)"),),
        "probabilities_sum_to_one_in_every_class", "softmax over the levels",
    ),
    Mutant(
        "averaged-over-the-image", "gated_pixelcnn", "log_prob is the mean over the pixels",
        ((SUMMED, "return log_p.gather(-1, x[..., None]).flatten(1).mean(dim=1)"),),
        "probabilities_sum_to_one_in_every_class", "sum over the pixels",
    ),
    Mutant(
        "samples-of-class-zero", "gated_pixelcnn", "draws every image from class 0",
        (("layer.down(v, y)\n                links", "layer.down(v, 0 * y)\n                links"),),
        "samples_follow_the_density_of_their_class", "its own class",
    ),
    Mutant(
        "most-likely-pixel", "gated_pixelcnn", "takes the most likely level",
        ((GATED_DRAW, "x[:, 0, i, j] = p.argmax(dim=-1)"),),
        "samples_follow_the_density_of_their_class", "Draw each pixel from its conditional",
    ),
    Mutant(
        "class-of-the-first", "gated_pixelcnn", "the whole batch gets the class of its first image",
        (("self.class_bias(y)", "self.class_bias(y[:1])"),),
        "every_example_for_itself", "one vector for every image of the batch",
    ),
    Mutant(
        "kind-a-in-every-layer", "gated_pixelcnn", "the vertical stack is of kind A in every layer",
        (('StackConv2d("vertical", kind, in_channels', 'StackConv2d("vertical", "A", in_channels'),),
        "no_blind_spot", "is the vertical stack of kind A in every layer?",
    ),
    Mutant(
        "class-of-the-untrained", "gated_pixelcnn", "is trained with labels that were shuffled",
        (("(train_glyphs, train_labels),", "(train_glyphs, train_labels[torch.randperm(20_000)]),"), FEW_STEPS,
         ("gated_pixelcnn.sample(sampled_labels)", "train_glyphs[:80]")),
        "classifies_by_bayes_rule", "of the images misclassified", weights="trained",
    ),
    Mutant(
        "gated-log-prob-squeezed", "gated_pixelcnn", "squeeze() drops the batch, too, when it holds one image",
        ((SUMMED, "return log_p.gather(-1, x[..., None]).squeeze().sum(dim=(-2, -1))"),),
        "called_with_one_example", "should have shape (1,)",
    ),
    Mutant(
        "gated-log-of-a-softmax", "gated_pixelcnn", "adds 1e-8 to the probabilities before their logarithm",
        (("F.log_softmax(self.logits(x, y), dim=-1)", "torch.log(F.softmax(self.logits(x, y), dim=-1) + 1e-8)"),),
        "exact_for_images_that_are_hardly_possible", "stands inside a logarithm",
    ),
    Mutant(
        "gated-last-rows-only", "gated_pixelcnn", "the sampler takes the reach of the first layer for that of all",
        (("self.reach = 3 + sum(2 ** (k % 4) for k in range(depth - 1))", "self.reach = 3"),),
        "samples_follow_the_density_of_their_class", "all the rows above that the network can see",
    ),
    Mutant(
        "moved-images-for-samples", "gated_pixelcnn", "keeps moved images of the validation set as samples",
        (("lambda: gated_pixelcnn.sample(sampled_labels))",
          "lambda: valid_glyphs[:80].roll(1, dims=3), redraw=True)"),),
        "saved_samples_are_of_their_class", "80 of 80 samples are validation images",
    ),
    Mutant(
        "new-data-for-gated-samples", "gated_pixelcnn", "keeps new images of the data as samples",
        (("lambda: gated_pixelcnn.sample(sampled_labels))",
          "lambda: torch.from_numpy(glyphs.sample(80, seed=7)), redraw=True)"),),
        "saved_samples_are_of_their_class", "which are never as clean",
    ),
    Mutant(
        "thirty-gated-steps", "gated_pixelcnn", "training ends after thirty steps", (FEW_STEPS,
         ("gated_pixelcnn.sample(sampled_labels)", "train_glyphs[:80]")),
        "trained_well_on_held_out_glyphs", "number of steps 1,600, here 30", weights="trained",
    ),
    Mutant(
        "images-for-samples", "gated_pixelcnn", "keeps images of the training set as samples",
        (("lambda: gated_pixelcnn.sample(sampled_labels))", "lambda: train_glyphs[:80], redraw=True)"),),
        "saved_samples_are_of_their_class", "and not draws of the model",
    ),
    Mutant(
        "samples-in-another-order", "gated_pixelcnn", "keeps the samples in another order than that of the labels",
        (("drawn(\"gated_pixelcnn\", lambda: gated_pixelcnn.sample(sampled_labels))",
          "drawn(\"gated_pixelcnn\", lambda: gated_pixelcnn.sample(sampled_labels))\n"
          "training.session.samples[\"gated_pixelcnn\"] = gated_samples.roll(40, dims=0)"),),
        "saved_samples_are_of_their_class", "Eight of each class in order",
    ),
    # Exercise 1.5
    Mutant(
        "one-channel-of-logits", "color_pixelcnn", "gives the logits of red only",
        ((".unflatten(1, (3, self.levels)).movedim(2, -1)", ".unflatten(1, (3, self.levels)).movedim(2, -1)[:, :1]"),),
        "each_value_depends_only_on_earlier_values", "should have shape", also=COLOR_REST,
    ),
    Mutant(
        "colour-softmax-over-the-batch", "color_pixelcnn", "the softmax is over the batch",
        ((LOG_P, LOG_P.replace("-1", "0")),),
        "every_example_for_itself", "a softmax or a normalisation over dimension 0",
    ),
    Mutant(
        "colour-squeezed", "color_pixelcnn", "squeeze() drops the batch, too, when it holds one image",
        ((SUMMED, "return log_p.gather(-1, x[..., None]).squeeze(-1).squeeze(0).sum(dim=(-3, -2, -1))"),),
        "called_with_one_example", "should have shape (1,)",
    ),
    Mutant(
        "one-block-again-and-again", "color_pixelcnn", "all residual blocks are the same object",
        (("*(ResidualBlock(width, dilation=2 ** (k % 4)) for k in range(depth)),",
          "*[ResidualBlock(width)] * depth,"),),
        "every_layer_has_weights_of_its_own", "repeat the same object", weights="none",
    ),
    Mutant(
        "colour-log-prob-clamped", "color_pixelcnn", "log_prob is clamped at −100",
        ((SUMMED, SUMMED + ".clamp(min=-100)"),), "exact_for_images_that_are_hardly_possible", "is clamped",
    ),
    Mutant(
        "norm-over-all-colours", "color_pixelcnn", "a norm over the channels of all three colours",
        (("        return x + self.net(x)",
          "        return x + self.net(F.layer_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1))"),),
        "each_value_depends_only_on_earlier_values", "A norm may go over the channels of one colour", weights="none",
        also=COLOR_REST,
    ),
    Mutant(
        "kind-a-as-b", "color_pixelcnn", "kind A shows a group itself",
        ((COLOR_CENTRE, COLOR_CENTRE.replace('u > v if kind == "A" else u >= v', "u >= v")),),
        "each_value_depends_only_on_earlier_values", "kind A shows a group the groups before it", also=COLOR_REST,
    ),
    Mutant(
        "centre-of-b-open", "color_pixelcnn", "kind B shows all groups at the centre",
        ((COLOR_CENTRE, COLOR_CENTRE.replace("u >= v)", "u >= 0 * v)")),),
        "each_value_depends_only_on_earlier_values", "kind B its own, too", also=COLOR_REST,
    ),
    Mutant(
        "groups-by-remainder", "color_pixelcnn", "channels go round the groups, R G B R G B",
        (("* 3 // out_channels", "% 3"), ("* 3 // in_channels", "% 3")),
        "each_value_depends_only_on_earlier_values", "in the order of the groups", also=COLOR_REST,
    ),
    Mutant(
        "one-hot-by-level", "color_pixelcnn", "the one-hot channels are ordered by level, not by colour",
        ((".movedim(-1, 2).flatten(1, 2)  # (B, 3 · levels, H, W)", ".movedim(-1, 1).flatten(1, 2)"),),
        "each_value_depends_only_on_earlier_values", "in the order of the groups", also=COLOR_REST,
    ),
    Mutant(
        "block-without-mask", "color_pixelcnn", "the 3 × 3 convolution of a block is an ordinary one",
        (('ColorMaskedConv2d("B", width // 2, width // 2, 3, dilation)',
          "nn.Conv2d(width // 2, width // 2, 3, padding=1)"),),
        "each_value_depends_only_on_earlier_values", "Either a layer has no mask", weights="none",
        also=COLOR_REST,
    ),
    Mutant(
        "centre-of-a-closed", "color_pixelcnn", "kind A hides the whole pixel, as in black and white",
        ((COLOR_CENTRE, COLOR_CENTRE.replace(").float()", ").float() * (kind == \"B\")")),),
        "green_sees_red_and_blue_sees_both", "kind A is not zero for earlier groups",
    ),
    Mutant(
        "blue-first", "color_pixelcnn", "the groups see each other the other way round",
        ((COLOR_CENTRE, COLOR_CENTRE.replace("u > v", "u < v").replace("u >= v", "u <= v")),),
        "green_sees_red_and_blue_sees_both", "The order blue, green, red",
    ),
    Mutant(
        "softmax-over-channels", "color_pixelcnn", "the softmax is over the three colours",
        ((LOG_P, LOG_P.replace("-1", "1")),), "probabilities_sum_to_one", "softmax over the levels",
    ),
    Mutant(
        "averaged-over-channels", "color_pixelcnn", "averages over the channels, sums over the pixels",
        ((SUMMED, "return log_p.gather(-1, x[..., None])[..., 0].mean(dim=1).flatten(1).sum(dim=1)"),),
        "probabilities_sum_to_one", "sum over pixels and channels",
    ),
    Mutant(
        "colours-at-once", "color_pixelcnn", "draws R, G and B of a pixel from one forward pass",
        (("""                for c in range(3):
                    top = max(0, i - self.reach)  # nothing that is seen lies higher
                    p = self.logits(x[:, :, top : i + 1])[:, c, -1, j].softmax(dim=-1)
""", """                top = max(0, i - self.reach)
                p_all = self.logits(x[:, :, top : i + 1])[:, :, -1, j].softmax(dim=-1)
                for c in range(3):
                    p = p_all[:, c]
"""),), "samples_follow_the_density", "a forward pass for each of the three",
    ),
    Mutant(
        "blue-green-red-throughout", "color_pixelcnn", "masks and sampler go blue, green, red: a right model",
        ((COLOR_CENTRE, COLOR_CENTRE.replace("u > v", "u < v").replace("u >= v", "u <= v")),
         ("                for c in range(3):\n", "                for c in (2, 1, 0):\n")),
        "green_sees_red_and_blue_sees_both", "The order blue, green, red makes a right model",
    ),
    Mutant(
        "drawn-blue-first", "color_pixelcnn", "the sampler draws B, then G, then R",
        (("                for c in range(3):\n", "                for c in (2, 1, 0):\n"),),
        "samples_follow_the_density", "draw R, then G given R",
    ),
    Mutant(
        "green-drawn-first", "color_pixelcnn", "the sampler draws G, then R, then B",
        (("                for c in range(3):\n", "                for c in (1, 0, 2):\n"),),
        "samples_follow_the_density", "draw R, then G given R",
    ),
    Mutant(
        "colour-column-by-column", "color_pixelcnn", "draws column by column; the model reads row by row",
        (("""        for i in progress(range(H), "rows"):
            for j in range(W):
                for c""", """        for j in range(W):
            for i in range(H):
                for c"""),),
        "samples_follow_the_density", "is the image filled row by row",
    ),
    Mutant(
        "colour-last-rows-only", "color_pixelcnn", "the sampler takes the reach of the first layer for that of all",
        (("self.reach = 3 + sum(2 ** (k % 4) for k in range(depth))", "self.reach = 3"),),
        "samples_follow_the_density", "all the rows above that the network can see",
    ),
    Mutant(
        "colour-last-columns-only", "color_pixelcnn", "the sampler leaves out the columns to the right",
        (("self.logits(x[:, :, top : i + 1])[:, c, -1, j]",
          "self.logits(x[:, :, top : i + 1, : j + 1])[:, c, -1, j]"),),
        "samples_follow_the_density", "and all columns of them",
    ),
    Mutant(
        "most-likely-colour", "color_pixelcnn", "takes the most likely level",
        ((COLOR_DRAW, "x[:, c, i, j] = p.argmax(dim=-1)"),),
        "samples_follow_the_density", "draw R, then G given R",
    ),
    Mutant(
        "thirty-color-steps", "color_pixelcnn", "training ends after thirty steps",
        (FEW_STEPS, ("lambda: color_pixelcnn.sample(36))", "lambda: valid_shapes[:36])")),
        "trained_close_to_the_limit", "number of steps 2,000, here 30", weights="trained",
    ),
    Mutant(
        "blue-green-red", "color_pixelcnn", "keeps the samples with their channels turned round",
        (("lambda: color_pixelcnn.sample(36))", "lambda: color_pixelcnn.sample(36))\n"
          "training.session.samples[\"color_pixelcnn\"] = color_samples.flip(1)"),),
        "saved_samples_are_the_models_own", "with the trained model",
    ),
    Mutant(
        "validation-shapes-for-samples", "color_pixelcnn", "keeps images of the validation set as samples",
        (("lambda: color_pixelcnn.sample(36))", "lambda: valid_shapes[:36], redraw=True)"),),
        "saved_samples_are_the_models_own", "36 of 36 samples are images of the data",
    ),
    Mutant(
        "moved-shapes-for-samples", "color_pixelcnn", "keeps images of the training set, moved by a pixel, as samples",
        (("lambda: color_pixelcnn.sample(36))", "lambda: train_shapes[:36].roll(1, dims=3), redraw=True)"),),
        "saved_samples_are_the_models_own", "and no draws of the model",
    ),
)  # fmt: skip
