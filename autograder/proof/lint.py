"""What is missing in an assignment, in words: before it is released, calibrated or validated.

Nothing is run: this reads the source, the tests, the references, the known wrong and right answers, and the weights.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from autograder import assignments, notebooks, runner
from autograder.assignments import Assignment, Exercise
from autograder.display import counted
from autograder.handout import build, source
from autograder.notebooks import Cell
from autograder.proof import changes, cheats

FEWEST_SEEDS, FEWEST_VARIANTS = 3, 2
CATALOGUES: dict[str, Callable[[str], Sequence]] = {
    "mutants": changes.mutants,
    "variants": changes.variants,
    "cheats": cheats.of_assignment,
}


def problems(assignment: str) -> list[str]:
    """What is not in order: a sentence each, of what stands first, first."""
    here = assignments.get(assignment)
    issues = build.problems(here) or unreadable(here)
    if issues:  # the rest asks for what these are to name
        return issues
    cells = notebooks.read(here.source)
    of_exercises = [p for e in here.exercises for p in _of(e, notebooks.section(cells, e.number))]
    of_exercises += _is_still_to_write(here, cells)
    return of_exercises + _changes_match(here, cells) + list(_are_judged(here)) + _figures_exist(here, cells)


def _is_still_to_write(assignment: Assignment, cells: list[Cell]) -> Iterator[str]:
    """What students write in the handout that there is, and the source gives to them."""
    handout = assignment.handout / f"{assignment}.ipynb"
    before = source.stubs(notebooks.read(handout)) if handout.exists() else set()
    for name in sorted(before - source.to_write(cells)):
        if build.defines(cells, name):
            yield f"{name} is to be written in the handout, and has no ### BEGIN SOLUTION in the source."


def unreadable(assignment: Assignment) -> list[str]:
    """Of the catalogues of wrong and right answers: what is wrong with those that cannot be read."""
    issues = []
    for what, read in CATALOGUES.items():
        try:
            read(assignment.name)
        except Exception as error:  # whatever an instructor wrote there
            file = f"solutions/{assignment}/{what}.py"
            issues.append(f"{file} cannot be read: {type(error).__name__}: {error}")
    return issues


def _are_judged(assignment: Assignment) -> Iterator[str]:
    """Whether each wrong or right answer is of an exercise that there is, and has a name of its own there."""
    for what, read in CATALOGUES.items():
        every = [(change.exercise, change.name) for change in read(assignment.name)]
        for (exercise, name), times in Counter(every).items():
            try:
                is_ours = assignments.get_exercise(exercise).assignment.name == assignment.name
            except ValueError:
                is_ours = False
            if not is_ours:
                yield f"{what}.py: {name} is of {exercise!r}, no exercise of {assignment}, and is never judged."
            if times > 1:
                yield f"{what}.py: {times} of {exercise!r} are called {name}, and one only is judged."
    for cheat in cheats.of_assignment(assignment.name):
        if cheat.kind not in cheats.KINDS:
            yield f"cheats.py: {cheat.kind!r} is no kind of cheat; there are {', '.join(cheats.KINDS)}."


def _of(exercise: Exercise, cells: list[Cell]) -> Iterator[str]:
    yield from _proved(exercise)
    yield from _calibrated(exercise, notebooks.trained(cells))


def _proved(exercise: Exercise) -> Iterator[str]:
    """Whether there is a mutant for each check, a check for each mutant, and a right answer of another design."""
    assignment = exercise.assignment.name
    tests = {t.__name__.removeprefix("test_"): t for t in build.tests_of(exercise)}
    mutants = [m for m in changes.mutants(assignment) if m.exercise == exercise.name]
    for name, test in tests.items():
        if all(m.caught_by != name for m in mutants):
            yield f"{exercise}: no mutant is meant for the check “{test.title}” ({name})."
    for mutant in mutants:
        for name in {mutant.caught_by, *mutant.also} - tests.keys():
            yield f"{exercise}: the mutant {mutant.name} names a check {name}, and there is none."
    variants = [v for v in changes.variants(assignment) if v.exercise == exercise.name]
    if len(variants) < FEWEST_VARIANTS:
        few = counted(len(variants), "variant")
        yield f"{exercise} has {few}, right answers of another design; {FEWEST_VARIANTS} at least."


def _calibrated(exercise: Exercise, trained: list[str]) -> Iterator[str]:
    """Whether what the exercise trains has reference weights, and losses of enough seeds."""
    assignment = exercise.assignment
    for name in trained:
        if not (assignment.artifacts / f"{name}.safetensors").exists():
            yield f"{exercise}: there are no reference weights for {name}: deepul calibrate {assignment}."
    references = {k: r for k, r in runner.references(assignment.name).items() if k.split(".")[0] == exercise.name}
    if trained and not references:
        yield f"{exercise} has no reference losses: deepul calibrate {assignment}."
    for key, reference in references.items():
        if isinstance(reference, dict) and "runs" in reference and len(reference["runs"]) < FEWEST_SEEDS:
            few = counted(len(reference["runs"]), "seed")
            yield f"{exercise}: {key} was trained under {few}; {FEWEST_SEEDS} at least."


def _changes_match(assignment: Assignment, cells: list[Cell]) -> list[str]:
    """Of mutants and variants: whether each edit is found once in the source."""
    issues = []
    every: list[changes.Mutant | changes.Variant]
    every = [*changes.mutants(assignment.name), *changes.variants(assignment.name)]
    for change in every:
        try:
            changes.apply(change, cells)
        except ValueError as error:
            issues.append(str(error))
    return issues


def _figures_exist(assignment: Assignment, cells: list[Cell]) -> list[str]:
    """Whether each figure that the text shows was made; of exercises that a course leaves out, none is."""
    handout = assignment.handout / f"{assignment}.ipynb"
    texts = [c for c in cells if c.kind == "markdown"]
    if handout.exists():
        given = {heading[1] for c in notebooks.read(handout) if (heading := notebooks.HEADING.search(c.source))}
        left_out = {e.number for e in assignment.exercises} - given
        own = [notebooks.section(texts, number) for number in left_out]
        before = notebooks.section(texts, "")
        texts = [c for c in texts if c in before or not any(c in section for section in own)]
    shown = {f for c in texts for f in source.FIGURE.findall(c.source)}
    there = {f.name for f in (assignment.handout / "figures").glob("*.png")}
    return [f"The figure {name} was not made yet: deepul release {assignment}." for name in sorted(shown - there)]
