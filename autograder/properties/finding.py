"""What a property returns."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """The outcome of one property.

    share: how much of it holds, from 0 (not at all) to 1 (entirely); it is the share of the points.
    measured, required: one short phrase each, for the student's table.
    value: the number behind `measured`, if it is a statistic: something that differs from seed to seed.
    bound: where the value begins to lose points. kind: how it must keep to the bound, "at most" or "at least"; a
    "p-value" must exceed it; a "loss" is at most, and differs from one trained model to the next. Calibration
    estimates from the three how often a right solution fails by chance.
    plot: data of a small picture: {"kind": "bars" | "matrix", ...}; see autograder.display.
    slip: what the measurement suggests went wrong, if it says more than the check's own hint.
    Raises ValueError for a share that is none.
    """

    share: float
    measured: str
    required: str
    value: float | None = None
    bound: float | None = None
    kind: str = "at most"
    plot: dict = field(default_factory=dict)
    slip: str = ""

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise ValueError(f"A share lies between 0 and 1, got {self.share}.")

    @property
    def passed(self) -> bool:
        """Whether all of it holds."""
        return self.share >= 1.0
