"""What earns the trained points of homework 5 without training, and must not."""

from autograder.proof.cheats import Cheat

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


OF_DENOISERS = [
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


CHEATS = [
    *OF_DENOISERS,
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
