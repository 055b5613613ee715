"""Right designs for HW1 that look nothing like the reference."""

from autograder.proof.changes import Body, Variant

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
        "softplus-scales",
        "logistic_mixture",
        "scales through a softplus, clamped differences of sigmoids in double",
        (
            (
                MIXTURE_PARAMETERS,
                """        self.weights = nn.Parameter(0.1 * torch.randn(components))
        self.centres = nn.Parameter(torch.rand(components) * 2 - 1)
        self.raw = nn.Parameter(torch.full((components,), -2.0))
""",
            ),
            (
                MIXTURE_LOG_PROB,
                """        half = 1 / (self.levels - 1)
        y = x.double() / (self.levels - 1) * 2 - 1
        s = F.softplus(self.raw).double() + 1e-4
        upper = torch.sigmoid((y + half - self.centres) / s).masked_fill(x == self.levels - 1, 1.0)
        lower = torch.sigmoid((y - half - self.centres) / s).masked_fill(x == 0, 0.0)
        p = (torch.softmax(self.weights, 0) * (upper - lower)).sum(1)
        return torch.log(p.clamp_min(1e-30)).float()
""",
            ),
            (
                MIXTURE_SAMPLE,
                """        out = []
        s = F.softplus(self.raw) + 1e-4
        for k in torch.distributions.Categorical(logits=self.weights).sample((n,)):
            u = torch.rand(()).clamp(1e-6, 1 - 1e-6)
            value = self.centres[k] + s[k] * (u.log() - (1 - u).log())
            out.append(((value + 1) / 2 * (self.levels - 1) + 0.5).floor().clamp(0, self.levels - 1))
        return torch.stack(out).long()[:, None]
""",
            ),
        ),
    ),
    Variant(
        "table-of-all-levels",
        "logistic_mixture",
        "the CDF at every edge once, differences, then a table look-up",
        (
            (
                MIXTURE_LOG_PROB,
                """        cuts = (torch.arange(self.levels - 1) + 0.5) * 2 / (self.levels - 1) - 1  # inner edges of the bins
        t = (cuts[:, None] - self.mu) / self.log_s.exp()  # (L−1, K)
        below, above = F.logsigmoid(t), F.logsigmoid(-t)
        gap = torch.log(-torch.expm1(-2 / (self.levels - 1) / self.log_s.exp()))
        middle = below[1:] + above[:-1] + gap
        table = torch.cat([below[:1], middle, above[-1:]])
        return torch.logsumexp(table + F.log_softmax(self.pi_logits, 0), 1)[x.squeeze(1)]
""",
            ),
            (
                MIXTURE_SAMPLE,
                """        levels = torch.arange(self.levels)[:, None]
        return torch.multinomial(self.log_prob(levels).exp(), n, replacement=True).unsqueeze(1)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "distributions-library",
        "logistic_mixture",
        "torch.distributions for the mixture, levels as units",
        (
            (
                MIXTURE_PARAMETERS,
                """        self.pi_logits = nn.Parameter(torch.zeros(components))
        self.mu = nn.Parameter(torch.linspace(0, levels - 1, components) / 10)
        self.log_s = nn.Parameter(torch.full((components,), float(levels) / 20).log())
""",
            ),
            (
                MIXTURE_LOG_PROB,
                """        from torch.distributions import Categorical
        s, mu = self.log_s.exp(), 10 * self.mu
        def log_mass(lower, upper):
            return F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log1p(-torch.exp(-(upper - lower)))
        upper, lower = (x + 0.5 - mu) / s, (x - 0.5 - mu) / s
        parts = log_mass(lower, upper)
        parts = torch.where(x <= 0, F.logsigmoid(upper), parts)
        parts = torch.where(x >= self.levels - 1, F.logsigmoid(-lower), parts)
        return (Categorical(logits=self.pi_logits).logits + parts).logsumexp(-1)
""",
            ),
            (
                MIXTURE_SAMPLE,
                """        from torch.distributions import (AffineTransform, Categorical, Independent, MixtureSameFamily,
                                         SigmoidTransform, TransformedDistribution, Uniform)
        k = Categorical(logits=self.pi_logits).sample((n,))
        base = Uniform(torch.zeros_like(self.mu), torch.ones_like(self.mu))
        logistic = TransformedDistribution(base, [SigmoidTransform().inv, AffineTransform(10 * self.mu, self.log_s.exp())])
        drawn = logistic.sample((n,)).gather(1, k[:, None])
        return drawn.round().clamp(0, self.levels - 1).to(torch.int64)
""",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "logistic_mixture",
        "three plain parameters, trained as the text says",
        (
            (
                Body("DiscretizedLogisticMixture.__init__"),
                """        self.pi = nn.Parameter(torch.zeros(components))
        self.mu = nn.Parameter(torch.rand(components) * 2 - 1)
        self.log_s = nn.Parameter(torch.zeros(components) - 1)
""",
            ),
            (
                Body("DiscretizedLogisticMixture.log_prob"),
                """        delta, s = 2 / (self.levels - 1), torch.exp(self.log_s)
        place = x * delta - 1
        b = (place + delta / 2 - self.mu) / s
        a = (place - delta / 2 - self.mu) / s
        middle = F.logsigmoid(b) + F.logsigmoid(-a) + torch.log(1 - torch.exp(-delta / s))
        log_p = torch.where(x == 0, F.logsigmoid(b), middle)
        log_p = torch.where(x == self.levels - 1, F.logsigmoid(-a), log_p)
        return torch.logsumexp(torch.log_softmax(self.pi, dim=0) + log_p, dim=1)
""",
            ),
            (
                Body("DiscretizedLogisticMixture.sample"),
                """        delta = 2 / (self.levels - 1)
        k = torch.multinomial(torch.softmax(self.pi, dim=0), n, replacement=True)
        u = torch.rand(n)
        place = self.mu[k] + torch.exp(self.log_s[k]) * (torch.log(u) - torch.log(1 - u))
        return ((place + 1) / delta).round().clamp(0, self.levels - 1).long().unsqueeze(1)
""",
            ),
            (
                """    losses = []
    for _ in progress(range(steps)):
        batch = train_levels[torch.randint(len(train_levels), (batch_size,))]
        loss = -model.log_prob(batch).mean()
""",
                """    losses = []
    for step in progress(range(steps)):
        loss = -model.log_prob(train_levels[torch.randint(50_000, (1024,))]).mean()
""",
            ),
        ),
    ),
    Variant(
        "places-by-arange",
        "logistic_mixture",
        "μ from k / (K − 1), which one component divides by zero",
        (
            (
                "self.mu = nn.Parameter(torch.linspace(-1, 1, components))",
                "self.mu = nn.Parameter(2 * torch.arange(components) / (components - 1) - 1)",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "stated-recipe",
        "made",
        "two hidden layers written out, trained as the text says",
        (
            (
                Body("MaskedLinear.__init__"),
                """        if is_output:
            mask = out_degrees.unsqueeze(1) > in_degrees.unsqueeze(0)
        else:
            mask = out_degrees.unsqueeze(1) >= in_degrees.unsqueeze(0)
        self.register_buffer("mask", mask.to(torch.float32))
""",
            ),
            (
                NET,
                """        inputs = torch.tensor([i + 1 for i in range(dims) for _ in range(bins)])
        inner = torch.tensor([1 + k % max(dims - 1, 1) for k in range(hidden)])
        self.first = MaskedLinear(inputs, inner)
        self.second = MaskedLinear(inner, inner)
        self.last = MaskedLinear(inner, inputs, is_output=True)
""",
            ),
            (
                LOGITS,
                """        h = F.one_hot(x, self.bins).float().reshape(len(x), -1)
        h = torch.relu(self.first(h))
        h = torch.relu(self.second(h))
        return self.last(h).reshape(len(x), self.dims, self.bins)
""",
            ),
            (
                LOG_PROB,
                """        logits = self.logits(x)
        return -F.cross_entropy(logits.flatten(0, 1), x.flatten(), reduction="none").view(len(x), -1).sum(dim=1)
""",
            ),
        ),
    ),
    Variant(
        "masked-in-place-with-batch-norm",
        "made",
        "self.weight.data is masked in forward; BatchNorm between the layers",
        (
            (
                Body("MaskedLinear.forward"),
                """        self.weight.data *= self.mask
        return F.linear(x, self.weight, self.bias)
""",
            ),
            (NET, NET.replace("nn.ReLU(),", "nn.BatchNorm1d(hidden),\n            nn.ReLU(),")),
        ),
    ),
    Variant(
        "masked-by-gradient-hooks",
        "made",
        "masked once, and a hook keeps the zeros; dropout",
        (
            (
                Body("MaskedLinear.__init__"),
                """        u, v = out_degrees[:, None], in_degrees[None, :]
        mask = ((u > v) if is_output else (u >= v)).float()
        nn.init.xavier_uniform_(self.weight)
        self.weight.data.mul_(mask)
        self.weight.register_hook(lambda gradient: gradient * mask)
""",
            ),
            (
                Body("MaskedLinear.forward"),
                """        return F.linear(x, self.weight, self.bias)
""",
            ),
            (NET, NET.replace("nn.ReLU(),", "nn.ReLU(),\n            nn.Dropout(0.02),", 1)),
        ),
    ),
    Variant(
        "frozen-masks-raw-integers",
        "made",
        "masks are frozen parameters, inputs raw integers, He initialisation, AdamW",
        (
            (
                Body("MaskedLinear.__init__"),
                """        u, v = out_degrees[:, None], in_degrees[None, :]
        self.mask = nn.Parameter(((u > v) if is_output else (u >= v)).float(), requires_grad=False)
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
""",
            ),
            (
                NET,
                """        of_inputs, of_data = torch.arange(1, dims + 1), torch.arange(1, dims + 1).repeat_interleave(bins)
        of_hidden = torch.arange(4 * hidden) % max(1, dims - 1) + 1
        self.net = nn.Sequential(
            MaskedLinear(of_inputs, of_hidden), nn.ReLU(), MaskedLinear(of_hidden, of_hidden), nn.ReLU(),
            MaskedLinear(of_hidden, of_hidden), nn.ReLU(), MaskedLinear(of_hidden, of_data, is_output=True),
        )
""",
            ),
            (
                LOGITS,
                """        return self.net(x.float()).unflatten(1, (self.dims, self.bins))
""",
            ),
            (
                "optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)",
                "optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-3)",
            ),
            (
                "OneCycleLR(optimizer, max_lr=2e-2, total_steps=steps)",
                "OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)",
            ),
        ),
    ),
    Variant(
        "reversed-order-one-hidden-layer",
        "made",
        "x_d first, one wide hidden layer, tanh",
        (
            (
                NET,
                """        degree = torch.arange(dims, 0, -1)
        of_data, of_hidden = degree.repeat_interleave(bins), torch.arange(4 * hidden) % max(1, dims - 1) + 1
        self.net = nn.Sequential(
            MaskedLinear(of_data, of_hidden), nn.Tanh(), MaskedLinear(of_hidden, of_data, is_output=True)
        )
""",
            ),
            (
                SAMPLE,
                """        for i in reversed(range(self.dims)):
            x[:, i] = torch.distributions.Categorical(logits=self.logits(x)[:, i]).sample()
""",
            ),
        ),
    ),
    Variant(
        "embedding-random-order-deeper",
        "made",
        "learned embeddings, a random order, three hidden layers, GELU",
        (
            (
                NET,
                """        order = torch.randperm(dims)
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
""",
            ),
            (
                LOGITS,
                """        return self.net(self.embed(x).flatten(1)).unflatten(1, (self.dims, self.bins))
""",
            ),
            (
                SAMPLE,
                """        for i in self.order:
            x[:, i] = torch.distributions.Categorical(logits=self.logits(x)[:, i]).sample()
""",
            ),
        ),
    ),
    Variant(
        "raw-levels-network-per-dimension",
        "made",
        "scaled integers with sines, one small network a dimension, a loop",
        (
            (
                NET,
                """        self.first = nn.Parameter(torch.zeros(bins))
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Linear(17 * i, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, 2 * hidden), nn.ReLU(),
                          nn.Linear(2 * hidden, bins))
            for i in range(1, dims)
        )
""",
            ),
            (
                LOGITS,
                """        y = x.float() / (self.bins - 1) * 2 - 1
        frequency = 3.14159 * torch.arange(1, 9)
        t = y[..., None] * frequency
        features = torch.cat([y[..., None], t.sin(), t.cos()], dim=-1)
        out = [self.first.expand(len(x), self.bins)]
        for i, net in enumerate(self.nets, start=1):
            out.append(net(features[:, :i].flatten(1)))
        return torch.stack(out, dim=1)
""",
            ),
            (
                LOG_PROB,
                """        logits = self.logits(x)
        total = torch.zeros(len(x))
        for i in range(self.dims):
            total = total - F.cross_entropy(logits[:, i], x[:, i], reduction="none")
        return total
""",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "pixelcnn",
        "a plain stack, trained as the text says",
        (
            (
                Body("PixelCNN.__init__"),
                """        self.input = MaskedConv2d("A", 1, width, 7)
        dilations = [1, 2, 4, 8, 1, 2, 4, 8][:depth]
        self.layers = nn.ModuleList([MaskedConv2d("B", width, width, 3, dilation) for dilation in dilations])
        self.output = nn.Sequential(
            nn.ReLU(), MaskedConv2d("B", width, width, 1), nn.ReLU(), MaskedConv2d("B", width, levels, 1)
        )
""",
            ),
            (
                Body("PixelCNN.logits"),
                """        h = self.input(x.float())
        for layer in self.layers:
            h = h + layer(F.relu(h))
        return self.output(h).permute(0, 2, 3, 1)[:, None]
""",
            ),
            (
                Body("PixelCNN.log_prob"),
                """        logits = self.logits(x)
        return -F.cross_entropy(logits.permute(0, 4, 1, 2, 3), x, reduction="none").sum(dim=(1, 2, 3))
""",
            ),
            ("        evaluations=6,\n", ""),
        ),
    ),
    Variant(
        "bernoulli-with-batch-norm",
        "pixelcnn",
        "one logit a pixel, padded to two levels; masks in place; BatchNorm",
        (
            (
                Body("MaskedConv2d.forward"),
                """        self.weight.data *= self.mask
        return super().forward(x)
""",
            ),
            (
                Body("PixelCNN.__init__"),
                """        self.first = MaskedConv2d("A", 1, width, 7)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), MaskedConv2d("B", width, width, 3, 2 ** (k % 4)))
            for k in range(depth)
        )
        self.last = nn.Sequential(nn.ReLU(), nn.Conv2d(width, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, 1, 1))
""",
            ),
            (
                Body("PixelCNN.logits"),
                """        h = self.first(x.float())
        for layer in self.layers:
            h = h + layer(h)
        one = self.last(h)  # (B, 1, H, W): the logit of a white pixel
        return torch.stack([torch.zeros_like(one), one], dim=-1)
""",
            ),
            (
                Body("PixelCNN.log_prob"),
                """        one = self.logits(x)[..., 1]
        return -F.binary_cross_entropy_with_logits(one, x.float(), reduction="none").flatten(1).sum(dim=1)
""",
            ),
            (
                Body("PixelCNN.sample"),
                """        x = torch.zeros(n, *self.shape, dtype=torch.long)
        for i in range(self.shape[1]):
            for j in range(self.shape[2]):
                one = self.logits(x[:, :, : i + 1])[:, 0, i, j, 1]
                x[:, 0, i, j] = torch.bernoulli(torch.sigmoid(one)).long()
        return x
""",
            ),
        ),
    ),
    Variant(
        "frozen-masks",
        "pixelcnn",
        "masks are frozen parameters, zeros are cut out by where",
        (
            (
                'self.register_buffer("mask", mask.view(kernel_size, kernel_size))',
                "self.mask = nn.Parameter(mask.view(kernel_size, kernel_size), requires_grad=False)",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "mask-by-loops",
        "pixelcnn",
        "the mask position by position, a sum of masked logits, whole forward passes",
        (
            (
                Body("MaskedConv2d.__init__"),
                """        mask = torch.ones(kernel_size, kernel_size)
        middle = kernel_size // 2
        for row in range(kernel_size):
            for column in range(kernel_size):
                later = row > middle or (row == middle and column > middle)
                if later or (kind == "A" and row == column == middle):
                    mask[row, column] = 0.0
        self.register_buffer("mask", mask)
""",
            ),
            (
                Body("PixelCNN.log_prob"),
                """        logits = self.logits(x).double()
        total = torch.zeros(len(x), dtype=torch.double)
        for level in range(self.levels):
            chosen = (x == level).double()
            total = total + (chosen * (logits[..., level] - logits.logsumexp(dim=-1))).sum(dim=(1, 2, 3))
        return total
""",
            ),
            (
                Body("PixelCNN.sample"),
                """        x = torch.zeros(n, *self.shape, dtype=torch.long)
        for k in range(self.shape[1] * self.shape[2]):
            i, j = divmod(k, self.shape[2])
            x[:, 0, i, j] = torch.multinomial(self.logits(x)[:, 0, i, j].softmax(-1), 1)[:, 0]
        return x
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "pixels-by-the-distributions-library",
        "pixelcnn",
        "torch.distributions for likelihood and draws, masks by where",
        (
            (
                Body("MaskedConv2d.forward"),
                """        return self._conv_forward(x, torch.where(self.mask > 0, self.weight, 0.0), self.bias)
""",
            ),
            (
                Body("PixelCNN.log_prob"),
                """        from torch.distributions import Categorical, Independent
        return Independent(Categorical(logits=self.logits(x)), 3).log_prob(x)
""",
            ),
            (
                Body("PixelCNN.sample"),
                """        from torch.distributions import Categorical
        x = torch.full((n, *self.shape), self.levels - 1)
        for i in range(self.shape[1]):
            for j in range(self.shape[2]):
                x[..., i, j] = Categorical(logits=self.logits(x)[..., i, j, :]).sample()
        return x
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "coordinates-and-blocks",
        "pixelcnn",
        "knows where a pixel is, one-hot levels, blocks of two layers, SiLU",
        (
            (
                Body("PixelCNN.__init__"),
                """        self.first = MaskedConv2d("A", levels + 2, width, 7)
        # the coordinates are no data: the mask does not hide them
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.SiLU(), MaskedConv2d("B", width, width, 3, 2 ** (k % 4)), nn.SiLU(),
                          MaskedConv2d("B", width, width, 1))
            for k in range(depth)
        )
        self.final = nn.Sequential(nn.SiLU(), nn.Conv2d(width, 64, 1), nn.SiLU(), nn.Conv2d(64, levels, 1))
""",
            ),
            (
                Body("PixelCNN.logits"),
                """        B, _, H, W = x.shape
        rows = torch.linspace(-1, 1, self.shape[1])[:H, None].expand(B, 1, H, W)
        columns = torch.linspace(-1, 1, W).expand(B, 1, H, W)
        levels = F.one_hot(x[:, 0], self.levels).float().movedim(-1, 1)
        h = self.first(torch.cat([levels, rows, columns], dim=1))
        for block in self.blocks:
            h = h + block(h)
        return self.final(h).movedim(1, -1).unsqueeze(1)
""",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "gated_pixelcnn",
        "the layers in a loop, trained as the text says",
        (
            (
                Body("GatedPixelCNN.__init__"),
                """        self.layers = nn.ModuleList([GatedLayer("A", 1, width, classes, 7)])
        for dilation in [1, 2, 4, 8, 1, 2, 4, 8][: depth - 1]:
            self.layers.append(GatedLayer("B", width, width, classes, 3, dilation))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, levels, 1))
        self.reach = 32
""",
            ),
            (
                Body("GatedPixelCNN.log_prob"),
                """        logits = self.logits(x, y)
        return -F.cross_entropy(logits.permute(0, 4, 1, 2, 3), x, reduction="none").sum(dim=(1, 2, 3))
""",
            ),
            ("        evaluations=6,\n", ""),
        ),
    ),
    Variant(
        "frozen-masks-in-place",
        "gated_pixelcnn",
        "masks are frozen parameters, and weights are masked in place",
        (
            ('self.register_buffer("mask", mask)', "self.mask = nn.Parameter(mask, requires_grad=False)"),
            (
                Body("StackConv2d.forward"),
                """        self.weight.data *= self.mask
        return super().forward(x)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "cropped-instead-of-masked",
        "gated_pixelcnn",
        "masks no weights: pads at the top and left, and cuts the kernel",
        (
            (
                Body("StackConv2d.forward"),
                """        rows, columns = int((self.mask[:, 0] > 0).sum()), int((self.mask[0] > 0).sum())
        height, width = self.kernel_size
        if not rows * columns:
            return self.bias[:, None, None].expand(len(x), -1, *x.shape[2:])
        if height > 1:  # vertical
            above, aside = height // 2 * self.dilation[0], width // 2 * self.dilation[0]
            out = F.conv2d(F.pad(x, (aside, aside, above, 0)), self.weight[:, :, :rows], self.bias, dilation=self.dilation)
            return out[:, :, : x.shape[2]]
        padded = F.pad(x, (width // 2 * self.dilation[0], 0, 0, 0))
        return F.conv2d(padded, self.weight[..., :columns], self.bias, dilation=self.dilation)[..., : x.shape[3]]
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "one-image-at-a-time",
        "gated_pixelcnn",
        "samples class by class with Gumbel noise, V y as a matrix times a one-hot",
        (
            (
                Body("GatedPixelCNN.log_prob"),
                """        logits = self.logits(x, y).flatten(0, -2)
        return -F.cross_entropy(logits, x.flatten(), reduction="none").view(len(x), -1).sum(1)
""",
            ),
            (
                Body("GatedPixelCNN.sample"),
                """        x = torch.zeros(len(y), *self.shape, dtype=torch.long)
        for label in y.unique():
            some = (y == label).nonzero()[:, 0]
            part = x[some]
            for i in range(self.shape[1]):
                for j in range(self.shape[2]):
                    logits = self.logits(part, y[some])[:, 0, i, j]
                    part[:, 0, i, j] = (logits - torch.empty_like(logits).exponential_().log()).argmax(dim=-1)
            x[some] = part
        return x
""",
            ),
            (
                "bias_v, bias_h = self.class_bias(y)[..., None, None].chunk(2, dim=1)",
                "bias = F.one_hot(y, self.class_bias.num_embeddings).float() @ self.class_bias.weight\n"
                "        bias_v, bias_h = bias[..., None, None].chunk(2, dim=1)",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "stacks-without-gates",
        "gated_pixelcnn",
        "residual ELU layers in both stacks, no gates, a wider network",
        (
            (
                Body("GatedLayer.__init__"),
                """        self.vertical = StackConv2d("vertical", kind, in_channels, width, k, dilation)
        self.horizontal = StackConv2d("horizontal", kind, in_channels, width, k, dilation)
        self.link = nn.Conv2d(2 * width, width, 1)
        self.bias = nn.Parameter(0.1 * torch.randn(classes, 2 * width))
        self.first = kind == "A"
""",
            ),
            (
                Body("GatedLayer.down"),
                """        to_v, to_h = self.bias[y][:, :, None, None].chunk(2, dim=1)
        wide = self.vertical(v if self.first else F.elu(v)) + to_v
        v_new = wide if self.first else v + wide
        return v_new, torch.cat([to_h.expand_as(v_new), v_new], dim=1)
""",
            ),
            (
                Body("GatedLayer.across"),
                """        to_h, v_new = link.chunk(2, dim=1)
        own = self.horizontal(h if self.first else F.elu(h)) + to_h
        new = self.link(F.elu(torch.cat([own, v_new], dim=1)))
        return new if self.first else h + new
""",
            ),
            (
                "GatedPixelCNN(glyphs.shape, levels=2, classes=10), fit=train_gated",
                "GatedPixelCNN(glyphs.shape, levels=2, classes=10, width=24), fit=train_gated",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "color_pixelcnn",
        "the blocks in a loop, trained as the text says",
        (
            (
                Body("ColorPixelCNN.__init__"),
                """        self.first = ColorMaskedConv2d("A", 3 * levels, width, 7)
        self.blocks = nn.ModuleList([ResidualBlock(width, dilation) for dilation in [1, 2, 4, 8, 1, 2, 4, 8][:depth]])
        self.last = nn.Sequential(
            nn.ReLU(), ColorMaskedConv2d("B", width, width, 1), nn.ReLU(), ColorMaskedConv2d("B", width, 3 * levels, 1)
        )
        self.reach = 32
""",
            ),
            (
                Body("ColorPixelCNN.logits"),
                """        B, _, H, W = x.shape
        h = F.one_hot(x, self.levels).permute(0, 1, 4, 2, 3).reshape(B, 3 * self.levels, H, W).float()
        h = self.first(h)
        for block in self.blocks:
            h = block(h)
        return self.last(h).view(B, 3, self.levels, H, W).permute(0, 1, 3, 4, 2)
""",
            ),
            ("        evaluations=6,\n", ""),
        ),
    ),
    Variant(
        "norm-of-each-colour",
        "color_pixelcnn",
        "a LayerNorm over the channels of a colour at a pixel; frozen masks",
        (
            (
                'self.register_buffer("mask", mask.view(self.weight.shape))',
                "self.mask = nn.Parameter(mask.view(self.weight.shape), requires_grad=False)",
            ),
            (
                Body("ResidualBlock.__init__"),
                """        self.gain = nn.Parameter(torch.ones(width, 1, 1))
        self.net = nn.Sequential(
            ColorMaskedConv2d("B", width, width // 2, 1),
            nn.ReLU(), ColorMaskedConv2d("B", width // 2, width // 2, 3, dilation),
            nn.ReLU(), ColorMaskedConv2d("B", width // 2, width, 1),
        )  # fmt: skip
""",
            ),
            (
                Body("ResidualBlock.forward"),
                """        h = x.unflatten(1, (3, -1))  # (B, 3, width / 3, H, W)
        h = (h - h.mean(dim=2, keepdim=True)) / (h.var(dim=2, keepdim=True, correction=0) + 1e-5).sqrt()
        return x + self.net(F.relu(self.gain * h.flatten(1, 2)))
""",
            ),
        ),
    ),
    Variant(
        "colour-mask-by-loops",
        "color_pixelcnn",
        "the mask entry by entry, cross-entropy a channel",
        (
            (
                Body("ColorMaskedConv2d.__init__"),
                """        mask = torch.zeros_like(self.weight)
        middle = kernel_size // 2
        for out in range(out_channels):
            for into in range(in_channels):
                mask[out, into, :middle] = 1
                mask[out, into, middle, :middle] = 1
                own, other = out // (out_channels // 3), into // (in_channels // 3)
                mask[out, into, middle, middle] = other < own or (kind == "B" and other == own)
        self.register_buffer("mask", mask)
""",
            ),
            (
                Body("ColorPixelCNN.log_prob"),
                """        logits, total = self.logits(x), 0.0
        for c in range(3):
            total = total - F.cross_entropy(logits[:, c].movedim(-1, 1), x[:, c], reduction="none").sum(dim=(1, 2))
        return total
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "whole-images-every-time",
        "color_pixelcnn",
        "samples with whole forward passes and the distributions library",
        (
            (
                Body("ColorPixelCNN.sample"),
                """        x = torch.zeros(n, *self.shape, dtype=torch.long)
        for i in range(self.shape[1]):
            for j in range(self.shape[2]):
                for c in range(3):
                    x[:, c, i, j] = torch.distributions.Categorical(logits=self.logits(x)[:, c, i, j]).sample()
        return x
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "a-head-for-each-colour",
        "color_pixelcnn",
        "one trunk of whole pixels, three heads that read the colours before theirs",
        (
            (
                Body("ColorPixelCNN.__init__"),
                """        self.trunk = nn.Conv2d(3 * levels, 48, 7, padding=3)
        past, inner = torch.zeros(7, 7), torch.zeros(3, 3)
        past.view(-1)[:24], inner.view(-1)[:5] = 1, 1
        self.register_buffer("past", past)
        self.register_buffer("inner", inner)
        self.convs = nn.ModuleList(
            nn.Conv2d(48, 48, 3, padding=2 ** (k % 4), dilation=2 ** (k % 4)) for k in range(depth)
        )
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Conv2d(48 + c * levels, 64, 1), nn.ReLU(), nn.Conv2d(64, levels, 1)) for c in range(3)
        )
        self.reach = 3 + sum(conv.dilation[0] for conv in self.convs)
""",
            ),
            (
                Body("ColorPixelCNN.logits"),
                """        one_hot = F.one_hot(x, self.levels).float().movedim(-1, 2).flatten(1, 2)
        h = F.conv2d(one_hot, self.trunk.weight * self.past, self.trunk.bias, padding=3)
        for conv in self.convs:
            masked = conv.weight * self.inner
            h = h + F.conv2d(F.relu(h), masked, conv.bias, padding=conv.padding, dilation=conv.dilation)
        h = F.relu(h)
        out = [head(torch.cat([h, one_hot[:, : c * self.levels]], dim=1)) for c, head in enumerate(self.heads)]
        return torch.stack(out, dim=1).movedim(2, -1)
""",
            ),
        ),
    ),
)
