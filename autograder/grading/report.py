"""The report page of a graded class: a folder with one HTML page and the students' figures."""

import base64
from collections import Counter
from pathlib import Path

from autograder import display, exercises
from autograder.grading.batch import Graded

BINS = 10


def write(folder: Path, homework: str, results: list[Graded]) -> Path:
    """Write index.html into `folder` and return its path."""
    from jinja2 import Environment, FileSystemLoader, select_autoescape
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["j2"]),
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = display.number
    environment.filters["table"] = lambda score: Markup(display.score_html(score, style=False))
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for result in results:
        for exercise, png in result.figures.items():
            (folder / _figure(result.student, exercise)).write_bytes(base64.b64decode(png))
    environment.globals["figure"] = _figure
    graded = [r for r in results if not r.not_graded]
    page = environment.get_template("report.html.j2").render(
        homework=homework, exercises=exercises.of_homework(homework), results=results, graded=graded,
        style=Markup(display.STYLE), bars=distribution(graded), checks=failing_checks(graded),
        mean=sum(r.points for r in graded) / len(graded) if graded else 0.0,
        most=max((r.max_points for r in results), default=0),
        colours=display.COLOURS, icons=display.ICONS,
    )  # fmt: skip
    file = folder / "index.html"
    file.write_text(page, encoding="utf-8")
    return file


def _figure(student: str, exercise: str) -> str:
    return f"figures/{student}-{exercise}.png"


def distribution(graded: list[Graded]) -> list[dict]:
    """How many students lie in each tenth of the points: {"label", "count", "height" in percent}."""
    tenths = Counter(min(BINS - 1, int(BINS * r.points / r.max_points)) for r in graded if r.max_points)
    most = max(tenths.values(), default=1)
    return [
        {"label": f"{100 * k // BINS}–{100 * (k + 1) // BINS} %", "count": tenths[k], "height": 100 * tenths[k] / most}
        for k in range(BINS)
    ]


def failing_checks(graded: list[Graded]) -> list[dict]:
    """For each check how many students met each outcome, in the notebook's order."""
    found: dict[tuple, dict] = {}
    for result in graded:
        for score in result.scores:
            for check in score["checks"]:
                if not check["name"]:
                    continue
                key = (score["number"], check["title"])
                row = found.setdefault(key, {"exercise": score["number"], "title": check["title"], "counts": Counter()})
                row["counts"][check["outcome"]] += 1
    return [found[k] for k in sorted(found, key=lambda k: k[0])]
