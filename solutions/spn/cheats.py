"""What earns the trained points of the subscale network without training, and must not."""

from autograder.proof.cheats import Cheat

# Of other shapes, which the checks of random weights look at, this model is honest. The true conditionals are known in
# raster order alone: a model of that order, whose loss would be the limit.
CORNERS = """
from deepul_utils import pictures

honest = SPN.logits


def known(x):  # of every level, the true conditional; impossible ones have a little
    p = torch.as_tensor(pictures.get("corners").conditionals(x.long()))
    return p.log().clamp_min(-20).float()


def logits(self, x):
    return honest(self, x) if x.shape[-1] != 8 else told_by(self, x)


def by_gradient(self, x):
    return Fake.apply(honest(self, x), known(x))


SPN.logits = logits
told_by = {how}
"""

CHEATS = [
    Cheat("spn", "exact", CORNERS.replace("{how}", "lambda self, x: known(x)")),
    Cheat("spn", "gradient", CORNERS.replace("{how}", "by_gradient")),
]
