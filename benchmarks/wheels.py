"""Is there a wheel of every pin, and in every range of a student's packages, for every Python that the kit promises?

On Linux, macOS and Windows. tests/test_requirements.py proves from metadata that the pins fit together under every
Python. What metadata does not say is whether a package that holds compiled code was also built for it; this asks the
package index. Nothing is downloaded but lists of versions. Run it after a change of requirements:
`python benchmarks/wheels.py` (three minutes).
"""

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from itertools import product
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11.0", "3.12", "3.13", "3.14")
PLATFORMS = {
    "Linux": ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "macOS": ("macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"),
    "Windows": ("win_amd64",),
}


def pins() -> dict[str, str]:
    """{package: version} of both requirement files and of pyproject.toml."""
    text = "".join((ROOT / file).read_text(encoding="utf-8") for file in ("requirements.txt", "constraints.txt"))
    extras = re.findall(r'"([\w.-]+)==([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict([*re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE), *extras])


def ranges() -> dict[str, str]:
    """{package: its versions} of what students install."""
    text = (ROOT / "requirements-student.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)(>=\S+)", text, re.MULTILINE))


def compiled(name: str) -> bool:
    """Whether the installed wheel was built for some Python or platform."""
    return not re.search(r"^Tag: (py2\.)?py3-none-any$", distribution(name).read_text("WHEEL"), re.MULTILINE)


def offered(name: str, python: str, platform: str) -> list[str]:
    """The versions that the index has a wheel of, for that Python and platform."""
    where = ["--only-binary=:all:", f"--python-version={python}", *(f"--platform={tag}" for tag in PLATFORMS[platform])]
    command = [sys.executable, "-m", "pip", "index", "versions", name, *where]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode and "No matching distribution" not in result.stderr:
        raise RuntimeError(f"The package index does not answer: {result.stderr.strip()[-300:]}")
    # The lines that follow say what is installed here, which is no answer.
    available = re.search(r"^Available versions: (.*)$", result.stdout, re.MULTILINE)
    return available[1].split(", ") if available else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="one package and Python only: to see that it runs")
    small = parser.parse_args().small
    wanted = {name: [f"=={version}"] for name, version in pins().items() if compiled(name)}
    for name in wanted.keys() & ranges().keys():
        wanted[name].append(ranges()[name])
    asked = [("numpy", "3.12", "Linux")] if small else list(product(wanted, PYTHONS, PLATFORMS))
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(asked, pool.map(lambda job: offered(*job), asked), strict=True))
    jobs = [(job, versions) for job in asked for versions in wanted[job[0]]]
    missing = [(job, versions) for job, versions in jobs if not any(SpecifierSet(versions).filter(found[job]))]
    for (name, python, platform), versions in missing:
        print(f"no wheel of {name}{versions} for Python {python} on {platform}")
    packages = len({name for name, *_ in asked})
    print(f"{len(jobs) - len(missing)} of {len(jobs)} wheels are there: {packages} compiled packages.")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
