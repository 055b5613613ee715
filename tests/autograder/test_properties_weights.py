"""What is asked of trained models, both ways: right ones of any design pass, and those that look away do not."""

import numpy as np
import pytest
import torch
from torch import nn

from autograder.families import autoregressive as family
from autograder.properties import autoregressive, flows, latent, loss, weights
from autograder.student import LocalStudent
from autograder.workbench import StudentCodeError
from deepul_utils import training

RNG = np.random.default_rng(0)


# ---- other weights -----------------------------------------------------------------------------------------


def test_weights_a_thousandth_off_are_near_and_zeros_stay():
    w = RNG.normal(size=(30, 40)) * (RNG.random((30, 40)) < 0.5)
    off = weights.slightly(w, np.random.default_rng(1))
    assert np.array_equal(off == 0, w == 0)
    assert 0 < np.abs(off - w).max() <= 0.006 * np.abs(w).max()


@pytest.mark.parametrize("w", [np.full(7, 2.0), np.zeros((3, 3, 2)) + 0.0, RNG.normal(size=(6, 5)), np.array([3.0])])
def test_shuffled_weights_are_others_of_their_size(w):
    mixed = weights.shuffled(w.astype(np.float32), np.random.default_rng(2))
    assert mixed.shape == w.shape
    assert mixed.dtype == np.float32
    if not np.isin(w, (0, 1)).all():
        assert np.abs(mixed - w).max() > 0.05


def test_masks_buffers_and_whole_numbers_are_not_changed():
    stored = {"mask": np.tril(np.ones((3, 3))), "w": RNG.normal(size=4), "mean": RNG.normal(size=4), "n": np.array(3)}
    for how in ("slightly", "shuffled"):
        changed = weights.changed(stored, ("mask", "w", "n"), how, seed=1)
        assert not np.array_equal(changed["w"], stored["w"])
        assert all(changed[k] is stored[k] for k in ("mean", "n"))
        assert changed["mask"] == pytest.approx(stored["mask"], abs=0.01)
    assert weights.changed(stored, ("w",), "fresh", seed=1) == {}


def test_what_was_found_must_not_hold_with_shuffled_weights():
    good, half, bad = (weights.Finding(share, "said", "asked") for share in (1.0, 0.5, 0.0))
    assert weights.carry(good, lambda k: bad).passed
    assert weights.carry(good, lambda k: None).passed
    assert weights.carry(good, lambda k: half if k == 2 else good).passed
    assert not weights.carry(good, lambda k: good).passed


class Linear(nn.Module):
    def __init__(self, dims: int = 3):
        super().__init__()
        self.layer = nn.Linear(dims, 1)

    def log_prob(self, x):
        return self.layer(x)[:, 0]


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "session", training.Session(tmp_path))
    return training.session


def trained_by(session, model, fit=lambda m: nn.init.constant_(m.layer.weight, 2.0)):
    training.trained("line", model, fit=fit)
    return LocalStudent({"Linear": Linear}, session.models, session.samples, session.histories, session.kept)


X = RNG.normal(size=(5, 3)).astype(np.float32)


def test_a_trained_model_is_made_anew_with_the_weights_of_its_file(session):
    student = trained_by(session, Linear())
    wanted = student.trained("line").log_prob(X)
    with torch.no_grad():
        session.models["line"].layer.weight.zero_()
    session.models["line"].log_prob = lambda x: x[:, 0]
    again = LocalStudent({}, session.models, kept=session.kept)
    assert again.trained("line", "Linear").log_prob(X) == pytest.approx(wanted)


def test_for_a_while_it_has_other_weights(session):
    student = trained_by(session, Linear())
    real = student.trained("line").log_prob(X)
    found = {}
    for how in ("slightly", "shuffled", "fresh"):
        with student.changed(how, 0):
            found[how] = student.trained("line").log_prob(X)
            assert student.trained("line").log_prob(X) == pytest.approx(found[how])
    assert student.trained("line").log_prob(X) == pytest.approx(real)
    assert found["slightly"] == pytest.approx(real, abs=0.05)
    assert np.abs(found["slightly"] - real).max() > 0
    for how in ("shuffled", "fresh"):
        assert np.abs(found[how] - real).max() > 0.1


def test_a_model_that_keeps_results_or_cannot_be_copied(session):
    class Keeps(Linear):
        def log_prob(self, x):
            self.last = super().log_prob(x)
            return self.last

    model = Keeps()
    model.log_prob(torch.zeros(2, 3))
    assert trained_by(session, model).trained("line").log_prob(X).shape == (5,)

    class Locked(Linear):
        def __deepcopy__(self, memo):
            raise TypeError("no copies")

    with pytest.raises(StudentCodeError, match=r"TypeError: no copies\. Keep in self what can be copied"):
        trained_by(session, Locked()).trained("line")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.compile's own
def test_the_class_may_have_another_name_or_be_compiled(session):
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 1)

    def asked(model, namespace):
        training.trained("line", model, fit=lambda m: None, retrain=True)
        return LocalStudent(namespace, session.models, kept=session.kept).trained("line", "Linear")

    assert asked(Mine(), {"Linear": Mine})
    assert asked(torch.compile(Linear()), {"Linear": Linear})
    assert asked(Linear(), {}), "from before its cell ran again"
    with pytest.raises(StudentCodeError, match="is given a Mine; the exercise asks for a Linear"):
        asked(Mine(), {"Linear": Linear})


def test_in_double_precision_and_with_other_weights_it_runs_so(session):
    student = trained_by(session, Linear())
    assert student.trained("line", precise=True).log_prob(X).dtype == np.float64
    with student.changed("shuffled", 0):
        assert student.trained("line", precise=True).log_prob(X).dtype == np.float64


def test_large_weights_travel_in_parts():
    from autograder.student import MOST_SENT, _parts

    third = np.zeros(MOST_SENT // 12, dtype=np.float32)
    parts = _parts(dict.fromkeys("abcdefg", third))
    assert [k for part in parts for k in part] == list("abcdefg")
    assert max(sum(v.nbytes for v in part.values()) for part in parts) <= MOST_SENT
    assert len(_parts({"one": np.zeros(MOST_SENT, dtype=np.float32)})) == 1


# ---- the Jacobian ------------------------------------------------------------------------------------------


def curve(x):
    return np.stack([x[:, 0] + 0.3 * np.sin(x[:, 1]), np.exp(0.5 * x[:, 1]) - x[:, 0] ** 3], axis=1)


def slopes(x):
    one = np.ones(len(x))
    return np.stack([one, 0.3 * np.cos(x[:, 1]), -3 * x[:, 0] ** 2, 0.5 * np.exp(0.5 * x[:, 1])], 1).reshape(-1, 2, 2)


@pytest.mark.parametrize("n", [1, 60])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_jacobian_is_the_slope_in_any_precision(n, precision):
    x = RNG.normal(size=(n, 2))
    for seed in range(20):
        assert flows.is_the_slope(lambda x: curve(x.astype(precision)).astype(precision), x, slopes(x), seed).passed


@pytest.mark.parametrize("change", [lambda j: 1.3 * j, lambda j: j.swapaxes(1, 2), lambda j: 0 * j, lambda j: j + 0.5])
def test_another_gradient_is_no_slope(change):
    x = RNG.normal(size=(60, 2))
    for seed in range(20):
        found = flows.is_the_slope(curve, x, change(slopes(x)), seed)
        assert not found.passed
        assert "autograd.Function" in found.slip


# ---- conditionals at their real size -----------------------------------------------------------------------


class Told:
    """Logits (B, *shape, levels) of a model: of the sum of what is seen, times how much of it."""

    label = "told"

    def __init__(self, shape, sees):
        self.shape, self.sees = shape, sees
        self.w = np.random.default_rng(5).normal(size=(np.prod(shape), np.prod(shape)))

    def call(self, method, x, *labels):
        rows = family.as_rows(self.shape, x)
        seen = rows @ (self.w * self.sees).T
        logits = [family.as_examples(self.shape, f) for f in (0 * seen, np.sin(seen), np.cos(2 * seen))]
        return np.stack(logits, axis=-1)


def sees_no_later(shape, sees, seed: int = 0, *labels, order=None):
    """Of a model with these dependences; shape: of an example."""
    model = family.Conditionals(Told(shape, sees), shape, 3, order=order)
    return family.sees_no_later(model, RNG.integers(3, size=(30, int(np.prod(shape)))), seed, *labels)


@pytest.mark.parametrize("shape", [(12,), (1, 4, 5), (3, 3, 4), (2, 3, 2, 2)])
def test_a_model_that_sees_nothing_later_passes_and_one_that_does_does_not(shape):
    D = int(np.prod(shape))
    before = np.tri(D, k=-1)
    for seed in range(5):
        assert sees_no_later(shape, before, seed).passed
        assert not sees_no_later(shape, before + np.eye(D), seed).passed
        assert not sees_no_later(shape, np.ones((D, D)), seed).passed
        assert not sees_no_later(shape, before + np.eye(D, k=5), seed).passed
        assert sees_no_later(shape, before, seed, np.zeros(30, dtype=int)).passed


def test_a_sequence_in_another_order_sees_what_is_drawn_before():
    backwards = np.arange(12)[::-1]
    after = np.tri(12, k=-1).T
    assert sees_no_later((12,), np.tri(12, k=-1)).measured == "the trained model sees no later value"
    assert not sees_no_later((12,), after).passed
    assert sees_no_later((12,), after, order=backwards).passed
    assert not sees_no_later((12,), after + np.eye(12), order=backwards).passed


def test_colours_of_a_pixel_may_come_in_any_order_but_in_no_circle():
    shape, D = (3, 3, 4), 36
    pixel = np.arange(D) // 3
    before = pixel[:, None] > pixel
    same = pixel[:, None] == pixel
    colour = np.arange(D) % 3
    backwards = same & (colour[:, None] < colour)
    circle = same & ((colour[:, None] + 1) % 3 == colour)
    assert sees_no_later(shape, before | backwards).passed
    found = sees_no_later(shape, before | circle)
    assert found.measured == "the trained model tells a pixel’s colour of itself"


def test_a_model_of_equal_levels_knows_nothing():
    even = np.full((4, 9, 3), np.log(1 / 3))
    assert not autoregressive.knows_something(even).passed
    certain = np.log(np.full((4, 9, 3), 1e-300))
    certain[..., 1] = 0
    assert autoregressive.knows_something(certain).passed
    p = np.array([0.8, 0.1, 0.1])
    assert autoregressive.knows_something(np.broadcast_to(np.log(p), (4, 9, 3))).passed


# ---- losses ------------------------------------------------------------------------------------------------


def test_a_bound_lies_nowhere_far_below():
    exact = RNG.normal(size=500)
    assert latent.none_far_below(exact + RNG.exponential(size=500) - 2, exact).passed
    below = exact.copy()
    below[77] -= 30
    assert not latent.none_far_below(below, exact).passed
    assert not latent.none_far_below(np.full(500, np.nan), exact).passed


@pytest.mark.parametrize("examples", [30, 80, 4000])
def test_a_share_that_chance_counts_earns_nothing(examples):
    reference = {"mean": 0.05, "sd": 0.01}
    drawn = np.random.default_rng(1).binomial(examples, 0.9, size=3000) / examples
    earned = [loss.graded(w, reference, None, 0.9, "of the images", examples).share for w in drawn]
    assert np.mean(np.array(earned) > 0) < 2e-3
    assert loss.graded(0.05, reference, None, 0.9, "of the images", examples).passed
