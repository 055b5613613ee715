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
    "<script>parent.x=1</script>",
    "<img src=x onerror='x()'>",
    "<svg onload=x()>",
    "<iframe srcdoc='<script>x()</script>'></iframe>",
    "<a href='javascript:x()'>a</a>",
    "<a href=' java&#115;cript:x()'>a</a>",
    "<form action=/api><input></form>",
    "<style>*{display:none}</style>",
    "<object data=x>",
    "<meta http-equiv=refresh content='0;url=x'>",
    "<a href='data:text/html,<script>x()</script>'>a</a>",
    "<math><mtext><table><mglyph><style><img src=x onerror=x()>",
    "<div style='background:url(javascript:x())'>",
    "<base href=//evil>",
    "<link rel=stylesheet href=x>",
    "<button formaction=javascript:x()>",
    "<!-- --!><script>x()",
)
DANGER = re.compile(
    r"<(script|iframe|svg|object|form|input|style|meta|base|link|button|math)|\son\w+=|href=.?\s*(java|data)"
    r"|javascript:|srcdoc|style=",
    re.IGNORECASE,
)


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


@pytest.mark.parametrize(
    "data",
    [
        {"image/png": "no base64!"},
        {"image/png": base64.b64encode(b"no picture").decode()},
        {"image/png": 3},
        {"application/json": {"a": float("nan")}},
        {"application/javascript": "x()"},
        {"text/html": {"a": 1}},
        {"application/vnd.jupyter.widget-view+json": {}},
        {"text/latex": r"\href{javascript:x()}{a}"},
        {3: 4},
    ],
)
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


HOSTILE = (
    " (",
    ", line ",
    "(",
    "\n",
    "check(",
    "check('a'",
    "trained('",
    "class ",
    "def f(",
    "import ",
    "from a ",
    "[",
    "<",
    "](",
    "&",
    "`",
    "*",
    "_",
    "\t",
    "$",
    "x=",
    "async ",
    "'''",
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_on_our_side_grows_with_the_length_and_no_faster(piece):
    """Of twice the text in twice the time, and a bit; a quadratic step would take four times as much."""
    import time

    from autograder.assignments import ROOT

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


def _text_cell(source: str, attachments: object = None) -> str:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": source, "attachments": attachments}]
    return normalise({"hw1.ipynb": json.dumps({"cells": cells}).encode()}, "hw1", HANDOUT).notebook["cells"][0][
        "source"
    ]


def test_pictures_attached_to_a_text_are_shown_once_and_nothing_else_that_is_attached():
    png = picture()
    source = "See ![mine](attachment:image%201.png), again ![twice](attachment:image%201.png)"
    shown = _text_cell(source, {"image 1.png": {"image/png": png}})
    assert shown.count(f'src="data:image/png;base64,{png}"') == 1
    assert "[picture: twice]" in shown
    svg = base64.b64encode(b"<svg onload='x()'/>").decode()
    for attachments in (None, 3, {"a": 3}, {"a": {"image/svg+xml": svg}}, {"a": {"image/png": svg}}, {"a": {"x": png}}):
        shown = _text_cell("![mine](attachment:a)", attachments)
        assert "[picture: mine]" in shown
        assert "data:" not in shown


@pytest.mark.parametrize("name", ["href", "style", "require", "bbox", "html", "class", "cssId", "unicode"])
def test_no_tex_acts(name):
    tex = f"\\{name}{{javascript:x()}}{{a}}"
    for source in (
        f"${tex}$",
        f"# T\n\n$$ x\n{tex} $$",
        f"\\begin{{align}}{tex}\\end{{align}}",
        f"<b>${tex}$</b>",
        f"<p>$&#92;{tex[1:]}$</p>",
        f"$\\{name[:2]}<wbr>{name[2:]}{{javascript:x()}}$ <b>y</b>",
    ):
        for shown in (_text_cell(source), outputs.inert({"text/html": source})["text/html"]):
            assert f"\\{name}" not in shown.replace("<wbr>", ""), shown
    assert _text_cell(r"$\hrefs \stylish \frac{a}{b}$") == r"$\hrefs \stylish \frac{a}{b}$"


def test_no_language_is_looked_up_for_a_listing():
    for language in ("mermaid", "mermaid {init}", "python", "<b>"):
        shown = _text_cell(f'```{language}\nclick A href "javascript:x()"\n```')
        assert shown == '<pre><code>click A href "javascript:x()"\n</code></pre>'


BLOW_UP = (
    "<p>" + "".join(f"<b x={i}>" for i in range(20_000)) + "</p>" + "<p>x</p>" * 20_000,
    "".join(f"<b x={i}>" for i in range(60_000)),
    "<div>" * 100_000,
    "<a><div>" * 50_000,
    "<b></p>" * 50_000,
    "*a* <b>" * 40_000,
    "[a](b)" * 40_000,
    "> " * 1000 + "<b>",
    "*a* &amp; " * 100_000,
)


@pytest.mark.parametrize("text", BLOW_UP, ids=lambda text: text[:12])
def test_no_html_or_markdown_takes_long_or_grows(text):
    import time

    for make in (outputs.clean, outputs.markdown):
        began = time.process_time()
        shown = make(text)
        assert time.process_time() - began < 2
        assert len(shown) < 8 * len(text) + 10_000
        assert not DANGER.search(shown)


def test_a_notebook_of_markup_is_shown_as_it_was_written_and_that_is_said():
    texts = [f"{k} " + "*a* <b>" * 300 for k in range(80)]
    cells = [{"cell_type": "markdown", "metadata": {}, "source": text} for text in texts]
    normal = normalise({"hw1.ipynb": json.dumps({"cells": cells}).encode()}, "hw1", HANDOUT)
    sources = [c["source"] for c in normal.notebook["cells"]]
    assert sources[0].startswith("<p>0 <em>a</em>")
    assert sources[-1].startswith("<pre>79 *a* &lt;b&gt;")
    assert any("shown as they were written" in change for change in normal.changes)


@pytest.mark.parametrize(
    "address",
    [
        "/logout",
        "//evil/x.png",
        "https://evil/x.png",
        "HTTP:x",
        "\\\\evil\\x.png",
        "../../logout",
        "a/../../../logout",
        "%2e%2e/x",
        "a/%2E./x",
        " /logout",
        "\t/logout",
        "?x",
        "javascript:x()",
        "data:image/svg+xml;base64,AA==",
        "a/\\..\\x",
        "a?x=1",
        "",
    ],
)
def test_a_picture_asks_nobody_for_anything(address):
    """With the cookie of who looks at it, and as soon as it is shown."""
    from html import escape

    for shown in (outputs.clean(f'<img src="{escape(address)}" alt="a">'), _text_cell(f"![a](<{address}>) <b>x</b>")):
        assert "src=" not in shown or 'src=""' in shown, shown
    assert "src=" not in outputs.clean('<img src="a/.\t./x">'), "browsers leave the tab out"


@pytest.mark.parametrize("address", ["figures/p.png", "my picture (1).png", "é.png", "a.b/c-d.png", "x%20y.png"])
def test_a_picture_beside_the_notebook_is_shown(address):
    assert f'src="{address}"' in outputs.clean(f'<img src="{address}">')


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ({"image/png": {"width": 880, "height": 374, "alt": '"><script>'}}, {"width": 880, "height": 374}),
        ({"image/png": {"width": 880}}, {"width": 880}),
        *(
            ({"image/png": told}, None)
            for told in ({"width": "880"}, {"width": True}, {"width": 10**9}, {"height": -1}, 3)
        ),
        *((told, None) for told in (None, [], "width", {}, {"text/html": {"width": 3}})),
    ],
)
def test_of_metadata_only_the_size_of_a_picture_is_kept(metadata, kept):
    assert outputs.size(metadata) == ({"image/png": kept} if kept else {})
