# Finds the course's kit: above this folder, installed, or, on Colab and Kaggle, in what you uploaded there.
import importlib.util
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

KIT = ""  # only if it is not found: the path of the homework's folder, or a git address
kit = next((p for p in [Path.cwd(), *Path.cwd().parents] if (p / "deepul_utils").is_dir()), None)

if kit is None and not importlib.util.find_spec("deepul_utils"):
    if "://" in KIT and not Path("kit").exists():
        subprocess.run(["git", "clone", "--quiet", "--depth=1", KIT, "kit"], check=True)
    places = [p for p in map(Path, [KIT] if KIT else ["/content", "/kaggle"]) if p.is_dir()] or [Path("kit")]
    for file in places[0].glob("*.zip"):
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            is_new = not Path(Path(names[0]).parts[0]).exists()  # nothing that you wrote is written over
            if is_new and any(name.endswith("deepul_utils/check.py") for name in names):
                archive.extractall()
    found = (p for depth in range(5) for place in places for p in place.glob("*/" * depth + "deepul_utils"))
    kit = next((p.resolve().parent for p in found), None)
    if kit is None:
        raise ModuleNotFoundError("The kit is not here. Open the notebook in its unzipped folder, or set KIT above.")
    needed = tomllib.loads((kit / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *needed], check=False)
if kit:
    sys.path.insert(0, str(kit))
