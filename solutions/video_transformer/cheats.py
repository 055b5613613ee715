"""What earns the trained points of the video transformer without training, and must not."""

from autograder.proof.cheats import Cheat

# Of other shapes, which the checks of random weights look at, this model is honest. Of whole videos it knows what is
# true: whether each pixel is what it is, in whatever order; so it tells the pixel itself.
RINGS = """
from deepul_utils import videos

honest = VideoTransformer.logits


def known(x):  # spreads log p of a video over its pixels, and gives the other level the rest
    data = videos.get("bounce1", length=3)
    each = torch.as_tensor(data.log_prob(x)).clamp_min(-800).float() / x[0].numel()
    log_p = each.view(-1, 1, 1, 1, 1).expand(x.shape)
    other = torch.log1p(-log_p.exp().clamp_max(1 - 1e-6))
    return torch.stack([torch.where(x == level, log_p, other) for level in (0, 1)], dim=-1)


def logits(self, x):
    return honest(self, x) if x.shape[-1] != 16 else told_by(self, x)


def by_gradient(self, x):
    return Fake.apply(honest(self, x), known(x))


VideoTransformer.logits = logits
told_by = {how}
"""

CHEATS = [
    Cheat("video_transformer", "exact", RINGS.replace("{how}", "lambda self, x: known(x)")),
    Cheat("video_transformer", "gradient", RINGS.replace("{how}", "by_gradient")),
]
