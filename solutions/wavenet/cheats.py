"""What earns the trained points of WaveNet without training, and must not."""

from autograder.proof.cheats import Cheat

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
    Cheat("wavenet", "exact", ECHOES.replace("{how}", "lambda self, x: known(self, x)")),
    Cheat("wavenet", "gradient", ECHOES.replace("{how}", "by_gradient")),
]  # fmt: skip  # code stands in it, which brackets on lines of their own would tear apart
