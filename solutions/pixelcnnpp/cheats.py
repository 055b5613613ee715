"""What earns the trained points of PixelCNN++ without training, and must not."""

from autograder.proof.cheats import Cheat

# Of other shapes, which the checks of random weights look at, this model is honest.
TINTS = """
from deepul_utils import pictures

honest = PixelCNNpp.logits


def known(x):  # of every level, the true conditional; nothing is impossible
    return torch.as_tensor(pictures.get("tints").conditionals(x.long())).log().float()


def logits(self, x):
    return honest(self, x) if x.shape[-1] != 8 else told_by(self, x)


def by_gradient(self, x):
    return Fake.apply(honest(self, x), known(x))


PixelCNNpp.logits = logits
told_by = {how}
"""

CHEATS = [
    Cheat("pixelcnnpp", "exact", TINTS.replace("{how}", "lambda self, x: known(x)")),
    Cheat("pixelcnnpp", "gradient", TINTS.replace("{how}", "by_gradient")),
]
