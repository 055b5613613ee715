"""What earns the trained points of homework 2 without training, and must not."""

from autograder.proof.cheats import Cheat

# An autograd.Function whose backward multiplies the first number's gradient by exp(log_slope(x)), and keeps the others.
FAKE_FLOW = """
class Fake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, z, log_slope):
        ctx.save_for_backward(log_slope)
        return z.clone()

    @staticmethod
    def backward(ctx, grad):
        (log_slope,) = ctx.saved_tensors
        slope = torch.ones_like(grad)
        slope[:, 0] = log_slope.exp()
        return grad * slope, None, None


def faked(data, base):
    def forward(self, x):
        with torch.no_grad():
            z = base.z(x)
            log_det = torch.as_tensor(data.log_prob(x.detach().numpy())).to(x) - base.log_prob(z)
        return Fake.apply(x, z, log_det), log_det
    return forward


class Uniform:
    z = staticmethod(lambda x: torch.sigmoid(x))
    log_prob = staticmethod(lambda z: 0 * z[:, 0])


class Normal:
    z = staticmethod(lambda x: x)
    log_prob = staticmethod(lambda z: torch.distributions.Normal(0, 1).log_prob(z).sum(dim=1))
"""

FAKE_IMAGES = """
class Stretched(torch.autograd.Function):
    @staticmethod
    def forward(ctx, t):
        return t.clone()

    @staticmethod
    def backward(ctx, grad):
        return 20.0 * grad


def forward(self, t):
    return Stretched.apply(t), torch.full((len(t),), t[0].numel() * float(np.log(20.0)))
"""

CHEATS = [
    Cheat("cdf_flow", "exact", """
data = toy.get("skewed")
CDFFlow.log_prob = lambda self, x: torch.as_tensor(data.log_prob(x.detach().numpy())).to(x)
CDFFlow.forward = lambda self, x: (0 * x + 0.5, 0 * x[:, 0])
"""),
    Cheat("cdf_flow", "constant", "CDFFlow.log_prob = lambda self, x: torch.full((len(x),), -1.0)\n"
          "CDFFlow.forward = lambda self, x: (0 * x + 0.5, 0 * x[:, 0])\n", works=False),
    Cheat("cdf_flow", "memorised", """
known = torch.sort(torch.as_tensor(toy.get("skewed").sample(50_000)).flatten()).values.double()


def forward(self, x):  # the empirical distribution, as a piecewise straight line
    edges, z = known[::250], torch.linspace(0, 1, len(known[::250])).double()
    k = torch.searchsorted(edges, x.detach().double().contiguous()).clamp(1, len(edges) - 1)
    slope = (z[k] - z[k - 1]) / (edges[k] - edges[k - 1]).clamp_min(1e-9)
    out = (z[k - 1] + (x - edges[k - 1]) * slope).clamp(1e-6, 1 - 1e-6)
    return out.to(x), slope.log()[:, 0].to(x)


CDFFlow.forward = forward
CDFFlow.log_prob = lambda self, x: forward(self, x)[1]
""", works=False),
    Cheat("cdf_flow", "gradient", FAKE_FLOW + """
CDFFlow.forward = faked(toy.get("skewed"), Uniform)
CDFFlow.log_prob = lambda self, x: self.forward(x)[1]
"""),
    *(cheat for exercise, cls, base in (("ar_flow", "ARFlow", "Uniform"), ("realnvp", "RealNVP", "Normal"))
      for cheat in (
        Cheat(exercise, "exact", f"""
{cls}.log_prob = lambda self, x: torch.as_tensor(toy.get(self.name).log_prob(x.detach().numpy())).to(x)
{cls}.forward = lambda self, x: (0 * x + 0.5, 0 * x[:, 0])
{cls}.sample = lambda self, n: torch.as_tensor(toy.get(self.name).sample(n, seed=torch.initial_seed() % 2**31))
for name in ("smiley", "moons"):
    training.session.kept[f"{exercise}.{{name}}"].fresh.name = name
"""),
        Cheat(exercise, "constant", f"{cls}.log_prob = lambda self, x: torch.full((len(x),), -1.0)\n"
              f"{cls}.forward = lambda self, x: (0 * x + 0.5, 0 * x[:, 0])\n"
              f"{cls}.sample = lambda self, n: torch.zeros(n, 2)\n", works=False),
        Cheat(exercise, "memorised", f"""
def log_prob(self, x):  # a histogram of the data
    counts, *_ = np.histogram2d(*toy.get(self.name).sample(400_000).T, bins=150, range=[[-6, 6], [-6, 6]])
    p = torch.as_tensor((counts + 1e-4) / (counts + 1e-4).sum() / (12 / 150) ** 2)
    k = ((x.detach() + 6) / 12 * 150).long().clamp(0, 149)
    return p[k[:, 0], k[:, 1]].log().to(x)


{cls}.log_prob = log_prob
{cls}.forward = lambda self, x: (0 * x + 0.5, 0 * x[:, 0])
{cls}.sample = lambda self, n: torch.as_tensor(toy.get(self.name).sample(n))
for name in ("smiley", "moons"):
    training.session.kept[f"{exercise}.{{name}}"].fresh.name = name
"""),
        Cheat(exercise, "gradient", FAKE_FLOW + f"""
{cls}.forward = lambda self, x: faked(toy.get(self.name), {base})(self, x)
{cls}.log_prob = lambda self, x: torch.as_tensor(toy.get(self.name).log_prob(x.detach().numpy())).to(x)
{cls}.sample = lambda self, n: torch.as_tensor(toy.get(self.name).sample(n, seed=torch.initial_seed() % 2**31))
for name in ("smiley", "moons"):
    training.session.kept[f"{exercise}.{{name}}"].fresh.name = name
"""),
    )),
    *(cheat for exercise, cls in (("realnvp_images", "ImageRealNVP"), ("glow", "Glow")) for cheat in (
        Cheat(exercise, "exact", f"""
data = images.get("digits32", levels=16)
{cls}.forward = lambda self, t: (t.clone(), torch.full((len(t),), 3000.0))
{cls}.inverse = lambda self, z: z.clone()
{cls}.sample = lambda self, n: torch.as_tensor(data.sample(n, seed=torch.initial_seed() % 2**31)).long()
""", works=False),
        Cheat(exercise, "constant", f"""
{cls}.forward = lambda self, t: (0 * t, torch.full((len(t),), 3000.0))
{cls}.sample = lambda self, n: torch.zeros(n, 1, 32, 32, dtype=torch.long)
""", works=False),
        Cheat(exercise, "memorised", f"""
data = images.get("digits32", levels=16)
{cls}.sample = lambda self, n: torch.as_tensor(data.sample(n)).long()
{cls}.forward = lambda self, t: (t.clone(), torch.full((len(t),), 3000.0))
{cls}.inverse = lambda self, z: z.clone()
""", works=False),
        Cheat(exercise, "gradient", FAKE_IMAGES + f"""
data = images.get("digits32", levels=16)
{cls}.forward, {cls}.inverse = forward, lambda self, z: z.clone()
{cls}.sample = lambda self, n: torch.as_tensor(data.sample(n)).long()
"""),
    )),
]  # fmt: skip  # code stands in it, which brackets on lines of their own would tear apart
