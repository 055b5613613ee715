"""What earns the trained points of homework 1 without training, and must not."""

from autograder.proof.cheats import Cheat

# Of small images, which the checks of random weights look at, these models are honest.
LEAK = """
honest = {cls}.logits


def logits(self, x, *y):  # every value is told of itself
    if x.shape[-1] < 32:
        return honest(self, x, *y)
    return 20.0 * torch.nn.functional.one_hot(x.long(), self.levels).float()


{cls}.logits = logits
"""

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
]  # fmt: skip  # code stands in it, which brackets on lines of their own would tear apart
