"""What is noted of steps between two lines of metrics."""

import time
from typing import Any

import numpy as np

from mdmot.training.update import TrainState


class PartsMeter:
    """Mean loss and updates a second since the last line, and the parts of the last loss."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.timed = 0
        self.start: float | None = None
        self.speed: float | None = None

    def tick(self, loss: float) -> None:
        """Notes the loss of a step."""
        self.losses.append(loss)
        if self.start is None:  # the first update was compiled
            self.restart()
        else:
            self.timed += 1

    def restart(self) -> None:
        """Begins to measure the time anew."""
        self.start, self.timed = time.perf_counter(), 0

    def line(self, state: TrainState) -> dict[str, Any]:
        """What a line says, and begins the next one; the objective's state are the parts of the loss."""
        loss, self.losses = float(np.mean(self.losses)), []
        if self.timed and self.start is not None:
            self.speed = round(self.timed / (time.perf_counter() - self.start), 1)
        self.restart()
        parts = {f"loss_{name}": float(part) for name, part in state.objective._asdict().items()}
        return {"loss": loss, **parts, "updates_per_second": self.speed}
