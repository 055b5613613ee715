"""How a score looks: an HTML table for notebooks and reports, a text table for terminals."""

import textwrap
from collections.abc import Callable
from html import escape

import numpy as np

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
    share = score["points"] / score["max_points"] if score["max_points"] else 0
    rows = "".join(_row(c) for c in score["checks"])
    printed = (
        f"<details><summary>Your code printed</summary><pre>{escape(score['printed'])}</pre></details>"
        if score["printed"].strip()
        else ""
    )
    notes = "".join(f"<div class='hint'>{escape(note)}</div>" for note in score.get("notes", ()))
    return (
        f"{STYLE if style else ''}<div class='deepul'><div class='head'><b>Exercise {score['number']} · "
        f"{escape(score['title'])}</b><span>{escape(score['headline'])}</span>"
        f"<span class='pts'>{number(score['points'])} / {number(score['max_points'])}</span></div>"
        f"<div class='bar'><i style='width:{100 * share:.1f}%'></i></div>"
        f"{notes}<table><tr><th></th><th>Check</th><th>Measured</th><th class='num'>Points</th></tr>"
        f"{rows}</table>{printed}</div>"
    )


def _row(check: dict) -> str:
    outcome = check["outcome"]
    measured = escape(check["measured"])
    if check["required"] and outcome != "passed":
        measured += f"<div class='req'>required: {escape(check['required'])}</div>"
    if check["hint"] and outcome in ("failed", "partial"):
        measured += f"<div class='hint'>{escape(check['hint'])}</div>"
    if check["plot"] and outcome in ("failed", "partial"):
        measured += svg(check["plot"])
    earned = "?" if check["points"] is None else number(check["points"])
    return (
        f"<tr class='{outcome.replace(' ', '-')}'><td class='icon' style='color:{COLOURS[outcome]}' "
        f"title='{outcome}'>{ICONS[outcome]}</td><td class='name'>{escape(check['title'])}</td><td>{measured}</td>"
        f"<td class='num'>{earned} / {number(check['max_points'])}</td></tr>"
    )


def score_text(score: dict) -> str:
    """The same table for a terminal, in 80 columns: outcome, points, title; below it what was measured and the hint."""
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


def svg(plot: dict) -> str:
    """A small picture of a finding's data."""
    drawn: dict[str, Callable[[dict], str]] = {"bars": _bars, "matrix": _matrix}
    return drawn[plot["kind"]](plot)


def _bars(plot: dict, width: int = 420, height: int = 90) -> str:
    """Each series as columns over the same states."""
    series = {k: np.nan_to_num(np.asarray(v, dtype=float)) for k, v in plot["series"].items()}
    n = max(len(v) for v in series.values())
    top = max(v.max() for v in series.values()) or 1.0
    slot, each = width / n, width / n * 0.85 / len(series)
    shapes = "".join(
        f"<rect x='{i * slot + k * each:.1f}' y='{height - v / top * height:.1f}' width='{each:.1f}' "
        f"height='{v / top * height:.1f}' fill='{SERIES[k % 2]}'/>"
        for k, values in enumerate(series.values())
        for i, v in enumerate(values)
    )
    legend = "".join(
        f"<tspan fill='{SERIES[k % 2]}' font-weight='700'>■ </tspan><tspan dx='2'>{escape(name)}  </tspan>"
        for k, name in enumerate(series)
    )
    return (
        f"<svg width='{width}' height='{height + 22}' role='img'>{shapes}"
        f"<text x='0' y='{height + 16}' font-size='11.5' fill='currentColor'>{legend}"
        f"<tspan opacity='.6'>by {escape(plot['x'])}</tspan></text></svg>"
    )


def _matrix(plot: dict, cell: int = 20) -> str:
    """A dependency matrix: a filled square where the output of this row sees the input of this column."""
    values = np.asarray(plot["values"])
    rows, columns = values.shape
    squares = "".join(
        f"<rect x='{58 + j * cell}' y='{18 + i * cell}' width='{cell - 2}' height='{cell - 2}' rx='2' "
        f"fill='{_matrix_colour(values[i, j], i == j)}'/>"
        for i in range(rows)
        for j in range(columns)
    )
    labels = "".join(_label(63 + j * cell, 13, j + 1) for j in range(columns))
    labels += "".join(_label(45, 31 + i * cell, i + 1) for i in range(rows))
    return (
        f"<svg width='{72 + columns * cell + 210}' height='{24 + rows * cell}' role='img'>{squares}{labels}"
        f"{_label(0, 13, escape(plot['x']), 0.6)}{_label(0, 31, escape(plot['y']), 0.6)}"
        f"{_label(70 + columns * cell, 31, 'filled: this output sees this input', 0.75)}</svg>"
    )


def _label(x: float, y: float, text: object, opacity: float = 1.0) -> str:
    return f"<text x='{x}' y='{y}' font-size='11' fill='currentColor' opacity='{opacity}'>{text}</text>"


def _matrix_colour(filled: bool, own: bool) -> str:
    if not filled:
        return "#8883"
    return COLOURS["failed"] if own else SERIES[0]
