"""What earns the trained points of the Video Pixel Network without training, and must not."""

from autograder.proof.cheats import Cheat

# Of other shapes, which the checks of random weights look at, this model is honest. The true conditionals of a frame
# follow from all places where the ring may be: those that agree with the pixels so far, by their probability.
BOUNCES = """
from deepul_utils import videos

honest = VPN.logits
data = videos.get("bounce1")
places = np.stack(np.meshgrid(*2 * [np.arange(data.places)], indexing="ij"), axis=-1).reshape(-1, 1, 1, 2)
pictures = data.render(places).reshape(len(places), -1)  # (144, 256)


def chances(tracks, t):  # of every place in frame t: (n, 144)
    if t == 0:
        return np.full((len(tracks), len(places)), 1 / len(places))
    move = places[None, :, 0, 0] - tracks[:, None, t - 1]
    before = tracks[:, t - 1] - tracks[:, t - 2] if t > 1 else np.zeros_like(tracks[:, 0])
    return data._chance(tracks[:, None, t - 1] + 0 * move, before[:, None] + 0 * move, move).prod(axis=-1)


def known(x):  # of both levels, the true conditional; impossible ones have a little
    x = x.detach().numpy()
    tracks = data.read(x)[:, :, 0].clip(0)
    flat, p = x.reshape(*x.shape[:2], -1), np.zeros((*x.shape, 2))
    for t in range(x.shape[1]):
        agrees = (pictures[None] == flat[:, t, None]).cumprod(axis=-1)
        before = np.concatenate([np.ones_like(agrees[..., :1]), agrees[..., :-1]], axis=-1)
        weight = chances(tracks, t)[..., None] * before  # (n, 144, 256)
        lit = (weight * pictures).sum(axis=1) / weight.sum(axis=1).clip(1e-30)
        p[:, t] = np.stack([1 - lit, lit], axis=-1).reshape(len(x), *x.shape[2:], 2)
    return torch.as_tensor(p.clip(1e-9)).log().float()


def logits(self, x):
    return honest(self, x) if x.shape[1:] != data.shape else told_by(self, x)


def by_gradient(self, x):
    return Fake.apply(honest(self, x), known(x))


VPN.logits = logits
told_by = {how}
"""

CHEATS = [
    Cheat("vpn", "exact", BOUNCES.replace("{how}", "lambda self, x: known(x)")),
    Cheat("vpn", "gradient", BOUNCES.replace("{how}", "by_gradient")),
]
