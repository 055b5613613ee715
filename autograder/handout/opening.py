"""The cells that a release adds to a notebook: what there is to do, how the kit is found, and how work is handed in."""

import json
import re
from datetime import datetime
from pathlib import Path

from autograder.assignments import Assignment, Exercise
from autograder.settings import AssignmentSettings, CourseSettings

# How a notebook finds the kit on every machine.
FIRST_CELL = (Path(__file__).parent / "first_cell.py").read_text(encoding="utf-8").rstrip()
NO_ADDRESS = 'KIT = ""'
GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")  # owner/repository
COLAB = "https://colab.research.google.com/github"
DOTS = {1: "●○○", 2: "●●○", 3: "●●●"}


def opening(assignment: Assignment, settings: CourseSettings) -> str:
    """Markdown: a table of the exercises, what is handed in and when, and what help is allowed."""
    own = settings.of(assignment.name)
    parts = [_table(assignment, own), _hand_in(assignment, own)]
    if settings.collaboration:
        parts.append(f"**Working together.** {settings.collaboration}")
    if link := colab(assignment.name, settings.kit):
        parts.append(
            f"**Nothing to install:** [open this notebook in Colab]({link}), and save a copy of it in your Drive. What "
            "is trained there is gone with the session, so download the zip that the last cell makes before it ends."
        )
    if settings.contact:
        parts.append(f"**Questions?** {settings.contact}")
    if settings.title:
        parts.insert(0, f"*{settings.title}*")
    return "\n\n".join(parts)


def colab(assignment: str, kit: str) -> str:
    """Where Colab opens the notebook out of the course's kit; "" unless that lies on GitHub (its branch main)."""
    place = GITHUB.fullmatch(kit)
    return f"{COLAB}/{place[1]}/blob/main/homeworks/{assignment}/{assignment}.ipynb" if place else ""


def first_cell(settings: CourseSettings) -> str:
    """The first code cell, with the git address of the course's kit, for whoever has the notebook alone."""
    return FIRST_CELL.replace(NO_ADDRESS, f"KIT = {json.dumps(settings.kit)}", 1)


def _table(assignment: Assignment, own: AssignmentSettings) -> str:
    written = own.written == "points" and bool(assignment.questions)
    rows = [["exercise", "points", *(["written"] if written else []), "difficulty", "thinking", "training"]]
    rows.append([":--", *["--:"] * (1 + written), ":-:", "--:", "--:"])
    for e in assignment.exercises:
        rows.append(
            [
                f"{e.number} {e.title}".replace("|", "\\|"),
                f"{e.points:g}",
                *([_written(e)] if written else []),
                DOTS[e.difficulty],
                _minutes(e.thinking),
                _minutes(e.training),
            ]
        )
    points = sum(e.points for e in assignment.exercises)
    more = [f"**{sum(q.points for q in assignment.questions):g}**"] if written else []
    hours = sum(e.thinking for e in assignment.exercises) / 60
    rows.append(["**together**", f"**{points:g}**", *more, "", f"**{hours:.1f} h**", f"**{assignment.minutes} min**"])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    said = "Thinking is the time from reading to a full score, for somebody who knows the lecture; training is that of "
    said += "two processor cores, while you may do something else."
    if written:
        said += " Written questions are graded by hand, beside the points of the checks."
    elif assignment.questions:
        said += " The written questions have no points: answer them for yourself."
    return f"{table}\n\n{said}"


def _minutes(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes >= 1 else "< 1 min"


def _written(exercise: Exercise) -> str:
    return f"{sum(exercise.written):g}" if exercise.written else "–"


def _hand_in(assignment: Assignment, own: AssignmentSettings) -> str:
    answers = ", your answers in it," if assignment.questions else ""
    due = f" It is due on **{_moment(own.due)}**. {own.late.text}".rstrip() if own.due else ""
    return (
        f"**Hand in** one zip: this notebook{answers} and `artifacts/`, where your trained weights are. The last cell "
        f"packs it, and so does `deepul submit {assignment} --student YOUR-ID`.{due}"
    )


def _moment(due: datetime) -> str:
    """A moment, in the time zone in which it was set: the same words wherever it is written."""
    offset = due.strftime("%z")
    zone = getattr(due.tzinfo, "key", "") or "UTC"
    utc = f"UTC{offset[:3]}:{offset[3:5]}" if offset.strip("+0") else "UTC"
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    months = (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    )
    day = f"{days[due.weekday()]}, {due.day} {months[due.month - 1]} {due.year}, {due:%H:%M}"
    return f"{day} ({zone}, {utc})" if zone != "UTC" else f"{day} ({utc})"


def closing(assignment: Assignment) -> tuple[str, str]:
    """(Markdown, code) of the last two cells."""
    text = (
        "---\n## Hand in\n\n"
        "Save the notebook (Ctrl+S, or ⌘S). Then take the # away in front of a line below, and run the cell. `check()` "
        "shows the whole homework: your points, what is open, what is missing. `submit` packs the zip to hand in, and "
        "says what is missing in it. Neither changes your work."
    )
    code = f'from deepul_utils import submit\n\n# check()\n# submit("YOUR-ID")  # makes {assignment}-YOUR-ID.zip'
    return text, code
