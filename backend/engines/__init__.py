"""Text generation: one protocol (`base`), several engines, opened here by name.

A new engine is one module and one line of the table. Nothing heavy is imported before an engine
is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from backend.engines.base import AliasEngine, Engine
from backend.errors import UnknownName
from backend.settings import Settings


def _open_local(settings: Settings) -> Engine:
    from backend.engines.local.engine import LocalEngine

    return LocalEngine(batch_size=settings.batch_size, threads=settings.torch_threads)


def _open_vllm(settings: Settings) -> Engine:
    from backend.engines.vllm.engine import VllmEngine

    key = settings.vllm_api_key
    return VllmEngine(
        settings.vllm_urls,
        in_flight=settings.vllm_concurrency,
        api_key=key.get_secret_value() if key else None,
    )


def _open_openai(settings: Settings) -> Engine:
    from backend.engines.openai.engine import OpenaiEngine

    servers = settings.openai_servers
    return OpenaiEngine(
        list(servers),
        keys=list(servers.values()),
        in_flight=settings.openai_concurrency,
        timeout_s=settings.openai_timeout_seconds,
        stream=settings.openai_stream,
    )


ELSEWHERE = "openai"  # which asks models served elsewhere, whatever engine a run names
FAKE = "fake"  # engines.fake, which tests and demonstrations hand to the worker themselves
ENGINES: Mapping[str, Callable[[Settings], Engine]] = {
    "local": _open_local,
    "vllm": _open_vllm,
    ELSEWHERE: _open_openai,
}


def check_engine(name: str) -> None:
    """Raise UnknownName where no engine has the name; FAKE counts as one."""
    if name not in (FAKE, *ENGINES):
        raise UnknownName("engine", name, ENGINES)


def open_engine(name: str, settings: Settings) -> Engine:
    """An engine by its name, to be closed by the caller (`with`); load models before use.

    Raises:
        UnknownName: no engine of that name.
    """
    if name not in ENGINES:
        raise UnknownName("engine", name, ENGINES)
    return ENGINES[name](settings)


def open_reference_engine(settings: Settings) -> Engine:
    """The engine `local` to hold a server against, which may have this machine's processors too.

    On all of them each operation would wait for a thread that the server keeps from its processor,
    which makes a small model twenty times slower; it gets half of them.
    """
    half = max(1, len(os.sched_getaffinity(0)) // 2)
    threads = {"torch_threads": settings.torch_threads or half}
    return _open_local(settings.model_copy(update=threads))


def open_server(url: str, settings: Settings) -> AliasEngine:
    """One vLLM server as an engine, to be closed by the caller."""
    from backend.engines.vllm.engine import VllmEngine

    key = settings.vllm_api_key
    return VllmEngine([url], api_key=key.get_secret_value() if key else None)
