"""Where a notebook stands: what it makes lies beside it, wherever its platform starts the process.

JupyterLab, `jupyter execute` and nbconvert start a kernel in the notebook's folder; VS Code may start it in the folder
of the workspace, and says in `__vsc_ipynb_file__` where the notebook is; Colab starts in /content and Kaggle in
/kaggle/working, and the notebook itself is in neither. os.chdir in a cell changes nothing of it.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSIGNMENTS = ROOT / "autograder" / "assignments"
HANDOUTS = ROOT / "homeworks"
_start = Path.cwd()  # of a process that is no notebook


def artifacts() -> Path:
    """The folder of this notebook's artifacts; the environment variable DEEPUL_ARTIFACTS names another."""
    return notebook_folder() / os.environ.get("DEEPUL_ARTIFACTS", "artifacts")


def notebook_folder() -> Path:
    """The folder of the notebook that runs in this process; where it is no notebook, the folder it started in."""
    shell = _shell()
    if shell is None:
        return _start
    start = Path(getattr(shell, "starting_dir", _start))
    of_vscode = Path(str(shell.user_ns.get("__vsc_ipynb_file__", "")))
    of_jupyter = Path(os.environ.get("JPY_SESSION_NAME", ""))  # an absolute path, set by Jupyter's server
    if of_vscode.is_absolute() and of_vscode.exists():
        return of_vscode.parent
    if any((start / f"{name}.ipynb").exists() for name in _assignments()):
        return start
    if of_jupyter.is_absolute() and of_jupyter.exists():
        return of_jupyter.parent
    handouts = [file.parent for file in HANDOUTS.glob("*/*.ipynb") if file.stem == file.parent.name]
    only_one = len(handouts) == 1 and os.access(handouts[0], os.W_OK)  # Kaggle's input folder may only be read
    return handouts[0] if only_one and not any(start.glob("*.ipynb")) else start


def notebook() -> Path | None:
    """The saved file of the notebook that runs in this process; None where it is not to be found, as on Colab."""
    shell = _shell()
    said = [str(shell.user_ns.get("__vsc_ipynb_file__", ""))] if shell else []
    for path in map(Path, [*said, os.environ.get("JPY_SESSION_NAME", "")]):
        if path.is_absolute() and path.suffix == ".ipynb" and path.is_file():
            return path
    folder = notebook_folder()
    named = [folder / f"{name}.ipynb" for name in _assignments() if (folder / f"{name}.ipynb").is_file()]
    found = named or sorted(folder.glob("*.ipynb"))
    return found[0] if len(found) == 1 else None


def shown(file: Path) -> str:
    """A file of the artifacts in a message: its full path, for whoever looks for it; in a grade, where it was found."""
    from deepul_utils import training

    return f"artifacts/{file.name}" if training.session.grading else str(file)


def _shell():
    """The shell of a notebook's kernel; None in a terminal, and in a process that is no notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell if hasattr(shell, "kernel") else None


def _assignments() -> list[str]:
    return [file.parent.name for file in ASSIGNMENTS.glob("*/assignment.toml")]
