"""Right designs for GPT that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

QKV = "self.qkv = nn.Linear(width, 3 * width)\n        self.out = nn.Linear(width, width)"
NORMAL = "for vectors in (self.letter, self.place):\n            nn.init.normal_(vectors.weight, std=0.1)"

# What is only compared with is not trained: no check asks for it.
ALONE = (
    (
        'short = trained(\n    "gpt.short",\n    GPT(SHORT, text.levels),\n    fit=lambda model: train_gpt('
        "model, pieces(train_x), pieces(valid_x), batch_size=16 * text.length // SHORT),\n)",
        "short = GPT(SHORT, text.levels)",
    ),
    (
        'on_tokens = trained(\n    "gpt.tokens",\n    GPT(PLACES, text.levels + MERGES),\n    fit=lambda model: '
        "train_gpt(model, token_x, token_x[:100]),\n)",
        "on_tokens = GPT(PLACES, text.levels + MERGES)",
    ),
    (
        'igpt = trained("gpt.pixels", GPT(64, len(vocabulary)), fit=train_pixels)\n'
        'plots.history(training.history("gpt.pixels"), limit=shapes.entropy, unit="nats a picture")',
        "igpt = GPT(64, len(vocabulary))",
    ),
    ('seconds = training.history("gpt" if name == "letters" else "gpt.tokens").seconds', "seconds = 0"),
)

VARIANTS = (
    Variant(
        "stated-recipe",
        "gpt",
        "queries, keys and values by layers of their own, weights by einsum",
        (
            (QKV, "self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))"),
            (
                Body("CausalAttention.forward"),
                "        B, S, width = x.shape\n"
                "        layers = self.q, self.k, self.v\n"
                "        q, k, v = (layer(x).view(B, S, self.heads, -1).transpose(1, 2) for layer in layers)\n"
                "        if past is not None:\n"
                "            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)\n"
                "        out, self.weights = attention(q, k, v)\n"
                '        return self.out(torch.einsum("bhsd->bshd", out).flatten(2)), (k, v)\n',
            ),
            *ALONE,
        ),
    ),
    Variant(
        "as-gpt-2-begins",
        "gpt",
        "weights begin at N(0, 0.02²), the last of each step smaller; a third block",
        (
            (
                NORMAL,
                "for name, p in self.named_parameters():\n"
                "            if p.ndim > 1:\n"
                '                last = name.endswith(("out.weight", "mlp.2.weight"))\n'
                "                nn.init.normal_(p, std=0.02 / (2 * depth) ** 0.5 if last else 0.02)",
            ),
            ("heads: int = 4, depth: int = 2", "heads: int = 4, depth: int = 3"),
            *ALONE,
        ),
    ),
    Variant(
        "keeps-what-blocks-read",
        "gpt",
        "keeps what attention read, not its keys; einsum; merges by their rank",
        (
            ("scores = q @ k.transpose(-1, -2) / d**0.5", 'scores = torch.einsum("bhsd,bhtd->bhst", q * d**-0.5, k)'),
            (
                Body("CausalAttention.forward"),
                "        B, S, width = x.shape\n"
                "        read = x if past is None else torch.cat([past[0], x], dim=1)\n"
                "        q, k, v = self.qkv(read).view(B, -1, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)\n"
                "        out, self.weights = attention(q[:, :, -S:], k, v)\n"
                "        return self.out(out.transpose(1, 2).flatten(2)), (read, read)\n",
            ),
            ("first = past[0][0].shape[2] if past else 0", "first = past[0][0].shape[1] if past else 0"),
            (
                "for new, pair in enumerate(merges.tolist(), start=levels):\n"
                "        tokens = merged(tokens, tuple(pair), new)",
                "rank = {tuple(pair): k for k, pair in enumerate(merges.tolist())}\n"
                "    while True:\n"
                "        found = {p for p in pairwise(tokens) if p in rank}\n"
                "        if not found:\n"
                "            break\n"
                "        pair = min(found, key=rank.get)\n"
                "        tokens = merged(tokens, pair, levels + rank[pair])",
            ),
            *ALONE,
        ),
        weights="reference",
    ),
    Variant(
        "parts-of-the-channels",
        "gpt",
        "each head reads its own part of the channels; logits by the vectors of the letters; places that stay; ReLU",
        (
            (
                QKV,
                "d = width // heads\n"
                "        self.qkv = nn.ModuleList([nn.Linear(d, 3 * d, bias=False) for _ in range(heads)])\n"
                "        self.out = nn.utils.parametrizations.weight_norm(nn.Linear(width, width))",
            ),
            (
                "q, k, v = self.qkv(x).view(B, S, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, S, d) each",
                "parts = [layer(part) for layer, part in zip(self.qkv, x.chunk(self.heads, dim=-1))]\n"
                "        q, k, v = torch.stack(parts, dim=1).chunk(3, dim=-1)",
            ),
            ("nn.GELU()", "nn.ReLU()"),
            ("nn.Embedding(levels + 1, width)", "nn.Embedding(levels + 1, width, padding_idx=levels)"),
            (
                "self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, levels))",
                "self.norm = nn.LayerNorm(width, bias=False)",
            ),
            (NORMAL, NORMAL + "\n        self.place.weight.requires_grad_(False)"),
            ("return self.head(h), kept", "return self.norm(h) @ self.letter.weight[: self.levels].T, kept"),
        ),
        weights="none",
    ),
    Variant(
        "one-line-of-torch",
        "gpt",
        "torch’s own attention, in double precision; draws that are cut at the last level",
        (
            (
                "w = scores.masked_fill(later, -torch.inf).softmax(dim=-1)\n    return w @ v, w",
                "of_v = F.scaled_dot_product_attention(q.double(), k.double(), v.double(), attn_mask=~later)\n"
                "    w = F.softmax(scores.double() + torch.zeros(S, T).masked_fill(later, -torch.inf), dim=-1)\n"
                "    return of_v.to(v.dtype), w.to(v.dtype)",
            ),
            (
                "last = (cdf[:, :-1] < u_t[:, None]).sum(dim=-1)",
                "last = torch.searchsorted(cdf, u_t[:, None].contiguous())[:, 0].clamp_max(self.levels - 1)",
            ),
            (
                "x = x + looked_up\n        return x + self.mlp(self.norm_2(x)), kept",
                "x = torch.add(x, looked_up)\n"
                "        linear, gelu, back = self.mlp\n"
                "        return torch.add(back(gelu(linear(self.norm_2(x)))), x), kept",
            ),
        ),
        weights="reference",
    ),
)
