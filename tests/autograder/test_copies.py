"""Submissions that are alike are found, in bounded time; what the course handed out and what all write is not."""

import json
import random
import time

import numpy as np
import pytest
from safetensors.numpy import save

from autograder.assignments import ROOT
from autograder.course import Course
from autograder.grading import batch, copies, report
from autograder.grading.copies import Alike, Trace
from autograder.grading.normalise import normalise
from autograder.handout.submit import solution_cells

HANDOUT = json.loads((ROOT / "homeworks" / "hw1" / "hw1.ipynb").read_text(encoding="utf-8"))


def solved(change=lambda source: source) -> list[dict]:
    """The cells of the solution, each changed."""
    return [{"cell_type": c.kind, "metadata": {}, "source": change(c.source)} for c in solution_cells("hw1")]


def normal(cells: list[dict], **files: bytes):
    notebook = {"hw1.ipynb": json.dumps({"cells": cells}).encode()}
    return normalise(notebook | {f"artifacts/{n}.safetensors": c for n, c in files.items()}, "hw1", HANDOUT)


def weights(seed: int, metadata: dict | None = None, **more: np.ndarray) -> bytes:
    """A weights file of two layers, with a mask that everybody has."""
    rng = np.random.default_rng(seed)
    layers = {f"layer.{k}": rng.standard_normal((8, 8)).astype(np.float32) for k in range(2)}
    return save(layers | {"mask": np.tril(np.ones((40, 40), np.float32))} | more, metadata)


def found(traces: dict, handed_out: set[str] = frozenset()) -> list[tuple]:
    weights = copies.same_weights(traces, set(handed_out))
    code = copies.similar_code(traces, "\n".join(copies._code(HANDOUT["cells"])))
    return [(a.what, tuple(sorted(a.students))) for a in (*copies.same_notebooks(traces), *weights, *code)]


def traces(**submissions) -> dict[str, Trace]:
    return {student: copies.trace("", one, HANDOUT) for student, one in submissions.items()}


def renamed(source: str) -> str:
    """Another's code with other names and words."""
    for old, new in (("logits", "scores"), ("hidden", "inner"), ("loc", "centre"), ("mask", "allowed")):
        source = source.replace(old, new)
    return "\n".join(line if line.startswith("#") else f"{line}  # mine" for line in source.splitlines())


def test_the_same_notebook_the_same_code_and_nearly_the_same_code_are_told_apart():
    mostly = [c for k, c in enumerate(solved()) if k % 12]
    seen = found(traces(ada=normal(solved()), ben=normal(solved()), cleo=normal(solved(renamed)), dan=normal(mostly)))
    assert seen == [
        ("notebook", ("ada", "ben")),
        ("code", ("ada", "ben", "cleo")),
        ("code", ("ada", "ben", "cleo", "dan")),
    ]


def test_who_wrote_nothing_is_like_nobody():
    blank = normal(HANDOUT["cells"])
    assert copies.trace("", blank, HANDOUT).notebook == ""
    assert found(traces(ada=blank, ben=normal(HANDOUT["cells"]))) == []
    short = [*HANDOUT["cells"], {"cell_type": "code", "metadata": {}, "source": "x = 1"}]
    assert found(traces(ada=normal(short), ben=normal([*short, short[-1]]))) == [], "two short answers are alike"


def test_two_who_wrote_for_themselves_are_not_listed():
    """Unusual right answers share the tasks with the usual ones, and many of the words."""
    from autograder.proof import changes

    cells, changed = solution_cells("hw1"), set()
    for v in changes.variants("hw1"):
        if v.exercise not in changed and v.name != "stated-recipe":
            cells, changed = changes.apply(v, cells), changed | {v.exercise}
    assert len(changed) == 5
    other = [{"cell_type": c.kind, "metadata": {}, "source": c.source} for c in cells]
    seen = traces(ada=normal(solved()), ben=normal(other))
    assert found(seen) == []
    passages = [copies._passages(one.code) for one in seen.values()]
    assert len(passages[0] & passages[1]) > 0.3 * len(passages[0]), "they are far from having nothing in common"


def test_copied_weights_are_found_whatever_they_are_called_and_whatever_is_written_beside_them():
    mine = weights(1, {"steps": "100"})
    seen = traces(
        ada=normal(solved(), made=mine),
        ben=normal(solved(renamed), other=weights(1, {"steps": "7", "who": "ben"})),
        cleo=normal(solved(), made=weights(2)),
        dan=normal(solved(), made=weights(3)),
    )
    assert copies.same_weights(seen, set()) == [
        Alike(
            "weights",
            ("ada", "ben"),
            "the weights artifacts/made.safetensors and artifacts/other.safetensors are the same, number by number",
        ),
    ]
    one_more = weights(1, head=np.random.default_rng(4).standard_normal((4, 4)).astype(np.float32))
    (pair,) = copies.same_weights(traces(ada=normal([], made=mine), ben=normal([], made=one_more)), set())
    assert pair.students == ("ada", "ben")
    assert pair.share == 1.0
    changed = save(
        {
            "layer.0": np.random.default_rng(1).standard_normal((8, 8)).astype(np.float32),
            "layer.1": np.random.default_rng(9).standard_normal((9, 9)).astype(np.float32),
        }
    )
    (pair,) = copies.same_weights(traces(ada=normal([], made=mine), ben=normal([], made=changed)), set())
    assert pair.detail.startswith("50% of the numbers")


def test_what_the_course_has_itself_is_nobodys():
    reference = (ROOT / "solutions" / "hw1" / "artifacts" / "made.moons.safetensors").read_bytes()
    seen = traces(ada=normal([], made=reference), ben=normal([], made=reference))
    assert len(copies.same_weights(seen, set())) == 1
    assert copies.same_weights(seen, copies._handed_out(Course.kit(), "hw1")) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"\xff" * 100,
        (2**40).to_bytes(8, "little"),
        b"\2\0\0\0\0\0\0\0{}",
        (2**21).to_bytes(8, "little") + b" " * 2**21,
    ],
)
def test_any_file_is_compared(content):
    assert isinstance(copies.tensors(content), dict)
    seen = traces(ada=normal([], made=content), ben=normal([], made=content))
    assert len(copies.same_weights(seen, set())) == bool(copies.tensors(content))


def test_a_file_of_very_many_tensors_keeps_its_trace_small():
    many = save({f"{k}": np.arange(3, dtype=np.float32) + k for k in range(9_000)})
    one = copies.trace("", normal([], a=many, b=many, c=many), HANDOUT)
    assert [len(listed) for listed in one.weights.values()] == [9_000, 1, 1]


@pytest.mark.parametrize("piece", ["(", "x = [", "lambda ", "'''", 'f"{', "\\", "a.b ", "# ", "é", "\x00", "\n "])
def test_a_huge_cell_costs_bounded_time(piece):
    cells = [{"cell_type": "code", "metadata": {}, "source": (piece * 2**18)[: 2**18 - k]} for k in range(1, 8)]
    one = normal(cells)
    began = time.process_time()
    kept = copies.trace("", one, HANDOUT)
    copies.similar_code({"ada": kept, "ben": Trace("", "", kept.code[:-9])}, "")
    assert time.process_time() - began < 4
    assert len(kept.code) <= copies.MOST_CODE


def test_a_class_of_two_hundred_is_compared_in_seconds():
    rng = random.Random(0)
    text = "\n".join(copies._code(solved()))

    def own(share: float) -> str:
        return "".join(rng.choice("VFS()=+.,[]") if rng.random() < share else c for c in text)

    kept = {f"s{k}": Trace("", "", own(0.03)) for k in range(200)} | {"copy": Trace("", "", "")}
    kept["copy"] = Trace("", "", kept["s7"].code[:5000])
    began = time.process_time()
    (pair,) = copies.similar_code(kept, "")
    assert time.process_time() - began < 10
    assert set(pair.students) == {"copy", "s7"}
    all_the_same = {f"s{k}": Trace("", "", text) for k in range(200)}
    (group,) = copies.similar_code(all_the_same, "")
    assert len(group.students) == 200


def test_one_that_comes_late_is_compared_with_those_that_came_before(tmp_path):
    course = Course.at(tmp_path)
    copies.keep(course, "hw1", "ada", normal(solved(), made=weights(1)), HANDOUT)
    copies.keep(course, "hw1", "ben", normal(solved(renamed), made=weights(1)), HANDOUT)
    seen = copies.alike(course, "hw1", ["ada", "ben"], HANDOUT)
    assert [(a.what, a.students) for a in seen] == [("weights", ("ada", "ben")), ("code", ("ada", "ben"))]
    copies.keep(course, "hw1", "ben", normal(solved(lambda s: s[: len(s) // 9])), HANDOUT)  # sent again
    assert copies.alike(course, "hw1", ["ada", "ben"], HANDOUT) == []
    (tmp_path / ".deepul" / "traces" / "hw1" / "ada.json").write_text("{")
    assert copies.alike(course, "hw1", ["ada", "ben", "nobody"], HANDOUT) == []


def test_the_report_lists_them_with_names_escaped_and_no_points_change(tmp_path):
    names = ("=<b>eve", "O'B", "é %")
    results = [batch.Graded(n, [batch.blank("made", "1.2", "MADE", 20, "passed", 20.0, "fine")]) for n in names]
    alike = [Alike("weights", names[:2], "the weights <x> are the same"), Alike("code", names, "90% is alike", 0.9)]
    written = report.Report(Course.at(tmp_path), "hw1", tmp_path, names)
    written.finish(results, alike)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    own = [(tmp_path / "report" / report.address(name)).read_text(encoding="utf-8") for name in names]
    for text in (page, *own):
        assert "<x>" not in text
        assert "<b>eve" not in text
        assert text.count("90% is alike") == 1
    assert "no verdict" in page
    assert [text.count("the weights &lt;x&gt; are the same") for text in own] == [1, 1, 0]
    assert all(f'href="{report.address(name)}"' in page for name in names)
    lines = (tmp_path / "alike.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "group,what,share,student,detail"
    assert lines[1] == "1,weights,1.0,'=<b>eve,the weights <x> are the same"
    assert len(lines) == 6
    assert all(r.points == 20 for r in results)
    assert 'id="alike"' not in report.write(tmp_path / "none", "hw1", results).read_text(encoding="utf-8")
