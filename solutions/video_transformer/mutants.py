"""Slips in the video transformer: one at least for each check. Of public code are a reshape without a permutation where
blocks are cut and joined, a softmax over the queries, draws in raster order where the order is by slices, the own
pixel visible, −10⁴ as a mask, and blocks that are the same in all layers.
"""

from autograder.proof.changes import Body, Mutant

COMPARED = (
    (
        'fixed = trained(\n    "video_transformer.fixed",\n'
        "    VideoTransformer(rings.shape, 2, S, (FIXED, FIXED), (FIXED, FIXED, FIXED)),\n    fit=train_video,\n)",
        "fixed = VideoTransformer(rings.shape, 2, S, (FIXED, FIXED), (FIXED, FIXED, FIXED))",
    ),
    (
        'convlstm = trained("video_transformer.convlstm", ConvLSTM(rings.shape, levels=2), fit=train_convlstm)',
        "convlstm = ConvLSTM(rings.shape, levels=2)",
    ),
)
SLICED = "return apart.permute(0, 2, 4, 6, 1, 3, 5).reshape(B, -1, T // s_t, H // s_h, W // s_w)"
MERGED = "apart = s.reshape(B, s_t, s_h, s_w, t, h, w, *s.shape[5:]).movedim((1, 2, 3), (2, 4, 6))"
CUT = "return apart.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(B, -1, t * a * b, C)"
JOINED = "return apart.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(B, T, H, W, C)"
SCORES = "scores = q @ k.transpose(-1, -2) / d**0.5 + bias"
PAST = "past = torch.ones(p, p, dtype=torch.bool, device=q.device).tril(-1)  # j < i"
MASKED = "w = scores.masked_fill(~past, torch.finfo(scores.dtype).min).softmax(dim=-1) * past"
QUESTIONS = "q, k, v = (cut(z, self.block).unflatten(-1, (self.heads, -1)).transpose(2, 3) for z in (q, k, v))"
ENCODER = "self.encoder = nn.ModuleList(Layer(width, heads, block, strict=False) for block in read)"
DECODER = "self.decoder = nn.ModuleList(Layer(width, heads, block, strict=True) for block in blocks)"
EMBEDDED = "h = self.told(told(self.scaled(s), k)) + sum(self.places) + self.slice[k]"
DECODED = "x, h = self.pixel(own), e"
TOLD_X = "h = layer(h, x)\n        return self.head(h)"
OUT = "out = self.decode(s.flatten(0, 1), self.embed(s.repeat_interleave(self.n, dim=0), k))"
LOG_P = (
    "log_p = F.log_softmax(self.logits(x), dim=-1)\n        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)"
)
OWN = "own = s[torch.arange(len(x), device=x.device), k]"
DRAWN = "torch.multinomial(p, 1)[:, 0]"
E = "e = self.embed(s, torch.full((n,), k))"
ASKED = "q, (k, v) = self.ask(h), self.tell(told).chunk(2, dim=-1)"
ATTENDED = "got, w = attention(q, k, v, self.near(), self.strict)"
JOINED_OUT = "return self.out(join(got.transpose(2, 3).flatten(3), self.block, h.shape[1:4])), w"
SEE, WHOLE = "blocks_see_themselves_only", "every_layer_has_weights_of_its_own"
# All places at once, of which those of another block are masked: the same result, at the price of all pairs.
ALL_PAIRS = (
    "        size, (B, T, H, W, C) = self.block, h.shape\n"
    "        q, (k, v) = self.ask(h), self.tell(told).chunk(2, dim=-1)\n"
    "        q, k, v = (cut(z, size).flatten(1, 2) for z in (q, k, v))\n"
    "        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in (q, k, v))\n"
    "        N, p = T * H * W, size[0] * size[1] * size[2]\n"
    "        number = torch.arange(N) // p\n"
    "        same = number[:, None] == number\n"
    "        bias = self.near().repeat(1, N // p, N // p).masked_fill(~same, -1e30)\n"
    "        got, w = attention(q, k, v, bias, self.strict)\n"
    "        w, got = w * same, (w * same) @ v\n"
    "        out = got.transpose(1, 2).flatten(2).unflatten(1, (N // p, p))\n"
    "        return self.out(join(out, size, (T, H, W))), w[:, None]\n"
)
# Right, if the order of the model were that of the video.
RASTER = (
    "        x = torch.zeros(n, *self.shape, dtype=torch.long)\n"
    "        for i in range(x[0].numel()):\n"
    "            p = self.logits(x).flatten(1, 4)[:, i].softmax(dim=-1)\n"
    "            x.view(n, -1)[:, i] = torch.multinomial(p, 1)[:, 0]\n"
    "        return x\n"
)

SKIPPED = ("samples_follow_the_density",)


def mutant(
    name: str, what: str, old: str, new: str, check: str, words: str, also: tuple[str, ...] = (), **more
) -> Mutant:
    """One edit in the exercise."""
    return Mutant(name, "video_transformer", what, ((old, new),), check, words, also=also, **more)


MUTANTS = (
    mutant(
        "sliced-without-permute",
        "slices are given their shape without a permutation",
        SLICED,
        "return x.reshape(B, -1, T // s_t, H // s_h, W // s_w)",
        "slices_are_interleaved",
        "not a box of neighbours",
        also=SKIPPED,
    ),
    mutant(
        "columns-first",
        "slices are numbered by their column first, then by row and frame",
        SLICED,
        SLICED.replace("permute(0, 2, 4, 6, 1, 3, 5)", "permute(0, 6, 4, 2, 1, 3, 5)"),
        "slices_are_interleaved",
        "c fastest",
        also=SKIPPED,
    ),
    mutant(
        "merged-without-movedim",
        "merge only reshapes",
        MERGED,
        "apart = s",
        "merging_undoes_slicing",
        "each offset behind its place",
        also=SKIPPED,
    ),
    mutant(
        "cut-without-permute",
        "blocks are p places in a row, by a reshape alone",
        CUT,
        "return apart.reshape(B, -1, t * a * b, C)",
        "blocks_part_the_video",
        "A reshape alone takes p places in a row",
    ),
    mutant(
        "places-by-column",
        "the places in a block are numbered column by column",
        CUT,
        CUT.replace("permute(0, 1, 3, 5, 2, 4, 6, 7)", "permute(0, 1, 3, 5, 2, 6, 4, 7)"),
        "blocks_part_the_video",
        "the three places after them",
        also=SKIPPED,
    ),
    mutant(
        "joined-without-permute",
        "blocks are joined by a reshape alone",
        JOINED,
        "return apart.reshape(B, T, H, W, C)",
        "joining_undoes_cutting",
        "each place behind its block",
    ),
    mutant(
        "softmax-over-queries",
        "the softmax is over the queries, not over the keys",
        MASKED,
        MASKED.replace("softmax(dim=-1)", "softmax(dim=-2)"),
        "weights_are_a_softmax",
        "softmax over j, the last axis",
    ),
    mutant(
        "not-scaled",
        "scores are not divided by √d",
        SCORES,
        SCORES.replace(" / d**0.5", ""),
        "weights_are_a_softmax",
        "k_j / √d",
    ),
    mutant(
        "no-bias",
        "the bias of nearness is left out",
        SCORES,
        SCORES.replace(" + bias", ""),
        "weights_are_a_softmax",
        "+ b_ij",
    ),
    mutant(
        "minus-ten-thousand",
        "a mask of −10⁴, and none after the softmax but for the first row",
        MASKED,
        "w = scores.masked_fill(~past, -1e4).softmax(dim=-1)\n"
        "        w = torch.cat([0 * w[..., :1, :], w[..., 1:, :]], dim=-2)",
        "weights_are_a_softmax",
        "not −10⁴",
    ),
    mutant(
        "own-pixel-visible",
        "the mask lets a place see itself",
        PAST,
        PAST.replace("tril(-1)", "tril()"),
        "weights_are_a_softmax",
        "the place itself included",
        also=SKIPPED,
    ),
    mutant(
        "first-sees-all",
        "nothing is masked after the softmax: the first place gets a mean of its block",
        MASKED,
        MASKED.replace(" * past", ""),
        "the_first_place_is_defined",
        "multiply by the mask again",
        also=SKIPPED,
    ),
    mutant(
        "nan-to-num",
        "−∞ is added to the scores, and nan_to_num put behind the softmax",
        MASKED,
        "w = (scores + torch.where(past, 0.0, -torch.inf)).softmax(dim=-1).nan_to_num()",
        "the_first_place_is_defined",
        "behind nan_to_num",
    ),
    mutant(
        "keys-cut-by-frames",
        "questions are cut into blocks, and keys and values put in blocks by a reshape",
        QUESTIONS,
        "q, k, v = (\n"
        "            z.unflatten(-1, (self.heads, -1)).transpose(2, 3)\n"
        "            for z in (cut(q, self.block), *(z.reshape(cut(z, self.block).shape) for z in (k, v)))\n"
        "        )",
        "blocks_see_themselves_only",
        "all cut the same way",
    ),
    mutant(
        "heads-in-front",
        "heads are joined as if they stood behind the places",
        "join(got.transpose(2, 3).flatten(3), self.block, h.shape[1:4])",
        "join(got.reshape(*got.shape[:2], got.shape[3], -1), self.block, h.shape[1:4])",
        "blocks_see_themselves_only",
        "heads back behind the places",
        also=SKIPPED,
    ),
    Mutant(
        "all-pairs",
        "video_transformer",
        "scores of all places are made, and those of other blocks masked",
        ((Body("BlockAttention.forward"), ALL_PAIRS),),
        "cost_grows_with_the_number_of_blocks",
        "w of BlockAttention(…)(h, told) should have shape",
    ),
    mutant(
        "blocks-not-changed",
        "every layer of the decoder has the first block",
        DECODER,
        DECODER.replace("strict=True) for block in blocks", "strict=True) for block in (blocks[0],) * len(blocks)"),
        "layers_see_what_their_blocks_let_through",
        "with its own block",
        weights="none",
    ),
    mutant(
        "masked-encoder",
        "the encoder is masked, too",
        ENCODER,
        ENCODER.replace("strict=False", "strict=True"),
        "layers_see_what_their_blocks_let_through",
        "the encoder, without a mask",
    ),
    mutant(
        "told-itself",
        "a slice is told itself",
        EMBEDDED,
        EMBEDDED.replace("(self.scaled(s), k)", "(self.scaled(s), k + 1)"),
        "the_order_is_by_slices",
        "not in the whole video",
        also=SKIPPED,
    ),
    mutant(
        "repeated-the-wrong-way",
        "videos are repeated as a whole, and slices one after the other",
        OUT,
        OUT.replace("repeat_interleave(self.n, dim=0)", "repeat(self.n, 1, 1, 1, 1)"),
        "the_order_is_by_slices",
        "embed(s, k)",
    ),
    mutant(
        "same-slice-of-all",
        "of every video the slice of the first is asked",
        OWN,
        "own = s[:, k[0]]",
        "slices_add_up_to_the_video",
        "pick slice k_b of video b",
    ),
    mutant(
        "asks-with-the-pixel",
        "the decoder begins with the pixel itself",
        DECODED,
        "x = self.pixel(own)\n        h = e + x",
        "each_pixel_depends_only_on_earlier_pixels",
        "asks with h alone",
        also=SKIPPED,
    ),
    mutant(
        "pixels-untold",
        "layers of the decoder are not given the pixels",
        TOLD_X,
        TOLD_X.replace("layer(h, x)", "layer(h, 0 * x)"),
        "no_blind_spot",
        "is x told in every layer",
    ),
    mutant(
        "one-layer-for-all",
        "the layers of the decoder are the same object",
        DECODER,
        "self.decoder = nn.ModuleList([Layer(width, heads, blocks[0], strict=True)] * len(blocks))",
        "every_layer_has_weights_of_its_own",
        "repeat the same object",
        weights="none",
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
        "squeeze() drops the batch, too, when it holds one video",
        LOG_P,
        LOG_P.replace(".flatten(1).sum(dim=1)", ".squeeze().flatten(-3).sum(dim=-1)"),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    mutant(
        "softmax-over-pixels",
        "the softmax is over the columns instead of the levels",
        LOG_P,
        LOG_P.replace("dim=-1)\n", "dim=4)\n"),
        "log_density_is_the_sum_of_the_conditionals",
        "softmax over the levels",
    ),
    mutant(
        "log-of-a-softmax",
        "adds 1e-8 to the probabilities before their logarithm",
        LOG_P,
        LOG_P.replace("F.log_softmax(self.logits(x), dim=-1)", "torch.log(F.softmax(self.logits(x), dim=-1) + 1e-8)"),
        "exact_for_videos_that_are_hardly_possible",
        "stands inside a logarithm",
    ),
    mutant(
        "averaged",
        "log_prob is the mean over the pixels",
        LOG_P,
        LOG_P.replace("sum(dim=1)", "mean(dim=1)"),
        "probabilities_sum_to_one",
        "summed over the pixels, not averaged",
    ),
    mutant(
        "most-likely",
        "takes the most likely level instead of a draw",
        DRAWN,
        "p.argmax(dim=-1)",
        "samples_follow_the_density",
        "not the most likely level",
    ),
    Mutant(
        "drawn-in-raster-order",
        "video_transformer",
        "pixels are drawn in raster order of the whole video, where the order of the model is by slices",
        ((Body("VideoTransformer.sample"), RASTER),),
        "samples_follow_the_density",
        "Draw slice after slice",
    ),
    mutant(
        "embedded-once",
        "the embedding is asked for the first slice, and kept for all",
        E,
        "e = e if k else self.embed(s, torch.full((n,), k))",
        "samples_follow_the_density",
        "made anew for each slice",
    ),
    mutant(
        "nearness-unused",
        "attention has no bias by nearness",
        ATTENDED,
        ATTENDED.replace("self.near()", "0 * self.near()"),
        SEE,
        "the bias alone tells near ones from far ones",
        weights="none",
    ),
    mutant(
        "nearness-of-one-head",
        "all heads have the biases of the first",
        ATTENDED,
        ATTENDED.replace("self.near()", "self.near()[:1].expand(self.heads, -1, -1)"),
        SEE,
        "Nearness has numbers for each head",
        weights="none",
    ),
    mutant(
        "keys-of-what-asks",
        "keys are made of h, and only values of what is told",
        ASKED,
        "q, k, v = self.ask(h), self.tell(h).chunk(2, dim=-1)[0], self.tell(told).chunk(2, dim=-1)[1]",
        SEE,
        "Keys are of what is told, and h asks",
        weights="none",
    ),
    mutant(
        "questions-of-what-is-told",
        "questions are made of what is told, with the own pixel in it",
        ASKED,
        ASKED.replace("self.ask(h)", "self.ask(told)"),
        SEE,
        "all cut the same way",
        also=(
            *SKIPPED,
            "layers_see_what_their_blocks_let_through",
            "the_order_is_by_slices",
            "each_pixel_depends_only_on_earlier_pixels",
            "probabilities_sum_to_one",
        ),
        weights="none",
    ),
    Mutant(
        "keys-are-values",
        "video_transformer",
        "one map makes keys and values",
        (
            (
                "nn.Linear(width, 2 * width), nn.Linear(width, width)",
                "nn.Linear(width, width), nn.Linear(width, width)",
            ),
            (ASKED, "q, k, v = self.ask(h), self.tell(told), self.tell(told)"),
        ),
        SEE,
        "or is another",
        weights="none",
    ),
    mutant(
        "no-output-map",
        "what the heads bring back goes through no map",
        JOINED_OUT,
        JOINED_OUT.replace("self.out(join(", "(join("),
        SEE,
        "made and not called",
        weights="none",
    ),
    mutant(
        "asks-with-h-itself",
        "questions are h, without a map",
        ASKED,
        ASKED.replace("self.ask(h)", "h"),
        SEE,
        "made and not called",
        weights="none",
    ),
    mutant(
        "questions-detached",
        "questions and keys get no gradient",
        ATTENDED,
        ATTENDED.replace("q, k, v,", "q.detach(), k.detach(), v,"),
        SEE,
        "cut on the way",
        also=(WHOLE,),
        weights="none",
    ),
    mutant(
        "scores-without-gradient",
        "scores get no gradient",
        SCORES,
        "scores = (q @ k.transpose(-1, -2) / d**0.5).detach() + bias",
        SEE,
        "cut on the way",
        also=(WHOLE,),
        weights="none",
    ),
    mutant(
        "no-places",
        "nothing says where a place is",
        EMBEDDED,
        EMBEDDED.replace(" + sum(self.places)", ""),
        WHOLE,
        "Places are told in all three directions",
        weights="none",
    ),
    mutant(
        "places-without-time",
        "places are told of rows and columns only",
        EMBEDDED,
        EMBEDDED.replace("sum(self.places)", "sum(self.places[1:])"),
        WHOLE,
        "Places are told in all three directions",
        weights="none",
    ),
    mutant(
        "frames-told-only",
        "places are told of their frame only",
        EMBEDDED,
        EMBEDDED.replace("sum(self.places)", "self.places[0]"),
        WHOLE,
        "Places are told in all three directions",
        weights="none",
    ),
    mutant(
        "first-layer-only",
        "of the encoder only the first layer is called",
        "for layer in self.encoder:",
        "for layer in self.encoder[:1]:",
        WHOLE,
        "made and not called",
        weights="none",
    ),
    mutant(
        "layers-in-a-list",
        "the layers of the encoder are in a plain list",
        ENCODER,
        ENCODER.replace("nn.ModuleList(", "list("),
        WHOLE,
        "in a plain list",
        weights="none",
    ),
    mutant(
        "decoder-in-a-list",
        "the layers of the decoder are in a plain list",
        DECODER,
        DECODER.replace("nn.ModuleList(", "list("),
        WHOLE,
        "in a plain list",
        weights="none",
    ),
    mutant(
        "embedding-detached",
        "training does not go back through what a slice is told",
        DECODED,
        "x, h = self.pixel(own), e.detach()",
        WHOLE,
        "cut on the way",
        weights="none",
    ),
    Mutant(
        "twenty-steps",
        "video_transformer",
        "training ends after twenty steps",
        (
            (
                "optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)\n    return fit(",
                "steps = 20\n    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)\n    return fit(",
            ),
            *COMPARED,
        ),
        "trained_close_to_the_limit",
        "number of steps 1,500, here 20",
        weights="trained",
    ),
)
