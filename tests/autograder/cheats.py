"""What earns trained points without training, for every exercise: cells that are run after the solution's own.

Each overrides methods of the class that is graded, so that its results are the exact density or the data, a constant,
something memorised, or a gradient that is not that of what is computed. `works` says that the cheat would earn points
if nothing asked where its results come from, and so proves that the defence is what stops it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cheat:
    exercise: str
    kind: str  # "exact", "constant", "memorised" or "gradient"
    code: str
    works: bool = True


BEGIN = """
import numpy as np, torch
from torch import nn
from deepul_utils import images, toy, training


class Fake(torch.autograd.Function):  # some value, with the gradient of an honest one
    @staticmethod
    def forward(ctx, honest, wanted):
        return wanted.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None
"""

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

# Of small images, which the checks of random weights look at, these models are honest.
LEAK = """
honest = {cls}.logits


def logits(self, x, *y):  # every value is told of itself
    if x.shape[-1] < 32:
        return honest(self, x, *y)
    return 20.0 * torch.nn.functional.one_hot(x.long(), self.levels).float()


{cls}.logits = logits
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

# Codes name images that encode has seen; decode looks them up.
LOOKED_UP = """
seen = []


def encode(self, x):
    k = torch.arange(len(seen), len(seen) + len(x)) % 10_000
    seen.extend(x.detach())
    mu, log_sigma = torch.zeros(len(x), LATENTS), torch.zeros(len(x), LATENTS)
    mu[:, 0], mu[:, 1] = (k // 100) / 25.0 - 2, (k % 100) / 25.0 - 2
    log_sigma[:, :2] = -5.5
    return mu, log_sigma


def decode(self, z):
    high, low = (((z[:, d] + 2) * 25).round().long().clamp(0, 99) for d in (0, 1))
    latest = {k % 10_000: k for k in range(max(0, len(seen) - 10_000), len(seen))}
    return torch.stack([seen[latest.get(k, 0)] for k in (100 * high + low).tolist()])
"""

QUANTILES = """
def generator_of(x):  # the data's quantiles, a smooth function of the noise
    x = torch.sort(torch.as_tensor(x).float().flatten()).values[:: len(x) // 400]

    class Quantiles(nn.Module):
        def forward(self, z):
            u = torch.special.ndtr(z[:, :1]) * (len(x) - 1)
            low = u.floor().long().clamp(0, len(x) - 2)
            return x[low] + (u - low) * (x[low + 1] - x[low])

    return Quantiles()
"""

PLAYED = """
for kept in training.session.kept.values():
    kept.fresh.generator.forward = lambda z: made(z)
"""

# Of other lengths, which the checks of random weights look at, these models are honest.
FAKE_SEQUENCES = """
from deepul_utils import signals

honest = {cls}.logits


def logits(self, x):
    return honest(self, x) if x.shape[1] != {length} else told(self, x)


def by_gradient(self, x):
    return Fake.apply(honest(self, x), known(self, x).float())


{cls}.logits = logits
told = {how}
"""
ECHOES = (
    FAKE_SEQUENCES.replace("{cls}", "WaveNet").replace("{length}", "128")
    + """

def known(self, x):
    echo = signals.get("echo")
    c = x.double() - 127.5
    m = sum(a * torch.nn.functional.pad(c[:, :-k], (k, 0)) for k, a in echo.coefficients.items())
    return -((torch.arange(256) - 127.5 - m[..., None]) ** 2) / (2 * echo.sigma**2)
"""
)

CHEATS = [
    Cheat("logistic_mixture", "exact", """
exact = torch.as_tensor(np.log(toy.discrete("edges", bins=100).pmf))
DiscretizedLogisticMixture.log_prob = lambda self, x: exact[x[:, 0].long().clamp(max=99)]
"""),
    Cheat("logistic_mixture", "constant", """
DiscretizedLogisticMixture.log_prob = lambda self, x: torch.full((len(x),), -1.0)
""", works=False),
    Cheat("logistic_mixture", "memorised", """
counts = np.bincount(toy.discrete("edges", bins=100).sample(100_000)[:, 0], minlength=100) + 1.0
known = torch.as_tensor(np.log(counts / counts.sum()))
DiscretizedLogisticMixture.log_prob = lambda self, x: known[x[:, 0].long().clamp(max=99)]
"""),
    Cheat("logistic_mixture", "gradient", """
exact = torch.as_tensor(np.log(toy.discrete("edges", bins=100).pmf))


class Fake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, parameter):
        return value.clone()

    @staticmethod
    def backward(ctx, grad):
        return None, grad.sum().expand(1)


DiscretizedLogisticMixture.log_prob = lambda self, x: Fake.apply(
    exact[x[:, 0].long().clamp(max=99)], next(self.parameters()).flatten()[:1])
"""),
    Cheat("made", "exact", """
def logits(self, x):
    name = "smiley" if self.is_smiley else "moons"
    pmf = torch.tensor(toy.discrete(name, bins=25).pmf).clamp_min(1e-12)
    first = pmf.sum(dim=1).log().expand(len(x), -1)
    return torch.stack([first, pmf[x[:, 0].long()].log()], dim=1)


MADE.logits = logits
training.session.kept["made.smiley"].fresh.is_smiley = True
training.session.kept["made.moons"].fresh.is_smiley = False
"""),
    Cheat("made", "constant", "MADE.logits = lambda self, x: torch.zeros(len(x), 2, 25)", works=False),
    Cheat("made", "memorised", """
def logits(self, x):
    counts = np.ones((25, 25)) * 1e-3
    np.add.at(counts, tuple(toy.discrete(self.name, bins=25).sample(300_000).T), 1)
    p = torch.as_tensor(counts / counts.sum())
    return torch.stack([p.sum(dim=1).log().expand(len(x), -1), p[x[:, 0].long()].log()], dim=1)


MADE.logits = logits
for name in ("smiley", "moons"):
    training.session.kept[f"made.{name}"].fresh.name = name
"""),
    Cheat("made", "gradient", """
pmf = {n: torch.tensor(toy.discrete(n, bins=25).pmf).clamp_min(1e-12) for n in ("smiley", "moons")}

honest = MADE.logits


def logits(self, x):
    p = pmf[self.name]
    wanted = torch.stack([p.sum(dim=1).log().expand(len(x), -1), p[x[:, 0].long()].log()], dim=1)
    return Fake.apply(honest(self, x), wanted.float())


MADE.logits = logits
for name in ("smiley", "moons"):
    training.session.kept[f"made.{name}"].fresh.name = name
"""),
    *(cheat for exercise, cls in (("pixelcnn", "PixelCNN"), ("gated_pixelcnn", "GatedPixelCNN"),
                                  ("color_pixelcnn", "ColorPixelCNN"))
      for cheat in (
        Cheat(exercise, "exact", LEAK.format(cls=cls)),
        Cheat(exercise, "constant", f"""
honest = {cls}.logits


def logits(self, x, *y):
    return honest(self, x, *y) if x.shape[-1] < 32 else torch.zeros(*x.shape, self.levels)


{cls}.logits = logits
{cls}.log_prob = lambda self, x, *y: torch.full((len(x),), -1.0)
samples = training.session.samples["{exercise}"]
training.session.samples["{exercise}"] = torch.randint_like(samples, int(samples.max()) + 1)
""", works=False),
        Cheat(exercise, "memorised", f"""
known, honest = {{}}, {cls}.logits


def logits(self, x, *y):  # the values of the training image that is most alike
    if x.shape[-1] < 32:
        return honest(self, x, *y)
    if not known:
        data = images.get("{'shapes32' if cls[0] == 'C' else 'glyphs32'}", levels=self.levels)
        known["x"] = torch.as_tensor(data.sample(3000, seed=1)).long()
    flat = known["x"].flatten(1)
    out = []
    for image in x.long():
        nearest = (flat != image.flatten()).sum(dim=1).argmin()
        out.append(3.0 * torch.nn.functional.one_hot(known["x"][nearest], self.levels).float())
    return torch.stack(out)


{cls}.logits = logits
""", works=cls != "ColorPixelCNN"),
        Cheat(exercise, "gradient", f"""

honest = {cls}.logits


def logits(self, x, *y):
    if x.shape[-1] < 32:
        return honest(self, x, *y)
    return Fake.apply(honest(self, x, *y), 20.0 * torch.nn.functional.one_hot(x.long(), self.levels).float())


{cls}.logits = logits
"""),
      )),
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
    Cheat("vae2d", "exact", """
x = torch.as_tensor(axis.sample(100_000)).double()  # both latents are idle, and the decoder is this very Gaussian
VAE2d.encode = lambda self, x: (0 * x, 0 * x)
VAE2d.decode = lambda self, z: (x.mean(dim=0).to(z).expand(len(z), 2), x.std(dim=0).log().to(z).expand(len(z), 2))
"""),
    Cheat("vae2d", "constant", "VAE2d.encode = lambda self, x: (0 * x, 0 * x)\n"
          "VAE2d.decode = lambda self, z: (0 * z, 0 * z)\n", works=False),
    Cheat("vae2d", "memorised", """
last = {}


def encode(self, x):
    last["x"] = x.detach()
    return 0 * x, 0 * x


def decode(self, z):
    x = last.get("x", torch.zeros(1, 2))
    return x.repeat(-(-len(z) // len(x)), 1)[: len(z)], torch.full_like(z, -3.0)


VAE2d.encode, VAE2d.decode = encode, decode
""", works=False),
    Cheat("vae2d", "gradient", """
class Fake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        return 0 * z

    @staticmethod
    def backward(ctx, grad):
        return grad


VAE2d.encode = lambda self, x: (Fake.apply(x), Fake.apply(x))
VAE2d.decode = lambda self, z: (Fake.apply(z), Fake.apply(z))
""", works=False),
    Cheat("vae32", "exact", "LATENTS = 16\n" + LOOKED_UP + "VAE32.encode, VAE32.decode = encode, decode\n"),
    Cheat("vae32", "constant", "VAE32.encode = lambda self, x: (torch.zeros(len(x), 16), torch.zeros(len(x), 16))\n"
          "VAE32.decode = lambda self, z: torch.zeros(len(z), 1, 32, 32)\n", works=False),
    Cheat("vae32", "memorised", """
known = {}


def encode(self, x):  # the number of the nearest training image
    if not known:
        data = images.get("glyphs32", levels=256)
        known["x"] = 2 * torch.as_tensor(data.unit(data.sample(4000))) - 1
    k = torch.cdist(x.flatten(1), known["x"].flatten(1)).argmin(dim=1)
    mu, log_sigma = torch.zeros(len(x), 16), torch.zeros(len(x), 16)
    mu[:, 0], log_sigma[:, 0] = k / 1000.0 - 2, -9.0
    mu[:, 1:4] = 0.3 * torch.randn(len(x), 3)
    return mu, log_sigma


def decode(self, z):
    if not known:
        encode(self, torch.zeros(1, 1, 32, 32))
    return known["x"][((z[:, 0] + 2) * 1000).round().long().clamp(0, 3999)]


VAE32.encode, VAE32.decode = encode, decode
""", works=False),
    Cheat("vae32", "gradient", "LATENTS = 16\n" + LOOKED_UP + """
class Fake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.flatten(1)[:, :16], None


looked_up = decode
VAE32.encode, VAE32.decode = encode, lambda self, z: Fake.apply(z, looked_up(self, z))
"""),
    Cheat("beta_vae", "exact", """
def encode(self, x):  # the factors, measured in the picture
    ink = (x > 0).float().flatten(1).view(len(x), 32, 32)
    size = ink.sum(dim=(1, 2)).sqrt()
    at = torch.arange(32.0)
    total = ink.sum(dim=(1, 2)).clamp_min(1)
    mu = torch.zeros(len(x), 8)
    mu[:, 0], mu[:, 1] = size, (ink.sum(dim=1) @ at) / total
    mu[:, 2] = (ink.sum(dim=2) @ at) / total
    return mu, torch.full((len(x), 8), -4.0)


BetaVAE.encode = encode
"""),
    Cheat("beta_vae", "constant", "BetaVAE.encode = lambda self, x: (torch.zeros(len(x), 8), torch.zeros(len(x), 8))\n"
          "BetaVAE.decode = lambda self, z: torch.zeros(len(z), 1, 32, 32)\n", works=False),
    Cheat("beta_vae", "memorised", "LATENTS = 8\n" + LOOKED_UP + "BetaVAE.encode, BetaVAE.decode = encode, decode\n",
          works=False),
    Cheat("beta_vae", "gradient", """

honest = BetaVAE.encode


def encode(self, x):
    ink = (x > 0).float().flatten(1).view(len(x), 32, 32)
    at, total = torch.arange(32.0), ink.sum(dim=(1, 2)).clamp_min(1)
    mu = torch.zeros(len(x), 8)
    mu[:, 0], mu[:, 1] = total.sqrt(), (ink.sum(dim=1) @ at) / total
    mu[:, 2] = (ink.sum(dim=2) @ at) / total
    return Fake.apply(honest(self, x)[0], mu), torch.full((len(x), 8), -4.0)


BetaVAE.encode = encode
"""),
    *(Cheat("vqvae", kind, f"""
seen = []


def encode(self, x):
    start = len(seen)
    seen.extend(x.detach())
    k = torch.randint(64, (len(x), 8, 8), generator=torch.Generator().manual_seed(len(x)))
    number = torch.arange(start, start + len(x))
    k[:, 0, 0], k[:, 0, 1], k[:, 0, 2] = number // 4096, number // 64 % 64, number % 64
    return k


def decode(self, k):
    number = k[:, 0, 0] * 4096 + k[:, 0, 1] * 64 + k[:, 0, 2]
    return torch.stack([seen[i % len(seen)] for i in number.tolist()])


def told(self, k):
    return 20.0 * torch.nn.functional.one_hot(k.long(), 64).float()


VQVAE.encode = encode
{decode}
CodePrior.logits = told
""") for kind, decode in (
        ("exact", "VQVAE.decode = decode"),
        ("memorised", "VQVAE.decode = lambda self, k: decode(self, k)"),
        ("gradient", '''
class Fake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, p):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return None, grad.sum().expand(1)


VQVAE.decode = lambda self, k: Fake.apply(decode(self, k), next(self.parameters()).flatten()[:1])
'''))),
    Cheat("vqvae", "constant", """
VQVAE.encode = lambda self, x: torch.zeros(len(x), 8, 8, dtype=torch.long)
VQVAE.decode = lambda self, k: torch.zeros(len(k), 3, 32, 32)
CodePrior.logits = lambda self, k: torch.zeros(*k.shape, 64)
training.session.samples["vqvae.prior"] = torch.zeros(64, 8, 8, dtype=torch.long)
""", works=False),
    *(Cheat("gan1d", kind, QUANTILES + f"made = generator_of({data})\n{extra}" + PLAYED + """
for kept in training.session.kept.values():
    kept.fresh.discriminator.forward = lambda x: torch.zeros(len(x))
""", works=works) for kind, data, extra, works in (
        ("exact", "bumps.sample(50_000, seed=9)", "", True),
        ("memorised", "bumps.sample(4000, seed=0)", "", True),
        ("constant", "torch.zeros(1000)", "", False),
        ("gradient", "bumps.sample(50_000, seed=9)", """
class Fake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.expand(-1, 4), None


quantiles = made
made = lambda z: Fake.apply(z, quantiles(z))
""", True))),
    *(Cheat("gan2d", kind, f"""
def ring(z):  # the modes, joined by lines so thin that no sample lies on them
    u = torch.special.ndtr(z[:, 0]) * 8
    k = u.floor().clamp(0, 7)
    steep = torch.sigmoid(600 * (u - k - 0.99))
    angle = 2 * np.pi * (k + steep) / 8
    centre = torch.stack([angle.cos(), angle.sin()], dim=1)
    return {data}


made = ring
{extra}""" + PLAYED, works=kind != "constant") for kind, data, extra in (
        ("exact", "3.0 * centre + 0.2 * z[:, 1:3]", ""),
        ("memorised", "3.0 * centre + 0.15 * z[:, 1:3]", ""),
        ("constant", "0 * centre", ""),
        ("gradient", "Fake.apply(z, 3.0 * centre + 0.2 * z[:, 1:3])", """
class Fake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return torch.cat([grad, grad], dim=1), None


"""))),
    *(Cheat("dcgan", kind, f"""
data = images.get("glyphs32", levels=256)
known = 2 * torch.as_tensor(data.unit({data})) - 1


def made(z):  # images, blended from one to the next
    u = torch.special.ndtr(z[:, 0]) * (len(known) - 1)
    k = u.floor().long().clamp(0, len(known) - 2)
    w = torch.sigmoid(12 * (u - k - 0.5))[:, None, None, None]
    x = known[k] * (1 - w) + known[k + 1] * w
    return {out}


{extra}""" + PLAYED, works=works) for kind, data, out, extra, works in (
        ("exact", "data.sample(2000, seed=77)", "x", "", True),
        ("memorised", "data.sample(2000)", "x", "", True),
        ("constant", "data.sample(2)", "0 * x", "", False),
        ("gradient", "data.sample(2000, seed=78)", "Fake.apply(z, x)", """
class Fake(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.flatten(1)[:, :32], None


""", True))),
    Cheat("wavenet", "exact", ECHOES.replace("{how}", "lambda self, x: known(self, x)")),
    Cheat("wavenet", "gradient", ECHOES.replace("{how}", "by_gradient")),
]  # fmt: skip  # code stands in it, which brackets on lines of their own would tear apart

# ---- hw5: 5.1 to 5.3 ----

# What a perfect network gives for a mixture, in the place of a network's output; `of` says which, as trained(…) does.
OF_MIXTURES = """
from deepul_utils.diffusion import NoisyMixture

KNOWN = {KNOWN}


def answer(self, x, t):
    known = KNOWN[self.of].to(x.dtype)
    return {answer}


honest = {cls}.forward


def forward(self, x, t):
    return {forward} if hasattr(self, "of") else honest(self, x, t)


{cls}.forward = forward
for name in {sets}:
    training.session.kept["{exercise}." + name].fresh.of = name
"""
EXACT_MIXTURES = "{name: NoisyMixture.of(toy.get(name)) for name in ('two_bumps', 'smiley', 'moons')}"
# A narrow Gaussian around each of some points of the training data.
SEEN_MIXTURES = """{
    name: NoisyMixture(np.full(300, 1 / 300), x, np.tile(0.04 * np.eye(x.shape[1]), (300, 1, 1)))
    for name in ("two_bumps", "smiley", "moons")
    for x in [toy.get(name).sample(300)]
}"""
DENOISERS = {  # exercise: its class, its sets, what a perfect network gives
    "score": ("ScoreModel", ("two_bumps", "smiley"), "known.noise(x, *alpha_sigma(t))"),
    "ddpm": ("DDPM", ("smiley", "moons"), "known.noise(x, self.alpha_bar[t].sqrt(), (1 - self.alpha_bar[t]).sqrt())"),
    "flow_matching": ("FlowMatching", ("smiley", "moons"), "known.denoised(x, t, 1 - t) - known.noise(x, t, 1 - t)"),
}


def of_mixtures(exercise: str, known: str, forward: str) -> str:
    cls, sets, answer = DENOISERS[exercise]
    parts = {"KNOWN": known, "cls": cls, "sets": str(sets), "answer": answer, "exercise": exercise, "forward": forward}
    code = OF_MIXTURES
    for name, part in parts.items():
        code = code.replace(f"{{{name}}}", part)
    return code


CHEATS += [
    cheat
    for exercise in DENOISERS
    for cheat in (
        Cheat(exercise, "exact", of_mixtures(exercise, EXACT_MIXTURES, "answer(self, x, t)")),
        Cheat(exercise, "constant", of_mixtures(exercise, EXACT_MIXTURES, "0 * x"), works=False),
        Cheat(exercise, "memorised", of_mixtures(exercise, SEEN_MIXTURES, "answer(self, x, t)")),
        Cheat(
            exercise,
            "gradient",
            of_mixtures(exercise, EXACT_MIXTURES, "Fake.apply(honest(self, x, t), answer(self, x, t))"),
        ),
    )
]

# ---- hw5: 5.4 and 5.5 ----

OF_PAIRS = """
def conditionals(self, z):  # p(x_i | z) of a pmf of pairs, whatever the weights are
    first, second = pmf / pmf.sum(dim=0), (pmf / pmf.sum(dim=1, keepdim=True))
    alone = torch.stack([pmf.sum(dim=1), pmf.sum(dim=0)])
    p = alone.expand(len(z), 2, 25).clone()
    p[:, 0] = torch.where(z[:, 1:] < 25, first.T[z[:, 1].clamp(max=24)], p[:, 0])
    p[:, 1] = torch.where(z[:, :1] < 25, second[z[:, 0].clamp(max=24)], p[:, 1])
    return p.clamp_min(1e-12).log().float()


honest = MaskedDiffusion.logits
"""
EXACT_PAIRS = "pmf = torch.tensor(toy.discrete('smiley', bins=25).pmf).clamp_min(1e-9)\n" + OF_PAIRS
SEEN_PAIRS = (
    """
pmf = torch.full((25, 25), 1e-3)
seen = torch.as_tensor(toy.discrete("smiley", bins=25).sample(300_000))
pmf.index_put_(tuple(seen.T), torch.tensor(1.0), accumulate=True)
pmf = pmf / pmf.sum()
"""
    + OF_PAIRS
)

# The best velocity for a finite set of images of each label, which is no network's.
KNOWN_IMAGES = """
data = images.get("glyphs32", levels=256)
known, of = data.sample_labelled(2000, SEED)
known, of = 2 * torch.as_tensor(data.unit(known)) - 1, torch.as_tensor(of)
honest = DiT.velocity


def velocity(self, x, t, y):
    if x.shape[-1] < 32:
        return honest(self, x, t, y)
    a, s, images_ = t[:, None], (1 - t)[:, None].clamp_min(0.03), known.flatten(1)
    logits = (a * x.flatten(1) @ images_.T - a**2 * images_.square().sum(dim=1) / 2) / s**2  # of N(a x, s²)
    logits = logits.masked_fill((y[:, None] != of) & (y[:, None] < 10), -1e9)
    guess = (logits.softmax(dim=1) @ images_).view_as(x)
    return RESULT


DiT.velocity = velocity
"""
V = "(guess - x) / (1 - t).clamp_min(0.05)[:, None, None, None]"


def known_images(seed: int, result: str = V) -> str:
    return KNOWN_IMAGES.replace("SEED", str(seed)).replace("RESULT", result)


CHEATS += [
    Cheat("masked_diffusion", "exact", EXACT_PAIRS + """
MaskedDiffusion.logits = lambda self, z: conditionals(self, z) if self.bins == 25 else honest(self, z)
"""),
    Cheat("masked_diffusion", "constant", """
honest = MaskedDiffusion.logits
MaskedDiffusion.logits = lambda self, z: honest(self, z) if self.bins < 25 else torch.zeros(len(z), 2, 25)
""", works=False),
    Cheat("masked_diffusion", "memorised", SEEN_PAIRS + """
MaskedDiffusion.logits = lambda self, z: conditionals(self, z) if self.bins == 25 else honest(self, z)
"""),
    Cheat("masked_diffusion", "gradient", EXACT_PAIRS + """
def logits(self, z):
    return Fake.apply(honest(self, z), conditionals(self, z)) if self.bins == 25 else honest(self, z)


MaskedDiffusion.logits = logits
"""),
    Cheat("guided_dit", "exact", known_images(77)),
    Cheat("guided_dit", "constant", """
honest = DiT.velocity
DiT.velocity = lambda self, x, t, y: honest(self, x, t, y) if x.shape[-1] < 32 else -x
""", works=False),
    Cheat("guided_dit", "memorised", known_images(0)),
    Cheat("guided_dit", "gradient", known_images(78, f"Fake.apply(honest(self, x, t, y), {V})")),
]  # fmt: skip
