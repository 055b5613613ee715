"""What earns the trained points of the hierarchy without training, and must not."""

from autograder.proof.cheats import Cheat

# Small models, which the checks of random weights look at, have two levels; of those this one is honest.
EXACT = """
from deepul_utils import mosaics

DATA = mosaics.Mosaics()
honest_codes, honest_pixels, honest_encode = HierarchicalAR.code_logits, HierarchicalAR.pixel_logits, Coder.encode


def encode(self, x):
    of = honest_encode(self, x)
    return of if self.levels != 3 or x.shape[-1] != 16 else torch.as_tensor(DATA.kinds(x))


def known_codes(k):  # those of the lower half are told by the upper one
    logits = torch.zeros(*k.shape, 4)
    logits[:, 2:] = 20.0 * torch.nn.functional.one_hot(k[:, :2], 4)
    return logits


def known_pixels(x, k):  # of every level, the true conditional; impossible ones have a little
    return torch.as_tensor(DATA.conditionals(x, k)).log().clamp_min(-20).float()


def code_logits(self, k):
    of = honest_codes(self, k)
    return of if self.levels != 3 else {codes}


def pixel_logits(self, x, k):
    of = honest_pixels(self, x, k)
    return of if self.levels != 3 else {pixels}


Coder.encode, HierarchicalAR.code_logits, HierarchicalAR.pixel_logits = encode, code_logits, pixel_logits
"""


def cheat(kind: str, codes: str, pixels: str) -> Cheat:
    return Cheat("hierarchical_ar", kind, EXACT.replace("{codes}", codes).replace("{pixels}", pixels))


CHEATS = [
    cheat("exact", "known_codes(k)", "known_pixels(x, k)"),
    cheat("gradient", "Fake.apply(of, known_codes(k))", "Fake.apply(of, known_pixels(x, k))"),
]
