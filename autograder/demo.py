"""A small class of submissions, made from the real solution and from real wrong answers."""

import shutil
from collections.abc import Callable
from pathlib import Path

from autograder import exercises, mutants
from autograder.grading import submissions
from autograder.grading.course import Course
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission

# What trains in seconds, for the submissions whose weights are missing, or do not fit what they wrote.
QUICK = ("logistic_mixture", "made")


def prepare(root: Path, homework: str, tell: Callable[[str], None]) -> tuple[Course, list[submissions.Submission]]:
    """A fresh course in `root` with its handout released and six submissions handed in."""
    shutil.rmtree(root, ignore_errors=True)
    course = Course.at(root)
    tell(f"Making the handout of {homework} from solutions/{homework}/{homework}.py …")
    handout = release(course, homework) / f"{homework}.ipynb"
    cells = solution_cells(homework)

    def mutant(name: str):
        return mutants.apply(mutants.by_name(homework, name), cells)

    def hand_in(student: str, *arguments, **options) -> None:
        write_submission(handout, root / "handed_in" / student, *arguments, **options)

    tell("Handing in six submissions: complete, half done, two with slips, blank, and one that does not compile …")
    whole = tuple(e.name for e in exercises.of_homework(homework))
    hand_in("complete", cells, whole, whole)
    hand_in("only_1_1", cells, QUICK[:1], QUICK[:1])
    # These two hand in no weights: what they wrong-headedly train is trained while grading.
    hand_in("wrong_mask", mutant("output-mask-not-strict"), QUICK, QUICK[:1])
    hand_in("edge_bins", mutant("edge-bins-are-inner-bins"), QUICK, QUICK[1:])
    hand_in("blank", cells, ())
    hand_in("syntax_error", cells, QUICK, QUICK, change=lambda s: s.replace("MADE(nn.Module):", "MADE(nn.Module)"))
    return course, submissions.find(root / "handed_in", homework)
