"""How a score looks: an HTML table for notebooks and reports, a text table for terminals."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jinja2 import Environment, Template

ICONS = {"passed": "✓", "partial": "◐", "failed": "✗", "skipped": "–", "not graded": "!"}
COLOURS = {
    "passed": "#1a7f5a",
    "partial": "#b7791f",
    "failed": "#c0392b",
    "skipped": "#7b8794",
    "not graded": "#6b46c1",
}
SERIES = ("#9fb3c8", "#e8743b")
# Colours inherit from the page, so that the table reads in JupyterLab's light and dark themes alike.
STYLE = """<style>
.deepul{font:13.5px/1.45 system-ui,sans-serif;max-width:62em;margin:.4em 0 1em;color:inherit}
.deepul .head{display:flex;align-items:baseline;gap:.8em;margin-bottom:.35em}
.deepul .head b{font-size:15px}.deepul .head .pts{margin-left:auto;font-size:17px;font-weight:650}
.deepul .bar{height:5px;border-radius:3px;background:#8884;overflow:hidden;margin-bottom:.5em}
.deepul .bar i{display:block;height:100%;background:#1a7f5a}
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
    share = score["points"] / score["max_points"] if score["max_points"] else 0
    return _template("score.html").render(score=score, share=share, style=STYLE if style else "")


def templates(folder: Path) -> "Environment":
    """The Jinja templates of a folder (*.j2). What is put into them is text, and escaped."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
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
    """The same table for a terminal."""
    lines = [
        f"Exercise {score['number']} · {score['title']}: "
        f"{number(score['points'])} / {number(score['max_points'])}. {score['headline']}"
    ]
    lines += [f"  ! {note}" for note in score.get("notes", ())]
    for c in score["checks"]:
        earned = "?" if c["points"] is None else number(c["points"])
        lines.append(
            f"  {ICONS[c['outcome']]} {earned:>4} / {number(c['max_points']):<4} {c['title']}: {c['measured']}"
        )
        if c["hint"] and c["outcome"] in ("failed", "partial"):
            lines.append(f"                  {c['hint']}")
    return "\n".join(lines)


def number(value: float) -> str:
    """Points without needless decimals: 4, 2.5, 1.37."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


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
