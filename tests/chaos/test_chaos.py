"""Whole rounds under kill -9: nothing acknowledged is lost, nothing is twice, digests are equal.

`make chaos` runs the long one. CHAOS_KILLS (100 by default) are shared over both databases,
CHAOS_SEED draws victims and moments, CHAOS_TRAINER=real trains with the real trainer. Not part of
`make test`: even a few kills take a minute and more, since a round without any comes first.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.chaos.battle import Battle
from tests.chaos.installation import install
from tests.chaos.kills import Schedule
from tests.chaos.ledger import Ledger, read_ledger
from tests.fixtures_models import tiny_adapter
from tests.fixtures_ports import lasting_port

KILLS = int(os.environ.get("CHAOS_KILLS", "100"))
SEED = os.environ.get("CHAOS_SEED", "1")
REAL = os.environ.get("CHAOS_TRAINER") == "real"
KILLS_A_ROUND = 14
MOST_ROUNDS = 40
Fresh = Callable[[], str]
both = pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)


@pytest.fixture(scope="session")
def template(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter whose shape the stand-in trainer gives its own."""
    return tiny_adapter(tmp_path_factory.mktemp("template") / "adapter", tiny_base)


@pytest.fixture
def fresh(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fresh]:
    """Gives URLs of empty, migrated databases."""
    if kind == "sqlite":
        source = request.getfixturevalue("sqlite_template")

        def copy() -> str:
            file = tmp_path / f"{uuid4().hex[:8]}.db"
            shutil.copy(source, file)
            return f"sqlite:///{file}"

        yield copy
        return
    with _databases(
        request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")
    ) as make:
        yield make


@contextmanager
def _databases(server: str, template: str) -> Iterator[Fresh]:
    made: list[str] = []

    def make() -> str:
        made.append(f"chaos_{uuid4().hex[:8]}")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {made[-1]} TEMPLATE {template}")
        return f"{server.rpartition('/')[0]}/{made[-1]}"

    yield make
    with psycopg.connect(server, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Arena:
    """Rounds of one kind of database, each held against one without kills."""

    def __init__(self, folder: Path, fresh: Fresh, base: Path, template: Path | None) -> None:
        self.folder, self.fresh, self.base, self.template = folder, fresh, base, template
        self.fallen: Counter[str] = Counter()
        self.moments: Counter[str] = Counter()
        self.lost = self.doubled = self.rounds = 0
        self.different: Counter[str] = Counter()
        self.calm, _, _ = self.fight(Schedule("calm", 0), over_http=False)

    def fight(self, schedule: Schedule, *, over_http: bool) -> tuple[Ledger, Battle, int]:
        """One round, what it left, and how much of it is lost."""
        home = self.folder / uuid4().hex[:8]
        place = install(home, self.fresh(), self.base, port=lasting_port())
        battle = Battle(place, schedule, self.template, over_http)
        try:
            battle.fight()
            return read_ledger(place.sessions), battle, battle.lost()
        finally:
            place.sessions.kw["bind"].dispose()

    def storm(self, seed: str, kills: int) -> int:
        """A round with kills, counted; returns how many fell."""
        schedule = Schedule(seed, kills)
        ledger, battle, lost = self.fight(schedule, over_http=self.rounds % 2 == 1)
        self.rounds += 1
        self.fallen += schedule.fallen
        self.moments += schedule.moments
        self.lost += lost + sum(ledger.missing(k, self.calm) for k in ledger.rows)
        self.doubled += battle.contradictions
        self.doubled += sum(ledger.doubled(k, self.calm) for k in ledger.rows)
        for kind in ledger.rows:
            self.different[kind] += ledger.digest(kind) != self.calm.digest(kind)
        return schedule.fallen.total()

    def table(self, name: str) -> str:
        """What happened, as lines to print."""
        victims = ", ".join(f"{n} {who}" for who, n in sorted(self.fallen.items()))
        units = ", ".join(f"{len(rows)} {kind}" for kind, rows in self.calm.rows.items())
        return "\n".join(
            [
                f"{name}: {self.fallen.total()} kills ({victims}) in {self.rounds} rounds",
                f"  moments: {dict(sorted(self.moments.items()))}",
                f"  units of one round: {units}",
                f"  lost {self.lost}, doubled {self.doubled}, "
                f"digests that differ {dict(+self.different) or 0}",
            ]
        )

    def require_whole(self) -> None:
        """Nothing is lost, doubled or different."""
        assert (self.lost, self.doubled, dict(+self.different)) == (0, 0, {})


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@both
def test_whole_rounds_under_many_kills(
    kind: str,
    fresh: Fresh,
    tmp_path: Path,
    tiny_base: Path,
    template: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arena = Arena(tmp_path, fresh, tiny_base, None if REAL else template)
    wanted = (KILLS + 1) // 2
    while arena.fallen.total() < wanted and arena.rounds < MOST_ROUNDS:
        seed = f"{SEED}-{kind}-{arena.rounds}"
        fell = arena.storm(seed, min(KILLS_A_ROUND, max(wanted - arena.fallen.total(), 4)))
        with capfd.disabled():
            print(f"seed {seed}: {fell} kills fell, {arena.lost} lost, {arena.doubled} doubled")
    with capfd.disabled():
        print(arena.table(kind))
    arena.require_whole()
    assert arena.fallen.total() >= wanted, "too few of the kills met their moment"
