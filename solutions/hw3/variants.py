"""Right designs for HW3 that look nothing like the reference."""

from autograder.proof.changes import Body, Variant

# What the solution trains with, as edits find it; the variants called "stated-recipe" train by the text alone.
TRAIN_2D = """        x = torch.as_tensor(data.sample(100_000, seed=0))
        valid = torch.as_tensor(data.sample(20_000, seed=0, split="validation"))

        def run(beta: float, steps: int):
            def loss(x):
                reconstruction, kl = model.elbo_terms(x)
                return (reconstruction + beta * kl).mean()

            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
            options = dict(optimizer=optimizer, scheduler=schedule, valid=valid, steps=steps, batch_size=512)
            return fit(model, loss, x, **options)

        if warm_up:
            run(0.1, warm_up)
        return run(1.0, steps)
"""
TRAIN_32 = """    steps = 1000
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return fit(
        model,
        lambda x: sum(model.elbo_terms(x)).mean(),
        train_x,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps),
        valid=valid_x,
        steps=steps,
        batch_size=64,
        clip=50.0,
    )
"""
TRAIN_BETA = """        for price, steps in ((begin, 400), (beta, 1600)) if begin else ((beta, 2000),):
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
            history = fit(model, lambda x, price=price: model.loss(x, price).mean(), train_x, optimizer=optimizer,
                          scheduler=schedule, valid=valid_x[:1000], steps=steps, batch_size=64, clip=50.0)  # fmt: skip
        return history
"""
TRAIN_VQ = """    for steps in (50, 50, 100, 2000):
        revive(model, train_x[:500])
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        history = fit(model, model.loss, train_x, optimizer=optimizer, scheduler=schedule, valid=valid_x, steps=steps,
                      batch_size=64)  # fmt: skip
    return history
"""
TRAIN_PRIOR = """    steps = 1200
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    return fit(model, lambda k: -model.log_prob(k).mean(), train_codes, optimizer=optimizer, scheduler=schedule,
               valid=valid_codes, steps=steps, batch_size=64)  # fmt: skip
"""

VARIANTS = (
    Variant(
        "gaussians-of-the-library",
        "vae2d",
        "torch.distributions for densities, draws and the divergence",
        (
            (
                "    epsilon = (x - mu) * torch.exp(-log_sigma)\n"
                "    return tensors.sum_except_batch(0.5 * math.log(2 * math.pi) + log_sigma + epsilon**2 / 2)\n",
                "    from torch.distributions import Independent, Normal\n"
                "    return -Independent(Normal(mu, log_sigma.exp()), x.ndim - 1).log_prob(x)\n",
            ),
            (
                "    sigma = log_sigma.exp()\n"
                "    return tensors.sum_except_batch(-log_sigma + sigma**2 / 2 + mu**2 / 2 - 0.5)\n",
                "    from torch.distributions import Normal, kl_divergence\n"
                "    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))\n"
                "    return kl_divergence(Normal(mu, log_sigma.exp()), prior).sum(-1)\n",
            ),
            (
                "return mu + log_sigma.exp() * torch.randn_like(mu)",
                "return torch.distributions.Normal(mu, log_sigma.exp()).rsample()",
            ),
            (
                Body("VAE2d.sample"),
                """        from torch.distributions import Normal
        mu, log_sigma = self.decode(Normal(0.0, 1.0).sample((n, 2)))
        return Normal(mu, log_sigma.exp()).sample() if noise else mu
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "draw-by-draw",
        "vae2d",
        "the importance-weighted bound in a loop, an average of weights with a shift",
        (
            (
                Body("VAE2d.importance_weighted"),
                """        mu_z, log_sigma_z = self.encode(x)
        log_w = []
        for _ in range(k):
            epsilon = torch.randn_like(mu_z)
            z = mu_z + epsilon * log_sigma_z.exp()
            log_ratio = (epsilon**2 / 2 + log_sigma_z - z**2 / 2).sum(dim=1)
            log_w.append(log_ratio - gaussian_nll(x, *self.decode(z)))
        log_w = torch.stack(log_w)
        top = log_w.max(dim=0).values
        return -(top + (log_w - top).exp().mean(dim=0).log())
""",
            ),
            (
                Body("VAE2d.elbo_terms"),
                """        mu_z, log_sigma_z = self.encode(x)
        mu_x, log_sigma_x = self.decode(torch.addcmul(mu_z, log_sigma_z.exp(), torch.randn(mu_z.shape)))
        variance = (2 * log_sigma_x).exp()
        reconstruction = nn.functional.gaussian_nll_loss(mu_x, x, variance, full=True, eps=1e-30, reduction="none").sum(dim=1)
        log_variance = 2 * log_sigma_z
        return reconstruction, -0.5 * (1 + log_variance - mu_z**2 - log_variance.exp()).sum(dim=1)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "deeper-with-bounded-widths",
        "vae2d",
        "three layers with ELU, a head for each output, log σ kept in a range",
        (
            (
                Body("VAE2d.__init__"),
                """        def trunk():
            return nn.Sequential(nn.Linear(2, 96), nn.ELU(), nn.Linear(96, 96), nn.ELU(), nn.Linear(96, 96), nn.ELU())

        self.see, self.draw = trunk(), trunk()
        self.heads = nn.ModuleList(nn.Linear(96, 2) for _ in range(4))
""",
            ),
            (
                Body("VAE2d.encode"),
                """        h = self.see(x)
        return self.heads[0](h), 5 * torch.tanh(self.heads[1](h) / 5)
""",
            ),
            (
                Body("VAE2d.decode"),
                """        h = self.draw(z)
        return self.heads[2](h), 5 * torch.tanh(self.heads[3](h) / 5)
""",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "vae2d",
        "two layers with ReLU, trained as the text says",
        (
            (
                Body("VAE2d.__init__"),
                """        self.e1, self.e2, self.e3 = nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 4)
        self.d1, self.d2, self.d3 = nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 4)
""",
            ),
            (
                Body("VAE2d.encode"),
                """        out = self.e3(F.relu(self.e2(F.relu(self.e1(x)))))
        return out[:, :2], out[:, 2:]
""",
            ),
            (
                Body("VAE2d.decode"),
                """        out = self.d3(F.relu(self.d2(F.relu(self.d1(z)))))
        return out[:, :2], out[:, 2:]
""",
            ),
            (
                TRAIN_2D,
                """        x = torch.as_tensor(data.sample(100_000, seed=0))
        def stage(weight, n):
            opt = torch.optim.Adam(model.parameters())
            sched = torch.optim.lr_scheduler.OneCycleLR(opt, 1e-2, n)
            def loss(batch):
                a, b = model.elbo_terms(batch)
                return torch.mean(a + weight * b)
            return fit(model, loss, x, optimizer=opt, scheduler=sched, steps=n, batch_size=512)

        if warm_up > 0:
            stage(0.1, warm_up)
        return stage(1.0, steps)
""",
            ),
        ),
    ),
    Variant(
        "log-variance",
        "vae2d",
        "networks of log σ², a trunk with two heads, leaky ReLU",
        (
            (
                Body("VAE2d.__init__"),
                """        self.trunks = nn.ModuleList(
            nn.Sequential(nn.Linear(2, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2))
            for _ in range(2)
        )
        self.means = nn.ModuleList(nn.Linear(hidden, 2) for _ in range(2))
        self.log_variances = nn.ModuleList(nn.Linear(hidden, 2) for _ in range(2))
""",
            ),
            (
                Body("VAE2d.encode"),
                """        h = self.trunks[0](x)
        return self.means[0](h), 0.5 * self.log_variances[0](h)
""",
            ),
            (
                Body("VAE2d.decode"),
                """        h = self.trunks[1](z)
        return self.means[1](h), 0.5 * self.log_variances[1](h)
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "softplus-and-one-sigma",
        "vae2d",
        "σ_z by a softplus, one σ_x for all z and both dimensions",
        (
            (
                Body("VAE2d.__init__"),
                """        self.encoder = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 4))
        self.decoder = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 2))
        self.log_sigma_x = nn.Parameter(torch.zeros(()))
""",
            ),
            (
                Body("VAE2d.encode"),
                """        mu, raw = self.encoder(x).split(2, dim=-1)
        return mu, torch.log(F.softplus(raw) + 1e-4)
""",
            ),
            (
                Body("VAE2d.decode"),
                """        mu = self.decoder(z)
        return mu, self.log_sigma_x.expand_as(mu)
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "norm-and-dropout",
        "vae2d",
        "batch norm and dropout in both networks",
        (
            (
                Body("VAE2d.__init__"),
                """        def layers():
            return nn.Sequential(
                nn.Linear(2, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.1),
                nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 4),
            )

        self.encoder, self.decoder = layers(), layers()
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "images-by-the-library",
        "vae32",
        "torch.distributions for both terms and the draw, two calls of linspace",
        (
            (
                Body("VAE32.elbo_terms"),
                """        from torch.distributions import Independent, Normal, kl_divergence
        mu, log_sigma = self.encode(x)
        q = Independent(Normal(mu, log_sigma.exp()), 1)
        p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
        decoder = Independent(Normal(self.decode(q.rsample()), torch.ones(())), 3)
        return -decoder.log_prob(x), kl_divergence(q, p)
""",
            ),
            (
                Body("VAE32.sample"),
                """        return torch.cat([self.decode(z[None]) for z in torch.normal(0.0, 1.0, (n, self.latents))])
""",
            ),
            (
                Body("VAE32.interpolate"),
                """        t = torch.linspace(0, 1, steps)[None, :, None]
        start, end = (self.encode(x)[0][:, None] for x in (a, b))
        codes = (1 - t) * start + t * end  # (B, steps, latents)
        return self.decode(codes.flatten(0, 1)).unflatten(0, (len(a), steps))
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "losses-of-torch",
        "vae32",
        "F.mse_loss with sums, the divergence by log σ², pixels in a loop over examples",
        (
            (
                Body("VAE32.elbo_terms"),
                """        mu, log_sigma = self.encode(x)
        log_variance = 2 * log_sigma
        z = torch.normal(torch.zeros_like(mu), torch.ones_like(mu)) * torch.exp(log_variance / 2) + mu
        rebuilt = self.decode(z)
        halves = torch.stack([nn.functional.mse_loss(a, b, reduction="sum") / 2 for a, b in zip(rebuilt, x)])
        kl = -0.5 * torch.sum(1 + log_variance - mu.pow(2) - log_variance.exp(), dim=1)
        return halves + x[0].numel() / 2 * math.log(2 * math.pi), kl
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "pooled-and-upsampled",
        "vae32",
        "group norm, pooling and nearest-neighbour upsampling, two heads",
        (
            (
                Body("VAE32.__init__"),
                """        C, w = shape[0], 2 * (width // 2)
        def block(i, o):
            return [nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(2, o), nn.ReLU()]

        self.body = nn.Sequential(nn.Conv2d(C, w, 5, stride=2, padding=2), nn.ReLU(), *block(w, 2 * w), nn.AvgPool2d(2),
                                  *block(2 * w, 4 * w), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64 * w, 128), nn.ReLU())
        self.mean, self.spread = nn.Linear(128, latents), nn.Linear(128, latents)
        self.grow = nn.Sequential(nn.Linear(latents, 128), nn.ReLU(), nn.Linear(128, 64 * w), nn.ReLU(),
                                  nn.Unflatten(1, (4 * w, 4, 4)), nn.Upsample(scale_factor=2), *block(4 * w, 2 * w),
                                  nn.Upsample(scale_factor=2), *block(2 * w, w),
                                  nn.ConvTranspose2d(w, C, 4, stride=2, padding=1))
""",
            ),
            (
                Body("VAE32.encode"),
                """        h = self.body(x)
        return self.mean(h), self.spread(h) - 1
""",
            ),
            (
                Body("VAE32.decode"),
                """        return self.grow(z)
""",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "vae32",
        "convolutions with ReLU, trained as the text says",
        (
            (
                Body("VAE32.__init__"),
                """        C, w = shape[0], width
        self.conv1 = nn.Conv2d(C, w, 4, 2, 1)
        self.conv2 = nn.Conv2d(w, 2 * w, 4, 2, 1)
        self.conv3 = nn.Conv2d(2 * w, 4 * w, 4, 2, 1)
        self.to_mu, self.to_log_sigma = nn.Linear(4 * w * 16, latents), nn.Linear(4 * w * 16, latents)
        self.from_z = nn.Linear(latents, 4 * w * 16)
        self.up1 = nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1)
        self.up2 = nn.ConvTranspose2d(2 * w, w, 4, 2, 1)
        self.up3 = nn.ConvTranspose2d(w, C, 4, 2, 1)
""",
            ),
            (
                Body("VAE32.encode"),
                """        h = F.relu(self.conv1(x))
        h = F.relu(self.conv2(h))
        h = F.relu(self.conv3(h)).flatten(1)
        return self.to_mu(h), self.to_log_sigma(h)
""",
            ),
            (
                Body("VAE32.decode"),
                """        h = F.relu(self.from_z(z)).view(len(z), -1, 4, 4)
        h = F.relu(self.up1(h))
        h = F.relu(self.up2(h))
        return self.up3(h)
""",
            ),
            (
                TRAIN_32,
                """    opt = torch.optim.Adam(model.parameters())
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, 1000)
    def loss(x):
        reconstruction, kl = model.elbo_terms(x)
        return (reconstruction + kl).mean()
    return fit(model, loss, train_x, optimizer=opt, scheduler=sched, steps=1000, batch_size=64, clip=50.0)
""",
            ),
        ),
    ),
    Variant(
        "norm-and-softplus",
        "vae32",
        "batch norm and dropout on both sides, σ_z by a softplus",
        (
            (
                Body("VAE32.__init__"),
                """        C, w = shape[0], width
        down, up = [], []
        for a, b in ((C, w), (w, 2 * w), (2 * w, 4 * w)):
            down += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.LeakyReLU(0.1)]
        for a, b in ((4 * w, 2 * w), (2 * w, w)):
            up += [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), nn.BatchNorm2d(b), nn.LeakyReLU(0.1)]
        self.down = nn.Sequential(*down, nn.Flatten(), nn.Dropout(0.1), nn.Linear(64 * w, 2 * latents))
        self.up = nn.Sequential(nn.Linear(latents, 64 * w), nn.BatchNorm1d(64 * w), nn.ReLU(),
                                nn.Unflatten(1, (4 * w, 4, 4)), *up, nn.ConvTranspose2d(w, C, 4, stride=2, padding=1))
""",
            ),
            (
                Body("VAE32.encode"),
                """        mu, raw = self.down(x).tensor_split(2, dim=1)
        return mu, (F.softplus(raw) + 1e-5).log()
""",
            ),
            (
                Body("VAE32.decode"),
                """        return self.up(z)
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "stated-recipe",
        "beta_vae",
        "the loss written out, trained as the text says",
        (
            (
                Body("BetaVAE.loss"),
                """        mu, log_sigma = self.encode(x)
        z = mu + torch.exp(log_sigma) * torch.randn(mu.shape)
        error = ((x - self.decode(z)) ** 2).flatten(1).sum(1)
        reconstruction = 512 * math.log(2 * math.pi) + 0.5 * error
        kl = (-log_sigma + torch.exp(2 * log_sigma) / 2 + mu**2 / 2 - 0.5).sum(1)
        return reconstruction + beta * kl
""",
            ),
            (
                TRAIN_BETA,
                """        def stage(weight, n):
            opt = torch.optim.Adam(model.parameters())
            sched = torch.optim.lr_scheduler.OneCycleLR(opt, 3e-3, n)
            return fit(model, lambda x: model.loss(x, weight).mean(), train_x, optimizer=opt, scheduler=sched, steps=n,
                       batch_size=64, clip=50.0)

        if begin is None:
            return stage(beta, 2000)
        stage(begin, 400)
        return stage(beta, 1600)
""",
            ),
        ),
    ),
    Variant(
        "beta-by-the-library",
        "beta_vae",
        "torch.distributions for both terms and the draw",
        (
            (
                Body("BetaVAE.loss"),
                """        from torch.distributions import Independent, Normal, kl_divergence
        mu, log_sigma = self.encode(x)
        q = Independent(Normal(mu, log_sigma.exp()), 1)
        p = Independent(Normal(torch.zeros_like(mu), 1.0), 1)
        decoder = Independent(Normal(self.decode(q.rsample()), 1.0), 3)
        return -decoder.log_prob(x) + beta * kl_divergence(q, p)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "beta-by-log-variances",
        "beta_vae",
        "log σ² inside, F.mse_loss with sums, β taken into the KL's own factor",
        (
            (
                Body("BetaVAE.loss"),
                """        mu, log_sigma = self.encode(x)
        log_variance = 2 * log_sigma
        z = torch.normal(mu, (log_variance / 2).exp()) if not torch.is_grad_enabled() else (
            mu + torch.randn(mu.shape) * (log_variance / 2).exp())
        squares = F.mse_loss(self.decode(z), x, reduction="none").flatten(1).sum(dim=1)
        kl = -0.5 * beta * torch.sum(1 + log_variance - mu.pow(2) - log_variance.exp(), dim=1)
        return 0.5 * squares + 0.5 * x[0].numel() * math.log(2 * math.pi) + kl
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "beta-by-cosine",
        "beta_vae",
        "AdamW, a rate that falls as a cosine, larger batches, longer",
        (
            (
                """        for price, steps in ((begin, 400), (beta, 1600)) if begin else ((beta, 2000),):
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
            history = fit(model, lambda x, price=price: model.loss(x, price).mean(), train_x, optimizer=optimizer,
                          scheduler=schedule, valid=valid_x[:1000], steps=steps, batch_size=64, clip=50.0)  # fmt: skip
        return history
""",
                """        def descend(price, steps):
            optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            return fit(model, lambda x: model.loss(x, price).mean(), train_x, optimizer=optimizer, scheduler=schedule,
                       steps=steps, batch_size=100, clip=50.0)

        if begin:
            descend(begin, 500)
        return descend(beta, 2000)
""",
            ),
        ),
        weights="trained",
    ),
    Variant(
        "distances-by-cdist",
        "vqvae",
        "torch.cdist, an embedding look-up, the straight-through as a custom gradient",
        (
            (
                Body("VectorQuantizer.nearest"),
                """        B, D, H, W = z.shape
        rows = z.permute(0, 2, 3, 1).reshape(B, H * W, D)
        return torch.cdist(rows, self.codebook.expand(B, -1, -1)).argmin(dim=-1).reshape(B, H, W)
""",
            ),
            (
                Body("VectorQuantizer.lookup"),
                """        return F.embedding(k, self.codebook).permute(0, 3, 1, 2)
""",
            ),
            (
                Body("VectorQuantizer.forward"),
                """        class Through(torch.autograd.Function):
            @staticmethod
            def forward(context, z, e):
                return e.clone()

            @staticmethod
            def backward(context, grad):
                return grad, None

        e = self.lookup(self.nearest(z))
        codebook = (z.detach() - e).square().mean()
        return Through.apply(z, e.detach()), codebook, (z - e.detach()).square().mean()
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "differences-one-by-one",
        "vqvae",
        "squared differences to every code, one-hot products, the loss in one line",
        (
            (
                Body("VectorQuantizer.nearest"),
                """        differences = z[:, None] - self.codebook[None, :, :, None, None]  # (B, K, D, H, W)
        return (-(differences**2).sum(dim=2)).max(dim=1).indices
""",
            ),
            (
                Body("VectorQuantizer.lookup"),
                """        return torch.einsum("bhwk,kd->bdhw", F.one_hot(k, len(self.codebook)).float(), self.codebook)
""",
            ),
            (
                Body("VQVAE.loss"),
                """        return sum(weight * part for weight, part in zip((1.0, 1.0, beta), self.losses(x)))
""",
            ),
            (
                Body("CodePrior.log_prob"),
                """        return -F.cross_entropy(self.logits(k).movedim(-1, 1), k, reduction="none").flatten(1).sum(1)
""",
            ),
            (
                Body("CodePrior.sample"),
                """        k = torch.zeros(n, *self.size, dtype=torch.long)
        for place in range(self.size[0] * self.size[1]):
            i, j = divmod(place, self.size[1])
            k[:, i, j] = torch.distributions.Categorical(logits=self.logits(k)[:, i, j]).sample()
        return k
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "stated-recipe",
        "vqvae",
        "convolutions with ReLU, a plain stack as prior, trained as the text says",
        (
            (
                Body("VQVAE.__init__"),
                """        C, w = shape[0], width
        self.encoder = nn.Sequential(
            nn.Conv2d(C, w, 4, 2, 1), nn.ReLU(), nn.Conv2d(w, w, 4, 2, 1), nn.ReLU(), nn.Conv2d(w, dims, 3, 1, 1)
        )
        self.quantizer = VectorQuantizer(codes, dims)
        self.decoder = nn.Sequential(
            nn.Conv2d(dims, w, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(w, w, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(w, C, 4, 2, 1)
        )
""",
            ),
            (
                TRAIN_VQ,
                """    for n in [50, 50, 100, 2000]:
        revive(model, train_x[:500])
        opt = torch.optim.Adam(model.parameters(), lr=5e-3)
        sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, n)
        history = fit(model, model.loss, train_x, optimizer=opt, scheduler=sched, steps=n, batch_size=64)
    return history
""",
            ),
            (
                Body("CodePrior.__init__"),
                """        self.layers = nn.ModuleList([MaskedConv2d("A", codes, width, 7)])
        for _ in range(depth):
            self.layers.append(MaskedConv2d("B", width, width, 3))
        self.out = nn.Conv2d(width, codes, 1)
""",
            ),
            (
                Body("CodePrior.logits"),
                """        h = F.one_hot(k, self.codes).permute(0, 3, 1, 2).float()
        for layer in self.layers:
            h = F.relu(layer(h))
        return self.out(h).permute(0, 2, 3, 1)
""",
            ),
            (
                TRAIN_PRIOR,
                """    opt = torch.optim.Adam(model.parameters())
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, 1200)
    return fit(model, lambda k: -model.log_prob(k).mean(), train_codes, optimizer=opt, scheduler=sched, steps=1200,
               batch_size=64)
""",
            ),
        ),
    ),
    Variant(
        "norm-on-both-sides",
        "vqvae",
        "batch norm and dropout in the autoencoder and in the prior, masks applied in place",
        (
            (
                Body("VQVAE.__init__"),
                """        C, w = shape[0], width
        self.encoder = nn.Sequential(
            nn.Conv2d(C, w, 4, 2, 1), nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, w, 4, 2, 1), nn.BatchNorm2d(w),
            nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(w, dims, 1), nn.BatchNorm2d(dims),
        )
        self.quantizer = VectorQuantizer(codes, dims)
        self.decoder = nn.Sequential(
            nn.Conv2d(dims, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU(), nn.Upsample(scale_factor=2),
            nn.Conv2d(w, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU(), nn.ConvTranspose2d(w, C, 4, 2, 1),
        )
""",
            ),
            (
                Body("MaskedConv2d.forward"),
                """        with torch.no_grad():
            self.weight *= self.mask
        return super().forward(x)
""",
            ),
            (
                Body("CodePrior.__init__"),
                """        layers = [MaskedConv2d("A", codes, width, 7), nn.BatchNorm2d(width), nn.ReLU()]
        for _ in range(depth):
            layers += [MaskedConv2d("B", width, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.1)]
        self.net = nn.Sequential(*layers, nn.Conv2d(width, codes, 1))
""",
            ),
            (
                Body("CodePrior.logits"),
                """        return self.net(F.one_hot(k, self.codes).float().permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "embedded-prior",
        "vqvae",
        "a prior with an embedding of the codes and layer norm over channels, columns first",
        (
            (
                Body("CodePrior.__init__"),
                """        self.embed = nn.Embedding(codes, width)
        self.first = MaskedConv2d("A", width, width, 5)
        self.blocks = nn.ModuleList(MaskedConv2d("B", width, width, 3) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.head = nn.Linear(width, codes)
""",
            ),
            (
                Body("CodePrior.logits"),
                """        h = self.first(self.embed(k.mT).movedim(-1, 1))
        for block, norm in zip(self.blocks, self.norms):
            h = h + block(F.gelu(norm(h.movedim(1, -1)).movedim(-1, 1)))
        return self.head(h.movedim(1, -1)).transpose(1, 2)
""",
            ),
            (
                Body("CodePrior.sample"),
                """        H, W = self.size
        k = torch.zeros(n, H, W, dtype=torch.long)
        for j in range(W):
            for i in range(H):
                k[:, i, j] = torch.distributions.Categorical(logits=self.logits(k)[:, i, j]).sample()
        return k
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "residual-autoencoder",
        "vqvae",
        "a residual block on each side, ReLU, a wider prior without residuals",
        (
            (
                Body("VQVAE.__init__"),
                """        C, w = shape[0], width
        class Residual(nn.Module):
            def __init__(self):
                super().__init__()
                self.f = nn.Sequential(nn.ReLU(), nn.Conv2d(w, w, 3, padding=1), nn.ReLU(), nn.Conv2d(w, w, 1))

            def forward(self, x):
                return x + self.f(x)

        self.encoder = nn.Sequential(
            nn.Conv2d(C, w, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(w, w, 4, stride=2, padding=1), Residual(),
            nn.ReLU(), nn.Conv2d(w, dims, 1),
        )
        self.quantizer = VectorQuantizer(codes, dims)
        self.decoder = nn.Sequential(
            nn.Conv2d(dims, w, 3, padding=1), Residual(), nn.ReLU(),
            nn.ConvTranspose2d(w, w, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(w, C, 4, stride=2, padding=1),
        )
""",
            ),
            (
                Body("CodePrior.__init__"),
                """        layers = [MaskedConv2d("A", codes, 2 * width, 7), nn.ReLU()]
        for _ in range(4):
            layers += [MaskedConv2d("B", 2 * width, 2 * width, 3), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Conv2d(2 * width, codes, 1))
""",
            ),
            (
                Body("CodePrior.logits"),
                """        return self.net(F.one_hot(k, self.codes).float().permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
""",
            ),
        ),
    ),
)
