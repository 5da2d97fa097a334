"""Throughput of the vllm engine, and of whole runs, beside a bare asyncio client.

    python -m tests.benchmarks.generation_throughput [--url URL | --base DIR] [--out ratios.json]

All sides send the same chat requests to the same server in one session: first a warm-up, then
alternating repetitions, each with prompts of its own, so that no side profits from the server's
prefix cache or from a quiet minute. The ratio is the median over the repetitions of (bare seconds /
ours); 1 is as fast, the aim is .95. Given no URL it starts a server of its own. Beside it stands
what each side takes of a processor for a request, which a busy machine blurs less: of this process,
and for `strop run` of its worker.

The side `strop run` is the whole job: queued as a row, taken by a worker process that is already
up, preflight, generation, every answer saved. Its examples are imported before the clock starts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from backend.engines.base import GenerationRequest, SamplingParams, ServedModel
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.serve import ServerPlan, vllm_server
from tests.benchmarks._ratios import Ratio, keep

DEMO_BASE = Path(__file__).parents[2] / "training/demo/base"
WORDS = ("bill", "plan", "router", "upgrade", "contract", "invoice", "roaming", "outage", "refund")

Side = Callable[[Sequence[GenerationRequest]], Callable[[], None]]
"""Given the prompts, makes ready, and gives what is timed: a function that has them answered."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of each repetition of one side; all sides answered equally many requests.

    `processor_s` are those of the client alone.
    """

    name: str
    requests: int
    seconds: tuple[float, ...]
    processor_s: tuple[float, ...]

    def ratios_to(self, bare: Timing) -> list[float]:
        """Throughput of this side over that of the bare client, repetition by repetition."""
        return [b / own for b, own in zip(bare.seconds, self.seconds, strict=True)]


def make_requests(count: int, *, seed: int) -> list[GenerationRequest]:
    """Prompts that no other seed makes."""
    rng = random.Random(seed)
    return [
        GenerationRequest(
            f"{seed}/{index}",
            "base",
            [
                {
                    "role": "user",
                    "content": f"Ticket {rng.random()} " + " ".join(rng.choices(WORDS, k=40)),
                }
            ],
        )
        for index in range(count)
    ]


def compare_sides(
    sides: Mapping[str, Side], *, count: int, repetitions: int, seed: int = 0
) -> list[Timing]:
    """Time every side on prompts of its own, in an order that turns round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    used: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for repetition in range(-1, repetitions):  # the first one warms up
        turned = names[repetition % len(names) :] + names[: repetition % len(names)]
        for name in turned:
            requests = make_requests(
                count, seed=10_000 * seed + 100 * (repetition + 1) + names.index(name)
            )
            answer = sides[name](requests)
            before, started = client_seconds(), time.perf_counter()
            answer()
            if repetition >= 0:
                seconds[name].append(time.perf_counter() - started)
                used[name].append(client_seconds() - before)
    return [Timing(n, count, tuple(seconds[n]), tuple(used[n])) for n in names]


def client_seconds() -> float:
    """Processor seconds of this process and of the worker that it started, if there is one."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = time.process_time()
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        if b"vllm" not in Path(f"/proc/{child}/cmdline").read_bytes():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            found += sum(map(int, fields[11:15])) / ticks
    return found


def bare_client(url: str, *, in_flight: int, max_tokens: int) -> Side:
    """The least that a program can do: asyncio, keep-alive, a fixed number of workers."""
    import aiohttp

    async def send(requests: Sequence[GenerationRequest]) -> None:
        line = iter(requests)
        connector = aiohttp.TCPConnector(limit=in_flight)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def work() -> None:
                for request in line:
                    payload = _payload(request, max_tokens)
                    async with session.post(f"{url}/v1/chat/completions", json=payload) as reply:
                        (await reply.json())["choices"][0]["message"]["content"]

            await asyncio.gather(*(work() for _ in range(in_flight)))

    return lambda requests: lambda: asyncio.run(send(requests))


def _payload(request: GenerationRequest, max_tokens: int) -> dict[str, Any]:
    return {
        "model": request.model,
        "messages": list(request.messages),
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "seed": 0,
        "logprobs": True,
    }


def engine_side(engine: VllmEngine, *, max_tokens: int) -> Side:
    """The vllm engine, its results taken and counted."""

    def answer(requests: Sequence[GenerationRequest]) -> None:
        results = list(engine.generate(iter(requests), SamplingParams(max_tokens=max_tokens)))
        if len(results) != len(requests) or any(result.error for result in results):
            raise RuntimeError("not every request was answered")

    return lambda requests: partial(answer, requests)


@contextmanager
def run_side(url: str, base: ServedModel, *, in_flight: int, max_tokens: int) -> Iterator[Side]:
    """`strop run` on an installation of its own, with a worker that is up and stays warm."""
    from backend.cli.terminal.waiting import run_jobs, worker_for
    from backend.db import connect, migrate
    from backend.services import queue
    from backend.services.datasets.versions import ExampleRow, import_dataset
    from backend.services.models.versions import register_base
    from backend.services.projects import create_project
    from backend.services.runs import generation
    from backend.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), vllm_url=url, vllm_concurrency=in_flight)
        migrate(settings.url)
        sessions = connect(settings)
        with sessions.begin() as session:
            project_id = create_project(session, "bench", base_model=base.base_model).id
            base_id = register_base(session, project_id).id

        def prepare(requests: Sequence[GenerationRequest]) -> Callable[[], None]:
            rows = [
                ExampleRow(r.key, str(r.messages[0]["content"]), split="test") for r in requests
            ]
            with sessions.begin() as session:
                name = requests[0].key.replace("/", "-")
                version = import_dataset(session, project_id, name, rows, source_name="bench")
                run = generation.create_run(
                    session,
                    project_id=project_id,
                    dataset_version_id=version.id,
                    split="test",
                    model_ids=[base_id],
                    engine="vllm",
                    params=SamplingParams(max_tokens=max_tokens),
                )
            return partial(answer, run.id)

        def answer(run_id: int) -> None:
            with sessions.begin() as session:
                job = queue.enqueue_job(session, queue.JobKind.GENERATE, run_id)
            run_jobs(sessions, settings, [job.id], quiet=True)
            with sessions() as session:
                progress = generation.run_progress(session, run_id)
            if progress.missing or progress.failed:
                raise RuntimeError("not every request was answered")

        with worker_for(sessions, settings):
            yield prepare


def report(timings: Sequence[Timing]) -> dict[str, Any]:
    """The figures as JSON: throughput of each side, ratio to the first with its spread."""
    bare = timings[0]
    rows = []
    for timing in timings:
        ratios = timing.ratios_to(bare)
        rows.append(
            {
                "side": timing.name,
                "requests": timing.requests,
                "repetitions": len(timing.seconds),
                "requests_per_s": timing.requests / statistics.median(timing.seconds),
                "ratio_median": statistics.median(ratios),
                "ratio_low": min(ratios),
                "ratio_high": max(ratios),
                "client_ms_a_request": 1e3
                * statistics.median(timing.processor_s)
                / timing.requests,
                "processor_s": list(timing.processor_s),
                "seconds": list(timing.seconds),
            }
        )
    return {"benchmark": "generation_throughput", "sides": rows}


@contextmanager
def server_url(url: str | None, base: ServedModel) -> Iterator[str]:
    """The server named, or one of our own for as long as the block runs."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        plan = ServerPlan(base, Path(folder) / "vllm.log")
        with vllm_server(plan, environment=os.environ) as server:
            print(f"server up after {server.startup_s:.0f} s")
            yield server.url


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--url", help="a running server; default: start one")
    parser.add_argument("--base", default=str(DEMO_BASE), help="base model of the server")
    parser.add_argument("--count", type=int, default=1200, help="requests a repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    args = parser.parse_args()
    base = ServedModel("base", args.base)
    with (
        server_url(args.url, base) as url,
        VllmEngine([url], in_flight=args.in_flight) as engine,
        run_side(url, base, in_flight=args.in_flight, max_tokens=args.max_tokens) as strop_run,
    ):
        engine.load([base])
        sides = {
            "bare asyncio client": bare_client(
                url, in_flight=args.in_flight, max_tokens=args.max_tokens
            ),
            "vllm engine": engine_side(engine, max_tokens=args.max_tokens),
            "strop run": strop_run,
        }
        load = os.getloadavg()[0]
        found = report(compare_sides(sides, count=args.count, repetitions=args.repetitions))
    for row in found["sides"]:
        print(
            f"{row['side']:22} {row['requests_per_s']:8.1f} requests/s   ratio "
            f"{row['ratio_median']:.3f} [{row['ratio_low']:.3f}, {row['ratio_high']:.3f}] "
            f"n={row['repetitions']}   client {row['client_ms_a_request']:.2f} ms a request"
        )
    if args.out:
        args.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    keep(args.out, as_ratios(found, args.count, (load, os.getloadavg()[0])))


def as_ratios(found: Mapping[str, Any], count: int, load: tuple[float, float]) -> list[Ratio]:
    """Each side over the bare client, with the goal."""
    bare, *others = found["sides"]
    return [
        Ratio(
            f"{row['side']} over a bare client, {count} prompts",
            [b / own for b, own in zip(bare["seconds"], row["seconds"], strict=True)],
            at_least=0.95,
            sides={f"{one['side']}, requests/s": one["requests_per_s"] for one in (bare, row)},
            load=load,
        )
        for row in others
    ]


if __name__ == "__main__":
    main()
