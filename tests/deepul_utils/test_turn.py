"""The turn of the data: other data, of which everything is known that was known of the first ones."""

import numpy as np
import pytest

from deepul_utils import classifier, images, toy, turn
from deepul_utils.images import shapes

EVERY = range(turn.TURNS)
later = pytest.mark.parametrize("number", [n for n in EVERY if n])
# A circle is its own image, so that of rings nothing changes.
TURNED = [name for name in toy.names() if name != "rings"]
BUILT_IN = [("glyphs32", 2), ("glyphs32", 256), ("digits32", 16), ("shapes32", 2), ("shapes32", 4)]


def forget() -> None:
    for kept in (turn.number, toy.get, toy.discrete, images._get, shapes._ramps, classifier.get):
        kept.cache_clear()


@pytest.fixture
def turned(monkeypatch, tmp_path):
    """turned(number): from now on the data are of this turn."""
    monkeypatch.setattr(turn, "FILE", tmp_path / "turn.txt")

    def to(number: int) -> None:
        turn.turn_to(number)
        forget()

    yield to
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("name", toy.names())
@later
def test_the_density_is_that_of_the_points_before_they_were_turned(turned, number, name):
    turned(0)
    before = toy.get(name)
    x = before.sample(500, seed=4, split="test").astype(np.float64)
    turned(number)
    M, after = turn.matrix(before.dims, before.is_along_axes), toy.get(name)
    assert pytest.approx(np.eye(before.dims)) == M @ M.T
    assert after.log_prob(x @ M.T) == pytest.approx(before.log_prob(x), abs=1e-6)
    assert after.entropy == pytest.approx(before.entropy, abs=1e-6)
    assert (after.name, after.about, after.support) == (before.name, before.about, before.support)


@pytest.mark.parametrize("name", toy.names())
@later
def test_samples_and_grids_are_turned_with_the_density(turned, number, name):
    turned(number)
    data = toy.get(name)
    loss = -data.log_prob(data.sample(20_000, seed=3, split="test"))
    assert abs(loss.mean() - data.entropy) <= 4 * loss.std() / np.sqrt(len(loss)) + 1e-12
    grid = toy.discrete(name, {1: 100, 2: 25}[data.dims])
    x = grid.sample(20_000, seed=3)
    loss = -grid.log_prob(x)
    assert grid.pmf.sum() == pytest.approx(1)
    assert abs(loss.mean() - grid.entropy) <= 4 * loss.std() / np.sqrt(len(loss)) + 1e-12


@pytest.mark.parametrize("name", TURNED)
@pytest.mark.parametrize("number", EVERY)
def test_the_next_turn_is_another_set(turned, number, name):
    """What fits one fits the next one worse than a model would that has hardly been trained."""
    turned(number)
    x, entropy = toy.get(name).sample(4000), toy.get(name).entropy
    turned((number + 1) % turn.TURNS)
    assert np.mean(np.maximum(toy.get(name).log_prob(x), -50)) < -entropy - 0.1


@pytest.mark.parametrize(("name", "levels"), BUILT_IN)
@pytest.mark.parametrize("number", [1, 2])
def test_pictures_are_inverted_in_every_other_turn(turned, number, name, levels):
    draw = lambda: images.get(name, levels).sample_labelled(300, np.random.default_rng(5))  # noqa: E731
    turned(0)
    x, y = draw()
    unit = images.get(name, levels).unit(x)
    turned(number)
    got, labels = draw()
    assert got.dtype == np.uint8
    assert np.array_equal(labels, y)
    assert np.array_equal(got, levels - 1 - x if number % 2 else x)
    assert turn.unit(images.get(name, levels).unit(got)) == pytest.approx(unit, abs=1e-6)


def test_shapes_are_drawn_as_they_are_sampled_and_no_two_are_alike(turned):
    turned(1)
    data = images.get("shapes32", 4)
    x, y = data.sample_labelled(2000, seed=1)
    assert np.array_equal(data.render(y), x)
    some = data.factors(np.arange(0, data.configurations, 97))
    assert len({image.tobytes() for image in data.render(some)}) == len(some)


@pytest.mark.parametrize(("name", "levels"), [("glyphs32", 256), ("shapes32", 4)])
def test_the_classifiers_see_what_pictures_show_in_every_turn(turned, name, levels):
    right = []
    for number in (0, 1):
        turned(number)
        right.append(classifier.accuracy(classifier.get(name), levels, n=2000))
    assert right[1] == pytest.approx(right[0], abs=0.01)


def test_other_turns_have_other_draws(turned):
    draws = set()
    for number in EVERY:
        turned(number)
        draws.add(toy.stream("smiley", 0).integers(2**60))
    assert len(draws) == turn.TURNS


def test_the_turn_is_a_file_and_without_it_none(turned):
    turned(2)
    assert turn.FILE.read_text() == "2\n"
    assert turn.number() == 2
    turned(0)
    assert not turn.FILE.exists()
    assert turn.number() == 0


@pytest.mark.parametrize("text", ["", "4", "-1", "one", "1.0", "0 1"])
def test_a_file_that_names_no_turn_is_refused(turned, text):
    turned(0)
    turn.FILE.write_text(text)
    forget()
    with pytest.raises(ValueError, match="no turn of the data: a number from 0 to 3"):
        toy.get("moons")
