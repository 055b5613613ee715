"""Slips in the hierarchy: one at least for each check. Of public code are a straight-through without its detach, the
commitment the wrong way round, codes of what is left after the mask, a decoder that reads the coder's codebook, and a
prior that sees the code itself.
"""

from autograder.proof.changes import Body, Mutant

# What is only compared with is not trained: no check asks for it.
ALONE = (
    (
        'feedforward = trained("hierarchical_ar.feedforward", Coder(tiles.shape, 3), '
        "fit=lambda m: train_coder(m, everywhere))",
        "feedforward = Coder(tiles.shape, 3)",
    ),
    (
        'local = trained("hierarchical_ar.local", with_coder(feedforward), fit=train_local)',
        "local = with_coder(feedforward)",
    ),
    (
        'pixelcnn = trained("hierarchical_ar.pixelcnn", Causal((16, 16), levels=3), fit=train_pixels)',
        "pixelcnn = Causal((16, 16), levels=3)",
    ),
)
QUANTIZED = "return z + (e - z).detach(), F.mse_loss(e, z.detach()), F.mse_loss(z, e.detach())"
HIDE = (
    "planes = F.one_hot(x[:, 0], levels).movedim(-1, 1).float()\n"
    "    return torch.cat([planes * ~hidden, hidden.float()], dim=1)"
)
HIDDEN = "return torch.cat([planes * ~hidden, hidden.float()], dim=1)"
VECTORS = "return self.encoder(hide(x, torch.zeros_like(x, dtype=torch.bool), self.levels))"
PREDICT = "h = self.look(hide(x, hidden, self.levels)) + self.told(z_q)"
AUXILIARY = "nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),\n            nn.ReLU(), nn.ConvTranspose2d"
PREDICTION = "return F.cross_entropy(self.predict(z_q, x, hidden)[hidden], x[hidden])"
CODED = "z_q, codebook, commitment = self.quantizer(self.vectors(x))"
LOSSES = "return self.prediction_loss(z_q, x, hidden), codebook, commitment"
FIRST = "self.first = MaskedConv2d(levels + 1, width, 7, own=False)"
BLOCKS = "nn.Sequential(*(Residual(width) for _ in range(depth)))"
CAUSAL = "h = self.first(torch.cat([planes, torch.ones_like(planes[:, :1])], dim=1)) + self.bias + e"
LOG_P = (
    "log_p = F.log_softmax(self.logits(v, e), dim=-1)\n"
    "        return log_p.gather(-1, v[..., None]).flatten(1).sum(dim=1)"
)
DRAWN = "torch.multinomial(p, 1)[:, 0]"
CONDITION = "p = self.logits(v, e)[:, i, j].softmax(dim=-1)"
ENCODER = "nn.Conv2d(levels + 1, width, S, stride=S), nn.ReLU(), nn.Conv2d(width, dims, 1)"
BIAS = "self.bias = nn.Parameter(0.1 * torch.randn(width, *size))"
SPREAD = "return self.up(self.embedding(k).movedim(-1, 1))"
JOINT = "return self.prior.log_prob(k) + self.decoder.log_prob(x[:, 0], self.spread(k))"
BOUND = "return -self.log_prob(x, self.encode(x))"
DECODED = "return self.decoder.sample(len(k), self.spread(k))[:, None]"
SAMPLED = "return self.decode(self.sample_codes(n))"

DRAWS = ("samples_follow_the_density",)


def mutant(
    name: str, what: str, old: str | Body, new: str, check: str, words: str, also: tuple[str, ...] = (), **more
) -> Mutant:
    """One edit in the exercise."""
    return Mutant(name, "hierarchical_ar", what, ((old, new),), check, words, also=also, **more)


MUTANTS = (
    mutant(
        "no-detach",
        "the straight-through estimator has no detach",
        QUANTIZED,
        QUANTIZED.replace("z + (e - z).detach()", "z + (e - z)"),
        "straight_through",
        "goes to z unchanged",
    ),
    mutant(
        "plain-codes",
        "the vectors of the codes are used as they are",
        QUANTIZED,
        QUANTIZED.replace("z + (e - z).detach()", "e"),
        "straight_through",
        "none of it to the codebook",
    ),
    mutant(
        "commitment-the-wrong-way-round",
        "the codebook's and the commitment loss have each other's detach",
        QUANTIZED,
        "return z + (e - z).detach(), F.mse_loss(z, e.detach()), F.mse_loss(e, z.detach())",
        "each_loss_moves_its_own_side",
        "with the detach on different sides",
    ),
    mutant(
        "hidden-is-dark",
        "hidden pixels look like those of level 0",
        HIDE,
        HIDE.replace("x[:, 0]", "(x * ~hidden)[:, 0]").replace("planes * ~hidden", "planes"),
        "what_is_hidden_tells_nothing",
        "hidden is not the same as dark",
    ),
    mutant(
        "nothing-says-so",
        "hidden pixels are zero, but no plane says where",
        HIDDEN,
        HIDDEN.replace("hidden.float()", "torch.zeros_like(planes[:, :1])"),
        "what_is_hidden_tells_nothing",
        "the last plane is 1 where hidden",
    ),
    mutant(
        "the-other-way-round",
        "what is hidden can be seen, and what is not hidden cannot",
        HIDDEN,
        HIDDEN.replace("planes * ~hidden", "planes * hidden"),
        "what_is_hidden_tells_nothing",
        "and is not hidden",
    ),
    mutant(
        "auxiliary-sees-everything",
        "nothing is hidden from the auxiliary decoder",
        PREDICT,
        PREDICT.replace("hide(x, hidden, self.levels)", "hide(x, torch.zeros_like(hidden), self.levels)"),
        "the_auxiliary_decoder_sees_codes_and_what_is_around",
        "of hidden pixels nothing",
    ),
    mutant(
        "auxiliary-of-one-tile",
        "the auxiliary decoder looks at its own tile only",
        AUXILIARY,
        AUXILIARY.replace("nn.Conv2d(width, width, 3, padding=1)", "nn.Conv2d(width, width, 1)"),
        "the_auxiliary_decoder_sees_codes_and_what_is_around",
        "at the eight around",
        weights="none",
    ),
    mutant(
        "auxiliary-without-codes",
        "the auxiliary decoder is not told the codes",
        PREDICT,
        PREDICT.replace("+ self.told(z_q)", "+ 0 * self.told(z_q)"),
        "the_auxiliary_decoder_sees_codes_and_what_is_around",
        "made of z_q and of hide",
    ),
    mutant(
        "encoder-sees-nothing",
        "everything is hidden from the encoder",
        VECTORS,
        VECTORS.replace("zeros_like", "ones_like"),
        "the_encoder_sees_its_own_tile_all_of_it",
        "no vector moves with any pixel",
    ),
    mutant(
        "encoder-of-many-tiles",
        "the encoder's second convolution is of 3 × 3 tiles",
        ENCODER,
        ENCODER.replace("dims, 1)", "dims, 3, padding=1)"),
        "the_encoder_sees_its_own_tile_all_of_it",
        "moves with pixels of other tiles",
        weights="none",
    ),
    mutant(
        "encoder-of-corners",
        "the encoder's first convolution takes every S-th pixel",
        ENCODER,
        ENCODER.replace("width, S, stride=S", "width, 1, stride=S"),
        "the_encoder_sees_its_own_tile_all_of_it",
        "do not move with 18 of 24 pixels",
        weights="none",
    ),
    mutant(
        "encoder-without-relu",
        "no relu stands between the encoder's convolutions",
        ENCODER,
        ENCODER.replace("nn.ReLU()", "nn.Identity()"),
        "the_encoder_sees_its_own_tile_all_of_it",
        "one linear layer",
    ),
    mutant(
        "codes-after-the-mask",
        "the encoder sees what is left after the mask",
        CODED,
        "z_q, codebook, commitment = self.quantizer(self.encoder(hide(x, hidden, self.levels)))",
        "codes_are_of_the_whole_picture_the_loss_of_what_is_hidden",
        "before anything is hidden",
    ),
    mutant(
        "all-pixels-predicted",
        "the loss is of all pixels, also of those that can be seen",
        PREDICTION,
        "return F.cross_entropy(self.predict(z_q, x, hidden).flatten(0, -2), x.flatten())",
        "codes_are_of_the_whole_picture_the_loss_of_what_is_hidden",
        "over the hidden pixels",
    ),
    mutant(
        "mean-of-all-places",
        "the loss of the hidden pixels is divided by the number of all",
        PREDICTION,
        "return (F.cross_entropy(self.predict(z_q, x, hidden).movedim(-1, 1), x, reduction='none') * hidden).mean()",
        "codes_are_of_the_whole_picture_the_loss_of_what_is_hidden",
        "only these",
    ),
    mutant(
        "encoder-not-reached",
        "the codes are detached before the auxiliary decoder",
        LOSSES,
        LOSSES.replace("(z_q, x, hidden)", "(z_q.detach(), x, hidden)"),
        "the_auxiliary_decoders_loss_trains_the_encoder",
        "moves the auxiliary decoder and, through",
    ),
    mutant(
        "looked-up-again",
        "the auxiliary decoder is given the codebook's vectors, and no straight-through gradient",
        LOSSES,
        LOSSES.replace("(z_q, x, hidden)", "(self.quantizer.lookup(self.encode(x)), x, hidden)"),
        "the_auxiliary_decoders_loss_trains_the_encoder",
        "moves by its own loss only",
    ),
    mutant(
        "coders-codebook",
        "the decoder makes its vectors with the coder's codebook",
        SPREAD,
        "z = self.coder.quantizer.lookup(k)\n"
        "        more = self.embedding.embedding_dim - z.shape[1]\n"
        "        return self.up(F.pad(z, (0, 0, 0, 0, 0, more)))",
        "no_other_loss_reaches_the_encoder",
        "not with the coder’s codebook",
    ),
    mutant(
        "trained-together",
        "the coder's own loss is part of the bound",
        BOUND,
        BOUND + " + self.coder.loss(x, torch.ones_like(x, dtype=torch.bool))",
        "no_other_loss_reaches_the_encoder",
        "moves the prior and the decoder",
    ),
    mutant(
        "straight-through-to-the-decoder",
        "the decoder is told z_q with its gradient, besides the codes",
        BOUND,
        "k, z_q = self.encode(x), self.coder.quantizer(self.coder.vectors(x))[0]\n"
        "        e = self.spread(k) + (z_q - z_q.detach()).sum()\n"
        "        return -self.prior.log_prob(k) - self.decoder.log_prob(x[:, 0], e)",
        "no_other_loss_reaches_the_encoder",
        "not with z_q",
    ),
    mutant(
        "turned",
        "rows and columns of the codes are mistaken for each other on their way to the decoder",
        SPREAD,
        "k = k.transpose(1, 2) if k.shape[1] == k.shape[2] else k\n        " + SPREAD,
        "what_the_decoder_is_told",
        "is not told of the code at",
    ),
    mutant(
        "one-tile-alone",
        "no convolution mixes the codes of neighbours",
        SPREAD,
        "return self.up[2](self.embedding(k).movedim(-1, 1))",
        "what_the_decoder_is_told",
        "a 3 × 3 convolution and a transposed one",
    ),
    mutant(
        "told-without-learning",
        "what the decoder is told has no gradient",
        SPREAD,
        SPREAD + ".detach()",
        "what_the_decoder_is_told",
        "log_prob does not move with embedding.weight",
    ),
    mutant(
        "bias-forgotten",
        "the bias of the places is made and not added",
        CAUSAL,
        CAUSAL.replace(" + self.bias", ""),
        "what_the_decoder_is_told",
        "log_prob does not move with decoder.bias",
    ),
    mutant(
        "one-bias-for-all",
        "all places have the same bias",
        BIAS,
        BIAS.replace("*size", "1, 1"),
        "what_the_decoder_is_told",
        "a bias for each place",
        weights="none",
    ),
    mutant(
        "not-shifted",
        "the first convolution of prior and decoder sees the place itself",
        FIRST,
        FIRST.replace("own=False", "own=True"),
        "each_code_and_pixel_depends_only_on_earlier_ones",
        "own=False",
        also=DRAWS,
    ),
    mutant(
        "not-told",
        "e is made, and not added",
        CAUSAL,
        CAUSAL.replace("+ e", "+ 0 * e"),
        "no_blind_spot",
        "e = spread(k) added",
    ),
    mutant(
        "one-block-for-all",
        "the residual blocks are the same object",
        BLOCKS,
        "nn.Sequential(*[Residual(width)] * depth)",
        "every_layer_has_weights_of_its_own",
        "repeat the same object",
    ),
    mutant(
        "softmax-over-the-batch",
        "the softmax over the levels is over the batch",
        LOG_P,
        LOG_P.replace("dim=-1)\n", "dim=0)\n"),
        "every_example_for_itself",
        "mixes the examples of a batch",
    ),
    mutant(
        "squeezed",
        "squeeze() drops the batch, too, when it holds one picture",
        JOINT,
        JOINT.replace("return ", "return (") + ").squeeze()",
        "called_with_one_example",
        "should have shape (1,)",
    ),
    mutant(
        "codes-for-nothing",
        "the nats of the codes are left out",
        JOINT,
        "return self.decoder.log_prob(x[:, 0], self.spread(k))",
        "log_density_is_the_sum_of_the_conditionals",
        "log p(k) + log p(x | k)",
    ),
    mutant(
        "log-of-a-softmax",
        "adds 1e-8 to the probabilities before their logarithm",
        LOG_P,
        LOG_P.replace("F.log_softmax(", "torch.log(1e-8 + F.softmax(").replace("dim=-1)\n", "dim=-1))\n"),
        "exact_for_pictures_that_are_hardly_possible",
        "stands inside a logarithm",
    ),
    mutant(
        "averaged",
        "log_prob is the mean over the places",
        LOG_P,
        LOG_P.replace("sum(dim=1)", "mean(dim=1)"),
        "probabilities_sum_to_one",
        "no means",
    ),
    mutant(
        "most-likely",
        "takes the most likely level instead of a draw",
        DRAWN,
        "p.argmax(dim=-1)",
        "samples_follow_the_density",
        "not the most likely one",
    ),
    mutant(
        "drawn-without-codes",
        "pixels are drawn without what the codes tell",
        DECODED,
        "return self.decoder.sample(len(k))[:, None]",
        "samples_follow_the_density",
        "given those before it and spread(k)",
    ),
    mutant(
        "codes-drawn-anew",
        "decode draws codes of its own",
        DECODED,
        "k = self.sample_codes(len(k))\n        " + DECODED,
        "samples_follow_the_density",
        "used as they are",
    ),
    mutant(
        "best-codes-first",
        "the bound takes code 0 everywhere",
        BOUND,
        "return -self.log_prob(x, 0 * self.encode(x))",
        "an_upper_bound_and_what_is_drawn",
        "of the codes of x itself",
    ),
    mutant(
        "even-codes",
        "pictures are drawn from codes that are thrown evenly",
        SAMPLED,
        "return self.decode(torch.randint(self.codes, (n, *self.size)))",
        "an_upper_bound_and_what_is_drawn",
        "codes of the prior",
    ),
    Mutant(
        "feed-forward",
        "hierarchical_ar",
        "the masked coder is trained with everything hidden",
        (("fit=lambda m: train_coder(m, lattice)", "fit=lambda m: train_coder(m, everywhere)"), *ALONE),
        "masked_codes_are_what_neighbours_do_not_tell",
        "far from what the recipe in the text reaches",
        weights="trained",
    ),
    Mutant(
        "twenty-steps",
        "hierarchical_ar",
        "training of the hierarchy ends after twenty steps",
        (("        steps=steps,\n        batch_size=32,", "        steps=20,\n        batch_size=32,"), *ALONE),
        "trained_close_to_the_limit",
        "number of steps 800, here 20",
        weights="trained",
    ),
)
