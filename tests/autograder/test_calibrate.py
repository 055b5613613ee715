"""How often a right solution fails by chance: the estimate against cases where the answer is known."""

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from autograder import calibrate, cli, exercises, runner
from autograder.properties import discrete, loss
from autograder.properties.finding import Finding


def test_the_page_of_results_is_that_of_the_references():
    written = calibrate.RESULTS.read_text(encoding="utf-8")
    assert written == calibrate.results(), "run python -m autograder.calibrate"
    for homework in exercises.homeworks():
        for key in runner.references(homework):
            assert key.startswith("_") or f"`{key}`" in written


def finding(value: float, bound: float, kind: str) -> Finding:
    return Finding(1.0, "", "", value, bound, kind)


@pytest.mark.parametrize(("value", "bound", "kind", "strain"), [
    (0.5, 2.0, "at most", 0.25), (3.0, 2.0, "at most", 1.5), (1e-3, 1e-6, "p-value", 0.5), (1.0, 1e-6, "p-value", 0.0),
    (0.0, 1e-6, "p-value", 50.0), (0.9, 0.45, "at least", 0.5), (0.3, 0.45, "at least", 1.5),
])  # fmt: skip
def test_strain_is_beyond_one_exactly_where_the_bound_is_broken(value, bound, kind, strain):
    assert calibrate.strain(finding(value, bound, kind)) == pytest.approx(strain)


@pytest.mark.parametrize("bound", [1e-3, 1e-4, 1e-6])
def test_the_tail_of_p_values_is_the_threshold(bound):
    """p-values of a right solution are uniform, so they fall below the threshold as often as it says."""
    rng = np.random.default_rng(0)
    rates = [
        calibrate.tail([calibrate.strain(finding(p, bound, "p-value")) for p in rng.random(400)]) for _ in range(40)
    ]
    assert np.log10(np.median(rates)) == pytest.approx(np.log10(bound), abs=0.4)


def test_the_tail_never_says_too_little_of_a_normal_statistic():
    rng = np.random.default_rng(1)
    for bound in (2.5, 3.5):
        rates = [calibrate.tail(list(np.abs(rng.normal(size=400)) / bound)) for _ in range(20)]
        assert np.median(rates) > 2 * stats.norm.sf(bound)


def test_a_check_that_fails_often_is_seen_to():
    assert calibrate.tail([0.5, 0.9, 1.2, 1.4]) == 0.5
    assert calibrate.tail(list(np.random.default_rng(2).normal(1.2, 0.1, 200))) > 0.9
    assert calibrate.tail([0.3] * 200) == 0.0


def test_the_loss_of_one_more_model():
    spread = [finding(v, 0.02, "loss") for v in (0.010, 0.011, 0.009, 0.010, 0.010)]
    assert 0 < calibrate.loss_tail(spread, 5) < 1e-3
    close = [finding(v, 0.0105, "loss") for v in (0.010, 0.011, 0.009, 0.010, 0.010)]
    assert 0.1 < calibrate.loss_tail(close, 5) < 0.5
    assert calibrate.loss_tail([finding(0.01, 0.02, "loss")] * 5, 5) == 0.0
    assert calibrate.loss_tail([finding(0.03, 0.02, "loss")] * 5, 5) == 1.0


def test_noise_of_the_draws_is_not_taken_for_a_spread_of_models():
    """200 draws of five equal models say more about a bound than five models with one draw each."""
    rng = np.random.default_rng(0)
    draws = [finding(v, 5.0, "loss") for v in rng.normal(size=200)]
    rate = calibrate.loss_tail(draws, 5)
    assert rate == pytest.approx(stats.norm.sf(5.0), rel=30)
    assert rate < calibrate.loss_tail(draws[:5], 5) / 10
    of_models = np.repeat(rng.normal(size=(1, 5)), 40, axis=0).ravel()  # models differ, draws do not
    assert calibrate.loss_tail([finding(v, 5.0, "loss") for v in of_models], 5) == pytest.approx(
        calibrate.loss_tail([finding(v, 5.0, "loss") for v in of_models[:5]], 5)
    )


def test_references_hold_what_thresholds_follow_from():
    for homework in exercises.homeworks():
        reference = runner.references(homework)
        assert reference["_made_by"]["command"].startswith(f"deepul calibrate {homework}")
        for e in exercises.of_homework(homework):
            for check, row in reference["_false_failures"][e.name].items():
                assert row["draws"] >= 200, (e.name, check)
                assert row["failures"] == 0, (e.name, check)
                assert row["rate"] <= calibrate.TARGET, (e.name, check)
        for key, row in reference.items():
            if not key.startswith("_"):
                assert len(row["runs"]) >= 5, key
                assert loss.threshold(row, row["baseline"]) >= max(row["runs"]), key


def test_as_many_seeds_as_last_time():
    for name in ("made", "realnvp", "vae2d"):
        exercise = exercises.get(name)
        reference = runner.references(exercise.homework)
        seeds = {len(row["runs"]) for key, row in reference.items() if key.split(".")[0] == name}
        assert {calibrate.last_time(reference, exercise)} == seeds
    assert calibrate.last_time({}, exercises.get("made")) == calibrate.SEEDS


def test_one_seed_has_no_spread():
    result = CliRunner().invoke(cli.app, ["calibrate", "hw1", "--seeds", "1"])
    assert result.exit_code == 2
    assert "one seed has no spread" in result.output


def test_statistics_say_what_their_bound_is():
    """A statistic without its bound would be left out of the estimate, silently."""
    p = np.array([0.2, 0.3, 0.5])
    rng = np.random.default_rng(0)
    found = discrete.sampler_matches(rng.choice(3, size=(500, 1), p=p), lambda x: np.log(p[x[:, 0]]), 3)
    assert (found.kind, found.bound) == ("p-value", discrete.P_VALUE)
    graded = loss.graded(0.01, {"mean": 0.01, "sd": 0.001}, limit=1.0, baseline=0.5)
    assert (graded.kind, graded.bound) == ("loss", pytest.approx(0.0228))


# ---- how many seeds, and the recipe of the text --------------------------------------------------------


def test_seeds_needed_are_those_under_which_one_more_model_keeps_its_points():
    """Simulated: references of n normal losses, and one more loss."""
    reference = {"mean": 1.0, "sd": 0.1, "baseline": 11.0}  # a slack of 0.2, two standard deviations
    n = calibrate.seeds_needed(reference)
    rng = np.random.default_rng(0)

    def fails(seeds: int, trials: int = 200_000) -> float:
        runs = rng.normal(1.0, 0.1, size=(trials, seeds))
        full = runs.mean(axis=1) + loss.SEED_SPREAD * runs.std(axis=1, ddof=1) + loss.SLACK * 10
        return float((rng.normal(1.0, 0.1, size=trials) > full).mean())

    assert 3 < n < 12
    assert fails(2) > calibrate.TARGET
    assert fails(n) < 3 * calibrate.TARGET
    assert calibrate.seeds_needed(reference | {"baseline": 1.0}) == 100, "no number is enough without a slack"
    assert calibrate.seeds_needed(reference | {"baseline": 1.0, "promised": 2.0}) < n
    assert calibrate.seeds_needed(reference | {"recipe": {"mean": 1.3, "sd": 0.1}}) < n


def test_the_wider_of_reference_and_recipe_decides():
    reference = {"mean": 1.0, "sd": 0.1}
    plain = loss.threshold(reference, 11.0)
    assert plain == pytest.approx(1.0 + 0.3 + 0.2)
    assert loss.threshold(reference | {"recipe": {"mean": 0.5, "sd": 0.1}}, 11.0) == plain
    assert loss.threshold(reference | {"recipe": {"mean": 1.4, "sd": 0.2}}, 11.0) == pytest.approx(2.0 + 0.2)


def test_the_recipe_of_the_text_is_trained_beside_the_solution(monkeypatch, tmp_path):
    from autograder import mutants, variants

    fewer = mutants.Variant(calibrate.RECIPE, "logistic_mixture", "", ((", steps: int = 1500", ", steps: int = 40"),))
    monkeypatch.setattr(variants, "of_homework", lambda homework: [fewer])
    monkeypatch.setattr(calibrate, "ROOT", tmp_path)
    monkeypatch.setattr(calibrate, "RECIPE_SEEDS", 2)
    monkeypatch.setattr(calibrate.notebooks, "run_cells", _in_the_course(calibrate.notebooks.run_cells))
    reference = {"logistic_mixture": {"mean": 0.0, "sd": 0.0}}
    students = calibrate._recipe(exercises.get("logistic_mixture"), reference, lambda text: None)
    assert len(students) == 2
    runs = reference["logistic_mixture"]["recipe"]["runs"]
    assert len(set(runs)) == 2
    assert min(runs) > 0.01, "forty steps are not enough"
    assert not list(tmp_path.glob("solutions/**/*.safetensors")), "no reference weights"


def _in_the_course(run_cells):
    return lambda cells, folder, *rest: run_cells(cells, exercises.ROOT, *rest)
