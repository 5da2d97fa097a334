"""What a vLLM server holds: finds the base in its list and loads adapters at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.engines.adapters.fit import HEADS
from backend.engines.adapters.folders import CONFIG_FILE, WEIGHTS_FILE, read_config
from backend.engines.base import ServedModel
from backend.engines.prompts import model_folder
from backend.engines.remote.server import TRIED_AGAIN, ServerReply
from backend.engines.vllm.server import VllmServer
from backend.errors import EngineError, EngineUnavailable, UnknownAdapter
from training.weights.digest import adapter_sha256
from training.weights.tensors import read_tensors

_DIGEST_LETTERS = 12


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of `/v1/models`: `parent` is the base's name for an adapter, None for a base."""

    name: str
    root: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class LoadedAdapter:
    """An adapter on a server: its name there, and what could not be proved about it."""

    name: str
    note: str | None = None


def digest_name(name: str, digest: str) -> str:
    """The name under which a server holds an adapter of this content."""
    return f"{name}#{digest[:_DIGEST_LETTERS]}"


async def read_models(server: VllmServer) -> list[Listed]:
    """The models that a server lists.

    Raises:
        EngineUnavailable: what answers there is not a vLLM server, or nothing answers.
    """
    reply = await server.get("/v1/models")
    try:
        return [
            Listed(entry["id"], str(entry.get("root") or ""), entry.get("parent"))
            for entry in reply.body["data"]
        ]
    except (KeyError, TypeError) as error:
        raise EngineUnavailable(
            f"What answers at {server.url} is not a vLLM server ({reply.error}).",
            hint="Set STROP_VLLM_URL to its address, without /v1.",
        ) from error


def name_of_base(listed: Sequence[Listed], model: ServedModel, server: VllmServer) -> str:
    """The server's name of the base: ours if it lists it, else the model with the same root.

    Raises:
        UnknownAdapter: it serves no such base.
    """
    bases = [entry for entry in listed if entry.parent is None]
    folder = model_folder(model.base_model)
    meant = {model.base_model} | ({str(folder)} if folder else set())
    for entry in bases:
        if entry.name == model.name or meant & {entry.name, entry.root}:
            return entry.name
    raise UnknownAdapter(
        f"The vLLM server at {server.url} does not serve the base {model.base_model}.",
        hint="It serves " + ", ".join(entry.name for entry in bases) + ".",
    )


async def load_adapter(
    server: VllmServer, listed: Sequence[Listed], model: ServedModel, digest: str
) -> LoadedAdapter:
    """Have the server hold an adapter under the name of its digest.

    A server without runtime loading is taken at its word if it lists the adapter under our name;
    the note says so.

    Raises:
        UnknownAdapter: the server does not see the folder, or may not load adapters.
        EngineError: the adapter does not fit (rank, shapes).
    """
    require_served(model)
    name = digest_name(model.name, digest)
    if any(entry.name == name for entry in listed):
        return LoadedAdapter(name)
    path = str(model.adapter_path.resolve()) if model.adapter_path else ""
    reply = await _load_as(server, name, path)
    if reply.status == 200 or "already been loaded" in reply.error:
        return LoadedAdapter(name)
    # no such route; a folder that is not there is a 404 too, and names the adapter
    if reply.status in {404, 405} and "adapter" not in reply.error.lower():
        return _static_adapter(server, listed, model)
    raise _refused(server, model, path, reply)


def require_served(model: ServedModel) -> None:
    """Raise EngineError for a soft prompt, which vLLM does not serve.

    A folder that only the server sees is left to the server.
    """
    file = None if model.adapter_path is None else model.adapter_path / CONFIG_FILE
    if file is not None and file.is_file() and (found := read_config(file)).is_soft_prompt:
        raise EngineError(f"{model.name}: {found.unserved_by_vllm()[0]}")


def require_unchanged(model: ServedModel) -> None:
    """Raise EngineError where an adapter's files are no longer those of its digest.

    A folder that only the server sees is left to the server.
    """
    path = model.adapter_path
    if path is None or not model.adapter_sha256 or not (path / WEIGHTS_FILE).is_file():
        return
    if adapter_sha256(path) != model.adapter_sha256:
        raise EngineError(
            f"The files of {model.name} changed while it was in use.",
            hint="Put them back, or register them: strop adapter add",
        )


def changes_head(folder: Path) -> bool:
    """Whether an adapter changes the layer that turns vectors into tokens.

    False for a folder that only the server sees.
    """
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        return False
    modules = {name.partition(".lora_")[0].rpartition(".")[2] for name in read_tensors(file)}
    return bool(modules & HEADS)


async def point_alias(server: VllmServer, alias: str, model: ServedModel | None) -> None:
    """Have a server know an adapter by a fixed name; a base or None takes the name away.

    The name is taken away and given again. vLLM could load in place (`load_inplace`), but keeps
    that flag with the name and then loads the adapter again in every step that serves it. Requests
    in flight end on the weights they began with; one that comes in between the two is refused with
    404, never answered by the base, and our own are asked again. The server keeps what it remembers
    of prompts by name and path, so that an alias that moves to another folder starts afresh.

    Raises:
        EngineError: the server refuses; the name then means again what it meant before.
    """
    before = await _adapter_at(server, alias)
    await server.post("/v1/unload_lora_adapter", {"lora_name": alias})  # may not be there
    if model is None or model.adapter_path is None:
        return
    path = str(model.adapter_path.resolve())
    reply = await _load_as(server, alias, path)
    if reply.status != 200 and await _adapter_at(server, alias) != path:
        if before is not None:
            await _load_as(server, alias, before)
        raise _refused(server, model, path, reply)


async def _adapter_at(server: VllmServer, name: str) -> str | None:
    """The folder of the adapter that a server knows by this name."""
    found = [entry for entry in await read_models(server) if entry.name == name and entry.parent]
    return found[0].root if found else None


async def _load_as(server: VllmServer, name: str, path: str) -> ServerReply:
    return await server.post(
        "/v1/load_lora_adapter",
        {"lora_name": name, "lora_path": path},
        tried_again=TRIED_AGAIN - {500},
    )


def _static_adapter(
    server: VllmServer, listed: Sequence[Listed], model: ServedModel
) -> LoadedAdapter:
    if any(entry.name == model.name and entry.parent is not None for entry in listed):
        return LoadedAdapter(
            model.name,
            f"The server at {server.url} loaded {model.name} when it started; "
            "which weights it holds cannot be proved.",
        )
    raise UnknownAdapter(
        f"The vLLM server at {server.url} has no adapter {model.name!r} and may load none.",
        hint="Start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, or with `strop serve`.",
    )


def _refused(server: VllmServer, model: ServedModel, path: str, reply: ServerReply) -> EngineError:
    words = reply.error.strip().rstrip(".")
    if reply.status == 404 or "No adapter found" in words:
        return UnknownAdapter(
            f"The vLLM server at {server.url} finds no adapter at {path}.",
            hint="The folder must be visible to the server under the same path.",
        )
    return EngineError(
        f"The vLLM server at {server.url} could not load {model.name!r}: {words}.",
        hint="Is its rank within the server's --max-lora-rank, and its base the server's?",
    )
