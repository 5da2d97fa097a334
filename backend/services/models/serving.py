"""Putting a model behind an alias on every server that runs, or on none of them.

Each server first loads the model beside what it serves and is asked the probes of the preflight: it
must answer as the model did then, and otherwise than the base. Only when all servers do is the
alias pointed at the model, and asked again under that name; if that fails on one, those already
pointed are pointed back. Knows servers as engines, and no database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from backend.engines.base import AliasEngine, Message, ServedModel
from backend.engines.first_tokens import LARGEST_GAP, median_gap
from backend.errors import Conflict, StropError
from backend.services.models.preflight.agreement import FirstTokens
from backend.services.models.preflight.checks import SMALLEST_DIFFERENCE

NOWHERE = "none"  # an alias that points at no model yet
OpenAt = Callable[[str], AliasEngine]
UNKNOWN_PROBES: Sequence[Sequence[Message]] = [
    [{"role": "user", "content": text}]
    for text in ("Hello", "Summarise: the order came late.", "What can you do for me?")
]


@dataclass(frozen=True, slots=True)
class Move:
    """An alias that is to point at a model.

    Attributes:
        before: where it points now; None for nowhere.
        current: the label of that model, NOWHERE for none; the promotion is refused when the alias
            has moved since.
        fingerprint: of the newest passed preflight of the model; None where there is none.
    """

    alias: str
    model: ServedModel
    base: ServedModel
    before: ServedModel | None = None
    current: str | None = None
    fingerprint: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What one server made of a move; `nats` is how far it is from the fingerprint (median)."""

    url: str
    ok: bool
    detail: str
    probes: int = 0
    nats: float | None = None


@dataclass(frozen=True, slots=True)
class ServingReport:
    """All servers; none where none is configured, which is no failure.

    `current` is where the alias pointed when they were asked, as in `Move`.
    """

    servers: tuple[ServerAnswer, ...] = ()
    current: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every server serves the model under the alias."""
        return all(server.ok for server in self.servers)

    @property
    def sentence(self) -> str:
        """What a person needs to know."""
        if not self.servers:
            return "No server is configured (STROP_VLLM_URL): the alias alone moves."
        said = "; ".join(f"{server.url}: {server.detail}" for server in self.servers)
        return f"{said}."

    def as_record(self) -> dict[str, Any]:
        """As it is kept with a promotion."""
        return {"servers": [asdict(server) for server in self.servers]}


def serve_move(move: Move, urls: Sequence[str], open_at: OpenAt) -> ServingReport:
    """Make every server serve the model under the alias, or leave the alias as it is on all.

    Args:
        open_at: opens an engine on one server.
    """
    return replace(_serve_all(move, urls, open_at), current=move.current)


def _serve_all(move: Move, urls: Sequence[str], open_at: OpenAt) -> ServingReport:
    prepared = [_on_server(open_at, url, move, _prepare) for url in urls]
    if not all(answer.ok for answer in prepared):
        return ServingReport(tuple(prepared))
    pointed: list[ServerAnswer] = []
    for url in urls:
        pointed.append(_on_server(open_at, url, move, _point))
        if not pointed[-1].ok:
            undone = [_undo(open_at, done.url, move) for done in pointed]
            last = replace(pointed[-1], detail=f"{pointed[-1].detail}; {undone[-1].detail}")
            return ServingReport((*undone[:-1], last, *prepared[len(pointed) :]))
    return ServingReport(tuple(pointed))


def require_served(report: ServingReport, unserved: str | None) -> None:
    """Raise Conflict when a server does not serve the model and nobody says why that may be."""
    if not report.ok and not unserved:
        raise Conflict(
            f"The alias stays where it is: not every server serves the model. {report.sentence}",
            hint='Mend the server, or sign with --allow-unserved "reason".',
        )


def _on_server(
    open_at: OpenAt, url: str, move: Move, act: Callable[[AliasEngine, str, Move], ServerAnswer]
) -> ServerAnswer:
    try:
        with open_at(url) as engine:
            return act(engine, url, move)
    except StropError as error:
        return ServerAnswer(url, False, str(error))


def _prepare(engine: AliasEngine, url: str, move: Move) -> ServerAnswer:
    if move.model.elsewhere:
        return ServerAnswer(url, True, _elsewhere(move))
    engine.load(list(dict.fromkeys([move.base, move.model])))
    return _recognise(engine, url, move, move.model.name)


def _point(engine: AliasEngine, url: str, move: Move) -> ServerAnswer:
    if move.model.elsewhere:  # another model must not go on under a name that means this one
        engine.serve_as(move.alias, None)
        return ServerAnswer(url, True, _elsewhere(move))
    engine.load(list(dict.fromkeys([move.base, move.model])))
    engine.serve_as(move.alias, move.model)
    is_base = move.model.adapter_path is None  # which has no adapter that could bear the alias
    return _recognise(engine, url, move, move.model.name if is_base else move.alias)


def _elsewhere(move: Move) -> str:
    return (
        f"{move.model.name} is served elsewhere as {move.model.base_model}, so that this server "
        f"knows no {move.alias}"
    )


def _undo(open_at: OpenAt, url: str, move: Move) -> ServerAnswer:
    """Point a server back; where even that fails, somebody has to look at it."""
    try:
        with open_at(url) as engine:
            return _point_back(engine, url, move)
    except StropError as error:
        return ServerAnswer(url, False, f"COULD NOT BE POINTED BACK, look at it: {error}")


def _point_back(engine: AliasEngine, url: str, move: Move) -> ServerAnswer:
    engine.load([move.base])
    known = move.before is not None and move.before.base_model == move.base.base_model
    before = move.before if known else None  # a server holds one base, and no alias on another
    engine.serve_as(move.alias, before)
    now = "nothing" if before is None else before.name
    return ServerAnswer(url, False, f"pointed back: {move.alias} is {now}, as before")


def _recognise(engine: AliasEngine, url: str, move: Move, name: str) -> ServerAnswer:
    """Ask the probes of the preflight, and hold the answers against those it got."""
    known = move.fingerprint
    probes = UNKNOWN_PROBES if known is None else known["probes"]
    answers = [engine.next_token_logprobs(name, probe) for probe in probes]
    base = [engine.next_token_logprobs(move.base.name, probe) for probe in probes]
    if move.model.adapter_path is not None and median_gap(answers, base) < SMALLEST_DIFFERENCE / 10:
        return ServerAnswer(url, False, f"it answers for {name} as the base does", len(probes))
    if known is None:
        detail = f"{name} differs from the base; no preflight knows how it should answer"
        return ServerAnswer(url, True, detail, len(probes))
    return _compare(url, name, answers, known["first_tokens"], move)


def _compare(
    url: str, name: str, answers: FirstTokens, known: dict[str, FirstTokens], move: Move
) -> ServerAnswer:
    gap = median_gap(answers, known[move.model.name])
    others = {
        other: median_gap(answers, tokens)
        for other, tokens in known.items()
        if other != move.model.name
    }
    nearest = min(others, key=others.__getitem__) if others else None
    n = len(answers)
    if gap > LARGEST_GAP or (nearest and gap > SMALLEST_DIFFERENCE and others[nearest] < gap):
        like = f", nearer to {nearest}" if nearest and others[nearest] < gap else ""
        detail = f"what it serves as {name} is not what was evaluated ({gap:.3f} nats apart{like})"
        return ServerAnswer(url, False, detail, n, gap)
    detail = f"serves {name} as evaluated ({gap:.3f} nats apart on {n} probes)"
    return ServerAnswer(url, True, detail, n, gap)
