"""What a class looks like in numbers, and what its pages hold, whatever students are called and wrote."""

import base64
import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from autograder import assignments
from autograder.course import Course
from autograder.grading import batch, listings, overview, report, thumbnails
from autograder.properties import loss
from tests.autograder import classes


class Links(HTMLParser):
    """What a page links and shows: addresses without their fragment."""

    def __init__(self, file: Path):
        super().__init__()
        self.found: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.found += [v.split("#")[0] for k, v in attrs if k in ("href", "src") and v and v.split("#")[0]]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """The report of twelve, nine of whom have names from all over."""
    root = tmp_path_factory.mktemp("course")
    results = classes.made(12)
    made = report.Report(Course.at(root), "hw1", root / "reports" / "hw1", [r.student for r in results])
    made.finish(results, [])
    assert made.problem == ""
    return root / "reports" / "hw1"


def test_every_link_and_picture_of_every_page_is_there_whatever_the_name(written):
    pages = list((written / "report").rglob("*.html"))
    assert len(pages) == 13
    for page in pages:
        for link in Links(page).found:
            outside = "autograded/" in link or "feedback/" in link or "submitted/" in link
            assert outside or (page.parent / unquote(link)).is_file(), (page.name, link)
    assert all(re.fullmatch(r"[\w.-]+", p.name, re.ASCII) for p in (written / "report").rglob("*")), "on any disk"
    assert len({classes.student(k) for k in range(9)} & {re.search(r"<h1>(.*)</h1>", p.read_text())[1] for p in pages})


def test_two_names_that_differ_have_two_pages():
    names = ["ada", "Ada", "ADA", "a-da", "a da", "a/da", "日本", "中国", "", "ada\u0301", "x" * 300, "x" * 299]
    addresses = [report.address(name).casefold() for name in names]
    assert len(set(addresses)) == len(names)
    assert max(map(len, addresses)) < 100


def test_totals_are_in_one_table_and_checks_in_the_other(written):
    with (written / "grades.csv").open(encoding="utf-8", newline="") as stream:
        totals = {row["student"]: row for row in csv.DictReader(stream)}
    with (written / "checks.csv").open(encoding="utf-8", newline="") as stream:
        checks = list(csv.DictReader(stream))
    assert totals.keys() == {r["student"] for r in checks}
    for student, row in totals.items():
        if student != "student-unread":
            points = [float(r["points"]) for r in checks if r["student"] == student]
            assert float(row["total"]) == pytest.approx(sum(points))
            assert float(row["total"]) == pytest.approx(
                sum(float(row[e.name]) for e in assignments.get("hw1").exercises)
            )
            assert row["max_points"] == "100.0"
    assert (totals["student-unread"]["total"], totals["student-unread"]["state"]) == ("", "not graded")


def test_totals_have_what_people_gave_and_what_is_open():
    graded = classes.made(1)[0]
    graded.changed = [{"id": "check-made", "exercise": "made", "points": -2.5, "said": "by hand"}]
    graded.written = [dict(points=1.5, max_points=2), dict(points=None, max_points=2)]
    graded.penalty = 3.0
    row = batch.totals(graded)
    checks = sum(s["points"] for s in graded.scores) - 2.5
    assert row["checks"] == pytest.approx(checks)
    assert row["total"] == pytest.approx(checks + 1.5 - 3)
    assert row["made"] == pytest.approx(next(s["points"] for s in graded.scores if s["exercise"] == "made") - 2.5)
    assert (row["state"], row["late"], row["written"], row["max_points"]) == ("to be graded", -3, 1.5, 104)


def test_a_page_says_the_seed_and_the_command_and_shows_the_line(written):
    root = written.parent.parent
    page = next(p for p in (written / "report" / "students").glob("o-brien*")).read_text(encoding="utf-8")
    lost = re.findall(r"seed (\d+) · <code>deepul show hw1 (.+?) --check ([\w.]+)</code>", page)
    assert lost
    assert all(name == "&#39;o&#39;&#34;&#39;&#34;&#39;brien; rm -rf&#39;" for _, name, _ in lost), "quoted for a shell"
    from autograder import runner
    from autograder.student import LocalStudent

    session = runner.Session(LocalStudent({}, {}), Course.at(root).salt, {})
    assert all(int(seed) == session.seed("test_" + check.split(".")[1]) for seed, _, check in lost)
    assert '<i class="meant">        chosen = self.logits' in page.replace('meant">', 'meant">')


def test_the_spread_of_some_numbers():
    spread = overview.Spread.of([1, 2, 3, 4, 10])
    assert (spread.mean, spread.least, spread.lower, spread.median, spread.upper, spread.most) == (4, 1, 2, 3, 4, 10)
    assert overview.Spread.of([]) == overview.Spread()


def test_discrimination_is_the_point_biserial_correlation_with_the_rest():
    from scipy.stats import pointbiserialr

    rng = np.random.default_rng(0)
    rest = rng.normal(size=60)
    passed = rest + rng.normal(size=60) > 0
    assert overview.point_biserial(list(passed), list(rest)) == pytest.approx(pointbiserialr(passed, rest).statistic)
    assert overview.point_biserial([True] * 60, list(rest)) is None
    assert overview.point_biserial(list(passed), [1.0] * 60) is None
    assert overview.point_biserial([True, False], [1.0, 2.0]) is None
    results = classes.made(60)[:-1]
    row = overview.checks(results)[3]
    mine = [
        next(c for s in r.scores for c in s["checks"] if f"{s['exercise']}.{c['name']}" == row.name) for r in results
    ]
    others = [r.points - c["points"] for r, c in zip(results, mine, strict=True)]
    wanted = pointbiserialr([c["outcome"] == "passed" for c in mine], others).statistic
    assert row.discrimination == pytest.approx(wanted)
    assert row.lost == {r.student for r, c in zip(results, mine, strict=True) if c["outcome"] != "passed"}


@pytest.mark.parametrize("limit", [1.234, -0.5, None])
@pytest.mark.parametrize("excess", [0.0, 0.021, 0.4, 3.0, -0.2])
@pytest.mark.parametrize("unit", ["nats", "bits/dim", "bits a code"])
def test_losses_are_read_from_what_a_check_says(limit, excess, unit):
    found = loss.graded(excess, dict(mean=0.03, sd=0.004), limit, 0.9, unit)
    value, read_unit, full, baseline, read_limit = overview.loss(found.measured, found.required)
    assert value == pytest.approx(excess, abs=1e-3)
    assert (read_unit, read_limit) == (unit, None if limit is None else pytest.approx(limit, abs=1e-3))
    assert (full, baseline) == (pytest.approx(found.bound, abs=1e-3), 0.9)


def test_what_is_no_loss_is_none():
    assert overview.loss("p sums to 1.04", "1 within 0.001") is None
    assert overview.loss("holds", "") is None
    nan = loss.graded(float("nan"), dict(mean=0.03, sd=0.004), 1.0, 0.9)
    assert overview.loss(nan.measured, nan.required) is None
    shown = overview.Losses("t", "1.1", "nats", 0.05, 0.9, 1.0, ())
    places = [shown.place(v) for v in (-1, 0, 0.02, 0.05, 0.3, 0.9, 1e9)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 1)
    assert 0.2 < shown.place(0.05) < 0.6, "the threshold is where it can be seen"


def png(width: int, height: int, seed: int = 0) -> bytes:
    target = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(target, "PNG")
    return target.getvalue()


def test_pictures_are_our_own_and_bounded(tmp_path):
    for most in (2**11, 2**14, 2**17):
        name = thumbnails.write(tmp_path, png(800, 500), most)
        assert (tmp_path / name).stat().st_size <= 2 * most
        with Image.open(tmp_path / name) as opened:
            assert opened.format == "WEBP"
    evil = png(30, 30) + b"<script>alert(1)</script>"
    assert b"script" not in (tmp_path / thumbnails.write(tmp_path, evil, 2**14)).read_bytes()
    for no_picture in (b"", b"\x89PNG\r\n\x1a\n", b"<svg onload=alert(1)>", png(30, 30)[:60]):
        assert thumbnails.write(tmp_path, no_picture, 2**14) == ""


def test_a_picture_that_would_unpack_to_gigabytes_is_not_read(monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST_PIXELS", 900)
    assert thumbnails.shrunk(png(40, 40), 2**14) is None
    assert thumbnails.shrunk(png(30, 30), 2**14)


def test_one_student_more_leaves_the_pictures_of_the_others_as_they_are():
    assert thumbnails.budget(5 * 200) == thumbnails.budget(5 * 201)
    assert 5 * 300 * thumbnails.budget(5 * 300) <= thumbnails.CLASS_BYTES


def test_pictures_that_nobody_has_any_more_go(tmp_path):
    results = classes.made(2)
    page = report.Page(tmp_path, "hw1", most=2)
    for result in results:
        page.add(result)
    page.write()
    before = {p.name for p in (tmp_path / "figures").iterdir()}
    results[0].figures = {"made": base64.b64encode(png(40, 40, 7)).decode()}
    page.add(results[0])
    page.write()
    after = {p.name for p in (tmp_path / "figures").iterdir()}
    assert len(after - before) == 1
    assert len(before - after) == len(before) - len(results[1].figures)


SOURCE = """import x

class Flow:
    @deco
    def forward(self, x):
        return x

    def inverse(self, z):
        return 1 / z
"""


def test_code_is_found_by_its_name_and_by_the_line_of_an_error():
    sources = ["def f(x):\n    return x", SOURCE, "class Flow(:"]
    assert listings.of_function(sources, "Flow.inverse").numbered[0] == (8, "    def inverse(self, z):", False)
    assert listings.of_function(sources, "Flow.forward").first == 4, "decorators with it"
    assert listings.of_function(sources, "Flow.sample").lines[0] == "class Flow:", "inherited: the class"
    assert listings.of_function(sources, "f").lines == ("def f(x):", "    return x")
    assert listings.of_function(sources, "g") is None
    said = "in inverse, line 9 of its cell: return 1 / z, called in f, line 2 of its cell: return x"
    found = listings.of_errors(sources, f"Flow.inverse raised E: x — {said}")
    assert [(one.title, one.marked) for one in found] == [("inverse", 9), ("f", 2)]
    assert [row for row in found[0].numbered if row[2]] == [(9, "        return 1 / z", True)]
    assert listings.of_errors(sources, "in inverse, line 700 of its cell: return 1 / z") == []
    [cell] = listings.of_cells({"a\nb\nc\nd(\n": "SyntaxError in line 4: '(' was never closed", "e": "NameError: e"})
    assert (cell.marked, cell.lines) == (4, ("a", "b", "c", "d("))


def test_long_code_is_cut_and_keeps_the_line_that_is_meant():
    long = "def f(x):\n" + "\n".join(f"    x{k} = {k}" for k in range(500))
    [found] = listings.of_errors([long], "in f, line 401 of its cell: x399 = 399")
    assert len(found.lines) == listings.MOST_LINES
    assert [line for _, line, meant in found.numbered if meant] == ["    x399 = 399"]


def test_what_many_have_is_a_note_and_no_flag():
    result = {
        "notebook": {"cells": []},
        "scores": {},
        "problems": [],
        "left_out": [],
        "stopped": "",
        "fault": "",
        "seconds": {},
        "unprotected": [],
    }
    result["scores"] = {
        e.name: batch.blank(e.name, e.number, e.title, 1, "passed", 1.0, "") for e in assignments.get("hw1").exercises
    }
    renamed, odd = "The notebook is called hw1 (1).ipynb; taken as hw1.ipynb.", "The text of the cell x was changed."
    graded = batch.read_scores("ada", "hw1", result, [renamed, odd], [renamed])
    assert (graded.notes, graded.problems) == ([renamed], [odd])
