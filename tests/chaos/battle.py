"""One whole round from corrections to promotion, with real processes, some of which are killed.

The API, the worker, the trainer and every command are processes. This process is the expert, who
sends what was not acknowledged again, the engineer, who starts the round and takes it up when it
failed, the lead, who signs, and whoever starts a dead server again.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from sqlalchemy import func, select

from backend.cli.operations.worker_process import end_with_parent
from backend.db import reading
from backend.jobs.train import lock_is_held
from backend.settings import child_environment
from backend.tables.review import Review
from backend.tables.rounds import Round
from backend.tables.runs import Generation
from backend.tables.training import TrainingRun
from tests.chaos import stand_in_trainer
from tests.chaos.installation import PLAN, SPLITS, Installation
from tests.chaos.kills import WORKER_MOMENTS, Fate, Schedule
from tests.chaos.worker import MOMENTS, TRAINER_VARIABLE
from tests.fixtures_review import BAD
from training.config import lock_file, partial_dir
from training.weights.folders import read_progress

PATIENCE_S = 240.0
WRITTEN = SPLITS["test"] * 2  # base and candidate


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9, if it still lives."""
    process.kill()
    process.wait()


@dataclass
class Battle:
    """A round under way.

    Attributes:
        template: adapter whose shape the stand-in gives its own; None: the real trainer trains.
        over_http: the round is started over HTTP, not by a command.
        acknowledged: what a server or a command said is done: review ids, and round numbers.
    """

    place: Installation
    schedule: Schedule
    template: Path | None
    over_http: bool = False
    reviews: set[int] = field(default_factory=set)
    contradictions: int = 0
    rounds: set[int] = field(default_factory=set)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _due: float = field(default_factory=lambda: time.monotonic() + PATIENCE_S)

    def fight(self) -> None:
        """Go through the whole round."""
        with self._alive():
            self._review(self.place.corrections_id)
            self._start_round()
            while (row := self._row()) and row.state != "finished":
                self._require_time(f"round {row.state}, {row.phase}, {row.waits_for}, {row.error}")
                if row.state == "failed":
                    self._take_up(str(row.error))
                elif row.review_queue_id is not None and row.phase == "review":
                    self._wait_for_rest()
                    self._review(row.review_queue_id)
                elif row.phase == "sign":
                    self._command("round", "sign", "--as", "lead")
                time.sleep(0.1)

    def lost(self) -> int:
        """How many acknowledged reviews and rounds are not stored."""
        with reading(self.place.sessions) as session:
            stored = set(session.scalars(select(Review.id).where(Review.state == "submitted")))
            numbers = set(session.scalars(select(Round.number)))
        return len(self.reviews - stored) + len(self.rounds - numbers)

    # The processes

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """API and worker, started again whenever they died, and the thread that kills."""
        threads = [threading.Thread(target=act) for act in (self._tend, self._kill_on_time)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()
            for process in self._processes.values():
                kill(process)
            if (pid := self._trainer()) is not None:
                _kill_number(pid)

    def _tend(self) -> None:
        while not self._ended.wait(0.02):
            for name, start in (("API", self._start_api), ("worker", self._start_worker)):
                with self._lock:
                    process = self._processes.get(name)
                    if process is None or process.poll() is not None:
                        self._processes[name] = start()

    def _start_api(self) -> subprocess.Popen[bytes]:
        return self._spawn("API", "-m", "backend.cli", "up", "--api-only", "--no-worker")

    def _start_worker(self) -> subprocess.Popen[bytes]:
        return self._spawn("worker", "-m", "tests.chaos.worker")

    def _spawn(self, log: str, *arguments: str) -> subprocess.Popen[bytes]:
        extra = {"OMP_NUM_THREADS": "1"}
        if self.template is not None:
            extra[TRAINER_VARIABLE] = stand_in_trainer.__name__
            extra[stand_in_trainer.TEMPLATE_VARIABLE] = str(self.template)
        with (self.place.settings.home / f"{log}.log").open("ab") as stream:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=Path(__file__).parents[2],
                env=child_environment(self.place.settings, **extra),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                preexec_fn=end_with_parent(),
            )

    def _kill(self, name: str, moment: str) -> None:
        with self._lock:
            process = self._processes.get(name)
            if process is not None and process.poll() is None:
                kill(process)
                self.schedule.count(name, moment)

    # The kills of worker and trainer

    def _kill_on_time(self) -> None:
        worker, trainer = list(self.schedule.worker), list(self.schedule.trainer)
        marks = 0
        while not self._ended.wait(0.01):
            if trainer and self._has_trained(trainer[0].share):
                time.sleep(trainer[0].delay)
                if (pid := self._trainer()) is not None:
                    _kill_number(pid)
                    self.schedule.count("trainer", trainer[0].moment)
                trainer.pop(0)
            while worker and self._is_over(worker[0]):
                worker.pop(0)
            if worker and self._has_come(worker[0], marks):
                time.sleep(worker[0].delay)
                self._kill("worker", worker.pop(0).moment)
                marks = len(self._marks())

    def _has_come(self, fate: Fate, marks: int) -> bool:
        """Whether the moment of a kill is there."""
        if fate.moment == "start":
            return "worker" in self._processes
        if fate.moment in ("launch", "reconcile", "shut_down"):
            return fate.moment in self._marks()[marks:]
        if fate.moment == "training":
            return self._has_trained(fate.share)
        return self._written() > WRITTEN * (fate.share if fate.moment == "generating" else 0.99)

    def _is_over(self, fate: Fate) -> bool:
        """Whether a kill has missed its moment."""
        row = self._row()
        if fate.moment == "training":
            return row is not None and row.candidate_id is not None
        passed = WORKER_MOMENTS.index("written") > fate.order
        return passed and row is not None and row.phase in ("review", "decide", "sign", "end")

    def _has_trained(self, share: float) -> bool:
        output = self._output()
        if output is None or self._trainer() is None:
            return False
        steps = len(read_progress(partial_dir(output) / "progress.jsonl"))
        return steps >= share * (stand_in_trainer.STEPS if self.template else 8)

    def _trainer(self) -> int | None:
        """The process of the living trainer."""
        output = self._output()
        if output is None or not lock_is_held(lock_file(output)):
            return None
        try:
            return int(lock_file(output).read_text())
        except ValueError:
            return None

    def _output(self) -> Path | None:
        with reading(self.place.sessions) as session:
            found = session.scalar(select(TrainingRun.output_dir))
        return None if found is None else Path(found)

    def _written(self) -> int:
        row = self._row()
        with reading(self.place.sessions) as session:
            query = select(func.count(Generation.id)).where(
                Generation.run_id == (row.generation_run_id if row else None)
            )
            return session.scalar(query) or 0

    def _marks(self) -> list[str]:
        file = self.place.settings.home / MOMENTS
        return file.read_text(encoding="utf-8").split() if file.is_file() else []

    # What people do

    def _start_round(self) -> None:
        if self.over_http:
            path = f"/projects/{self.place.project_id}/rounds"
            plan = {"plan": {**PLAN, "config": self._training()}}
            receipt = self._send(path, plan, token=self.place.lead_token)
            self.rounds.add(receipt["number"])
            return
        file = self.place.settings.home / "plan.yaml"
        file.write_text(yaml.safe_dump({**PLAN, "config": self._training()}), encoding="utf-8")
        while self._row() is None:  # whoever is not sure looks before they start it again
            self._require_time("no round starts")
            said = self._command("round", "start", str(file), "--as", "lead", "--json")
            if said is not None:
                self.rounds.add(json.loads(said)["number"])

    def _take_up(self, error: str) -> None:
        """Resume a round that failed with a killed trainer; nothing else may fail it."""
        if not self.schedule.fallen["trainer"] or "The trainer of run" not in error:
            raise AssertionError(f"seed {self.schedule.seed}: the round failed by itself: {error}")
        self._command("round", "resume")

    def _training(self) -> dict[str, Any]:
        return {"epochs": 4, "batch_size": 4, "log_every": 1, "learning_rate": 0.02}

    def _command(self, *arguments: str) -> str | None:
        """A command of a person; what it printed, None if it was killed or refused."""
        delay = self.schedule.draw("CLI", share=0.8, most=1.5)
        process = subprocess.Popen(
            [sys.executable, "-m", "backend.cli", *arguments],
            cwd=Path(__file__).parents[2],
            env=child_environment(self.place.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            out, error = process.communicate(timeout=120 if delay is None else delay)
        except subprocess.TimeoutExpired:
            kill(process)
            process.communicate()
            self.schedule.count("CLI", " ".join(arguments[:2]))
            return None
        if process.returncode != 0:
            with (self.place.settings.home / "CLI.log").open("ab") as log:
                log.write(error)
        return out.decode() if process.returncode == 0 else None

    def _review(self, queue_id: int) -> None:
        """Answer what is left of a queue; the same answer to the same item, always."""
        while True:
            found = self._send(f"/review-queues/{queue_id}/claim", {})
            claim = found["claim"]
            if claim is None:
                assert found["reason"] in ("finished", "closed"), found
                return
            body = {"version": claim["version"], "answer": _opinion(claim["item"])}
            path = f"/review-slots/{claim['slot_id']}/submit"
            receipt = self._send(path, body)
            self.reviews.add(receipt["review_id"])
            if claim["slot_id"] % 4 == 0:
                again = self._send(path, body)  # a person who is not sure
                self.contradictions += again["review_id"] != receipt["review_id"]

    def _send(self, path: str, body: dict[str, Any], *, token: str | None = None) -> Any:
        """POST under one key until a server answers."""
        key = uuid4().hex
        delay = self.schedule.draw("API", share=0.15, most=0.06)
        if delay is not None:
            moment = path.rpartition("/")[2]
            threading.Timer(delay, self._kill, ("API", moment)).start()
        while True:
            self._require_time(f"no answer to {path}")
            try:
                status, found = self._ask(path, body, key, token or self.place.token)
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.1)
                continue
            if status < 300:
                return found
            if status < 500:
                raise AssertionError(f"{path} was refused: {status} {found}")
            time.sleep(0.1)

    def _ask(self, path: str, body: dict[str, Any], key: str, token: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.place.settings.port, timeout=20)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        try:
            connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def _row(self) -> Round | None:
        with reading(self.place.sessions) as session:
            return session.scalars(select(Round).order_by(Round.id.desc())).first()

    def _wait_for_rest(self) -> None:
        """Where a kill is to fall as the worker rests, the expert lets it come to that."""
        due = time.monotonic() + 10.0
        if any(fate.moment == "shut_down" for fate in self.schedule.worker):
            while time.monotonic() < due and "shut_down" not in self._marks():
                time.sleep(0.05)

    def _require_time(self, where: str) -> None:
        if time.monotonic() > self._due:
            raise TimeoutError(f"seed {self.schedule.seed}: {where}")


def _opinion(item: dict[str, Any]) -> dict[str, Any]:
    """What the simulated expert says: a correction of a single output, the fitting side of two."""
    if item["left"] is None:
        number = item["context"].split()[2]
        return {"ratings": BAD, "correction": f"{item['context'].split()[0]} {number}: corrected"}
    left, right = (side["text"].startswith("test ") for side in (item["left"], item["right"]))
    return {"winner": "left" if left > right else "right" if right > left else "tie"}


def _kill_number(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
