"""The Ray executor: order, errors, a bounded window, and a node that is killed in the middle."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import CannotCompute, Conflict, ExecutorUnavailable, InvalidInput, NotFound
from backend.executors import Executor, open_executor
from backend.executors import ray as ray_executor
from backend.executors.local import LocalExecutor
from backend.executors.ray import RayExecutor
from backend.executors.ray_session import environment_of_ray
from backend.executors.ray_task import installation
from backend.executors.spread import spread_over
from backend.jobs.running.parts import Workshop
from backend.jobs.score import score_parts
from backend.services import queue
from backend.services.datasets.health.repeats import embed
from backend.services.datasets.near_duplicates import find_near_duplicates, near_duplicate_pairs
from backend.services.runs import scoring
from backend.settings import Settings
from backend.tables.queue import JobState
from backend.tables.runs import Score
from evaluators.checks.checker.lessons import RightText, teach, whole_texts
from evaluators.checks.planting.bench import build_bench
from evaluators.chunks import ScoreChunk, score_chunk
from evaluators.types import Sample
from tests.fixtures_judges import judged_desk
from tests.fixtures_ray import TwoNodes
from tests.fixtures_worker import wait_for

BIG = 300_000  # bytes; Ray keeps larger results on the node that made them


def double(number: int) -> int:
    return 2 * number


def where(number: int) -> tuple[int, str]:
    import ray

    time.sleep(0.05)
    return number, ray.get_runtime_context().get_node_id()


def note_and_refuse(note: str) -> None:
    with Path(note).open("a") as file:
        file.write("x")
    raise NotFound("not here", hint="look there")


class Stubborn(Exception):
    def __reduce__(self) -> str:
        raise TypeError("stays where it is")


def raise_stubborn(number: int) -> None:
    raise Stubborn(f"number {number}")


def die_once(mark: str) -> str:
    file = Path(mark)
    if not file.exists():
        file.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return file.name


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def big_slow(number: int) -> tuple[int, str, bytes]:
    import ray

    time.sleep(0.15)
    return number, ray.get_runtime_context().get_node_id(), bytes([number]) * BIG


def test_results_come_in_the_order_of_the_items_from_both_nodes(two_nodes: TwoNodes) -> None:
    found = list(two_nodes.executor.map(where, range(30)))
    assert [number for number, _ in found] == list(range(30))
    assert len({node for _, node in found}) == 2 == two_nodes.executor.slots
    assert list(two_nodes.executor.map(double, [])) == []


def test_few_items_are_taken_ahead(two_nodes: TwoNodes) -> None:
    taken = 0

    def coming() -> Iterator[int]:
        nonlocal taken
        for number in range(40):
            taken += 1
            yield number

    ahead = [taken - given for given, _ in enumerate(two_nodes.executor.map(double, coming()))]
    assert max(ahead) <= 2 * two_nodes.executor.slots
    assert taken == 40


def test_what_the_work_raises_is_raised_and_not_repeated(
    two_nodes: TwoNodes, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    with pytest.raises(NotFound, match="not here") as found:
        list(two_nodes.executor.map(note_and_refuse, [str(note)]))
    assert found.value.hint == "look there"
    assert note.read_text() == "x"
    with pytest.raises(RuntimeError, match="Stubborn: number 3"):
        list(two_nodes.executor.map(raise_stubborn, [3, 4, 5]))
    assert list(two_nodes.executor.map(double, [1])) == [2]


def test_a_caller_may_stop_in_the_middle(two_nodes: TwoNodes) -> None:
    for _ in range(20):
        results = two_nodes.executor.map(double, range(1000))
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]
    assert list(two_nodes.executor.map(double, [1])) == [2]


def test_two_threads_share_the_cluster(two_nodes: TwoNodes, tmp_path: Path) -> None:
    found: dict[int, list[int]] = {}

    def use(start: int) -> None:
        beside = RayExecutor(two_nodes.cluster.address, home=tmp_path)
        found[start] = list(beside.map(double, range(start, start + 20)))
        beside.close()

    threads = [threading.Thread(target=use, args=(start,)) for start in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {s: [2 * n for n in range(s, s + 20)] for s in (0, 100)}
    assert list(two_nodes.executor.map(double, [1])) == [2]
    with pytest.raises(Conflict):
        _ = RayExecutor("127.0.0.1:1", home=tmp_path).slots


def test_a_node_that_is_installed_otherwise_is_refused(
    two_nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {**installation(), "scikit-learn": "0.1", "Python": "3.99.1"}
    monkeypatch.setattr(ray_executor, "installation", lambda: other)
    with pytest.raises(ExecutorUnavailable, match=r"has Python 3\.\d+\.\d+ for 3.99.1, scikit-lea"):
        list(two_nodes.executor.map(double, range(3)))


def test_a_process_that_died_is_repeated_and_one_that_always_dies_is_said(
    two_nodes: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = [str(tmp_path / f"{n}") for n in range(2)]
    assert list(two_nodes.executor.map(die_once, marks)) == ["0", "1"]
    monkeypatch.setattr(ray_executor, "RETRIES", 0)
    with pytest.raises(ExecutorUnavailable, match="one item died 1 times"):
        list(two_nodes.executor.map(die, [1]))


def test_nothing_is_lost_or_doubled_when_a_node_is_killed(two_nodes: TwoNodes) -> None:
    two_nodes.start_other()
    found, nodes = [], set[str]()
    for number, node, packed in two_nodes.executor.map(big_slow, range(24)):
        found.append((number, packed))
        nodes.add(node)
        if number == 6:
            two_nodes.kill_other()
    assert [number for number, _ in found] == list(range(24))
    assert all(packed == bytes([number]) * BIG for number, packed in found)
    assert len(nodes) == 2
    wait_for(lambda: two_nodes.executor.slots == 1, seconds=30)  # Ray learns of it by and by


def slow_chunk(chunk: ScoreChunk) -> list[dict[str, Any]]:
    time.sleep(0.1)
    return score_chunk(chunk)


def test_a_scoring_job_writes_what_one_process_writes_when_a_node_is_killed(
    two_nodes: TwoNodes,
    sqlite_sessions: sessionmaker[Session],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two_nodes.start_other()
    with sqlite_sessions.begin() as session:
        desk = judged_desk(session, 60)
        runs = [
            scoring.create_score_run(session, generation_run_id=desk.run.id, metrics=METRICS).id
            for _ in range(2)
        ]
        jobs = [queue.enqueue_job(session, queue.JobKind.SCORE, run).id for run in runs]
    _score(sqlite_sessions, settings, jobs[0], LocalExecutor(1))
    monkeypatch.setattr("evaluators.chunks.score_chunk", slow_chunk)
    for name, value in {"START_SECONDS": 0.0, "WARM_SECONDS": 0.0}.items():
        monkeypatch.setattr(f"backend.executors.worth.{name}", value)
    for name in ("CHUNK", "FIRST_CHUNK"):
        monkeypatch.setattr(f"backend.jobs.score.{name}", 8)
    parts = _score(sqlite_sessions, settings, jobs[1], two_nodes.executor, two_nodes.kill_other)
    assert parts >= 15
    here, there = (_ledger(sqlite_sessions, run) for run in runs)
    assert len(here) == 120 * len(METRICS)
    assert there == here


METRICS = ["rougeL", "bleu", "grounding", "exact_match"]


def _score(
    sessions: sessionmaker[Session],
    settings: Settings,
    job_id: int,
    executor: Executor,
    kill: Callable[[], None] = lambda: None,
) -> int:
    """Do a scoring job by an executor, of which something is killed after four parts."""
    shop = Workshop(
        settings, sessions, "w", _no_engine, lambda *_, **__: None, {"score": score_parts}
    )
    shop._executor = executor
    with sessions.begin() as session:
        attempt = queue.get_job(session, job_id).attempt
    parts = 0
    while shop.take_part(job_id, attempt):
        parts += 1
        if parts == 4:
            kill()
    with sessions.begin() as session:
        job = queue.get_job(session, job_id)
        assert job.state == JobState.DONE, job.error
    return parts


def _no_engine(*asked: object) -> Any:
    raise AssertionError("nothing is asked of a model here")


def _ledger(sessions: sessionmaker[Session], score_run_id: int) -> list[tuple[Any, ...]]:
    with sessions() as session:
        rows = session.scalars(
            select(Score)
            .where(Score.score_run_id == score_run_id)
            .order_by(Score.generation_id, Score.metric)
        )
        return [
            (r.generation_id, r.metric, r.value, r.error, r.signature, r.stats, r.spans)
            for r in rows
        ]


def test_texts_are_compared_and_errors_planted_as_in_one_process(two_nodes: TwoNodes) -> None:
    spread = two_nodes.executor.map
    rng = random.Random(0)
    texts = [" ".join(f"w{rng.randrange(900)}" for _ in range(20)) for _ in range(600)]
    copies = [text + " indeed" for text in texts[:40]]
    pairs = near_duplicate_pairs([*texts, *copies], spread=spread)
    assert pairs == near_duplicate_pairs([*texts, *copies])
    assert len(pairs) == 40
    found = find_near_duplicates(copies, texts, spread=spread)
    assert found == find_near_duplicates(copies, texts)
    assert [pair.held_out for pair in found] == list(range(40))
    told = [f"Maria paid {n} euro for the plan on {1 + n % 28} May 2026." for n in range(60)]
    more = "The invoice was sent to her in June, and the ticket is still open."
    samples = [Sample(f"s{n}", one, context=f"{one} {more}") for n, one in enumerate(told)]
    bench = build_bench(samples, seed=3)
    assert build_bench(samples, seed=3, spread=spread) == bench
    assert len(bench.planted) > 60
    right = [RightText(n, f"g{n}", str(s.context), s.prediction) for n, s in enumerate(samples)]
    lessons, whole = teach(right, [], most=50, seed=1), whole_texts(right, seed=1)
    assert teach(right, [], most=50, seed=1, spread=spread) == lessons
    assert whole_texts(right, seed=1, spread=spread) == whole
    assert (len(lessons), len(whole)) == (50, 60)


@pytest.mark.deep
def test_texts_are_encoded_as_in_one_process(two_nodes: TwoNodes, tiny_base: Path) -> None:
    texts = [f"text {n} " * (1 + n % 40) for n in range(1100)]
    there = embed(texts, str(tiny_base), spread=two_nodes.executor.map)
    assert there.shape[0] == 1100
    assert (there == embed(texts, str(tiny_base))).all()
    with pytest.raises(CannotCompute, match="cannot be loaded"):
        embed(texts, "/nowhere", spread=two_nodes.executor.map)


def test_nobody_at_the_address_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
    for where_ in (address, f"ray://{address}", "127.0.0.1:99999999", "no such host:1"):
        with pytest.raises((ExecutorUnavailable, Conflict)):
            _ = RayExecutor(where_, home=tmp_path).slots


def test_no_cluster_is_joined_for_nothing(tmp_path: Path) -> None:
    executor = RayExecutor("127.0.0.1:1", home=tmp_path)
    assert list(executor.map(double, [])) == []
    assert list(spread_over(executor)(len, [[1], [2, 3]])) == [1, 2]
    assert not executor.warm


def test_without_the_extra_one_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_executor, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match=r'pip install "strop\[ray\]"'):
        open_executor(Settings(executor="ray"))


def test_nodes_get_no_setting_and_no_secret() -> None:
    secret = "s" * 40
    ours = {"PATH": "/bin", "STROP_SECRET": secret, "HF_TOKEN": secret, "AWS_SECRET_KEY": secret}
    given = environment_of_ray(ours)
    assert given["PATH"] == "/bin"
    assert secret not in given.values()


@pytest.mark.deep
def test_a_ray_of_our_own_keeps_no_secret_and_ends_with_us(tmp_path: Path) -> None:
    """Started by a process that has secrets in its environment, and that is killed."""
    secret = "do-not-tell-0123456789-0123456789-0123456789"
    driver = subprocess.Popen(
        [sys.executable, "-c", OWN_RAY, str(tmp_path)],
        env={**os.environ, "STROP_SECRET": secret, "OTHER_TOKEN": secret},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    try:
        told = json.loads(driver.stdout.readline())
        assert told["result"] == [0, 2, 4]
        ours = _with_text(str(told["folder"]))
        assert len(ours) >= 5
        for pid in ours:
            for name in ("environ", "cmdline"):
                assert secret.encode() not in Path(f"/proc/{pid}/{name}").read_bytes(), ours[pid]
        assert Path(told["folder"]).stat().st_mode & 0o077 == 0
        assert (tmp_path / "ray.token").stat().st_mode & 0o077 == 0
    finally:
        driver.kill()
        driver.wait()
        driver.stdout.close()
    end = time.monotonic() + 60
    while time.monotonic() < end and any(_is_alive(pid) for pid in ours):
        time.sleep(0.2)
    assert not [ours[pid] for pid in ours if _is_alive(pid)]
    assert not Path(told["folder"]).exists()


OWN_RAY = """
import json, sys, time
from pathlib import Path
from backend.executors.ray import RayExecutor
from tests.backend.executors.test_ray import double

if __name__ == "__main__":
    executor = RayExecutor(None, home=Path(sys.argv[1]), processes=1)
    result = list(executor.map(double, range(3)))
    import ray
    folder = ray._private.worker.global_worker.node.get_session_dir_path()
    print(json.dumps({"result": result, "folder": str(Path(folder).parents[1])}), flush=True)
    time.sleep(600)
"""


def _with_text(text: str) -> dict[int, str]:
    """Processes whose command line holds it, and their children."""
    found: dict[int, str] = {}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        if text in command or parent in found:
            found[int(folder.name)] = command
    return found


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
