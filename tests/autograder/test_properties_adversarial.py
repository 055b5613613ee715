"""Games: losses at logits, steps and their gradients, objectives with noise, the penalty. Right and wrong ones each."""

import numpy as np
import pytest

from autograder.properties import adversarial, samples
from autograder.properties.adversarial import sigmoid, softplus

RNG = np.random.default_rng(0)


def test_softplus_and_sigmoid_at_any_size():
    x = np.array([-1000.0, -1.0, 0.0, 1.0, 1000.0])
    np.testing.assert_allclose(softplus(x), [0, np.log1p(np.exp(-1)), np.log(2), 1 + np.log1p(np.exp(-1)), 1000])
    np.testing.assert_allclose(sigmoid(x), [0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1], atol=1e-12)


def discriminator_loss(real, fake):
    return softplus(-real).mean() + softplus(fake).mean()


def test_a_right_discriminator_loss():
    assert adversarial.discriminator_loss_is_right(discriminator_loss).passed


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda r, f: discriminator_loss(-r, -f), "exchanged"),
        (lambda r, f: -discriminator_loss(r, f), "sign is wrong"),
        (lambda r, f: discriminator_loss(r, f) / 2, "half of the sum"),
        (lambda r, f: softplus(-r).sum() + softplus(f).sum(), "summed over the batch"),
        (lambda r, f: softplus(-r).mean(), "term of the samples is missing"),
        (lambda r, f: softplus(f).mean(), "term of the data is missing"),
        (lambda r, f: softplus(-r).mean() + softplus(-f).mean(), "called data, too"),
        (lambda r, f: discriminator_loss(np.clip(r, -20, 20), np.clip(f, -20, 20)), "use softplus"),
        (lambda r, f: np.nan, ""),
        (lambda r, f: discriminator_loss(r, f) + 0.1 * r.mean(), "smoothed (0.9 for data, 0 for samples)"),
        (
            lambda r, f: discriminator_loss(r, f) + 0.2 * r.mean() - 0.1 * f.mean(),
            "smoothed (0.8 for data, 0.1 for sam",
        ),
        (lambda r, f: -np.log(sigmoid(r) + 1e-8).mean() + softplus(f).mean(), "softplus"),
    ],
)
def test_wrong_discriminator_losses(loss, said):
    found = adversarial.discriminator_loss_is_right(loss)
    assert found.share == 0
    assert said in found.slip


@pytest.mark.parametrize("saturating", [False, True])
def test_generator_losses(saturating):
    def minimax(f):
        return -softplus(f).mean()

    def better(f):
        return softplus(-f).mean()

    right, other = (minimax, better) if saturating else (better, minimax)
    assert adversarial.generator_loss_is_right(right, saturating).passed
    assert "This is the" in adversarial.generator_loss_is_right(other, saturating).slip
    assert "sign" in adversarial.generator_loss_is_right(lambda f: -right(f), saturating).slip
    assert adversarial.generator_loss_is_right(lambda f: len(f) * right(f), saturating).share == 0


def test_a_discriminator_is_compared_with_the_best_one():
    """Of N(0, 1) and N(1, 1) the best logit is log p − log p_G = ½ − x."""
    x, y = RNG.normal(size=20_000), 1 + RNG.normal(size=20_000)
    divergence = samples.jensen_shannon_1d(x, y)
    best = adversarial.is_nearly_the_best(0.5 - x, 0.5 - y, divergence)
    assert best.passed
    assert best.value == pytest.approx(0, abs=0.02)
    far = x + 5
    undecided = adversarial.is_nearly_the_best(0 * x, 0 * far, samples.jensen_shannon_1d(x, far))
    assert undecided.share == 0
    assert "tells nothing" in undecided.slip
    assert "not as well as it could" in adversarial.is_nearly_the_best(0.2 - 0.1 * x, -0.1 * far, 0.69).slip
    assert "wrong" in adversarial.is_nearly_the_best(x - 3, far + 3, samples.jensen_shannon_1d(x, far)).slip
    assert adversarial.is_nearly_the_best(0 * x, 0 * x, samples.jensen_shannon_1d(x, RNG.normal(size=20_000))).passed
    assert adversarial.is_nearly_the_best(np.full(9, np.nan), np.zeros(9), 0.1).share == 0


# ---- the players ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda x: x, ""),
        (lambda x: 0.1 * x, ""),
        (sigmoid, "A sigmoid"),
        (np.tanh, "A tanh"),
        (lambda x: np.maximum(x, 0), "An activation"),
        (lambda x: -softplus(x), "An activation"),
    ],
)
def test_logits_have_no_bounds(end, said):
    found = adversarial.are_logits(end(20 * RNG.normal(size=500)))
    assert found.passed == (said == "")
    assert said in found.slip
    assert not adversarial.are_logits(np.array([-3.0, np.nan, 5.0])).passed


@pytest.mark.parametrize(
    ("z", "ok"),
    [
        (RNG.normal(size=(2000, 4)), True),
        (RNG.normal(size=(2000, 1)), True),
        (RNG.uniform(-1, 1, size=(2000, 4)), True),
        (RNG.random((2000, 32)), True),
        (np.repeat(RNG.normal(size=(2000, 1)), 4, axis=1), False),
        (np.ones((2000, 4)), False),
        (np.repeat(RNG.normal(size=(1000, 4)), 2, axis=0), False),
        (RNG.choice([-2, 0, 2], size=(2000, 2)) + 0.2 * RNG.normal(size=(2000, 2)), False),
        (np.full((2000, 4), np.nan), False),
    ],
)
def test_noise_is_normal_or_uniform(z, ok):
    assert adversarial.is_plain_noise(z).passed == ok


def test_a_generator_gives_the_same_again():
    x = RNG.normal(size=(8, 2))
    assert adversarial.repeats(x, x + 1e-7).passed
    assert "another x" in adversarial.repeats(x, x[::-1]).measured
    assert not adversarial.repeats(x, np.full_like(x, np.nan)).passed


def test_neighbours_change_no_logit():
    said = RNG.normal(size=8)
    others = np.where(np.arange(8) % 2, 5.0, said)
    assert adversarial.sees_one_at_a_time(said, others).passed
    assert not adversarial.sees_one_at_a_time(said, others - others.mean()).passed
    assert not adversarial.sees_one_at_a_time(said, np.full(8, np.nan)).passed


# ---- steps ---------------------------------------------------------------------------------------------

GRADS = {"a.weight": RNG.normal(size=(3, 4)), "a.bias": RNG.normal(size=3), "b.weight": None}


def test_a_step_moves_its_own_player():
    still = {"a.weight": np.ones((2, 2)), "b.weight": np.zeros((2, 2))}
    assert adversarial.moves_alone(still, "a").passed
    assert "it moves a.weight" in adversarial.moves_alone(still, "b").measured
    assert "does not move" in adversarial.moves_alone({"a.weight": np.zeros(2)}, "a").measured


def test_a_step_leaves_no_gradient_behind():
    assert adversarial.leaves_none({"a.w": np.ones(2), "b.w": None, "b.v": np.zeros(2)}, "b").passed
    assert "leaves a gradient in b.w" in adversarial.leaves_none({"b.w": np.ones(2)}, "b").measured


def test_directions():
    def of(factor, noise=0.0):
        return {k: None if g is None else factor * g + noise * RNG.normal(size=g.shape) for k, g in GRADS.items()}

    assert adversarial.same_direction(of(1, 0.01), GRADS, "it").passed
    assert "opposite way" in adversarial.same_direction(of(-1), GRADS, "it").measured
    assert "2 times the gradient" in adversarial.same_direction(of(2), GRADS, "it").measured
    assert not adversarial.same_direction(of(1, 1.0), GRADS, "it").passed
    assert not adversarial.same_direction(dict.fromkeys(GRADS), GRADS, "it").passed
    assert not adversarial.same_direction(
        {k: g if g is None else g * np.nan for k, g in GRADS.items()}, GRADS, ""
    ).passed


def test_a_step_is_the_same_after_another():
    again = {k: None if g is None else g + 0.01 * RNG.normal(size=g.shape) for k, g in GRADS.items()}
    assert adversarial.is_as_without(again, GRADS, "discriminator", "generator").passed
    twice = {k: None if g is None else 2 * g for k, g in GRADS.items()}
    assert "were not cleared" in adversarial.is_as_without(twice, GRADS, "generator", "generator").slip


def test_gradients_are_combined_parameter_by_parameter():
    total = adversarial.combined((2.0, GRADS), (1.0, {"a.bias": np.ones(3)}))
    np.testing.assert_allclose(total["a.bias"], 2 * GRADS["a.bias"] + 1)
    assert total["b.weight"] is None


def test_a_gradient_for_one_player_only():
    parameters = {k: np.zeros((2, 2)) if k.endswith("weight") else np.zeros(2) for k in GRADS}
    assert adversarial.only_of(GRADS, "a", parameters).passed
    assert adversarial.only_of(GRADS | {"a.bias": None}, "a", parameters).passed
    assert "no gradient for a.weight" in adversarial.only_of(GRADS | {"a.weight": None}, "a", parameters).measured
    assert "gradient for b.weight" in adversarial.only_of(GRADS | {"b.weight": np.ones(1)}, "a", parameters).measured


# ---- objectives ----------------------------------------------------------------------------------------


def test_an_objective_with_noise():
    def draws(n=40):
        return 3 + 0.1 * RNG.normal(size=n)

    wanted = draws()
    assert adversarial.objective_is(draws(), wanted, "it", {}).passed
    off = adversarial.objective_is(-draws(), wanted, "it", {"Its sign is wrong.": -wanted, "Half.": wanted / 2})
    assert not off.passed
    assert off.slip == "Its sign is wrong."
    assert not adversarial.objective_is(np.full(40, 3.0), wanted, "it", {}).passed  # always the same noise
    assert not adversarial.objective_is(np.full(40, np.nan), wanted, "it", {}).passed


def test_rounding_is_no_difference():
    wanted = np.full(40, 2.0)
    assert adversarial.objective_is(wanted + 1e-6, wanted, "it", {}).passed
    assert not adversarial.objective_is(wanted + 0.1, wanted, "it", {}).passed


def test_a_right_objective_fails_rarely():
    values = [adversarial.objective_is(RNG.normal(size=40), RNG.normal(size=40), "it", {}).value for _ in range(300)]
    assert min(values) > 1e-5
    assert np.mean(np.array(values) < 0.1) < 0.2


def test_how_far_apart_two_samples_are():
    assert adversarial.apart(np.arange(10), np.arange(10)) == 0
    assert adversarial.apart(np.arange(10), 5 + np.arange(10)) == 0.5
    assert adversarial.apart(np.zeros(3), np.ones(7)) == 1


# ---- the penalty ---------------------------------------------------------------------------------------

SLOPES = [s * RNG.normal(size=(n, 2)) for s, n in ((0.3, 4), (1.0, 30), (3.0, 50))]


@pytest.mark.parametrize(
    ("penalty", "said"),
    [
        (lambda s: ((np.linalg.norm(s, axis=1) - 1) ** 2).mean(), ""),
        (lambda s: (np.linalg.norm(s, axis=1) - 1).mean(), "square is missing"),
        (lambda s: (np.linalg.norm(s, axis=1) ** 2).mean(), "not diminished"),
        (lambda s: (((s**2).sum(axis=1) - 1) ** 2).mean(), "a root is missing"),
        (lambda s: (np.linalg.norm(s) - 1) ** 2, "One norm over the whole batch"),
        (lambda s: (np.linalg.norm(s, axis=1).mean() - 1) ** 2, "not every norm by itself"),
        (lambda s: ((np.linalg.norm(s / len(s), axis=1) - 1) ** 2).mean(), "take it of the sum"),
        (lambda s: (np.maximum(np.linalg.norm(s, axis=1) - 1, 0) ** 2).mean(), "below one cost nothing"),
    ],
)
def test_penalties(penalty, said):
    found = adversarial.penalty_is_right([penalty(s) for s in SLOPES], SLOPES)
    assert found.passed == (said == "")
    assert said in found.slip


def along(epsilon):
    """A penalty that differs on the line and off it: of ε (m, pairs, 2), the mean over pairs."""
    return (np.sin(5 * epsilon[..., 0]) + 4 * (epsilon[..., 0] - epsilon[..., 1]) ** 2).mean(axis=-1)


@pytest.mark.parametrize(
    ("epsilon", "said"),
    [
        (lambda n: np.repeat(RNG.uniform(size=(n, 1)), 2, axis=1), ""),
        (lambda n: np.full((n, 2), RNG.uniform()), "share one ε"),
        (lambda n: RNG.uniform(size=(n, 2)), "in a box"),
        (lambda n: np.full((n, 2), 0.5), "middle"),
        (lambda n: np.ones((n, 2)), "x̂ is the data"),
        (lambda n: np.zeros((n, 2)), "x̂ is the sample"),
        (lambda n: np.repeat(RNG.normal(size=(n, 1)), 2, axis=1), "ε is normal"),
    ],
)
def test_where_the_penalty_is_taken(epsilon, said):
    got = np.array([along(epsilon(32)) for _ in range(150)])
    found = adversarial.interpolates(got, along, 32)
    assert found.passed == (said == "")
    assert said in found.slip


def test_whatever_a_penalty_makes_of_its_slopes_its_places_are_judged():
    def squared(epsilon):
        return -(along(epsilon) ** 2)

    def got(epsilon):
        return np.array([squared(epsilon()) for _ in range(150)])

    assert adversarial.interpolates(got(lambda: np.repeat(RNG.uniform(size=(32, 1)), 2, axis=1)), squared, 32).passed
    assert "share one" in adversarial.interpolates(got(lambda: np.full((32, 2), RNG.uniform())), squared, 32).slip


def test_rounding_of_a_penalty_with_few_values_is_no_difference():
    """Of a piecewise linear critic: the same three values, once of one sum and once of another."""

    def steps(epsilon):
        return np.array([0.1, 2.2, 5.5])[(3 * epsilon[..., 0]).clip(0, 2).astype(int)].mean(axis=-1)

    got = np.array([steps(RNG.uniform(size=(1, 1))) for _ in range(150)]) * (1 + 1e-7)
    assert adversarial.interpolates(got, steps, 1).passed
    assert not adversarial.interpolates(got + 0.1, steps, 1).passed
