"""Slips in the subscale network: one at least for each check. Of public code are tiles in the place of interleaved
slices, a view without a permutation, a batch that is repeated the wrong way round, and an in-place change of what is
given.
"""

from autograder.proof.changes import Mutant

ALONE = (
    'raster = trained("spn.raster", SPN(corners.shape, levels=2, S=1), fit=train_raster)',
    "raster = SPN(corners.shape, levels=2, S=1)",
)
APART = (
    "apart = x.reshape(B, H // S, S, W // S, S)  # i, a, j, b\n"
    "    return apart.permute(0, 2, 4, 1, 3).reshape(B, S * S, H // S, W // S)"
)
BACK = "apart = s.reshape(B, S, S, h, w, *s.shape[4:]).movedim((1, 2), (2, 4))  # i, a, j, b"
KNOWN = "known = torch.arange(v.shape[1], device=v.device) < k[:, None]  # (B, S²)"
TOLD = "return torch.cat([v * known, known], dim=1)"
EMBED = "return self.read(told(self.scaled(s), k)) + self.bias[k]"
READ = "nn.Conv2d(2 * S * S, width, 7, padding=3), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)"
FIRST = "self.first = MaskedConv2d(2, width, 7, own=False)"
DECODED = "h = self.first(torch.cat([v, torch.ones_like(v)], dim=1)) + e"
K = "k = torch.arange(n, device=x.device).repeat(B)"
OUT = "out = self.decode(s.flatten(0, 1), self.embed(s.repeat_interleave(n, dim=0), k))"
BLOCKS = "nn.Sequential(*(Residual(width) for _ in range(depth)))"
LOG_P = (
    "log_p = F.log_softmax(self.logits(x), dim=-1)\n        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)"
)
DRAWN = "torch.multinomial(p, 1)[:, 0]"
LOOP = "for k in range(K, self.S**2):"
LEFT_TO_RIGHT = "for i in range(h):\n                for j in range(w):"
TOP_TO_BOTTOM = "for j in range(w):\n                for i in range(h):"
EITHER_WAY = (
    "rows = [(i, j) for i in range(h) for j in range(w)]\n"
    "            for order in (sorted(rows, key=lambda at: at[::-1]) if K else rows,):\n"
    "                for i, j in order:"
)
E = "e = self.embed(s, torch.full((B,), k, device=s.device))"
CAT = "s = torch.cat([s, s.new_zeros(B, self.S**2 - K, h, w)], dim=1)"

HEAD = "return self.head(self.blocks(h)).movedim(1, -1)"
BIAS = "self.bias = nn.Parameter(0.1 * torch.randn(S * S, width, H // S, W // S))"
COUNTS = "all_of_the_network_counts"
SMALLER = "missing, smaller, or made and not called"
DRAWS = ("samples_follow_the_density", "upscaling_keeps_what_is_given")


def mutant(
    name: str, what: str, old: str, new: str, check: str, words: str, also: tuple[str, ...] = (), **more
) -> Mutant:
    """One edit in the exercise."""
    return Mutant(name, "spn", what, ((old, new),), check, words, also=also, **more)


MUTANTS = (
    mutant(
        "tiles",
        "slices are tiles of neighbours",
        APART,
        "apart = x.reshape(B, S, H // S, S, W // S)\n"
        "    return apart.permute(0, 1, 3, 2, 4).reshape(B, S * S, H // S, W // S)",
        "slices_are_interleaved",
        "not a tile of neighbours",
        also=DRAWS,
    ),
    mutant(
        "view-without-permute",
        "slices are given their shape without a permutation",
        APART,
        "return x.reshape(B, S * S, H // S, W // S)",
        "slices_are_interleaved",
        "every S-th row",
        also=DRAWS,
    ),
    mutant(
        "columns-first",
        "slices are numbered column by column",
        APART,
        APART.replace("permute(0, 2, 4, 1, 3)", "permute(0, 4, 2, 1, 3)"),
        "slices_are_interleaved",
        "b runs faster",
        also=DRAWS,
    ),
    mutant(
        "merged-as-tiles",
        "merge lays slices side by side",
        BACK,
        "apart = s.reshape(B, S, S, h, w, *s.shape[4:]).movedim(2, 3)",
        "merging_undoes_slicing",
        "backwards",
        also=DRAWS,
    ),
    mutant(
        "merged-without-permute",
        "merge only reshapes",
        BACK,
        "apart = s",
        "merging_undoes_slicing",
        "bring a behind i",
        also=DRAWS,
    ),
    mutant(
        "told-itself",
        "a slice is told itself",
        KNOWN,
        KNOWN.replace("< k", "<= k"),
        "a_slice_is_told_those_before_it",
        "not l ≤ k",
        also=DRAWS,
    ),
    mutant(
        "told-no-marks",
        "what is not told is zero, but nothing says so",
        TOLD,
        "return torch.cat([v * known, torch.ones_like(v)], dim=1)",
        "a_slice_is_told_those_before_it",
        "of the other S² it is 1",
    ),
    mutant(
        "told-everything",
        "slices that come later are not taken away",
        TOLD,
        "return torch.cat([v, known], dim=1)",
        "a_slice_is_told_those_before_it",
        "0 elsewhere",
        also=DRAWS,
    ),
    mutant(
        "masked-embedding",
        "the embedding has masked convolutions, too",
        READ,
        "MaskedConv2d(2 * S * S, width, 7, own=True), nn.ReLU(), MaskedConv2d(width, width, 3, own=True)",
        "the_embedding_sees_earlier_slices_whole",
        "its convolutions are not masked",
    ),
    mutant(
        "small-embedding",
        "the embedding looks at one place only",
        READ,
        "nn.Conv2d(2 * S * S, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1)",
        "the_embedding_sees_earlier_slices_whole",
        "in all directions",
    ),
    mutant(
        "told-the-next",
        "the embedding of slice k is asked for slice k + 1",
        EMBED,
        EMBED.replace("(self.scaled(s), k)", "(self.scaled(s), k + 1)"),
        "the_embedding_sees_earlier_slices_whole",
        "nothing of slice k",
        also=DRAWS,
    ),
    mutant(
        "last-slice-first",
        "slices are in the order from last to first",
        "s = slices(x, self.S)  # (B, n, h, w)\n",
        "s = slices(x, self.S).flip(1)\n",
        "the_order_is_strict_and_by_slices",
        "merged back to its own pixel",
        also=DRAWS,
    ),
    mutant(
        "repeated-the-wrong-way",
        "pictures are repeated as a whole, and slices one after the other",
        OUT,
        OUT.replace("repeat_interleave(n, dim=0)", "repeat(n, 1, 1, 1)"),
        "slices_stand_side_by_side",
        "n times in a row",
    ),
    mutant(
        "not-masked",
        "the first convolution sees the pixel itself",
        FIRST,
        FIRST.replace("own=False", "own=True"),
        "each_pixel_depends_only_on_earlier_pixels",
        "own=False",
        also=DRAWS,
    ),
    mutant(
        "own-slice-unread",
        "the decoder is not given the slice itself",
        DECODED,
        DECODED.replace("[v, torch.ones_like(v)]", "[0 * v, torch.ones_like(v)]"),
        "no_blind_spot",
        "is the decoder given the slice itself",
    ),
    mutant(
        "no-embedding",
        "e is made, and not added",
        DECODED,
        DECODED.replace("+ e", "+ 0 * e"),
        "no_blind_spot",
        "is e added",
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
        LOG_P,
        LOG_P.replace(".flatten(1).sum(dim=1)", ".squeeze().flatten(-2).sum(dim=-1)"),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    mutant(
        "softmax-over-pixels",
        "the softmax is over the columns instead of the levels",
        LOG_P,
        LOG_P.replace("dim=-1)\n", "dim=3)\n"),
        "log_density_is_the_sum_of_the_conditionals",
        "softmax over the levels",
    ),
    mutant(
        "log-of-a-softmax",
        "adds 1e-8 to the probabilities before their logarithm",
        LOG_P,
        LOG_P.replace("F.log_softmax(self.logits(x), dim=-1)", "torch.log(F.softmax(self.logits(x), dim=-1) + 1e-8)"),
        "exact_for_images_that_are_hardly_possible",
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
        also=("upscaling_keeps_what_is_given",),
    ),
    mutant(
        "drawn-by-columns",
        "the pixels of a slice are drawn column by column",
        LEFT_TO_RIGHT,
        TOP_TO_BOTTOM,
        "samples_follow_the_density",
        "row by row",
        also=("upscaling_keeps_what_is_given",),
    ),
    mutant(
        "refined-by-columns",
        "where slices are given, the pixels of the others are drawn column by column",
        LEFT_TO_RIGHT,
        EITHER_WAY,
        "upscaling_keeps_what_is_given",
        "row by row",
    ),
    Mutant(
        "embedded-once",
        "spn",
        "the embedding is asked for the first slice that is drawn, and kept for all",
        ((E + "\n", "e = e if k > K else self.embed(s, torch.full((B,), k))\n"),),
        "samples_follow_the_density",
        "made anew for each slice",
        also=("upscaling_keeps_what_is_given",),
    ),
    mutant(
        "drawn-again",
        "all slices are drawn, also those that are given",
        LOOP,
        "for k in range(self.S**2):",
        "upscaling_keeps_what_is_given",
        "these stay as they are",
    ),
    mutant(
        "given-last",
        "the slices that are given are put at the end",
        CAT,
        "s = torch.cat([s.new_zeros(B, self.S**2 - K, h, w), s], dim=1)",
        "upscaling_keeps_what_is_given",
        "begins with slice K",
    ),
    mutant(
        "no-relu-in-the-embedding",
        "the two convolutions of the embedding have no relu between them",
        READ,
        READ.replace("nn.ReLU(), ", ""),
        "the_embedding_sees_earlier_slices_whole",
        "Between the two convolutions of the embedding stands relu",
        weights="none",
    ),
    mutant(
        "no-bias",
        "slices have no bias",
        EMBED,
        EMBED.replace(" + self.bias[k]", ""),
        COUNTS,
        "has a number for each slice, channel and place",
        weights="none",
    ),
    mutant(
        "a-bias-for-all-places",
        "a slice has one bias for all places",
        BIAS,
        "self.bias = nn.Parameter(0.1 * torch.randn(S * S, width, 1, 1))",
        COUNTS,
        "has a number for each slice, channel and place",
        weights="none",
    ),
    mutant(
        "a-bias-for-all-slices",
        "all slices have the bias of the first",
        EMBED,
        EMBED.replace("bias[k]", "bias[0 * k]"),
        COUNTS,
        SMALLER,
        weights="none",
    ),
    mutant(
        "a-bias-that-stays",
        "the biases are a buffer, which nothing trains",
        BIAS,
        'self.register_buffer("bias", 0.1 * torch.randn(S * S, width, H // S, W // S))',
        COUNTS,
        SMALLER,
        weights="none",
    ),
    mutant(
        "read-once-by-1",
        "the second convolution of the embedding is 1 × 1",
        READ,
        READ.replace("width, 3, padding=1", "width, 1"),
        COUNTS,
        SMALLER,
        weights="none",
    ),
    mutant(
        "no-blocks",
        "the residual blocks are made, and not called",
        HEAD,
        HEAD.replace("self.blocks(h)", "h"),
        COUNTS,
        "e is added before the residual blocks",
        weights="none",
    ),
    mutant(
        "e-multiplies",
        "e multiplies what is made of the slice itself",
        DECODED,
        DECODED.replace("+ e", "* e"),
        COUNTS,
        "it multiplies nothing",
        weights="none",
    ),
    mutant(
        "e-detached",
        "e is detached",
        DECODED,
        DECODED.replace("+ e", "+ e.detach()"),
        COUNTS,
        "by detach()",
        weights="none",
    ),
    mutant(
        "no-gradient",
        "logits run under no_grad",
        "    def logits(self, x: torch.Tensor)",
        "    @torch.no_grad()\n    def logits(self, x: torch.Tensor)",
        COUNTS,
        "is something under no_grad?",
        weights="none",
    ),
    Mutant(
        "twenty-steps",
        "spn",
        "training ends after twenty steps",
        (("optimizer = torch.optim.Adam", "steps = 20\n    optimizer = torch.optim.Adam"), ALONE),
        "trained_close_to_the_limit",
        "number of steps 600, here 20",
        weights="trained",
    ),
)
