"""The `deepul` command of the course's staff: a student's commands, and those of this module."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Column, Table

from autograder import assignments
from autograder.commands import app, console, readable_output

ROOM = 120  # columns of a terminal, from which on the table of a class says where points were lost, too

AssignmentName = Annotated[str, typer.Argument(help="Which assignment, e.g. hw1.")]
CourseFolder = Annotated[
    Path, typer.Option("--course", help="The course folder: gradebook, submitted/, autograded/, reports.")
]


@app.command("list")
def list_models():
    """All models: paper, assignment, data, how near the course's own comes to the limit, how long it trains."""
    from autograder.proof import models

    table = Table(*models.HEAD, box=SIMPLE_HEAD)
    for row in models.rows():
        paper = f"{row.paper}, {row.arxiv}" if row.arxiv else row.paper
        table.add_row(row.model, paper, row.place, row.data, row.loss, row.seconds, row.shows)
    console.print(table, highlight=False)


@app.command()
def release(
    assignment: AssignmentName,
    figures: Annotated[bool, typer.Option(help="Draw the expected figures from the reference weights.")] = True,
):
    """Make the handout in homeworks/ and the zip for students from the source in solutions/."""
    from autograder import settings
    from autograder.course import Course
    from autograder.handout.build import release as build
    from autograder.handout.bundle import bundle

    kit = Course.kit()
    folder = build(kit, assignment, figures)
    archive = bundle(assignment, assignments.ROOT / "build" / "bundles", settings.read(kit.root).contact)
    console.print(f"handout       {_relative(folder)}/", highlight=False)
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
    assignment: AssignmentName,
    submissions: Annotated[
        Path | None,
        typer.Argument(help="What the platform gave you: a folder, or one archive. Default: submitted/ of the course."),
    ] = None,
    course: CourseFolder = Path("."),
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Submissions at once; 0: one a core.")] = 0,
    cluster: Annotated[str, typer.Option(help="Grade on a Dask cluster instead, e.g. tcp://host:8786.")] = "",
    only: Annotated[list[str] | None, typer.Option(help="Grade this student only; may be repeated.")] = None,
    roster: Annotated[
        Path | None, typer.Option(help="CSV of who is in the course. Default: roster.csv of the course, if there.")
    ] = None,
    attempt: Annotated[str, typer.Option(help="Of several attempts of a student: last, first or best.")] = "last",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be graded, what is missing, and how long it trains.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Grade again what was graded and has not changed.")] = False,
    limit: Annotated[
        list[str] | None, typer.Option(help="Change what a submission may use, e.g. --limit cell=60; may be repeated.")
    ] = None,
    retrain: Annotated[
        float, typer.Option(min=0, max=1, help="Audit: train this share from scratch too, and compare.")
    ] = 0.0,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw every figure anew; else the student's own are shown, as handed in.")
    ] = False,
):
    """Grade a class in a sandbox, from what the platform gave you: gradebook, grades.csv and a report page.

    Run it again after an interruption and it goes on where it was; what has not changed is not graded again.

    Exit code: 0 all are graded, 1 some could not be graded or written down, 2 nothing was graded.
    """
    from autograder.course import Course, CourseError
    from autograder.grading import arrivals, batch, downloads
    from autograder.grading.limits import Limits
    from autograder.roster import FILE, Roster

    assignments.get(assignment)
    if attempt not in downloads.ATTEMPTS:
        raise CourseError(f"--attempt {attempt}: there are {', '.join(downloads.ATTEMPTS)}.")
    opened = Course.at(course)
    listed = roster or opened.root / FILE
    known = Roster.read(listed) if roster or listed.exists() else None
    scratch = opened.root / ".deepul" / "downloads" / assignment
    download = downloads.find(submissions or opened.root / "submitted", assignment, known, scratch)
    everyone = list(download.attempts)
    if only:
        unknown = sorted(set(only) - set(everyone))
        if unknown:
            raise CourseError(f"There is no submission of {', '.join(unknown)}. There are: {', '.join(everyone)}.")
        download.attempts = {student: mine for student, mine in download.attempts.items() if student in only}
    for note in downloads.notes(download):
        console.print(f"  {escape(note)}", style="dim", highlight=False)
    limits = replace(Limits.parse(limit or []), figures=figures)
    options = batch.Options(limits=limits, force=force, audit=retrain, jobs=jobs, cluster=cluster)
    if dry_run:
        console.print(arrivals.table(assignment, download.chosen(attempt)))
        _changes(opened, assignment, download.chosen(attempt), options)
        return
    best = attempt == "best"
    chosen = batch.best(opened, assignment, download.attempts, options) if best else download.chosen(attempt)
    folder = opened.root / "reports" / assignment
    files = partial(arrivals.write, folder / "files.csv", download, chosen)
    _grade(opened, assignment, chosen, folder, options, everyone, files)


def _grade(
    course,
    assignment: str,
    found: list,
    folder: Path,
    options=None,
    everyone: list[str] | None = None,
    files: Callable[[], None] | None = None,
) -> None:
    """Grade, show a progress bar and a line a student, and write grades.csv and the report into `folder`.

    everyone: the students who stand in the table, those of `found` and others who were graded earlier. files: writes
    down what became of the files of a download. Exits with 1 if something could not be graded, or not be written down.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from autograder.grading import arrivals, batch, report, sandbox

    options = options or batch.Options()
    if not options.cluster:
        sandbox.require()
    console.print(f"Each submission may use: {options.limits}.", style="dim", highlight=False)
    everyone = everyone or [s.student for s in found]
    begun, written = time.monotonic(), report.Report(course, assignment, folder, everyone)
    try:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bar:
            task = bar.add_task("preparing the assignment", total=len(found))

            def done(graded: batch.Graded) -> None:
                written.add(graded)
                bar.update(task, advance=1, description=f"graded {escape(graded.student)}")

            results = batch.grade(course, assignment, found, options, done)
    except KeyboardInterrupt:
        console.print("Interrupted. What was graded is kept: the same command goes on from here.")
        raise typer.Exit(130) from None
    seconds = time.monotonic() - begun
    alike = batch.alike(course, assignment, everyone)
    written.finish(results, alike)
    if files:
        written.write(files)
    _show(assignment, results)
    if changes := written.changes:
        console.print("Changed since the last run:", arrivals.changed(changes), sep="\n")
    _summary(results, seconds)
    if alike:
        said = f"{len(alike)} times the same text, weights or code, to look at; no points change"
        console.print(f"  alike   {_relative(folder / 'alike.csv')}: {said}", highlight=False, markup=False)
    if written.problem:
        console.print(
            f"[red]deepul:[/red] the tables could not all be written in {escape(_relative(folder))}: "
            f"{escape(written.problem)}. Then run the same command again: no grade is lost.",
            highlight=False,
        )
    else:
        console.print(
            f"  table   {_relative(folder / 'grades.csv')}\n  report  {_relative(folder / 'report')}/index.html",
            highlight=False,
            markup=False,
        )
    if written.problem or any(r.not_graded or r.incomplete for r in results):
        raise typer.Exit(1)


@app.command()
def export(
    assignment: AssignmentName,
    to: Annotated[str, typer.Option(help="canvas, moodle, brightspace, gradescope, or csv: the kit's own table.")],
    file: Annotated[Path | None, typer.Option(help="The platform's own grade file, which is filled in.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to. Default: reports/ of the course.")] = None,
    column: Annotated[str, typer.Option(help="Header of the column to fill, where it is not plain.")] = "",
    scale: Annotated[
        bool, typer.Option("--scale", help="Turn points into those that the platform has for it.")
    ] = False,
    roster: Annotated[Path | None, typer.Option(help="CSV of who is in the course. Default: its roster.csv.")] = None,
    course: CourseFolder = Path("."),
):
    """Write a grade file that a platform takes: its own, filled in with what the gradebook says.

    Exit code: 0 everyone who handed in has a row with points, 1 somebody has none, 2 nothing was written.
    """
    from autograder.course import Course, CourseError
    from autograder.grading import export as exporting
    from autograder.roster import FILE, Roster

    assignments.get(assignment)
    if to not in exporting.PLATFORMS:
        raise CourseError(f"--to {to}: there are {', '.join(exporting.PLATFORMS)}.")
    opened = Course.at(course)
    listed = roster or opened.root / FILE
    known = Roster.read(listed) if roster or listed.exists() else None
    target = output or opened.root / "reports" / assignment / f"{to}.csv"
    filled = exporting.write(opened, assignment, to, file, target, known, column, scale)
    console.print(f"{filled.filled} students have their points in {_relative(target)}.", highlight=False, markup=False)
    for text in filled.without:
        console.print(f"  left as it was: {text}", highlight=False, markup=False)
    for student in filled.left:
        console.print(f"  has no row in the file: {student}", highlight=False, markup=False)
    if filled.left or any("graded" in text for text in filled.without):
        raise typer.Exit(1)


def _changes(course, assignment: str, chosen: list, options) -> None:
    """What grading again would change for those who were graded before. Nothing is recorded."""
    from autograder.grading import arrivals, batch, report, sandbox

    before = [e for s in chosen if (e := report.earlier_result(course, assignment, s.student))]
    graded = {e.student for e in before}
    if not graded:
        return
    if not options.cluster:
        sandbox.require()
    now = batch.rehearse(course, assignment, [s for s in chosen if s.student in graded], options)
    if rows := report.changes(before, now):
        console.print("Grading would change:", arrivals.changed(rows), sep="\n")
    else:
        console.print(f"Grading would change nothing for the {len(graded)} who were graded before.", highlight=False)


def _summary(results: list, seconds: float) -> None:
    """How many were graded, how many had not changed, how many have no grade; what audits gave, what was not kept."""
    graded = [r for r in results if not r.not_graded]
    fresh = sum(r.fresh for r in graded)
    parts = [f"{fresh} graded in {seconds:.0f} s"]
    parts += [f"{len(graded) - fresh} had not changed"] if fresh < len(graded) else []
    parts += [f"{len(results) - len(graded)} could not be graded"] if len(graded) < len(results) else []
    console.print(f"{len(results)} submissions: {', '.join(parts)}.", highlight=False)
    for result in results:
        if result.audited:
            console.print(f"  audit of {escape(result.student)}: {result.audited}", highlight=False)
        for problem in result.problems if result.incomplete and not result.not_graded else ():
            console.print(f"  {escape(result.student)}: {escape(problem)}", highlight=False)


def _show(assignment: str, results: list) -> None:
    listed = assignments.get(assignment).exercises
    most = {s["exercise"]: s["max_points"] for r in results for s in r.scores}
    written = max((r.most_written for r in results), default=0.0)
    table = Table(Column("student", no_wrap=True, min_width=14), box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    titles = [*(f"{e.number}\nof {most[e.name]:g}" for e in listed)]
    titles += [f"checks\nof {sum(most.values()):g}", f"written\nof {written:g}"] if written else []
    for title in (*titles, f"total\nof {sum(most.values()) + written:g}"):
        table.add_column(title, justify="right", no_wrap=True)
    wide = console.width >= ROOM
    if wide:
        table.add_column("where points were lost")
    below: list[str] = []
    for result in results:
        scores = {s["exercise"]: s for s in result.scores}
        lost = [
            f"{s['number']} {c['title']}"
            for s in result.scores
            for c in s["checks"]
            if c["outcome"] in ("failed", "partial", "not graded")
        ]
        cells = [_earned([scores[e.name]]) for e in listed]
        cells += [_earned(result.scores, result.changed), _written(result)] if written else []
        total = "[yellow]not graded[/yellow]" if result.not_graded else f"[bold]{_total(result)}[/bold]"
        if result.not_graded:
            lost = result.problems
        if result.stopped:
            lost = [f"stopped: {result.stopped}", *lost]
        where = lost or _waiting(result)
        table.add_row(escape(result.student), *cells, total, *([escape("\n".join(where))] if wide else []))
        below += [f"  {result.student}: {'; '.join(where)}"] if where else []
    console.print(table)
    if below and not wide:
        console.print("Where points were lost:\n" + "\n".join(below), highlight=False, markup=False)


def _waiting(result) -> list[str]:
    """Why a student has not all points of whom no check failed."""
    headlines = {s["headline"]: s["number"] for s in result.scores if s["points"] < s["max_points"]}
    blank = [number for said, number in headlines.items() if said == f"Exercise {number} is not implemented yet."]
    others = sorted(said for said, number in headlines.items() if number not in blank)
    return [*([f"not implemented yet: {', '.join(blank)}"] if blank else []), *others]


def _earned(scores: list[dict], changed: Sequence[dict] = ()) -> str:
    """The points of exercises; what was not graded has none. changed: what people changed in them."""
    from autograder.display import number

    checks = [c for score in scores for c in score["checks"]]
    missing = sum(c["points"] is None for c in checks)
    points = number(sum(s["points"] for s in (*scores, *changed)))
    return "–" if missing == len(checks) and not changed else f"{points}+?" if missing else points


def _written(result) -> str:
    """The points of written answers; "?" for those that nobody has graded yet."""
    from autograder.display import number

    if not result.written:
        return "–"
    points = number(sum(w["points"] or 0.0 for w in result.written))
    return f"{points}+?" if any(w["points"] is None for w in result.written) else points


def _total(result) -> str:
    from autograder.display import number

    is_open = any("+?" in text for text in (_earned(result.scores, result.changed), _written(result)))
    return number(result.total) + ("+?" if is_open else "")


@app.command()
def demo(folder: Annotated[Path, typer.Option(help="Where to put everything.")] = Path("build/demo")):
    """The whole path on built-in data: hand out, a small class of submissions, grade, report."""
    from autograder.demo import prepare

    course, found = prepare(folder, "hw1", tell=lambda text: console.print(text, style="dim"))
    _grade(course, "hw1", found, folder)


@app.command()
def calibrate(
    assignment: AssignmentName,
    seeds: Annotated[int, typer.Option(min=0, help="How many seeds to train under; 0: as many as last time.")] = 0,
    exercise: Annotated[str, typer.Option(help="This exercise only, e.g. made.")] = "",
    recipes: Annotated[bool, typer.Option("--recipes", help="Only what the notebook's text states.")] = False,
):
    """Train the solutions under several seeds and write down how they end: reference.json, reference weights.

    needed: from so many seeds on, more of them make no threshold tighter.
    """
    from autograder.proof import calibrate as calibration

    if seeds == 1:
        raise typer.BadParameter("one seed has no spread; 2 at least, or 0 for as many as last time.")
    say = lambda text: console.print(text, style="dim", highlight=False)  # noqa: E731
    reference = calibration.calibrate(assignment, seeds, exercise, progress=say, recipes_only=recipes)
    calibrated = assignments.get(assignment).chosen(exercise)
    table = Table(
        Column("reference", no_wrap=True),
        "mean ± sd",
        "seeds",
        "needed",
        "stated recipe",
        "full up to",
        "baseline",
        "s",
        box=SIMPLE_HEAD,
        padding=(0, 1),
    )
    for key, r in reference.items():
        if not key.startswith("_") and assignments.get_exercise(key) in calibrated:
            recipe = "{mean:.4f} ± {sd:.4f}".format_map(r["recipe"]) if "recipe" in r else ""
            table.add_row(
                key,
                f"{r['mean']:.4f} ± {r['sd']:.4f}",
                str(len(r["runs"])),
                str(calibration.seeds_needed(r)),
                recipe,
                f"{calibration.full_up_to(r):.4f}",
                f"{r['baseline']:.4f}",
                f"{r['seconds']:.0f}",
            )
    console.print(table)


@app.command()
def validate(
    assignment: Annotated[str, typer.Argument(help="Which assignment, e.g. hw1; all of them if left out.")] = "",
    exercise: Annotated[str, typer.Option(help="This exercise only, e.g. made.")] = "",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Cases at once; 0: one a core.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Run again what has not changed, too.")] = False,
    training: Annotated[bool, typer.Option(help="Train what has to be trained for its verdict.")] = True,
    kind: Annotated[
        str, typer.Option(help="Only: solution, blank, mutant, variant, start (other initial weights) or handout.")
    ] = "",
):
    """Grade the grader: solutions earn everything, blanks nothing, every known slip is caught by its check.

    The handout is what the source makes, gives no line of a solution away, and works by itself. Only what changed since
    the last run is run again. Exit code: 0 all is as it must be, 1 it is not.
    """
    import os

    from autograder.proof import validate as validation

    if exercise:
        assignment = assignment or assignments.get_exercise(exercise).assignment.name
    every = (*validation.KINDS, "handout")
    if kind and kind not in every:
        raise typer.BadParameter(f"{kind}: there are {', '.join(every)}.")
    kinds = (kind,) if kind in validation.KINDS else validation.KINDS
    jobs = jobs or os.cpu_count() or 1
    chosen = [assignments.get(assignment).name] if assignment else assignments.names()
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
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from autograder.proof import matrix
    from autograder.proof import validate as validation

    begun, fresh = time.monotonic(), 0
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        total = sum(c.kind in kinds for c in validation.cases(assignment, exercise))
        task = bar.add_task(f"validating {assignment}", total=total)

        def done(verdict: validation.Verdict, is_fresh: bool) -> None:
            nonlocal fresh
            fresh += is_fresh
            bar.update(task, advance=1, description=f"{verdict.exercise} {verdict.name}")
            if verdict.problem:
                console.print(
                    f"[red]✗[/red] {verdict.exercise} · {verdict.name} ({verdict.kind}) {escape(verdict.problem)}",
                    highlight=False,
                )

        verdicts = validation.validate(assignment, exercise, jobs, force, done, kinds, training)
    weak = validation.weaknesses(assignment, verdicts) if kinds == validation.KINDS else []
    for name in dict.fromkeys(v.exercise for v in verdicts if kinds == validation.KINDS):
        console.print(matrix.table(name, verdicts))
    for kind, what in (
        ("solution", "earn everything"),
        ("blank", "earn nothing"),
        ("mutant", "are caught by the check meant for them"),
        ("variant", "earn everything"),
        ("start", "lose nothing by the weights they start from"),
    ):
        here = [v for v in verdicts if v.kind == kind]
        if here:
            held = sum(not v.problem for v in here)
            console.print(f"{kind:8} {held} of {len(here)} {what}", highlight=False)
    stale = [v for v in verdicts if v.key == validation.STALE]
    if stale:
        console.print(
            f"[yellow]{len(stale)} that need training have changed since they were judged:[/yellow] deepul "
            f"validate {assignment}",
            highlight=False,
        )
    for text in weak:
        console.print(f"[red]weak[/red] {text}", highlight=False)
    folder = assignments.ROOT / "build" / "validate"
    page = matrix.page(folder / f"{assignment}.html", assignment, verdicts, weak)
    seconds = time.monotonic() - begun
    console.print(
        f"{assignment}: {fresh} cases run in {seconds:.0f} s, {len(verdicts) - fresh} had not "
        f"changed. Page: {_relative(page)}",
        highlight=False,
    )
    return bool(weak) or any(v.problem for v in verdicts)


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
        said = f"the module {error.name} is missing: run make setup, which installs what the kit needs."
        console.print(f"[red]deepul:[/red] {escape(said)}", highlight=False)
        sys.exit(2)
    except (CourseError, SourceError, SandboxError, KitError, ValueError) as error:
        console.print(f"[red]deepul:[/red] {escape(str(error))}", highlight=False)
        sys.exit(2)
    except _of_disk() as error:
        console.print(f"[red]deepul:[/red] {escape(trouble(error))}. Then run the same command again.", highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
