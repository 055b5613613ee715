"""Right designs for HW2 that look nothing like the reference."""

from autograder.proof.changes import Body, Variant

# Every piece of the reference that a variant replaces.
IMG_DEQUANTIZE = """    y = (x + torch.rand(x.shape)) / levels
    return y, torch.full((len(x),), -x[0].numel() * math.log(levels))
"""
IMG_TO_LOGITS = """    s = ALPHA + (1 - 2 * ALPHA) * y
    log_slope = math.log(1 - 2 * ALPHA) - s.log() - (1 - s).log()  # dt/ds = 1/s + 1/(1 − s) = 1 / (s (1 − s))
    return s.log() - (1 - s).log(), tensors.sum_except_batch(log_slope)
"""
IMG_BOARD = """    row, column = torch.arange(H)[:, None], torch.arange(W)[None, :]
    return ((row + column) % 2 == keep).float().repeat(C, 1, 1)
"""
IMG_HALF = """    first = torch.arange(C) < C // 2
    return (first if keep == 0 else ~first).float()[:, None, None].repeat(1, H, W)
"""
IMG_SQUEEZE = """    x = x.view(B, C, H // 2, 2, W // 2, 2)
    return x.permute(0, 1, 3, 5, 2, 4).reshape(B, 4 * C, H // 2, W // 2)
"""
IMG_UNSQUEEZE = """    z = z.view(B, C // 4, 2, 2, H, W)
    return z.permute(0, 1, 4, 2, 5, 3).reshape(B, C // 4, 2 * H, 2 * W)
"""
CDF_PARAMETERS = """        self.pi_logits = nn.Parameter(torch.zeros(components))
        self.mu = nn.Parameter(torch.linspace(-3, 3, components))
        self.log_sigma = nn.Parameter(torch.zeros(components))
"""
CDF_FORWARD = """        log_pi = self.pi_logits.log_softmax(dim=0)
        t = (x - self.mu) / self.log_sigma.exp()  # (B, K)
        z = (log_pi.exp() * torch.special.ndtr(t)).sum(dim=1, keepdim=True)
        log_normal = -0.5 * t**2 - self.log_sigma - 0.5 * math.log(2 * math.pi)
        return z, torch.logsumexp(log_pi + log_normal, dim=1)
"""
CDF_INVERSE = """        reach = 12 * self.log_sigma.exp()
        low = torch.zeros_like(z) + (self.mu - reach).min()
        high = torch.zeros_like(z) + (self.mu + reach).max()
        for _ in range(50):
            middle = (low + high) / 2
            too_low = self(middle)[0] < z
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        return (low + high) / 2
"""
# Found with the end of the docstring before it.
CDF_LOG_PROB = Body("CDFFlow.log_prob")
CDF_SAMPLE = "        return self.inverse(torch.rand(n, 1))\n"
AR_CDF = """    log_pi = pi_logits.log_softmax(dim=1)
    t = (x[:, None] - mu) / log_sigma.exp()  # (B, K)
    z = (log_pi.exp() * torch.special.ndtr(t)).sum(dim=1)
    log_normal = -0.5 * t**2 - log_sigma - 0.5 * math.log(2 * math.pi)
    return z, torch.logsumexp(log_pi + log_normal, dim=1)
"""
AR_INVERSE_CDF = """    low = (mu - 12 * log_sigma.exp()).amin(dim=1)
    high = (mu + 12 * log_sigma.exp()).amax(dim=1)
    for _ in range(50):
        middle = (low + high) / 2
        too_low = mixture_cdf(middle, pi_logits, mu, log_sigma)[0] < z
        low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
    return (low + high) / 2
"""
AR_FORWARD = """        of_x1 = self.first.expand(len(x), -1)
        of_x2 = self.start + self.net(x[:, :1])  # (B, 3K)
        z1, log_slope1 = mixture_cdf(x[:, 0], *of_x1.chunk(3, dim=1))
        z2, log_slope2 = mixture_cdf(x[:, 1], *of_x2.chunk(3, dim=1))
        return torch.stack([z1, z2], dim=1), log_slope1 + log_slope2
"""
AR_INVERSE = """        of_x1 = self.first.expand(len(z), -1)
        x1 = inverse_mixture_cdf(z[:, 0], *of_x1.chunk(3, dim=1))
        of_x2 = self.start + self.net(x1[:, None])
        x2 = inverse_mixture_cdf(z[:, 1], *of_x2.chunk(3, dim=1))
        return torch.stack([x1, x2], dim=1)
"""
AR_SAMPLE = "        return self.inverse(torch.rand(n, 2))\n"
NVP_FORWARD = """        kept, other = x[:, [self.keep]], x[:, [1 - self.keep]]
        log_sigma, mu = self.log_sigma_and_mu(kept)
        return self.joined(kept, other * log_sigma.exp() + mu), log_sigma.squeeze(1)
"""
NVP_INVERSE = """        kept, other = z[:, [self.keep]], z[:, [1 - self.keep]]
        log_sigma, mu = self.log_sigma_and_mu(kept)
        return self.joined(kept, (other - mu) * (-log_sigma).exp())
"""
NVP_INIT = """        self.stretch = 3.0
        self.couplings = nn.ModuleList(AffineCoupling((i + 1) % 2, hidden) for i in range(couplings))
"""
NVP_COMPOSED = """        z, log_det = x * self.stretch, 2 * math.log(self.stretch)
        for coupling in self.couplings:
            z, log_sigma = coupling(z)
            log_det = log_det + log_sigma
        return z, log_det
"""
NVP_UNDONE = """        x = z
        for coupling in reversed(self.couplings):
            x = coupling.inverse(x)
        return x / self.stretch
"""
NVP_LOG_PROB = """        z, log_det = self(x)
        log_normal = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)  # (B, 2)
        return log_normal.sum(dim=1) + log_det
"""
NVP_SAMPLE = "        return self.inverse(torch.randn(n, 2))\n"

VARIANTS = (
    Variant(
        "cdf-distributions-library",
        "cdf_flow",
        "torch.distributions, ancestral samples, a bracket that grows",
        (
            (
                CDF_FORWARD,
                """        from torch.distributions import Categorical, MixtureSameFamily, Normal
        mixture = MixtureSameFamily(Categorical(logits=self.pi_logits), Normal(self.mu, self.log_sigma.exp()))
        y = x.squeeze(1)
        return mixture.cdf(y).unsqueeze(1), mixture.log_prob(y)
""",
            ),
            (
                CDF_INVERSE,
                """        low, high = -torch.ones_like(z), torch.ones_like(z)
        while (self(low)[0] > z).any():
            low = 2 * low
        while (self(high)[0] < z).any():
            high = 2 * high
        while True:
            middle = 0.5 * (low + high)
            above = (self(middle)[0] > z) & (middle < high)
            below = ~above & (middle > low)
            if not (above | below).any():
                return middle
            low, high = torch.where(below, middle, low), torch.where(above, middle, high)
""",
            ),
            (
                CDF_SAMPLE,
                """        k = torch.multinomial(self.pi_logits.softmax(0), n, replacement=True)
        return (self.mu[k] + self.log_sigma.exp()[k] * torch.randn(n)).unsqueeze(1).detach()
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "cdf-erf-loops-double",
        "cdf_flow",
        "a loop over components, erf, double precision inside, false position steps",
        (
            (
                CDF_FORWARD,
                """        y = x[:, 0].double()
        pi = torch.softmax(self.pi_logits.double(), 0)
        z, logs = torch.zeros_like(y), []
        for k in range(len(self.mu)):
            sigma = self.log_sigma[k].double().exp()
            t = (y - self.mu[k]) / sigma
            z = z + pi[k] * 0.5 * (1 + torch.erf(t / 2**0.5))
            logs.append(pi[k].log() - 0.5 * t * t - sigma.log() - 0.9189385332046727)
        return z.float()[:, None], torch.stack(logs).logsumexp(0).float()
""",
            ),
            (
                CDF_INVERSE,
                """        low, high = torch.full_like(z, -200.0), torch.full_like(z, 200.0)
        for step in range(80):
            x = (low + high) / 2
            value, log_slope = self(x)
            low, high = torch.where(value <= z, x, low), torch.where(value >= z, x, high)
            newton = x + (z - value) * (-log_slope[:, None]).exp()
            inside = (newton > low) & (newton < high)
            value = self(torch.where(inside, newton, x))[0]
            at = torch.where(inside, newton, x)
            low, high = torch.where(value <= z, at, low), torch.where(value >= z, at, high)
        return (low + high) / 2
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "cdf-of-logistics",
        "cdf_flow",
        "a mixture of logistics: another rising function onto [0, 1]",
        (
            (
                CDF_PARAMETERS,
                """        self.weights = nn.Parameter(0.1 * torch.randn(components))
        self.mu = nn.Parameter(torch.linspace(-3, 2, components))
        self.log_sigma = nn.Parameter(torch.full((components,), -0.5))
""",
            ),
            (
                CDF_FORWARD,
                """        s = self.log_sigma.exp()
        t = (x - self.mu) / s
        z = (self.weights.softmax(0) * t.sigmoid()).sum(1, keepdim=True)
        log_slopes = nn.functional.logsigmoid(t) + nn.functional.logsigmoid(-t) - self.log_sigma
        return z, (self.weights.log_softmax(0) + log_slopes).logsumexp(1)
""",
            ),
            ("reach = 12 * self.log_sigma.exp()", "reach = 40 * self.log_sigma.exp()"),
            ('cdf_flow", CDFFlow(components=5)', 'cdf_flow", CDFFlow(components=8)'),
        ),
    ),
    Variant(
        "ar-erf-double-newton",
        "ar_flow",
        "erf in double precision, bisection finished with Newton's steps",
        (
            (
                AR_CDF,
                """    pi, sigma = pi_logits.double().softmax(1), log_sigma.double().exp()
    t = (x.double().unsqueeze(1) - mu) / sigma
    z = torch.sum(pi * (0.5 + 0.5 * torch.erf(t * 0.5**0.5)), dim=1)
    log_p = torch.logsumexp(pi.log() - t.square() / 2 - sigma.log() - math.log(math.tau) / 2, dim=1)
    return z.float(), log_p.float()
""",
            ),
            (
                AR_INVERSE_CDF,
                """    low, high = torch.full_like(z, -300.0), torch.full_like(z, 300.0)
    for step in range(60):
        x = (low + high) / 2
        value, log_slope = mixture_cdf(x, pi_logits, mu, log_sigma)
        low, high = torch.where(value < z, x, low), torch.where(value < z, high, x)
    newton = x + (z - value) * torch.exp(-log_slope)
    return torch.where((newton > low) & (newton < high), newton, x)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "ar-distributions-library",
        "ar_flow",
        "torch.distributions; x_2 drawn from its mixture, not by inversion",
        (
            (
                AR_CDF,
                """    from torch.distributions import Categorical, MixtureSameFamily, Normal
    mixture = MixtureSameFamily(Categorical(logits=pi_logits), Normal(mu, torch.exp(log_sigma)))
    return mixture.cdf(x), mixture.log_prob(x)
""",
            ),
            (
                AR_SAMPLE,
                """        def drawn(logits, mu, log_sigma):
            k = torch.distributions.Categorical(logits=logits).sample()[:, None]
            return (mu.gather(1, k) + log_sigma.gather(1, k).exp() * torch.randn(n, 1)).squeeze(1)

        with torch.no_grad():
            x1 = drawn(*self.first.expand(n, -1).chunk(3, dim=1))
            x2 = drawn(*(self.start + self.net(x1[:, None])).chunk(3, dim=1))
        return torch.stack([x1, x2], dim=1)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "ar-x2-first",
        "ar_flow",
        "the other order: x_2 by itself, then x_1 given x_2",
        (
            (
                AR_FORWARD,
                """        z2, log_slope2 = mixture_cdf(x[:, 1], *self.first.expand(len(x), -1).chunk(3, dim=1))
        z1, log_slope1 = mixture_cdf(x[:, 0], *(self.start + self.net(x[:, 1:])).chunk(3, dim=1))
        return torch.stack([z1, z2], dim=1), log_slope1 + log_slope2
""",
            ),
            (
                AR_INVERSE,
                """        x2 = inverse_mixture_cdf(z[:, 1], *self.first.expand(len(z), -1).chunk(3, dim=1))
        x1 = inverse_mixture_cdf(z[:, 0], *(self.start + self.net(x2[:, None])).chunk(3, dim=1))
        return torch.stack([x1, x2], dim=1)
""",
            ),
        ),
    ),
    Variant(
        "nvp-masks",
        "realnvp",
        "halves chosen by multiplying with a mask",
        (
            (
                NVP_FORWARD,
                """        mask = torch.eye(2)[self.keep]
        log_sigma, mu = self.log_sigma_and_mu((x * mask).sum(1, keepdim=True))
        moved = (1 - mask) * log_sigma
        return mask * x + (1 - mask) * (x * moved.exp() + mu), moved.sum(1)
""",
            ),
            (
                NVP_INVERSE,
                """        mask = torch.eye(2)[self.keep]
        log_sigma, mu = self.log_sigma_and_mu((z * mask).sum(1, keepdim=True))
        return torch.where(mask.bool(), z, (z - mu) / log_sigma.exp())
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "nvp-in-place-library-base",
        "realnvp",
        "assigns into a clone; recursion; torch.distributions for the base",
        (
            (
                NVP_FORWARD,
                """        i, j = self.keep, 1 - self.keep
        log_sigma, mu = (v[:, 0] for v in self.log_sigma_and_mu(x[:, i : i + 1]))
        z = x.clone()
        z[:, j] = torch.addcmul(mu, x[:, j], log_sigma.exp())
        return z, log_sigma
""",
            ),
            (
                NVP_INVERSE,
                """        i, j = self.keep, 1 - self.keep
        log_sigma, mu = (v[:, 0] for v in self.log_sigma_and_mu(z[:, i : i + 1]))
        x = z.clone()
        x[:, j] = (z[:, j] - mu) / log_sigma.exp()
        return x
""",
            ),
            (
                NVP_LOG_PROB,
                """        base = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
        z, log_det = self.forward(x)
        return base.log_prob(z) + log_det
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "nvp-log-dets-listed",
        "realnvp",
        "collects the log_dets in a list; undoes the couplings by their numbers",
        (
            (
                NVP_COMPOSED,
                """        log_dets = [torch.full_like(x[:, 0], 3.0).log() * 2]
        x = 3 * x
        for coupling in self.couplings:
            x, log_det = coupling(x)
            log_dets.append(log_det)
        return x, torch.stack(log_dets, dim=1).sum(dim=1)
""",
            ),
            (
                NVP_UNDONE,
                """        for i in range(len(self.couplings) - 1, -1, -1):
            z = self.couplings[i].inverse(z)
        return z / 3
""",
            ),
            (
                NVP_SAMPLE,
                """        z = torch.distributions.Normal(0.0, 1.0).sample((n, 2))
        return self.inverse(z)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "img-library",
        "realnvp_images",
        "torch's own logit, pixel_shuffle and distributions",
        (
            (
                IMG_DEQUANTIZE,
                """    noise = torch.distributions.Uniform(0.0, 1.0).sample(x.shape)
    return (x.float() + noise) / levels, -math.log(levels) * torch.ones(x.shape[0]) * math.prod(x.shape[1:])
""",
            ),
            (
                IMG_TO_LOGITS,
                """    t = torch.logit(y * (1 - 2 * ALPHA) + ALPHA)
    slope = F.softplus(t) + F.softplus(-t) + math.log(1 - 2 * ALPHA)
    return t, slope.sum(dim=(1, 2, 3))
""",
            ),
            (IMG_SQUEEZE, "    return F.pixel_unshuffle(x, 2)\n"),
            (IMG_UNSQUEEZE, "    return F.pixel_shuffle(z, 2)\n"),
            (
                Body("ImageRealNVP.log_prob"),
                """        y, on_the_way = dequantize(x, self.levels)
        t, of_the_logit = to_logits(y)
        z, of_the_flow = self.forward(t)
        base = torch.distributions.Independent(torch.distributions.Normal(torch.zeros_like(z), 1.0), 3)
        return base.log_prob(z) + (of_the_flow + of_the_logit + on_the_way)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "img-boolean-masks",
        "realnvp_images",
        "torch.where instead of products; masks of other types, filled by slices",
        (
            (
                IMG_BOARD,
                """    mask = torch.zeros(tuple(shape), dtype=torch.float64)
    mask[:, 0::2, keep::2] = 1
    mask[:, 1::2, 1 - keep::2] = 1
    return mask.to(torch.float32)
""",
            ),
            (
                IMG_HALF,
                """    halves = torch.zeros(*shape).chunk(2)
    return torch.cat([halves[0] + (keep == 0), halves[1] + (keep == 1)])
""",
            ),
            (
                Body("MaskedCoupling.forward"),
                """        log_sigma, mu = self.log_sigma_and_mu(x)
        z = torch.where(self.mask.bool(), x, torch.addcmul(mu, x, log_sigma.exp()))
        return z, torch.einsum("bchw->b", log_sigma)
""",
            ),
            (
                Body("MaskedCoupling.inverse"),
                """        log_sigma, mu = self.log_sigma_and_mu(z)
        return torch.where(self.mask.bool(), z, (z - mu) / log_sigma.exp())
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "img-log-dets-listed",
        "realnvp_images",
        "lists of log_dets; a loop over scales; interpolation by lerp, way by way",
        (
            (
                Body("ImageRealNVP.forward"),
                """        log_dets = []
        for scale in range(self.scales):
            for k in range(6):
                t = squeeze(t) if k == 2 else t
                t, log_det = self.layers[6 * scale + k](t)
                log_dets.append(log_det)
        for scale in range(self.scales):
            t = unsqueeze(t)
        return t, torch.stack(log_dets).sum(dim=0)
""",
            ),
            (
                Body("ImageRealNVP.inverse"),
                """        for scale in range(self.scales):
            z = squeeze(z)
        for scale in range(self.scales - 1, -1, -1):
            for k in (5, 4, 3, 2, 1, 0):
                z = self.layers[6 * scale + k].inverse(z)
                z = unsqueeze(z) if k == 2 else z
        return z
""",
            ),
            (
                Body("ImageRealNVP.sample"),
                """        z = torch.distributions.Normal(0.0, 1.0).sample((n, *self.shape))
        return tensors.quantize(from_logits(self.inverse(z)), self.levels)
""",
            ),
            (
                Body("ImageRealNVP.interpolate"),
                """        start, end = self(a)[0], self(b)[0]
        ways = [self.inverse(torch.lerp(start, end, float(w))) for w in np.linspace(0, 1, steps)]
        return torch.stack(ways, dim=1)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "glow-matrix-products",
        "glow",
        "einsum for the 1 × 1 convolution, a solver for its inverse, slogdet for its log_det",
        (
            (
                Body("InvertibleConv.forward"),
                """        W = self.weight()
        z = torch.einsum("ij,bjhw->bihw", W, x)
        return z, torch.linalg.slogdet(W).logabsdet.repeat(len(x)) * x.shape[2] * x.shape[3]
""",
            ),
            (
                Body("InvertibleConv.inverse"),
                """        B, C, H, W = z.shape
        return torch.linalg.solve(self.weight(), z.reshape(B, C, H * W)).reshape(B, C, H, W)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "glow-triangular-solves",
        "glow",
        "undoes P, L and U one after the other; ActNorm with the batch's biased variance",
        (
            (
                Body("InvertibleConv.inverse"),
                """        B, C, H, W = z.shape
        lower, upper = self.L.tril(-1), self.U.triu(1) + torch.diag(self.sign * self.log_s.exp())
        columns = self.P.T @ z.reshape(B, C, H * W)
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(upper, columns, upper=True).reshape(B, C, H, W)
""",
            ),
            (
                Body("ActNorm.forward"),
                """        if self.training and not bool(self.ready):
            variance, mean = torch.var_mean(x.detach(), dim=(0, 2, 3), keepdim=True, unbiased=False)
            self.b.data, self.l.data = -mean[0], -0.5 * torch.log(variance[0])
            self.ready = torch.tensor(True)
        pixels = x.shape[-1] * x.shape[-2]
        return torch.exp(self.l) * (x + self.b), pixels * self.l.sum() * torch.ones(len(x))
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "glow-in-place",
        "glow",
        "couplings by torch.split; log_dets listed; a loop over scales and steps",
        (
            (
                Body("ChannelCoupling.parts"),
                """        half = x.shape[1] // 2
        x_a, x_b = torch.split(x, [half, x.shape[1] - half], dim=1)
        out = self.net(x_a)
        return x_a, x_b, torch.tanh(out[:, : x_b.shape[1]]) * self.scale, out[:, x_b.shape[1] :]
""",
            ),
            (
                Body("ChannelCoupling.forward"),
                """        _, x_b, log_sigma, mu = self.parts(x)
        z = x.clone()
        z[:, -x_b.shape[1] :] = torch.addcmul(mu, x_b, torch.exp(log_sigma))
        return z, log_sigma.flatten(1).sum(dim=1)
""",
            ),
            (
                Body("Glow.forward"),
                """        log_dets, layers = [], iter(self.layers)
        for _ in range(self.scales):
            t = tensors.squeeze(t)
            for _ in range(3 * self.steps):
                t, log_det = next(layers)(t)
                log_dets.append(log_det)
        for _ in range(self.scales):
            t = tensors.unsqueeze(t)
        return t, sum(log_dets)
""",
            ),
            (
                Body("Glow.sample"),
                """        z = torch.normal(0.0, 1.0, (n, *self.shape))
        y = tensors.from_logits(self.inverse(z)).clamp(0, 1 - 1e-6)
        return torch.floor(y * self.levels).to(torch.int64)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "cdf-bisection-in-numpy",
        "cdf_flow",
        "μ and log σ from a normal; bisection in NumPy and scipy; the base from torch",
        (
            (
                CDF_PARAMETERS,
                """        self.pi_logits = nn.Parameter(torch.randn(components))
        self.mu = nn.Parameter(torch.randn(components))
        self.log_sigma = nn.Parameter(torch.randn(components))
""",
            ),
            (
                CDF_INVERSE,
                """        pi = self.pi_logits.softmax(0).numpy()
        mu, sigma = self.mu.numpy(), self.log_sigma.exp().numpy()
        target = z.numpy().astype(np.float64)
        low = np.full(target.shape, (mu - 20 * sigma).min())
        high = np.full(target.shape, (mu + 20 * sigma).max())
        for _ in range(100):
            middle = 0.5 * (low + high)
            cdf = torch.special.ndtr(torch.from_numpy((middle - mu) / sigma)).numpy() @ pi
            below = cdf[:, None] < target
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return torch.from_numpy(middle.astype(np.float32))
""",
            ),
            (
                CDF_LOG_PROB,
                """        z, log_det = self(x)
        return torch.distributions.Uniform(0.0, 1.0, validate_args=False).log_prob(z).sum(dim=1) + log_det
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "ar-logistics-softplus",
        "ar_flow",
        "mixtures of logistics, σ by softplus; inputs scaled by three, He initialisation",
        (
            (
                AR_CDF,
                """    log_w = pi_logits - pi_logits.logsumexp(dim=1, keepdim=True)
    scale = F.softplus(log_sigma) + 1e-3
    t = (x.unsqueeze(1) - mu) / scale
    z = (log_w.exp() * torch.sigmoid(t)).sum(dim=1)
    return z, torch.logsumexp(log_w + F.logsigmoid(t) + F.logsigmoid(-t) - scale.log(), dim=1)
""",
            ),
            (
                AR_INVERSE_CDF,
                """    scale = F.softplus(log_sigma) + 1e-3
    low, high = (mu - 40 * scale).amin(dim=1), (mu + 40 * scale).amax(dim=1)
    while True:
        middle = (low + high) / 2
        if torch.equal(middle, low) or torch.equal(middle, high) or (high - low).max() < 1e-7:
            return middle
        rises = mixture_cdf(middle, pi_logits, mu, log_sigma)[0] < z
        low, high = torch.where(rises, middle, low), torch.where(rises, high, middle)
""",
            ),
            (
                Body("ARFlow.__init__"),
                """        self.first = nn.Parameter(torch.randn(3 * components))
        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 3 * components)
        )
        for layer in self.net[::2]:
            nn.init.kaiming_normal_(layer.weight)
        self.start = nn.Parameter(torch.linspace(-2, 2, 3 * components))
""",
            ),
            ("self.net(x[:, :1])  # (B, 3K)", "self.net(3 * x[:, :1])"),
            ("self.net(x1[:, None])", "self.net(3 * x1[:, None])"),
        ),
        weights="none",
    ),
    Variant(
        "nvp-batch-norm-and-flips",
        "realnvp",
        "normalisation by running statistics and a flip after every coupling",
        (
            (
                NVP_INIT,
                """        self.couplings = nn.ModuleList([AffineCoupling(0, hidden) for _ in range(couplings)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(2) for _ in range(couplings)])
""",
            ),
            (
                NVP_COMPOSED,
                """        log_det = x.new_zeros(len(x))
        for coupling, norm in zip(self.couplings, self.norms):
            x, log_sigma = coupling(x)
            if self.training:
                variance = x.var(dim=0, unbiased=False) + norm.eps
            else:
                variance = norm.running_var + norm.eps
            x = norm(x).flip(1)
            log_det = log_det + log_sigma + (norm.weight.abs().log() - 0.5 * variance.log()).sum()
        return x, log_det
""",
            ),
            (
                NVP_UNDONE,
                """        for coupling, norm in zip(reversed(self.couplings), reversed(self.norms)):
            z = (z.flip(1) - norm.bias) / norm.weight
            z = coupling.inverse(z * (norm.running_var + norm.eps).sqrt() + norm.running_mean)
        return z
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "nvp-clamped-scales-frozen-mask",
        "realnvp",
        "log σ clamped, not tanh; the mask a frozen parameter; batch norm inside",
        (
            (
                Body("AffineCoupling.__init__"),
                """        self.mask = nn.Parameter(torch.tensor([1.0 - keep, float(keep)]), requires_grad=False)
        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 2),
        )
        for parameter in self.net.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter)
""",
            ),
            (
                Body("AffineCoupling.log_sigma_and_mu"),
                """        log_sigma, mu = self.net(kept).unbind(dim=1)
        return log_sigma.clamp(-4, 4)[:, None], mu[:, None]
""",
            ),
            (
                NVP_FORWARD,
                """        log_sigma, mu = self.log_sigma_and_mu((x * self.mask).sum(dim=1, keepdim=True))
        moved = (1 - self.mask) * log_sigma
        return self.mask * x + (1 - self.mask) * (x * moved.exp() + mu), moved.sum(dim=1)
""",
            ),
            (
                NVP_INVERSE,
                """        log_sigma, mu = self.log_sigma_and_mu((z * self.mask).sum(dim=1, keepdim=True))
        return self.mask * z + (1 - self.mask) * (z - mu) * torch.exp(-log_sigma)
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "nvp-fifteen-couplings",
        "realnvp",
        "fifteen couplings, whatever is asked for, and a base of torch.distributions",
        (
            (
                NVP_INIT,
                """        self.stretch = 1.0
        self.couplings = nn.ModuleList([AffineCoupling(i % 2, hidden) for i in range(15 * couplings // 4)])
""",
            ),
            (
                NVP_LOG_PROB,
                """        z, log_det = self(x)
        return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(dim=-1) + log_det
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "img-multi-scale-split",
        "realnvp_images",
        "half of the channels set aside after each scale; normalised networks",
        (
            (
                Body("MaskedCoupling.__init__"),
                """        C = shape[0]
        mask = {"checkerboard": checkerboard_mask, "channel": channel_mask}[kind](shape, keep)
        self.mask = nn.Parameter(mask, requires_grad=False)
        self.net = nn.Sequential(
            nn.Conv2d(C, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * C, 3, padding=1),
        )
        for layer in self.net:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        self.scale = nn.Parameter(torch.ones(1, C, 1, 1))
        self.shift = nn.Parameter(torch.zeros(1, C, 1, 1))
""",
            ),
            (
                Body("ImageRealNVP.__init__"),
                """        C, H, W = shape
        self.stages = nn.ModuleList()
        for k in range(scales):
            boards = [MaskedCoupling("checkerboard", i % 2, (C, H, W), width) for i in range(3)]
            C, H, W = 4 * C, H // 2, W // 2
            channels = [MaskedCoupling("channel", i % 2, (C, H, W), 2 * width) for i in range(3)]
            self.stages.append(nn.ModuleList(boards + channels))
            C = C // 2
""",
            ),
            (
                Body("ImageRealNVP.forward"),
                """        log_det, aside = 0.0, []
        for stage in self.stages:
            for k, coupling in enumerate(stage):
                t = squeeze(t) if k == 3 else t
                t, log_sigma = coupling(t)
                log_det = log_det + log_sigma
            done, t = t.chunk(2, dim=1)
            aside.append(done)
        for done in reversed(aside):
            t = unsqueeze(torch.cat([done, t], dim=1))
        return t, log_det
""",
            ),
            (
                Body("ImageRealNVP.inverse"),
                """        aside = []
        for _ in self.stages:
            done, z = squeeze(z).chunk(2, dim=1)
            aside.append(done)
        for stage, done in zip(reversed(self.stages), reversed(aside)):
            z = torch.cat([done, z], dim=1)
            for k in range(5, -1, -1):
                z = stage[k].inverse(z)
                z = unsqueeze(z) if k == 3 else z
        return z
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "glow-logsigmoid-learned-prior",
        "glow",
        "log σ = logsigmoid(s + 2), exp(3 f), P a frozen parameter, a learned prior",
        (
            (
                Body("ActNorm.__init__"),
                """        self.b = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.f = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.register_buffer("seen", torch.zeros(()))
""",
            ),
            (
                Body("ActNorm.forward"),
                """        if self.training and self.seen == 0:
            with torch.no_grad():
                self.b.data = -x.mean(dim=[0, 2, 3], keepdim=True)
                self.f.data = -torch.log(x.std(dim=[0, 2, 3], keepdim=True) + 1e-6) / 3
                self.seen += 1
        log_det = x.shape[2] * x.shape[3] * (3 * self.f).sum()
        return (x + self.b) * torch.exp(3 * self.f), log_det.expand(len(x))
""",
            ),
            (Body("ActNorm.inverse"), "        return z * torch.exp(-3 * self.f) - self.b\n"),
            (
                Body("InvertibleConv.__init__"),
                """        W = torch.linalg.qr(torch.randn(channels, channels)).Q
        P, L, U = torch.linalg.lu(W)
        self.P = nn.Parameter(P, requires_grad=False)
        self.L, self.U = nn.Parameter(L), nn.Parameter(U)
        self.s = nn.Parameter(U.diagonal().clone())
""",
            ),
            (
                Body("InvertibleConv.weight"),
                """        eye = torch.eye(len(self.L), device=self.L.device)
        return self.P @ (torch.tril(self.L, -1) + eye) @ (torch.triu(self.U, 1) + torch.diag(self.s))
""",
            ),
            (
                Body("InvertibleConv.forward"),
                """        W = self.weight()
        log_det = x.shape[2] * x.shape[3] * self.s.abs().log().sum()
        return F.conv2d(x, W.view(*W.shape, 1, 1)), log_det.repeat(len(x))
""",
            ),
            ("        self.scale = nn.Parameter(torch.ones(channels - half, 1, 1))\n", ""),
            (
                Body("ChannelCoupling.parts"),
                """        x_a, x_b = x.chunk(2, dim=1)
        s, mu = self.net(x_a).chunk(2, dim=1)
        return x_a, x_b, F.logsigmoid(s + 2), mu
""",
            ),
            (
                Body("Glow.log_prob"),
                """        t, log_det_t = tensors.to_reals(x, self.levels)
        z, log_det_z = self(t)
        prior = torch.distributions.Normal(self.mean, self.log_spread.exp())
        return prior.log_prob(z).flatten(1).sum(dim=1) + log_det_t + log_det_z
""",
            ),
            (
                Body("Glow.sample"),
                """        z = self.mean + self.log_spread.exp() * torch.randn(n, *self.shape)
        return tensors.to_levels(self.inverse(z), self.levels)
""",
            ),
            (
                "        self.layers = nn.ModuleList(layers)\n",
                """        self.layers = nn.ModuleList(layers)
        self.mean, self.log_spread = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "glow-sigmoid-scales",
        "glow",
        "σ = sigmoid(s + 2) on the first half, one W without LU, He initialisation",
        (
            (
                Body("InvertibleConv.__init__"),
                """        self.W = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels))[0])
""",
            ),
            (Body("InvertibleConv.weight"), "        return self.W\n"),
            (
                Body("InvertibleConv.forward"),
                """        B, C, H, W = x.shape
        log_det = H * W * torch.linalg.slogdet(self.W).logabsdet
        return F.conv2d(x, self.W.reshape(C, C, 1, 1)), log_det * torch.ones(B)
""",
            ),
            (
                "        nn.init.zeros_(self.net[-1].weight)\n        nn.init.zeros_(self.net[-1].bias)\n"
                "        self.scale = nn.Parameter(torch.ones(channels - half, 1, 1))\n",
                "        for layer in self.net[::2]:\n            nn.init.kaiming_normal_(layer.weight)\n",
            ),
            (
                Body("ChannelCoupling.parts"),
                """        x_b, x_a = x.chunk(2, dim=1)
        s, mu = self.net(x_a).chunk(2, dim=1)
        return x_a, x_b, torch.log(torch.sigmoid(s + 2)), mu
""",
            ),
            (
                Body("ChannelCoupling.forward"),
                """        x_a, x_b, log_sigma, mu = self.parts(x)
        return torch.cat([x_b * log_sigma.exp() + mu, x_a], dim=1), log_sigma.sum(dim=(1, 2, 3))
""",
            ),
            (
                Body("ChannelCoupling.inverse"),
                """        z_a, z_b, log_sigma, mu = self.parts(z)
        return torch.cat([(z_b - mu) / log_sigma.exp(), z_a], dim=1)
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "stated-recipe",
        "cdf_flow",
        "the plainest flow, trained as the text says",
        (
            (
                CDF_PARAMETERS,
                """        self.pi_logits = nn.Parameter(torch.zeros(components))
        self.mu = nn.Parameter(torch.linspace(-2, 2, components))
        self.log_sigma = nn.Parameter(torch.zeros(components))
""",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "ar_flow",
        "the plainest flow, trained as the text says",
        (
            (
                Body("ARFlow.__init__"),
                """        K = components
        self.first = nn.Parameter(torch.cat([torch.zeros(K), torch.linspace(-3, 3, K), torch.zeros(K)]))
        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 3 * K)
        )
        with torch.no_grad():
            self.net[-1].bias[K : 2 * K] = torch.linspace(-3, 3, K)
""",
            ),
            ("of_x2 = self.start + self.net(x[:, :1])  # (B, 3K)", "of_x2 = self.net(x[:, :1])"),
            ("of_x2 = self.start + self.net(x1[:, None])", "of_x2 = self.net(x1[:, None])"),
            ("torch.optim.Adam(model.parameters(), lr=1e-3)", "torch.optim.Adam(model.parameters(), lr=2e-2)"),
        ),
    ),
    Variant(
        "stated-recipe",
        "realnvp",
        "the plainest flow, without stretch and waves, trained as the text says",
        (
            (
                Body("AffineCoupling.__init__"),
                """        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )
        self.scale = nn.Parameter(torch.ones(1))
        self.shift = nn.Parameter(torch.zeros(1))
""",
            ),
            (
                Body("AffineCoupling.log_sigma_and_mu"),
                """        s, mu = self.net(kept).chunk(2, dim=1)
        return self.scale * torch.tanh(s) + self.shift, mu
""",
            ),
            (
                NVP_INIT,
                """        self.couplings = nn.ModuleList([AffineCoupling(i % 2, hidden) for i in range(couplings)])
""",
            ),
            (
                NVP_COMPOSED,
                """        z, log_det = x, 0
        for coupling in self.couplings:
            z, log_sigma = coupling(z)
            log_det = log_det + log_sigma
        return z, log_det
""",
            ),
            (
                NVP_UNDONE,
                """        for coupling in reversed(self.couplings):
            z = coupling.inverse(z)
        return z
""",
            ),
            (
                "torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.99), fused=True)",
                "torch.optim.Adam(model.parameters(), lr=4e-3)",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "realnvp_images",
        "the flow that the text describes, with one width, trained as it says",
        (
            ("width * 2**k) for i in range(2)]", "width) for i in range(2)]"),
            ("width * 2**k) for i in range(4)]", "2 * width) for i in range(4)]"),
        ),
    ),
    Variant(
        "stated-recipe",
        "glow",
        "the flow that the text describes, log σ = tanh(s), trained as it says",
        (
            ("return x_a, x_b, self.scale * torch.tanh(s), mu", "return x_a, x_b, torch.tanh(s), mu"),
            ("        self.scale = nn.Parameter(torch.ones(channels - half, 1, 1))\n", ""),
        ),
    ),
)
