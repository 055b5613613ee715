"""Slips in the Video Pixel Network: one at least for each check. Of public code are the state of a frame that has seen
that frame, a hidden state that is carried across the batch, time folded in the wrong order, and gates that are split
along the wrong axis.
"""

from autograder.proof.changes import Mutant

ALONE = (
    'still = trained("vpn.still", VPN(bounce.shape, levels=2, time=False), fit=train_vpn)',
    "still = VPN(bounce.shape, levels=2, time=False)",
)
FOLD = "return x.flatten(0, 1)"
UNFOLD = "return frames.unflatten(0, (-1, T))"
CONV = "self.conv = nn.Conv2d(in_channels + channels, 4 * channels, kernel, padding=kernel // 2)"
GATES = "i, f, o, g = self.conv(torch.cat([x, h], dim=1)).chunk(4, dim=1)"
MEMORY = "c = f.sigmoid() * c + i.sigmoid() * g.tanh()"
SHOWN = "return o.sigmoid() * c.tanh(), c"
ENCODER = "nn.Sequential(nn.Conv2d(2, width, 5, padding=2), Residual(width, masked=False))"
ENCODED = "return unfold(self.encoder(self.seen(fold(x))), x.shape[1])"
STATES = (
    "h, c = torch.zeros_like(e[:, 0]), torch.zeros_like(e[:, 0])\n"
    "        states = []\n"
    "        for t in range(x.shape[1]):\n"
    "            states.append(h)\n"
    "            if self.time:\n"
    "                h, c = self.lstm(e[:, t], h, c)\n"
    "        return torch.stack(states, dim=1)"
)
FIRST = "self.first = MaskedConv2d(2, width, 9, own=False)"
BLOCKS = "nn.Sequential(*(Residual(width, masked=True) for _ in range(depth)))"
DECODED = "h = self.first(self.seen(frame)) + self.told(s) + self.place"
LOGITS = "return unfold(self.decode(fold(x), fold(self.states(x))), x.shape[1])"
LOG_P = (
    "log_p = F.log_softmax(self.logits(x), dim=-1)\n        return log_p.gather(-1, x[..., None]).flatten(1).sum(dim=1)"
)
CAT = "x = torch.cat([x, x.new_zeros(B, T - K, 1, H, W)], dim=1)"
LOOP = "for t in range(K, T):"
S = "s = self.states(x)[:, t]\n            for i"
DRAWN = "torch.multinomial(p, 1)[:, 0]"

DRAWS = ("samples_follow_the_density", "going_on_keeps_what_is_given")


def mutant(
    name: str, what: str, old: str, new: str, check: str, words: str, also: tuple[str, ...] = (), **more
) -> Mutant:
    """One edit in the exercise."""
    return Mutant(name, "vpn", what, ((old, new),), check, words, also=also, **more)


MUTANTS = (
    Mutant(
        "time-first",
        "vpn",
        "the batch has all first frames, then all second ones",
        (
            (FOLD, "return x.transpose(0, 1).flatten(0, 1)"),
            (UNFOLD, "return frames.unflatten(0, (T, -1)).transpose(0, 1)"),
        ),
        "frames_become_a_batch_and_videos_again",
        "first all frames of the first video",
    ),
    mutant(
        "unfolded-the-wrong-way",
        "the batch is taken for frames of videos, and not for videos of frames",
        UNFOLD,
        "return frames.unflatten(0, (T, -1)).transpose(0, 1)",
        "frames_become_a_batch_and_videos_again",
        "not (T, B)",
        also=DRAWS,
    ),
    mutant(
        "gates-along-the-batch",
        "the four gates are split along the batch",
        GATES,
        GATES.replace(".chunk(4, dim=1)", ".chunk(4, dim=0)"),
        "the_memory_keeps_and_adds_and_is_shown",
        "not enough values to unpack",
        also=DRAWS,
    ),
    mutant(
        "never-forgets",
        "the forget gate is made, and not used",
        MEMORY,
        "c = c + i.sigmoid() * g.tanh()",
        "the_memory_keeps_and_adds_and_is_shown",
        "c′ = f ⊙ c + i ⊙ g",
    ),
    mutant(
        "coupled-gates",
        "the memory forgets where something is written: 1 − i in the place of f",
        MEMORY,
        "c = (1 - i.sigmoid()) * c + i.sigmoid() * g.tanh()",
        "the_memory_keeps_and_adds_and_is_shown",
        "a part of the channels of its own",
    ),
    mutant(
        "shown-where-kept",
        "the forget gate shows the memory, too",
        SHOWN,
        "return f.sigmoid() * c.tanh(), c",
        "the_memory_keeps_and_adds_and_is_shown",
        "a part of the channels of its own",
    ),
    mutant(
        "writes-always",
        "what is new is added without a gate",
        MEMORY,
        "c = f.sigmoid() * c + g.tanh()",
        "the_memory_keeps_and_adds_and_is_shown",
        "i is shut in",
    ),
    mutant(
        "shows-the-old-memory",
        "what is shown is the memory from before",
        MEMORY + "\n        " + SHOWN,
        "new = f.sigmoid() * c + i.sigmoid() * g.tanh()\n        return o.sigmoid() * c.tanh(), new",
        "the_memory_keeps_and_adds_and_is_shown",
        "tanh(c′) of the new c′",
    ),
    mutant(
        "memory-as-it-is",
        "the memory is shown without tanh",
        SHOWN,
        "return o.sigmoid() * c, c",
        "the_memory_keeps_and_adds_and_is_shown",
        "h′ = o ⊙ tanh(c′)",
    ),
    mutant(
        "no-neighbours",
        "the gates have a 1 × 1 convolution",
        CONV,
        "self.conv = nn.Conv2d(in_channels + channels, 4 * channels, 1)",
        "the_gates_look_at_frame_and_state_around",
        "at its neighbours",
        weights="none",
    ),
    mutant(
        "frame-only",
        "the gates do not look at the state",
        GATES,
        GATES.replace("[x, h]", "[x, 0 * h]"),
        "the_gates_look_at_frame_and_state_around",
        "c′ at a place sees h at 0 places",
    ),
    mutant(
        "masked-encoder",
        "the encoder is masked, as the decoder is",
        ENCODER,
        "nn.Sequential(MaskedConv2d(2, width, 5, own=True), Residual(width, masked=True))",
        "frames_are_encoded_by_themselves",
        "its convolutions are not masked",
        weights="none",
    ),
    mutant(
        "codes-beside-their-mean",
        "of the codes their mean over time is taken away",
        ENCODED,
        "e = unfold(self.encoder(self.seen(fold(x))), x.shape[1])\n        return e - e.mean(dim=1, keepdim=True)",
        "frames_are_encoded_by_themselves",
        "sees this frame alone",
        also=DRAWS,
    ),
    mutant(
        "own-frame",
        "the state of frame t is that after frame t",
        STATES,
        STATES.replace("            states.append(h)\n", "").replace(
            "h, c)\n", "h, c)\n            states.append(h)\n"
        ),
        "the_state_holds_all_frames_before_and_no_other",
        "put h into the list before the LSTM takes frame t",
        also=DRAWS,
    ),
    mutant(
        "carried-across-the-batch",
        "the state that one video ends with is what the next one begins with",
        STATES,
        "h, c = torch.zeros_like(e[:1, 0]), torch.zeros_like(e[:1, 0])\n"
        "        states = []\n"
        "        for video in e:\n"
        "            for code in video:\n"
        "                states.append(h)\n"
        "                if self.time:\n"
        "                    h, c = self.lstm(code[None], h, c)\n"
        "        return torch.cat(states).view_as(e)",
        "the_state_holds_all_frames_before_and_no_other",
        "for every video anew",
        also=DRAWS,
    ),
    mutant(
        "last-frame-only",
        "the LSTM begins anew in every frame",
        STATES,
        STATES.replace("self.lstm(e[:, t], h, c)", "self.lstm(e[:, t], 0 * h, 0 * c)"),
        "the_state_holds_all_frames_before_and_no_other",
        "handed on from frame to frame",
    ),
    mutant(
        "memory-not-handed-on",
        "h is handed on from frame to frame, and c is zero for each",
        STATES,
        STATES.replace("self.lstm(e[:, t], h, c)", "self.lstm(e[:, t], h, 0 * c)"),
        "the_state_holds_all_frames_before_and_no_other",
        "c begins anew in every frame",
    ),
    mutant(
        "state-not-handed-on",
        "c is handed on from frame to frame, and h is zero for each",
        STATES,
        STATES.replace("self.lstm(e[:, t], h, c)", "self.lstm(e[:, t], 0 * h, c)"),
        "the_state_holds_all_frames_before_and_no_other",
        "h begins anew in every frame",
    ),
    mutant(
        "states-in-another-order",
        "states are folded with time first, and frames with videos first",
        LOGITS,
        LOGITS.replace("fold(self.states(x))", "fold(self.states(x).transpose(0, 1))"),
        "a_frame_is_decoded_with_its_own_state",
        "in the same order",
        also=DRAWS,
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
        "frame-unread",
        "the decoder is not given the frame itself",
        DECODED,
        DECODED.replace("self.seen(frame)", "0 * self.seen(frame)"),
        "no_blind_spot",
        "is the decoder given the frame itself",
    ),
    mutant(
        "state-unread",
        "the state is made, and not added",
        DECODED,
        DECODED.replace("self.told(s)", "0 * self.told(s)"),
        "no_blind_spot",
        "is the state added",
    ),
    mutant(
        "one-block-for-all",
        "the residual blocks are the same object",
        BLOCKS,
        "nn.Sequential(*[Residual(width, masked=True)] * depth)",
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
        "summed, not averaged",
    ),
    mutant(
        "most-likely",
        "takes the most likely level instead of a draw",
        DRAWN,
        "p.argmax(dim=-1)",
        "samples_follow_the_density",
        "not the most likely level",
    ),
    mutant(
        "state-made-once",
        "the state of the first frame that is drawn is kept for all",
        S,
        "s = s if t > K else self.states(x)[:, t]\n            for i",
        "samples_follow_the_density",
        "made anew for each frame",
    ),
    mutant(
        "time-after-all",
        "the state is made without time, too",
        STATES,
        STATES.replace("if self.time:", "if True:"),
        "without_the_state_it_is_an_image_model",
        "With time=False all states are zero",
    ),
    mutant(
        "drawn-again",
        "all frames are drawn, also those that are given",
        LOOP,
        "for t in range(T):",
        "going_on_keeps_what_is_given",
        "these stay as they are",
    ),
    mutant(
        "given-last",
        "the frames that are given are put at the end",
        CAT,
        "x = torch.cat([x.new_zeros(B, T - K, 1, H, W), x], dim=1)",
        "going_on_keeps_what_is_given",
        "at the beginning of the video",
    ),
    mutant(
        "by-halves",
        "long videos go through the network by pieces of four frames, and each begins with a state of zero",
        LOGITS,
        "pieces = x.split(4, dim=1)\n"
        "        return torch.cat(\n"
        "            [unfold(self.decode(fold(p), fold(self.states(p))), p.shape[1]) for p in pieces], dim=1\n"
        "        )",
        "the_trained_model_is_made_of_its_parts",
        "decode(x[:, t], s)",
    ),
    Mutant(
        "twenty-steps",
        "vpn",
        "training ends after twenty steps",
        (("optimizer = torch.optim.Adam", "steps = 20\n    optimizer = torch.optim.Adam"), ALONE),
        "trained_close_to_the_limit",
        "number of steps 1,000, here 20",
        weights="trained",
    ),
    mutant(
        "kernel-of-three",
        "the convolution of the gates is 3 × 3, whatever kernel is asked for",
        CONV,
        CONV.replace("kernel, padding=kernel // 2", "3, padding=1"),
        "the_gates_look_at_frame_and_state_around",
        "with padding=k // 2",
    ),
    mutant(
        "encoder-of-three",
        "the encoder's convolution is 3 × 3",
        ENCODER,
        ENCODER.replace("5, padding=2", "3, padding=1"),
        "frames_are_encoded_by_themselves",
        "A 5 × 5 convolution sees 2 rows and columns around",
        weights="none",
    ),
    mutant(
        "encoder-masked-behind",
        "the residual block of the encoder is masked",
        ENCODER,
        ENCODER.replace("masked=False", "masked=True"),
        "frames_are_encoded_by_themselves",
        "the residual block, not masked",
        weights="none",
    ),
    mutant(
        "state-at-its-place",
        "the state is added through a 1 × 1 convolution",
        "self.told = nn.Conv2d(width, width, 3, padding=1)",
        "self.told = nn.Conv2d(width, width, 1)",
        "a_frame_is_decoded_with_its_own_state",
        "read by a 3 × 3 convolution",
        weights="none",
    ),
    mutant(
        "seven-by-seven",
        "the masked convolution of the frame is 7 × 7",
        FIRST,
        FIRST.replace("9", "7"),
        "a_frame_is_decoded_with_its_own_state",
        "Is the masked convolution of the frame 9 × 9",
        weights="none",
    ),
    mutant(
        "no-places",
        "no bias for each place is added",
        DECODED,
        DECODED.replace(" + self.place", ""),
        "a_frame_is_decoded_with_its_own_state",
        "Add a bias for each channel and place",
        weights="none",
    ),
    mutant(
        "one-bias-a-channel",
        "the bias is the same at all places",
        "torch.randn(width, H, W)",
        "torch.randn(width, 1, 1)",
        "a_frame_is_decoded_with_its_own_state",
        "Add a bias for each channel and place",
        weights="none",
    ),
    mutant(
        "first-block-only",
        "only the first of the residual blocks is called",
        "self.head(self.blocks(h))",
        "self.head(self.blocks[0](h))",
        "every_layer_has_weights_of_its_own",
        "is each of them called",
        weights="none",
    ),
    mutant(
        "states-cut-off",
        "the states are detached, so that nothing trains encoder and LSTM",
        LOGITS,
        LOGITS.replace("fold(self.states(x))", "fold(self.states(x)).detach()"),
        "every_layer_has_weights_of_its_own",
        "Training has to go through the states",
        weights="none",
    ),
    mutant(
        "codes-without-gradient",
        "codes are made under no_grad",
        ENCODED,
        f"with torch.no_grad():\n            {ENCODED}",
        "every_layer_has_weights_of_its_own",
        "is something under no_grad",
        weights="none",
    ),
    mutant(
        "softmax-twice",
        "logits are probabilities already",
        "self.head(self.blocks(h)).movedim",
        "self.head(self.blocks(h)).softmax(dim=1).movedim",
        "log_density_is_the_sum_of_the_conditionals",
        "no softmax",
        weights="none",
    ),
    mutant(
        "relu-at-the-end",
        "a relu comes after the last layer, too",
        "nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1))",
        "nn.Sequential(nn.ReLU(), nn.Conv2d(width, levels, 1), nn.ReLU())",
        "log_density_is_the_sum_of_the_conditionals",
        "No ReLU comes after the last layer",
        weights="none",
    ),
)
