"""What others read of a notebook does nothing in their browser, can be written anywhere, and is bounded."""

import base64
import io
import json
import re

import pytest

from autograder.grading import outputs
from autograder.grading.kernel import MOST_ERROR, MOST_LINES, _described, _output
from autograder.grading.normalise import normalise

HANDOUT = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": "# Ours <b>stays</b> [x](javascript:1)"}]}
ACTIVE = (
    "<script>parent.x=1</script>", "<img src=x onerror='x()'>", "<svg onload=x()>",
    "<iframe srcdoc='<script>x()</script>'></iframe>",
    "<a href='javascript:x()'>a</a>", "<a href=' java&#115;cript:x()'>a</a>", "<form action=/api><input></form>",
    "<style>*{display:none}</style>", "<object data=x>", "<meta http-equiv=refresh content='0;url=x'>",
    "<a href='data:text/html,<script>x()</script>'>a</a>",
    "<math><mtext><table><mglyph><style><img src=x onerror=x()>", "<div style='background:url(javascript:x())'>",
    "<base href=//evil>", "<link rel=stylesheet href=x>", "<button formaction=javascript:x()>", "<!-- --!><script>x()",
)  # fmt: skip
DANGER = re.compile(
    r"<(script|iframe|svg|object|form|input|style|meta|base|link|button|math)|\son\w+=|href=.?\s*(java|data)"
    r"|javascript:|srcdoc|style=", re.IGNORECASE,
)  # fmt: skip


def picture() -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (2, 2)).save(stream, format="png")
    return base64.b64encode(stream.getvalue()).decode()


@pytest.mark.parametrize("text", ACTIVE)
@pytest.mark.parametrize("kind", ["text/html", "text/markdown"])
def test_no_output_is_active(kind, text):
    assert DANGER.search(text), "the test sees what it is about"
    shown = outputs.inert({kind: f"before {text}\n\nafter", "text/plain": "plain"})
    assert not DANGER.search(shown["text/html"]), shown
    assert shown["text/plain"] == "plain"


@pytest.mark.parametrize("text", ACTIVE)
@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_no_text_of_a_student_is_active(kind, text):
    cells = [{"cell_type": kind, "metadata": {}, "source": f"My answer:\n\n{text}\n\n[link](javascript:x())"}]
    files = {"hw1.ipynb": json.dumps({"cells": cells}).encode()}
    (cell,) = normalise(files, "hw1", HANDOUT).notebook["cells"]
    from nbconvert.filters import markdown2html

    page = markdown2html(cell["source"]) if kind == "markdown" else cell["source"]
    assert not re.search(r"<[a-z!]", cell["source"]) if kind == "raw" else not DANGER.search(page), page
    assert "My answer" in page


def test_what_harms_nobody_is_shown():
    png = picture()
    shown = outputs.inert({"image/png": png + "\n", "text/plain": "<Figure>"})
    assert shown == {"image/png": png, "text/plain": "<Figure>"}
    html = outputs.inert({"text/html": "<table><tr><td colspan=2><b>1</b></td></tr></table>"})["text/html"]
    assert '<td colspan="2"><b>1</b></td>' in html
    assert f"data:image/png;base64,{png}" in outputs.clean(f"<img src='data:image/png;base64,{png}'>")
    svg = outputs.inert({"image/svg+xml": "<svg onload='x()'/>"})
    assert svg["text/html"].startswith('<img alt="picture" src="data:image/svg+xml;base64,')
    assert "<h1" in outputs.inert({"text/markdown": "# Title"})["text/html"]
    for text in ("plain *words*, $a < b$, `x`", "a < b and c > d", "1. one\n2. two"):
        assert outputs.markdown(text) == text
    answer = outputs.markdown("See <b>this</b> and $x_1 < 2$: ![p](figures/p.png)")
    assert "<b>this</b>" in answer
    assert 'src="figures/p.png"' in answer


def test_the_courses_own_text_stays_as_it_is():
    files = {"hw1.ipynb": json.dumps({"cells": HANDOUT["cells"]}).encode()}
    assert normalise(files, "hw1", HANDOUT).notebook["cells"][0]["source"] == HANDOUT["cells"][0]["source"]


@pytest.mark.parametrize("data", [
    {"image/png": "no base64!"}, {"image/png": base64.b64encode(b"no picture").decode()}, {"image/png": 3},
    {"application/json": {"a": float("nan")}}, {"application/javascript": "x()"}, {"text/html": {"a": 1}},
    {"application/vnd.jupyter.widget-view+json": {}}, {"text/latex": r"\href{javascript:x()}{a}"}, {3: 4},
])  # fmt: skip
def test_what_is_none_of_these_is_left_out_and_said(data):
    shown = outputs.inert(data)
    assert set(shown) == {"text/plain"}
    assert "not shown in a graded notebook" in shown["text/plain"]


def test_outputs_that_no_disk_takes_are_put_right():
    deep: object = 1
    for _ in range(485):
        deep = [deep]
    for content in (
        {"data": {"application/json": deep, "text/plain": "\ud800 x"}},
        {"data": {"text/plain": ["a", "b"]}},
    ):
        json.dumps(_output("display_data", content), ensure_ascii=False, allow_nan=False).encode("utf-8")
    stream = _output("stream", {"text": "\udfff", "name": "stdout"})
    assert stream["text"].encode("utf-8") == b"?"
    error = _output("error", {"ename": "\ud800", "evalue": "x" * 10**6, "traceback": ["y" * 10**6] * 1000})
    assert len(json.dumps(error)) < MOST_ERROR * (MOST_LINES + 3)
    assert _output("error", {"ename": deep, "evalue": None, "traceback": deep})["traceback"]


def test_the_line_of_a_syntax_error_is_found_and_nothing_else_is_sought():
    assert _described("SyntaxError", "invalid syntax (123.py, line 3)") == "SyntaxError in line 3: invalid syntax"
    assert _described("ValueError", "no (place") == "ValueError: no (place"
    assert _described("E", " (" * 10**6 + ", line 3)").startswith("E")
    assert len(_described("E", "x" * 10**7)) <= 1000


HOSTILE = (" (", ", line ", "(", "\n", "check(", "check('a'", "trained('", "class ", "def f(", "import ", "from a ",
           "[", "<", "](", "&", "`", "*", "_", "\t", "$", "x=", "async ", "'''")  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_on_our_side_grows_with_the_length_and_no_faster(piece):
    """Of twice the text in twice the time, and a bit; a quadratic step would take four times as much."""
    import time

    from autograder.exercises import ROOT

    handout = json.loads((ROOT / "homeworks" / "hw1" / "hw1.ipynb").read_text())

    def seconds(n: int) -> float:
        text = (piece * n)[: n * 2]
        cells = [{"cell_type": k, "metadata": {}, "source": text} for k in ("code", "markdown", "raw")]
        content = {"hw1.ipynb": json.dumps({"cells": cells}).encode()}
        began = time.process_time()
        normalise(content, "hw1", handout)
        _described("E", text)
        outputs.inert({"text/html": text, "text/markdown": text})
        return time.process_time() - began

    seconds(100)
    few, many = min(seconds(20_000) for _ in range(2)), seconds(80_000)
    assert many < 9 * few + 0.3, (few, many)
