"""What earns the trained points of homework 4 without training, and must not."""

from autograder.proof.cheats import Cheat

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

CHEATS = [
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
]  # fmt: skip  # code stands in it, which brackets on lines of their own would tear apart
