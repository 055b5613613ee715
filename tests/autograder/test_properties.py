"""Every property both ways: it accepts what the theorem allows, and rejects what is only nearly so."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kstest

from autograder import checks
from autograder.properties import autoregressive, discrete, hygiene, layers, loss
from autograder.properties.finding import Finding
from autograder.score import _plain

SEEDS = range(5)
DIMS, LEVELS = 4, 3
quick = settings(max_examples=60, deadline=None, derandomize=True)


def passed(finding: Finding) -> bool:
    """What is shown must be shown in any case: two phrases, and a plot of finite numbers."""
    assert finding.measured
    assert finding.required
    assert "null" not in json.dumps(_plain(finding.plot), allow_nan=False)
    return finding.passed


# ---- causality -----------------------------------------------------------------------------------------


def network(depends, seed: int = 0, scale: float = 1.0, levels: int = LEVELS):
    """Outputs (B, d, 2): output i is a random function of exactly the inputs j with depends[i][j]."""
    depends = np.asarray(depends, dtype=bool)
    tables = np.random.default_rng(seed).normal(size=(*depends.shape, levels, 2)) * scale

    def outputs(x: np.ndarray) -> np.ndarray:
        seen = tables[:, np.arange(x.shape[1]), x]  # (d, B, d, 2)
        return np.moveaxis(np.where(depends[:, None, :, None], seen, 0).sum(axis=2), 0, 1)

    return outputs


def order(places) -> np.ndarray:
    """What a full model in this order depends on: output i on every input of a smaller place."""
    places = np.asarray(places)
    return places[:, None] > places[None, :]


def strict(depends, seed: int = 0) -> bool:
    return passed(autoregressive.is_strict_order(network(depends, seed), len(depends), LEVELS, seed))


def complete(depends, seed: int = 0) -> bool:
    return passed(autoregressive.misses_nothing([network(depends, seed)], len(depends), LEVELS, seed))


@given(arrays(bool, (DIMS, DIMS)), st.integers(0, 999))
@quick
def test_dependencies_are_exactly_those_of_the_network(depends, seed):
    assert np.array_equal(autoregressive.dependencies(network(depends, seed), DIMS, LEVELS, seed), depends)


@given(st.permutations(range(5)), arrays(bool, (5, 5)), st.integers(0, 999))
@quick
def test_any_order_is_accepted_and_so_is_any_part_of_one(places, kept, seed):
    depends = order(places)
    assert strict(depends, seed)
    assert complete(depends, seed)
    assert strict(depends & kept, seed)
    assert complete(depends & kept, seed) == np.array_equal(depends & kept, depends)


@given(
    st.permutations(range(5)), arrays(bool, (5, 5)), st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True)
)
@quick
def test_any_loop_is_rejected_however_long(places, kept, loop):
    """One output that sees itself, two that see each other, or a circle through all five."""
    depends = order(places) & kept
    depends[loop, np.roll(loop, 1)] = True
    finding = autoregressive.is_strict_order(network(depends), 5, LEVELS)
    assert not passed(finding)
    named = {int(word) for word in finding.measured.replace(",", "").split() if word.isdigit()}
    assert named & {i + 1 for i in loop}


def test_the_outputs_that_see_themselves_are_named():
    def says(*positions):
        depends = np.zeros((4, 4))
        for i, j in positions:
            depends[i, j] = 1
        return autoregressive.is_strict_order(network(depends), 4, LEVELS).measured

    assert says((1, 1)) == "output 2 moves when its own input changes"
    assert says((1, 1), (3, 3)) == "outputs 2, 4 move when their own input changes"
    assert says((0, 2), (2, 0)) == "outputs 1, 3 of 4 depend on each other in a circle"
    assert says((0, 2), (2, 3), (3, 0)) == "outputs 1, 3, 4 of 4 depend on each other in a circle"


def test_what_is_missed_is_missed_whatever_else_is_seen():
    """That an output sees itself, or more than it may, is another theorem."""
    leaks = np.eye(4, dtype=bool)
    assert complete(order(range(4)) | leaks)
    assert complete(np.ones((4, 4)))
    assert not complete([[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]])
    missing = order(range(4))
    missing[2, 0] = False
    finding = autoregressive.misses_nothing([network(missing | leaks)], 4, LEVELS)
    assert finding.measured == "neither output 1 sees input 3 nor output 3 input 1"
    assert passed(autoregressive.misses_nothing([network(missing), network(order(range(4)))], 4, LEVELS))


def test_where_everything_sees_everything_the_slip_is_said():
    finding = autoregressive.is_strict_order(network(np.ones((4, 4))), 4, LEVELS, mixed="a norm")
    assert (finding.measured, finding.slip) == ("every output moves with every input that is seen at all", "a norm")
    but_the_last = np.ones((4, 4), dtype=bool)
    but_the_last[:, 3] = False
    assert autoregressive.is_strict_order(network(but_the_last), 4, LEVELS, mixed="a norm").slip == "a norm"
    assert autoregressive.is_strict_order(network(np.eye(4)), 4, LEVELS, mixed="a norm").slip == ""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_a_small_dependence_is_seen_and_rounding_is_not(seed, size):
    rng = np.random.default_rng(seed)
    base = network(order(range(4)), seed, scale=size)
    leak = network(np.diag([0, 0, 1, 0]), seed + 1, scale=1e-3 * (1 + size))

    def rounded(x):
        return base(x) * (1 + 1e-7 * rng.normal(size=(len(x), 1, 1)))

    assert autoregressive.is_strict_order(rounded, 4, LEVELS, seed).passed
    assert not autoregressive.is_strict_order(lambda x: base(x) + leak(x), 4, LEVELS, seed).passed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dependence_that_shows_at_one_level_or_through_another_input_is_seen(seed):
    def binary(logit):
        return np.stack([0 * logit, logit], axis=-1)

    one_level = np.zeros((4, 4), dtype=bool)
    one_level[3, 1] = True

    def at_one_level(x):
        return binary(np.where(np.arange(4) == 3, x[:, [1]] == 2, 0))

    def product(x):
        return binary(np.where(np.arange(4) == 3, x[:, [1]] * (x[:, [0]] == 2), 0))

    assert np.array_equal(autoregressive.dependencies(at_one_level, 4, 3, seed), one_level)
    one_level[3, 0] = True
    assert np.array_equal(autoregressive.dependencies(product, 4, 3, seed), one_level)


def test_huge_logits_hide_no_leak():
    """Neither of one level, which is then impossible, nor added to all."""
    leak = network(np.eye(4))

    def one_level(x):
        out = np.concatenate([leak(x), np.full((len(x), 4, 1), -1e7)], axis=-1)
        return out.astype(np.float32)

    assert not autoregressive.is_strict_order(one_level, 4, LEVELS).passed
    assert not autoregressive.is_strict_order(lambda x: (leak(x) + 1e5).astype(np.float32), 4, LEVELS).passed


def test_what_is_added_to_all_levels_tells_nothing():
    right = network(order(range(4)))

    def shifted(x):
        return right(x) + x[..., None]

    assert autoregressive.is_strict_order(shifted, 4, LEVELS).passed


def test_nan_counts_as_dependence():
    def broken(x):
        return np.full((len(x), 4, 2), np.nan)

    assert not autoregressive.is_strict_order(broken, 4, LEVELS).passed


@pytest.mark.parametrize("infinite", [-np.inf, np.inf])
def test_an_infinite_logit_neither_moves_nor_hides_what_moves(infinite):
    """A model may forbid a level with −∞; the tolerance must not become infinite with it."""

    def with_forbidden(outputs):
        def forbidding(x):
            out = outputs(x)
            out[:, 0, 0] = infinite
            return out

        return forbidding

    right = order(range(4))
    assert autoregressive.is_strict_order(with_forbidden(network(right)), 4, LEVELS).passed
    assert not autoregressive.is_strict_order(with_forbidden(network(right | np.eye(4, dtype=bool))), 4, LEVELS).passed


def test_one_dimension():
    assert strict([[0]])
    assert complete([[0]])
    assert not strict([[1]])


def wide(depends, seeds=range(4), shut=()):
    """Several networks of one architecture; `shut` paths are closed by chance in the first."""
    first = np.array(depends, dtype=bool)
    for i, j in shut:
        first[i, j] = False
    return [network(first if seed == 0 else depends, seed) for seed in seeds]


def whole_past(networks, explain=lambda missing: "") -> Finding:
    return autoregressive.sees_its_past(networks, DIMS, LEVELS, seed=3, explain=explain)


def test_networks_that_see_the_past_in_its_order_whatever_else_they_see():
    assert passed(whole_past(wide(order(range(DIMS)))))
    assert passed(whole_past(wide(order(range(DIMS)), shut=[(3, 0), (2, 1)])))  # open in the others
    assert passed(whole_past(wide(order(range(DIMS)) | np.eye(DIMS, dtype=bool))))


@pytest.mark.parametrize(("i", "j"), [(1, 0), (3, 0), (3, 2)])
def test_a_blind_spot_of_all_networks_is_named(i, j):
    depends, seen = order(range(DIMS)), []
    depends[i, j] = False
    finding = whole_past(wide(depends), lambda missing: seen.append(np.argwhere(missing).tolist()) or "why")
    assert not passed(finding)
    assert finding.measured == f"output {i + 1} does not see input {j + 1}"
    assert (seen, finding.slip) == ([[[i, j]]], "why")


def test_another_order_is_not_that_of_the_variables():
    assert not passed(whole_past(wide(order([3, 2, 1, 0]))))


# ---- densities by the chain rule -----------------------------------------------------------------------


def test_the_chain_rule_by_hand():
    x = np.array([[0, 2, 1, 0], [1, 1, 1, 2]])
    logits = network(order(range(DIMS)), levels=LEVELS)(x)
    logits = np.concatenate([logits, logits[..., :1] * 2], axis=-1)  # three levels
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    by_hand = [np.log([p[b, i, x[b, i]] for i in range(DIMS)]).sum() for b in range(2)]
    assert autoregressive.chain_rule(lambda x: logits.astype(np.float32))(x) == pytest.approx(by_hand, rel=1e-5)


def test_log_prob_is_its_sum_or_not():
    wanted = np.array([-3.0, -700.0, -2e5])
    assert passed(autoregressive.sums_its_conditionals(wanted * (1 + 1e-5), wanted))
    little, endless = np.array([0.1, 0, 0]), np.array([0, -np.inf, 0])
    for wrong in (wanted / 2, np.maximum(wanted, -100), wanted + little, wanted + endless):
        assert not passed(autoregressive.sums_its_conditionals(wrong, wanted))


def test_a_floor_is_named_where_log_prob_is_right_near_the_data():
    near, far = (np.array([-3.0, -9.0]),) * 2, np.array([-700.0, -2e4])
    assert passed(autoregressive.exact_far(near, (far, far)))
    finding = autoregressive.exact_far(near, (far, far), (np.maximum(far, -100), far))
    assert not passed(finding)
    assert "clamped" in finding.slip
    finding = autoregressive.exact_far((near[0] / 2, near[1]), (far / 2, far))
    assert not passed(finding)
    assert "clamped" not in finding.slip


def test_the_sharpest_networks_depend_most_on_their_past():
    depends = order(range(DIMS))
    networks = [network(depends, scale=size) for size in (0.1, 1.5, 0.4, 0.8)]
    assert sorted(autoregressive.sharpest(networks, DIMS, LEVELS, 2)) == [1, 3]
    shut = depends.copy()
    shut[2, 1] = False  # as sharp as can be, but for one dependence
    assert autoregressive.sharpest([network(shut, scale=1.5), *networks], DIMS, LEVELS, 1) != [0]


def test_numbers_of_the_first_example_are_not_said_to_be_random():
    x = np.random.default_rng(0).normal(size=(9, 3))
    found = hygiene.rows_are_independent(lambda rows: (rows - rows[:1] / 2).sum(axis=1), x)
    assert not passed(found)
    assert "the batch's first one" in found.slip


def test_a_sampler_that_sets_its_seed_is_told_from_one_that_has_little_to_draw():
    def anew(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(2, size=(50, 2))

    assert passed(hygiene.drawn_anew(anew, 0))
    fixed = hygiene.drawn_anew(lambda seed: anew(0), 0, "sample(n)", lambda x: np.full(len(x), np.log(0.25)))
    assert not passed(fixed)
    assert "A seed is set inside" in fixed.slip
    assert passed(hygiene.drawn_anew(lambda seed: anew(0), 0, "sample(n)", lambda x: np.full(len(x), -1e-3)))


# ---- layers --------------------------------------------------------------------------------------------


def test_more_layers_have_more_parameters():
    assert passed(layers.grows(100, 200, "Flow", "couplings"))
    assert "plain Python list" in layers.grows(0, 0, "Flow", "couplings").slip
    shared = layers.grows(100, 100, "Flow", "couplings")
    assert not passed(shared)
    assert "[layer] * n" in shared.slip
    assert "the number is not used" in shared.slip


def test_layers_that_are_their_own_and_one_in_two_places():
    rng = np.random.default_rng(0)
    a, b, mask = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), np.tri(3)
    assert passed(layers.are_their_own({"0.weight": a, "1.weight": b, "0.mask": mask}, {"0.weight": a, "1.weight": b}))
    finding = layers.are_their_own({"0.weight": a, "1.weight": a, "2.weight": b}, {"0.weight": a, "2.weight": b})
    assert not passed(finding)
    assert finding.measured == "1.weight is the same parameter as 0.weight"
    shared_mask = {"0.weight": a, "0.mask": mask, "1.weight": b, "1.mask": mask}
    assert passed(layers.are_their_own(shared_mask, {k: v for k, v in shared_mask.items() if k != "1.mask"}))


# ---- typical samples -----------------------------------------------------------------------------------

IMAGES, PIXELS = 40, 60


def conditionals(seed: int, sharpness: float = 2.0):
    """A function of x (n, PIXELS): log p of every level given the pixel before, (n, PIXELS, LEVELS)."""
    tables = np.random.default_rng(seed).normal(size=(PIXELS, LEVELS, LEVELS)) * sharpness
    tables -= np.log(np.exp(tables).sum(axis=-1, keepdims=True))

    def log_p(x: np.ndarray) -> np.ndarray:
        before = np.concatenate([np.zeros((len(x), 1), dtype=x.dtype), x[:, :-1]], axis=1)
        return tables[np.arange(PIXELS), before]

    return log_p


def drawn_from(log_p, seed: int, change=lambda p: p) -> np.ndarray:
    """IMAGES draws, pixel by pixel; `change` spoils the probabilities of a pixel (n, LEVELS)."""
    rng = np.random.default_rng(seed)
    x = np.zeros((IMAGES, PIXELS), dtype=np.int64)
    for i in range(PIXELS):
        p = change(np.exp(log_p(x)[:, i]))
        x[:, i] = (rng.random((IMAGES, 1)) > p.cumsum(axis=1) / p.sum(axis=1, keepdims=True)).sum(axis=1)
    return x


def test_a_models_own_draws_are_typical():
    """200 models, so that a p-value that is too small too often would show."""
    p_values = []
    for seed in range(200):
        log_p = conditionals(seed, sharpness=0.5 + seed % 5)
        x = drawn_from(log_p, seed)
        finding = autoregressive.typical(x, log_p(x))
        assert passed(finding)
        p_values.append(finding.value)
    assert kstest(p_values, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p**1.3,  # a lower temperature
        lambda p: p**0.7,
        lambda p: p + 0.05,
        lambda p: p == p.max(axis=1, keepdims=True),  # the most likely level
        lambda p: p[:, ::-1],
        np.ones_like,
    ],
)
def test_draws_of_a_changed_model_are_not_typical(change):
    log_p = conditionals(1)
    x = drawn_from(log_p, 1, change)
    assert not passed(autoregressive.typical(x, log_p(x)))


def test_draws_of_another_model_are_not_typical_and_the_side_is_said():
    log_p = conditionals(1)
    finding = autoregressive.typical(x := drawn_from(conditionals(2), 1), log_p(x))
    assert not passed(finding)
    assert "less probable" in finding.measured
    likeliest = drawn_from(log_p, 1, lambda p: p == p.max(axis=1, keepdims=True))
    assert "more probable" in autoregressive.typical(likeliest, log_p(likeliest)).measured


def test_samples_that_the_model_excludes_are_not_typical():
    log_p = np.log(np.array([0.5, 0.5, 0.0]), where=[True, True, False], out=np.full(3, -np.inf))
    log_p = np.broadcast_to(log_p, (IMAGES, PIXELS, LEVELS))
    x = np.random.default_rng(0).integers(2, size=(IMAGES, PIXELS))
    assert passed(autoregressive.typical(x, log_p))
    x[3, 7] = 2
    finding = autoregressive.typical(x, log_p)
    assert not passed(finding)
    assert "no probability" in finding.measured


# ---- discrete densities --------------------------------------------------------------------------------


def pmf(dims: int, levels: int, seed: int, concentration: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(levels**dims, concentration)).reshape((levels,) * dims)


def log_of(p: np.ndarray, dtype=np.float32):
    with np.errstate(divide="ignore"):
        log_p = np.log(p).astype(dtype)
    return lambda x: log_p[tuple(x.T)]


def draws(p: np.ndarray, n: int, seed: int) -> np.ndarray:
    flat = np.random.default_rng(seed).choice(p.size, size=n, p=p.ravel() / p.sum())
    return np.stack(np.unravel_index(flat, p.shape), axis=1)


def test_states_are_every_state_once():
    grid = discrete.states(3, 4)
    assert grid.shape == (64, 3)
    assert grid.dtype == np.int64
    assert len(np.unique(grid, axis=0)) == 64
    assert grid.tolist() == np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=1).tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_table_is_in_order_though_it_is_asked_for_in_none(seed):
    p, asked = pmf(2, 5, seed), []
    log_p = discrete.table(lambda x: asked.append(x) or log_of(p, np.float64)(x), 2, 5, seed)
    assert log_p == pytest.approx(np.log(p.ravel()))
    assert asked[0].tolist() != discrete.states(2, 5).tolist()
    assert np.array_equal(np.unique(asked[0], axis=0), discrete.states(2, 5))


@given(st.integers(1, 3), st.integers(2, 6), st.sampled_from([0.02, 1.0, 50.0]), st.integers(0, 999))
@quick
def test_a_density_sums_to_one(dims, levels, concentration, seed):
    assert passed(discrete.sums_to_one(log_of(pmf(dims, levels, seed, concentration)), dims, levels, seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_nearly_sums_to_one_does_not(seed):
    p = pmf(3, 3, seed)
    for factor in (1, 1 + 5e-5, 1 - 5e-5):
        assert passed(discrete.sums_to_one(log_of(factor * p), 3, 3, seed))
    for factor in (1 + 2e-4, 1 - 2e-4, 0.9, 3, math.exp(1), 1e-30, 0):
        finding = discrete.sums_to_one(log_of(factor * p, np.float64), 3, 3, seed)
        assert not passed(finding)
        assert finding.value == pytest.approx(abs(factor - 1), rel=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e4, 800.0, 88.9])
def test_a_wrong_value_at_one_state_is_no_density(wrong):
    p = pmf(2, 3, 0)

    def log_prob(x):
        return np.where((x == [1, 2]).all(axis=1), wrong, log_of(p)(x))

    assert not passed(discrete.sums_to_one(log_prob, 2, 3))


def test_states_without_mass_are_allowed():
    p = pmf(2, 4, 0)
    p[0] = 0
    assert passed(discrete.sums_to_one(log_of(p / p.sum()), 2, 4))
    assert not passed(discrete.sums_to_one(lambda x: np.full(len(x), -np.inf), 2, 4))


# ---- sampler = density ---------------------------------------------------------------------------------


@pytest.mark.parametrize("concentration", [0.05, 0.3, 2.0])
def test_a_right_sampler_is_hardly_ever_failed(concentration):
    """600 right samplers, none failed; and their p-values are spread as p-values are."""
    p_values = []
    for seed in range(600):
        p = pmf(*((4, 3) if seed % 2 else (1, 12)), seed, concentration)
        finding = discrete.sampler_matches(draws(p, 4000, seed), log_of(p), p.shape[0], seed)
        assert finding.passed, (seed, finding)
        p_values.append(finding.value)
    assert 0.3 < np.mean(np.array(p_values) < 0.5) < 0.6
    assert np.mean(np.array(p_values) < 0.01) < 0.025
    assert discrete.P_VALUE <= 1e-6


def tempered(p):
    return p**1.15 / (p**1.15).sum()


def independent(p):
    """Every dimension from its marginal."""
    return np.multiply.outer(p.sum(axis=1), p.sum(axis=0))


def one_off(p):
    """Levels one too high, cut at the end."""
    q = np.zeros_like(p)
    q[1:] = p[:-1]
    q[-1] += p[-1]
    return q


def without_the_likeliest(p):
    q = p.copy()
    q.flat[q.argmax()] = 0
    return q / q.sum()


def a_little_uniform(p):
    return 0.93 * p + 0.07 / p.size


def uneven(p):
    """Nothing but a preference for low levels, of two percent a level and more."""
    tilt = np.exp(-0.1 * np.arange(len(p)))[:, None]
    return p * tilt / (p * tilt).sum()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("wrong", [tempered, independent, one_off, np.transpose, without_the_likeliest, uneven])
def test_a_wrong_sampler_is_failed(wrong, seed):
    p = pmf(2, 6, seed, 0.4)
    finding = discrete.sampler_matches(draws(wrong(p), 10_000, seed), log_of(p), 6, seed)
    assert not passed(finding)
    assert "samples misplaced" in finding.measured


@pytest.mark.parametrize("seed", range(8))
def test_a_wrong_sampler_of_a_sparse_density_is_failed(seed):
    p = pmf(2, 6, seed, 0.1)
    assert not passed(discrete.sampler_matches(draws(a_little_uniform(p), 4000, seed), log_of(p), 6, seed))


def test_the_most_likely_state_alone_is_failed():
    p = pmf(2, 6, 0)
    samples = np.tile(np.unravel_index(p.argmax(), p.shape), (4000, 1))
    assert not passed(discrete.sampler_matches(samples, log_of(p), 6))


def test_one_draw_of_a_state_without_mass_fails():
    p = pmf(2, 4, 1)
    p[2, 3], p[0, 0] = 0, 4 / 4000  # beside another rare one: their number alone would not tell
    p /= p.sum()
    samples = draws(p, 4000, 0)
    assert passed(discrete.sampler_matches(samples, log_of(p), 4))
    samples[7] = 2, 3
    assert not passed(discrete.sampler_matches(samples, log_of(p), 4))


@pytest.mark.parametrize("level", [-1, 4, 10**9])
def test_a_draw_outside_the_levels_fails_and_is_said(level):
    p = pmf(2, 4, 1)
    samples = draws(p, 4000, 0)
    samples[7, 1] = level
    finding = discrete.sampler_matches(samples, log_of(p), 4)
    assert not passed(finding)
    assert finding.measured == "1 of 4,000 samples lie outside the levels 0 … 3"


@pytest.mark.parametrize("rare", [1e-3, 1e-5, 1e-12])
def test_a_density_on_nearly_one_state(rare):
    """Too few rare draws are expected for χ²; too many of them must show all the same."""
    p = np.full(5, rare / 4)
    p[2] = 1 - rare
    right = draws(p, 4000, 3)
    assert passed(discrete.sampler_matches(right, log_of(p), 5))
    right[:60] = 4
    assert not passed(discrete.sampler_matches(right, log_of(p), 5))
    assert not passed(discrete.sampler_matches(np.full((4000, 1), 1), log_of(p), 5))


@pytest.mark.parametrize("seed", SEEDS)
def test_more_states_than_draws(seed):
    """Every single state is rare: merged into one group they would let anything pass."""
    p = pmf(2, 50, seed)
    assert passed(discrete.sampler_matches(draws(p, 2000, seed), log_of(p), 50, seed))
    assert not passed(discrete.sampler_matches(draws(np.roll(p, 1, axis=0), 2000, seed), log_of(p), 50, seed))


@pytest.mark.parametrize("log_p", [np.nan, -np.inf])
def test_samples_of_no_density_match_nothing(log_p):
    samples = draws(pmf(1, 5, 0), 100, 0)
    assert not passed(discrete.sampler_matches(samples, lambda x: np.full(len(x), log_p), 5))


# ---- nats above the limit ------------------------------------------------------------------------------


def test_excess_nats_by_hand():
    p = np.array([[0.5, 0.25], [0.25, 0.0]])
    q = np.array([[0.25, 0.5], [0.125, 0.125]])
    by_hand = 0.5 * math.log(2) + 0.25 * math.log(0.5) + 0.25 * math.log(2)
    assert discrete.excess_nats(log_of(q, np.float64), p) == pytest.approx(by_hand)
    assert discrete.excess_nats(log_of(p, np.float64), p) == pytest.approx(0, abs=1e-12)
    cross_entropy = -np.sum(p * np.log(q))
    entropy = -0.5 * math.log(0.5) - 0.5 * math.log(0.25)
    assert discrete.excess_nats(log_of(q, np.float64), p) == pytest.approx(cross_entropy - entropy)


def test_a_sum_that_is_not_one_neither_gains_nor_costs():
    p, q = pmf(2, 3, 0), pmf(2, 3, 1)
    right = discrete.excess_nats(log_of(q, np.float64), p)
    for factor in (0.5, 3.0, 1e6):
        assert discrete.excess_nats(log_of(factor * q, np.float64), p) == pytest.approx(right)


@given(st.integers(1, 3), st.integers(2, 5), st.integers(0, 999))
@quick
def test_no_density_is_below_the_limit(dims, levels, seed):
    p, q = pmf(dims, levels, seed), pmf(dims, levels, seed + 1000)
    assume(np.abs(p - q).max() > 1e-3)
    assert discrete.excess_nats(log_of(q), p, seed) > 0


def test_a_model_that_denies_what_happens_is_infinitely_wrong():
    p, q = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    assert discrete.excess_nats(log_of(q), p) == np.inf


# ---- graded losses -------------------------------------------------------------------------------------

REFERENCE = {"mean": 0.1, "sd": 0.02}
FULL = 0.1 + 3 * 0.02 + 0.02 * (1.1 - 0.1)


def share(excess: float, baseline: float = 1.1) -> float:
    finding = loss.graded(excess, REFERENCE, limit=2.0, baseline=baseline)
    assert finding.measured
    assert finding.required
    return finding.share


def test_points_are_full_up_to_the_reference_and_none_from_the_baseline_on():
    assert loss.threshold(REFERENCE, 1.1) == pytest.approx(FULL)
    assert share(0.0) == share(FULL - 1e-9) == 1
    assert share(1.1) == share(5.0) == share(math.inf) == 0
    assert share((FULL + 1.1) / 2) == pytest.approx(0.5)
    assert share(FULL + 0.25 * (1.1 - FULL)) == pytest.approx(0.75)
    finding = loss.graded(0.6, REFERENCE, 2.0, 1.1)
    assert finding.measured == "2.600 nats, 0.600 above the limit"
    assert finding.required == "at most 0.180 nats above the limit of 2.000 (no points from 1.100 on)"


@given(st.floats(-1e-3, 3), st.floats(-1e-3, 3))
@quick
def test_a_better_loss_never_earns_less(a, b):
    low, high = sorted((a, b))
    assert 1 >= share(low) >= share(high) >= 0


def test_a_loss_without_a_limit_is_graded_as_it_is():
    reference = {"mean": 0.08, "sd": 0.001}

    def of(bits: float) -> Finding:
        return loss.graded(bits, reference, limit=None, baseline=0.5, unit="bits/dim")

    assert passed(of(0.08))
    assert passed(of(0.0))
    assert of(0.5).share == of(math.nan).share == 0
    assert 0 < of(0.3).share < 1
    assert "0.300 bits/dim" in of(0.3).measured
    assert "limit" not in of(0.3).measured + of(0.3).required
    assert not passed(of(-0.01))
    assert "no normalised density" in of(-0.01).slip or "not a normalised density" in of(-0.01).slip


@pytest.mark.parametrize(("mean", "examples"), [(0.0, 40), (0.16, 80), (0.5, 1000)])
def test_a_counted_share_is_not_failed_for_the_chance_in_counting(mean, examples):
    reference, rng = {"mean": mean, "sd": 0.0}, np.random.default_rng(0)
    full = loss.threshold(reference, 0.9, examples)
    assert full >= loss.threshold(reference, 0.9)
    right, worse = mean + loss.SLACK * (0.9 - mean), mean + 0.8 * (0.9 - mean)
    assert (rng.binomial(examples, right, size=2000) / examples <= full).mean() > 0.999
    assert (rng.binomial(examples, worse, size=2000) / examples > full).mean() > 0.99
    assert not passed(loss.graded(worse, reference, None, 0.9, "of the images", examples))


def test_below_the_limit_is_impossible_and_said():
    assert share(-0.9e-3) == 1  # rounding
    for excess in (-2e-3, -1.0, -math.inf):
        finding = loss.graded(excess, REFERENCE, 2.0, 1.1)
        assert finding.share == 0
        assert "not a normalised density" in finding.slip
        assert "below the limit" in finding.measured


def test_nan_earns_nothing():
    finding = loss.graded(math.nan, REFERENCE, 2.0, 1.1)
    assert finding.share == 0
    assert "nan" in finding.slip


# full points up to 0.22, none from 1.1 on
@pytest.mark.parametrize(
    ("excess", "slip"),
    [
        (FULL - 0.01, ""),
        (FULL + 0.01, ""),
        ((FULL + 1.1) / 2 - 0.01, ""),
        (1.0, "far from what the recipe in the text"),
        (1.2, "sign of the loss"),
        (9.0, "sign of the loss"),
        (9_340_337, "the unit is another one"),
        (math.inf, "nan or infinite"),
        (-0.5, "below the entropy"),
    ],
)
def test_hints_of_a_loss_are_staged(excess, slip):
    said = loss.graded(excess, REFERENCE, 2.0, 1.1).slip
    assert slip in said
    assert bool(said) == bool(slip), "where it is near, the check's own hint is shown"
    assert "rain longer" not in said


# ---- the recipe of the text ----------------------------------------------------------------------------

RECIPE = checks.Recipe("Adam", lr=1e-3, steps=2000, batch=128)
DONE = {"optimizer": "Adam", "lr": 1e-3, "last_lr": 1e-6, "steps": 2000, "batch": 128}


@pytest.mark.parametrize(
    ("settings", "said", "unsaid"),
    [
        (DONE | {"steps": 200}, "number of steps 2,000, here 200", "rate"),
        (DONE | {"lr": 1e-1, "last_lr": 1e-4}, "learning rate 0.001, here 0.1", "steps"),
        (DONE | {"last_lr": 1e-3}, "a learning rate that falls towards the end", "here"),
        (DONE | {"batch": 8, "optimizer": "SGD"}, "optimiser Adam, here SGD; batch size 128, here 8", "rate"),
        (DONE | {"steps": 4000, "batch": "many", "lr": None}, "number of steps 2,000, here 4e+03", "batch"),
        (DONE | {"steps": 2500}, "trained as the text says", "differs"),
    ],
)
def test_advice_never_asks_for_what_was_done(settings, said, unsaid):
    advice = RECIPE.advice(settings)
    assert said in advice
    assert unsaid not in advice.replace("discriminator", "")


def test_advice_knows_nothing_of_a_training_without_settings():
    assert RECIPE.advice({}) == ""
    game = checks.Recipe("Adam", lr=1e-3, steps=500, batch=64, generator_lr=5e-4, discriminator_steps=2)
    advice = game.advice(
        {
            "optimizer": "Adam",
            "lr": 1e-3,
            "last_lr": 0.0,
            "rounds": 500,
            "batch": 64,
            "generator_lr": 1e-3,
            "discriminator_steps": 1,
        }
    )
    assert "learning rate of the generator 0.0005, here 0.001" in advice
    assert "discriminator’s steps a round 2, here 1" in advice


@pytest.mark.parametrize("baseline", [0.16, 0.1, 0.05])
def test_a_baseline_as_good_as_the_reference_breaks_nothing(baseline):
    assert share(0.0, baseline) == 1
    assert share(2.0, baseline) == 0


# ---- hygiene -------------------------------------------------------------------------------------------


def test_finite():
    assert passed(hygiene.finite(np.array([1.0, -1e30]), "here"))
    assert passed(hygiene.finite(np.array([1, 2]), "here"))
    for bad in (np.nan, np.inf, -np.inf):
        finding = hygiene.finite(np.array([[1.0, bad], [bad, 2.0]]), "on the grid")
        assert not passed(finding)
        assert finding.measured == "2 of 4 values are nan or infinite"
        assert finding.required == "finite values on the grid"


X = np.random.default_rng(0).normal(size=(16, 3))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.sum(axis=1),
        lambda x: 1e6 * x,
        lambda x: (x.sum(axis=1) + 1e-7 * np.random.default_rng(len(x)).normal(size=len(x))).astype(np.float32),
        lambda x: np.zeros((len(x), 2, 2)),
        lambda x: np.where(x[:, 0] > 0, -np.inf, x[:, 1]),
    ],
    ids=["sum", "large", "rounding", "constant", "infinite for some"],
)
def test_rows_that_are_independent(function):
    assert passed(hygiene.rows_are_independent(function, X))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x - x.mean(axis=0),
        lambda x: (x - x.mean(axis=0)) / x.std(axis=0).clip(1e-3),
        lambda x: x.cumsum(axis=0),
        lambda x: x + 1e-3 * len(x),
        lambda x: x + 1e-2 * np.arange(len(x))[:, None],
        lambda x: np.roll(x, 1, axis=0),
        lambda x: np.exp(x) / np.exp(x).sum(axis=0),
        lambda x: np.full(len(x), np.nan),
        lambda x: np.where(np.arange(len(x)) == 3, np.inf, 1.0),
        lambda x: np.where(np.arange(len(x)) == 3, np.nan, 1.0),
    ],
    ids=[
        "mean",
        "batch norm",
        "cumsum",
        "size",
        "place",
        "neighbour",
        "softmax",
        "nan",
        "one inf",
        "one nan",
    ],
)
def test_rows_that_are_not(function):
    assert not passed(hygiene.rows_are_independent(function, X))


def dropout(x):
    """As an eval mode that is none: the same seed at every call, a fresh mask for every place in the batch."""
    return x * (np.random.default_rng(7).random(x.shape) > 0.3)


@pytest.mark.parametrize(
    ("function", "measured", "slip"),
    [
        (lambda x: x - x.mean(axis=0), "with the rest of its batch", "mixes the examples"),
        (lambda x: x + 1e-3 * len(x), "with the rest of its batch", "mixes the examples"),
        (lambda x: np.repeat(x, 4, axis=0).reshape(4, len(x), -1).mean(axis=0), "the rest of its batch", "mixes the"),
        (dropout, "at another place in the batch", "Dropout that is on in eval mode"),
        (lambda x: x + np.random.default_rng(7).random(x.shape), "at another place", "noise that is added"),
        (lambda x: np.full(len(x), np.nan), "16 of 16 values are nan", ""),
    ],
)
def test_what_is_random_is_not_said_to_mix_examples(function, measured, slip):
    finding = hygiene.rows_are_independent(function, X)
    assert measured in finding.measured
    assert slip in finding.slip


def test_one_example_is_what_it_is_among_others():
    assert passed(hygiene.one_example(lambda x: x.sum(axis=1), X))
    finding = hygiene.one_example(lambda x: x.sum(axis=1) if len(x) > 1 else np.full(1, np.inf), X)
    assert not passed(finding)
    assert "squeeze()" in finding.slip
    for function in (lambda x: x - x.mean(axis=0), lambda x: x + np.random.default_rng(len(x)).normal(size=x.shape)):
        finding = hygiene.one_example(function, X)
        assert not passed(finding)
        assert "Two examples differ from what they give among others, too" in finding.slip


def test_levels_in_range():
    assert passed(hygiene.in_range(np.array([[0, 2], [1, 1]]), 3))
    assert passed(hygiene.in_range(np.array([0, 2], dtype=np.uint8), 3))
    for samples in ([0, 3], [-1, 2], [10**12, 0]):
        assert not passed(hygiene.in_range(np.array(samples), 3))
    finding = hygiene.in_range(np.array([0.0, 1.0]), 3)
    assert not passed(finding)
    assert finding.measured == "samples of type float64"


# ---- findings and require ------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, math.inf])
def test_a_share_lies_between_nothing_and_all(share):
    """A share of nan would become points of nan, which nbgrader takes for full marks."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        Finding(share, "measured", "required")


def test_require_goes_on_as_long_as_something_holds():
    found = checks.collect()
    checks.require(Finding(1.0, "a", "b"))
    checks.require(Finding(0.3, "a", "b"))
    with pytest.raises(checks.CheckFailed, match="x; required: y"):
        checks.require(Finding(0.0, "x", "y"))
    assert [f.share for f in found] == [1.0, 0.3, 0.0]
    assert checks.collect() == []


def test_points_and_hints_in_any_order():
    def test_first(): ...

    @checks.points(2, "One", needs=test_first)
    @checks.hint("look")
    def test_one(): ...

    @checks.hint("look")
    @checks.points(2.5, "Two", needs=(test_first, test_one))
    def two(): ...

    @checks.points(1, "Three")
    def three(): ...

    assert (test_one.points, test_one.title, test_one.needs, test_one.hint) == (2.0, "One", ("first",), "look")
    assert (two.points, two.needs, two.hint) == (2.5, ("first", "one"), "look")
    assert (three.points, three.needs, three.hint) == (1.0, (), "")
