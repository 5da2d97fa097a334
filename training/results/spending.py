"""What a training run has used: time of clock and processors, over all its starts.

Kept in `spent.json` beside the checkpoints and written with every line of the loss curve, so that
the work of a process that was killed counts too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SPENT_NAME = "spent.json"


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock, and seconds of processors (user and system, all threads)."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


class Meter:
    """Counts from now on, on top of what earlier starts of the run have used.

    Args:
        file: where the count is kept.
        clock, cpu_clock: seconds, of the wall and of this process.
    """

    def __init__(
        self, file: Path, *, clock: Callable[[], float], cpu_clock: Callable[[], float]
    ) -> None:
        self._file = file
        self._clock, self._cpu_clock = clock, cpu_clock
        self._before = read_spent(file)
        self._start, self._cpu_start = clock(), cpu_clock()

    def read(self) -> Spent:
        """What the run has used up to now."""
        return Spent(
            self._before.seconds + self._clock() - self._start,
            self._before.cpu_seconds + self._cpu_clock() - self._cpu_start,
        )

    def save(self) -> None:
        """Keep the count, whole or not at all."""
        fresh = self._file.with_name(self._file.name + ".new")
        fresh.write_text(json.dumps(asdict(self.read())) + "\n", encoding="utf-8")
        fresh.replace(self._file)


def read_spent(file: Path) -> Spent:
    """What earlier starts have used; nothing where there is no file."""
    return Spent(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else Spent()


def over_processes(trainer: Any, value: float) -> float:
    """The sum of a number over all processes of a training; each must call this."""
    import torch

    own = torch.tensor([value], device=trainer.accelerator.device)
    return float(trainer.accelerator.gather(own).sum())


def cost(seconds: float, price_per_hour: float | None) -> float | None:
    """Seconds of the machine at its price; None where no price was stated."""
    return None if price_per_hour is None else seconds / 3600 * price_per_hour
