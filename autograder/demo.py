"""A small class of submissions, made from the real solution and from real wrong answers."""

import base64
import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from autograder import assignments
from autograder.course import Course
from autograder.grading import downloads, submissions
from autograder.handout.build import release, width_of
from autograder.handout.source import FIGURE
from autograder.handout.submit import solution_cells, write_submission
from autograder.notebooks import HEADING
from autograder.proof import changes

# What trains in seconds, for the submissions whose weights are missing, or do not fit what they wrote.
QUICK = ("logistic_mixture", "made")


def prepare(root: Path, assignment: str, tell: Callable[[str], None]) -> tuple[Course, list[submissions.Submission]]:
    """A fresh course in `root` with its handout released and six submissions handed in."""
    shutil.rmtree(root, ignore_errors=True)
    course = Course.at(root)
    tell(f"Making the handout of {assignment} from solutions/{assignment}/{assignment}.py …")
    handout = release(course, assignment) / f"{assignment}.ipynb"
    cells = solution_cells(assignment)

    def mutant(name: str):
        return changes.apply(changes.mutant(assignment, name), cells)

    def hand_in(student: str, cells, solved, artifacts=(), shown=(), **options) -> None:
        folder = root / "handed_in" / student
        write_submission(handout, folder, cells, solved, artifacts, **options)
        show_figures(folder / handout.name, handout.parent / "figures", shown)

    tell("Handing in six submissions: complete, half done, two with slips, blank, and one that does not compile …")
    whole = tuple(e.name for e in assignments.get(assignment).exercises)
    hand_in("complete", cells, whole, whole, shown=whole)
    hand_in("only_1_1", cells, QUICK[:1], QUICK[:1], shown=QUICK[:1])
    # These two hand in no weights: what they wrong-headedly train is trained while grading.
    hand_in("wrong_mask", mutant("output-mask-not-strict"), QUICK, QUICK[:1], shown=QUICK[:1])
    hand_in("edge_bins", mutant("edge-bins-are-inner-bins"), QUICK, QUICK[1:], shown=QUICK[1:])
    hand_in("blank", cells, ())
    hand_in("syntax_error", cells, QUICK, QUICK, change=lambda s: s.replace("MADE(nn.Module):", "MADE(nn.Module)"))
    return course, downloads.find(root / "handed_in", assignment).chosen()


def show_figures(notebook: Path, figures: Path, shown: Collection[str]) -> None:
    """Put the expected figures of these exercises into a notebook, as outputs of the cells that end in them."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    numbers = {assignments.get_exercise(name).number for name in shown}
    here, last = False, {}
    for cell in content["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            last = cell
            continue
        if heading := HEADING.search(source):
            here = heading[1] in numbers
        for name in FIGURE.findall(source) if here else ():
            png = base64.b64encode((figures / name).read_bytes()).decode()
            shown = {"image/png": {"width": width_of(figures / name)}}
            last["outputs"] = [{"output_type": "display_data", "data": {"image/png": png}, "metadata": shown}]
    notebook.write_text(json.dumps(content, indent=1), encoding="utf-8")
