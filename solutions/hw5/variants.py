"""Right designs for HW5 that look nothing like the reference."""

from autograder.proof.changes import Body, Variant

SCORE_INIT, SCORE_FORWARD = Body("ScoreModel.__init__"), Body("ScoreModel.forward")
DDPM_INIT = Body("DDPM.__init__")
POSTERIOR = """    beta = 1 - alpha_bar_t / alpha_bar_s  # the noise that came in from s to t
    of_x_0 = alpha_bar_s.sqrt() * beta / (1 - alpha_bar_t)
    of_x_t = (1 - beta).sqrt() * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    variance = beta * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    return of_x_0[:, None] * x_0 + of_x_t[:, None] * x_t, variance
"""
PLAIN = """        self.layers = nn.Sequential(
            nn.Linear(dims + 1, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, dims),
        )
"""

VARIANTS = (
    Variant(
        "stated-recipe",
        "score",
        "a plain network of ReLUs that is given t as it is, trained as the text says",
        (
            (
                SCORE_INIT,
                PLAIN,
            ),
            (SCORE_FORWARD, "        return self.layers(torch.cat([x, t[:, None]], dim=1))\n"),
        ),
    ),
    Variant(
        "velocity",
        "score",
        "the network gives v, its time is embedded by what is learnt, times of a batch are spread evenly",
        (
            (
                SCORE_INIT,
                """        self.frequencies = nn.Parameter(torch.linspace(0.5, 4, 6) * math.pi)
        self.of_time = nn.Sequential(nn.Linear(12, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        self.of_point = nn.Linear(dims, hidden)
        self.rest = nn.Sequential(
            nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, dims)
        )
""",
            ),
            (
                SCORE_FORWARD,
                """        waves = torch.outer(t, self.frequencies)
        v = self.rest(self.of_point(x) + self.of_time(torch.cat([waves.cos(), waves.sin()], dim=-1)))
        alpha, sigma = alpha_sigma(t)
        return torch.einsum("b,bd->bd", alpha, v) + torch.einsum("b,bd->bd", sigma, x)
""",
            ),
            (
                Body("ScoreModel.loss"),
                """        B = x.shape[0]
        t = (torch.randperm(B) + torch.rand(B)) / B
        alpha, sigma = (level.unsqueeze(-1) for level in alpha_sigma(t))
        noise = torch.distributions.Normal(0.0, 1.0).sample(x.shape).to(x)
        return F.mse_loss(self.forward(x * alpha + noise * sigma, t), noise, reduction="none").sum(-1)
""",
            ),
            (
                Body("ScoreModel.langevin"),
                """        size = torch.tensor(h, dtype=x.dtype)
        noise = torch.randn(steps, *x.shape, dtype=x.dtype)
        for z in noise:
            drift = self.score(x, torch.zeros(x.shape[0], dtype=x.dtype) + t)
            x = x + 0.5 * size * drift + size.sqrt() * z
        return x
""",
            ),
        ),
    ),
    Variant(
        "data-prediction",
        "score",
        "the network guesses x_0, of which ε̂ follows; α by the logarithm; other levels for sampling",
        (
            (
                SCORE_FORWARD,
                """        alpha, sigma = (level[:, None] for level in alpha_sigma(t))
        # x_0 is guessed as α x + σ times a correction, so that ε̂ = (x − α x̂_0)/σ stays finite where σ is small
        correction = self.net(x, t)
        guess = alpha * x + sigma * correction
        return sigma * x - alpha * correction + 0 * guess
""",
            ),
            (
                Body("ScoreModel.sample"),
                """        x = torch.empty(n, self.dims).normal_()
        for t in np.geomspace(1.0, 0.012, 60):
            sigma = alpha_sigma(torch.tensor([t], dtype=x.dtype))[1].item()
            x = self.langevin(x, float(t), 0.4 * sigma * sigma, 8)
        return x
""",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "ddpm",
        "a plain network of ReLUs that is given t/T as it is, trained as the text says",
        (
            (
                DDPM_INIT,
                """        self.register_buffer("alpha_bar", alpha_bars(self.betas))
"""
                + PLAIN,
            ),
            (
                Body("DDPM.forward"),
                "        return self.layers(torch.cat([x, (t / len(self.betas))[:, None].to(x)], dim=1))\n",
            ),
        ),
    ),
    Variant(
        "cosine-and-velocity",
        "ddpm",
        "the cosine schedule, a network that gives v, products by logarithms, the posterior by precisions",
        (
            (
                "    return torch.linspace(0.1 / steps, 20 / steps, steps).clamp(max=0.999)\n",
                """    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    level = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - level[1:] / level[:-1]).clamp(max=0.999).float()
""",
            ),
            (
                "    return torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(dim=0)])\n",
                "    return F.pad(torch.log1p(-betas).cumsum(0), (1, 0)).exp()\n",
            ),
            (
                POSTERIOR,
                """    a_t, a_s = alpha_bar_t.unsqueeze(-1), alpha_bar_s.unsqueeze(-1)
    added = 1 - a_t / a_s
    variance = added * (1 - a_s) / (1 - a_t)
    shrink = torch.sqrt(a_t / a_s)
    gain = shrink * (1 - a_s) / (1 - a_t)  # of what x_t says more than x_0 does
    return a_s.sqrt() * x_0 + gain * (x_t - a_t.sqrt() * x_0), variance.squeeze(-1)
""",
            ),
            (
                DDPM_INIT,
                """        self.register_buffer("alpha_bar", alpha_bars(self.betas))
        self.steps = nn.Embedding(len(self.betas) + 1, 32)
        self.wide = nn.Sequential(
            nn.Linear(dims + 32, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, dims),
        )
        with torch.no_grad():  # neighbours begin alike
            at = torch.linspace(0, 1, len(self.betas) + 1)[:, None] * torch.arange(1, 17) * math.pi
            self.steps.weight.copy_(torch.cat([at.sin(), at.cos()], dim=1) / 2)
""",
            ),
            (
                Body("DDPM.forward"),
                """        a = self.alpha_bar[t].unsqueeze(-1)
        v = self.wide(torch.cat([x, self.steps(t)], dim=-1))
        return a.sqrt() * v + (1 - a).sqrt() * x
""",
            ),
            (
                Body("DDPM.step"),
                """        if t == 1:
            return self.denoised(x, torch.ones(x.shape[0], dtype=torch.long))
        return self.ddim_step(x, t, t - 1, 1.0)
""",
            ),
            (
                Body("DDPM.sample"),
                """        x = torch.randn((n, self.dims))
        for t in reversed(range(1, 1 + self.betas.numel())):
            x = self.step(x, t)
        return x
""",
            ),
        ),
    ),
    Variant(
        "data-prediction",
        "ddpm",
        "the network guesses x_0, of which ε̂ follows; all noise levels of the bound in one batch",
        (
            (
                Body("DDPM.forward"),
                """        a = self.alpha_bar[t][:, None]
        guess = a.sqrt() * x + (1 - a).sqrt() * self.net(x, t / len(self.betas))  # x̂_0
        return (x - a.sqrt() * guess) / (1 - a).sqrt()
""",
            ),
            (
                Body("DDPM.bound"),
                """        (B, D), T = x.shape, len(self.betas)
        t = torch.arange(1, T + 1).repeat(B)
        x_0 = x.repeat_interleave(T, dim=0)
        a, before = self.alpha_bar[t], self.alpha_bar[t - 1]
        eps = torch.randn_like(x_0)
        guess = self(a.sqrt()[:, None] * x_0 + (1 - a).sqrt()[:, None] * eps, t)
        beta = 1 - a / before
        weight = beta / (2 * (1 - beta) * (1 - a))
        ratio = torch.where(t == 1, torch.ones_like(beta), (1 - before) / (1 - a))
        terms = (weight * ((eps - guess) ** 2).sum(dim=1) + 0.5 * D * (ratio - ratio.log() - 1)).view(B, T).sum(dim=1)
        end = self.alpha_bar[-1]
        prior = torch.distributions.kl_divergence(
            torch.distributions.Normal(end.sqrt() * x, (1 - end).sqrt()),
            torch.distributions.Normal(torch.zeros_like(x), torch.ones_like(x)),
        ).sum(dim=1)
        return prior + terms + 0.5 * D * torch.log(2 * math.pi * self.betas[0])
""",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "flow_matching",
        "a plain network of ReLUs that is given t as it is, trained as the text says",
        (
            (Body("FlowMatching.__init__"), PLAIN),
            (Body("FlowMatching.forward"), "        return self.layers(torch.cat([x, t[:, None]], dim=1))\n"),
        ),
    ),
    Variant(
        "other-layout",
        "flow_matching",
        "functional derivatives, Ralston's second-order method, the divergence carried in one state with x",
        (
            (
                "    t = t[:, None]\n    return (1 - t) * x_0 + t * x_1, x_1 - x_0\n",
                "    velocity = x_1 - x_0\n    return torch.lerp(x_0, x_1, t.unsqueeze(-1)), velocity\n",
            ),
            (
                Body("FlowMatching.integrate"),
                """        times = torch.linspace(start, end, steps + 1, dtype=x.dtype)
        ones = torch.ones(x.shape[0], dtype=x.dtype)
        for t, after in zip(times[:-1], times[1:], strict=True):
            h = after - t
            k1 = self.forward(x, t * ones)
            if method == "euler":
                x = torch.add(x, h * k1)
            elif method == "heun":
                x = x + h * (k1 / 4 + 3 / 4 * self.forward(x + 2 / 3 * h * k1, (t + 2 / 3 * h) * ones))
            elif method == "rk4":
                middle = (t + after) / 2 * ones
                k2 = self.forward(x + k1 * h / 2, middle)
                k3 = self.forward(x + k2 * h / 2, middle)
                x = x + h * (k1 / 6 + k2 / 3 + k3 / 3 + self.forward(x + h * k3, after * ones) / 6)
            else:
                raise ValueError(method)
        return x
""",
            ),
            (
                Body("FlowMatching.divergence"),
                """        def of_one(point, time):
            return self(point[None], time[None])[0]

        jacobian = torch.func.vmap(torch.func.jacrev(of_one))(x, t)
        return torch.diagonal(jacobian, dim1=1, dim2=2).sum(dim=1)
""",
            ),
            (
                Body("FlowMatching.hutchinson"),
                """        _, moved = torch.func.jvp(lambda points: self(points, t), (x,), (signs,))  # J s
        return torch.einsum("bd,bd->b", signs, moved)
""",
            ),
            (
                Body("FlowMatching.log_prob"),
                """        B, D = x.shape

        def rates(state, t):
            times = torch.full((B,), t, dtype=x.dtype)
            return torch.cat([self(state[:, :D], times), -self.divergence(state[:, :D], times)[:, None]], dim=1).detach()

        state, h = torch.cat([x, torch.zeros(B, 1, dtype=x.dtype)], dim=1), 1.0 / steps
        for k in range(steps, 0, -1):
            k1 = rates(state, k * h)
            k2 = rates(state - h / 2 * k1, (k - 0.5) * h)
            k3 = rates(state - h / 2 * k2, (k - 0.5) * h)
            k4 = rates(state - h * k3, (k - 1) * h)
            state = state - h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
        base = torch.distributions.MultivariateNormal(torch.zeros(D, dtype=x.dtype), torch.eye(D, dtype=x.dtype))
        return base.log_prob(state[:, :D]) - state[:, D]
""",
            ),
        ),
    ),
    Variant(
        "residual",
        "flow_matching",
        "the network guesses what x has too much; its time is embedded by what is learnt; other draws of t",
        (
            (
                Body("FlowMatching.__init__"),
                """        self.of_time = nn.Sequential(nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, hidden))
        self.of_point = nn.Linear(dims, hidden)
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, dims)
        )
""",
            ),
            (
                Body("FlowMatching.forward"),
                "        return x - self.rest(self.of_point(x) + self.of_time(t.reshape(-1, 1)))  # less a guess of the rest\n",
            ),
            (
                Body("FlowMatching.loss"),
                """        B = len(x)
        t = (torch.arange(B) + torch.rand(B)) / B
        noise = torch.empty_like(x).normal_()
        moved = noise + t[:, None] * (x - noise)
        return F.mse_loss(self(moved, t), x - noise, reduction="none").sum(-1)
""",
            ),
        ),
    ),
)

# 5.4, 5.5
# Attention among the tokens, with tables of embeddings, and a norm before each layer.
ATTENTION = """        width = 32
        self.tokens = nn.Embedding(bins + 1, width)
        self.places = nn.Parameter(torch.randn(dims, width))
        self.mix = nn.MultiheadAttention(width, 2, batch_first=True)
        self.before, self.between, self.after = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.each = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.head = nn.Linear(width, bins)
"""
DROP = "    return torch.where(torch.rand(len(y)) < rate, none, y)\n"

VARIANTS += (
    # ---- 5.4 ----
    Variant(
        "stated-recipe",
        "masked_diffusion",
        "two hidden layers written out, trained as the text says",
        (
            (
                Body("MaskedDiffusion.__init__"),
                """        self.first = nn.Linear(dims * (bins + 1), hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, dims * bins)
""",
            ),
            (
                Body("MaskedDiffusion.logits"),
                """        h = F.one_hot(z, self.bins + 1).float().reshape(len(z), -1)
        h = torch.relu(self.first(h))
        h = torch.relu(self.second(h))
        return self.last(h).reshape(len(z), self.dims, self.bins)
""",
            ),
            (
                Body("MaskedDiffusion.nats"),
                """        each = F.cross_entropy(self.logits(z).flatten(0, 1), x.flatten(), reduction="none").view(x.shape)
        return (each * (z == self.bins)).sum(dim=1)
""",
            ),
            (
                "t = (torch.arange(len(x)) + 1 - torch.rand(len(x))) / len(x)  # one in each of B stretches of (0, 1]",
                "t = (torch.arange(len(x)) + (1 - torch.rand(len(x)))) / len(x)",
            ),
        ),
    ),
    Variant(
        "attention-and-orders",
        "masked_diffusion",
        "attention over embedded tokens; the bound as a mean over all orders; Bernoulli masks, Gumbel draws",
        (
            (Body("MaskedDiffusion.__init__"), ATTENTION),
            (
                Body("MaskedDiffusion.logits"),
                """        h = self.tokens(z) + self.places
        g = self.before(h)
        h = h + self.mix(g, g, g, need_weights=False)[0]
        h = h + self.each(self.between(h))
        return self.head(self.after(h))
""",
            ),
            (
                Body("MaskedDiffusion.corrupt"),
                """        z = x.clone()
        z[torch.bernoulli(t[:, None].expand(x.shape)) == 1] = self.bins
        return z
""",
            ),
            (
                Body("MaskedDiffusion.bound"),
                """        orders = list(itertools.permutations(range(self.dims)))
        total = 0
        for order in orders:
            z = torch.full_like(x, self.bins)
            for i in order:
                log_p = torch.log_softmax(self.logits(z)[:, i], -1)
                total = total - log_p[torch.arange(len(x)), x[:, i]]
                z[:, i] = x[:, i]
        return total / len(orders)
""",
            ),
            (
                Body("MaskedDiffusion.reverse_step"),
                """        z = z.clone()
        logits = self.logits(z)
        drawn = (logits - torch.log(-torch.log(torch.rand_like(logits)))).argmax(-1)
        stays = torch.rand(z.shape) < s / t
        z[(z == self.bins) & ~stays] = drawn[(z == self.bins) & ~stays]
        return z
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "carries-over",
        "masked_diffusion",
        "what is shown has probability one, as in the paper; the loss in full, an example at a time; a mask for each step",
        (
            (
                Body("MaskedDiffusion.logits"),
                """        one_hot = F.one_hot(z, self.bins + 1)
        logits = self.net(one_hot.float().flatten(1)).view(-1, self.dims, self.bins)
        shown = (one_hot[..., : self.bins].float()).log()  # 0 and −∞
        return torch.where((z == self.bins)[..., None], logits, shown)
""",
            ),
            (
                Body("MaskedDiffusion.loss"),
                """        z, losses = self.corrupt(x, t), []
        log_p = self.logits(z).log_softmax(-1)
        for b in range(len(x)):
            hidden = z[b] == self.bins
            picked = log_p[b, torch.arange(self.dims), x[b]]
            losses.append(-picked[hidden].sum() / t[b])
        return torch.stack(losses)
""",
            ),
            (
                Body("MaskedDiffusion.sample"),
                """        grid = torch.linspace(1, 0, steps + 1).tolist()
        z = torch.zeros(n, self.dims, dtype=torch.long) + self.bins
        for t, s in zip(grid[:-1], grid[1:]):
            z = self.reverse_step(z, t, s)
        return z
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "norms-and-a-count",
        "masked_diffusion",
        "batch normalisation and dropout; the share of masks as an input; logits of both tokens in another layout",
        (
            (
                Body("MaskedDiffusion.__init__"),
                """        self.net = nn.Sequential(
            nn.Linear(dims * bins + 1, hidden), nn.BatchNorm1d(hidden), nn.GELU(), nn.Dropout(0.1),
            nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.GELU(), nn.Linear(hidden, bins * dims),
        )
""",
            ),
            (
                Body("MaskedDiffusion.logits"),
                """        shown = F.one_hot(z, self.bins + 1)[..., :-1].float().flatten(1)  # a mask is no level: zeros
        share = (z == self.bins).float().mean(dim=1, keepdim=True)
        return self.net(torch.cat([shown, share], dim=1)).view(-1, self.bins, self.dims).mT
""",
            ),
        ),
        weights="none",
    ),
    # ---- 5.5 ----
    Variant(
        "stated-recipe",
        "guided_dit",
        "attention by torch's own layer, trained as the text says",
        (
            (
                Body("DiTBlock.__init__"),
                """        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        nn.init.zeros_(self.modulation[1].weight)
        nn.init.zeros_(self.modulation[1].bias)
""",
            ),
            (
                Body("DiTBlock.forward"),
                """        scale1, shift1, gate1, scale2, shift2, gate2 = self.modulation(c).unsqueeze(1).chunk(6, dim=2)
        a = self.norm1(h) * (1 + scale1) + shift1
        h = h + gate1 * self.attention(a, a, a, need_weights=False)[0]
        return h + gate2 * self.mlp(self.norm2(h) * (1 + scale2) + shift2)
""",
            ),
        ),
    ),
    Variant(
        "learned-times",
        "guided_dit",
        "pixel_unshuffle for patches; a table of times, v-prediction, a plain last layer; both velocities in one batch",
        (
            (
                """    B, C, H, W = x.shape
    squares = x.reshape(B, C, H // size, size, W // size, size).permute(0, 2, 4, 1, 3, 5)  # (B, H', W', C, p, p)
    return squares.reshape(B, -1, C * size**2)
""",
                "    return F.pixel_unshuffle(x, size).flatten(2).transpose(1, 2)\n",
            ),
            (
                """    C, H, W = shape
    squares = tokens.reshape(-1, H // size, W // size, C, size, size).permute(0, 3, 1, 4, 2, 5)  # (B, C, H', p, W', p)
    return squares.reshape(-1, C, H, W)
""",
                "    planes = tokens.mT.unflatten(2, (shape[1] // size, shape[2] // size))\n"
                "    return F.pixel_shuffle(planes, size)\n",
            ),
            (
                DROP,
                """    y = y.clone()
    y[torch.bernoulli(torch.full((len(y),), float(rate))).bool()] = none
    return y
""",
            ),
            (
                Body("DiT.__init__"),
                """        C, H, W = shape
        self.tokens = nn.Linear(C * patch**2, width)
        self.places = nn.Embedding(H * W // patch**2, width)
        self.labels, self.times = nn.Embedding(classes + 1, width), nn.Embedding(1001, width)
        self.blocks = nn.Sequential(*(DiTBlock(width, heads) for _ in range(depth)))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, C * patch**2))
""",
            ),
            (
                Body("DiT.velocity"),
                """        c = self.times((1000 * t).round().long()) + self.labels(y)
        h = self.tokens(patchify(x, self.patch)) + self.places.weight
        for block in self.blocks:
            h = block(h, c)
        return unpatchify(self.last(h), self.patch, self.shape)
""",
            ),
            (
                Body("DiT.loss"),
                """        losses = []
        for one, eps, at, label in zip(x, noise, t, y):
            v = self.velocity((eps + at * (one - eps))[None], at[None], label[None])[0]
            losses.append(F.mse_loss(v, one - eps))
        return torch.stack(losses)
""",
            ),
            (
                Body("DiT.guided"),
                """        both = self.velocity(x.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([y, 0 * y + self.classes]))
        with_label, without = both.chunk(2)
        return w * with_label + (1 - w) * without
""",
            ),
            (
                Body("DiT.generate"),
                """        x, t = noise.clone(), torch.zeros(len(noise))
        for _ in range(steps):
            x += self.guided(x, t, y, w) * (1.0 / steps)
            t += 1.0 / steps
        return x.clamp(-1, 1)
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "unet",
        "guided_dit",
        "a U-Net in the place of the transformer, with group norms and a scale and shift by time and label",
        (
            (
                Body("DiT.__init__"),
                """        C, w = shape[0], width
        self.embed = nn.Sequential(nn.Linear(1 + classes + 1, w), nn.SiLU(), nn.Linear(w, 4 * w))
        self.into, self.down = nn.Conv2d(C, w, 3, padding=1), nn.Conv2d(w, w, 4, stride=2, padding=1)
        self.lower = nn.Conv2d(w, w, 4, stride=4)
        self.middle = nn.Conv2d(w, w, 3, padding=1)
        self.rise = nn.Upsample(scale_factor=4)
        self.up, self.out = nn.ConvTranspose2d(w, w, 4, stride=2, padding=1), nn.Conv2d(2 * w, C, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(4, w) for _ in range(2))
""",
            ),
            (
                Body("DiT.velocity"),
                """        c = self.embed(torch.cat([t[:, None], F.one_hot(y, self.classes + 1).float()], dim=1))
        a, b, d, e = c[:, :, None, None].chunk(4, dim=1)
        top = self.into(x)
        h = F.silu(self.norms[0](self.down(top)) * (1 + a) + b)
        deep = self.middle(self.lower(h) + d)
        whole = deep.mean(dim=(2, 3), keepdim=True)
        h = F.silu(self.norms[1](h + self.rise(deep)) * (1 + e) + whole)
        return self.out(torch.cat([top, self.up(h)], dim=1))
""",
            ),
        ),
        weights="none",
    ),
)
