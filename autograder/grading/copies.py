"""Submissions that are alike: the same notebook, the same weights, or nearly the same code. To look at, no verdict.

Of each submission a trace is kept beside the gradebook, so that one that comes late is compared with all. What the
course handed out, and the weights of its own solution, are nobody's.
"""

import hashlib
import importlib.metadata
import io
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize
from scipy import sparse

from autograder import assignments
from autograder.course import Course
from autograder.files import write_atomically
from autograder.grading.normalise import Normalised

MOST_CODE = 100_000  # characters of a student's code that are compared; the solution of an assignment has 25,000
MOST_HEADER = 2**20  # bytes of the table of contents of a weights file
MOST_TENSORS = 5_000  # of one submission; what lies in files after these is compared as whole files
MOST_LISTED = 100  # things listed for one class
NGRAM, WINDOW = 25, 8  # characters of code without its names that count as a passage; one in so many is compared
LEAST_PASSAGES = 30  # of a student's own; two short answers to one question are alike by themselves
SIMILAR = 0.8  # of the passages of the shorter code
COMMON = 0.25  # a passage that so many of a class have is what one writes there
COMMON_LEAST = 10  # but in a small class, only what so many have
SAME_WEIGHTS = 0.5  # of the numbers of the smaller file


@dataclass(frozen=True)
class Trace:
    """What is compared of one submission.

    notebook: a hash of what the student wrote, "" if nothing. code: their code as copydetect filters it, names and
    comments gone. weights: {file: {hash of a tensor: how many numbers it has}}.
    """

    key: str
    notebook: str
    code: str
    weights: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Alike:
    """Submissions that share something. share: of the smaller one, between 0 and 1."""

    what: str  # "notebook", "weights" or "code"
    students: tuple[str, ...]
    detail: str
    share: float = 1.0

    def __str__(self) -> str:
        return f"{', '.join(self.students)}: {self.detail}"


def keep(course: Course, assignment: str, student: str, normal: Normalised, handout: dict) -> None:
    """Keep a submission's trace, unless it is there."""
    file = _folder(course, assignment) / f"{student}.json"
    key, known = _key(normal, handout), _read(file)
    if known is None or known.key != key:
        write_atomically(file, json.dumps(asdict(trace(key, normal, handout))))


def _key(normal: Normalised, handout: dict) -> str:
    """Changes with everything that a trace depends on."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + importlib.metadata.version("copydetect").encode())
    digest.update(json.dumps([normal.notebook["cells"], handout["cells"]], sort_keys=True).encode())
    for name, content in sorted(normal.files.items()):
        digest.update(f"\0{name}\0".encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()


def alike(course: Course, assignment: str, students: Iterable[str], handout: dict) -> list[Alike]:
    """What the submissions of these students share; the most telling first, at most MOST_LISTED."""
    folder = _folder(course, assignment)
    traces = {student: kept for student in students if (kept := _read(folder / f"{student}.json"))}
    notebooks = same_notebooks(traces)
    weights = same_weights(traces, _handed_out(course, assignment))
    code = similar_code(traces, "\n".join(_code(handout["cells"])))
    code = [a for a in code if not any(set(a.students) <= set(said.students) for said in notebooks)]
    return [*notebooks, *weights, *code][:MOST_LISTED]


def _folder(course: Course, assignment: str) -> Path:
    return course.root / ".deepul" / "traces" / assignment


def _read(file: Path) -> Trace | None:
    try:
        return Trace(**json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # a damaged one is made again
        return None


def trace(key: str, normal: Normalised, handout: dict) -> Trace:
    """What is compared of a submission."""
    ours = {_source(c) for c in handout["cells"]}
    own = [c for c in normal.notebook["cells"] if _source(c).strip() and _source(c) not in ours]
    text = json.dumps([[c["cell_type"], _source(c)] for c in own])
    notebook = hashlib.sha256(text.encode()).hexdigest() if own else ""
    handed_out = set(_code(handout["cells"]))
    code = "\n".join(cell for cell in _code(own) if cell not in handed_out)
    return Trace(key, notebook, code, _weights(normal.files))


def _weights(files: dict[str, bytes]) -> dict[str, dict[str, int]]:
    sizes: dict[str, dict[str, int]] = {}
    for name in sorted(n for n in files if n.endswith(".safetensors")):
        many = sum(map(len, sizes.values())) > MOST_TENSORS
        if own := _whole(files[name]) if many else tensors(files[name]):
            sizes[name] = own
    return sizes


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def _code(cells: list[dict]) -> list[str]:
    """The code cells as copydetect compares them: without comments and space, every name the same."""
    sources, rest = [], MOST_CODE
    for cell in cells:
        if cell["cell_type"] == "code" and rest > 0:
            sources.append(_source(cell)[:rest])
            rest -= len(sources[-1])
    return [_filtered(source) for source in sources if source.strip()]


@lru_cache(256)  # the handout's cells are asked for with every submission
def _filtered(code: str) -> str:
    from copydetect.utils import filter_code

    return filter_code(code, "notebook.py")[0]


def tensors(content: bytes) -> dict[str, int]:
    """{hash: how many numbers} of the tensors of a weights file that training or chance made.

    What holds no more than two values is a mask, or was never trained. A file that cannot be read counts as a whole.
    """
    header = int.from_bytes(content[:8], "little")
    try:
        listed = deserialize(content) if header <= MOST_HEADER else None
    except SafetensorError:
        listed = None
    if listed is None:
        return _whole(content)
    sizes: dict[str, int] = {}
    for _, tensor in listed:
        data, size = bytes(tensor["data"]), math.prod(tensor["shape"])
        if size and _is_telling(data, len(data) // size):
            sizes[hashlib.sha256(data).hexdigest()] = size
    return sizes


def _whole(content: bytes) -> dict[str, int]:
    return {hashlib.sha256(content).hexdigest(): len(content)} if content else {}


def _is_telling(data: bytes, width: int) -> bool:
    """Whether numbers of `width` bytes take more than two values."""
    kind = f"u{width}" if width in (1, 2, 4, 8) else "u1"
    return len(np.unique(np.frombuffer(data[: width * 2**16], dtype=kind))) > 2


def _handed_out(course: Course, assignment: str) -> set[str]:
    """Hashes of the tensors that the course itself has, in its handout or its solution."""
    folders = (assignments.get(assignment).solution, course.release / assignment)
    files = [f for folder in folders for f in sorted(folder.rglob("*.safetensors"))]
    return {digest for file in files for digest in tensors(file.read_bytes())}


def same_notebooks(traces: dict[str, Trace]) -> list[Alike]:
    """Groups whose own cells are the same, letter by letter."""
    groups = defaultdict(list)
    for student, kept in traces.items():
        if kept.notebook:
            groups[kept.notebook].append(student)
    return [
        Alike("notebook", tuple(group), "all that they wrote is the same, letter by letter")
        for group in groups.values()
        if len(group) > 1
    ]


def same_weights(traces: dict[str, Trace], handed_out: set[str]) -> list[Alike]:
    """Groups with the same numbers in a weights file, whatever it is called, and pairs that share many of them."""
    owners: dict[frozenset, dict[str, str]] = defaultdict(dict)  # {tensors: {student: file}}
    sizes: dict[str, int] = {}
    for student, kept in traces.items():
        for name, listed in kept.weights.items():
            own = {digest: size for digest, size in listed.items() if digest not in handed_out}
            sizes |= own
            if own:
                owners[frozenset(own)].setdefault(student, name)
    same = [
        Alike("weights", tuple(students), f"the weights {_names(students.values())} are the same, number by number")
        for students in owners.values()
        if len(students) > 1
    ]
    return same + _shared_tensors(owners, sizes)


def _names(files: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(files))


def _shared_tensors(owners: dict[frozenset, dict[str, str]], sizes: dict[str, int]) -> list[Alike]:
    """Files that are not the same, but have the same tensors for a good part."""
    holders = defaultdict(list)
    for listed in owners:
        for digest in listed:
            holders[digest].append(listed)
    pairs = {
        pair
        for group in holders.values()
        if 1 < len(group) <= COMMON_LEAST  # what more have is what the code makes
        for pair in itertools.combinations(group, 2)
    }
    alike = []
    for one, other in pairs:
        shared = sum(sizes[d] for d in one & other)
        share = shared / min(sum(sizes[d] for d in one), sum(sizes[d] for d in other))
        students = {**owners[other], **owners[one]}
        if share >= SAME_WEIGHTS and len(students) > 1:
            files = _names((*owners[one].values(), *owners[other].values()))
            detail = f"{share:.0%} of the numbers in the weights {files} are the same"
            alike.append(Alike("weights", tuple(sorted(students)), detail, share))
    return sorted(alike, key=lambda a: (-a.share, a.students))


def similar_code(traces: dict[str, Trace], handout: str) -> list[Alike]:
    """Students with the same code, and with nearly the same one: both after names and comments are taken out.

    Nearly: they share passages, those that winnowing chooses (Schleimer et al., 2003).
    """
    handed_out, groups = _passages(handout), defaultdict(list)
    for student, kept in traces.items():
        groups[kept.code].append(student)
    own = {code: passages for code in groups if len(passages := _passages(code) - handed_out) >= LEAST_PASSAGES}
    same = [
        Alike("code", tuple(groups[code]), "the code is the same, names and comments aside")
        for code in own
        if len(groups[code]) > 1
    ]
    codes = list(own)
    pairs = [(codes[i], codes[j], share) for i, j, share in _overlaps([own[code] for code in codes], len(traces))]
    return same + [
        Alike(
            "code",
            (*groups[one], *groups[other]),
            f"{share:.0%} of the shorter one's code is alike, names and comments aside",
            share,
        )
        for one, other, share in sorted(pairs, key=lambda p: (-p[2], groups[p[0]], groups[p[1]]))
    ]


def _overlaps(sets: list[set[int]], students: int) -> list[tuple[int, int, float]]:
    """(i, j, share of the smaller one) of sets that share enough, by one product of sparse matrices: who has what."""
    if len(sets) < 2:
        return []
    numbers = {p: k for k, p in enumerate(sorted(set().union(*sets)))}
    columns = [numbers[p] for one in sets for p in one]
    rows = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    has = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(sets), len(numbers)))
    has = has[:, np.flatnonzero(has.sum(axis=0) <= max(COMMON_LEAST, COMMON * students))]
    lengths = has.sum(axis=1)
    shared = sparse.triu(has @ has.T, k=1).tocoo()
    least = np.minimum(lengths[shared.coords[0]], lengths[shared.coords[1]])
    enough = (least >= LEAST_PASSAGES) & (shared.data >= SIMILAR * least)
    return [
        (int(i), int(j), float(share))
        for i, j, share in zip(*(c[enough] for c in shared.coords), shared.data[enough] / least[enough], strict=True)
    ]


def _passages(filtered: str) -> set[int]:
    """The fingerprints of code that is filtered already."""
    from copydetect import CodeFingerprint

    if len(filtered) < NGRAM + WINDOW:
        return set()
    return {int(h) for h in CodeFingerprint("", NGRAM, WINDOW, filter=False, fp=io.StringIO(filtered)).hashes}
