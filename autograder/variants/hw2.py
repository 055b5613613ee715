"""Right designs for HW2 that look nothing like the reference."""

from autograder.mutants import Body, Variant

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
        "cdf-distributions-library", "cdf_flow", "torch.distributions, ancestral samples, a bracket that grows",
        (
            (CDF_FORWARD, """        from torch.distributions import Categorical, MixtureSameFamily, Normal
        mixture = MixtureSameFamily(Categorical(logits=self.pi_logits), Normal(self.mu, self.log_sigma.exp()))
        y = x.squeeze(1)
        return mixture.cdf(y).unsqueeze(1), mixture.log_prob(y)
"""),
            (CDF_INVERSE, """        low, high = -torch.ones_like(z), torch.ones_like(z)
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
"""),
            (CDF_SAMPLE, """        k = torch.multinomial(self.pi_logits.softmax(0), n, replacement=True)
        return (self.mu[k] + self.log_sigma.exp()[k] * torch.randn(n)).unsqueeze(1).detach()
"""),
        ),
        weights="reference",
    ),
    Variant(
        "cdf-erf-loops-double", "cdf_flow", "a loop over components, erf, double precision inside, false position steps",
        (
            (CDF_FORWARD, """        y = x[:, 0].double()
        pi = torch.softmax(self.pi_logits.double(), 0)
        z, logs = torch.zeros_like(y), []
        for k in range(len(self.mu)):
            sigma = self.log_sigma[k].double().exp()
            t = (y - self.mu[k]) / sigma
            z = z + pi[k] * 0.5 * (1 + torch.erf(t / 2**0.5))
            logs.append(pi[k].log() - 0.5 * t * t - sigma.log() - 0.9189385332046727)
        return z.float()[:, None], torch.stack(logs).logsumexp(0).float()
"""),
            (CDF_INVERSE, """        low, high = torch.full_like(z, -200.0), torch.full_like(z, 200.0)
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
"""),
        ),
        weights="reference",
    ),
    Variant(
        "cdf-of-logistics", "cdf_flow", "a mixture of logistics: another rising function onto [0, 1]",
        (
            (CDF_PARAMETERS, """        self.weights = nn.Parameter(0.1 * torch.randn(components))
        self.mu = nn.Parameter(torch.linspace(-3, 2, components))
        self.log_sigma = nn.Parameter(torch.full((components,), -0.5))
"""),
            (CDF_FORWARD, """        s = self.log_sigma.exp()
        t = (x - self.mu) / s
        z = (self.weights.softmax(0) * t.sigmoid()).sum(1, keepdim=True)
        log_slopes = nn.functional.logsigmoid(t) + nn.functional.logsigmoid(-t) - self.log_sigma
        return z, (self.weights.log_softmax(0) + log_slopes).logsumexp(1)
"""),
            ("reach = 12 * self.log_sigma.exp()", "reach = 40 * self.log_sigma.exp()"),
            ("cdf_flow\", CDFFlow(components=5)", "cdf_flow\", CDFFlow(components=8)"),
        ),
    ),
    Variant(
        "ar-erf-double-newton", "ar_flow", "erf in double precision, bisection finished with Newton's steps",
        (
            (AR_CDF, """    pi, sigma = pi_logits.double().softmax(1), log_sigma.double().exp()
    t = (x.double().unsqueeze(1) - mu) / sigma
    z = torch.sum(pi * (0.5 + 0.5 * torch.erf(t * 0.5**0.5)), dim=1)
    log_p = torch.logsumexp(pi.log() - t.square() / 2 - sigma.log() - math.log(math.tau) / 2, dim=1)
    return z.float(), log_p.float()
"""),
            (AR_INVERSE_CDF, """    low, high = torch.full_like(z, -300.0), torch.full_like(z, 300.0)
    for step in range(60):
        x = (low + high) / 2
        value, log_slope = mixture_cdf(x, pi_logits, mu, log_sigma)
        low, high = torch.where(value < z, x, low), torch.where(value < z, high, x)
    newton = x + (z - value) * torch.exp(-log_slope)
    return torch.where((newton > low) & (newton < high), newton, x)
"""),
        ),
        weights="reference",
    ),
    Variant(
        "ar-distributions-library", "ar_flow", "torch.distributions; x_2 drawn from its mixture, not by inversion",
        (
            (AR_CDF, """    from torch.distributions import Categorical, MixtureSameFamily, Normal
    mixture = MixtureSameFamily(Categorical(logits=pi_logits), Normal(mu, torch.exp(log_sigma)))
    return mixture.cdf(x), mixture.log_prob(x)
"""),
            (AR_SAMPLE, """        def drawn(logits, mu, log_sigma):
            k = torch.distributions.Categorical(logits=logits).sample()[:, None]
            return (mu.gather(1, k) + log_sigma.gather(1, k).exp() * torch.randn(n, 1)).squeeze(1)

        with torch.no_grad():
            x1 = drawn(*self.first.expand(n, -1).chunk(3, dim=1))
            x2 = drawn(*(self.start + self.net(x1[:, None])).chunk(3, dim=1))
        return torch.stack([x1, x2], dim=1)
"""),
        ),
        weights="reference",
    ),
    Variant(
        "ar-x2-first", "ar_flow", "the other order: x_2 by itself, then x_1 given x_2",
        (
            (AR_FORWARD, """        z2, log_slope2 = mixture_cdf(x[:, 1], *self.first.expand(len(x), -1).chunk(3, dim=1))
        z1, log_slope1 = mixture_cdf(x[:, 0], *(self.start + self.net(x[:, 1:])).chunk(3, dim=1))
        return torch.stack([z1, z2], dim=1), log_slope1 + log_slope2
"""),
            (AR_INVERSE, """        x2 = inverse_mixture_cdf(z[:, 1], *self.first.expand(len(z), -1).chunk(3, dim=1))
        x1 = inverse_mixture_cdf(z[:, 0], *(self.start + self.net(x2[:, None])).chunk(3, dim=1))
        return torch.stack([x1, x2], dim=1)
"""),
        ),
    ),
    Variant(
        "nvp-masks", "realnvp", "halves chosen by multiplying with a mask",
        (
            (NVP_FORWARD, """        mask = torch.eye(2)[self.keep]
        log_sigma, mu = self.log_sigma_and_mu((x * mask).sum(1, keepdim=True))
        moved = (1 - mask) * log_sigma
        return mask * x + (1 - mask) * (x * moved.exp() + mu), moved.sum(1)
"""),
            (NVP_INVERSE, """        mask = torch.eye(2)[self.keep]
        log_sigma, mu = self.log_sigma_and_mu((z * mask).sum(1, keepdim=True))
        return torch.where(mask.bool(), z, (z - mu) / log_sigma.exp())
"""),
        ),
        weights="reference",
    ),
    Variant(
        "nvp-in-place-library-base", "realnvp", "assigns into a clone; recursion; torch.distributions for the base",
        (
            (NVP_FORWARD, """        i, j = self.keep, 1 - self.keep
        log_sigma, mu = (v[:, 0] for v in self.log_sigma_and_mu(x[:, i : i + 1]))
        z = x.clone()
        z[:, j] = torch.addcmul(mu, x[:, j], log_sigma.exp())
        return z, log_sigma
"""),
            (NVP_INVERSE, """        i, j = self.keep, 1 - self.keep
        log_sigma, mu = (v[:, 0] for v in self.log_sigma_and_mu(z[:, i : i + 1]))
        x = z.clone()
        x[:, j] = (z[:, j] - mu) / log_sigma.exp()
        return x
"""),
            (NVP_LOG_PROB, """        base = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
        z, log_det = self.forward(x)
        return base.log_prob(z) + log_det
"""),
        ),
        weights="reference",
    ),
    Variant(
        "nvp-log-dets-listed", "realnvp", "collects the log_dets in a list; undoes the couplings by their numbers",
        (
            (NVP_COMPOSED, """        log_dets = [torch.full_like(x[:, 0], 3.0).log() * 2]
        x = 3 * x
        for coupling in self.couplings:
            x, log_det = coupling(x)
            log_dets.append(log_det)
        return x, torch.stack(log_dets, dim=1).sum(dim=1)
"""),
            (NVP_UNDONE, """        for i in range(len(self.couplings) - 1, -1, -1):
            z = self.couplings[i].inverse(z)
        return z / 3
"""),
            (NVP_SAMPLE, """        z = torch.distributions.Normal(0.0, 1.0).sample((n, 2))
        return self.inverse(z)
"""),
        ),
        weights="reference",
    ),
    Variant(
        "img-library", "realnvp_images", "torch's own logit, pixel_shuffle and distributions",
        (
            (IMG_DEQUANTIZE, """    noise = torch.distributions.Uniform(0.0, 1.0).sample(x.shape)
    return (x.float() + noise) / levels, -math.log(levels) * torch.ones(x.shape[0]) * math.prod(x.shape[1:])
"""),
            (IMG_TO_LOGITS, """    t = torch.logit(y * (1 - 2 * ALPHA) + ALPHA)
    slope = F.softplus(t) + F.softplus(-t) + math.log(1 - 2 * ALPHA)
    return t, slope.sum(dim=(1, 2, 3))
"""),
            (IMG_SQUEEZE, "    return F.pixel_unshuffle(x, 2)\n"),
            (IMG_UNSQUEEZE, "    return F.pixel_shuffle(z, 2)\n"),
            (Body("ImageRealNVP.log_prob"), """        y, on_the_way = dequantize(x, self.levels)
        t, of_the_logit = to_logits(y)
        z, of_the_flow = self.forward(t)
        base = torch.distributions.Independent(torch.distributions.Normal(torch.zeros_like(z), 1.0), 3)
        return base.log_prob(z) + (of_the_flow + of_the_logit + on_the_way)
"""),
        ),
        weights="reference",
    ),
    Variant(
        "img-boolean-masks", "realnvp_images", "torch.where instead of products; masks of other types, filled by slices",
        (
            (IMG_BOARD, """    mask = torch.zeros(tuple(shape), dtype=torch.float64)
    mask[:, 0::2, keep::2] = 1
    mask[:, 1::2, 1 - keep::2] = 1
    return mask.to(torch.float32)
"""),
            (IMG_HALF, """    halves = torch.zeros(*shape).chunk(2)
    return torch.cat([halves[0] + (keep == 0), halves[1] + (keep == 1)])
"""),
            (Body("MaskedCoupling.forward"), """        log_sigma, mu = self.log_sigma_and_mu(x)
        z = torch.where(self.mask.bool(), x, torch.addcmul(mu, x, log_sigma.exp()))
        return z, torch.einsum("bchw->b", log_sigma)
"""),
            (Body("MaskedCoupling.inverse"), """        log_sigma, mu = self.log_sigma_and_mu(z)
        return torch.where(self.mask.bool(), z, (z - mu) / log_sigma.exp())
"""),
        ),
        weights="reference",
    ),
    Variant(
        "img-log-dets-listed", "realnvp_images", "lists of log_dets; a loop over scales; interpolation by lerp, way by way",
        (
            (Body("ImageRealNVP.forward"), """        log_dets = []
        for scale in range(self.scales):
            for k in range(6):
                t = squeeze(t) if k == 2 else t
                t, log_det = self.layers[6 * scale + k](t)
                log_dets.append(log_det)
        for scale in range(self.scales):
            t = unsqueeze(t)
        return t, torch.stack(log_dets).sum(dim=0)
"""),
            (Body("ImageRealNVP.inverse"), """        for scale in range(self.scales):
            z = squeeze(z)
        for scale in range(self.scales - 1, -1, -1):
            for k in (5, 4, 3, 2, 1, 0):
                z = self.layers[6 * scale + k].inverse(z)
                z = unsqueeze(z) if k == 2 else z
        return z
"""),
            (Body("ImageRealNVP.sample"), """        z = torch.distributions.Normal(0.0, 1.0).sample((n, *self.shape))
        return tensors.quantize(from_logits(self.inverse(z)), self.levels)
"""),
            (Body("ImageRealNVP.interpolate"), """        start, end = self(a)[0], self(b)[0]
        ways = [self.inverse(torch.lerp(start, end, float(w))) for w in np.linspace(0, 1, steps)]
        return torch.stack(ways, dim=1)
"""),
        ),
        weights="reference",
    ),
    Variant(
        "glow-matrix-products", "glow", "einsum for the 1 × 1 convolution, a solver for its inverse, slogdet for its log_det",
        (
            (Body("InvertibleConv.forward"), """        W = self.weight()
        z = torch.einsum("ij,bjhw->bihw", W, x)
        return z, torch.linalg.slogdet(W).logabsdet.repeat(len(x)) * x.shape[2] * x.shape[3]
"""),
            (Body("InvertibleConv.inverse"), """        B, C, H, W = z.shape
        return torch.linalg.solve(self.weight(), z.reshape(B, C, H * W)).reshape(B, C, H, W)
"""),
        ),
        weights="reference",
    ),
    Variant(
        "glow-triangular-solves", "glow", "undoes P, L and U one after the other; ActNorm with the batch's biased variance",
        (
            (Body("InvertibleConv.inverse"), """        B, C, H, W = z.shape
        lower, upper = self.L.tril(-1), self.U.triu(1) + torch.diag(self.sign * self.log_s.exp())
        columns = self.P.T @ z.reshape(B, C, H * W)
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(upper, columns, upper=True).reshape(B, C, H, W)
"""),
            (Body("ActNorm.forward"), """        if self.training and not bool(self.ready):
            variance, mean = torch.var_mean(x.detach(), dim=(0, 2, 3), keepdim=True, unbiased=False)
            self.b.data, self.l.data = -mean[0], -0.5 * torch.log(variance[0])
            self.ready = torch.tensor(True)
        pixels = x.shape[-1] * x.shape[-2]
        return torch.exp(self.l) * (x + self.b), pixels * self.l.sum() * torch.ones(len(x))
"""),
        ),
        weights="reference",
    ),
    Variant(
        "glow-in-place", "glow", "couplings by torch.split; log_dets listed; a loop over scales and steps",
        (
            (Body("ChannelCoupling.parts"), """        half = x.shape[1] // 2
        x_a, x_b = torch.split(x, [half, x.shape[1] - half], dim=1)
        out = self.net(x_a)
        return x_a, x_b, torch.tanh(out[:, : x_b.shape[1]]) * self.scale, out[:, x_b.shape[1] :]
"""),
            (Body("ChannelCoupling.forward"), """        _, x_b, log_sigma, mu = self.parts(x)
        z = x.clone()
        z[:, -x_b.shape[1] :] = torch.addcmul(mu, x_b, torch.exp(log_sigma))
        return z, log_sigma.flatten(1).sum(dim=1)
"""),
            (Body("Glow.forward"), """        log_dets, layers = [], iter(self.layers)
        for _ in range(self.scales):
            t = tensors.squeeze(t)
            for _ in range(3 * self.steps):
                t, log_det = next(layers)(t)
                log_dets.append(log_det)
        for _ in range(self.scales):
            t = tensors.unsqueeze(t)
        return t, sum(log_dets)
"""),
            (Body("Glow.sample"), """        z = torch.normal(0.0, 1.0, (n, *self.shape))
        y = tensors.from_logits(self.inverse(z)).clamp(0, 1 - 1e-6)
        return torch.floor(y * self.levels).to(torch.int64)
"""),
        ),
        weights="reference",
    ),
)  # fmt: skip
