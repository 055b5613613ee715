"""What earns the trained points of homework 3 without training, and must not."""

from autograder.proof.cheats import Cheat

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

CHEATS = [
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
]  # fmt: skip  # code stands in it, which brackets on lines of their own would tear apart
