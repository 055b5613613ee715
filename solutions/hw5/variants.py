"""Right designs for HW5 that look nothing like the reference."""

from autograder.proof.changes import Body, Variant

SCORE_INIT, SCORE_FORWARD = Body("ScoreModel.__init__"), Body("ScoreModel.forward")

VARIANTS = (
    Variant(
        "stated-recipe",
        "score",
        "a plain network of ReLUs that is given t as it is, trained as the text says",
        (
            (
                SCORE_INIT,
                """        self.layers = nn.Sequential(
            nn.Linear(dims + 1, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, dims),
        )
""",
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
)
