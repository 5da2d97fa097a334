"""Who is killed and when: drawn from a seed, carried out beside the round.

A kill of the worker or the trainer waits for its moment (so many answers written, so many steps
trained, the job engine about to start or to rest) and then for a drawn fraction of a second. The
API is killed around a request of an expert, a command soon after it began.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

VICTIMS = ("worker", "API", "trainer", "CLI")
# In the order in which a round meets them.
WORKER_MOMENTS = ("start", "launch", "reconcile", "training", "generating", "written", "shut_down")


@dataclass(frozen=True, order=True)
class Fate:
    """One kill of a worker or a trainer.

    Attributes:
        order: place of its moment in a round.
        share: of the work of its moment after which it falls, 0 to 1.
        delay: seconds after that.
    """

    order: int
    share: float
    delay: float
    moment: str


@dataclass
class Schedule:
    """The kills of one round, and which of them fell."""

    seed: str
    kills: int
    victims: Sequence[str] = VICTIMS
    fallen: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    worker: list[Fate] = field(default_factory=list)
    trainer: list[Fate] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = self._rng = random.Random(self.seed)
        self._lock = threading.Lock()
        drawn = Counter(rng.choices(self.victims, k=self.kills))
        self._left = Counter({name: drawn[name] for name in ("API", "CLI")})
        self.worker = sorted(
            Fate(n := rng.randrange(len(WORKER_MOMENTS)), rng.random(), rng.random() / 2, _name(n))
            for _ in range(drawn["worker"])
        )
        self.trainer = sorted(
            Fate(0, rng.random(), rng.random() / 10, "trainer") for _ in range(drawn["trainer"])
        )

    def draw(self, victim: str, *, share: float, most: float) -> float | None:
        """Seconds until an API or a command is killed that begins now; None: it lives."""
        with self._lock:
            if self._left[victim] == 0 or self._rng.random() > share:
                return None
            self._left[victim] -= 1
            return self._rng.random() * most

    def count(self, victim: str, moment: str) -> None:
        """Note a kill that fell."""
        with self._lock:
            self.fallen[victim] += 1
            self.moments[f"{victim}: {moment}"] += 1


def _name(order: int) -> str:
    return WORKER_MOMENTS[order]
