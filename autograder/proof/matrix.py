"""The matrix of a validation, checks × mutants: in the terminal and as a page."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from autograder import assignments, display
from autograder.proof import changes
from autograder.proof.validate import Verdict, false_failures

# meant for it and caught · caught by another check too · passed · skipped, because one that it rests on failed
NEVER = 1e-12  # rarer than that is not worth a figure
SYMBOLS = {"meant": "●", "also": "○", "passed": "·", "skipped": "–", "missed": "✗"}


def cell(verdict: Verdict, check: str, meant: str) -> str:
    """What a check made of a mutant, as a key of SYMBOLS."""
    caught = verdict.outcomes.get(check) in ("failed", "partial")
    if check == meant:
        return "meant" if caught else "missed"
    return "also" if caught else "skipped" if verdict.outcomes.get(check) == "skipped" else "passed"


def table(exercise: str, verdicts: list[Verdict]) -> Table:
    """One exercise for the terminal: what each mutant loses, what its check is worth, what each check says.

    Columns are numbered checks, whose names stand below.
    """
    rows = rows_of(exercise, verdicts)
    checks = checks_of(exercise, verdicts)
    grid = Table(
        "mutant",
        "lost",
        "meant",
        *(str(k) for k in range(1, len(checks) + 1)),
        box=SIMPLE_HEAD,
        title=exercise,
        title_justify="left",
        padding=(0, 1),
    )
    for row in rows:
        colours = {"meant": "green", "missed": "bold red", "also": "yellow"}
        cells = [f"[{colours.get(c, 'dim')}]{SYMBOLS[c]}[/]" for c in row["cells"]]
        grid.add_row(row["name"], f"{row['lost']:g}", f"{row['meant']:g}", *cells)
    often = of_chance(exercise, verdicts)
    grid.caption = "\n".join(
        f"{k} {c.replace('_', ' ')}" + (f" (fails by chance: {often[c]:.0e})" if often.get(c, 0) > NEVER else "")
        for k, c in enumerate(checks, 1)
    )
    grid.caption_justify = "left"
    return grid


def checks_of(exercise: str, verdicts: list[Verdict]) -> list[str]:
    return list(next((v.outcomes for v in verdicts if v.exercise == exercise and v.kind == "solution"), {}))


def rows_of(exercise: str, verdicts: list[Verdict]) -> list[dict]:
    """A row a mutant: its name, slip, what the student reads, problem, and a cell a check."""
    assignment = assignments.get_exercise(exercise).assignment.name
    meant = {m.name: m for m in changes.mutants(assignment)}
    checks = checks_of(exercise, verdicts)
    return [
        {
            "name": v.name,
            "slip": meant[v.name].slip,
            "said": v.said,
            "problem": v.problem,
            "seconds": v.seconds,
            "weights": meant[v.name].weights,
            "lost": v.lost,
            "meant": v.meant,
            "cells": [cell(v, c, meant[v.name].caught_by) for c in checks],
        }
        for v in verdicts
        if v.exercise == exercise and v.kind == "mutant"
    ]


def of_chance(exercise: str, verdicts: list[Verdict]) -> dict[str, float]:
    """{check: how often a right answer fails it by chance}, of the checks that are statistics."""
    return false_failures([v for v in verdicts if v.exercise == exercise])


def page(file: Path, assignment: str, verdicts: list[Verdict], weak: list[str]) -> Path:
    """Write the matrices of an assignment as an HTML page."""
    differences = {v.name: v.difference for v in changes.variants(assignment)}
    sections = [
        {
            "exercise": e,
            "checks": checks_of(e.name, verdicts),
            "rows": rows_of(e.name, verdicts),
            "others": [v for v in verdicts if v.exercise == e.name and (v.problem or v.kind not in ("mutant", "stub"))],
            "chance": sorted(of_chance(e.name, verdicts).items(), key=lambda row: -row[1]),
        }
        for e in assignments.get(assignment).exercises
        if any(v.exercise == e.name for v in verdicts)
    ]
    text = (
        display.templates(Path(__file__).parent)
        .get_template("matrix.html.j2")
        .render(
            assignment=assignment,
            sections=sections,
            weak=weak,
            symbols=SYMBOLS,
            differences=differences,
            problems=[v for v in verdicts if v.problem],
            verdicts=verdicts,
            never=NEVER,
        )
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
