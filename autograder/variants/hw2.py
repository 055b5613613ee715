"""Right designs for HW2 that look nothing like the reference."""

from autograder.mutants import Variant

# Every piece of the reference that a variant replaces.
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
)  # fmt: skip
