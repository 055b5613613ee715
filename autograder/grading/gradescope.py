"""What runs in Gradescope's container for each submission: the same grader, and results.json.

`deepul gradescope` (handout/gradescope.py) packs it. What a container holds and what results.json may say is from
Gradescope's autograder specifications; sandbox and checks are those of `deepul grade`, and so is the salt.
"""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from autograder import assignments, weights, words
from autograder.assignments import is_answered
from autograder.course import CourseError, SandboxError
from autograder.display import counted
from autograder.files import write_atomically
from autograder.grading import sandbox, separate_user, submissions
from autograder.grading.choice import AnotherAssignment
from autograder.grading.execute import Execution, Grader
from autograder.grading.limits import Limits
from autograder.grading.normalise import Normalised, is_answer, normalise
from autograder.grading.outputs import plain
from autograder.grading.sandbox import Sandbox
from autograder.grading.submissions import Submission

SETTINGS, SALT = "autograder.json", "salt"  # beside setup.sh
SPARE = 60.0  # seconds of Gradescope's limit that are not the submission's: imports, two sandboxes, results
MOST_OUTPUT = 20_000  # characters of one text on a student's page
WALLS = {False: "bubblewrap", True: "a user of its own"}


def main(root: Path = Path("/autograder")) -> int:
    """Grade <root>/submission by what lies in <root>/source. The exit code is 0 if results.json was written.

    There is none where grading failed through no fault of the student's: Gradescope then says that the autograder
    failed, and records no score. Why is printed, for the staff.
    """
    began = time.monotonic()
    results = root / "results" / "results.json"
    results.unlink(missing_ok=True)  # nobody's but this run's
    settings = json.loads((root / "source" / SETTINGS).read_text(encoding="utf-8"))
    _say_whose(root / "submission_metadata.json", settings)
    try:
        content = _graded(root, settings)
    except SandboxError as error:
        print(f"Not graded: {error}")
        return 1
    if content is None:
        return 1
    content["execution_time"] = round(time.monotonic() - began)
    write_atomically(results, json.dumps(content, indent=1))
    return 0


def _graded(root: Path, settings: dict) -> dict | None:
    """results.json, or None, with the reason printed, where a fault of ours leaves no grade."""
    source, name = root / "source", settings["assignment"]
    handout = json.loads((assignments.get(name).handout / f"{name}.ipynb").read_text(encoding="utf-8"))
    try:
        files, left_out = submissions.read(Submission("the submission", root / "submission"), name)
        normal = normalise(files, name, handout, left_out)
    except AnotherAssignment as error:
        file, other, _ = error.args
        return unreadable(settings, f"{file} is {other}, and this is where {name} is handed in: submit {name} here.")
    except CourseError as error:
        return unreadable(settings, str(error))
    limits = _walled(_limits(settings), settings["sandbox"], root)
    result = _grade(normal, name, (source / SALT).read_text(encoding="ascii").strip(), limits)
    for problem in (*result.problems, result.stopped):
        print(plain(problem))
    if result.fault:
        print(f"Not graded, through no fault of the student's:\n{plain(result.fault)}")
        return None
    return results(settings, normal, result) | {"extra_data": {"sandbox": WALLS[limits.separate_user]}}


def _say_whose(metadata: Path, settings: dict) -> None:
    """For the staff: whose submission it is, and whether Gradescope has the points that there are.

    No grade depends on it: what is not as Gradescope describes it is said, and left.
    """
    if not metadata.exists():
        return
    try:
        about = json.loads(metadata.read_text(encoding="utf-8"))
        names = ", ".join(str(user["name"]) for user in about["users"])
        total = about["assignment"].get("total_points")
        total = None if total is None else float(total)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        print(f"{metadata.name} does not say whose submission it is ({type(error).__name__}).")
        return
    print(f"Submission {about.get('id')} of {plain(names)}, {about.get('created_at')}")
    points = settings["points"] + settings["written"]
    if total is not None and total != points:
        print(
            f"Gradescope has {counted(total, 'point')} for this assignment: it should be {points:g}, of which "
            f"the autograder gives {settings['points']:g} and people give {settings['written']:g}."
        )


def _limits(settings: dict) -> Limits:
    """The usual ones, within the time after which Gradescope ends it all."""
    total = max(60.0, 60.0 * settings["minutes"] - SPARE)
    return replace(Limits(), total=total, training=min(Limits().training, total))


def _walled(limits: Limits, wall: str, root: Path) -> Limits:
    """Limits with the wall that is asked for, or else with bubblewrap where that works. Raises SandboxError."""
    private = [root, root / "source", root / "results", root / "submission"]
    separate = replace(limits, separate_user=True)
    if wall != "separate-user":
        try:
            _try_out(limits)
            return limits
        except SandboxError as error:
            if wall == "bubblewrap":
                raise
            separate_user.require(private)
            why = str(error).partition(" Root may not")[0].replace("\n", " ")
            print(f"The notebook runs as a user of its own, since bubblewrap does not work here: {why[:300]}")
            return separate
    separate_user.require(private)
    return separate


def _try_out(limits: Limits) -> None:
    """Raises SandboxError where no submission could be started in bubblewrap, in namespaces of its own."""
    sandbox.require()
    trial = Sandbox(limits)
    try:
        trial.start({}, 0).close()
    finally:
        trial.close()


def _grade(normal: Normalised, assignment: str, salt: str, limits: Limits) -> Execution:
    """The result. What the machine had no time for is graded once more, if there is time for that."""
    end, grader = time.monotonic() + limits.total, Grader(limits)
    try:
        result = grader.grade_beside_others(normal, assignment, salt)
        left = end - time.monotonic()
        if result.starved and left > limits.total / 2:
            result = grader.grade_beside_others(normal, assignment, salt, left)
    finally:
        grader.close()
    if result.starved:
        result.problems.append(f"A time limit was met, and {result.starved}: run the autograder again.")
    return result


def unreadable(settings: dict, why: str) -> dict:
    """results.json of what holds no notebook that could be graded: the student is told, and can submit again."""
    test = dict(name="The submission can be read", score=0.0, max_score=settings["points"], status="failed")
    return {
        "score": 0.0,
        "output": f"Nothing was graded: {plain(why)}",
        "visibility": "visible",
        "tests": [test | {"output": plain(why)}],
    }


def results(settings: dict, normal: Normalised, result: Execution) -> dict:
    """results.json of a graded submission, whose total is the sum of its checks."""
    here = assignments.get(settings["assignment"])
    scores = weights.weigh(result.to_json(), here.exercises, settings["excused"])["scores"].values()
    tests = [test for score in scores for test in _tests(words.of_score(score))]
    points = round(sum(test["score"] for test in tests), 3)
    answers = _answers(settings, normal)
    content = {
        "score": points,
        "output": _summary(settings, normal, result, points)[:MOST_OUTPUT],
        "visibility": settings["visibility"],
        "stdout_visibility": "hidden",
        "tests": [*tests, *answers],
    }
    if settings["leaderboard"]:
        board = [{"name": "points", "value": points}]
        for score in scores:
            board.append({"name": f"{score['number']} {score['title']}", "value": round(score["points"], 3)})
        content["leaderboard"] = board
    return content


def _summary(settings: dict, normal: Normalised, result: Execution, points: float) -> str:
    shown = settings["visibility"] == "visible"
    said = [f"{points:g} of {counted(settings['points'], 'point')} by the checks." if shown else "The checks have run."]
    if settings["written"]:
        said.append(f"The written questions ({counted(settings['written'], 'point')}) are graded by people.")
    if result.stopped:
        said.append(f"Grading stopped early: {result.stopped}. What was graded until then counts.")
    if normal.changes:
        said += ["", "Before grading, the notebook was put in order:", *(f"- {change}" for change in normal.changes)]
    return plain("\n".join(said))


def _tests(score: dict) -> list[dict]:
    """The checks of an exercise, as Gradescope shows tests."""
    return [
        {
            "number": f"{score['number']}.{k}",
            "name": f"{score['number']} {score['title']}: {check['title']}",
            "score": round(check["points"] or 0.0, 3),
            "max_score": check["max_points"],
            "status": "passed" if check["outcome"] == "passed" else "failed",
            "output": plain(_said(check))[:MOST_OUTPUT],
            "tags": [score["exercise"], check["outcome"]],
        }
        for k, check in enumerate(score["checks"], 1)
    ]


def _said(check: dict) -> str:
    hint = "" if check["outcome"] == "passed" else check["hint"]
    lines = (("measured", check["measured"]), ("required", check["required"]), ("hint", hint))
    return "\n".join(f"{title}: {text}" for title, text in lines if text) or check["outcome"]


def _answers(settings: dict, normal: Normalised) -> list[dict]:
    """The written answers, for whoever grades them; they are no points of the autograder's."""
    cells = {c["metadata"]["nbgrader"]["grade_id"]: c["source"] for c in filter(is_answer, normal.notebook["cells"])}
    questions = assignments.get(settings["assignment"]).questions
    return [
        {
            "name": f"Question {q.number}: "
            + ("graded by people" if is_answered(text, q.placeholder) else "no answer"),
            "output": plain(text)[:MOST_OUTPUT],
            "tags": ["written"],
        }
        for q in questions
        if (text := cells.get(q.id)) is not None
    ]


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(*map(Path, sys.argv[1:])))
