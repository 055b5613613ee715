"""Right designs for HW1 that look nothing like the reference."""

from autograder.mutants import Variant

# Every piece of the reference MADE that a variant replaces.
NET = """        of_data = torch.arange(1, dims + 1).repeat_interleave(bins)  # every bin carries its dimension's degree
        of_hidden = torch.arange(hidden) % max(1, dims - 1) + 1
        self.net = nn.Sequential(
            MaskedLinear(of_data, of_hidden),
            nn.ReLU(),
            MaskedLinear(of_hidden, of_hidden),
            nn.ReLU(),
            MaskedLinear(of_hidden, of_data, is_output=True),
        )
"""
LOGITS = """        one_hot = F.one_hot(x, self.bins).float().flatten(1)  # (B, dims · bins)
        return self.net(one_hot).view(-1, self.dims, self.bins)
"""
LOG_PROB = """        log_p = F.log_softmax(self.logits(x), dim=-1)
        return log_p.gather(-1, x[..., None]).squeeze(-1).sum(dim=1)
"""
SAMPLE = """        for i in range(self.dims):
            p = self.logits(x)[:, i].softmax(dim=-1)
            x[:, i] = torch.multinomial(p, 1).squeeze(-1)
"""
MIXTURE_PARAMETERS = """        self.pi_logits = nn.Parameter(torch.zeros(components))
        self.mu = nn.Parameter(torch.linspace(-1, 1, components))
        self.log_s = nn.Parameter(torch.full((components,), -2.0))
"""
MIXTURE_LOG_PROB = """        step = 2 / (self.levels - 1)
        centre = x * step - 1  # levels 0 … L−1 onto [−1, 1]
        s = self.log_s.exp()
        b = (centre + step / 2 - self.mu) / s  # (B, K)
        a = (centre - step / 2 - self.mu) / s
        left = F.logsigmoid(b)  # log σ(b): all mass below the upper edge
        right = F.logsigmoid(-a)  # log (1 − σ(a)): all mass above the lower edge
        inside = left + right + torch.log(-torch.expm1(-step / s))
        log_p = torch.where(x == 0, left, torch.where(x == self.levels - 1, right, inside))
        return torch.logsumexp(log_p + F.log_softmax(self.pi_logits, dim=0), dim=1)
"""
MIXTURE_SAMPLE = """        k = torch.multinomial(self.pi_logits.softmax(dim=0), n, replacement=True)
        u = torch.rand(n).clamp(1e-7, 1 - 1e-7)
        value = self.mu[k] + self.log_s.exp()[k] * torch.logit(u)  # logit is the inverse of the logistic's CDF
        level = torch.round((value + 1) * (self.levels - 1) / 2)
        return level.clamp(0, self.levels - 1).long()[:, None]
"""

VARIANTS = (
    Variant(
        "softplus-scales", "logistic_mixture", "scales through a softplus, clamped differences of sigmoids in double",
        (
            (MIXTURE_PARAMETERS, """        self.weights = nn.Parameter(0.1 * torch.randn(components))
        self.centres = nn.Parameter(torch.rand(components) * 2 - 1)
        self.raw = nn.Parameter(torch.full((components,), -2.0))
"""),
            (MIXTURE_LOG_PROB, """        half = 1 / (self.levels - 1)
        y = x.double() / (self.levels - 1) * 2 - 1
        s = F.softplus(self.raw).double() + 1e-4
        upper = torch.sigmoid((y + half - self.centres) / s).masked_fill(x == self.levels - 1, 1.0)
        lower = torch.sigmoid((y - half - self.centres) / s).masked_fill(x == 0, 0.0)
        p = (torch.softmax(self.weights, 0) * (upper - lower)).sum(1)
        return torch.log(p.clamp_min(1e-12)).float()
"""),
            (MIXTURE_SAMPLE, """        out = []
        s = F.softplus(self.raw) + 1e-4
        for k in torch.distributions.Categorical(logits=self.weights).sample((n,)):
            u = torch.rand(()).clamp(1e-6, 1 - 1e-6)
            value = self.centres[k] + s[k] * (u.log() - (1 - u).log())
            out.append(((value + 1) / 2 * (self.levels - 1) + 0.5).floor().clamp(0, self.levels - 1))
        return torch.stack(out).long()[:, None]
"""),
        ),
    ),
    Variant(
        "table-of-all-levels", "logistic_mixture", "the CDF at every edge once, differences, then a table look-up",
        (
            (MIXTURE_LOG_PROB, """        cuts = (torch.arange(self.levels - 1) + 0.5) * 2 / (self.levels - 1) - 1  # inner edges of the bins
        t = (cuts[:, None] - self.mu) / self.log_s.exp()  # (L−1, K)
        below, above = F.logsigmoid(t), F.logsigmoid(-t)
        gap = torch.log(-torch.expm1(-2 / (self.levels - 1) / self.log_s.exp()))
        middle = below[1:] + above[:-1] + gap
        table = torch.cat([below[:1], middle, above[-1:]])
        return torch.logsumexp(table + F.log_softmax(self.pi_logits, 0), 1)[x.squeeze(1)]
"""),
            (MIXTURE_SAMPLE, """        levels = torch.arange(self.levels)[:, None]
        return torch.multinomial(self.log_prob(levels).exp(), n, replacement=True).unsqueeze(1)
"""),
        ),
        weights="reference",
    ),
    Variant(
        "distributions-library", "logistic_mixture", "torch.distributions for the mixture, levels as units",
        (
            (MIXTURE_PARAMETERS, """        self.pi_logits = nn.Parameter(torch.zeros(components))
        self.mu = nn.Parameter(torch.linspace(0, levels - 1, components) / 10)
        self.log_s = nn.Parameter(torch.full((components,), float(levels) / 20).log())
"""),
            (MIXTURE_LOG_PROB, """        from torch.distributions import Categorical
        s, mu = self.log_s.exp(), 10 * self.mu
        def log_mass(lower, upper):
            return F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log1p(-torch.exp(-(upper - lower)))
        upper, lower = (x + 0.5 - mu) / s, (x - 0.5 - mu) / s
        parts = log_mass(lower, upper)
        parts = torch.where(x <= 0, F.logsigmoid(upper), parts)
        parts = torch.where(x >= self.levels - 1, F.logsigmoid(-lower), parts)
        return (Categorical(logits=self.pi_logits).logits + parts).logsumexp(-1)
"""),
            (MIXTURE_SAMPLE, """        from torch.distributions import (AffineTransform, Categorical, Independent, MixtureSameFamily,
                                         SigmoidTransform, TransformedDistribution, Uniform)
        k = Categorical(logits=self.pi_logits).sample((n,))
        base = Uniform(torch.zeros_like(self.mu), torch.ones_like(self.mu))
        logistic = TransformedDistribution(base, [SigmoidTransform().inv, AffineTransform(10 * self.mu, self.log_s.exp())])
        drawn = logistic.sample((n,)).gather(1, k[:, None])
        return drawn.round().clamp(0, self.levels - 1).to(torch.int64)
"""),
        ),
    ),
    Variant(
        "reversed-order-one-hidden-layer", "made", "x_d first, one wide hidden layer, tanh",
        (
            (NET, """        degree = torch.arange(dims, 0, -1)
        of_data, of_hidden = degree.repeat_interleave(bins), torch.arange(4 * hidden) % max(1, dims - 1) + 1
        self.net = nn.Sequential(
            MaskedLinear(of_data, of_hidden), nn.Tanh(), MaskedLinear(of_hidden, of_data, is_output=True)
        )
"""),
            (SAMPLE, """        for i in reversed(range(self.dims)):
            x[:, i] = torch.distributions.Categorical(logits=self.logits(x)[:, i]).sample()
"""),
        ),
    ),
    Variant(
        "embedding-random-order-deeper", "made", "learned embeddings, a random order, three hidden layers, GELU",
        (
            (NET, """        order = torch.randperm(dims)
        self.register_buffer("order", order)
        place = torch.empty_like(order)
        place[order] = torch.arange(dims)
        self.embed = nn.Embedding(bins, 16)
        of_inputs = (place + 1).repeat_interleave(16)
        of_data = (place + 1).repeat_interleave(bins)
        of_hidden = torch.arange(hidden) % max(1, dims - 1) + 1
        layers = [MaskedLinear(of_inputs, of_hidden), nn.GELU()]
        for _ in range(2):
            layers += [MaskedLinear(of_hidden, of_hidden), nn.GELU()]
        self.net = nn.Sequential(*layers, MaskedLinear(of_hidden, of_data, is_output=True))
"""),
            (LOGITS, """        return self.net(self.embed(x).flatten(1)).unflatten(1, (self.dims, self.bins))
"""),
            (SAMPLE, """        for i in self.order:
            x[:, i] = torch.distributions.Categorical(logits=self.logits(x)[:, i]).sample()
"""),
        ),
    ),
    Variant(
        "raw-levels-network-per-dimension", "made", "scaled integers with sines, one small network a dimension, a loop",
        (
            (NET, """        self.first = nn.Parameter(torch.zeros(bins))
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Linear(17 * i, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, 2 * hidden), nn.ReLU(),
                          nn.Linear(2 * hidden, bins))
            for i in range(1, dims)
        )
"""),
            (LOGITS, """        y = x.float() / (self.bins - 1) * 2 - 1
        frequency = 3.14159 * torch.arange(1, 9)
        t = y[..., None] * frequency
        features = torch.cat([y[..., None], t.sin(), t.cos()], dim=-1)
        out = [self.first.expand(len(x), self.bins)]
        for i, net in enumerate(self.nets, start=1):
            out.append(net(features[:, :i].flatten(1)))
        return torch.stack(out, dim=1)
"""),
            (LOG_PROB, """        logits = self.logits(x)
        total = torch.zeros(len(x))
        for i in range(self.dims):
            total = total - F.cross_entropy(logits[:, i], x[:, i], reduction="none")
        return total
"""),
        ),
    ),
)  # fmt: skip
