"""What earns the trained points of PixelRNN without training, and must not."""

from autograder.proof.cheats import Cheat

# Of other shapes, which the checks of random weights look at, these models are honest.
CORNERS = """
from deepul_utils import pictures

honest = PixelRNN.logits


def known(x):  # of every level, the true conditional; impossible ones have a little
    corners, out = pictures.get("corners"), []
    for i in range(8):
        for j in range(8):
            both = []
            for level in (0, 1):
                changed = x.clone().long()
                changed[:, 0, i, j] = level
                both.append(torch.as_tensor(corners.log_conditionals(changed))[:, 0, i, j].clamp_min(-20))
            out.append(torch.stack(both, dim=-1))
    return torch.stack(out, dim=1).view(len(x), 1, 8, 8, 2).float()


def logits(self, x):
    return honest(self, x) if x.shape[-1] != 8 else told(self, x)


def by_gradient(self, x):
    return Fake.apply(honest(self, x), known(x))


PixelRNN.logits = logits
told = {how}
"""

CHEATS = [
    Cheat("pixelrnn", "exact", CORNERS.replace("{how}", "lambda self, x: known(x)")),
    Cheat("pixelrnn", "gradient", CORNERS.replace("{how}", "by_gradient")),
]
