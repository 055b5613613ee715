"""Slips in PixelSNAIL: one at least for each check. Of public code are a first row that is a mean over everything,
scores that are masked with −10⁴, −∞ that is added to the scores with nan_to_num behind the softmax, keys that include
the pixel itself, and a view without a transpose.
"""

from autograder.proof.changes import Body, Mutant

PAST = "past = torch.ones(N, N, dtype=torch.bool, device=q.device).tril(-1)  # j < i"
FILL = "masked_fill(~past, torch.finfo(q.dtype).min)"
WEIGHTS = "return scores.softmax(dim=-1) * past"
SCALE = "q @ k.transpose(1, 2) / d**0.5"
BACK = "return (attention_weights(q, k) @ v).transpose(1, 2).unflatten(2, (H, W))"
ROWS = "return h.flatten(2).transpose(1, 2)"
ADDED = "return x + a * torch.sigmoid(b)"
TOLD = "torch.cat([v, h, at], dim=1)"
ASKS = "far(torch.cat([h, at], dim=1), "
BLOCK = "h = both(h, far(torch.cat([h, at], dim=1), torch.cat([v, h, at], dim=1)))"
FAR = "nn.ModuleList(CausalAttention(asks, asks + 1, keys, width) for _ in range(blocks))"
LOG_P = (
    "log_p = F.log_softmax(self.logits(x), dim=-1)\n"
    "        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)\n        ### END"
)
DRAWN = "torch.multinomial(p, 1)[:, 0]"

READ = "q, k, v = (rows(h) for h in (self.question(asks), self.key(tells), self.value(tells)))  # (B, N, …)"
NEAR = "nn.Sequential(*(GatedResidual(width, 2) for _ in range(residual))) for _ in range(blocks)"
INNER = "h = self.W_1(F.elu(x))"
ASIDE = "h = h + self.U(F.elu(s))"
OUTER = "a, b = self.W_2(F.elu(h)).chunk(2, dim=1)"

# What is only compared with is not trained: no check asks for it.
ALONE = (
    'gated = trained("pixelsnail.gated", GatedPixelCNN(corners.shape, levels=2), fit=train_gated)',
    "gated = GatedPixelCNN(corners.shape, levels=2)",
)

MUTANTS = (
    Mutant(
        "the-pixel-itself",
        "pixelsnail",
        "the mask keeps the diagonal",
        ((PAST, PAST.replace("tril(-1)", "tril()")),),
        "present_and_future_have_no_weight",
        "the diagonal is masked, too",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "masked-with-10000",
        "pixelsnail",
        "masked scores are −10⁴, which is not always below the others",
        ((FILL, "masked_fill(~past, -1e4)"),),
        "present_and_future_have_no_weight",
        "not with −10⁴",
    ),
    Mutant(
        "later-pixels",
        "pixelsnail",
        "the mask is turned round",
        ((PAST, PAST.replace("tril(-1)", "triu(1)")),),
        "present_and_future_have_no_weight",
        "exactly 0 for j ≥ i",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "not-scaled",
        "pixelsnail",
        "scores are not divided by √d",
        ((SCALE, "q @ k.transpose(1, 2)"),),
        "weights_are_a_softmax_over_the_past",
        "d is the length of a key",
    ),
    Mutant(
        "divided-by-d",
        "pixelsnail",
        "scores are divided by d",
        ((SCALE, "q @ k.transpose(1, 2) / d"),),
        "weights_are_a_softmax_over_the_past",
        "d is the length of a key",
    ),
    Mutant(
        "softmax-over-who-asks",
        "pixelsnail",
        "the softmax is over the questions instead of the keys",
        ((WEIGHTS, WEIGHTS.replace("dim=-1", "dim=1")),),
        "weights_are_a_softmax_over_the_past",
        "over j, the last axis",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "first-pixel-asks-all",
        "pixelsnail",
        "the first row, in which all is masked, is a mean over everything",
        ((WEIGHTS, "return scores.softmax(dim=-1)"),),
        "the_first_pixel_is_defined",
        "multiply by the mask again",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "nan-to-num",
        "pixelsnail",
        "−∞ is added to the scores, and what becomes nan is made 0 afterwards",
        (
            (
                "(q @ k.transpose(1, 2) / d**0.5)." + FILL,
                'q @ k.transpose(1, 2) / d**0.5 + torch.zeros(N, N).masked_fill(~past, float("-inf"))',
            ),
            (WEIGHTS, "return scores.softmax(dim=-1).nan_to_num()"),
        ),
        "the_first_pixel_is_defined",
        "also behind nan_to_num",
    ),
    Mutant(
        "columns-first",
        "pixelsnail",
        "pixels are laid out column by column",
        (
            (ROWS, "return h.transpose(2, 3).flatten(2).transpose(1, 2)"),
            (BACK, "return (attention_weights(q, k) @ v).transpose(1, 2).unflatten(2, (W, H)).transpose(2, 3)"),
        ),
        "attention_brings_means_of_values",
        "row by row",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "view-without-transpose",
        "pixelsnail",
        "what comes out is given its shape without a transpose",
        ((BACK, "return (attention_weights(q, k) @ v).reshape(len(asks), -1, H, W)"),),
        "attention_brings_means_of_values",
        "back again the same way",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "sum-of-values",
        "pixelsnail",
        "the sum of what the weights bring is multiplied by the number of pixels before",
        (
            (
                BACK,
                BACK.replace(
                    "attention_weights(q, k) @ v", "attention_weights(q, k) @ v * torch.arange(H * W)[:, None]"
                ),
            ),
        ),
        "attention_brings_means_of_values",
        "what they tell comes out",
    ),
    Mutant(
        "tanh-gate",
        "pixelsnail",
        "the gate of Exercise 1.4, with a tanh",
        ((ADDED, "return x + torch.tanh(a) * torch.sigmoid(b)"),),
        "a_block_adds_what_its_gate_lets_through",
        "no tanh",
    ),
    Mutant(
        "no-gate",
        "pixelsnail",
        "nothing shuts the gate",
        ((ADDED, "return x + a"),),
        "a_block_adds_what_its_gate_lets_through",
        "where the gate is shut",
    ),
    Mutant(
        "no-residual",
        "pixelsnail",
        "a block hands on what its gate lets through, without x",
        ((ADDED, "return a * torch.sigmoid(b)"),),
        "a_block_adds_what_its_gate_lets_through",
        "x comes out as it went in",
    ),
    Mutant(
        "padded-on-both-sides",
        "pixelsnail",
        "zeros on either side of the second convolution",
        (
            (
                "self.W_2 = CausalConv2d(width, width, k), CausalConv2d(width, 2 * width, k)",
                "self.W_2 = CausalConv2d(width, width, k), CausalConv2d(width, 2 * width, k)\n"
                "        self.W_2.zeros = (0, k - 1, 0, k - 1)",
            ),
        ),
        "a_block_adds_what_its_gate_lets_through",
        "end at the pixel itself",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "nothing-from-aside",
        "pixelsnail",
        "what comes from aside is left out",
        (("h = h + self.U(F.elu(s))", "h = h + 0 * self.U(F.elu(s))"),),
        "a_block_adds_what_its_gate_lets_through",
        "U elu(s) is added",
    ),
    Mutant(
        "exponentials",
        "pixelsnail",
        "exponentials are not taken relative to the largest",
        ((WEIGHTS, "e = (" + SCALE + ").exp() * past\n    return e / e.sum(dim=-1, keepdim=True).clamp_min(1e-30)"),),
        "present_and_future_have_no_weight",
        "take the largest score of the row off first",
        weights="none",
    ),
    Mutant(
        "asks-nothing",
        "pixelsnail",
        "keys of all pixels are alike",
        ((READ, READ + "\n        k = k.mean(dim=1, keepdim=True).expand_as(k)"),),
        "attention_brings_means_of_values",
        "by its own question",
        weights="none",
    ),
    Mutant(
        "questions-for-keys",
        "pixelsnail",
        "questions are the keys, too",
        ((READ, READ + "\n        k = q"),),
        "attention_brings_means_of_values",
        "or stands for another",
        weights="none",
    ),
    Mutant(
        "values-detached",
        "pixelsnail",
        "values are detached",
        ((READ, READ + "\n        v = v.detach()"),),
        "attention_brings_means_of_values",
        "cut on the way: by detach()",
        weights="none",
    ),
    Mutant(
        "elu-of-values",
        "pixelsnail",
        "values go through an elu",
        ((READ, READ + "\n        v = F.elu(v)"),),
        "attention_brings_means_of_values",
        "Values are a 1 × 1 convolution",
        weights="none",
    ),
    Mutant(
        "no-first-elu",
        "pixelsnail",
        "the first elu is missing",
        ((INNER, "h = self.W_1(x)"),),
        "a_block_adds_what_its_gate_lets_through",
        "is an elu missing",
        weights="none",
    ),
    Mutant(
        "no-elu-aside",
        "pixelsnail",
        "the elu of what comes from aside is missing",
        ((ASIDE, "h = h + self.U(s)"),),
        "a_block_adds_what_its_gate_lets_through",
        "is an elu missing",
        weights="none",
    ),
    Mutant(
        "no-second-elu",
        "pixelsnail",
        "the second elu is missing",
        ((OUTER, OUTER.replace("F.elu(h)", "h")),),
        "a_block_adds_what_its_gate_lets_through",
        "The second elu is missing",
        weights="none",
    ),
    Mutant(
        "highway",
        "pixelsnail",
        "the gate chooses between x and a",
        ((ADDED, "return x + (a - x) * torch.sigmoid(b)"),),
        "a_block_adds_what_its_gate_lets_through",
        "or is x changed?",
        weights="none",
    ),
    Mutant(
        "relu-behind-the-gate",
        "pixelsnail",
        "what is added goes through a relu",
        ((ADDED, "return x + F.relu(a) * torch.sigmoid(b)"),),
        "a_block_adds_what_its_gate_lets_through",
        "a is added as it is, without relu",
        weights="none",
    ),
    Mutant(
        "its-own-gate",
        "pixelsnail",
        "a is its own gate",
        ((ADDED, "return x + a * torch.sigmoid(a)"),),
        "a_block_adds_what_its_gate_lets_through",
        "a and b are two halves",
        weights="none",
    ),
    Mutant(
        "softmax-gate",
        "pixelsnail",
        "the gate is a softmax over the channels",
        ((ADDED, "return x + a * torch.softmax(b, dim=1)"),),
        "a_block_adds_what_its_gate_lets_through",
        "a softmax has one for all channels",
        weights="none",
    ),
    Mutant(
        "aside-multiplies",
        "pixelsnail",
        "what comes from aside multiplies",
        ((ASIDE, "h = h * self.U(F.elu(s))"),),
        "a_block_adds_what_its_gate_lets_through",
        "neither is multiplied by the other",
        weights="none",
    ),
    Mutant(
        "kernels-of-two",
        "pixelsnail",
        "kernels are 2 × 2, whatever k is",
        (
            (
                "CausalConv2d(width, width, k), CausalConv2d(width, 2 * width, k)",
                "CausalConv2d(width, width, min(k, 2)), CausalConv2d(width, 2 * width, min(k, 2))",
            ),
        ),
        "a_block_adds_what_its_gate_lets_through",
        "its kernel is not k × k",
        weights="none",
    ),
    Mutant(
        "aside-detached",
        "pixelsnail",
        "what comes from aside is detached",
        ((ASIDE, "h = h + self.U(F.elu(s.detach()))"),),
        "all_of_the_network_counts",
        "by detach()",
        weights="none",
    ),
    Mutant(
        "told-detached",
        "pixelsnail",
        "what attention is told is detached",
        ((READ, "tells = tells.detach()\n        " + READ),),
        "all_of_the_network_counts",
        "cut on its way to some of the parameters",
        weights="none",
    ),
    Mutant(
        "block-detached",
        "pixelsnail",
        "what a block reads of x is detached",
        ((INNER, "h = self.W_1(F.elu(x.detach()))"),),
        "all_of_the_network_counts",
        "cut on its way to some of the parameters",
        weights="none",
    ),
    Mutant(
        "near-not-used",
        "pixelsnail",
        "what the blocks of the near pixels give is not used",
        (("h = near(h)", "near(h)"),),
        "all_of_the_network_counts",
        "is made and not called",
        weights="none",
    ),
    Mutant(
        "one-residual-block",
        "pixelsnail",
        "one residual block, whatever `residual` says",
        ((NEAR, NEAR.replace("range(residual)", "range(1)")),),
        "all_of_the_network_counts",
        "smaller than it is to be",
        weights="none",
    ),
    Mutant(
        "kernels-of-one",
        "pixelsnail",
        "residual blocks have kernels of 1 × 1",
        ((NEAR, NEAR.replace("(width, 2)", "(width, 1)")),),
        "all_of_the_network_counts",
        "smaller than it is to be",
        weights="none",
    ),
    Mutant(
        "sixteen-keys",
        "pixelsnail",
        "keys have length 16, whatever `keys` says",
        ((FAR, FAR.replace("keys, width", "16, width")),),
        "all_of_the_network_counts",
        "smaller than it is to be",
        weights="none",
    ),
    Mutant(
        "no-last-block",
        "pixelsnail",
        "what attention brings is added to h",
        ((BLOCK, BLOCK.replace("h = both(h, ", "h = (h + ")),),
        "all_of_the_network_counts",
        "is made and not called",
        weights="none",
    ),
    Mutant(
        "no-places",
        "pixelsnail",
        "nobody is told the places",
        (
            (
                "at, h = self.places[:, : x.shape[2]].expand(len(x), -1, -1, -1)",
                "at, h = 0 * self.places[:, : x.shape[2]].expand(len(x), -1, -1, -1)",
            ),
        ),
        "all_of_the_network_counts",
        "The places of the pixels are not told",
        weights="none",
    ),
    Mutant(
        "asks-with-the-pixel",
        "pixelsnail",
        "questions are made of the pixel itself, too",
        ((FAR, FAR.replace("asks, asks + 1", "asks + 1, asks + 1")), (ASKS, "far(torch.cat([v, h, at], dim=1), ")),
        "each_pixel_depends_only_on_earlier_pixels",
        "Questions are of h",
        weights="none",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "not-shifted",
        "pixelsnail",
        "the first features are of the pixel itself, too",
        ((".expand(len(x), -1, -1, -1), self.first(v)", ".expand(len(x), -1, -1, -1), self.first(v) + v"),),
        "each_pixel_depends_only_on_earlier_pixels",
        "Some output sees its own pixel",
        also=("samples_follow_the_density",),
    ),
    Mutant(
        "no-attention",
        "pixelsnail",
        "the attention is made, and not asked",
        ((BLOCK, "h = both(h, torch.zeros_like(h))"),),
        "no_blind_spot",
        "attention is over all pixels before it",
    ),
    Mutant(
        "one-attention-for-all",
        "pixelsnail",
        "the attentions of all blocks are the same object",
        ((FAR, "nn.ModuleList([CausalAttention(asks, asks + 1, keys, width)] * blocks)"),),
        "every_layer_has_weights_of_its_own",
        "repeat the same object",
    ),
    Mutant(
        "softmax-over-the-batch",
        "pixelsnail",
        "the softmax over the levels is over the batch",
        ((LOG_P, LOG_P.replace("log_softmax(self.logits(x), dim=-1)", "log_softmax(self.logits(x), dim=0)")),),
        "every_example_for_itself",
        "mixes the examples of a batch",
    ),
    Mutant(
        "squeezed",
        "pixelsnail",
        "squeeze() drops the batch, too, when it holds one picture",
        ((LOG_P, LOG_P.replace(".flatten(1).sum(dim=1)", ".squeeze().flatten(-2).sum(dim=-1)")),),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    Mutant(
        "softmax-over-pixels",
        "pixelsnail",
        "the softmax is over the columns instead of the levels",
        ((LOG_P, LOG_P.replace("log_softmax(self.logits(x), dim=-1)", "log_softmax(self.logits(x), dim=3)")),),
        "log_density_is_the_sum_of_the_conditionals",
        "softmax over the levels",
    ),
    Mutant(
        "log-of-a-softmax",
        "pixelsnail",
        "adds 1e-8 to the probabilities before their logarithm",
        (
            (
                LOG_P,
                LOG_P.replace(
                    "F.log_softmax(self.logits(x), dim=-1)", "torch.log(F.softmax(self.logits(x), dim=-1) + 1e-8)"
                ),
            ),
        ),
        "exact_for_images_that_are_hardly_possible",
        "stands inside a logarithm",
    ),
    Mutant(
        "averaged",
        "pixelsnail",
        "log_prob is the mean over the pixels",
        ((LOG_P, LOG_P.replace("sum(dim=1)", "mean(dim=1)")),),
        "probabilities_sum_to_one",
        "summed over the pixels, not averaged",
    ),
    Mutant(
        "most-likely",
        "pixelsnail",
        "takes the most likely level instead of a draw",
        ((DRAWN, "p.argmax(dim=-1)"),),
        "samples_follow_the_density",
        "not the most likely level",
    ),
    Mutant(
        "all-at-once",
        "pixelsnail",
        "draws all pixels of a row from one pass",
        (
            (
                Body("PixelSNAIL.sample"),
                "        _, H, W = self.shape\n"
                "        x = torch.zeros(n, 1, H, W, dtype=torch.long)\n"
                "        for i in range(H):\n"
                "            p = self.logits(x)[:, 0, i].softmax(dim=-1)\n"
                "            x[:, 0, i] = torch.multinomial(p.flatten(0, 1), 1).view(n, W)\n"
                "        return x\n",
            ),
        ),
        "samples_follow_the_density",
        "given those before it",
    ),
    Mutant(
        "told-no-pixels",
        "pixelsnail",
        "attention is told the places alone, so that no value says what a pixel is",
        ((TOLD, "torch.cat([0 * v, 0 * h, at], dim=1)"),),
        "no_blind_spot",
        "is told the pixels themselves",
    ),
    Mutant(
        "thirty-steps",
        "pixelsnail",
        "training ends after thirty steps",
        (("optimizer = torch.optim.Adam", "steps = 30\n    optimizer = torch.optim.Adam"), ALONE),
        "trained_close_to_the_limit",
        "number of steps 1,200, here 30",
        weights="trained",
    ),
)
