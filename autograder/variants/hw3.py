"""Right designs for HW3 that look nothing like the reference."""

from autograder.mutants import Body, Variant

VARIANTS = (
    Variant(
        "gaussians-of-the-library", "vae2d", "torch.distributions for densities, draws and the divergence",
        (
            ("    epsilon = (x - mu) * torch.exp(-log_sigma)\n"
             "    return tensors.sum_except_batch(0.5 * math.log(2 * math.pi) + log_sigma + epsilon**2 / 2)\n",
             "    from torch.distributions import Independent, Normal\n"
             "    return -Independent(Normal(mu, log_sigma.exp()), x.ndim - 1).log_prob(x)\n"),
            ("    sigma = log_sigma.exp()\n"
             "    return tensors.sum_except_batch(-log_sigma + sigma**2 / 2 + mu**2 / 2 - 0.5)\n",
             "    from torch.distributions import Normal, kl_divergence\n"
             "    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))\n"
             "    return kl_divergence(Normal(mu, log_sigma.exp()), prior).sum(-1)\n"),
            ("return mu + log_sigma.exp() * torch.randn_like(mu)",
             "return torch.distributions.Normal(mu, log_sigma.exp()).rsample()"),
            (Body("VAE2d.sample"), """        from torch.distributions import Normal
        mu, log_sigma = self.decode(Normal(0.0, 1.0).sample((n, 2)))
        return Normal(mu, log_sigma.exp()).sample() if noise else mu
"""),
        ),
        weights="reference",
    ),
    Variant(
        "draw-by-draw", "vae2d", "the importance-weighted bound in a loop, an average of weights with a shift",
        (
            (Body("VAE2d.importance_weighted"), """        mu_z, log_sigma_z = self.encode(x)
        log_w = []
        for _ in range(k):
            epsilon = torch.randn_like(mu_z)
            z = mu_z + epsilon * log_sigma_z.exp()
            log_ratio = (epsilon**2 / 2 + log_sigma_z - z**2 / 2).sum(dim=1)
            log_w.append(log_ratio - gaussian_nll(x, *self.decode(z)))
        log_w = torch.stack(log_w)
        top = log_w.max(dim=0).values
        return -(top + (log_w - top).exp().mean(dim=0).log())
"""),
            (Body("VAE2d.elbo_terms"), """        mu_z, log_sigma_z = self.encode(x)
        mu_x, log_sigma_x = self.decode(torch.addcmul(mu_z, log_sigma_z.exp(), torch.randn(mu_z.shape)))
        variance = (2 * log_sigma_x).exp()
        reconstruction = nn.functional.gaussian_nll_loss(mu_x, x, variance, full=True, eps=1e-30, reduction="none").sum(dim=1)
        log_variance = 2 * log_sigma_z
        return reconstruction, -0.5 * (1 + log_variance - mu_z**2 - log_variance.exp()).sum(dim=1)
"""),
        ),
        weights="reference",
    ),
    Variant(
        "deeper-with-bounded-widths", "vae2d", "three layers with ELU, a head for each output, log σ kept in a range",
        (
            (Body("VAE2d.__init__"), """        def trunk():
            return nn.Sequential(nn.Linear(2, 96), nn.ELU(), nn.Linear(96, 96), nn.ELU(), nn.Linear(96, 96), nn.ELU())

        self.see, self.draw = trunk(), trunk()
        self.heads = nn.ModuleList(nn.Linear(96, 2) for _ in range(4))
"""),
            (Body("VAE2d.encode"), """        h = self.see(x)
        return self.heads[0](h), 5 * torch.tanh(self.heads[1](h) / 5)
"""),
            (Body("VAE2d.decode"), """        h = self.draw(z)
        return self.heads[2](h), 5 * torch.tanh(self.heads[3](h) / 5)
"""),
        ),
    ),
)  # fmt: skip
