"""Finding submissions in whatever folder a TA has, and laying them out as nbgrader wants them."""

import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autograder import notebooks
from autograder.grading.course import Course, CourseError

MOST_BYTES = 200 * 2**20  # of one unpacked submission; a homework with its weights has a few


@dataclass(frozen=True)
class Submission:
    student: str
    path: Path  # a folder, a zip file or a notebook


def find(folder: Path, homework: str) -> list[Submission]:
    """The submissions in `folder`, by student: folders, zip files and notebooks lying in it.

    nbgrader's own layout (student/hw1/hw1.ipynb) works too. Raises CourseError if there is none, or if two
    belong to one student.
    """
    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}. Give the folder that holds the students' submissions.")
    found: dict[str, Submission] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.suffix in (".zip", ".ipynb")):
            continue
        student = student_id(path, homework)
        if student in found:
            raise CourseError(f"{path.name} and {found[student].path.name} both belong to {student}: keep one of them.")
        nested = path / homework
        found[student] = Submission(student, nested if nested.is_dir() else path)
    if not found:
        raise CourseError(f"{folder} holds no submissions: no folders, no .zip and no .ipynb files.")
    return list(found.values())


def student_id(path: Path, homework: str) -> str:
    """ "ada" for ada/, ada.zip, hw1-ada.zip and hw1_ada.ipynb."""
    name = path.stem if path.is_file() else path.name
    return re.sub(rf"^{re.escape(homework)}[-_ ]", "", name)


def lay_out(submission: Submission, homework: str, course: Course) -> None:
    """Copy one submission to submitted/<student>/<homework>. Raises CourseError saying what is wrong with it."""
    target = course.root / "submitted" / submission.student / homework
    if submission.path.resolve() == target.resolve():
        return
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if submission.path.is_dir():
        shutil.copytree(submission.path, target, dirs_exist_ok=True, symlinks=True)
    elif submission.path.suffix == ".zip":
        _unpack(submission.path, target)
    else:
        shutil.copyfile(submission.path, target / f"{homework}.ipynb")
    _drop_links(target)
    _find_notebook(target, homework)
    try:
        notebooks.read(target / f"{homework}.ipynb")
    except ValueError as error:
        raise CourseError(f"{error} Ask the student to send it again.") from None


def _unpack(archive: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not m.is_dir()]
            if sum(m.file_size for m in members) > MOST_BYTES:
                raise CourseError(f"{archive.name} unpacks to more than {MOST_BYTES // 2**20} MB.")
            for member in members:
                parts = PurePosixPath(member.filename.replace("\\", "/")).parts
                if ".." in parts or PurePosixPath(member.filename).is_absolute():
                    raise CourseError(f"{archive.name} holds a file outside its own folder: {member.filename!r}.")
                opened.extract(member, target)
    except zipfile.BadZipFile:
        raise CourseError(f"{archive.name} is no readable zip file; ask the student to send it again.") from None


def _drop_links(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_symlink():
            path.unlink()


def _find_notebook(target: Path, homework: str) -> None:
    """Bring the notebook to <target>/<homework>.ipynb, with what lies beside it, from wherever it was."""
    wanted = target / f"{homework}.ipynb"
    if wanted.exists():
        return
    found = [p for p in sorted(target.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
    chosen = ([p for p in found if p.name == wanted.name] or found)[:1]
    if not chosen:
        raise CourseError(f"there is no notebook in it (looked for {homework}.ipynb).")
    if chosen[0].parent != target:
        shutil.copytree(chosen[0].parent, target, dirs_exist_ok=True)
    if not wanted.exists():
        (target / chosen[0].name).rename(wanted)
