"""What checks are worth where a course says otherwise than their tests: other points, or all of them to everybody."""

from collections.abc import Collection
from typing import Any

from autograder import display, words
from autograder.assignments import Exercise
from autograder.score import MIME, CheckResult, Score

EXCUSED = "Excused by the course: everybody has its points. "


def of_course(score: Score) -> Score:
    """A score in a student's hands, in the points that this course gives."""
    factor = _factor(score.exercise)
    if factor == 1:
        return score
    results = [CheckResult(**values) for values in _checks([vars(r) for r in score.results], factor, ())]
    weighed = Score(score.exercise, results, score.printed, score.left_out)
    weighed.notes = score.notes
    return weighed


def weigh(result: dict, exercises: Collection[Exercise], excused: Collection[str] = ()) -> dict:
    """A graded submission, Execution.to_json(), in the points of a course; the same where nothing is otherwise.

    excused: checks, such as "made.samples". What a student sees in the notebook follows.
    """
    scores = dict(result["scores"])
    for exercise in exercises:
        mine = {name.partition(".")[2] for name in excused if name.partition(".")[0] == exercise.name}
        if exercise.name in scores and (mine or _factor(exercise) != 1):
            scores[exercise.name] = _weighed(scores[exercise.name], _factor(exercise), mine)
    changed = {id(s) for s in scores.values()}
    if not words.current():  # else all is shown anew: workers know of no course
        changed -= {id(s) for s in result["scores"].values()}
    if not changed:
        return result
    outputs = {name: _shown(score) for name, score in scores.items() if id(score) in changed}
    cells = [_with_output(cell, outputs) for cell in result["notebook"]["cells"]]
    return result | {"scores": scores, "notebook": result["notebook"] | {"cells": cells}}


def _factor(exercise: Exercise) -> float:
    return exercise.worth / exercise.points_of_checks if exercise.worth else 1.0


def _weighed(score: dict, factor: float, excused: Collection[str]) -> dict:
    checks = _checks(score["checks"], factor, excused)
    points = round(sum(c["points"] or 0.0 for c in checks), 3)
    return score | {"checks": checks, "points": points, "max_points": round(sum(c["max_points"] for c in checks), 3)}


def _checks(checks: list[dict], factor: float, excused: Collection[str]) -> list[dict]:
    """In other points, of a thousandth each, which add up to those of the exercise."""
    weighed, exact, given = [], 0.0, 0.0
    for check in checks:
        exact += check["max_points"] * factor
        most = round(exact - given, 3)
        given += most
        share = None if check["points"] is None else check["points"] / check["max_points"]
        points = None if share is None else round(most * share, 3)
        new = check | {"max_points": most, "points": points}
        if check["name"] in excused and share != 1:
            new |= {
                "points": most,
                "outcome": "passed",
                "measured": EXCUSED + check["measured"],
                "hint": "",
                "fault": "",
            }
        weighed.append(new)
    return weighed


def _shown(score: dict) -> dict[str, Any]:
    """The output of a check's cell; nbgrader reads the points in its plain text."""
    points = float.__repr__(float(score["points"]))
    return {"text/plain": points, "text/html": display.score_html(score), MIME: score}


def _with_output(cell: dict, shown: dict[str, dict]) -> dict:
    outputs = cell.get("outputs", [])
    names = [o["data"][MIME]["exercise"] for o in outputs if MIME in o.get("data", {})]
    if not names or names[0] not in shown:
        return cell
    return cell | {"outputs": [o | {"data": shown[names[0]]} for o in outputs]}
