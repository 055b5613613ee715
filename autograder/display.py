"""How a score looks: an HTML table for notebooks and reports, a text table for terminals."""

import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autograder import words

if TYPE_CHECKING:
    from jinja2 import Environment, Template

ICONS = {"passed": "✓", "partial": "◐", "failed": "✗", "skipped": "–", "not graded": "!"}
COLOURS = {
    "passed": "#1f8f66",
    "partial": "#b7791f",
    "failed": "#d64533",
    "skipped": "#7b8794",
    "not graded": "#8b64d8",
}
COLUMNS = 80  # of a terminal
BELOW = " " * 17  # where titles begin in the text table
SERIES = ("#9fb3c8", "#e8743b")
# Colours inherit from the page, so that the table reads in the light and dark themes of JupyterLab, VS Code and Colab
# alike; those that do not inherit stand out from white and from black (3 : 1 at least).
STYLE = """<style>
.deepul{font:13.5px/1.45 system-ui,sans-serif;max-width:62em;margin:.4em 0 1em;color:inherit}
.deepul .head{display:flex;align-items:baseline;gap:.8em;margin-bottom:.35em}
.deepul .head b{font-size:15px}.deepul .head .pts{margin-left:auto;font-size:17px;font-weight:650}
.deepul .bar{height:5px;border-radius:3px;background:#8884;overflow:hidden;margin-bottom:.5em}
.deepul .bar i{display:block;height:100%;background:#1f8f66}
.deepul tr{background:none!important}
.deepul table{border-collapse:collapse;width:100%;margin:0;table-layout:auto}
.deepul td,.deepul th{padding:.4em .6em;text-align:left!important;vertical-align:top;border:0;
 border-top:1px solid #8883;
 background:none!important;white-space:normal}
.deepul th{font-weight:600;opacity:.65;border-top:0;font-size:12px}
.deepul td.name{min-width:13em}
.deepul td.icon{font-weight:700;width:1.2em;text-align:center}
.deepul td.num,.deepul th.num{text-align:right!important;white-space:nowrap;font-variant-numeric:tabular-nums}
.deepul .hint{margin-top:.25em;padding:.3em .6em;border-left:3px solid #b7791f;background:#b7791f1c;border-radius:2px}
.deepul .req{opacity:.7}.deepul .skipped td{opacity:.62}.deepul svg{display:block;margin-top:.35em}
.deepul pre{font-size:12px;max-height:12em;overflow:auto;margin:.3em 0;white-space:pre-wrap}
</style>"""


def score_html(score: dict, style: bool = True) -> str:
    """The table of one exercise, from `Score.to_json()`."""
    score = words.of_score(score)
    share = score["points"] / score["max_points"] if score["max_points"] else 0
    return _template("score.html").render(score=score, share=share, style=STYLE if style else "")


def templates(folder: Path) -> "Environment":
    """The Jinja templates of a folder (*.j2). What is put into them is text, and escaped."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= dict(number=number, counted=counted)
    return environment


@cache
def _environment() -> "Environment":
    own = templates(Path(__file__).parent / "templates")
    own.filters["svg"] = svg
    own.globals |= dict(icons=ICONS, colours=COLOURS)
    return own


def _template(name: str) -> "Template":
    return _environment().get_template(f"{name}.j2")


def score_text(score: dict) -> str:
    """The same table for a terminal, in 80 columns: outcome, points, title; below it what was measured and the hint."""
    score = words.of_score(score)
    earned = f"{number(score['points'])} / {number(score['max_points'])}"
    lines = wrapped(f"Exercise {score['number']} · {score['title']}: {earned}. {score['headline']}")
    for note in score.get("notes", ()):
        lines += wrapped(note, "  ! ")
    for check in score["checks"]:
        lines += _lines(check)
    if score["printed"].strip():
        lines += ["  Your code printed:", *(f"  | {line}" for line in score["printed"].strip().splitlines()[-10:])]
    return "\n".join(lines)


def _lines(check: dict) -> list[str]:
    """One check: its row, what was measured, and where it did not pass what was required, and the hint."""
    earned = "?" if check["points"] is None else number(check["points"])
    lines = wrapped(check["title"], f"  {ICONS[check['outcome']]} {earned:>4} / {number(check['max_points']):<4}  ")
    lines += wrapped(check["measured"], BELOW)
    if check["required"] and check["outcome"] != "passed":
        lines += wrapped(f"required: {check['required']}", BELOW)
    if check["hint"] and check["outcome"] in ("failed", "partial"):
        lines += wrapped(check["hint"], f"{BELOW}→ ")
    return lines


def wrapped(text: str, first: str = "") -> list[str]:
    """Lines of at most COLUMNS, the first behind `first`, the others as far to the right."""
    return textwrap.wrap(
        text, COLUMNS, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )


def number(value: float) -> str:
    """Points without needless decimals: 4, 2.5, 1.37."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def counted(value: float, one: str, many: str = "") -> str:
    """A number with what it is of: "1 submission", "2,000 submissions", "1.5 points". many: where it takes no s."""
    shown = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return f"{shown} {one if value == 1 else many or f'{one}s'}"


def svg(plot: dict) -> str:
    """A small picture of a finding's data."""
    kinds: dict[str, Callable[[dict], str]] = {"bars": _bars, "matrix": _matrix}
    return kinds[plot["kind"]](plot)


def _bars(plot: dict, width: int = 420, height: int = 90) -> str:
    """Each series as columns over the same states."""
    series = {k: np.nan_to_num(np.asarray(v, dtype=float)) for k, v in plot["series"].items()}
    top = max(v.max() for v in series.values()) or 1.0
    slot = width / max(len(v) for v in series.values())
    each = slot * 0.85 / len(series)
    bars = [
        dict(x=i * slot + k * each, width=each, height=value / top * height, colour=SERIES[k % 2])
        for k, values in enumerate(series.values())
        for i, value in enumerate(values)
    ]
    legend = [(name, SERIES[k % 2]) for k, name in enumerate(series)]
    return _template("bars.svg").render(width=width, height=height, bars=bars, legend=legend, x=plot["x"])


def _matrix(plot: dict, cell: int = 20) -> str:
    """A dependency matrix: a filled square where the output of this row sees the input of this column."""
    colours = [[_matrix_colour(filled, i == j) for j, filled in enumerate(row)] for i, row in enumerate(plot["values"])]
    return _template("matrix.svg").render(colours=colours, cell=cell, x=plot["x"], y=plot["y"])


def _matrix_colour(filled: bool, own: bool) -> str:
    if not filled:
        return "#8883"
    return COLOURS["failed"] if own else SERIES[0]
