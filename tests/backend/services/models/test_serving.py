"""Every server serves the model under the alias, or the alias stays as it is on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import Message, ServedModel
from backend.engines.fake import FakeEngine, spread_by_name
from backend.errors import Conflict, EngineUnavailable, UnknownAdapter
from backend.services.models.serving import Move, ServingReport, require_served, serve_move

BASE = ServedModel("base", "tiny")
V1 = ServedModel("v1@1", "tiny", Path("/a/v1"), "1" * 64)
V2 = ServedModel("v2@1", "tiny", Path("/a/v2"), "2" * 64)
GPT = ServedModel("gpt@1", "gpt-4o", elsewhere=True)
PROBES = [[{"role": "user", "content": text}] for text in ("one", "two")]
KNOWN = {
    "probes": PROBES,
    "first_tokens": {m.name: [spread_by_name(m.name, p) for p in PROBES] for m in (BASE, V1, V2)},
}
URLS = ("http://a", "http://b")


class Farm:
    """Servers by address, each a fake engine that outlives its connections; champion is v1."""

    def __init__(self) -> None:
        self.servers = {url: FakeEngine() for url in URLS}
        for server in self.servers.values():
            server.load([BASE, V1])
            server.serve_as("champion", V1)

    def open_at(self, url: str) -> FakeEngine:
        return self.servers[url]

    def move(self, model: ServedModel = V2, **changes: Any) -> ServingReport:
        given = {"fingerprint": KNOWN, "before": V1, **changes}
        return serve_move(Move("champion", model, BASE, **given), URLS, self.open_at)

    @property
    def champions(self) -> list[str | None]:
        return [self.servers[url].aliases.get("champion") for url in URLS]


@pytest.fixture
def farm() -> Farm:
    return Farm()


def test_every_server_serves_the_model_under_the_alias(farm: Farm) -> None:
    report = farm.move()
    assert report.ok
    assert farm.champions == ["v2@1", "v2@1"]
    assert [(server.probes, server.nats) for server in report.servers] == [(2, 0.0), (2, 0.0)]
    assert "serves champion as evaluated" in report.sentence
    require_served(report, None)


def test_a_server_that_does_not_answer_leaves_all_as_they_were(farm: Farm) -> None:
    farm.servers["http://b"].dies_after = 0
    report = farm.move()
    assert [server.ok for server in report.servers] == [True, False]
    assert farm.champions == ["v1@1", "v1@1"]
    with pytest.raises(Conflict, match=r"The alias stays.*has died"):
        require_served(report, None)
    require_served(report, "it restarts tonight")


def answering_as(other: str, *, when: str) -> Any:
    """A server that answers for one name as for another model."""

    def logprobs(model: str, messages: Sequence[Message]) -> Mapping[str, float]:
        return spread_by_name(other if model == when else model, messages)

    return logprobs


@pytest.mark.parametrize(
    ("other", "said"),
    [("base", "answers for v2@1 as the base does"), ("v1@1", "nearer to v1@1"), ("x", "apart")],
)
def test_a_server_that_serves_the_wrong_thing_leaves_all_as_they_were(
    farm: Farm, other: str, said: str
) -> None:
    farm.servers["http://a"].logprobs = answering_as(other, when="v2@1")
    report = farm.move()
    assert not report.ok
    assert said in report.servers[0].detail
    assert farm.champions == ["v1@1", "v1@1"]


class Stubborn(FakeEngine):
    """Says yes when it is told to move an alias, and does not; or refuses."""

    def __init__(self, *, refuses: bool) -> None:
        super().__init__()
        self.refuses = refuses

    def serve_as(self, alias: str, model: ServedModel | None) -> None:
        if model == V2 and self.refuses:
            raise UnknownAdapter("It may load none.")
        super().serve_as(alias, V1)


@pytest.mark.parametrize("refuses", [True, False])
def test_servers_already_moved_are_moved_back(farm: Farm, refuses: bool) -> None:
    stubborn = Stubborn(refuses=refuses)
    stubborn.load([BASE, V1])
    stubborn.serve_as("champion", V1)
    farm.servers["http://b"] = stubborn
    report = farm.move()
    assert [server.ok for server in report.servers] == [False, False]
    assert "pointed back: champion is v1@1" in report.servers[0].detail
    assert farm.champions == ["v1@1", "v1@1"]


class Dying(FakeEngine):
    """Dies after it was told to serve the new model under the alias."""

    def serve_as(self, alias: str, model: ServedModel | None) -> None:
        if model != V2 and "champion" in self.aliases and self.aliases["champion"] == V2.name:
            raise EngineUnavailable("It has died.")
        super().serve_as(alias, model)


def test_a_server_that_cannot_be_moved_back_is_told_in_capitals(farm: Farm) -> None:
    dying = Dying()
    dying.load([BASE, V1])
    stubborn = Stubborn(refuses=True)
    stubborn.load([BASE, V1])
    farm.servers = {"http://a": dying, "http://b": stubborn}
    report = farm.move()
    assert not report.ok
    assert report.servers[0].detail.startswith("COULD NOT BE POINTED BACK")


def test_without_a_fingerprint_only_the_base_can_be_told_apart(farm: Farm) -> None:
    report = farm.move(fingerprint=None)
    assert report.ok
    assert "no preflight knows" in report.sentence


def test_an_alias_that_goes_to_the_base_is_taken_from_the_servers(farm: Farm) -> None:
    farm.move(BASE)
    assert farm.champions == [None, None]


def test_no_server_is_said_and_fails_nothing() -> None:
    report = serve_move(Move("champion", V2, BASE), (), FakeEngine)  # type: ignore[arg-type]
    assert report.ok
    assert "No server is configured" in report.sentence


def test_a_model_served_elsewhere_takes_the_alias_away_from_the_servers(farm: Farm) -> None:
    report = farm.move(GPT, fingerprint=None)
    assert report.ok
    assert farm.champions == [None, None]
    assert "gpt@1 is served elsewhere as gpt-4o" in report.sentence


class Strict(FakeEngine):
    """Knows nothing of models served elsewhere, as vLLM does not."""

    def serve_as(self, alias: str, model: ServedModel | None) -> None:
        assert model is None or not model.elsewhere
        super().serve_as(alias, model)


def test_a_server_is_pointed_back_to_nothing_where_the_champion_is_served_elsewhere(
    farm: Farm,
) -> None:
    farm.servers = {"http://a": Strict(), "http://b": Stubborn(refuses=True)}
    for server in farm.servers.values():
        server.load([BASE, V1])
    report = farm.move(V2, before=GPT)
    assert "pointed back: champion is nothing" in report.servers[0].detail
    assert farm.champions[0] is None


def test_a_server_is_not_pointed_back_to_an_adapter_on_another_base(farm: Farm) -> None:
    """It holds one base, so that it can have held no alias on another."""
    large = ServedModel("v3@1", "large", Path("/a/v3"), "3" * 64)
    farm.servers = {"http://a": FakeEngine(), "http://b": Stubborn(refuses=True)}
    for server in farm.servers.values():
        server.load([BASE])
    report = farm.move(V2, before=large)
    assert "pointed back: champion is nothing" in report.servers[0].detail
    assert farm.champions[0] is None
