"""Right designs for HW4 that look nothing like the reference."""

from autograder.proof.changes import Body, Variant

# What the solution writes in the functions that train.
TRAIN_1D = """    data = torch.as_tensor(bumps.sample(100_000, seed=0))
    players = (gan.discriminator, gan.generator)
    of_d, of_g = (torch.optim.Adam(p.parameters(), lr=8e-3, betas=(momentum, 0.9)) for p in players)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda r: min(1.0, 2 * (1 - r / rounds)) if decay else 1.0)
        for o in (of_d, of_g)
    ]
    for r in progress(range(rounds), "gan1d"):
        film.look(r)
        for _ in range(discriminator_steps):
            d_loss = gan.discriminator_step(data[torch.randint(len(data), (512,))], of_d)
        losses.append((d_loss.item(), gan.generator_step(512, of_g, saturating).item()))
        for schedule in schedules:
            schedule.step()
    film.look(rounds)
"""
TRAIN_IMAGES = """    players = (gan.discriminator, gan.generator)
    optimizers = tuple(torch.optim.Adam(p.parameters(), lr=4e-3, betas=(momentum, 0.9)) for p in players)
    schedulers = tuple(
        torch.optim.lr_scheduler.LambdaLR(o, lambda r: min(1.0, 2 * (1 - r / rounds)) if decay else 1.0)
        for o in optimizers
    )
    return play(gan, train_x, optimizers=optimizers, schedulers=schedulers, rounds=rounds, batch_size=32,
                discriminator_steps=discriminator_steps, frame=frame)  # fmt: skip
"""

# ---- stated recipes: the plainest right networks, trained by the recipe as it stands in the text ----

PLAIN_1D = """        self.generator = nn.Sequential(
            nn.Linear(latents, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(1, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1), nn.Flatten(0),
        )
"""
RECIPE_1D = """    data = torch.as_tensor(bumps.sample(100_000, seed=0))
    optimizer_d = torch.optim.Adam(gan.discriminator.parameters(), lr=8e-3, betas=(0.0, 0.9))
    optimizer_g = torch.optim.Adam(gan.generator.parameters(), lr=8e-3, betas=(0.0, 0.9))
    for r in range(rounds):
        film.look(r)
        for group in optimizer_d.param_groups + optimizer_g.param_groups:
            group["lr"] = 8e-3 if r < 1250 else 8e-3 * (2500 - r) / 1250
        for _ in range(2):
            batch = data[torch.randint(100_000, (512,))]
            d_loss = gan.discriminator_step(batch, optimizer_d)
        g_loss = gan.generator_step(512, optimizer_g)
        losses.append((float(d_loss), float(g_loss)))
    film.look(rounds)
"""
RECIPE_IMAGES = """    def falls(r):
        return 1.0 if r < 1250 else (2500 - r) / 1250

    d = torch.optim.Adam(gan.discriminator.parameters(), lr=4e-3, betas=(0.0, 0.9))
    g = torch.optim.Adam(gan.generator.parameters(), lr=4e-3, betas=(0.0, 0.9))
    schedulers = tuple(torch.optim.lr_scheduler.LambdaLR(o, falls) for o in (d, g))
    return play(gan, train_x, optimizers=(d, g), schedulers=schedulers, rounds=2500, batch_size=32, frame=frame)
"""
CLASSIC = """        w = width
        layers = [nn.Unflatten(1, (latents, 1, 1)), nn.ConvTranspose2d(latents, 4 * w, 4), nn.BatchNorm2d(4 * w), nn.ReLU()]
        for i, o in ((4 * w, 2 * w), (2 * w, w)):
            layers += [nn.ConvTranspose2d(i, o, 4, stride=2, padding=1), nn.BatchNorm2d(o), nn.ReLU()]
        layers += [nn.ConvTranspose2d(w, 1, 4, stride=2, padding=1), nn.Tanh()]
        self.generator = nn.Sequential(*layers)
        self.discriminator = nn.Sequential(
            SpectralConv2d(1, w, 4, 2, 1), nn.LeakyReLU(0.2), SpectralConv2d(w, 2 * w, 4, 2, 1), nn.LeakyReLU(0.2),
            SpectralConv2d(2 * w, 4 * w, 4, 2, 1), nn.LeakyReLU(0.2), SpectralConv2d(4 * w, 1, 4), nn.Flatten(0),
        )
"""

VARIANTS = (
    Variant(
        "stated-recipe",
        "gan1d",
        "two plain networks, and the recipe as the text has it",
        ((Body("GAN1d.__init__"), PLAIN_1D), (TRAIN_1D, RECIPE_1D)),
    ),
    Variant(
        "batch-norm-in-both",
        "gan1d",
        "batch normalisation in both players; data and samples in one batch",
        (
            (
                Body("GAN1d.__init__"),
                """        self.generator = nn.Sequential(
            nn.Linear(latents, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 1),
        )
        self.discriminator = nn.Sequential(
            nn.Linear(1, hidden), nn.LeakyReLU(0.2),
            nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1), nn.Flatten(0),
        )
""",
            ),
            (
                "loss = discriminator_loss(self.discriminator(x), self.discriminator(fake))",
                "loss = discriminator_loss(*self.discriminator(torch.cat([x, fake])).chunk(2))",
            ),
        ),
        weights="none",
    ),
    Variant(
        "batch-norm-in-the-generator",
        "gan1d",
        "batch normalisation in the generator",
        (
            (
                "nn.Linear(latents, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()",
                "nn.Linear(latents, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), "
                "nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU()",
            ),
        ),
    ),
    Variant(
        "batch-norm-apart",
        "gan1d",
        "batch normalisation in both players, data and samples one batch after the other",
        (
            (
                Body("GAN1d.__init__"),
                """        def net(inside):
            return nn.Sequential(
                nn.Linear(inside, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2),
                nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1),
            )

        self.generator, self.discriminator = net(latents), nn.Sequential(net(1), nn.Flatten(0))
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "dropout-in-both",
        "gan1d",
        "dropout and weight normalisation",
        (
            (
                Body("GAN1d.__init__"),
                """        from torch.nn.utils.parametrizations import weight_norm

        self.generator = nn.Sequential(
            weight_norm(nn.Linear(latents, hidden)), nn.ReLU(), nn.Dropout(0.05),
            weight_norm(nn.Linear(hidden, hidden)), nn.ReLU(), nn.Linear(hidden, 1),
        )
        self.discriminator = nn.Sequential(
            weight_norm(nn.Linear(1, hidden)), nn.LeakyReLU(0.2), nn.Dropout(0.2),
            weight_norm(nn.Linear(hidden, hidden)), nn.LeakyReLU(0.2), nn.Linear(hidden, 1), nn.Flatten(0),
        )
""",
            ),
        ),
    ),
    Variant(
        "uniform-noise",
        "gan1d",
        "z from U[−1, 1], and samples under no_grad",
        (
            ("return torch.randn(n, self.latents)", "return 2 * torch.rand(n, self.latents) - 1"),
            (
                "fake = self.generator(self.noise(len(x))).detach()\n        loss",
                "with torch.no_grad():\n            fake = self.generator(self.noise(len(x)))\n        loss",
            ),
        ),
    ),
    Variant(
        "stated-recipe",
        "gan2d",
        "plain networks, and the recipe as the text has it",
        (
            (
                Body("GAN2d.__init__"),
                """        def net(inside, act, outside):
            return nn.Sequential(
                nn.Linear(inside, hidden), act, nn.Linear(hidden, hidden), act,
                nn.Linear(hidden, hidden), act, nn.Linear(hidden, outside),
            )

        self.generator = net(latents, nn.ReLU(), 2)
        self.discriminator = nn.Sequential(net(2, nn.LeakyReLU(0.2), 1), nn.Flatten(0))
""",
            ),
            (
                "optimizers = tuple(torch.optim.Adam(p.parameters(), lr=8e-3, betas=(momentum, 0.9)) for p in players)",
                "optimizers = tuple(torch.optim.Adam(p.parameters(), lr=8e-3, betas=(0.0, 0.9)) for p in players)",
            ),
            (
                "torch.optim.lr_scheduler.LambdaLR(o, lambda r: min(1.0, 2 * (1 - r / rounds)) if decay else 1.0)",
                "torch.optim.lr_scheduler.LambdaLR(o, lambda r: 1.0 if r < rounds / 2 else 2 - 2 * r / rounds)",
            ),
        ),
    ),
    Variant(
        "uniform-noise-in-the-plane",
        "gan2d",
        "z from U[−1, 1]; batch normalisation in the generator",
        (
            ("return torch.randn(n, self.latents)", "return 2 * torch.rand(n, self.latents) - 1"),
            (
                "nn.Linear(latents, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU()",
                "nn.Linear(latents, h), nn.BatchNorm1d(h), nn.SiLU(), nn.Linear(h, h), nn.BatchNorm1d(h), nn.SiLU(), "
                "nn.Linear(h, h), nn.SiLU()",
            ),
        ),
        weights="none",
    ),
    Variant(
        "stated-recipe",
        "dcgan",
        "transposed convolutions all the way, and the recipe as the text has it",
        ((Body("DCGAN.__init__"), CLASSIC), (TRAIN_IMAGES, RECIPE_IMAGES)),
    ),
    Variant(
        "normal-two-steps",
        "dcgan",
        "initialised by N(0, 0.02), and two steps of the discriminator",
        (
            (
                Body("DCGAN.__init__"),
                CLASSIC
                + """        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
""",
            ),
            ("decay=True, discriminator_steps=1, rounds=2500", "decay=True, discriminator_steps=2, rounds=2500"),
        ),
    ),
    Variant(
        "torch-spectral-norm",
        "dcgan",
        "torch's own parametrisation of the kernel; dropout in the discriminator",
        (
            (
                'self.register_buffer("u", F.normalize(torch.randn(out_channels), dim=0))',
                "nn.utils.parametrizations.spectral_norm(self)",
            ),
            (
                Body("SpectralConv2d.sigma"),
                """        weight = self.parametrizations.weight.original
        return (weight / self.weight).flatten()[0]
""",
            ),
            (Body("SpectralConv2d.forward"), "        return super().forward(x)\n"),
            (
                "SpectralConv2d(w, 2 * w, 4, 2, 1), nn.LeakyReLU(0.1),",
                "SpectralConv2d(w, 2 * w, 4, 2, 1), nn.LeakyReLU(0.1), nn.Dropout(0.2),",
            ),
        ),
        weights="none",
    ),
    Variant(
        "older-spectral-norm",
        "dcgan",
        "torch's older hook, which keeps the kernel as weight_orig",
        (
            (
                'self.register_buffer("u", F.normalize(torch.randn(out_channels), dim=0))',
                "nn.utils.spectral_norm(self)",
            ),
            (Body("SpectralConv2d.sigma"), "        return (self.weight_orig / self.weight).flatten()[0]\n"),
            (Body("SpectralConv2d.forward"), "        return super().forward(x)\n"),
        ),
        weights="none",
    ),
    Variant(
        "exact-spectral-norm",
        "dcgan",
        "a spectral norm of its own: the exact one, of a singular value decomposition",
        ((Body("SpectralConv2d.sigma"), "        return torch.linalg.svdvals(self.weight.flatten(1))[0]\n"),),
        weights="none",
    ),
    Variant(
        "five-iterations",
        "dcgan",
        "a spectral norm of its own: five iterations a call, of the transposed matrix, u kept in an in-place copy",
        (
            (
                'self.register_buffer("u", F.normalize(torch.randn(out_channels), dim=0))',
                'self.register_buffer("left", torch.randn(in_channels * kernel_size**2))',
            ),
            (
                Body("SpectralConv2d.sigma"),
                """        W = self.weight.reshape(self.out_channels, -1).t()
        left = self.left / self.left.norm()
        right = F.normalize(W.detach().t() @ left, dim=0)
        if self.training:
            for _ in range(5):
                left = F.normalize(W.detach() @ right, dim=0)
                right = F.normalize(W.detach().t() @ left, dim=0)
            self.left.copy_(left)
        return left @ (W @ right)
""",
            ),
        ),
        weights="none",
    ),
    Variant(
        "uniform-noise-for-images",
        "dcgan",
        "z from U[−1, 1]; dropout in both players",
        (
            ("return torch.randn(n, self.latents)", "return 2 * torch.rand(n, self.latents) - 1"),
            (
                "nn.LeakyReLU(0.1), SpectralConv2d(4 * w, 1, 4)",
                "nn.LeakyReLU(0.1), nn.Dropout(0.2), SpectralConv2d(4 * w, 1, 4)",
            ),
            (
                "*up(2 * w, w), nn.Conv2d(w, 4, 3, padding=1)",
                "*up(2 * w, w), nn.Dropout(0.05), nn.Conv2d(w, 4, 3, padding=1)",
            ),
        ),
        weights="none",
    ),
    Variant(
        "cross-entropy-with-labels",
        "gan1d",
        "binary cross-entropy with labels of ones and zeros",
        (
            (
                "return F.softplus(-real).mean() + F.softplus(fake).mean()",
                "bce = nn.BCEWithLogitsLoss()\n    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))",
            ),
            (
                "return -F.softplus(fake).mean()",
                "return -F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))",
            ),
            ("return F.softplus(-fake).mean()", "return -F.logsigmoid(fake).mean()"),
        ),
        weights="reference",
    ),
    Variant(
        "no-graph-for-samples",
        "gan1d",
        "samples under no_grad; gradients cleared after the step, and D held still in G's step",
        (
            (
                Body("GAN1d.discriminator_step"),
                """        with torch.no_grad():
            fake = self.generator(torch.randn(x.shape[0], self.latents))
        self.discriminator.zero_grad()
        logits = self.discriminator(torch.cat([x, fake]))
        real, made = logits.chunk(2)
        loss = discriminator_loss(real, made)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()
""",
            ),
            (
                Body("GAN1d.generator_step"),
                """        self.discriminator.requires_grad_(False)
        logits = self.discriminator(self.generator(torch.randn((n, self.latents))))
        loss = (minimax_loss if saturating else nonsaturating_loss)(logits)
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        self.discriminator.requires_grad_(True)
        return loss.detach()
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "other-networks",
        "gan1d",
        "one wide layer more, ELU and Softplus, networks as modules with a forward of their own",
        (
            (
                Body("GAN1d.__init__"),
                """        class Squeezed(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.c = nn.Linear(1, 48), nn.Linear(48, 48), nn.Linear(48, 1)

            def forward(self, x):
                return self.c(F.leaky_relu(self.b(F.leaky_relu(self.a(x), 0.1)), 0.1)).squeeze(-1)

        self.discriminator = Squeezed()
        self.generator = nn.Sequential(
            nn.Linear(latents, 48), nn.ELU(), nn.Linear(48, 48), nn.ELU(), nn.Linear(48, 48), nn.ELU(), nn.Linear(48, 1)
        )
""",
            ),
        ),
    ),
    Variant(
        "cross-entropy-in-the-plane",
        "gan2d",
        "cross-entropy for the first game, one pass for data and samples",
        (
            (
                Body("GAN2d.discriminator_loss"),
                """        with torch.no_grad():
            fake = self.sample(len(x))
        logits = self.discriminator(torch.cat([x, fake]))
        labels = torch.cat([torch.ones(len(x)), torch.zeros(len(x))])
        return 2 * F.binary_cross_entropy_with_logits(logits, labels)
""",
            ),
            (
                Body("GAN2d.generator_loss"),
                """        return -F.logsigmoid(self.discriminator(self.generator(torch.randn(n, self.latents)))).mean()
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "penalty-by-hand",
        "gan2d",
        "torch.lerp, a root of summed squares, gradients of a vector of ones",
        (
            (
                Body("WGAN2d.gradient_penalty"),
                """        t = torch.rand(x.shape[0], device=x.device)[:, None]
        point = torch.lerp(fake.detach(), x.detach(), t).requires_grad_(True)
        f = self.discriminator(point)
        grad = torch.autograd.grad(f, point, grad_outputs=torch.ones_like(f), create_graph=True, retain_graph=True)[0]
        norms = (grad.square().sum(dim=1) + 1e-12).sqrt()
        return F.mse_loss(norms, torch.ones_like(norms))
""",
            ),
            (
                Body("WGAN2d.discriminator_loss"),
                """        with torch.no_grad():
            made = self.generator(self.noise(x.shape[0]))
        return -(self.discriminator(x) - self.discriminator(made)).mean() + penalty * self.gradient_penalty(x, made)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "smooth-critic",
        "gan2d",
        "a critic with SiLU, a generator with ReLU, other widths",
        (
            (
                Body("GAN2d.__init__"),
                """        def mlp(inside, act, out):
            return nn.Sequential(nn.Linear(inside, 96), act(), nn.Linear(96, 96), act(), nn.Linear(96, 96), act(), nn.Linear(96, out))

        class Critic(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = mlp(2, nn.SiLU, 1)

            def forward(self, x):
                return self.net(x)[:, 0]

        self.generator, self.discriminator = mlp(latents, nn.ReLU, 2), Critic()
""",
            ),
        ),
    ),
    Variant(
        "spectral-norm-with-v",
        "dcgan",
        "v is kept, too, and both come from one helper; the kernel is divided in a matrix",
        (
            (
                'self.register_buffer("u", F.normalize(torch.randn(out_channels), dim=0))',
                'self.register_buffer("u", F.normalize(torch.randn(out_channels), dim=0))\n'
                '        self.register_buffer("v", F.normalize(torch.randn(in_channels * kernel_size**2), dim=0), persistent=False)',
            ),
            (
                Body("SpectralConv2d.sigma"),
                """        W = self.weight.view(self.out_channels, -1)
        if self.training:
            with torch.no_grad():
                self.v = F.normalize(W.t().mv(self.u), dim=0)
                self.u = F.normalize(W.mv(self.v), dim=0)
        else:
            self.v = F.normalize(W.detach().t().mv(self.u), dim=0)
        return torch.dot(self.u, W.mv(self.v))
""",
            ),
            (
                Body("SpectralConv2d.forward"),
                """        sigma = self.sigma()
        kernel = (self.weight.flatten(1) / sigma).view_as(self.weight)
        return self._conv_forward(x, kernel, self.bias)
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "hinges-by-clamping",
        "dcgan",
        "clamped sums over one pass for data and samples; samples under no_grad",
        (
            (
                Body("DCGAN.discriminator_loss"),
                """        with torch.no_grad():
            fake = self.generator(self.noise(x.shape[0]))
        return (1 - self.discriminator(x)).clamp(min=0).mean() + (1 + self.discriminator(fake)).clamp(min=0).mean()
""",
            ),
            (
                Body("DCGAN.generator_loss"),
                """        return self.discriminator(self.generator(self.noise(n))).mean().neg()
""",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "classic-dcgan",
        "dcgan",
        "transposed convolutions all the way, wider, 64 codes",
        (
            (
                Body("DCGAN.__init__"),
                """        w = width
        layers = [nn.ConvTranspose2d(latents, 4 * w, 4, bias=False), nn.BatchNorm2d(4 * w), nn.ReLU(True)]
        for i, o in ((4 * w, 2 * w), (2 * w, w)):
            layers += [nn.ConvTranspose2d(i, o, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(w, 1, 4, stride=2, padding=1), nn.Tanh()]

        class Up(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = nn.Sequential(*layers)

            def forward(self, z):
                return self.net(z[:, :, None, None])

        self.generator = Up()
        self.discriminator = nn.Sequential(
            SpectralConv2d(1, w, 4, 2, 1), nn.LeakyReLU(0.2), SpectralConv2d(w, 2 * w, 4, 2, 1), nn.LeakyReLU(0.2),
            SpectralConv2d(2 * w, 4 * w, 4, 2, 1), nn.LeakyReLU(0.2), SpectralConv2d(4 * w, 1, 4), nn.Flatten(0),
        )
""",
            ),
        ),
    ),
)
