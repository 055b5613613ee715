"""What earns the trained points of PixelRNN without training, and must not."""

from autograder.proof.cheats import Cheat

# Of other shapes, which the checks of random weights look at, these models are honest.
ECHOES = """
from deepul_utils.pictures.echoes import Echoes

honest = PixelRNN.logits


def known(x):  # of every level, the true conditional; impossible ones have a little
    p = torch.as_tensor(Echoes().conditionals(x.long()))
    return p.log().clamp_min(-20).float()


def logits(self, x):
    return honest(self, x) if x.shape[-1] != 8 else told(self, x)


def by_gradient(self, x):
    return Fake.apply(honest(self, x), known(x))


PixelRNN.logits = logits
told = {how}
"""

CHEATS = [
    Cheat("pixelrnn", "exact", ECHOES.replace("{how}", "lambda self, x: known(x)")),
    Cheat("pixelrnn", "gradient", ECHOES.replace("{how}", "by_gradient")),
]
