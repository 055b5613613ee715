"""A student's vector quantizer as plain functions of arrays, with every shape checked, and the suite of its codes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autograder.checks import hint, points, require
from autograder.families.latent import gradient_or_none, several
from autograder.properties import latent
from autograder.student import Handle, Student, expect, whole
from autograder.workbench import StudentCodeError

MODELS = 3  # random ones, of which the nearest codes are asked


class Quantizer:
    """nearest: z (B, D, H, W) -> codes (B, H, W). lookup: back. forward: z -> (z_q, codebook loss, commitment loss).

    Its codebook, (codes, D), is a parameter.
    """

    def __init__(self, handle: Handle, codes: int, dims: int):
        self.handle, self.codes, self.dims = handle, codes, dims
        self.name, own = self._own_codebook()
        self.codebook = expect(own, (codes, dims), f"{handle.label}.{self.name}")

    def _own_codebook(self) -> tuple[str, np.ndarray]:
        """It is called codebook; where it is not, the one parameter of its shape, as in a layer of embeddings."""
        parameters, shape = self.handle.parameters(), (self.codes, self.dims)
        alike = {k: p for k, p in parameters.items() if p is not None and p.shape == shape}
        if parameters.get("codebook") is None and len(alike) != 1:
            has = ", ".join(parameters) or "none"
            raise StudentCodeError(
                "missing", f"{self.handle.label} should have a parameter self.codebook of shape {shape}; it has {has}."
            )
        return ("codebook", parameters["codebook"]) if "codebook" in parameters else next(iter(alike.items()))

    def nearest(self, z: np.ndarray) -> np.ndarray:
        B, _, H, W = z.shape
        what = f"{self.handle.label}.nearest(z)"
        return whole(expect(self.handle.call("nearest", z), (B, H, W), what), what)

    def lookup(self, k: np.ndarray) -> np.ndarray:
        B, H, W = k.shape
        return expect(self.handle.call("lookup", k), (B, self.dims, H, W), f"{self.handle.label}.lookup(k)")

    def forward(self, z: np.ndarray) -> list[np.ndarray]:
        names, shapes = ("z_q", "codebook loss", "commitment loss"), (z.shape, (), ())
        return several(self.handle.call("forward", z), names, shapes, f"{self.handle.label}.forward(z)")

    def chosen(self, z: np.ndarray) -> np.ndarray:
        """e_k at every place, by the student's own choice of k; `lookup` is a question of its own."""
        try:
            return self.lookup(self.nearest(z))
        except StudentCodeError:
            return self.vectors_of(self.nearest(z))

    def vectors_of(self, k: np.ndarray) -> np.ndarray:
        """e_k at every place, as we look it up: (B, H, W) -> (B, D, H, W)."""
        if k.min() < -len(self.codebook) or k.max() >= len(self.codebook):
            what = f"the codes of {self.handle.label}"
            raise StudentCodeError("wrong type", f"{what} should be 0 … {self.codes - 1}, got {k.min()} … {k.max()}.")
        return np.moveaxis(self.codebook[k], -1, 1)

    def by_z(self, z: np.ndarray, output: int, cotangent=None) -> np.ndarray:
        """Gradient of one of forward's results by z; zero where none arrives."""
        return gradient_or_none(lambda: self.handle.gradient("forward", z, output=output, cotangent=cotangent), z)

    def by_codebook(self, z: np.ndarray, output: int, cotangent=None) -> np.ndarray:
        """The same by the codebook."""

        def gradient() -> np.ndarray:
            of = self.handle.gradient("forward", z, output=output, wrt="parameters", cotangent=cotangent)[self.name]
            return np.zeros_like(self.codebook) if of is None else of

        return gradient_or_none(gradient, self.codebook)

    def flows(self, z: np.ndarray) -> list[tuple[bool, bool]]:
        """Of z_q, the codebook loss and the commitment loss: does its gradient reach z, and does it the codebook?"""
        return [(bool(np.any(self.by_z(z, k))), bool(np.any(self.by_codebook(z, k)))) for k in range(3)]

    def vectors(self, seed: int) -> np.ndarray:
        """Random vectors to be quantized, float32 (5, D, 4, 3)."""
        return np.random.default_rng(seed).normal(size=(5, self.dims, 4, 3)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Each method makes one check of a quantizer, which is worth so many points.

    small: (student, seed) -> a Quantizer with random codes.
    """

    small: Callable[[Student, int], Quantizer]

    def nearest(self, worth: float, why: str) -> Callable:
        @points(worth, "Codes are the nearest")
        @hint(why)
        def test_codes_are_the_nearest(student, seed):
            for k in range(seed, seed + MODELS):
                made = self.small(student, k)
                z = made.vectors(k)
                require(latent.nearest_codes(rows(z), made.nearest(z).ravel(), made.codebook))

        return test_codes_are_the_nearest

    def looked_up(self, worth: float, why: str) -> Callable:
        @points(worth, "Codes are looked up")
        @hint(why)
        def test_codes_are_looked_up(student, seed):
            made = self.small(student, seed)
            k = np.random.default_rng(seed).integers(made.codes, size=(5, 4, 3))
            required = "the code's vector at every place"
            require(latent.same_arrays(made.lookup(k), made.vectors_of(k), "lookup(k)", required))

        return test_codes_are_looked_up

    def straight_through(self, worth: float, why: str) -> Callable:
        @points(worth, "Straight-through gradient")
        @hint(why)
        def test_straight_through(student, seed):
            made = self.small(student, seed)
            z = made.vectors(seed)
            require(latent.same_arrays(made.forward(z)[0], made.chosen(z), "z_q", "the nearest code"))
            cotangent = np.random.default_rng(seed).normal(size=z.shape).astype(np.float32)
            require(latent.same_gradient(made.by_z(z, 0, cotangent), cotangent, "the gradient of z_q by z"))
            by = made.by_codebook(z, 0, cotangent)
            require(latent.same_gradient(by, np.zeros_like(made.codebook), "the gradient of z_q by the codebook"))

        return test_straight_through

    def losses(self, worth: float, why: str) -> Callable:
        @points(worth, "Each loss moves its own side")
        @hint(why)
        def test_each_loss_moves_its_own_side(student, seed):
            made = self.small(student, seed)
            z = made.vectors(seed)
            e = made.chosen(z)
            squares, required = (
                np.array(((z - e).astype(np.float64) ** 2).mean()),
                "the mean of ‖z − e_k‖² over all entries",
            )
            towards_z = np.zeros_like(made.codebook)
            np.add.at(towards_z, made.nearest(z).ravel(), 2 * rows(e - z) / z.size)
            none = np.zeros_like(made.codebook)
            wanted = {"the codebook loss": (towards_z, 0 * z), "the commitment loss": (none, 2 * (z - e) / z.size)}
            for output, (name, (by_codes, by_z)) in enumerate(wanted.items(), start=1):
                require(latent.same_arrays(made.forward(z)[output], squares, name, required))
                got = made.by_codebook(z, output)
                require(latent.same_gradient(got, by_codes, f"the gradient of {name} by the codebook"))
                require(latent.same_gradient(made.by_z(z, output), by_z, f"the gradient of {name} by z"))

        return test_each_loss_moves_its_own_side


def rows(z: np.ndarray) -> np.ndarray:
    """(B, D, H, W) -> (B · H · W, D)."""
    return np.moveaxis(z, 1, -1).reshape(-1, z.shape[1])
