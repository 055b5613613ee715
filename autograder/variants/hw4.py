"""Right designs for HW4 that look nothing like the reference."""

from autograder.mutants import Body, Variant

VARIANTS = (
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
