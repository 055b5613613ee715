"""What is known exactly of data with noise, where the data are a mixture of Gaussians: to compare with.

exact = NoisyMixture.of(toy.get("moons"))
exact.noise(x, alpha, sigma)  # E[ε | x_t = x], of x_t = α x_0 + σ ε: what a perfect network gives
"""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from deepul_utils.errors import KitError


class NoisyMixture(nn.Module):
    """x_t = α x_0 + σ ε with ε ~ N(0, I) and x_0 of Σ_k π_k N(μ_k, Σ_k): itself a mixture of Gaussians.

    weights π (K,), means μ (K, D), covariances Σ (K, D, D): arrays or tensors. All methods take x (B, D) and the two
    numbers of a noise level, α and σ, of all examples or (B,). Raises KitError for other shapes.
    """

    if TYPE_CHECKING:
        log_pi: Tensor
        mu: Tensor
        variances: Tensor
        along: Tensor
        turned_mu: Tensor

    def __init__(self, weights, means, covariances):
        super().__init__()
        pi, mu, covariance = (torch.as_tensor(np.array(a), dtype=torch.float64) for a in (weights, means, covariances))
        if mu.ndim != 2 or pi.shape != mu.shape[:1] or covariance.shape != (*mu.shape, mu.shape[1]):
            shapes = ", ".join(str(tuple(a.shape)) for a in (pi, mu, covariance))
            raise KitError(f"NoisyMixture: weights, means and covariances are (K,), (K, D), (K, D, D), got {shapes}.")
        variances, axes = torch.linalg.eigh(covariance)  # Σ_k = U_k diag(λ_k) U_kᵀ
        along = axes.transpose(0, 1).flatten(1)  # x @ along is U_kᵀ x of all k, side by side: (D, K · D)
        turned = (mu[:, None] @ axes)[:, 0]
        parts = dict(log_pi=pi.log(), mu=mu, variances=variances.clamp(min=0), along=along, turned_mu=turned)
        for name, value in parts.items():
            self.register_buffer(name, value.to(torch.get_default_dtype()), persistent=False)

    @classmethod
    def of(cls, dist) -> "NoisyMixture":
        """That of a toy distribution which is a mixture of Gaussians. Raises KitError for another."""
        if not hasattr(dist, "covariances"):
            raise KitError(f"NoisyMixture.of: {getattr(dist, 'name', dist)} is no mixture of Gaussians.")
        return cls(dist.weights, dist.means, dist.covariances)

    def log_prob(self, x: Tensor, alpha, sigma) -> Tensor:
        """log p_t(x) in nats: (B,)."""
        return self._parts(x, alpha, sigma)[0].logsumexp(dim=1)

    def score(self, x: Tensor, alpha, sigma) -> Tensor:
        """∇ log p_t(x): (B, D)."""
        return -self._pulled(x, alpha, sigma)

    def noise(self, x: Tensor, alpha, sigma) -> Tensor:
        """E[ε | x_t = x] = −σ ∇ log p_t(x): (B, D)."""
        return _column(sigma, x) * self._pulled(x, alpha, sigma)

    def denoised(self, x: Tensor, alpha, sigma) -> Tensor:
        """E[x_0 | x_t = x]: (B, D)."""
        log_joint, y, spread = self._parts(x, alpha, sigma)
        p, gain = log_joint.softmax(dim=1), _column(alpha, x)[:, :, None] * self.variances / spread  # (B, K, D)
        return p @ self.mu + self._turned_back(p[:, :, None] * gain * y)

    def _pulled(self, x: Tensor, alpha, sigma) -> Tensor:
        """−∇ log p_t(x) = Σ_k p(k | x) (α² Σ_k + σ² I)⁻¹ (x − α μ_k)."""
        log_joint, y, spread = self._parts(x, alpha, sigma)
        return self._turned_back(log_joint.softmax(dim=1)[:, :, None] * y / spread)

    def _parts(self, x: Tensor, alpha, sigma) -> tuple[Tensor, Tensor, Tensor]:
        """log π_k N(x; α μ_k, α² Σ_k + σ² I), (B, K); x − α μ_k and the variances along the axes of Σ_k, (B, K, D)."""
        alpha, sigma = _column(alpha, x)[:, :, None], _column(sigma, x)[:, :, None]
        y = (x @ self.along).view(-1, *self.mu.shape) - alpha * self.turned_mu
        spread = alpha**2 * self.variances + sigma**2
        log_normal = -(y**2 / spread + spread.log() + math.log(2 * math.pi)).sum(dim=2) / 2
        return self.log_pi + log_normal, y, spread

    def _turned_back(self, y: Tensor) -> Tensor:
        """Σ_k U_k y_k: (B, K, D) -> (B, D)."""
        return y.flatten(1) @ self.along.T


@torch.no_grad()
def squared_errors(guess, dist, times, levels, n: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """The mean of ‖ε − ε̂‖² at each of the times (T,), of a network and of a perfect one, on the same noise: (T,) each.

    guess: (x (n, D), t (n,)) -> (n, D), what is taken for the noise. levels: t (n,) -> α, σ, (n,) each.
    """
    exact, x = NoisyMixture.of(dist), torch.as_tensor(dist.sample(n, seed=1, split="validation"))
    errors = []
    for time in times:
        t = torch.as_tensor(time).expand(n)
        t = t if t.dtype == torch.int64 else t.to(x.dtype)
        alpha, sigma = levels(t)
        eps = torch.randn_like(x)
        noisy = _column(alpha, x) * x + _column(sigma, x) * eps
        both = guess(noisy, t), exact.noise(noisy, alpha, sigma)
        errors.append([((eps - e) ** 2).sum(dim=1).mean().item() for e in both])
    return tuple(np.array(errors).T)


def _column(value, x: Tensor) -> Tensor:
    """A number, or one for each example, (B,) or (B, 1), as (B, 1)."""
    value = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    return value.reshape(-1, 1).expand(len(x), 1)
