"""The `deepul` command of the course's staff: a student's commands, and those of this module."""

import json
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Column, Table

import autograder.grading  # noqa: F401  before anything imports nbformat: it says why
from autograder import assignments
from autograder.commands import app, console, readable_output
from autograder.display import counted

AssignmentName = Annotated[str, typer.Argument(help="Which assignment, e.g. hw1.")]
CourseFolder = Annotated[
    Path, typer.Option("--course", help="The course folder: gradebook, submitted/, autograded/, reports.")
]
Limit = Annotated[
    list[str] | None, typer.Option(help="Change what a submission may use, e.g. --limit cell=60; may be repeated.")
]
RosterFile = Annotated[
    Path | None, typer.Option("--roster", help="CSV of who is in the course. Default: roster.csv of the course folder.")
]
SeparateUser = Annotated[
    bool, typer.Option("--separate-user", help="In a container where bubblewrap cannot work: each notebook is a user.")
]
GivenByPlatform = Annotated[
    Path | None,
    typer.Argument(
        metavar="[SUBMISSIONS]",
        help="What the platform gave you: a folder, or one archive. Default: submitted/ of the course.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be graded, what is missing, and how long it trains.")
]
Retrain = Annotated[float, typer.Option(min=0, max=1, help="Audit: train this share from scratch too, and compare.")]
Figures = Annotated[
    bool, typer.Option("--figures", help="Draw every figure anew; else the student's own are shown, as handed in.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print what came of it for programs; all else goes to the error output.")
]


@app.command("list")
def list_models():
    """All models: paper, assignment, data, how near the course's own comes to the limit, how long it trains."""
    from autograder.proof import models

    for row in models.rows():
        paper = f"{row.paper}, arXiv {row.arxiv}" if row.arxiv else row.paper
        trained = f" in {row.seconds} s" if row.seconds else ""
        lines = [f"{row.data}: {row.loss}{trained}", row.shows]
        console.print(f"{row.place} · [bold]{escape(row.model)}[/bold] · {escape(paper)}", soft_wrap=True)
        console.print(*("    " + line for line in lines), sep="\n", soft_wrap=True, highlight=False, markup=False)


@app.command()
def release(
    assignment: AssignmentName,
    figures: Annotated[bool, typer.Option(help="Draw the expected figures from the reference weights.")] = True,
    course: Annotated[
        Path | None, typer.Option(help="A course folder with a course.toml: its handout, in release/ there.")
    ] = None,
):
    """Make the handout in homeworks/ and the zip for students from the source in solutions/."""
    from autograder import settings
    from autograder.course import Course
    from autograder.handout.build import release as build
    from autograder.handout.bundle import bundle
    from autograder.handout.source import stubs
    from autograder.notebooks import read

    opened = _course(course) if course else Course.kit()
    folder, own = build(opened, assignment, figures), settings.read(opened.root)
    bundles = opened.root / "build" / "bundles" if opened == Course.kit() else opened.root / "bundles"
    with own.in_use():
        archive = bundle(assignment, bundles, own.contact, folder)
    to_write = stubs(read(folder / f"{assignment}.ipynb"))
    console.print(f"handout       {_relative(folder)}/", highlight=False)
    console.print(f"to be written {', '.join(sorted(to_write))}", highlight=False)
    console.print(f"for students  {_relative(archive)}: the handout with all it needs", highlight=False)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What it is called, e.g. nice: small letters, digits and _.")],
    family: Annotated[str, typer.Option(help="What kind of model it is, e.g. flows.")],
    title: Annotated[str, typer.Option(help="As students read it.")] = "",
    number: Annotated[str, typer.Option(help="Of its exercise, e.g. E7; the next that is free, if left out.")] = "",
):
    """Write a new assignment that runs: the simplest model of a family, to be replaced by yours."""
    from autograder.proof.new import write

    for file in write(name, family, title, number):
        console.print(f"  {_relative(file)}", highlight=False)
    console.print(
        f"\nReplace the model by yours, and the checks by what it must be. Then, in this order:\n"
        f"  deepul lint {name}         what is missing, in words\n"
        f"  deepul calibrate {name}    train it: reference losses and weights\n"
        f"  deepul release {name}      the handout, its figures, and the zip for students\n"
        f"  deepul validate {name}     the proof: right answers pass, wrong ones are caught",
        highlight=False,
    )


@app.command()
def lint(
    assignment: Annotated[str, typer.Argument(help="Which assignment, e.g. hw1; all of them if left out.")] = "",
):
    """Name what an assignment lacks: markers, headings, points, references, known wrong answers. Nothing is run.

    Exit code: 0 nothing, 1 something.
    """
    from autograder.proof import lint as linting

    wrong = False
    for name in [assignments.get(assignment).name] if assignment else assignments.names():
        found = linting.problems(name)
        wrong |= bool(found)
        console.print(f"{name}: {'in order' if not found else f'{len(found)} to put right'}", highlight=False)
        for problem in found:
            console.print(f"  {escape(problem)}", highlight=False)
    if wrong:
        raise typer.Exit(1)


@app.command()
def grade(
    context: typer.Context,
    assignment: AssignmentName,
    submissions: GivenByPlatform = None,
    course: CourseFolder = Path("."),
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Submissions at once; 0: one a core.")] = 0,
    cluster: Annotated[str, typer.Option(help="Grade on a Dask cluster instead, e.g. tcp://host:8786.")] = "",
    only: Annotated[list[str] | None, typer.Option(help="Grade this student only; may be repeated.")] = None,
    roster: RosterFile = None,
    attempt: Annotated[
        str, typer.Option(help="Of several attempts of a student: last, first or best, after the late penalty.")
    ] = "last",
    dry_run: DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="Grade again what was graded and has not changed.")] = False,
    limit: Limit = None,
    retrain: Retrain = 0.0,
    figures: Figures = False,
    as_json: Json = False,
    separate_user: SeparateUser = False,
):
    """Grade a class in a sandbox, from what the platform gave you: gradebook, grades.csv and a report page.

    Run it again after an interruption and it goes on where it was; what has not changed is not graded again.

    Exit code: 0 all are graded, 1 some could not be graded or written down, 2 nothing was graded.
    """
    from autograder import desk
    from autograder.grading import batch
    from autograder.grading.limits import Limits
    from autograder.roster import Roster

    console.stderr = as_json  # what programs read stands alone
    if dry_run and as_json:
        raise typer.BadParameter("--json tells what came of grading; --dry-run grades nothing.")
    limits = replace(Limits.parse(limit or []), figures=figures, separate_user=separate_user)
    opened = _opened(course, context)
    known = Roster.of_course(opened.root, roster)
    options = batch.Options(limits=limits, force=force, audit=retrain, jobs=jobs, cluster=cluster, roster=known)
    handed_in = desk.arrived(opened, assignments.get(assignment).name, submissions, known, only or (), attempt)
    handed_in.say(console)
    _say_moved(opened, known)
    if dry_run:
        handed_in.show(console, options)
        return
    run = handed_in.run(console, options)
    ended = run.grade(handed_in.chosen(options))
    if as_json and run.summary:
        print(run.as_json())
    if ended:
        raise typer.Exit(ended)


@app.command()
def show(
    context: typer.Context,
    assignment: AssignmentName,
    student: Annotated[str, typer.Argument(help="Whose, as the table of grades calls them.")],
    check: Annotated[
        str, typer.Option(help="Which check: its exercise, a point, and words of it, e.g. made.samples.")
    ] = "",
    course: CourseFolder = Path("."),
    limit: Limit = None,
    separate_user: SeparateUser = False,
):
    """Ask one check of one student again, in the sandbox with the seeds of the grade, and show what came of it.

    Measured and required, what the student's code was asked and answered, the code at the line, and a page with arrays
    and figures. Without --check: the student's checks, as they were graded. Nothing is recorded.
    Exit code: 0 all points, 1 not all.
    """
    from autograder.grading import again, showing
    from autograder.grading.limits import Limits

    opened = _opened(course, context)
    handed_in = showing.submission(opened, assignments.get(assignment).name, student)
    if not check:
        print(showing.graded(opened, assignment, student))
        return
    limits = replace(Limits.parse(limit or []), separate_user=separate_user)
    shown = again.ask(opened, assignment, handed_in, showing.find(assignment, check), limits)
    files = showing.write(showing.place(opened, assignment, shown), shown)
    print(showing.text(shown), *(f"  {file.stem:7} {_relative(file)}" for file in files), sep="\n")
    if shown.result["points"] != shown.result["max_points"]:
        raise typer.Exit(1)


@app.command()
def export(
    context: typer.Context,
    assignment: AssignmentName,
    to: Annotated[str, typer.Option(help="canvas, moodle, brightspace, gradescope, or csv: the kit's own table.")],
    file: Annotated[Path | None, typer.Option(help="The platform's own grade file, which is filled in.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to. Default: reports/ of the course.")] = None,
    column: Annotated[str, typer.Option(help="Header of the column to fill, where it is not plain.")] = "",
    scale: Annotated[
        bool, typer.Option("--scale", help="Turn points into those that the platform has for it.")
    ] = False,
    roster: RosterFile = None,
    course: CourseFolder = Path("."),
):
    """Write a grade file that a platform takes: its own, filled in with what the gradebook says.

    Exit code: 0 everyone who handed in has a row with points, 1 somebody has none, 2 nothing was written.
    """
    from autograder.course import CourseError
    from autograder.grading import export as exporting
    from autograder.roster import Roster

    assignments.get(assignment)
    if to not in exporting.PLATFORMS:
        raise CourseError(f"--to {to}: there are {', '.join(exporting.PLATFORMS)}.")
    opened = _opened(course, context)
    known = Roster.of_course(opened.root, roster)
    target = output or opened.root / "reports" / assignment / f"{to}.csv"
    filled = exporting.write(opened, assignment, to, file, target, known, column, scale)
    console.print(
        f"{counted(filled.filled, 'student has', 'students have')} points in {_relative(target)}.",
        highlight=False,
        markup=False,
    )
    _say_moved(opened, known)
    for text in filled.without:
        console.print(f"  no points: {text}", highlight=False, markup=False)
    for student in filled.left:
        console.print(f"  has no row in the file: {student}", highlight=False, markup=False)
    if filled.left or any("graded" in text for text in filled.without):
        raise typer.Exit(1)


@app.command()
def feedback(
    context: typer.Context,
    assignment: AssignmentName,
    only: Annotated[list[str] | None, typer.Option(help="Of this student only; may be repeated.")] = None,
    to: Annotated[Path | None, typer.Option(help="Lay the pages out there, a folder for each student's id.")] = None,
    zipped: Annotated[bool, typer.Option("--zip", help="In --to, a zip for each student instead.")] = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Of those too whose written answers are not all graded: 0 there.")
    ] = False,
    roster: RosterFile = None,
    course: CourseFolder = Path("."),
):
    """Make what students get back: nbgrader's page of each, with points, comments and figures, as they are by now.

    Exit code: 0 everyone who was graded has a page, 1 somebody has none, 2 nothing was made.
    """
    from autograder.grading import by_hand, moved
    from autograder.grading import feedback as pages
    from autograder.roster import Roster

    assignments.get(assignment)
    opened = _opened(course, context)
    known = Roster.of_course(opened.root, roster)
    with console.status(f"making feedback of {assignment}") as status:
        tell = lambda number, of: status.update(f"feedback of {assignment}: {number} of {of}")  # noqa: E731
        made = pages.make(opened, assignment, only or (), unfinished, known, tell)
    taken_back = []
    if to:
        pages.lay_out(made.pages, to, zipped)
        old = moved.left_out(by_hand.read(opened, assignment), known) if not only else {}
        taken_back = pages.take_back(assignment, [*made.without, *old], to)
    where = _relative(to) if to else f"{_relative(opened.root / 'feedback')}/STUDENT/{assignment}/{assignment}.html"
    pages_made = f"{counted(len(made.pages), 'page')}, {len(made.fresh)} new"
    console.print(f"{pages_made}: {where}", highlight=False, markup=False)
    _say_moved(opened, known)
    for student, why in made.without.items():
        console.print(f"  no page: {student}: {why}", highlight=False, markup=False)
    for file in taken_back:
        console.print(f"  removed: {_relative(file)}, of an earlier grade", highlight=False, markup=False)
    if made.without:
        raise typer.Exit(1)


@app.command()
def totals(
    context: typer.Context,
    roster: RosterFile = None,
    course: CourseFolder = Path("."),
):
    """Write what everybody has in the whole course: each homework by its weight in course.toml.

    Exit code: 0 everybody has a total, 1 something of somebody is open, 2 nothing was written.
    """
    from autograder.grading import totals as adding
    from autograder.roster import Roster

    opened = _opened(course, context)
    known = Roster.of_course(opened.root, roster)
    table, target = adding.rows(opened, known), opened.root / "reports" / "course.csv"
    adding.write(target, table)
    console.print(f"{counted(len(table), 'student')}: {_relative(target)}", highlight=False, markup=False)
    _say_moved(opened, known)
    if nothing_counts := adding.nothing_counts(table):
        console.print(f"  {nothing_counts}", highlight=False, markup=False)
    if waiting := [row["id"] for row in table if row["together"] == ""]:
        console.print(f"  {len(waiting)} without a total: {', '.join(waiting)}", highlight=False, markup=False)
        raise typer.Exit(1)


@app.command()
def term(
    folder: Annotated[Path, typer.Argument(help="The new course folder, called after the term: 2027-spring.")],
    first: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day the first homework is due.")],
    zone: Annotated[
        str, typer.Option(help="Time zone of its due dates, e.g. Europe/Berlin; if left out, that of --like, or UTC.")
    ] = "",
    like: Annotated[
        Path | None, typer.Option(help="The folder of an earlier term, to take its course.toml over.")
    ] = None,
):
    """Begin a term: a course folder with its course.toml, and a secret of its own."""
    from autograder.term import make
    from deepul_utils import turn

    made = make(folder, first.date(), zone, like)
    secret, of_data = made.root / ".deepul-salt", turn.number()
    console.print(
        f"course   {_relative(made.root)}/course.toml: due dates, late policy, exercises; look it over\n"
        f"secret   {secret}: keep a copy where only staff read it. Only with it grades come out the same again, and "
        "who reads it can predict what is held out\n"
        f"data     of turn {of_data}. If last term had the same, deepul turn {(of_data + 1) % turn.TURNS} makes "
        "equivalent ones\n"
        f"Then:\n  deepul release hw1 --course {_relative(made.root)}\n"
        f"  deepul grade hw1 path/to/download --course {_relative(made.root)}",
        highlight=False,
        markup=False,
    )


@app.command("turn")
def turn_data(
    to: Annotated[int | None, typer.Argument(help="The turn that the data shall be of; left out: which it is.")] = None,
):
    """Give the next term equivalent data: turned, mirrored, inverted. What is trained on the others earns nothing."""
    from autograder.proof import calibrate as calibration
    from deepul_utils import turn

    if to is None:
        console.print(f"The data are of turn {turn.number()} (0 … {turn.TURNS - 1}).", highlight=False)
        return
    if to not in range(turn.TURNS):
        raise ValueError(f"there is no turn {to} of the data, only 0 to {turn.TURNS - 1}.")
    turn.turn_to(to)
    console.print(f"The data are of turn {to} now. To be made anew, an assignment at a time:", highlight=False)
    for name in calibration.on_turned_data():
        minutes = max(1, round(calibration.seconds(name) / 60))
        console.print(
            f"  deepul calibrate {name} --weights && deepul release {name}    about {counted(minutes, 'minute')}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        "Then `deepul validate`, some hours at night, and commit what these have changed, with data/turn.txt. Courses "
        "of another turn are graded with the commit that they were given from.",
        highlight=False,
    )


@app.command("words")
def translate(
    assignment: Annotated[str, typer.Argument(help="Which assignment, e.g. hw1; all of them if left out.")] = "",
    course: CourseFolder = Path("."),
):
    """Collect what checks say in words.toml of the course, to be translated; what is translated there stays."""
    from autograder.proof import wording

    file = _course(course).root / "words.toml"
    texts, missing = wording.write(file, [assignments.get(assignment)] if assignment else ())
    console.print(f"{_relative(file)}: {counted(texts, 'text')}, {missing} not translated yet", highlight=False)


@app.command()
def gradescope(
    context: typer.Context,
    assignment: AssignmentName,
    course: CourseFolder = Path("."),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The zip. Default: build/gradescope/ of the course folder.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=3, help="After how many minutes Gradescope ends it: its setting Autograder Timeout.")
    ] = 10.0,
    visibility: Annotated[
        str, typer.Option(help="When students see the checks: visible, after_due_date, after_published or hidden.")
    ] = "visible",
    leaderboard: Annotated[
        bool, typer.Option("--leaderboard", help="List the points of all, exercise by exercise.")
    ] = False,
    sandbox: Annotated[
        str, typer.Option(help="bubblewrap, separate-user, or auto: the first where it works there, else the other.")
    ] = "auto",
):
    """Make the autograder that Gradescope runs for each submission: a zip to upload, with this course's salt."""
    from autograder import settings
    from autograder.grading import batch
    from autograder.handout import gradescope as packing

    assignments.get(assignment)
    opened = _opened(course, context)
    excused = tuple(settings.read(opened.root).of(assignment).excused)
    own = dict(minutes=minutes, visibility=visibility, leaderboard=leaderboard, sandbox=sandbox, excused=excused)
    notebook = batch.prepare(opened, assignment)
    chosen = packing.settings(notebook, assignment, **own)
    target = output or opened.root / "build" / "gradescope" / f"{assignment}.zip"
    archive = packing.pack(target, notebook, opened.salt, chosen)
    console.print(f"{_relative(archive)}: upload it to Gradescope, and give it to nobody else.", highlight=False)
    console.print(
        f"Points: {chosen.points:g} by the autograder"
        + (f", {chosen.written:g} by people (manual grading)" if chosen.written else "")
        + f". Timeout: {counted(minutes, 'minute')}. It has the course's salt and its checks, and no solution.",
        highlight=False,
    )


@app.command()
def demo(folder: Annotated[Path, typer.Option(help="Where to put everything.")] = Path("build/demo")):
    """The whole path on built-in data: hand out, a small class of submissions, grade, report."""
    from autograder import desk
    from autograder.demo import prepare

    course, found = prepare(folder, "hw1", tell=lambda text: console.print(text, style="dim"))
    if ended := desk.Run(console, course, "hw1", folder).grade(found):
        raise typer.Exit(ended)


@app.command()
def calibrate(
    assignment: AssignmentName,
    seeds: Annotated[int, typer.Option(min=0, help="How many seeds to train under; 0: as many as last time.")] = 0,
    exercise: Annotated[str, typer.Option(help="This exercise only, e.g. made.")] = "",
    recipes: Annotated[bool, typer.Option("--recipes", help="Only what the notebook's text states.")] = False,
    weights: Annotated[
        bool,
        typer.Option("--weights", help="Only the reference weights, for data that were turned: once, as they are."),
    ] = False,
):
    """Train the solutions under several seeds and write down how they end: reference.json, reference weights.

    needed: from so many seeds on, more of them make no threshold tighter.
    """
    from autograder.proof import calibrate as calibration

    if seeds == 1:
        raise typer.BadParameter("one seed has no spread; 2 at least, or 0 for as many as last time.")
    if weights and (recipes or seeds):
        raise typer.BadParameter("--weights are trained once, and nothing is measured: no --recipes, no --seeds.")
    say = lambda text: console.print(text, style="dim", highlight=False)  # noqa: E731
    if weights:
        calibration.weights(assignment, exercise, progress=say)
        return
    reference = calibration.calibrate(assignment, seeds, exercise, progress=say, recipes_only=recipes)
    shown = {e.name for e in assignments.get(assignment).chosen(exercise)}
    numbers = {k: r for k, r in reference.items() if not k.startswith("_")}
    console.print(_references({k: r for k, r in numbers.items() if assignments.get_exercise(k).name in shown}))


def _references(numbers: dict) -> Table:
    """What was calibrated, one row a model that is trained. numbers: of reference.json."""
    from autograder.proof import calibrate as calibration

    titles = ("mean ± sd", "seeds", "needed", "stated recipe", "full up to", "baseline", "s")
    table = Table(Column("reference", no_wrap=True), *titles, box=SIMPLE_HEAD, padding=(0, 1))
    for key, r in numbers.items():
        table.add_row(
            key,
            f"{r['mean']:.4f} ± {r['sd']:.4f}",
            str(len(r["runs"])),
            str(calibration.seeds_needed(r)),
            "{mean:.4f} ± {sd:.4f}".format_map(r["recipe"]) if "recipe" in r else "",
            f"{calibration.full_up_to(r):.4f}",
            f"{r['baseline']:.4f}",
            f"{r['seconds']:.0f}",
        )
    return table


@app.command()
def validate(
    assignment: Annotated[str, typer.Argument(help="Which assignment, e.g. hw1; all of them if left out.")] = "",
    exercise: Annotated[str, typer.Option(help="This exercise only, e.g. made.")] = "",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Cases at once; 0: one a core.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Run again what has not changed, too.")] = False,
    training: Annotated[bool, typer.Option(help="Train what has to be trained for its verdict.")] = True,
    kind: Annotated[
        str,
        typer.Option(
            help="Only: solution, blank, stub (one method not written), mutant, variant, start (other initial "
            "weights), cheat or handout."
        ),
    ] = "",
):
    """Grade the grader: solutions earn everything, blanks nothing, every known slip is caught by its check.

    The handout is what the source makes, gives no line of a solution away, and works by itself. Only what changed since
    the last run is run again. Exit code: 0 all is as it must be, 1 it is not.
    """
    import os

    from autograder.course import SourceError
    from autograder.proof import validate as validation
    from autograder.proof.lint import unreadable

    if exercise:
        assignment = assignment or assignments.get_exercise(exercise).assignment.name
    every = (*validation.KINDS, "handout")
    if kind and kind not in every:
        raise typer.BadParameter(f"{kind}: there are {', '.join(every)}.")
    kinds = (kind,) if kind in validation.KINDS else validation.KINDS
    jobs = jobs or os.cpu_count() or 1
    chosen = [assignments.get(assignment).name] if assignment else assignments.names()
    if issues := [said for a in chosen for said in unreadable(assignments.get(a))]:
        raise SourceError(" ".join(issues))
    failed = []
    if kind != "handout":
        failed += [_validate(a, exercise, jobs, force, kinds, training) for a in chosen]
    if kind in ("", "handout") and not exercise:
        failed += [_handout(a, force) for a in chosen]
    if any(failed):
        raise typer.Exit(1)


def _handout(assignment: str, force: bool) -> bool:
    """Whether anything is wrong with a handout, which is said."""
    from autograder.proof import handouts

    here = assignments.get(assignment)
    if handouts.is_current(here) and not force:
        console.print(f"{assignment}: the handout has not changed", highlight=False)
        return False
    found = handouts.problems(here)
    for problem in found:
        console.print(f"[red]✗[/red] {assignment}: {escape(problem)}", highlight=False)
    if not found:
        console.print(f"{assignment}: the handout is what the source makes, and works by itself", highlight=False)
    return bool(found)


def _validate(assignment: str, exercise: str, jobs: int, force: bool, kinds: tuple[str, ...], training: bool) -> bool:
    """Validate one assignment and show it; whether anything was not as it must be."""
    from autograder.proof import matrix
    from autograder.proof import validate as validation

    begun = time.monotonic()
    verdicts, fresh = _judged(assignment, exercise, jobs, force, kinds, training)
    weak = validation.weaknesses(assignment, verdicts) if kinds == validation.KINDS else []
    for name in dict.fromkeys(v.exercise for v in verdicts if kinds == validation.KINDS):
        console.print(matrix.table(name, verdicts))
    _show_verdicts(assignment, verdicts)
    for text in weak:
        console.print(f"[red]weak[/red] {text}", highlight=False)
    folder = assignments.ROOT / "build" / "validate"
    page = matrix.page(folder / f"{assignment}.html", assignment, verdicts, weak)
    console.print(
        f"{assignment}: {counted(fresh, 'case')} run in {time.monotonic() - begun:.0f} s, {len(verdicts) - fresh} "
        f"had not changed. Page: {_relative(page)}",
        highlight=False,
    )
    return bool(weak) or any(v.problem for v in verdicts)


def _judged(
    assignment: str, exercise: str, jobs: int, force: bool, kinds: tuple[str, ...], training: bool
) -> tuple[list, int]:
    """(the verdicts, how many of them are new), with a progress bar; what is not as it must be is said at once."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from autograder.proof import validate as validation

    fresh = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        total = sum(c.kind in kinds for c in validation.cases(assignment, exercise))
        task = bar.add_task(f"validating {assignment}", total=total)

        def done(verdict: validation.Verdict, is_fresh: bool) -> None:
            nonlocal fresh
            fresh += is_fresh
            bar.update(task, advance=1, description=f"{verdict.exercise} {verdict.name}")
            if verdict.problem:
                what = f"{verdict.exercise} · {verdict.name} ({verdict.kind})"
                console.print(f"[red]✗[/red] {what} {escape(verdict.problem)}", highlight=False)

        return validation.validate(assignment, exercise, jobs, force, done, kinds, training), fresh


def _show_verdicts(assignment: str, verdicts: list) -> None:
    """How many of each kind are as they must be, and which have to be trained to be judged."""
    from autograder.proof import validate as validation

    for kind, what in (
        ("solution", "earn everything"),
        ("blank", "earn nothing"),
        ("stub", "cost the checks that call them, and no others"),
        ("mutant", "are caught by the check meant for them"),
        ("variant", "earn everything"),
        ("start", "lose nothing by the weights they start from"),
        ("cheat", "earn no point of what is trained"),
    ):
        here = [v for v in verdicts if v.kind == kind]
        if here:
            held = sum(not v.problem for v in here)
            console.print(f"{kind:8} {held} of {len(here)} {what}", highlight=False)
    if stale := [v for v in verdicts if v.key == validation.STALE]:
        console.print(
            f"[yellow]{len(stale)} that need training have changed since they were judged:[/yellow] deepul "
            f"validate {assignment}",
            highlight=False,
        )


def _course(folder: Path):
    """The course in a folder. Raises CourseError where there is none: a name that was mistyped makes no new one."""
    from autograder.course import Course, CourseError

    if not folder.is_dir():
        what = "is a file, no course folder" if folder.exists() else "is not there"
        raise CourseError(f"{folder} {what}. `deepul term` makes a course folder, or `mkdir`.")
    return Course.at(folder)


def _opened(folder: Path, context: typer.Context):
    """The course in a folder. As long as the command runs, assignments are as it gives them."""
    from autograder import settings

    course = _course(folder)
    context.with_resource(settings.read(course.root).in_use())
    return course


def _say_moved(course, roster) -> None:
    """Whom the roster calls otherwise than the gradebook, and what to do."""
    from autograder.grading import moved

    for text in moved.notes(course, roster):
        console.print(f"  {text}", highlight=False, markup=False)


def _relative(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _of_disk() -> tuple[type[Exception], ...]:
    """What a disk or a gradebook that cannot be used raises. A student's packages are without SQLAlchemy."""
    module = sys.modules.get("sqlalchemy.exc")
    return (OSError, module.SQLAlchemyError) if module else (OSError,)


def main() -> None:
    """Run the command; what went wrong is said in a sentence, and the exit code is 2."""
    from autograder.course import CourseError, SandboxError, SourceError, trouble
    from deepul_utils.errors import KitError

    readable_output()
    try:
        app()
    except ModuleNotFoundError as error:
        _fail(f"the module {error.name} is missing: run make setup, which installs what the kit needs.")
    except (CourseError, SourceError, SandboxError, KitError, ValueError) as error:
        _fail(str(error))
    except _of_disk() as error:
        _fail(f"{trouble(error)}. Then run the same command again.")


def _fail(said: str) -> NoReturn:
    """Say why nothing came of a command, to a program too where one reads (--json), and end with exit code 2."""
    console.print(f"[red]deepul:[/red] {escape(said)}", highlight=False)
    if console.stderr:
        print(json.dumps({"problem": said}, ensure_ascii=False))
    sys.exit(2)


if __name__ == "__main__":
    main()
