"""Slips in GPT: one at least for each check. Of public code are scores divided by d, a mask after the softmax, heads
that are cut out of places, a place that does not move on with what is kept, and merges applied in another order.
"""

from autograder.proof.changes import Body, Mutant

SCALE = "/ d**0.5"
MASK = ".triu(T - S + 1)"
WEIGHTS = "w = scores.masked_fill(later, -torch.inf).softmax(dim=-1)"
HEADS = "q, k, v = self.qkv(x).view(B, S, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, S, d) each"
JOINED = "return self.out(out.transpose(1, 2).reshape(B, S, width)), (k, v)"
PAST = "(torch.cat([old, new], dim=2) for old, new in zip(past, (k, v), strict=True))"
ADDED = "looked_up, kept = self.attention(self.norm_1(x), past)\n        x = x + looked_up\n"
MLP = "return x + self.mlp(self.norm_2(x)), kept"
BLOCKS = "nn.ModuleList(Block(width, heads) for _ in range(depth))"
SHIFT = "return self.answers(F.pad(x[:, :-1], (1, 0), value=self.levels))[0]"
LOG_P = "log_p = F.log_softmax(self.logits(x), dim=-1)"
TOTAL = "return log_p.gather(-1, x[..., None]).squeeze(-1).sum(dim=1)"
PLACE = "h = self.letter(x) + self.place.weight[first : first + x.shape[1]]"
BEGIN = "letters, last, past = [], torch.full((len(u),), self.levels), None"
LEVEL = "last = (cdf[:, :-1] < u_t[:, None]).sum(dim=-1)"
STEP = "logits, past = self.answers(last[:, None], past)"
PAIRS = "for pair in pairwise(tokens):"
MERGED = "tokens = merged(tokens, merges[-1], new)"
INORDER = (
    "for new, pair in enumerate(merges.tolist(), start=levels):\n        tokens = merged(tokens, tuple(pair), new)"
)
WORDS = "words.append(words[a] + words[b])"
OUT = "out, weights = attention(q, k, v)\n"
ATTENTION = "looked_up, kept = self.attention(self.norm_1(x), past)\n        x = x + looked_up\n        " + MLP
LAYERS = "nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)"
RUN = "h, new = block(h, old)"
SAMPLED = ("samples_follow_the_density",)  # where outputs see what comes later, nothing is said of draws
SKIPPED = ("drawing_saves_work",)  # where draws are wrong, nothing is said of their speed

MUTANTS = (
    Mutant(
        "divided-by-d",
        "gpt",
        "scores are divided by d instead of √d",
        ((SCALE, "/ d"),),
        "weights_are_a_softmax_of_products",
        "divided by d, not by √d",
    ),
    Mutant(
        "not-scaled",
        "gpt",
        "scores are not scaled",
        ((SCALE, ""),),
        "weights_are_a_softmax_of_products",
        "not scaled at all",
    ),
    Mutant(
        "scaled-by-the-width",
        "gpt",
        "scores are divided by the root of all channels, not of one head’s",
        ((SCALE, "/ (q.shape[1] * d) ** 0.5"),),
        "weights_are_a_softmax_of_products",
        "d the channels of one head",
    ),
    Mutant(
        "softmax-over-queries",
        "gpt",
        "the softmax goes over the queries",
        ((WEIGHTS, "w = scores.masked_fill(later, -1e9).softmax(dim=-2)"),),
        "weights_are_a_softmax_of_products",
        "which goes over the keys",
        also=(*SAMPLED, *SKIPPED),
    ),
    Mutant(
        "mask-after-softmax",
        "gpt",
        "weights of later keys are set to zero after the softmax",
        ((WEIGHTS, "w = scores.softmax(dim=-1).masked_fill(later, 0.0)"),),
        "equal_keys_give_the_mean_of_the_past",
        "do not sum to one any more",
        also=(*SAMPLED, *SKIPPED),
    ),
    Mutant(
        "sees-no-own-place",
        "gpt",
        "a query does not see the key of its own place, and the first sees itself alone",
        ((MASK, ".triu(T - S).logical_and(torch.arange(T) > 0)"),),
        "equal_keys_give_the_mean_of_the_past",
        "sum to one: 1/t",
    ),
    Mutant(
        "mask-of-the-first-places",
        "gpt",
        "the mask takes the queries for the first S of the T places",
        ((MASK, ".triu(1)"),),
        "the_last_queries_alone_get_the_same",
        "the diagonal of the mask begins T − S further right",
        also=SKIPPED,
    ),
    Mutant(
        "post-norm",
        "gpt",
        "what is normalised is the sum, as in the Transformer of 2017",
        (
            (ADDED, "looked_up, kept = self.attention(x, past)\n        x = self.norm_1(x + looked_up)\n"),
            (MLP, "return self.norm_2(x + self.mlp(x)), kept"),
        ),
        "a_block_adds_to_what_it_is_given",
        "x itself never is",
    ),
    Mutant(
        "mlp-reads-x",
        "gpt",
        "the mlp reads what was not normalised",
        ((MLP, "return x + self.mlp(x), kept"),),
        "a_block_adds_to_what_it_is_given",
        "both read what was normalised",
    ),
    Mutant(
        "no-residual",
        "gpt",
        "attention’s result takes the place of x",
        ((ADDED, "x, kept = self.attention(self.norm_1(x), past)\n"),),
        "a_block_adds_to_what_it_is_given",
        "x' = x + attention(norm(x))",
    ),
    Mutant(
        "masked-with-10000",
        "gpt",
        "later scores are −10⁴, which is not always below the others",
        ((WEIGHTS, WEIGHTS.replace("-torch.inf", "-1e4")),),
        "weights_are_a_softmax_of_products",
        "put −torch.inf there",
        weights="none",
    ),
    Mutant(
        "less-10000",
        "gpt",
        "10⁴ is taken from later scores",
        ((WEIGHTS, "w = (scores - 1e4 * later).softmax(dim=-1)"),),
        "weights_are_a_softmax_of_products",
        "put −torch.inf there",
        weights="none",
    ),
    Mutant(
        "one-head",
        "gpt",
        "one head, whatever `heads` says",
        ((HEADS, HEADS.replace("3, self.heads, -1", "3, 1, width")),),
        "heads_look_for_themselves",
        "is it the number of parts that the channels are cut into?",
        weights="none",
    ),
    Mutant(
        "no-layer-behind",
        "gpt",
        "what the heads bring back goes through no layer",
        ((JOINED, "return out.transpose(1, 2).reshape(B, S, width), (k, v)"),),
        "heads_look_for_themselves",
        "is made and not called",
        weights="none",
    ),
    Mutant(
        "queries-for-keys",
        "gpt",
        "queries and keys are the same",
        ((OUT, "out, weights = attention(k[:, :, -S:], k, v)\n"),),
        "heads_look_for_themselves",
        "or stands for another",
        weights="none",
    ),
    Mutant(
        "heads-detached",
        "gpt",
        "what the heads bring back is detached",
        ((OUT, "out, weights = attention(q, k, v)\n        out = out.detach()\n"),),
        "heads_look_for_themselves",
        "cut on the way: by detach()",
        weights="none",
    ),
    Mutant(
        "no-mlp",
        "gpt",
        "a block is attention alone",
        ((MLP, "return x, kept"),),
        "a_block_adds_to_what_it_is_given",
        "A layer of the block is missing",
        weights="none",
    ),
    Mutant(
        "linear-mlp",
        "gpt",
        "the mlp has no GELU",
        ((LAYERS, "nn.Linear(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width)"),),
        "a_block_adds_to_what_it_is_given",
        "no more than one linear layer",
        weights="none",
    ),
    Mutant(
        "side-by-side",
        "gpt",
        "attention and mlp both read x",
        (
            (
                ATTENTION,
                "looked_up, kept = self.attention(self.norm_1(x), past)\n"
                "        return x + looked_up + self.mlp(self.norm_2(x)), kept",
            ),
        ),
        "a_block_adds_to_what_it_is_given",
        "neither x nor what attention gave",
        weights="none",
    ),
    Mutant(
        "mlp-reads-attention-alone",
        "gpt",
        "the mlp reads what attention gave, without x",
        (
            (
                ATTENTION,
                "looked_up, kept = self.attention(self.norm_1(x), past)\n"
                "        return x + looked_up + self.mlp(self.norm_2(looked_up)), kept",
            ),
        ),
        "a_block_adds_to_what_it_is_given",
        "neither x nor what attention gave",
        weights="none",
    ),
    Mutant(
        "no-last-norm",
        "gpt",
        "logits are made of what the blocks gave, without a norm",
        (("nn.Sequential(nn.LayerNorm(width), nn.Linear(width, levels))", "nn.Linear(width, levels)"),),
        "all_blocks_then_a_norm",
        "a last LayerNorm stands before the linear layer",
        weights="none",
    ),
    Mutant(
        "last-block-alone",
        "gpt",
        "every block reads the vectors of letters and places, and the last one counts",
        ((RUN, "last, new = block(h, old)"), ("return self.head(h), kept", "return self.head(last), kept")),
        "all_blocks_then_a_norm",
        "Does each block read what the one before it gave",
        weights="none",
    ),
    Mutant(
        "mlp-reads-a-copy",
        "gpt",
        "what the mlp reads is detached",
        ((MLP, "return x + self.mlp(self.norm_2(x.detach())), kept"),),
        "all_blocks_then_a_norm",
        "cut on its way to some of the parameters",
        weights="none",
    ),
    Mutant(
        "no-gradient",
        "gpt",
        "the network runs under no_grad",
        (("def answers(self", "@torch.no_grad()\n    def answers(self"),),
        "all_blocks_then_a_norm",
        "is something under no_grad?",
        weights="none",
    ),
    Mutant(
        "all-levels-counted",
        "gpt",
        "the last level is counted, too, whose cumulative probability is 1 but for rounding",
        ((LEVEL, "last = (cdf < u_t[:, None]).sum(dim=-1)"),),
        "what_is_kept_changes_no_draw",
        "count all levels but the last",
        also=SKIPPED,
        weights="none",
    ),
    Mutant(
        "not-shifted",
        "gpt",
        "what goes in at place t is x_t",
        ((SHIFT, "return self.answers(x)[0]"),),
        "each_letter_depends_only_on_earlier_letters",
        "what goes in at place t is x_{t−1}",
        also=(*SAMPLED, *SKIPPED),
    ),
    Mutant(
        "heads-of-places",
        "gpt",
        "view cuts heads out of places instead of channels",
        ((HEADS, "q, k, v = (a.reshape(B, self.heads, S, -1) for a in self.qkv(x).chunk(3, dim=-1))"),),
        "each_letter_depends_only_on_earlier_letters",
        "heads are cut out of places",
        also=(*SAMPLED, *SKIPPED),
    ),
    Mutant(
        "heads-joined-over-places",
        "gpt",
        "heads are put side by side without changing the axes back",
        ((JOINED, "return self.out(out.reshape(B, S, width)), (k, v)"),),
        "each_letter_depends_only_on_earlier_letters",
        "heads are cut out of places",
        also=(*SAMPLED, *SKIPPED),
    ),
    Mutant(
        "shifted-twice",
        "gpt",
        "what goes in at place t is x_{t−2}",
        ((SHIFT, "return self.answers(F.pad(x[:, :-2], (2, 0), value=self.levels))[0]"),),
        "each_letter_depends_on_all_earlier_letters",
        "the last letter counts, too",
        also=SKIPPED,
    ),
    Mutant(
        "no-places",
        "gpt",
        "letters have no places",
        ((PLACE, "h = self.letter(x)"),),
        "the_order_of_the_letters_counts",
        "To attention a set of places has no order",
    ),
    Mutant(
        "one-block-for-all",
        "gpt",
        "all blocks are the same object",
        ((BLOCKS, "nn.ModuleList([Block(width, heads)] * depth)"),),
        "every_layer_has_weights_of_its_own",
        "repeat the same object",
        weights="none",
    ),
    Mutant(
        "softmax-over-the-batch",
        "gpt",
        "the softmax is over the batch",
        ((LOG_P, LOG_P.replace("-1", "0")),),
        "every_example_for_itself",
        "mixes the examples of a batch",
    ),
    Mutant(
        "squeezed",
        "gpt",
        "squeeze() drops the batch, too, when it holds one text",
        ((TOTAL, "return log_p.gather(-1, x[..., None]).squeeze().sum(dim=-1)"),),
        "called_with_one_example",
        "should have shape (1,)",
    ),
    Mutant(
        "softmax-over-places",
        "gpt",
        "the softmax is over the places instead of the levels",
        ((LOG_P, LOG_P.replace("-1", "1")),),
        "log_density_is_the_sum_of_the_conditionals",
        "softmax over the levels",
    ),
    Mutant(
        "log-of-a-softmax",
        "gpt",
        "adds 1e-8 to the probabilities before their logarithm",
        ((LOG_P, "log_p = torch.log(F.softmax(self.logits(x), dim=-1) + 1e-8)"),),
        "exact_far_from_the_data",
        "stands inside a logarithm",
    ),
    Mutant(
        "averaged",
        "gpt",
        "log_prob is the mean over the letters",
        ((TOTAL, TOTAL.replace("sum(", "mean(")),),
        "probabilities_sum_to_one",
        "summed over the letters, not averaged",
    ),
    Mutant(
        "one-u-for-all",
        "gpt",
        "one uniform number a text, not one a letter",
        (("torch.rand(n, self.length)", "torch.rand(n, 1).expand(n, self.length)"),),
        "samples_follow_the_density",
        "n × T fresh uniform numbers",
    ),
    Mutant(
        "place-does-not-move-on",
        "gpt",
        "every step stands at the first place, whatever is kept",
        ((PLACE, PLACE.replace("[first : first + x.shape[1]]", "[: x.shape[1]]")),),
        "step_by_step_the_same_logits",
        "Its place is the number of keys that are kept",
        also=SKIPPED,
    ),
    Mutant(
        "keeps-the-last-only",
        "gpt",
        "the new keys take the place of those that were kept",
        ((PAST, "((new + 0 * old[:, :, :1]) for old, new in zip(past, (k, v), strict=True))"),),
        "step_by_step_the_same_logits",
        "go behind those",
        also=SKIPPED,
    ),
    Mutant(
        "begins-with-level-0",
        "gpt",
        "the first step reads level 0 instead of the beginning",
        ((BEGIN, BEGIN.replace("torch.full((len(u),), self.levels)", "torch.zeros(len(u), dtype=torch.long)")),),
        "what_is_kept_changes_no_draw",
        "The first step reads the beginning",
        also=SKIPPED,
    ),
    Mutant(
        "most-likely",
        "gpt",
        "takes the most likely level instead of the one that u falls into",
        ((LEVEL, "last = logits.argmax(dim=-1)"),),
        "what_is_kept_changes_no_draw",
        "cumulative probability is below u_t",
        also=SKIPPED,
    ),
    Mutant(
        "a-pass-a-letter",
        "gpt",
        "draws by a whole pass for every letter",
        (
            (
                Body("GPT.draw"),
                "        x = torch.zeros(u.shape, dtype=torch.long)\n"
                "        for t in range(u.shape[1]):\n"
                "            cdf = self.logits(x)[:, t].softmax(dim=-1).cumsum(dim=-1)\n"
                "            x[:, t] = (cdf[:, :-1] < u[:, t, None]).sum(dim=-1)\n"
                "        return x\n",
            ),
        ),
        "drawing_saves_work",
        "Calling logits for every letter",
        weights="none",
    ),
    Mutant(
        "pairs-of-the-first-count",
        "gpt",
        "counts once, and merges the pairs that come most often then",
        (
            (
                MERGED,
                "tokens = x.tolist()\n    pairs_ = sorted(pairs, key=pairs.get, reverse=True)\n"
                "    merges = [pairs_[k % len(pairs_)] for k in range(number)]",
            ),
        ),
        "each_merge_is_of_the_most_frequent_pair",
        "tokens that were made take part in the next",
    ),
    Mutant(
        "pairs-of-every-second-place",
        "gpt",
        "counts pairs that do not overlap",
        ((PAIRS, "for pair in zip(tokens[::2], tokens[1::2], strict=False):"),),
        "each_merge_is_of_the_most_frequent_pair",
        "Count the neighbours",
    ),
    Mutant(
        "merges-in-reverse",
        "gpt",
        "the merges that were learnt last are applied first",
        (
            (
                INORDER,
                "for new, pair in reversed(list(enumerate(merges.tolist(), start=levels))):\n"
                "        tokens = merged(tokens, tuple(pair), new)",
            ),
        ),
        "merges_apply_in_the_order_they_were_learnt",
        "for each merge of the list, in its order",
    ),
    Mutant(
        "once-each",
        "gpt",
        "each merge is applied where its pair comes first, and nowhere else",
        (
            (
                INORDER,
                "for new, pair in enumerate(merges.tolist(), start=levels):\n"
                "        places = [i for i in range(len(tokens) - 1) if tokens[i : i + 2] == pair]\n"
                "        for i in places[:1]:\n"
                "            tokens = tokens[:i] + [new] + tokens[i + 2 :]",
            ),
        ),
        "merges_apply_in_the_order_they_were_learnt",
        "go through the text from left to right",
    ),
    Mutant(
        "longest-token-first",
        "gpt",
        "at each place takes the longest token that fits",
        (
            (
                INORDER,
                "words = [[k] for k in range(levels)]\n"
                "    for a, b in merges.tolist():\n"
                "        words.append(words[a] + words[b])\n"
                "    letters, tokens = tokens, []\n"
                "    while letters:\n"
                "        fits = [k for k, w in enumerate(words) if letters[: len(w)] == w]\n"
                "        tokens.append(max(fits, key=lambda k: len(words[k])))\n"
                "        letters = letters[len(words[tokens[-1]]) :]",
            ),
        ),
        "merges_apply_in_the_order_they_were_learnt",
        "The longest token that fits is not always",
    ),
    Mutant(
        "decodes-one-merge-deep",
        "gpt",
        "a token becomes its pair, and that is not taken apart any further",
        ((WORDS, "words.append([a, b])"),),
        "decoding_gives_back_what_was_encoded",
        "the pair may be of tokens again",
    ),
    Mutant(
        "thirty-steps",
        "gpt",
        "training ends after thirty steps",
        (("steps = 600", "steps = 30"),),
        "trained_close_to_the_limit",
        "number of steps 600, here 30",
        weights="trained",
    ),
    Mutant(
        "keeps-thirty-two",
        "gpt",
        "a step keeps the last 32 keys and values",
        (
            (
                STEP,
                "logits, past = self.answers(last[:, None], past)\n"
                "        past = [(k[:, :, -32:], v[:, :, -32:]) for k, v in past]",
            ),
        ),
        "the_trained_model_draws_what_it_says",
        "other levels",
        also=SKIPPED,
    ),
)
