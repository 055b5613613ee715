"""What a property returns."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """The outcome of one property.

    share: how much of it holds, from 0 (not at all) to 1 (entirely); it is the share of the points.
    measured, required: one short phrase each, for the student's table.
    value: the number behind `measured`, if there is one (calibration records it).
    plot: data of a small picture: {"kind": "bars" | "matrix", ...}; see autograder.display.
    slip: what the measurement suggests went wrong, if it says more than the check's own hint.
    Raises ValueError for a share that is none.
    """

    share: float
    measured: str
    required: str
    value: float | None = None
    plot: dict = field(default_factory=dict)
    slip: str = ""

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise ValueError(f"A share lies between 0 and 1, got {self.share}.")

    @property
    def passed(self) -> bool:
        return self.share >= 1.0
