"""The table of models: what each exercise trains, how near it comes to the limit, and what it shows.

Names, papers and data stand in each assignment.toml, as `[exercises.model]`; losses and seconds are those of the
calibrated references. `python -m autograder.proof.models` prints the README's table, `deepul list` shows it.
"""

from dataclasses import dataclass

from autograder import assignments, runner
from autograder.assignments import Exercise
from autograder.proof.calibrate import of_exercise

HEAD = ("model", "paper", "assignment", "data", "loss against limit", "seconds", "what it shows")
ABOVE = " above the limit"


@dataclass(frozen=True)
class Row:
    """One model. loss: of the course's own, beside the limit where it is known. seconds: of training on one thread."""

    model: str
    paper: str
    arxiv: str
    exercise: Exercise
    data: str
    loss: str
    seconds: str
    shows: str

    @property
    def place(self) -> str:
        """Its assignment and its number there: hw1, 1.3."""
        return f"{self.exercise.assignment}, {self.exercise.number}"


def rows() -> list[Row]:
    """A row for each exercise that has a model, in the order of the assignments."""
    return [_row(e) for a in assignments.every() for e in a.exercises if e.model]


def table() -> str:
    """All models as a Markdown table."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    for r in rows():
        paper = f"[{r.paper}](https://arxiv.org/abs/{r.arxiv})" if r.arxiv else r.paper
        lines.append(f"| {' | '.join((r.model, paper, r.place, r.data, r.loss, r.seconds, r.shows))} |")
    return "\n".join(lines)


def _row(exercise: Exercise) -> Row:
    known = of_exercise(runner.references(exercise.assignment.name), exercise)
    seconds = sum(entry["seconds"] or 0 for entry in known.values())
    said = exercise.model
    return Row(
        said["name"],
        said["paper"],
        said.get("arxiv", ""),
        exercise,
        said["data"],
        _loss(known),
        f"{seconds:.0f}" if seconds >= 1 else "< 1" if known else "",
        said["shows"],
    )


def _loss(known: dict[str, dict]) -> str:
    """Of the first of its references: "0.009 above 3.212 nats", or "0.0755 bits/dim" where no limit is known."""
    if not known:
        return "not trained yet"
    entry = known[min(known)]
    unit = entry["unit"].removesuffix(ABOVE)
    if entry["limit"] is None:
        return f"{entry['mean']:.3g} {unit}"
    return f"{entry['mean']:.2g} above {entry['limit']:.3f} {unit}"


if __name__ == "__main__":
    print(table())
