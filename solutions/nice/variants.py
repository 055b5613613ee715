"""Right designs for NICE that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Body, Variant

M = """        self.m = nn.Sequential(
            nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
"""
VARIANTS = (
    Variant(
        "stated-recipe",
        "nice",
        "the plainest network, trained as the text says",
        ((M, "        self.m = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 1))\n"),),
    ),
    Variant(
        "torch-distributions",
        "nice",
        "the base is a transformed uniform of torch.distributions, sums by einsum",
        (
            (
                "log_logistic = -z - 2 * F.softplus(-z)  # (B, 2)",
                "cdf = torch.distributions.SigmoidTransform()\n"
                "        log_logistic = cdf.log_abs_det_jacobian(z, cdf(z))  # U[0, 1] has log-density 0",
            ),
            ("return log_logistic.sum(dim=1) + log_det", 'return torch.einsum("bd->b", log_logistic) + log_det'),
            ("self.s.sum().expand(len(x))", "torch.full((len(x),), 1.0) * self.s.sum()"),
        ),
        weights="reference",
    ),
    Variant(
        "one-scale-matrix",
        "nice",
        "the scaling is a diagonal matrix and stands first; smooth networks; x_2 is kept first",
        (
            ("self.s = nn.Parameter(torch.zeros(2))", "self.scale = nn.Parameter(torch.ones(2))"),
            (
                "return x * self.s.exp(), self.s.sum().expand(len(x))",
                "return x @ torch.diag(self.scale), self.scale.abs().log().sum().repeat(len(x))",
            ),
            ("x = z * (-self.s).exp()", "x = z / self.scale"),
            ("AdditiveCoupling(i % 2, hidden)", "AdditiveCoupling(1 - i % 2, hidden)"),
            (M, M.replace("ReLU", "SiLU")),
        ),
    ),
    Variant(
        "climbs-by-an-optimiser",
        "nice",
        "inpainting by plain SGD of the free numbers alone; the density by sigmoids; draws as a difference of Gumbels",
        (
            ("log_logistic = -z - 2 * F.softplus(-z)  # (B, 2)", "log_logistic = F.logsigmoid(z) + F.logsigmoid(-z)"),
            (
                Body("NICE.inpaint"),
                "        free = x[~known].detach().clone().requires_grad_()\n"
                "        optimizer = torch.optim.SGD([free], lr=rate, maximize=True)\n"
                "        for _ in range(steps):\n"
                "            optimizer.zero_grad()\n"
                "            self.log_prob(x.masked_scatter(~known, free)).sum().backward()\n"
                "            optimizer.step()\n"
                "        return x.masked_scatter(~known, free.detach())\n",
            ),
            (
                Body("NICE.sample"),
                "        a, b = (-torch.empty(n, 2).exponential_().clamp_min(1e-9).log() for _ in range(2))\n"
                "        return self.inverse(a - b)\n",
            ),
        ),
        weights="reference",
    ),
    Variant(
        "starts-as-nothing",
        "nice",
        "networks that begin with zeros, a first layer that is frozen, two numbers for scales, couplings that pair up",
        (
            (
                M,
                M.replace("ReLU", "Tanh") + "        nn.init.zeros_(self.m[-1].weight)\n"
                "        self.m[0].requires_grad_(False)\n",
            ),
            (
                "self.s = nn.Parameter(torch.zeros(2))",
                "self.a, self.b = (nn.Parameter(torch.tensor(0.0)) for _ in (0, 1))",
            ),
            (
                "return x * self.s.exp(), self.s.sum().expand(len(x))",
                "s = torch.stack([self.a, self.b])\n        return x * s.exp(), s.sum() + 0 * x[:, 0]",
            ),
            ("x = z * (-self.s).exp()", "x = z / torch.stack([self.a, self.b]).exp()"),
            (
                "nn.ModuleList(AdditiveCoupling(i % 2, hidden) for i in range(couplings))",
                "nn.Sequential(*[AdditiveCoupling(1 - i % 2, hidden) for i in range(couplings)])",
            ),
        ),
        weights="none",
    ),
)
