"""Right designs for NICE that look nothing like the reference; the stated recipe is one of them."""

from autograder.proof.changes import Variant

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
)
