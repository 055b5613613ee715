"""Grading a class: every submission through nbgrader, every check into one table."""

import contextlib
import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from autograder import environment, exercises
from autograder.grading import submissions
from autograder.grading.course import Course, CourseError, reason
from autograder.grading.submissions import Submission
from autograder.notebooks import CHECK_CALL
from autograder.score import MIME

COLUMNS = ("student", "assignment", "exercise", "check", "outcome", "points", "max_points", "measured", "required")


@dataclass
class Graded:
    """One student's submission: a score (Score.to_json()) for each exercise, or the reason why there is none.

    problems: what the TA should know, in words. not_graded: the grading itself failed. figures: the last
    one of each exercise, as base64 PNG.
    """

    student: str
    scores: list[dict] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    not_graded: bool = False
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def points(self) -> float:
        return round(sum(s["points"] for s in self.scores), 3)

    @property
    def max_points(self) -> float:
        return sum(s["max_points"] for s in self.scores)


def prepare(course: Course, homework: str) -> None:
    """Make sure that the course's gradebook knows the assignment as it is now."""
    from autograder.handout.build import release

    release(course, homework, figures=False)


def grade(course: Course, homework: str, found: list[Submission], done: Callable = lambda graded: None) -> list[Graded]:
    """Grade the submissions one by one with nbgrader; `done` is told of each. One bad one stops no other."""
    api = course.api()
    results = []
    for submission in found:
        with environment.variables(DEEPUL_SALT=course.salt):  # the kernel inherits it; see deepul_utils.check
            result = _grade_one(api, course, homework, submission)
        results.append(result)
        done(result)
    return results


def _grade_one(api, course: Course, homework: str, submission: Submission) -> Graded:
    result = Graded(submission.student)
    try:
        submissions.lay_out(submission, homework, course)
    except (CourseError, OSError) as error:
        return _without_grade(course, homework, result, f"The submission could not be read: {error}")
    answer = api.autograde(homework, submission.student, force=True, create=True)
    if not answer["success"]:
        return _without_grade(course, homework, result, f"nbgrader could not grade it: {reason(answer)}")
    notebook = course.root / "autograded" / submission.student / homework / f"{homework}.ipynb"
    result.figures = figures(notebook)
    return read_scores(notebook, homework, result)


def _without_grade(course: Course, homework: str, result: Graded, problem: str) -> Graded:
    """No grade from this run: an older one must not stand in its place."""
    from nbgrader.api import MissingEntry

    with course.gradebook() as gradebook, contextlib.suppress(MissingEntry):  # never graded before
        gradebook.remove_submission(homework, result.student)
    result.not_graded = True
    result.problems.append(problem)
    result.scores = [_blank(e, "not graded", None, problem) for e in exercises.of_homework(homework)]
    return result


def read_scores(notebook: Path, homework: str, result: Graded) -> Graded:
    """Fill `result` with the scores that the grade cells of a graded notebook show."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    for exercise in exercises.of_homework(homework):
        cell = next((c for c in cells if _grade_id(c) == f"check-{exercise.name}"), None)
        outputs = cell["outputs"] if cell and CHECK_CALL.search("".join(cell["source"])) else []
        shown = [o["data"][MIME] for o in outputs if MIME in o.get("data", {})]
        if shown:
            result.scores.append(shown[-1])
        else:
            why = _why_no_score(outputs)
            result.scores.append(_blank(exercise, "failed", 0.0, why))
            result.problems.append(f"{exercise}: {why}")
    result.problems += _oddities(result, cells)
    return result


def _grade_id(cell: dict) -> str:
    return cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", "")


def _why_no_score(outputs: list[dict]) -> str:
    errors = [f"{o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"]
    return f"the check stopped with {errors[-1]}" if errors else "the check's cell is missing or gave no score"


def _oddities(result: Graded, cells: list[dict]) -> list[str]:
    """What a TA would want to look at."""
    found = [
        f"“{c['title']}” could not be run: {c['fault'].strip().splitlines()[-1]}"
        for s in result.scores for c in s["checks"] if c["outcome"] == "not graded" and c["fault"]
    ]  # fmt: skip
    failed = False
    for cell in cells:
        for output in cell.get("outputs", []):
            # What is not written yet is no oddity, and neither are the names that are missing because of it.
            stub = output.get("ename") == "NotImplementedError" and output["evalue"].startswith("Exercise ")
            follows = stub or (failed and output.get("ename") == "NameError")
            if output["output_type"] == "error":
                failed = True
                if not follows:
                    line = "".join(cell["source"]).strip().splitlines()[0][:60]
                    found.append(f"The cell “{line}” stopped with {output['ename']}: {output['evalue']}"[:300])
    return found


def figures(notebook: Path) -> dict[str, str]:
    """{exercise: the last figure before its check, a base64 PNG} of a graded notebook."""
    last, found = None, {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            last = output.get("data", {}).get("image/png", last)
        if _grade_id(cell).startswith("check-"):
            if last:
                found[_grade_id(cell).removeprefix("check-")] = last
            last = None
    return found


def _blank(exercise: exercises.Exercise, outcome: str, points: float | None, why: str) -> dict:
    check = dict(name="", title="The exercise as a whole", outcome=outcome, points=points, max_points=exercise.points,
                 measured=why, required="", hint="", plot={}, seconds=0.0, kind="", fault="")  # fmt: skip
    return {"exercise": exercise.name, "number": exercise.number, "title": exercise.title, "points": points or 0.0,
            "max_points": exercise.points, "headline": why, "printed": "", "checks": [check]}  # fmt: skip


def rows(homework: str, results: Iterable[Graded]) -> list[dict]:
    """One row a student and check, in the order of COLUMNS. Points of what was not graded are empty."""
    return [
        dict(
            student=r.student, assignment=homework, exercise=s["exercise"], check=c["name"], outcome=c["outcome"],
            points="" if c["points"] is None else round(c["points"], 3), max_points=c["max_points"],
            measured=c["measured"], required=c["required"],
        )
        for r in results for s in r.scores for c in s["checks"]
    ]  # fmt: skip


def write_csv(file: Path, homework: str, results: list[Graded]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows(homework, results))
