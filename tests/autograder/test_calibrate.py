"""How often a right solution fails by chance: the estimate against cases where the answer is known."""

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from autograder import assignments, cli, runner
from autograder.course import SourceError
from autograder.proof import calibrate, chance
from autograder.proof.lint import FEWEST_SEEDS
from autograder.properties import discrete, loss
from autograder.properties.finding import Finding
from tests.core import CORE


def test_the_page_of_results_is_that_of_the_references():
    written = calibrate.RESULTS.read_text(encoding="utf-8")
    assert written == calibrate.results(), "run python -m autograder.proof.calibrate"
    for assignment in assignments.names():
        for key in runner.references(assignment):
            assert key.startswith("_") or f"`{key}`" in written


def finding(value: float, bound: float, kind: str) -> Finding:
    return Finding(1.0, "", "", value, bound, kind)


@pytest.mark.parametrize(
    ("value", "bound", "kind", "strain"),
    [
        (0.5, 2.0, "at most", 0.25),
        (3.0, 2.0, "at most", 1.5),
        (1e-3, 1e-6, "p-value", 0.5),
        (1.0, 1e-6, "p-value", 0.0),
        (0.0, 1e-6, "p-value", 50.0),
        (0.9, 0.45, "at least", 0.5),
        (0.3, 0.45, "at least", 1.5),
    ],
)
def test_strain_is_beyond_one_exactly_where_the_bound_is_broken(value, bound, kind, strain):
    assert chance.strain(finding(value, bound, kind)) == pytest.approx(strain)


ANSWERS, SALTS = 15, 20  # designs of an exercise, draws of each


def largest(draw, rng) -> list[float]:
    """Largest strains of right answers, SALTS draws each."""
    return [max(chance.strain(f) for f in draw(rng)) for _ in range(ANSWERS)]


@pytest.mark.parametrize("bound", [1e-3, 1e-4, 1e-6])
def test_the_rate_of_p_values_is_the_threshold(bound):
    """p-values of a right answer are uniform, so they fall below the threshold as often as it says."""
    rng = np.random.default_rng(0)
    draw = lambda rng: [finding(p, bound, "p-value") for p in rng.random(SALTS)]  # noqa: E731
    rates = [chance.rate(largest(draw, rng), [SALTS] * ANSWERS) for _ in range(200)]
    assert np.log10(np.median(rates)) == pytest.approx(np.log10(bound), abs=0.4)


def test_the_rate_never_says_too_little_of_a_normal_statistic():
    rng = np.random.default_rng(1)
    for bound in (3.5, 4.5):
        draw = lambda rng: [finding(abs(v), bound, "at most") for v in rng.normal(size=SALTS)]  # noqa: B023, E731
        rates = [chance.rate(largest(draw, rng), [SALTS] * ANSWERS) for _ in range(100)]
        assert np.median(rates) > 2 * stats.norm.sf(bound)


def test_answers_of_few_draws_and_of_many_are_told_apart():
    """The largest of many is larger: that is no sign of a heavier tail, nor are few draws one of a lighter."""
    rng = np.random.default_rng(2)
    draws = [4, 40] * 20
    rates = [chance.rate([max(0.1 * rng.exponential(size=n)) for n in draws], draws) for _ in range(200)]
    assert np.log10(np.median(rates)) == pytest.approx(np.log10(np.exp(-10)), abs=0.7)


def test_a_check_that_fails_is_counted_and_one_that_never_moves_fails_never():
    assert chance.rate([0.5, 0.9, 1.2, 1.4], [5, 5, 5, 5]) == 0.1
    assert chance.rate([0.3] * 20, [20] * 20) == 0.0
    assert chance.rate([0.3], [20]) == 0.0


def test_only_statistics_have_a_strain():
    exact, of_loss = Finding(1.0, "", ""), finding(0.9, 1.0, "loss")
    assert chance.largest([exact, of_loss]) is None
    assert chance.largest([exact, of_loss, finding(0.5, 2.0, "at most"), finding(0.1, 2.0, "at most")]) == 0.25


def test_references_hold_what_thresholds_follow_from():
    for assignment in assignments.names():
        reference = runner.references(assignment)
        assert reference["_made_by"]["command"].startswith(f"deepul calibrate {assignment}")
        for key, row in reference.items():
            if not key.startswith("_"):
                assert len(row["runs"]) >= (5 if assignment in CORE else FEWEST_SEEDS), key
                assert loss.threshold(row, row["baseline"]) >= max(row["runs"]), key


def test_as_many_seeds_as_last_time():
    for name in ("made", "realnvp", "vae2d"):
        exercise = assignments.get_exercise(name)
        reference = runner.references(exercise.assignment.name)
        seeds = {len(row["runs"]) for key, row in reference.items() if key.split(".")[0] == name}
        assert {calibrate.last_time(reference, exercise)} == seeds
    assert calibrate.last_time({}, assignments.get_exercise("made")) == calibrate.SEEDS


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


@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_one_more_right_model_loses_points_seldom_under_any_number_of_seeds(seeds):
    """Simulated: references of n normal losses, and one more loss; without slack, the worst case."""
    rng, trials = np.random.default_rng(0), 200_000
    runs = rng.normal(1.0, 0.1, size=(trials, seeds))
    mean, sd = runs.mean(axis=1), runs.std(axis=1, ddof=1)
    one_more = rng.normal(1.0, 0.1, size=trials)
    fails = (one_more > mean + sd * loss.one_more(seeds)).mean()
    assert loss.CHANCE / 2 < fails < 2 * loss.CHANCE
    assert (one_more > mean + loss.SEED_SPREAD * sd).mean() > 2 * loss.CHANCE, "three of their sd are not enough"
    for k in range(3):
        reference = {"mean": mean[k], "sd": sd[k], "runs": list(runs[k])}
        assert loss.threshold(reference, mean[k]) == pytest.approx(mean[k] + sd[k] * loss.one_more(seeds))
    assert loss.threshold({"mean": 1.0, "sd": 0.1, "runs": [1.0] * seeds}, 1e3) == pytest.approx(21.28)


def test_seeds_needed_are_those_that_make_the_threshold_no_tighter():
    reference = {"mean": 1.0, "sd": 0.1, "baseline": 11.0}  # a slack of 0.2, two standard deviations
    n = calibrate.seeds_needed(reference)
    assert 3 < n < 12
    assert loss.one_more(n) <= 5 < loss.one_more(n - 1)
    assert calibrate.seeds_needed(reference | {"baseline": 1.0}) == 100, "no number is enough without a slack"
    assert calibrate.seeds_needed(reference | {"baseline": 1.0, "promised": 2.0}) < n


def test_the_wider_of_reference_and_recipe_decides():
    reference = {"mean": 1.0, "sd": 0.1}
    plain = loss.threshold(reference, 11.0)
    assert plain == pytest.approx(1.0 + 0.3 + 0.2)
    assert loss.threshold(reference | {"recipe": {"mean": 0.5, "sd": 0.1}}, 11.0) == plain
    assert loss.threshold(reference | {"recipe": {"mean": 1.4, "sd": 0.2}}, 11.0) == pytest.approx(2.0 + 0.2)


def test_the_recipe_of_the_text_is_trained_beside_the_solution(monkeypatch, tmp_path):
    from autograder.proof import changes

    fewer = changes.Variant(calibrate.RECIPE, "logistic_mixture", "", ((", steps: int = 1500", ", steps: int = 40"),))
    monkeypatch.setattr(changes, "variants", lambda assignment: [fewer])
    monkeypatch.setattr(calibrate, "ROOT", tmp_path)
    monkeypatch.setattr(calibrate, "RECIPE_SEEDS", 2)
    monkeypatch.setattr(calibrate.notebooks, "run_cells", _in_the_course(calibrate.notebooks.run_cells))
    reference = {"logistic_mixture": {"mean": 0.0, "sd": 0.0}}
    calibrate._recipe(assignments.get_exercise("logistic_mixture"), reference, lambda text: None)
    runs = reference["logistic_mixture"]["recipe"]["runs"]
    assert len(set(runs)) == len(runs) == 2
    assert min(runs) > 0.01, "forty steps are not enough"
    assert not list(tmp_path.glob("solutions/**/*.safetensors")), "no reference weights"


def _in_the_course(run_cells):
    return lambda cells, folder, *rest: run_cells(cells, assignments.ROOT, *rest)


@pytest.mark.slow
def test_weights_are_trained_anew_under_the_references_as_they_are(monkeypatch, tmp_path):
    """nice is small: what its solution trains under seed 0 earns everything, and nothing but the weights is written."""
    written = []
    monkeypatch.setattr(calibrate, "ROOT", tmp_path)
    monkeypatch.setattr(calibrate, "_keep_artifacts", lambda trained, target: written.append((trained, target)))
    before = assignments.get("nice").reference.read_bytes()
    calibrate.weights("nice")
    ((trained, target),) = written
    assert target == assignments.get("nice").artifacts
    assert (trained / "nice.safetensors").exists()
    assert assignments.get("nice").reference.read_bytes() == before
    # References of other data: who does what the text says would lose points.
    known = {key: entry for key, entry in runner.references("nice").items() if not key.startswith("_")}
    easier = {
        key: entry | {"mean": entry["mean"] - 1, "recipe": None, "promised": None} for key, entry in known.items()
    }
    for entry in easier.values():
        del entry["recipe"], entry["promised"]
    monkeypatch.setattr(runner, "references", lambda name: easier)
    with pytest.raises(SourceError, match=r"(?s)under the references of nice.*Run deepul calibrate nice"):
        calibrate.weights("nice")
    assert len(written) == 1
